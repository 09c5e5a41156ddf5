"""Functions of missing values whose truth is ranked among draws."""

import numpy as np

from bayesimpute.method import Array, Design


def imputed_quantities(design: Design, values: Array) -> dict[str, float]:
    """Quantities of the missing values, some of them with the observed ones.

    Categories enter by their codes: any function will do, as truth and draws get the same.

    Parameters
    ----------
    design
        With the observed values in `y`.
    values
        Of the `draw` rows, (drawn,), true or drawn.
    """
    cluster = design.cluster[design.draw]
    seen = np.bincount(design.cluster[design.fit], minlength=design.n_clusters)
    partly = seen[cluster] > 0
    named = {
        "imputed value": values[partly][0],
        "imputed mean": values[partly].mean(),
        "imputed SD": values[partly].std(),
    }
    if design.predictors:
        x = design.x[design.draw, 0]
        named[f"imputed × {design.predictors[0]}"] = float(values @ (x - x.mean()))
    if design.random_effects:
        # values of a wrong cluster have the right mean and spread, but not with their neighbours
        total = np.bincount(
            design.cluster[design.fit], design.y[design.fit], minlength=design.n_clusters
        )
        mean = total / np.maximum(seen, 1)
        neighbours = mean[cluster[partly]]
        named["imputed × cluster mean"] = float(values[partly] @ (neighbours - neighbours.mean()))
    if not partly.all():
        named["imputed value, unobserved cluster"] = values[~partly][0]
        own = cluster == cluster[~partly][0]
        named["imputed mean, unobserved cluster"] = values[own].mean()
        named["imputed SD, unobserved cluster"] = values[own].std()
    return {name: float(value) for name, value in named.items()}
