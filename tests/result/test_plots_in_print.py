"""In a column of a two-column page no picture is clipped, and no text covers another or data."""

import re

import matplotlib as mpl

mpl.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.colors import to_hex

import bayesimpute as bi
from bayesimpute.checking.overimputation import Overimputation
from bayesimpute.errors import SpecificationError
from bayesimpute.plots import heat, style

PRINT = (3.5, 2.8)


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def study(columns=11, clusters=15, rows=450):
    """Numbers, more missing in later columns, in clusters of equal size."""
    rng = np.random.default_rng(1)
    values = rng.normal(size=(rows, columns)) + rng.normal(size=(rows, 1))
    frame = pd.DataFrame(values, columns=[f"variable_{k}" for k in range(columns)])
    gone = rng.random(frame.shape) < np.linspace(0, 0.5, columns)
    frame = frame.mask(gone)
    frame["hospital"] = [f"hospital {k % clusters + 1}" for k in range(rows)]
    return frame


def boxes(texts):
    return [text.get_window_extent() for text in texts if text.get_text()]


def assert_apart(texts):
    found = boxes(texts)
    assert not any(a.overlaps(b) for k, a in enumerate(found) for b in found[:k])


def assert_inside(figure):
    figure.canvas.draw()
    box = figure.get_tightbbox()
    width, height = figure.get_size_inches()
    assert box.x0 > -0.01 and box.y0 > -0.01
    assert box.x1 < width + 0.01 and box.y1 < height + 0.01


def tile(ax):
    """Inches of a tile."""
    box = ax.get_window_extent()
    return box.width / np.ptp(ax.get_xlim()) / ax.figure.dpi


def assert_in_tiles(ax):
    for box in boxes(ax.texts):
        assert box.width <= tile(ax) * ax.figure.dpi and box.height <= tile(ax) * ax.figure.dpi


def names_above(ax):
    top = ax if ax.xaxis.get_ticks_position() == "top" else ax.child_axes[0]
    return top.get_xticklabels()


def assert_beside(labels, axis):
    """Turned texts have boxes that touch where the letters do not."""
    edges = np.sort([box.get_points()[:, axis] for box in boxes(labels)], axis=0)
    assert (edges[:-1, 1] <= edges[1:, 0] + 1).all()


def refused(draw, figsize=PRINT):
    """Inches of height that the refusal asks for."""
    open_before = plt.get_fignums()
    with pytest.raises(SpecificationError, match=r"figsize=\(3.5, [\d.]+\)\)") as error:
        draw(figsize)
    assert plt.get_fignums() == open_before
    found = re.search(r"give ([\d.]+) inches", str(error.value))
    return float(found.group(1))


# tiles


def test_three_correlation_maps_are_refused_until_they_can_be_read():
    columns = 5
    frame = study(columns)

    def draw(figsize):
        return bi.plot_corr(frame, cluster="hospital", part="all", figsize=figsize)

    height = refused(draw, (3.5, 2.0))
    figure = draw((3.5, height))
    assert_inside(figure)
    for ax in figure.axes[:3]:
        assert tile(ax) * columns >= 0.5
        assert_apart(ax.get_yticklabels())
        assert_beside(names_above(ax), 0)
        assert_in_tiles(ax)


def test_three_correlation_maps_stand_in_a_line_with_their_names_the_same_way():
    frame = study(4).rename(columns=lambda name: name.replace("variable", "name"))
    figure = bi.plot_corr(frame, cluster="hospital")
    assert_inside(figure)
    assert {label.get_rotation() for ax in figure.axes for label in names_above(ax)} == {90}
    assert np.ptp([ax.get_window_extent().y0 for ax in figure.axes]) < 1


@pytest.mark.parametrize(("columns", "figsize", "lines"), [(16, PRINT, 0), (8, None, 2)])
def test_correlations_are_written_where_their_tiles_have_room(columns, figsize, lines):
    frame = study(columns)
    figure = bi.plot_corr(frame, cluster="hospital", part="total", counts=True, figsize=figsize)
    assert_inside(figure)
    ax = figure.axes[0]
    assert {text.get_text().count("\n") + 1 for text in ax.texts} == ({lines} if lines else set())
    assert_in_tiles(ax)
    assert_apart(ax.texts)
    assert_beside(names_above(ax), 0)
    assert (len(figure.axes) == 2) == (not lines)  # else a bar of the colours


def test_of_two_lines_in_a_tile_the_first_stays_where_both_have_no_room():
    _, ax = plt.subplots()
    for at, words in ((0.2, ".12\n12345"), (0.6, "−.34\n999")):
        ax.text(at, 0.5, words)
    assert heat.write(ax, (16.0, 16.0)) and [t.get_text() for t in ax.texts] == [".12", "−.34"]
    assert heat.write(ax, (6.0, 6.0)) is False and not ax.texts


def test_names_of_clusters_beside_their_blocks_do_not_overlap():
    figure = bi.plot_miss(study(), cluster="hospital", figsize=PRINT)
    assert_inside(figure)
    labels = figure.axes[0].get_yticklabels()
    assert_apart(labels)
    assert 4 <= len(labels) < 15


def test_texts_around_patterns_do_not_overlap():
    for options in ({}, {"cluster": "hospital"}):
        figure = bi.plot_pattern(study(14, rows=150), **options, figsize=(3.5, 4))
        assert_inside(figure)
        (ax,) = figure.axes
        right = next(each for each in ax.child_axes if len(each.get_yticklabels()))
        assert_beside(ax.get_xticklabels(), 0)
        assert_beside(names_above(ax), 0)
        assert_beside(ax.get_yticklabels(), 1)
        assert_beside(right.get_yticklabels(), 1)


@pytest.mark.parametrize(("columns", "written"), [(4, True), (25, False)])
def test_codes_of_predictors_are_within_their_tiles_or_left_out(columns, written):
    names = [f"variable_{k}" for k in range(columns)]
    matrix = pd.DataFrame(1, names, names)
    matrix[names[0]] = -2
    figure = bi.plot_predictors(matrix, dict.fromkeys(names, "normal"), figsize=PRINT)
    assert_inside(figure)
    (ax,) = figure.axes
    assert_in_tiles(ax)
    assert all(text.get_fontsize() >= 5 for text in ax.texts)
    assert bool(ax.texts) == written
    assert_beside(names_above(ax), 0)
    assert_apart(ax.get_yticklabels())


# panels


def overimputed(kinds):
    """Cells of variables with so many categories each; 0 is a number."""
    rng = np.random.default_rng(1)
    cells, probabilities, table = [], {}, {}
    for k, n in enumerate(kinds):
        own = pd.DataFrame({"variable": f"v{k}", "missing": rng.choice([0, 0.25], 60)}, range(60))
        mean = rng.normal(size=60)
        own["observed"], own["mean"] = (mean + rng.normal(size=60)).astype(object), mean
        own["low"], own["high"] = mean - 2, mean + 2
        if n:
            labels = [f"category {c}" for c in range(n)]
            chances = pd.DataFrame(rng.dirichlet(np.ones(n), 60), columns=labels)
            own["observed"] = [rng.choice(labels, p=chance) for chance in chances.to_numpy()]
            probabilities[f"v{k}"] = chances
        cells.append(own)
        table[f"v{k}"] = {"coverage": 0.9}
    return Overimputation(
        pd.DataFrame.from_dict(table, orient="index"), pd.concat(cells), probabilities, 0.9
    )


@pytest.mark.parametrize(
    ("kinds", "default"), [([5, 2, 0, 3], False), ([4], False), ([2, 4], True)]
)
def test_legends_of_overimputed_categories_stand_above_their_panels(kinds, default):
    found = overimputed(kinds)
    figsize = None if default else PRINT
    if len(kinds) > 2 and not default:
        figsize = (3.5, refused(lambda size: found.plot(figsize=size)))
    figure = found.plot(figsize=figsize)
    assert_inside(figure)
    panels = figure.axes[: len(kinds)]
    assert_apart([ax._left_title for ax in panels])
    assert_apart([text for ax in panels for text in (ax.xaxis.label, ax.yaxis.label)])
    for ax, kind in zip(panels, kinds, strict=True):
        legend = ax.get_legend()
        assert (legend is not None) == (kind > 2)
        assert ax.get_window_extent().height > 0.5 * figure.dpi
        if kind == 2:
            assert re.sub(r"\s", " ", ax.get_xlabel()) == "predicted chance of category 1"
        if legend is not None:
            box = legend.get_window_extent()
            assert box.y0 >= ax.get_window_extent().y1
            assert not box.overlaps(ax._left_title.get_window_extent())


@pytest.mark.parametrize(("x", "y", "log"), [("x", "y", ""), ("y", "x", "xy")])
def test_numbers_on_an_axis_with_a_place_for_gaps_do_not_overlap(x, y, log):
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"x": rng.integers(1900, 2020, 200).astype(float), "g": [1, 2, 3, 4] * 50})
    frame["y"] = np.exp(3 * rng.normal(size=200)).round(6)
    frame.loc[:40, ["x", "y"]] = np.nan
    figure = bi.plot_xy(frame, x, y, by="g", log=log)
    figure.canvas.draw()
    for ax in figure.axes:
        assert_apart(ax.get_xticklabels())
        assert len(ax.get_xticklabels()) > 2
    assert_apart(figure.axes[0].get_yticklabels())


def test_a_power_of_ten_is_not_under_the_legend():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"x": rng.normal(size=40) * 1e-9, "z": rng.normal(size=40)})
    frame.loc[:9, "x"] = np.nan
    imp = bi.impute(frame, method="sample", m=2, iterations=1, seed=1, progress=False)
    figure = imp.plot_strip("x")
    assert_inside(figure)
    (ax,) = figure.axes
    power = ax.yaxis.get_offset_text()
    assert "9" in power.get_text()
    assert not power.get_window_extent().overlaps(ax.get_legend().get_window_extent())


def test_a_tone_is_the_same_share_missing_in_every_panel():
    found = overimputed([0, 0])
    found.cells.loc[found.cells["variable"] == "v0", "missing"] *= 3
    figure = found.plot()
    tones = [{to_hex(c).upper() for c in ax.collections[1].get_facecolors()}
             for ax in figure.axes[:2]]  # fmt: skip
    assert style.MISSING in tones[0] and style.MISSING not in tones[1]
    assert figure.axes[2].get_ylim() == (0, 0.75)


def prior_tree(categories=None):
    rng = np.random.default_rng(1)
    draws = rng.normal(0, 30, (100, 1146)) if categories is None else rng.choice(categories, (9, 5))
    seen = draws[0] / 10 if categories is None else draws[0]
    attributes = {"scale": "popularity"} if categories is None else {"categories": categories}
    name = "popular_observed"
    return xr.DataTree.from_dict(
        {
            "prior_predictive": xr.Dataset({name: (("draw", "row"), draws, attributes)}),
            "observed_data": xr.Dataset({name: ("row", seen)}),
        }
    )


def test_a_prior_in_too_low_a_figure_is_refused():
    height = refused(
        lambda figsize: bi.plot_prior_predictive(prior_tree(), figsize=figsize), (3.5, 1)
    )
    figure = bi.plot_prior_predictive(prior_tree(), figsize=(3.5, height))
    assert_inside(figure)
    assert figure.axes[0].get_window_extent().height > 0.4 * figure.dpi
