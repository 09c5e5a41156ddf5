"""Latent cluster means: a variable of clusters that no row shows, and rows around it."""

import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi
from bayesimpute.imputation import specified

FORMULA = "y ~ x + latent_mean(x) + (1 | g)"


def simulated(clusters=30, rows=6):
    """Contextual effect 1: y goes with the mean of the cluster, whatever rows are there."""
    rng = np.random.default_rng(5)
    g = np.repeat(np.arange(clusters), rows)
    mean = rng.normal(3, 1, clusters)[g]
    x = mean + rng.normal(0, 1.5, g.size)
    y = 0.5 * x + mean + rng.normal(0, 0.4, clusters)[g] + rng.normal(0, 0.5, g.size)
    frame = pd.DataFrame({"g": [f"c{k}" for k in g], "x": x, "y": y, "z": rng.normal(size=g.size)})
    frame.loc[rng.random(g.size) < 0.2, "x"] = np.nan
    return frame


@pytest.fixture(scope="module")
def frame():
    return simulated()


@pytest.fixture(scope="module")
def imp(frame):
    return bi.impute(
        frame[["g", "x", "y"]], analysis=FORMULA, m=2, iterations=30, seed=2, progress=False
    )


def test_the_mean_has_a_model_among_clusters_and_rows_are_around_it(frame):
    found = specified(frame, analysis=FORMULA, method={"z": ""})
    assert found.visit_sequence == ("latent_mean(x)", "x", "y")
    mean, rows = found.targets["latent_mean(x)"], found.targets["x"]
    assert mean.level == 2 and rows.around == "latent_mean(x)" and not rows.random_intercept
    assert found.live["latent_mean(x)"].all()
    np.testing.assert_array_equal(found.live["x"], np.isnan(found.table.values["x"]))


def test_a_complete_variable_has_a_latent_mean_as_well(frame):
    whole = frame.dropna()
    found = specified(whole, analysis=FORMULA, method={"z": ""})
    assert found.targets["x"].around == "latent_mean(x)" and not found.live["x"].any()


def test_completed_data_have_one_value_a_cluster(imp):
    completed = imp.complete(1)
    assert completed.groupby("g")["latent_mean(x)"].nunique().eq(1).all()
    off = completed["latent_mean(x)"] - completed.groupby("g")["x"].transform("mean")
    assert 0.2 < off.std() < 1.0  # 1.5 / sqrt(6) = 0.6 by chance of the rows


def test_the_contextual_effect_is_that_of_the_mean_that_rows_are_around(imp):
    """The mean of six rows has reliability 1 / (1 + 1.5² / 6) = 0.73."""
    table, truth = imp.analysis, {"x": 0.5, "latent_mean(x)": 1.0}
    for term, value in truth.items():
        assert abs(table.at[term, "estimate"] - value) < 3 * table.at[term, "sd"], table
    manifest = bi.fit([imp.complete(1)] * 2, "y ~ x + cluster_mean(x) + (1 | g)").pool()
    at_hand = manifest.table.at["cluster_mean(x)", "estimate"]
    assert table.at["latent_mean(x)", "estimate"] > at_hand + 0.1


def test_fit_knows_it_as_the_analysis_has_it(imp):
    terms = imp.fit(FORMULA).pool().table.index.tolist()
    assert terms == ["(Intercept)", "x", "latent_mean(x)"] == imp.fit().pool().table.index.tolist()


def test_a_file_goes_on_without_anything_given_again(imp, tmp_path):
    imp.to_netcdf(tmp_path / "imp.nc")
    opened = bi.open(tmp_path / "imp.nc")
    pd.testing.assert_frame_equal(
        opened.extend(1, progress=False).complete("long"),
        imp.extend(1, progress=False).complete("long"),
    )


def test_predictions_are_on_the_scale_of_the_data(imp):
    tree = imp.predictive("x", draws=20)
    drawn, seen = tree["posterior_predictive"]["x"], tree["observed_data"]["x"]
    assert abs(float(drawn.mean() - seen.mean())) < 0.3 and float(seen.mean()) > 2
    with pytest.raises(bi.SpecificationError, match="no value of it is observed"):
        imp.predictive("latent_mean(x)")
    assert imp.overimpute(draws=60).table.index.tolist() == ["x", "y"]


def test_diagnosis_and_report_know_that_no_mean_was_observed(imp, frame, tmp_path):
    assert "constant imputed values" not in set(imp.diagnose()["finding"])
    page = imp.report(tmp_path / "page.html", {"A": imp.fit()}, checks=True).read_text("utf-8")
    complete = int(frame["x"].notna().sum())
    assert "180 rows and 3 columns, by Bayesian models compatible with the analysis" in page
    assert f"{complete} rows are complete" in page
    assert "Not made" not in page and "not analysed" not in page
    assert "<h1>Multiple imputation of x</h1>" in page and "y (0 % missing)" not in page


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        ({}, {"method": {"x": "gamma"}}, "'x' must be a number with a normal model"),
        ({"x": lambda d: d["g"].str[1:].astype(float)}, {}, "no rows within clusters"),
        ({}, {"formulas": {"x": "x ~ z + (1 + z | g)"}}, "a cluster has no one mean"),
        ({}, {"analysis": "y ~ latent_mean(w) + (1 | g)"}, "no column 'w'"),
        ({}, {"analysis": "y ~ x + latent_mean(x)"}, "needs clusters|no rows within clusters"),
    ],
)
def test_what_has_no_latent_mean_is_refused(frame, change, options, words):
    with pytest.raises(bi.SpecificationError, match=words):
        specified(frame.assign(**change), **{"analysis": FORMULA, **options})
