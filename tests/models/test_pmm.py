"""Donors: exactly k, nearest, ties at random, for every kind of variable."""

import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi
from bayesimpute.data.table import Kind
from bayesimpute.models.pmm import category_scores, nearest_donors, nearest_others


def shares(donors, wanted, k, draws=4000):
    chosen = nearest_donors(
        np.array(donors, dtype=float), np.full(draws, float(wanted)), k, np.random.default_rng(0)
    )
    return np.bincount(chosen, minlength=len(donors)) / draws


def test_the_pool_is_the_k_nearest_each_equally_likely():
    found = shares([0, 1, 2, 3, 10, 11, 12, 13, 14, 50], 11.9, 5)
    assert found[[4, 5, 6, 7, 8]] == pytest.approx(0.2, abs=0.03)
    assert found[[4, 5, 6, 7, 8]].sum() == 1


def test_at_an_edge_the_pool_is_still_the_k_nearest():
    assert shares(range(20), -5, 5)[:5] == pytest.approx(0.2, abs=0.03)


def test_ties_at_the_border_share_the_last_place():
    found = shares([0, 0.1, 1, 1, 1, 1, 5], 0, 3)
    assert found[:2] == pytest.approx(1 / 3, abs=0.03)
    assert found[2:6] == pytest.approx(1 / 12, abs=0.02)


def test_ties_on_both_sides_compete():
    found = shares([-1, -1, 1, 1], 0, 1)
    assert found == pytest.approx(0.25, abs=0.03)


def test_fewer_donors_than_k_are_all_in_the_pool():
    assert shares([0, 100], 1, 5) == pytest.approx(0.5, abs=0.03)


def test_agrees_with_brute_force():
    rng = np.random.default_rng(1)
    donors, wanted = rng.normal(size=40), rng.normal(size=25)
    nearest = np.argsort(np.abs(donors - wanted[:, None]), axis=1)[:, :5]
    seen = [set() for _ in wanted]
    for _ in range(200):
        for row, donor in enumerate(nearest_donors(donors, wanted, 5, rng)):
            seen[row].add(int(donor))
    assert seen == [set(map(int, row)) for row in nearest]


def test_category_scores_do_not_depend_on_the_order_of_categories(two_level):
    from dataclasses import replace

    rng = np.random.default_rng(2)
    codes = rng.integers(0, 3, 80).astype(float)
    design = replace(two_level, y=codes, kind=Kind.NOMINAL, categories=("a", "b", "c"))
    turn = np.array([2, 0, 1])
    turned = replace(design, y=turn[codes.astype(int)].astype(float))
    scores, other = category_scores(design), category_scores(turned)
    assert other[turn] == pytest.approx(scores)


def test_imputed_values_are_observed_values_of_every_kind():
    rng = np.random.default_rng(3)
    x = rng.normal(size=200)
    df = pd.DataFrame(
        {
            "x": x,
            "count": pd.array(np.floor(np.exp(x)), dtype="Int64"),
            "flag": pd.array(x > 0, dtype="boolean"),
            "grade": pd.Categorical(np.where(x > 1, "A", "B"), ordered=True),
            "town": np.where(x > 0.5, "Ghent", np.where(x < -0.5, "Oslo", "Turin")),
        }
    )
    for name in df.columns[1:]:
        df.loc[rng.random(200) < 0.2, name] = None
    imp = bi.impute(df, m=2, iterations=2, seed=1)
    completed = imp.complete(1)
    assert completed.dtypes.equals(df.dtypes)
    assert not completed.isna().any().any()
    guessed = completed.loc[df["town"].isna()]
    right = np.where(guessed.x > 0.5, "Ghent", np.where(guessed.x < -0.5, "Oslo", "Turin"))
    assert (guessed["town"] == right).mean() > 0.6


@pytest.mark.parametrize("far", [0.0, 1e6, 1e10, 1e12])
def test_donors_are_the_nearest_however_far_from_zero_values_lie(far):
    rng = np.random.default_rng(1)
    donors, wanted = rng.permutation(200) / 10, rng.uniform(0, 20, 50)
    chosen = nearest_donors(far + donors, far + wanted, 5, rng)
    assert np.abs(donors[chosen] - wanted).max() < 0.51
    others = nearest_others(far + donors, 5, rng)
    assert np.abs(donors[others] - donors).max() < 0.51
