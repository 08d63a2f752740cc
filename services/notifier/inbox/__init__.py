"""What an employee is told of their own cases."""
