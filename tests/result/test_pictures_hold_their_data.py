"""No picture cuts off what it draws, on screen and in a column of print; names as they are."""

import ast
from functools import cache
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.stats import gaussian_kde

import bayesimpute as bi
from bayesimpute.checking.compare import ModelComparison
from bayesimpute.checking.overimputation import LooPit, Overimputation, draw_loo_pit
from bayesimpute.errors import SpecificationError
from bayesimpute.plots.distribution import grid_within, kernel_density, support
from bayesimpute.sensitivity_grid import Sensitivity
from tests.public import NAMES as PUBLIC_NAMES

mpl.use("Agg")

#: Inches of a column of a two-column page; pictures with long names are drawn in it.
PRINT = (3.5, 2.8)
ODD = r"$\badcmd$ a_b^2 %s"
#: As surveys have it: the whole question.
LONG = "How satisfied are you with the time that it takes to travel to work and back? " * 4


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
    return bi.impute(data, m=3, iterations=4, method="sample", cluster="k", seed=1, progress=False)


def results(name, figsize=None):
    """Pictures of results whose models would have to be sampled, made of their numbers."""
    size = {"figsize": figsize}
    rng = np.random.default_rng(2)
    at = np.linspace(0, 1, 21)[1:-1]
    far = rng.standard_t(1, size=60) * 10  # tails without a variance
    place = LooPit(name, rng.uniform(size=80), at, 0.9 - at, 0 * at - 0.1, 0 * at + 0.1, 0.95, 0.0,
                   0.3, "not")  # fmt: skip
    models = pd.DataFrame(
        {"elpd": [-1.0, -9e3], "se": 1.0, "difference": [0.0, -9e3], "difference_se": [0.0, 4e3],
         "weight": [1.0, 0.0], "large_k": 0.0}, index=[name, name + "2"],
    )  # fmt: skip
    cells = pd.DataFrame(
        {"variable": name, "observed": far, "mean": far / 2, "low": far / 2 - 900,
         "high": far / 2 + 10, "missing": rng.uniform(size=60)}
    )  # fmt: skip
    coverage = pd.DataFrame({"coverage": [0.9]}, index=[name])
    grid = pd.DataFrame({"rho": [-0.9, 0.0, 0.9], "estimate": [-40.0, 0.1, 900.0]})
    grid = grid.assign(conf_low=grid["estimate"] - 50, conf_high=grid["estimate"] + 1e3)
    plane = pd.DataFrame({"rho": np.repeat([-0.5, 0.0, 0.5], 3), "delta": np.tile([-1.0, 0, 1], 3)})
    plane["estimate"] = plane["rho"] + plane["delta"]
    plane = plane.assign(conf_low=plane["estimate"] - 1, conf_high=plane["estimate"] + 1)
    draws = xr.DataArray(rng.standard_t(1, (1, 50, 60)), dims=("chain", "draw", "row"))
    labels = [name, "b$", "_c"]
    kinds = draws.copy(data=np.array(labels)[rng.integers(0, 3, draws.shape)])
    kinds.attrs["categories"] = labels
    return {
        "plot_loo_pit": lambda: draw_loo_pit(place, figsize=figsize),
        "plot_comparison": lambda: ModelComparison(name, "row", models, models, 2).plot(**size),
        "plot_overimputation": lambda: Overimputation(coverage, cells, {}, 0.9).plot(**size),
        "plot_sensitivity": lambda: Sensitivity(grid, name).plot(**size),
        "plot_sensitivity plane": lambda: Sensitivity(plane, name).plot(**size),
        "plot_prior_predictive": lambda: prior(name, draws, far, figsize),
        "plot_prior_predictive kinds": lambda: prior(name, kinds, kinds.values[0, 0], figsize),
    }


#: Pictures that name a column in a title or beside an axis.
LONG_NAMED = (
    "plot_trace", "plot_density", "plot_strip", "plot_box", "plot_xy", "plot_ppc", "plot_pattern",
    "plot_miss", "plot_flux", "plot_corr", "plot_predictors", "plot_missing_by", "plot_estimates",
    "plot_fmi", "plot_chains",
)  # fmt: skip


@cache
def long_run():
    """Imputations of a column, and clusters and categories, with names as long as a question."""
    k = np.arange(60)
    df = pd.DataFrame({
        LONG: np.where(k % 3 == 0, np.nan, k % 7 + 0.01 * k), "x": k / 7,
        "kind": pd.Series([f"{LONG}{j % 12}" for j in k]).where(k % 5 > 0), "one": "only cluster",
    })  # fmt: skip
    return df, bi.impute(df, m=3, iterations=4, method="sample", seed=1, progress=False)


@cache
def selected():
    """Imputations by a selection model, in clusters with odd names."""
    rng = np.random.default_rng(1)
    df = pd.DataFrame({
        ODD: rng.normal(size=60), "x": rng.normal(size=60),
        "k": np.repeat(["$c_1$", "b_", LONG], 20),
    })  # fmt: skip
    df.loc[rng.random(60) < 0.3, ODD] = np.nan
    df.loc[40:, ODD] = np.nan
    return bi.impute(df, "k", method={ODD: "heckman"}, m=2, iterations=4, seed=1, progress=False)


def long_names():
    """A picture of each kind in a column of print, as small as it is ever drawn."""
    df, imp = long_run()
    fits = imp.fit(lambda d: {"estimates": {LONG: d["x"].mean()}, "std_errors": {LONG: 0.1}})
    drawn = {
        "plot_trace": lambda: imp.plot_trace(LONG, figsize=PRINT),
        "plot_density": lambda: imp.plot_density(LONG, figsize=PRINT),
        "plot_strip": lambda: imp.plot_strip(LONG, by="one", figsize=PRINT),
        "plot_box": lambda: imp.plot_box("kind", by="one", figsize=PRINT),
        "plot_xy": lambda: bi.plot_xy(df, LONG, "x", figsize=PRINT),
        "plot_ppc": lambda: imp.plot_ppc("kind", figsize=PRINT),
        "plot_pattern": lambda: bi.plot_pattern(df, cluster="one", figsize=PRINT),
        "plot_miss": lambda: bi.plot_miss(df, cluster="one", figsize=PRINT),
        "plot_flux": lambda: bi.plot_flux(df, figsize=PRINT),
        "plot_corr": lambda: bi.plot_corr(df, figsize=PRINT),
        "plot_predictors": lambda: imp.plot_predictors(figsize=PRINT),
        "plot_missing_by": lambda: bi.plot_missing_by(df, LONG, by="kind", figsize=PRINT),
        "plot_estimates": lambda: bi.plot_estimates({LONG: fits, f"{LONG}2": fits}, figsize=PRINT),
        "plot_fmi": lambda: bi.plot_fmi(fits, figsize=PRINT),
        "plot_chains": lambda: imp.plot_chains(variable=LONG, figsize=PRINT),
    }
    assert tuple(drawn) == LONG_NAMED
    return {f"{name} long": draw for name, draw in drawn.items()}


def prior(name, draws, seen, figsize):
    column = f"{name}_observed".replace("/", "|")
    tree = {
        "prior_predictive": xr.Dataset({column: draws}),
        "observed_data": xr.Dataset({column: ("row", seen)}),
    }
    return bi.plot_prior_predictive(xr.DataTree.from_dict(tree), figsize=figsize)


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
        "plot_chains": lambda: imp.plot_chains(),
        "plot_chains rank": lambda: imp.plot_chains("rank", "share"),
        "plot_density imputations": lambda: imp.plot.density("g", by=".imp"),
        "plot_propensity": lambda: imp.plot.propensity(ODD, ["x", "share", "k"]),
        "plot_propensity small": lambda: imp.plot.propensity("g", ["x"], figsize=(3.5, 3.4)),
        "plot_effects": lambda: imp.plot.effects(bi.fit(imp.complete("all"), "share ~ x + k")),
        "plot_effects small": lambda: imp.plot.effects(
            bi.fit(imp.complete("all"), "share ~ x"), figsize=PRINT
        ),
        "plot_rho": lambda: selected().plot.rho(ODD),
        "plot_rho small": lambda: selected().plot.rho(ODD, figsize=PRINT),
        **long_names(),
        **results(ODD), **{f"{name} long": draw for name, draw in results(LONG, PRINT).items()},
    }  # fmt: skip


NAMES = (
    "plot_trace", "plot_density", "plot_density share", "plot_density by", "plot_strip",
    "plot_box", "plot_box g", "plot_xy", "plot_xy missing", "plot_ppc", "plot_pattern",
    "plot_miss", "plot_flux", "plot_corr", "plot_predictors", "plot_missing_by",
    "plot_missing_by two", "plot_missing_by share", "plot_estimates", "plot_fmi", "plot_chains",
    "plot_chains rank", "plot_density imputations", "plot_propensity", "plot_propensity small",
    "plot_effects", "plot_effects small", "plot_rho", "plot_rho small",
    *(f"{name} long" for name in LONG_NAMED), *results(ODD),
    *(f"{name} long" for name in results(LONG)),
)  # fmt: skip


def figure_of(drawn):
    """Figure of matplotlib, also of a collection of arviz-plots."""
    return drawn.viz["figure"].item() if hasattr(drawn, "viz") else drawn


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


def off_the_page(figure):
    """What texts lie beyond the figure."""
    width, height = figure.bbox.size
    ticks = {each for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)
             for each in axis.get_ticklabels(which="both")}  # fmt: skip
    texts = [each for each in figure.findobj(mpl.text.Text)
             if each.get_visible() and each not in ticks
             and not (each.get_clip_on() and each.get_clip_box())]  # fmt: skip
    shown = [(each.get_text(), each.get_window_extent()) for each in texts if each.get_text()]
    return [
        text for text, box in shown
        if box.x0 < -2 or box.y0 < -2 or box.x1 > width + 2 or box.y1 > height + 2
    ]  # fmt: skip


def test_every_public_picture_is_tried():
    public = {name for name in (*PUBLIC_NAMES, *dir(bi.Imputations)) if name.startswith("plot_")}
    written = {
        each.name
        for folder in ("plots", "checking")
        for path in (Path(bi.__file__).parent / folder).glob("*.py")
        for each in ast.parse(path.read_text("utf-8")).body
        if isinstance(each, ast.FunctionDef) and each.name.startswith("plot_")
    }
    assert public | written == {name.split()[0] for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_holds_what_it_draws(name, imp, data):
    figure = figure_of(pictures(imp, data)[name]())
    figure.canvas.draw()
    assert cut(figure) == [] and off_the_page(figure) == []
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
    grid = grid_within([np.array([0, 15])], ends, 2000)
    assert grid[0] == 0
    found = kernel_density(values, grid, ends)
    assert np.trapezoid(found, grid) == pytest.approx(1, abs=0.005)
    free = gaussian_kde(values)  # of SciPy, whose half beyond 0 comes back
    np.testing.assert_allclose(found, free(grid) + free(-grid), atol=0.01)
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
