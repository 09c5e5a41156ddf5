"""Simulation studies: the same numbers however they are run, and measures with their errors."""

import doctest
import json
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import matplotlib
import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi
from bayesimpute.content import described
from bayesimpute.errors import (
    AnalysisError,
    BayesimputeError,
    ImputationWarning,
    SpecificationError,
)
from bayesimpute.pooling.variance_intervals import pooled_parameters
from bayesimpute.simulate import performance as measures_module
from bayesimpute.simulate import replicates as runner_module
from bayesimpute.simulate.performance import MEASURES, Replicates, measures, performance
from bayesimpute.simulate.study import Answer, Outcome, Study, as_completed

MCSE = [f"{name}_mcse" for name in MEASURES]


def simulate(seed, rows=30, moving=False):
    rng = np.random.default_rng(seed)
    truth = float(rng.normal()) if moving else 1.0
    y = truth + rng.normal(size=rows)
    complete = pd.DataFrame({"y": y, "z": rng.normal(size=rows)})
    incomplete = complete.assign(y=np.where(y < truth + 1, y, np.nan))
    return bi.simulate.SimulatedStudy(incomplete, complete, {"mean": truth, "more": 2.0})


def mean(frame):
    y = frame["y"]
    return {
        "estimates": {"mean": y.mean()},
        "std_errors": {"mean": y.sem()},
        "df_residual": len(y) - 1,
        "variance_components": {"Residual~~Residual": y.var()},
    }


def from_seed(study, seed):
    drawn = study.incomplete["y"].fillna(np.random.default_rng(seed).normal(2.0))
    return study.incomplete.assign(y=drawn)


METHODS = {
    "complete data": None,
    "complete cases": None,
    "drawn": from_seed,
    "twice": lambda study, seed: [from_seed(study, seed), from_seed(study, seed + 1)],
}


def run(**given):
    arguments = {"simulate": simulate, "methods": METHODS, "analysis": mean, "replicates": 6}
    return bi.simulate.replicate(**{**arguments, "seed": 3, **given})


def same(a, b):
    pd.testing.assert_frame_equal(
        a.estimates.drop(columns="seconds"), b.estimates.drop(columns="seconds"), check_exact=True
    )
    return True


# --- measures ----------------------------------------------------------------------------------


def table(estimate, std_error=0.1, truth=1.0, method="a", half=1.5):
    estimate, std_error = np.asarray(estimate, dtype=float), np.asarray(std_error, dtype=float)
    return pd.DataFrame(
        {
            "replicate": np.arange(len(estimate)),
            "method": method,
            "term": "x",
            "truth": truth,
            "estimate": estimate,
            "std_error": std_error,
            "conf_low": estimate - half * std_error,
            "conf_high": estimate + half * std_error,
        }
    )


def test_measures_and_their_errors_are_those_computed_by_hand():
    found = performance(table([1.2, 0.9, 1.3, 1.0], [0.1, 0.2, 0.1, 0.2]), ["a"]).iloc[0]
    by_hand = {
        "n": 4,
        "bias": 0.1,
        "bias_mcse": (0.1 / 12) ** 0.5,
        "empirical_se": (0.1 / 3) ** 0.5,
        "empirical_se_mcse": (0.1 / 18) ** 0.5,
        "rmse": 0.035**0.5,
        "rmse_mcse": (0.0049 / 12) ** 0.5 / (2 * 0.035**0.5),
        "coverage": 0.5,
        "coverage_mcse": 0.25,
        "width": 0.45,
        "width_mcse": (0.03 / 4) ** 0.5,
        "model_se": 0.025**0.5,
        "model_se_mcse": (0.0003 / (4 * 4 * 0.025)) ** 0.5,
    }
    assert set(by_hand) == set(found.index) - {"method", "term"}
    for name, value in by_hand.items():
        assert found[name] == pytest.approx(value, rel=1e-12), name


def test_monte_carlo_errors_are_the_spread_over_studies():
    rng = np.random.default_rng(1)
    studies = []
    for _ in range(300):
        std_error = 0.2 * np.sqrt(rng.chisquare(9, 60) / 9)
        studies.append(measures(table(1.1 + 0.2 * rng.normal(size=60), std_error)))
    together = pd.DataFrame(studies)
    for name in MEASURES:
        ratio = together[f"{name}_mcse"].mean() / together[name].std()
        assert 0.84 < ratio < 1.16, (name, ratio)  # 4 SE of a standard deviation of 300


def test_one_replicate_has_measures_and_no_errors():
    found = performance(table([1.2]), ["a"]).iloc[0]
    assert found["n"] == 1 and found["bias"] == pytest.approx(0.2) and found["coverage"] == 0
    assert found[[*MCSE, "empirical_se"]].isna().all()


def test_what_is_not_known_is_left_out():
    whole = performance(table([1.2, 0.9, 1.3]), ["a"])
    gap = performance(table([1.2, 0.9, 1.3, np.nan]), ["a"])
    pd.testing.assert_frame_equal(whole, gap)
    untrue = performance(table([1.2, 0.9, 1.3], truth=np.nan), ["a"]).iloc[0]
    assert untrue[["bias", "rmse", "coverage"]].isna().all()
    assert untrue["empirical_se"] == pytest.approx(whole.iloc[0]["empirical_se"])
    component = performance(table([1.2, 0.9, 1.3], std_error=np.nan), ["a"]).iloc[0]
    assert np.isnan(component["coverage"]) and component["bias"] == whole.iloc[0]["bias"]


def test_a_control_takes_away_what_both_methods_share():
    shared = np.array([0.4, -0.2, 0.1, 0.3])
    control, other = table(1 + shared, method="c"), table(1.5 + shared + [0, 0, 0.1, -0.1])
    both = pd.concat([other.iloc[[3, 1, 0, 2]], control])
    plain, against = performance(both, ["c", "a"]), performance(both, ["c", "a"], control="c")
    assert against["bias"].tolist() == pytest.approx([0.0, 0.5])
    assert against.loc[1, "bias_mcse"] == pytest.approx((0.02 / 12) ** 0.5)
    assert plain.loc[1, "bias_mcse"] > 3 * against.loc[1, "bias_mcse"]
    others = [name for name in plain if not name.startswith("bias")]
    pd.testing.assert_frame_equal(plain[others], against[others])


# --- the same numbers --------------------------------------------------------------------------


def test_threads_and_spawned_processes_give_the_same_bits(processes):
    here = run()
    with ThreadPoolExecutor(3) as pool:
        assert same(run(executor=pool), here)
    assert same(run(executor=processes), here)
    assert len(here.estimates) == 6 * 4 * 2 and here.failures.empty
    assert not same_numbers(here, run(seed=4))


def same_numbers(a, b):
    return a.estimates["estimate"].equals(b.estimates["estimate"])


def test_order_of_completion_does_not_matter():
    class Backwards(ThreadPoolExecutor):
        """Starts nothing before everything is there, and then begins at the end."""

        def submit(self, work, *arguments):
            held.append((work, arguments))
            if len(held) < 6:
                future = as_completed.__globals__["Future"]()
                futures.append(future)
                return future
            for (task, given), future in zip(held[4::-1], futures[::-1], strict=True):
                future.set_result(task(*given))
            return super().submit(work, *arguments)

    held, futures = [], []
    with Backwards(1) as pool:
        assert same(run(executor=pool), run())


def test_seeds_belong_to_replicate_and_name():
    whole = run()
    fewer = run(methods={"drawn": from_seed}, replicates=3)
    part = whole.estimates.query("method == 'drawn' and replicate < 3").reset_index(drop=True)
    pd.testing.assert_frame_equal(
        part.drop(columns="seconds"), fewer.estimates.drop(columns="seconds"), check_exact=True
    )
    renamed = run(methods={"other": from_seed}, replicates=3)
    assert not same_numbers(renamed, fewer)
    seeds = [study.data_seed(k) for study in [prepared(seed=1), prepared(seed=2)] for k in (0, 1)]
    seeds += [prepared(seed=1).method_seed(k, name) for k in (0, 1) for name in "ab"]
    assert len(set(seeds)) == 8


def prepared(seed):
    return Study(simulate, {}, mean, None, None, seed)


def test_a_method_that_spoils_its_data_spoils_no_others():
    def spoil(study, seed):
        study.incomplete["y"] = 0.0
        study.complete["y"] = 0.0
        return [1.0], [1.0]

    found = run(methods={"spoil": spoil, **METHODS}).estimates
    rest = found[found["method"] != "spoil"].reset_index(drop=True)
    pd.testing.assert_frame_equal(
        rest.drop(columns="seconds"), run().estimates.drop(columns="seconds")
    )


# --- folders -----------------------------------------------------------------------------------


def test_a_study_goes_on_from_its_folder(tmp_path):
    whole, made = run(), []

    def interrupted(seed):
        made.append(seed)
        if len(made) == 5:  # the first one is looked at before any work
            raise KeyboardInterrupt
        return simulate(seed)

    with pytest.warns(ImputationWarning, match=r"after 3 of 6 .* goes on from folder 's'"):
        part = run(simulate=interrupted, folder=tmp_path / "s")
    assert part.replicates == 3 and part.estimates["replicate"].unique().tolist() == [0, 1, 2]
    early = whole.estimates[whole.estimates["replicate"] < 3].drop(columns="seconds")
    assert part.estimates.drop(columns="seconds").equals(early)
    finished = sorted((tmp_path / "s").glob("*/*.json"))
    assert len(finished) == 3 * len(METHODS) and not list(tmp_path.rglob("*.part"))

    folder = tmp_path / "t"
    two = {name: METHODS[name] for name in ("complete data", "drawn")}
    run(folder=folder, methods=two, replicates=3)
    cut = sorted(folder.glob("drawn-*/*.json"))[1]
    cut.write_text(cut.read_text("utf-8")[:40], "utf-8")  # as after a power cut
    untouched = sorted(folder.glob("complete-data-*/*.json"))[0].stat().st_mtime_ns
    with ThreadPoolExecutor(2) as pool:
        assert same(run(folder=folder, executor=pool), whole)
    assert sorted(folder.glob("complete-data-*/*.json"))[0].stat().st_mtime_ns == untouched
    again = run(folder=folder, seed=None, simulate=simulate)
    assert same(again, whole) and again.seed == 3
    assert again.estimates.equals(run(folder=folder).estimates)  # seconds are kept, too


def test_a_finished_study_is_read_and_not_run(tmp_path):
    made = tmp_path / "made"

    def counted(seed):
        with made.open("a", encoding="utf-8") as file:
            file.write("x")
        return simulate(seed)

    first = run(simulate=counted, folder=tmp_path)
    assert len(made.read_text("utf-8")) == 7  # one is looked at before any work
    made.unlink()
    assert same(run(simulate=counted, folder=tmp_path), first)
    other = run(simulate=counted, folder=tmp_path, truth={"mean": 5.0}, conf_level=0.5)
    assert not made.exists() and (other.performance()["bias"].dropna() < -3).all()
    assert (other.performance()["width"] < first.performance()["width"]).any()
    assert run(simulate=counted, folder=tmp_path, replicates=2).replicates == 2


def test_floats_come_back_bit_for_bit(tmp_path):
    values = [0.1 + 0.2, 1e-310, -0.0, 1.7976931348623157e308]

    def odd(study, seed):
        q = bi.pool([[v] for v in values[:2]], [[1.0], [1.0]], dfcom=None)
        q.table.loc["0", ["estimate", "std_error", "df", "fmi"]] = [*values[:2], np.inf, np.nan]
        return q

    fresh = run(methods={"odd": odd}, truth={"0": np.nan}, folder=tmp_path).estimates
    read = run(methods={"odd": odd}, truth={"0": np.nan}, folder=tmp_path).estimates
    for column in ("estimate", "std_error", "df", "fmi", "conf_high", "seconds"):
        assert fresh[column].to_numpy().tobytes() == read[column].to_numpy().tobytes(), column
    assert fresh["df"].iloc[0] == np.inf
    outcome = Outcome(0, "m", 1.0, {"a": np.nan, "b": -0.0}, [Answer("x", *values)], [], None)
    back = Outcome.from_json(outcome.to_json())
    assert repr(back.answers) == repr(outcome.answers) and repr(back.truth) == repr(outcome.truth)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": 4}, "seed was 3, and is now 4"),
        ({"dfcom": 5}, "dfcom was None, and is now 5.0"),
        ({"analysis": "y ~ z"}, "analysis was"),
        ({"simulate": partial(simulate, rows=31)}, "simulate was .* is now .*rows=31"),
        ({"methods": {"drawn": lambda study, seed: study.complete}}, "method 'drawn' was"),
        ({"methods": {"drawn": "normal"}}, "method 'drawn' was .* is now .*normal"),
        ({"seed": 4, "dfcom": 5}, "seed was .*; dfcom differ, too"),
    ],
)
def test_another_study_in_the_same_folder_is_refused(tmp_path, change, words):
    run(folder=tmp_path, replicates=1)
    before = {path: path.read_text("utf-8") for path in tmp_path.rglob("*.json")}
    with pytest.raises(SpecificationError, match=words):
        run(folder=tmp_path, replicates=1, **change)
    assert before == {path: path.read_text("utf-8") for path in tmp_path.rglob("*.json")}


def test_a_folder_that_is_none_of_ours_is_refused(tmp_path):
    (tmp_path / "study.json").write_text("{}", "utf-8")
    with pytest.raises(BayesimputeError, match="damaged"):
        run(folder=tmp_path)
    (tmp_path / "study.json").write_text(json.dumps({"format": "x", "format_version": 9}), "utf-8")
    with pytest.raises(BayesimputeError, match="format"):
        run(folder=tmp_path)
    with pytest.raises(SpecificationError, match="is a file"):
        run(folder=tmp_path / "study.json")


def adding(n):
    return lambda x: x + n


def defined(text, **names):
    namespace = {"__name__": "somewhere", **names}
    exec(compile(text, f"file {len(text)}", "exec"), namespace)
    return namespace["f"]


def test_functions_are_known_by_what_they_do():
    text = "def g(x):\n    return x + 1\ndef f(x):\n    return g(x) * SIZE in {1, 'a', (2, 3)}\n"
    one = described(defined(text, SIZE=2))
    assert one == described(defined(f"\n\n# moved\n{text}", SIZE=2))
    for other in (text.replace("+ 1", "+ 2"), text.replace("* SIZE", "+ SIZE")):
        assert one != described(defined(other, SIZE=2))
    assert one != described(defined(text, SIZE=3))
    again = "def f(x):\n    return f(x - 1) if x else 0\n"
    assert described(defined(again)) == described(defined(f"\n{again}"))  # calls itself
    frame = pd.DataFrame({"a": [1, 2]})
    assert described(frame) == described(frame.copy()) != described(frame.assign(a=[1, 3]))
    assert described(bi.delta("normal", 1.0)) != described(bi.delta("normal", 2.0))
    closed = [described(adding(n)) for n in (1, 1, 2)]
    assert closed[0] == closed[1] != closed[2]


def test_priors_are_part_of_a_method():
    import pymc as pm

    one, same_one, other = (described({"sd": pm.HalfNormal.dist(s)}) for s in (1.0, 1.0, 2.0))
    assert one == same_one != other


# --- failures, warnings, truth -----------------------------------------------------------------


def test_failures_are_recorded_and_the_study_goes_on(tmp_path):
    def sometimes(study, seed):
        if study.complete["y"].iloc[0] > 1:
            raise ValueError("no convergence")
        return study.complete

    def never(study, seed):
        return "nothing"

    methods = {"complete data": None, "sometimes": sometimes, "never": never}
    found = run(methods=methods, folder=tmp_path)
    failed = found.failures.query("method == 'sometimes'")
    assert 0 < len(failed) < 6 and set(failed["error"]) == {"ValueError: no convergence"}
    assert "returned str" in found.failures.query("method == 'never'")["error"].iloc[0]
    table = found.performance().query("term == 'mean'").set_index("method")
    assert table["n"].tolist() == [6, 6 - len(failed), 0]
    assert table["failed"].tolist() == [0, len(failed), 6]
    assert f"{6 + len(failed)} failed" in repr(found)
    again = run(methods=methods, folder=tmp_path)
    assert again.failures.equals(found.failures)
    everything = run(methods={"never": never})
    assert everything.performance()["n"].tolist() == [0] and everything.estimates.empty


def test_what_the_analysis_warns_of_is_kept():
    def singular(frame):
        warnings.warn("singular fit", RuntimeWarning, stacklevel=2)
        return mean(frame)

    found = run(analysis=singular, replicates=2)
    assert len(found.warnings) == 2 * 4 and found.warnings["replicate"].tolist()[:4] == [0] * 4
    assert found.warnings["warning"].str.contains("singular fit").all()


def test_truth_may_vary_by_replicate():
    found = run(simulate=partial(simulate, moving=True), replicates=40)
    truth = found.estimates.query("term == 'mean'").groupby("replicate")["truth"]
    assert (truth.nunique() == 1).all() and truth.first().nunique() == 40
    complete = found.performance().query("method == 'complete data' and term == 'mean'").iloc[0]
    assert abs(complete["bias"]) < 4 * complete["bias_mcse"]
    assert complete["empirical_se"] < 0.3  # of the distance to the truth, whose own SD is 1
    assert found.estimates.query("term != 'mean'")["truth"].isna().all()


def test_a_truth_that_no_analysis_gives_is_said_after_the_first_replicate():
    made = []

    def counted(seed):
        made.append(seed)
        return simulate(seed)

    with pytest.raises(SpecificationError, match=r"'maen'.*Did you mean 'mean'"):
        run(simulate=counted, truth={"maen": 1.0})
    assert len(made) == 2
    with pytest.raises(SpecificationError, match="no analysis gave it"):
        run(analysis=lambda frame: ([frame["y"].mean()], [[1.0]]))


def test_intervals_and_degrees_of_freedom():
    found = run(dfcom=4, conf_level=0.9, replicates=1).estimates.set_index(["method", "term"])
    complete = found.loc["complete data", "mean"]
    half = 2.1318467863266 * complete["std_error"]  # 95 % quantile of t with 4 df
    assert complete["conf_high"] - complete["estimate"] == pytest.approx(half, rel=1e-9)
    assert complete["df"] == 4 and found.loc[("twice", "mean"), "df"] < 4
    assert run(replicates=1).estimates["df"].iloc[0] == 29
    component = found.loc["complete data", "Residual~~Residual"]
    assert np.isnan(component["std_error"]) and component["estimate"] > 0


def test_variance_components_have_the_intervals_of_random_effects(tmp_path):
    formula = "popular ~ sex + (1 | school)"

    def both(study, seed):
        return [study.complete, study.complete.assign(popular=study.complete["popular"] + 0.1)]

    def again(**given):
        return run(
            simulate=partial(bi.simulate.simulate_popularity, schools=15, pupils=200),
            methods={"complete data": None, "both": both}, analysis=formula, replicates=2,
            folder=tmp_path / "study", **given,
        )  # fmt: skip

    found = again()
    study = bi.simulate.simulate_popularity(
        Study(None, {}, formula, None, None, 3).data_seed(1), schools=15, pupils=200
    )
    for name, frames in {"complete data": [study.complete], "both": both(study, 0)}.items():
        of = (found.estimates["replicate"] == 1) & (found.estimates["method"] == name)
        rows = found.estimates[of].set_index("term")
        random = pooled_parameters([each.model for each in bi.fit(frames, formula)])
        ends, pairs = ["conf_low", "conf_high"], {"ICC|school": "icc(school)"}
        for term, root in (pairs | SQUARES).items():
            expected = random.loc[root, ends].astype(float) ** (2 if term in SQUARES else 1)
            np.testing.assert_allclose(rows.loc[term, ends].astype(float), expected, rtol=1e-10)
        assert rows.loc[[*SQUARES], "std_error"].isna().all()
    table = found.performance().set_index("term").loc["Residual~~Residual"]
    assert table[["coverage", "width"]].notna().to_numpy().all()
    assert same(found, again())  # as they are read back
    wider = again(conf_level=0.99).estimates
    assert (wider["conf_high"] >= found.estimates["conf_high"])[wider["conf_high"].notna()].all()


SQUARES = {
    "Intercept~~Intercept|school": "sd((Intercept) | school)",
    "Residual~~Residual": "sigma",
}


def test_methods_may_give_anything_that_can_be_analysed():
    frames = [from_seed(simulate(1), 1), from_seed(simulate(1), 2)]
    fits = bi.analysis.fit(frames, mean)
    pooled = fits.pool()
    given = {"frames": tuple(frames), "by number": dict(enumerate(frames)), "fits": fits,
             "pooled": pooled}  # fmt: skip
    methods = {name: (lambda study, seed, what=what: what) for name, what in given.items()}
    found = run(methods=methods, replicates=1).estimates.query("term == 'mean'")
    assert found["estimate"].tolist() == [pooled.table.loc["mean", "estimate"]] * 4
    assert found["fmi"].tolist() == [pooled.table.loc["mean", "fmi"]] * 4
    assert run(methods={"numbers": lambda study, seed: {"estimates": {"mean": 1}, "std_error":
               {"mean": 2}}}, replicates=1).estimates["std_error"].item() == 2  # fmt: skip


def test_complete_cases_are_those_of_the_formula():
    def with_gaps(seed):
        study = simulate(seed)
        incomplete = study.incomplete.assign(aside=np.nan)
        return bi.simulate.SimulatedStudy(incomplete, study.complete, {"(Intercept)": 1.0})

    found = run(simulate=with_gaps, methods={"complete cases": None}, analysis="y ~ 1")
    seen = [with_gaps(prepared(3).data_seed(k)).incomplete["y"].mean() for k in range(6)]
    assert found.estimates["estimate"].tolist() == pytest.approx(seen)
    every_column = run(simulate=with_gaps, methods={"complete cases": None})
    assert len(every_column.failures) == 6


# --- with imputation ---------------------------------------------------------------------------


def test_imputation_gets_its_arguments_and_the_seed_of_its_name():
    small = partial(bi.simulate.simulate_selection, clusters=4, rows=15)
    common = {"m": 2, "iterations": 1, "cluster": "cluster"}

    def by_hand(study, seed):
        return bi.impute(
            study.incomplete, method={"y": "normal"}, seed=seed, progress=False, **common
        )

    arguments = {"simulate": small, "analysis": "y ~ x1 + x2", "replicates": 1, "dfcom": 3}
    found, again = (
        run(**arguments, methods={"at random": work, "complete data": None}, impute=common)
        for work in ({"method": {"y": "normal"}}, by_hand)
    )
    assert found.failures.empty and same(found, again)
    table = found.estimates.query("method == 'at random'")
    assert table["term"].tolist() == ["(Intercept)", "x1", "x2"]
    assert table["truth"].tolist() == [0.3, 1.0, 1.0] and (table["fmi"] > 0).all()


# --- mistakes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"replicates": 0}, "replicates=0 must be a whole number from 1"),
        ({"replicates": True}, "replicates=True"),
        ({"seed": -1}, "seed=-1"),
        ({"methods": {}}, "at least one method"),
        ({"methods": {"complete data": "normal"}}, "built in"),
        ({"methods": {"complete date": None}}, "Did you mean 'complete data'"),
        ({"methods": {1: "normal"}}, "must be a text"),
        ({"methods": {"a": {"metod": "normal"}}}, "'metod'.*Did you mean 'method'"),
        ({"methods": {"a": {"seed": 1}}}, "the runner's to give"),
        ({"methods": {"a": {"m": 0}}}, "m=0 must be a whole number"),
        ({"methods": {"a": "nromal"}}, "method 'a': .*Did you mean 'normal'"),
        ({"impute": {"executor": None}}, "impute= gives 'executor'"),
        ({"impute": "normal"}, "must be a dict"),
        ({"conf_level": 95}, "from 0 to 1"),
        ({"dfcom": 0}, "dfcom=0"),
        ({"executor": 4}, "which has a submit method"),
        ({"progress": 1}, "progress=1"),
        ({"simulate": 1}, "function of a seed"),
        ({"analysis": 1}, "formula, or a function"),
        ({"family": "poisson"}, "a function chooses its own model"),
        ({"simulate": lambda seed: 1}, "gave int; it must give"),
        ({"simulate": lambda seed: 1 / 0}, "replicate 0 failed: ZeroDivisionError"),
    ],
)
def test_mistakes_are_said_before_any_work(change, words):
    with pytest.raises(SpecificationError, match=words):
        run(**{"methods": {"a": lambda study, seed: pytest.fail("work began")}, **change})


def test_a_formula_is_looked_at_before_any_work():
    with pytest.raises(AnalysisError, match="names 'w'"):
        run(methods={"a": lambda study, seed: pytest.fail("work began")}, analysis="y ~ w")


def test_what_cannot_travel_is_said():
    import threading

    lock = threading.Lock()
    with ThreadPoolExecutor(1) as pool, pytest.raises(SpecificationError, match="travel"):
        run(methods={"a": lambda study, seed: lock}, executor=pool)


# --- figure ------------------------------------------------------------------------------------


def test_the_figure_shows_each_term_with_a_truth():
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    found = run()
    figure = found.plot()
    assert [ax.get_title(loc="left") for ax in figure.axes if ax.get_title(loc="left")] == ["mean"]
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert labels == list(METHODS)
    shown = {line.get_xdata()[0] for line in figure.axes[0].lines if len(line.get_xdata()) == 1}
    assert shown == set(found.performance().query("term == 'mean'")["bias"])
    both = found.plot(control="complete data")
    assert len(both.axes) == 4 and not both.axes[3].get_visible()  # no interval, no coverage
    with pytest.raises(SpecificationError, match="Did you mean 'mean'"):
        found.plot(["maen"])
    with pytest.raises(SpecificationError, match="Did you mean 'drawn'"):
        found.performance(control="drwan")
    without = Replicates(
        found.estimates.assign(truth=np.nan), found.failures, found.warnings, found.methods, 6, 3
    )
    with pytest.raises(SpecificationError, match="no term has a truth"):
        without.plot()
    plt.close("all")


@pytest.mark.parametrize("module", [measures_module, runner_module])
def test_examples_run(module):
    assert doctest.testmod(module).failed == 0
