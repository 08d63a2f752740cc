"""The phone app and the board: files that a build made."""
