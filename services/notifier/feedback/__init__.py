"""Did it help? The page and the answer."""
