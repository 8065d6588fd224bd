"""A pytest session in which some test records: its hooks, one recording test, what it reports."""
