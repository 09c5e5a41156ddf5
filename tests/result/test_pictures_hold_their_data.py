"""No picture cuts off what it draws, and names are drawn as they are, dollars included."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi
from bayesimpute.errors import SpecificationError
from bayesimpute.plots.kernel import grid_within, kernel_density, support

mpl.use("Agg")

ODD = r"$\badcmd$ a_b^2 %s"
#: Their models have to be sampled or built; other tests draw them.
SAMPLED = {"plot_chains", "plot_loo_pit", "plot_prior_predictive"}


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    n = 120
    df = pd.DataFrame({
        "share": rng.beta(0.6, 0.8, n), "x": rng.normal(size=n) ** 3, ODD: rng.normal(size=n),
        "g": rng.choice(["<$a_1$>", "b$", "_c"], n, p=[0.1, 0.2, 0.7]),
        "two": rng.binomial(1, 0.05, n).astype(float),
        "k": [f"$c{i}_\\q$" for i in np.repeat(np.arange(6), 20)],
    })  # fmt: skip
    for at, name in enumerate(["share", ODD, "g"]):
        df.loc[10 * at : 10 * at + 35, name] = np.nan
    return df


@pytest.fixture(scope="module")
def imp(data):
    return bi.impute(data, m=3, iterations=2, method="sample", cluster="k", seed=1, progress=False)


def pictures(imp, data):
    """Every public picture, on odd names and skewed data."""
    fits = imp.fit(
        lambda d: {"estimates": {ODD: d["x"].mean(), "$a$": d["share"].mean()},
                   "std_errors": {ODD: 0.1, "$a$": 0.2}}
    )  # fmt: skip
    small = data[["share", "x", ODD]]
    return {
        "plot_trace": lambda: imp.plot_trace(),
        "plot_density": lambda: imp.plot_density(ODD),
        "plot_density share": lambda: imp.plot_density("share", figsize=(3.5, 2.8)),
        "plot_density by": lambda: imp.plot_density("g", by="k"),
        "plot_strip": lambda: imp.plot_strip(ODD, by="k"),
        "plot_box": lambda: imp.plot_box(ODD),
        "plot_box g": lambda: imp.plot_box("g", by="k"),
        "plot_xy": lambda: imp.plot_xy("x", ODD),
        "plot_xy missing": lambda: bi.plot_xy(data, "x", ODD),
        "plot_ppc": lambda: imp.plot_ppc("g"),
        "plot_pattern": lambda: bi.plot_pattern(data, cluster="k"),
        "plot_miss": lambda: bi.plot_miss(data, cluster="k"),
        "plot_flux": lambda: bi.plot_flux(data),
        "plot_corr": lambda: bi.plot_corr(small),
        "plot_predictors": lambda: imp.plot_predictors(),
        "plot_missing_by": lambda: bi.plot_missing_by(data, ODD, by="g", cluster="k"),
        "plot_missing_by two": lambda: bi.plot_missing_by(data, "g", by="two", cluster="k"),
        "plot_missing_by share": lambda: bi.plot_missing_by(data, ODD, by="share"),
        "plot_estimates": lambda: bi.plot_estimates({ODD: fits, "$b$ $c_d$": fits}),
        "plot_fmi": lambda: bi.plot_fmi(fits),
    }


NAMES = (
    "plot_trace", "plot_density", "plot_density share", "plot_density by", "plot_strip",
    "plot_box", "plot_box g", "plot_xy", "plot_xy missing", "plot_ppc", "plot_pattern",
    "plot_miss", "plot_flux", "plot_corr", "plot_predictors", "plot_missing_by",
    "plot_missing_by two", "plot_missing_by share", "plot_estimates", "plot_fmi",
)  # fmt: skip


def cut(figure):
    """What bars, lines and points lie beyond the limits of their axes or are no numbers."""
    found = []
    for ax in figure.axes:
        limits = np.sort(np.array([ax.get_xlim(), ax.get_ylim()]), axis=1).T
        room = 1e-6 * (limits[1] - limits[0])
        drawn = [
            (bar, np.array(bar.get_bbox().get_points()))
            for bar in ax.patches
            if hasattr(bar, "get_bbox") and bar.get_transform().contains_branch(ax.transData)
        ]
        drawn += [
            (line, line.get_xydata())
            for line in ax.lines
            if line.get_transform() == ax.transData and line.get_clip_on()
        ]
        drawn += [
            (dots, np.asarray(dots.get_offsets()))
            for dots in ax.collections
            if dots.get_offset_transform() == ax.transData
        ]
        for artist, points in drawn:
            outside = (points < limits[0] - room) | (points > limits[1] + room)
            if outside.any():
                found.append((ax.get_title(loc="left"), type(artist).__name__, points, limits))
    return found


def test_every_public_picture_is_tried():
    public = {name for owner in (bi, bi.Imputations) for name in dir(owner)
              if name.startswith("plot_")}  # fmt: skip
    assert public - SAMPLED == {name.split()[0] for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_holds_what_it_draws(name, imp, data):
    figure = pictures(imp, data)[name]()
    figure.canvas.draw()
    assert cut(figure) == []
    plt.close("all")


def test_a_share_has_no_density_beyond_0_and_1(imp):
    (ax,) = imp.plot_density("share").axes
    for line in ax.lines:
        x, y = line.get_data()
        assert (x.min(), x.max()) == (0, 1) and np.trapezoid(y, x) == pytest.approx(1, abs=0.01)
    plt.close("all")


def test_a_density_is_reflected_at_known_bounds_only():
    values = np.random.default_rng(1).exponential(size=400)
    ends = support([values])
    assert ends.tolist() == [0, np.inf]
    assert support([values - 1]).tolist() == [-np.inf, np.inf]
    assert support([values + 10], {"lower": 10, "upper": 99}).tolist() == [10, 99]
    assert support([values], {"lower": 5}).tolist() == [0, np.inf]
    grid = grid_within(-2, 15, ends, 2000)
    assert grid[0] == 0
    assert np.trapezoid(kernel_density(values, grid, ends), grid) == pytest.approx(1, abs=0.005)
    beyond = kernel_density(values, np.array([-0.1, 0.1]), ends)
    assert beyond[0] == 0 and beyond[1] > 0.5


def test_a_trace_takes_the_users_axes(imp):
    _, one = plt.subplots()
    imp.plot_trace("share", ax=one)
    assert one.get_title(loc="left").startswith("share: mean") and len(one.lines) == 3
    _, two = plt.subplots(1, 2)
    figure = imp.plot_trace("share", ax=two)
    assert figure is two[0].figure and two[1].get_title(loc="left").startswith("share: SD")
    imp.plot_trace("share", ax=list(two))
    with pytest.raises(SpecificationError, match=r"2 variable.* need 4 axes.*not 1"):
        imp.plot_trace(["share", "g"], ax=one)
    with pytest.raises(SpecificationError, match="same; give one"):
        imp.plot_trace("share", ax=two, axes=two)
    with pytest.raises(SpecificationError, match="ax='left' must be matplotlib Axes"):
        imp.plot_trace("share", ax="left")
    plt.close("all")
