"""What the words of a complaint say: language, intent, category, severity, flags, and the reasons for each."""
