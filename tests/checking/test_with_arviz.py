"""ArviZ's functions take the result: `imp.datatree`, and `imp.to_datatree` for one model."""

import arviz as az
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi

SOME = ["popular.intercept", "popular.sigma"]


@pytest.fixture(scope="module")
def imp():
    study = bi.simulate.simulate_popularity(seed=1, schools=10, pupils=200)
    return bi.impute(
        study.incomplete, cluster="school", method="normal", m=4, iterations=20, seed=1,
        progress=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def tree(imp):
    return imp.to_datatree("popular", draws=250)


OF_THE_CHAINS = {
    "summary": {},
    "rhat": {},
    "ess": {},
    "mcse": {},
    "hdi": {},
    "eti": {},
    "mean": {},
    "median": {},
    "mode": {},
    "std": {},
    "var": {},
    "mad": {},
    "iqr": {},
    "qds": {},
    "kde": {},
    "histogram": {},
    "extract": {},
    "thin": {"factor": 2},
    "rhat_nested": {"superchain_ids": [0, 0, 1, 1]},
    "ci_in_rope": {"rope": (0, 1)},
    "convert_to_dataset": {},
    "plot_trace": {"var_names": SOME},
    "plot_rank": {"var_names": SOME},
    "plot_trace_dist": {"var_names": SOME},
    "plot_ess": {"var_names": SOME},
    "plot_ess_evolution": {"var_names": SOME},
    "plot_mcse": {"var_names": SOME},
    "plot_autocorr": {"var_names": SOME},
    "plot_dist": {"var_names": SOME},
    "plot_forest": {"var_names": SOME},
    "plot_ridge": {"var_names": SOME},
    "plot_pair": {"var_names": SOME},
    "plot_parallel": {"var_names": SOME},
    "plot_convergence_dist": {},
}
OF_ONE_MODEL = {
    "diagnose": {},
    "bfmi": {},
    "loo": {},
    "loo_i": None,
    "loo_pit": {},
    "loo_metrics": {},
    "loo_score": {},
    "loo_expectations": {},
    "metrics": {},
    "bayes_factor": {"var_names": "popular.intercept", "ref_vals": 5},
    "plot_energy": {},
    "plot_prior_posterior": {"var_names": SOME},
    "plot_ppc_dist": {"num_samples": 10},
    "plot_ppc_pit": {},
    "plot_ppc_tstat": {},
    "plot_loo_pit": {},
    "plot_bf": {"var_names": "popular.intercept", "ref_val": 5},
}


@pytest.mark.parametrize("name", OF_THE_CHAINS)
def test_arviz_takes_the_chains(name, imp):
    getattr(az, name)(imp.datatree, **OF_THE_CHAINS[name])
    plt.close("all")


@pytest.mark.filterwarnings("ignore:Estimated shape parameter of Pareto")
@pytest.mark.parametrize("name", OF_ONE_MODEL)
def test_arviz_takes_one_model(name, tree):
    function, options = getattr(az, name), OF_ONE_MODEL[name]
    function(0, tree) if options is None else function(tree, **options)
    plt.close("all")


@pytest.mark.filterwarnings("ignore:Estimated shape parameter of Pareto")
def test_models_of_two_runs_are_compared(imp, tree):
    poorer = bi.impute(
        imp.data, method="normal", m=4, iterations=2, seed=1, progress=False,
        formulas={"popular": "popular ~ 1"},
    )  # fmt: skip
    loos = {
        name: az.loo(each, pointwise=True)
        for name, each in {"all": tree, "none": poorer.to_datatree("popular", 250)}.items()
    }
    table = az.compare(loos)
    assert table.index[0] == "all"
    az.plot_compare(table)
    az.plot_khat(loos["all"])
    plt.close("all")


def test_names_and_labels_of_prior_and_posterior_agree(imp, tree):
    posterior, prior = tree["posterior"].to_dataset(), tree["prior"].to_dataset()
    assert set(prior.data_vars) == set(posterior.data_vars)
    for name, drawn in prior.data_vars.items():
        assert drawn.dims == posterior[name].dims
        assert drawn.sizes["draw"] == 1000
    assert set(posterior.data_vars) < set(imp.datatree["posterior"].data_vars)
    # the table of priors has exact quantiles
    known = imp.priors("popular").set_index(["parameter", "element"])["95%"]
    for name, drawn in prior.data_vars.items():
        parameter = name.split(".")[1]
        values = drawn.values.reshape(1000, -1).T
        terms = drawn[f"{name}_term"].values if drawn.ndim == 3 else [""]
        for term, own in zip(terms, values, strict=True):
            assert 0.92 < np.mean(own < known[parameter, term]) < 0.98


def test_momentum_has_the_energy_it_should(tree):
    statistics = tree["sample_stats"].to_dataset()
    kinetic = (statistics["energy"] + statistics["lp"]).values
    assert (kinetic > 0).all()
    # NUTS moves two scales: a χ² of 2 degrees of freedom, halved
    assert abs(kinetic.mean() - 1) < 0.15
    assert statistics["diverging"].dtype == bool


@pytest.fixture(scope="module")
def of_categories():
    rng = np.random.default_rng(1)
    n = 150
    frame = pd.DataFrame({"g": np.repeat(range(5), n // 5), "x": rng.normal(size=n)})
    frame["kind"] = rng.choice(["b", "a", "c"], n, p=[0.2, 0.5, 0.3])
    frame["weight"] = frame["x"] + rng.normal(size=n)
    frame["other"] = rng.choice(5, n).astype(float)
    for name in ("kind", "weight", "other"):
        frame.loc[rng.random(n) < 0.2, name] = None
    method = {"kind": "categorical", "weight": "heckman", "other": "sample"}
    return bi.impute(frame, cluster="g", method=method, m=2, iterations=2, seed=1, progress=False)


def test_categories_are_codes_before_and_after_the_data(of_categories):
    tree = of_categories.to_datatree("kind", draws=200)
    assert tree["prior"]["kind.beta"].dims == ("chain", "draw", "kind.beta_term")
    groups = [tree[name]["kind"] for name in ("observed_data", "prior_predictive")]
    assert all(set(np.unique(each)) == {0, 1, 2} for each in groups)
    # a prior that favours no category
    shares = np.bincount(groups[1].values.ravel()) / groups[1].size
    assert np.abs(shares - 1 / 3).max() < 0.12


def test_what_a_method_does_not_have_is_left_out(of_categories):
    assert set(of_categories.to_datatree("other").children) == {
        "posterior_predictive", "observed_data", "prior_predictive",
    }  # fmt: skip
    heckman = of_categories.to_datatree("weight", draws=10)
    assert "prior_predictive" not in heckman  # of values seen and not seen
    assert {"weight.rho", "weight.correlation"} <= set(heckman["prior"].data_vars)
    with pytest.raises(bi.SpecificationError, match="'x'"):
        of_categories.to_datatree("x")


def test_numbers_that_stand_for_categories_are_no_predictions_of_them():
    frame = pd.DataFrame({"x": np.arange(30.0), "kind": [None, "a", "b", "c", "b"] * 6})
    imp = bi.impute(frame, method="pmm", m=1, iterations=1, seed=1, progress=False)
    tree = imp.to_datatree("kind", draws=5)
    assert "prior_predictive" not in tree
    assert set(np.unique(tree["posterior_predictive"]["kind"])) <= {0, 1, 2}


def test_rows_of_all_groups_are_in_one_order_where_the_frame_is_shuffled():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(rng.normal(size=(30, 2)), columns=["x", "y"])
    frame.loc[:5, "y"] = np.nan
    imp = bi.impute(
        frame.sample(frac=1, random_state=1), method="normal", m=1, iterations=1, seed=1,
        progress=False,
    )  # fmt: skip
    tree = imp.to_datatree("y", draws=5)
    rows = tree["observed_data"]["row"].values
    assert np.array_equal(tree["prior_predictive"]["row"].values, rows)
    assert np.array_equal(tree["posterior_predictive"]["row"].values, rows)
