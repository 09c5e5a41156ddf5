"""Formulas as users of R, patsy and lme4 write them: the same model, or a refusal with a remedy."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

import bayesimpute as bi
from bayesimpute.congeniality.analysis_formula import parse_analysis
from bayesimpute.errors import AnalysisError
from bayesimpute.pooling.formula_design import check_formula


@pytest.fixture(scope="module")
def data():
    """Completed data of 80 rows."""
    rng = np.random.default_rng(5)
    k = np.arange(80) % 6
    return pd.DataFrame(
        {
            "y": rng.normal(size=80),
            "x": rng.uniform(1, 3, 80),
            "z": rng.normal(size=80),
            "t": rng.normal(size=80) > 0,
            "a": rng.choice(list("pqr"), 80),
            "b": rng.choice(["u", "v"], 80),
            "k": k,
            "decimal": k.astype(float),
            "g": np.repeat(np.arange(8), 10),
        }
    )


@pytest.mark.parametrize(
    ("right", "same", "expected"),
    [
        ("as.factor(k > 2) * x", "C(k > 2) * x", ["as.factor(k > 2)1", "x", "as.factor(k > 2)1:x"]),
        ("pmin(x, 2):a", "np.minimum(x, 2):a", [f"pmin(x, 2):a{level}" for level in "pqr"]),
        ("ifelse(x > 2, 1, 0)", "np.where(x > 2, 1, 0)", ["ifelse(x > 2, 1, 0)"]),
        ("as.numeric(x) + -1", "x - 1", ["as.numeric(x)"]),
        ("poly(x, 2L, raw = T)", "x + I(x**2)", [f"poly(x, 2L, raw = T){k}" for k in (1, 2)]),
        ("I(k %% 2) + I(x %/% 1)", "I(k % 2) + I(x // 1)", ["I(k %% 2)", "I(x %/% 1)"]),
        ("C(a, contr.sum)", "C(a, Sum)", ["C(a, contr.sum)1", "C(a, contr.sum)2"]),
        ('C(a, contr = "contr.poly")', "C(a, Poly)", ['C(a, contr = "contr.poly")' + end
                                                      for end in (".L", ".Q")]),
        ("C(k, contr.helmert)", "C(k, Helmert)", [f"C(k, contr.helmert){i}" for i in range(1, 6)]),
        ("C(k, contr.treatment(base = 2))", "C(k, Treatment(1))",
         [f"C(k, contr.treatment(base = 2)){i}" for i in (0, 2, 3, 4, 5)]),
        ("C(a, contr.treatment(3, 2))", "C(a, Treatment('q'))",
         [f"C(a, contr.treatment(3, 2)){level}" for level in "pr"]),
        ("C(a, Poly)", "C(a, Poly)", ["C(a, Poly).Linear", "C(a, Poly).Quadratic"]),
        ("relevel(factor(k), ref = '1')", "C(k, Treatment(1))",
         [f"relevel(factor(k), ref = '1'){i}" for i in (0, 2, 3, 4, 5)]),
        ("relevel(a, ref = 'q')", "C(a, Treatment('q'))", [f"relevel(a, ref = 'q'){level}"
                                                           for level in "pr"]),
        ("C(decimal, Treatment(1))", "C(k, Treatment(1))",
         [f"C(decimal, Treatment(1)){i}" for i in (0, 2, 3, 4, 5)]),
        ("C(t, Treatment(True))", "C(t, Treatment(True))", ["C(t, Treatment(True))False"]),
        ("factor(t) + x", "C(t) + x", ["factor(t)True", "x"]),
        ("t * x", "t * x", ["t", "x", "t:x"]),
        ("t / x", "t / x", ["t", "tFalse:x", "tTrue:x"]),
        ("t - 1", "t - 1", ["tFalse", "tTrue"]),
        ("t:b", "t:b", ["bv", "t:bu", "t:bv"]),
    ],
)  # fmt: skip
def test_spellings_of_r_have_the_estimates_of_patsy_and_the_names_of_r(
    data, right, same, expected
) -> None:
    found, fitted = bi.fit([data, data], f"y ~ {right}"), smf.ols(f"y ~ {same}", data).fit()
    assert [term for term in found[0].terms if term != "(Intercept)"] == expected
    estimates = sorted(found[0].estimate)
    np.testing.assert_allclose(estimates, sorted(fitted.params), rtol=1e-6, atol=1e-9)
    new = data.head(5)
    for rows in (new, new.assign(t=new["t"].astype(int))):  # 0 and 1 mean the same in new rows
        np.testing.assert_allclose(found.predict(rows)["estimate"], fitted.predict(new), rtol=1e-6)


def test_splines_have_the_coefficients_that_r_prints_in_its_examples() -> None:
    weight = [115, 117, 120, 123, 126, 129, 132, 135, 139, 142, 146, 150, 154, 159, 164]
    women = pd.DataFrame({"height": range(58, 73), "weight": weight})
    found = bi.fit([women], "weight ~ ns(height, df = 5)")[0].estimate
    expected = [114.7447, 15.9474, 25.1695, 33.2582, 50.7894, 45.0363]
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("right", "text"),
    [
        ("1:x", r"0 and 1 say .* have no :; .* inside I\(\)"),
        ("1/x", r"such as I\(1 / x\)"),
        ("(x - 1)^2", r"0 and 1 say .* have no \^"),
        ("(0 + x) * z", r"0 and 1 say"),
        ("x - zz", "takes out 'zz', which is no column"),
        ("splines::bs(x)", "no package stands before a function"),
        ("cr(x, df = 3)", r"ns\(x, df = 4\) is a natural cubic spline"),
        ("cut(x, 3)", "compute it as a column of the data"),
        ("ordered(a)", r"write C\(x, Poly\)"),
        ("np.square(x)", r"write I\(x\^2\)"),
        ("I(x > 2 & z > 0)", r"write 'and' as the product \(x > 2\) \* \(z > 0\)"),
        ("bs(x, df = 1_0)", "begins with a digit"),
        ("poly(x, ٢)", "whole number from 1"),
        ("C(a, contr.sum(n = x))", "is not known"),
        ("C(a, contr.foo)", "did you mean 'contr.poly'"),
    ],
)
def test_fit_and_congenial_refuse_the_same_with_a_remedy_before_any_work(data, right, text) -> None:
    for read in (check_formula, parse_analysis):
        with pytest.raises(AnalysisError, match=text):
            read(f"y ~ {right}", data.columns)


@pytest.mark.parametrize("left", ["1", "I(2)", "log(2)"])
def test_a_number_is_no_outcome(data, left) -> None:
    for read in (check_formula, parse_analysis):
        with pytest.raises(AnalysisError, match="write the outcome left of the ~"):
            read(f"{left} ~ x", data.columns)


@pytest.mark.parametrize(
    ("right", "text"),
    [
        *((f"{call}", "holds categories; compare it with a label, such as a == 'r'") for call in
          ("scale(a)", "poly(a, 2)", "bs(a)", "x + offset(a)", "cluster_mean(a)")),
        ("C(a, contr.sum(2))", "there are 3 categories, not 2"),
        ("C(a, contr.treatment(base = 7))", "there are 3 categories, so no 7"),
        ("relevel(factor(k), ref = 1)", "R takes 1 for a place and leaves out '0'; write ref"),
    ],
)  # fmt: skip
def test_categories_are_never_taken_for_numbers_nor_places_for_labels(data, right, text) -> None:
    with pytest.raises(AnalysisError, match=text):
        bi.fit([data, data], f"y ~ {right}", cluster="g")


def test_the_cluster_mean_of_two_categories_is_the_share_of_the_second(data) -> None:
    found, expected = (
        bi.fit([data, data], f"y ~ cluster_mean({inside})", cluster="g")[1].estimate
        for inside in ("b", "b == 'v'")
    )
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize(
    "spellings",
    [
        ["I(x^2)", "I(x**2)", "I(x * x)", "I(-x^2.0)", "I((x)^2 / 100)"],
        ["x:z", "z:x", "I(x * z)", "I(-2 * z * x)", "scale(x):center(z)"],
        ["poly(log(x), 2)", "log(x) + I(log(x)^2)", "np.log(x) + I(np.log(x) * log(x))"],
        ["log(x^2)", "log(I(x**2))"],
        ["poly(`body fat`, 2)", "`body fat` + I(Q('body fat')^2)"],
        ["factor(k)", "as.factor(k)", "C(k, Sum)", "relevel(factor(k), ref = '1')", "k"],
        ["I(log)", "log", "scale(log)"],
        ["pmax(x, 1)", "maximum(x, 1)", "I(np.maximum(x, 1L))"],
        ["a * b", "(a + b)^2", "a + b + b:a", "a / b + b", "a + b + b %in% a"],
    ],
)
def test_congenial_sees_the_same_terms_in_every_spelling(data, spellings) -> None:
    columns = [*data.columns, "body fat", "log"]
    found = [set(parse_analysis(f"y ~ {right}", columns).terms) for right in spellings]
    assert all(terms == found[0] and frozenset() not in terms for terms in found)
