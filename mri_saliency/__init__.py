"""The vocabulary of generate_saliency_maps.py, in folders by the stations of the data's way.

In their order: runtime (device, worker processes, ranks), inputs (files -> what the network takes),
attribution (network and inputs -> maps), maps (one map -> its numbers and pictures), output (the folder on
disk), cohort (all maps -> what they show together). A folder imports only those before it.
"""

__version__ = "0.1.0"
