"""Who must know about somebody's safety."""
