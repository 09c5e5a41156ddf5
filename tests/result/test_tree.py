"""The DataTree: what ArviZ gets is what the chains produced."""

import warnings

import numpy as np
import pandas as pd
import pytest


def test_chain_is_imputation_and_draw_is_iteration(imputations):
    posterior = imputations.datatree["posterior"]
    assert dict(posterior.sizes)["chain"] == 4 and dict(posterior.sizes)["draw"] == 6
    np.testing.assert_array_equal(
        posterior["popular.mean"].values, imputations.history.chain_mean["popular"]
    )
    assert posterior["popular.beta"].dims == ("chain", "draw", "popular.beta_term")
    assert posterior["popular.beta_term"].values.tolist() == ["weight", "log(a/b)"]
    assert posterior["popular.beta"].attrs["quantity"] == "beta"


def test_sampler_statistics_have_the_names_arviz_looks_for(imputations):
    stats = imputations.datatree["sample_stats"]
    assert stats["diverging"].dtype == bool and int(stats["diverging"].sum()) == 4
    for name in ("acceptance_rate", "n_steps", "popular.diverging", "popular.n_steps"):
        assert stats[name].dims == ("chain", "draw")


def test_imputed_values_are_in_the_users_row_order(imputations, pupils):
    values = imputations.datatree["imputed_values"]["popular"]
    rows = values["popular.row"].values
    assert rows.tolist() == np.flatnonzero(pupils["popular"].isna()).tolist()
    np.testing.assert_array_equal(
        values.values, [frame["popular"].to_numpy()[rows] for frame in imputations]
    )


def test_data_groups_hold_incomplete_and_complete_variables_apart(imputations, pupils):
    tree = imputations.datatree
    np.testing.assert_array_equal(tree["observed_data"]["popular"].values, pupils["popular"])
    assert list(tree["observed_data"]["mood"].attrs["categories"]) == ["low", "mid", "high"]
    assert "weight" in tree["constant_data"] and "born" not in tree["constant_data"]


def test_attributes_say_seed_versions_and_time(imputations):
    attrs = imputations.datatree.attrs
    assert attrs["seed"] == str(2**127 + 1)
    assert "numpy" in attrs["versions"]
    assert attrs["created_at"].startswith("20")
    assert imputations.datatree["posterior"].attrs["created_at"] == attrs["created_at"]


def test_a_column_name_with_a_slash_does_not_make_a_group(make_imputations):
    frame = pd.DataFrame({"a/b": [1.0, np.nan, 2], "a∕b": [1.0, np.nan, 3]})
    posterior = make_imputations(frame).datatree["posterior"]
    assert {v.attrs["target"] for v in posterior.data_vars.values()} == {"a/b", "a∕b"}


def test_arviz_takes_the_tree_as_it_is(imputations):
    arviz = pytest.importorskip("arviz")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        summary = arviz.summary(imputations.datatree)
        assert "popular.beta[weight]" in summary.index
        rhat = arviz.rhat(imputations.datatree)
        assert np.isfinite(rhat["popular.mean"])
        arviz.plot_trace(
            imputations.datatree, var_names=["popular.mean", "popular.beta"], backend="matplotlib"
        )
    import matplotlib.pyplot as plt

    plt.close("all")


def test_parameters_called_like_summaries_and_dimensions_have_names_of_their_own(make_imputations):
    from dataclasses import replace

    imp = make_imputations(pd.DataFrame({"y": ["a", None, "b", "a"]}))
    draws = np.arange(24.0).reshape(4, 6)
    names = ("share", "share_", "share__", "mean", "beta", "beta_term", "a.b", "share_term")
    values = {name: draws + k for k, name in enumerate(names)}
    values["beta"] = np.ones((4, 6, 1))
    history = replace(imp.history, parameters={"y": values}, labels={"y": {"beta": ("x\0",)}})
    changed = replace(imp, history=history)
    posterior = changed.datatree["posterior"]
    for name in names:
        found = [v for v in posterior.data_vars.values() if v.attrs["quantity"] == name]
        of_model = [v for v in found if v.attrs["role"] == "parameter"]
        np.testing.assert_array_equal(of_model[0].values, values[name])
    assert {"y.share", "y.share_", "y.share__", "y.share___", "y.mean_", "y.beta"} <= set(posterior)
    shown = changed.diagnostics().query("variable == 'y'")["quantity"]
    assert {*names, "beta[x\0]"} - {"beta"} <= set(shown)
