"""Reads every binary of a Python package, works out what the loader will do with it, and says what is wrong and why."""

__version__ = "0.1.0"
