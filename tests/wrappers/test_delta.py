"""delta: imputed values move by δ, fitted ones do not."""

import time
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType

import numpy as np
import pandas as pd
import pymc as pm
import pytest

import bayesimpute as bi
from bayesimpute.data.table import Kind
from bayesimpute.method import Adaptation, Design, Visit
from bayesimpute.wrappers.delta import Amounts, DeltaKernel

RUN = {"cluster": "school", "iterations": 3, "seed": 3}


def run(df, method, m=3, **more):
    return bi.impute(df, m=m, method={"y": method}, **{**RUN, **more})


def imputed(imp, df, rows=True):
    gone = df["y"].isna() & rows
    return np.array([completed.loc[gone, "y"] for completed in imp.complete("all")])


@pytest.mark.parametrize("method", ["normal", "sample"])
def test_a_number_moves_each_value_by_it(trial, method):
    plain, moved = run(trial, method), run(trial, bi.delta(method, -1.5))
    np.testing.assert_allclose(imputed(moved, trial), imputed(plain, trial) - 1.5)
    assert moved.history.parameters["y"].keys() == plain.history.parameters["y"].keys()


def test_a_users_model_is_moved_after_drawing(trial, builder):
    plain, moved = run(trial, builder), run(trial, bi.delta(builder, 4))
    np.testing.assert_allclose(imputed(moved, trial), imputed(plain, trial) + 4)


def test_a_prior_that_does_not_integrate_out_is_moved_as_well(trial):
    priors = {"y": {"beta": pm.Laplace.dist(0, 3)}}
    plain = run(trial, "normal", m=1, priors=priors)
    moved = run(trial, bi.delta("normal", 4), m=1, priors=priors)
    np.testing.assert_allclose(imputed(moved, trial), imputed(plain, trial) + 4)
    assert "plain model sampled" in set(moved.events["action"])


def test_donors_are_matched_at_the_moved_predictor(trial):
    df = trial[trial["arm"] == "a"].drop(columns=["arm", "sex"])
    plain, moved = run(df, "pmm", m=40), run(df, bi.delta("pmm", 2), m=40)
    assert set(imputed(moved, df).ravel()) <= set(df["y"].dropna())
    inside = df["x"].between(-1, 0)  # where observed values lie 2 further up
    difference = imputed(moved, df, inside).mean() - imputed(plain, df, inside).mean()
    assert difference == pytest.approx(2, abs=0.35)


def test_deltas_around_each_other_and_in_groups_add_up(trial):
    plain = run(trial, bi.by_group("normal", "arm"))
    outside = run(trial, bi.delta(bi.delta(bi.by_group("normal", "arm"), -1), 3))
    inside = run(trial, bi.by_group(bi.delta("normal", 2), "arm"))
    np.testing.assert_allclose(imputed(outside, trial), imputed(plain, trial) + 2)
    np.testing.assert_allclose(imputed(inside, trial), imputed(plain, trial) + 2)
    assert outside.method["y"] == "delta(delta(by_group(normal, arm), -1), 3)"
    assert "imputed with δ = -1;  imputed with δ = 3" in outside.equations()["y"]


def test_only_its_cluster_moves(trial):
    plain = run(trial, "normal")
    moved = run(trial, bi.delta("normal", by_cluster={"s1": 10, "s4": -10.0}))
    for school, by in {"s1": 10, "s4": -10}.items():
        rows = trial["school"] == school
        difference = imputed(moved, trial, rows) - imputed(plain, trial, rows)
        np.testing.assert_allclose(difference, by)
    others = ~trial["school"].isin(["s1", "s4"])
    np.testing.assert_array_equal(imputed(moved, trial, others), imputed(plain, trial, others))


def test_clusters_move_inside_other_wrappers_too(trial):
    inner = bi.delta("normal", by_cluster={"s1": 10})
    for around in (lambda m: bi.by_group(m, "arm"), bi.fixed_clusters):
        plain, moved = run(trial, around("normal")), run(trial, around(inner))
        rows = trial["school"] == "s1"
        np.testing.assert_allclose(imputed(moved, trial, rows), imputed(plain, trial, rows) + 10)
        np.testing.assert_array_equal(imputed(moved, trial, ~rows), imputed(plain, trial, ~rows))


def test_only_rows_where_the_condition_holds_move(trial):
    plain = run(trial, "normal")
    moved = run(trial, bi.delta("normal", 3, where="arm == 'a' and x > 0"))
    rows = (trial["arm"] == "a") & (trial["x"] > 0)
    np.testing.assert_allclose(imputed(moved, trial, rows), imputed(plain, trial, rows) + 3)
    np.testing.assert_array_equal(imputed(moved, trial, ~rows), imputed(plain, trial, ~rows))
    assert moved.equations()["y"].endswith("imputed with δ = 3, where arm == 'a' and x > 0")


def test_conditions_around_each_other_make_delta_depend_on_a_variable(trial):
    by_arm = bi.delta(bi.delta("normal", 1, where="arm == 'a'"), -2, where="arm == 'b'")
    plain, moved = run(trial, "normal"), run(trial, by_arm)
    for arm, by in {"a": 1, "b": -2}.items():
        rows = trial["arm"] == arm
        np.testing.assert_allclose(imputed(moved, trial, rows), imputed(plain, trial, rows) + by)


def test_a_condition_on_an_incomplete_column_follows_what_is_imputed_there(trial):
    df = trial.assign(sex=trial["sex"].mask(np.arange(len(trial)) % 7 == 0))
    moved = run(df, bi.delta("normal", 1000, where="sex == 'female'"))
    gone = df["y"].isna()
    for completed in moved.complete("all"):
        np.testing.assert_array_equal(
            completed.loc[gone, "y"] > 500, completed.loc[gone, "sex"] == "female"
        )


def test_one_category_is_shifted_where_a_condition_holds(trial):
    df = trial.assign(y=pd.cut(trial["y"], 3, labels=["low", "mid", "high"], ordered=False))
    moved = run(df, bi.delta("categorical", by_category={"mid": 50}, where="arm == 'a'"))
    gone = df["y"].isna()
    for completed in moved.complete("all"):
        mid = completed.loc[gone, "y"] == "mid"
        assert mid[df["arm"] == "a"].all() and not mid[df["arm"] == "b"].all()


def test_clusters_of_a_level_2_target_move(trial):
    number = trial["school"].str[1:].astype(float)
    df = trial.drop(columns="y").assign(y=number.mask(number.isin([2, 5])))
    plain = run(df, "2lonly.norm")
    moved = run(df, bi.delta("2lonly.norm", by_cluster={"s5": 100}))
    by_school = (imputed(moved, df) - imputed(plain, df)).reshape(3, 2, 50)
    np.testing.assert_allclose(by_school[:, 0], 0)
    np.testing.assert_allclose(by_school[:, 1], 100)


def test_a_distribution_is_drawn_anew_at_each_visit_for_all_rows_and_reported(trial):
    imp = run(trial, bi.delta("normal", pm.Normal.dist(-50, 10)), m=20)
    drawn = imp.history.parameters["y"]["delta"]
    assert drawn.shape == (20, 3) and len(np.unique(drawn)) == 60
    assert drawn.mean() == pytest.approx(-50, abs=5) and drawn.std() == pytest.approx(10, rel=0.3)
    plain = run(trial, "normal", m=20)
    shift = imputed(imp, trial) - imputed(plain, trial).mean()
    # one number moves all rows of an imputation
    np.testing.assert_allclose(shift.mean(axis=1), drawn[:, -1], atol=0.7)
    assert imp.method["y"] == "delta(normal, Normal(-50, 10))"
    assert "delta" in set(imp.diagnostics()["quantity"])


def test_only_drawn_amounts_of_clusters_are_reported(trial):
    amounts = {"s1": pm.Normal.dist(0, 1), "s2": 3, "s3": pm.Uniform.dist(5, 6)}
    imp = run(trial, bi.delta("normal", by_cluster=amounts))
    assert imp.history.labels["y"]["delta"] == ("s1", "s3")
    assert ((imp.history.parameters["y"]["delta"][..., 1] - 5.5) ** 2 < 0.25).all()


class Recorder:
    """A kernel that keeps the shift it sees."""

    labels = MappingProxyType({})

    def visit(self, design, adaptation, state, rng, first):
        self.shift = design.shift
        return Visit(state, np.zeros(int(design.draw.sum())), {})


def test_categories_move_on_their_own_predictor():
    inside = Recorder()
    rows = np.ones(3, dtype=bool)
    design = Design(
        "y", Kind.NOMINAL, ("a", "b", "c"), np.zeros(3), np.empty((3, 0)), (), np.empty((3, 0)),
        (), np.zeros(3, dtype=np.int64), 1, rows, rows,
    )  # fmt: skip
    wrapper = bi.delta("categorical", by_category={"c": -1, "a": 0.5})
    nothing = Adaptation(1.0, np.empty(0), np.empty(0), np.empty(0))
    rng = np.random.default_rng(1)
    DeltaKernel(inside, wrapper).visit(design, nothing, np.empty(0), rng, True)
    np.testing.assert_array_equal(inside.shift, [[0.5, 0, -1]] * 3)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: bi.delta("normal"), "exactly one.*given: none"),
        (lambda: bi.delta("normal", 1, by_cluster={"a": 1}), "given: delta, by_cluster"),
        (lambda: bi.delta("normal", {"a": 1}), "by_cluster={...} or by_category"),
        (lambda: bi.delta("normal", np.nan), "finite number"),
        (lambda: bi.delta("normal", True), "finite number"),
        (lambda: bi.delta("normal", "1"), "finite number"),
        (lambda: bi.delta("normal", pm.Normal.dist(0, 1, shape=2)), "1 dimension"),
        (lambda: bi.delta("normal", by_cluster={}), "must be a mapping"),
        (lambda: bi.delta("normal", 1, where=True), "where=True must be a text"),
        (lambda: bi.delta("normal", 1, where="arm = 'a'"), "cannot be read as a condition"),
        (lambda: bi.delta("normal", by_cluster={"a": "x"}), r"by_cluster\['a'\]='x'"),
        (lambda: bi.delta("", 1), "'' is no model"),
        (lambda: bi.delta("~ I(x)", 1), "no model; give a method that draws"),
        (lambda: bi.delta(3, 1), "3 is neither the name of a method"),
        (lambda: bi.by_group("normal", 3), "by=3 must be a text"),
        (lambda: bi.by_group(None, "arm"), "None is neither"),
        (lambda: bi.only_where("normal", 3), "condition=3 must be a text"),
        (lambda: bi.only_where("normal", "x >"), "cannot be read"),
        (lambda: bi.fixed_clusters([]), "neither"),
    ],
)
def test_arguments_that_cannot_be_used_are_refused_at_once(make, says):
    with pytest.raises(bi.SpecificationError, match=says):
        make()


@pytest.mark.parametrize(
    ("target", "method", "says"),
    [
        ("y", lambda b: bi.delta("nromal", 1), r"'nromal'.*Did you mean 'normal'"),
        ("y", lambda b: bi.delta("normal", by_cluster={"s9": 1}), "'s9' is no cluster of 'school'"),
        ("y", lambda b: bi.delta("normal", 1, where="amr == 'a'"), "Did you mean 'arm'"),
        ("y", lambda b: bi.delta("normal", 1, where="y > 3"), "reads 'y' itself"),
        ("y", lambda b: bi.delta("normal", by_category={"a": 1}), "for unordered categories"),
        ("two", lambda b: bi.delta("sample", 1), "'sample' has no linear predictor"),
        ("two", lambda b: bi.delta(b, 1), "'own_model' has no linear predictor"),
        ("three", lambda b: bi.delta("pmm", 1), "'pmm' ranks unordered categories"),
    ],
)
def test_a_delta_that_does_not_fit_the_data_is_refused_before_work(
    trial, builder, target, method, says
):
    gone = trial["y"].isna()
    df = trial.assign(
        two=trial["sex"].astype(object).mask(gone),
        three=np.where(trial["x"] > 0.5, "p", np.where(trial["x"] > -0.5, "q", "r")),
    )
    df["three"] = df["three"].mask(gone)
    with pytest.raises(bi.SpecificationError, match=says):
        bi.impute(df, m=1, method={"y": "pmm", target: method(builder)}, **RUN)


def test_clusters_need_a_cluster(trial):
    method = {"y": bi.delta("normal", by_cluster={"s1": 1})}
    with pytest.raises(bi.SpecificationError, match="by_cluster= needs clusters"):
        bi.impute(trial, m=1, iterations=1, method=method, seed=1)


def test_clusters_whose_ids_read_alike_are_not_shifted_together():
    site = np.array([1, "1"], dtype=object)[np.arange(60) // 30]
    df = pd.DataFrame({"site": site, "room": np.arange(60) % 3, "y": np.arange(60.0)})
    df.loc[::4, "y"] = np.nan
    method = {"y": bi.delta("normal", by_cluster={"1:0": 100.0})}
    with pytest.raises(bi.SpecificationError, match="'1:0' is the label of 2 clusters"):
        bi.impute(df, m=1, method=method, **{**RUN, "cluster": "site/room"})


def test_threads_take_turns_with_a_distribution_of_delta(monkeypatch):
    class Function:
        def __call__(self):
            return [self.rng.random()]

    def slow(function, rng):
        function.rng = rng
        time.sleep(0.005)

    amounts = Amounts([1.0])
    amounts._function, amounts.drawn = Function(), np.array([True])
    monkeypatch.setattr("bayesimpute.wrappers.delta.reseed", slow)
    with ThreadPoolExecutor(4) as pool:
        drawn = [*pool.map(amounts.draw, map(np.random.default_rng, range(8)))]
    assert [each.item() for each in drawn] == [np.random.default_rng(k).random() for k in range(8)]
