"""Levels of clusters in which a variable is mostly missing, moved with its missing values."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesimpute as bi
from bayesimpute.engine import live_cells
from bayesimpute.engine.completed import update_passive
from bayesimpute.engine.live_levels import lines_of
from tests.engine.test_live_cells import joint, stood


@pytest.fixture(scope="module")
def gaps(study):
    """One school without x, one without kind, one with little of either; whole ones elsewhere."""
    rng = np.random.default_rng(3)
    school, most = study["school"], rng.random(len(study)) < 0.8
    df = study.assign(y=study["y"].fillna(1.0), size=study["size"].fillna(0.5))
    df["sick"] = np.where(rng.random(len(df)) < 0.4, "yes", "no")
    for name, whole in (("x", "s1"), ("kind", "s2"), ("sick", "s6")):
        df.loc[(school == whole) | ((school == "s4") & most), name] = None
    return df


RUN = {"cluster": "school", "m": 1, "iterations": 1, "seed": 3, "progress": False}
LINES = {
    "x and its product": ("y ~ x * size + kind + (1 + x | school)", "x", {}),
    "x and its mean": ("y ~ x + cluster_mean(x) + (1 | school)", "x", {}),
    "x and its square": ("y ~ x + I(x**2) + size + (1 | school)", "x", {}),
    "x in another model than the normal": (
        "y ~ x * size + (1 | school)", "x", {"family": "normal.robust"}
    ),
    "a passive variable": ("y ~ x + p + (1 | school)", "x", {"method": {"p": "~ I(x * size)"}}),
    "ordered categories": ("y ~ kind * size + (1 | school)", "kind", {}),
    "categories": ("y ~ kind + size + (1 | school)", "kind", {"method": {"kind": "categorical"}}),
    "two categories": ("y ~ sick * size + (1 + sick | school)", "sick", {}),
}  # fmt: skip


def prior(model):
    """Log density of all effects, by another way."""
    factor = model.effects.factor(model.state)
    effects = model.density.effects
    return stats.multivariate_normal(cov=factor @ factor.T).logpdf(effects).sum()


@pytest.mark.parametrize("name", LINES)
def test_densities_along_lines_differ_as_the_whole_joint_density_does(gaps, name):
    analysis, variable, given = LINES[name]
    df = gaps.assign(p=gaps["x"] * gaps["size"])
    used = [c for c in df if c in f"{analysis} {given}".replace("cluster_mean", "")]
    bench, state, densities = stood(bi.impute(df[used], analysis=analysis, **RUN, **given))
    levels, states, rng = bench.levels[variable], dict(state.kernel), np.random.default_rng(2)
    labels = bench.specification.table.clusters("school").labels
    whole = {"x": "s1", "kind": "s2", "sick": "s6"}[variable]
    assert {labels[k] for k in levels.clusters} == {whole, "s4"}
    specification = bench.specification

    def everything():
        """Joint density of values and effects; of categories, summed over those of the cells."""
        known = {n: m.density for n, m in lines.models.items()}
        values = {**state.values, variable: lines.column}
        update_passive(specification, values, [variable])
        base = joint(bench, densities | known, values)
        effects = sum(map(prior, lines.models.values()))
        for row in levels.cells if levels.categories.size else ():
            each = []
            for value in levels.categories:
                column = lines.column.copy()
                column[row] = value
                each.append(joint(bench, densities | known, {**values, variable: column}) - base)
            effects += np.logaddexp.reduce(each)
        return base + effects

    lines = lines_of(bench, levels, densities, state.values, states)
    for effect in lines.models[variable].intercepts:
        directions = list(lines.directions(effect))
        assert [len(each) for each in directions] == [1, 2]  # y moves against it in the second
        for direction in directions:
            delta = rng.normal(size=len(levels.clusters))
            density, before = lines.density(direction), everything()
            gained = (density(delta) - density(np.zeros_like(delta))).sum()
            lines.put(direction, delta)
            np.testing.assert_allclose(gained, everything() - before, atol=1e-7)
        (_, again) = lines.directions(effect)  # which must not depend on what has moved
        for model, by in directions[1].items():
            np.testing.assert_allclose(by, again[model], rtol=1e-9, atol=1e-12)


def test_means_of_large_clusters_without_values_do_not_stay_where_they_started(monkeypatch):
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(6), 50)
    x = rng.normal(size=6)[g] + rng.normal(size=g.size)
    b = rng.random(g.size) < stats.logistic.cdf(rng.normal(size=6)[g])
    y = x + b + rng.normal(size=6)[g] + rng.normal(size=g.size)
    df = pd.DataFrame({"g": g, "x": np.where(g == 0, np.nan, x), "y": y})
    df["b"] = np.where(g == 1, np.nan, b)

    def levels(data):
        return {
            "x": data.loc[data["g"] == 0, "x"].mean(),
            "b": data.loc[data["g"] == 1, "b"].mean(),
        }

    def remembered():
        run = bi.impute(
            df, cluster="g", analysis="y ~ x + b + (1 | g)", m=2, iterations=25, seed=1,
            progress=False, monitor={"of": levels},
        )  # fmt: skip
        draws = run.history.monitored["of"]
        return [
            np.corrcoef(draws[:, :-1, k].ravel(), draws[:, 1:, k].ravel())[0, 1] for k in (0, 1)
        ]

    assert max(remembered()) < 0.6
    monkeypatch.setattr(live_cells, "move_levels", lambda *_: False)
    assert min(remembered()) > 0.8


def test_levels_are_of_clusters_with_most_values_missing_and_no_ignored_row(gaps):
    df = gaps[["school", "x", "size", "y"]]
    ignored = ((df["school"] == "s1") & (df.index % 2 == 0)).to_numpy()
    for ignore, count in ((None, 2), (ignored, 1)):
        bench, _, _ = stood(
            bi.impute(df, analysis="y ~ x + size + (1 | school)", ignore=ignore, **RUN)
        )
        assert len(bench.levels["x"].clusters) == count
    seldom = df.assign(x=df["x"].fillna(0.3).mask(df.index % 5 == 0))
    bench, _, _ = stood(bi.impute(seldom, analysis="y ~ x + size + (1 | school)", **RUN))
    assert bench.live and not bench.levels
