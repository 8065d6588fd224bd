"""What a test asks a trace."""
