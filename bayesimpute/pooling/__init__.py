"""Combining rules for m analyses."""
