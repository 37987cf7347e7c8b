"""Network and inputs -> maps: methods, the passes they need, baselines, and checks on the network."""
