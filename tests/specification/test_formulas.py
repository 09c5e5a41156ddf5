"""lme4 formulas, codes, and the terms they become."""

import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi
from bayesimpute.errors import SpecificationError
from bayesimpute.specification.equations import equations
from bayesimpute.specification.formula_reader import parse_formula
from bayesimpute.specification.latent_means import with_latent_means
from bayesimpute.specification.specification import Target
from bayesimpute.specification.specify import specify

COLUMNS = ("y", "x", "z", "g", "h", "body fat")


def terms(formula: str) -> dict[str, str]:
    """Label -> f (fixed), r (random), m (cluster mean)."""
    parsed = parse_formula(formula, "y", COLUMNS)
    slopes = {label for each in parsed.groupings for label, _ in each.slopes}
    return {
        term.label: "f" * term.fixed + "r" * (term.label in slopes) + "m" * term.cluster_mean
        for term in parsed.terms
    }


def study() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    df = pd.DataFrame(
        {
            "school": np.repeat([f"s{k}" for k in range(8)], 6),
            "texp": np.repeat(rng.integers(1, 30, 8), 6),
            "sex": rng.integers(0, 2, 48),
            "popular": rng.normal(5, 1, 48),
        }
    )
    df.loc[::5, "popular"] = np.nan
    return df


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("y ~ 1", {}),
        ("y ~ x + z", {"x": "f", "z": "f"}),
        ("y ~ x * z", {"x": "f", "z": "f", "x:z": "f"}),
        ("y ~ (x + z)**2", {"x": "f", "z": "f", "x:z": "f"}),
        ("y ~ x + (1 + x | g)", {"x": "fr"}),
        ("y ~ x + (0 + z | g)", {"x": "f", "z": "r"}),
        ("y ~ x + (x * z | g)", {"x": "fr", "z": "r", "x:z": "r"}),
        ("y ~ log(x)", {"log(x)": "f"}),
        ("y ~ I((x + z) * 2)", {"I((x + z) * 2)": "f"}),
        ("y ~ I(-x^2) + (x + z)^2", {"I(-x ** 2)": "f", "x": "f", "z": "f", "x:z": "f"}),
        ("y ~ . - h - Q('body fat')", {"x": "f", "z": "f", "g": "f"}),
        ("y ~ x / z", {"x": "f", "x:z": "f"}),
        ("y ~ I(x - (z - 1))", {"I(x - (z - 1))": "f"}),
        ("y ~ {x / 2}", {"I(x / 2)": "f"}),
        ("y ~ I(`body fat` * 2)", {"I(`body fat` * 2)": "f"}),
        ("y ~ x + mean(x) + (1 | g)", {"x": "fm"}),
        ("y ~ cluster_mean(I(x**2)) + (1 | g)", {"I(x ** 2)": "m"}),
        ("y ~ x + cluster_mean(x) + (1 | g)", {"x": "fm"}),
        ("y ~ cluster_mean(x) + (1 | g)", {"x": "m"}),
        ("y ~ x * z + (1 + x | g) + cluster_mean(z)", {"x": "fr", "z": "fm", "x:z": "f"}),
        ("y ~ `body fat`", {"body fat": "f"}),
    ],
)
def test_a_formula_becomes_terms(formula, expected) -> None:
    assert terms(formula) == expected


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("y ~ x", []),
        ("y ~ x + (1 | g)", [("g", True, ())]),
        ("y ~ x + (x | g)", [("g", True, (("x", 0),))]),
        ("y ~ x + (0 + x | h)", [("h", False, (("x", 0),))]),
        ("y ~ x + (1 + x | g) + (1 | h)", [("g", True, (("x", 0),)), ("h", True, ())]),
        ("y ~ x + (x || g) + (0 + x | h)", [("g", True, (("x", 1),)), ("h", False, (("x", 0),))]),
        ("y ~ x + (1 | g/h)", [("g", True, ()), ("g:h", True, ())]),
    ],
)
def test_random_parts_name_the_groupings(formula, expected) -> None:
    found = parse_formula(formula, "y", COLUMNS).groupings
    assert [(each.name, each.intercept, each.slopes) for each in found] == expected


def test_a_mean_may_be_of_one_grouping_among_several() -> None:
    parsed = parse_formula("y ~ x + cluster_mean(x, h) + (1 | g) + (1 | h)", "y", COLUMNS)
    assert [each.means for each in parsed.groupings] == [(), ("x",)]
    assert [term.label for term in parsed.terms if term.fixed] == ["x"]
    with pytest.raises(SpecificationError, match=r"names no grouping; add '\(1 \| z\)'"):
        parse_formula("y ~ x + cluster_mean(x, z) + (1 | g)", "y", COLUMNS)


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("y ~ x + z + (1 + x + z | g)", {"x": 0, "z": 0}),
        ("y ~ x + z + (1 + x | g) + (0 + z | g)", {"x": 0, "z": 1}),
        ("y ~ x + z + (0 + z | g) + (1 + x | g)", {"x": 0, "z": 1}),
        ("y ~ x + z + (1 | g) + (0 + x + z | g)", {"x": 1, "z": 1}),
        ("y ~ x + z + (1 + x + z || g)", {"x": 1, "z": 2}),
        ("y ~ (x * z || g)", {"x": 1, "z": 2, "x:z": 3}),
        ("y ~ (0 + x | g) + (0 + z | g)", {"x": 0, "z": 1}),
        ("y ~ (0 + I((x + z) * 2) || g) + (1 | g)", {"I((x + z) * 2)": 1}),
        ("y ~ (1 + `body fat` || g)", {"body fat": 1}),
    ],
)
def test_effects_of_different_brackets_are_independent(formula, expected) -> None:
    (grouping,) = parse_formula(formula, "y", COLUMNS).groupings
    assert dict(grouping.slopes) == expected


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("y ~ x + (1 | g) + (x | g)", r"the intercept varies by 'g' in two .* is \(0 \+ x \| g\)"),
        ("y ~ x + (x | g) + (0 + x | g)", "the effect of 'x' varies by 'g' in two random parts"),
        ("y ~ x | g", "stands in brackets"),
        ("y ~ x + (1 ||| g)", "one or two bars"),
    ],
)
def test_random_parts_that_cannot_be_are_refused(formula, message) -> None:
    with pytest.raises(SpecificationError, match=message):
        parse_formula(formula, "y", COLUMNS)


def test_a_formula_overrides_its_row_and_the_effective_matrix_says_so() -> None:
    df = study()
    specification = specify(
        df, "school", formulas={"popular": "popular ~ texp * sex + (1 + sex | school)"}
    )
    target = specification.targets["popular"]
    assert target.cluster == "school" and target.random_intercept
    assert [term.label for term in target.terms] == ["texp", "sex", "texp:sex"]
    row = specification.predictors.loc["popular"].to_dict()
    assert row == {"school": -2, "texp": 1, "sex": 2, "popular": 0}


@pytest.mark.parametrize(
    ("code", "expected"), [(1, "f"), (2, "fr"), (3, "fm"), (4, "frm"), (0, None)]
)
def test_each_code_becomes_its_term(code, expected) -> None:
    df = study()
    predictors = bi.make_predictors(df, cluster="school")
    predictors.loc["popular", "sex"] = code
    specification = specify(df, predictors=predictors)
    found = {
        term.label: "f" * term.fixed + "r" * term.random + "m" * term.cluster_mean
        for term in specification.targets["popular"].terms
    }
    assert found.get("sex") == expected
    assert specification.predictors.loc["popular", "sex"] == code


def test_the_cluster_argument_completes_a_matrix_without_cluster() -> None:
    df = study()
    predictors = bi.make_predictors(df)
    predictors["school"] = 0
    specification = specify(df, "school", predictors=predictors)
    assert specification.targets["popular"].cluster == "school"
    assert specification.predictors.loc["popular", "school"] == -2
    assert "cluster added" in [event.action for event in specification.events]


def test_a_formula_with_a_cluster_mean_takes_the_cluster_argument() -> None:
    formula = {"popular": "popular ~ cluster_mean(sex)"}
    target = specify(study(), "school", formulas=formula).targets["popular"]
    assert target.cluster == "school" and not target.random_intercept


def test_over_imputing_everything_leaves_the_cluster_ids_alone() -> None:
    assert set(specify(study(), "school", where="all").targets) == {"texp", "sex", "popular"}


def test_a_column_within_a_function_counts_in_the_effective_matrix() -> None:
    formula = {"popular": "popular ~ log(texp)"}
    row = specify(study(), formulas=formula).predictors.loc["popular"]
    assert row.to_dict() == {"school": 0, "texp": 1, "sex": 0, "popular": 0}


def test_labels_in_formulas_and_passives_become_codes() -> None:
    df = study().assign(kind=lambda d: d["sex"].map({0: "boy", 1: "girl"}))
    formula = {"popular": "popular ~ I(kind == 'girl')"}
    (term,) = specify(df, formulas=formula).targets["popular"].terms
    assert (term.label, term.factors) == ("I(kind == 'girl')", ("I(kind == 1)",))
    df["double"] = np.nan
    passive = specify(df, method={"double": "~ I(popular * (kind == 'girl'))"}).targets["double"]
    assert passive.expression == "I(popular * (kind == 1))"
    assert passive.inputs == ("popular", "kind")


def test_a_level_2_target_takes_cluster_means_and_no_slopes() -> None:
    df = study()
    df.loc[df["school"] == "s3", "texp"] = np.nan
    predictors = bi.make_predictors(df, cluster="school")
    predictors.loc["texp", "sex"] = 4
    specification = specify(df, predictors=predictors)
    target = specification.targets["texp"]
    assert target.level == 2
    assert not any(term.random or term.cluster_mean for term in target.terms)
    assert "mean(sex)_j" in equations(specification)["texp"]


def test_rows_to_ignore_are_found_by_their_index() -> None:
    df = study()
    late = pd.Series(df["sex"] == 1)
    one, two = specify(df, ignore=late), specify(df, ignore=late[::-1])
    assert np.array_equal(one.ignore, two.ignore)
    assert one.ignore.sum() == late.sum()


def test_a_slope_of_a_cluster_constant_is_made_fixed_and_recorded() -> None:
    df = study()
    predictors = bi.make_predictors(df, cluster="school")
    predictors.loc["popular", "texp"] = 4
    specification = specify(df, predictors=predictors)
    texp = specification.targets["popular"].terms[0]
    assert (texp.fixed, texp.random, texp.cluster_mean) == (True, False, False)
    assert specification.predictors.loc["popular", "texp"] == 1
    assert "slope made fixed" in [event.action for event in specification.events]


def test_constant_and_repeated_predictors_are_dropped_and_recorded() -> None:
    df = study().assign(const=1, twice=lambda d: 2 * d["sex"] - 3)
    specification = specify(df, "school")
    labels = [term.label for term in specification.targets["popular"].terms]
    assert labels == ["texp", "sex"]
    dropped = [e.message for e in specification.events if e.action == "predictor dropped"]
    assert any("'const'" in message and "constant" in message for message in dropped)
    assert any("'twice'" in message and "combination" in message for message in dropped)


def test_shuffled_rows_and_renamed_clusters_give_the_same_specification() -> None:
    df = study()
    renamed = df.assign(school=df["school"].map(lambda s: f"z{9 - int(s[1:])}"))
    for other in (df.sample(frac=1, random_state=1), renamed):
        one, two = specify(df, "school"), specify(other, "school")
        assert one.targets["popular"].terms == two.targets["popular"].terms
        assert np.array_equal(one.where["popular"], two.where["popular"])
        for name in ("texp", "sex", "popular"):
            np.testing.assert_array_equal(one.table.values[name], two.table.values[name])


def test_the_equation_shows_slopes_residuals_and_donors() -> None:
    df = study()
    formula = {"popular": "popular ~ sex + cluster_mean(sex) + (1 + sex | school)"}
    text = equations(specify(df, method={"popular": "2l.norm"}, formulas=formula))["popular"]
    assert text.startswith("popular_ij = (β0 + b0_j) + (β1 + b1_j)·sex_ij + β2·mean(sex)_j + ε_ij")
    assert "(b0_j, b1_j) ~ N(0, Ψ)" in text and "σ_j²" in text
    text = equations(specify(df, "school", model_options={"popular": {"donors": 3}}))["popular"]
    assert "3 nearest donors" in text
    assert "β1·texp_j" in text
    formula = {"popular": "popular ~ sex + (1 + sex || school)"}
    text = equations(specify(df, formulas=formula))["popular"]
    assert "b0_j ~ N(0, τ0²),  b1_j ~ N(0, τ1²)" in text
    formula = {"popular": "popular ~ texp * sex + (1 | school)"}
    assert "β3·(texp·sex)_ij" in equations(specify(df, formulas=formula))["popular"]


@pytest.mark.parametrize(
    ("formula", "lacking"),
    [
        ("y ~ x:s", {"x"}),
        ("y ~ s / x", {"x"}),
        ("y ~ x:s + (1 + x | g)", {"x"}),
        ("y ~ s:t", {"s", "t"}),
        ("y ~ x:s:t + t", {"x", "x:s", "x:t"}),
        ("y ~ x * s", set()),
        ("y ~ x:z", set()),
        ("y ~ x:s + x", set()),
    ],
)
def test_products_with_categories_span_what_they_span_in_r(formula, lacking):
    rng = np.random.default_rng(1)
    df = pd.DataFrame({"x": rng.normal(size=60), "z": rng.normal(size=60), "g": np.arange(60) % 6})
    df["s"], df["t"] = rng.choice(list("abc"), 60), rng.random(60) < 0.5
    df["y"] = np.where(np.arange(60) % 4, df["x"], np.nan)
    written = {term.label for term in parse_formula(formula, "y", tuple(df)).terms if term.fixed}
    specification = specify(df, formulas={"y": formula})
    target = specification.targets["y"]
    assert {term.label for term in target.terms if term.fixed} - written == lacking
    told = [event.message for event in specification.events if event.action == "margin added"]
    assert len(told) == bool(lacking) and all(repr(term) in told[0] for term in lacking)


def test_a_slope_within_each_category_is_imputed_with_all_of_them():
    rng = np.random.default_rng(2)
    df = pd.DataFrame({"x": rng.normal(size=300), "s": rng.choice(list("ab"), 300)})
    df["y"] = 3 * df["x"] + rng.normal(0, 0.1, 300)
    df.loc[::3, "y"] = np.nan
    imp = bi.impute(
        df, formulas={"y": "y ~ x:s"}, method={"y": "normal"}, m=2, iterations=1, seed=1,
        progress=False,
    )  # fmt: skip
    away = [(frame["y"] - 3 * frame["x"]).abs().max() for frame in imp.complete("all")]
    assert max(away) < 1  # without a slope in the first category it would be more than 3


@pytest.mark.parametrize(
    "arguments", [{"method": dict.fromkeys("xy", "joint")}, {"analysis": "y ~ x + `x-1`"}]
)
def test_a_column_whose_name_reads_as_arithmetic_is_no_function_of_others(arguments) -> None:
    rng = np.random.default_rng(4)
    df = pd.DataFrame(rng.normal(size=(40, 3)), columns=["x", "y", "x-1"])
    df.loc[::5, "x"] = np.nan
    df.loc[1::5, "y"] = np.nan
    targets = specify(df, **arguments).targets
    assert "x-1" in [term.label for term in targets["x"].terms]


def test_the_latent_mean_of_a_column_with_brackets_in_its_name() -> None:
    df = study().assign(**{"x (1)": np.arange(48) % 7 / 2})
    text = "popular ~ `x (1)` + latent_mean(`x (1)`) + (1 | school)"
    formula, with_mean = with_latent_means(text, df)
    target = specify(with_mean, "school", analysis=formula).targets["x (1)"]
    assert isinstance(target, Target) and target.around == "latent_mean(x (1))"
