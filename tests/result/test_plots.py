"""Plots: what is drawn is what the chains hold, in the two colours."""

import matplotlib as mpl

mpl.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from bayesimpute.errors import SpecificationError
from bayesimpute.plots import style


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def test_trace_draws_every_chain_of_mean_and_sd(imputations):
    figure = imputations.plot_trace(["popular"])
    mean, sd = figure.axes
    assert mean.get_title(loc="left").startswith("popular: mean   R̂ ")
    drawn = [line.get_ydata() for line in mean.get_lines()]
    np.testing.assert_array_equal(drawn, imputations.history.chain_mean["popular"])
    np.testing.assert_array_equal(
        [line.get_ydata() for line in sd.get_lines()], imputations.history.chain_sd["popular"]
    )
    assert mean.get_lines()[0].get_xdata().tolist() == [1, 2, 3, 4, 5, 6]


def test_the_title_shows_the_r_hat_of_the_diagnostics(imputations):
    table = imputations.diagnostics().set_index(["variable", "quantity"])
    figure = imputations.plot_trace("grade")
    expected = table.loc[("grade", "mean"), "r_hat"]
    assert f"R̂ {expected:.2f}" in figure.axes[0].get_title(loc="left")


def test_all_variables_are_drawn_two_to_a_row_when_there_are_many(imputations):
    figure = imputations.plot_trace()
    titles = [ax.get_title(loc="left").split(":")[0] for ax in figure.axes if ax.axison]
    assert titles == [name for name in imputations.history.chain_mean for _ in (1, 2)]


def test_one_imputed_cell_has_no_sd_and_says_so(make_imputations):
    imp = make_imputations(pd.DataFrame({"x": [1.0, np.nan, 2]}))
    imp.history.chain_sd["x"][:] = np.nan
    figure = imp.plot_trace()
    assert figure.axes[1].texts[0].get_text() == "one imputed cell: no SD"
    figure.canvas.draw()


def test_trace_draws_on_the_users_axes_and_counts_them(imputations):
    figure, axes = plt.subplots(2, 2)
    assert imputations.plot_trace(["popular", "grade"], axes=axes) is figure
    with pytest.raises(SpecificationError, match=r"need 4 axes.*not 3"):
        imputations.plot_trace(["popular", "grade"], axes=axes.ravel()[:3])


def test_density_draws_observed_blue_and_each_imputation_vermillion(make_imputations):
    rng = np.random.default_rng(1)
    x = np.where(rng.random(200) < 0.3, np.nan, rng.normal(size=200))
    imp = make_imputations(pd.DataFrame({"x": x}))
    (ax,) = imp.plot_density("x").axes
    colours = [to_hex(line.get_color(), keep_alpha=False).upper() for line in ax.get_lines()]
    assert colours.count(style.OBSERVED) == 1 and colours.count(style.IMPUTED) == 4
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    gone = int(np.isnan(x).sum())
    assert labels == [f"observed ({200 - gone} cells)", f"imputed ({gone} cells, m = 4)"]


def test_categories_are_bars_named_by_their_labels(imputations):
    (ax,) = imputations.plot_density("mood").axes
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["low", "mid", "high"]
    observed = [bar.get_height() for bar in ax.patches[:3]]
    assert observed == pytest.approx([1 / 3, 1 / 3, 1 / 3])
    imputed = np.array([bar.get_height() for bar in ax.patches[3:6]])
    shares = [np.mean(imputations.history.imputed["mood"] == code) for code in range(3)]
    assert imputed == pytest.approx(shares)


def test_few_or_constant_values_become_a_rug(make_imputations):
    frame = pd.DataFrame({"x": [*np.linspace(0, 1, 20), np.nan]})
    (ax,) = make_imputations(frame).plot_density("x").axes
    assert sum(line.get_marker() == "|" for line in ax.get_lines()) == 4


def test_density_draws_on_the_users_axes(imputations):
    figure, ax = plt.subplots()
    assert imputations.plot_density("girl", ax=ax) is figure
    assert len(figure.axes) == 1


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("popularr", "did you mean 'popular'"), ("weight", "was not imputed"), ("zzz", "no variable")],
)
def test_a_variable_that_was_not_imputed_cannot_be_drawn(imputations, name, sentence):
    with pytest.raises(SpecificationError, match=sentence):
        imputations.plot_density(name)
    with pytest.raises(SpecificationError, match=sentence):
        imputations.plot_trace([name])
