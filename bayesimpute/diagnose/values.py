"""Imputed values that cannot be right or hardly vary; clusters without a single observed value."""

from collections.abc import Iterator

import numpy as np

from bayesimpute.data.table import Kind
from bayesimpute.diagnose.examined import Examined, matching, switched, with_role
from bayesimpute.findings import Finding
from bayesimpute.method import Array
from bayesimpute.specification.aliases import BOUNDED, NUMBER
from bayesimpute.specification.post import Squeeze
from bayesimpute.specification.specification import Passive, Target
from bayesimpute.wrappers.base import declared, layers
from bayesimpute.wrappers.delta import Delta

#: Share of imputed values beyond the observed range, and below 0 where nothing observed is.
OUTSIDE, NEGATIVE = 0.1, 0.01
#: Chance of as many cells beyond the observed range, were they like the observed ones.
UNLIKELY = 0.01
#: Imputed values further out than this many observed ranges are blow-ups.
FAR = 1.0
#: Share of squeezed values at a bound beyond the observed share.
PILED = 0.05
#: Chance under the observed shares below which "always the same category" is no chance.
CHANCE = 1e-4
FEWEST_CELLS = 20
#: Distinct imputed values as a share of what drawing at random would give.
FEW_DONORS = 0.3
#: Share of the imputed values that come from one observed value.
ONE_DONOR = 0.2
#: Observed values for each donor of a set.
PER_DONOR = 5


def constant(run: Examined) -> Iterator[Finding]:
    """Variables whose imputations do not differ, or of which one value only is ever imputed."""
    for name, target in run.targets.items():
        drawn, seen = run.drawn(name), run.observed(name)
        clusters = run.clusters(name)
        # of a level-2 variable only a cluster without an observed value is drawn
        known = target.level == 2 and not (
            clusters is not None and clusters.systematic(run.specification.table.values[name]).any()
        )
        if drawn.shape[1] == 0 or not seen.size or known or run.m < 2:
            continue  # of a latent mean no value is observed
        spread = len(np.unique(seen)) > 1
        several = run.kind(name) is Kind.NUMERIC or drawn.shape[1] >= FEWEST_CELLS
        values, counts = np.unique(seen, return_counts=True)
        share = float(counts[values == drawn.flat[0]].sum() / len(seen))
        cells = drawn.shape[1]  # of which each imputation may be as sure as the others
        # whether as many draws of one value would hardly agree by chance
        unsure = float((counts / len(seen)).max()) ** cells < CHANCE
        if spread and (drawn == drawn.flat[0]).all() and share**cells < CHANCE:
            yield Finding(
                "error", name, "constant imputed values",
                f"All {drawn.size:,} imputed values are {_label(run, name, drawn.flat[0])}, which "
                f"{100 * share:.0f} % of the observed ones are.",
                "Separation, a donor set of one, or a post function that sets them.",
                f"imp.equations()[{name!r}]  # is it the model that was meant? Look at post=, too",
            )  # fmt: skip
        elif spread and several and (drawn == drawn[0]).all() and unsure:
            yield Finding(
                "error", name, "imputations do not differ",
                f"All {run.m} imputations of {drawn.shape[1]} cells are the same.",
                "The values are computed, not drawn: the uncertainty of the imputation is left "
                "out, and standard errors will be too small.",
                switched(target, matching(target)),
            )  # fmt: skip


def _label(run: Examined, name: str, value: float) -> str:
    categories = run.specification.table.variables[name].categories
    return repr(categories[int(value)]) if categories else f"{value:g}"


def out_of_range(run: Examined) -> Iterator[Finding]:
    """Numbers far from, or on the wrong side of, all that was observed; passive ones too."""
    joint = run.specification.live is not None  # where matching, without a density, has no place
    for name, target in run.specification.targets.items():
        if run.kind(name) is not Kind.NUMERIC:
            continue
        seen, drawn = run.observed(name), run.drawn(name)
        if not drawn.size or not seen.size:
            continue
        low, high = seen.min(), seen.max()
        width = high - low
        outside = float(((drawn < low) | (drawn > high)).mean())
        far = float(((drawn < low - FAR * width) | (drawn > high + FAR * width)).mean())
        negative = float((drawn < 0).mean()) if low >= 0 else 0.0
        where = f"observed {low:g} to {high:g}, imputed {drawn.min():.4g} to {drawn.max():.4g}"
        if isinstance(target, Passive):
            cause = "Computed from inputs that got out of range."
            inputs = [run.targets[column] for column in target.inputs if column in run.targets]
            lines = [] if joint else [switched(each, matching(each)) for each in inputs]
            bounded = f", by {BOUNDED!r}" if joint else ""
            mend = "\n".join([*lines, f"# keeps what it is computed from in range{bounded}"])
        else:
            cause = "Extrapolation, collinear predictors, or a feedback loop that blows up."
            above = bool((drawn > high).any())
            mend = _in_range(target, 0.0 if low >= 0 else low, high, above, joint)
        if far > 0:
            yield Finding(
                "error", name, "imputed values far out",
                f"{100 * far:.2g} % of the imputed values are more than a whole observed range "
                f"beyond it ({where}).",
                cause,
                mend,
            )  # fmt: skip
        elif negative > NEGATIVE:
            yield Finding(
                "warning", name, "impossible values",
                f"{100 * negative:.1f} % of the imputed values are negative, of the observed none "
                f"({where}).",
                "A model without bounds for a variable that has them.",
                mend,
            )  # fmt: skip
        elif outside > OUTSIDE and _surprising(outside * drawn.shape[1], drawn.shape[1], seen):
            yield Finding(
                "warning", name, "imputed values outside the observed range",
                f"{100 * outside:.0f} % of the imputed values lie outside ({where}).",
                "The missing rows differ much from the observed ones in their predictors, a shift "
                "was asked for (bi.delta), or the model is not of the right form.",
                f"imp.plot_density({name!r})\n{mend}",
            )  # fmt: skip


def _surprising(beyond: float, cells: int, seen: Array) -> bool:
    """Whether so many of some cells are hardly ever beyond the range of others that are alike."""
    from scipy import stats

    # one more value is below all others, or above, with probability 1 / (n + 1) each
    chance = stats.binom.sf(np.ceil(beyond) - 1, cells, min(2 / (len(seen) + 1), 1))
    return bool(chance < UNLIKELY)


def _in_range(target: Target, low: float, high: float, above: bool, joint: bool) -> str:
    """Give methods whose values stay in range, and no post function that moves them."""
    name, copied_by = target.name, declared(target.method, "copied_by", "")
    if any(isinstance(layer, Delta) for layer in layers(target.method)):
        return "# the shift of bi.delta may be what was meant"
    if copied_by:
        options = f"model_options.setdefault({name!r}, {{}})"
        return f"{options}[{copied_by!r}] = True  # values that were observed"
    code = f"{switched(target, matching(target))}  # values that were observed"
    if target.level == 2 or target.block:
        return (
            "# a function of it that has no bounds, in the data and the analysis" if joint else code
        )
    bounds = {"lower": float(low), **({"upper": float(high)} if above else {})}
    bounded = switched(target, BOUNDED, bounds)
    return bounded if joint else f"{code}, or\n{bounded}"


def piled_up(run: Examined) -> Iterator[Finding]:
    """Values that ``bi.squeeze`` has moved to a bound."""
    for name, target in run.targets.items():
        if not isinstance(target.post, Squeeze):
            continue
        seen, drawn = run.observed(name), run.drawn(name)
        for bound in (target.post.low, target.post.high):
            own, usual = float((drawn == bound).mean()), float((seen == bound).mean())
            if own - usual > PILED:
                # bounds that were asked for, as wide as the observed values need
                low, high = float(seen.min()), float(seen.max())
                post = target.post
                low = min(post.low, low) if np.isfinite(post.low) else low
                high = max(post.high, high) if np.isfinite(post.high) else high
                joint = run.specification.live is not None
                ways = _in_range(target, low, high, True, joint).split("\n")
                yield Finding(
                    "warning", name, "values piled up at a bound",
                    f"{100 * own:.0f} % of the imputed values are at {bound:g}, of the observed "
                    f"{100 * usual:.0f} %.",
                    "bi.squeeze moves every draw beyond the bound onto it, which distorts the "
                    "distribution.",
                    # methods that stay in range by themselves
                    "\n".join(f"del post[{name!r}]; {way}" for way in ways),
                )  # fmt: skip


def donors(run: Examined) -> Iterator[Finding]:
    """Predictive mean matching with few donors, or of which few are used."""
    for name, target in run.targets.items():
        matched = declared(target.method, "donors_by_score", False)
        if not matched or target.level == 2 or run.kind(name) is not Kind.NUMERIC:
            continue
        seen, drawn = run.observed(name), run.drawn(name)
        k = int(target.options.get("donors", 5))
        if len(seen) < PER_DONOR * k:
            yield Finding(
                "warning", name, "few donors",
                f"{len(seen)} observed values for sets of {k} donors.",
                "A donor set is then a large part of all donors, and near is no longer near.",
                switched(target, NUMBER),
            )  # fmt: skip
            continue
        if drawn.shape[1] < FEWEST_CELLS or len(np.unique(seen)) < FEWEST_CELLS:
            continue
        expected = _different(seen, drawn.shape[1])
        distinct = np.mean([len(np.unique(each)) for each in drawn])
        used, times = np.unique(drawn, return_counts=True)
        top = used[times.argmax()]
        share, own = times.max() / drawn.size, float((seen == top).mean())
        if distinct < FEW_DONORS * expected or (share > ONE_DONOR and share > 4 * own):
            yield Finding(
                "warning", name, "donors used over and over",
                f"An imputation of {drawn.shape[1]} cells has {distinct:.0f} different values, "
                f"{expected:.0f} would be usual; {top:g} alone is "
                f"{100 * share:.0f} % of them.",
                "The missing rows lie where few rows are observed: their spread is that of a few "
                "donors.",
                f"{switched(target, NUMBER)}  # or\n"
                f"model_options.setdefault({name!r}, {{}})['donors'] = {2 * k}",
            )  # fmt: skip


#: Share of the imputations in which the mean of such a cluster may lie further beyond those of the
#: others than these lie apart. With four others that differ by chance alone it is 7 %.
FAR_OUT = 0.1
#: A cluster like the others lies outside the range of n of them with probability 2 / (n + 1); so
#: many times that is worth a word.
MORE_OFTEN = 1.5
#: Share of the imputations in which such a cluster may come from few donors.
PILED_UP = 0.1


def _different(values: Array, draws: int) -> float:
    """How many different values are expected among some draws of these."""
    counts = np.unique(values, return_counts=True)[1]
    return float((1 - (1 - counts / len(values)) ** draws).sum())


def _empty(run: Examined, target: Target) -> tuple[dict[str, Array], list[Array]]:
    """Give the imputed values, (m, cell), of each cluster without any, by what it is called.

    And the observed values of each of the other clusters, if there are such.
    """
    clusters = run.clusters(target.name)
    if clusters is None or target.level == 2 or run.kind(target.name) is not Kind.NUMERIC:
        return {}, []
    values = run.specification.table.values[target.name]
    drawn, of_cell = run.drawn(target.name), clusters.codes[run.cells(target.name)]
    found = {
        f"{target.cluster} {clusters.labels[j]}": drawn[:, of_cell == j]
        for j in np.flatnonzero(clusters.systematic(values))
        if (of_cell == j).any()
    }
    if not found:
        return {}, []
    seen = ~np.isnan(values)
    codes, values = clusters.codes[seen], values[seen]
    return found, [values[codes == j] for j in np.unique(codes)]


def few_donors(run: Examined) -> Iterator[Finding]:
    """Clusters whose imputed values are copies of hardly any observed ones."""
    for name, target in run.targets.items():
        if not declared(target.method, "donors_by_score", False):
            continue
        empty, others = _empty(run, target)
        for label, drawn in empty.items():
            cells = drawn.shape[1]
            if cells < FEWEST_CELLS:
                continue
            different = np.array([len(np.unique(values)) for values in drawn])
            usual = float(np.mean([_different(values, cells) for values in others]))
            few = different < FEW_DONORS * usual
            if few.mean() > PILED_UP:
                yield Finding(
                    "warning", name, "a cluster from few donors",
                    f"In {100 * few.mean():.0f} % of the imputations the {cells} values of "
                    f"{label}, where none is observed, are {np.median(different[few]):.0f} "
                    f"different ones; as varied as in other clusters, they would be {usual:.0f}.",
                    "Its effects, drawn from the population of clusters, take it beyond nearly all "
                    "rows that are observed, or to where they are few.",
                    f"{switched(target, NUMBER)}  # or\n{_nearer(run, target)}",
                )  # fmt: skip
                break


def far_out(run: Examined) -> Iterator[Finding]:
    """Clusters whose imputed mean lies far from what is observed in all others."""
    for name, target in run.targets.items():
        empty, others = _empty(run, target)
        if len(others) < 2:
            continue
        means = [float(values.mean()) for values in others]
        low, high = min(means), max(means)
        for label, drawn in empty.items():
            mean = drawn.mean(axis=1)
            outside = float(((mean < low) | (mean > high)).mean())
            far = float(((mean < 2 * low - high) | (mean > 2 * high - low)).mean())
            like_others = 2 / (len(others) + 1)
            if far > FAR_OUT or outside > MORE_OFTEN * like_others:
                severity = "warning" if far > FAR_OUT else "info"
                yield Finding(
                    severity, name, "a cluster's mean far out",
                    f"The mean of {label}, where none is observed, is between "
                    f"{mean.min():.4g} and {mean.max():.4g}, those of the {len(others)} clusters "
                    f"with values between {low:.4g} and {high:.4g}: {100 * outside:.0f} % of the "
                    f"imputations lie beyond (of clusters like the others "
                    f"{100 * like_others:.0f} %), {100 * far:.0f} % by more than that whole range.",
                    "How far a cluster without any value may be from the others is what the SDs "
                    "between clusters say, of which few clusters leave much to their priors; "
                    "slopes by cluster add to it wherever its predictors differ.",
                    _nearer(run, target),
                )  # fmt: skip
                break


def _nearer(run: Examined, target: Target) -> str:
    """Give common slopes where there are others, and tighter priors of the SDs between clusters."""
    name = target.name
    slopes = [term.label for term in target.terms if term.random]
    code = []
    if slopes and (common := with_role(run, name, slopes, 1, "")):
        code.append(f"{common}\n# so that slopes are common to all clusters")
    spread = float(f"{run.observed(name).std() / 4:.2g}")
    if "sd_intercept" in run.history.parameters.get(name, {}):
        code.append(f"priors[{name!r}] = {{'sd_intercept': pm.HalfNormal.dist({spread:g})}}"
                    "  # or what is known")  # fmt: skip
    return "  # or\n".join(code) or f"imp.priors({name!r})  # what is assumed of the SDs"
