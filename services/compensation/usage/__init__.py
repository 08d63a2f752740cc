"""What nobody used: windows of authority, counted when they end."""
