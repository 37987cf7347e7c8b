"""A simulated cohort with a known answer."""
