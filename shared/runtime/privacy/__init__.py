"""People's data: seals, keys, pseudonyms, links."""
