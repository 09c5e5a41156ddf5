"""``bi.priors``: the named parameters of a model with their priors, in words and in quantiles."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any

import numpy as np
import pandas as pd
import scipy  # whose modules are loaded when first used

from bayesimpute.arguments import Seed, checked
from bayesimpute.engine.streams import Purpose, fresh_seed, stream
from bayesimpute.prior.conditional import conditional, drawn_variables, specified
from bayesimpute.specification.specification import Specification

#: Probabilities of the quantiles that are shown.
PROBABILITIES = (0.05, 0.5, 0.95)


def _half(distribution: Any) -> Callable[[float], float]:
    """Quantiles of the absolute value of something symmetric about 0."""
    return lambda p: float(distribution.ppf((1 + p) / 2))


def _correlation(n: float, eta: float) -> Callable[[float], float]:
    """Quantiles of one correlation of an LKJ matrix: 2 Beta(a, a) − 1, a = eta − 1 + n / 2."""
    shape = eta - 1 + n / 2
    return lambda p: float(2 * scipy.stats.beta.ppf(p, shape, shape) - 1)


def _truncated(mu: float, sigma: float, lower: float, upper: float) -> Callable[[float], float]:
    between = ((lower - mu) / sigma, (upper - mu) / sigma)
    return lambda p: float(scipy.stats.truncnorm.ppf(p, *between, loc=mu, scale=sigma))


#: PyMC's families that are met most often -> their arguments' names, in the order their variables
#: hold them, and their quantile function, if there is one. A reciprocal is marked by ``1/``:
#: the variable holds a scale, PyMC's argument is a rate.
FAMILIES: Mapping[str, tuple[tuple[str, ...], Callable[..., Callable[[float], float]] | None]] = {
    "Normal": (("mu", "sigma"), lambda mu, sigma: scipy.stats.norm(mu, sigma).ppf),
    "HalfNormal": (("", "sigma"), lambda at, sigma: scipy.stats.halfnorm(at, sigma).ppf),
    "StudentT": (("nu", "mu", "sigma"), lambda nu, mu, sigma: scipy.stats.t(nu, mu, sigma).ppf),
    "HalfStudentT": (("nu", "sigma"), lambda nu, sigma: _half(scipy.stats.t(nu, 0, sigma))),
    "Cauchy": (("alpha", "beta"), lambda alpha, beta: scipy.stats.cauchy(alpha, beta).ppf),
    "HalfCauchy": (("beta",), lambda *of: scipy.stats.halfcauchy(0, of[-1]).ppf),
    "Laplace": (("mu", "b"), lambda mu, b: scipy.stats.laplace(mu, b).ppf),
    "LogNormal": (("mu", "sigma"), lambda mu, sd: scipy.stats.lognorm(sd, scale=np.exp(mu)).ppf),
    "Exponential": (("1/lam",), lambda scale: scipy.stats.expon(scale=scale).ppf),
    "Gamma": (("alpha", "1/beta"), lambda alpha, of: scipy.stats.gamma(alpha, scale=of).ppf),
    "InverseGamma": (("alpha", "beta"), lambda a, beta: scipy.stats.invgamma(a, scale=beta).ppf),
    "Beta": (("alpha", "beta"), lambda alpha, beta: scipy.stats.beta(alpha, beta).ppf),
    "Uniform": (("lower", "upper"), lambda low, high: scipy.stats.uniform(low, high - low).ppf),
    "TruncatedNormal": (("mu", "sigma", "lower", "upper"), _truncated),
    "Dirichlet": (("a",), None),
    "LKJCorr": (("n", "eta"), _correlation),
    "ZeroSumNormal": (("sigma", ""), None),
}


def quantiles(
    variable: Any,
    family: str,
    parameters: Sequence[Any],
    draws: Callable[[], np.ndarray],
) -> tuple[float, ...]:
    """Give the quantiles of a scalar prior, or of every element of one with equal elements.

    Parameters
    ----------
    variable
        The model's variable.
    family
        Name of its distribution.
    parameters
        Arrays; text where one depends on other parameters.
    draws
        Gives those of the prior, made where the quantiles are not known exactly.
    """
    known = [_scalar(each) for each in parameters]
    _, exactly = FAMILIES.get(family, ((), None))
    if exactly is not None and None not in known:
        found = tuple(float(exactly(*known)(p)) for p in PROBABILITIES)
        if np.isfinite(found).all():  # else drawing says what is wrong
            return found
    elif None not in known and variable.type.ndim == 0:
        exact = _by_pymc(variable)
        if exact is not None:
            return exact
    drawn = draws()
    if drawn.size == 0:
        return (np.nan,) * len(PROBABILITIES)
    return tuple(float(q) for q in np.quantile(drawn, PROBABILITIES))


def _by_pymc(variable: Any) -> tuple[float, ...] | None:
    """Quantiles by PyMC's own inverse distribution function; None where it has none."""
    import pymc as pm

    try:
        exact = pm.icdf(variable, np.array(PROBABILITIES)).eval()
    except (NotImplementedError, TypeError, ValueError):
        return None
    return tuple(float(q) for q in exact) if np.isfinite(exact).all() else None


def _scalar(parameter: Any) -> float | None:
    """Give the one number that all elements share; None for several, or for text."""
    if isinstance(parameter, str):
        return None
    numbers = np.unique(np.asarray(parameter, dtype=float))
    return float(numbers[0]) if len(numbers) == 1 else None


#: Draws that quantiles are taken of where they are not known exactly.
DRAWS = 2000

#: A correlation matrix is drawn by its Cholesky factor, whose name ends so.
FACTOR = "_factor"


@checked
def priors(
    df: pd.DataFrame,
    var: str,
    cluster: str | Sequence[str] | None = None,
    method: Any = None,
    predictors: pd.DataFrame | None = None,
    formulas: Mapping[str, str] | None = None,
    priors: Mapping[str, Mapping[str, Any]] | None = None,
    model_options: Mapping[Any, Mapping[str, Any]] | None = None,
    seed: Seed | None = None,
) -> pd.DataFrame:
    """Parameters of the model that would impute a variable, with their priors, before any fit.

    The names are those that ``priors=`` takes. Read from the PyMC model itself, so that it serves
    every method and your own builder.

    Parameters
    ----------
    df
        The data.
    var
        The variable to be imputed.
    cluster, method, predictors, formulas, priors, model_options
        As in :func:`bayesimpute.impute`.
    seed
        Seed of the run: defaults may depend a little on how missing predictors are filled first.

    Returns
    -------
    pandas.DataFrame
        A row a parameter, vectors element by element: ``parameter``, ``element``,
        ``distribution`` (on the data's scale, in PyMC's words), ``replaced`` (by ``priors=``),
        and the quantiles ``5%``, ``50%``, ``95%`` of its prior: exact where its distribution
        function is known, else those of 2,000 draws (a prior that depends on other parameters).
        Effects of single clusters are
        left out; their SD is a parameter.

    Examples
    --------
    >>> import bayesimpute as bi
    >>> study = bi.simulate.simulate_popularity(seed=1)
    >>> table = bi.priors(study.incomplete, "popular", cluster="school", seed=1)
    >>> table[["parameter", "element", "distribution", "replaced"]]
          parameter   element                  distribution  replaced
    0     intercept            Normal(mu=5.697, sigma=2.935)     False
    1          beta       sex      Normal(mu=0, sigma=6.027)     False
    2          beta      texp     Normal(mu=0, sigma=0.4388)     False
    3          beta  teachpop      Normal(mu=0, sigma=2.373)     False
    4  sd_intercept                  HalfNormal(sigma=1.174)     False
    5         sigma                  HalfNormal(sigma=1.174)     False
    """
    seed = fresh_seed() if seed is None else int(seed)
    specification = specified(
        df, var, cluster, method, predictors, formulas, priors, model_options=model_options
    )
    return prior_table(specification, var, seed)


def prior_table(specification: Specification, var: str, seed: int) -> pd.DataFrame:
    """Give the table of :func:`priors` for one target of a specification."""
    built = conditional(specification, var, seed)
    model, design = built.model, built.design
    free = [v for v in built.parameters if v in model.free_RVs]
    shown = [v for v in free if _is_population(model, v)]

    @cache
    def drawn() -> list[np.ndarray]:
        rng = stream(seed, Purpose.PRIOR_TABLE)
        return drawn_variables(design.target, shown, DRAWS, rng)

    def draws(k: int) -> np.ndarray:
        return drawn()[k]

    columns = ["parameter", "element", "distribution", "replaced", "5%", "50%", "95%"]
    given = built.target.priors
    rows = [
        # in a model by group the name carries the group: sigma[treated]
        (name, element, text, name in given or name.split("[")[0] in given, *quantiles)
        for k, variable in enumerate(shown)
        for name in [variable.name.replace(FACTOR, "")]
        for element, text, quantiles in _elements(model, variable, partial(draws, k))
    ]
    return pd.DataFrame(rows, columns=columns)


def _is_population(model: Any, variable: Any) -> bool:
    """Whether a variable is not one of the effects of single clusters or rows."""
    dims = model.named_vars_to_dims.get(variable.name) or ()
    return not any(re.split(r"[\[|]", str(dim))[0] in ("cluster", "row") for dim in dims)


def _elements(
    model: Any, variable: Any, draws: Callable[[], np.ndarray]
) -> list[tuple[str, str, tuple[float, ...]]]:
    """(label, distribution, quantiles) of each element of a vector, or of the whole parameter."""
    parameters = _parameters(model, variable)
    labels = _labels(model, variable)
    if labels is None:

        def moving() -> np.ndarray:
            drawn = draws()
            if FACTOR in variable.name:
                drawn = drawn @ np.swapaxes(drawn, 1, 2)
                drawn = drawn[:, *np.tril_indices(drawn.shape[-1], -1)]
            # of other matrices, the elements that are not fixed by definition
            return drawn[:, drawn.std(axis=0) > 0] if drawn.ndim > 1 else drawn

        text = _text(variable, parameters)
        return [("", text, quantiles(variable, _family(variable), parameters, moving))]

    def column(k: int) -> np.ndarray:
        return np.asarray(draws()[:, k])

    found = []
    for k, label in enumerate(labels):
        own = [_element(each, k, len(labels)) for each in parameters]
        exact = quantiles(variable, _family(variable), own, partial(column, k))
        found.append((label, _text(variable, own), exact))
    return found


def _labels(model: Any, variable: Any) -> list[str] | None:
    """Labels of a vector whose elements are independent; None for anything else."""
    if variable.type.ndim != 1 or getattr(variable.owner.op, "ndim_supp", 0) != 0:
        return None
    dims = model.named_vars_to_dims.get(variable.name)
    coords = model.coords.get(dims[0]) if dims else None
    if coords is not None:
        return [str(label) for label in coords]
    length = variable.type.shape[0]
    return None if length is None else [str(k) for k in range(length)]


def _element(parameter: Any, k: int, n: int) -> Any:
    """Take the k-th element of an argument that has one for each; a common one as it is."""
    if isinstance(parameter, str) or parameter.ndim == 0:
        return parameter
    return parameter[k] if parameter.shape == (n,) else parameter.squeeze()


def _parameters(model: Any, variable: Any) -> list[Any]:
    """Arguments of a distribution: numbers where they are, else what they depend on, in words."""
    from pytensor.graph.basic import Constant
    from pytensor.graph.traversal import ancestors
    from pytensor.tensor.random.type import RandomType
    from pytensor.tensor.type_other import NoneTypeT

    node = variable.owner
    try:
        arguments = list(node.op.dist_params(node))
    except (AttributeError, TypeError, ValueError, NotImplementedError):
        # symbolic distributions without a signature
        arguments = [x for x in node.inputs if not isinstance(x.type, RandomType | NoneTypeT)]
    found: list[Any] = []
    for argument in arguments:
        parents = [v.name for v in ancestors([argument]) if v in model.basic_RVs]
        if isinstance(argument, Constant):  # evaluated, it would be compiled
            found.append(np.asarray(argument.data))
        elif not parents:
            found.append(np.asarray(argument.eval()))
        elif argument in model.basic_RVs:
            found.append(argument.name)
        else:
            found.append(f"f({', '.join(dict.fromkeys(parents))})")
    return found


def _family(variable: Any) -> str:
    operation = variable.owner.op
    return str((getattr(operation, "_print_name", None) or (type(operation).__name__,))[0])


def _text(variable: Any, parameters: list[Any]) -> str:
    family = _family(variable)
    names, _ = FAMILIES.get(family, ((), None))
    if len(names) != len(parameters):
        return f"{family}({', '.join(_written(each) for each in parameters)})"
    parts = []
    for name, each in zip(names, parameters, strict=True):
        if name.startswith("1/"):
            name = name.removeprefix("1/")
            each = f"1/{each}" if isinstance(each, str) else 1 / each
        if name:
            parts.append(f"{name}={_written(each)}")
    return f"{family}({', '.join(parts)})"


def _written(value: Any) -> str:
    """Four significant digits; of many numbers the first and the last."""
    if isinstance(value, str):
        return value
    numbers = np.ravel(value)
    if numbers.size == 0:
        return "none"
    if np.all(numbers == numbers[0]):
        return f"{numbers[0]:.4g}"
    written = [f"{number:.4g}" for number in numbers]
    return f"[{', '.join(written if len(written) <= 6 else [written[0], '…', written[-1]])}]"
