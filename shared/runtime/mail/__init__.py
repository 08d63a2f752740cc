"""Reads mailboxes by IMAP."""
