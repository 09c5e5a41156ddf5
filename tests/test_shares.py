"""Shares of imputed categories: recorded, kept, judged and drawn in place of a mean of codes."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import matplotlib as mpl

mpl.use("agg")

import arviz
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi
from bayesimpute.diagnose.chains import frozen, mixing
from bayesimpute.diagnose.examined import Examined
from bayesimpute.diagnostics import r_hat
from bayesimpute.engine.history import History, labels_of, shares_of
from bayesimpute.plots.chains import least_agreeing
from bayesimpute.result.codec import decode, encode

SIZES = {"ct": 4, "grade": 3, "flag": 2, "town": 3}


@pytest.fixture(scope="module")
def frame():
    """Nominal of four (one never observed), ordered, boolean, text, and a number."""
    rng = np.random.default_rng(4)
    n = 90
    df = pd.DataFrame({"x": rng.normal(size=n)})
    df["ct"] = pd.Categorical.from_codes(rng.choice(3, n), ["III", "I", "IV", "unseen"])
    df["grade"] = pd.Categorical.from_codes(rng.choice(3, n), ["low", "mid", "high"], ordered=True)
    df["flag"] = pd.array(rng.random(n) < 0.3, dtype="boolean")
    df["town"] = pd.Series(rng.choice(["b", "a", "c"], n), dtype="str")
    return df.mask(rng.random(df.shape) < 0.3)


def run(frame, iterations=10, **options):
    options = {"m": 3, "seed": 3, **options}
    return bi.impute(frame, method="sample", iterations=iterations, progress=False, **options)


@pytest.fixture(scope="module")
def imp(frame):
    return run(frame)


@pytest.fixture(scope="module")
def longer(frame):
    return run(frame, m=20, iterations=20)


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def same(first, second):
    assert first.history.chain_share.keys() == second.history.chain_share.keys() == SIZES.keys()
    for name, shares in first.history.chain_share.items():
        np.testing.assert_array_equal(shares, second.history.chain_share[name])


def with_shares(imp, **changed):
    shares = {**imp.history.chain_share, **changed}
    return replace(imp, history=replace(imp.history, chain_share=shares))


def older(imp):
    """The result as a file from before shares were recorded gives it."""
    arrays: dict[str, np.ndarray] = {}
    description = encode(imp.history, History, arrays)
    del description["chain_share"]
    return replace(imp, history=decode(description, History, arrays))


def test_shares_of_codes_count_those_that_are_codes():
    assert shares_of(np.array([0.0, 3, 3, 1]), 5).tolist() == [0.25, 0.25, 0, 0.5, 0]
    assert shares_of(np.array([0.0, 3, -1, 0.5]), 3).tolist() == [0.25, 0, 0]
    assert np.isnan(shares_of(np.empty(0), 2)).all()
    assert labels_of([1, "1", 2]) == ("1", "'1'", "2")


def test_shares_are_those_of_the_completed_data_in_the_order_of_the_categories(imp, frame):
    for name, k in SIZES.items():
        shares = imp.history.chain_share[name]
        assert shares.shape == (3, 10, k)
        np.testing.assert_allclose(shares.sum(axis=2), 1)
        order = imp.specification.table.variables[name].categories
        for chain in range(3):
            drawn = imp.complete(chain + 1).loc[frame[name].isna(), name]
            counted = drawn.value_counts(normalize=True).reindex(list(order), fill_value=0)
            np.testing.assert_allclose(shares[chain, -1], counted)
    assert (imp.history.chain_share["ct"][:, :, 3] == 0).all()
    assert np.ptp(imp.history.chain_share["ct"][:, :, 0]) > 0


def test_mean_of_codes_follows_from_the_shares(imp):
    for name, k in SIZES.items():
        mean = imp.history.chain_share[name] @ np.arange(1, k + 1)
        np.testing.assert_allclose(mean, imp.history.chain_mean[name])


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_give_the_same_shares(imp, frame, workers):
    with ThreadPoolExecutor(workers) as executor:
        same(run(frame, executor=executor), imp)


def test_going_on_gives_the_same_shares_as_one_longer_run(imp, frame, tmp_path):
    short = run(frame, iterations=5)
    same(short.extend(5, progress=False), imp)
    short.to_netcdf(tmp_path / "imp.nc")
    opened = bi.open(tmp_path / "imp.nc")
    same(opened, short)
    same(opened.extend(5, progress=False), imp)


def test_a_checkpoint_goes_on_with_its_shares(imp, frame, tmp_path):
    run(frame, iterations=1, checkpoint=tmp_path / "run.nc")
    again = run(frame, iterations=2, checkpoint=tmp_path / "run.nc")
    for name, shares in again.history.chain_share.items():
        np.testing.assert_array_equal(shares, imp.history.chain_share[name][:, :2])


def test_shares_move_with_the_labels(imp, frame):
    renamed = frame.assign(ct=frame["ct"].cat.rename_categories({"III": "three"}))
    same(run(renamed), imp)
    turned = frame.assign(ct=frame["ct"].cat.reorder_categories(["unseen", "IV", "I", "III"]))
    again = run(turned)
    last = again.history.chain_share["ct"][0, -1]
    drawn = again.complete(1).loc[frame["ct"].isna(), "ct"]
    assert last.tolist() == [(drawn == label).mean() for label in ("unseen", "IV", "I", "III")]
    rows = again.diagnostics().query("variable == 'ct'").set_index("quantity")
    assert rows.loc["share[III]", "mean"] == again.history.chain_share["ct"][:, :, 3].mean()


def test_convergence_has_a_row_a_category_and_leaves_the_others_as_they_were(imp):
    table = imp.convergence("share")
    assert list(table.columns) == [".it", "vrb", "ac", "psrf"]
    assert table["vrb"].unique().tolist() == [
        "ct[III]", "ct[I]", "ct[IV]", "ct[unseen]", "grade[low]", "grade[mid]", "grade[high]",
        "flag[False]", "flag[True]", "town[a]", "town[b]", "town[c]",
    ]  # fmt: skip
    part = table[table["vrb"] == "ct[IV]"]
    draws = imp.history.chain_share["ct"][:, :, 2].T
    assert part["psrf"].iloc[-1] == bi.diagnostics.rstan_rhat(draws)
    assert table.loc[table["vrb"] == "ct[unseen]", "psrf"].isna().all()
    both = imp.convergence("all")
    assert both["parameter"].unique().tolist() == ["mean", "sd", "share"]
    pd.testing.assert_frame_equal(
        both[both["parameter"] != "share"].reset_index(drop=True), older(imp).convergence("all")
    )


def test_diagnostics_judge_shares_in_place_of_codes_and_one_of_two(imp):
    table = imp.diagnostics().set_index(["variable", "quantity"])
    assert table.loc[["ct"]].index.get_level_values(1).tolist() == [
        "share[III]", "share[I]", "share[IV]", "share[unseen]",
    ]  # fmt: skip
    assert table.loc[["flag"]].index.get_level_values(1).tolist() == ["share[True]"]
    assert table.loc[["x"]].index.get_level_values(1).tolist() == ["mean", "sd"]
    draws = imp.history.chain_share["ct"][:, :, 1]
    assert table.loc[("ct", "share[I]"), "r_hat"] == arviz.rhat(draws, method="rank")
    assert table.loc[("ct", "share[I]"), "ess_bulk"] == arviz.ess(draws, method="bulk")
    assert np.isnan(table.loc[("ct", "share[unseen]"), "r_hat"])
    tree = imp.datatree["posterior"]
    assert {"ct.mean", "ct.sd", "flag.mean"} <= set(tree.data_vars)
    assert tree["ct.share_term"].values.tolist() == ["III", "I", "IV", "unseen"]


def test_chains_that_differ_in_shares_but_not_in_the_mean_of_codes_are_found(longer):
    rng = np.random.default_rng(1)
    middle = np.clip(np.where(np.arange(20) < 10, 0.2, 0.6)[:, None] + rng.normal(
        0, 0.02, (20, 20)), 0, 1)  # fmt: skip
    outer = (1 - middle) / 2 + rng.normal(0, 0.01, (20, 20))
    apart = np.stack([outer, middle, 1 - outer - middle, 0 * outer], axis=-1)
    findings = with_shares(longer, ct=apart).diagnose()
    row = findings[findings["variable"] == "ct"].iloc[0]
    assert row["finding"] == "the chains have not met"
    assert row["evidence"].startswith("share[") and "of 2 more quantities" in row["evidence"]
    assert r_hat(apart @ np.arange(4)) < 1.1
    assert "the chains have not met" not in set(longer.diagnose()["finding"])


def rare(chains, iterations, places):
    """Shares of a category of which there is one cell, at these (chain, iteration)."""
    shares = np.zeros((chains, iterations, 4))
    rng = np.random.default_rng(2)
    shares[..., :2] = rng.multinomial(30, [0.5, 0.5], (chains, iterations)) / 31
    for chain, iteration in places:
        shares[chain, iteration, 2] = 1 / 31
    return shares


@pytest.mark.parametrize(
    ("places", "seen"),
    [
        ([], False),
        ([(2, 15)], False),
        ([(2, 15), (2, 17)], False),
        ([(2, t) for t in range(11, 20)], False),
        ([(c, t) for c in range(5) for t in range(20)], True),
    ],
    ids=["never", "once", "twice in one chain", "for some iterations", "for ever in five chains"],
)
def test_a_category_that_is_hardly_ever_imputed_is_no_alarm_unless_it_stays(longer, places, seen):
    judged = _judged(with_shares(longer, ct=rare(20, 20, places)))
    found = [each for each in mixing(judged, 1.05, None) if each.variable == "ct"]
    assert bool(found) is seen
    if seen:
        assert found[0].evidence.startswith("share[IV]: R-hat inf")


def test_a_chain_whose_mean_of_codes_stands_still_while_shares_move_is_not_stuck(imp):
    shares = imp.history.chain_share["ct"].copy()
    history = replace(imp.history, chain_mean={**imp.history.chain_mean, "ct": np.ones((3, 10))})
    moving = replace(imp, history=history)
    assert not [f for f in frozen(_judged(moving)) if f.variable == "ct"]
    shares[1] = shares[1, :1]
    (finding,) = [f for f in frozen(_judged(with_shares(imp, ct=shares))) if f.variable == "ct"]
    assert "give the same shares" in finding.evidence and "(imputation 2)" in finding.evidence


def _judged(imp):
    return Examined.of(imp)


def test_an_older_file_falls_back_to_codes_until_it_has_gone_on(imp, frame):
    old = older(run(frame, iterations=5))
    assert old.history.chain_share == {}
    quantities = old.diagnostics().query("variable == 'ct'")["quantity"].tolist()
    assert quantities == ["mean", "sd"]
    assert old.convergence("share").empty
    assert old.plot_trace("ct").axes[0].get_title(loc="left").startswith("ct: mean of codes")
    on = old.extend(5, progress=False)
    shares = on.history.chain_share["ct"]
    assert np.isnan(shares[:, :5]).all()
    np.testing.assert_array_equal(shares[:, 5:], imp.history.chain_share["ct"][:, 5:])
    whole = on.diagnostics().query("variable == 'ct'")["quantity"].tolist()
    assert whole == ["mean", "sd"]
    assert "share[I]" in set(on.diagnostics(discard=5)["quantity"])
    assert on.plot_trace("ct").axes[0].get_title(loc="left").startswith("ct: mean of codes")


def test_a_parameter_of_ones_own_model_may_be_called_share(imp):
    parameters = {**imp.history.parameters, "ct": {"share": np.full((3, 10), 7.0)}}
    labels = {**imp.history.labels, "ct": {"share": ()}}
    posterior = replace(
        imp, history=replace(imp.history, parameters=parameters, labels=labels)
    ).datatree["posterior"]
    assert posterior["ct.share"].sizes["ct.share_term"] == 4
    assert posterior["ct.share_"].attrs["role"] == "parameter"


def titles(figure):
    return [ax.get_title(loc="left") for ax in figure.axes]


def note(figure):
    return figure.get_supxlabel().replace("\n", " ")


def test_the_trace_shows_the_two_categories_that_agree_least(imp):
    draws = imp.history.chain_share["ct"]
    r_hats = [arviz.rhat(draws[:, :, k], method="rank") for k in range(3)]
    first, second = np.argsort(r_hats)[::-1][:2]
    labels = ["III", "I", "IV"]
    figure = imp.plot_trace("ct")
    assert titles(figure) == [
        f"ct: share of {labels[k]}   R̂ {r_hats[k]:.2f}" for k in (first, second)
    ]
    assert note(figure).endswith("of more than two categories the two with the largest R̂")
    for ax, k in zip(figure.axes, (first, second), strict=True):
        np.testing.assert_array_equal([line.get_ydata() for line in ax.get_lines()], draws[:, :, k])
    assert note(imp.plot_trace("x")) == "one line a chain (m = 3)"
    assert titles(imp.plot_trace("flag"))[0].startswith("flag: share of True")


def test_without_an_r_hat_the_most_frequent_categories_are_shown(frame):
    short = run(frame, iterations=2)
    shares = short.history.chain_share["ct"].mean(axis=(0, 1))
    labels = np.array(["III", "I", "IV", "unseen"])[np.argsort(-shares)]
    figure = short.plot_trace("ct")
    assert titles(figure) == [f"ct: share of {label}" for label in labels[:2]]
    assert note(figure).endswith("the two with the largest shares")


def test_chains_that_never_move_agree_least_of_all():
    rng = np.random.default_rng(1)
    shares = rng.random((4, 10, 5))
    shares[:, :, 2] = np.arange(4)[:, None] / 4
    shares[:, :, 4] = 0
    chosen, by_r_hat = least_agreeing(shares)
    assert chosen[0] == 2 and 4 not in chosen and by_r_hat
    shares[:, :, 1] += 2
    chosen, by_r_hat = least_agreeing(shares[:1])
    assert chosen[0] == 1 and not by_r_hat


def test_titles_fit_their_panels_in_print_with_r_hat_below_them(imp):
    long = ["employed full-time", "employed part-time", "unemployed and seeking", "unseen"]
    data = imp.data.rename(columns={"ct": "employment_status"})
    data["employment_status"] = data["employment_status"].cat.rename_categories(long)
    figure = run(data).plot_trace(["employment_status", "x"], figsize=(3.5, 2.6))
    figure.draw_without_rendering()
    first, second, mean, _ = figure.axes
    inches = [ax._left_title.get_window_extent().x1 / figure.dpi for ax in (first, second)]
    left = second.get_tightbbox().x0 / figure.dpi
    assert inches[0] < second.get_window_extent().x0 / figure.dpi and inches[1] <= 3.5
    assert left > 1.4 and "…: share of " in first.get_title(loc="left")
    r = [ax.get_title(loc="left").split("R̂ ")[1] for ax in (first, second)]
    assert float(r[0]) >= float(r[1])
    assert mean.get_title(loc="left").startswith("x: mean   R̂ ")


def test_titles_of_chain_plots_are_broken_and_shrunk_where_they_do_not_fit(imp):
    data = imp.data.rename(columns={"ct": "a_variable_with_a_long_name"})
    figure = run(data).plot_chains("trace", figsize=(3.5, 4), backend="matplotlib")
    axes = figure.viz["figure"].item().axes
    titles = {ax.get_title() for ax in axes}
    assert any(title.startswith("a_variable_with_a_long_name:\nshare[") for title in titles)
    assert "x: mean" in titles
    for ax in axes:
        assert ax.title.get_window_extent().width <= 1.05 * ax.get_window_extent().width


@pytest.mark.parametrize("kind", ["rank", "ess_evolution"])
def test_labels_of_chain_plots_are_neither_clipped_nor_cover_each_other_in_print(imp, kind):
    plot = imp.plot_chains(kind, variable="ct", figsize=(3.5, 2.8), backend="matplotlib")
    figure = plot.viz["figure"].item()
    figure.draw_without_rendering()
    boxes = [ax.xaxis.label.get_window_extent() for ax in figure.axes if ax.get_xlabel()]
    assert len(boxes) == 2 and boxes[0].x1 < boxes[1].x0
    assert boxes[0].x0 >= 0 and boxes[1].x1 <= 3.5 * figure.dpi


def test_rank_plots_leave_out_categories_that_are_hardly_ever_imputed(longer):
    places = [(c, t) for c in range(20) for t in range(20) if t < (2 if c < 12 else 18)]
    shares = rare(20, 20, places)
    shares[:, :, :2] = np.random.default_rng(1).dirichlet([5, 5], (20, 20))
    imp = with_shares(longer, ct=shares)
    assert np.mean(shares[..., 2] > 0) < 0.5 and r_hat(shares[..., 2]) > r_hat(shares[..., 0])
    ranked = imp.plot_chains("rank", "ct", backend="none").viz["plot"].data_vars
    assert list(ranked) == ["ct: share[III]", "ct: share[I]"]


def test_chain_plots_show_the_same_categories_and_any_other_by_name(imp):
    def drawn(*arguments):
        collection = imp.plot_chains(*arguments, backend="none")
        return list(collection.viz["plot"].data_vars)

    traced = [title.split("share of ")[1].split(" ")[0] for title in titles(imp.plot_trace("ct"))]
    assert sorted(drawn("trace", "ct")) == sorted(f"ct: share[{label}]" for label in traced)
    assert drawn("rank", ["flag", "x"]) == ["x: mean", "x: sd", "flag: share[True]"]
    assert len(drawn("trace", "ct", "share")) == 4
    assert drawn("trace", "ct", ["mean", "share[I]"]) == ["ct: mean", "ct: share[I]"]
