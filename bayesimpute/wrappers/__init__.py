"""Methods around a method: by group, only in some rows, shifted, with fixed cluster effects."""
