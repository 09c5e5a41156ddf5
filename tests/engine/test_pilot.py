"""What is done before the chains: designs that are built once, and how a pilot goes round."""

from dataclasses import fields

import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi
from bayesimpute.data.table import Kind
from bayesimpute.design import DesignBuilder
from bayesimpute.engine.adapt import ENOUGH_ROWS
from bayesimpute.engine.chain import fill
from bayesimpute.imputation import specified
from bayesimpute.method import Adaptation, Visit
from bayesimpute.specification.specification import Target

CASES = {
    "slopes, a product, a cluster mean": {
        "cluster": "school",
        "formulas": {"y": "y ~ x * kind + size + (1 + x | school)"},
        "method": {"size": "2lonly.norm"},
    },
    "complete predictors": {"formulas": {"y": "y ~ z + (1 + z | school)"}, "method": {"y": "pmm"}},
    "a block": {"cluster": "school", "method": {"y": "joint", "x": "joint", "size": ""}},
    "a condition on another variable": {
        "method": {"y": bi.only_where("normal", "x > 0", otherwise=0.0), "size": ""},
    },
    "a latent mean": {
        "analysis": "y ~ x + latent_mean(x) + (1 | school)",
        "cluster": "school",
        "method": {"kind": "", "size": ""},
    },
}


@pytest.mark.parametrize("case", CASES)
def test_a_builder_that_has_settled_gives_the_designs_of_a_new_one(study, case):
    arguments = CASES[case]
    df = study.assign(z=np.arange(len(study)) % 7.0)
    left_out = {"complete predictors": ["size", "x", "kind"], "a block": ["kind"]}.get(case, [])
    specification = specified(df.drop(columns=left_out), **arguments)
    here, there = (fill(specification, np.random.default_rng(seed)) for seed in (1, 2))
    compared = 0
    for target in specification.targets.values():
        if not isinstance(target, Target):
            continue
        fresh = DesignBuilder.of(specification, target)
        settled = fresh.settled(here)
        for values in (there, here):
            pairs = [(settled.build(values), fresh.build(values))]
            pairs += zip(pairs[0][0].members, pairs[0][1].members, strict=True)
            for found, wanted in pairs:
                for each in fields(wanted):
                    one, other = getattr(found, each.name), getattr(wanted, each.name)
                    if each.name == "y":
                        one, other = one[wanted.fit], other[wanted.fit]
                    if each.name == "columns":
                        assert one.keys() == other.keys()
                        one, other = (np.array([*columns.values()]) for columns in (one, other))
                    if each.name != "members":
                        np.testing.assert_array_equal(one, other)
                compared += 1
    assert compared >= 2


class Recorded:
    """A method that does nothing but keep what it is asked."""

    kinds = frozenset(Kind)

    def __init__(self, shareable):
        self.options = {}
        self.shareable, self.labels = shareable, {"level": ()}
        self.tuned, self.visits = [], []

    def model(self, design, priors, options):
        raise LookupError

    def kernel(self, design, priors, options):
        return self

    def adapt(self, design, rng):
        self.tuned.append(len(design.y))
        return Adaptation(1.0, np.ones(1), np.zeros(1), np.ones(1))

    def start(self, adaptation, rng):
        return np.zeros(1)

    def visit(self, design, adaptation, state, rng, first):
        self.visits.append(len(design.y))
        return Visit(state, np.zeros(int(design.draw.sum())), {"level": 0.0}, {})


@pytest.mark.parametrize(
    ("shareable", "wrapped", "some"),
    [(True, False, True), (False, False, False), (True, True, False)],
)
def test_the_first_round_of_two_takes_some_of_many_rows_and_the_last_draws_nothing(
    shareable, wrapped, some
):
    rows = 3 * ENOUGH_ROWS
    df = pd.DataFrame({"a": np.arange(rows) % 5.0, "b": np.arange(rows) % 3.0, "c": 1.0})
    df.iloc[:10, 0] = df.iloc[20:30, 1] = np.nan
    methods = {"a": Recorded(shareable), "b": Recorded(shareable)}
    asked = {k: bi.only_where(m, "c == 1") if wrapped else m for k, m in methods.items()}
    bi.impute(df, method=asked, m=1, iterations=1, seed=1, progress=False)
    for method in methods.values():
        first, second = method.tuned
        assert second == rows
        assert first == (pytest.approx(ENOUGH_ROWS, rel=0.1) if some else rows)
        assert method.visits == [rows, rows]  # one of the pilot, one of the chain


@pytest.mark.parametrize("shareable", [True, False])
def test_a_kernel_of_the_users_own_is_tried_before_the_chains(shareable):
    df = pd.DataFrame({"a": [1.0, 2.0, 3.0, np.nan], "b": [1.0, 2.0, 0.0, 1.0]})
    method = Recorded(shareable)
    bi.impute(df, method={"a": method}, m=1, iterations=1, seed=1, progress=False)
    assert len(method.visits) == (1 if shareable else 2)


def test_post_keeps_inputs_in_range_from_the_start():
    rng = np.random.default_rng(0)
    df = pd.DataFrame({"x": np.exp(2.5 * rng.normal(size=60))})
    df["y"] = np.log(df["x"]) + rng.normal(size=60)
    df = df.mask(rng.random(df.shape) < 0.3)
    cases = {
        "function": {"df": df, "formulas": {"y": "y ~ log(x)"}},
        "passive": {"df": df.assign(z=np.log(df["x"])), "method": {"z": "~ log(x)"}},
    }
    for each in cases.values():
        each["method"] = {"x": "normal", "y": "normal", **each.get("method", {})}
        imp = bi.impute(
            **each, post={"x": bi.squeeze(0.01, 20)}, m=1, iterations=1, seed=1, progress=False
        )
        assert imp.complete(1)["x"].min() >= min(0.01, df["x"].min())
