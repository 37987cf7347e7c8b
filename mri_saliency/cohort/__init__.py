"""Which maps describe the cohort, on which grid, how methods agree, and the cohort's figure."""
