"""Priors and prior predictive draws, before any chain runs."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pymc as pm
import pytest
from numba.core import event

import bayesimpute as bi
from bayesimpute.errors import SpecificationError


@pytest.fixture(scope="module")
def study():
    return bi.simulate.simulate_popularity(seed=1, schools=10, pupils=200).incomplete


def test_every_parameter_is_listed_with_its_prior(study):
    table = bi.priors(study, "popular", cluster="school", method={"popular": "normal"}, seed=1)
    assert {"intercept", "beta", "sd_intercept", "sigma"} <= set(table["parameter"])
    assert not table["replaced"].any()


@pytest.mark.parametrize("method", ["logistic", "categorical"])
def test_effects_of_single_clusters_are_no_parameters_of_the_population(study, method):
    labels = ["no", "yes"] if method == "logistic" else ["no", "some", "yes"]
    liked = pd.cut(study["popular"], len(labels), labels=labels, ordered=False)
    df = study.assign(liked=liked)
    table = bi.priors(
        df.drop(columns="popular"), "liked", cluster="school", method={"liked": method}
    )
    assert {"intercept", "beta", "sd_intercept"} <= set(table["parameter"])
    assert not table["parameter"].str.contains("effect").any()


def test_nothing_is_compiled_to_draw_forward(study):
    kind = pd.cut(study["popular"], 3, labels=["no", "some", "yes"], ordered=False)
    df = study.assign(kind=kind).drop(columns="popular")
    formula = {"kind": "kind ~ sex + (sex | school)"}  # the correlation is drawn by a loop
    with event.install_recorder("numba:compile") as compiled:
        tree = bi.prior_predictive(df, "kind", cluster="school", formulas=formula, draws=5, seed=1)
    assert not compiled.buffer
    assert tree["prior_predictive"].sizes["draw"] == 5


def test_a_replaced_prior_is_marked_and_moves_the_draws(study):
    priors = {"popular": {"intercept": pm.Normal.dist(100, 0.1)}}
    arguments = {"cluster": "school", "method": {"popular": "normal"}, "seed": 1}
    table = bi.priors(study, "popular", priors=priors, **arguments)
    row = table.set_index("parameter").loc["intercept"]
    assert row["replaced"]
    assert "100" in row["distribution"]
    tree = bi.prior_predictive(study, "popular", priors=priors, draws=50, **arguments)
    drawn = tree["prior_predictive"]["popular_observed"]
    assert abs(float(drawn.mean()) - 100) < 3
    assert np.allclose(tree["prior"]["intercept"].mean(), 100, atol=0.1)


def test_numbers_drawn_from_the_observed_ones_are_no_counts():
    frame = pd.DataFrame({"x": [None, *np.linspace(0.01, 0.99, 40)]})
    tree = bi.prior_predictive(frame, "x", method={"x": "sample"}, draws=20, seed=1)
    assert "scale" not in tree["prior_predictive"]["x_observed"].attrs
    (ax,) = bi.plot_prior_predictive(tree).axes
    low, high = ax.get_xlim()
    assert low > -0.1 and high < 1.1  # counts would have a bin from -0.5 to 0.5
    plt.close("all")


def test_prior_draws_of_dates_say_what_they_count():
    days = pd.Series(pd.date_range("2020-03-01", periods=30)).where(lambda day: day.index > 0)
    tree = bi.prior_predictive(
        pd.DataFrame({"day": days}), "day", method={"day": "sample"}, draws=5, seed=1
    )
    assert tree["prior_predictive"]["day_observed"].attrs["scale"] == "days since 2020-03-02"


def test_draws_cover_the_observed_rows_in_the_order_of_the_frame(study):
    shuffled = study.sample(frac=1, random_state=3)
    tree = bi.prior_predictive(shuffled, "popular", cluster="school", draws=5, seed=1)
    observed = tree["observed_data"]["popular_observed"]
    expected = shuffled["popular"].to_numpy(dtype=float, na_value=np.nan)[observed["row"].values]
    np.testing.assert_array_equal(observed.values, expected)


def test_the_same_seed_gives_the_same_draws_with_and_without_imputations(study):
    imp = bi.impute(study, cluster="school", m=2, iterations=1, method="normal", seed=4)
    one = imp.prior_predictive("popular", draws=5)["prior_predictive"]["popular_observed"]
    two = bi.prior_predictive(study, "popular", cluster="school", method="normal", draws=5, seed=4)
    np.testing.assert_array_equal(one, two["prior_predictive"]["popular_observed"])


def test_an_own_model_has_priors_and_a_picture(study):
    def own(design):
        with pm.Model(coords=design.coords) as model:
            y = pm.Data("y", design.y, dims="row")
            x = pm.Data("x", design.x, dims=("row", "predictor"))
            slope = pm.Normal("slope", 0, 3, dims="predictor")
            pm.Normal("popular_observed", 5 + x @ slope, 1, observed=y, dims="row")
        return model

    tree = bi.prior_predictive(study, "popular", method={"popular": own}, draws=20, seed=1)
    assert "slope" in tree["prior"]
    figure = bi.plot_prior_predictive(tree)
    assert figure.axes[0].get_legend() is not None
    plt.close(figure)


def test_unknown_variables_and_draws_are_refused(study):
    with pytest.raises(SpecificationError, match="texpp"):
        bi.prior_predictive(study, "texpp", cluster="school")
    with pytest.raises(SpecificationError, match="draws=0"):
        bi.prior_predictive(study, "popular", cluster="school", draws=0)
    with pytest.raises(SpecificationError, match=r"prior_predictive\(\)"):
        bi.plot_prior_predictive(pd.DataFrame())


def test_a_block_is_drawn_forward_and_correlations_are_shown_as_such():
    from tests.test_joint_block import BLOCK, simulated

    df = simulated(6, 12)
    for k, name in enumerate(BLOCK):
        df.loc[k::5, name] = None
    table = bi.priors(df, "o", cluster="g", method=BLOCK, seed=1).set_index("parameter")
    for name in ("correlation", "residual_correlation"):
        assert table.loc[name, "50%"] == pytest.approx(0, abs=0.05)
        assert table.loc[name, "95%"] == pytest.approx(-table.loc[name, "5%"], abs=0.1)
    assert not any("place" in name for name in table.index)
    for name, values in {"s": {"no", "yes"}, "o": {"lo", "mid", "hi"}}.items():
        tree = bi.prior_predictive(df, name, cluster="g", method=BLOCK, draws=50, seed=1)
        drawn = tree.prior_predictive[f"{name}_observed"]
        assert set(np.unique(drawn)) == values
        assert drawn.sizes["row"] == df[name].notna().sum()
    tree = bi.prior_predictive(df, "y", cluster="g", method=BLOCK, draws=400, seed=1)
    assert float(tree.prior_predictive["y_observed"].mean()) == pytest.approx(10, abs=2)
