"""Formulas of the cohort's statistics, on plain arrays."""
