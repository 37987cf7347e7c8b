"""The attribution of an atlas's regions, and of the two sides."""
