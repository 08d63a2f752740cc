"""What an employee may give now."""
