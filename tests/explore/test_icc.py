"""The intraclass correlation: plain estimates, formulas on the latent scale, and the posterior."""

import inspect
import re

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

import bayesimpute as bi
from bayesimpute.explore.patterns import (
    ClusterMoments,
    anova_components,
    observed_share,
    reml_components,
)
from bayesimpute.models.beta import share_beta
from bayesimpute.models.gamma import share_gamma
from bayesimpute.registry import METHODS, resolve
from bayesimpute.sampling.variance_shares import share_counts, share_logit, share_softmax


def clustered(sizes, sd, seed):
    rng = np.random.default_rng(seed)
    cluster = np.repeat(np.arange(len(sizes)), sizes)
    y = sd * rng.normal(size=len(sizes))[cluster] + rng.normal(size=len(cluster))
    return y, cluster


@pytest.mark.filterwarnings("ignore:Model is singular")
@pytest.mark.parametrize("sd", [0.05, 0.5, 3.0])
def test_reml_is_that_of_mixedlm_in_unbalanced_clusters(sd):
    import mixedlm

    y, cluster = clustered([1, 3, 8, 2, 30, 5, 4, 9], sd, 3)
    between, within = reml_components(ClusterMoments.of(y, cluster))
    frame = pd.DataFrame({"y": y, "g": cluster.astype(str)})
    fit = mixedlm.lmer("y ~ 1 + (1 | g)", frame).VarCorr()
    assert between == pytest.approx(float(fit.groups["g"].cov[0, 0]), abs=2e-4)
    assert within == pytest.approx(float(fit.residual), rel=2e-4)


def test_reml_equals_anova_in_balanced_clusters():
    moments = ClusterMoments.of(*clustered([6] * 12, 2.0, 1))
    np.testing.assert_allclose(reml_components(moments), anova_components(moments), rtol=1e-9)


def test_clusters_more_alike_than_by_chance_have_negative_anova_and_zero_reml():
    y = np.tile([0.0, 1.0, 2.0], 4) + np.repeat([0, 0.01, 0.0, 0.01], 3)
    cluster = np.repeat(np.arange(4), 3)
    assert observed_share(y[:, None], cluster, anova_components) < 0
    assert observed_share(y[:, None], cluster, reml_components) == 0


def test_the_share_is_undefined_where_nothing_can_be_told():
    y = np.array([[1.0], [2.0]])
    assert np.isnan(observed_share(y, np.array([0, 1]), reml_components))
    assert np.isnan(observed_share(y, np.array([0, 0]), reml_components))


def test_the_softmax_share_is_the_logit_share_with_two_categories():
    sd = np.array([[0.3, 1.2]])
    two = share_softmax({"sd_intercept": sd[..., None]})
    np.testing.assert_allclose(two, share_logit({"sd_intercept": sd}))


def test_the_softmax_share_does_not_depend_on_the_reference():
    rng = np.random.default_rng(1)
    root = rng.normal(size=(4, 4))
    utilities = root @ root.T  # covariance of the effects of four categories

    def share(reference):
        contrast = np.delete(np.eye(4), reference, 0) - np.eye(4)[reference]
        covariance = contrast @ utilities @ contrast.T
        sd = np.sqrt(np.diagonal(covariance))
        pairs = (covariance / np.outer(sd, sd))[np.tril_indices(3, -1)]
        return share_softmax({"sd_intercept": sd, "correlation": pairs})

    np.testing.assert_allclose([share(k) for k in range(1, 4)], share(0))


def test_the_share_of_counts_is_nakagawas():
    # lambda = exp(0.5 + 0.08), then ln(1 + 1 / lambda), with the negative binomial's 1 / theta
    draws = {"intercept": np.array([0.5]), "sd_intercept": np.array([0.4])}
    expected = 0.16 / (0.16 + np.log(1 + np.exp(-0.58)))
    assert share_counts(draws)[0] == pytest.approx(expected)
    over = share_counts({**draws, "overdispersion": np.array([0.7])})[0]
    assert over == pytest.approx(0.16 / (0.16 + np.log(1 + np.exp(-0.58) + 0.49)))


def test_shares_of_skewed_numbers_and_proportions_are_those_of_their_variance():
    rng = np.random.default_rng(4)
    draws = {"sd_intercept": np.array([0.4]), "variation": np.array([0.5])}
    # a gamma with a small variation is nearly log-normal
    near = {**draws, "variation": np.array([0.1])}
    spread = np.log(rng.gamma(100, 0.01, 200_000)).var()
    assert share_gamma(near)[0] == pytest.approx(0.16 / (0.16 + spread), rel=0.01)
    draws |= {"intercept": np.array([0.3]), "dispersion": np.array([0.1])}
    mean = 1 / (1 + np.exp(-0.3))
    drawn = rng.beta(100 * mean, 100 * (1 - mean), 200_000)
    spread = np.log(drawn / (1 - drawn)).var()
    assert share_beta(draws)[0] == pytest.approx(0.16 / (0.16 + spread), rel=0.02)


@pytest.fixture(scope="module")
def popular(shared_data):
    return bi.icc(shared_data("popmis"), "popular", "school", draws=400, seed=1)


def test_the_posterior_of_popmis_surrounds_the_estimate_of_lmer(popular):
    assert popular.reml == pytest.approx(0.563, abs=5e-4)
    assert float(popular) == popular.mean == pytest.approx(0.563, abs=0.02)
    low, high = popular.interval
    assert 0.45 < low < 0.52 < 0.6 < high < 0.68
    assert popular.draws.shape == (4, 400)
    assert popular.r_hat < 1.02
    assert popular.ess > 800
    assert (popular.n_rows, popular.n_clusters, popular.method) == (1152, 100, "normal")


def test_it_shows_itself(popular):
    assert repr(popular).startswith("ICC of 'popular' by 'school': 0.5")
    assert "REML 0.563" in repr(popular)
    assert "<p>ICC of" in popular._repr_html_()


def small(seed=2):
    y, cluster = clustered([6, 3, 9, 5, 7], 1.0, seed)
    df = pd.DataFrame({"y": y, "g": cluster})
    df.loc[[4, 11], "y"] = np.nan
    return df


def test_rows_in_any_order_and_other_labels_give_the_same_bits():
    df = small()
    first = bi.icc(df, "y", "g", draws=20, chains=1, seed=5)
    other = df.sample(frac=1, random_state=1).assign(g=lambda d: d["g"].map("xbyaz".__getitem__))
    assert np.array_equal(first.draws, bi.icc(other, "y", "g", draws=20, chains=1, seed=5).draws)
    again = bi.icc(df[["g", "y"]], "y", "g", draws=20, chains=1, seed=5)
    assert np.array_equal(first.draws, again.draws)


def exact_logit_share(successes, sizes):
    """Posterior mean of the share by quadrature: intercept N(0, 2.5), SD half-normal(1)."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = weights / weights.sum()
    grid_b, grid_s = np.linspace(-4, 4, 161), np.linspace(0.0125, 5, 200)
    eta = grid_b[:, None, None] + grid_s[None, :, None] * nodes
    total = -0.5 * (grid_b[:, None] / 2.5) ** 2 - 0.5 * grid_s**2
    for s, n in zip(successes, sizes, strict=True):
        total = total + np.log(np.exp(stats.binom.logpmf(s, n, 1 / (1 + np.exp(-eta)))) @ weights)
    density = np.exp(total - total.max())
    share = grid_s**2 / (grid_s**2 + np.pi**2 / 3)
    by_s = integrate.trapezoid(density, grid_b, axis=0)
    return integrate.trapezoid(by_s * share, grid_s) / integrate.trapezoid(by_s, grid_s)


@pytest.mark.slow
def test_the_latent_share_of_two_categories_is_that_of_quadrature():
    successes, sizes = [2, 9, 5, 12, 1, 7], [15, 12, 14, 16, 10, 11]
    rows = [(g, k < s) for g, (s, n) in enumerate(zip(successes, sizes, strict=True))
            for k in range(n)]  # fmt: skip
    df = pd.DataFrame(rows, columns=["g", "y"])
    found = bi.icc(df, "y", "g", draws=400, seed=3)
    assert found.method == "logistic"
    assert found.mean == pytest.approx(exact_logit_share(successes, sizes), abs=0.02)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "method"),
    [("ordinal", None), ("nominal", None), ("count", "poisson"), ("count", "negative_binomial")],
)
def test_every_kind_of_variable_has_its_icc(kind, method):
    rng = np.random.default_rng(4)
    g = np.repeat(np.arange(40), 25)
    latent = 1.2 * rng.normal(size=40)[g]
    if kind == "count":
        y = rng.poisson(np.exp(1 + 0.5 * latent / 1.2))
        mean = np.exp(1 + 0.125)
        truth = 0.25 / (0.25 + np.log1p(1 / mean))
    else:
        latent = latent + rng.logistic(size=1000)
        y = pd.cut(latent, [-np.inf, -1, 1, np.inf], labels=["a", "b", "c"], ordered=True)
        truth = 1.44 / (1.44 + np.pi**2 / 3)
    if kind == "nominal":
        y = np.asarray(y).astype(object)
    found = bi.icc(pd.DataFrame({"g": g, "y": y}), "y", "g", method, draws=100, seed=1)
    assert found.r_hat < 1.1
    if kind != "nominal":  # an ordered latent variable is no set of utilities
        low, high = found.interval
        assert low < truth < high
    assert 0.05 < found.mean < 0.6


@pytest.mark.slow
def test_two_numbers_are_two_categories():
    df = small().assign(y=lambda d: d["y"].gt(0).where(d["y"].notna()))
    as_truth = bi.icc(df, "y", "g", draws=20, chains=1, seed=1)
    as_numbers = bi.icc(df.assign(y=df["y"] * 1.0 + 1), "y", "g", draws=20, chains=1, seed=1)
    assert as_truth.method == as_numbers.method == "logistic"
    assert np.array_equal(as_truth.draws, as_numbers.draws)
    assert as_truth.reml == pytest.approx(as_numbers.reml)


def test_what_has_no_icc_says_so():
    df = small()
    level2 = df.assign(z=df["g"] * 2.0, one=1.0, none=np.nan, own=range(len(df)))
    level2["day"] = pd.Timestamp("2020-01-01")
    with pytest.raises(bi.DataError, match="never varies within clusters of 'g'"):
        bi.icc(level2, "z", "g")
    with pytest.raises(bi.DataError, match="only one distinct value"):
        bi.icc(level2, "one", "g")
    with pytest.raises(bi.DataError, match="no observed value"):
        bi.icc(level2, "none", "g")
    with pytest.raises(bi.DataError, match="no cluster with two values"):
        bi.icc(level2, "y", "own")
    with pytest.raises(bi.DataError, match="only one cluster"):
        bi.icc(level2, "y", "one")
    with pytest.raises(bi.SpecificationError, match="neither a number nor a category"):
        bi.icc(level2, "day", "g")
    with pytest.raises(bi.SpecificationError, match="Did you mean 'g'"):
        bi.icc(level2, "y", "G")
    with pytest.raises(bi.SpecificationError, match="Did you mean 'logistic'"):
        bi.icc(level2, "y", "g", method="logistc")
    with pytest.raises(bi.SpecificationError, match="not for 'y', which is numeric"):
        bi.icc(level2, "y", "g", method="ordinal")
    with pytest.raises(bi.SpecificationError, match="draws=3 must be a whole number from 20"):
        bi.icc(level2, "y", "g", draws=3)
    with pytest.raises(bi.SpecificationError, match="another column"):
        bi.icc(level2, "g", "g")
    with pytest.raises(bi.SpecificationError, match=r"conf_level=95 must be a number from 0 to 1"):
        bi.icc(level2, "y", "g", conf_level=95)


def test_its_help_names_every_method_that_has_one():
    having = {name for name in METHODS if getattr(resolve(name), "share", None)}
    about = inspect.getdoc(bi.icc).partition("\nmethod\n")[2].partition("(default)")[0]
    assert set(re.findall(r'"([\w.]+)"', about)) == having
