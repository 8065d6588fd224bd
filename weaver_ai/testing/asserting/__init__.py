"""What a test asks of spans that somebody recorded, and why an expectation failed."""
