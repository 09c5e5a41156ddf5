"""Which models an analysis asks for, in which order, and what is refused before any work."""

import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi
from bayesimpute.errors import SpecificationError
from bayesimpute.pooling.formula_design import ModelDesign, checked_formula, with_fixed_bases
from bayesimpute.specification.specification import Target, sources_first
from bayesimpute.specification.specify import specify


@pytest.fixture(scope="module")
def frame():
    """y complete in half of the rows that lack x; w is of clusters, and missing in three."""
    rng = np.random.default_rng(0)
    rows, clusters = 120, 12
    g = np.repeat(np.arange(clusters), rows // clusters)
    x = np.exp(rng.normal(1, 0.5, rows))
    z, w = rng.normal(size=rows), rng.normal(size=clusters)[g]
    y = np.log(x) + z * w + rng.normal(size=clusters)[g] + rng.normal(size=rows)
    b = rng.integers(0, 2, rows).astype(float)
    df = pd.DataFrame({"g": g, "x": x, "z": z, "w": w, "b": b, "y": y})
    df.loc[df.index % 4 == 0, "x"] = np.nan
    df.loc[df.index % 8 == 0, "y"] = np.nan
    df.loc[df["g"].isin([1, 5, 7]), "w"] = np.nan
    df.loc[df.index % 7 == 3, "b"] = np.nan
    return df


def made(frame, analysis, **options):
    texts = [analysis] if isinstance(analysis, str) else analysis or []
    try:
        written = {text: with_fixed_bases(text, frame) for text in texts}
    except bi.AnalysisError as error:
        raise SpecificationError(str(error)) from None
    return specify(frame, analysis=analysis, written=written, **options)


def parents(specification):
    return {
        name: sorted({factor for term in target.terms for factor in term.factors})
        for name, target in specification.targets.items()
        if isinstance(target, Target)
    }


def test_covariates_have_models_without_the_outcome_those_of_clusters_first(frame):
    found = made(frame, "y ~ x * z + w + b + (1 | g)", cluster="g")
    assert found.visit_sequence == ("w", "b", "x", "y")
    assert parents(found) == {
        "w": ["z"],
        "b": ["w", "z"],
        "x": ["b", "w", "z"],
        "y": ["b", "w", "x", "z"],
    }
    assert found.methods["x"] == "normal" and found.methods["b"] == "logistic"
    assert found.targets["w"].level == 2 and found.targets["x"].cluster == "g"


def test_live_are_missing_values_that_stand_in_a_model_whose_value_is_known(frame):
    found = made(frame, "y ~ x + (1 | g)", cluster="g", method={"z": "", "w": "", "b": ""})
    x, y = frame["x"].isna().to_numpy(), frame["y"].isna().to_numpy()
    rows = found.table.rows
    np.testing.assert_array_equal(found.live["x"], (x & ~y)[rows])
    assert not found.live["y"].any()


def test_a_value_of_a_cluster_is_live_where_any_of_its_rows_is_known(frame):
    found = made(frame, "y ~ w + (1 | g)", cluster="g", method={"z": "", "x": "", "b": ""})
    np.testing.assert_array_equal(found.live["w"], frame["w"].isna().to_numpy()[found.table.rows])


def test_what_is_in_no_analysis_comes_last_and_says_something_of_what_is(frame):
    found = made(frame, "y ~ x + (1 | g)", cluster="g")
    assert found.visit_sequence == ("x", "y", "w", "z", "b"), found.visit_sequence
    assert parents(found)["b"] == ["w", "x", "y", "z"]
    assert parents(found)["w"] == []  # of clusters: not given incomplete values of rows
    live = found.live["y"][np.argsort(found.table.rows)]
    np.testing.assert_array_equal(live, frame["y"].isna())  # z is known everywhere
    (event,) = [event for event in found.events if event.action == "auxiliary variables"]
    assert "'w', 'z', 'b'" in event.message


def test_complete_variables_of_clusters_in_no_analysis_are_left_out_and_said(frame):
    known = frame.assign(size=frame["g"] % 4)
    found = made(known, "y ~ x + (1 | g)", cluster="g")
    assert "size" not in found.targets
    assert ["size" in e.message for e in found.events if e.action == "not used"] == [True]
    assert "size" in made(known, "y ~ x", cluster="g", formulas={"x": "x ~ size"}).predictors
    named = made(known, "y ~ x + (1 | g)", cluster="g", method={"size": "normal"})
    assert named.targets["size"].level == 2


def test_an_outcome_that_predicts_another_comes_before_it(frame):
    found = made(frame, ["b ~ y + z", "y ~ x * z + (1 | g)"], cluster="g")
    assert found.visit_sequence[:3] == ("x", "y", "b")
    assert [(each.outcome, each.family) for each in found.analyses] == [
        ("y", "normal"),
        ("b", "logistic"),
    ]


def test_formulas_methods_and_predictors_replace_any_part(frame):
    found = made(
        frame,
        "y ~ x + b + (1 | g)",
        cluster="g",
        method={"x": "gamma", "z": "", "w": ""},
        formulas={"x": "x ~ z"},
        family="normal.robust",
    )
    assert found.methods["x"] == "gamma" and found.methods["y"] == "normal.robust"
    assert parents(found)["x"] == ["z"] and found.targets["x"].cluster is None


def test_what_a_covariate_is_given_by_a_formula_is_a_covariate_too(frame):
    found = made(frame, "y ~ x + (1 | g)", cluster="g", formulas={"x": "x ~ z + b"})
    assert found.visit_sequence == ("b", "x", "y", "w")  # z is complete, and has no model
    assert parents(found) == {"b": ["z"], "x": ["b", "z"], "y": ["x"], "w": ["z"]}


def test_columns_that_number_clusters_are_no_auxiliary_variables(frame):
    two = frame.assign(h=np.arange(len(frame)) % 7)
    found = made(two, ["y ~ x + z + w + (1 | g)", "b ~ x + y + (1 | h)"])
    assert set(found.visit_sequence) == {"x", "w", "y", "b"}


def test_rows_of_a_predictor_matrix_replace_those_of_single_columns(frame):
    rows = pd.DataFrame({"z": [2], "b": [1]}, index=["x"])
    found = made(frame, "y ~ x + (1 | g)", cluster="g", predictors=rows, method={"w": ""})
    assert parents(found) == {"b": ["z"], "x": ["b", "z"], "y": ["x"]}
    assert [term.random for term in found.targets["x"].terms] == [True, False]
    with pytest.raises(SpecificationError, match="circle"):
        made(frame, "y ~ x", predictors=bi.make_predictors(frame))
    with pytest.raises(SpecificationError, match="'nope' is no column"):
        made(frame, "y ~ x", predictors=pd.DataFrame({"nope": [1]}, index=["x"]))


def test_an_analysis_of_complete_predictors_says_that_nothing_needs_imputing_for_it(frame):
    found = made(frame, "y ~ z + (1 | g)", cluster="g")
    (event,) = [e for e in found.events if e.action == "nothing to be compatible with"]
    assert "nothing needs imputing" in event.message


def test_the_cluster_is_that_of_the_analysis(frame):
    found = made(frame, "y ~ x + (1 | g)")
    assert {target.cluster for target in found.targets.values()} == {"g"}


def test_analyses_of_different_clusters_say_what_becomes_of_other_models(frame):
    pairs = frame.assign(h=np.arange(120) // 2)
    texts = ["y ~ x + (1 | g)", "b ~ x + (1 | h)"]
    specification = made(pairs, texts, family={"b": "gaussian"})
    assert specification.targets["x"].cluster is None
    said = [each.message for each in specification.events if each.action == "single level"]
    assert len(said) == 1 and "'g'; 'h'" in said[0]
    named = made(pairs, texts, family={"b": "gaussian"}, cluster="g")
    assert not [each for each in named.events if each.action == "single level"]


def test_on_conditional_keeps_chained_equations(frame):
    found = made(frame, "y ~ x * z + (1 | g)", cluster="g", on="conditional")
    assert found.live is None and found.methods["x"] == "pmm"
    assert found.analyses[0].formula == "y ~ x * z + (1 | g)"


@pytest.mark.parametrize(
    ("analysis", "options", "words"),
    [
        ("y ~ log(x)", {}, r"'log\(x\)' in the model of 'y' has no value at x = -.*'gamma'"),
        ("y ~ log(x - 0.5)", {"method": {"x": "gamma"}}, "has no value at x = "),
        ("y ~ x + y", {}, "'y' on both sides"),
        ("y ~ x + nope", {}, "'nope', which is no column"),
        ("y ~ x + (1 | nope)", {}, "'nope', which is no column"),
        ("~ x", {}, "outcome left of the ~"),
        ("log(y) ~ x", {}, "its outcome must be a column"),
        (["y ~ x", "x ~ y"], {}, "go round in a circle, y → x → y"),
        (["y ~ x", "y ~ z"], {}, "'y' is the outcome of two formulas"),
        ("y ~ x", {"formulas": {"x": "x ~ y"}}, "go round in a circle, . → . → ."),
        ("y ~ x", {"formulas": {"y": "y ~ z"}}, "'y' is the outcome of the analysis"),
        ("y ~ x", {"method": {"x": "pmm"}}, "'pmm' of 'x' has no density"),
        ("y ~ x", {"method": {"x": ""}}, "'x' is in an analysis and must have a model"),
        ("y ~ x", {"family": "binomial"}, "'y' is numeric with .* different values"),
        ("y ~ x", {"family": "nope"}, "Method 'nope' does not exist"),
        ("y ~ x", {"family": {"z": "normal"}}, "family names 'z', which is no outcome"),
        ("y ~ x", {"family": ["normal", "normal"]}, "2 entries for 1 analyses"),
        ("y ~ x", {"on": "both"}, "on='both' must be"),
        ("y ~ x", {"where": "all"}, "where: .* draws what is missing"),
        ("y ~ x", {"visit_sequence": "monotone"}, "visit_sequence: .* an order of their own"),
        ("y ~ x", {"post": {"x": bi.squeeze(0, 9)}}, "post of 'x': .*'normal.truncated'"),
        ("y ~ x - 1", {}, "has an intercept"),
        ("y ~ cluster_mean(x)", {}, "cluster mean but no clusters"),
        ("y ~ C(z)", {}, "'z' holds numbers"),
        ([], {}, "no formula in the list"),
        (None, {"family": "normal"}, "family= is that of an analysis"),
    ],
)  # fmt: skip
def test_what_is_no_joint_distribution_is_refused_before_any_work(frame, analysis, options, words):
    with pytest.raises(SpecificationError, match=words):
        made(frame, analysis, **options)


def test_a_method_without_density_is_refused_before_sampling(frame, monkeypatch):
    monkeypatch.setattr("bayesimpute.engine.adapt._tuned", None)

    def builder(design):
        import pymc as pm

        with pm.Model(coords=design.coords) as model:
            sums = pm.Data("x", design.x).sum(axis=1)
            pm.Normal("likelihood", sums, pm.HalfNormal("sd"), observed=pm.Data("y", design.y))
        return model

    with pytest.raises(SpecificationError, match="Method 'builder' of 'x' gives no density"):
        bi.impute(frame, analysis="y ~ x", method={"x": builder}, m=1, progress=False)


@pytest.mark.parametrize(
    "formula",
    ["y ~ poly(z, 3)", "y ~ scale(z) * b", "y ~ bs(z, df = 5)", "y ~ bs(z, knots = c(-0.5, 0.5))",
     "y ~ bs(z, degree = 2)", "y ~ ns(z, df = 4) * b", "y ~ ns(log(x), df = 3)"],
)  # fmt: skip
def test_bases_span_what_fit_would_take_from_the_observed_values(frame, formula):
    complete = frame.dropna().reset_index(drop=True)
    written = with_fixed_bases(formula, complete)
    assert "poly" not in written and "s(" not in written.replace("maximum(", "")
    theirs, ours = (
        np.column_stack(
            list(ModelDesign.learn(read, complete, None).fixed.columns(complete).values())
        )
        for read in (checked_formula(text, complete.columns) for text in (formula, written))
    )
    for columns, others in ((ours, theirs), (theirs, ours)):
        assert np.linalg.matrix_rank(columns) == theirs.shape[1]
        left = columns - others @ np.linalg.lstsq(others, columns, rcond=None)[0]
        assert np.abs(left).max() < 1e-5 * np.abs(columns).max()


def test_the_order_of_models_is_not_that_in_which_a_set_happens_to_stand():
    parents = {"z": {"b": 0, "a": 0}.keys(), "a": set(), "b": set()}
    assert sources_first(parents, str) == ["a", "b", "z"]


def test_what_rows_of_a_model_are_chosen_by_is_given_to_it(frame):
    df = frame.assign(arm=np.where(np.arange(len(frame)) % 2, "a", "b"))
    for method in (bi.by_group("normal", "arm"), bi.only_where("normal", "arm == 'a'", 0)):
        found = made(df, "y ~ x", method={"y": method})
        assert "arm" not in found.visit_sequence  # complete, and a covariate as any other
        assert "arm" in parents(found)["x"] and "arm" in parents(found)["w"]
        with pytest.raises(SpecificationError, match="circle"):
            made(df, ["y ~ x", "arm ~ y"], method={"y": method})
