"""The life of a message: queued, written, handed over, its fate."""
