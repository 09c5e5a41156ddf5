"""The demonstration: truth, complete cases and multiple imputation side by side."""

import io
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from bayesimpute.analysis import Fits, fit
from bayesimpute.errors import DataError
from bayesimpute.files import make_folder, write
from bayesimpute.imputation import impute
from bayesimpute.imputations import Imputations
from bayesimpute.roles import Role
from bayesimpute.simulate import simulate_popularity
from bayesimpute.specification.aliases import MATCHING_IN_CLUSTERS, NUMBER
from bayesimpute.specification.defaults import make_predictors

FORMULA = "popular ~ texp + sex + (1 | school)"
NEEDED = ("school", "popular", "sex", "texp")

type Say = Callable[[str], None]


def demo(
    data: pd.DataFrame | None = None,
    *,
    out: Path = Path("bayesimpute-demo"),
    m: int = 20,
    iterations: int = 20,
    seed: int = 1,
    say: Say = print,
) -> Imputations:
    """Impute popularity of pupils in schools, analyse, report, and draw the plots.

    Parameters
    ----------
    data
        With columns school, popular, sex, texp, popular incomplete: the paper's case, imputed by
        ``2l.pmm`` with a random effect of sex. None (default): a simulated study with known truth,
        imputed by ``normal`` with the teacher's rating as a further predictor.
    out
        Folder for ``trace.png`` and ``density.png``; made if it is not there.
    m, iterations, seed
        As in ``bi.impute``.
    say
        Takes each piece of text; prints by default.

    Returns
    -------
    Imputations

    Raises
    ------
    DataError
        If a column is missing from `data`, or popular is complete.
    """
    if data is None:
        study = simulate_popularity(seed)
        incomplete, complete, truth = study.incomplete, study.complete, study.truth
    else:
        incomplete, complete, truth = data, None, None
        _check(incomplete)
    make_folder(out)
    say(_introduction(incomplete, simulated=truth is not None))

    start = time.perf_counter()
    imputations = (
        _impute_simulated(incomplete, m, iterations, seed)
        if truth
        else _impute_paper(incomplete, m, iterations, seed)
    )
    took = time.perf_counter() - start
    say(f"Imputed: m = {m}, {iterations} iterations, {took:.1f} s, models included.")
    for target, equation in imputations.equations().items():
        say(f"  {imputations.method[target]}: {equation}")

    analyses: dict[str, pd.DataFrame | Mapping[str, float]] = {}
    if truth is not None and complete is not None:
        analyses["truth"] = truth
        analyses["before deletion"] = _alone(fit([complete], FORMULA))
    analyses["complete cases"] = _alone(fit([incomplete.dropna(subset=["popular"])], FORMULA))
    pooled = imputations.fit(FORMULA).pool()
    analyses["imputed"] = _column(
        pooled.table["estimate"], pooled.table["std_error"], pooled.variance_components
    )
    say(f"\n{FORMULA}\n(standard errors in brackets)\n\n{side_by_side(analyses)}")
    if truth is not None:
        say("\nWhat imputation can give back is the column 'before deletion': it differs from the")
        say("truth by sampling pupils and schools, which no imputation undoes.")
    say(f"\nConvergence\n\n{convergence_table(imputations)}")
    say(f"\n{imputations.diagnose().as_text()}\n")
    for path in _draw(imputations, out):
        say(f"Plot: {path}")
    return imputations


def side_by_side(analyses: Mapping[str, pd.DataFrame | Mapping[str, float]]) -> str:
    """Analyses as columns of text: estimate, and standard error in brackets where there is one.

    Parameters
    ----------
    analyses
        Heading -> values by term, or a frame with columns estimate and std_error (NaN: none).
    """
    cells = {}
    for heading, values in analyses.items():
        frame = (
            values
            if isinstance(values, pd.DataFrame)
            else pd.DataFrame({"estimate": pd.Series(dict(values)), "std_error": np.nan})
        )
        pairs = frame[["estimate", "std_error"]].to_numpy(dtype=float)
        cells[heading] = dict(zip(frame.index, [_cell(*pair) for pair in pairs], strict=True))
    table = pd.DataFrame(cells).fillna("")
    order = list(cells[list(cells)[-1]])
    return table.loc[[term for term in order if term in table.index]].to_string()


def _cell(estimate: float, std_error: float) -> str:
    error = " " * 8 if np.isnan(std_error) else f" ({std_error:.3f})"
    return f"{estimate:.3f}{error}"


def convergence_table(imputations: Imputations) -> str:
    """R-hat and effective sample sizes of every quantity, as text."""
    shown = imputations.diagnostics()
    labels = shown["variable"] + " " + shown["quantity"]
    columns = ["mean", "r_hat", "ess_bulk", "ess_tail", "divergences"]
    table = shown[columns].set_axis(list(labels))
    decimals = {"mean": "{:.3f}", "r_hat": "{:.3f}", "ess_bulk": "{:.0f}", "ess_tail": "{:.0f}"}
    return table.to_string(formatters={name: text.format for name, text in decimals.items()})


def _check(data: pd.DataFrame) -> None:
    absent = [name for name in NEEDED if name not in data.columns]
    if absent:
        raise DataError(
            f"The demo needs columns {', '.join(NEEDED)}; {', '.join(absent)} is not in the file. "
            "For other data use: bayesimpute impute FILE.csv --cluster COLUMN."
        )
    if not data["popular"].isna().any():
        raise DataError("Column 'popular' has no missing values, so there is nothing to impute.")


def _introduction(data: pd.DataFrame, simulated: bool) -> str:
    gone = int(data["popular"].isna().sum())
    kind = "Simulated popularity study" if simulated else "Popularity data"
    return (
        f"{kind}: {len(data):,} pupils in {data['school'].nunique()} schools, popular missing in "
        f"{gone:,} ({gone / len(data):.0%})" + (", more often where ratings are low." if simulated
        else ".")
    )  # fmt: skip


def _impute_simulated(data: pd.DataFrame, m: int, iterations: int, seed: int) -> Imputations:
    return impute(
        data, cluster="school", m=m, iterations=iterations, method={"popular": NUMBER}, seed=seed
    )


def _impute_paper(data: pd.DataFrame, m: int, iterations: int, seed: int) -> Imputations:
    predictors = make_predictors(data, cluster="school")
    predictors.loc["popular"] = int(Role.NONE)
    predictors.loc["popular", ["school", "texp", "sex"]] = [Role.CLUSTER, Role.FIXED, Role.RANDOM]
    return impute(
        data,
        m=m,
        iterations=iterations,
        method={"popular": MATCHING_IN_CLUSTERS},
        predictors=predictors,
        seed=seed,
    )


def _alone(fits: Fits) -> pd.DataFrame:
    """Estimates of one data set, which need no pooling."""
    (single,) = fits
    return _column(
        pd.Series(single.estimate, single.terms),
        pd.Series(np.sqrt(single.variances), single.terms),
        pd.Series(dict(single.variance_components)),
    )


def _column(estimate: pd.Series, std_error: pd.Series, components: pd.Series) -> pd.DataFrame:
    coefficients = pd.DataFrame({"estimate": estimate, "std_error": std_error})
    variances = pd.DataFrame({"estimate": components, "std_error": np.nan})
    return pd.concat([coefficients, variances])


def _draw(imputations: Imputations, out: Path) -> list[Path]:
    import matplotlib as mpl
    from matplotlib import pyplot

    with mpl.rc_context({"backend": "agg"}):
        figures = {
            out / "trace.png": imputations.plot_trace(),
            out / "density.png": imputations.plot_density("popular"),
        }
        for path, figure in figures.items():
            picture = io.BytesIO()
            figure.savefig(picture, dpi=150)
            write(path, picture.getvalue())
            pyplot.close(figure)
    return list(figures)
