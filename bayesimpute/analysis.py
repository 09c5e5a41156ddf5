"""The analysis of every completed data set, and the pooled answer."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from threading import current_thread, main_thread
from typing import Any, Literal

import pandas as pd

from bayesimpute import html
from bayesimpute.arguments import Level, Positive, checked
from bayesimpute.errors import AnalysisError, warn
from bayesimpute.pooling import model_tests
from bayesimpute.pooling.constraints import Constraint, constraint_estimates, test_constraints
from bayesimpute.pooling.estimates import Estimates, estimates_from
from bayesimpute.pooling.formula_design import check_formula
from bayesimpute.pooling.formula_models import check_family, fit_formula
from bayesimpute.pooling.model_tests import PooledTest
from bayesimpute.pooling.pooled import Pooled, pool, pool_anova
from bayesimpute.pooling.predictions import effects_by_imputation, predict_rows
from bayesimpute.pooling.rubin import Rule
from bayesimpute.pooling.separation import warn_of_separation
from bayesimpute.wording import nearest, one_line

Analysis = Callable[[pd.DataFrame], Any]

#: Errors of fitting packages that name no cause, and the two there are.
UNIDENTIFIED = ("LinAlgError", "PerfectSeparationError")
SINGULAR = (
    " (a predictor is a combination of the others, or the predictors separate a binary outcome; "
    "leave one out, or use weakly informative priors: imp.fit_posterior)"
)
#: Imputations whose estimates a notebook shows.
MOST_SHOWN = 8


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
    formula
        The formula as it was given; None for a callable.
    options
        Arguments of `fit` that fit the formula to other data in the same way.
    """

    estimates: tuple[Estimates, ...]
    analysis: str
    formula: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @checked
    def pool(
        self, dfcom: Positive | None = None, *, ci_prob: Level = 0.95, rule: Rule = "rubin1987"
    ) -> Pooled:
        """Combine the fits by Rubin's rules.

        Parameters
        ----------
        dfcom
            Degrees of freedom of the analysis of complete data. None (default) takes them from
            the fits, as mice does: the smallest residual df, observations minus all parameters
            (for mixed models variance and covariance parameters too), clusters minus 1 where the
            fit infers with these, events minus parameters for Cox; infinity if a fit does not
            tell. ``float("inf")`` gives Rubin's large-sample df, mitml's default.
        ci_prob
            Coverage of the intervals.
        rule
            ``"rubin1987"``, or ``"reiter2003"`` for synthetic data.

        Returns
        -------
        Pooled

        Raises
        ------
        AnalysisError
            Models, terms or variance components differ between imputations.

        Examples
        --------
        >>> frames = [pd.DataFrame({"x": [0, 1, 2, 3], "y": [0, 1, 2, 2 + i]}) for i in (0, 1, 2)]
        >>> float(round(fit(frames, "y ~ x").pool().table.loc["x", "estimate"], 2))
        1.0
        """
        return pool(self, dfcom=dfcom, ci_prob=ci_prob, rule=rule)

    @checked
    def test(
        self,
        constraints: Constraint | Sequence[Constraint],
        method: Literal["D1", "D2"] = "D1",
        dfcom: Positive | None = None,
    ) -> PooledTest:
        """Test whether functions of the parameters are all zero.

        Parameters
        ----------
        constraints
            ``["b1 - b2", "b3 = 1"]``: arithmetic on terms, or functions of a Series of estimates;
            see `bayesimpute.test_constraints`.
        method
            ``"D1"`` (default) or ``"D2"``.
        dfcom
            As in `pool`; ``float("inf")`` is mitml's default.

        Returns
        -------
        PooledTest

        Examples
        --------
        >>> frames = [pd.DataFrame({"x": [0, 1, 2, 3], "y": [0, 2, 1, 3 + i]}) for i in (0, 1, 2)]
        >>> float(round(fit(frames, "y ~ x").test("x = 0.5").statistic, 2))
        0.88
        """
        return test_constraints(self, constraints, method, dfcom)

    @checked
    def constraint_estimates(
        self,
        constraints: Constraint | Sequence[Constraint],
        dfcom: Positive | None = None,
        *,
        ci_prob: Level = 0.95,
        rule: Rule = "rubin1987",
    ) -> Pooled:
        """Pool functions of the parameters by the delta method: estimate, error and interval.

        Parameters
        ----------
        constraints
            As in `test`; here values of interest, not zeros: ``"exp(x)"``, ``"b1 / b2"``.
        dfcom, ci_prob, rule
            As in `pool`.

        Returns
        -------
        Pooled
            One term a function.
        """
        return constraint_estimates(self, constraints, dfcom, ci_prob, rule)

    @checked
    def compare(
        self, smaller: "Fits", method: Literal["D1", "D2", "D3", "D4"] = "D1", **options: Any
    ) -> PooledTest:
        """Compare with a smaller model that is nested in this one.

        Parameters
        ----------
        smaller
            The smaller model, fitted to the same completed data.
        method
            ``"D1"`` (default, Wald), ``"D2"``, ``"D3"`` or ``"D4"`` (likelihood ratios); see
            `bayesimpute.D1` and so on.
        options
            Of that test: `dfcom` (D1), `use` (D2), `like` (D3), `ariv` (D4).

        Returns
        -------
        PooledTest

        Examples
        --------
        >>> frames = [pd.DataFrame({"x": [0, 1, 2, 3], "y": [0, 1, 2, 2 + i]}) for i in (0, 1, 2)]
        >>> fit(frames, "y ~ x").compare(fit(frames, "y ~ 1")).hypothesis
        ('x = 0',)
        """
        test: Callable[..., PooledTest] = getattr(model_tests, method)
        return test(self, smaller, **options)

    @checked
    def anova(self, sums_of_squares: Literal[1, 2, 3] = 2) -> pd.DataFrame:
        """F tests and shares of variance of the terms of a linear model.

        Parameters
        ----------
        sums_of_squares
            1, 2 (default) or 3; see `bayesimpute.pool_anova`.

        Returns
        -------
        DataFrame
        """
        return pool_anova(self, sums_of_squares)

    @checked
    def predict(
        self,
        newdata: pd.DataFrame | Sequence[pd.DataFrame],
        ci_prob: Level = 0.95,
        level: Literal["mean", "observation"] = "mean",
        *,
        scale: Literal["response", "link"] = "response",
        dfcom: Positive | None = None,
        rule: Rule = "rubin1987",
    ) -> pd.DataFrame:
        """Predict new rows by every fit, and pool row by row.

        The linear predictor of a row is one more estimate of each imputation, its variance x'Ux;
        Rubin's rules with Barnard and Rubin's df combine them. As mice's ``predict_mi``, which
        takes infinite complete-data df.

        Parameters
        ----------
        newdata
            Rows with the columns of the formula's right side (clusters are not needed), or one
            such frame an imputation, where the new rows were imputed too.
        ci_prob
            Coverage (0.95).
        level
            ``"mean"`` (default): the expected outcome. ``"observation"``: one outcome, with the
            residual variance; in a mixed model one of a new cluster, with the variance of its
            effects. Normal models only.
        scale
            ``"response"`` (default) or ``"link"``; they differ in generalized models. Pooling is
            done on the scale of the link. In mixed models the response is that of a cluster whose
            effects are 0, not an average over clusters.
        dfcom, rule
            As in `pool`.

        Returns
        -------
        DataFrame
            Index of `newdata`; estimate, std_error (of the mean or of the observation), df,
            conf_low, conf_high, fmi. On the scale of a transformed outcome if the formula has one.

        Raises
        ------
        AnalysisError
            A column is not there, has missing values or a category the data had not; a model
            without predictions.

        Examples
        --------
        >>> frames = [pd.DataFrame({"x": [0, 1, 2, 3], "y": [0, 1, 2, 2 + i]}) for i in (0, 1, 2)]
        >>> fit(frames, "y ~ x").predict(pd.DataFrame({"x": [4]}))["estimate"].round(2).tolist()
        [4.0]
        """
        return predict_rows(self, newdata, ci_prob, level, scale, dfcom, rule)

    @checked
    def average_effects(
        self,
        newdata: Any,
        variables: Sequence[str] | None = None,
        ci_prob: Level = 0.95,
        *,
        dfcom: Positive | None = None,
        rule: Rule = "rubin1987",
    ) -> pd.DataFrame:
        """Average marginal effects: by how much the expected outcome changes with a variable.

        Of a number x the mean over rows of the derivative of the expected outcome by x, whatever
        the formula makes of x (products, splines); of categories and truth values the mean
        difference between each and the first. Cluster means are held, as for a row that differs
        from others of its cluster. Standard errors by the delta method given the rows; pooled by
        Rubin's rules on the scale of the outcome.

        Parameters
        ----------
        newdata
            Rows to average over: the imputations, ``fits.average_effects(imp)``, one frame, or
            one an imputation.
        variables
            Which; by default all predictors of the formula but cluster means.
        ci_prob
            Coverage (0.95).
        dfcom, rule
            As in `pool`.

        Returns
        -------
        DataFrame
            Index ``effect`` (``"age"``, ``"sex: girl − boy"``); estimate, std_error, df,
            conf_low, conf_high, fmi. In mixed models effects in a cluster whose own are 0.

        Raises
        ------
        AnalysisError
            Fits by no formula or of Cox's model, or a variable the formula or `newdata` does not
            have.

        Examples
        --------
        >>> frames = [pd.DataFrame({"x": [0, 1, 2, 3], "y": [0, 1, 2, 2 + i]}) for i in (0, 1, 2)]
        >>> found = fit(frames, "y ~ x").average_effects(frames)
        >>> float(found.loc["x", "estimate"].round(4))
        1.0
        """
        return effects_by_imputation(self, newdata, variables, dfcom).pooled(ci_prob, rule)

    def __len__(self) -> int:
        return len(self.estimates)

    def __getitem__(self, index: int) -> Estimates:
        return self.estimates[index]

    def __iter__(self) -> Iterator[Estimates]:
        return iter(self.estimates)

    def __repr__(self) -> str:
        terms = ", ".join(map(one_line, self.estimates[0].terms))
        fits = f"Fits of {one_line(self.analysis)} to {len(self)} data sets"
        return f"<{fits}: {terms}; pool() combines them>"

    def _repr_html_(self) -> str:
        shown = {f"{k}": each for k, each in enumerate(self.estimates[:MOST_SHOWN], start=1)}
        by_term = pd.DataFrame(
            {k: pd.Series(each.estimate, each.terms) for k, each in shown.items()}
        ).reindex(self.estimates[0].terms)
        left = len(self) - len(shown)
        heading = (
            f"Fits of {self.analysis} to {len(self)} data sets; pool() combines them. Estimates by "
            f"imputation{f', the first {len(shown)}' if left else ''}:"
        )
        return html.plain(heading, html.frame(by_term.rename_axis("term")))


@checked
def fit(
    completed: Iterable[pd.DataFrame] | Mapping[Any, pd.DataFrame],
    formula: Any,
    family: Any = None,
    reml: bool = True,
    executor: Executor | None = None,
    cluster: str | None = None,
) -> Fits:
    """Fit one analysis model to every completed data set.

    Parameters
    ----------
    completed
        The m completed frames.
    formula
        With a random part, ``"y ~ x + (1 + x | g)"``, mixedlm fits it (REML, Laplace); without,
        statsmodels (OLS, GLM; Cox regression with Efron's ties if the outcome is
        ``Surv(time, event)``). Operators mean what they mean in R and lme4, with ``.`` for all
        columns but the outcome and the groups; terms are named as R names them (``"(Intercept)"``,
        ``"sexmale"``) and stay in the order of the formula. See Notes. Or a callable: it takes a
        completed frame and returns a fit of statsmodels, linearmodels, pyfixest, lifelines or
        mixedlm, a posterior, any object with ``params`` and ``cov_params()`` or ``bse``, a tidy
        frame (term, estimate, std_error), a dict with ``estimates`` and ``covariance``,
        ``std_errors`` or ``variances``, or a tuple (estimates, covariance matrix).
    family
        ``"gaussian"`` (default), ``"binomial"``, ``"poisson"``, or a family object of statsmodels
        (with a random part: of mixedlm). In a binomial model the second category is the success.
    reml
        REML (default, as lme4) or maximum likelihood, for linear mixed models only.
    executor
        Any `concurrent.futures.Executor`; None (default) fits here, one after the other, because
        a fit usually takes less than starting a process.
    cluster
        Column whose clusters ``cluster_mean(x)`` is of, where no random part says it; ``imp.fit``
        gives that of the imputations.

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
        with the imputations it concerns. A binary outcome that the predictors separate.

    Notes
    -----
    Functions of formulas: arithmetic such as ``log``, ``exp``, ``sqrt``, ``I(x^2)``,
    ``I(sex == 'girl')``; ``factor``, ``C(x, Sum)``, ``relevel(x, ref = "b")``; ``scale``,
    ``center``, ``poly(x, 2)``, ``bs(x, df = 5)``, ``ns(x, df = 4)``, all as in R, of which each
    completed data set has its own means, norms and knots; ``cluster_mean(x)``, of the completed
    data; ``offset(x)`` (of a linear model it is subtracted from the outcome, whose R² is that of
    the rest). ``scale`` and ``standardize`` divide by the standard deviation (n - 1). Categories,
    ordered ones too, have treatment contrasts unless ``C()`` says otherwise; the columns of
    ``C(x, contr.sum)`` have R's names, those of ``C(x, Sum)`` patsy's. Truth values are categories
    as in R, and their contrast has the name of the column alone; a comparison in ``I()`` is a
    number, 0 or 1, also where R has a column for each of both (``y ~ 0 + I(x > 0)``). Names that
    are none in R stand in backticks or in ``Q("body fat")``. A formula is read, never run: it
    reaches nothing but the columns.

    Examples
    --------
    >>> frames = [pd.DataFrame({"x": [0, 1, 2, 3], "y": [0, 1, 2, 2 + i]}) for i in (0, 1, 2)]
    >>> fit(frames, "y ~ x")[0].df_residual
    2.0
    >>> fit(frames, "y ~ poly(x, 2)")[0].terms
    ('(Intercept)', 'poly(x, 2)1', 'poly(x, 2)2')
    >>> mean = lambda data: {"estimate": data["y"].mean(), "std_error": data["y"].sem()}
    >>> fit(frames, mean).pool().m
    3
    """
    frames = list(completed.values() if isinstance(completed, Mapping) else completed)
    if not frames or not all(isinstance(frame, pd.DataFrame) for frame in frames):
        raise AnalysisError(
            "fit needs the completed data sets, at least one DataFrame: imp.fit(...), or "
            "fit(imp.complete('all'), ...)."
        )
    if cluster is not None and cluster not in frames[0].columns:
        near = nearest(cluster, frames[0].columns)
        raise AnalysisError(f"cluster={cluster!r} is no column of the data{near}")
    analysis, name = _analysis(formula, family, reml, cluster, frames[0].columns)
    numbered = list(enumerate(frames, start=1))
    if executor is None:
        outcomes = [_fit_one(analysis, *pair) for pair in numbered]
    else:
        import cloudpickle

        # A callable from a notebook or a lambda reaches a worker process only this way.
        work = partial(_fit_pickled, cloudpickle.dumps(analysis))
        outcomes = list(executor.map(work, numbered))
    estimates = tuple(each for each, _ in outcomes)
    separated = warn_of_separation(estimates)
    _report([_others(told, i in separated) for i, (_, told) in enumerate(outcomes, start=1)])
    written = formula if isinstance(formula, str) else None
    options = {"family": family, "reml": reml, "cluster": cluster} if written else {}
    return Fits(estimates, name, written, options)


def _analysis(
    formula: str | Analysis, family: Any, reml: bool, cluster: str | None, columns: pd.Index
) -> tuple[Analysis, str]:
    if isinstance(formula, str):
        check_family(family)
        check_formula(formula, columns)
        options = {"formula": formula, "family": family, "reml": reml, "cluster": cluster}
        return partial(fit_formula, **options), repr(formula)
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
        # deprecations are for the authors of the fitting package, not for its users
        told = [each for each in caught if not issubclass(each.category, DeprecationWarning)]
        return estimates, sorted({str(each.message) for each in told})
    except Exception as error:
        kind = "" if isinstance(error, AnalysisError) else f"{type(error).__name__}: "
        cause = SINGULAR if type(error).__name__ in UNIDENTIFIED else ""
        raise AnalysisError(
            f"The analysis of imputation {number} failed: {kind}{error}{cause}"
        ) from error


def _others(told: list[str], separated: bool) -> list[str]:
    """Warnings of a fit without statsmodels' own of separation, where that is said already."""
    return [text for text in told if not (separated and text.startswith("Perfect separation"))]


def _report(messages: list[list[str]]) -> None:
    for text in sorted({text for each in messages for text in each}):
        concerned = [str(i) for i, each in enumerate(messages, start=1) if text in each]
        some = len(concerned) < len(messages)
        which = f"imputation {', '.join(concerned)}" if some else "all imputations"
        warn(f"Analysis of {which}: {text}")
