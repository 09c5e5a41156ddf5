"""Arithmetic of pooled posteriors against simulations with a known answer."""

import numpy as np
import pytest

from bayesimpute.posterior.draws import missing_information, moments, quantile_error

RNG_SEED = 20


def simulated(m, k, between, within, ess, seed=RNG_SEED):
    """k scalars with m posterior means whose distribution is known."""
    rng = np.random.default_rng(seed)
    means = rng.normal(0, np.sqrt(between + within / ess), (m, k))
    return means, np.full((m, k), within), np.full((m, k), float(ess))


@pytest.mark.parametrize(("m", "between"), [(5, 1.0), (20, 1.0), (20, 0.1)])
def test_the_interval_of_missing_information_covers_it_95_times_in_a_hundred(m, between):
    k, within = 8000, 1.0
    found = moments(*simulated(m, k, between, within, 1e9))
    true = between / (between + within)
    covered = np.mean((found.fmi_low <= true) & (true <= found.fmi_high))
    assert covered == pytest.approx(0.95, abs=0.01)
    assert np.mean(found.fmi < true) == pytest.approx(0.5, abs=0.02)


def test_short_chains_do_not_pass_for_missing_information():
    # a third of what differs between the means is Monte-Carlo error
    means, variances, ess = simulated(20, 8000, 1.0, 20.0, 40)
    found = moments(means, variances, ess)
    assert found.between.mean() == pytest.approx(1.0, abs=0.03)
    assert means.var(axis=0, ddof=1).mean() == pytest.approx(1.5, abs=0.03)
    true = 1 / 21
    covered = np.mean((found.fmi_low <= true) & (true <= found.fmi_high))
    assert covered == pytest.approx(0.95, abs=0.01)


def test_the_monte_carlo_error_is_the_spread_of_the_pooled_mean():
    means, variances, ess = simulated(30, 8000, 1.0, 20.0, 40)
    found = moments(means, variances, ess)
    stated = np.sqrt((found.between + found.monte_carlo) / 30)
    assert np.sqrt(np.mean(stated**2)) == pytest.approx(found.mean.std(), rel=0.03)


def test_total_variance_and_df_are_rubins():
    from bayesimpute.pooling.rubin import rubin1987

    means, variances, _ = simulated(7, 3, 0.5, 2.0, 1e9)
    found, rubin = moments(means, variances, np.full((7, 3), 1e12)), rubin1987(means, variances)
    assert found.total == pytest.approx(rubin.t, rel=1e-9)
    assert found.df == pytest.approx(rubin.df, rel=1e-6)


def test_with_many_imputations_the_interval_is_von_hippels():
    from bayesimpute.posterior.pooled import fmi_interval

    m, variance = 2000, np.array([0.5])
    ends = [missing_information(p, variance, 0 * variance, 1 - variance, m) for p in (0.025, 0.975)]
    assert np.concatenate(ends) == pytest.approx(np.concatenate(fmi_interval([0.5], m)), abs=2e-3)


def test_a_constant_has_no_missing_information_to_speak_of():
    zero = np.zeros((5, 1))
    found = moments(zero, zero, np.full((5, 1), np.nan))
    assert np.isnan(found.fmi).all()
    assert np.isinf(found.df).all()
    assert (found.total == 0).all()


@pytest.mark.parametrize("probability", [0.025, 0.5, 0.975])
def test_the_error_of_an_interval_end_is_its_spread_over_replications(probability):
    rng = np.random.default_rng(3)
    ends, errors = [], []
    for _ in range(300):
        centres = rng.normal(0, 1, 25)
        draws = [rng.normal(centre, 1, (2, 60, 1)) for centre in centres]
        end = np.quantile(np.concatenate(draws), probability, keepdims=True).reshape(1)
        ends.append(end[0])
        errors.append(quantile_error(end, draws)[0])
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(np.std(ends), rel=0.15)
