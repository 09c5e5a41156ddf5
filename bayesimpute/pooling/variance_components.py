"""Variances and covariances of random effects, named as mitml names them."""

from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Any

import numpy as np


def mixedlm_components(result: Any) -> dict[str, float]:
    """Components of a mixedlm fit, and the ICC of a linear one with a single grouping factor.

    As in mitml, the ICC is that of the random intercept, Intercept / (Intercept + Residual); with
    random slopes beside it, it holds where those predictors are 0.

    Examples
    --------
    >>> import mixedlm
    >>> sleep = mixedlm.lmer("Reaction ~ Days + (1 | Subject)", mixedlm.load_sleepstudy())
    >>> list(mixedlm_components(sleep))
    ['Intercept~~Intercept|Subject', 'Residual~~Residual', 'ICC|Subject']
    """
    estimated = result.VarCorr()
    residual = getattr(estimated, "residual", None)
    components: dict[str, float] = {}
    for group, block in estimated.groups.items():
        names = level_names(block.term_names, result.matrices.category_levels)
        names = ["Intercept" if name == "(Intercept)" else name for name in names]
        for i, name in enumerate(names):
            components[f"{name}~~{name}|{group}"] = float(block.cov[i, i])
        for i, j in combinations(range(len(names)), 2):
            components[f"{names[i]}~~{names[j]}|{group}"] = float(block.cov[i, j])
    intercepts = [name for name in components if name.startswith("Intercept~~Intercept|")]
    if residual is not None:
        components["Residual~~Residual"] = float(residual)
        if len(estimated.groups) == 1 and intercepts:
            between, (group,) = components[intercepts[0]], estimated.groups
            components[f"ICC|{group}"] = between / (between + float(residual))
    return components


def level_names(names: Iterable[str], levels: Mapping[str, Iterable[Any]]) -> list[str]:
    """Coefficient names as R writes them: mixedlm's ``"sex.1"`` becomes ``"sexmale"``.

    mixedlm numbers the columns of a categorical variable from 1 and leaves the first category
    out; without an intercept it writes the labels of all of them.

    Examples
    --------
    >>> level_names(["(Intercept)", "sex.1:age"], {"sex": ["female", "male"]})
    ['(Intercept)', 'sexmale:age']
    """
    split = [name.split(":") for name in names]
    spelled: dict[str, str] = {}
    for variable, categories in levels.items():
        labels = [str(label) for label in categories]
        prefix = f"{variable}."
        suffixes = {
            factor.removeprefix(prefix)
            for factors in split
            for factor in factors
            if factor.startswith(prefix)
        }
        numbered = {str(i): label for i, label in enumerate(labels) if i}
        if not suffixes <= set(numbered):
            numbered = {label: label for label in labels}
        spelled |= {prefix + s: variable + numbered[s] for s in suffixes if s in numbered}
    return [":".join(spelled.get(factor, factor) for factor in factors) for factors in split]


def statsmodels_components(result: Any) -> dict[str, float]:
    """Components of a fit of statsmodels' MixedLM, whose grouping factor has no name."""
    between = np.asarray(result.cov_re, dtype=float)
    names = [str(name) for name in result.model.data.exog_re_names]
    pairs = [(i, i) for i in range(len(names))] + list(combinations(range(len(names)), 2))
    components = {f"{names[i]}~~{names[j]}|Group": float(between[i, j]) for i, j in pairs}
    components["Residual~~Residual"] = float(result.scale)
    return components
