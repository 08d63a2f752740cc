"""Shows what is to be said and done in the situation that a complaint is."""
