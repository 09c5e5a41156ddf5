"""One plot a file; each takes results and returns what it drew."""
