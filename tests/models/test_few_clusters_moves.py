"""Moves for few clusters leave prior times likelihood as it is: parameters drawn from the prior,
data given them, one sweep given the data, and the parameters still have the prior (Geweke 2004)."""

from dataclasses import replace

import numpy as np
from scipy import stats

from tests.models.test_few_clusters import logit_of, three_clusters, with_slope

#: Numbers that are standard normal by the prior are no further from it than this, in SDs of a mean.
FAR = 4.5


def softplus_inverse(sd):
    return sd + np.log(-np.expm1(-sd))


class Logit:
    """A logit with intercept and slope by cluster: parameters, data, and both as normal numbers."""

    def __init__(self):
        self.design = with_slope(three_clusters(2, binary=True))
        self.posterior, self.adaptation, _ = logit_of(self.design)

    def draw(self, rng):
        """State by the prior; design with data given it."""
        sd = np.abs(rng.normal(size=2)) * [1.0, 0.5]
        rho = 2 * rng.beta(2, 2) - 1
        factor = sd[:, None] * [[1, 0], [rho, np.sqrt(1 - rho * rho)]]
        beta, effects = 2.5 * rng.normal(size=3), rng.normal(size=(3, 2)) @ factor.T
        state = np.concatenate([softplus_inverse(sd), [np.arctanh(rho)], beta, effects.ravel()])
        eta = self.posterior.predictors(self.design, np.ones(90, dtype=bool), state)[:, 0]
        y = (eta + rng.logistic(size=90) > 0).astype(float)
        return state, replace(self.design, y=y)

    def normal(self, state):
        """What is standard normal by the prior, and independent."""
        sd, rho = np.logaddexp(0.0, state[:2]), np.tanh(state[2])
        factor = sd[:, None] * [[1, 0], [rho, np.sqrt(1 - rho * rho)]]
        standard = np.linalg.solve(factor, state[6:].reshape(3, 2).T)
        shape = [
            *stats.norm.ppf(stats.halfnorm.cdf(sd, scale=[1.0, 0.5])),
            stats.norm.ppf(stats.beta.cdf((rho + 1) / 2, 2, 2)),
        ]
        return np.concatenate([shape, state[3:6] / 2.5, standard.ravel()])

    def log_likelihood(self, design, state):
        eta = self.posterior.predictors(design, design.fit, state)[:, 0]
        return stats.bernoulli.logpmf(design.y[design.fit], 1 / (1 + np.exp(-eta))).sum()


def departures(model, move, count, rng):
    """Means, squares and products after a move less those of the prior, in standard errors."""
    after, gain = [], []
    for _ in range(count):
        state, design = model.draw(rng)
        moved = move(design, state)
        after.append(model.normal(moved))
        # data know the parameters that they came from no better than those after the move
        gain.append(model.log_likelihood(design, moved) - model.log_likelihood(design, state))
    after, gain = np.array(after), np.array(gain)
    one, other = np.triu_indices(after.shape[1])
    products = after[:, one] * after[:, other]
    found = {
        "means": after.mean(axis=0) * np.sqrt(count),
        "products": (products.mean(axis=0) - (one == other))
        / np.where(one == other, np.sqrt(2), 1)
        * np.sqrt(count),
        "likelihood": gain.mean() / gain.std() * np.sqrt(count),
    }
    return {name: float(np.abs(value).max()) for name, value in found.items()}


def test_slices_leave_the_joint_distribution_of_parameters_and_data():
    model, rng = Logit(), np.random.default_rng(1)
    posterior, reference = model.posterior, model.adaptation.start_mean
    at, width = np.arange(3), np.array([1.0, 1.0, 0.5])

    def slides(design, state):
        given = posterior._given(posterior._observe(design, None), reference)
        for _ in range(6):
            state = posterior._slide(*given, state, at, width, rng)
        return state

    found = departures(model, slides, 2000, rng)
    assert max(found.values()) < FAR, found


def test_sweeps_of_few_clusters_leave_the_joint_distribution_of_parameters_and_data():
    model, rng = Logit(), np.random.default_rng(2)

    def visit(design, state):
        return model.posterior.draw(design, model.adaptation, state, 1, rng)[0]

    found = departures(model, visit, 1000, rng)
    assert max(found.values()) < FAR, found
