"""The logistic model of missingness, rows of a cluster being alike."""

import arviz
import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi


def study(n_clusters, rows, sd, seed):
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(n_clusters), rows)
    n = len(g)
    df = pd.DataFrame({"g": g, "x": rng.normal(10, 2, n), "k": rng.choice(["u", "v", "w"], n)})
    eta = -0.5 + 0.6 * (df["x"] - 10) + 1.0 * (df["k"] == "w") + sd * rng.normal(size=n_clusters)[g]
    df["y"] = np.where(rng.random(n) < 1 / (1 + np.exp(-eta)), np.nan, 1.0 * np.arange(n))
    return df


@pytest.fixture(scope="module")
def small():
    df = study(6, 20, 1.0, 1)
    df["z"] = df["x"].where(np.arange(len(df)) % 10 > 0)
    df["one"], df["day"] = 3, pd.Timestamp("2020-01-01")
    return df


@pytest.fixture(scope="module")
def fitted(small):
    return bi.missing_model(small, "y", cluster="g", draws=30, chains=2, seed=4)


def test_the_table_has_a_row_a_coefficient_with_its_diagnostics(fitted, small):
    reference = small["k"].value_counts().idxmax()
    others = [f"k[{label}]" for label in small["k"].unique() if label != reference]
    assert fitted.table.index.tolist() == ["(Intercept)", "x", *others]
    assert fitted.predictors == ("x", "k")
    assert fitted.between.index.tolist() == ["sd_intercept", "icc"]
    table = fitted.table
    assert (table["conf_low"] < table["estimate"]).all()
    assert (table["estimate"] < table["conf_high"]).all()
    np.testing.assert_allclose(table["odds_ratio"], np.exp(table["estimate"]))
    x = fitted.posterior.draws["beta"][..., 0]
    assert table.loc["x", "r_hat"] == pytest.approx(arviz.rhat(x, method="rank"))
    assert table.loc["x", "estimate"] == pytest.approx(x.mean())
    assert table.loc["x", "p_positive"] == (x > 0).mean()
    assert fitted.n_missing == small["y"].isna().sum()


def test_it_shows_itself_and_hands_out_its_draws(fitted):
    assert "Log odds that 'y' is missing, random intercept by 'g'" in repr(fitted)
    assert fitted._repr_html_().count("<table") == 2
    posterior = fitted.datatree["posterior"]
    assert posterior["y.beta"].shape == (2, 30, 3)
    assert (
        posterior["y.beta_element" if "y.beta_element" in posterior else "beta_element"].size == 3
    )


def test_rows_with_a_missing_predictor_are_left_out_and_counted(small):
    found = bi.missing_model(small, "y", ["z"], draws=20, chains=1, seed=4)
    assert (found.n_rows, found.n_left_out) == (108, 12)
    assert found.between.empty
    assert "12 rows left out, a predictor missing" in repr(found)
    alone = bi.missing_model(small.dropna(subset="z"), "y", "z", draws=20, chains=1, seed=4)
    pd.testing.assert_frame_equal(found.table, alone.table)


def test_rows_in_any_order_and_other_labels_give_the_same_bits(small, fitted):
    other = small.sample(frac=1, random_state=1).assign(
        g=lambda d: d["g"].map("fdbeca".__getitem__)
    )
    again = bi.missing_model(other, "y", cluster="g", draws=30, chains=2, seed=4)
    assert again.table.loc[fitted.table.index].equals(fitted.table)


@pytest.mark.slow
def test_it_finds_what_missingness_depends_on():
    found = bi.missing_model(study(40, 30, 1.0, 7), "y", cluster="g", draws=100, seed=1)
    truth = {"x": 0.6}
    reference = set("uvw") - {label[2:-1] for label in found.table.index if label.startswith("k[")}
    if reference != {"w"}:
        truth["k[w]"] = 1.0
    for term, value in truth.items():
        assert (
            abs(found.table.loc[term, "estimate"] - value) < 3 * found.table.loc[term, "std_error"]
        )
    assert found.between.loc["sd_intercept", "conf_low"] < 1 < found.between["conf_high"].iloc[0]
    assert found.table["r_hat"].max() < 1.1


@pytest.mark.slow
def test_ignoring_clusters_makes_a_property_of_clusters_look_too_certain():
    df = study(30, 20, 1.5, 9)
    df["size"] = np.random.default_rng(1).normal(size=30)[df["g"]]
    errors = [
        bi.missing_model(df, "y", ["size"], cluster, draws=60, seed=1).table.loc[
            "size", "std_error"
        ]
        for cluster in (None, "g")
    ]
    assert errors[1] > 2 * errors[0]


def test_what_cannot_be_modelled_says_so(small):
    with pytest.raises(bi.DataError, match=r"'x' is missing in 0 row\(s\): too few"):
        bi.missing_model(small, "x")
    with pytest.raises(bi.DataError, match="in the rows where all predictors are observed"):
        bi.missing_model(small.assign(w=small["y"]), "y", ["w"])
    with pytest.raises(bi.SpecificationError, match="'g', which is the cluster column"):
        bi.missing_model(small, "y", ["g"], cluster="g")
    with pytest.raises(bi.SpecificationError, match="which is the variable itself"):
        bi.missing_model(small, "y", ["y"])
    with pytest.raises(bi.SpecificationError, match="neither a number nor a category"):
        bi.missing_model(small, "y", ["day"])
    with pytest.raises(bi.SpecificationError, match="no spread"):
        bi.missing_model(small, "y", ["one"])
    with pytest.raises(bi.SpecificationError, match="no column of the data"):
        bi.missing_model(small, "y", ["xx"])
    with pytest.raises(bi.SpecificationError, match="chains=0"):
        bi.missing_model(small, "y", chains=0)
