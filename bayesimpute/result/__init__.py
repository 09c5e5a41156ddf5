"""The result of a run: completed data, chains as an ArviZ DataTree, and the file they live in."""
