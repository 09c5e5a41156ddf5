"""Simulated IMPACT and obesity studies: near the real data, with truth that is exact."""

import re

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from scipy import stats

import bayesimpute as bi
from bayesimpute.analysis import fit
from bayesimpute.simulate import simulate_impact, simulate_obesity

GAPS = ["pupil", "ct", "hypox", "hypots", "tsah", "edh"]
MORTALITY = "mort ~ type + age + motor_score + pupil + ct"


@pytest.fixture(scope="module")
def many_studies():
    """So many studies that what varies between them has its mean."""
    return simulate_impact(1, studies=300, patients=30_000, systematic=0)


@pytest.fixture(scope="module")
def many_regions():
    return simulate_obesity(1, regions=400, people=30_000)


def columns(people):
    """The predictors of weight as numbers, Age centred at 25."""
    numbers = people[["Cluster", "Height", "Time"]].assign(
        Male=people["Gender"] == "Male", FamOb=people["FamOb"] == "yes", Age=people["Age"] - 25
    )
    return numbers.astype(float)


@pytest.mark.parametrize("simulate", [simulate_impact, simulate_obesity])
def test_the_same_seed_gives_the_same_bits_and_gaps_are_all_that_differs(simulate):
    first, again, other = simulate(3), simulate(3), simulate(4)
    pd.testing.assert_frame_equal(first.incomplete, again.incomplete, check_exact=True)
    pd.testing.assert_frame_equal(first.complete, again.complete, check_exact=True)
    assert first.truth == again.truth
    assert not first.complete.equals(other.complete)
    assert not first.complete.isna().any().any()
    for name, column in first.incomplete.items():
        seen = column.notna()
        assert (column[seen] == first.complete[name][seen]).all(), name


# --- IMPACT --------------------------------------------------------------------------------------


def test_impact_has_the_columns_and_types_of_the_real_file(shared_path):
    real = pd.read_csv(shared_path("impact_incomplete"), keep_default_na=False, na_values=[""])
    study = simulate_impact(1)
    assert study.incomplete.shape == real.shape
    assert list(study.incomplete) == list(real)
    assert study.complete["name"].nunique() == 15
    assert study.complete.groupby("name")["type"].nunique().eq(1).all()
    assert study.complete.groupby("name")["type"].first().value_counts()["OBS"] == 4
    motor = study.complete["motor_score"].cat
    assert motor.ordered and list(motor.categories) == ["1/2", "3", "4", "5/6"]
    for name in ("type", "pupil", "ct"):
        categories = study.incomplete[name].cat
        assert list(categories.categories) == sorted(real[name].dropna().unique())
        assert not categories.ordered
    for name in ("age", "hypox", "hypots", "tsah", "edh", "mort"):
        assert study.complete[name].dtype == "int64"
    assert study.complete[["hypox", "hypots", "tsah", "edh", "mort"]].isin([0, 1]).all().all()


def test_impact_is_distributed_as_the_real_data_are(shared_path, many_studies):
    real = pd.read_csv(shared_path("impact_incomplete"), keep_default_na=False, na_values=[""])
    simulated = many_studies.complete
    for name in ("motor_score", "pupil", "ct", "hypox", "hypots", "tsah", "edh", "mort"):
        share = simulated[name].value_counts(normalize=True)
        wanted = real[name].value_counts(normalize=True)
        for label in wanted.index:
            assert share[label] == pytest.approx(wanted[label], abs=0.025), (name, label)
    quantiles = [0.05, 0.25, 0.5, 0.75, 0.95]
    assert np.allclose(simulated["age"].quantile(quantiles), real["age"].quantile(quantiles), 0, 3)
    assert (simulated["age"].min(), simulated["age"].max()) == (14, 93)
    # associations with death, those included that are drawn after it
    for name in ("hypox", "hypots", "tsah", "edh"):
        here, there = (data[name].corr(data["mort"]) for data in (simulated, real))
        assert here == pytest.approx(there, abs=0.06), name


def test_impact_misses_as_much_as_the_real_data(shared_path, many_studies):
    real = pd.read_csv(shared_path("impact_incomplete"), keep_default_na=False, na_values=[""])
    gone = many_studies.incomplete.isna()
    np.testing.assert_allclose(gone.mean(), real.isna().mean(), atol=0.01)
    by_study = gone.groupby(many_studies.incomplete["name"]).mean()[GAPS]
    assert (by_study.std() > 0.08).all()
    for name in GAPS:
        assert simulate_impact(2).incomplete[name].isna().mean() > 0.08


def test_ct_is_missing_altogether_in_as_many_studies_as_wanted():
    other = simulate_impact(5, patients=3000, systematic=1)
    for systematic in (0, 2, 5):
        study = simulate_impact(5, patients=3000, systematic=systematic)
        unseen = study.incomplete["ct"].isna().groupby(study.incomplete["name"]).all()
        assert unseen.sum() == systematic
        recorded = study.incomplete["name"].map(~unseen)
        assert study.incomplete["ct"][recorded].isna().mean() == pytest.approx(0.237, abs=0.03)
        pd.testing.assert_frame_equal(study.complete, other.complete)


def test_shares_can_be_one_number_or_one_by_variable():
    some = simulate_impact(1, missing={"tsah": 0.5}, systematic=0).incomplete.isna().mean()
    assert some["tsah"] == pytest.approx(0.5, abs=0.02) and some.drop("tsah").eq(0).all()
    all_six = simulate_impact(1, missing=0.3, systematic=0).incomplete[GAPS].isna().mean()
    assert np.allclose(all_six, 0.3, atol=0.02)
    assert not simulate_impact(1, missing=0, systematic=0).incomplete.isna().any().any()


def test_truth_is_named_as_the_analysis_names_it(many_studies):
    part = many_studies.complete.iloc[:1000]
    table = fit([part, part], MORTALITY, family="binomial").pool().table
    assert {*table.index, "Intercept~~Intercept|name"} == set(many_studies.truth)


def test_deaths_follow_the_model_in_truth(many_studies):
    truth, complete = many_studies.truth, many_studies.complete
    variance = truth["Intercept~~Intercept|name"]
    # without the random intercept, log-odds are nearer to 0 (Zeger, Liang & Albert 1988)
    nearer = (1 + (16 * 3**0.5 / (15 * np.pi)) ** 2 * variance) ** -0.5

    def clustered(data):
        """Generalised linear model with errors that know of the studies."""
        groups = data["name"].astype("category").cat.codes
        model = smf.glm(MORTALITY, data, family=sm.families.Binomial()).fit(
            cov_type="cluster", cov_kwds={"groups": groups}
        )
        names = [re.sub(r"\[T\.(.*)\]", r"\1", name) for name in model.params.index]
        names[0] = "(Intercept)"
        params, error = (each.set_axis(names) for each in (model.params, model.bse))
        return model, params, error

    model, params, error = clustered(complete)
    away = (params - nearer * pd.Series(truth)[params.index]).to_numpy()
    assert len(away) == len(truth) - 1
    assert away @ np.linalg.solve(model.cov_params(), away) < stats.chi2.ppf(0.999, len(away))

    # a step of Newton's from the fixed part to each study's intercept, and its error's variance
    eta = model.predict(which="linear") / nearer
    chance = 1 / (1 + np.exp(-eta))
    sums = pd.DataFrame({"r": complete["mort"] - chance, "v": chance * (1 - chance)})
    sums = sums.groupby(complete["name"]).sum()
    found = ((sums["r"] / sums["v"]) ** 2 - 1 / sums["v"]).mean()
    assert found == pytest.approx(variance, rel=0.35)

    # complete cases understate the effect of age
    _, kept, _ = clustered(many_studies.incomplete.dropna(subset=["pupil", "ct"]))
    assert kept["age"] < params["age"] - 5 * error["age"]
    assert kept["ctIII"] == pytest.approx(params["ctIII"], abs=0.1)


@pytest.mark.slow
def test_the_mixed_model_recovers_truth():
    study = simulate_impact(2, studies=60, patients=30_000)
    estimates = fit([study.complete], f"{MORTALITY} + (1 | name)", family="binomial")[0]
    error = np.sqrt(np.diag(estimates.covariance))
    truth = np.array([study.truth[name] for name in estimates.terms])
    assert np.abs((estimates.estimate - truth) / error).max() < 3.5
    name = "Intercept~~Intercept|name"
    assert estimates.variance_components[name] == pytest.approx(study.truth[name], rel=0.6)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"studies": 1}, "at least 2 studies"),
        ({"studies": 15, "patients": 149}, "149 patients in 15 studies"),
        ({"studies": 15.0}, "studies=15.0 must be a whole number"),
        ({"systematic": 14}, "systematic=14 of 15 studies.*from 0 to 13"),
        ({"systematic": -1}, "systematic=-1 must be a whole number from 0"),
        ({"missing": 1}, "missing of 'pupil' is 1"),
        ({"missing": {"pupils": 0.2}}, "names 'pupils'.*Did you mean 'pupil'"),
        ({"missing": {"ct": "0.2"}}, "missing of 'ct' is '0.2'"),
    ],
)
def test_impact_says_what_cannot_be_met(arguments, words):
    with pytest.raises(bi.BayesimputeError, match=words):
        simulate_impact(1, **arguments)


# --- obesity -------------------------------------------------------------------------------------


def test_obesity_has_the_columns_and_values_of_the_real_file(shared_data):
    real, study = shared_data("obesity"), simulate_obesity(1)
    assert study.incomplete.shape == real.shape and list(study.incomplete) == list(real)
    assert sorted(study.complete["Cluster"].unique()) == [1, 2, 3, 4, 5]
    assert list(study.complete["Gender"].cat.categories) == ["Female", "Male"]
    assert list(study.complete["FamOb"].cat.categories) == ["no", "yes"]
    assert study.complete["Age"].dtype == "int64"
    age, many = study.complete["Age"], simulate_obesity(2, people=20_000).complete
    assert age.min() >= 14 and age.max() <= 47
    assert many["Time"].between(1, 10).all()
    for name, tolerance in {"Age": 0.5, "Height": 0.01, "Time": 0.1}.items():
        assert many[name].mean() == pytest.approx(real[name].mean(), abs=tolerance)
        assert many[name].std() == pytest.approx(real[name].std(), rel=0.05)
    assert (many["FamOb"] == "yes").mean() == pytest.approx(0.83, abs=0.02)


def test_obesity_misses_as_much_as_the_real_data(shared_data):
    real = shared_data("obesity").isna().sum()
    found = pd.DataFrame([simulate_obesity(s).incomplete.isna().sum() for s in range(20)]).mean()
    assert (found[["Cluster", "Time", "Gender"]] == 0).all()
    for name in ("Height", "FamOb", "Age", "Weight", "BMI"):
        assert found[name] == pytest.approx(real[name], rel=0.15), name


def test_bmi_is_weight_by_squared_height_and_missing_when_either_is():
    study = simulate_obesity(1)
    for frame in (study.complete, study.incomplete):
        np.testing.assert_array_equal(frame["BMI"], frame["Weight"] / frame["Height"] ** 2)
    gone = study.incomplete.isna()
    # questions are skipped by people who do not give their weight
    assert not gone[~gone["Weight"]].any().any()
    assert (gone["Weight"] & ~gone["Height"]).any() and (gone["Height"] <= gone["Age"]).all()


def test_nobody_in_the_third_region_has_a_weight():
    seen = simulate_obesity(7, regions=6).incomplete.groupby("Cluster")["Weight"].count()
    assert seen[seen == 0].index.tolist() == [3]


def test_truth_has_the_mean_of_unseen_weights_by_region():
    study = simulate_obesity(1)
    for k in range(1, 6):
        unseen = study.incomplete["Weight"].isna() & (study.complete["Cluster"] == k)
        mean = study.complete["Weight"][unseen].mean()
        assert study.truth[f"mean unseen Weight[{k}]"] == pytest.approx(mean, rel=1e-12)
    tiny = simulate_obesity(1, regions=40, people=80)
    assert not any(np.isnan(value) for value in tiny.truth.values())


def test_weights_have_the_coefficients_and_variances_in_truth(many_regions):
    truth, people = many_regions.truth, many_regions.complete
    x = columns(people)
    line = people["Weight"] - sum(
        truth[name] * x[column]
        for name, column in {"GenderMale": "Male", "Height": "Height", "FamObyes": "FamOb"}.items()
    )
    # coefficients within regions, each with an intercept and a slope of its own
    basis = np.column_stack([np.ones(len(x)), people["Age"]])
    within = x[["Male", "Height", "FamOb"]].assign(line=line).to_numpy()
    estimates, noise = [], []
    for rows in people.groupby("Cluster").indices.values():
        z = basis[rows]
        noise.append(np.linalg.inv(z.T @ z))
        by = noise[-1] @ z.T @ within[rows]
        within[rows] -= z @ by
        estimates.append(by[:, -1])
    left = sm.OLS(within[:, -1], within[:, :-1]).fit()
    assert np.abs(left.tvalues).max() < 4
    sigma2 = (within[:, -1] ** 2).sum() / (len(x) - 2 * len(noise))
    assert sigma2 == pytest.approx(truth["Residual~~Residual"], rel=0.04)
    assert truth["sigma"] == pytest.approx(sigma2**0.5, rel=0.02)
    effects = np.array(estimates)
    mean, covariance = effects.mean(axis=0), np.cov(effects.T)
    fixed = np.array([truth["(Intercept)"], truth["Age"]])
    z = (mean - fixed) / np.sqrt(np.diag(covariance) / len(effects))
    assert np.abs(z).max() < 4
    # about age 25 effects are independent and known well
    names = ("Intercept~~Intercept", "Intercept~~Age", "Intercept~~Age", "Age~~Age")
    wanted = np.array([truth[f"{name}|Cluster"] for name in names]).reshape(2, 2)
    moved = np.array([[1, 25], [0, 1]])
    found = moved @ (covariance - sigma2 * np.mean(noise, axis=0)) @ moved.T
    wanted = moved @ wanted @ moved.T
    assert found[0, 0] == pytest.approx(wanted[0, 0], rel=0.15)
    assert found[0, 1] == pytest.approx(wanted[0, 1], abs=0.6)
    assert found[1, 1] == pytest.approx(wanted[1, 1], rel=0.4)
    terms = fit([people], "Weight ~ Gender + Height + FamOb + Age")[0].terms
    assert set(terms) < set(truth)


@pytest.mark.parametrize("rho", [-0.6, 0.0, 0.5])
def test_unseen_weights_are_away_by_what_a_truncated_normal_says(rho):
    study = simulate_obesity(3, regions=4, people=20_000, rho=rho)
    assert study.truth["rho"] == rho
    x = columns(study.complete)
    regions = pd.get_dummies(x["Cluster"], dtype=float)
    slopes = regions.mul(x["Age"], axis=0).add_prefix("Age")
    design = pd.concat([x[["Male", "Height", "FamOb"]], regions, slopes], axis=1)
    weight = sm.OLS(study.complete["Weight"].to_numpy(), design.to_numpy()).fit()
    counted = x["Cluster"] != 3
    seen = study.incomplete["Weight"].notna()
    some = pd.concat([design.drop(columns=[3.0, "Age3.0"]), x["Time"]], axis=1)[counted]
    selection = sm.Probit(seen[counted].to_numpy(dtype=float), some.to_numpy()).fit(disp=0)
    assert selection.params[-1] == pytest.approx(-0.18, abs=4 * selection.bse[-1])
    assert selection.params[0] == pytest.approx(-0.64, abs=4 * selection.bse[0])
    eta = np.asarray(selection.predict(which="linear"))
    e, among = weight.resid[counted], seen[counted].to_numpy()
    unseen_u = -stats.norm.pdf(eta) / stats.norm.sf(eta)
    seen_u = stats.norm.pdf(eta) / stats.norm.cdf(eta)
    sigma = study.truth["sigma"]
    assert e[~among].mean() == pytest.approx(rho * sigma * unseen_u[~among].mean(), abs=0.7)
    assert e[among].mean() == pytest.approx(rho * sigma * seen_u[among].mean(), abs=0.7)
    difference = e[~among].mean() - e[among].mean()
    assert np.sign(difference) == -np.sign(rho) or (rho == 0 and abs(difference) < 0.7)
    # a region without weights is not selected by them
    assert abs(weight.resid[~counted].mean()) < 0.7


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"regions": 2}, "at least 3 regions"),
        ({"regions": 5, "people": 9}, "9 people in 5 regions"),
        ({"people": "many"}, "people='many' must be a whole number"),
        ({"rho": -1}, "rho=-1 must be a number between"),
        ({"rho": None}, "rho=None"),
    ],
)
def test_obesity_says_what_cannot_be_met(arguments, words):
    with pytest.raises(bi.BayesimputeError, match=words):
        simulate_obesity(1, **arguments)


def test_both_are_public():
    assert bi.simulate.simulate_impact is simulate_impact
    assert bi.simulate.simulate_obesity is simulate_obesity


@pytest.mark.parametrize("share", [0.96, 1.0])
def test_a_share_that_rounds_to_all_clusters_is_refused(share):
    with pytest.raises(bi.DataError, match="all of them"):
        bi.simulate.simulate_selection(1, clusters=10, rows=20, systematic=share)
    seen = bi.simulate.simulate_selection(1, clusters=10, rows=20, systematic=0.94).incomplete
    assert seen.loc[seen["y"].notna(), "cluster"].unique().tolist() == [9]
