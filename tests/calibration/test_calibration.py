"""Ranks of true parameters and missing values are uniform, and are not when something is wrong."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pymc as pm
import pytest

import bayesimpute as bi
from bayesimpute.design import DesignBuilder
from bayesimpute.errors import SamplingError, SpecificationError
from bayesimpute.registry import resolve
from bayesimpute.simulate import calibration
from bayesimpute.simulate.calibration import matrix
from bayesimpute.simulate.scenario import Scenario

CELLS = {str(cell): cell for cell in matrix()}
SMALL = ("systematic", "level 2")  # sporadic gaps are in the first of them, too
QUICK = {"replicates": 40, "draws": 15, "seed": 1, "options": {"tune": 100}}


class Planted:
    """The normal method with a mistake planted in its kernel's visits."""

    kinds = resolve("normal").kinds
    options = resolve("normal").options

    def __init__(self, mistake):
        self.mistake = mistake

    def model(self, design, priors, options):
        return resolve("normal").model(design, priors, options)

    def kernel(self, design, priors, options):
        return PlantedKernel(resolve("normal").kernel(design, priors, options), self.mistake)


class PlantedKernel:
    def __init__(self, kernel, mistake):
        self.kernel, self.mistake = kernel, mistake
        self.labels = kernel.labels

    def adapt(self, design, rng):
        self.kept = None
        return self.kernel.adapt(design, rng)

    def start(self, adaptation, rng):
        return self.kernel.start(adaptation, rng)

    def visit(self, design, adaptation, state, rng, first):
        visit = self.kernel.visit(design, adaptation, state, rng, first)
        self.kept = self.kept or visit
        return self.mistake(visit, self.kept, design)


def residual_too_small(visit, first_visit, design):
    # towards the mean of the cluster's own draws, so that only the residual shrinks
    cluster = design.cluster[design.draw]
    count = np.maximum(np.bincount(cluster), 1)
    mean = (np.bincount(cluster, visit.values) / count)[cluster]
    return replace(visit, values=mean + 0.6 * (visit.values - mean))


def parameters_not_drawn(visit, first_visit, design):
    return replace(visit, parameters=first_visit.parameters)


def clusters_swapped(visit, first_visit, design):
    return replace(visit, values=visit.values[::-1])


@pytest.mark.parametrize("name", [name for name in CELLS if CELLS[name].data in SMALL])
def test_a_model_is_calibrated_in_a_small_run(name):
    cell = CELLS[name]
    options = {**cell.arguments.get("options", {}), "tune": 60}
    if "trees" in options:
        options["transitions"] = 5  # of twenty; so few replicates do not see autocorrelation
    arguments = {**cell.arguments, "options": options}
    replicates = 30 if cell.model == "normal" else 12  # the others take longer
    thin = 2 if cell.data == "level 2" else 1  # where each visit tells little, and costs little
    result = bi.simulate.sbc(
        cell.method, replicates=replicates, draws=15, thin=thin, level=0.002, seed=1, **arguments
    )
    assert result.ok, result.table


@pytest.mark.sbc
@pytest.mark.parametrize("name", CELLS)
def test_a_model_is_calibrated(name):
    cell = CELLS[name]
    result = bi.simulate.sbc(cell.method, replicates=400, seed=2, **cell.arguments)
    assert result.ok, result.table
    assert result.autocorrelation.max() < 0.15, result.autocorrelation


def test_calibration_sees_a_residual_too_small():
    result = bi.simulate.sbc(Planted(residual_too_small), effects="intercept", **QUICK)
    table = result.table
    assert not table.loc["imputed SD", "uniform"]
    assert table.loc[["intercept", "sd_intercept", "sigma"], "uniform"].all()
    # the draws spread too little, so the truth ranks above them
    assert result.ranks["imputed SD"].mean() > 0.75 * result.draws


def test_calibration_sees_parameters_that_are_not_drawn():
    table = bi.simulate.sbc(Planted(parameters_not_drawn), effects="intercept", **QUICK).table
    assert not table.loc[["intercept", "beta[x1]", "sd_intercept", "sigma"], "uniform"].any()
    assert table.loc["imputed mean", "uniform"]


def test_calibration_sees_swapped_clusters():
    result = bi.simulate.sbc(Planted(clusters_swapped), effects="intercept", **QUICK)
    table = result.table
    assert not table.loc["imputed × cluster mean", "uniform"]
    assert table.loc[["imputed mean", "imputed SD"], "uniform"].all()


def test_calibration_sees_a_model_that_is_not_the_kernels():
    class Other(Planted):
        def model(self, design, priors, options):
            return super().model(design, {**priors, "sd_intercept": pm.HalfNormal.dist(5)}, options)

    table = bi.simulate.sbc(
        Other(lambda visit, first, design: visit),
        effects="intercept",
        clusters=3,
        rows=6,
        **QUICK,
    ).table
    assert not table.loc["sd_intercept", "uniform"]
    assert table.loc["sigma", "uniform"]


def test_every_method_with_a_likelihood_is_in_the_matrix():
    from bayesimpute.registry import METHODS

    copied = {"pmm", "sample"}
    elsewhere = {"joint", "heckman", "heckman.binary", "heckman.robust"}
    assert {cell.method for cell in CELLS.values()} == set(METHODS) - copied - elsewhere


def builder(design):
    """Logistic regression as a user would write it."""
    with pm.Model(coords=design.coords) as model:
        x = pm.Data("x", design.x, dims=("row", "predictor"))
        y = pm.Data("y", design.y, dims="row")
        a = pm.Normal("a", 0, 1)
        b = pm.Normal("b", 0, 1, dims="predictor")
        pm.Bernoulli("value", logit_p=a + x @ b, observed=y, dims="row")
    return model


@pytest.mark.sbc
def test_a_users_model_of_a_category_is_calibrated_too():
    result = bi.simulate.sbc(
        builder,
        kind="binary",
        effects="none",
        clusters=3,
        options={"tune": 100, "transitions": 3},
        draws=15,
        replicates=30,
        seed=1,
    )
    assert set(result.ranks.columns[:2]) == {"a", "b[x1]"}
    assert result.ok, result.table


@pytest.mark.parametrize(
    ("wrapped", "text"),
    [
        (bi.by_group("normal", "x2"), "2 observed variables"),
        (bi.only_where("normal", "x2 == 1", otherwise=0), "calibrate the method inside"),
    ],
)
def test_a_wrapper_that_splits_the_rows_is_refused_by_name(wrapped, text):
    with pytest.raises(SpecificationError, match=text):
        bi.simulate.sbc(wrapped, effects="intercept", predictors=2, seed=1)


def test_a_kernel_that_reports_what_its_model_lacks_is_refused():
    class Lacking(Planted):
        def model(self, design, priors, options):
            with pm.Model() as model:
                y = pm.Data("y", design.y)
                pm.Normal("value", pm.Normal("intercept"), 1, observed=y)
            return model

    with pytest.raises(SpecificationError, match=r"reports 'beta', 'sigma'"):
        bi.simulate.sbc(Lacking(None), effects="none", seed=1)


def test_threads_give_the_same_ranks_and_another_seed_others():
    arguments = {"effects": "none", "clusters": 3, "replicates": 10, "draws": 7}
    here = bi.simulate.sbc("normal", seed=1, **arguments)
    with ThreadPoolExecutor(2) as pool:
        there = bi.simulate.sbc("normal", seed=1, executor=pool, **arguments)
    assert here.ranks.equals(there.ranks)
    other = bi.simulate.sbc("normal", seed=2, **arguments)
    assert not here.ranks.equals(other.ranks)


def test_no_cluster_loses_all_its_values_by_chance():
    scenario = Scenario(effects="nested", pattern="level 2")  # three clusters a group
    specification = scenario.specification("normal", np.random.default_rng(0))
    builder = DesignBuilder.of(specification, specification.targets["y"])
    design = builder.build(specification.table.values)
    for seed in range(30):
        seen = ~scenario.hide(design, np.random.default_rng(seed))
        assert (np.bincount(design.cluster[seen], minlength=design.n_clusters) > 0).all()
    with pytest.raises(bi.SpecificationError, match=r"missing=0\.9 and 2 rows .* more rows"):
        bi.simulate.sbc("normal", missing=0.9, rows=2, replicates=10, seed=1)


def test_where_a_replicate_fails_the_rest_is_not_worked_on(monkeypatch):
    begun = []

    def failing(shared, number):
        begun.append(number)
        time.sleep(0.01)
        raise SamplingError("no luck")

    monkeypatch.setattr(calibration, "_remote_replicate", failing)
    with ThreadPoolExecutor(1) as pool, pytest.raises(SamplingError, match="no luck"):
        bi.simulate.sbc("normal", effects="none", replicates=300, seed=1, executor=pool)
    assert len(begun) < 300
