"""Two or three checks of which the customer chooses one."""
