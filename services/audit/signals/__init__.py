"""Signals after the fact: what in the record somebody should look at; never asked at a counter or a till."""
