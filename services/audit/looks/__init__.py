"""Looks at what the record says of one employee: each is recorded first, and the employee sees it."""
