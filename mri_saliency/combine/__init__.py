"""Several networks' maps of the same scans: means and agreement."""
