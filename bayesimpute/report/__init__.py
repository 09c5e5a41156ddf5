"""One self-contained HTML page that says how an imputation was made and how far to trust it."""
