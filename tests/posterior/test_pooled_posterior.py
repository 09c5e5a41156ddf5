"""Posteriors of m completed data sets, mixed: the numbers, the tree, and no false alarm."""

import warnings

import arviz
import numpy as np
import pytest
import xarray as xr

import bayesimpute as bi
from bayesimpute.errors import AnalysisError, ImputationWarning

M = 100


def regressions(m=M, n=80, seed=5):
    """OLS of y on x after a third of x was imputed from its posterior predictive, m times.

    With flat priors and σ known, the posterior of each regression is normal with OLS' estimate
    and covariance: both ways of pooling have the same target.
    """
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    y = 1 + 0.5 * x + rng.normal(size=n)
    gone = np.arange(n) % 3 == 0
    seen = np.column_stack([np.ones(n), y])[~gone]
    inverse = np.linalg.inv(seen.T @ seen)
    centre = inverse @ seen.T @ x[~gone]
    spread = np.std(x[~gone] - seen @ centre, ddof=2)
    found = []
    for _ in range(m):
        slope = rng.multivariate_normal(centre, spread**2 * inverse)
        filled = x.copy()
        filled[gone] = slope[0] + slope[1] * y[gone] + rng.normal(0, spread, gone.sum())
        design = np.column_stack([np.ones(n), filled])
        covariance = np.linalg.inv(design.T @ design)
        found.append((covariance @ design.T @ y, covariance))
    return found


def drawn(analyses, draws=500, seed=1):
    rng = np.random.default_rng(seed)
    coords = {"term": ["(Intercept)", "x"]}
    return [
        xr.DataTree.from_dict(
            {
                "posterior": xr.Dataset(
                    {
                        "beta": (
                            ("chain", "draw", "term"),
                            rng.multivariate_normal(estimate, covariance, size=(2, draws)),
                        )
                    },
                    coords=coords,
                )
            }
        )
        for estimate, covariance in analyses
    ]


@pytest.fixture(scope="module")
def analyses():
    return regressions()


@pytest.fixture(scope="module")
def pooled(analyses):
    return bi.pool_posteriors(drawn(analyses), seed=1)


def posteriors(centres, draws=200, chains=2, seed=1):
    rng = np.random.default_rng(seed)
    return [{"slope": rng.normal(centre, 1, (chains, draws))} for centre in centres]


def test_posterior_pooling_agrees_with_rubins_rules_within_monte_carlo_error(analyses, pooled):
    estimates = np.array([estimate for estimate, _ in analyses])
    covariances = np.array([covariance for _, covariance in analyses])
    rubin = bi.pool(estimates, covariances, terms=["beta[(Intercept)]", "beta[x]"]).table
    table = pooled.table
    assert list(table.index) == list(rubin.index)
    # the same m data sets: only the draws of each posterior differ
    assert ((table["mean"] - rubin["estimate"]).abs() < 4 * table["mcse_within"]).all()
    assert np.allclose(table["t"], rubin["t"], rtol=0.02)
    assert np.allclose(table["sd"], rubin["std_error"], rtol=0.02)
    for end, other in (("low", "conf_low"), ("high", "conf_high")):
        assert ((table[end] - rubin[other]).abs() < 3 * table[f"mcse_{end}"]).all()
    assert ((table["fmi_low"] < rubin["fmi"]) & (rubin["fmi"] < table["fmi_high"])).all()
    assert (table["fmi"] - rubin["fmi"]).abs().max() < 0.02
    assert table.loc["beta[x]", "fmi"] > 0.2


def test_differences_between_imputations_raise_no_alarm():
    posterior = posteriors(np.repeat([-2.0, 0.0, 2.0], 10))
    found = bi.pool_posteriors(posterior, seed=1)
    together = arviz.rhat(np.concatenate([each["slope"] for each in posterior]))
    assert together > 1.5  # what brm_multiple shows
    row = found.diagnostics().loc["slope"]
    assert row["r_hat"] < 1.05
    assert row["variance_ratio"] == pytest.approx(8 / 3 * 30 / 29, rel=0.1)
    assert float(arviz.rhat(found.datatree)["slope"]) < 1.01


def test_chains_that_disagree_within_one_imputation_do():
    posterior = posteriors(np.zeros(20))
    posterior[6]["slope"][1] += 3
    row = bi.pool_posteriors(posterior).diagnostics().loc["slope"]
    assert row["r_hat"] > 1.5
    assert row["r_hat_imputation"] == 7
    assert row["ess_bulk"] < 10


def test_diagnostics_of_an_imputation_are_arvizs():
    posterior = posteriors(np.linspace(0, 1, 30))
    row = bi.pool_posteriors(posterior).by_imputation.loc[("slope", 5)]
    draws = posterior[4]["slope"]
    assert row["r_hat"] == pytest.approx(float(arviz.rhat(draws)))
    assert row["ess_bulk"] == pytest.approx(float(arviz.ess(draws, method="bulk")))
    tail = float(arviz.ess(draws, method="tail", prob=(0.05, 0.95)))
    assert row["ess_tail"] == pytest.approx(tail)
    assert row["mcse_mean"] == pytest.approx(float(arviz.mcse(draws, method="mean")), rel=2e-3)


def test_a_single_chain_has_no_r_hat_and_everything_else():
    found = bi.pool_posteriors(posteriors(np.linspace(0, 1, 30), chains=1))
    row = found.diagnostics().loc["slope"]
    assert np.isnan(row["r_hat"])
    assert row["ess_bulk"] > 20
    assert found.datatree["posterior"].sizes == {"chain": 1, "draw": 6000}


def labelled(shapes):
    """Draws that say where they come from: imputation + chain / 10 + draw / 10⁵."""
    found = []
    for number, (chains, draws) in enumerate(shapes, start=1):
        chain, draw = np.indices((chains, draws))
        found.append({"origin": number + chain / 10 + draw / 1e5})
    return found


def test_every_imputation_gives_the_same_number_of_draws_and_each_knows_its_source():
    given = labelled([(2, 30), (2, 50), (3, 20), *[(2, 40)] * 40])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImputationWarning)
        mixture = bi.pool_posteriors(given, seed=3).datatree["posterior"]
    assert mixture.sizes == {"chain": 2, "draw": 43 * 30}
    source = mixture["imputation"] + mixture["source_chain"] / 10 + mixture["source_draw"] / 1e5
    assert np.allclose(mixture["origin"], source)
    _, counts = np.unique(mixture["imputation"], return_counts=True)
    assert (counts == 60).all()
    assert mixture["origin"].size == len(np.unique(mixture["origin"]))
    for chain in (0, 1):  # each chain mixes all of them, in no order
        part = mixture["imputation"].values[chain]
        assert np.bincount(part)[1:].tolist() == [30] * 43
        assert abs(np.corrcoef(part, np.arange(part.size))[0, 1]) < 0.1


def test_fewer_draws_are_taken_evenly_from_all_chains():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImputationWarning)
        mixture = bi.pool_posteriors(labelled([(2, 40)] * 5), draws=20, seed=3).datatree
    first = mixture["posterior"].to_dataset().where(lambda d: d["imputation"] == 2, drop=True)
    taken = np.sort(first["source_draw"].values[~np.isnan(first["origin"].values)])
    assert taken.tolist() == [d for d in range(0, 40, 4) for _ in range(2)]


def test_the_same_seed_gives_the_same_bits_and_another_another_order(analyses):
    one, two, three = (
        bi.pool_posteriors(drawn(analyses[:30], 20), seed=seed).datatree["posterior"]["beta"]
        for seed in (1, 1, 2)
    )
    assert one.identical(two)
    assert not one.equals(three)


def test_arviz_takes_the_mixture_and_the_unmixed_tree(pooled):
    for tree in (pooled.datatree, pooled.to_datatree(), pooled.to_datatree(by_imputation=True)):
        summary = arviz.summary(tree, ci_prob=0.9)
        assert summary.loc["beta[x]", "sd"] == pytest.approx(pooled.table.loc["beta[x]", "sd"], 0.1)
    assert arviz.extract(pooled.datatree, num_samples=50, random_seed=1).sizes["sample"] == 50
    interval = arviz.eti(pooled.datatree, prob=0.95)["beta"].sel(term="x")
    assert interval.values == pytest.approx(pooled.table.loc["beta[x]", ["low", "high"]])


def test_unmixed_draws_are_those_given_in_their_order(analyses):
    given = drawn(analyses[:30], 10)
    tree = bi.pool_posteriors(given, seed=4).to_datatree(by_imputation=True)["posterior"]
    assert tree.sizes["chain"] == 30
    for number, each in enumerate(given, start=1):
        flat = each["posterior"]["beta"].values.reshape(20, 2)
        assert np.array_equal(tree["beta"].sel(chain=number).values, flat)


def test_a_tree_a_dataset_and_arrays_give_the_same(analyses):
    trees = drawn(analyses[:40], 50)
    datasets = [tree["posterior"].to_dataset() for tree in trees]
    arrays = [{"beta": tree["posterior"]["beta"].values} for tree in trees]
    one, two, three = (bi.pool_posteriors(g, seed=1).table for g in (trees, datasets, arrays))
    assert one.equals(two)
    assert np.allclose(one, three, rtol=1e-10)
    assert list(three.index) == ["beta[0]", "beta[1]"]


def test_entries_are_matched_by_their_labels(analyses):
    straight = drawn(analyses[:40], 50)
    turned = [
        each if i % 2 else xr.DataTree.from_dict({"posterior": each["posterior"].to_dataset().isel(
            term=[1, 0]).transpose("term", "draw", "chain")})
        for i, each in enumerate(straight, start=1)
    ]  # fmt: skip
    one, two = (bi.pool_posteriors(given, seed=1).table for given in (straight, turned))
    assert two.loc[one.index].equals(one) or np.allclose(two, one)


def test_the_interval_is_equal_tailed_or_shortest():
    rng = np.random.default_rng(2)
    skewed = [{"sd": rng.gamma(2, 1, (2, 500))} for _ in range(30)]
    eti = bi.pool_posteriors(skewed, ci_prob=0.8, seed=1)
    hdi = bi.pool_posteriors(skewed, ci_prob=0.8, ci_kind="hdi", seed=1)
    draws = eti.datatree["posterior"]["sd"].values
    assert eti.table.loc["sd", "low"] == pytest.approx(np.quantile(draws, 0.1))
    assert hdi.table.loc["sd", "high"] < eti.table.loc["sd", "high"]
    width = {p.ci_kind: p.table["high"] - p.table["low"] for p in (eti, hdi)}
    assert (width["hdi"] < width["eti"]).all()
    assert eti.table.loc["sd", "p_positive"] == 1
    assert "80% HDI" in repr(hdi)


def test_few_imputations_with_much_missing_information_are_warned_of():
    with pytest.warns(ImputationWarning, match=r"'slope' are 1\d% narrower .* m = 5"):
        found = bi.pool_posteriors(posteriors([-2, -1, 0, 1, 2]))
    row = found.table.loc["slope"]
    short = found.diagnostics().loc["slope", "sd_shortfall"]
    assert row["sd"] == pytest.approx((1 - short) * np.sqrt(row["t"]), rel=0.02)


def test_divergences_are_counted_and_warned_of(analyses):
    trees = drawn(analyses[:30], 10)
    for number, tree in enumerate(trees):
        diverging = np.zeros((2, 10), dtype=bool)
        diverging[0, :3] = number == 4
        tree["sample_stats"] = xr.DataTree(
            xr.Dataset({"diverging": (("chain", "draw"), diverging)})
        )
    with pytest.warns(ImputationWarning, match="3 divergent transitions in imputation '5'"):
        found = bi.pool_posteriors(trees)
    assert found.divergences[5] == 3
    assert found.divergences.sum() == 3
    assert int(found.datatree["sample_stats"]["diverging"].sum()) == 3
    assert "3 divergences" in repr(found)
    assert bi.pool_posteriors(drawn(analyses[:30], 10)).divergences.isna().all()


def test_a_constant_is_pooled_as_one():
    given = [
        {"slope": each["slope"], "nu": np.full((2, 200), 4.0)} for each in posteriors([0] * 30)
    ]
    found = bi.pool_posteriors(given)
    assert found.table.loc["nu", ["mean", "sd", "low", "high"]].tolist() == [4, 0, 4, 4]
    assert np.isnan(found.diagnostics().loc["nu", "r_hat"])
    assert np.isnan(found.table.loc["nu", "fmi"])


def test_chosen_variables_only(analyses):
    given = [{"a": d["slope"], "b": d["slope"] + 1} for d in posteriors(np.zeros(30))]
    assert list(bi.pool_posteriors(given, names=["b"]).table.index) == ["b"]
    with pytest.raises(AnalysisError, match=r"'sloppe'.*'a', 'b'"):
        bi.pool_posteriors(given, names=["sloppe"])


def test_it_is_shown_as_text_and_html(pooled):
    assert repr(pooled).startswith("Posteriors of 100 imputations mixed, 1,000 draws each; 95% ETI")
    assert "beta[x]" in pooled._repr_html_()
    figure = bi.plot_estimates({"mixed": pooled.estimates}, terms=["beta[x]"])
    assert len(figure.axes) == 1


FLAT = np.zeros((2, 10)) + np.arange(10)
WRONG = {
    "two or more imputations, not 1": [{"a": FLAT}],
    "Imputation 2 gives list": [{"a": FLAT}, [1, 2]],
    "shape .10,.; draws are arrays": [{"a": FLAT}, {"a": FLAT[0]}],
    "do not have the same variables: 'b'": [{"a": FLAT}, {"a": FLAT, "b": FLAT}],
    "Imputation 2 has 3 draws a chain": [{"a": FLAT}, {"a": FLAT[:, :3]}],
    "Imputation 1: draws of 'a' are not finite": [{"a": np.where(FLAT > 3, np.nan, 1)}] * 2,
    "same entries along 'a_dim_0'": [
        {"a": np.stack([FLAT] * 2, 2)},
        {"a": np.stack([FLAT] * 3, 2)},
    ],
    "draws of 'a' are not numbers": [{"a": FLAT.astype(str)}] * 2,
    "no variable with the dimensions chain and draw": [{}, {}],
}


@pytest.mark.parametrize("message", WRONG)
def test_what_cannot_be_mixed_is_refused_and_why(message):
    with pytest.raises(AnalysisError, match=message):
        bi.pool_posteriors(WRONG[message])


def test_entries_with_other_labels_are_refused(analyses):
    trees = [tree["posterior"].to_dataset() for tree in drawn(analyses[:2], 10)]
    trees[1] = trees[1].assign_coords(term=["(Intercept)", "z"])
    with pytest.raises(AnalysisError, match="same entries along 'term' in imputations 1 and 2"):
        bi.pool_posteriors(trees)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"draws": 500}, "it must be 2 to 400"),
        ({"ci_prob": 95}, "ci_prob=95 must be a number from 0 to 1"),
        ({"ci_kind": "hpd"}, "'eti' or 'hdi'"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(argument, message):
    with pytest.raises(AnalysisError, match=message):
        bi.pool_posteriors(posteriors([0] * 30), **argument)


def test_dimensions_in_another_order_are_brought_into_that_of_the_first():
    def posterior(labels, dims=("chain", "draw", "row", "column")):
        values = np.zeros((1, 5, 2, 2)) + np.array([[0.0, 1.0], [2.0, 3.0]])
        named = xr.DataArray(
            values, dims=("chain", "draw", "row", "column"), coords={"row": labels}
        )
        return xr.Dataset({"m": named.transpose(*dims)})

    first = posterior(["p", "q"])
    other = posterior(["p", "q"], ("column", "draw", "row", "chain"))
    table = bi.pool_posteriors([first, other]).table
    assert table["mean"].to_dict() == {"m[p, 0]": 0, "m[p, 1]": 1, "m[q, 0]": 2, "m[q, 1]": 3}
    assert (table["sd"] == 0).all()
    alike = posterior(["p", "p"])
    assert bi.pool_posteriors([alike, alike]).table["mean"].tolist() == [0, 1, 2, 3]
    with pytest.raises(AnalysisError, match="same label"):
        bi.pool_posteriors([posterior(["p", "q"]).sel(row=["p", "q", "p"]),
                            posterior(["p", "q"]).sel(row=["p", "p", "q"])])  # fmt: skip
