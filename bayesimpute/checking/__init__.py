"""Imputation models held against the observed values."""
