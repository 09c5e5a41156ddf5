"""Convergence statistics: mice's and rstan's numbers, ArviZ's, and chains that go nowhere."""

from fractions import Fraction

import arviz
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayesimpute.diagnostics import autocorrelation, convergence, diagnostics, rstan_rhat
from bayesimpute.errors import SpecificationError


def chains(reference, parameter):
    """Variable -> (m, iterations) of R's run, and the table mice made of it."""
    numbers = reference("convergence")
    which = "chainMean" if parameter == "mean" else "chainVar"
    values = {name: np.array(rows, dtype=float).T for name, rows in numbers[which].items()}
    if parameter == "sd":
        values = {name: np.sqrt(each) for name, each in values.items()}
    return values, pd.DataFrame(numbers[f"convergence_{parameter}"])


def agrees(found, expected):
    return np.isclose(found, expected, rtol=1e-8, atol=1e-12, equal_nan=True)


@pytest.mark.parametrize("parameter", ["mean", "sd"])
def test_autocorrelation_of_mice_is_reproduced(reference, parameter):
    values, expected = chains(reference, parameter)
    found = convergence(values, values, parameter)
    assert list(found.columns) == [".it", "vrb", "ac", "psrf"]
    assert found[".it"].tolist() == expected[".it"].tolist()
    assert found["vrb"].tolist() == expected["vrb"].tolist()
    assert agrees(found["ac"], expected["ac"].astype(float)).all()


# The file holds 15 of the 17 digits R had. Folding around the median makes exact ties that the
# last bits break, so they matter. The imputed bmi have one decimal: means and variances are
# fractions. R's means of (iteration, chain) that are not the double nearest to their fraction, by
# how many last bits (mice 3.15.0, nhanes, m = 6, maxit = 12, seed = 42):
LAST_BITS = {(1, 1): -1, (1, 2): 1, (5, 6): -1, (6, 4): -1, (11, 2): -1}


def fractions_of(values):
    nearest = np.vectorize(lambda x: float(Fraction(f"{x:.14g}").limit_denominator(10_000)))
    return nearest(values)


def test_psrf_of_the_chain_means_in_mice_is_reproduced(reference):
    values, expected = chains(reference, "mean")
    values["bmi"] = fractions_of(values["bmi"])
    for (iteration, chain), bits in LAST_BITS.items():
        values["bmi"][chain - 1, iteration - 1] += bits * np.spacing(25.0)
    found = convergence(values, values, "mean")
    assert agrees(found["psrf"], expected["psrf"].astype(float)).all()


def test_psrf_of_the_chain_sds_in_mice_is_reproduced(reference):
    """R's last bits are not known for variances: some that round to the 15 digits must fit."""
    values, expected = chains(reference, "sd")
    rng = np.random.default_rng(1)
    table = expected.astype({"psrf": float}).set_index(["vrb", ".it"])["psrf"]
    as_written = 0
    for (variable, t), number in table.items():
        draws = values[variable].T[:t] if t > 1 else values[variable].T[0]
        if agrees(rstan_rhat(draws), number):
            as_written += 1
            continue
        variance = fractions_of(draws**2)
        jitters = (np.spacing(variance) * rng.integers(-2, 3, draws.shape) for _ in range(2000))
        candidates = (rstan_rhat(np.sqrt(variance + each)) for each in (0, *jitters))
        assert any(agrees(each, number) for each in candidates), (variable, t)
    assert as_written >= 39


def test_psrf_is_that_of_the_single_function(reference):
    values, _ = chains(reference, "mean")
    found = convergence(values, values).set_index(["vrb", ".it"])["psrf"]
    assert found["bmi", 7] == rstan_rhat(values["bmi"].T[:7])
    assert found["bmi", 1] == rstan_rhat(values["bmi"].T[0])


def test_both_parameters_stack_under_a_column_that_tells_which():
    mean, sd = {"x": np.arange(12.0).reshape(3, 4) % 5}, {"x": np.arange(12.0).reshape(3, 4) % 7}
    both = convergence(mean, sd, "all")
    assert list(both.columns) == ["parameter", ".it", "vrb", "ac", "psrf"]
    for name in ("mean", "sd"):
        part = both[both["parameter"] == name].drop(columns="parameter").reset_index(drop=True)
        pd.testing.assert_frame_equal(part, convergence(mean, sd, name))


def test_an_unknown_parameter_is_refused():
    with pytest.raises(SpecificationError, match="'mean', 'sd' and 'all'"):
        convergence({}, {}, "median")


def test_no_target_gives_an_empty_table_with_the_columns():
    assert list(convergence({}, {}).columns) == [".it", "vrb", "ac", "psrf"]


def test_an_iteration_at_which_all_chains_agree_counts_as_uncorrelated():
    draws = np.array([[1.0, 2.0, 4.0], [2.0, 1.0, 0.0], [5.0, 5.0, 5.0], [1.0, 2.0, 3.0]])
    ac = autocorrelation(draws)
    np.testing.assert_allclose(ac[2:], ac[1] * np.array([1 / 2, 1 / 3]))


def test_one_chain_has_no_correlation_across_chains():
    assert np.isnan(autocorrelation(np.array([[1.0], [2.0], [3.0]]))).all()


def test_chains_far_apart_have_a_large_rhat_and_mixed_ones_do_not():
    rng = np.random.default_rng(3)
    mixed = rng.normal(size=(50, 4))
    assert rstan_rhat(mixed) < 1.05
    assert rstan_rhat(mixed + np.array([0, 0, 0, 5])) > 1.5
    scales = mixed * np.array([1, 1, 1, 20])  # only folding can see this
    assert rstan_rhat(scales) > 1.1


@pytest.mark.parametrize(
    "draws",
    [np.ones((10, 3)), np.full((10, 3), np.nan), np.ones((1, 3)), [1.0], [[1.0, np.inf]] * 4],
)
def test_rhat_is_nan_without_a_warning_where_it_is_undefined(draws):
    assert np.isnan(rstan_rhat(draws))


def tree(iterations=10, m=20):
    rng = np.random.default_rng(5)
    coords = {
        "chain": np.arange(m),
        "draw": np.arange(iterations),
        "y.beta_term": ["sex", "texp"],
    }
    posterior = xr.Dataset(
        {
            "y.mean": (("chain", "draw"), rng.normal(5, 1, (m, iterations))),
            "y.sd": (("chain", "draw"), np.full((m, iterations), 0.1)),
            "y.beta": (("chain", "draw", "y.beta_term"), rng.normal(size=(m, iterations, 2))),
            "a.b.mean": (("chain", "draw"), np.full((m, iterations), np.nan)),
        },
        coords=coords,
    )
    diverging = np.zeros((m, iterations))
    diverging[0, 0] = diverging[-1, -1] = 1
    statistics = xr.Dataset({"y.diverging": (("chain", "draw"), diverging)})
    return xr.DataTree.from_dict({"posterior": posterior, "sample_stats": statistics})


def test_every_scalar_of_the_posterior_is_a_row():
    table = diagnostics(tree())
    assert list(table.columns) == [
        *("variable", "quantity", "mean", "sd", "r_hat", "ess_bulk", "ess_tail"),
        *("mcse_mean", "mcse_sd", "divergences"),
    ]
    assert list(zip(table["variable"], table["quantity"], strict=True)) == [
        ("y", "mean"),
        ("y", "sd"),
        ("y", "beta[sex]"),
        ("y", "beta[texp]"),
        ("a.b", "mean"),
    ]
    assert table["divergences"].tolist() == [2, 2, 2, 2, 0]


def test_the_numbers_are_those_of_arviz():
    data = tree()
    row = diagnostics(data).iloc[3]
    beta = data["posterior"]["y.beta"].sel({"y.beta_term": "texp"}).values
    assert row["r_hat"] == arviz.rhat(beta, method="rank")
    assert row["ess_bulk"] == arviz.ess(beta, method="bulk")
    assert row["ess_tail"] == arviz.ess(beta, method="tail", prob=(0.05, 0.95))
    assert row["mcse_mean"] == arviz.mcse(beta, method="mean")
    assert row["mcse_sd"] == arviz.mcse(beta, method="sd")
    np.testing.assert_allclose([row["mean"], row["sd"]], [beta.mean(), beta.std(ddof=1)])


def test_constant_and_undefined_quantities_have_no_diagnostics():
    table = diagnostics(tree()).set_index(["variable", "quantity"])
    numbers = ["r_hat", "ess_bulk", "ess_tail", "mcse_mean", "mcse_sd"]
    assert table.loc[[("y", "sd"), ("a.b", "mean")], numbers].isna().all(axis=None)
    assert table.loc[("y", "mean"), numbers].notna().all()
    assert table.loc[("y", "sd"), "mean"] == pytest.approx(0.1)


@pytest.mark.parametrize(("iterations", "m"), [(3, 20), (1, 5), (1, 1)])
def test_too_few_draws_give_nan_without_a_warning(iterations, m):
    table = diagnostics(tree(iterations, m))
    assert table[["r_hat", "ess_bulk", "mcse_mean"]].isna().all(axis=None)


def test_one_chain_has_an_ess_but_no_rhat():
    row = diagnostics(tree(iterations=40, m=1)).iloc[0]
    assert np.isnan(row["r_hat"])
    assert row["ess_bulk"] > 0


def test_discarded_iterations_count_for_nothing():
    data = tree()
    table = diagnostics(data, discard=4)
    kept = data["posterior"]["y.mean"].values[:, 4:]
    assert table["mean"][0] == pytest.approx(kept.mean())
    assert table["r_hat"][0] == arviz.rhat(kept, method="rank")
    assert table["divergences"][0] == 1
    with pytest.raises(SpecificationError, match="discard=10 leaves none of the 10"):
        diagnostics(data, discard=10)


def test_a_posterior_without_sampler_statistics_has_no_divergences():
    posterior = tree()["posterior"].to_dataset()
    assert (diagnostics(xr.DataTree.from_dict({"posterior": posterior}))["divergences"] == 0).all()
