"""Complaints as compensation knows them, and what their customers had."""
