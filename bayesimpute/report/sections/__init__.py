"""Sections of the report: each a function from `Content` to HTML, empty where it has nothing."""
