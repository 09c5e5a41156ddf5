"""Conditional models that cannot be fitted well, drive each other, or answer by their prior."""

from collections.abc import Container, Iterator
from itertools import combinations

import numpy as np
import numpy.typing as npt

from bayesimpute.data.table import Kind
from bayesimpute.diagnose.examined import Examined, with_role
from bayesimpute.errors import BayesimputeError
from bayesimpute.findings import Finding
from bayesimpute.method import Array, Design
from bayesimpute.pooling.separation import separating_direction
from bayesimpute.prior.of_run import priors
from bayesimpute.registry import resolve
from bayesimpute.result.checks import ENOUGH_DRAWS, PRIOR_DECIDES, identification
from bayesimpute.specification.aliases import IN_ONE_BLOCK
from bayesimpute.specification.latent_means import mean_of
from bayesimpute.specification.specification import Passive, Target, computed_from
from bayesimpute.wording import listed
from bayesimpute.wrappers.base import declared, innermost

Rows = npt.NDArray[np.bool_]

#: Share of visits with a divergence: worth a word; not to be trusted.
DIVERGING, OFTEN_DIVERGING = 0.01, 0.1
#: Share of a predictor's variance that is its own: below, models rest on tiny differences.
OWN_VARIANCE = 0.01
#: Clusters that inform of the spread between clusters: as few, and its prior matters.
FEW_CLUSTERS = 5


def divergences(run: Examined) -> Iterator[Finding]:
    """Targets whose sampler diverges in a share of its visits."""
    for name, statistics in run.history.statistics.items():
        diverging = statistics.get("diverging")
        if diverging is None or not diverging.size:
            continue
        visits = np.isfinite(diverging)
        share = float((diverging[visits] > 0).mean()) if visits.any() else 0.0
        if share > DIVERGING:
            yield Finding(
                "error" if share > OFTEN_DIVERGING else "warning", name, "divergences",
                f"{100 * share:.0f} % of {int(visits.sum()):,} visits had a diverging transition.",
                "The posterior has a corner NUTS cannot enter: often the SD of a cluster effect "
                "near 0, separated categories, or predictors that say the same.",
                f"imp.priors({name!r})  # to be made tighter" + _longer_tuning(run, name),
            )  # fmt: skip


def _longer_tuning(run: Examined, name: str) -> str:
    """Give code that tunes the sampler longer, where it is one of this package."""
    method = innermost(run.targets[name].method) if name in run.targets else None
    options = getattr(resolve(method), "options", {}) if isinstance(method, str) else {}
    code = f", or\nmodel_options.setdefault({name!r}, {{}})['tune'] = 1000"
    return code if "tune" in options else ""


def without(run: Examined, name: str, label: str) -> str:
    """Give code, or words where there is none, that takes a predictor out of a model."""
    column = label if label in run.completed else label.partition("[")[0]
    return with_role(run, name, column, 0, f"Leave {label} out of the formula of {name!r}.")


def collinearity(run: Examined) -> Iterator[Finding]:
    """Predictors that are nearly a combination of the others of their model.

    Products and powers are left out: those of columns that are not centred are collinear with
    them by construction, and harmlessly so.
    """
    for name, design in run.designs():
        target = run.targets[name]
        plain = {t.label for t in target.terms if len(t.factors) == 1 and t.label in run.completed}
        at = [k for k, label in enumerate(design.predictors) if label.partition("[")[0] in plain]
        own = own_variance(design.x[design.fit][:, at])
        close = [(share, design.predictors[at[k]]) for k, share in enumerate(own)
                 if share < OWN_VARIANCE]  # fmt: skip
        if close:
            least, which = min(close)
            together = f"; so close together are {listed(label for _, label in close)}"
            yield Finding(
                "warning", name, "collinear predictors",
                f"Of {which!r} only {100 * least:.2g} % of the variance is its own, given the "
                f"other predictors of {name!r}{together if len(close) > 1 else ''}.",
                "Coefficients of columns that say the same are known only through their prior, and "
                "if both are incomplete they drive each other: chains move slowly.",
                f"{without(run, name, which)}\n# or give it a method that computes it",
            )  # fmt: skip


def own_variance(x: Array) -> Array:
    """Share of each column's variance that the other columns do not explain, 1/VIF.

    Parameters
    ----------
    x
        (row, column); constant columns give 1.
    """
    centred = x - x.mean(axis=0)
    size = np.sqrt((centred**2).sum(axis=0))
    moving = size > 0
    share = np.ones(x.shape[1])
    if moving.sum() > 1 and len(x) > moving.sum():
        # where columns are exact combinations the inverse has to be huge; a pseudo-inverse is not
        spread, axes = np.linalg.eigh(np.corrcoef(centred[:, moving], rowvar=False))
        share[moving] = 1 / (axes**2 / np.maximum(spread, np.finfo(float).eps)).sum(axis=1)
    return share


def separation(run: Examined) -> Iterator[Finding]:
    """Categories that a combination of predictors tells apart without error.

    Solved as a linear program [1]_: the data are separated if some β ≠ 0 has (2y − 1)·xβ ≥ 0 in
    every row.

    References
    ----------
    .. [1] Konis (2007), Linear programming algorithms for detecting separated data in binary
       logistic regression models, DPhil thesis, University of Oxford.
    """
    for name, design in run.designs():
        kinds = declared(run.targets[name].method, "kinds", frozenset(Kind))
        if run.kind(name) is Kind.NUMERIC or Kind.NUMERIC in kinds:
            continue
        if "beta" in run.targets[name].priors:
            continue  # the prior that then decides is the user's own
        x, y = design.x[design.fit], design.y[design.fit]
        for label, positive, rows in _splits(run, name, y):
            culprits = separating(x[rows], positive[rows])
            if culprits.any():
                which = [p for p, bad in zip(design.predictors, culprits, strict=True) if bad]
                yield Finding(
                    "warning", name, "separation",
                    f"{listed(which)} tell{'s' * (len(which) == 1)} {label} apart without a single "
                    f"exception in {int(rows.sum()):,} rows.",
                    "The likelihood has no maximum; how sure the imputed categories are rests on "
                    "the prior of the coefficients.",
                    f"{without(run, name, which[0])}  # or\n"
                    f"priors[{name!r}] = {{'beta': pm.Normal.dist(0, 1)}}",
                )  # fmt: skip
                break


def _splits(run: Examined, name: str, y: Array) -> Iterator[tuple[str, Rows, Rows]]:
    """Pairs of sets of categories: (words, which is the upper, rows), of ordered ones the cuts."""
    codes = np.unique(y)
    categories = run.specification.table.variables[name].categories
    words = {c: repr(categories[int(c)]) if categories else f"{c:g}" for c in codes}
    if run.kind(name) is Kind.NOMINAL:
        reference = max(codes, key=lambda c: (y == c).sum())
        for code in codes[codes != reference]:
            yield f"category {words[code]}", y == code, (y == code) | (y == reference)
    else:
        sign = "=" if len(codes) == 2 else "≥"
        for code in codes[1:]:
            yield f"{name} {sign} {words[code]}", y >= code, np.ones(len(y), dtype=bool)


def separating(x: Array, positive: Rows) -> Rows:
    """Find columns that separate two groups of rows, bool (column,).

    Those that do so alone; if none does, all that take part in a combination.

    Parameters
    ----------
    x
        (row, column), without an intercept.
    positive
        Bool (row,).
    """
    moving = np.ptp(x, axis=0) > 0 if len(x) else np.zeros(x.shape[1], dtype=bool)
    found = np.zeros(x.shape[1], dtype=bool)
    if not moving.any() or not 0 < positive.sum() < len(positive):
        return found
    upper, lower = x[positive], x[~positive]
    alone = (upper.min(axis=0) >= lower.max(axis=0)) | (upper.max(axis=0) <= lower.min(axis=0))
    if (alone & moving).any():
        return alone & moving
    scaled = x[:, moving] / np.ptp(x[:, moving], axis=0)
    design = np.column_stack([np.ones(len(x)), scaled - scaled.mean(axis=0)])
    found[moving] = np.abs(separating_direction(positive.astype(float), design)[1:]) > 1e-6
    return found


def few_clusters(run: Examined) -> Iterator[Finding]:
    """SDs of cluster effects that few clusters inform of, with how far the prior speaks."""
    for name, target in run.targets.items():
        clusters = run.clusters(name)
        effects = any(key.startswith("sd_") for key in run.history.parameters.get(name, {}))
        if clusters is None or target.level == 2 or not effects:
            continue
        informative = int((clusters.n_observed(run.specification.table.values[name]) > 0).sum())
        if informative > FEW_CLUSTERS or "sd_intercept" in target.priors:
            continue  # what is given as a prior is known to decide
        width = _width_against_prior(run, name)
        seen = f"; its posterior 90 % interval is {100 * width:.0f} % as wide as its prior's"
        seen = seen if np.isfinite(width) else ""
        yield Finding(
            "warning", name, "few clusters",
            f"{informative} clusters of {target.cluster!r} have {name!r} observed, to learn the SD "
            f"between clusters from{seen}.",
            "With so few clusters the prior of the SD decides how far values of a cluster without "
            "any are spread.",
            _for_few_clusters(run, target, informative == clusters.n),
        )  # fmt: skip


def _for_few_clusters(run: Examined, target: Target, all_have_values: bool) -> str:
    """Give fixed effects where these can be had, and a prior where that can be given."""
    name, method = target.name, innermost(target.method)
    code = []
    single = not target.block and isinstance(method, str)
    if all_have_values and single and not any(term.random for term in target.terms):
        code.append(f"method[{name!r}] = bi.fixed_clusters({method!r})")
    if "sd_intercept" in run.history.parameters.get(name, {}):
        spread = 1.0
        if run.kind(name) is Kind.NUMERIC:
            spread = float(f"{run.observed(name).std() / 2:.2g}")
        code.append(f"priors[{name!r}] = {{'sd_intercept': pm.HalfNormal.dist({spread:g})}}"
                    "  # or what is known; compare two")  # fmt: skip
    return "  # or\n".join(code) or f"imp.priors({name!r})  # what is assumed of the SD"


def _width_against_prior(run: Examined, name: str) -> float:
    """Width of the 90 % interval of sd_intercept over that of its prior; NaN where unknown."""
    draws = run.history.parameters.get(name, {}).get("sd_intercept")
    if draws is None or draws.ndim != 2:
        return float("nan")
    try:
        rows = priors(run, name).query("parameter == 'sd_intercept'")
    except BayesimputeError:
        return float("nan")
    if rows.empty:
        return float("nan")
    low, high = np.quantile(draws[:, run.discard :], [0.05, 0.95])
    return float((high - low) / (rows["95%"].iloc[0] - rows["5%"].iloc[0]))


def prior_driven_selection(run: Examined) -> Iterator[Finding]:
    """Find selection models whose ρ is that of its prior."""
    if run.m * (run.iterations - run.iterations // 2) < ENOUGH_DRAWS:
        return
    table = identification(run)
    decided = table[table["cluster"].isna() & (table["verdict"] == PRIOR_DECIDES)]
    for row in decided.drop_duplicates("variable").itertuples(index=False):
        name = str(row.variable)
        yield Finding(
            "warning", name, "ρ is that of its prior",
            f"Contraction of ρ {row.contraction:.2f}, overlap with its prior "
            f"{row.overlap:.2f}; exclusion restriction: {str(row.exclusion) or 'none'}.",
            "The data say little of how being missing depends on the value itself; what is "
            "imputed rests on an assumption.",
            f"model_options.setdefault({name!r}, {{}})['rho'] = 0.5  # and other values: "
            "bi.sensitivity goes over them",
        )  # fmt: skip


def nearly_empty(run: Examined) -> Iterator[Finding]:
    """Variables with too few observed values for their model, or hardly any at all."""
    designs = dict(run.designs())
    for name, target in run.targets.items():
        if mean_of(name, run.specification.table):
            continue  # a latent mean is seen by the rows that are around it
        seen, rows, unit = len(run.observed(name)), run.specification.table.n_rows, "rows"
        clusters = run.clusters(name)
        if target.level == 2 and clusters is not None:
            values = run.specification.table.values[name]
            seen = int((clusters.n_observed(values) > 0).sum())
            rows, unit = clusters.n, "clusters"
        coefficients = designs[name].x.shape[1] + 1 if name in designs else 1
        if seen < OBSERVED_EACH * coefficients:
            yield Finding(
                "warning", name, "nearly empty",
                f"{seen} {unit} have a value, and its model {coefficients} "
                f"coefficient{'s' * (coefficients != 1)}.",
                f"With fewer than {OBSERVED_EACH} observed values a coefficient, what is imputed "
                "is largely the prior's.",
                _fewer_predictors(run, name, designs.get(name), seen // OBSERVED_EACH - 1),
            )  # fmt: skip
        elif 1 - seen / rows > MOSTLY_MISSING:
            yield Finding(
                "info", name, "mostly missing",
                f"{100 * (1 - seen / rows):.0f} % of its {unit} are imputed.",
                "Conclusions about it rest on the imputation model far more than on data.",
                f"df = df.drop(columns={name!r})  # or keep it, and show how the answer depends on "
                "the model: bi.sensitivity",
            )  # fmt: skip


def _fewer_predictors(run: Examined, name: str, design: Design | None, most: int) -> str:
    """Give code that keeps the predictors most correlated with a target, as many as it can have."""
    leave = f"df = df.drop(columns={name!r})  # too little is known of it"
    if design is None or most < 0:
        return leave
    x, y = design.x[design.fit], np.asarray(design.y[design.fit], dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.nan_to_num(np.abs([np.corrcoef(column, y)[0, 1] for column in x.T]))
    labels = [label if label in run.completed else label.partition("[")[0]
              for label in design.predictors]  # fmt: skip
    strongest = {label: max(s for s, each in zip(size, labels, strict=True) if each == label)
                 for label in labels}  # fmt: skip
    dropped = []
    for label in sorted(strongest, key=lambda each: -strongest[each]):
        if labels.count(label) > most:
            dropped.append(label)
        else:
            most -= labels.count(label)
    words = f"Leave {listed(dropped)} out of the formula of {name!r}."
    code = with_role(run, name, dropped, 0, words)
    return (
        code
        if code == words
        else f"{code}\n# keeps those that correlate most with it (bi.quickpred)"
    )


MOSTLY_MISSING = 0.8
#: Observed values a coefficient below which the prior speaks.
OBSERVED_EACH = 5


#: Correlation from which two incomplete variables are hardly two.
TWINS = 0.95
#: Share of the rows in which one is missing that miss the other as well.
TOGETHER = 0.5


def predictors_of(target: Target, known: Container[str]) -> set[str]:
    """Columns in the terms of a model, of those of the data."""
    return {name for term in target.terms for name in term.read_columns(known)}


def circles(run: Examined) -> Iterator[Finding]:
    """Passive variables that predict what they are computed from."""
    for name, target in run.targets.items():
        for column in sorted(predictors_of(target, run.specification.table.variables)):
            computed = run.specification.targets.get(column)
            if isinstance(computed, Passive) and name in computed_from(
                column, run.specification.targets
            ):
                yield Finding(
                    "error", name, "feedback loop",
                    f"{name!r} is predicted by {column!r}, which is computed from it "
                    f"({computed.expression}).",
                    "Each confirms the other's imputed value at every iteration; chains get stuck, "
                    "and the relation with other variables is lost (van Buuren 2018, section 6.4).",
                    without(run, name, column),
                )  # fmt: skip


def twins(run: Examined) -> Iterator[Finding]:
    """Incomplete numbers that predict each other nearly exactly and are missing together."""
    table = run.specification.table
    numeric = [n for n in run.targets if run.kind(n) is Kind.NUMERIC]
    predictors = {name: predictors_of(run.targets[name], table.variables) for name in numeric}
    for first, second in combinations(numeric, 2):
        if second not in predictors[first] or first not in predictors[second]:
            continue
        gaps, others = table.missing(first), table.missing(second)
        both = ~gaps & ~others
        x, y = table.values[first][both], table.values[second][both]
        nothing = both.all()  # missing of either, both being imputed where they are observed
        if nothing or both.sum() < 10 or np.ptp(x) == 0 or np.ptp(y) == 0:
            continue
        r = float(np.corrcoef(x, y)[0, 1])
        together = float((gaps & others).sum() / (gaps | others).sum())
        if abs(r) > TWINS and together > TOGETHER:
            yield Finding(
                "warning", first, "strong mutual dependence",
                f"{first!r} and {second!r} correlate by {r:.3f}, predict each other, and "
                f"{100 * together:.0f} % of the rows that miss one miss both.",
                "Where both are missing each is imputed from the other's last imputation: the pair "
                "moves by tiny steps.",
                f"method[{first!r}] = method[{second!r}] = {IN_ONE_BLOCK!r}  # drawn together; if "
                "one is a function of the other, give it a method that computes it",
            )  # fmt: skip
