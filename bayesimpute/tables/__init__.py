"""Tables of files: read with what can be found out by looking, and written."""
