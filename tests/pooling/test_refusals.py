"""What is no estimate is refused, and the way to go that the refusal names goes."""

import re
from collections import namedtuple

import numpy as np
import pandas as pd
import pytest
import scipy
import statsmodels.formula.api as smf
from scipy import stats

import bayesimpute as bi
from bayesimpute.errors import AnalysisError
from bayesimpute.pooling.model_tests import PooledTest
from bayesimpute.pooling.pooled import Pooled

M = 3


class Imputed:
    """Three completed data sets, as `Imputations` hands them out."""

    def __init__(self):
        rng = np.random.default_rng(3)
        x, group = rng.normal(size=60), np.arange(60) % 2
        self.frames = [
            pd.DataFrame(
                {"x": x, "y": x / 2 + group / 3 + rng.normal(size=60), "group": group,
                 "high": (x + rng.normal(size=60) > 0) * 1}
            )
            for _ in range(M)
        ]  # fmt: skip

    def complete(self, action):
        return self.frames

    def fit(self, analysis):
        return bi.fit(self.frames, analysis)


@pytest.fixture(scope="module")
def imp():
    return Imputed()


def split(d):
    return d.loc[d["group"] == 0, "y"], d.loc[d["group"] == 1, "y"]


def logrank(d):
    from lifelines.statistics import logrank_test

    one, two = split(d)
    return logrank_test(np.exp(one), np.exp(two))


def first(result, *names):
    return next(getattr(result, name) for name in names if hasattr(result, name))


TESTS = {
    "pearsonr": (lambda d: stats.pearsonr(d["x"], d["y"]), "pool_correlation"),
    "spearmanr": (lambda d: stats.spearmanr(d["x"], d["y"]), "method='spearman'"),
    "kendalltau": (lambda d: stats.kendalltau(d["x"], d["y"]), "pool_correlation"),
    "ttest_ind": (lambda d: stats.ttest_ind(*split(d)), "'y ~ group'"),
    "ttest_rel": (lambda d: stats.ttest_rel(d["x"], d["y"]), r"'I\(y - x\) ~ 1'"),
    "linregress": (lambda d: stats.linregress(d["x"], d["y"]), "'y ~ x'"),
    "chi2": (lambda d: stats.chi2_contingency(pd.crosstab(d["group"], d["high"])), "pool_chi2"),
    "kruskal": (lambda d: stats.kruskal(*split(d)), "pool_chi2"),
    "logrank": (logrank, "pool_chi2"),
    "f_oneway": (lambda d: stats.f_oneway(*split(d)), "pool_F"),
    "levene": (lambda d: stats.levene(*split(d)), "pool_F"),
    "mannwhitneyu": (lambda d: stats.mannwhitneyu(*split(d)), "chi2.isf"),
    "wilcoxon": (lambda d: stats.wilcoxon(d["x"], d["y"]), "chi2.isf"),
    "ks": (lambda d: stats.ks_2samp(*split(d)), "chi2.isf"),
    "fisher": (lambda d: stats.fisher_exact(pd.crosstab(d["group"], d["high"])), "correlation"),
    "t_test": (lambda d: smf.ols("y ~ x", d).fit().t_test("x = 0"), r"test\(\['x = 0'\]\)"),
    "own": (lambda d: namedtuple("Found", "r p")(0.2, 0.03), "std_error"),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", TESTS)
def test_results_of_tests_are_refused_and_what_is_advised_works(imp, name):
    test, advice = TESTS[name]
    with pytest.raises(AnalysisError, match=advice) as refused:
        imp.fit(test)
    results = [test(frame) for frame in imp.frames]
    with pytest.raises(AnalysisError, match=r"Imputation 1: .* whose p value is no variance"):
        bi.pool(results)
    names = {"imp": imp, "bi": bi, "scipy": scipy, "df": 1}
    names["statistics"] = [first(r, "statistic", "test_statistic", "r", "slope") for r in results]
    names["p_values"] = [first(r, "pvalue", "p_value", "p") for r in results]
    codes = re.findall(r"((?:imp|bi)\.\w+\((?:[^()]|\([^()]*\))*\)(?:\.\w+\([^()]*\))?)",
                       str(refused.value))  # fmt: skip
    assert codes
    for code in codes:
        result = eval(code, names)
        assert isinstance(result, Pooled | PooledTest | pd.DataFrame), code


def test_the_t_test_that_is_advised_is_the_t_test(imp):
    fit = imp.fit("y ~ group")[0].model
    np.testing.assert_allclose(fit.pvalues["group"], stats.ttest_ind(*split(imp.frames[0])).pvalue)


PAIRS = {
    "r and p": (0.2, 0.03),
    "two vectors": ([1.0, 2.0], [0.1, 0.2]),
    "an interval": (np.float64(-0.3), np.float64(0.5)),
    "labelled": (pd.Series({"x": 1.0}), pd.Series({"x": 0.1})),
    "three numbers": (1.0, 0.1, 0.2),
    "ragged": ([1.0, 2.0], [[1.0, 0.0], [1.0]]),
    "a slope and an intercept": stats.siegelslopes([1.0, 2.0, 4.0]),
}


@pytest.mark.parametrize("name", PAIRS)
def test_a_tuple_that_does_not_say_what_it_holds_is_refused(name):
    with pytest.raises(AnalysisError, match=r"does not say whether .*'variance': …\}"):
        bi.pool([PAIRS[name]] * M)


def test_a_tuple_that_names_its_parts_is_read_by_their_names():
    named = namedtuple("Found", "estimate variance")
    table = bi.pool([named(1.0, 0.04), named(1.2, 0.05)]).table
    pd.testing.assert_frame_equal(
        table.reset_index(drop=True),
        bi.pool([1.0, 1.2], [0.04, 0.05]).table.reset_index(drop=True),
    )


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (([1.0, 2.0], [[1.0, 0.5], [0.0, 1.0]]), "not symmetric"),
        (([1.0, 2.0], [[1.0, 0.5]]), r"2 estimates and a covariance of shape \(1, 2\)"),
        ({"estimates": [1.0, 2.0], "std_errors": [1.0]}, "give one an estimate"),
        ({"estimate": 1.0, "variance": -1.0}, "variance of 'estimate' is negative"),
        ({"estimate": 1.0, "variance": np.inf}, "not a finite number"),
        ({"estimate": np.nan, "variance": 1.0}, "not a finite number"),
        ({"estimate": [1.0], "se": [1.0], "variance": [2.0]}, "not the squares"),
        ({"estimate": [1.0], "se": [1.0], "covariance": [[2.0]]}, "the standard error 1.414"),
        ({"estimate": 1.0, "variance": [[1.0]]}, "a matrix as 'covariance'"),
        ({"estimate": 1.0, "variance": "a"}, "are not numbers"),
        ({"estimate": 1.0, "variance": 1.0, "df": 0}, "degrees of freedom .* are 0"),
        ({"estimates": {}, "std_errors": {}}, "no estimate"),
        (pd.DataFrame({"x": [1.0]}), r"bi.fit\(frames"),
        (pd.DataFrame({"estimate": [1.0], "se": [1.0]}), "which row is which term"),
        (1.5, "returned float; return a fit"),
        ([1.0, 0.1], "returned list; return a fit"),
    ],
)
def test_what_cannot_be_read_gets_one_clear_sentence(imp, result, text):
    with pytest.raises(AnalysisError, match=text):
        imp.fit(lambda d: result)


FRAME = pd.DataFrame({"x": np.arange(6.0), "y": [0.0, 2, 1, 3, 2, 4], "a": list("ababab")})


@pytest.mark.parametrize(
    "call",
    [
        lambda name: bi.fit([FRAME], "y ~ x", cluster=name),
        lambda name: bi.fit([FRAME], f"y ~ {name}"),
        lambda name: bi.fit([FRAME], f"y ~ poly(x, {name} = 2)"),
        lambda name: bi.fit([FRAME], f"y ~ C(a, {name})"),
        lambda name: bi.fit([FRAME], "y ~ x", family=name),
        lambda name: bi.fit([FRAME], f'y ~ relevel(a, ref = "{name}")'),
        lambda name: bi.pool_correlation([FRAME, FRAME], ["x", name]),
        lambda name: bi.test_constraints(bi.fit([FRAME, FRAME], "y ~ x"), name),
        lambda name: bi.recommend_m(bi.fit([FRAME, FRAME], "y ~ x").pool(), terms=[name]),
        lambda name: bi.plot_fmi([bi.fit([FRAME] * m, "y ~ x").pool() for m in (2, 3)], [name]),
    ],
)
@pytest.mark.parametrize("name", ["xx", "degre", "Summ", "qqqqq", "gausian"])
def test_a_name_that_is_not_there_is_answered_in_whole_sentences(call, name):
    with pytest.raises(bi.BayesimputeError) as refused:
        call(name)
    assert re.search(r"[^.?!][.?!]$", str(refused.value))
    assert not re.search(r"\?[.;]", str(refused.value))
