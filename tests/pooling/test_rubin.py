"""Rubin's rules on arrays: numbers of mice and mitml, limits, and what must not change them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bayesimpute.analysis import Fits
from bayesimpute.pooling.pooled import pool
from bayesimpute.pooling.rubin import (
    RULES,
    barnard_rubin,
    reiter2003,
    rubin1987,
    single,
    total_covariance,
)

EXACT = {"rtol": 1e-8, "atol": 0}
NAMES = {"qbar": "estimate", "lambda": "lambda_", "r": "riv"}


def draws(m: int, k: int) -> st.SearchStrategy[np.ndarray]:
    return arrays(float, (m, k), elements=st.floats(-100, 100, width=32))


def spread(m: int, k: int) -> st.SearchStrategy[np.ndarray]:
    return arrays(float, (m, k), elements=st.floats(0.015625, 100, width=32))


def columns(reference):
    mice = reference("mice_pool")
    return (
        mice,
        np.array(mice["estimates"]["values"]),
        np.array(mice["ses"]["values"]) ** 2,
        mice["estimates"]["cols"],
    )


@pytest.mark.parametrize("dfcom", ["20", "1995", "Inf", "999999"])
def test_pool_scalar_of_mice_is_reproduced(reference, dfcom):
    mice, q, u, names = columns(reference)
    combined = rubin1987(q, u, float(dfcom))
    for column, name in enumerate(names):
        for key, expected in mice["pool_scalar_by_dfcom"][dfcom][name].items():
            found = getattr(combined, NAMES.get(key, key))[column]
            np.testing.assert_allclose(found, expected, **EXACT, err_msg=f"{name} {key}")


@pytest.mark.parametrize(
    ("case", "q", "u"),
    [("b_zero", [1.5] * 5, [0.04] * 5), ("m2", [1.0, 1.2], [0.04, 0.05])],
)
def test_edges_of_pool_scalar_are_reproduced(reference, case, q, u):
    combined = rubin1987(np.array(q)[:, None], np.array(u)[:, None], dfcom=100)
    edges = reference("mice_pool")["pool_scalar_edge"]
    # mice 3.15, which wrote the file, takes λ = 0 as 0.0001; mice since 3.19 as what it is
    nu = 101 / 103 * 100
    edges["b_zero"] |= {"df": nu, "fmi": 2 / (nu + 3)}
    for key, expected in edges[case].items():
        found = getattr(combined, NAMES.get(key, key))[0]
        np.testing.assert_allclose(found, expected, **EXACT, err_msg=key)


def test_reiter_2003_of_mice_is_reproduced(reference):
    mice, q, u, names = columns(reference)
    combined = reiter2003(q, u)
    for column, name in enumerate(names):
        for key, expected in mice["pool_scalar_reiter"][name].items():
            expected = np.nan if expected is None else expected
            found = getattr(combined, NAMES.get(key, key))[column]
            np.testing.assert_allclose(found, expected, **EXACT, err_msg=f"{name} {key}")


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_is_explained_where_it_is_chosen(rule):
    assert all(f'``"{rule}"``' in function.__doc__ for function in (pool, Fits.pool))


@pytest.mark.parametrize(
    ("case", "dfcom"), [("no_df.com", np.inf), ("df.com_50", 50), ("df.com_1995", 1995)]
)
def test_test_estimates_of_mitml_is_reproduced(reference, case, dfcom):
    mitml = reference("mitml_tests")
    combined = rubin1987(
        mitml["qhat"]["values"], np.diagonal(mitml["uhat"], axis1=1, axis2=2), dfcom
    )
    expected = np.array(mitml["testEstimates"][case]["values"])
    for column, values in (
        (0, combined.estimate),
        (1, np.sqrt(combined.t)),
        (2, combined.estimate / np.sqrt(combined.t)),
        (3, combined.df),
        (5, combined.riv),
        (6, combined.fmi),
    ):
        np.testing.assert_allclose(values, expected[:, column], **EXACT)


def test_without_any_spread_between_imputations_everything_is_that_of_complete_data():
    combined = rubin1987([[2.0], [2.0], [2.0]], [[0.25], [0.25], [0.25]])
    assert (combined.b[0], combined.riv[0], combined.lambda_[0], combined.fmi[0]) == (0, 0, 0, 0)
    assert combined.t[0] == 0.25
    assert np.isinf(combined.df[0])


def test_a_variance_of_zero_within_gives_all_the_variance_to_the_missing_data():
    combined = rubin1987([[1.0], [2.0], [3.0]], [[0.0], [0.0], [0.0]])
    assert np.isinf(combined.riv[0])
    assert combined.lambda_[0] == 1
    assert combined.df[0] == 2
    np.testing.assert_allclose(combined.fmi, 1)


def test_the_degrees_of_freedom_never_exceed_those_of_complete_data():
    shares = np.linspace(0, 1, 101)
    df = barnard_rubin(shares, m=20, dfcom=50)
    assert (df < 50).all()
    assert (np.diff(df) < 0).all()
    assert df[0] == pytest.approx(51 / 53 * 50)  # nothing missing: Barnard and Rubin's ν_obs
    assert df[-1] == 0


def test_degrees_of_freedom_of_complete_data_may_differ_by_term():
    df = barnard_rubin([0.3, 0.3], m=5, dfcom=[30, np.inf])
    np.testing.assert_allclose(df[1], 4 / 0.09)
    assert df[0] < df[1]


def test_one_imputation_passes_through_and_leaves_the_missing_part_unknown():
    combined = single([[1.0, 2.0]], [[0.1, 0.2]], 10)
    np.testing.assert_array_equal(combined.t, [0.1, 0.2])
    np.testing.assert_array_equal(combined.df, [10, 10])
    assert np.isnan([combined.b, combined.riv, combined.lambda_, combined.fmi]).all()


def test_the_total_covariance_has_the_total_variances_on_its_diagonal(reference):
    mitml = reference("mitml_tests")
    q, u = np.array(mitml["qhat"]["values"]), np.array(mitml["uhat"])
    total = total_covariance(q, u)
    np.testing.assert_allclose(np.diagonal(total), rubin1987(q, np.diagonal(u, axis1=1, axis2=2)).t)
    np.testing.assert_allclose(total, total.T)
    np.testing.assert_array_equal(total_covariance(q[:1], u[:1]), u[0])


@settings(max_examples=50, deadline=None)
@given(draws(6, 2), spread(6, 2), st.permutations(range(6)))
def test_the_order_of_the_imputations_does_not_matter(q, u, order):
    one, other = rubin1987(q, u, 80), rubin1987(q[order], u[order], 80)
    for name in ("estimate", "t", "df", "fmi"):
        np.testing.assert_allclose(
            getattr(one, name), getattr(other, name), rtol=1e-6, atol=1e-9, err_msg=name
        )


@settings(max_examples=50, deadline=None)
@given(draws(5, 1), spread(5, 1), st.sampled_from([-1000.0, -0.25, 0.5, 8.0]))
def test_rescaling_an_estimate_rescales_its_error_and_nothing_else(q, u, c):
    one, other = rubin1987(q, u, 80), rubin1987(c * q, c**2 * u, 80)
    np.testing.assert_allclose(other.estimate, c * one.estimate, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(other.t, c**2 * one.t, rtol=1e-9)
    for name in ("df", "riv", "lambda_", "fmi"):
        np.testing.assert_allclose(getattr(other, name), getattr(one, name), rtol=1e-6, atol=1e-9)


@settings(max_examples=50, deadline=None)
@given(draws(5, 1), spread(5, 1), st.integers(-64, 64))
def test_shifting_an_estimate_leaves_its_precision(q, u, shift):
    one, other = rubin1987(q, u, 80), rubin1987(q + shift, u, 80)
    np.testing.assert_allclose(other.estimate, one.estimate + shift, atol=1e-9)
    np.testing.assert_allclose(other.t, one.t, rtol=1e-6)
