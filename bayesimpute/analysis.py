"""The analysis of every completed data set, and the pooled answer."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from threading import current_thread, main_thread
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.errors import AnalysisError, ImputationWarning
from bayesimpute.pooling.estimates import Estimates, estimates_from
from bayesimpute.pooling.formula_columns import check_formula
from bayesimpute.pooling.formula_models import check_family, fit_formula
from bayesimpute.pooling.pooled import Pooled, pool

Analysis = Callable[[pd.DataFrame], Any]


@dataclass(frozen=True, eq=False)
class Fits:
    """One analysis of each completed data set: ``fits[0]`` belongs to imputation 1.

    Attributes
    ----------
    estimates
        One `Estimates` an imputation: terms, estimate, covariance, variance components, residual
        df, log-likelihood, and the fitting package's own result in ``.model``.
    analysis
        The formula, or the name of the callable.
    """

    estimates: tuple[Estimates, ...]
    analysis: str

    def pool(
        self, dfcom: float | None = None, *, conf_level: float = 0.95, rule: str = "rubin1987"
    ) -> Pooled:
        """Combine the fits by Rubin's rules.

        Parameters
        ----------
        dfcom
            Degrees of freedom of the analysis of complete data. None (default) takes them from
            the fits, as mice does: the smallest residual df, observations minus all parameters
            (for mixed models variance and covariance parameters too); infinity if a fit does not
            tell. ``float("inf")`` gives Rubin's large-sample df, mitml's default.
        conf_level
            Coverage of the intervals.
        rule
            ``"rubin1987"``, or ``"reiter2003"`` for synthetic data.

        Returns
        -------
        Pooled

        Raises
        ------
        AnalysisError
            Terms or variance components differ between imputations.

        Examples
        --------
        >>> frames = [pd.DataFrame({"x": [0, 1, 2, 3], "y": [0, 1, 2, 2 + i]}) for i in (0, 1, 2)]
        >>> float(round(fit(frames, "y ~ x").pool().table.loc["x", "estimate"], 2))
        1.0
        """
        terms = self.estimates[0].terms
        order = [_positions(terms, each, i) for i, each in enumerate(self.estimates, start=1)]
        residual = [each.df_residual for each in self.estimates]
        if dfcom is None:
            dfcom = min((df for df in residual if df is not None), default=np.inf)
            dfcom = np.inf if None in residual or not dfcom > 0 else dfcom
        pairs = list(zip(self.estimates, order, strict=True))
        return pool(
            np.array([each.estimate[at] for each, at in pairs]),
            np.array([each.covariance[np.ix_(at, at)] for each, at in pairs]),
            dfcom,
            terms=terms,
            conf_level=conf_level,
            rule=rule,
            variance_components=[each.variance_components for each in self.estimates],
        )

    def __len__(self) -> int:
        return len(self.estimates)

    def __getitem__(self, index: int) -> Estimates:
        return self.estimates[index]

    def __iter__(self) -> Iterator[Estimates]:
        return iter(self.estimates)

    def __repr__(self) -> str:
        terms = ", ".join(self.estimates[0].terms)
        return f"<Fits of {self.analysis} to {len(self)} data sets: {terms}; pool() combines them>"


def fit(
    completed: Iterable[pd.DataFrame] | Mapping[Any, pd.DataFrame],
    formula: str | Analysis,
    family: Any = None,
    reml: bool = True,
    executor: Executor | None = None,
) -> Fits:
    """Fit one analysis model to every completed data set.

    Parameters
    ----------
    completed
        The m completed frames.
    formula
        With a random part, ``"y ~ x + (1 + x | g)"``, mixedlm fits it (REML, Laplace); without,
        statsmodels (OLS, GLM). Terms are named as R names them: ``"(Intercept)"``,
        ``"sexmale"``. Or a callable: it takes a completed frame and returns a fit of statsmodels
        or mixedlm, any object with ``params`` and ``cov_params()`` or ``bse``, a tuple
        (estimates, covariance or standard errors), or such a dict.
    family
        ``"gaussian"`` (default), ``"binomial"``, ``"poisson"``, or a family object of statsmodels
        (with a random part: of mixedlm). In a binomial model the second category is the success.
    reml
        REML (default, as lme4) or maximum likelihood, for linear mixed models only.
    executor
        Any `concurrent.futures.Executor`; None (default) fits here, one after the other, because
        a fit usually takes less than starting a process.

    Returns
    -------
    Fits

    Raises
    ------
    AnalysisError
        A column the formula names is not there, or an analysis failed: which imputation and why.

    Warns
    -----
    ImputationWarning
        What the fitting package warned of (singular fit, no convergence), once for each text,
        with the imputations it concerns.

    Examples
    --------
    >>> frames = [pd.DataFrame({"x": [0, 1, 2, 3], "y": [0, 1, 2, 2 + i]}) for i in (0, 1, 2)]
    >>> fit(frames, "y ~ x")[0].df_residual
    2.0
    >>> fit(frames, lambda data: (data["y"].mean(), data["y"].sem())).pool().m
    3
    """
    frames = list(completed.values() if isinstance(completed, Mapping) else completed)
    if not frames or not all(isinstance(frame, pd.DataFrame) for frame in frames):
        raise AnalysisError(
            "fit needs the completed data sets, at least one DataFrame: imp.fit(...), or "
            "fit(imp.complete('all'), ...)."
        )
    analysis, name = _analysis(formula, family, reml, frames[0].columns)
    numbered = list(enumerate(frames, start=1))
    if executor is None:
        outcomes = [_fit_one(analysis, *pair) for pair in numbered]
    else:
        import cloudpickle

        # A callable from a notebook or a lambda reaches a worker process only this way.
        work = partial(_fit_pickled, cloudpickle.dumps(analysis))
        outcomes = list(executor.map(work, numbered))
    _report([messages for _, messages in outcomes])
    return Fits(tuple(estimates for estimates, _ in outcomes), name)


def _analysis(
    formula: str | Analysis, family: Any, reml: bool, columns: pd.Index
) -> tuple[Analysis, str]:
    if isinstance(formula, str):
        check_family(family)
        check_formula(formula, columns)
        return partial(fit_formula, formula=formula, family=family, reml=reml), repr(formula)
    if not callable(formula):
        raise AnalysisError(
            f"fit takes a formula or a callable, not {type(formula).__name__}; e.g. "
            "'y ~ x + (1 | g)' or lambda data: smf.ols('y ~ x', data).fit()."
        )
    if family is not None:
        raise AnalysisError("family belongs to a formula; a callable chooses its own model.")
    return formula, getattr(formula, "__name__", type(formula).__name__)


def _fit_pickled(analysis: bytes, pair: tuple[int, pd.DataFrame]) -> tuple[Estimates, list[str]]:
    import cloudpickle

    return _fit_one(cloudpickle.loads(analysis), *pair)


def _fit_one(analysis: Analysis, number: int, frame: pd.DataFrame) -> tuple[Estimates, list[str]]:
    """Estimates of imputation `number`, and the warnings that came with them."""
    try:
        if current_thread() is not main_thread():  # catching warnings is not safe in threads
            return estimates_from(analysis(frame.copy())), []
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            estimates = estimates_from(analysis(frame.copy()))
        return estimates, sorted({str(each.message) for each in caught})
    except Exception as error:
        kind = "" if isinstance(error, AnalysisError) else f"{type(error).__name__}: "
        raise AnalysisError(f"The analysis of imputation {number} failed: {kind}{error}") from error


def _report(messages: list[list[str]]) -> None:
    for text in sorted({text for each in messages for text in each}):
        concerned = [str(i) for i, each in enumerate(messages, start=1) if text in each]
        some = len(concerned) < len(messages)
        which = f"imputation {', '.join(concerned)}" if some else "all imputations"
        warnings.warn(f"Analysis of {which}: {text}", ImputationWarning, stacklevel=3)


def _positions(terms: tuple[str, ...], each: Estimates, number: int) -> list[int]:
    if set(each.terms) != set(terms):
        only = sorted(set(terms) ^ set(each.terms))
        raise AnalysisError(
            f"Imputations 1 and {number} do not have the same terms: {', '.join(only)} is in one "
            "only. A category may be absent from one completed data set; merge rare categories."
        )
    return [each.terms.index(term) for term in terms]
