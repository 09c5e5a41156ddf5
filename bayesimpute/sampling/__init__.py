"""Posterior draws: the collapsed Gaussian machinery, NUTS kept alive, priors as plain records."""
