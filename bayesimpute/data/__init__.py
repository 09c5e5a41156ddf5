"""The user's table as typed arrays, and back: the only door for pandas."""
