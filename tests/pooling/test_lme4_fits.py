"""Every number of lme4's and nlme's fits, to 1e-8, from their variance components.

Two optimisers stop at slightly different places, so a fit of ours is compared with theirs to about
1e-6 (``tests/test_analysis.py``). What is exact is the rest: given their variances, the likelihood
of `bayesimpute.pooling` must give their log-likelihood, coefficients, covariances and effects; and
with lme4's own optimiser in place of ours, mitml's numbers follow from the data.
"""

import os
from pathlib import Path

import mixedlm
import nlopt
import numpy as np
import pandas as pd
import pytest
from mixedlm.estimation.joint_glmm import JointGLMMObjective
from scipy import stats

import bayesimpute as bi
from bayesimpute.pooling.formula_design import prepared
from bayesimpute.pooling.likelihood import MixedData, root

EXACT = {"rtol": 1e-8, "atol": 0}
OBESITY = "BMI ~ Age + FamOb + Gender + (1 + Age | Cluster)"
LINEAR = [
    ("popmis_cc_ri", "popmis", "popular ~ texp + sex + (1 | school)", True),
    ("popmis_cc_ri_ML", "popmis", "popular ~ texp + sex + (1 | school)", False),
    ("popmis_cc_null", "popmis", "popular ~ 1 + (1 | school)", True),
    ("popmis_cc_rs", "popmis", "popular ~ sex + (1 + sex | school)", True),
    ("popular_complete_ri", "popular_complete", "popular ~ texp + sex + (1 | school)", True),
    ("popular_complete_rs", "popular_complete", "popular ~ sex + (1 + sex | school)", True),
    ("obesity_null", "obesity", "BMI ~ 1 + (1 | Cluster)", True),
    ("obesity_cc_lmer", "obesity", OBESITY, True),
    ("obesity_cc_lme", "obesity", OBESITY, True),
]


def rows(numbers, frame, formula):
    """The rows of R's fit: those complete in what the formula uses."""
    used = [name for name in frame.columns if name in formula.replace("(", " ").split()]
    used += [name for name in ("school", "Cluster") if name in frame.columns]
    data = frame.dropna(subset=list(dict.fromkeys(used)))
    assert len(data) == numbers["n"]
    return prepared(data, tuple(dict.fromkeys(used)))


def covariance(numbers):
    """Covariance matrix of the random effects, and the residual variance."""
    if "random_cov" in numbers:
        return np.array(numbers["random_cov"]), numbers["sigma"] ** 2
    *effects, residual = numbers["varcomp"]
    names = [part["var1"] for part in effects if part["var2"] is None]
    between = np.zeros((len(names), len(names)))
    for part in effects:
        i, j = names.index(part["var1"]), names.index(part["var2"] or part["var1"])
        between[i, j] = between[j, i] = part["vcov"]
    return between, residual["vcov"]


@pytest.mark.parametrize(("case", "data", "formula", "reml"), LINEAR)
def test_a_fit_of_r_is_reproduced_from_its_variances(
    shared_data, reference, case, data, formula, reml
):
    numbers = reference("model_fits")["fits"][case]
    matrices = mixedlm.lFormula(formula, rows(numbers, shared_data(data), formula)).matrices
    each = MixedData.of(matrices)
    between, residual = covariance(numbers)
    block = root(between / residual)
    top, determinant = each.reduced([block])
    products = top.T @ top
    xx, xy, yy = products[:-1, :-1], products[:-1, -1], products[-1, -1]
    coefficients = np.linalg.solve(xx, xy)
    squares = yy - xy @ coefficients
    n, p = each.x.shape
    effective = n - p if reml else n
    log_likelihood = -0.5 * (
        effective * np.log(2 * np.pi * residual) + determinant + squares / residual
        + (np.linalg.slogdet(xx)[1] if reml else 0.0)
    )  # fmt: skip
    size = len(block)
    parameters = p + size * (size + 1) // 2 + 1
    vcov = residual * np.linalg.inv(xx)
    errors = np.sqrt(np.diagonal(vcov))
    # Effects from their normal equations, level by level.
    lower = block @ np.linalg.inv(
        block.T @ each.level_squares @ block + np.eye(size)
    ) @ block.T  # fmt: skip
    crossed = each.z.T @ (each.y - each.x @ coefficients)
    crossed = crossed.reshape(-1, size)
    effects = (lower @ crossed[:, :, None])[:, :, 0]
    np.testing.assert_allclose(np.sqrt(residual), numbers["sigma"], **EXACT)
    np.testing.assert_allclose(log_likelihood, numbers["logLik"], **EXACT)
    np.testing.assert_allclose(2 * parameters - 2 * log_likelihood, numbers["AIC"], **EXACT)
    shown = np.array(numbers["tTable" if case == "obesity_cc_lme" else "coef"]["values"])
    shown = shown.reshape(p, -1)
    np.testing.assert_allclose(coefficients, shown[:, 0], **EXACT)
    np.testing.assert_allclose(errors, shown[:, 1], **EXACT)
    if case == "obesity_cc_lme":
        np.testing.assert_allclose(effects, numbers["ranef"], **EXACT)
        np.testing.assert_allclose(shown[:, 0] / shown[:, 1], shown[:, 3], **EXACT)
        p_values = 2 * stats.t.sf(np.abs(shown[:, 3]), shown[:, 2])
        np.testing.assert_allclose(p_values, shown[:, 4], **EXACT)
        return
    np.testing.assert_allclose(coefficients / errors, shown[:, 2], **EXACT)
    np.testing.assert_allclose(vcov, numbers["vcov"], **EXACT)
    np.testing.assert_allclose(effects[: len(numbers["ranef_first5"])], numbers["ranef_first5"],
                               **EXACT)  # fmt: skip
    np.testing.assert_allclose(-2 * log_likelihood, numbers["deviance_or_reml"], **EXACT)
    bic = np.log(n) * parameters - 2 * log_likelihood
    np.testing.assert_allclose(bic, numbers["BIC"], **EXACT)
    assert n - parameters == numbers["df_resid"]
    for part in numbers["varcomp"]:
        if part["var2"] is None:
            np.testing.assert_allclose(np.sqrt(part["vcov"]), part["sdcor"], **EXACT)


class RandomIntercept:
    """A random-intercept model with its deviance to the last digits (rotated rows, one QR).

    lme4's optimiser compares deviances that differ by 1e-12, so where it stops is repeated only by
    a deviance as exact as its own.
    """

    def __init__(self, data, outcome, predictors, group, reml):
        self.y, self.group = data[outcome], data[group]
        columns = [np.ones(len(data)), data[predictors], self.y]
        self.both = np.column_stack(columns).astype(float)
        self.level = pd.factorize(self.group)[0]
        self.sizes = np.bincount(self.level)
        sums = np.zeros((len(self.sizes), self.both.shape[1]))
        np.add.at(sums, self.level, self.both)
        self.means = sums / self.sizes[:, None]
        self.p = self.both.shape[1] - 1
        self.df = len(data) - self.p if reml else len(data)
        self.reml = reml

    def fit(self, theta):
        """Deviance, coefficients, their covariance, residual variance; theta is SD over SD."""
        ratio = 1 + self.sizes * theta**2
        rotated = self.both - ((1 - 1 / np.sqrt(ratio))[:, None] * self.means)[self.level]
        r = np.linalg.qr(rotated, mode="r")
        xx, residual = r[: self.p, : self.p], r[self.p, self.p] ** 2
        deviance = np.log(ratio).sum() + self.df * (1 + np.log(2 * np.pi * residual / self.df))
        if self.reml:
            deviance += 2 * np.log(np.abs(np.diagonal(xx))).sum()
        inverse = np.linalg.inv(xx)
        variance = residual / self.df
        return deviance, inverse @ r[: self.p, self.p], variance * inverse @ inverse.T, variance

    def of_lme4(self):
        """Theta where lme4 1.1-31 stops: its optimiser, first value and tolerances."""
        means = self.y.groupby(self.group).transform("mean")
        first = np.sqrt(means.var() / (self.y.var() - means.var()))
        optimiser = nlopt.opt(nlopt.LN_BOBYQA, 1)
        optimiser.set_min_objective(lambda theta, _: self.fit(theta[0])[0])
        optimiser.set_lower_bounds([0.0])
        optimiser.set_xtol_rel(1e-4)
        optimiser.set_xtol_abs(1e-8)
        optimiser.set_ftol_abs(1e-8)
        return optimiser.optimize([first])[0]


def completed(shared_data, reference_table):
    frame, imputations = shared_data("popmis"), reference_table("popmis_2lpmm_imputations")
    gaps = frame["popular"].isna()
    for column in imputations.columns[-5:]:
        filled = frame.copy()
        filled.loc[gaps, "popular"] = imputations[column].to_numpy()
        yield filled


def lme4_fits(frames, reml):
    """Coefficients, covariances, and the variances of schools and residuals of each data set."""
    found = []
    for frame in frames:
        model = RandomIntercept(frame, "popular", ["texp", "sex"], "school", reml)
        theta = model.of_lme4()
        _, coefficients, vcov, residual = model.fit(theta)
        found.append((coefficients, vcov, (residual * theta**2, residual)))
    return list(zip(*found, strict=True))


def test_mixed_models_of_mitml_are_reproduced_from_the_data(
    shared_data, reference, reference_table
):
    fits = lme4_fits(completed(shared_data, reference_table), reml=True)
    estimates, covariances, variances = fits
    expected = reference("mitml_tests")["testEstimates_lmer_REML"]
    table = bi.pool(estimates, covariances).table
    shown = table[["estimate", "std_error", "statistic", "df", "p_value", "riv", "fmi"]]
    # R's 1 - pt() is 0, or a multiple of 1e-16, where p is small.
    np.testing.assert_allclose(shown, expected["estimates"]["values"], rtol=1e-8, atol=1e-14)
    components = [[school, residual, school / (school + residual)]
                  for school, residual in variances]  # fmt: skip
    extra = np.ravel(expected["extra.pars"]["values"])
    np.testing.assert_allclose(np.mean(components, axis=0), extra, **EXACT)


SHUFFLED = [379.247894842788, 1, 16.9488058688295, 4.89688339584022e-13, 0.944780979243326]


@pytest.mark.parametrize(
    ("case", "run"),
    [("D1", lambda f, f0: bi.D1(f, f0, dfcom=np.inf)), ("D2_wald", bi.D2)],
)
def test_wald_tests_of_mitml_are_reproduced_from_the_data(
    shared_data, reference, reference_table, case, run
):
    terms = ["(Intercept)", "texp", "sex"]
    estimates, covariances, _ = lme4_fits(completed(shared_data, reference_table), reml=False)
    full = [
        (pd.Series(beta, terms), pd.DataFrame(vcov, terms, terms))
        for beta, vcov in zip(estimates, covariances, strict=True)
    ]
    reduced = [(beta.drop("sex"), np.eye(2)) for beta, _ in full]
    found = run(full, reduced)
    expected = reference("mitml_tests")["testModels_lmer_ML"][case]["test"]
    shown = [found.statistic, found.df1, found.df2, found.p_value, found.riv]
    if case == "D2_wald":
        # lme4 stops 1e-7 further on for the first data set when its rows are shuffled (seed 2 and
        # others), and then mitml's F is this.
        np.testing.assert_allclose(shown, expected, rtol=1e-7, atol=1e-14)
        expected = SHUFFLED
    # p is 5e-13: its relative error is some ten times that of the statistic.
    np.testing.assert_allclose(shown, expected, rtol=1e-8, atol=1e-14)


def test_our_own_fits_are_at_least_as_high_as_those_of_lme4(shared_data, reference_table):
    for frame in completed(shared_data, reference_table):
        model = RandomIntercept(frame, "popular", ["texp", "sex"], "school", reml=True)
        own = bi.fit([frame], LINEAR[0][2])[0].log_likelihood
        assert own > -model.fit(model.of_lme4())[0] / 2 - 1e-9


@pytest.mark.parametrize(
    ("case", "fit", "data", "formula"),
    [
        ("obesity_icc", "obesity_null", "obesity", "BMI ~ 1 + (1 | Cluster)"),
        ("popmis_cc_icc", "popmis_cc_ri", "popmis", "popular ~ texp + sex + (1 | school)"),
    ],
)
def test_iccs_of_r_are_reproduced_from_its_fits(shared_data, reference, case, fit, data, formula):
    fits = reference("model_fits")["fits"]
    between, residual = covariance(fits[fit])
    frame = rows(fits[fit], shared_data(data), formula)
    x = mixedlm.lFormula(formula, frame).matrices.X
    slopes = np.array(fits[fit]["coef"]["values"]).reshape(x.shape[1], -1)[:, 0]
    explained = np.var(x @ slopes, ddof=1)
    total = between[0, 0] + residual
    np.testing.assert_allclose(between[0, 0] / total, fits[case]["adjusted"], **EXACT)
    np.testing.assert_allclose(
        between[0, 0] / (total + explained), fits[case]["unadjusted"], **EXACT
    )


def second_differences(function, at, step=1e-3):
    steps = np.eye(len(at)) * step
    return np.array([
        [
            sum(
                sign * function(at + to * i + sign * to * j)
                for to, sign in ((1, 1), (1, -1), (-1, -1), (-1, 1))
            ) / (4 * step**2)
            for j in steps
        ]
        for i in steps
    ])  # fmt: skip


def test_a_glmer_fit_of_r_is_reproduced_from_its_parameters(shared_data, reference):
    shared_data("impact_incomplete")  # skips where it is not there
    beside = Path(__file__).resolve().parents[3] / "shared"
    folder = Path(os.environ.get("BAYESIMPUTE_SHARED", beside)) / "data"
    frame = pd.read_csv(folder / "impact_incomplete.csv", keep_default_na=False, na_values=[""])
    numbers = reference("model_fits")["fits"]["impact_cc_glmer"]
    data = frame.dropna(subset=["age", "motor_score", "pupil", "ct"])
    formula = "mort ~ type + age + motor_score + pupil + ct + (1 | name)"
    matrices = mixedlm.glFormula(formula, data, family=mixedlm.families.Binomial()).matrices
    values = np.array(numbers["coef"]["values"])
    sd = numbers["varcomp"][0]["sdcor"]
    function = JointGLMMObjective(matrices, mixedlm.families.Binomial(), pirls_tol=1e-12)
    deviance, _, effects, converged = function.evaluate(np.append(sd, values[:, 0]))
    assert converged
    assert len(data) == numbers["n"]
    np.testing.assert_allclose(-deviance / 2, numbers["logLik"], **EXACT)
    np.testing.assert_allclose(deviance + 2 * 11, numbers["AIC"], **EXACT)
    np.testing.assert_allclose(deviance + np.log(len(data)) * 11, numbers["BIC"], **EXACT)
    assert len(data) - 11 == numbers["df_resid"]
    np.testing.assert_allclose(values[:, 0] / values[:, 1], values[:, 2], **EXACT)
    np.testing.assert_allclose(2 * stats.norm.sf(np.abs(values[:, 2])), values[:, 3], **EXACT)
    np.testing.assert_allclose(values[:, 1] ** 2, np.diagonal(numbers["vcov"]), **EXACT)
    np.testing.assert_allclose(sd**2, numbers["varcomp"][0]["vcov"], **EXACT)
    np.testing.assert_allclose(np.ravel(effects)[:5], np.ravel(numbers["ranef_first5"]), **EXACT)
    # deviance_or_reml is lme4's conditional deviance, of the responses given the effects.
    eta = matrices.X @ values[:, 0] + matrices.Z @ np.ravel(effects)
    conditional = 2 * np.sum(np.logaddexp(0, eta) - matrices.y * eta)
    np.testing.assert_allclose(conditional, numbers["deviance_or_reml"], **EXACT)
    # glmer differences a deviance whose effects are not iterated to the end: its standard errors
    # change by 2e-5 when the rows are shuffled, and are 3.5e-4 from those of the exact Hessian.
    hessian = second_differences(
        lambda values: function.evaluate(values)[0], np.append(sd, values[:, 0])
    )
    errors = np.sqrt(np.diagonal(2 * np.linalg.inv(hessian)))[1:]
    np.testing.assert_allclose(errors, values[:, 1], rtol=4e-4)
