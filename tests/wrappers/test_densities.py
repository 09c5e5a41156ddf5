"""Wrapped methods in imputation compatible with an analysis: densities, and what they learn."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pymc as pm
import pytest

import bayesimpute as bi
from bayesimpute.data.table import Kind
from bayesimpute.errors import SpecificationError
from bayesimpute.method import Design, has_density
from bayesimpute.registry import resolve

RUN = {"m": 1, "seed": 2, "progress": False, "cores": 1}


@pytest.fixture(scope="module")
def gaussian_design():
    rng = np.random.default_rng(9)
    n = 30
    x, g = rng.normal(size=(n, 2)), np.resize(np.arange(3), n)
    seen = np.ones(n, dtype=bool)
    return Design(
        "y", Kind.NUMERIC, (), x[:, 0] + rng.normal(size=n), x, ("u", "v"), np.ones((n, 1)),
        ("intercept",), g, 3, seen, np.zeros(n, dtype=bool), ("p", "q", "r"),
    )  # fmt: skip


def kernel_and_state(method, design):
    method = resolve(method)
    kernel = method.kernel(design, {}, dict(method.options))
    return kernel, 0.3 * np.random.default_rng(3).normal(size=kernel.size)


def density(kernel, state, design):
    return kernel.log_density(design, state, np.random.default_rng(4))


@pytest.mark.parametrize("name", ["normal", "normal.robust"])
def test_delta_shifts_live_values_and_no_observed_ones(name, gaussian_design):
    live = np.arange(len(gaussian_design.y)) % 3 == 0
    design = replace(gaussian_design, live=live, fit=gaussian_design.fit | live)
    kernel, state = kernel_and_state(bi.delta(name, 1.5), design)
    back = replace(design, y=np.where(live, design.y - 1.5, design.y), live=None)
    plain, _ = kernel_and_state(name, design)  # of the same units
    np.testing.assert_allclose(
        density(kernel, state, design)(design), density(plain, state, back)(back), rtol=1e-9
    )


def test_each_group_has_the_density_of_its_own_model(gaussian_design):
    arm = (np.arange(len(gaussian_design.y)) % 2).astype(float)
    wrapped = replace(bi.by_group("normal.robust", "arm"), groups=((0.0, "a"), (1.0, "b")))
    design = replace(gaussian_design, columns={wrapped._key: arm})
    kernel, state = kernel_and_state(wrapped, design)
    found = density(kernel, state, design)(design.rows(np.arange(7)))
    for value, half in ((0.0, state[: kernel.size // 2]), (1.0, state[kernel.size // 2 :])):
        own = design.rows(arm == value)
        inside, _ = kernel_and_state("normal.robust", own)
        rows = design.rows(np.flatnonzero(arm[:7] == value))
        np.testing.assert_allclose(found[arm[:7] == value], density(inside, half, own)(rows))


def test_where_a_condition_does_not_hold_there_is_no_density(gaussian_design):
    holds = np.arange(len(gaussian_design.y)) % 3 > 0
    wrapped = bi.only_where("normal.robust", "arm == 'a'", otherwise=0)
    design = replace(gaussian_design, columns={wrapped._key: holds.astype(float)})
    kernel, state = kernel_and_state(wrapped, design)
    found = density(kernel, state, design)(design)
    assert (found[~holds] == 0.0).all() and (found[holds] != 0.0).all()
    inside, _ = kernel_and_state("normal.robust", design.rows(holds))
    np.testing.assert_allclose(
        found[holds], density(inside, state, design.rows(holds))(design.rows(holds))
    )


def test_fixed_clusters_have_their_own_level(gaussian_design):
    kernel, state = kernel_and_state(bi.fixed_clusters("normal.robust"), gaussian_design)
    found = density(kernel, state, gaussian_design)
    level = found(replace(gaussian_design, cluster=0 * gaussian_design.cluster))
    assert has_density(kernel) and not np.allclose(found(gaussian_design), level)


def test_a_wrapped_model_without_density_has_none(gaussian_design, builder):
    for method in (bi.delta(builder, 1), bi.delta("pmm", 1)):
        kernel = method.kernel(gaussian_design, {}, dict(method.options))
        assert not has_density(kernel)


# --- what is learnt -------------------------------------------------------------------------------


def data(rows=300, seed=5):
    rng = np.random.default_rng(seed)
    x, b = rng.normal(size=rows), rng.integers(0, 2, rows)
    y = rng.normal(size=rows)
    df = pd.DataFrame({"x": x, "b": pd.Categorical.from_codes(b, ["no", "yes"]), "y": y})
    df.loc[rng.random(rows) < 0.4, "x"] = np.nan
    df.loc[rng.random(rows) < 0.4, "b"] = None
    return df


def test_what_is_shifted_does_not_shift_the_model():
    method = {"x": bi.delta("normal", 4), "b": bi.delta("logistic", 4)}
    imp = bi.impute(data(), iterations=30, analysis="y ~ x + b", method=method, **RUN)
    parameters = imp.history.parameters
    assert abs(parameters["x"]["intercept"][:, 10:].mean()) < 0.35
    assert parameters["x"]["sigma"][:, 10:].mean() == pytest.approx(1.0, abs=0.2)
    assert abs(parameters["b"]["intercept"][:, 10:].mean()) < 0.7
    completed, gaps = imp.complete(1), imp.data.isna()
    assert completed.loc[gaps["x"], "x"].mean() == pytest.approx(4.0, abs=0.5)
    assert (completed.loc[gaps["b"], "b"] == "yes").mean() > 0.9


def refused(match, **given):
    with pytest.raises(SpecificationError, match=match):
        bi.impute(data(40), iterations=1, analysis="y ~ x + b", **given, **RUN)


def test_a_distribution_of_delta_is_refused_where_data_would_tell_of_it():
    refused("method of 'x'.*distribution for δ", method={"x": bi.delta("normal", pm.Normal.dist())})


def test_a_condition_on_what_is_drawn_is_refused():
    where = bi.only_where("normal", "b == 'yes'", otherwise=0)
    refused("method of 'x'.*'b', which is incomplete", method={"x": where})


def test_a_method_without_density_is_refused_before_sampling(builder):
    refused("'own_model' of 'x' gives no density", method={"x": builder})
    refused("'pmm' of 'x'", method={"x": bi.delta("pmm", 1)})
    refused("censored.*of 'x'.*some values a probability", method={"x": "normal.censored"},
            model_options={"x": {"lower": -9}})  # fmt: skip
