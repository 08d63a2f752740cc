"""The customer as a person with rights: erased, and the erasure certified."""
