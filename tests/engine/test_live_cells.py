"""Missing values drawn from their own model times those they stand in."""

from dataclasses import fields, replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesimpute as bi
from bayesimpute.engine import live_cells, normal_cells
from bayesimpute.engine.adapt import reference_values
from bayesimpute.engine.bench import Bench
from bayesimpute.engine.chain import ChainState, fill
from bayesimpute.engine.completed import update_passive
from bayesimpute.engine.line_draws import by_slice, from_normal
from bayesimpute.engine.live_cells import Drawing, redraw
from bayesimpute.method import Design, Kind

RUN = {"cluster": "school", "m": 3, "iterations": 3, "seed": 7, "progress": False}
ANALYSIS = "y ~ x * size + kind + I(x**2) + (1 + x | school)"


@pytest.fixture(scope="module")
def run(study):
    return bi.impute(study, analysis=ANALYSIS, **RUN)


def assert_same(a, b):
    assert a.history.imputed.keys() == b.history.imputed.keys()
    for name, values in a.history.imputed.items():
        assert np.array_equal(values, b.history.imputed[name]), name
        for key, draws in a.history.parameters[name].items():
            assert np.array_equal(draws, b.history.parameters[name][key], equal_nan=True)


@pytest.mark.parametrize("unit", ["row", "cluster"])
def test_models_are_compared_by_observed_values_alone(study, run, unit):
    """Imputed ones were drawn from the run's model, and would speak for it."""
    model = {"plain": {"method": "normal", "formula": "x ~ 1"}}
    asked = {"unit": unit, "imputations": 2, "draws": 100, "seed": 1}
    elpd = run.compare_models("x", model, **asked).pointwise["plain"].sum()
    seen = study["x"].dropna()
    density = stats.norm(seen.mean(), seen.std(ddof=0)).logpdf(seen).sum()
    assert density - 4 < elpd < density - 1  # two parameters


# --- what must never depend on how it was run -----------------------------------------------------


def test_no_missing_cell_is_left_and_no_observed_cell_changes(study, run):
    for completed in run.complete("all"):
        assert not completed.isna().any().any()
        for name in study:
            seen = study[name].notna()
            assert completed.loc[seen, name].equals(study.loc[seen, name])
        assert (completed.groupby("school")["size"].nunique() == 1).all()


def test_shuffled_rows_give_the_same_values(study, run):
    again = bi.impute(study.sample(frac=1, random_state=1), analysis=ANALYSIS, **RUN)
    for k in (1, 3):
        pd.testing.assert_frame_equal(again.complete(k).sort_index(), run.complete(k))


def test_relabelled_clusters_give_the_same_values(study, run):
    renamed = study.assign(school=study["school"].map(lambda s: (7 * int(s[1:])) % 12))
    again = bi.impute(renamed, analysis=ANALYSIS, **RUN)
    pd.testing.assert_frame_equal(
        again.complete(1).drop(columns="school"), run.complete(1).drop(columns="school")
    )


def test_one_core_and_two_give_the_same_bits(study):
    assert_same(*(bi.impute(study, analysis=ANALYSIS, cores=k, **RUN) for k in (1, 2)))


def test_extending_and_going_on_from_a_file_equal_one_longer_run(study, run, tmp_path):
    short = {**RUN, "iterations": 1, "analysis": ANALYSIS}
    assert_same(run, bi.impute(study, **short).extend(2))
    bi.impute(study, **short, checkpoint=tmp_path / "run.nc")
    long = {**short, "iterations": 3}
    assert_same(run, bi.impute(study, **long, checkpoint=tmp_path / "run.nc"))


# --- densities ------------------------------------------------------------------------------------


def stood(imputed):
    """Where the first chain of a run stands: models, completed data, and their densities."""
    specification = imputed.specification
    bench = Bench.of(specification, reference_values(specification, imputed.seed))
    state = ChainState.from_bytes(specification, imputed.history.states[0])
    rng = np.random.default_rng(0)
    densities = {
        name: bench.kernels[name].log_density(bench.design(name, state.values), held, rng)
        for name, held in state.kernel.items()
    }
    return bench, state, densities


def joint(bench, densities, values):
    """Log density of all values that are known or live, by the designs of whole models."""
    specification, total = bench.specification, 0.0
    for name, density in densities.items():
        builder = bench.builders[name]
        told = ~np.isnan(specification.known[name]) | specification.live_rows(name)
        if builder.target.level == 2:
            told = np.bincount(builder.clusters.codes[told], minlength=builder.clusters.n) > 0
        total += density(bench.design(name, values))[told].sum()
    return total


def agrees_with_whole_designs(bench, state, densities):
    rng, designs = np.random.default_rng(1), bench.designs(state.values)
    assert bench.live
    for variable, live in bench.live.items():
        for cells in live.waves[:2]:
            drawing = Drawing(bench, variable, live, cells, state.values, densities, designs)
            observed = bench.specification.known[variable]
            candidates = rng.choice(observed[~np.isnan(observed)], len(cells))
            gained = drawing.log_density(candidates) - drawing.log_density(drawing.current)
            before = joint(bench, densities, state.values)
            for k in {0, len(cells) // 2, len(cells) - 1}:
                moved = drawing.current.copy()
                moved[k] = candidates[k]
                values = dict(state.values)
                drawing.put(moved, values)
                update_passive(bench.specification, values, [variable])
                after = joint(bench, densities, values)
                np.testing.assert_allclose(gained[k], after - before, atol=1e-8)


TERMS = {
    "everything at once": (ANALYSIS, {}),
    "the mean of a cluster": ("y ~ x + cluster_mean(x) + size + (1 | school)", {}),
    "a random slope of a category": ("y ~ x * kind + (1 + kind | school)", {}),
    "a passive variable": ("y ~ x + p + (1 | school)", {"method": {"p": "~ I(x * size)"}}),
    "another model than the normal": (
        "y ~ x * size + kind + (1 | school)",
        {"family": "normal.robust", "formulas": {"x": "x ~ cluster_mean(kind) + (1 | school)"}},
    ),
}


@pytest.mark.parametrize("name", TERMS)
def test_densities_of_cells_differ_as_the_whole_joint_density_does(study, name):
    analysis, given = TERMS[name]
    df = study.assign(p=study["x"] * study["size"]) if "passive" in name else study
    bench, state, densities = stood(
        bi.impute(df, analysis=analysis, **{**RUN, "m": 1, "iterations": 1}, **given)
    )
    agrees_with_whole_designs(bench, state, densities)


def test_cells_that_share_a_mean_in_any_model_are_not_drawn_at_once(study):
    df = study.drop(columns="kind").assign(group=np.arange(len(study)) % 5)
    bench, state, densities = stood(
        bi.impute(
            df,
            analysis=[
                "y ~ x + size + cluster_mean(x) + (1 | school)",
                "size ~ cluster_mean(x) + (1 | group)",
            ],
            m=1, iterations=1, seed=7, progress=False,
        )
    )  # fmt: skip
    waves = bench.live["x"].waves
    cells = np.sort(np.concatenate(waves))
    np.testing.assert_array_equal(cells, np.flatnonzero(bench.specification.live_rows("x")))
    for name in ("y", "size"):
        codes = bench.builders[name].clusters.codes
        assert all(len(set(codes[wave])) == len(wave) for wave in waves)
    agrees_with_whole_designs(bench, state, densities)


LINES = {
    "a product, a category and a random slope": (
        "y ~ x * size + x * kind + (1 + x | school)",
        ["x"],
    ),
    "cells of clusters": ("y ~ x * size + (1 + x | school)", ["size", "x"]),
    "a latent mean": ("y ~ x + latent_mean(x) + size + (1 | school)", ["latent_mean(x)", "x"]),
    "a product inside a function": ("y ~ x + I(size * x) + (1 | school)", []),
}


@pytest.mark.parametrize("name", LINES)
def test_distributions_of_normal_cells_are_those_of_the_whole_joint_density(study, name):
    analysis, normal = LINES[name]
    df = study if "kind" in analysis else study.drop(columns="kind")
    bench, state, densities = stood(
        bi.impute(df, analysis=analysis, **{**RUN, "m": 1, "iterations": 1})
    )
    assert sorted(bench.normal) == sorted(normal)
    designs, values = bench.designs(state.values), dict(state.values)
    for cells in bench.normal.values():
        assert cells.can_draw(densities)
        mean, sd = cells.distribution(densities, designs, values)
        before = joint(bench, densities, values)
        for k in {0, len(mean) // 2, len(mean) - 1}:
            held = cells.rows[cells.owner == k]
            now = values[cells.name][held[0]]
            for moved in (mean[k] - sd[k], mean[k] + 3 * sd[k]):
                column = values[cells.name].copy()
                column[held] = moved
                gained = joint(bench, densities, {**values, cells.name: column}) - before
                expected = ((now - mean[k]) ** 2 - (moved - mean[k]) ** 2) / (2 * sd[k] ** 2)
                np.testing.assert_allclose(gained, expected, atol=1e-7)


@pytest.mark.parametrize("name", [*TERMS, *LINES])
def test_designs_that_follow_are_those_made_anew(study, name):
    analysis, given = {**TERMS, **{k: (v[0], {}) for k, v in LINES.items()}}[name]
    df = study.assign(p=study["x"] * study["size"]) if "passive" in name else study
    df = df if "kind" in f"{analysis} {given}" else df.drop(columns="kind")
    bench, state, _ = stood(
        bi.impute(df, analysis=analysis, **{**RUN, "m": 1, "iterations": 1}, **given)
    )
    designs, rng = bench.designs(state.values), np.random.default_rng(2)
    for _ in range(2):
        changed = redraw(bench, designs, state.values, state.kernel, rng)
        assert changed
        for model in bench.builders:
            followed, anew = designs(model), bench.design(model, state.values)
            for part in ("x", "z", "y", "around"):
                np.testing.assert_array_equal(getattr(followed, part), getattr(anew, part))
            if model in bench.speaking:  # nor is anything worked out of them stale
                kernel, stand = bench.kernels[model], state.kernel[model]
                each = (kernel.log_density(d, stand, np.random.default_rng(0))(anew) for d in
                        (followed, anew))  # fmt: skip
                np.testing.assert_array_equal(*each)


def test_each_wave_is_drawn_on_designs_that_hold_what_the_last_one_changed(study, monkeypatch):
    df = study.drop(columns="kind").assign(p=study["x"] * study["size"])
    analysis = "y ~ p + cluster_mean(x) + size + (1 | school)"
    given = {**RUN, "m": 1, "iterations": 1, "method": {"p": "~ I(x * size)"}}
    bench, state, _ = stood(bi.impute(df, analysis=analysis, **given))
    waves, designs = [], bench.designs(state.values)

    def drawing(bench, name, live, cells, values, densities, designs):
        if name == "x":
            anew = dict(values)
            update_passive(bench.specification, anew, bench.specification.targets)
            for model in bench.builders:
                np.testing.assert_array_equal(designs(model).x, bench.design(model, anew).x)
            waves.append(anew["p"])
        return Drawing(bench, name, live, cells, values, densities, designs)

    monkeypatch.setattr(live_cells, "Drawing", drawing)
    redraw(bench, designs, state.values, state.kernel, np.random.default_rng(2))
    assert len(waves) == len(bench.live["x"].waves) > 2
    assert all((one != other).any() for one, other in pairwise(waves))


def test_draws_of_normal_cells_keep_their_distribution_and_lean_away_from_the_last(study):
    bench, state, densities = stood(
        bi.impute(study.drop(columns="kind"), analysis=LINES["cells of clusters"][0], **RUN)
    )
    cells, values = bench.normal["x"], dict(state.values)
    designs, rng = bench.designs(values), np.random.default_rng(5)
    mean, sd = cells.distribution(densities, designs, values)
    drawn = []
    for _ in range(800):
        cells.redraw(densities, designs, values, rng)
        drawn.append((values["x"][cells.rows] - mean) / sd)
    z = np.array(drawn[5:])
    assert abs(z.mean()) < 4 / np.sqrt(z.size)
    assert abs((z**2).mean() - 1) < 5 * np.sqrt(2 / z.size)
    assert abs((z[1:] * z[:-1]).mean() - normal_cells.KEPT) < 5 / np.sqrt(z.size)


# --- draws ----------------------------------------------------------------------------------------


def at_all(log_density):
    """One density of all numbers, whichever are asked for."""
    return lambda values, which=None: log_density(values)


def test_a_slice_leaves_two_distant_modes_as_they_are():
    rng = np.random.default_rng(2)
    modes = stats.norm(-1.5, 0.3), stats.norm(1.5, 0.5)
    shares = (0.3, 0.7)

    def log_density(x):
        return np.log(sum(s * mode.pdf(x) for s, mode in zip(shares, modes, strict=True)))

    def below(x):
        return sum(s * mode.cdf(x) for s, mode in zip(shares, modes, strict=True))

    left = rng.random(20_000) < shares[0]
    start = np.where(left, *(mode.rvs(left.size, random_state=rng) for mode in modes))
    drawn = by_slice(at_all(log_density), start, 5 * start.std(), rng)
    assert stats.kstest(drawn, below).pvalue > 0.001
    changed = (drawn < 0) != left
    assert 0.1 < changed.mean() < 0.5  # cells cross the gap


def test_a_slice_of_counts_leaves_them_as_they_are():
    rng = np.random.default_rng(3)
    start = rng.poisson(1.3, 20_000).astype(float)
    drawn = by_slice(at_all(stats.poisson(1.3).logpmf), start, 5.0, rng, whole=True)
    expected = stats.poisson(1.3).pmf(np.arange(6))
    assert np.array_equal(drawn, np.rint(drawn)) and (drawn != start).mean() > 0.4
    seen = np.bincount(drawn.astype(int), minlength=6)[:6] / len(drawn)
    assert (abs(seen - expected) < 4 * np.sqrt(expected * (1 - expected) / len(drawn))).all()


def test_a_normal_value_is_drawn_exactly_wherever_it_was():
    rng = np.random.default_rng(4)
    here = rng.normal(10, 5, size=20_000)
    drawn = from_normal(at_all(stats.norm(-2, 0.3).logpdf), here, 1.7, rng)
    assert stats.kstest(drawn, stats.norm(-2, 0.3).cdf).pvalue > 0.001
    assert abs(np.corrcoef(drawn, here)[0, 1]) < 0.03


def test_normal_models_and_lines_are_drawn_exactly_and_others_are_not(study):
    numbers = study.drop(columns="kind")
    for analysis, exact in {
        "y ~ x * size + (1 + x | school)": True,
        "y ~ x + I(x**2) + (1 | school)": False,
    }.items():
        bench, _, _ = stood(bi.impute(numbers, analysis=analysis, **{**RUN, "m": 1}))
        assert bench.live["x"].gaussian is exact


def test_categories_are_drawn_with_their_probabilities(study, run):
    bench, state, densities = stood(run)
    live = bench.live["kind"]
    designs = bench.designs(state.values)
    drawing = Drawing(bench, "kind", live, live.waves[0], state.values, densities, designs)
    codes, rng = np.arange(3.0), np.random.default_rng(3)
    log_density = np.stack([drawing.log_density(np.full(len(drawing.cells), c)) for c in codes])
    chances = np.exp(log_density - log_density.max(axis=0))
    chances /= chances.sum(axis=0)
    drawn = np.array([live_cells._draw(drawing, live, rng) for _ in range(600)])
    shares = np.stack([(drawn == c).mean(axis=0) for c in codes])
    assert (abs(shares - chances) < 4.5 * np.sqrt(chances * (1 - chances) / 600) + 0.005).all()


def test_without_interaction_or_slope_the_chains_are_those_of_chained_equations():
    rng = np.random.default_rng(4)
    z = rng.normal(size=400)
    x = 0.5 * z + rng.normal(size=400)
    df = pd.DataFrame({"z": z, "x": x, "y": x - z + rng.normal(size=400)})
    df["x"] = df["x"].mask(rng.random(400) < 1 / (1 + np.exp(0.5 - df["y"])))
    given = {"analysis": "y ~ x + z", "m": 8, "iterations": 40, "seed": 5, "progress": False}
    joint_, chained = (
        bi.impute(df, on=on, method={"x": "normal"}, **given) for on in ("analysis", "conditional")
    )
    for quantity in ("chain_mean", "chain_sd"):
        a, b = (getattr(each.history, quantity)["x"][:, 10:] for each in (joint_, chained))
        error = np.hypot(a.mean(axis=1).std(ddof=1), b.mean(axis=1).std(ddof=1)) / np.sqrt(8)
        assert abs(a.mean() - b.mean()) < 4 * error
        assert 0.8 < a.std() / b.std() < 1.25


# --- starts ---------------------------------------------------------------------------------------


def test_chains_start_at_observed_values_of_rows_that_are_alike(study):
    rng = np.random.default_rng(6)
    g = np.repeat(np.arange(20), 10)
    w = rng.normal(size=20)[g]
    x = rng.normal(size=200)
    df = pd.DataFrame({"g": g, "w": w, "x": x, "y": x**2 + w + 0.1 * rng.normal(size=200)})
    df.loc[rng.random(200) < 0.3, "x"] = np.nan
    df.loc[np.isin(g, [2, 5, 7]), "w"] = np.nan
    imputed = bi.impute(
        df, analysis="y ~ I(x**2) + w + (1 | g)", m=1, iterations=1, seed=1, progress=False
    )
    specification = imputed.specification
    filled, other = (fill(specification, np.random.default_rng(k)) for k in (1, 2))
    rows = specification.table.rows  # the order in which values are filled
    for name, truth, least in (("x", x[rows] ** 2, 0.6), ("w", w[rows], 0.6)):
        live = specification.live_rows(name)
        known = specification.known[name]
        assert live.any() and np.isin(filled[name][live], known).all()
        assert not np.array_equal(filled[name], other[name])
        like = filled[name] ** 2 if name == "x" else filled[name]
        assert np.corrcoef(like[live], truth[live])[0, 1] > least
    assert (pd.Series(filled["w"]).groupby(g[rows]).nunique() == 1).all()


def test_chains_of_a_parabola_start_where_they_stay():
    rng = np.random.default_rng(7)
    x = rng.normal(size=150)
    df = pd.DataFrame({"x": x, "y": 0.5 * x + 0.6 * x**2 + rng.normal(size=150)})
    df["x"] = df["x"].mask(rng.random(150) < 1 / (1 + np.exp(0.5 - df["y"])))
    imputed = bi.impute(df, analysis="y ~ x + I(x**2)", m=24, iterations=12, seed=1, progress=False)
    sigma = imputed.history.parameters["y"]["sigma"]
    late = sigma[:, 4:]
    assert abs(sigma[:, 0].mean() - late.mean()) < 4.5 * late.std() / np.sqrt(24)


def test_a_design_changed_by_its_own_way_is_that_of_replace():
    rows = np.arange(3)
    design = Design(
        "y", Kind.NUMERIC, (), rows * 1.0, np.ones((3, 1)), ("x",), np.ones((3, 1)), ("intercept",),
        rows, 3, rows > 0, rows == 0, shift=rows * 2.0, grouping="g",
    )  # fmt: skip
    design.memo["worked out"] = 1
    changed, expected = design.but(y=-design.y), replace(design, y=-design.y)
    assert type(changed) is Design and changed.memo == expected.memo == {}
    assert changed.__dict__.keys() == expected.__dict__.keys()
    for field in fields(Design):
        if field.name not in ("y", "memo"):
            assert getattr(changed, field.name) is getattr(design, field.name)
    assert (changed.y == expected.y).all() and design.memo
