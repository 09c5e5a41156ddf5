"""The joint model's density at a state of the chains is what the chains draw by."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pymc as pm
import pytensor
import pytest
from scipy.special import logsumexp

import bayesimpute as bi
from bayesimpute.data.names import safe_pair
from bayesimpute.engine.adapt import reference_values
from bayesimpute.engine.bench import Bench
from bayesimpute.engine.chain import ChainState
from bayesimpute.engine.joint_model import Joint
from bayesimpute.engine.live import rows_that_say
from bayesimpute.sampling.groupings import GroupedKernel, designs_of
from bayesimpute.sampling.selection_kernel import SelectionKernel
from bayesimpute.wrappers.base import RowsKernel, size_of

RNG_SEED = 3


def frame(seed=1):
    rng = np.random.default_rng(seed)
    clusters, rows = 6, 48
    g = np.repeat(np.arange(clusters), rows // clusters)
    w = rng.normal(size=clusters)
    x = rng.normal(size=rows)
    b = rng.integers(0, 2, rows)
    o = rng.integers(0, 3, rows)
    y = x + 0.5 * b + w[g] + rng.normal(size=rows)
    df = pd.DataFrame({"g": g, "w": w[g], "x": x, "y": y})
    df["b"] = pd.Categorical.from_codes(b, ["no", "yes"])
    df["o"] = pd.Categorical.from_codes(o, ["p", "q", "r"])
    df["t"], df["died"] = rng.gamma(2.0, size=rows), rng.integers(0, 2, rows)
    df["k"] = (rng.random(6) < 0.5)[g].astype(str)
    df.loc[rng.random(rows) < 0.3, "x"] = np.nan
    df.loc[rng.random(rows) < 0.2, "y"] = np.nan
    df["t"], df["d"] = rng.exponential(np.exp(-x)), rng.random(rows) < 0.7
    df.loc[[2, 9, 30], "b"] = None
    df.loc[[2, 17], "o"] = None
    df.loc[df["g"] == 4, ["w", "k"]] = None
    df["c"] = pd.Categorical.from_codes(rng.integers(0, 2, rows), ["no", "yes"])
    df["q"] = pd.Categorical.from_codes(rng.integers(0, 3, rows), ["s", "t", "u"])
    df.loc[[1, 2, 18], "c"] = None
    df.loc[[4, 5, 34], "q"] = None
    # pairs of clusters, with a property; and a grouping that crosses both
    df["h"], df["place"] = g // 2, np.arange(rows) % 4
    df["v"] = rng.normal(size=3)[g // 2]
    df.loc[df["h"] == 1, "v"] = None
    df["a"] = np.where(np.arange(rows) % 3 == 0, "one", "two")
    return df


CASES = {
    "an interaction, a random slope, a cluster's mean": dict(
        columns=["g", "x", "w", "y"], analysis="y ~ x * w + I(x**2) + (1 + x | g)",
    ),
    "categories, of rows and of clusters": dict(
        columns=["g", "x", "b", "o", "k", "y"], analysis="y ~ b * x + o + k + (1 | g)",
    ),
    "a latent mean, and times to an event": dict(
        columns=["g", "x", "y", "t", "died"], method={"x": "normal"},
        analysis=["y ~ x + latent_mean(x) + (1 | g)", "Surv(t, died) ~ x"],
        family=["normal", "weibull"],
    ),
    "an outcome missing not at random, an auxiliary variable, a shifted one": dict(
        columns=["x", "w", "y", "b"], analysis="y ~ x + w", family="heckman", cluster=None,
        method={"b": "logistic", "x": bi.delta("normal", 0.7)}, formulas={"b": "b ~ x + y"},
    ),
    "the time to an event": dict(
        columns=["g", "x", "b", "w", "t", "d"], analysis="Surv(t, d) ~ x * w + b + (1 | g)",
        family="weibull",
    ),
    "a share in clusters, beside another category": dict(
        columns=["g", "x", "c", "o", "y"],
        analysis="y ~ c * x + o + cluster_mean(c) + cluster_mean(x) + (1 | g)",
        formulas={"x": "x ~ cluster_mean(c) + (1 | g)"},
    ),
    "shares of three categories, of which a variable of clusters depends": dict(
        columns=["g", "w", "q", "y"],
        analysis="y ~ w + q + cluster_mean(q) + (1 | g)",
        formulas={"w": "w ~ q"},
    ),
    "clusters in groups, with slopes, means and missing values at each level": dict(
        columns=["g", "h", "v", "w", "x", "b", "y"], cluster=["g", "h"],
        analysis="y ~ x * v + w + b + cluster_mean(x) + cluster_mean(x, h)"
        " + (1 | g) + (1 + x | h)",
        formulas={"x": "x ~ v + cluster_mean(b) + (1 | g) + (1 | h)"},
    ),
    "crossed clusters, categories": dict(
        columns=["g", "place", "x", "b", "o", "y"], cluster=["g", "place"],
        analysis="b ~ x + o + (1 + x | g) + (1 | place)",
    ),
    "a hazard in intervals": dict(
        columns=["g", "x", "b", "t", "d"], analysis="Surv(t, d) ~ x * b + (1 | g)",
    ),
    "a model for each group, numbers and categories missing": dict(
        columns=["g", "x", "b", "a", "y"], analysis="y ~ x * b + (1 + x | g)",
        method={"x": bi.by_group(bi.delta("normal", 0.7), "a"), "b": bi.by_group("logistic", "a"),
                "y": bi.by_group("normal", "a")},
    ),
    "ignored rows, some of which have missing values": dict(
        columns=["g", "x", "w", "b", "o", "y"], analysis="y ~ x * b + o + w + (1 | g)",
        ignore=lambda df: df.index.isin([1, 2, 7, 9, 33]) | (df["g"] == 4),
    ),
}  # fmt: skip


@pytest.fixture(params=CASES, scope="module")
def imp(request):
    given = {"cluster": "g", **CASES[request.param]}
    df = frame()[given.pop("columns")]
    if given["cluster"] is None:
        del given["cluster"]
    if "ignore" in given:
        given["ignore"] = given["ignore"](df)
    return bi.impute(
        df, m=1, iterations=2, seed=4, progress=False, cores=1, **given,
        model_options={"*": {"tune": 20, "transitions": 1}},
    )  # fmt: skip


def parameters_of(kernel, design, state, rng):
    """Parameters and effects in original units, as the joint model has them."""
    if isinstance(kernel, GroupedKernel):
        states, effects = kernel._split(state)
        effects[0] = np.zeros(kernel._shape(0))
        designs = designs_of(design)
        found = parameters_of(kernel.parts[0], kernel._given(designs, 0, effects), states[0], rng)
        found[f"effect|{designs[0].grouping}"] = found.pop("effect")
        for each, part, values in zip(designs[1:], kernel.parts[1:], effects[1:], strict=True):
            units, several = part._posterior.units, getattr(part, "family", None)
            if several is not None and several.categories:
                values = values.reshape(len(values), len(several.categories), each.z.shape[1])
            found[f"effect|{each.grouping}"] = values * units.scale_y / units.scale_z
        return found
    if isinstance(kernel, RowsKernel):
        found, first = {}, 0
        for (label, rows), part in zip(
            kernel.wrapper.rows(design).items(), kernel.parts, strict=True
        ):
            own, first = state[first : first + size_of(part)], first + size_of(part)
            of_group = parameters_of(part, design.rows(rows), own, rng)
            end = "" if label is None else f"[{label}]"
            found |= {f"{name}{end}": value for name, value in of_group.items()}
        return found
    if getattr(kernel, "parts", ()):  # of a shifted variable: without its shift
        design = kernel.seen(design, np.random.default_rng())
        design = replace(design, y=design.y - design.live_shift)
        (kernel,) = kernel.parts
    posterior = kernel._posterior
    units, q = posterior.units, design.z.shape[1]
    if hasattr(posterior, "coefficients"):
        beta, effects, sigma = posterior.coefficients(design, state, rng)
        found = {"intercept": units.centre_y + units.scale_y * beta[0]}
        found["beta"] = units.scale_y * beta[1:] / units.scale_x
        found["sigma"] = units.scale_y * sigma[0]
        return found | {"effect": effects * units.scale_y / units.scale_z}
    point = posterior.point(state)
    found = dict(kernel._parameters(point))
    found.pop("correlation", None)  # the effects are given
    if isinstance(kernel, SelectionKernel):
        found["log_sigma"] = np.log(found.get("sigma", 1.0))
        found["atanh_rho"] = np.arctanh(found["rho"])
        return found
    several = kernel.family.categories
    if several and "beta" in found:
        found["beta"] = np.reshape(found["beta"], (len(design.predictors), len(several)))
    if "log_hazard" in found:
        found["departure"] = found.pop("log_hazard") - found["intercept"]
    effects = point.effects
    if several:
        effects = effects.reshape(len(effects), len(several), q)
    return found | {"effect": effects * units.scale_y / units.scale_z}


def by_the_chains(imp, bench, state, joint):
    """Log density of all that is known or drawn, missing categories summed out by brute force."""
    specification = imp.specification
    densities = {
        name: kernel.log_density(
            bench.design(name, state.values), state.kernel[name], np.random.default_rng(RNG_SEED)
        )
        for name, kernel in bench.kernels.items()
    }

    def total(values):
        out = 0.0
        for name, builder in bench.builders.items():
            rows = np.flatnonzero(rows_that_say(specification, builder) & builder.usable)
            out += densities[name](bench.design(name, values).rows(rows)).sum()
        return out

    totals = [state.values]
    for name, categories in joint.categories.items():
        live = specification.live_rows(name) & ~specification.ignore
        builder = bench.builders[name]
        codes = np.arange(len(live)) if builder.target.level == 1 else builder.clusters.codes
        for cell in np.unique(codes[live]):
            held = live & (codes == cell)
            totals = [
                {**values, name: np.where(held, category, values[name])}
                for values in totals
                for category in categories
            ]
    return logsumexp([total(values) for values in totals])


def by_the_joint_model(bench, state, joint):
    """The same by PyMC's graph, without priors."""
    model, given = joint.model, {}
    for name, kernel in bench.kernels.items():
        design = bench.design(name, state.values)
        rng = np.random.default_rng(RNG_SEED)
        found = parameters_of(kernel, design, state.kernel[name], rng)
        for parameter, value in found.items():
            given[safe_pair(name, parameter)] = np.asarray(value, dtype=float)
        if design.live is not None and name not in joint.categories:
            raw = design.y if design.around is None else design.y + design.around
            live = design.live & design.usable
            groups = kernel.wrapper.rows(design) if isinstance(kernel, RowsKernel) else {"": live}
            for label, rows in groups.items():
                what = f"missing[{label}]" if label else "missing"
                given[safe_pair(name, what)] = raw[live & rows]
    terms = list(model.potentials)
    inputs, values = [], []
    for name, value in given.items():
        if name in model.named_vars and value.size:
            inputs.append(model[name])
            values.append(value)
    for variable in model.basic_RVs:
        if variable in model.observed_RVs:
            terms.append(pm.logp(variable, model.rvs_to_values[variable]).sum())
        elif ".missing" in str(variable.name):
            copy = variable.clone()
            terms.append(pm.logp(variable, copy).sum())
            inputs.append(copy)
            values.append(given[variable.name])
    mode = pytensor.compile.mode.Mode(linker="py", optimizer=None)
    sum_of = pytensor.function(inputs, sum(terms), mode=mode, on_unused_input="ignore")
    return float(sum_of(*values))


def test_it_has_the_density_by_which_the_chains_draw(imp):
    specification, history = imp.specification, imp.history
    joint = Joint.of(specification, imp.seed)
    assert any((cells & ~specification.ignore).any() for cells in specification.live.values())
    bench = Bench.of(specification, reference_values(specification, imp.seed))
    state = ChainState.from_bytes(specification, history.states[0])
    found = by_the_joint_model(bench, state, joint)
    assert found == pytest.approx(by_the_chains(imp, bench, state, joint), rel=1e-8)


def test_ignored_rows_that_share_a_missing_value_with_others_are_refused():
    df = frame()[["g", "x", "w", "y"]]
    given = {"m": 1, "iterations": 1, "progress": False, "cores": 1, "cluster": "g", "seed": 4}
    gone = np.flatnonzero(df["x"].isna())[:2]
    for analysis, name, ignored in (
        ("y ~ w + (1 | g)", "w", [32, 33, 34]),
        ("y ~ x + cluster_mean(x) + (1 | g)", "x", gone),
    ):
        imp = bi.impute(df, analysis=analysis, ignore=df.index.isin(ignored), **given)
        with pytest.raises(bi.SpecificationError, match=f"missing values of '?{name}'? belong to"):
            imp.joint_model()
