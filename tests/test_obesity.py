"""The obesity case: the analysis against R's, and weights missing not at random, end to end."""

import warnings

import numpy as np
import pandas as pd
import pymc as pm
import pytest

import bayesimpute as bi
from bayesimpute.analysis import fit

FORMULA = "BMI ~ Age + FamOb + Gender + (1 + Age | Cluster)"
METHOD = {
    "Height": "normal",
    "FamOb": "logistic",
    "Age": "normal",
    "Weight": "normal",
    "BMI": "~ I(Weight / Height**2)",
}
#: Kilograms between regions (notebooks/obesity.py has all of them and the reasons).
SPREADS = {
    "sd_intercept": 10,
    "sd_Gender[Male]": 3,
    "sd_FamOb[no]": 3,
    "sd_Height": 20,
    "sd_Age": 0.2,
}
ANSWERING = {
    "selection_sd_intercept": 0.4,
    "selection_sd_Gender[Male]": 0.2,
    "selection_sd_FamOb[no]": 0.2,
    "selection_sd_Height": 1.5,
    "selection_sd_Age": 0.02,
    "sd_log_sigma": 0.05,
    "sd_atanh_rho": 0.2,
}


def about(values):
    return {name: pm.LogNormal.dist(np.log(value), 0.5) for name, value in values.items()}


def imputed(df, not_at_random, slopes=bi.Role.RANDOM, **arguments):
    """The notebook's two models; with fixed slopes and default priors they start faster."""
    predictors = bi.quickpred(df, cluster="Cluster", exclude=["Time", "BMI"])
    predictors.loc["Weight", ["Gender", "Height", "FamOb", "Age"]] = slopes
    method, spreads = METHOD, SPREADS
    if not_at_random:
        predictors.loc["Weight", "Time"] = bi.Role.SELECTION_ONLY
        method, spreads = {**METHOD, "Weight": "heckman"}, SPREADS | ANSWERING
    priors = {
        "Weight": about(spreads),
        "Height": about({"sd_intercept": 0.01}),
        "FamOb": about({"sd_intercept": 0.2}),
        "Age": about({"sd_intercept": 0.5}),
    }
    return bi.impute(
        df, method=method, predictors=predictors, seed=1, progress=False,
        priors=priors if slopes == bi.Role.RANDOM else None, **arguments,
    )  # fmt: skip


def restricted_log_likelihood(frame, psi, sigma):
    """REML at given variances (Harville 1974), and the coefficients that belong to them."""
    design = [
        np.ones(len(frame)), frame["Age"], frame["FamOb"] == "yes", frame["Gender"] == "Male"
    ]  # fmt: skip
    x, y = np.column_stack(design).astype(float), frame["BMI"].to_numpy()
    z, cluster = x[:, :2], frame["Cluster"].to_numpy()
    same = cluster[:, None] == cluster[None, :]
    v = sigma**2 * np.eye(len(y)) + same * (z @ psi @ z.T)
    weighted = np.linalg.solve(v, np.column_stack([x, y]))
    information = x.T @ weighted[:, :-1]
    beta = np.linalg.solve(information, x.T @ weighted[:, -1])
    rest = y - x @ beta
    log_determinants = np.linalg.slogdet(v)[1] + np.linalg.slogdet(information)[1]
    n, p = x.shape
    squares = rest @ np.linalg.solve(v, rest)
    return -0.5 * ((n - p) * np.log(2 * np.pi) + log_determinants + squares), beta


def test_the_analysis_of_complete_cases_is_that_of_lme(shared_data, reference):
    complete = shared_data("obesity").dropna()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bi.ImputationWarning)  # four regions, variance at its bound
        (found,) = fit([complete], FORMULA)
    lme = reference("model_fits")["fits"]["obesity_cc_lme"]
    assert len(complete) == lme["n"]
    assert list(found.terms) == lme["tTable"]["rows"]
    value, error = np.array(lme["tTable"]["values"])[:, :2].T
    # Both maximise the same function, which is flat here; mixedlm gets a little higher up.
    at_lme, beta = restricted_log_likelihood(complete, np.array(lme["random_cov"]), lme["sigma"])
    np.testing.assert_allclose(beta, value, rtol=1e-5)
    assert at_lme == pytest.approx(lme["logLik"], abs=1e-4)
    components = found.variance_components
    slope, both = components["Age~~Age|Cluster"], components["Intercept~~Age|Cluster"]
    psi = np.array([[components["Intercept~~Intercept|Cluster"], both], [both, slope]])
    at_mixedlm, beta = restricted_log_likelihood(
        complete, psi, np.sqrt(components["Residual~~Residual"])
    )
    np.testing.assert_allclose(beta, found.estimate, rtol=1e-5)
    assert found.log_likelihood == pytest.approx(at_mixedlm, abs=1e-4)
    assert lme["logLik"] < found.log_likelihood < lme["logLik"] + 0.1
    near_zero = np.array([1e-3, 3e-3, 1e-3, 1e-3])
    assert (np.abs(found.estimate / value - 1) < near_zero).all()
    assert (np.abs(found.estimate - value) < 0.01 * error).all()
    np.testing.assert_allclose(np.sqrt(found.variances), error, rtol=0.03)


def test_weights_not_at_random_end_to_end(shared_data):
    df = shared_data("obesity")
    quick = {name: {"tune": 10} for name in ("Height", "FamOb", "Age", "Weight")}
    short = {"m": 2, "iterations": 2, "slopes": bi.Role.FIXED, "model_options": quick}
    mnar, mar = imputed(df, True, **short), imputed(df, False, **short)
    for imp in (mnar, mar):
        for frame in imp.complete("all"):
            assert not frame.isna().any(axis=None)
            np.testing.assert_allclose(frame["BMI"], frame["Weight"] / frame["Height"] ** 2)
            assert frame.where(df.notna()).equals(df)
            assert frame.loc[df["Cluster"] == 3, "Weight"].between(-20, 250).all()
    one, other = (frame["Weight"] for frame in mnar.complete("all"))
    assert not np.isclose(one, other)[df["Weight"].isna()].any()

    # Region 3 has no say in ρ, and its mean is wide: compared are the unseen of the others.
    unseen = (df["Weight"].isna() & (df["Cluster"] != 3)).to_numpy()
    at_random, not_at_random = (
        np.mean([frame["Weight"][unseen].mean() for frame in imp.complete("all")])
        for imp in (mar, mnar)
    )
    rho = mnar.history.parameters["Weight"]["rho"][:, -1].mean()
    assert rho < 0 and not_at_random > at_random + 2  # kg: who is heavier answers less

    assert mnar.identification()["exclusion"].iloc[0] == "Time"
    assert mnar.predictors.loc[["Height", "Weight"], "BMI"].eq(0).all()


@pytest.mark.slow
def test_the_whole_run_converges_and_says_what_it_knows_of_rho(shared_data):
    df = shared_data("obesity")
    imp = imputed(df, True, m=10, iterations=20)
    found = imp.diagnostics()
    largest = found.loc[found["r_hat"].idxmax()]
    print(f"largest R-hat {largest['r_hat']:.3f} of {largest['variable']} {largest['quantity']}")
    # ρ is the slowest: after ten iterations its R-hat was still near 1.2
    assert largest["r_hat"] <= 1.1
    known = imp.identification().iloc[0]
    assert (known["variable"], known["exclusion"]) == ("Weight", "Time")
    assert known["strength"] > 5 and known["contraction"] > 0.8
    assert -0.9 < known["5%"] < known["rho"] < known["95%"] < 0.3
    assert known["verdict"] == "the data speak of ρ"

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bi.ImputationWarning)
        mnar = imp.fit(FORMULA).pool().table
        mar = imputed(df, False, m=10, iterations=20).fit(FORMULA).pool().table
        (seen,) = fit([df.dropna()], FORMULA)
    complete_cases = pd.Series(seen.estimate, seen.terms)
    print(pd.concat({"at random": mar, "not at random": mnar}, axis=1).T.xs("estimate", level=1))
    # men left out their weight more often: if the silent are heavy, men's was understated
    assert mnar.loc["GenderMale", "estimate"] > complete_cases["GenderMale"] + 0.2
    assert mar.loc["GenderMale", "estimate"] == pytest.approx(complete_cases["GenderMale"], abs=0.5)
    assert mnar.loc["Age", "estimate"] == pytest.approx(complete_cases["Age"], abs=0.06)
