"""Posteriors of m completed data sets, mixed into one."""
