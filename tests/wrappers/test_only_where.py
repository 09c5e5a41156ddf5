"""only_where: a model for some rows, and what happens in the others."""

import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi
from bayesimpute.specification.specify import specify

RUN = {"cluster": "school", "iterations": 3, "seed": 3}


@pytest.fixture
def pregnancy(trial):
    """`test` is asked of women only, men answer no or nothing."""
    rng = np.random.default_rng(8)
    female = (trial["sex"] == "female").to_numpy()
    positive = female & (rng.random(len(trial)) < 1 / (1 + np.exp(-trial["x"])))
    df = trial.drop(columns="y").assign(test=np.where(positive, "yes", "no"))
    df["test"] = df["test"].astype("category")
    df.loc[rng.random(len(df)) < 0.3, "test"] = None
    return df


def test_values_are_drawn_where_the_condition_holds_and_known_elsewhere(pregnancy):
    method = bi.only_where("pmm", "sex == 'female'", otherwise="no")
    imp = bi.impute(pregnancy, m=4, method={"test": method}, **RUN)
    gone, female = pregnancy["test"].isna(), pregnancy["sex"] == "female"
    seen = ~gone
    for completed in imp.complete("all"):
        assert (completed.loc[gone & ~female, "test"] == "no").all()
        share = (completed.loc[gone & female, "test"] == "yes").mean()
        assert share == pytest.approx(0.5, abs=0.2)
        assert completed.loc[seen, "test"].equals(pregnancy.loc[seen, "test"])
    assert imp.method["test"] == "only_where(pmm, sex == 'female', otherwise='no')"
    assert "only where sex == 'female', otherwise no" in imp.equations()["test"]


def test_only_the_rows_where_it_holds_are_fitted_to(trial):
    far = trial.assign(y=trial["y"] + np.where(trial["sex"] == "male", 1000.0, 0.0))
    women = far["sex"] == "female"
    alone = bi.impute(far[women].drop(columns="sex"), m=20, method="normal", **RUN)
    for condition in ("sex == 'female'", lambda d: d["sex"] == "female"):
        method = bi.only_where("normal", condition, otherwise=0)
        imp = bi.impute(far, m=20, method={"y": method}, **RUN)
        sigma = imp.history.parameters["y"]["sigma"].mean()
        assert sigma == pytest.approx(alone.history.parameters["y"]["sigma"].mean(), rel=0.1)
        gone = far["y"].isna() & women
        drawn, theirs = (np.mean([c.loc[gone, "y"].mean() for c in i]) for i in (imp, alone))
        assert drawn == pytest.approx(theirs, abs=0.2)


def test_without_otherwise_other_cells_stay_missing(pregnancy):
    method = bi.only_where("pmm", "sex == 'female'")
    imp = bi.impute(pregnancy, m=2, method={"test": method}, **RUN)
    female = pregnancy["sex"] == "female"
    completed = imp.complete(2)
    assert completed.loc[~female, "test"].equals(pregnancy.loc[~female, "test"])
    assert completed.loc[~female, "test"].isna().any()
    assert completed.loc[female, "test"].notna().all()
    assert imp.complete("long")["test"].isna().sum() == 2 * completed["test"].isna().sum()
    assert imp.history.imputed["test"].shape[1] == (female & pregnancy["test"].isna()).sum()


def test_a_variable_that_stays_missing_is_no_default_predictor(pregnancy):
    df = pregnancy.assign(x=pregnancy["x"].mask(np.arange(400) % 9 == 0))
    method = {"test": bi.only_where("pmm", "sex == 'female'"), "x": "pmm"}
    imp = bi.impute(df, m=1, method=method, **RUN)
    assert imp.predictors.loc["x", "test"] == 0
    assert not imp.complete(1)["x"].isna().any()
    matrix = bi.make_predictors(df, cluster="school")
    with pytest.raises(bi.SpecificationError, match=r"'test' predicts 'x'.*otherwise="):
        bi.impute(df, m=1, method=method, predictors=matrix, **RUN)


def test_the_condition_follows_the_imputed_values(pregnancy):
    df = pregnancy.copy()
    df["sex"] = df["sex"].where(np.arange(400) % 4 != 0, None)
    seen = df["test"].notna()
    method = {"test": bi.only_where("pmm", "sex == 'female'", otherwise="no")}
    imp = bi.impute(df, m=6, method=method, visit_sequence=["sex", "test"], **RUN)
    both = df["sex"].isna() & df["test"].isna()
    answers = set()
    for completed in imp.complete("all"):
        men = completed["sex"] == "male"
        assert (completed.loc[both & men, "test"] == "no").all()
        assert completed.loc[seen, "test"].equals(df.loc[seen, "test"])
        answers |= set(completed.loc[both & ~men, "test"])
    assert answers == {"yes", "no"}


def test_what_a_condition_reads_is_visited_before():
    df = pd.DataFrame({name: np.arange(12.0) for name in "abcd"})
    df = df.mask(np.random.default_rng(1).random(df.shape) < 0.2)
    noise = np.random.default_rng(2).normal(size=df.shape)

    def order(a, **said):
        method = {**dict.fromkeys("bcd", "pmm"), "a": bi.only_where("pmm", a, otherwise=-1)}
        found = specify(df + noise, method={**method, **said.pop("method", {})}, **said)
        late = [event.variable for event in found.events if "later" in event.action]
        return "".join(found.visit_sequence), late

    assert order("b > 3") == ("bacd", [])
    assert order("d > 3 or b > 3") == ("bdac", [])
    assert order(lambda data: data["d"] > 3) == ("bcda", [])
    assert order(lambda data: np.arange(len(data)) > 3) == ("abcd", [])
    assert order("d > 3", method={"d": "~ I(c + 1)"}) == ("cab", [])
    assert order("b > 3", visit_sequence="roman") == ("abcd", ["a"])
    assert order("b > 3", visit_sequence=["a", "b", "c", "d", "a"]) == ("abcda", [])
    assert order("b > 3", method={"b": bi.only_where("pmm", "a > 3", 0)}) == ("abcd", ["a"])


def test_a_users_model_is_fitted_where_it_holds(trial, builder):
    far = trial.assign(y=trial["y"] + np.where(trial["arm"] == "b", 1000.0, 0.0))
    method = bi.only_where(builder, "arm == 'a'", otherwise=-1)
    imp = bi.impute(far, m=2, method={"y": method}, **RUN)
    assert imp.history.parameters["y"]["slope"].mean(axis=(0, 1))[0] == pytest.approx(2, abs=0.3)
    assert (imp.complete(1).loc[far["y"].isna() & (far["arm"] == "b"), "y"] == -1).all()


def test_draws_without_a_model_come_from_where_it_holds(trial):
    imp = bi.impute(trial, m=2, method={"y": bi.only_where("sample", "x > 0", 99)}, **RUN)
    gone = trial["y"].isna()
    pool = set(trial.loc[(trial["x"] > 0) & ~gone, "y"])
    assert set(imp.complete(2).loc[gone & (trial["x"] > 0), "y"]) <= pool
    assert (imp.complete(2).loc[gone & (trial["x"] <= 0), "y"] == 99).all()


def test_a_level_2_target_takes_a_condition_on_clusters(trial):
    number = trial["school"].str[1:].astype(int)
    df = trial[["school", "x"]].assign(number=number, size=number * 1.0)
    df.loc[number.isin([2, 6]), "size"] = np.nan
    imp = bi.impute(df, m=1, method={"size": bi.only_where("sample", "number < 5", 50)}, **RUN)
    assert imp.complete(1).loc[number == 6, "size"].eq(50).all()
    assert imp.complete(1).loc[number == 2, "size"].nunique() == 1
    assert imp.complete(1).loc[number == 2, "size"].iloc[0] < 5
    with pytest.raises(bi.DataError, match="x > 0 varies within clusters"):
        bi.impute(df, m=1, method={"size": bi.only_where("pmm", "x > 0", 50)}, **RUN)


def test_the_column_of_the_condition_leaves_the_model_without_a_warning(trial):
    imp = bi.impute(trial, m=1, method={"y": bi.only_where("pmm", "sex == 'male'")}, **RUN)
    assert set(imp.events["severity"]) == {"info"}
    assert [t.label for t in imp.specification.targets["y"].terms] == ["arm", "x"]


def numeric_function(data):
    return data["x"]


def reads_y(data):
    return data["y"] > 0


@pytest.mark.parametrize(
    ("condition", "otherwise", "error", "says"),
    [
        ("sx == 'female'", None, bi.SpecificationError, r"'sx'.*no column.*Did you mean 'sex'"),
        ("sex == 'woman'", None, bi.SpecificationError, "'woman' is not a category of 'sex'"),
        ("y > 0", 0, bi.SpecificationError, "reads 'y' itself"),
        ("z > 0", None, bi.SpecificationError, r"'z' in the condition is incomplete.*otherwise="),
        ("x > 100", 0, bi.DataError, "fewer than two different observed values where x > 100"),
        ("x > 0", "low", bi.SpecificationError, r"otherwise='low' must be a number"),
        ("x > 0", np.inf, bi.SpecificationError, r"otherwise=inf must be a number"),
        ("day == 1", 0, bi.SpecificationError, "'day'.*neither a number nor a category"),
        (numeric_function, None, bi.SpecificationError, "one True or False for each of the 400"),
        (reads_y, None, bi.SpecificationError, r"reads_y failed: KeyError.*complete columns only"),
    ],
)
def test_a_bad_condition_is_named_before_work_starts(trial, condition, otherwise, error, says):
    df = trial.assign(z=trial["x"].mask(np.arange(400) % 5 == 0), day=pd.Timestamp("2026-01-01"))
    method = {"y": bi.only_where("normal", condition, otherwise), "z": "pmm"}
    with pytest.raises(error, match=says):
        bi.impute(df, m=1, method=method, **RUN)


def test_a_condition_on_a_column_nobody_imputes_is_refused(trial):
    df = trial.assign(z=trial["x"].mask(np.arange(400) % 5 == 0))
    method = {"y": bi.only_where("normal", "z > 0", 0), "z": ""}
    with pytest.raises(bi.SpecificationError, match=r"reads 'z', which stays incomplete"):
        bi.impute(df, m=1, method=method, **RUN)


def test_a_passive_variable_cannot_use_what_stays_missing(trial):
    df = trial.assign(double=trial["y"] * 2)
    method = {"y": bi.only_where("normal", "x > 0"), "double": "~ I(y * 2)"}
    with pytest.raises(bi.SpecificationError, match=r"'double' uses 'y'.*otherwise="):
        bi.impute(df, m=1, method=method, **RUN)


def test_otherwise_of_a_date_counts_as_its_numbers_do():
    dates = pd.Series(pd.date_range("2020-01-01", periods=9)).where(lambda d: d.dt.day != 4)
    df = pd.DataFrame({"date": dates, "x": np.arange(9.0)})
    method = {"date": bi.only_where("pmm", "x > 4", otherwise=pd.Timestamp("2020-01-03"))}
    with pytest.raises(bi.SpecificationError, match=r"number, .* days since 2020-01-01"):
        specify(df, method=method)


def test_otherwise_must_be_a_category(pregnancy):
    method = bi.only_where("pmm", "sex == 'female'", otherwise="never")
    with pytest.raises(bi.SpecificationError, match=r"none of its categories.*'no', 'yes'"):
        bi.impute(pregnancy, m=1, method={"test": method}, **RUN)


def test_a_function_that_finds_nobody_fails_with_the_target_and_the_place(trial):
    df = trial.assign(z=trial["x"].mask(np.arange(400) % 5 == 0))

    def nobody(data):
        return data["z"] > 1000

    method = {"y": bi.only_where("normal", nobody, 0)}
    with pytest.raises(bi.SamplingError, match=r"'y' has fewer than two.*where nobody holds"):
        bi.impute(df, m=1, method=method, **RUN)


def test_who_looks_at_the_data_sees_that_cells_stay_missing(trial):
    seen = []

    def look(values, data, rng):
        seen.append(data)
        return values

    df = trial.assign(x=trial["x"].mask(np.arange(400) % 9 == 0))
    method = {"y": bi.only_where("normal", "sex == 'female'"), "x": "pmm"}
    bi.impute(df, m=1, method=method, post={"x": look}, **RUN)
    for data in seen:
        men = data["sex"] == "male"
        assert data.loc[~men, "y"].notna().all()
        assert (data.loc[men, "y"].isna() == df.loc[data.index[men], "y"].isna()).all()


def test_a_function_does_not_see_the_target(trial):
    df = trial.assign(z=trial["x"].mask(np.arange(400) % 5 == 0))
    method = {"y": bi.only_where("normal", reads_y, otherwise=0)}
    with pytest.raises(bi.SpecificationError, match=r"only_where of 'y': .*reads_y failed.*'y'"):
        bi.impute(df, m=1, method=method, **RUN)


def test_post_leaves_what_is_known_elsewhere(trial):
    given = []

    def post(values, data, rng):
        given.append((len(values), (data["x"] > 0).all()))
        return np.clip(values, -0.5, 0.5)

    method = bi.only_where("sample", "x > 0", 99)
    imp = bi.impute(trial, m=1, method={"y": method}, post={"y": post}, **RUN)
    gone, holds = trial["y"].isna(), trial["x"] > 0
    assert (imp.complete(1).loc[gone & ~holds, "y"] == 99).all()
    assert (imp.complete(1).loc[gone & holds, "y"].abs() <= 0.5).all()
    assert set(given) == {((gone & holds).sum(), True)}
    new = imp.impute_new(trial[gone])[0]
    assert (new.loc[~holds[gone], "y"] == 99).all() and new.loc[holds[gone], "y"].max() <= 0.5
