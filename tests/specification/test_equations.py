"""Equations as text: every method says its own, and what is unknown is not called normal."""

import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi
from bayesimpute import registry
from bayesimpute.errors import SpecificationError
from bayesimpute.method import Words, words_of
from bayesimpute.models.counts import Poisson
from bayesimpute.report.models import equations_html, says
from bayesimpute.specification import aliases
from bayesimpute.specification.equations import equations
from bayesimpute.specification.specify import specify


def data():
    n = 40
    df = pd.DataFrame({"g": [f"s{k % 5}" for k in range(n)], "x": np.arange(n) % 7.0})
    df["z"] = np.arange(n) % 3.0
    df["y"] = [None if k % 5 == 0 else float(k % 4) for k in range(n)]
    return df


class Other(Poisson):
    """Builds another model than the class that it inherits from."""

    def model(self, design, priors, options):
        raise NotImplementedError


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("bayesimpute.models.counts:Poisson", "y_i ~ Poisson(μ_i),  log μ_i = β0 + β1·x_i"),
        (f"{__name__}:Other", "y ~ known_to_the_registry_only"),
    ],
)
def test_a_method_known_to_the_registry_only_has_its_own_equation(monkeypatch, where, expected):
    name = "known_to_the_registry_only"
    monkeypatch.setattr(registry, "METHODS", dict(registry.METHODS) | {name: where})
    monkeypatch.setattr(aliases, "ALIASES", dict(aliases.ALIASES) | {name: aliases.Alias(name)})
    df = data()[["x", "y"]]
    specification = specify(df, method={"y": name})
    assert equations(specification)["y"] == expected
    told = " ".join(says(specification, "y"))
    lines = equations_html(specification, "y", "")
    if "Poisson" in expected:
        assert "Counts follow a Poisson" in told and "Poisson" in lines
    else:
        assert "A model of your own, known_to_the_registry_only" in told and not lines


def test_a_builder_of_the_user_has_no_words():
    def mine(design):
        raise NotImplementedError

    specification = specify(data()[["x", "y"]], method={"y": mine})
    assert equations(specification)["y"] == "y ~ mine"
    assert words_of(registry.resolve(mine)) is None


def test_both_equations_of_a_selection_model_are_written_each_with_its_own_predictors():
    df = data()
    predictors = bi.make_predictors(df, cluster="g")
    predictors.loc["y", ["x", "z"]] = bi.Role.SELECTION_ONLY, bi.Role.OUTCOME_ONLY
    text = equations(specify(df, method={"y": "heckman"}, predictors=predictors))["y"]
    assert text == (
        "y_ij = (β0 + b0_j) + β1·z_ij + σ_j·e_ij,  s_ij = (γ0 + a0_j) + γ1·x_ij + u_ij,  "
        "y_ij is seen if s_ij > 0,  (e_ij, u_ij) ~ N(0, SDs 1, correlation ρ_j),  "
        "(b0_j, a0_j, log σ_j, atanh ρ_j) ~ N(their population means, Ψ)"
    )
    options = {"y": {"rho": 0.5}}
    robust = specify(df[["x", "z", "y"]], method={"y": "heckman.robust"}, model_options=options)
    assert equations(robust)["y"] == (
        "y_i = β0 + β1·x_i + β2·z_i + σ·e_i/√w_i,  s_i = γ0 + γ1·x_i + γ2·z_i + u_i/√w_i,  "
        "y_i is seen if s_i > 0,  (e_i, u_i) ~ N(0, SDs 1, correlation 0.5),  "
        "w_i ~ Gamma(ν/2, ν/2), so that errors are t(ν)"
    )
    binary = specify(df[["x", "y"]].assign(y=df["y"] % 2), method={"y": "heckman.binary"})
    assert equations(binary)["y"].startswith("y*_i = β0 + β1·x_i + e_i,  y_i = “1” if y*_i > 0,  s")


def test_braces_in_names_are_text():
    df = data()[["x", "y"]].rename(columns={"x": "{row}", "y": "{0.y}"})
    specification = specify(df, method={"{0.y}": "normal"})
    assert "{0.y}_i = β0 + β1·{row}_i" in equations(specification)["{0.y}"]
    assert "{row}" in " ".join(says(specification, "{0.y}"))


def test_commands_in_names_are_text_too():
    odd = r"$row \frac{a}^2 & <i>"
    df = data()[["x", "y"]].rename(columns={"x": odd})
    specification = specify(df, method={"y": "normal"})
    assert equations(specification)["y"].startswith(f"y_i = β0 + β1·{odd}_i + ε_i")
    assert "<mi>$row \\frac{a}^2 &amp; &lt;i&gt;</mi>" in equations_html(specification, "y", "")


def test_an_equation_with_an_unknown_place_says_so():
    class Wrong(Poisson):
        words = Words("$y = $nonsense", "It is wrong", "It is not drawn.")

    specification = specify(data()[["x", "y"]], method={"y": Wrong()})
    with pytest.raises(SpecificationError, match=r"Wrong: its equation has \$nonsense"):
        equations(specification)
