"""One map -> its numbers, its pictures, its image in the scan's space."""
