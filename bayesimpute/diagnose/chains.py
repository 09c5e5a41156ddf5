"""Whether the chains have met, settled, and forgotten where they started.

Imputations are the last states of m independent chains. They need no large effective sample size
each, but their start must be forgotten: R-hat asks whether the chains have met, the correlation of
successive iterations *across* chains [1]_ how much of the start is left, and slopes of the single
chains, which are independent of each other, whether all still move one way.

References
----------
.. [1] Oberman, van Buuren & Vink (2021), arXiv 2110.11951: ``ac``.
.. [2] Vehtari, Gelman, Simpson, Carpenter & Bürkner (2021), Bayesian Analysis 16, 667-718.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bayesimpute.diagnose.examined import Examined
from bayesimpute.diagnostics import FEWEST_DRAWS, FEWEST_OFF, off_the_commonest
from bayesimpute.findings import SEVERITIES, Finding
from bayesimpute.method import Array

#: Chance that a run in which nothing is wrong is said to have one of these faults.
FALSE_ALARM = 0.002
#: Share of the start that may be left in the last iteration.
START_LEFT = 0.05
#: Share that suggestions aim for.
START_WANTED = 0.01
#: Largest R-hat that chance alone may explain before a run counts as too short to tell.
UNCLEAR = 1.3
#: Drift over the iterations looked at, in SDs across chains, that matters.
DRIFT = 0.2
SEVERE_RHAT = 1.2
#: Standard errors that are taken off the correlation of successive iterations.
CAUTION = 2.0
#: Chains from which Fisher's normal approximation of a correlation holds so far out.
FEWEST_CHAINS = 8
MOST_EXTRA = 1000
#: Times as many iterations as were made: an infinite R-hat asks for no number.
MOST_TIMES = 1e6


def critical_rhat(chains: int, draws: int, tests: int, correlation: float = 0.0) -> float:
    """Largest split R-hat of chains that have met, by chance and autocorrelation.

    With M = 2·chains half-chains of N = draws/2 draws, R-hat² = (N − 1)/N + F/N. F is the ratio of
    the mean squares between and within, F(M − 1, M(N − 1)) for independent normal draws; with
    ρ_j = correlation^j it is larger by V(N − 1)/(N − V), where V = 1 + 2 Σ_j (1 − j/N) ρ_j.

    Parameters
    ----------
    chains, draws
        Number of chains and of draws in each.
    tests
        Number of R-hats looked at, each the larger of two (bulk and folded).
    correlation
        Of successive draws.

    Examples
    --------
    >>> round(critical_rhat(chains=20, draws=100, tests=20), 2)
    1.01
    """
    from scipy import stats

    halves, n = 2 * chains, draws // 2
    if n < 2:
        return float("inf")
    lags = np.arange(1, n)
    inflation = 1 + 2 * float(((1 - lags / n) * max(correlation, 0.0) ** lags).sum())
    ratio = stats.f.isf(FALSE_ALARM / (2 * max(tests, 1)), halves - 1, halves * (n - 1))
    ratio *= inflation * (n - 1) / max(n - inflation, 1e-9)
    return float(np.sqrt((n - 1) / n + ratio / n))


def memory(draws: Array) -> tuple[float, float]:
    """Correlation of successive iterations across chains, pooled over iterations, and its SE.

    Parameters
    ----------
    draws
        (chain, iteration); the mean over chains of each iteration is taken off, so that neither a
        common drift nor the shortness of the chains biases it.

    Returns
    -------
    correlation, standard error
        NaN with fewer than 3 chains or no spread.
    """
    chains, n = draws.shape
    centred = draws - draws.mean(axis=0)
    now, then = centred[:, 1:], centred[:, :-1]
    size = np.sqrt((now**2).sum() * (then**2).sum())
    if chains < 3 or n < 2 or not size > 0:
        return float("nan"), float("nan")
    r = float((now * then).sum() / size)
    return r, float(np.sqrt(max(1 - r**2, 1e-12) / ((chains - 1) * (n - 1))))


@dataclass(frozen=True)
class Verdict:
    """How far one quantity is from what is wanted of it."""

    severity: str
    finding: str
    evidence: str
    extra: int
    size: float


def too_short(run: Examined) -> Iterator[Finding]:
    """Say whether the run is too short for anything to be said of its chains."""
    kept = run.iterations - run.discard
    if run.m == 1:
        yield Finding(
            "info", "", "one chain only", "m = 1.",
            "Whether chains have met cannot be seen from one, and a single imputation hides the "
            "uncertainty of what is imputed.",
            run.with_imputations(20),
        )  # fmt: skip
        return
    if kept < FEWEST_DRAWS:
        yield Finding(
            "warning", "", "too few iterations to tell",
            f"{run.iterations} iteration(s); R-hat and ESS need {FEWEST_DRAWS}.",
            "Nothing is known of whether the chains have forgotten their random start.",
            run.longer(max(10 - run.iterations, 1)),
        )  # fmt: skip
        return
    tests = len(run.quantities)
    chance = critical_rhat(run.m, kept, tests)
    if chance > UNCLEAR:
        extra = next(
            n for n in range(1, MOST_EXTRA)
            if critical_rhat(run.m, (run.iterations + n) * 3 // 4, tests) <= UNCLEAR
        )  # fmt: skip
        yield Finding(
            "info", "", "few iterations to tell",
            f"With {run.m} chains of {run.iterations} iterations an R-hat up to {chance:.2f} may "
            "be chance.",
            "Only gross failures to converge can be seen in so short a run.",
            run.longer(extra),
        )  # fmt: skip


def mixing(run: Examined, r_hat: float, ess: float | None) -> Iterator[Finding]:
    """One finding a variable: its worst quantity by R-hat, memory of the start, and ESS."""
    kept = run.iterations - run.discard
    if kept < FEWEST_DRAWS or run.m < 2:
        return
    table = run.diagnostics
    for variable, rows in table.groupby("variable", sort=False):
        verdicts = []
        for quantity, rhat, bulk in rows[["quantity", "r_hat", "ess_bulk"]].itertuples(index=False):
            draws = run.quantities[str(variable), quantity]
            if np.isfinite(draws).all() and np.isfinite(bulk):
                wanted = r_hat, ess
                verdicts.append(_verdict(run, quantity, draws, rhat, bulk, wanted, len(table)))
        if found := [verdict for verdict in verdicts if verdict is not None]:
            yield _summed_up(str(variable), found, run)


def _verdict(
    run: Examined,
    quantity: str,
    draws: Array,
    rhat: float,
    bulk: float,
    wanted: tuple[float, float | None],
    tests: int,
) -> Verdict | None:
    n, kept = run.iterations, draws.shape[1]
    r, error = memory(draws)
    r, error = (r, error) if np.isfinite(r) else (0.0, 0.0)
    usual = critical_rhat(run.m, kept, tests, r)
    allowed = max(wanted[0], usual)
    surely, away = r - CAUTION * error, _thirds(draws, tests)
    off = off_the_commonest(draws)
    if off.mean() < FEWEST_OFF:
        # a rare category: two of its cells that fall into one chain make a large R-hat, and one
        # that stays for a while a large correlation; neither test nor standard error holds
        allowed, away = np.inf, 0.0
        pairs = int(off[:, :-1].sum()) + 2
        shrunk = r * (pairs - 2) / pairs
        surely = shrunk - CAUTION * np.sqrt((1 - shrunk**2) / pairs)
    left = max(surely, 0.0) ** n
    # in short chains ArviZ cannot see the autocorrelation that is seen across chains
    ess = min(bulk, draws.size * (1 - max(r, 0.0)) / (1 + max(r, 0.0)))
    apart, remembers = rhat > allowed or away > 0, left > START_LEFT
    few = wanted[1] is not None and ess < wanted[1]
    if not (apart or remembers or few):
        return None
    extra = 1
    if apart:
        times = min((rhat**2 - 1) / (wanted[0] ** 2 - 1), MOST_TIMES)
        extra = int(np.ceil(n * (times - 1)))
    if remembers:
        extra = max(extra, int(np.ceil(np.log(START_WANTED) / np.log(min(r, 0.9999)))) - n)
    if few and wanted[1] is not None:
        extra = max(extra, int(np.ceil(n * (wanted[1] / max(ess, 1.0) - 1))))
    said = [f"R-hat {rhat:.2f}"]
    if rhat > allowed:
        said[0] += f" (chance and autocorrelation explain {usual:.2f})"
    if away:
        said.append(f"first and last third of the chains correlate by {away:.2f}")
    if remembers:
        said.append(f"successive iterations correlate by {r:.2f} across chains, which leaves about "
                    f"{100 * r**n:.0f} % of the start after {n}")  # fmt: skip
    said.append(f"ESS {ess:.0f} of {draws.size} draws" + (f", wanted {wanted[1]:g}" if few else ""))
    finding = (
        "the chains have not met" if apart
        else "the chains remember where they started" if remembers
        else "few independent draws"
    )  # fmt: skip
    severe = (apart and rhat > SEVERE_RHAT) or left > 4 * START_LEFT
    severity = "error" if severe else "warning" if apart or remembers else "info"
    return Verdict(severity, finding, f"{quantity}: {'; '.join(said)}", max(extra, 1), rhat + left)


def _thirds(draws: Array, tests: int) -> float:
    """Correlation across chains of the means of the first and last third, 0 if it may be chance.

    Chains are independent, so Fisher's test holds whatever the autocorrelation within them.
    """
    from scipy import stats

    third = draws.shape[1] // 3
    first, last = draws[:, :third].mean(axis=1), draws[:, -third:].mean(axis=1)
    if len(draws) < FEWEST_CHAINS or np.ptp(first) == 0 or np.ptp(last) == 0:
        return 0.0
    r = float(np.corrcoef(first, last)[0, 1])
    z = np.arctanh(min(r, 1 - 1e-12)) * np.sqrt(len(draws) - 3)
    return r if z > stats.norm.isf(FALSE_ALARM / tests) else 0.0


def _summed_up(variable: str, verdicts: list[Verdict], run: Examined) -> Finding:
    verdicts = sorted(verdicts, key=lambda each: (SEVERITIES.index(each.severity), -each.size))
    worst, others = verdicts[0], len(verdicts) - 1
    more = f" The same of {others} more quantit{'ies' if others > 1 else 'y'}." if others else ""
    extra = max(each.extra for each in verdicts)
    advice = run.longer(_rounded(extra))
    if extra > max(10 * run.iterations, 100):
        advice = (
            f"By more iterations alone it would take some {_rounded(min(extra, 10**5)):,}: mend "
            "the cause first (other findings here; fewer or less collinear predictors, tighter "
            "priors=), then look again."
        )
    return Finding(
        worst.severity, variable, worst.finding, f"{worst.evidence}.{more}",
        "Too few iterations so far, or the variable and its predictors drive each other so "
        "strongly that the chains move slowly.",
        advice,
    )  # fmt: skip


def _rounded(extra: int) -> int:
    """Up to a number one would type: two digits."""
    step = 10 ** max(len(str(extra)) - 2, 0)
    return -(-extra // step) * step


def drift(run: Examined) -> Iterator[Finding]:
    """Chains that still move one way: a t test of their slopes, one a chain, for each quantity."""
    from scipy import stats

    kept = run.iterations - run.discard
    if kept < FEWEST_DRAWS or run.m < 4:
        return
    time = np.arange(kept) - (kept - 1) / 2
    limit = float(stats.t.isf(FALSE_ALARM / (2 * len(run.quantities)), run.m - 1))
    found: dict[str, list[tuple[float, str, float]]] = {}
    for (variable, quantity), draws in run.quantities.items():
        if not np.isfinite(draws).all():
            continue
        slopes = draws @ time / (time @ time)
        error = slopes.std(ddof=1) / np.sqrt(run.m)
        spread = draws.std(axis=0, ddof=1).mean()
        if not (error > 0 and spread > 0):
            continue
        t, moved = float(slopes.mean() / error), float(slopes.mean() * (kept - 1) / spread)
        if abs(t) > limit and abs(moved) > DRIFT:
            found.setdefault(variable, []).append((abs(moved), quantity, t))
    for variable, each in found.items():
        moved, quantity, t = max(each)
        yield Finding(
            "error" if moved > 1 else "warning", variable, "the chains still drift",
            f"{quantity} has moved by {moved:.1f} SD (of the chains) over the last {kept} "
            f"iterations, all chains alike (t = {t:.1f}).",
            "The chains are on their way from the random start to where they belong.",
            run.longer(max(2 * run.iterations, 20)),
        )  # fmt: skip


def frozen(run: Examined) -> Iterator[Finding]:
    """Single chains that do not move at all while others do, and not by chance."""
    if run.iterations - run.discard < FEWEST_DRAWS:
        return
    for name, means in run.history.chain_mean.items():
        draws = run.history.chain_share.get(name, means[..., None])[:, run.discard :]
        if np.isnan(draws).any():  # shares of an older file that went on
            draws = means[:, run.discard :, None]
        still = (np.ptp(draws, axis=1) == 0).all(axis=1)
        if still.any() and not still.all():
            still &= [staying(chain[0], draws[~still], len(chain)) < FALSE_ALARM / run.m
                      for chain in draws]  # fmt: skip
        if still.any() and not still.all():
            which = ", ".join(str(k + 1) for k in np.flatnonzero(still)[:5])
            what = "mean" if draws.shape[2] == 1 else "shares"
            yield Finding(
                "error", name, "stuck chains",
                f"{int(still.sum())} of {run.m} chains give the same {what} at every iteration "
                f"(imputation {which}).",
                "Their model fails at each visit (on_error='keep'), or only one value is possible "
                "there.",
                f"imp.events[imp.events['variable'] == {name!r}]",
            )  # fmt: skip


def staying(value: Array, moving: Array, iterations: int) -> float:
    """Chance that a chain in which nothing is wrong gives one value at every iteration.

    A few cells of a common category hardly ever are anything else, so that their shares stand
    still for long: as often as the chains that move stay where they are when they are there.

    Parameters
    ----------
    value
        What the chain gives, (part,).
    moving
        Chains that move, (chain, iteration, part).
    iterations
        How long it has stood still.

    Examples
    --------
    >>> moving = np.array([[0.0, 0, 0, 1, 0, 0, 0, 0]])[..., None]
    >>> round(staying(np.array([0.0]), moving, 5), 2), staying(np.array([9.0]), moving, 5) < 1e-3
    (0.41, True)
    """
    there = (moving == value).all(axis=-1)
    now, then = there[:, :-1], there[:, 1:]
    visited = (there.sum() + 1) / (there.size + 2) if there.any() else 1 / (there.size + 2)
    stayed = ((now & then).sum() + 1) / (now.sum() + 2) if now.any() else 0.0
    return float(max(visited, stayed) ** (iterations - 1))
