"""Chained equations: m chains of visits, adapted once, in any number of worker processes."""
