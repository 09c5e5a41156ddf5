"""Pictures of a result: what is drawn is what was observed and imputed, group by group."""

import matplotlib as mpl

mpl.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

import bayesimpute as bi
from bayesimpute.errors import SpecificationError
from bayesimpute.plots import distribution, frames, style
from bayesimpute.plots.distribution import kernel_density


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


@pytest.fixture
def pupils_in_schools(make_imputations):
    """Four schools: "a" complete, "d" without any observed x; two imputed columns."""
    rng = np.random.default_rng(3)
    school = np.repeat(["a", "b", "c", "d"], 30)
    x = rng.normal(size=120)
    x[school == "d"] = np.nan
    x[(school == "b") & (rng.random(120) < 0.3)] = np.nan
    x[(school == "c") & (rng.random(120) < 0.3)] = np.nan
    mood = pd.Categorical(
        rng.choice(["low", "mid", "high"], 120), ["low", "mid", "high"], ordered=True
    )
    mood[rng.random(120) < 0.2] = None
    frame = pd.DataFrame({"school": school, "x": x, "mood": mood, "z": rng.gamma(2, size=120)})
    return make_imputations(frame, {"x": "pmm", "mood": "pmm"})


def drawn(ax, colour):
    """All dots of a colour, (n, 2)."""
    lines = [ln for ln in ax.get_lines() if ln.get_color() == colour and ln.get_marker() == "o"]
    return np.concatenate([np.empty((0, 2)), *(ln.get_xydata() for ln in lines)])


def columns_of(imp, name):
    """Codes or numbers of the observed cells, then those of each imputation."""
    table = imp.specification.table
    seen = table.values[name][~table.missing(name)]
    return [seen, *imp.history.imputed[name]]


def titles(figure):
    return [ax.get_title(loc="left") for ax in figure.axes if ax.axison]


def sizes(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


@pytest.mark.parametrize("picture", ["plot_density", "plot_strip", "plot_box"])
def test_facets_are_the_groups_with_imputed_cells(pupils_in_schools, picture):
    figure = getattr(pupils_in_schools, picture)("x", by="school")
    assert titles(figure) == ["b", "c", "d"]
    imputed = int(np.isnan(pupils_in_schools.data["x"]).sum())
    assert sizes(figure) == [
        f"observed ({120 - imputed} cells)",
        f"imputed ({imputed} cells, m = 4)",
    ]


def test_a_group_without_observed_values_is_marked(pupils_in_schools):
    figure = pupils_in_schools.plot_density("x", by="school", groups=["b", "d"])
    marked = [[text.get_text() for text in ax.texts] for ax in figure.axes if ax.axison]
    assert marked == [[], ["no observed values"]]
    (d,) = [ax for ax in figure.axes if ax.get_title(loc="left") == "d"]
    colours = {to_hex(line.get_color()).upper() for line in d.get_lines()}
    assert colours == {style.IMPUTED}


def test_groups_keep_the_order_asked_for_and_numbers_carry_the_name_of_the_column(
    make_imputations,
):
    x = np.tile([1.0, np.nan, 2.0, 3.5], 6)
    imp = make_imputations(pd.DataFrame({"x": x, "clinic": np.repeat([10, 2, 7], 8)}), {"x": "pmm"})
    assert titles(imp.plot_density("x", by="clinic")) == ["clinic 2", "clinic 7", "clinic 10"]
    assert titles(imp.plot_strip("x", by="clinic", groups=[10, 2])) == ["clinic 10", "clinic 2"]


def test_of_many_clusters_the_thirty_with_most_imputed_cells_are_shown(make_imputations):
    clinic = np.repeat(np.arange(40), 4)
    x = np.arange(160.0)
    x[::4] = np.nan
    x[np.isin(clinic, np.arange(5, 35)) & (np.arange(160) % 4 == 1)] = np.nan
    imp = make_imputations(pd.DataFrame({"x": x, "clinic": clinic}), {"x": "pmm"})
    parts = frames.shown(imp, "x", "clinic", None)
    assert parts.names == [f"clinic {k}" for k in range(5, 35)]
    assert parts.remark == "30 of 40 values of clinic: those with most imputed cells"


def test_rows_whose_group_is_missing_have_a_panel_of_their_own(pupils_in_schools):
    figure = pupils_in_schools.plot_box("x", by="mood")
    assert titles(figure) == ["low", "mid", "high", "mood missing"]


def test_an_imputation_is_a_strip_of_its_values(pupils_in_schools):
    (ax,) = pupils_in_schools.plot_strip("x").axes
    dots = drawn(ax, style.IMPUTED)
    for k, values in enumerate(pupils_in_schools.history.imputed["x"], start=1):
        strip_k = dots[np.abs(dots[:, 0] - k) < 0.5, 1]
        np.testing.assert_array_equal(np.sort(strip_k), np.sort(values))
    observed = pupils_in_schools.data["x"].dropna()
    np.testing.assert_array_equal(np.sort(drawn(ax, style.OBSERVED)[:, 1]), np.sort(observed))
    labels = [tick.get_text() for tick in ax.get_xticklabels()]
    assert labels == ["obs.", "1", "2", "3", "4"]


def test_a_strip_is_the_same_at_every_call(pupils_in_schools):
    first, second = (pupils_in_schools.plot_strip("x").axes[0] for _ in range(2))
    np.testing.assert_array_equal(drawn(first, style.IMPUTED), drawn(second, style.IMPUTED))


def test_bars_across_a_strip_are_as_wide_as_their_share(pupils_in_schools):
    (ax,) = pupils_in_schools.plot_strip("mood").axes
    widths = np.array([bar.get_width() for bar in ax.patches]).reshape(5, 3)
    columns = columns_of(pupils_in_schools, "mood")
    share = np.array([[np.mean(values == code) for code in range(3)] for values in columns])
    np.testing.assert_allclose(widths / widths.max(), share / share.max())
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["low", "mid", "high"]


def test_many_values_are_thinned_to_their_order_statistics():
    values = np.random.default_rng(1).permutation(10_001).astype(float)
    few = distribution.thinned(values, 101)
    np.testing.assert_array_equal(few, np.arange(0, 10_001, 100))


def test_values_that_differ_by_rounding_have_no_density():
    figure, ax = plt.subplots()
    values = np.full(30, 1 / 3)
    values[::2] = np.nextafter(1 / 3, 1)
    ends = np.array([0.0, 1.0])
    grid = distribution.grid_within([values], ends)
    assert distribution.curve(ax, values, grid, ends) is None
    assert distribution.curve(ax, values + [0, 1e-9] * 15, grid, ends) is not None
    plt.close(figure)


def test_many_values_have_the_density_of_all_of_them():
    from scipy.stats import gaussian_kde

    values = np.random.default_rng(1).normal(size=3000)
    grid = np.linspace(-3, 3, 50)
    exact = gaussian_kde(values)(grid)
    free = np.array([-np.inf, np.inf])
    np.testing.assert_allclose(kernel_density(values, grid, free), exact, rtol=0, atol=1e-3)


@pytest.mark.parametrize(("middle", "sd"), [(2000, 5), (1e6, 10), (1e-6, 1e-7)])
def test_values_far_from_an_end_have_the_density_of_any_others(middle, sd):
    from scipy.stats import gaussian_kde

    values = middle + sd * np.random.default_rng(1).normal(size=300)
    ends = distribution.support([values])
    assert ends[0] == 0
    grid = distribution.grid_within([values], ends)
    exact = gaussian_kde(values, len(values) ** -0.2)(grid)
    found = kernel_density(values, grid, ends)
    np.testing.assert_allclose(found, exact, rtol=0, atol=5e-3 * exact.max())


def test_a_box_has_the_quartiles_of_its_imputation(pupils_in_schools):
    (ax,) = pupils_in_schools.plot_box("x").axes
    inside = [line for line in ax.get_lines() if line.get_linewidth() == 1.4]
    medians = [float(line.get_ydata()[0]) for line in inside]
    columns = columns_of(pupils_in_schools, "x")
    np.testing.assert_allclose(medians, [np.median(values) for values in columns])
    colours = [to_hex(patch.get_facecolor()).upper() for patch in ax.patches]
    assert colours == [style.OBSERVED] + [style.IMPUTED] * 4
    boxes = [np.unique(patch.get_path().vertices[:5, 1]) for patch in ax.patches]
    np.testing.assert_allclose(boxes, [np.quantile(values, [0.25, 0.75]) for values in columns])


def test_categories_are_stacked_to_one_and_named_at_the_side(pupils_in_schools):
    figure = pupils_in_schools.plot_box("mood")
    (ax,) = figure.axes
    heights = np.array([bar.get_height() for bar in ax.patches]).reshape(5, 3)
    columns = columns_of(pupils_in_schools, "mood")
    share = [[np.mean(values == code) for code in range(3)] for values in columns]
    np.testing.assert_allclose(heights, share)
    assert sizes(figure) == ["high", "mid", "low"]  # as they lie in the bars


def test_more_categories_than_tones_become_bars_across(make_imputations):
    letters = pd.Series([*"abcdefgh" * 4, None, None], dtype="str")
    (ax,) = make_imputations(pd.DataFrame({"letter": letters})).plot_box("letter").axes
    assert [tick.get_text() for tick in ax.get_yticklabels()] == list("abcdefgh")


@pytest.mark.parametrize("picture", ["plot_density", "plot_strip", "plot_box"])
@pytest.mark.parametrize(
    "column",
    [
        pd.Series([1.0, np.nan, 2.5]),
        pd.Series([3.0, 3.0, np.nan, np.nan]),
        pd.Series([True, None, False] * 2, dtype="boolean"),
        pd.Series([*np.linspace(0, 1, 30), np.nan]),
    ],
    ids=["one cell", "constant", "boolean", "one cell of many"],
)
def test_small_and_awkward_columns_are_drawn(make_imputations, picture, column):
    imp = make_imputations(pd.DataFrame({"x": column}), m=1)
    getattr(imp, picture)("x").canvas.draw()


def test_a_variable_of_level_2_counts_every_cluster_once(make_imputations):
    school = np.repeat(["a", "b", "c", "d"], 5)
    size = np.repeat([10.0, 20.0, np.nan, 40.0], 5)
    imp = make_imputations(pd.DataFrame({"school": school, "size": size}), {"size": "normal"})
    target = imp.specification.targets["size"]
    object.__setattr__(target, "level", 2)
    part = imp.cells("size")
    assert part.loc[part[".imp"] == 0, "value"].tolist() == [10, 20, 40]
    assert (part["seen"] == "imputed").sum() == 4
    assert frames.shown(imp, "size", None, None).labels == (
        "observed (3 clusters)", "imputed (1 cluster, m = 4)",
    )  # fmt: skip


def test_a_cluster_is_counted_in_every_facet_that_it_has_rows_of(make_imputations):
    frame = pd.DataFrame(
        {
            "school": np.repeat(["a", "b", "c", "d"], 4),
            "size": np.repeat([10.0, 20.0, np.nan, 40.0], 4),
            "sex": ["f", "f", "m", None, *"mmff", *"fmfm", *"mmmm"],
        }
    )
    imp = make_imputations(frame, {"size": "normal"})
    object.__setattr__(imp.specification.targets["size"], "level", 2)
    found = frames.shown(imp, "size", "sex", None)
    held = dict(zip(found.names, found.parts, strict=True))
    seen = {name: part.loc[part[".imp"] == 0, "value"].tolist() for name, part in held.items()}
    assert seen == {"f": [0, 1], "m": [0, 1, 2]}  # positions among 10, 20 and 40
    assert [(part[".imp"] > 0).sum() for part in held.values()] == [4, 4]
    assert found.labels == ("observed (3 clusters)", "imputed (1 cluster, m = 4)")


def test_cells_are_those_of_the_completed_data(imputations):
    data = imputations.data
    for name in ("popular", "mood", "girl"):
        frame = imputations.cells(name, by="weight")
        for k in range(1, 5):
            part = frame[frame[".imp"] == k]
            gone = data[name].isna()
            expected = imputations.complete(k).loc[gone, name]
            assert part["seen"].eq("imputed").all()
            pd.testing.assert_series_equal(
                part["value"].astype(object), expected.loc[part.index].astype(object),
                check_names=False,
            )  # fmt: skip
            assert part["facet"].tolist() == data.loc[part.index, "weight"].tolist()
        seen = frame[frame[".imp"] == 0]
        assert sorted(seen.index) == sorted(data.index[data[name].notna()])
        assert seen["value"].tolist() == data.loc[seen.index, name].tolist()
    assert imputations.cells("mood")["value"].cat.categories.tolist() == ["low", "mid", "high"]
    with pytest.raises(SpecificationError, match="variable itself"):
        imputations.cells("mood", by="mood")


def test_xy_draws_rows_with_an_imputed_value_in_vermillion(pupils_in_schools):
    figure = pupils_in_schools.plot_xy("z", "x", imputation=2)
    (ax,) = figure.axes
    done = pupils_in_schools.complete(2)
    gone = pupils_in_schools.data["x"].isna().to_numpy()
    for colour, rows in ((style.IMPUTED, gone), (style.OBSERVED, ~gone)):
        expected = done.loc[rows, ["z", "x"]].to_numpy()
        found = drawn(ax, colour)
        np.testing.assert_array_equal(
            found[np.argsort(found[:, 0])], expected[np.argsort(expected[:, 0])]
        )


def test_xy_draws_all_imputations_but_observed_rows_once(pupils_in_schools):
    (ax,) = pupils_in_schools.plot_xy("z", "x", imputation="all").axes
    gone = int(pupils_in_schools.data["x"].isna().sum())
    assert len(drawn(ax, style.IMPUTED)) == 4 * gone
    assert len(drawn(ax, style.OBSERVED)) == 120 - gone
    (ax,) = pupils_in_schools.plot_xy("z", "x", imputation=[2, 2]).axes
    assert len(drawn(ax, style.IMPUTED)) == gone


def test_a_facet_of_xy_holds_its_own_rows(pupils_in_schools):
    figure = pupils_in_schools.plot_xy("z", "x", imputation=3, by="school")
    assert titles(figure) == ["b", "c", "d"]
    done, gone = pupils_in_schools.complete(3), pupils_in_schools.data["x"].isna()
    for ax, school in zip(figure.axes, "bcd", strict=True):
        for colour, rows in ((style.IMPUTED, gone), (style.OBSERVED, ~gone)):
            mine = done.loc[rows & (done["school"] == school), "x"]
            np.testing.assert_array_equal(np.sort(drawn(ax, colour)[:, 1]), np.sort(mine))


def test_xy_puts_the_colours_of_a_category_side_by_side(pupils_in_schools):
    (ax,) = pupils_in_schools.plot_xy("mood", "z").axes
    observed, imputed = (drawn(ax, colour)[:, 0] for colour in (style.OBSERVED, style.IMPUTED))
    assert (observed < np.round(observed)).all() and (imputed > np.round(imputed)).all()


def test_xy_of_two_categories_draws_shares_of_each_colour(make_imputations):
    sex = pd.Series(["f", "m"] * 10, dtype="str")
    mood = pd.Series([True, False, False, None] * 5, dtype="boolean")
    imp = make_imputations(pd.DataFrame({"sex": sex, "mood": mood}), {"mood": "pmm"})
    (ax,) = imp.plot_xy("sex", "mood").axes
    blue = [bar.get_height() for bar in ax.patches[:4]]
    # Rows f: True and False five times each; rows m: False five times.
    np.testing.assert_allclose(np.array(blue) / max(blue), [1, 1, 1, 0])


def test_numbers_told_apart_by_their_last_digits_are_told_apart_in_labels(make_imputations):
    code = np.where(np.arange(40) % 4 == 0, np.nan, 1_000_001.0 + np.arange(40) % 3)
    y = np.where(np.arange(40) % 5 == 0, np.nan, 1.0)
    frame = pd.DataFrame({"code": code, "y": y})
    imp = make_imputations(frame[["code"]], {"code": "pmm"})
    words = ["1000001", "1000002", "1000003"]
    for figure in (imp.plot_density("code"), bi.plot_missing_by(frame, "y", "code")):
        assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == words


def test_pictures_of_dates_say_what_their_numbers_count():
    day = pd.Series(pd.date_range("2020-03-01", periods=40))
    frame = pd.DataFrame({"day": day.mask(day.index % 4 == 1), "z": np.arange(40.0)})
    frame["term"] = day.dt.to_period("M").mask(day.index % 5 == 1)
    imp = bi.impute(frame, method={"day": "sample", "term": "sample"}, m=2, iterations=1, seed=1,
                    progress=False)  # fmt: skip
    said = "days since 2020-03-01"
    assert imp.plot_density("day").axes[0].get_xlabel() == said
    assert imp.plot_xy("z", "day").axes[0].get_ylabel() == f"day ({said})"
    assert f"day: {said}; term: periods (M) since 2020-03" in imp.plot_trace()._supxlabel.get_text()
    (ax,) = imp.plot_density("term").axes
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["2020-03", "2020-04"]
    assert imp.predictive("day", draws=2)["observed_data"]["day"].attrs["units"] == said


def test_a_narrow_logarithmic_axis_holds_its_values_and_no_more():
    x = np.where(np.arange(50) % 5 == 0, np.nan, 1e6 + np.arange(50.0))
    frame = pd.DataFrame({"x": x, "y": np.arange(50.0)})
    (ax,) = bi.plot_xy(frame, "x", "y", log="x").axes
    assert ax.get_xlim()[1] < 1e6 + 60
    texts = [tick.get_text() for tick in ax.get_xticklabels()]
    assert len(texts) > 3 and len(set(texts)) == len(texts)


def test_xy_takes_logarithms_and_refuses_what_has_none(pupils_in_schools):
    (ax,) = pupils_in_schools.plot_xy("z", "mood", log="x").axes
    assert ax.get_xscale() == "log"
    with pytest.raises(SpecificationError, match="'x' has values down to -"):
        pupils_in_schools.plot_xy("x", "z", log="x")
    with pytest.raises(SpecificationError, match="'mood' has categories"):
        pupils_in_schools.plot_xy("z", "mood", log="xy")


def test_an_incomplete_table_has_its_gaps_on_the_margins():
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"x": rng.normal(size=60), "y": rng.normal(50, 5, size=60)})
    frame.loc[:9, "x"] = np.nan
    frame.loc[5:19, "y"] = np.nan
    before = frame.copy()
    figure = bi.plot_xy(frame, "x", "y")
    figure.canvas.draw()
    (ax,) = figure.axes
    at = drawn(ax, style.IMPUTED)
    left, below = at[:, 0] < frame["x"].min(), at[:, 1] < frame["y"].min()
    assert [(left & ~below).sum(), (~left & below).sum(), (left & below).sum()] == [5, 10, 5]
    np.testing.assert_allclose(np.sort(at[left & ~below, 1]), np.sort(frame.loc[:4, "y"]))
    np.testing.assert_allclose(np.sort(at[~left & below, 0]), np.sort(frame.loc[10:19, "x"]))
    words = [tick.get_text() for tick in (*ax.get_xticklabels(), *ax.get_yticklabels())]
    assert words.count("missing") == 2
    assert len(drawn(ax, style.OBSERVED)) == 40
    pd.testing.assert_frame_equal(frame, before)


def test_missing_is_one_more_category():
    frame = pd.DataFrame({"sex": ["f", None, "m", "m"], "age": [1.0, 2.0, 3.0, None]})
    (ax,) = bi.plot_xy(frame, "sex", "age").axes
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["missing", "f", "m"]
    at = drawn(ax, style.IMPUTED)
    assert at[at[:, 0] < -0.5, 1].tolist() == [2.0]


def test_two_categories_of_an_incomplete_table_are_counted():
    frame = pd.DataFrame({"sex": ["f", None, "m", "m"], "town": ["A", "A", "A", None]})
    (ax,) = bi.plot_xy(frame, "sex", "town").axes
    assert sorted(text.get_text() for text in ax.texts) == ["1", "1", "1", "1"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"x": "zz", "y": "z"}, "x='zz' is no column"),
        ({"x": "z", "y": "z"}, "both 'z'"),
        ({"x": "z", "y": "school"}, "Neither 'z' nor 'school' has imputed cells"),
        ({"x": "z", "y": "x", "imputation": 5}, "no imputation 5"),
        ({"x": "z", "y": "x", "imputation": "some"}, "give 'all' or numbers from 1 to 4"),
        ({"x": "z", "y": "x", "log": "z"}, "log='z'"),
        ({"x": "z", "y": "x", "by": "x"}, "is one of the two"),
        ({"x": "z", "y": "x", "by": "mod"}, "by='mod' is no column. Did you mean 'mood'"),
        ({"x": "z", "y": "x", "groups": ["a"]}, "by=, which is not given"),
    ],
)
def test_what_cannot_be_drawn_is_said_before(pupils_in_schools, arguments, sentence):
    with pytest.raises(SpecificationError, match=sentence):
        pupils_in_schools.plot_xy(**arguments)
    assert not plt.get_fignums()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"by": "x"}, "variable itself"),
        ({"by": "z"}, "120 distinct numbers"),
        ({"by": "school", "groups": ["e"]}, "has no value 'e'"),
        ({"by": "school", "groups": ["b", "c", "b"]}, "groups= names 'b' twice"),
        ({"by": "school", "groups": "a"}, "nothing was missing"),
        ({"by": "school", "figsize": (3, 1)}, "too low to read"),
    ],
)
def test_groups_that_do_not_fit_are_refused(pupils_in_schools, arguments, sentence):
    with pytest.raises(SpecificationError, match=sentence):
        pupils_in_schools.plot_density("x", **arguments)


def test_pictures_are_drawn_on_the_users_axes(pupils_in_schools):
    figure, axes = plt.subplots(1, 3)
    assert pupils_in_schools.plot_strip("x", by="school", ax=axes) is figure
    assert pupils_in_schools.plot_box("mood", ax=axes[0]) is figure
    with pytest.raises(SpecificationError, match=r"3 panel\(s\) need an axes each, not 2"):
        pupils_in_schools.plot_density("x", by="school", ax=axes[:2])


def test_a_trace_of_two_categories_shows_the_share_of_the_second(make_imputations):
    frame = pd.DataFrame({"girl": pd.array([True, None, False] * 4, dtype="boolean")})
    imp = make_imputations(frame)
    share, sd = imp.plot_trace("girl").axes
    assert share.get_title(loc="left").startswith("girl: share of True")
    assert sd.get_title(loc="left").startswith("girl: SD")
    np.testing.assert_allclose(
        [line.get_ydata() for line in share.get_lines()], imp.history.chain_mean["girl"] - 1
    )


def test_rank_plots_come_from_arviz_plots(imputations):
    collection = imputations.plot_chains("rank", ["popular", "grade"], figsize=(6, 3))
    assert sorted(collection.viz["plot"].data_vars) == [
        "grade: mean", "grade: sd", "popular: mean", "popular: sd",
    ]  # fmt: skip
    colours = {line.get_color() for line in collection.viz["figure"].item().axes[0].get_lines()}
    assert {to_hex(tone) for tone in style.shades(4)} <= colours


def test_entries_of_parameters_can_be_chosen(imputations):
    collection = imputations.plot_chains("trace", "popular", ["intercept", "beta[log(a/b)]"])
    names = sorted(collection.viz["plot"].data_vars)
    assert names == ["popular: beta[log(a∕b)]", "popular: intercept"]
    drawn_chains = np.array(
        [line.get_ydata() for line in collection.viz["figure"].item().axes[0].get_lines()[:4]]
    )
    np.testing.assert_array_equal(
        drawn_chains, imputations.history.parameters["popular"]["intercept"]
    )


@pytest.mark.parametrize("kind", ["trace_dist", "autocorr", "ess", "ess_evolution", "mcse", "dist"])
def test_every_kind_of_chain_plot_is_made(imputations, kind):
    assert imputations.plot_chains(kind, "popular", "intercept", backend="none") is not None


@pytest.mark.parametrize("m", [1, 2])
def test_one_chain_or_two_are_drawn(make_imputations, m):
    few = make_imputations(pd.DataFrame({"x": [1.0, 2.0, 4.0, np.nan, np.nan]}), m=m)
    collection = few.plot_chains("trace_dist", parameters="mean")
    assert [len(ax.get_lines()) for ax in collection.viz["figure"].item().axes] == [m, m]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"kind": "rnk"}, "Did you mean 'rank'"),
        ({"variable": "weight"}, "no target of the run"),
        ({"parameters": "betta"}, "Did you mean 'beta'"),
        ({"kind": "rank", "discard": 3}, "needs 4 iterations, not 3"),
        ({"discard": 6}, "leaves none"),
        ({"backend": "ggplot"}, "must be 'matplotlib'"),
    ],
)
def test_chains_that_cannot_be_drawn_are_refused(imputations, arguments, sentence):
    with pytest.raises(SpecificationError, match=sentence):
        imputations.plot_chains(**arguments)


def test_constant_and_unknown_chains_are_left_out(imputations):
    imputations.history.chain_sd["popular"][:] = np.nan
    collection = imputations.plot_chains("autocorr", "popular", backend="none")
    assert list(collection.viz["plot"].data_vars) == ["popular: mean"]
    with pytest.raises(SpecificationError, match="nothing is left to draw"):
        imputations.plot_chains("autocorr", "popular", "sd")


def test_one_imputation_has_no_ranks(make_imputations):
    imp = make_imputations(pd.DataFrame({"x": [1.0, np.nan, 2.0, np.nan]}), m=1)
    with pytest.raises(SpecificationError, match="m = 1"):
        imp.plot_chains("rank")


def test_a_large_result_is_thinned_before_it_is_drawn(make_imputations):
    x = np.random.default_rng(1).normal(size=100_000)
    x[::2] = np.nan
    imp = make_imputations(pd.DataFrame({"x": x}), m=20)
    (ax,) = imp.plot_strip("x").axes
    assert len(drawn(ax, style.IMPUTED)) == 20 * distribution.MOST_IN_A_STRIP


def test_a_facet_holds_the_values_of_its_own_rows(pupils_in_schools):
    figure = pupils_in_schools.plot_strip("x", by="school", groups=["c"])
    done = pupils_in_schools.complete(3)
    mine = (done["school"] == "c") & pupils_in_schools.data["x"].isna()
    dots = drawn(figure.axes[0], style.IMPUTED)
    third = dots[np.abs(dots[:, 0] - 3) < 0.5, 1]
    np.testing.assert_array_equal(np.sort(third), np.sort(done.loc[mine, "x"]))


def test_discarded_iterations_are_not_drawn(imputations):
    collection = imputations.plot_chains("trace", "popular", "mean", discard=2)
    lines = collection.viz["figure"].item().axes[0].get_lines()[:4]
    assert [line.get_xdata().tolist() for line in lines] == [[3, 4, 5, 6]] * 4  # from 1


def test_columns_computed_afterwards_have_no_trace():
    frame = pd.DataFrame({"x": np.where(np.arange(20) % 4, np.arange(20.0), np.nan)})
    imp = bi.impute(frame, method="sample", m=2, iterations=2, seed=1, progress=False)
    more = imp.assign(twice=lambda data: 2 * data["x"])
    assert [ax.get_title(loc="left").partition(":")[0] for ax in more.plot_trace().axes] == [
        "x"
    ] * 2
    with pytest.raises(bi.SpecificationError, match=r"'twice' was computed by imp\.assign"):
        more.plot_trace("twice")
