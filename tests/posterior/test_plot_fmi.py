"""The picture of a quantity against the number of imputations shows what pooling computes."""

from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi
from bayesimpute.errors import AnalysisError, SpecificationError
from bayesimpute.plots import style

mpl.use("agg")
M = 12


@pytest.fixture(scope="module")
def fits():
    rng = np.random.default_rng(4)
    x = rng.normal(size=30)
    base = x + rng.normal(size=30)
    gone = np.arange(30) < 10
    frames = [
        pd.DataFrame({"x": x, "y": np.where(gone, x + rng.normal(size=30), base)}) for _ in range(M)
    ]
    return bi.fit(frames, "y ~ x")


def lines_of(panel):
    return [line for line in panel.lines if len(line.get_xdata()) > 2]


@pytest.mark.parametrize("quantity", ["width", "std_error", "fmi"])
def test_the_line_is_what_pooling_the_first_imputations_gives(fits, quantity):
    figure = bi.plot_fmi(fits, terms=["x"], quantity=quantity)
    (line,) = lines_of(figure.axes[0])
    assert line.get_xdata().tolist() == list(range(2, M + 1))
    for m in (2, 5, M):
        row = type(fits)(fits.estimates[:m], "").pool().table.loc["x"]
        expected = row["conf_high"] - row["conf_low"] if quantity == "width" else row[quantity]
        assert line.get_ydata()[m - 2] == pytest.approx(expected)


def test_the_band_is_the_spread_of_repetitions(fits):
    figure = bi.plot_fmi(fits, terms=["x"], quantity="std_error")
    (band,) = figure.axes[0].collections
    outline = band.get_paths()[0].vertices
    at_four = np.sort(outline[outline[:, 0] == 4, 1])[[0, -1]]
    row = fits.pool().table.loc["x"]
    rng = np.random.default_rng(1)
    drawn = row["b"] * rng.chisquare(3, 100_000) / 3
    spread = np.quantile(np.sqrt(row["ubar"] + 1.25 * drawn), [0.025, 0.975])
    assert at_four == pytest.approx(spread, rel=0.005)


def test_the_recommended_number_is_marked_or_pointed_to(fits):
    needed = bi.recommend_m(fits, cv=0.2)["m_std_error"]
    near = bi.plot_fmi(fits, terms=["x"], cv=0.2).axes[0]
    assert [line.get_xdata()[0] for line in near.lines if len(line.get_xdata()) == 2] == [
        needed["x"]
    ]
    far = bi.plot_fmi(fits, terms=["x"]).axes[0]
    assert far.get_xlabel().endswith(" →)")
    assert not [line for line in far.lines if len(line.get_xdata()) == 2]


def test_posteriors_and_lists_of_pooled_results_are_shown_too(fits):
    rng = np.random.default_rng(1)
    posterior = [{"x": rng.normal(rng.normal(), 1, (2, 50))} for _ in range(40)]
    (line,) = lines_of(bi.plot_fmi(bi.pool_posteriors(posterior)).axes[0])
    assert len(line.get_xdata()) == 39
    stages = [type(fits)(fits.estimates[:m], "").pool() for m in (9, 4, 6)]
    figure = bi.plot_fmi(stages, quantity="fmi")
    assert [panel.get_title(loc="left") for panel in figure.axes] == ["(Intercept)", "x"]
    (line,) = lines_of(figure.axes[1])
    assert line.get_xdata().tolist() == [4, 6, 9]
    # Rubin's df without complete-data df, from variances alone
    assert line.get_ydata()[-1] == pytest.approx(stages[0].table.loc["x", "fmi"])


def test_results_of_different_rows_have_their_own_degrees_of_freedom(fits):
    few = [replace(fit, df_residual=5.0) for fit in fits.estimates[:4]]
    stages = [type(fits)(tuple(few), "").pool(), fits.pool()]
    assert stages[0].dfcom != stages[1].dfcom
    (line,) = bi.plot_fmi(stages, terms=["x"]).axes[0].lines
    rows = [stage.table.loc["x"] for stage in stages]
    assert line.get_ydata() == pytest.approx([r["conf_high"] - r["conf_low"] for r in rows])


def test_axes_are_taken_and_refused_by_number(fits):
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2)
    assert bi.plot_fmi(fits, ax=axes) is figure
    with pytest.raises(SpecificationError, match=r"2 terms .* need an axes each, not 1"):
        bi.plot_fmi(fits, ax=axes[0])
    plt.close("all")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"terms": ["z"]}, "no term 'z'"),
        ({"terms": []}, "terms= is empty"),
        ({"quantity": "riv"}, "must be 'width', 'std_error' or 'fmi'"),
    ],
)
def test_what_cannot_be_drawn_is_refused(fits, arguments, message):
    with pytest.raises(SpecificationError, match=message):
        bi.plot_fmi(fits, **arguments)


def test_too_few_imputations_are_refused(fits):
    with pytest.raises(SpecificationError, match="three or more"):
        bi.plot_fmi(type(fits)(fits.estimates[:2], ""))
    with pytest.raises(SpecificationError, match="list of two or more"):
        bi.plot_fmi([fits.pool()])


@pytest.mark.parametrize("figsize", [(3.5, 2.8), (3.5, 1.3), (1.7, 2.8), None])
def test_nothing_of_a_narrow_figure_is_clipped(fits, figsize):
    figure = bi.plot_fmi(fits, figsize=figsize)
    figure.canvas.draw()
    assert all(panel.get_xlabel().endswith(" →)") for panel in figure.axes)
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert min(box.x0, box.y0) > -0.01
    assert box.x1 < width + 0.01 and box.y1 < height + 0.01
    labels = [panel.xaxis.label.get_window_extent() for panel in figure.axes]
    assert not labels[0].overlaps(labels[1])
    assert all(panel.get_window_extent().height > 0.35 * figure.dpi for panel in figure.axes)


def test_too_low_a_figure_is_refused_with_the_height_it_needs(fits):
    with pytest.raises(SpecificationError, match=r"2 panels .* give 2\.6 inches .* fewer terms="):
        bi.plot_fmi(fits, figsize=(1.7, 2))


@pytest.mark.parametrize("m", [3, 5, M])
def test_the_limits_hold_the_points(fits, m):
    at = [each.terms.index("x") for each in fits]
    ranked = np.argsort([each.estimate[k] for each, k in zip(fits, at, strict=True)])
    first = [fits.estimates[k] for k in (ranked[0], *ranked[:-m:-1])]  # the widest, then settling
    few = type(fits)(tuple(first), "")
    for panel in bi.plot_fmi(few).axes:
        (line,) = [line for line in panel.lines if line.get_color() == style.IMPUTED]
        low, high = panel.get_ylim()
        shown = line.get_ydata()[1 if m == M else 0 :]
        assert low <= shown.min() and shown.max() <= high


@pytest.fixture(autouse=True)
def closed():
    import matplotlib.pyplot as plt

    yield
    plt.close("all")


def test_synthetic_data_have_no_missing_information_to_settle(fits):
    synthetic = [type(fits)(fits.estimates[:m], "").pool(rule="reiter2003") for m in (4, 8)]
    with pytest.raises(AnalysisError, match="Reiter"):
        bi.plot_fmi(synthetic)
    with pytest.raises(AnalysisError, match="Reiter"):
        bi.recommend_m(synthetic[1])
