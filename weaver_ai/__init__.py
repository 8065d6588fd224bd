"""Weaver: agents behind a gateway, traced, and the pytest plugin that asserts on the traces.

Importing this package imports nothing else: each part loads what it needs when it is used.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
