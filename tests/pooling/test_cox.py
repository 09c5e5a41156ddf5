"""Surv(time, event) in imp.fit: Cox regression, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from bayesimpute.analysis import fit
from bayesimpute.errors import AnalysisError


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(5)
    n = 150
    df = pd.DataFrame({"x": rng.normal(size=n), "centre": rng.integers(0, 10, n)})
    df["stage"] = pd.Categorical(rng.choice(["I", "II", "III"], n))
    times = rng.exponential(np.exp(-0.5 * df["x"]))
    df["time"], df["died"] = np.ceil(10 * np.minimum(times, 1.5)), times < 1.5
    return df


# lifelines uses what Python and pandas will give up
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    "died", [lambda d: d, lambda d: d * 1.0, lambda d: pd.Categorical(np.where(d, "y", "n"))]
)
def test_it_is_the_cox_regression_of_lifelines_ties_and_all(data, died):
    from lifelines import CoxPHFitter

    frame = data.assign(died=died(data["died"]))
    ours = fit([frame, frame], "Surv(time, died) ~ x * stage + I(x^2)")
    assert ours[0].terms == ("x", "stageII", "stageIII", "x:stageII", "x:stageIII", "I(x^2)")
    theirs = CoxPHFitter().fit(data, "time", "died", formula="x * stage + I(x**2)")
    order = ["x", "stage[T.II]", "stage[T.III]", "x:stage[T.II]", "x:stage[T.III]", "I(x ** 2)"]
    np.testing.assert_allclose(ours[0].estimate, theirs.params_[order], rtol=0, atol=5e-6)
    variances = theirs.variance_matrix_.loc[order, order]
    np.testing.assert_allclose(ours[0].covariance, variances, rtol=1e-4, atol=1e-8)
    # events minus coefficients are the degrees of freedom of complete data
    assert ours[0].df_residual == data["died"].sum() - 6


def test_a_formula_without_intercept_is_the_same_model(data):
    with_, without = (fit([data], f"Surv(time, died) ~ {s}stage")[0] for s in ("", "0 + "))
    assert with_.terms == without.terms == ("stageII", "stageIII")


BAD = {
    "has no random part.*cluster_col='centre', formula='x \\+ stage'": (
        "Surv(time, died) ~ x + (1 | centre) + stage", {}
    ),
    "no coefficient to estimate": ("Surv(time, died) ~ 1", {}),
    "has no family": ("Surv(time, died) ~ x", {"family": "gaussian"}),
    "it must have two, of which the later": ("Surv(time, stage) ~ x", {}),
    "must be 0 and 1, or True and False": ("Surv(time, centre) ~ x", {}),
    "the time 'stage' must be a number": ("Surv(stage, died) ~ x", {}),
    "the time 'x' is negative": ("Surv(x, died) ~ time", {}),
    "'died', part of its outcome": ("Surv(time, died) ~ x + died", {}),
    "is no column of the data": ("Surv(time, dead) ~ x", {}),
    "Late entry": ("Surv(time, time2, died) ~ x", {}),
}  # fmt: skip


@pytest.mark.parametrize("text", BAD)
def test_refusals(data, text):
    formula, options = BAD[text]
    with pytest.raises(AnalysisError, match=text):
        fit([data], formula, **options)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore:Analysis of")
def test_what_is_advised_for_frailties_runs(data):
    from lifelines import CoxPHFitter

    with pytest.raises(AnalysisError) as refused:
        fit([data], "Surv(time, died) ~ x + stage + (1 | centre)")
    code = str(refused.value).split("imp.fit(lambda data: ")[1].split("). Of a run")[0]
    fits = fit([data], lambda data: eval(code, {"CoxPHFitter": CoxPHFitter, "data": data}))
    assert fits[0].estimate[0] == pytest.approx(
        fit([data], "Surv(time, died) ~ x + stage")[0].estimate[0], rel=1e-4
    )
