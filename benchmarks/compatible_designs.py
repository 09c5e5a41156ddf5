"""Data in which an incomplete predictor does more for the outcome than a straight line.

Each design simulates complete data and takes values away at random given what stays seen, the
outcome above all, as analyses of real data find them. Truths are the coefficients simulated with.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit

Array = npt.NDArray[np.float64]
Rng = np.random.Generator

CLUSTERS, ROWS = 30, 12
ANSWERS = "answers"


@dataclass(frozen=True)
class Study:
    """One data set, as :func:`bayesimpute.simulate.replicate` takes it."""

    complete: pd.DataFrame
    incomplete: pd.DataFrame
    truth: Mapping[str, float]


@dataclass(frozen=True)
class Design:
    """How data come about, and how they are analysed.

    Attributes
    ----------
    analysis
        Formula.
    truth
        True value by term, the formula's names of them.
    complete
        Function of a random generator that gives complete data.
    hidden
        Function of complete data and generator: which values go, by column.
    family
        Of the analysis.
    method
        Of covariates that a default would not suit.
    model_options
        Of ``bi.impute``, by variable.
    outcome
        Family by which the outcome is imputed, where this is not that of the analysis.
    """

    analysis: str
    truth: Mapping[str, float]
    complete: Callable[[Rng], pd.DataFrame]
    hidden: Callable[[pd.DataFrame, Rng], Mapping[str, npt.NDArray[np.bool_]]]
    family: str | None = None
    method: Mapping[str, str] = field(default_factory=dict)
    model_options: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    outcome: str | None = None

    def simulate(self, seed: int) -> Study:
        """Make one data set; the same seed gives the same."""
        rng = np.random.default_rng(seed)
        complete = self.complete(rng)
        hidden = self.hidden(complete, rng)
        complete = complete.drop(columns=ANSWERS, errors="ignore")  # nobody has seen it
        incomplete = complete.copy()
        for name, gone in hidden.items():
            incomplete[name] = incomplete[name].mask(gone)
        return Study(complete, incomplete, self.truth)

    def arguments(self) -> dict[str, object]:
        """Arguments of ``bi.impute`` that both ways of imputing share."""
        cluster = "g" if "| g)" in self.analysis else None
        return {
            "analysis": self.analysis,
            "family": self.outcome or self.family,
            "cluster": cluster,
            "model_options": self.model_options,
        }


# --- what designs are made of ---------------------------------------------------------------------


def effects(rng: Rng, sd: float, clusters: int = CLUSTERS) -> Array:
    """Effects of clusters, (cluster,)."""
    return sd * rng.normal(size=clusters)


def given(column: Array, rng: Rng, intercept: float | Array, slope: float) -> npt.NDArray[np.bool_]:
    """Whether values go, with a chance that depends on a column that stays."""
    return np.asarray(rng.random(len(column)) < expit(intercept + slope * column))


def given_outcome(
    *names: str, intercept: float = -0.8, slope: float = 0.6
) -> Callable[[pd.DataFrame, Rng], Mapping[str, npt.NDArray[np.bool_]]]:
    """Take values of columns away at random given the standardised outcome, a third of them."""

    def hidden(frame: pd.DataFrame, rng: Rng) -> Mapping[str, npt.NDArray[np.bool_]]:
        y = frame["y"].to_numpy(dtype=float)
        y = (y - y.mean()) / y.std()
        return {name: given(y, rng, intercept, slope) for name in names}

    return hidden


def clustered(
    rng: Rng, clusters: int = CLUSTERS, rows: int = ROWS
) -> tuple[npt.NDArray[np.int64], Array, Array]:
    """Clusters of rows, and two related predictors of theirs; the second varies by cluster."""
    g = np.repeat(np.arange(clusters, dtype=np.int64), rows)
    z = rng.normal(size=len(g))
    x = 0.3 * z + effects(rng, 0.5, clusters)[g] + rng.normal(size=len(g))
    return g, z, x


def categories(latent: Array, rng: Rng, labels: tuple[str, ...]) -> npt.NDArray[np.int64]:
    """Draw one of several categories a row, the later ones likelier where the latent is large."""
    eta = np.column_stack([k * 0.6 * latent for k in range(len(labels))])
    chances = np.exp(eta) / np.exp(eta).sum(axis=1, keepdims=True)
    return np.asarray((rng.random((len(latent), 1)) > chances.cumsum(axis=1)).sum(axis=1))


# --- designs --------------------------------------------------------------------------------------


def interaction(rng: Rng) -> pd.DataFrame:
    """Simulate two predictors and their product."""
    g, z, x = clustered(rng)
    y = 0.5 * x + 0.5 * z + 0.5 * x * z + effects(rng, 0.5)[g] + rng.normal(size=len(g))
    return pd.DataFrame({"g": g, "z": z, "x": x, "y": y})


def random_slope(rng: Rng) -> pd.DataFrame:
    """Simulate a slope that varies by cluster."""
    g = np.repeat(np.arange(CLUSTERS), ROWS)
    x = effects(rng, 0.5)[g] + rng.normal(size=len(g))
    y = (0.5 + effects(rng, 0.4))[g] * x + effects(rng, 0.5)[g] + 0.8 * rng.normal(size=len(g))
    return pd.DataFrame({"g": g, "x": x, "y": y})


def some_of_both(frame: pd.DataFrame, rng: Rng) -> Mapping[str, npt.NDArray[np.bool_]]:
    """Take predictor and outcome away, each on its own."""
    return {name: rng.random(len(frame)) < 0.27 for name in ("x", "y")}


def square(rng: Rng) -> pd.DataFrame:
    """Simulate a parabola."""
    g, z, x = clustered(rng)
    y = 0.5 * x + 0.4 * x**2 + 0.3 * z + effects(rng, 0.5)[g] + rng.normal(size=len(g))
    return pd.DataFrame({"g": g, "z": z, "x": x, "y": y})


def contextual(rng: Rng) -> pd.DataFrame:
    """Simulate an effect of the mean of a cluster beside that of the value of a row."""
    g, _, x = clustered(rng, 60, 8)
    mean = (np.bincount(g, x) / np.bincount(g))[g]
    y = 0.4 * x + 0.6 * mean + effects(rng, 0.4, 60)[g] + rng.normal(size=len(g))
    return pd.DataFrame({"g": g, "x": x, "y": y})


def binary(rng: Rng) -> pd.DataFrame:
    """Simulate a group whose slope differs."""
    g, z, _ = clustered(rng)
    b = given(z, rng, effects(rng, 0.5)[g], 0.5)
    y = 0.5 * b + 0.4 * z + 0.5 * b * z + effects(rng, 0.5)[g] + rng.normal(size=len(g))
    return pd.DataFrame({"g": g, "z": z, "b": np.where(b, "yes", "no"), "y": y})


def logistic(rng: Rng) -> pd.DataFrame:
    """Simulate an outcome of two values, no clusters."""
    z = rng.normal(size=1000)
    x = 0.3 * z + rng.normal(size=z.size)
    y = given(0.6 * x + 0.5 * z + 0.5 * x * z, rng, -0.3, 1.0)
    return pd.DataFrame({"z": z, "x": x, "y": y.astype(float)})


def poisson(rng: Rng) -> pd.DataFrame:
    """Simulate counts, no clusters."""
    z = rng.normal(size=400)
    x = 0.3 * z + rng.normal(size=z.size)
    y = rng.poisson(np.exp(0.3 + 0.3 * x + 0.2 * z + 0.2 * x * z)).astype(float)
    return pd.DataFrame({"z": z, "x": x, "y": y})


def level2(rng: Rng) -> pd.DataFrame:
    """Simulate a property of clusters that changes the slope in them."""
    g, _, x = clustered(rng, 60, 6)
    w = rng.normal(size=60)[g]
    y = 0.5 * x + 0.4 * w + 0.4 * x * w + effects(rng, 0.5, 60)[g] + rng.normal(size=len(g))
    return pd.DataFrame({"g": g, "x": x, "w": w, "y": y})


def whole_clusters(frame: pd.DataFrame, rng: Rng) -> Mapping[str, npt.NDArray[np.bool_]]:
    """Take the property of clusters away, given the mean outcome in them."""
    g = frame["g"].to_numpy()
    mean = np.bincount(g, frame["y"]) / np.bincount(g)
    return {"w": given(mean, rng, -0.8, 0.8)[g]}


def ordinal(rng: Rng) -> pd.DataFrame:
    """Simulate three ordered categories, each with a slope of its own."""
    g, z, x = clustered(rng)
    o = np.digitize(x, [-0.6, 0.6])
    slope = np.array([0.3, 0.6, 1.0])[o]
    y = np.array([0.0, 0.4, 0.8])[o] + slope * z + effects(rng, 0.5)[g] + rng.normal(size=len(g))
    labels = np.array(["low", "middle", "top"])
    ordered = pd.Categorical(labels[o], categories=labels, ordered=True)
    return pd.DataFrame({"g": g, "z": z, "o": ordered, "y": y})


def nominal(rng: Rng) -> pd.DataFrame:
    """Simulate three kinds, each with a slope of its own."""
    g, z, _ = clustered(rng)
    c = categories(z + effects(rng, 0.5)[g], rng, ("a", "b", "c"))
    slope = np.array([0.3, 0.6, 1.0])[c]
    y = np.array([0.0, 0.5, -0.5])[c] + slope * z + effects(rng, 0.5)[g] + rng.normal(size=len(g))
    return pd.DataFrame({"g": g, "z": z, "c": pd.Categorical(np.array(list("abc"))[c]), "y": y})


def both(frame: pd.DataFrame, rng: Rng) -> Mapping[str, npt.NDArray[np.bool_]]:
    """Take either predictor away given the outcome, sometimes both."""
    return given_outcome("x", "z", intercept=-1.2)(frame, rng)


def logarithm(rng: Rng) -> pd.DataFrame:
    """Simulate a positive predictor that counts by its logarithm, no clusters."""
    z = rng.normal(size=400)
    x = rng.gamma(3.0, np.exp(0.3 * z) / 3.0)
    y = 0.6 * np.log(x) + 0.3 * z + rng.normal(size=z.size)
    return pd.DataFrame({"z": z, "x": x, "y": y})


def selected(rng: Rng) -> pd.DataFrame:
    """Simulate a slope by cluster, and whether a row answers, which goes with its outcome."""
    g = np.repeat(np.arange(CLUSTERS), 2 * ROWS)
    w = rng.normal(size=len(g))
    x = effects(rng, 0.5)[g] + rng.normal(size=len(g))
    error, other = rng.normal(size=(2, len(g)))
    y = (0.5 + effects(rng, 0.4))[g] * x + effects(rng, 0.5)[g] + error
    answers = 0.6 + 0.8 * w + effects(rng, 0.3)[g] + 0.6 * error + 0.8 * other > 0
    return pd.DataFrame({"g": g, "w": w, "x": x, "y": y, ANSWERS: answers})


def unanswered(frame: pd.DataFrame, rng: Rng) -> Mapping[str, npt.NDArray[np.bool_]]:
    """Take the outcome away where a row does not answer, and the predictor given a column seen."""
    return {
        "y": ~frame[ANSWERS].to_numpy(),
        "x": given(frame["w"].to_numpy(), rng, -1.1, 0.5),
    }


PRODUCT = {"x": 0.5, "z": 0.5, "x:z": 0.5}

DESIGNS: Mapping[str, Design] = {
    "interaction": Design("y ~ x * z + (1 | g)", PRODUCT, interaction, given_outcome("x")),
    "random slope": Design(
        "y ~ x + (1 + x | g)",
        {"x": 0.5, "x~~x|g": 0.4**2, "Residual~~Residual": 0.8**2},
        random_slope,
        some_of_both,
    ),
    "square": Design(
        "y ~ x + I(x**2) + z + (1 | g)",
        {"x": 0.5, "I(x**2)": 0.4, "z": 0.3},
        square,
        given_outcome("x"),
    ),
    "contextual effect": Design(
        "y ~ x + cluster_mean(x) + (1 | g)",
        {"x": 0.4, "cluster_mean(x)": 0.6},
        contextual,
        given_outcome("x"),
    ),
    "binary covariate": Design(
        "y ~ b * z + (1 | g)",
        {"byes": 0.5, "z": 0.4, "byes:z": 0.5},
        binary,
        given_outcome("b"),
    ),
    "logistic outcome": Design(
        "y ~ x * z", {"x": 0.6, "z": 0.5, "x:z": 0.5}, logistic, given_outcome("x"), "binomial"
    ),
    "Poisson outcome": Design(
        "y ~ x * z", {"x": 0.3, "z": 0.2, "x:z": 0.2}, poisson, given_outcome("x"), "poisson"
    ),
    "level-2 covariate": Design(
        "y ~ x * w + (1 | g)", {"x": 0.5, "w": 0.4, "x:w": 0.4}, level2, whole_clusters
    ),
    "ordinal covariate": Design(
        "y ~ o * z + (1 | g)",
        {"omiddle": 0.4, "otop": 0.8, "omiddle:z": 0.3, "otop:z": 0.7},
        ordinal,
        given_outcome("o"),
    ),
    "nominal covariate": Design(
        "y ~ c * z + (1 | g)",
        {"cb": 0.5, "cc": -0.5, "cb:z": 0.3, "cc:z": 0.7},
        nominal,
        given_outcome("c"),
    ),
    "two incomplete": Design("y ~ x * z + (1 | g)", PRODUCT, interaction, both),
    "logarithm": Design(
        "y ~ log(x) + z",
        {"log(x)": 0.6, "z": 0.3},
        logarithm,
        given_outcome("x"),
        method={"x": "gamma"},
    ),
    "outcome not at random": Design(
        "y ~ x + (1 + x | g)",
        {"(Intercept)": 0.0, "x": 0.5, "x~~x|g": 0.4**2, "Residual~~Residual": 1.0},
        selected,
        unanswered,
        outcome="heckman",
        model_options={"y": {"selection_only": ("w",), "outcome_only": ("x",)}},
    ),
}
