"""Pictures of a result, one a file; all share the colours of `bayesimpute.plots.style`."""
