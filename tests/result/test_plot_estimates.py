"""Analyses side by side, as a table and as a forest plot: what is shown is what was given."""

import matplotlib as mpl

mpl.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from bayesimpute.analysis import fit
from bayesimpute.errors import SpecificationError
from bayesimpute.plots import style
from bayesimpute.plots.estimates import NEEDED, compare_estimates, plot_estimates
from bayesimpute.pooling.pooled import pool


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def frames():
    rng = np.random.default_rng(1)
    made = []
    for _ in range(4):
        x, z = rng.normal(size=(2, 60))
        made.append(pd.DataFrame({"x": x, "z": z, "y": 20 + 0.03 * x + rng.normal(size=60)}))
    return made


@pytest.fixture(scope="module")
def analyses(frames):
    table = pd.DataFrame(
        {"term": ["x", "w"], "estimate": [0.5, 7.0], "conf_low": [0.1, 6], "conf_high": [0.9, 8]}
    )
    return {
        "complete cases": fit(frames[:1], "y ~ x"),
        "imputed": fit(frames, "y ~ x + z"),
        "pooled": fit(frames, "y ~ x").pool(),
        "published": table,
    }


def lines(ax, at):
    """Interval and point drawn for one analysis: their x, their colour, whether it is open."""
    interval, point = (
        line for line in ax.get_lines() if np.array_equal(np.unique(line.get_ydata()), [at])
    )
    colour = to_hex(interval.get_color()).upper()
    assert to_hex(point.get_color()).upper() == colour
    return interval.get_xdata(), point.get_xdata()[0], colour, point.get_markerfacecolor()


def test_the_table_holds_each_analysis_as_it_was(analyses):
    table = compare_estimates(analyses)
    assert list(table.index) == ["(Intercept)", "x", "z", "w"]
    assert list(table.columns.get_level_values(0).unique()) == list(analyses)
    pooled = analyses["imputed"].pool().table
    columns = ["estimate", "std_error", "conf_low", "conf_high", "df", "fmi"]
    pd.testing.assert_frame_equal(
        table["imputed"].loc[pooled.index], pooled[columns],
        check_names=False,
    )  # fmt: skip
    (alone,) = analyses["complete cases"]
    assert table["complete cases", "std_error"]["x"] == pytest.approx(np.sqrt(alone.variances[1]))
    assert table["published", "estimate"].dropna().to_dict() == {"x": 0.5, "w": 7.0}
    assert table["published", "std_error"].isna().all()
    assert type(table["imputed"]) is pd.DataFrame and type(table.round(2)) is pd.DataFrame


def test_the_table_reads_as_estimate_error_and_interval():
    a = pool([[1.0, -40], [1.2, -42]], [[0.04, 900], [0.05, 800]], terms=["x", "big"])
    b = pd.DataFrame({"estimate": 0.0123, "conf_low": 0.01, "conf_high": 0.0146}, ["small"])
    table = compare_estimates({"first": a, "second": b})
    text = table.as_text()
    assert text.loc[("x", "estimate (SE)"), "first"] == "1.10 (0.27)"
    assert text.loc[("x", "interval"), "first"] == "[0.44, 1.76]"
    assert text.loc[("big", "estimate (SE)"), "first"] == "-41 (29)"
    assert text.loc[("small", "estimate (SE)"), "second"] == "0.0123"
    assert text.loc[("x", "estimate (SE)"), "second"] == "—"
    assert repr(table) == text.to_string() and "1.10 (0.27)" in table._repr_html_()


def test_each_term_has_a_panel_and_each_analysis_a_line(analyses):
    figure = plot_estimates(analyses)
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["(Intercept)", "x", "z", "w"]
    table = compare_estimates(analyses)
    x = figure.axes[1]
    assert [tick.get_text() for tick in x.get_yticklabels()] == list(analyses)
    for at, label in enumerate(analyses):
        interval, point, colour, face = lines(x, at)
        row = table[label].loc["x"]
        np.testing.assert_array_equal(interval, [row["conf_low"], row["conf_high"]])
        assert point == row["estimate"]
        imputed = label in ("imputed", "pooled")
        assert colour == (style.IMPUTED if imputed else style.OBSERVED).upper()
        assert (face == "white") == imputed  # also told apart in grey
    assert x.get_ylim()[0] > x.get_ylim()[1]  # the first analysis on top


def test_an_analysis_without_the_term_says_so(analyses):
    figure = plot_estimates(analyses, terms=["z"])
    (ax,) = figure.axes
    said = {text.get_position()[1]: text.get_text() for text in ax.texts}
    assert said == dict.fromkeys((0, 2, 3), "not in this analysis")


def test_zero_is_drawn_where_it_is_near(analyses):
    figure = plot_estimates(analyses)
    for ax, drawn in zip(figure.axes, (False, True, True, False), strict=True):
        zeros = [line for line in ax.get_lines() if list(line.get_xdata()) == [0, 0]]
        assert len(zeros) == drawn


@pytest.mark.parametrize(("low", "drawn"), [(0.9, True), (1.1, False), (-1.9, True), (-2.1, False)])
def test_zero_is_near_if_not_further_than_the_intervals_are_wide(low, drawn):
    table = pd.DataFrame({"estimate": low, "conf_low": low, "conf_high": low + 1}, ["x"])
    (ax,) = plot_estimates({"a": table}).axes
    assert any(list(line.get_xdata()) == [0, 0] for line in ax.get_lines()) == drawn
    ax.figure.canvas.draw()
    assert (ax.get_xlim()[0] < 0 < ax.get_xlim()[1]) == drawn


def test_truth_is_a_dashed_line_within_the_axis(analyses):
    figure = plot_estimates(analyses, ["x", "z"], truth=pd.Series({"x": 3.0, "ICC|g": 0.2}))
    x, z = figure.axes
    (true,) = [line for line in x.get_lines() if list(line.get_xdata()) == [3.0, 3.0]]
    assert true.get_linestyle() != "-" and x.get_title(loc="right") == "truth: 3"
    figure.canvas.draw()
    assert x.get_xlim()[0] < 0 and x.get_xlim()[1] > 3.0
    assert z.get_title(loc="right") == ""


def test_truth_may_spell_a_term_in_another_order():
    fits = {"a": pool([[1.0, 2.0]] * 2, [[0.04, 0.1]] * 2, terms=["x:z", "x"])}
    figure = plot_estimates(fits, truth={"z:x": 1.5, "x": 2.0})
    assert [ax.get_title(loc="right") for ax in figure.axes] == ["truth: 1.5", "truth: 2"]


def test_the_users_axes_are_used_and_counted(analyses):
    figure, axes = plt.subplots(1, 2)
    assert plot_estimates(analyses, ["x", "w"], ax=axes) is figure
    assert len(figure.axes) == 2
    assert plot_estimates(analyses, ["x"], ax=axes[0]) is figure
    with pytest.raises(SpecificationError, match=r"2 terms \('x', 'w'\) need an axes each, not 1"):
        plot_estimates(analyses, ["x", "w"], ax=axes[0])


@pytest.mark.parametrize(
    ("wrong", "arguments", "words"),
    [
        ({}, {}, "mapping from label"),
        ({"a": 3}, {}, "'a' is a int"),
        ({"a": pd.DataFrame({"estimate": [1.0]})}, {}, "no column 'conf_low', 'conf_high'"),
        (
            {"a": pd.DataFrame([["1", 0, "?"]], ["x"], list(NEEDED))},
            {},
            "'a' holds what is no number",
        ),
        (None, {"terms": ["X"]}, "has the term 'X'.*mean 'x'"),
        (None, {"terms": []}, "is empty"),
        (None, {"truth": {"slope": 1.0}}, "truth= names 'slope'"),
    ],
)
def test_what_cannot_be_drawn_is_said(analyses, wrong, arguments, words):
    with pytest.raises(SpecificationError, match=words):
        plot_estimates(analyses if wrong is None else wrong, **arguments)


def test_a_term_twice_in_a_table_is_refused():
    row = {"estimate": 1.0, "conf_low": 0.0, "conf_high": 2.0}
    with pytest.raises(SpecificationError, match="'x' twice"):
        compare_estimates({"a": pd.DataFrame([row, row], index=["x", "x"])})
