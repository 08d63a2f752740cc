"""Employees: who is listed, who is on shift."""
