"""Three levels and crossing: simulated data have the moments said, gaps are where they are said."""

import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi
from bayesimpute import ampute
from bayesimpute.errors import DataError, SpecificationError
from bayesimpute.simulate import simulate_classes, simulate_ratings


def within(values, groups):
    """Values less the mean of their group."""
    return values - values.groupby(groups).transform("mean")


@pytest.fixture(scope="module")
def classes():
    return simulate_classes(1, schools=400, classes=5, pupils=10, slope_sd=0.3)


@pytest.fixture(scope="module")
def ratings():
    return simulate_ratings(2, subjects=700, items=500)


@pytest.mark.parametrize("simulate", [simulate_classes, simulate_ratings])
def test_the_same_seed_gives_the_same_bits_and_gaps_are_all_that_differs(simulate):
    first, again, other = simulate(3), simulate(3), simulate(4)
    pd.testing.assert_frame_equal(first.incomplete, again.incomplete, check_exact=True)
    assert not first.complete.equals(other.complete)
    assert not first.complete.isna().any().any()
    for name, column in first.incomplete.items():
        seen = column.notna()
        assert (column[seen] == first.complete[name][seen]).all(), name


def test_classes_lie_in_schools_and_variables_at_their_levels(classes):
    for df in (classes.complete, classes.incomplete):
        assert (df.groupby("class")["school"].nunique() == 1).all()
        assert (df.groupby("class")["size"].nunique(dropna=False) == 1).all()
        assert (df.groupby("school")["public"].nunique(dropna=False) == 1).all()
    assert (classes.complete.groupby("school")["class"].nunique() >= 2).all()
    assert (classes.complete.groupby("class").size() >= 2).all()


def test_variances_of_each_level_are_those_of_the_truth(classes):
    df, truth = classes.complete, classes.truth
    slope = within(df["ses"], df["class"])
    by_school = slope.groupby(df["school"])
    own = (slope * df["score"]).groupby(df["school"]).sum() / (slope**2).groupby(df["school"]).sum()
    rest = within(df["score"] - df["school"].map(own) * df["ses"], df["class"])
    # of each class one degree of freedom is lost, of each school one for its slope
    freedom = len(df) - df["class"].nunique() - len(own)
    assert (rest**2).sum() / freedom == pytest.approx(1.0, abs=0.04)
    error = 1.0 / (by_school.size() * slope.groupby(df["school"]).var(ddof=0))
    assert own.var() - error.mean() == pytest.approx(truth["ses~~ses|school"], abs=0.025)
    assert own.mean() == pytest.approx(truth["ses"], abs=0.05)
    fixed = truth["(Intercept)"] + truth["size"] * df["size"] + truth["public"] * df["public"]
    effect = df["score"] - fixed - df["school"].map(own) * df["ses"]
    of_class = effect.groupby(df["class"]).mean()
    school = df.groupby("class")["school"].first()
    spread = within(of_class, school)
    sizes = df.groupby("class").size()
    between = (spread**2).sum() / (len(spread) - school.nunique()) - (1 / sizes).mean()
    assert between == pytest.approx(truth["Intercept~~Intercept|class"], abs=0.03)
    of_school = of_class.groupby(school).mean()
    lower = (of_class.groupby(school).var() / of_class.groupby(school).size()).mean()
    assert of_school.var() - lower == pytest.approx(truth["Intercept~~Intercept|school"], abs=0.07)


def test_shares_of_variance_follow_from_the_truth(classes, ratings):
    for study, factors in ((classes, ("school", "class")), (ratings, ("subject", "item"))):
        variances = [study.truth[f"Intercept~~Intercept|{factor}"] for factor in factors]
        total = sum(variances) + study.truth["Residual~~Residual"]
        for factor, variance in zip(factors, variances, strict=True):
            assert study.truth[f"ICC|{factor}"] == pytest.approx(variance / total)
    assert "ses~~ses|school" not in simulate_classes(1, schools=4).truth


def test_ses_varies_at_three_levels(classes):
    df = classes.complete
    of_class = df.groupby("class")["ses"].mean()
    school = df.groupby("class")["school"].first()
    assert within(df["ses"], df["class"]).std() == pytest.approx(0.8 * np.sqrt(0.9), abs=0.02)
    spread = within(of_class, school)
    between = (spread**2).sum() / (len(spread) - school.nunique())
    assert between == pytest.approx(0.3**2 + 0.64 / 10, abs=0.02)
    assert of_class.groupby(school).mean().std() == pytest.approx(0.54, abs=0.05)


def test_subjects_cross_items_with_the_variances_of_the_truth(ratings):
    df, truth = ratings.complete, ratings.truth
    assert len(df) == 700 * 500
    rest = df["rating"] - truth["age"] * df["age"] - truth["length"] * df["length"]
    table = rest.to_numpy().reshape(700, 500)
    effects = table.mean(axis=1), table.mean(axis=0)
    residual = table - effects[0][:, None] - effects[1] + table.mean()
    assert residual.var() == pytest.approx(truth["Residual~~Residual"], abs=0.01)
    assert effects[0].var() == pytest.approx(truth["Intercept~~Intercept|subject"], rel=0.15)
    assert effects[1].var() == pytest.approx(truth["Intercept~~Intercept|item"], rel=0.18)
    assert table.mean() == pytest.approx(truth["(Intercept)"], abs=0.12)


def test_gaps_are_as_many_as_said_and_go_by_what_is_seen(classes, ratings):
    gone = classes.incomplete.isna()
    assert gone["score"].mean() == pytest.approx(0.2, abs=0.01)
    assert gone["ses"].mean() == pytest.approx(0.2, abs=0.01)
    assert gone["size"].mean() == pytest.approx(0.2, abs=0.03)
    assert gone["public"].mean() == pytest.approx(0.2, abs=0.07)
    assert not (gone["score"] & gone["ses"]).any()
    complete = classes.complete
    assert complete.loc[gone["ses"], "score"].mean() > complete["score"].mean() + 0.3
    assert complete.loc[gone["score"], "ses"].mean() < complete["ses"].mean() - 0.2
    lost = ratings.incomplete["rating"].isna()
    assert lost.mean() == pytest.approx(0.3, abs=0.005)
    assert ratings.complete.loc[lost, "age"].mean() < -0.2
    # given what decides, gaps say nothing of the rating
    part = ratings.complete[ratings.complete["age"].abs() + ratings.complete["length"].abs() < 0.4]
    assert part["rating"].groupby(lost[part.index]).mean().diff().abs().max() < 0.1


def test_some_pairs_only_leave_two_of_each():
    study = simulate_ratings(5, subjects=50, items=30, rated=0.03)
    df = study.complete
    assert 0.02 * 1500 < len(df) < 200
    assert (df.groupby("subject").size() >= 2).all() and (df.groupby("item").size() >= 2).all()
    assert not df.duplicated(["subject", "item"]).any()
    assert list(df.index) == list(range(len(df)))


@pytest.mark.parametrize(
    ("simulate", "arguments", "words"),
    [
        (simulate_classes, {"schools": 1}, "schools=1"),
        (simulate_classes, {"classes": 1}, "classes=1"),
        (simulate_classes, {"missing": 0.6}, "share from 0 to 0.45"),
        (simulate_ratings, {"items": 1}, "items=1"),
        (simulate_ratings, {"rated": 0.0}, "rated=0.0 is no share"),
    ],
)
def test_what_cannot_be_simulated_is_said(simulate, arguments, words):
    with pytest.raises((DataError, SpecificationError), match=words):
        simulate(1, **arguments)


# -- ampute ------------------------------------------------------------------------------------


def whole(made, name, factor):
    """Clusters that lost a variable in all rows, and that every cluster did so or not at all."""
    share = made.incomplete[name].isna().groupby(made.complete[factor]).mean()
    assert share.isin([0, 1]).all()
    return set(share.index[share == 1])


def test_variables_are_removed_by_clusters_of_any_column():
    df = simulate_classes(1, schools=20).complete
    made = ampute(
        df, 0.0, cluster=["school", "class"], seed=1,
        systematic={"ses": {"school": 0.1, "class": [3, 11]}, "size": {"class": 0.25}},
    )  # fmt: skip
    assert made.systematic["ses"]["class"] == (3, 11) and len(made.systematic["ses"]["school"]) == 2
    of_schools = df["school"].isin(made.systematic["ses"]["school"])
    expected = of_schools | df["class"].isin([3, 11])
    assert (made.incomplete["ses"].isna() == expected).all()
    assert whole(made, "size", "class") == set(made.systematic["size"]["class"])
    assert len(made.systematic["size"]["class"]) == 20
    assert "4" in repr(made)  # clusters without ses: two and two


def test_patterns_go_by_the_clusters_in_which_a_variable_is_constant():
    df = simulate_classes(2, schools=300, pupils=6).complete
    made = ampute(
        df, 0.3, [["public"], ["size"], ["score"]], freq=[0.3, 0.2, 0.5], mech="MCAR",
        cluster=["class", "school"], seed=1,
    )  # fmt: skip
    assert whole(made, "public", "school") and whole(made, "size", "class")
    share = made.incomplete["score"].isna().groupby(df["class"]).mean()
    assert ((share > 0) & (share < 1)).sum() > 300
    seen = made.candidate.value_counts(normalize=True).sort_index()
    np.testing.assert_allclose(seen, [0.3, 0.2, 0.5], atol=0.07)
    assert made.incomplete["public"].isna().mean() == pytest.approx(0.09, abs=0.05)
    # a pattern with variables of both levels goes by schools
    both = ampute(df, 0.3, [["public", "size"]], mech="MCAR", cluster=["class", "school"], seed=1)
    assert whole(both, "public", "school") == whole(both, "size", "school")


def test_chances_vary_between_clusters_of_each_column():
    df = simulate_ratings(1, subjects=300, items=200).complete
    arguments = {"cluster": ["subject", "item"], "patterns": ["rating"], "mech": "MCAR", "seed": 1}
    made = ampute(df, 0.5, prop_sd={"item": 1.0}, **arguments)
    by = {name: made.probability.groupby(df[name]).mean().std() for name in ("subject", "item")}
    assert by["item"] > 0.15 and by["subject"] < 1e-6
    made = ampute(df, 0.5, prop_sd=1.0, **arguments)
    by = {name: made.probability.groupby(df[name]).mean().std() for name in ("subject", "item")}
    assert min(by.values()) > 0.12 and made.probability.mean() == pytest.approx(0.5, abs=1e-6)


def test_one_column_in_a_list_is_one_column():
    df = bi.simulate.simulate_popularity(1).complete
    arguments = {"prop": 0.3, "systematic": {"teachpop": 0.2}, "prop_sd": 0.5, "seed": 3}
    one, listed = (ampute(df, cluster=cluster, **arguments) for cluster in ("school", ["school"]))
    pd.testing.assert_frame_equal(one.incomplete, listed.incomplete)
    assert one.systematic == listed.systematic


WRONG = [
    ({"cluster": ["school", "room"]}, "cluster='room' is no column"),
    ({"cluster": ["school", "school"]}, "names a column twice"),
    ({"systematic": {"ses": 0.2}}, "say of which, as in {'school': 0.2}"),
    ({"systematic": {"ses": {"room": 0.2}}}, "names 'room'"),
    ({"systematic": {"ses": {"class": [99]}}}, "names cluster 99"),
    ({"prop_sd": {"room": 1}}, "prop_sd names 'room'"),
    ({"prop_sd": {"school": -1}}, "must be a number from 0"),
    ({"prop": {1: 0.2}}, "give one number, or cluster= one column"),
    ({"selection": {"score": bi.simulate.Selection({"class": 1.0})}}, "the cluster column"),
]


@pytest.mark.parametrize(("arguments", "words"), WRONG)
def test_what_does_not_fit_several_columns_is_said(arguments, words):
    df = simulate_classes(1, schools=3, classes=3, pupils=4).complete
    with pytest.raises(SpecificationError, match=words):
        ampute(df, **{"cluster": ["school", "class"], "seed": 1, **arguments})


def test_patterns_of_clusters_that_cross_are_refused():
    df = simulate_ratings(1, subjects=6, items=5).complete
    with pytest.raises(SpecificationError, match="whose clusters cross"):
        ampute(df, 0.2, ["age", "length"], cluster=["subject", "item"], seed=1)
    made = ampute(df, 0.4, ["age", "rating"], cluster=["subject", "item"], seed=1)
    assert whole(made, "age", "subject") is not None


def test_a_cluster_loses_a_value_as_a_whole_whatever_the_effects_within_it():
    df = simulate_classes(2, schools=60, pupils=6).complete
    arguments = {"mech": "MCAR", "cluster": ["school", "class"], "seed": 1}
    for more in ({}, {"cont": False}):
        made = ampute(df, 0.4, [["public"], ["score"]], prop_sd=1.0, **arguments, **more)
        assert whole(made, "public", "school")
        of_schools = made.candidate == 1
        by_school = made.probability[of_schools].groupby(df["school"])
        assert by_school.nunique().max() == 1 and by_school.first().nunique() > 10
        assert made.probability[of_schools].mean() == pytest.approx(0.4, abs=1e-6)


def test_a_variable_that_clusters_of_several_columns_remove_from_every_row_is_refused():
    df = simulate_classes(1, schools=3, classes=3, pupils=4).complete
    other = df.loc[df["school"] != 1, "class"].unique().tolist()
    with pytest.raises(SpecificationError, match="every row"):
        ampute(df, 0.2, ["score"], cluster=["school", "class"], seed=1,
               systematic={"ses": {"school": [1], "class": other}})  # fmt: skip


@pytest.mark.parametrize("cluster", ["school", ["school", "class"]])
def test_no_cluster_may_be_named_that_removes_a_variable(cluster):
    df = simulate_classes(1, schools=3, classes=3, pupils=4).complete
    made = ampute(df, 0.0, ["score"], cluster=cluster, seed=1, systematic={"ses": {}})
    assert made.incomplete["ses"].notna().all() and len(made.systematic["ses"]) == 0
