"""Posterior pooling and Rubin's rules on the popularity data, a hundred imputations each."""

import numpy as np
import pytest

import bayesimpute as bi
from bayesimpute.data.table import Kind
from bayesimpute.method import Design
from bayesimpute.registry import resolve

M, DRAWS, CHAINS = 100, 150, 2


def design_of(frame):
    """``popular ~ texp + sex + (1 | school)`` as the normal kernel takes it."""
    rows = np.ones(len(frame), dtype=bool)
    cluster, labels = frame["school"].factorize()
    return Design(
        target="popular",
        kind=Kind.NUMERIC,
        categories=(),
        y=frame["popular"].to_numpy(float),
        x=frame[["texp", "sex"]].to_numpy(float),
        predictors=("texp", "sex"),
        z=np.ones((len(frame), 1)),
        random_effects=("intercept",),
        cluster=cluster,
        n_clusters=len(labels),
        fit=rows,
        draw=~rows,
        cluster_labels=tuple(labels),
    )


class MixedModel:
    """Draws of the mixed model's posterior by this package's kernel, compiled and adapted once."""

    def __init__(self, frame):
        method = resolve("normal")
        design = design_of(frame)
        self.kernel = method.kernel(design, {}, dict(method.options))
        self.adaptation = self.kernel.adapt(design, np.random.default_rng(0))

    def __call__(self, frame, seed):
        design = design_of(frame)
        chains = [self.chain(design, np.random.default_rng([seed, c])) for c in range(CHAINS)]
        return {name: np.array([chain[name] for chain in chains]) for name in chains[0]}

    def chain(self, design, rng):
        state = self.kernel.start(self.adaptation, rng)
        found = []
        for i in range(DRAWS):
            visit = self.kernel.visit(design, self.adaptation, state, rng, i == 0)
            state = visit.state
            found.append(visit.parameters)
        beta = np.array([each["beta"] for each in found])
        centred = np.array([each["intercept"] for each in found])
        return {
            "(Intercept)": centred - beta @ design.x.mean(axis=0),
            "texp": beta[:, 0],
            "sex": beta[:, 1],
            "between": np.array([each["sd_intercept"] for each in found]) ** 2,
            "residual": np.array([each["sigma"] for each in found]) ** 2,
        }


@pytest.mark.slow
def test_mixing_a_hundred_posteriors_agrees_with_rubins_rules_on_popmis(shared_data):
    popmis = shared_data("popmis")[["school", "popular", "texp", "sex"]]
    imp = bi.impute(popmis, cluster="school", m=M, iterations=5, seed=1, progress=False)
    rubin = imp.fit("popular ~ texp + sex + (1 | school)").pool(float("inf"))
    pooled = imp.fit_posterior(MixedModel(imp.complete(1)), seed=2).pool(seed=3)

    terms = ["(Intercept)", "texp", "sex"]
    mixed, other = pooled.table.loc[terms], rubin.table.loc[terms]
    # both see the same hundred data sets, so only the draws of each posterior are random; REML
    # and a posterior under weak priors differ by a hundredth of a standard error
    noise = 4 * mixed["mcse_within"] + 0.02 * other["std_error"]
    assert ((mixed["mean"] - other["estimate"]).abs() < noise).all()
    assert np.allclose(np.sqrt(mixed["t"]), other["std_error"], rtol=0.03)
    assert np.allclose(mixed["sd"], other["std_error"], rtol=0.04)
    for end, conf in (("low", "conf_low"), ("high", "conf_high")):
        assert ((mixed[end] - other[conf]).abs() < 4 * mixed[f"mcse_{end}"]).all()
    assert (mixed["fmi"] - other["fmi"]).abs().max() < 0.04
    assert ((mixed["fmi_low"] < other["fmi"]) & (other["fmi"] < mixed["fmi_high"])).all()

    components = rubin.variance_components
    residual, between = pooled.table.loc["residual"], pooled.table.loc["between"]
    assert residual["mean"] == pytest.approx(components["Residual~~Residual"], rel=0.01)
    assert between["mean"] == pytest.approx(components["Intercept~~Intercept|school"], rel=0.05)

    found = pooled.diagnostics()
    assert found["r_hat"].max() < 1.1  # the worst of 500, from 300 draws each
    assert found["r_hat"].median() < 1.05
