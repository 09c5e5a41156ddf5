"""Analysis formulas: every name, every operator, values of transformations, and no code."""

from contextlib import suppress

import numpy as np
import pandas as pd
import patsy
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from statsmodels.stats.anova import anova_lm

import bayesimpute as bi
from bayesimpute.congeniality.analysis_formula import parse_analysis
from bayesimpute.errors import AnalysisError
from bayesimpute.pooling.estimates import aligned, term_key

SINGULAR = pytest.mark.filterwarnings("ignore:Analysis of .*(singular|converge)")
REACHED = []


def reached(*_):
    REACHED.append(1)
    return 1


@pytest.fixture(scope="module")
def frames():
    """Two completed data sets of 80 rows."""
    rng = np.random.default_rng(5)
    base = pd.DataFrame(
        {
            "y": rng.normal(size=80),
            "x": rng.uniform(1, 3, 80),
            "z": rng.normal(size=80),
            "a": rng.choice(list("pqr"), 80),
            "b": rng.choice(["u", "v"], 80),
            "k": rng.poisson(2, 80),
            "g": np.repeat(np.arange(8), 10),
        }
    )
    base["y"] += base["x"] + rng.normal(size=8)[base["g"]]
    return [base, base.assign(y=base["y"] + rng.normal(size=80) / 5)]


def terms_of(frames, formula, **options):
    return list(bi.fit(frames[:1], formula, **options)[0].terms)


#: How a name is written in a formula.
NAMES = {
    "wt.loss": "wt.loss",
    "class": "class",
    "None": "None",
    "Sum": "Sum",
    "log": "log",
    "I": "I",
    "np": "np",
    "größe": "größe",
    "body fat": "`body fat`",
    "2x": "`2x`",
    "a+b": "`a+b`",
    "y~z": 'Q("y~z")',
    "x|g": "Q('x|g')",
    "(": "`(`",
    "a`b": 'Q("a`b")',
    'a"b\\': "Q('a\"b\\\\')",
    "_column0_": "_column0_",
    "x:z": "`x:z`",
}


@pytest.mark.parametrize("random", ["", " + (1 | {})"])
def test_every_name_stands_in_every_place_of_a_formula(random) -> None:
    rng = np.random.default_rng(1)
    plain = pd.DataFrame({f"v{i}": rng.normal(size=90) for i in range(len(NAMES))})
    plain["v0"] = rng.integers(0, 9, 90)
    odd = plain.set_axis(list(NAMES), axis=1)
    right = "{1} * {2} + {3}:{4} + I({5}^2) + exp({6}) + scale({7}) + " + " + ".join(
        f"{{{i}}}" for i in range(8, len(NAMES) - 1)
    )
    formula = f"{{{len(NAMES) - 1}}} ~ {right}{random.format('{0}')}"
    found, expected = (
        bi.fit([data, data * 1.0], formula.format(*written))
        for data, written in ((odd, NAMES.values()), (plain, plain.columns))
    )
    terms = right.replace("{1} * {2}", "{1} + {2} + {1}:{2}").split(" + ")
    labels = [*NAMES][:5] + [text.replace("`", "") for text in [*NAMES.values()][5:8]]
    labels += [*NAMES][8:]
    assert found[0].terms == ("(Intercept)", *(term.format(*labels) for term in terms))
    np.testing.assert_array_equal(found[1].estimate, expected[1].estimate)
    np.testing.assert_array_equal(found.predict(odd), expected.predict(plain))


@pytest.mark.parametrize(
    "evil",
    [
        "__import__('os')",
        "reached(x)",
        "I(reached(x))",
        "@reached(x)",
        "x.values",
        "x[0]",
        "np.load('x')",
        "I([i for i in x])",
        "I((q := reached()))",
        "I(f'{reached()}')",
        "I(lambda: x)",
        "'{0.__class__}'.format(x)",
        "C(a, reached())",
        "C(a, Treatment(reached()))",
        "C(a, levels=reached())",
        "bs(x, df=reached())",
        "bs(x, knots=reached())",
        "bs(x, df=10**9)",
        "poly(x, 10**6)",
        "poly(x, 99)",
        "Q(reached())",
        "offset(reached())",
        "cluster_mean(reached())",
        "(1 | reached(g))",
        "(x.foo() | g)",
        "I(9**9**9)",
        "I(1e999 * x)",
        "x:(x + z)^99",
        "I(" + "(" * 300 + "x" + ")" * 300 + ")",
        "I(" + "-" * 3000 + "x)",
        "(" * 3000 + "x" + ")" * 3000,
        " * ".join(f"I(x^{k})" for k in range(2, 30)),
        "I(" + " + ".join(["x"] * 20_000) + ")",
    ],
)
def test_no_text_of_a_formula_is_run(frames, evil) -> None:
    fits = bi.fit(frames, "y ~ x")
    for formula in (f"y ~ {evil}", f"{evil} ~ x + (1 | g)"):
        with pytest.raises(AnalysisError):
            bi.fit(frames, formula)
    for read in (fits.test, lambda text: parse_analysis(f"y ~ {text}", frames[0].columns)):
        with suppress(AnalysisError):  # some are arithmetic, or name a column that is not there
            read(evil)
    assert not REACHED


@pytest.mark.parametrize(
    "right",
    [
        "a * b",
        "0 + a",
        "0 + a + b",
        "a:x",
        "a:b",
        "a / b",
        "x * a * b",
        "a:b:x + x",
        "C(k > 2) + C(a, Sum) * x",
        "C(a, Helmert) + C(b, Diff)",
        "C(a, Poly)",
        "C(a, Treatment('q')) * b",
        "(x + z + a)**2",
        "b + x:b - 1",
        "bs(x, df=5)",
        "0 + bs(x, knots=(1.5, 2), degree=2, include_intercept=True)",
    ],
)
def test_categories_and_splines_are_coded_as_patsy_does_without_its_order(frames, right) -> None:
    found, expected = bi.fit(frames[:1], f"y ~ {right}")[0], smf.ols(f"y ~ {right}", frames[0])
    fitted = expected.fit()
    assert found.df_residual == fitted.df_resid
    np.testing.assert_allclose(sorted(found.estimate), sorted(fitted.params), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(found.log_likelihood, fitted.llf)


def test_terms_stand_in_the_order_of_the_formula(frames) -> None:
    expected = ["(Intercept)", "x", "aq", "ar", "x:aq", "x:ar", "z", "bv"]
    assert terms_of(frames, "y ~ x * a + z + b") == expected
    assert terms_of(frames, "y ~ x * a + z + b + (1 | g)") == expected
    assert list(bi.fit(frames, "y ~ x * a + z + b").pool().table.index) == expected


@pytest.mark.parametrize(
    ("right", "expected"),
    [
        (". - a - g - k", ["(Intercept)", "x", "z", "bv"]),
        (". - a - k + (1 | g)", ["(Intercept)", "x", "z", "bv"]),
        ("(x + z + k)^2 - x:z", ["(Intercept)", "x", "z", "k", "x:k", "z:k"]),
        ("x + z %in% x", ["(Intercept)", "x", "z:x"]),
        ("x %in% (z + k)", ["(Intercept)", "x:z:k"]),
        ("x / z", ["(Intercept)", "x", "x:z"]),
        ("(x + z) / k", ["(Intercept)", "x", "z", "x:z:k"]),
        ("x + I(x^2) + I( x ** 2 ) + x:z + z:x", ["(Intercept)", "x", "I(x^2)", "x:z"]),
        ("x - 1", ["x"]),
        ("-1 + x", ["x"]),
        ("x + 0 + 1", ["(Intercept)", "x"]),
        ("1", ["(Intercept)"]),
        ("relevel(b, ref = 'v')", ["(Intercept)", "relevel(b, ref = 'v')u"]),
        ("factor(I(k > 1))", ["(Intercept)", "factor(I(k > 1))1"]),
        ("I(a == 'q')", ["(Intercept)", "I(a == 'q')"]),
        ("poly(x, 2) + ns(z, df = 2)", ["(Intercept)", "poly(x, 2)1", "poly(x, 2)2",
                                       "ns(z, df = 2)1", "ns(z, df = 2)2"]),
    ],
)  # fmt: skip
def test_operators_mean_what_they_mean_in_r(frames, right, expected) -> None:
    assert terms_of(frames, f"y ~ {right}") == expected


@pytest.mark.parametrize(
    ("formula", "family", "words"),
    [
        ("I(x - 9) ~ z", None, None),
        ("k ~ z", "poisson", None),
        ("less ~ z", "poisson", "counts from 0"),
        ("none ~ z", "poisson", "counts from 0"),
        ("less ~ z", None, "'less' is the same in all rows"),
        ("less ~ z + (1 | g)", None, "'less' is the same in all rows"),
        ("size ~ z + (1 | g)", None, "'size' is the same in all rows of each 'g'"),
    ],
)
def test_outcomes_that_tell_nothing_are_refused(frames, formula, family, words) -> None:
    given = [frame.assign(less=-1, none=0) for frame in frames]
    given = [frame.assign(size=frame.groupby("g")["x"].transform("mean")) for frame in given]
    if words is None:
        bi.fit(given, formula, family=family)
    else:
        with pytest.raises(AnalysisError, match=words):
            bi.fit(given, formula, family=family)


@pytest.mark.parametrize(
    ("formula", "text"),
    [
        ("y ~ x + ", "ends where a term is expected .position 9"),
        ("y ~ x z", "'z' stands where .* expected .position 7"),
        ("y ~ 2x", "begins with a digit stands in backticks .position 5"),
        ("y ~ x == 1", r"stands inside I\(\), .* .position 7"),
        ("y ~ x $ z", "no meaning in a formula"),
        ("y ~ ~ x", "write one ~"),
        ("~ x", "outcome left of the ~"),
        ("y ~ 0", "no coefficient to estimate; write y ~ 1"),
        ("y ~ 0 + (1 | g)", "no coefficient to estimate"),
        ("y ~ x + (0 | g)", "without an effect"),
        ("y ~ x + y", "on both sides"),
        ("y ~ x:(1 | g)", "summand of its own"),
        ("y ~ x - (1 | g)", "only be added"),
        ("y ~ lgo(x)", "did you mean 'log'"),
        ("y ~ Q(x)", "in quotation marks"),
        ("y ~ C(a, Smu)", "did you mean 'Sum'"),
        ("y ~ C(a, Treatment('s'))", "'s' is no category"),
        ("y ~ poly(x, dgree=2)", "no argument 'dgree'; did you mean 'degree'"),
        ("y ~ poly(x, 0)", "whole number from 1"),
        ("y ~ poly(b == 'u', 2)", "more than 2 different values; there are 2"),
        ("y ~ bs(x, df=2)", "at least 3"),
        ("y ~ bs(x, knots=7)", "inner knots must lie between"),
        ("y ~ scale(I(0 * x))", "all the same"),
        ("y ~ I(a * 2)", "categories of 'a' as numbers"),
        ("y ~ x + cluster_mean(x)", "of which clusters"),
        ("poly(y, 2) ~ x", "one number a row"),
        ("y ~ factor(I(0 * x))", "one category only"),
    ],
)
def test_what_cannot_be_meant_is_said_with_its_place(frames, formula, text) -> None:
    with pytest.raises(AnalysisError, match=text):
        bi.fit(frames, formula)


def test_columns_without_meaning_as_numbers_are_refused(frames) -> None:
    dated = frames[0].assign(day=pd.Timestamp("2024-01-01"), wave=1j)
    for name, text in (("day", "needs numbers, such as days"), ("wave", "complex")):
        with pytest.raises(AnalysisError, match=text):
            bi.fit([dated], f"y ~ {name}")


@pytest.mark.parametrize("cluster", [None, "day"])
def test_clusters_may_be_days(frames, cluster) -> None:
    mean = " + cluster_mean(x)" if cluster else ""
    day = pd.Timestamp("2024-01-01") + pd.to_timedelta(frames[0]["g"], unit="D")
    found, expected = (
        bi.fit([frame.assign(day=ids) for frame in frames], f"y ~ x{mean} + (1 | day)",
               cluster=cluster)
        for ids in (day, day.astype(str))
    )  # fmt: skip
    np.testing.assert_array_equal(found[0].estimate, expected[0].estimate)
    np.testing.assert_array_equal(
        found.predict(frames[0].assign(day=day))["estimate"],
        expected.predict(frames[0].assign(day=day.astype(str)))["estimate"],
    )


@SINGULAR
def test_an_offset_has_the_coefficient_one_in_every_kind_of_model(frames) -> None:
    shifted = [frame.assign(u=frame["y"] - 2 * frame["x"]) for frame in frames]
    for random in ("", " + (1 | g)"):
        found, expected = (
            bi.fit(shifted, f"{left} + z{random}") for left in ("y ~ offset(2 * x)", "u ~ 1")
        )
        np.testing.assert_allclose(found[1].estimate, expected[1].estimate, rtol=1e-6)
        np.testing.assert_allclose(
            found.predict(frames[0].head(3))["estimate"],
            expected.predict(frames[0].head(3))["estimate"] + 2 * frames[0]["x"].head(3),
        )
        smaller = bi.fit(shifted, f"y ~ offset(2 * x) + 1{random}")
        plain = bi.fit(shifted, f"u ~ 1{random}")
        np.testing.assert_allclose(bi.D3(found, smaller).p_value, bi.D3(expected, plain).p_value)
    counts = bi.fit(frames, "k ~ z + offset(log(x))", family="poisson")
    own = smf.glm("k ~ z", frames[0], offset=np.log(frames[0]["x"]), family=sm.families.Poisson())
    np.testing.assert_allclose(counts[0].estimate, own.fit().params)
    rate = counts.predict(frames[0].head(2), scale="link")["estimate"]
    at = frames[0].head(2)
    by_hand = np.mean([each.estimate for each in counts], 0) @ [np.ones(2), at["z"]]
    np.testing.assert_allclose(rate, by_hand + np.log(at["x"]))
    mixed = bi.fit(frames, "k ~ z + offset(log(x)) + (1 | g)", family="poisson")
    np.testing.assert_allclose(mixed[0].estimate, counts[0].estimate, atol=0.1)


def test_polynomials_are_those_of_r() -> None:
    data = pd.DataFrame({"x": [1.0, 2, 3, 4, 5], "y": [0.0, 2, 1, 4, 3]})
    fixed = bi.fit([data], "y ~ poly(x, 2)")[0].design.fixed
    first, second = list(fixed.columns(data).values())[1:]
    np.testing.assert_allclose(first, np.array([-2, -1, 0, 1, 2]) / np.sqrt(10), atol=1e-12)
    np.testing.assert_allclose(second, np.array([2, -1, -2, -1, 2]) / np.sqrt(14), atol=1e-12)
    # predict(poly(1:5, 2), 7) of R
    new = np.array(list(fixed.columns(pd.DataFrame({"x": [7.0]})).values()))[1:, 0]
    np.testing.assert_allclose(new, [4 / np.sqrt(10), 14 / np.sqrt(14)])


def test_transformations_keep_for_new_rows_what_they_learned_from_the_data(frames) -> None:
    new = frames[0].head(4).assign(x=[1.2, 1.5, 2.0, 2.8])
    for one, other in (
        ("poly(x, 2)", "x + I(x^2)"),
        ("scale(x)", "x"),
        ("center(x)", "x"),
        ("standardize(x) * z", "x * z"),
        ("ns(x, df = 1)", "x"),
        ("bs(x, df = 3)", "poly(x, 3, raw = TRUE)"),
    ):
        found, expected = (bi.fit(frames, f"y ~ {right}").predict(new) for right in (one, other))
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    scaled = bi.fit(frames[:1], "y ~ scale(x)")[0].estimate[1]
    plain = bi.fit(frames[:1], "y ~ x")[0].estimate[1]
    np.testing.assert_allclose(scaled, plain * frames[0]["x"].std(ddof=1))


def test_splines_are_those_of_patsy_and_natural_ones_are_straight_outside(frames) -> None:
    data = frames[0]
    made = bi.fit(frames[:1], "y ~ bs(x, df = 6)")[0].design.fixed.columns(data)
    expected = patsy.dmatrix("bs(x, df=6)", data)
    np.testing.assert_allclose(np.column_stack(list(made.values())), expected, atol=1e-12)
    fixed = bi.fit(frames[:1], "y ~ ns(x, knots = c(1.5, 2))")[0].design.fixed
    outside = np.column_stack(list(fixed.columns(pd.DataFrame({"x": [4.0, 5.0, 6.0]})).values()))
    np.testing.assert_allclose(outside[0] + outside[2], 2 * outside[1])
    ours = np.column_stack(list(fixed.columns(data).values()))
    low, high = data["x"].min(), data["x"].max()
    theirs = patsy.dmatrix(
        f"cr(x, knots=[1.5, 2], lower_bound={low}, upper_bound={high}) - 1", data
    )
    span = np.linalg.lstsq(np.asarray(theirs), ours, rcond=None)[0]
    np.testing.assert_allclose(theirs @ span, ours, atol=1e-10)


@SINGULAR
def test_a_cluster_mean_is_that_of_the_completed_data(frames) -> None:
    means = [frame.assign(m=frame.groupby("g")["z"].transform("mean")) for frame in frames]
    for formula, cluster in (
        ("y ~ z + {} + (1 | g)", None),
        ("y ~ z + {}", "g"),
        ("y ~ z + {} + (1 | g) + (1 | k)", "g"),
    ):
        found = bi.fit(frames, formula.format("cluster_mean(z)"), cluster=cluster)
        expected = bi.fit(means, formula.format("m"))
        np.testing.assert_allclose(found[1].estimate, expected[1].estimate, rtol=1e-5)
    known = found.predict(frames[0].head(3))["estimate"]
    given = frames[0].head(3).drop(columns="g")
    with pytest.raises(AnalysisError, match=r"names 'cluster_mean\(z\)'"):
        found.predict(given)
    given["cluster_mean(z)"] = means[0]["m"].head(3)
    np.testing.assert_allclose(found.predict(given)["estimate"], known)
    with pytest.raises(AnalysisError, match="not known"):
        found.predict(frames[0].head(1).assign(g=99))


def test_the_same_terms_in_another_spelling_are_the_same(frames) -> None:
    larger = bi.fit(frames, "y ~ x * z + I(x^2) + log(x) + k")
    smaller = bi.fit(frames, "y ~ log( x ) + I(x ** 2) + z * x")
    for test in (bi.D1, bi.D2, bi.D3, bi.D4):
        assert test(larger, smaller).hypothesis == ("k = 0",)
    one, other = larger.test("`z:x` = 1"), larger.test("`x:z` = 1")
    assert one.statistic == other.statistic
    assert larger.test("I(x**2)").statistic == larger.test("I(x^2)").statistic
    table = bi.compare_estimates({"larger": larger, "smaller": smaller})
    assert list(table.index) == [*larger[0].terms]
    assert bi.compare_estimates({"larger": larger}, ["z:x"]).index[0] == "x:z"
    turned = bi.fit(frames[1:], "y ~ k + log(x) + I(x**2) + z * x")
    terms, estimates, _ = aligned((larger[0], turned[0]))
    assert terms == larger[0].terms
    np.testing.assert_allclose(estimates[1], larger[1].estimate, rtol=1e-6)
    assert term_key("I(x * z)") == term_key("I(z*x)") != term_key("I(x + z)")


def test_sequential_sums_of_squares_follow_the_formula_main_effects_first(frames) -> None:
    found = bi.pool_anova(bi.fit(frames, "y ~ z + a * b + x"), 1)
    assert list(found.index) == ["z", "a", "b", "x", "a:b", "Residual"]
    rights = ["1", "z", "z + a", "z + a + b", "z + a + b + x", "z + a * b + x"]
    left = np.mean([[smf.ols(f"y ~ {r}", f).fit().ssr for r in rights] for f in frames], axis=0)
    np.testing.assert_allclose(found["sum_sq"], [*-np.diff(left), left[-1]])


@pytest.mark.parametrize("kind", [2, 3])
def test_sums_of_squares_are_those_of_statsmodels(frames, kind) -> None:
    formula = "y ~ z + C(a, Sum) * C(b, Sum)"
    found = bi.pool_anova(bi.fit(frames, formula), kind)
    tables = [anova_lm(smf.ols(formula, frame).fit(), typ=kind) for frame in frames]
    expected = sum(table["sum_sq"] for table in tables).drop("Intercept", errors="ignore") / 2
    np.testing.assert_allclose(found.loc[expected.index, "sum_sq"], expected)
    assert found["df1"].to_dict() == tables[0]["df"].drop("Intercept", errors="ignore").to_dict()


def test_the_clusters_of_the_imputations_are_those_of_cluster_means(frames) -> None:
    data = frames[0].assign(z=frames[0]["z"].mask(frames[0]["k"] > 3))
    imputed = bi.impute(data, cluster="g", m=2, iterations=1, seed=1, progress=False)
    with pytest.warns(bi.ImputationWarning, match="a cluster mean"):
        found = imputed.fit("y ~ z + cluster_mean(z)")
    by_hand = imputed.fit(
        lambda d: smf.ols("y ~ z + m", d.assign(m=d.groupby("g")["z"].transform("mean"))).fit()
    )
    np.testing.assert_allclose(found[1].estimate, by_hand[1].estimate)
