"""Mails become complaints, and answers to letters become words of theirs."""
