"""Models of several groupings: the density of the textbook model, its posterior, calibration."""

from dataclasses import replace

import numpy as np
import pymc as pm
import pytest

import bayesimpute as bi
from bayesimpute.data.table import Kind
from bayesimpute.errors import SpecificationError
from bayesimpute.method import Design, Grouping
from bayesimpute.registry import resolve
from bayesimpute.sampling import generic
from bayesimpute.sampling.cluster_effects import added
from bayesimpute.sampling.groupings import designs_of
from bayesimpute.wrappers.base import inner_kernel
from tests.models.test_linear_posterior import agreement, draws_of_model

KINDS = {"logistic": Kind.BINARY, "ordinal": Kind.ORDINAL, "categorical": Kind.NOMINAL}
OF_SELECTION = ("heckman", "heckman.robust", "heckman.binary")


def make_design(method: str, crossed: bool, seed: int = 0, rows: int = 6) -> Design:
    """Classes in schools, or subjects and items; one slope; one cluster has no value."""
    rng = np.random.default_rng(seed)
    if crossed:
        first, second = (each.ravel() for each in np.meshgrid(range(14), range(9), indexing="ij"))
    else:
        first = np.repeat(np.arange(24), rows)
        second = first // 3
    n = len(first)
    x = rng.normal(1.0, 2.0, n)
    slope = rng.normal(size=second.max() + 1) * 0.2
    eta = 0.3 * x + rng.normal(size=first.max() + 1)[first] * 0.6
    eta += rng.normal(size=second.max() + 1)[second] * 0.5 + slope[second] * (x - 1.0)
    latent = eta + rng.logistic(size=n)
    y = {
        "logistic": (latent > 0).astype(float),
        "heckman.binary": (latent > 0).astype(float),
        "ordinal": np.digitize(latent, [-1.0, 1.0]).astype(float),
        "categorical": np.digitize(latent, [-1.0, 1.0]).astype(float),
        "negative_binomial": rng.poisson(np.exp(0.5 * eta) * rng.gamma(2, 0.5, n)).astype(float),
    }.get(method, eta + rng.normal(size=n))
    fit = (rng.random(n) < 0.8) & (first > 0)
    kind = KINDS.get(method, Kind.BINARY if method == "heckman.binary" else Kind.NUMERIC)
    ones = np.ones((n, 1))
    return Design(
        "y",
        kind,
        {Kind.BINARY: ("a", "b"), Kind.NUMERIC: ()}.get(kind, ("a", "b", "c")),
        np.where(fit, y, np.nan),
        x[:, None],
        ("x",),
        ones,
        ("intercept",),
        first.astype(np.int64),
        int(first.max()) + 1,
        fit,
        ~fit,
        grouping="first",
        groupings=(
            Grouping(
                "second",
                np.column_stack([ones, x]),
                ("intercept", "x"),
                second.astype(np.int64),
                int(second.max()) + 1,
            ),
        ),
    )


def kernel_of(method: str, design: Design, **given):
    held = resolve(method)
    return inner_kernel(held, design, {}, {**held.options, **given})


@pytest.mark.parametrize("crossed", [False, True])
def test_what_others_add_is_taken_from_the_cross_products(crossed):
    design = make_design("normal", crossed)
    design = replace(design, y=np.where(design.fit, design.y, 0.0))
    kernel = kernel_of("normal", design).parts[0]
    offset = np.random.default_rng(1).normal(size=(len(design.y), 1))
    known = replace(design, offset=offset, base=design)
    posterior = kernel._posterior
    moved = replace(design, y=design.y - posterior.units.scale_y * offset[:, 0])
    state = np.array([0.1, -0.3])
    values = [np.empty(2), np.empty(2)]
    densities = [
        posterior._density(state, posterior.observe(each).data, gradient)
        for each, gradient in zip((known, moved), values, strict=True)
    ]
    assert np.allclose(densities[0], densities[1], rtol=1e-10) and np.allclose(*values)


@pytest.mark.parametrize("crossed", [False, True])
@pytest.mark.parametrize("method", ["normal", "logistic"])
def test_rows_have_the_density_of_the_textbook_model_at_a_state(method, crossed):
    design = make_design(method, crossed)
    kernel = kernel_of(method, design)
    rng = np.random.default_rng(2)
    adaptation = kernel.adapt(design, rng)
    visit = kernel.visit(design, adaptation, kernel.start(adaptation, rng), rng, True)
    states, effects = kernel._split(visit.state)
    density = kernel.log_density(design, visit.state, np.random.default_rng(3))
    first = kernel.parts[0]
    if method == "normal":  # the coefficients that the density is at
        given = kernel._given(designs_of(design), 0, [np.zeros((design.n_clusters, 1)), effects[1]])
        beta, own, sigma = first._posterior.coefficients(given, states[0], np.random.default_rng(3))
        units = first._posterior.units
        parameters = {
            "intercept": units.centre_y + units.scale_y * beta[0],
            "beta": beta[1:] * units.scale_y / units.scale_x,
            "sigma": units.scale_y * sigma[0],
        }
    else:
        parameters = {**visit.parameters}
        own, units = first._posterior.point(states[0]).effects, first._posterior.units
    model = resolve(method).model(design, {}, resolve(method).options)
    given = {
        name: np.asarray(parameters.get(name, visit.parameters.get(name)))
        for name in ("intercept", "beta", "sigma")
        if name in parameters
    }
    # effects in original units, of which the model's deterministic is made
    for each, values, part in zip(designs_of(design), (own, effects[1]), kernel.parts, strict=True):
        unit = np.array([c.scale for c in part.effects.columns])
        given[f"effect|{each.grouping}"] = values * getattr(units, "scale_y", 1.0) / unit
    with model:
        held = {model[name]: value for name, value in given.items()}
        (observed,) = model.observed_RVs
        seen = pm.logp(observed, model.rvs_to_values[observed])
        found = seen.eval(held)
    rows = design.rows(design.fit)
    assert np.allclose(density(rows), found, rtol=1e-8, atol=1e-8)


def test_what_is_added_is_each_cluster_s_effect_times_its_column():
    design = make_design("normal", False)
    kernel = kernel_of("normal", design)
    of_school = designs_of(design)[1]
    columns = kernel.parts[1].effects.columns
    effects = np.random.default_rng(4).normal(size=(of_school.n_clusters, 2))
    out = np.zeros((len(design.y), 1))
    added(of_school, columns, effects, out)
    centred = (design.x[:, 0] - columns[1].centre) / columns[1].scale
    by_row = effects[of_school.cluster]
    assert np.allclose(out[:, 0], by_row[:, 0] + by_row[:, 1] * centred)


@pytest.mark.parametrize(("effects", "method"), [("nested", "normal"), ("crossed", "logistic")])
def test_a_few_replicates_are_uniform(effects, method):
    found = bi.simulate.sbc(
        method, "systematic", effects=effects, replicates=60, draws=15, thin=1, seed=3
    )
    assert found.ok, found.summary()


def test_priors_are_of_one_grouping_or_of_all(monkeypatch):
    design, method = make_design("normal", False), resolve("normal")
    tight = pm.HalfNormal.dist(0.001)
    of_school = inner_kernel(method, design, {"sd_intercept|second": tight}, method.options)
    of_all = inner_kernel(method, design, {"sd_intercept": tight}, method.options)
    for kernel, expected in ((of_school, [False, True]), (of_all, [True, True])):
        rng = np.random.default_rng(5)
        adaptation = kernel.adapt(design, rng)
        visit = kernel.visit(design, adaptation, kernel.start(adaptation, rng), rng, True)
        drawn = [visit.parameters[f"sd_intercept|{name}"] for name in ("first", "second")]
        assert [value < 0.01 for value in drawn] == expected
    for wrong in ("sd_intercept|third", "sd_z", "sd_intercept|"):
        with pytest.raises(SpecificationError, match="'y'"):
            inner_kernel(method, design, {wrong: tight}, method.options)
    monkeypatch.delattr(generic, "ModelDensity")  # refused before anything is compiled
    with pytest.raises(SpecificationError, match="normal priors"):
        flat = {"beta": pm.Laplace.dist(0, 1)}
        inner_kernel(method, design, flat, method.options)


@pytest.mark.slow
@pytest.mark.parametrize("crossed", [False, True])
@pytest.mark.parametrize(
    "method",
    ["normal", "logistic", "ordinal", "categorical", "negative_binomial", "normal.robust"],
)
def test_the_posterior_is_that_of_the_textbook_model(method, crossed):
    design = make_design(method, crossed)
    held = resolve(method)
    ours = draws_of(kernel_of(method, design), design, 4000)
    theirs = draws_of_model(held.model(design, {}, held.options), 4000)
    worst = agreement(ours, theirs)
    assert set(worst) >= {"beta[0]", "sd_intercept|first[0]", "sd_x|second[0]"}
    assert max(worst.values()) < 4.0, worst


@pytest.mark.slow
@pytest.mark.parametrize("method", OF_SELECTION)
def test_the_posterior_of_a_selection_model_is_that_of_the_textbook_model(method):
    design = make_design(method, False, rows=16)
    held = resolve(method)
    ours = draws_of(kernel_of(method, design), design, 4000)
    theirs = draws_of_model(held.model(design, {}, held.options), 3000)
    worst = agreement(ours, theirs)
    assert set(worst) >= {"beta[0]", "sd_intercept|first[0]", "selection_sd_intercept|second[0]"}
    assert max(worst.values()) < 4.0, worst


def draws_of(kernel, design, n):
    rng = np.random.default_rng(1)
    adaptation = kernel.adapt(design, rng)
    visit = kernel.visit(design, adaptation, kernel.start(adaptation, rng), rng, True)
    drawn: dict[str, list] = {}
    for _ in range(n):
        visit = kernel.visit(design, adaptation, visit.state, rng, False)
        for name, value in visit.parameters.items():
            drawn.setdefault(name, []).append(np.ravel(value))
    return {name: np.array(values) for name, values in drawn.items()}


@pytest.mark.parametrize("method", ["normal", "logistic", "heckman"])
def test_what_groupings_share_is_the_same_in_all_their_states(method):
    design = make_design(method, False)
    kernel = kernel_of(method, design, tune=60)
    rng = np.random.default_rng(6)
    adaptation = kernel.adapt(design, rng)
    visit = kernel.visit(design, adaptation, kernel.start(adaptation, rng), rng, True)
    states, _ = kernel._split(visit.state)
    shared = [
        state[part.effects.shared(state)] for part, state in zip(kernel.parts, states, strict=True)
    ]
    assert len(shared[0]) and (shared[0] == shared[1]).all()


def test_a_residual_sd_by_cluster_is_of_one_grouping():
    with pytest.raises(SpecificationError, match=r"'y': heteroscedastic=True .* first, second"):
        kernel_of("normal", make_design("normal", False), heteroscedastic=True)


@pytest.mark.parametrize("whole", [False, True])
def test_classes_whose_rows_the_likelihood_looks_at_keep_their_linear_predictors(whole):
    """A class without a value counts in a selection model where whole clusters are selected."""
    design = make_design("heckman", False)
    design = replace(design, usable=np.ones(len(design.y), dtype=bool))
    kernel = kernel_of("heckman", design, tune=60, select_whole_clusters=whole)
    (pair,) = kernel._nested
    rng, designs = np.random.default_rng(7), designs_of(design)
    adaptation = kernel.adapt(design, rng)
    visit = kernel.visit(design, adaptation, kernel.start(adaptation, rng), rng, True)
    states, effects = kernel._split(visit.state)
    effects[0] = kernel.parts[0].effects.drawn(design, states[0], rng)
    before = kernel._given(designs, 1, effects).offset + kernel._given(designs, 0, effects).offset
    kernel._move_between(designs, pair, states, effects, rng)
    after = kernel._given(designs, 1, effects).offset + kernel._given(designs, 0, effects).offset
    counted = kernel.parts[0].effects.counted(design)
    empty = design.cluster == 0
    assert counted[empty].all() == whole  # class 0 has no value
    assert np.allclose(before[counted], after[counted])
    assert np.allclose(before[empty], after[empty]) == whole
