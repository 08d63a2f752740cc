"""A site's own questions, asked each time a complaint is closed."""
