"""Under-use: windows of authority, counted when they end."""
