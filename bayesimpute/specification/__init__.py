"""What is to be imputed, from what, and how: every argument, checked, as one frozen object."""
