"""Records in: the consumer, the table of topics and handlers, and what watches them."""
