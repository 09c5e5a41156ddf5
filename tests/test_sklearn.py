"""The transformer of scikit-learn."""

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import estimator_checks_generator

from bayesimpute.sklearn import BayesianImputer

#: Checks of scikit-learn that do not hold, with the reason; there are none.
EXCEPTIONS: dict[str, str] = {}


def name_of(check):
    return check.func.__name__


CHECKS = [
    pytest.param(estimator, check, id=name_of(check))
    for estimator, check in estimator_checks_generator(
        BayesianImputer(m=2, iterations=1, random_state=0)
    )
    if name_of(check) not in EXCEPTIONS
]


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(("estimator", "check"), CHECKS)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


def rows(n=300, seed=2):
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=(2, n))
    df = pd.DataFrame(
        {"x": x, "z": x + 0.5 * z, "c": np.where(x + rng.normal(size=n) > 0, "u", "v")}
    )
    y = x + df["z"] + rng.normal(size=n)
    df.loc[rng.random(n) < 0.3, "z"] = np.nan
    df.loc[rng.random(n) < 0.2, "c"] = None
    return df, y


def imputer(**options):
    return BayesianImputer(**{"m": 10, "iterations": 3, "random_state": 1, **options})


def test_gaps_are_filled_by_what_training_rows_say():
    df, _ = rows()
    done = imputer().fit(df[:200]).transform(df[200:])
    assert isinstance(done, pd.DataFrame) and not done.isna().any().any()
    gap = df["z"][200:].isna()
    pd.testing.assert_frame_equal(done[~gap][["x", "z"]], df[200:][~gap][["x", "z"]])
    assert np.corrcoef(done["z"][gap], done["x"][gap])[0, 1] > 0.9
    assert set(done["c"]) == {"u", "v"}


def test_rows_to_transform_are_not_learnt_from():
    df, _ = rows()
    fitted = imputer().fit(df[:200])
    before = fitted.transform(df[200:210])
    shifted = df[210:].assign(x=100 + df["x"])
    fitted.transform(shifted)
    pd.testing.assert_frame_equal(before, fitted.transform(df[200:210]), check_exact=True)


def test_a_gap_in_a_column_that_was_complete_is_filled_too():
    df, _ = rows()
    new = df[200:].assign(x=np.nan)
    done = imputer().fit(df[:200]).transform(new)
    known = df["z"][200:].notna()
    assert np.corrcoef(done["x"][known], df["x"][200:][known])[0, 1] > 0.7
    with pytest.raises(ValueError, match="without gaps"):
        imputer(every_column=False).fit(df[:200]).transform(new)


def test_columns_of_one_value_whole_numbers_and_truth_values():
    df, _ = rows()
    df["one"], df["k"], df["flag"] = 5, np.arange(300) % 4, df["x"] > 0
    new = df[200:].astype({"k": float, "one": float, "flag": "boolean"})
    for name in ("one", "k", "flag"):
        new.loc[new.index[:20], name] = None
    done = imputer(m=3).fit(df[:200]).transform(new)
    assert not done.isna().any().any() and (done["one"] == 5).all()


def test_columns_of_one_value_may_be_named_as_others():
    df = rows(40)[0][["x", "z"]].assign(one=5.0)
    df.loc[0, "one"] = np.nan
    roles = pd.DataFrame(1 - np.eye(3, dtype=int), df.columns, df.columns)
    for said in (
        {"predictors": roles, "method": {"one": "pmm", "z": "pmm"}},
        {"formulas": {"z": "z ~ x + one"}, "model_options": {"one": {"donors": 3}}},
    ):
        assert not imputer(m=1, iterations=1, **said).fit_transform(df).isna().any().any()


def test_one_imputation_keeps_the_spread_and_the_mean_does_not():
    df, _ = rows(600)
    gap = df["z"].isna()
    residual = [
        (imputer(imputation=k).fit(df).transform(df)["z"] - df["x"])[gap].std() for k in (None, 1)
    ]
    assert residual[0] < 0.3 and 0.4 < residual[1] < 0.6  # the residual SD is 0.5
    with pytest.raises(ValueError, match="from 1 to m=10"):
        imputer(imputation=11).fit(df)


def test_pipelines_cross_validate_with_models_of_the_training_folds():
    df, y = rows()
    model = make_pipeline(imputer(m=3, iterations=2, method=None), LinearRegression())
    predicted = cross_val_predict(model, df[["x", "z"]], y, cv=3)
    assert np.corrcoef(predicted, y)[0, 1] > 0.75
    again = cross_val_predict(clone(model), df[["x", "z"]], y, cv=3)
    np.testing.assert_array_equal(predicted, again)


def test_clusters_and_names_out():
    df, _ = rows()
    df["g"] = np.arange(300) % 10
    fitted = imputer(cluster="g", m=2, iterations=1).fit(df[:200])
    assert list(fitted.get_feature_names_out()) == ["x", "z", "c", "g"]
    assert not fitted.transform(df[200:]).isna().any().any()
    wrapped = (
        imputer(m=2, iterations=1).set_output(transform="pandas").fit(df[["x", "z"]].to_numpy())
    )
    assert list(wrapped.transform(df[["x", "z"]].to_numpy()).columns) == ["x0", "x1"]


def test_training_rows_without_gaps_need_no_model_unless_one_is_asked_for():
    df, _ = rows()
    complete = df[["x"]].assign(k=3)
    plain = imputer(every_column=False).fit(complete)
    assert plain.imputations_ is None
    pd.testing.assert_frame_equal(plain.transform(complete), complete)
    with pytest.raises(ValueError, match="'x' has gaps"):
        plain.transform(complete.assign(x=np.nan))
    assert imputer(m=2).fit(complete).transform(complete.assign(x=np.nan)).notna().all(axis=None)
