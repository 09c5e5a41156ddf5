"""Equations in MathML say what the specification says, for every method."""

import re

import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi
from bayesimpute.method import words_of
from bayesimpute.registry import METHODS, resolve
from bayesimpute.report.models import broken, equations_html, says
from bayesimpute.specification.equations import equation_of, equations
from bayesimpute.specification.specify import specify
from tests.report.pages import Page


def data():
    n = 60
    df = pd.DataFrame({"school": [f"s{k % 6}" for k in range(n)], "x": [k % 7 for k in range(n)]})
    df["size"] = [10.0 * (k % 6) for k in range(n)]
    df["sort"] = pd.Categorical([["a", "b", "<c>"][k // 6 % 3] for k in range(n)])
    df["y"] = [None if k % 5 == 0 else float(k % 11) for k in range(n)]
    return df


CODED = {"heckman.binary": 2, "logistic": 2, "ordinal": 4, "categorical": 4}


def written(method, slopes=False, **options):
    df = data()
    levels = CODED.get(method)
    if levels:
        df["y"] = df["y"] % levels
    if method in ("gamma", "beta", "weibull", "piecewise"):
        df["y"] = (df["y"] + 1) / 13
    predictors = bi.make_predictors(df, cluster="school")
    if slopes:
        predictors.loc["y", ["x", "sort"]] = bi.Role.RANDOM_WITH_MEAN, bi.Role.RANDOM
    specification = specify(
        df, method={"y": method}, predictors=predictors, model_options={"y": options}
    )
    shown = equations_html(specification, "y", equations(specification)["y"])
    return specification, shown, words(shown)


def words(shown):
    """Text of the equations, lines one after the other."""
    return re.sub(r"\s+", "", Page(shown).words)


def test_every_method_has_equations_and_sentences():
    for words in (words_of(resolve(method)) for method in METHODS):
        assert words is not None and words.equation and words.distribution and words.draw


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("slopes", [False, True])
def test_equations_are_well_formed_and_read_aloud(method, slopes):
    specification, shown, text = written(method, slopes)
    page = Page(shown)
    assert page.problems == []
    assert page.spoken == [equations(specification)["y"]]
    assert "y" in text and "None" not in text
    assert {"mrow", "math"} <= set(page.tags)
    if method not in ("sample",):
        assert "school" in " ".join(says(specification, "y"))


def test_a_normal_model_with_everything():
    _, _, text = written("normal", slopes=True, heteroscedastic=True)
    # size never varies within schools; sort has two indicator columns, so a scalar product
    assert "yij=(β0+b0j)+(β1+b1j)xij+β2sizej+(β3+b2j)⊤sortij+β4mean(x)j+εij" in text
    assert "(b0j,b1j,b2j)∼N(0,Ψ)" in text
    assert "εij∼N(0,σj2)" in text and "logσj∼N(logσ,ω2)" in text


@pytest.mark.parametrize(
    ("method", "part"),
    [
        ("logistic", "logitP(yij=“1”)="),
        ("ordinal", "logitP(yij≤k)=ck−ηij"),
        ("categorical", "logP(yij=k)P(yij=reference)=(β0k+b0jk)"),
        ("poisson", "yij∼Poisson(μij)logμij="),
        ("gamma", "yij∼Gamma(μij,SDv·mean)logμij="),
        ("beta", "yij∼Beta(μij,precisionφ)logitμij="),
        ("negative_binomial", "gij∼Gamma(mean1,SDφ)"),
        ("weibull", "loghij(t)=(β0+b0j)+"),
        ("weibull", "+(k−1)log(t/t₀)"),
        ("piecewise", "+aktinintervalk"),
        ("normal.robust", "tij∼Student(ν)"),
        ("heckman.robust", "wij∼Gamma(ν/2,ν/2)"),
        ("joint", "εijof(y*)∼N(0,Σ)"),
        ("sample", "Dirichlet(1/K,…,1/K)"),
    ],
)
def test_the_likelihood_of_a_method_is_there(method, part):
    assert part in written(method)[2]


def test_both_equations_of_a_selection_model_have_their_own_terms():
    df = data()
    predictors = bi.make_predictors(df, cluster="school")
    predictors.loc["y", ["x", "size"]] = bi.Role.SELECTION_ONLY, bi.Role.OUTCOME_ONLY
    specification = specify(df, method={"y": "heckman"}, predictors=predictors)
    text = words(equations_html(specification, "y", ""))
    assert "yij=(β0+b0j)+β1sizej+β2⊤sortij+σjeij" in text
    assert "sij=(γ0+a0j)+γ1xij+γ2⊤sortij+uij" in text
    assert "(b0j,a0j,logσj,atanhρj)" in text
    assert "Exclusion restriction: x" in " ".join(says(specification, "y"))
    fixed = specify(
        df, method={"y": "heckman"}, predictors=predictors, model_options={"y": {"rho": 0.5}}
    )
    text = words(equations_html(fixed, "y", ""))
    assert "correlation0.5" in text and "atanh" not in text


@pytest.mark.parametrize(
    ("method", "random", "parts"),
    [
        ("normal", "(1 + x || school)", ["b0j∼N(0,τ02)", "b1j∼N(0,τ12)"]),
        ("normal", "(1 + x | school) + (0 + sort | school)", ["(b0j,b1j)∼N(0,Ψ0)", "b2j∼N(0,Ψ1)"]),
        ("categorical", "(1 + x || school)", ["(b0jk,allk)∼N(0,Ψ0)", "(b1jk,allk)∼N(0,Ψ1)"]),
        (
            "heckman",
            "(1 + x || school)",
            ["(b0j,a0j,logσj,atanhρj)∼N(theirpopulationmeans,Ψ0)", "(b1j,a1j)∼N(0,Ψ1)"],
        ),
    ],
)
def test_independent_effects_have_distributions_of_their_own(method, random, parts):
    df = data()
    if method == "categorical":
        df["y"] = df["y"] % 4
    formula = f"y ~ x + sort + {random}"
    specification = specify(df, method={"y": method}, formulas={"y": formula})
    text = words(equations_html(specification, "y", equations(specification)["y"]))
    for part in parts:
        assert part in text, (part, text)
    assert "Effects in different brackets" in " ".join(says(specification, "y"))
    specification = specify(df, method={"y": method}, formulas={"y": "y ~ x + (1 + x | school)"})
    assert "different brackets" not in " ".join(says(specification, "y"))


def test_wrappers_passive_variables_and_levels_are_told():
    df = data()
    df["z"] = df["size"].where(df["school"] != "s1")
    df["twice"] = 2 * df["y"]
    method = {
        "y": bi.by_group(bi.delta("normal", -1), "sort"),
        "z": "2lonly.norm",
        "twice": "~ 2 * y",
    }
    predictors = bi.make_predictors(df, cluster="school")
    predictors.loc["y", ["z", "twice"]] = 0
    predictors.loc["z", "twice"] = 0
    specification = specify(df, method=method, predictors=predictors)
    assert "δ = -1 is added" in " ".join(says(specification, "y"))
    assert "separately for each value of sort" in " ".join(says(specification, "y"))
    assert "Computed anew from y" in says(specification, "twice")[0]
    assert equation_of(specification, "twice") is None
    assert "zj=β0+" in words(equations_html(specification, "z", ""))
    assert "mean(x)j" in words(equations_html(specification, "z", ""))
    assert "one value in each of the 6 clusters" in " ".join(says(specification, "z"))


def test_clusters_with_coefficients_of_their_own():
    specification, _, text = written(bi.fixed_clusters("normal"))
    assert "(β0+αj)" in text and "Ψ" not in text and "τ" not in text
    assert "a coefficient of its own" in " ".join(says(specification, "y"))


def test_a_long_predictor_is_broken_into_lines_before_plus_signs():
    df, rng = data(), np.random.default_rng(1)
    for k in range(30):
        df[f"a_long_name_{k}"] = rng.normal(size=len(df))
    specification = specify(df, cluster="school", method={"y": "normal"})
    equation = equation_of(specification, "y")
    parts = list(broken(equation, equation.lines[0]))
    assert len(parts) > 5
    assert all(len(equation.text(part)) < 110 for part in parts)
    assert all(equation.text(part).lstrip().startswith("+") for part in parts[1:])
    shown = equations_html(specification, "y", "")
    assert shown.count('class="line more"') == len(parts) - 1
    assert shown.count('<mo form="infix">') == len(parts) - 1


def test_sentences_keep_the_capitals_of_names():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"School": np.arange(60) % 6, "Age": rng.normal(size=60)})
    frame["Sex"] = np.where(rng.random(60) < 0.5, "Girl", "Boy")
    frame["Y"] = frame["Age"] + rng.normal(size=60)
    frame["Days"] = np.where(frame["Sex"] == "Girl", frame["Y"], np.nan)
    frame.loc[frame.index[frame["Sex"] == "Girl"][::3], ["Y", "Days"]] = np.nan
    specification = specify(
        frame, formulas={"Y": "Y ~ Sex + Age + (1 + Age | School)"},
        method={"Y": "normal", "Days": bi.only_where("pmm", "Sex == 'Girl'")},
    )  # fmt: skip
    assert "The intercept and the effect of Age vary" in " ".join(says(specification, "Y"))
    assert "Only where Sex == 'Girl', otherwise missing." in says(specification, "Days")
