"""Predictions for rows with gaps."""

import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi
from bayesimpute.errors import AnalysisError


@pytest.fixture(scope="module")
def study():
    rng = np.random.default_rng(3)
    x, z = rng.normal(size=(2, 600))
    x += z
    df = pd.DataFrame({"x": x, "z": z, "y": 1 + 2 * x + rng.normal(size=600)})
    df.loc[rng.random(600) < 0.3, "x"] = np.nan
    df.loc[rng.random(600) < 0.1, "y"] = np.nan
    imp = bi.impute(df[:500], m=30, iterations=4, method={"x": "normal", "y": "normal"}, seed=1,
                    progress=False)  # fmt: skip
    return imp, df[500:]


def test_complete_rows_are_predicted_as_the_fits_do(study):
    imp, rows = study
    fits = imp.fit("y ~ x + z")
    complete = rows[rows["x"].notna()]
    pd.testing.assert_frame_equal(
        imp.predict_new(complete, fits), fits.predict(complete), check_exact=True
    )


def test_a_gap_widens_the_interval_and_the_outcome_may_lack(study):
    imp, rows = study
    fits = imp.fit("y ~ x + z")
    found = imp.predict_new(rows.drop(columns="y"), fits)
    assert list(found.index) == list(rows.index)
    gap = rows["x"].isna()
    assert found["std_error"][gap].min() > 3 * found["std_error"][~gap].max()
    # given z alone: y = 1 + 2 z + noise of SD sqrt(4 + 1); x is known up to an SD of 1
    away = found["estimate"][gap] - (1 + 2 * rows["z"][gap])
    assert abs(away.mean()) < 0.3 and away.std() < 0.8
    assert abs(np.corrcoef(away, rows["z"][gap])[0, 1]) < 0.4  # nothing is left of the start
    assert abs(found["std_error"][gap].mean() - 2.0) < 0.3


def test_fits_of_other_imputations_are_refused(study):
    imp, rows = study
    fits = bi.fit(imp.complete("all")[:3], "y ~ x")
    with pytest.raises(AnalysisError, match="3 fits and 30 imputations"):
        imp.predict_new(rows, fits)
