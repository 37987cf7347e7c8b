"""Whether a map is evidence: what it does when the network or the scan is changed."""
