"""Bad calls of everything public: refused in one sentence that names the argument, before any work.

Every argument of every public function and method has a list of values it must refuse: by its
name (`VALUES`), or for one function alone (`OWN`). What takes anything is in `ANYTHING`, with the
reason. An argument added later without such a list fails the first test.
"""

import inspect
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi
from bayesimpute.analysis import Fits
from bayesimpute.imputations import Plots
from tests.public import GROUPS, NAMES

matplotlib.use("Agg")

NAN = float("nan")


class Thing:
    """Something that no argument is."""

    def __repr__(self) -> str:
        return "Thing()"


@cache
def study() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    df = pd.DataFrame({"g": np.repeat([f"s{k}" for k in range(8)], 6), "x": rng.normal(size=48)})
    df["z"] = rng.integers(0, 2, 48).astype(float)
    df["y"] = df["x"] + 2 * np.repeat(rng.normal(size=8), 6) + rng.normal(size=48)
    df["time"], df["died"] = rng.exponential(size=48), rng.integers(0, 2, 48)
    df["kind"] = pd.Categorical(rng.choice(["a", "b", "c"], 48))
    df.loc[::5, "y"] = np.nan
    df.loc[::7, "z"] = np.nan
    return df


class Estimator:
    """Predicts a mean, as scikit-learn's estimators do."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return {}

    def fit(self, x: Any, y: Any) -> "Estimator":
        self.mean = float(np.mean(y))
        return self

    def predict(self, x: Any) -> np.ndarray:
        return np.full(len(x), self.mean)


@cache
def things() -> SimpleNamespace:
    """Results to call methods of."""
    df = study()[["g", "x", "y", "z"]]
    arguments = {"cluster": "g", "method": {"y": "normal", "z": "pmm"}, "seed": 1}
    imp = bi.impute(df, m=3, iterations=3, progress=False, **arguments)
    fits = imp.fit("y ~ x + (1 | g)")
    draws = np.random.default_rng(1).normal(size=(2, 4, 50))
    posteriors = [{"posterior": {"b": each + 0.01 * k}} for k, each in enumerate(draws)]
    import arviz as az

    trees = [az.from_dict(each) for each in posteriors]
    return SimpleNamespace(
        imp=imp,
        fits=fits,
        linear=imp.fit("y ~ x + z"),
        smaller=imp.fit("y ~ x"),
        pooled=fits.pool(),
        over=imp.overimpute("y", draws=100),
        comparison=imp.compare_models("y", {"robust": "normal.robust"}, draws=100),
        trees=trees,
        posterior=bi.pool_posteriors(trees),
        posterior_fits=imp.fit_posterior(lambda data: trees[0]),
        sensitivity=bi.sensitivity(
            df, "y", "y ~ x", "x", delta=[0.0, 1.0], method={"y": "normal", "z": "pmm"},
            cluster="g", m=2, iterations=1, seed=1,
        ),
        replicates=bi.simulate.replicate(
            lambda seed: bi.simulate.simulate_popularity(seed, schools=5, pupils=40),
            {"complete data": None}, "popular ~ texp", replicates=2, seed=1, progress=False,
        ),
    )  # fmt: skip


def predictors() -> pd.DataFrame:
    return bi.make_predictors(study(), cluster="g")


TEXT = ["", 3, NAN, ["x"], Thing(), b"x"]
OPTION = ["nosuch", "", 3, NAN, ["x"], Thing()]
COLUMN = ["nosuch", "", 3, NAN, ["nosuch"], Thing()]
COLUMNS = ["nosuch", ["x", "nosuch"], 3, [3], Thing(), [NAN]]
WHOLE = ["5", 2.5, NAN, float("inf"), [1], Thing(), True]
COUNT = [0, -1, *WHOLE]
COUNT_OR_NONE = [-1, *WHOLE]
NUMBER = ["1", NAN, [1.0], Thing()]
POSITIVE = [0, -1.5, True, *NUMBER]
LEVEL = [0, 1, 95, -0.1, True, *NUMBER]
SHARE = [-0.1, 1.1, True, *NUMBER]
FLAG = ["yes", 1, 0.0, [True], Thing()]
FRAME = [None, "file.csv", [1, 2], {"a": [1]}, np.ones((3, 2)), pd.Series([1.0]), Thing()]
MAPPING = ["x", 3, ["x"], Thing(), {"nosuch": {}}]
SIZE = [(0, 1), (4,), (4, 3, 2), "large", 4, (NAN, 3), (-4, 3), Thing()]
PATH = [3, ["a.nc"], Thing(), NAN]
AXES = ["ax", 3, Thing(), ["ax"]]
#: What is no formula; columns it does not find are findings of `congenial`.
NO_FORMULA = ["", 3, None, "y ~ x +", "y", "y ~ x ~ z", Thing()]
FITS = [3, "y ~ x", Thing(), [3], []]

#: What arguments of this name refuse wherever they occur.
VALUES: dict[str, list[Any]] = {
    "df": FRAME,
    "cluster": COLUMN,
    "variable": COLUMN,
    "var": COLUMN,
    "variables": COLUMNS,
    "m": COUNT,
    "iterations": COUNT,
    "draws": COUNT,
    "chains": COUNT,
    "tune": COUNT_OR_NONE,
    "discard": COUNT_OR_NONE,
    "replicates": COUNT,
    "seed": COUNT_OR_NONE,
    "conf_level": LEVEL,
    "level": LEVEL,
    "ci_prob": LEVEL,
    "dfcom": POSITIVE,
    "figsize": SIZE,
    "ax": AXES,
    "axes": AXES,
    "path": PATH,
    "progress": ["yes", 1, Thing()],
    "executor": ["threads", 4, Thing()],
    "cores": COUNT,
    "priors": [*MAPPING, {"y": 3}, {"y": {"nosuch": 1.0}}, {"y": {"sigma": 0.5}}],
    "formulas": [*MAPPING, {"y": 3}, {"y": "y ~ nosuch"}, {"y": "y ~ x +"}, {"y": ""}],
    "model_options": [*MAPPING, {"y": 3}, {"y": {"nosuch": 1}}],
    "method": [3, Thing(), ["normal"], "nosuch", {"nosuch": "pmm"}, {"y": "nosuch"}, {"y": 3}],
    "predictors": [
        "x", 3, ["x"], Thing(), np.ones((2, 2)),
    ],
    "folder": PATH,
    "by": COLUMN,
    "backend": OPTION,
    "ci_kind": OPTION,
    "rule": OPTION,
    "fits": FITS,
    "fits0": ["y ~ x", 3, Thing()],
    "formula": ["", 3, None, "y ~ nosuch", "y ~ x +", "y", "nosuch ~ x", "y ~ x ~ z", Thing()],
    "terms": ["nosuch", ["x", "nosuch"], 3, Thing()],
    "names": ["nosuch", ["b", "nosuch"], 3, Thing()],
    "completed": [3, "data.csv", [], [3], Thing()],
    "family": ["nosuch", 3, Thing()],
    "cv": POSITIVE,
    "mc_error": POSITIVE,
    "clusters": COUNT,
    "rows": COUNT,
}  # fmt: skip


@cache
def calls() -> dict[str, tuple[Callable[..., Any], dict[str, Any], dict[str, list[Any]]]]:
    """Name -> function or method, arguments of a call that is right, values it alone refuses."""
    df, t = study(), things()
    imp = t.imp
    run = {"df": df, "cluster": "g", "seed": 1, "m": 1, "iterations": 1}
    table: dict[str, tuple[Callable[..., Any], dict[str, Any], dict[str, list[Any]]]] = {
        "missing_pattern": (bi.missing_pattern, {"df": df}, {}),
        "from_completed": (
            bi.from_completed,
            {"completed": imp.complete("all"), "incomplete": imp.data},
            {
                "completed": [None, [], 3, "x", [1], Thing()],
                "incomplete": [3, "x", Thing()],
                "imputation": [3, Thing()],
                "row": [3, Thing()],
            },
        ),
        "missing_pairs": (bi.missing_pairs, {"df": df}, {}),
        "flux": (bi.flux, {"df": df}, {"local": COLUMNS}),
        "missing_summary": (bi.missing_summary, {"df": df}, {}),
        "missing_tests": (bi.missing_tests, {"df": df}, {}),
        "complete_cases": (bi.complete_cases, {"df": df}, {}),
        "incomplete_cases": (bi.incomplete_cases, {"df": df}, {}),
        "icc": (
            bi.icc,
            {"df": df, "variable": "y", "cluster": "g"},
            {"priors": ["x", 3, {"nosuch": 1}]},
        ),
        "missing_model": (
            bi.missing_model,
            {"df": df, "variable": "y"},
            {"predictors": COLUMNS, "priors": ["x", 3, {"nosuch": 1}]},
        ),
        "nelsonaalen": (
            bi.nelsonaalen,
            {"df": df, "time": "time", "status": "died"},
            {
                "time": [*COLUMN, "kind", "x"],
                "status": [*COLUMN, "kind", "x"],
                "ties": OPTION,
                "strata": COLUMN,
            },
        ),
        "deduce": (
            bi.deduce,
            {"df": df, "rules": "y = x + z"},
            {
                "rules": ["nosuch = x", "y", "y = ", "= x", 3, [3], "y = x +", Thing()],
                "level2": COLUMNS,
                "tolerance": [-0.1, *NUMBER],
            },
        ),
        "make_method": (bi.make_method, {"df": df}, {}),
        "make_predictors": (bi.make_predictors, {"df": df}, {}),
        "quickpred": (
            bi.quickpred,
            {"df": df},
            {
                "mincor": [2, -0.1, [0.1, 0.2], np.eye(2), *NUMBER, None],
                "minpuc": [2, -0.1, [0.1, 0.2], np.eye(2), *NUMBER, None],
                "include": COLUMNS,
                "exclude": COLUMNS,
                "method": OPTION,
            },
        ),
        "suggest_methods": (
            bi.suggest_methods,
            {"df": df},
            {
                "classes": ["x", 3, {"nosuch": "numeric"}, {"y": "nosuch"}, {"y": 3}],
                "I_small": COUNT_OR_NONE,
                "ni_small": COUNT_OR_NONE,
                "prop_small": SHARE,
            },
        ),
        "squeeze": (
            bi.squeeze,
            {"low": 0, "high": 1},
            {"low": ["0", NAN, [0], None, 2, Thing()], "high": ["1", NAN, [1], None, -1, Thing()]},
        ),
        "by_group": (
            bi.by_group,
            {"method": "normal", "by": "z"},
            {"method": [3, "nosuch", Thing(), None], "by": ["", 3, NAN, ["z"], None]},
        ),
        "delta": (
            bi.delta,
            {"method": "normal", "delta": 1.0},
            {
                "method": [3, "nosuch", Thing(), None],
                "delta": ["1", NAN, float("inf"), [1.0], Thing()],
                "by_cluster": ["g", 3, {"s1": "a"}, {"s1": NAN}, {}],
                "by_category": ["g", 3, {"a": "b"}, {"a": NAN}, {}],
                "where": [3, "", "x >", "__import__('os')", Thing()],
            },
        ),
        "fixed_clusters": (
            bi.fixed_clusters,
            {"method": "normal"},
            {"method": [3, "nosuch", Thing(), None]},
        ),
        "only_where": (
            bi.only_where,
            {"method": "normal", "condition": "x > 0"},
            {
                "method": [3, "nosuch", Thing(), None],
                "condition": [3, "", "x >", None, "__import__('os')", Thing()],
            },
        ),
        "impute": (
            bi.impute,
            run,
            {
                "post": [*MAPPING, {"y": 3}, {"y": "squeeze"}],
                "where": ["nosuch", 3, [True], np.ones((2, 2)), np.full(df.shape, "a"), Thing()],
                "ignore": ["x", 3, [True], [NAN] * 48, np.ones(48), Thing()],
                "visit_sequence": ["nosuch", 3, ["nosuch"], [3], [], Thing()],
                "checkpoint": PATH,
                "on_error": OPTION,
                "monitor": ["x", 3, {"a": 3}, {3: np.mean}, {"": np.mean}, [np.mean]],
                "cluster": [*COLUMN, "x"],
                "analysis": [3, "", "y ~ nosuch", "y ~ x +", "log(y) ~ x", [3], [], Thing()],
                "family": ["nosuch", 3, ["normal"], {"y": "normal"}, Thing()],
                "on": OPTION,
            },
        ),
        "priors": (bi.priors, {"df": df, "var": "y", "cluster": "g"}, {}),
        "prior_predictive": (bi.prior_predictive, {"df": df, "var": "y", "cluster": "g"}, {}),
        "congenial": (
            bi.congenial,
            {"formula": "y ~ x", "df": df},
            {"df": [3, "x", None, Thing(), [1]], "formula": NO_FORMULA},
        ),
        "open": (
            bi.open,
            {"path": "nosuch.nc"},
            {
                "path": [*PATH, "nosuch.nc", "", "."],
                "methods": ["x", 3, Thing()],
                "priors": ["x", 3, Thing()],
                "post": ["x", 3, Thing()],
                "model_options": ["x", 3, Thing()],
                "monitor": ["x", 3, Thing()],
            },
        ),
        "fit": (bi.fit, {"completed": [df.dropna()] * 2, "formula": "y ~ x"}, {"reml": FLAG}),
        "pool": (
            bi.pool,
            {"estimates": [[1.0, 2.0], [1.1, 2.1]], "variances": [[0.1, 0.1]] * 2},
            {
                "estimates": [
                    "a",
                    [["a", "b"]] * 2,
                    [[NAN, 1], [1, 1]],
                    None,
                    [[1.0, 2.0]],
                    3,
                    [[1.0], [1.0]],
                    Thing(),
                ],
                "variances": [
                    "a",
                    [["a", "b"]] * 2,
                    [[NAN, 1], [1, 1]],
                    [[-1.0, 1], [1, 1]],
                    [[0.1, 0.1]],
                    3,
                    Thing(),
                    [np.array([[1, 0.5], [0.2, 1]])] * 2,
                    [np.array([[1, 2], [2, 1]])] * 2,
                ],
                "terms": ["a", ["a"], ["a", "a"], 3, [1, 2, 3], Thing()],
                "variance_components": ["a", 3, [3], [{"a": "b"}] * 2, Thing()],
            },
        ),
        "D1": (bi.D1, {"fits": t.linear, "fits0": t.smaller}, {}),
        "D2": (bi.D2, {"fits": t.linear, "fits0": t.smaller}, {"use": OPTION}),
        "D3": (bi.D3, {"fits": t.linear, "fits0": t.smaller}, {"like": OPTION}),
        "D4": (bi.D4, {"fits": t.linear, "fits0": t.smaller}, {"ariv": OPTION}),
        "test_constraints": (
            bi.test_constraints,
            {"fits": t.linear, "constraints": "x = 0"},
            {
                "constraints": ["nosuch = 0", "", 3, [3], "x =", [], Thing(), "__import__('os')"],
                "method": OPTION,
            },
        ),
        "constraint_estimates": (
            bi.constraint_estimates,
            {"fits": t.linear, "constraints": "x"},
            {"constraints": ["nosuch = 0", "", 3, [3], "x =", [], Thing(), "__import__('os')"]},
        ),
        "pool_F": (
            bi.pool_F,
            {"statistics": [1.0, 2.0], "df1": 2},
            {
                "statistics": ["a", 3, [-1.0, 1.0], [NAN, 1.0], [], [1.0], ["a", "b"], Thing()],
                "df1": POSITIVE,
            },
        ),
        "pool_chi2": (
            bi.pool_chi2,
            {"statistics": [1.0, 2.0], "df": 2},
            {
                "statistics": ["a", 3, [-1.0, 1.0], [NAN, 1.0], [], [1.0], ["a", "b"], Thing()],
                "df": POSITIVE,
            },
        ),
        "pool_anova": (
            bi.pool_anova,
            {"fits": t.linear},
            {"sums_of_squares": [0, 4, "2", NAN, Thing()]},
        ),
        "pool_correlation": (
            bi.pool_correlation,
            {"data": imp, "variables": ["x", "y"]},
            {
                "data": [3, "x", [], [3], Thing()],
                "method": OPTION,
                "partial": COLUMNS,
                "variables": [*COLUMNS, ["x"], ["x", "x"]],
            },
        ),
        "pool_covariance": (
            bi.pool_covariance,
            {"data": imp, "variables": ["x", "y"]},
            {"data": [3, "x", [], [3], Thing()], "variables": [*COLUMNS, ["x", "x"]]},
        ),
        "pool_predictions": (
            bi.pool_predictions,
            {"completed": imp, "estimator": Estimator(), "target": "y", "predictors": ["x"]},
            {
                "estimator": [3, "ols", Thing(), None],
                "target": COLUMN,
                "predictors": COLUMNS,
                "new": [3, "x", pd.DataFrame({"q": [1.0]}), Thing()],
                "response": OPTION,
                "bootstrap": COUNT_OR_NONE,
            },
        ),
        "pool_r_squared": (bi.pool_r_squared, {"fits": t.linear}, {"adjusted": FLAG}),
        "pool_posteriors": (
            bi.pool_posteriors,
            {"posteriors": t.trees},
            {"posteriors": [3, "x", [], [3], Thing()]},
        ),
        "fit_posterior": (
            bi.fit_posterior,
            {"completed": [df.dropna()] * 2, "analysis": lambda data: t.trees[0]},
            {"analysis": [3, None, "y ~ x +", Thing()]},
        ),
        "compare_joint": (
            bi.compare_joint,
            {"imp": t.imp},
            {
                "imp": [3, "x", None, Thing(), t.imp],
                "draws": COUNT,
                "tune": COUNT,
                "chains": COUNT,
                "discard": [999, *COUNT_OR_NONE],
            },
        ),
        "recommend_m": (
            bi.recommend_m,
            {"analysis": t.pooled},
            {"analysis": [3, "x", None, Thing()]},
        ),
        "compare_estimates": (
            bi.compare_estimates,
            {"analyses": {"a": t.pooled}},
            {"analyses": ["x", 3, {}, {"a": 3}, [t.pooled], Thing()]},
        ),
        "plot_estimates": (
            bi.plot_estimates,
            {"analyses": {"a": t.pooled}},
            {
                "analyses": ["x", 3, {}, {"a": 3}, [t.pooled], Thing()],
                "truth": ["x", 3, {"nosuch": 1.0}, {"x": "a"}, Thing()],
            },
        ),
        "plot_corr": (bi.plot_corr, {"df": df}, {"part": OPTION, "counts": FLAG}),
        "plot_flux": (bi.plot_flux, {"df": df}, {}),
        "plot_fmi": (
            bi.plot_fmi,
            {"analysis": t.linear},
            {"analysis": [3, "x", None, Thing()], "quantity": OPTION},
        ),
        "plot_miss": (bi.plot_miss, {"df": df}, {"order": OPTION}),
        "plot_missing_by": (bi.plot_missing_by, {"df": df, "variable": "y", "by": "x"}, {}),
        "plot_pattern": (bi.plot_pattern, {"df": df}, {"most": COUNT, "order": OPTION}),
        "plot_predictors": (
            bi.plot_predictors,
            {"predictors": predictors()},
            {"method": ["x", 3, {"nosuch": "pmm"}, Thing()]},
        ),
        "plot_prior_predictive": (
            bi.plot_prior_predictive,
            {"tree": t.trees[0]},
            {"tree": [3, "x", None, Thing(), t.trees[0]]},
        ),
        "plot_xy": (
            bi.plot_xy,
            {"df": df, "x": "x", "y": "y"},
            {
                "x": COLUMN,
                "y": COLUMN,
                "groups": [3, "nosuch", Thing()],
                "log": ["z", 3, "xx", Thing()],
            },
        ),
        "ampute": (
            bi.ampute,
            {"data": df[["x", "time"]], "seed": 1},
            {
                "data": FRAME,
                "prop": [*SHARE, {"nosuch": 0.1}],
                "patterns": ["x", 3, [3], np.ones((2, 5)), [[2, 0]], Thing()],
                "freq": ["x", 3, [NAN], [-1.0], ["a"], [0.5, -0.5], [0, 0], Thing()],
                "mech": OPTION,
                "weights": ["x", 3, {"nosuch": 1.0}, {"x": "a"}, Thing()],
                "std": FLAG,
                "cont": FLAG,
                "type": [3, "nosuch", ["nosuch"], Thing()],
                "odds": ["x", 3, [[-1, 2]], [["a"]], Thing()],
                "bycases": FLAG,
                "systematic": ["x", 3, {"nosuch": 0.2}, {"x": 2}, {"x": "a"}, Thing()],
                "prop_sd": [-1, *NUMBER],
                "selection": ["x", 3, {"nosuch": 1}, {"x": 3}, Thing()],
            },
        ),
        "sensitivity": (
            bi.sensitivity,
            {
                "df": df,
                "variable": "y",
                "analysis": "y ~ x",
                "term": "x",
                "delta": [0.0],
                "method": {"y": "normal", "z": "pmm"},
            },
            {
                "analysis": [3, None, "y ~ nosuch", "y ~ x +", Thing()],
                "term": [3, None, "", Thing()],
                "rho": ["x", 3, [2.0], ["a"], [NAN], [], Thing()],
                "delta": ["x", 3, ["a"], [NAN], [], Thing()],
                "delta_where": [3, "", "x >", "nosuch > 0", Thing()],
                "further": COUNT_OR_NONE,
                "null": NUMBER,
                "on": OPTION,
            },
        ),
        "simulate.replicate": (
            bi.simulate.replicate,
            {
                "simulate": lambda seed: bi.simulate.simulate_popularity(
                    seed, schools=4, pupils=40
                ),
                "methods": {"complete data": None},
                "analysis": "popular ~ texp",
            },
            {
                "simulate": [3, "x", None, Thing()],
                "methods": ["x", 3, {}, {"a": 3}, {3: "pmm"}, Thing()],
                "analysis": [3, None, "popular ~ nosuch", Thing()],
                "truth": ["x", 3, Thing(), {"texp": "a"}],
                "impute": ["x", 3, {"nosuch": 1}, {"m": 0}, {"seed": 1}, Thing()],
            },
        ),
        "simulate.sbc": (
            bi.simulate.sbc,
            {"method": "normal"},
            {
                "method": [3, "nosuch", None, Thing()],
                "pattern": OPTION,
                "effects": OPTION,
                "predictors": COUNT_OR_NONE,
                "missing": [0, 1, *NUMBER],
                "kind": OPTION,
                "categories": [1, *COUNT],
                "typical": ["a", 3, ["a"], [NAN], Thing()],
                "priors": ["x", 3, {"nosuch": 1}, Thing()],
                "options": ["x", 3, {"nosuch": 1}, Thing()],
                "thin": COUNT,
            },
        ),
        "simulate.simulate_classes": (
            bi.simulate.simulate_classes,
            {"seed": 1},
            {
                "schools": COUNT,
                "classes": [1, *COUNT],
                "pupils": [1, *COUNT],
                "slope_sd": [-1, *NUMBER],
                "missing": [0.5, *SHARE],
            },
        ),
        "simulate.simulate_ratings": (
            bi.simulate.simulate_ratings,
            {"seed": 1},
            {"subjects": COUNT, "items": COUNT, "rated": SHARE, "missing": [0.5, *SHARE]},
        ),
        "simulate.simulate_impact": (
            bi.simulate.simulate_impact,
            {"seed": 1},
            {
                "studies": COUNT,
                "patients": COUNT,
                "missing": [*SHARE, {"nosuch": 0.1}],
                "systematic": [99, *COUNT_OR_NONE],
            },
        ),
        "simulate.simulate_obesity": (
            bi.simulate.simulate_obesity,
            {"seed": 1},
            {"regions": COUNT, "people": COUNT, "rho": [-1.5, *NUMBER]},
        ),
        "simulate.simulate_popularity": (
            bi.simulate.simulate_popularity,
            {"seed": 1},
            {"schools": COUNT, "pupils": COUNT, "missing": SHARE},
        ),
        "simulate.simulate_selection": (
            bi.simulate.simulate_selection,
            {"seed": 1},
            {
                "rho": [1.5, *NUMBER],
                "binary": FLAG,
                "errors": OPTION,
                "self_masking": FLAG,
                "systematic": SHARE,
            },
        ),
        # methods of results
        "Imputations.cells": (
            imp.cells,
            {"variable": "y"},
            {"variable": COLUMN, "by": ["nosuch", "y", 3, Thing()]},
        ),
        "Imputations.propensity": (
            imp.propensity,
            {"variable": "y"},
            {"variable": COLUMN, "predictors": ["nosuch", ["nosuch"], 3, Thing()]},
        ),
        "Imputations.complete": (
            imp.complete,
            {},
            {
                "action": ["nosuch", 4, -1, 1.5, NAN, [9], ["x"], None, Thing(), True],
                "include": ["x", 1, None, Thing()],
            },
        ),
        "Imputations.congenial": (imp.congenial, {"formula": "y ~ x"}, {"formula": NO_FORMULA}),
        "Imputations.convergence": (imp.convergence, {}, {"parameter": OPTION}),
        "Imputations.diagnose": (
            imp.diagnose,
            {},
            {"fits": ["x", 3, Thing()], "r_hat": [0.5, *POSITIVE], "ess": POSITIVE},
        ),
        "Imputations.diagnostics": (imp.diagnostics, {}, {"discard": [3, 99, *COUNT_OR_NONE]}),
        "Imputations.extend": (imp.extend, {"iterations": 1}, {}),
        "Imputations.fit": (imp.fit, {"formula": "y ~ x"}, {}),
        "Imputations.fit_posterior": (
            imp.fit_posterior,
            {"analysis": lambda data: t.trees[0]},
            {"analysis": [3, None, "y ~ x +", Thing()]},
        ),
        "Imputations.assign": (imp.assign, {}, {"columns": [[1, 2], lambda df: df["nosuch"]]}),
        "Imputations.bind": (
            imp.bind,
            {"other": bi.impute(**{**run, "seed": 2, "m": 1, "iterations": 3})},
            {"other": [None, 3, "x", imp, Thing()]},
        ),
        "Imputations.more": (imp.more, {"m": 3}, {"m": [1, *COUNT]}),
        "Imputations.query": (imp.query, {"condition": "x > 0"}, {"condition": ["", "nosuch > 0"]}),
        "Imputations.impute_new": (imp.impute_new, {"df": imp.data}, {"df": FRAME}),
        "Imputations.predict_new": (
            imp.predict_new,
            {"df": imp.data, "fits": imp.fit("y ~ x")},
            {
                "df": FRAME,
                "fits": [None, "y ~ x", 3, Thing()],
                "level": OPTION,
                "scale": OPTION,
            },
        ),
        "Imputations.model": (
            imp.model,
            {"variable": "y"},
            {"imputation": [4, *COUNT], "variable": [*COLUMN, "x"]},
        ),
        "Imputations.priors": (imp.priors, {"variable": "y"}, {"variable": [*COLUMN, "x"]}),
        "Imputations.prior_predictive": (
            imp.prior_predictive,
            {"variable": "y"},
            {"variable": [*COLUMN, "x"]},
        ),
        "Imputations.predictive": (imp.predictive, {"variable": "y"}, {"variable": [*COLUMN, "x"]}),
        "Imputations.overimpute": (
            imp.overimpute,
            {"variables": "y"},
            {"variables": [*COLUMNS, "x"]},
        ),
        "Imputations.compare_models": (
            imp.compare_models,
            {"variable": "y", "models": {"a": "pmm"}},
            {
                "variable": [*COLUMN, "x"],
                "models": ["x", 3, {}, {"a": 3}, {"a": "nosuch"}, Thing()],
                "unit": OPTION,
                "imputations": COUNT,
            },
        ),
        "Imputations.plot_ppc": (imp.plot_ppc, {"variable": "y"}, {"variable": [*COLUMN, "x"]}),
        "Imputations.plot_loo_pit": (
            imp.plot_loo_pit,
            {"variable": "y"},
            {"variable": [*COLUMN, "x"]},
        ),
        "Imputations.plot_trace": (imp.plot_trace, {}, {}),
        "Imputations.plot_density": (
            imp.plot_density,
            {"variable": "y"},
            {"groups": [3, "nosuch", Thing()]},
        ),
        "Imputations.plot_strip": (
            imp.plot_strip,
            {"variable": "y"},
            {"groups": [3, "nosuch", Thing()]},
        ),
        "Imputations.plot_box": (
            imp.plot_box,
            {"variable": "y"},
            {"groups": [3, "nosuch", Thing()]},
        ),
        "Imputations.plot_xy": (
            imp.plot_xy,
            {"x": "x", "y": "y"},
            {
                "x": COLUMN,
                "y": COLUMN,
                "groups": [3, "nosuch", Thing()],
                "log": ["z", 3, "xx", Thing()],
                "imputation": [0, 4, -1, 1.5, NAN, [9], ["x"], "nosuch", None, Thing()],
            },
        ),
        "Imputations.plot_chains": (
            imp.plot_chains,
            {},
            {"kind": OPTION, "parameters": ["nosuch", ["nosuch"], 3, Thing()], "variable": COLUMNS},
        ),
        "Imputations.plot_predictors": (imp.plot_predictors, {}, {}),
        "Imputations.plot_prior_predictive": (
            imp.plot_prior_predictive,
            {"variable": "y"},
            {"variable": [*COLUMN, "x"]},
        ),
        "Plots.propensity": (
            imp.plot.propensity,
            {"variable": "y"},
            {
                "predictors": ["nosuch", ["nosuch"], [], ["y"], 3, Thing()],
                "imputation": [0, 4, -1, 1.5, NAN, "x", [], [9], None, Thing()],
            },
        ),
        "Plots.effects": (
            imp.plot.effects,
            {"fits": t.linear},
            {"fits": [*FITS, None, t.pooled], "variables": [*COLUMNS, []]},
        ),
        "Plots.rho": (imp.plot.rho, {"variable": "y"}, {"variable": [*COLUMN, "x", "y"]}),
        "Imputations.report": (
            imp.report,
            {"path": str(Path(tempfile.gettempdir()) / "never-written.html")},
            {
                "path": [*PATH, "nosuch-folder/report.html"],
                "analyses": ["x", 3, [t.pooled], Thing()],
                "title": [3, NAN, Thing()],
                "checks": FLAG,
                "reasons": [3, NAN, Thing()],
                "assumptions": [3, NAN, Thing()],
                "sensitivity": [3, "x", {"a": 3}, Thing()],
                "written_at": [3, NAN, Thing()],
            },
        ),
        "Imputations.to_long": (
            imp.to_long,
            {"path": "nosuch-folder/a.csv"},
            {"path": [*PATH, "long.docx"], "include": FLAG},
        ),
        "Imputations.to_netcdf": (
            imp.to_netcdf,
            {"path": "nosuch-folder/a.nc"},
            {"path": [*PATH, "nosuch-folder/a.nc"]},
        ),
        "Imputations.to_zarr": (
            imp.to_zarr,
            {"path": "nosuch-folder/a.zarr.zip"},
            {"path": [*PATH, "nosuch-folder/a.zarr.zip"]},
        ),
        "Imputations.to_datatree": (
            imp.to_datatree,
            {"variable": "y"},
            {"variable": [*COLUMN, "x"]},
        ),
        "Fits.pool": (t.fits.pool, {}, {}),
        "Fits.compare": (
            t.linear.compare,
            {"smaller": t.smaller},
            {"smaller": [3, "y ~ x", Thing()], "method": OPTION},
        ),
        "Fits.test": (
            t.linear.test,
            {"constraints": "x = 0"},
            {"constraints": ["nosuch = 0", "", 3, [3], "x =", [], Thing()], "method": OPTION},
        ),
        "Fits.constraint_estimates": (
            t.linear.constraint_estimates,
            {"constraints": "x"},
            {"constraints": ["nosuch = 0", "", 3, [3], "x =", [], Thing()]},
        ),
        "Fits.anova": (t.linear.anova, {}, {"sums_of_squares": [0, 4, "2", NAN, Thing()]}),
        "Fits.predict": (
            t.linear.predict,
            {"newdata": df[["x", "z"]].dropna()},
            {
                "newdata": [3, "x", pd.DataFrame({"q": [1.0]}), [], Thing()],
                "ci_prob": LEVEL,
                "level": OPTION,
                "scale": OPTION,
            },
        ),
        "Fits.average_effects": (
            t.linear.average_effects,
            {"newdata": df[["x", "z"]].dropna()},
            {
                "newdata": [3, "x", pd.DataFrame({"q": [1.0]}), [], None, Thing()],
                "variables": [*COLUMNS, []],
            },
        ),
        "Pooled.summary": (t.pooled.summary, {}, {"exponentiate": FLAG}),
        "Overimputation.calibration": (
            t.over.calibration,
            {"variable": "y"},
            {"variable": [*COLUMN, "x"]},
        ),
        "Overimputation.plot": (t.over.plot, {}, {}),
        "ModelComparison.plot": (t.comparison.plot, {}, {}),
        "PooledPosterior.to_datatree": (t.posterior.to_datatree, {}, {"by_imputation": FLAG}),
        "PosteriorFits.pool": (t.posterior_fits.pool, {}, {}),
        "Sensitivity.plot": (t.sensitivity.plot, {}, {}),
        "Replicates.performance": (t.replicates.performance, {}, {"control": OPTION}),
        "Replicates.plot": (t.replicates.plot, {}, {"control": OPTION}),
    }
    return table


#: Arguments that take anything, and why.
ANYTHING: dict[str, str] = {
    "options": "those of another function, checked there",
    "arguments": "those of bi.impute, checked there",
    "otherwise": "a value of the column, which the data tell",
}

METHODS = {
    bi.Imputations, bi.Pooled, bi.ModelComparison, bi.Overimputation, bi.PooledPosterior,
    bi.PosteriorFits, Fits,
}  # fmt: skip


def public() -> Iterator[str]:
    """Names of all public functions, and of methods of public results, that take arguments."""
    only_there = set(GROUPS["simulate"]) - set(NAMES)
    for prefix, home, names in (("", bi, NAMES), ("simulate.", bi.simulate, sorted(only_there))):
        for name in names:
            if inspect.isfunction(getattr(home, name)):
                yield f"{prefix}{name}"
    for kind in METHODS:
        for name, member in vars(kind).items():
            named = inspect.isfunction(member) and not name.startswith("_")
            if named and len(inspect.signature(member).parameters) > 1:
                yield f"{kind.__name__}.{name}"
    for name in vars(Plots):  # those that are there only; the others are methods, too
        if not name.startswith("_") and not hasattr(bi.Imputations, f"plot_{name}"):
            yield f"Plots.{name}"


def refused(name: str, argument: str, value: Any) -> str:
    """Say what is wrong with how a call is refused; empty where it is refused as it should be."""
    function, good, _ = calls()[name]
    shown = f"{name}({argument}={value!r:.60})"
    try:
        function(**{**good, argument: value})
    except bi.BayesimputeError as error:
        text = str(error)
        return (
            ""
            if any(word in text for word in (argument, *told(value)))
            else f"{shown}: names neither: {text}"
        )
    except OSError as error:
        return "" if argument in ("path", "folder", "checkpoint") else f"{shown}: {error!r}"
    except Exception as error:
        return f"{shown}: {type(error).__name__}: {str(error)[:200]}"
    return f"{shown}: accepted"


def told(value: Any) -> Iterator[str]:
    """What an error may name in place of the argument: the value, its type, or a part of it."""
    yield from (f"{value!r}"[:30], type(value).__name__)
    if isinstance(value, float):
        yield f"{value:g}"
    if isinstance(value, list | dict) and not value:
        yield "at least one"
    if isinstance(value, str):
        yield from (part.strip() for part in value.split("=") if part.strip())
    elif isinstance(value, list | tuple | dict | pd.DataFrame):
        for part in (*value, *value.values()) if isinstance(value, dict) else value:
            yield from told(part)


def wrong_values(name: str) -> Iterator[tuple[str, Any]]:
    function, _, own = calls()[name]
    for argument, parameter in inspect.signature(function).parameters.items():
        if argument in ANYTHING:
            continue
        for value in own.get(argument, VALUES.get(argument, [])):
            if value is not parameter.default:
                yield argument, value


def test_every_public_function_is_in_the_table() -> None:
    assert sorted(set(public()) - calls().keys()) == []


def test_every_argument_has_values_it_refuses() -> None:
    without = {}
    for name, (function, _, own) in calls().items():
        arguments = set(inspect.signature(function).parameters) - ANYTHING.keys()
        without[name] = sorted(arguments - own.keys() - VALUES.keys())
    assert {name: arguments for name, arguments in without.items() if arguments} == {}


def test_bad_arguments_are_refused_in_a_sentence_that_names_them() -> None:
    tried = [refused(name, *each) for name in calls() for each in wrong_values(name)]
    assert [fault for fault in tried if fault] == []
    assert len(tried) > 300


PANELS = {
    "plot_density": {"variable": "y"}, "plot_strip": {"variable": "y"},
    "plot_box": {"variable": "y"}, "plot_xy": {"x": "x", "y": "y"},
}  # fmt: skip


@pytest.mark.parametrize("name", PANELS)
@pytest.mark.parametrize("by", [".IMP", ".id", "imp", [".imp"], (".imp", "g")])
def test_panels_by_what_is_nearly_the_imputation_are_refused(name: str, by: Any) -> None:
    with pytest.raises(bi.BayesimputeError, match="by"):
        getattr(things().imp, name)(**PANELS[name], by=by)
