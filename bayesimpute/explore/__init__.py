"""What to look at before imputing: patterns, flux, clusters, missingness, values that follow."""
