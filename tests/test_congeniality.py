"""Planted disagreements of analysis and imputation models, each found, and mended as advised."""

import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi
from bayesimpute.congeniality.analysis_formula import parse_analysis
from bayesimpute.congeniality.factors import product
from bayesimpute.errors import AnalysisError, SpecificationError
from bayesimpute.specification.specify import specify


@pytest.fixture
def df():
    rng = np.random.default_rng(1)
    n = 200
    g = np.repeat(np.arange(20), 10)
    df = pd.DataFrame({"g": g, "x": rng.normal(size=n), "z": rng.normal(size=n)})
    df["size"] = rng.normal(size=20)[g]
    df["aux"] = rng.normal(size=n)
    df["sex"] = pd.Categorical(rng.choice(["f", "m"], n))
    df["w"] = np.exp(rng.normal(size=n))
    df["y"] = df["x"] + rng.normal(size=n)
    df.loc[::5, "y"] = np.nan
    df.loc[::7, "x"] = np.nan
    return df


def seen(formula, data, **options):
    table = bi.congenial(formula, data, **options)
    return {(row.variable, row.finding): row for row in table.itertuples()}


def mended(formula, data, found, method=None, **options):
    """Findings after everything that is advised has been done."""
    formulas = {}
    codes = bi.make_predictors(data, options.get("cluster"))
    for row in found.values():
        for line in row.advice.splitlines():
            if line.startswith("formulas["):
                exec(line, {"formulas": formulas})
    by_formula = bi.congenial(formula, data, formulas=formulas, method=method, **options)
    only_codes = [r for r in found.values() if r.advice.startswith("predictors.loc")]
    if len(only_codes) == len(found):
        for row in only_codes:
            exec(row.advice.splitlines()[0], {"predictors": codes})
        assert bi.congenial(formula, data, predictors=codes, method=method, **options).empty
    return by_formula


OUTCOME = "the outcome does not predict it"
COVARIATE = "a predictor of the analysis is not in the model of the outcome"
OTHER = "another predictor of the analysis is not in its model"
INTERACTION = "an interaction of the analysis is not in its model"
FUNCTION = "a function of a variable in the analysis is not in its model"
SLOPE = "a random slope of the analysis is not in its model"
MEAN = "a cluster mean of the analysis is not in its model"
CORRELATION = "effects that are correlated in the analysis are independent in its model"


def test_models_that_hold_all_are_no_finding_and_auxiliary_variables_are_welcome(df):
    table = bi.congenial("y ~ x + z + (1 | g)", df, cluster="g")
    assert table.empty and "Nothing found." in repr(table)
    assert "models of the variables it uses ('x',\n'y'): outcome" in repr(table)
    assert bi.congenial("y ~ x + sex + I(aux / 10) + scale(w)", df).empty


def test_an_outcome_that_does_not_predict_is_found(df):
    predictors = bi.make_predictors(df)
    predictors.loc["x", "y"] = 0
    found = seen("y ~ x", df, predictors=predictors)
    assert list(found) == [("x", OUTCOME)]
    row = found["x", OUTCOME]
    assert row.severity == "error"
    assert row.advice.startswith("predictors.loc['x', 'y'] = 1  # or\nformulas['x'] = 'x ~ g + z")
    assert mended("y ~ x", df, found).empty


def test_a_predictor_missing_from_the_model_of_the_outcome_or_of_another_is_found(df):
    formulas = {"y": "y ~ x", "x": "x ~ y"}
    found = seen("y ~ x + z", df, formulas=formulas)
    assert list(found) == [("y", COVARIATE), ("x", OTHER)]
    assert found["y", COVARIATE].advice.endswith("formulas['y'] = 'y ~ x + z'")
    assert mended("y ~ x + z", df, found).empty
    assert not seen("y ~ x", df, formulas=formulas)


def test_an_interaction_is_wanted_with_the_outcome_in_the_models_of_its_predictors(df):
    analysis = "y ~ x * z"
    found = seen(analysis, df)
    assert list(found) == [("x", INTERACTION), ("y", INTERACTION)]
    assert "x:z'" in found["y", INTERACTION].advice and "y:z'" in found["x", INTERACTION].advice
    assert mended(analysis, df, found).empty
    assert seen("y ~ x + z + I(x * z)", df).keys() == found.keys()
    assert not seen("y ~ z * aux", df[["z", "aux", "y"]],
                    formulas={"y": "y ~ z * aux"})  # fmt: skip


def test_a_model_for_each_group_holds_every_interaction_with_it(df):
    method = {"x": bi.by_group("pmm", "sex"), "y": bi.by_group("pmm", "sex")}
    assert seen("y ~ x * sex", df)
    assert not seen("y ~ x * sex", df, method=method)
    assert seen("y ~ x * z * sex", df, method=method)


def test_a_computed_column_that_predicts_stands_for_the_interaction(df):
    data = df.assign(xz=df["x"] * df["z"])
    method = {"x": "pmm", "y": "pmm", "xz": "~ I(x * z)"}
    assert list(seen("y ~ x * z", data, method=method)) == [("x", INTERACTION)]
    # just another variable: imputed beside the others
    assert list(seen("y ~ x * z", data)) == [("x", INTERACTION)]
    assert not seen("y ~ x + z + xz", data)


@pytest.mark.parametrize("text", ["I(x**2)", "poly(x, 2)", "I(x * x)"])
def test_a_square_of_an_imputed_variable_is_found(df, text):
    analysis = f"y ~ x + {text}"
    found = seen(analysis, df)
    assert list(found) == [("x", FUNCTION), ("y", FUNCTION)]
    assert "I(x ** 2)" in found["y", FUNCTION].advice
    assert "I(y ** 2)" in found["x", FUNCTION].advice
    assert mended(analysis, df, found).empty


def test_a_square_that_is_passive_and_predicts_is_no_finding(df):
    data = df.assign(x2=df["x"] ** 2)
    method = {"x": "pmm", "y": "pmm", "x2": "~ I(x**2)"}
    assert not seen("y ~ x + x2", data, method=method)
    predictors = bi.make_predictors(data)
    predictors.loc["x", "x2"] = predictors.loc["y", "x2"] = 0
    found = seen("y ~ x + x2", data, method=method, predictors=predictors)
    assert list(found) == [("y", COVARIATE)]


def test_a_logarithm_is_imputed_on_its_own_scale(df):
    data = df.assign(w=df["w"].where(np.arange(200) % 6 > 0))
    found = seen("y ~ log(w)", data)
    assert list(found) == [("w", FUNCTION), ("y", FUNCTION)]
    advised = data.copy()
    method = {"y": "pmm", "x": "pmm", "log_w": "pmm"}
    code = found["w", FUNCTION].advice.splitlines()[:2]
    exec("\n".join(code), {"df": advised, "method": method, "np": np})
    assert not seen("y ~ log_w", advised, method=method)


def test_a_transformed_outcome_is_wanted_as_such(df):
    assert not seen("log(y) ~ x", df.assign(y=np.exp(df["z"])))  # which is z
    data = df.assign(y=np.exp(df["z"] + df["aux"]))
    found = seen("log(y) ~ x", data)
    assert list(found) == [("x", FUNCTION)]
    assert "log(y)" in found["x", FUNCTION].advice
    assert mended("log(y) ~ x", data, found).empty


def test_a_curve_in_a_yes_or_no_outcome_is_had_by_groups(df):
    found = seen("sex ~ x + I(x**2)", df)
    assert found["x", FUNCTION].advice == "method['x'] = bi.by_group('pmm', 'sex')"
    assert not seen("sex ~ x + I(x**2)", df, method={"x": bi.by_group("pmm", "sex"), "y": "pmm"})


def test_functions_that_imputation_formulas_lack_become_powers(df):
    found = seen("y ~ bs(z, df=4)", df[["z", "y"]])
    assert "I(z ** 2) + I(z ** 3)" in found["y", FUNCTION].advice


def test_a_random_slope_is_wanted_in_the_models_of_both(df):
    analysis = "y ~ x + (1 + x | g)"
    found = seen(analysis, df, cluster="g")
    assert list(found) == [("x", SLOPE), ("y", SLOPE)]
    assert found["x", SLOPE].advice.startswith("predictors.loc['x', 'y'] = 2")
    assert mended(analysis, df, found, cluster="g").empty
    assert not seen("y ~ x + size + (1 + size | g)", df, cluster="g")  # size cannot have one


def test_a_contextual_effect_is_wanted_as_cluster_means(df):
    analysis = "y ~ x + cluster_mean(x) + (1 | g)"
    found = seen(analysis, df, cluster="g")
    assert list(found) == [("x", MEAN), ("y", MEAN)]
    assert found["y", MEAN].advice.startswith("predictors.loc['y', 'x'] = 3")
    assert mended(analysis, df, found, cluster="g").empty
    both = "y ~ x + cluster_mean(x) + (x | g)"
    assert "= 4" in seen(both, df, cluster="g")["y", MEAN].advice
    assert mended(both, df, seen(both, df, cluster="g"), cluster="g").empty


def test_a_cluster_mean_of_what_was_observed_is_found(df):
    data = df.assign(mx=df.groupby("g")["x"].transform("mean"))
    found = seen("y ~ x + mx + (1 | g)", data, cluster="g")
    row = found["mx", "cluster mean of the observed values only"]
    assert "cluster_mean(x)" in row.advice and "['x'].transform('mean')" in row.advice
    assert not seen("y ~ x + size + (1 | g)", data, cluster="g")


def test_clusters_that_are_ignored_are_found(df):
    found = seen("y ~ x + (1 | g)", df)  # g is a number among the predictors
    assert list(found) == [("x", "clusters are ignored"), ("y", "clusters are ignored")]
    assert "formulas['x'] = 'x ~ z + size" in found["x", "clusters are ignored"].advice
    assert mended("y ~ x + (1 | g)", df, found).empty
    assert not seen("y ~ x + (1 | g)", df.assign(g=df["g"].map(str)))  # an effect a cluster
    fixed = {"x": bi.fixed_clusters("pmm"), "y": bi.fixed_clusters("pmm")}
    assert not seen("y ~ x + size + (1 | g)", df, cluster="g", method=fixed)
    slope = seen("y ~ x + (1 + x | g)", df, cluster="g", method=fixed)["y", SLOPE]
    assert slope.advice.startswith("method['y'] = 'pmm'  # fixed clusters have no random slopes")
    no_level = {"y": "y ~ x + z + (0 + z | g)", "x": "x ~ y + z + (1 | g)"}
    found = seen("y ~ x + (1 | g)", df, formulas=no_level)
    assert list(found) == [("y", "no random intercept")]
    advice = found["y", "no random intercept"].advice
    assert advice == "formulas['y'] = 'y ~ x + z + (1 + z | g)'"


def test_effects_that_the_imputation_takes_as_independent_are_found(df):
    independent = "y ~ x + z + (1 + z | g) + (0 + x | g)"
    formulas = {"y": independent, "x": "x ~ y + z + (1 + y + z | g)"}
    found = seen("y ~ x + z + (1 + x | g)", df, cluster="g", formulas=formulas)
    assert list(found) == [("y", CORRELATION)]
    advice = found["y", CORRELATION].advice
    assert "formulas['y'] = 'y ~ x + z + (1 + x + z | g)'" in advice
    for analysis in ("y ~ x + z + (1 + x || g)", independent, "y ~ x + (1 | g) + (0 + x | g)"):
        assert not seen(analysis, df, cluster="g", formulas=formulas)
    formulas["y"] = "y ~ x + z + (1 + x + z | g)"
    assert not seen("y ~ x + z + (1 + x | g)", df, cluster="g", formulas=formulas)


def test_a_change_keeps_what_is_independent(df):
    formulas = {"y": "y ~ x + (1 | g) + (0 + x | g)", "x": "x ~ y + z + (1 + y | g)"}
    found = seen("y ~ x + z + (1 + x || g)", df, cluster="g", formulas=formulas)
    assert "'y ~ x + z + (1 | g) + (0 + x | g)'" in found["y", COVARIATE].advice


def test_a_second_grouping_is_a_warning(df):
    data = df.assign(h=np.tile(np.arange(10), 20))
    found = seen("y ~ x + (1 | g) + (1 | h)", data, cluster="g")
    row = found["y", "a grouping of the analysis is not in its model"]
    assert row.severity == "warning" and row.advice.startswith("predictors.loc['y', 'h'] = 1")
    assert not seen("y ~ x + (1 | g) + (1 | h)", data.assign(h=data["h"].map(str)), cluster="g")


def test_a_variable_of_clusters_that_is_imputed_row_by_row_is_found(df):
    data = df.assign(size=df["size"].where(df["g"] != 3))
    formulas = {"size": "size ~ y + x + z"}
    found = seen("y ~ x + size + (1 | g)", data, cluster="g", formulas=formulas)
    assert list(found) == [("size", "a variable of clusters imputed row by row")]
    assert not seen("y ~ x + size + (1 | g)", data, cluster="g")


def test_what_is_not_there_or_not_imputed_or_imputed_blindly_is_found(df):
    assert list(seen("y ~ x + q", df)) == [("q", "not in the imputed data")]
    left = seen("y ~ x", df, method={"y": "", "x": "pmm"})
    assert ("y", "incomplete and not imputed") in left
    blind = seen("y ~ x * z", df, method={"x": "sample", "y": "pmm"})
    assert blind["x", "imputed without a look at other variables"].severity == "error"
    assert list(blind) == [
        ("x", "imputed without a look at other variables"),
        ("y", INTERACTION),
    ]


def test_a_joint_block_relates_its_members_but_not_their_products(df):
    method = {"x": "joint", "y": "joint"}
    assert not seen("y ~ x + z + (1 | g)", df, cluster="g", method=method)
    found = seen("y ~ x + z + (1 + x | g)", df, cluster="g", method=method)
    assert "joint block have no such terms" in found["y", SLOPE].advice


def test_inputs_of_a_computed_outcome_are_looked_at(df):
    data = df.assign(total=df["y"] + df["z"])
    method = {"y": "pmm", "x": "pmm", "total": "~ I(y + z)"}
    assert not seen("total ~ x + aux", data, method=method)
    formulas = {"y": "y ~ z + aux"}
    found = seen("total ~ x + aux", data, method=method, formulas=formulas)
    assert list(found) == [("y", COVARIATE)]


def test_a_predictor_dropped_as_an_exact_combination_is_no_lack(df):
    data = df.assign(double=2 * df["z"])
    assert not seen("y ~ x + double", data)
    assert not seen("y ~ x + z", data)


def test_names_that_are_no_identifiers_and_labels_of_categories_are_written_well(df):
    data = df.rename(columns={"z": "body fat", "x": "x 1"})
    analysis = "y ~ `x 1` * `body fat` + I(sex == 'm')"
    found = seen(analysis, data)
    assert "`body fat`" in found["y", INTERACTION].advice
    assert mended(analysis, data, found).empty


def test_a_selection_model_keeps_its_exclusion(df):
    predictors = bi.make_predictors(df)
    predictors.loc["y", "aux"] = -3
    found = seen("y ~ x * z", df, method={"y": "heckman", "x": "pmm"}, predictors=predictors)
    assert "'selection_only': ['aux']" in found["y", INTERACTION].advice


def test_a_result_and_a_specification_answer_the_same(df):
    specification = specify(df)
    assert bi.congenial("y ~ x * z", specification).equals(bi.congenial("y ~ x * z", df))
    with pytest.raises(SpecificationError, match="says already how to impute"):
        bi.congenial("y ~ x", specification, cluster="g")


@pytest.mark.parametrize("formula", ["y", "~ x", "y ~ x +", 3, "y ~ x ~ z"])
def test_what_is_no_formula_is_refused(df, formula):
    with pytest.raises(AnalysisError):
        bi.congenial(formula, df)


def test_formulas_are_read_as_lme4_writes_them():
    columns = ["y", "x", "z", "g", "h"]
    read = parse_analysis("log(y) ~ (x + z)^2 + np.log(x) + (1 + x || g/h)", columns)
    assert read.outcome == "log(y)"
    assert [sorted(t) for t in read.terms] == [["x"], ["z"], ["x", "z"], ["log(x)"]]
    assert read.groups == (("g",), ("g", "h"))
    assert parse_analysis("y ~ I((x + z) * g)", columns).terms == (frozenset({"x + z", "g"}),)
    assert product("I(x + z)", columns) == (frozenset({"x"}), frozenset({"z"}))
