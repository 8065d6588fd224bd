"""The pytest plugin: options, hooks and fixtures; what a session does not use it does not load."""
