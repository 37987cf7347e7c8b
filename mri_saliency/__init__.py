"""The vocabulary of generate_saliency_maps.py: one module a subject."""

__version__ = "0.1.0"
