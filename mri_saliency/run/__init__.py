"""A run: what was asked for, what is to be made, and what has become of it."""
