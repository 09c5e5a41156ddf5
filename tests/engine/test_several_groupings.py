"""Runs with several groupings: levels, files, order of rows and names of clusters, truth."""

import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi
from bayesimpute.report.content import Content
from bayesimpute.report.models import models

ARGUMENTS = {
    "cluster": ["school", "class"],
    "m": 2,
    "iterations": 3,
    "seed": 1,
    "progress": False,
    "method": {"size": "normal", "kind": "normal", "x": "normal", "y": "normal"},
}


def pupils(schools: int = 10, rows: int = 5, seed: int = 1) -> pd.DataFrame:
    """Three classes a school, and gaps at every level, of single values and of whole clusters."""
    rng = np.random.default_rng(seed)
    classes = np.repeat(np.arange(3 * schools), rows)
    school = classes // 3
    size, kind = rng.normal(size=schools)[school], rng.normal(size=3 * schools)[classes]
    x = rng.normal(size=len(classes)) + 0.5 * size
    y = 0.5 * x + 0.3 * kind + rng.normal(size=schools)[school] * 0.8
    y += rng.normal(size=3 * schools)[classes] * 0.5 + rng.normal(size=len(classes))
    df = pd.DataFrame({"school": school, "class": classes, "size": size, "kind": kind, "x": x})
    df["y"] = y
    df.loc[np.isin(school, [1, 4]), "size"] = np.nan
    df.loc[np.isin(classes, [2, 7, 20]), "kind"] = np.nan
    df.loc[rng.random(len(df)) < 0.2, "x"] = np.nan
    df.loc[(rng.random(len(df)) < 0.2) | (classes == 5) | (school == 8), "y"] = np.nan
    return df


@pytest.fixture(scope="module")
def imp() -> bi.Imputations:
    return bi.impute(pupils(), **ARGUMENTS)


def test_properties_of_schools_and_classes_have_one_value_each(imp) -> None:
    for data in imp.complete("all"):
        assert not data.isna().to_numpy().any()
        assert (data.groupby("school")["size"].nunique() == 1).all()
        assert (data.groupby("class")["kind"].nunique() == 1).all()


def test_parameters_of_each_grouping_are_in_the_tree_and_the_report(imp) -> None:
    names = set(imp.datatree["posterior"].data_vars)
    assert {"y.sd_intercept|class", "y.sd_intercept|school", "kind.sd_intercept"} <= names
    text = models(Content(imp, {}, False, ""))
    assert "clusters of class" in text and "clusters of school" in text


def test_results_depend_neither_on_the_order_of_rows_nor_on_names_of_clusters(imp) -> None:
    df = pupils()
    order = np.random.default_rng(5).permutation(len(df))
    shuffled = bi.impute(df.iloc[order], **ARGUMENTS)
    renamed = df.assign(school=[f"s{99 - k}" for k in df["school"]], **{"class": df["class"] * -7})
    relabelled = bi.impute(renamed, **ARGUMENTS)
    expected = imp.complete(1)
    back = shuffled.complete(1).sort_index()
    pd.testing.assert_frame_equal(back, expected)
    assert np.array_equal(relabelled.complete(1)["y"], expected["y"])


def test_a_run_goes_on_from_its_file_with_the_same_bits(imp, tmp_path) -> None:
    path = tmp_path / "imp.nc"
    imp.to_netcdf(path)
    longer = bi.open(path).extend(2, progress=False)
    whole = bi.impute(pupils(), **{**ARGUMENTS, "iterations": 5, "cores": 1})
    pd.testing.assert_frame_equal(longer.complete(2), whole.complete(2))


def test_classes_whose_ids_count_anew_are_fitted_and_reported(tmp_path) -> None:
    df = pupils().assign(**{"class": lambda df: df["class"] % 3})[["school", "class", "x", "y"]]
    imp = bi.impute(df, **{**ARGUMENTS, "cluster": "school/class", "method": "normal"})
    fits = imp.fit("y ~ x + (1 | school/class)")
    theirs = bi.fit(imp.complete("all"), "y ~ x + (1 | school/class)").pool().table
    pd.testing.assert_frame_equal(fits.pool().table, theirs)
    page = imp.report(tmp_path / "page.html", analyses={"A": fits}).read_text("utf-8")
    assert "30 clusters by school:class" in page and "10 clusters by school," in page


def test_two_levels_lose_the_variance_of_the_third() -> None:
    df = pupils(schools=40, rows=6, seed=3)
    arguments = {**ARGUMENTS, "iterations": 40, "m": 4}
    three = bi.impute(df, **arguments).datatree["posterior"]
    two = bi.impute(df, **{**arguments, "cluster": "class"}).datatree["posterior"]
    of_school = float(three["y.sd_intercept|school"][:, 10:].mean())
    of_class = float(three["y.sd_intercept|class"][:, 10:].mean())
    assert abs(of_school - 0.8) < 0.25 and abs(of_class - 0.5) < 0.2
    assert float(two["y.sd_intercept"][:, 10:].mean()) > of_class + 0.2


# the slope of x varies by no school
@pytest.mark.filterwarnings("ignore:.*singular:bayesimpute.errors.ImputationWarning")
def test_an_analysis_of_several_groupings_is_drawn_in_the_chains() -> None:
    df = pupils(schools=20)
    imp = bi.impute(
        df, analysis="y ~ x * size + (1 + x | school) + (1 | class)", m=2, iterations=4, seed=2,
        progress=False,
    )  # fmt: skip
    found = imp.analysis
    assert {"x:size", "sd((Intercept) | class)", "sd(x | school)"} <= set(found.index)
    assert imp.specification.targets["x"].level == 1
    assert not imp.complete(1)[["x", "y", "size"]].isna().to_numpy().any()
    model = imp.joint_model()
    assert {"y.sd_intercept|class", "y.sd_x|school"} <= set(model.named_vars)


def test_a_model_by_codes_is_not_compared_where_groupings_are_pairs_of_columns() -> None:
    df = pupils()[["school", "class", "x", "y"]].assign(room=np.arange(150) % 4, x=0.0)
    formula = {"y": "y ~ 1 + (1 | school:room) + (1 | room:class)"}
    imp = bi.impute(df, **{**ARGUMENTS, "cluster": "school", "method": "normal"}, formulas=formula)
    with pytest.raises(bi.SpecificationError, match="give its 'formula' too"):
        imp.compare_models("y", {"as it is": {}}, draws=150)
