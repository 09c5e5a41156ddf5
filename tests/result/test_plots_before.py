"""Pictures of the data before imputation: what is drawn is what the frame holds."""

from itertools import pairwise

import matplotlib as mpl

mpl.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.text import Text

import bayesimpute as bi
from bayesimpute.errors import DataError, SpecificationError
from bayesimpute.plots import style
from bayesimpute.plots.correlation import association_columns, associations
from bayesimpute.plots.predictors import COLOURS, MEANINGS


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


@pytest.fixture
def awkward():
    """Every dtype, labels that are no strings, an index of its own, clusters of unequal size."""
    rng = np.random.default_rng(1)
    n = 60
    frame = pd.DataFrame(
        {
            "g": pd.Categorical(
                np.repeat(["b", "a", "c"], [30, 20, 10]), categories=["c", "z", "b", "a"]
            ),
            7: rng.normal(size=n),
            ("x", 1): pd.array(rng.integers(0, 20, n), dtype="Int64"),
            "flag": pd.array(rng.random(n) < 0.4, dtype="boolean"),
            "mood": pd.Categorical(
                rng.choice(["low", "mid", "high"], n), ["low", "mid", "high"], ordered=True
            ),
            "town": pd.array(rng.choice(["A", "B", "C"], n), dtype="str"),
            "born": pd.date_range("2001-01-01", periods=n),
            "one": 1,
        },
        index=np.arange(n)[::-1] * 3,
    )
    frame.columns = pd.Index(
        ["g", 7, ("x", 1), "flag", "mood", "town", "born", "one"], dtype=object
    )
    for column, start in ((1, 0), (2, 25), (3, 40), (4, 5), (5, 50)):
        frame.iloc[start : start + 12, column] = None
    return frame


def drawn_tiles(ax, k=0):
    """Colours of the k-th block of tiles (row, column, RGB)."""
    mesh = ax.collections[k]
    mesh.update_scalarmappable()
    rows, columns = (n - 1 for n in mesh.get_coordinates().shape[:2])
    return mesh.get_facecolors()[:, :3].reshape(rows, columns, 3)


def key_of(ax):
    return [text.get_text() for text in ax.figure.legends[0].get_texts()]


def grey(colour):
    """Lightness from 0 to 1, as print in grey shows it."""
    return np.dot(to_rgb(colour), [0.299, 0.587, 0.114])


def above(ax):
    top = ax if ax.xaxis.get_ticks_position() == "top" else ax.child_axes[0]
    return [label.get_text() for label in top.get_xticklabels()]


# patterns


def test_the_pattern_map_is_the_table_of_patterns(shared_data):
    boys = shared_data("boys")
    table = bi.missing_pattern(boys)
    (ax,) = bi.plot_pattern(boys).axes
    tiles = drawn_tiles(ax)
    missing = np.isclose(tiles, to_rgb(style.MISSING)).all(axis=2)
    np.testing.assert_array_equal(~missing, table.iloc[:-1, :-1].to_numpy().astype(bool))
    assert (np.isclose(tiles, to_rgb(style.OBSERVED_AREA)).all(axis=2) == ~missing).all()
    assert above(ax) == [str(name) for name in table.columns[:-1]]
    left = [label.get_text() for label in ax.get_yticklabels()]
    assert left == [str(n) for n in table.index.get_level_values("n_rows")[:-1]]
    right = [label.get_text() for label in ax.child_axes[1].get_yticklabels()]
    assert right == [str(n) for n in table["n_missing"][:-1]]
    below = [label.get_text() for label in ax.get_xticklabels()]
    assert below == [str(n) for n in table.iloc[-1, :-1]]
    assert "13 patterns in 748 rows" in ax.get_xlabel().replace("\n", " ")


def test_only_the_most_frequent_patterns_are_drawn_and_counted(shared_data):
    impact = shared_data("impact_incomplete")
    (ax,) = bi.plot_pattern(impact, most=3, order="frequency").axes
    frequency = impact.isna().value_counts().to_numpy()
    left = [label.get_text() for label in ax.get_yticklabels()]
    assert left == [f"{n:,}" for n in frequency[:3]]
    text = ax.get_xlabel().replace("\n", " ")
    assert text.startswith(f"3 of {len(frequency)} patterns")
    assert f"with {frequency[:3].sum() / len(impact):.0%} of 11,022 rows" in text


def test_clusters_show_where_a_pattern_occurs(awkward):
    (ax,) = bi.plot_pattern(awkward, [7, "flag"], cluster="g").axes
    grey = drawn_tiles(ax, 1)[:, :, 0]
    counts = awkward[[7, "flag"]].isna().value_counts().sort_index()
    assert list(counts) == [36, 12, 12]  # complete; flag missing, in a and c; 7 missing, in b
    np.testing.assert_array_equal(grey < 1, [[1, 1, 1], [1, 0, 1], [0, 1, 0]])
    shares = np.array([8 / 10, 18 / 30, 10 / 20])
    assert (np.argsort(grey[0]) == np.argsort(-shares)).all()
    assert above(ax) == ["flag", "7"] or above(ax) == ["7", "flag"]
    assert [label.get_text() for label in ax.child_axes[2].get_xticklabels()] == ["c", "b", "a"]
    right = [label.get_text() for label in ax.child_axes[1].get_yticklabels()]
    assert right == ["0   3 of 3", "1   2 of 3", "1   1 of 3"]
    assert "darkest 80%" in key_of(ax)[-1]


def test_labels_of_many_patterns_are_thinned_out_until_they_fit(shared_data):
    figure = bi.plot_pattern(
        shared_data("impact_incomplete"), ["ct", "tsah", "edh"], figsize=(4, 2)
    )
    assert len(figure.axes[0].get_yticklabels()) == 8
    figure = bi.plot_pattern(shared_data("impact_incomplete"), figsize=(4, 5))
    figure.canvas.draw()
    boxes = [label.get_window_extent() for label in figure.axes[0].get_yticklabels()]
    assert 20 < len(boxes) < 62
    edges = sorted((box.y0, box.y1) for box in boxes)
    assert all(lower[1] <= upper[0] + 1 for lower, upper in pairwise(edges))


# correlations


def test_the_total_correlation_is_pandas_pairwise_one(shared_data):
    frame = shared_data("mammalsleep")
    columns, left_out = association_columns(frame, list(frame))
    assert left_out == {"species": "62 categories"}
    values, counts = associations(columns)
    numbers = frame.drop(columns="species")
    np.testing.assert_allclose(values, numbers.corr(), atol=1e-12)
    seen = numbers.notna().astype(int)
    np.testing.assert_array_equal(counts, seen.T @ seen)


def test_within_and_between_add_up_to_the_total():
    rng = np.random.default_rng(2)
    school = rng.integers(0, 12, 300)
    effect = rng.normal(size=12)
    x, y = rng.normal(size=(2, 300)) + [[1], [-1]] * effect[school]
    frame = pd.DataFrame({"x": x, "y": y, "level2": effect[school]})
    columns, _ = association_columns(frame, list(frame))
    within, _ = associations(columns, "within", school)
    between, _ = associations(columns, "between", school)
    means = frame.groupby(school)[["x", "y"]].transform("mean")
    assert within[0, 1] == pytest.approx((frame[["x", "y"]] - means).corr().iloc[0, 1])
    assert between[0, 1] == pytest.approx(means.corr().iloc[0, 1])
    assert np.isnan(within[2]).all() and between[2, 0] > 0.9 > -0.9 > between[0, 1]


def test_nominal_variables_have_correlation_ratio_and_cramers_v():
    rng = np.random.default_rng(3)
    a, b = rng.integers(0, 4, 400), rng.integers(0, 3, 400)
    b[a == 1] = 2
    number = a**2 + rng.normal(size=400)
    frame = pd.DataFrame({"a": pd.Series(a).map(str), "b": pd.Series(b).map(str), "n": number})
    values, _ = associations(association_columns(frame, list(frame))[0])
    table = pd.crosstab(a, b).to_numpy()
    expected = table.sum(1, keepdims=True) * table.sum(0, keepdims=True) / 400
    chi2 = ((table - expected) ** 2 / expected).sum()
    assert values[0, 1] == pytest.approx(np.sqrt(chi2 / 400 / 2))
    means = frame.groupby("a")["n"].transform("mean")
    assert values[0, 2] == pytest.approx(means.std() / frame["n"].std())


def test_the_map_writes_numbers_that_can_be_read_and_says_what_is_left_out(awkward):
    figure = bi.plot_corr(awkward, part="total", counts=True)
    (ax,) = figure.axes
    names = ["7", "x, 1", "flag", "mood", "town*"]
    columns, _ = association_columns(
        awkward.set_axis(["g", "7", "x, 1", "flag", "mood", "town", "born", "one"], axis=1),
        ["7", "x, 1", "flag", "mood", "town"],
    )
    values, counts = associations(columns)
    assert above(ax) == ["g*", *names]
    at = {text.get_position(): text.get_text() for text in ax.texts}
    number, rows = at[3.5, 1.5].split("\n")  # column flag, row 7
    assert number.lstrip("−") == f"{abs(values[0, 2]):.2f}"[1:]
    assert rows == str(counts[0, 2])
    caption = ax.get_xlabel().replace("\n", " ")
    assert "one (constant)" in caption and "born (datetime64" in caption
    assert "* unordered categories: correlation ratio η" in caption
    tiles = drawn_tiles(ax)
    for text in ax.texts:
        column, row = (int(place) for place in text.get_position())
        assert abs(grey(tiles[row, column]) - grey(text.get_color())) > 0.25


def test_parts_need_clusters_and_axes_are_counted(shared_data):
    frame = shared_data("popmis")
    with pytest.raises(SpecificationError, match=r"part='within' needs cluster="):
        bi.plot_corr(frame, part="within")
    figure, ax = plt.subplots()
    with pytest.raises(SpecificationError, match=r"3 panel\(s\) need an axes each, not 1"):
        bi.plot_corr(frame, cluster="school", ax=ax)
    assert bi.plot_corr(frame, cluster="school", part="between", ax=ax) is figure
    assert ax.get_title(loc="left") == "between school"
    assert "100 clusters." in ax.get_xlabel()
    with pytest.raises(SpecificationError, match=r"two variables.*'const': constant"):
        bi.plot_corr(frame, variables=["const", "sex"])


# flux


def test_points_are_influx_and_outflux_and_labels_do_not_overlap(shared_data):
    boys = shared_data("boys")
    figure = bi.plot_flux(boys)
    (ax,) = figure.axes
    table = bi.flux(boys)[["influx", "outflux"]].to_numpy()
    complete = boys.notna().all().to_numpy()
    drawn = [np.asarray(points.get_offsets()) for points in ax.collections]
    np.testing.assert_array_equal(drawn[0], table[complete])
    np.testing.assert_array_equal(drawn[1], table[~complete])
    np.testing.assert_array_equal(ax.get_lines()[0].get_xydata(), [[0, 1], [1, 0]])
    words = " ".join(text.get_text() for text in ax.texts)
    written = sorted(words.replace(",", "").split())
    assert written == sorted(boys.columns)
    figure.canvas.draw()
    boxes = [Text.get_window_extent(text) for text in ax.texts]
    assert not any(a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[:k])


def test_labels_of_a_crowd_cover_neither_each_other_nor_the_points():
    rng = np.random.default_rng(4)
    gone = rng.random((200, 14)) < np.linspace(0.1, 0.3, 14)
    frame = pd.DataFrame(np.where(gone, np.nan, 1.0)).rename(columns="variable {}".format)
    figure = bi.plot_flux(frame)
    figure.canvas.draw()
    (ax,) = figure.axes
    boxes = [Text.get_window_extent(text) for text in ax.texts]
    assert not any(a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[:k])
    points = ax.transData.transform(np.vstack([d.get_offsets() for d in ax.collections]))
    assert not any(box.contains(*point) for box in boxes for point in points)


def test_complete_and_empty_data_have_a_flux_picture():
    (ax,) = bi.plot_flux(pd.DataFrame({"x": [1, 2], "y": [1, 2]})).axes
    assert ax.texts[0].get_text() == "x, y"
    assert ax.figure.get_supxlabel() == "nothing is missing"
    (ax,) = bi.plot_flux(pd.DataFrame({"x": [np.nan] * 2})).axes
    np.testing.assert_array_equal(ax.collections[1].get_offsets(), [[1, 0]])


# map of rows


def image(ax):
    """Share missing of each line and column, from the colours."""
    here, gone = np.array(to_rgb(style.OBSERVED_AREA)), np.array(to_rgb(style.MISSING))
    drawn = np.concatenate([np.asarray(column.get_array()) for column in ax.images], axis=1)
    return (drawn - here)[..., 0] / (gone - here)[0]


def test_the_map_holds_every_cell_in_the_frames_order(shared_data):
    boys = shared_data("boys")
    (ax,) = bi.plot_miss(boys, order="rows").axes
    np.testing.assert_allclose(image(ax), boys.isna(), atol=1e-12)
    assert above(ax) == list(boys.columns)
    below = [label.get_text() for label in ax.get_xticklabels()]
    assert below[:2] == ["0", "3%"]


def test_rows_with_the_same_gaps_lie_together(shared_data):
    boys = shared_data("boys")
    (ax,) = bi.plot_miss(boys).axes
    table = bi.missing_pattern(boys).iloc[:-1, :-1]
    rows = table.index.get_level_values("n_rows").astype(int)
    np.testing.assert_allclose(image(ax), np.repeat(1 - table.to_numpy(), rows, axis=0), atol=1e-12)
    assert above(ax) == list(table.columns)


def test_a_cluster_without_a_variable_has_a_frame(shared_data):
    obesity = shared_data("obesity")
    (ax,) = bi.plot_miss(obesity, cluster="Cluster", order="cluster").axes
    boxes = [patch.get_bbox() for patch in ax.patches]
    sizes = obesity["Cluster"].value_counts()
    assert [label.get_text() for label in ax.get_yticklabels()][-1] == "3"
    names = above(ax)
    assert [names[int(box.x0)] for box in boxes] == ["Weight", "BMI"]
    assert all(box.y1 == len(obesity) and box.height == sizes[3] for box in boxes)
    assert key_of(ax)[-1] == "missing in the whole cluster"


def test_many_rows_are_blended_and_none_is_lost():
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"x": np.where(rng.random(100_000) < 0.3, np.nan, 1.0), "y": 1.0})
    (ax,) = bi.plot_miss(frame, order="rows").axes
    drawn = image(ax)
    assert len(drawn) <= 4000
    assert drawn[:, 0].mean() == pytest.approx(frame["x"].isna().mean(), abs=1e-9)
    assert np.mean((drawn[:, 0] > 0) & (drawn[:, 0] < 1)) > 0.99


# predictors


def test_every_code_has_a_colour_a_meaning_and_a_place():
    matrix = pd.DataFrame([[-4, -3, -2, 0], [1, 2, 3, 4]], ["a", "b"], ["p", "q", "r", "s"])
    (ax,) = bi.plot_predictors(matrix, {"a": "heckman", "b": "normal"}).axes
    assert len(set(COLOURS.values())) == len(set(MEANINGS.values())) == len(bi.Role)
    assert key_of(ax) == [f"{int(r)} {MEANINGS[r]}".replace("-", "−") for r in bi.Role]
    expected = [[to_rgb(COLOURS[bi.Role(code)]) for code in row] for row in matrix.to_numpy()]
    np.testing.assert_allclose(drawn_tiles(ax), expected)
    assert ax.collections[0].get_alpha().tolist() == [[1.0] * 4] * 2
    texts = [text.get_text() for text in ax.texts]
    assert texts == ["−4", "−3", "−2", "0", "1", "2", "3", "4"]
    right = [label.get_text() for label in ax.child_axes[0].get_yticklabels()]
    assert right == ["heckman", "normal"]


def test_rows_without_a_model_are_pale(imputations):
    (ax,) = imputations.plot_predictors().axes
    rows = list(imputations.predictors.index)
    right = [label.get_text() for label in ax.child_axes[0].get_yticklabels()]
    assert right == [imputations.method[name] for name in rows]
    matrix = pd.DataFrame(1, ["a", "b"], ["a", "b"])
    (ax,) = bi.plot_predictors(matrix, {"a": "pmm", "b": ""}).axes
    np.testing.assert_array_equal(ax.collections[0].get_alpha(), [[0.35, 1], [0.35, 0.35]])


def test_a_cell_that_is_no_code_is_named():
    matrix = pd.DataFrame([[0, 5]], ["a"], ["b", "c"])
    with pytest.raises(SpecificationError, match=r"5 in row 'a', column 'c' is no code"):
        bi.plot_predictors(matrix)
    with pytest.raises(SpecificationError, match=r"names 'aa' and none of the rows.*'a'"):
        bi.plot_predictors(pd.DataFrame([[0]], ["a"], ["b"]), {"aa": "pmm"})
    with pytest.raises(SpecificationError, match=r"imp\.plot_predictors"):
        bi.plot_predictors("imp")


# a covariate by missingness


def test_bars_are_shares_within_each_group(shared_data):
    impact = shared_data("impact_incomplete")
    (ax,) = bi.plot_missing_by(impact, "ct", "motor_score").axes
    gone = impact["ct"].isna()
    shares = [
        impact.loc[rows, "motor_score"].value_counts(normalize=True).sort_index()
        for rows in (~gone, gone)
    ]
    heights = [bar.get_height() for bar in ax.patches]
    np.testing.assert_allclose(heights, np.concatenate(shares))
    assert [bool(bar.get_hatch()) for bar in ax.patches] == [False] * 4 + [True] * 4
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == [f"observed ({(~gone).sum():,} rows)", f"missing ({gone.sum():,} rows)"]


def test_densities_have_area_one_and_means_below(shared_data):
    popmis = shared_data("popmis")
    (ax,) = bi.plot_missing_by(popmis, "popular", "texp").axes
    curves = [line for line in ax.get_lines() if len(line.get_xdata()) > 1]
    means = [line.get_xdata()[0] for line in ax.get_lines() if len(line.get_xdata()) == 1]
    assert means == pytest.approx([14.153, 14.413], abs=5e-4)  # R's t.test
    assert [curve.get_linestyle() for curve in curves] == ["-", "--"]
    for curve in curves:
        assert np.trapezoid(curve.get_ydata(), curve.get_xdata()) == pytest.approx(1, abs=0.06)


def test_clusters_are_panels_and_a_systematic_one_has_one_group(shared_data):
    obesity = shared_data("obesity")
    figure = bi.plot_missing_by(obesity, "Weight", "Age", cluster="Cluster")
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["1", "2", "3", "4", "5"]
    curves = [sum(len(line.get_xdata()) > 1 for line in ax.get_lines()) for ax in figure.axes]
    assert curves == [2, 2, 1, 2, 2]
    popmis = bi.plot_missing_by(shared_data("popmis"), "popular", "sex", cluster="school")
    assert len([ax for ax in popmis.axes if ax.axison]) == 20
    assert "20 of 100 clusters" in popmis.get_supxlabel()


def test_what_cannot_be_compared_is_said(awkward):
    for by, why in ((7, "choose another"), ("born", "neither a number"), ("nope", "no column")):
        with pytest.raises(SpecificationError, match=why):
            bi.plot_missing_by(awkward, 7, by)
    with pytest.raises(SpecificationError, match="'one' has no missing values"):
        bi.plot_missing_by(awkward, "one", 7)
    for by in ("one", "g"):
        with pytest.raises(SpecificationError, match="does not vary within any 'g'"):
            bi.plot_missing_by(awkward, 7, by, cluster="g")
    for by in (("x", 1), "flag", "mood", "town"):
        assert bi.plot_missing_by(awkward, 7, by, cluster="g").canvas is not None


# all of them

PICTURES = {
    "plot_pattern": bi.plot_pattern,
    "plot_corr": bi.plot_corr,
    "plot_flux": bi.plot_flux,
    "plot_miss": bi.plot_miss,
    "plot_missing_by": lambda df: bi.plot_missing_by(df, "x", "y"),
}


@pytest.mark.parametrize("name", PICTURES)
def test_what_is_no_data_is_refused_in_words(name):
    picture = PICTURES[name]
    for bad, why in (
        ([1, 2], "not list"),
        (pd.DataFrame(), "no rows"),
        (pd.DataFrame(index=[1]), "no columns"),
        (pd.DataFrame([[1, 2]], columns=["x", "x"]), "Two columns are named 'x'"),
        (pd.DataFrame([[1, 2]], columns=["1", 1]), "Two columns are named '1'"),
    ):
        with pytest.raises(DataError, match=why):
            picture(bad)


@pytest.mark.parametrize("clustered", [False, True])
def test_awkward_frames_are_drawn_and_left_as_they_were(awkward, clustered):
    before = awkward.copy(deep=True)
    options = {"cluster": "g"} if clustered else {}
    for picture in (bi.plot_pattern, bi.plot_miss):
        picture(awkward, **options).canvas.draw()
    bi.plot_corr(awkward, part="between" if clustered else "total", **options).canvas.draw()
    if not clustered:
        bi.plot_flux(awkward).canvas.draw()
    pd.testing.assert_frame_equal(awkward, before)


def test_hardly_any_and_nearly_all_are_not_none_and_all():
    frame = pd.DataFrame({"few": np.arange(1000.0), "most": np.nan, "all": np.nan})
    frame.loc[0, ["few", "most"]] = np.nan, 1.0
    (ax,) = bi.plot_miss(frame).axes
    assert [label.get_text() for label in ax.get_xticklabels()] == ["<1%", ">99%", "100%"]


def test_a_cluster_in_columns_of_two_levels_is_no_variable():
    frame = pd.DataFrame([[1, None], [1, 2.0], [2, 3.0]])
    frame.columns = pd.MultiIndex.from_tuples([("a", "school"), ("a", "x")])
    (ax,) = bi.plot_miss(frame, cluster=("a", "school")).axes
    assert above(ax) == ["a, x"]


def test_complete_data_say_that_nothing_is_missing():
    frame = pd.DataFrame({"x": [1.0, 2.0, 3.0]})
    for picture in (bi.plot_pattern, bi.plot_miss):
        figure = picture(frame)
        assert "nothing is missing" in figure.axes[0].get_xlabel().replace("\n", " ")


def test_pictures_are_drawn_on_the_users_axes(awkward):
    matrix = pd.DataFrame([[0, 1]], ["a"], ["a", "b"])
    for picture in (
        bi.plot_pattern,
        bi.plot_flux,
        bi.plot_miss,
        bi.plot_corr,
        lambda _, ax: bi.plot_missing_by(awkward, 7, "flag", ax=ax),
        lambda _, ax: bi.plot_predictors(matrix, ax=ax),
    ):
        figure, axes = plt.subplots(1, 2)
        assert picture(awkward, ax=axes[0]) is figure
        assert figure.axes == list(axes)


def test_the_default_size_has_room_for_every_text():
    name = "a very long name of a variable"  # matplotlib would warn that no room is left
    frame = pd.DataFrame({f"{name} {k}": [1.0, None, 2, 4, 3, 6, k] for k in range(2)})
    frame["name of the cluster"] = range(7)
    for picture in (bi.plot_pattern, bi.plot_miss):
        picture(frame, cluster="name of the cluster").canvas.draw()
        picture(frame[[f"{name} 0"]]).canvas.draw()
    bi.plot_corr(frame).canvas.draw()
    matrix = pd.DataFrame([list(bi.Role)], [name], [f"{name} {k}" for k in range(8)])
    figure = bi.plot_predictors(matrix, {name: "heckman.robust"})
    figure.canvas.draw()
    assert figure.axes[0].get_window_extent().height > 0.2 * figure.dpi


def test_columns_that_do_not_exist_are_answered_with_the_nearest(shared_data):
    popmis = shared_data("popmis")
    for call in (
        lambda: bi.plot_pattern(popmis, cluster="schol"),
        lambda: bi.plot_miss(popmis, cluster="schol"),
        lambda: bi.plot_corr(popmis, ["schol"]),
        lambda: bi.plot_flux(popmis, "schol"),
        lambda: bi.plot_missing_by(popmis, "schol", "texp"),
    ):
        with pytest.raises(SpecificationError, match="Did you mean 'school'"):
            call()
    popmis.loc[3, "school"] = np.nan
    with pytest.raises(DataError, match="'school' is missing in 1 row"):
        bi.plot_pattern(popmis, cluster="school")


def test_long_names_that_differ_in_the_middle_are_told_apart():
    names = [f"how often in the year {k} did you travel by train" for k in range(9)]
    frame = pd.DataFrame({"x": np.where(np.arange(90) % 4, 1.0, np.nan), "kind": names * 10})
    (ax,) = bi.plot_missing_by(frame, "x", "kind").axes
    texts = [label.get_text() for label in ax.get_xticklabels()]
    assert len(set(texts)) == 9 and max(map(len, texts)) <= 18


def test_long_names_are_cut_in_the_middle():
    assert style.cut("short") == "short"
    cut = style.cut("a rather long variable name 12", 24)
    assert len(cut) == 24 and cut.startswith("a rather") and cut.endswith("name 12")


def test_flux_can_be_drawn_where_a_notebook_has_closed_the_figure(monkeypatch):
    import matplotlib as mpl

    monkeypatch.setattr(mpl, "get_backend", lambda: "inline")
    df = pd.DataFrame({"a": [1.0, np.nan, 3.0], "b": [np.nan, 2.0, 3.0], "c": [1.0, 2.0, 3.0]})
    assert len(bi.plot_flux(df).axes[0].texts) == 2  # a and b share one


def test_several_columns_where_one_is_asked_for_are_refused():
    df = pd.DataFrame({"x": [1.0, None], "g": [1, 2], "h": [1, 1]})
    with pytest.raises(bi.SpecificationError, match=r"cluster=\['g', 'h'\] must be one column"):
        bi.plot_pattern(df, cluster=["g", "h"])
