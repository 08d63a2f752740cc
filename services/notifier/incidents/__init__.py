"""An incident is told in one voice: in letters to whom it affects, and to everybody as data."""
