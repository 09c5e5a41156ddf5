"""Joint models of an analysis and its covariates, as data and text that JAGS reads.

Texts are written from the documentation of our models, not from their code: JAGS has all missing
values among its unknowns and finds their distributions itself. Constants of the priors (means and
SDs of the rows our models are fitted to) come in as data.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd
from compatible_designs import Rng, categories, effects, given, given_outcome, some_of_both

Array = npt.NDArray[np.float64]

CLUSTERS, ROWS = 15, 12


@dataclass(frozen=True)
class Part:
    """One factor of a joint distribution, the model of one variable.

    Attributes
    ----------
    name
        The variable.
    kind
        Our method.
    terms
        Predictors in JAGS's words, in the order in which our model has them.
    slopes
        Those of them that vary by cluster.
    grouped
        Whether there is a random intercept.
    rows
        Index of a row and of the last one: clusters are rows of a level-2 variable.
    """

    name: str
    kind: str
    terms: tuple[str, ...] = ()
    slopes: tuple[str, ...] = ()
    grouped: bool = False
    rows: tuple[str, str] = ("i", "N")

    @property
    def effects(self) -> int:
        """How many effects vary by cluster."""
        return len(self.slopes) + self.grouped

    @property
    def parameters(self) -> dict[str, str]:
        """Our name of each parameter, and JAGS's."""
        v = self.name
        names = {"share": f"h.{v}"} if self.kind == "ordinal" else {"intercept": f"a.{v}"}
        if self.terms:
            names["beta"] = f"b.{v}"
        for k in range(self.effects):
            effect = "intercept" if k == 0 else ("x" if self.slopes == ("x[i]",) else str(k))
            names[f"sd_{effect}"] = f"sd.{v}[{k + 1}]"
        if self.effects == 2:
            names["correlation"] = f"r.{v}"
        extra = {"normal": "sigma", "gamma": "variation"}.get(self.kind)
        return names | ({extra: f"s.{v}"} if extra else {})

    def text(self) -> str:
        """Write the model in JAGS's language."""
        v, (i, last) = self.name, self.rows
        if self.kind == "categorical":
            return self._softmax()
        if self.kind == "ordinal":
            return self._cumulative()
        eta = self._predictor("", "")
        distribution = {
            "normal": f"{v}[{i}] ~ dnorm(e.{v}[{i}], pow(s.{v}, -2))",
            "logistic": f"{v}[{i}] ~ dbern(ilogit(e.{v}[{i}]))",
            "poisson": f"{v}[{i}] ~ dpois(exp(e.{v}[{i}]))",
            "gamma": f"{v}[{i}] ~ dgamma(pow(s.{v}, -2), pow(s.{v}, -2) / exp(e.{v}[{i}]))",
        }[self.kind]
        lines = [
            f"for ({i} in 1:{last}) {{ {distribution}",
            f"  e.{v}[{i}] <- {eta} }}",
            f"a.{v} ~ dnorm(ma.{v}, pow(ta.{v}, -2))",
            *self._coefficients(),
            *self._effects(),
        ]
        if self.kind in ("normal", "gamma"):
            lines.append(f"s.{v} ~ dnorm(0, pow(tr.{v}, -2)) T(0,)")
        return "\n".join(lines)

    def _predictor(self, category: str, comma: str) -> str:
        v, (i, _) = self.name, self.rows
        a = f"a.{v}[{category}]" if category else f"a.{v}"
        parts = ["0" if self.kind == "ordinal" else a]
        for k, term in enumerate(self.terms, 1):
            parts.append(f"b.{v}[{k}{comma}{category}] * ({term} - cx.{v}[{k}])")
        if self.grouped:
            parts.append(f"u.{v}[g[{i}], 1]")
        for k, term in enumerate(self.slopes, 2):
            parts.append(f"u.{v}[g[{i}], {k}] * ({term} - cz.{v}[{k}])")
        return " + ".join(parts)

    def _coefficients(self) -> list[str]:
        v = self.name
        if not self.terms:
            return []
        return [f"for (k in 1:{len(self.terms)}) {{ b.{v}[k] ~ dnorm(0, pow(tb.{v}[k], -2)) }}"]

    def _effects(self) -> list[str]:
        v = self.name
        if not self.grouped:
            return []
        scales = f"for (k in 1:{self.effects}) {{ sd.{v}[k] ~ dnorm(0, pow(ts.{v}[k], -2)) T(0,) }}"
        lines = [scales, "for (j in 1:J) {", f"  u.{v}[j, 1] ~ dnorm(0, pow(sd.{v}[1], -2))"]
        if self.effects == 2:
            # an LKJ(2) correlation of two effects is 2 Beta(2, 2) - 1
            lines += [
                f"  u.{v}[j, 2] ~ dnorm(r.{v} * sd.{v}[2] / sd.{v}[1] * u.{v}[j, 1],",
                f"                      pow(sd.{v}[2], -2) / (1 - r.{v} * r.{v}))",
                "}",
                f"q.{v} ~ dbeta(2, 2)",
                f"r.{v} <- 2 * q.{v} - 1",
            ]
            return lines
        return [*lines, "}"]

    def _cumulative(self) -> str:
        """Three ordered categories: their shares where the linear predictor is 0, and the rest."""
        v, (i, last) = self.name, self.rows
        return "\n".join(
            [
                f"for ({i} in 1:{last}) {{ {v}[{i}] ~ dcat(p.{v}[{i}, 1:3])",
                f"  p.{v}[{i}, 1] <- ilogit(logit(h.{v}[1]) - e.{v}[{i}])",
                f"  p.{v}[{i}, 2] <- 1 - p.{v}[{i}, 1] - p.{v}[{i}, 3]",
                f"  p.{v}[{i}, 3] <- ilogit(logit(h.{v}[3]) + e.{v}[{i}])",
                f"  e.{v}[{i}] <- {self._predictor('', '')} }}",
                f"h.{v}[1:3] ~ ddirch(al.{v})",
                *self._coefficients(),
                *self._effects(),
            ]
        )

    def _softmax(self) -> str:
        """Three categories, the first the reference."""
        v, (i, last) = self.name, self.rows
        return "\n".join(
            [
                f"for ({i} in 1:{last}) {{ {v}[{i}] ~ dcat(p.{v}[{i}, 1:3])",
                f"  p.{v}[{i}, 1] <- 1",
                f"  for (c in 1:2) {{ p.{v}[{i}, c + 1] <- exp({self._predictor('c', ', ')}) }} }}",
                f"for (c in 1:2) {{ a.{v}[c] ~ dnorm(0, pow(ta.{v}, -2))",
                f"  for (k in 1:{len(self.terms)}) {{",
                f"    b.{v}[k, c] ~ dnorm(0, pow(tb.{v}[k], -2)) }} }}",
            ]
        )


@dataclass(frozen=True)
class Case:
    """A specification: data, our call, JAGS's model.

    Attributes
    ----------
    analysis
        Formula.
    parts
        Of the joint distribution.
    complete, hidden
        As of :class:`compatible_designs.Design`.
    arguments
        More of ours.
    further
        More of JAGS's text.
    """

    analysis: str
    parts: tuple[Part, ...]
    complete: Callable[[Rng], pd.DataFrame]
    hidden: Callable[[pd.DataFrame, Rng], Mapping[str, npt.NDArray[np.bool_]]]
    arguments: Mapping[str, object] = field(default_factory=dict)
    further: str = ""

    def data(self, seed: int) -> pd.DataFrame:
        """Incomplete data."""
        rng = np.random.default_rng(seed)
        frame = self.complete(rng)
        for name, gone in self.hidden(frame, rng).items():
            frame[name] = frame[name].mask(gone)
        return frame

    def text(self) -> str:
        """Write the whole model in JAGS's language."""
        missing = [
            f"m{what}.{v} <- {function}({v}[gone.{v}])"
            for v in (part.name for part in self.covariates)
            for what, function in (("m", "mean"), ("s", "sd"))
        ]
        lines = [*(part.text() for part in self.parts), *missing, self.further]
        return "model {\n" + "\n".join(lines) + "\n}\n"

    @property
    def covariates(self) -> tuple[Part, ...]:
        """Models of all but the outcome."""
        return self.parts[:-1]


# --- data -----------------------------------------------------------------------------------------


def numbers(rng: Rng, clusters: int = CLUSTERS, rows: int = ROWS) -> pd.DataFrame:
    """Clusters, two related numbers, and an outcome of their product."""
    g = np.repeat(np.arange(clusters), rows)
    z = rng.normal(1.0, 1.0, len(g))
    x = 0.3 * z + effects(rng, 0.5, clusters)[g] + rng.normal(size=len(g))
    y = 0.5 * x + 0.5 * z + 0.5 * x * z + effects(rng, 0.5, clusters)[g] + rng.normal(size=len(g))
    return pd.DataFrame({"g": g, "z": z, "x": x, "y": y})


def slopes(rng: Rng) -> pd.DataFrame:
    """Simulate a slope that varies by cluster."""
    frame = numbers(rng)
    g, x = frame["g"].to_numpy(), frame["x"].to_numpy()
    slope = (0.5 + effects(rng, 0.4, CLUSTERS))[g]
    y = 1 + slope * x + effects(rng, 0.5, CLUSTERS)[g] + 0.8 * rng.normal(size=len(g))
    return frame.assign(y=y)[["g", "x", "y"]]


def context(rng: Rng) -> pd.DataFrame:
    """Simulate an effect of the mean of a cluster beside that of the value of a row."""
    frame = numbers(rng)
    g, x = frame["g"].to_numpy(), frame["x"].to_numpy()
    mean = (np.bincount(g, x) / ROWS)[g]
    y = 0.4 * x + 0.6 * mean + effects(rng, 0.4, CLUSTERS)[g] + rng.normal(size=len(g))
    return frame.assign(y=y)[["g", "x", "y"]]


def parabola(rng: Rng) -> pd.DataFrame:
    """Simulate a square."""
    frame = numbers(rng)
    x = frame["x"].to_numpy()
    y = 0.5 * x + 0.4 * x**2 + 0.3 * frame["z"] + rng.normal(size=len(x))
    return frame.assign(y=y).drop(columns="g")


def two_groups(rng: Rng) -> pd.DataFrame:
    """Simulate a binary predictor in an interaction."""
    frame = numbers(rng)
    z = frame["z"].to_numpy()
    b = given(z, rng, effects(rng, 0.5, CLUSTERS)[frame["g"]], 0.5).astype(float)
    y = 0.5 * b + 0.4 * z + 0.5 * b * z + effects(rng, 0.5, CLUSTERS)[frame["g"]]
    return frame.assign(b=b, y=y + rng.normal(size=len(z)))[["g", "z", "b", "y"]]


def three_kinds(rng: Rng) -> pd.DataFrame:
    """Simulate a nominal predictor in an interaction; the first category is the most frequent."""
    z = rng.normal(size=250)
    c = categories(z - 0.8, rng, ("a", "b", "c"))
    y = np.array([0.0, 0.5, -0.5])[c] + np.array([0.3, 0.6, 1.0])[c] * z + rng.normal(size=z.size)
    return pd.DataFrame({"z": z, "c": pd.Categorical(np.array(list("abc"))[c]), "y": y})


def three_steps(rng: Rng) -> pd.DataFrame:
    """Simulate an ordered predictor; the middle is most frequent, the top seen next."""
    frame = numbers(rng)
    g, z = frame["g"].to_numpy(), frame["z"].to_numpy()
    latent = 0.8 * z + effects(rng, 0.8, CLUSTERS)[g] + rng.logistic(size=len(z))
    o = np.digitize(latent, [-0.6, 2.2])
    y = np.array([0.0, 0.4, 0.8])[o] + np.array([0.3, 0.6, 1.0])[o] * z
    y += effects(rng, 0.5, CLUSTERS)[g] + rng.normal(size=len(z))
    labels = np.array(["low", "middle", "top"])
    steps = pd.Categorical(labels[o], categories=labels, ordered=True)
    return frame.assign(o=steps, y=y)[["g", "z", "o", "y"]]


def of_clusters(rng: Rng) -> pd.DataFrame:
    """Simulate a level-2 predictor that changes the slope of a level-1 one."""
    clusters, rows = 40, 5
    frame = numbers(rng, clusters, rows)
    g, x = frame["g"].to_numpy(), frame["x"].to_numpy()
    w = (rng.normal(size=clusters) + 0.5 * np.bincount(g, x) / rows)[g]
    y = 0.5 * x + 0.4 * w + 0.4 * x * w + effects(rng, 0.5, clusters)[g] + rng.normal(size=len(g))
    return frame.assign(w=w, y=y)[["g", "x", "w", "y"]]


def some_clusters(frame: pd.DataFrame, rng: Rng) -> Mapping[str, npt.NDArray[np.bool_]]:
    """Take the level-2 predictor of some clusters away, given their outcomes."""
    g = frame["g"].to_numpy()
    mean = np.bincount(g, frame["y"]) / np.bincount(g)
    return {"w": given(mean, rng, -0.8, 0.6)[g]}


def counts(rng: Rng) -> pd.DataFrame:
    """Simulate counts, no clusters."""
    frame = numbers(rng)
    eta = 0.3 + 0.3 * frame["x"] + 0.2 * frame["z"] + 0.15 * frame["x"] * frame["z"]
    return frame.assign(y=rng.poisson(np.exp(eta)).astype(float)).drop(columns="g")


def yes_or_no(rng: Rng) -> pd.DataFrame:
    """Simulate an outcome of two values, no clusters."""
    frame = numbers(rng, 25)
    eta = 0.6 * frame["x"] + 0.5 * frame["z"] + 0.5 * frame["x"] * frame["z"]
    y = given(eta.to_numpy(), rng, -0.5, 1.0).astype(float)
    return frame.assign(y=y).drop(columns="g")


def positive(rng: Rng) -> pd.DataFrame:
    """Simulate a positive predictor by its logarithm, no clusters."""
    z = rng.normal(size=200)
    x = rng.gamma(3.0, np.exp(0.3 * z) / 3.0)
    return pd.DataFrame({"z": z, "x": x, "y": 0.6 * np.log(x) + 0.3 * z + rng.normal(size=200)})


def both(frame: pd.DataFrame, rng: Rng) -> Mapping[str, npt.NDArray[np.bool_]]:
    """Take either predictor away given the outcome, z less often."""
    y = (frame["y"] - frame["y"].mean()).to_numpy() / frame["y"].std()
    return {"x": given(y, rng, -0.8, 0.6), "z": given(y, rng, -1.5, 0.4)}


X, Z = "x[i]", "z[i]"
PRODUCT = (X, Z, f"{X} * {Z}")
X_GIVEN_Z = Part("x", "normal", (Z,))
GROUPED_X = Part("x", "normal", (Z,), grouped=True)

CASES: Mapping[str, Case] = {
    "interaction": Case(
        "y ~ x * z + (1 | g)",
        (GROUPED_X, Part("y", "normal", PRODUCT, grouped=True)),
        numbers,
        given_outcome("x"),
    ),
    "random slope": Case(
        "y ~ x + (1 + x | g)",
        (Part("x", "normal", grouped=True), Part("y", "normal", (X,), (X,), grouped=True)),
        slopes,
        some_of_both,
    ),
    "cluster mean": Case(
        "y ~ x + cluster_mean(x) + (1 | g)",
        (Part("x", "normal", grouped=True), Part("y", "normal", (X, "mx[g[i]]"), grouped=True)),
        context,
        given_outcome("x"),
        # rows of a cluster stand together
        further=f"for (j in 1:J) {{ mx[j] <- mean(x[({ROWS} * (j - 1) + 1):({ROWS} * j)]) }}",
    ),
    "square": Case(
        "y ~ x + I(x**2) + z",
        (X_GIVEN_Z, Part("y", "normal", (X, f"pow({X}, 2)", Z))),
        parabola,
        given_outcome("x"),
    ),
    "binary covariate": Case(
        "y ~ b * z + (1 | g)",
        (
            Part("b", "logistic", (Z,), grouped=True),
            Part("y", "normal", ("b[i]", Z, f"b[i] * {Z}"), grouped=True),
        ),
        two_groups,
        given_outcome("b"),
    ),
    "nominal covariate": Case(
        "y ~ c * z",
        (
            Part("c", "categorical", (Z,)),
            Part(
                "y",
                "normal",
                ("(c[i] == 2)", "(c[i] == 3)", Z, f"(c[i] == 2) * {Z}", f"(c[i] == 3) * {Z}"),
            ),
        ),
        three_kinds,
        given_outcome("c"),
    ),
    "ordinal covariate": Case(
        "y ~ o * z + (1 | g)",
        (
            Part("o", "ordinal", (Z,), grouped=True),
            Part(
                "y",
                "normal",
                ("(o[i] == 3)", "(o[i] == 1)", Z, f"(o[i] == 3) * {Z}", f"(o[i] == 1) * {Z}"),
                grouped=True,
            ),
        ),
        three_steps,
        given_outcome("o"),
    ),
    "level-2 covariate": Case(
        "y ~ x * w + (1 | g)",
        (
            Part("w", "normal", ("mx[j]",), rows=("j", "J")),
            Part("y", "normal", (X, "w[g[i]]", f"{X} * w[g[i]]"), grouped=True),
        ),
        of_clusters,
        some_clusters,
    ),
    "Poisson outcome": Case(
        "y ~ x * z",
        (X_GIVEN_Z, Part("y", "poisson", PRODUCT)),
        counts,
        given_outcome("x"),
        {"family": "poisson"},
    ),
    "logistic outcome": Case(
        "y ~ x * z",
        (X_GIVEN_Z, Part("y", "logistic", PRODUCT)),
        yes_or_no,
        given_outcome("x"),
        {"family": "binomial"},
    ),
    "two incomplete": Case(
        "y ~ x * z + (1 | g)",
        (
            Part("z", "normal", grouped=True),
            GROUPED_X,
            Part("y", "normal", PRODUCT, grouped=True),
        ),
        numbers,
        both,
    ),
    "logarithm": Case(
        "y ~ log(x) + z",
        (Part("x", "gamma", (Z,)), Part("y", "normal", (f"log({X})", Z))),
        positive,
        given_outcome("x"),
        {"method": {"x": "gamma"}},
    ),
}

SPEED = Case(
    "y ~ x * z + (1 | g)",
    CASES["two incomplete"].parts,
    partial(numbers, clusters=100, rows=20),
    both,
)
