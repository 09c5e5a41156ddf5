"""ampute: shares, curves, odds, clusters and selection are what was asked for."""

import re

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats
from scipy.optimize import minimize
from scipy.special import log_ndtr, logit

from bayesimpute.errors import DataError, SpecificationError
from bayesimpute.simulate.ampute import ampute
from bayesimpute.simulate.ampute_patterns import CURVES, chances_on_curve
from bayesimpute.simulate.ampute_selection import Selection, _probit_mode, latent_residuals


def normal(n=4000, seed=0):
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=n), rng.exponential(size=n)
    return pd.DataFrame({"x": x, "y": 0.5 * x + rng.normal(size=n), "z": z})


def clustered(clusters=60, rows=40, seed=0):
    rng = np.random.default_rng(seed)
    c = np.repeat(np.arange(clusters), rows)
    x = rng.normal(size=len(c))
    w = rng.normal(size=clusters)[c]
    y = rng.normal(size=clusters)[c] + x + 0.5 * w + rng.normal(size=len(c))
    return pd.DataFrame({"c": c, "y": y, "x": x, "w": w})


def within_binomial_error(gone, chance):
    """Whether a count is within 4.5 SE of its expectation."""
    return abs(gone.sum() - chance.sum()) < 4.5 * np.sqrt((chance * (1 - chance)).sum())


# -- shares ------------------------------------------------------------------------------------


@pytest.mark.parametrize("type", list(CURVES))
@pytest.mark.parametrize("mech", ["MCAR", "MAR", "MNAR"])
def test_the_mean_chance_is_prop_and_the_share_within_binomial_error(mech, type):
    made = ampute(normal(), prop=0.23, mech=mech, type=type, seed=1)
    assert made.probability.mean() == pytest.approx(0.23, abs=1e-8)
    by_pattern = made.probability.groupby(made.candidate).mean()
    np.testing.assert_allclose(by_pattern, 0.23, atol=1e-8)
    assert within_binomial_error(made.incomplete.isna().any(axis=1), made.probability)
    assert made.probability.std() > 0.01 or mech == "MCAR"


def test_rows_lose_what_their_pattern_says_and_nothing_else():
    made = ampute(normal(), patterns=[["x"], ["y", "z"]], freq=[3, 1], seed=2)
    assert made.patterns.to_numpy().tolist() == [[0, 1, 1], [1, 0, 0]]
    lost = made.incomplete.isna()
    for pattern, wanted in {0: [0, 0, 0], 1: [1, 0, 0], 2: [0, 1, 1]}.items():
        assert (lost[made.pattern == pattern] == np.array(wanted, bool)).all(axis=None)
    assert (made.candidate == 1).mean() == pytest.approx(0.75, abs=0.03)
    assert made.incomplete.where(~lost, made.complete).equals(made.complete)


@pytest.mark.parametrize(
    "patterns",
    [
        [["x"], ["x", "y"]],
        ["x", ["y", "x"]],
        pd.DataFrame({"x": [0, 0], "y": [1, 0]}),
        np.array([[0, 1, 1], [0, 0, 1]]),
    ],
)
def test_patterns_may_be_names_or_a_matrix(patterns):
    made = ampute(normal(50), patterns=patterns, seed=1)
    assert made.patterns.to_numpy().tolist() == [[0, 1, 1], [0, 0, 1]]
    again = ampute(normal(50), patterns=made.patterns, seed=1)
    assert again.incomplete.equals(made.incomplete)


def test_a_proportion_of_cells_becomes_one_of_rows():
    made = ampute(normal(), prop=0.2, bycases=False, seed=3)
    assert made.probability.mean() == pytest.approx(0.6, abs=1e-8)  # as mice 3.15 has it
    assert made.incomplete.isna().to_numpy().mean() == pytest.approx(0.2, abs=0.01)
    made = ampute(
        normal(), 0.2, patterns=[["x"], ["x", "y"]], freq=[0.25, 0.75], bycases=False, seed=3
    )
    assert made.probability.mean() == pytest.approx(0.2 * 3 / 1.75, abs=1e-8)
    assert made.incomplete.isna().to_numpy().mean() == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize("prop", [0, 1])
def test_none_and_all_of_the_rows_are_proportions_too(prop):
    made = ampute(normal(90), prop=prop, seed=1)
    assert (made.incomplete.isna().any(axis=1) == bool(prop)).all()


# -- scores ------------------------------------------------------------------------------------


def test_mar_scores_ignore_the_columns_that_go_missing():
    df = normal()
    made = ampute(df, patterns=["y"], seed=1)
    other = ampute(df.assign(y=df["y"].to_numpy()[::-1] ** 3), patterns=["y"], seed=1)
    assert other.probability.equals(made.probability)
    assert other.incomplete["y"].isna().equals(made.incomplete["y"].isna())
    z = (df - df.mean()) / df.std()
    np.testing.assert_allclose(made.scores, z["x"] + z["z"], atol=1e-12)


def test_mnar_scores_are_of_the_columns_that_go_missing():
    df = normal()
    made = ampute(df, patterns=["y"], mech="MNAR", seed=1)
    np.testing.assert_allclose(made.scores, (df["y"] - df["y"].mean()) / df["y"].std(), atol=1e-12)
    assert df["y"][made.incomplete["y"].isna()].mean() > df["y"].mean() + 0.3


def test_mcar_has_no_score_and_one_chance():
    made = ampute(normal(), prop=0.4, mech="MCAR", seed=1)
    assert made.scores.isna().all() and (made.probability == 0.4).all()


def test_weights_are_of_raw_columns_without_std():
    df = normal()
    weights = [{"x": 2, "z": -1}]
    made = ampute(df, patterns=["y"], weights=weights, std=False, seed=1)
    np.testing.assert_allclose(made.scores, 2 * df["x"] - df["z"], atol=1e-12)
    matrix = ampute(df, patterns=["y"], weights=np.array([2, 0, -1]), std=False, seed=1)
    assert matrix.incomplete.equals(made.incomplete)
    frame = pd.DataFrame([weights[0]])
    assert ampute(df, patterns=["y"], weights=frame, std=False, seed=1).scores.equals(made.scores)


@pytest.mark.parametrize("type, low, middle, high", [
    ("RIGHT", 0, 1, 2), ("LEFT", 2, 1, 0), ("MID", 0, 1, 0), ("TAIL", 1, 0, 1),
])  # fmt: skip
def test_each_type_takes_its_part_of_the_scores(type, low, middle, high):
    made = ampute(normal(), prop=0.3, patterns=["y"], type=type, seed=1)
    z = (made.scores - made.scores.mean()) / made.scores.std()
    lost = [made.incomplete["y"].isna()[part].mean() for part in (z < -1, abs(z) < 0.3, z > 1)]
    wanted = [low, middle, high]
    for a in range(3):
        for b in range(3):
            if wanted[a] > wanted[b]:
                assert lost[a] > lost[b] + 0.05
    # the whole curve, but for its shift
    left = logit(made.probability) - CURVES[type](z.to_numpy())
    assert np.ptp(left) < 1e-9


# Logits of the share amputed of 600 000 rows at each score, by mice 3.15 (ampute.continuous with
# prop = .3; its shift has an SE of about .02).
Z = [-2.0, -1.0, 0.0, 1.0, 2.0]
MICE = {
    "RIGHT": [-3.020, -2.013, -1.013, -0.018, 0.978],
    "LEFT": [0.985, -0.016, -1.013, -2.016, -3.016],
    "MID": [-2.130, -1.124, -0.123, -1.125, -2.131],
    "TAIL": [0.299, -0.703, -1.712, -0.702, 0.295],
}


@pytest.mark.parametrize("type", list(CURVES))
def test_chances_of_normal_scores_are_those_of_mice(type):
    scores = stats.norm.ppf((np.arange(100_000) + 0.5) / 100_000)
    chances = chances_on_curve(CURVES[type](scores), 0.3)
    ours = logit(np.interp(Z, scores, chances))
    np.testing.assert_allclose(ours, MICE[type], atol=0.07)


def test_the_chance_of_skewed_scores_has_its_mean_too():
    # of exponential scores mice 3.15 amputes 0.281 in place of 0.3
    made = ampute(normal(), prop=0.3, patterns=["y"], weights={"z": 1}, type="TAIL", seed=1)
    assert made.probability.mean() == pytest.approx(0.3, abs=1e-8)


def test_odds_are_relative_chances_of_quantile_groups():
    df = normal()
    made = ampute(df, prop=0.3, patterns=["y"], cont=False, seed=1)
    groups = pd.qcut(made.scores, 4, labels=False)
    by_group = made.probability.groupby(groups)
    np.testing.assert_allclose(by_group.mean(), [0.12, 0.24, 0.36, 0.48], atol=1e-8)  # as mice
    assert (by_group.nunique() == 1).all()
    assert within_binomial_error(made.incomplete["y"].isna(), made.probability)


def test_odds_are_capped_at_certainty_and_the_mean_stays():
    made = ampute(normal(), 0.7, ["x", "y"], cont=False, odds=[[1, 9], [0, 1, 1, 2]], seed=1)
    for k, most in {1: [0.4, 1], 2: [0, 0.9, 1]}.items():
        found = made.probability[made.candidate == k]
        assert found.mean() == pytest.approx(0.7, abs=1e-8)
        np.testing.assert_allclose(np.unique(found.round(6)), most, atol=0.02)


def test_equal_scores_share_a_group():
    df = normal().assign(x=lambda d: (d["x"] > 1).astype(int))
    made = ampute(df, 0.3, ["y"], weights={"x": 1}, cont=False, odds=[1, 2, 3], seed=1)
    low, high = (made.probability[df["x"] == value] for value in (0, 1))
    assert low.nunique() == high.nunique() == 1
    assert high.max() == pytest.approx(3 * low.max())
    assert made.probability.mean() == pytest.approx(0.3, abs=1e-8)


# -- kinds of columns --------------------------------------------------------------------------


def kinds(n=400, seed=0):
    rng = np.random.default_rng(seed)
    grades = pd.CategoricalDtype(["low", "mid", "high", "never"], ordered=True)
    return pd.DataFrame(
        {
            "grade": pd.Categorical.from_codes(rng.integers(0, 3, n), dtype=grades),
            "colour": rng.choice(["red", "green", "blue"], n),
            "sex": pd.Categorical(rng.choice(["m", "f"], n)),
            "count": rng.integers(0, 9, n),
            "nullable": pd.array(rng.integers(0, 9, n), dtype="Int64"),
            "flag": rng.random(n) < 0.5,
            "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 99, n), unit="D"),
            "age": rng.normal(size=n),
        },
        index=rng.permutation(n),
    )


def test_every_kind_of_column_goes_missing_and_keeps_its_dtype():
    df = kinds()
    made = ampute(df, prop=0.8, seed=1)
    assert (made.incomplete.isna().sum() > 10).all()
    changed = {"count": np.dtype(float), "flag": pd.BooleanDtype()}
    for name in df:
        assert made.incomplete[name].dtype == changed.get(name, df[name].dtype), name
        kept = made.incomplete[name].notna()
        assert (made.incomplete[name][kept] == df[name][kept]).all(), name
    untouched = ampute(df, patterns=["age"], seed=1).incomplete
    assert untouched.drop(columns="age").equals(df.drop(columns="age"))


def test_ordered_categories_count_by_position_and_others_by_the_numbers_given():
    df = kinds()
    made = ampute(df, patterns=["age"], weights={"grade": 1}, std=False, seed=1)
    assert made.scores.tolist() == df["grade"].cat.codes.tolist()
    weights = {"colour": {"red": 2.0, "blue": -1.0}}
    made = ampute(df, patterns=["age"], weights=weights, std=False, seed=1)
    assert made.scores.equals(df["colour"].map({"red": 2.0, "green": 0.0, "blue": -1.0})
                              .rename("score"))  # fmt: skip


def test_categories_without_order_and_dates_enter_no_score_by_default():
    df = kinds()
    made = ampute(df, patterns=["age"], seed=1)
    other = df.assign(colour=df["colour"].to_numpy()[::-1], day=df["day"].to_numpy()[::-1])
    assert ampute(other, patterns=["age"], seed=1).scores.equals(made.scores)


def test_the_data_are_not_touched_and_the_complete_ones_are_a_copy():
    df = kinds()
    before = df.copy(deep=True)
    made = ampute(df, prop=0.9, seed=1)
    assert df.equals(before) and made.complete.equals(before)
    assert made.complete is not df and made.incomplete.index.equals(df.index)


# -- seeds and order ---------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_data_and_none_records_a_fresh_one():
    df = clustered()
    arguments = {"cluster": "c", "systematic": {"x": 0.2}, "prop_sd": 0.5}
    one = ampute(df, seed=5, **arguments)
    assert ampute(df, seed=5, **arguments).incomplete.equals(one.incomplete)
    assert not ampute(df, seed=6, **arguments).incomplete.equals(one.incomplete)
    fresh = ampute(df, seed=None, **arguments)
    assert ampute(df, seed=fresh.seed, **arguments).incomplete.equals(fresh.incomplete)


def test_shuffled_rows_and_renamed_clusters_lose_the_same_values():
    df = clustered()
    arguments = {
        "cluster": "c", "systematic": {"x": 0.2}, "prop_sd": 0.5, "seed": 5, "patterns": ["x", "w"],
        "selection": {"y": Selection({"x": 1.0}, rho=0.5, intercept_sd=0.5)},
    }  # fmt: skip
    made = ampute(df, **arguments)
    shuffled = ampute(df.sample(frac=1, random_state=1), **arguments)
    renamed = ampute(df.assign(c="k" + (97 - df["c"]).astype(str)), **arguments)
    gone = made.incomplete.isna()
    assert shuffled.incomplete.isna().sort_index().equals(gone)
    assert shuffled.pattern.sort_index().equals(made.pattern)
    assert renamed.incomplete.isna().equals(gone)
    assert renamed.systematic["x"] == tuple(f"k{97 - label}" for label in made.systematic["x"])


# -- clusters ----------------------------------------------------------------------------------


def missing_by_cluster(made, name, cluster="c"):
    return made.incomplete[name].isna().groupby(made.complete[cluster]).mean()


def test_systematically_missing_means_in_all_rows_of_these_clusters():
    made = ampute(
        clustered(), 0.0, cluster="c", systematic={"x": 0.2, "y": [3, 5], "w": 0.1}, seed=1
    )
    for name, n in {"x": 12, "y": 2, "w": 6}.items():
        share = missing_by_cluster(made, name)
        assert set(share) == {0.0, 1.0}
        assert tuple(share.index[share == 1]) == made.systematic[name]
        assert len(made.systematic[name]) == n
    assert made.systematic["y"] == (3, 5)
    assert not made.incomplete["c"].isna().any()


def test_clusters_are_chosen_without_looking_at_values():
    df = clustered()
    made = ampute(df, 0.0, cluster="c", systematic={"x": 0.3}, seed=1)
    other = ampute(df.assign(x=-(df["x"] ** 3)), 0.0, cluster="c", systematic={"x": 0.3}, seed=1)
    assert other.systematic == made.systematic
    assert ampute(df, 0.0, cluster="c", systematic={"x": 0.3}, seed=2).systematic != made.systematic


def test_mar_stays_mar_where_a_variable_of_the_score_is_systematically_missing():
    df = clustered()
    gone = df["c"] < 20
    arguments = {
        "patterns": ["y"], "cluster": "c", "systematic": {"x": list(range(20))}, "seed": 1,
    }  # fmt: skip
    made = ampute(df, **arguments)
    other = df.assign(x=df["x"].where(~gone, 100 * df["x"] ** 2))
    assert ampute(other, **arguments).incomplete["y"].equals(made.incomplete["y"])
    # said to be missing not at random, it is
    not_at_random = {**arguments, "patterns": ["x"], "mech": "MNAR"}
    one, two = (ampute(each, **not_at_random).probability for each in (df, other))
    assert not one.equals(two)


def test_a_variable_of_clusters_goes_missing_in_whole_clusters():
    made = ampute(clustered(), prop=0.4, cluster="c", seed=1)  # patterns: y, x, w
    assert set(missing_by_cluster(made, "w")) == {0.0, 1.0}
    for name in ("x", "y"):
        assert missing_by_cluster(made, name).between(0.01, 0.99).mean() > 0.5
    assert made.probability.mean() == pytest.approx(0.4, abs=1e-8)
    for values in (made.probability, made.candidate, made.scores):
        whole = made.candidate.eq(3)
        assert (values[whole].groupby(made.complete["c"][whole]).nunique() == 1).all()
    z = made.complete[["x", "y"]].apply(lambda v: (v - v.mean()) / v.std()).sum(axis=1)
    means = z.groupby(made.complete["c"]).transform("mean")
    np.testing.assert_allclose(made.scores[whole], means[whole], atol=1e-12)


def test_a_pattern_with_a_variable_of_clusters_takes_all_its_variables_by_cluster():
    made = ampute(clustered(400, 5), 0.5, [["x", "w"]], cluster="c", seed=1)
    for name in ("x", "w"):
        assert set(missing_by_cluster(made, name)) == {0.0, 1.0}
    chance = made.probability.groupby(made.complete["c"]).first()
    assert chance.std() > 0.1 and within_binomial_error(missing_by_cluster(made, "x"), chance)


def test_clusters_are_candidates_of_patterns_as_often_as_rows():
    made = ampute(clustered(2000, 2), cluster="c", freq=[0.5, 0.2, 0.3], seed=1)
    shares = made.candidate.value_counts(normalize=True).sort_index()
    np.testing.assert_allclose(shares, [0.5, 0.2, 0.3], atol=0.04)


def test_a_date_of_clusters_is_known_to_be_constant_in_them():
    df = clustered(20, 10)
    days = pd.Timestamp("2020-01-01") + pd.to_timedelta(df["c"], unit="D")
    visits = pd.Timestamp("2020-01-01") + pd.to_timedelta(np.arange(len(df)), unit="D")
    made = ampute(
        df.assign(founded=days, visit=visits), 0.5, ["founded", "visit"], cluster="c", seed=1
    )
    assert set(missing_by_cluster(made, "founded")) == {0.0, 1.0}
    assert missing_by_cluster(made, "visit").between(0.01, 0.99).any()


@pytest.mark.parametrize("cluster", [None, "c"])
def test_cells_without_a_hash_go_missing_too(cluster):
    df = clustered(6, 4).assign(lists=lambda df: [[k] for k in df["c"]])
    made = ampute(df, 0.5, ["lists"], mech="MCAR", cluster=cluster, seed=1)
    gone = made.incomplete["lists"].isna().groupby(df["c"]).mean()
    assert 0 < gone.mean() < 1 and gone.isin([0, 1]).all() == (cluster is not None)


def test_chances_vary_between_clusters_with_the_sd_asked_for():
    df = clustered(400, 10)
    made = ampute(df, 0.3, ["y"], mech="MCAR", cluster="c", prop_sd=0.8, seed=1)
    assert made.probability.mean() == pytest.approx(0.3, abs=1e-8)
    effects = logit(made.probability).groupby(df["c"])
    assert (effects.nunique() == 1).all()
    assert effects.first().std() == pytest.approx(0.8, abs=0.12)
    assert abs(effects.first().skew()) < 0.5
    discrete = ampute(
        df, 0.3, ["y"], cluster="c", prop_sd=0.8, cont=False, odds=[0, 1, 2], seed=1
    ).probability
    assert discrete.mean() == pytest.approx(0.3, abs=1e-8)
    assert (discrete == 0).mean() == pytest.approx(1 / 3, abs=0.01)


def test_each_cluster_can_have_its_own_share():
    df = clustered(5, 400)
    wanted = {0: 0.1, 1: 0.9, 2: 0.0, 3: 0.5, 4: 0.3}
    made = ampute(df, wanted, ["x", "y"], cluster="c", seed=1)
    np.testing.assert_allclose(
        made.probability.groupby(df["c"]).mean(), list(wanted.values()), atol=1e-8
    )
    assert made.probability[df["c"] == 3].std() > 0.1
    cells = ampute(df, {k: v / 4 for k, v in wanted.items()}, ["x"], cluster="c", bycases=False,
                   seed=1)  # fmt: skip
    np.testing.assert_allclose(
        cells.probability.groupby(df["c"]).mean(), [0.075, 0.675, 0, 0.375, 0.225], atol=1e-8
    )


# -- selection ---------------------------------------------------------------------------------


def selected(df, rho, **arguments):
    cluster = "c" if "c" in df else None
    equation = Selection({"x": 1.0}, rho=rho, **arguments)
    return ampute(df, 0.4, cluster=cluster, selection={"y": equation}, seed=1)


@pytest.mark.parametrize("rho", [-0.7, 0.0, 0.6])
def test_selection_has_the_correlation_and_the_share_asked_for(rho):
    df = clustered(100, 100)
    made = selected(df, rho, intercept_sd=0.6, slope_sd={"x": 0.3})
    equation = made.selection["y"]
    # e is known here: y without its cluster's intercept and x
    within = df - df.groupby("c").transform("mean")
    e = within["y"] - within["x"] * (within["x"] @ within["y"]) / (within["x"] @ within["x"])
    assert np.corrcoef(e, equation["error"])[0, 1] == pytest.approx(rho, abs=0.03)
    assert equation["error"].std() == pytest.approx(1, abs=0.03)
    assert equation["probability"].mean() == pytest.approx(0.4, abs=1e-8)
    lost = made.incomplete["y"].isna()
    assert lost.equals(equation["latent"].le(0).rename("y"))
    assert within_binomial_error(lost, equation["probability"])
    assert not made.incomplete.drop(columns="y").isna().any(axis=None)
    # seen residuals: E(e | seen) = ρ λ, of the sign of ρ
    seen = e[~lost].mean()
    assert abs(seen) < 0.03 if rho == 0 else np.sign(seen) == np.sign(rho) and abs(seen) > 0.2


def test_selection_without_correlation_is_missing_at_random():
    df = clustered()
    made = selected(df, 0.0, intercept_sd=0.6)
    other = selected(df.assign(y=df["y"].to_numpy()[::-1] ** 3), 0.0, intercept_sd=0.6)
    assert other.incomplete["y"].isna().equals(made.incomplete["y"].isna())
    assert made.selection["y"]["residual"].isna().all()


def test_selection_effects_have_their_coefficients_and_sds():
    df = clustered(400, 20)
    made = selected(df, 0.5, intercept_sd=0.6, slope_sd={"x": 0.3})
    equation = made.selection["y"]
    linear = equation["latent"] - equation["error"]
    z = (df["x"] - df["x"].mean()) / df["x"].std()
    lines = np.array([
        np.polyfit(z[rows], linear[rows], 1) for rows in df.groupby("c").groups.values()
    ])  # fmt: skip
    assert lines[:, 0].mean() == pytest.approx(1.0, abs=0.06)
    assert lines.std(axis=0) == pytest.approx([0.3, 0.6], abs=0.09)


def test_what_is_left_of_the_outcome_is_by_the_predictors_named():
    df = normal()
    made = selected(df, 0.6, outcome=["x"])
    design = np.column_stack([np.ones(len(df)), df["x"]])
    e = df["y"] - design @ np.linalg.lstsq(design, df["y"])[0]
    np.testing.assert_allclose(
        made.selection["y"]["residual"], e / np.sqrt((e**2).mean()), atol=1e-9
    )
    alone = selected(df, 0.6, outcome=[]).selection["y"]["residual"]
    np.testing.assert_allclose(alone, (df["y"] - df["y"].mean()) / df["y"].std(ddof=0), atol=1e-9)
    everything = selected(df, 0.6).selection["y"]["residual"]
    assert abs(np.corrcoef(everything, df["z"])[0, 1]) < 1e-9


@pytest.mark.parametrize("cluster", [False, True])
@pytest.mark.parametrize("labels", [(0, 1), ("no", "yes")])
def test_a_binary_outcome_is_selected_by_its_latent_residual(cluster, labels):
    rng = np.random.default_rng(2)
    c = np.repeat(np.arange(50), 120)
    x, e = rng.normal(size=(2, len(c)))
    latent = 0.3 + 0.8 * x + (0.7 * rng.normal(size=50)[c] if cluster else 0) + e
    df = pd.DataFrame({"y": np.array(labels)[(latent > 0).astype(int)], "x": x})
    made = selected(df.assign(c=c) if cluster else df, 0.6)
    equation = made.selection["y"]
    residual = equation["residual"]
    assert residual.mean() == pytest.approx(0, abs=0.05)
    assert residual.std() == pytest.approx(1, abs=0.04)
    assert np.corrcoef(residual, x)[0, 1] == pytest.approx(0, abs=0.04)
    assert np.corrcoef(residual, equation["error"])[0, 1] == pytest.approx(0.6, abs=0.03)
    assert equation["error"].std() == pytest.approx(1, abs=0.04)
    # with a positive correlation, ones are seen more often than x alone would have it
    near = (abs(x) < 0.2) & made.incomplete["y"].notna()
    ones = (made.complete["y"] == labels[1]).astype(float)
    assert ones[near].mean() > ones[abs(x) < 0.2].mean() + 0.05


def test_the_latent_residual_of_a_binary_outcome_agrees_with_it():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(5000, 1))
    y = (0.4 + 0.9 * x[:, 0] + rng.normal(size=5000) > 0).astype(float)
    e = latent_residuals("y", y, x, None, np.random.default_rng(1))
    again = latent_residuals("y", y, x, None, np.random.default_rng(2))
    assert np.corrcoef(e, again)[0, 1] < 0.8  # drawn
    # η by statsmodels; the prior of the slope moves it by less than .01
    eta = sm.Probit(y, sm.add_constant(x)).fit(disp=False).fittedvalues
    assert ((eta + e > 0) == (y == 1)).mean() > 0.998
    assert stats.kstest(e, "norm").pvalue > 0.01


def test_the_fit_of_a_binary_outcome_is_the_mode_of_its_posterior():
    rng = np.random.default_rng(4)
    codes = rng.integers(0, 12, 300)
    x = rng.normal(size=(300, 2))
    effects = 2 * rng.normal(size=12)
    y = (x[:, 0] + effects[codes] + rng.normal(size=300) > 0).astype(float)
    design = np.column_stack([np.ones(300), x, codes[:, None] == np.arange(12)])
    precision = np.r_[0, [2.5**-2] * 2, [1.0] * 12]

    def loss(beta):
        return precision @ beta**2 / 2 - log_ndtr((2 * y - 1) * (design @ beta)).sum()

    found = minimize(loss, np.zeros(15), method="BFGS", options={"gtol": 1e-4})
    np.testing.assert_allclose(_probit_mode(y, x, codes), design @ found.x, atol=1e-4)


def test_clusters_with_one_value_of_a_binary_outcome_do_no_harm():
    df = clustered(30, 6).assign(y=lambda d: ((d["y"] > 0) | (d["c"] < 10)).astype(int))
    equation = selected(df, -0.5).selection["y"]
    assert np.isfinite(equation.to_numpy()).all()
    assert equation["probability"].mean() == pytest.approx(0.4, abs=1e-8)


def test_selection_and_patterns_go_together_where_both_are_asked_for():
    df = clustered()
    made = ampute(
        df, 0.3, ["x"], cluster="c", seed=1, systematic={"y": [0, 1]},
        selection={"y": Selection({"x": 1.0}, rho=0.5, prop=0.2)},
    )  # fmt: skip
    assert made.selection["y"]["probability"].mean() == pytest.approx(0.2, abs=1e-8)
    assert made.incomplete["x"].isna().mean() == pytest.approx(0.3, abs=0.05)
    assert made.incomplete["y"].isna()[df["c"] < 2].all()
    # y is not observed: the score of the pattern must not see it
    assert np.corrcoef(made.scores, df["w"])[0, 1] == pytest.approx(1)


def test_the_share_of_a_selection_is_that_of_the_call_where_patterns_count_cells():
    made = ampute(
        clustered(), 0.1, ["x"], bycases=False, cluster="c", seed=1,
        selection={"y": Selection({"x": 1.0})},
    )  # fmt: skip
    assert made.selection["y"]["probability"].mean() == pytest.approx(0.1, abs=1e-8)
    assert made.probability.mean() == pytest.approx(0.1 * (made.patterns.shape[1]), abs=1e-8)


def test_the_share_of_a_selection_can_differ_by_cluster():
    df = clustered(3, 300)
    made = ampute(df, {0: 0.1, 1: 0.5, 2: 0.0}, cluster="c", seed=1,
                  selection={"y": Selection({"x": 1.0}, rho=0.5)})  # fmt: skip
    by_cluster = made.selection["y"]["probability"].groupby(df["c"]).mean()
    np.testing.assert_allclose(by_cluster, [0.1, 0.5, 0], atol=1e-8)


# -- words -------------------------------------------------------------------------------------


def test_its_text_counts_what_is_missing():
    made = ampute(clustered(), cluster="c", systematic={"x": [1, 2]}, patterns=["y"], seed=4)
    text = repr(made)
    n = int(made.incomplete["y"].isna().sum())
    assert "of 2400 rows incomplete" in text and "seed 4" in text
    assert re.search(rf"y +{n} +{n / 24:.1f}% +0\n", text)
    assert re.search(r"x +80 +3.3% +2\n", text)
    assert re.search(rf"1 +2400 +{n} +0.500 +y$", text)


MISSING = normal(9).assign(y=[1.0, None] + [0.0] * 7)
CATEGORIES = pd.DataFrame({"a": list("uvw") * 3, "b": range(9)})


@pytest.mark.parametrize("df, arguments, words", [
    (MISSING, {}, "'y' already has 1 missing value.*index 1"),
    (normal(9).assign(x=np.inf), {}, "'x' has 9 infinite"),
    ([1, 2], {}, "pandas DataFrame"),
    (clustered(3, 3).assign(c=[None, *range(8)]), {"cluster": "c"}, "'c' already has 1 missing"),
])  # fmt: skip
def test_data_that_cannot_be_amputed_are_refused_in_words(df, arguments, words):
    with pytest.raises(DataError, match=words):
        ampute(df, seed=1, **arguments)


@pytest.mark.parametrize("arguments, words", [
    ({"prop": 1.2}, "prop=1.2 must be a proportion"),
    ({"prop": True}, "prop=True must be a proportion"),
    ({"prop": {0: 0.5}}, "share for each cluster; say which"),
    ({"prop": {0: 0.5, 1: 0.2}, "cluster": "c"}, "no proportion for 1 of 3 clusters: '2'"),
    ({"prop": {0: 0.5, 7: 0.2}, "cluster": "c"}, "prop names cluster 7, which is not"),
    ({"prop": {0: 0.5, 1: 2, 2: 0}, "cluster": "c"}, r"prop\[1\]=2 must be a proportion"),
    ({"prop": 0.5, "bycases": False}, "prop=0.5 of the cells cannot go missing.*0.25"),
    ({"patterns": [["xx"]]}, "'xx', which is no column.*mean 'x'"),
    ({"patterns": [["c"]], "cluster": "c"}, "'c', which is no column that can go missing"),
    ({"patterns": [[0, 1, 1, 1]]}, "patterns must be a list with"),
    ({"patterns": [["x"], []]}, "Pattern 2 takes no variable"),
    ({"patterns": []}, "patterns is empty"),
    ({"patterns": np.array([[2, 1, 1, 1]])}, "1 .stays observed. and 0"),
    ({"patterns": np.array([[0, 1]])}, "must have 4 columns, in the order c, y, x, w"),
    ({"patterns": pd.DataFrame({"q": [0]})}, "patterns has a column 'q'"),
    ({"patterns": [["c", "y", "x", "w"]]}, "in pattern 1 no variable with.*stays observed"),
    ({"freq": [1, 2]}, "must be 4 relative frequencies"),
    ({"freq": [1, 1, 1, -1]}, "must be 4 relative frequencies"),
    ({"mech": "MARR"}, "mech='MARR' must be one of"),
    ({"mech": "MCAR", "weights": {"x": 1}}, "'MCAR' has no weights"),
    ({"weights": {"q": 1}}, "weights of pattern 1 names 'q'"),
    ({"weights": {"x": "a"}}, "the weight of 'x' is 'a'; it must be a finite"),
    ({"weights": {"x": {"a": 1}}}, "'x' has numbers, not labels"),
    ({"weights": [{"x": 1}]}, "weights has 1 rows for 4 patterns"),
    ({"weights": [1, 2]}, "weights must be a mapping"),
    ({"type": "RITE"}, "type='RITE' must be one of.*'RIGHT'"),
    ({"type": ["LEFT", "MID"]}, "type has 2 entries for 4"),
    ({"type": 3}, "type=3 must be one of"),
    ({"odds": [1, 2]}, "give cont=False"),
    ({"cont": False, "odds": [0, 0]}, "odds of pattern 1 are all 0"),
    ({"cont": False, "odds": [[1], [2]]}, "odds has 2 rows for 4"),
    ({"cont": False, "odds": [-1, 2]}, "must be numbers from 0"),
    ({"cont": False, "odds": 3}, "odds=3 must be numbers"),
    ({"cont": False, "odds": [0, 0, 1], "prop": 0.6}, "odds of 0 leave .* in pattern 1, too few"),
    ({"std": 1}, "std=1 must be True or False"),
    ({"seed": -1}, "seed=-1 must be a whole number"),
    ({"seed": 1.5}, "seed=1.5 must be a whole number"),
    ({"cluster": "cc"}, "cluster='cc' is no column.*mean 'c'"),
    ({"systematic": {"x": 0.3}}, "systematic is about clusters"),
    ({"systematic": ["x"], "cluster": "c"}, "must be a mapping"),
    ({"systematic": {"c": 0.3}, "cluster": "c"}, "systematic names 'c'"),
    ({"systematic": {"x": 0.1}, "cluster": "c"}, "less than half a cluster"),
    ({"systematic": {"x": 0.9}, "cluster": "c"}, "from all 3 clusters"),
    ({"systematic": {"x": [9]}, "cluster": "c"}, "names cluster 9"),
    ({"systematic": {"x": "0"}, "cluster": "c"}, "must be a share of the clusters or a list"),
    ({"prop_sd": 0.5}, "prop_sd is about clusters"),
    ({"prop_sd": -1, "cluster": "c"}, "prop_sd=-1 must be a number from 0"),
    ({"prop": {0: 0, 1: 0, 2: 0}, "prop_sd": 1, "cluster": "c"}, "nothing is left for prop_sd"),
    ({"selection": Selection({"x": 1})}, "must be a mapping"),
    ({"selection": {"y": 0.5}}, "must be a Selection.*not float"),
    ({"selection": {"q": Selection({"x": 1})}}, "selection names 'q'"),
    ({"selection": {"y": Selection({"q": 1})}}, "names 'q': which is no column"),
    ({"selection": {"y": Selection({"y": 1})}}, "itself is said by rho"),
    ({"selection": {"y": Selection({"c": 1})}, "cluster": "c"}, "the cluster column; effects"),
    ({"selection": {"y": Selection({}, outcome=["q"])}}, "names 'q': which is no column"),
    ({"selection": {"y": Selection({}, intercept_sd=1)}}, "say which with cluster="),
    ({"selection": {"w": Selection({"x": 1})}, "cluster": "c"}, "selection is of rows"),
    ({"selection": {"y": Selection({})}, "patterns": ["y"]}, "takes 'y' away.*choose one"),
    ({"selection": {"y": Selection({})}, "freq": [1]}, "freq is about patterns"),
    ({"selection": {"y": Selection({})}, "mech": "MNAR"}, "mech is about patterns"),
    ({"selection": {"y": Selection({})}, "bycases": False}, "bycases is about patterns"),
])  # fmt: skip
def test_arguments_that_do_not_fit_are_refused_in_words(arguments, words):
    with pytest.raises(SpecificationError, match=words):
        ampute(clustered(3, 10), **{"seed": 1, **arguments})


@pytest.mark.parametrize("arguments, words", [
    ({"patterns": ["b"], "weights": {"a": 1}}, "'a' have no order; give it weight 0, or a number"),
    ({"patterns": ["b"], "weights": {"a": {"q": 1}}}, "'a' has no label 'q', only 'u', 'v', 'w'"),
    ({"patterns": ["b"]}, "pattern 1 no variable with numbers or an order stays observed"),
    ({"patterns": ["a"], "mech": "MNAR"}, "numbers or an order goes missing"),
    ({"selection": {"b": Selection({"a": 1})}}, "'a' are no numbers and have no order"),
    ({"selection": {"a": Selection({"b": 1}, rho=0.5)}}, "'a' have no order, so rho has no"),
])  # fmt: skip
def test_categories_without_order_are_refused_where_order_matters(arguments, words):
    with pytest.raises(SpecificationError, match=words):
        ampute(CATEGORIES, seed=1, **arguments)


@pytest.mark.parametrize("arguments, words", [
    ({"rho": 1}, "rho=1 must be a number from -1 to 1"),
    ({"rho": np.nan}, "rho=nan must be a number"),
    ({"predictors": ["x"]}, "must be a dict from a text to a number"),
    ({"predictors": {"x": "1"}}, "to a number that is finite"),
    ({"intercept_sd": -1}, "intercept_sd=-1 must be a number from 0"),
    ({"slope_sd": {"z": 1}}, "slope_sd names 'z', which is no predictor"),
    ({"outcome": "x"}, "must be a list"),
    ({"prop": 2}, "prop=2 must be a number from 0 to 1"),
])  # fmt: skip
def test_a_selection_that_cannot_be_is_refused_in_words(arguments, words):
    with pytest.raises(SpecificationError, match=words):
        Selection(**{"predictors": {"x": 1.0}, **arguments})


def test_an_outcome_without_residual_is_refused_in_words():
    df = normal(50).assign(y=lambda d: 2 * d["x"])
    with pytest.raises(DataError, match="outcome predictors of 'y' leave no residual"):
        selected(df, 0.5)
    with pytest.raises(DataError, match="'y' has one value only"):
        selected(df.assign(y=1), 0.5)
