"""Means of groups of maps, and where groups differ."""
