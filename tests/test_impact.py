"""The IMPACT case: 11,022 patients in 15 studies, every variable with its own likelihood."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi

METHOD = {
    "pupil": "categorical",
    "ct": "ordinal",
    **dict.fromkeys(("hypots", "tsah", "edh", "hypox"), "logistic"),
}
ANALYSIS = "mort ~ type + age + motor_score + pupil + ct + (1 | name)"
#: The paper's pooled table: estimate and standard error. Its intercept is for type coded 1.
PAPER = {
    "typeRCT": (-0.347, 0.179),
    "age": (0.032, 0.002),
    "motor_score3": (-0.576, 0.070),
    "motor_score4": (-0.892, 0.072),
    "motor_score5/6": (-1.272, 0.074),
    "pupilNone": (1.311, 0.074),
    "pupilOne": (0.661, 0.077),
    "ctIII": (0.783, 0.075),
    "ctIV/V": (0.786, 0.095),
    "(Intercept)": (-1.910 - 0.347, 0.335),
}


def as_given(path):
    df = pd.read_csv(path, keep_default_na=False, na_values=[""])
    df["ct"] = pd.Categorical(df["ct"], ["I/II", "III", "IV/V"], ordered=True)
    return df


@pytest.fixture
def data(shared_path):
    return as_given(shared_path("impact_incomplete"))


def test_a_small_run_keeps_labels_and_order(data):
    part = data.sample(1500, random_state=1)
    imp = bi.impute(part, cluster="name", m=2, iterations=2, method=METHOD, seed=1, progress=False)
    done = imp.complete(1)
    assert not done.isna().any().any()
    assert set(done["pupil"]) == {"Both", "None", "One"}
    assert list(done["ct"].cat.categories) == ["I/II", "III", "IV/V"]
    pd.testing.assert_series_equal(done.dtypes, part.dtypes)


@pytest.mark.slow
def test_pooled_log_odds_and_convergence(data):
    # of a hundred quantities the largest R-hat of 20 iterations may well be 1.07 by chance
    imp = bi.impute(data, cluster="name", m=20, iterations=60, method=METHOD, seed=1)
    found = imp.diagnostics()
    assert found["r_hat"].max() <= 1.03, found.sort_values("r_hat").tail()
    table = imp.fit(ANALYSIS, family="binomial").pool().table
    for term, (estimate, error) in PAPER.items():
        assert abs(table.loc[term, "estimate"] - estimate) <= error, term


def one_replicate(seed):
    """Whether 90 % intervals of the share of each category in two unseen studies hold the truth."""
    rng = np.random.default_rng(seed)
    studies, patients = 15, 60
    study = np.repeat(np.arange(studies), patients)
    n = len(study)
    age, motor = rng.normal(size=n), rng.integers(0, 4, n)
    effect = rng.normal(size=studies) * 0.5
    eta = 0.4 * age - 0.3 * motor + effect[study]
    code = np.digitize(eta + rng.logistic(size=n), [-0.9, 0.3])
    ct = pd.Categorical.from_codes(code, ["I/II", "III", "IV/V"], ordered=True)
    df = pd.DataFrame({"study": study, "age": age, "motor": motor, "ct": ct})
    gone = (study >= studies - 2) | (rng.random(n) < 0.15)
    df.loc[gone, "ct"] = None
    imp = bi.impute(
        df, cluster="study", m=60, iterations=1, method={"ct": "ordinal"}, seed=seed, progress=False
    )
    drawn = np.array([frame["ct"].cat.codes.to_numpy() for frame in imp])
    hits = []
    for j in (studies - 2, studies - 1):
        for k in range(3):
            inside = (drawn[:, study == j] == k).mean(axis=1)
            low, high = np.quantile(inside, [0.05, 0.95])
            hits.append(low <= (code[study == j] == k).mean() <= high)
    return hits


@pytest.mark.slow
def test_intervals_in_systematically_missing_studies_cover():
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        hits = np.array(list(pool.map(one_replicate, range(200), chunksize=5)))
    print("coverage", hits.mean(), hits.mean(axis=0))
    assert 0.86 <= hits.mean() <= 0.94
