"""Method names of mice, miceadds and micemd, and exactly what each becomes here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from bayesimpute.data.table import Kind
from bayesimpute.errors import SpecificationError
from bayesimpute.registry import METHODS
from bayesimpute.wording import did_you_mean


@dataclass(frozen=True)
class Alias:
    """What a name stands for.

    Attributes
    ----------
    method
        Canonical method.
    level
        2 for a target with one value a cluster, else 1.
    options
        Options the name implies.
    clustered
        Whether the name asks for a two-level model.
    binary
        Canonical method of a target with two categories, if another.
    said
        What people who know the name should hear of the method they get; empty for nothing.
    """

    method: str
    level: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)
    clustered: bool = False
    binary: str | None = None
    said: str = ""


_TWO_LEVEL = Alias("normal", clustered=True)
_HETEROSCEDASTIC = Alias("normal", options={"heteroscedastic": True}, clustered=True)

#: Trees of mice are one fitted tree, or many on bootstrap samples, and donors from its leaves.
_TREES = Alias(
    "bart",
    said="a sum of regression trees with a prior, from whose posterior values are drawn, in place "
    "of donors from the leaves of fitted trees",
)

_BOOTSTRAP = "parameters are drawn from their posterior, in place of fits to bootstrapped rows"

#: The two-level names differ in R by algorithm, not by model, except for the residual variance.
ALIASES: Mapping[str, Alias] = MappingProxyType(
    {name: Alias(name) for name in METHODS}
    | {
        "norm": Alias("normal"),
        "norm.boot": Alias("normal", said=_BOOTSTRAP),
        "logreg.boot": Alias("logistic", said=_BOOTSTRAP),
        "midastouch": Alias(
            "pmm",
            said="one of the nearest donors given drawn parameters, in place of all donors of a "
            "bootstrap weighted by their distance",
        ),
        **dict.fromkeys(("pmm3", "pmm4", "pmm5", "pmm6"), Alias("pmm")),
        **dict.fromkeys(("2l.lmer", "2l.pan", "2l.continuous", "2l.glm.norm"), _TWO_LEVEL),
        **dict.fromkeys(("2l.norm", "2l.2stage.norm"), _HETEROSCEDASTIC),
        **dict.fromkeys(("2l.pmm", "2l.2stage.pmm"), Alias("pmm", clustered=True)),
        "polr": Alias("ordinal"),
        "polyreg": Alias("categorical"),
        **dict.fromkeys(("2l.glm.pois", "2l.2stage.pois"), Alias("poisson", clustered=True)),
        "logreg": Alias("logistic"),
        **dict.fromkeys(
            ("2l.bin", "2l.binary", "2l.glm.bin", "2l.2stage.bin"),
            Alias("logistic", clustered=True),
        ),
        **dict.fromkeys(("rf", "cart"), _TREES),
        **dict.fromkeys(
            ("2l.2stage.heckman", "2l.heckman"), Alias("heckman", binary="heckman.binary")
        ),
        **dict.fromkeys(("2l.jomo", "jomoImpute", "panImpute"), Alias("joint", clustered=True)),
        **dict.fromkeys(("2lonly.norm", "2lonly.norm2"), Alias("normal", level=2)),
        **dict.fromkeys(("2lonly.pmm", "2lonly.pmm2"), Alias("pmm", level=2)),
    }
)

_TOO_CERTAIN = (
    "it leaves out uncertainty, so that standard errors are too small; use 'normal', or 'pmm'"
)
_SHRINKAGE = (
    "use {} with priors that shrink its coefficients, such as "
    "priors={{'y': {{'beta': pm.Laplace.dist(0, 0.1)}}}} for target 'y', or choose predictors by "
    "bi.quickpred"
)
_OUTSIDE = (
    "it hands the variable to another package; fit there and take its completed data in by "
    "bi.from_completed, or use 'pmm'"
)
_MANIFEST = (
    "write 'cluster_mean(x)' in the formula of the variable it predicts, or code x 3 or 4 in the "
    "predictors; the means follow the imputations"
)
_LATENT = (
    "write 'latent_mean(x)' in analysis=, which draws the mean that the values of x are around"
)
_WEIGHTED = (
    "sampling weights are not used here; use {}, with what the weights were made of among the "
    "predictors"
)
_MEASUREMENT = (
    "there is no measurement model among the methods; a function builder(design) -> pm.Model of "
    "yours is a method too"
)
_MANY = (
    "choose predictors by bi.quickpred, or let 'normal' shrink them by priors=; components are not "
    "formed here"
)
_SHIFTED = "use bi.delta({}, amount), whose amount may be a distribution, and bi.sensitivity"

#: Methods of mice and its relatives that are not here, each with what to use in its place.
NOT_HERE: Mapping[str, str] = {
    "mean": _TOO_CERTAIN,
    "norm.nob": _TOO_CERTAIN,
    "norm.predict": _TOO_CERTAIN,
    "lasso.norm": _SHRINKAGE.format("'normal'"),
    "lasso.select.norm": _SHRINKAGE.format("'normal'"),
    "lasso.logreg": _SHRINKAGE.format("'logistic'"),
    "lasso.select.logreg": _SHRINKAGE.format("'logistic'"),
    "quadratic": (
        "give the analysis, analysis='y ~ x + I(x^2)': x is then imputed so that the square holds"
    ),
    "ri": (
        "values missing for what they are: use 'heckman', or bi.delta('normal', amount) with "
        "bi.sensitivity"
    ),
    "mnar.norm": _SHIFTED.format("'normal'"),
    "mnar.logreg": _SHIFTED.format("'logistic'"),
    "lda": "use 'categorical', whose parameters are drawn too",
    "mpmm": "use 'joint' for several variables at once, or 'pmm' for each",
    "catpmm": "use 'pmm', which takes categories as they are",
    "svm": "use 'bart' for predictors that act in unknown ways",
    "2lonly.mean": (
        "bi.deduce(df, cluster='school') copies a value that another row of the cluster has, "
        "and bi.impute does so by itself; clusters without any get theirs by '2lonly.norm' or "
        "'2lonly.pmm'"
    ),
    "2lonly.function": (
        "name the method itself, 'logistic' say: a variable that never varies within clusters "
        "is imputed with one value a cluster"
    ),
    "2l.contextual.norm": (
        "use 'normal' with formulas={'y': 'y ~ x + cluster_mean(x)'} and cluster=, which has "
        "no effects by cluster beside the mean"
    ),
    "2l.contextual.pmm": (
        "use 'pmm' with formulas={'y': 'y ~ x + cluster_mean(x)'} and cluster=, which has no "
        "effects by cluster beside the mean"
    ),
    "2l.groupmean": _MANIFEST,
    "2l.groupmean.elim": _MANIFEST,
    "2l.latentgroupmean.ml": _LATENT,
    "2l.latentgroupmean.mcmc": _LATENT,
    "ml.lmer": (
        "use 'normal', 'logistic' or 'pmm' with cluster=['school', 'class']: every method "
        "takes several groupings"
    ),
    "bygroup": "use bi.by_group('normal', 'arm'), which takes any method",
    "smcfcs": "give the analysis to bi.impute, analysis='y ~ x * z', which does it",
    "weighted.norm": _WEIGHTED.format("'normal'"),
    "weighted.pmm": _WEIGHTED.format("'pmm'"),
    "tricube.pmm": "use 'pmm'; model_options={'y': {'donors': 5}} has the number of donors",
    "tricube.pmm2": "use 'pmm'; model_options={'y': {'donors': 5}} has the number of donors",
    "hotDeck": "use 'pmm', or 'sample' without predictors",
    "lm": "use 'normal'",
    "lm_fun": "use 'normal', or a function builder(design) -> pm.Model of yours",
    "rlm": "use 'normal.robust'",
    "lqs": "use 'normal.robust'",
    "pls": _MANY,
    "2l.pls": _MANY,
    "2l.pls2": _MANY,
    "constant": "fill the column before imputing, df['y'].fillna(0)",
    "plausible.values": _MEASUREMENT,
    "2l.plausible.values": _MEASUREMENT,
    "eap": _MEASUREMENT,
    "synthpop": _OUTSIDE,
    "simputation": _OUTSIDE,
    "imputeR.lmFun": _OUTSIDE,
    "imputeR.cFun": _OUTSIDE,
}

#: Statsmodels', R's and our names of a family of distributions, and the method it is.
FAMILIES: Mapping[str, str] = {
    "gaussian": "normal",
    "binomial": "logistic",
    "bernoulli": "logistic",
    "multinomial": "categorical",
    "cumulative": "ordinal",
    "negativebinomial": "negative_binomial",
    "student": "normal.robust",
}

# What the package names where it decides, advises or gives an example.
NUMBER = "normal"
YES_NO = "logistic"
UNORDERED = "categorical"
ORDERED = "ordinal"
MATCHING = "pmm"
SHARES = "sample"
IN_ONE_BLOCK = "joint"
SELECTION = "heckman"
HEAVY_TAILED = "normal.robust"
BOUNDED = "normal.truncated"
POSITIVE = "gamma"
PROPORTION = "beta"
COUNT = "poisson"
SPREAD_COUNT = "negative_binomial"
MATCHING_IN_CLUSTERS = "2l.pmm"
MATCHING_OF_CLUSTERS = "2lonly.pmm"
NORMAL_OF_CLUSTERS = "2lonly.norm"
#: Families of ``Surv(time, event)``, the default first: it assumes less of the hazard.
SURVIVAL = ("piecewise", "weibull")

#: The method with the plainest likelihood of each kind of variable.
LIKELIHOODS: Mapping[Kind, str] = {
    Kind.NUMERIC: NUMBER,
    Kind.BINARY: YES_NO,
    Kind.NOMINAL: UNORDERED,
    Kind.ORDINAL: ORDERED,
}
#: mice's default for each kind of variable, in our names.
MICE_DEFAULTS: Mapping[Kind, str] = {**LIKELIHOODS, Kind.NUMERIC: MATCHING}
#: mice's own names of those defaults.
MICE_NAMES: Mapping[str, str] = {
    "logreg": "logistic",
    "polyreg": "categorical",
    "polr": "ordinal",
    "pmm": "pmm",
}


def look_up(name: str, target: str | None = None) -> Alias:
    """Give what a method name stands for, for a target or, inside a wrapper, for any.

    Raises
    ------
    SpecificationError
        If there is no such method: with the nearest name, or, for a model of another package,
        with what this version offers instead.
    """
    if name in ALIASES:
        return ALIASES[name]
    of = f" of variable {target!r}" if target is not None else ""
    if name in NOT_HERE:
        raise SpecificationError(
            f"Method {name!r}{of} is another package's and not here: {NOT_HERE[name]}."
        )
    raise SpecificationError(
        f"Method {name!r}{of} does not exist; there are "
        f"{', '.join(METHODS)}, and the names that mice gives them."
        f"{did_you_mean(name, [*ALIASES, *NOT_HERE])}"
    )
