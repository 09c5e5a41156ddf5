"""Rows that no model was fitted to, completed by the parameters that a run has left."""
