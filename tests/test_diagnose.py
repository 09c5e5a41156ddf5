"""What ``imp.diagnose()`` must find, each beside a run in which it must be silent."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi
from bayesimpute.diagnose.chains import critical_rhat, memory
from bayesimpute.diagnose.diagnosis import WANTED
from bayesimpute.diagnose.models import own_variance, separating
from bayesimpute.engine.chain import ChainState, fill
from bayesimpute.engine.history import History
from bayesimpute.errors import SpecificationError
from bayesimpute.events import Event
from bayesimpute.imputations import Imputations
from bayesimpute.posterior.pooled import imputations_for
from bayesimpute.roles import Role
from bayesimpute.specification.specify import specify

M, ITERATIONS = 20, 20


def autoregressive(rng, rho, m=M, n=ITERATIONS):
    x = rng.normal(size=(m, n))
    for t in range(1, n):
        x[:, t] = rho * x[:, t - 1] + np.sqrt(1 - rho**2) * x[:, t]
    return x


def made(frame, m=M, iterations=ITERATIONS, history=None, **arguments):
    """A run without a sampler: imputed values are observed ones, chains are white noise."""
    rng = np.random.default_rng(2)
    specification = specify(frame, **arguments)
    filled = [fill(specification, rng) for _ in range(m)]
    names = list(specification.targets)
    imputed = {n: np.stack([f[n][specification.where[n]] for f in filled]) for n in names}
    noise = {n: rng.normal(size=(m, iterations)) for n in names}
    made_history = History(
        m=m,
        iterations=iterations,
        imputed=imputed,
        chain_mean=noise,
        chain_sd={n: 5 + rng.normal(size=(m, iterations)) for n in names},
        parameters={n: {} for n in names},
        labels={n: {} for n in names},
        statistics={n: {} for n in names},
        states=tuple(
            ChainState(f, {n: imputed[n][k] for n in names}).to_bytes()
            for k, f in enumerate(filled)
        ),
        adaptation=b"",
        seed=1,
        events=specification.events,
    )
    return Imputations(specification, replace(made_history, **(history or {})))


@pytest.fixture
def frame():
    """120 rows, 12 clusters: a number and a category with gaps, two complete predictors."""
    rng = np.random.default_rng(3)
    n = 120
    x, z = rng.normal(size=n), rng.normal(size=n)
    df = pd.DataFrame({"g": np.repeat(np.arange(12), 10), "x": x, "z": z})
    df["y"] = 10 + x + z + rng.normal(size=n)
    df["sick"] = np.where(x + 2 * rng.normal(size=n) > 0, "yes", "no")
    df.loc[rng.random(n) < 0.2, "y"] = np.nan
    df.loc[rng.random(n) < 0.2, "sick"] = None
    return df


def found(imp, **options):
    table = imp.diagnose(**options)
    return {(row.variable, row.finding): row for row in table.itertuples()}


def test_a_healthy_run_gives_an_empty_table_that_says_what_was_checked(frame):
    table = made(frame, cluster="g").diagnose()
    assert table.empty and list(table.columns) == [
        "severity", "variable", "finding", "evidence", "cause", "advice", "about",
    ]  # fmt: skip
    assert repr(table).startswith("Nothing found.")
    assert "drift of 4 quantities over iterations 11–20\nof 20 chains" in repr(table)
    assert "Nothing found." in table._repr_html_()


def test_findings_print_as_sentences_the_worst_first_and_are_a_frame_otherwise(frame):
    events = (
        Event("warning", "specification", "y", "empty category", "<odd>."),
        Event("error", "imputation", "y", "values kept", "It failed", 1, 1),
    )
    table = made(frame, history={"events": events}).diagnose()
    assert table["severity"].tolist() == ["error", "warning"]
    assert repr(table).startswith("2 findings (1 × error, 1 × warning).\n\n[error] y: values kept")
    assert "    Seen: It failed.\n    Why: The model failed" in repr(table)
    assert "&lt;odd&gt;" in table._repr_html_() and "<odd>" not in table._repr_html_()
    part = table[table["severity"] == "error"]
    assert type(part) is pd.DataFrame and len(part) == 1
    assert type(table.drop(columns="cause")) is pd.DataFrame


@pytest.mark.parametrize(("chains", "seen"), [("apart", True), ("mixed", False), ("slow", False)])
def test_chains_that_have_not_met_are_found_and_autocorrelated_ones_are_not(frame, chains, seen):
    rng = np.random.default_rng(5)
    draws = {
        "apart": rng.normal(size=(M, 1)) * 2 + rng.normal(size=(M, ITERATIONS)),
        "mixed": rng.normal(size=(M, ITERATIONS)),
        "slow": autoregressive(rng, 0.5),
    }[chains]
    imp = made(frame)
    result = found(replace(imp, history=replace(imp.history, chain_mean={
        **imp.history.chain_mean, "y": draws})))  # fmt: skip
    assert (("y", "the chains have not met") in result) is seen
    assert len(result) == seen
    if seen:
        row = result["y", "the chains have not met"]
        assert row.severity == "error" and row.evidence.startswith("mean: R-hat ")
        assert "imp.extend(" in row.advice or "iterations alone" in row.advice


def test_chains_of_which_none_moves_are_found_though_their_r_hat_is_infinite(frame):
    still = np.repeat(np.arange(M, dtype=float)[:, None], ITERATIONS, axis=1)
    row = found(with_chain(made(frame), y=still))["y", "the chains have not met"]
    assert row.evidence.startswith("mean: R-hat inf") and "iterations alone" in row.advice


def with_chain(imp, **changed):
    history = imp.history
    return replace(imp, history=replace(history, chain_mean={**history.chain_mean, **changed}))


def test_chains_that_remember_their_start_are_found_with_how_many_more_iterations(frame):
    rng = np.random.default_rng(7)
    imp = with_chain(made(frame), y=autoregressive(rng, 0.93))
    (row,) = found(imp).values()
    assert row.finding in ("the chains remember where they started", "the chains have not met")
    r, error = memory(imp.history.chain_mean["y"][:, 10:])
    assert abs(r - 0.93) < 3 * error
    wanted = np.log(0.01) / np.log(r) - ITERATIONS
    assert f"imp.extend({int(-(-wanted // 1))})" in row.advice or "alone" in row.advice


def test_a_drift_of_all_chains_is_found_though_their_spread_hides_it_from_rhat(frame):
    rng = np.random.default_rng(8)
    still = rng.normal(size=(M, ITERATIONS))
    moving = still + np.linspace(0, 3, ITERATIONS)
    assert not found(with_chain(made(frame), y=still))
    row = found(with_chain(made(frame), y=moving))["y", "the chains still drift"]
    assert "mean has moved by 1." in row.evidence and row.advice == "imp = imp.extend(40)"


def test_a_run_too_short_to_tell_says_so(frame):
    assert ("", "too few iterations to tell") in found(made(frame, iterations=3))
    assert ("", "few iterations to tell") in found(made(frame, iterations=5))
    alone = made(frame, m=1)
    assert ("", "one chain only") in found(alone)
    assert "against the share" in repr(made(frame).diagnose())
    assert "against" not in repr(alone.diagnose())  # one imputation is not compared with anything
    assert not found(made(frame, iterations=10))


def test_the_suggested_iterations_are_enough_to_tell(frame):
    row = found(made(frame, iterations=5))["", "few iterations to tell"]
    more = int(row.advice.removeprefix("imp = imp.extend(").rstrip(")"))
    assert not found(made(frame, iterations=5 + more))
    assert found(made(frame, iterations=4 + more))


def test_rhat_of_independent_draws_is_below_what_chance_explains():
    import arviz

    rng = np.random.default_rng(1)
    worst = max(float(arviz.rhat(rng.normal(size=(10, 12)), method="rank")) for _ in range(60))
    assert 1.0 < worst < critical_rhat(10, 12, 60) < 1.5
    assert critical_rhat(10, 12, 60, 0.5) > critical_rhat(10, 12, 60)
    assert critical_rhat(4, 4000, 100) < 1.01


def test_a_chain_that_does_not_move_is_named(frame):
    imp = made(frame)
    draws = imp.history.chain_mean["y"].copy()
    draws[6] = 0.3
    assert "(imputation 7)" in found(with_chain(imp, y=draws))["y", "stuck chains"].evidence


def test_ess_is_asked_for_only_by_a_user_who_wants_the_draws(frame):
    imp = made(frame)
    assert not found(imp)
    row = found(imp, ess=4000)["y", "few independent draws"]
    assert row.severity == "info" and "wanted 4000" in row.evidence
    with pytest.raises(SpecificationError, match="r_hat=1"):
        imp.diagnose(r_hat=1)
    with pytest.raises(SpecificationError, match="ess=0"):
        imp.diagnose(ess=0)


def test_parameters_and_monitors_are_looked_at_too(frame):
    rng = np.random.default_rng(6)
    apart = rng.normal(size=(M, 1)) * 3 + rng.normal(size=(M, ITERATIONS))
    history = {"monitored": {"slope": np.stack([0 * apart, apart], -1)},
               "monitor_labels": {"slope": ("x", "z")}}  # fmt: skip
    row = found(made(frame, history=history))["slope", "the chains have not met"]
    assert row.evidence.startswith("monitor[z]: R-hat")
    history = {"parameters": {"y": {"beta": apart[..., None]}, "sick": {}},
               "labels": {"y": {"beta": ("x",)}, "sick": {}}}  # fmt: skip
    row = found(made(frame, history=history))["y", "the chains have not met"]
    assert row.evidence.startswith("beta[x]: R-hat")


@pytest.mark.parametrize(("share", "severity"), [(0.2, "error"), (0.05, "warning"), (0.0, None)])
def test_divergences_count_by_their_share_of_the_visits(frame, share, severity):
    diverging = np.zeros((M, ITERATIONS))
    diverging.flat[: int(share * diverging.size)] = 1
    result = found(made(frame, history={"statistics": {"y": {"diverging": diverging}}}))
    assert [row.severity for row in result.values()] == ([severity] if severity else [])


def test_events_become_one_finding_each_kind(frame):
    kept = [Event("error", "imputation", "y", "values kept", "Failed.", k, 1) for k in (1, 2, 3)]
    calm = [Event("info", "adaptation", "y", "adapted", "Tuned.")]
    (row,) = found(made(frame, history={"events": (*kept, *calm)})).values()
    assert row.evidence == "Failed. (3 events in all)" and row.severity == "error"


def test_an_event_of_a_variable_without_a_model_is_reported(frame):
    event = Event("warning", "specification", "x", "predictor dropped", "'z' does not predict.")
    row = found(made(frame, history={"events": (event,)}))["x", "predictor dropped"]
    assert row.advice.startswith("predictors.loc['x', 'z'] = 0")


def test_a_constant_predictor_is_reported_from_the_specification(frame):
    row = found(made(frame.assign(one=1.0)))["y", "predictor dropped"]
    assert "'one'" in row.evidence


def test_nearly_collinear_predictors_are_found_and_products_are_not(frame):
    rng = np.random.default_rng(1)
    twin = frame.assign(w=frame["x"] + 0.02 * rng.normal(size=len(frame)))
    row = found(made(twin))["y", "collinear predictors"]
    assert "of the variance is its own" in row.evidence and "predictors.loc['y', '" in row.advice
    # where a formula has terms that a row of the matrix cannot say, that row is not read
    formula = {"y": "y ~ x + w + x:z", "sick": "sick ~ x + z"}
    row = found(made(twin, formulas=formula))["y", "collinear predictors"]
    assert "formula of 'y'" in row.advice and "predictors.loc" not in row.advice
    far = frame.assign(x=frame["x"] + 50)
    formulas = {"y": "y ~ x * z + I(x ** 2)", "sick": "sick ~ x + z"}
    assert not found(made(far, formulas=formulas))


def test_own_variance_is_the_inverse_of_the_variance_inflation_factor():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(300, 3))
    x[:, 2] = x[:, 0] + 0.1 * x[:, 2]
    rest = np.column_stack([np.ones(300), x[:, :2]])
    residual = x[:, 2] - rest @ np.linalg.lstsq(rest, x[:, 2], rcond=None)[0]
    assert own_variance(x)[2] == pytest.approx(residual.var() / x[:, 2].var())
    assert own_variance(np.ones((5, 2))).tolist() == [1, 1]
    exact = np.column_stack([x[:, 0], x[:, 1], x[:, 0] + x[:, 1], rng.normal(size=300)])
    assert own_variance(exact) == pytest.approx([0, 0, 0, 1], abs=0.05)


def test_separation_is_found_in_one_predictor_or_in_a_combination():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(200, 3))
    assert separating(x, x[:, 1] > 0.3).tolist() == [False, True, False]
    assert separating(x, x[:, 0] + x[:, 2] > 0).any()
    flipped = (x[:, 1] > 0.3) ^ (np.arange(200) < 3)
    assert not separating(x, flipped).any()
    quasi = np.column_stack([np.arange(200) < 20, x[:, 0]])
    assert separating(quasi, (np.arange(200) < 20) | (rng.random(200) < 0.5)).any()


def test_separated_categories_are_found_in_models_of_categories_only(frame):
    split = frame.assign(sick=frame["sick"].where(frame["sick"].isna(), frame["x"].gt(0).map(str)))
    logistic = {"sick": "logistic", "y": "pmm"}
    row = found(made(split, method=logistic))["sick", "separation"]
    assert "'x'" in row.evidence and "in " in row.evidence
    assert not found(made(split, method="pmm"))
    assert not found(made(frame, method=logistic))


def test_separation_of_a_nominal_and_an_ordered_target(frame):
    three = pd.Series(np.select([frame["x"] < -0.5, frame["z"] > 0], ["a", "b"], "c"))
    nominal = frame.assign(sick=three.where(frame["sick"].notna()))
    assert "category 'a'" in found(made(nominal, method={"sick": "categorical"}))[
        "sick", "separation"].evidence  # fmt: skip
    levels = ["low", "mid", "high"]
    words = np.select([frame["x"] < 0, frame["x"] < 1], levels[:2], levels[2])
    ordered = pd.Categorical(words, levels, ordered=True)
    graded = frame.assign(sick=pd.Series(ordered).where(frame["sick"].notna()))
    assert "sick ≥ 'mid'" in found(made(graded, method={"sick": "ordinal"}))[
        "sick", "separation"].evidence  # fmt: skip


def test_few_clusters_are_found_with_the_influence_of_the_prior(frame):
    rng = np.random.default_rng(1)
    few = frame.assign(g=np.repeat(np.arange(4), 30))
    draws = np.abs(rng.normal(size=(M, ITERATIONS)))
    history = {"parameters": {"y": {"sd_intercept": draws}, "sick": {}},
               "labels": {"y": {"sd_intercept": ()}, "sick": {}}}  # fmt: skip
    arguments = {"cluster": "g", "method": {"y": "normal", "sick": "sample"}}
    row = found(made(few, history=history, **arguments))["y", "few clusters"]
    assert row.evidence.startswith("4 clusters of 'g' have 'y' observed")
    assert "% as wide as its prior's" in row.evidence
    assert not found(made(frame, history=history, **arguments))


@pytest.mark.parametrize(("scale", "silent"), [(0.05, True), (1.0, False)])
def test_a_selection_model_that_rests_on_its_prior_is_found(frame, scale, silent):
    from bayesimpute.sampling.selection_kernel import DEFAULTS

    rng = np.random.default_rng(1)
    rho = np.tanh(0.8 * silent + scale * DEFAULTS.atanh_rho_sd * rng.normal(size=(M, ITERATIONS)))
    history = {"parameters": {"y": {"rho": rho}}, "labels": {"y": {"rho": ()}}}
    predictors = bi.make_predictors(frame).mul(0)
    predictors.loc["y", ["x", "z"]] = Role.FIXED, Role.SELECTION_ONLY
    imp = made(
        frame, method={"y": "heckman", "sick": "sample"}, predictors=predictors, history=history
    )
    assert (("y", "ρ is that of its prior") not in found(imp)) is silent


def test_variables_with_hardly_any_values_are_found(frame):
    empty = frame.assign(y=frame["y"].where(np.arange(len(frame)) < 14))
    assert "rows have a value, and its model 5 coefficients" in found(made(empty))[
        "y", "nearly empty"].evidence  # fmt: skip
    rng = np.random.default_rng(1)
    big = pd.concat([frame] * 5, ignore_index=True)
    most = big.assign(y=big["y"].where(rng.random(len(big)) < 0.12))
    assert found(made(most, m=60))["y", "mostly missing"].severity == "info"
    assert ("y", "mostly missing") not in found(made(big))


def test_imputed_values_that_are_constant_or_never_differ_are_found(frame):
    imp = made(frame)
    one = imp.history.imputed["y"] * 0 + np.nanmax(frame["y"])
    assert ("y", "constant imputed values") in found(
        replace(imp, history=replace(imp.history, imputed={**imp.history.imputed, "y": one}))
    )
    same = np.repeat(imp.history.imputed["y"][:1], M, axis=0)
    row = found(
        replace(imp, history=replace(imp.history, imputed={**imp.history.imputed, "y": same}))
    )["y", "imputations do not differ"]
    assert row.severity == "error"


def test_a_cluster_value_known_from_another_row_may_be_the_same_in_all(frame):
    size = pd.Series(np.repeat(np.arange(12.0), 10)).where(np.arange(120) % 10 > 2)
    imp = made(frame.assign(size=size), cluster="g", method={"size": "2lonly.pmm", "y": "pmm"})
    same = np.repeat(imp.history.imputed["size"][:1], M, axis=0)
    imputed = {**imp.history.imputed, "size": same}
    result = found(replace(imp, history=replace(imp.history, imputed=imputed)))
    assert ("size", "imputations do not differ") not in result
    same = np.repeat(imp.history.imputed["y"][:1], M, axis=0)
    imputed = {**imp.history.imputed, "y": same}
    result = found(replace(imp, history=replace(imp.history, imputed=imputed)))
    assert ("y", "imputations do not differ") in result


@pytest.mark.parametrize(("cells", "said"), [(1, False), (12, True)])
def test_a_cell_a_little_beyond_the_observed_ones_is_chance_and_many_are_not(cells, said):
    x = np.linspace(0, 1, 60)
    x[-cells:] = np.nan
    frame = pd.DataFrame({"x": x})
    imp = bi.from_completed([frame.fillna(1.05), frame.fillna(0.5)], incomplete=frame)
    findings = set(imp.diagnose()["finding"])
    assert ("imputed values outside the observed range" in findings) == said


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (lambda y: y + 40, "imputed values far out"),
        (lambda y: np.where(np.arange(y.size).reshape(y.shape) % 20 == 0, -0.5, y),
         "impossible values"),
        (lambda y: y + 3, "imputed values outside the observed range"),
        (lambda y: y, None),
    ],
)  # fmt: skip
def test_values_that_cannot_be_right_are_found(frame, change, finding):
    imp = made(frame, method={"y": "normal", "sick": "pmm"})
    imputed = {**imp.history.imputed, "y": change(imp.history.imputed["y"])}
    result = found(replace(imp, history=replace(imp.history, imputed=imputed)))
    assert list(result) == ([("y", finding)] if finding else [])


def test_squeezed_values_at_their_bound_are_found(frame):
    imp = made(frame, post={"y": bi.squeeze(7, 99)})
    assert not found(imp)
    low = np.where(np.random.default_rng(1).random(imp.history.imputed["y"].shape) < 0.2, 7.0,
                   imp.history.imputed["y"])  # fmt: skip
    imputed = {**imp.history.imputed, "y": low}
    row = found(replace(imp, history=replace(imp.history, imputed=imputed)))[
        "y", "values piled up at a bound"
    ]
    assert "at 7" in row.evidence


def test_few_donors_and_donors_used_too_often_are_found(frame):
    imp = made(frame, model_options={"y": {"donors": 30}})
    assert found(imp)["y", "few donors"].evidence.endswith("for sets of 30 donors.")
    rng = np.random.default_rng(1)
    imp = made(frame.assign(y=frame["y"].where(np.arange(120) < 80)))
    few = rng.choice(np.sort(frame["y"].dropna())[-4:], imp.history.imputed["y"].shape)
    imputed = {**imp.history.imputed, "y": few}
    row = found(replace(imp, history=replace(imp.history, imputed=imputed)))[
        "y", "donors used over and over"
    ]
    assert "has 4 different values" in row.evidence
    assert not found(imp)


@pytest.fixture
def bodies():
    rng = np.random.default_rng(1)
    height, weight = rng.normal(1.7, 0.1, 150), rng.normal(75, 12, 150)
    df = pd.DataFrame({"age": rng.normal(50, 9, 150), "height": height, "weight": weight})
    df["bmi"] = df["weight"] / df["height"] ** 2
    df.loc[rng.random(150) < 0.2, ["weight", "bmi"]] = np.nan
    return df


def test_a_computed_variable_that_predicts_its_own_input_is_found(bodies):
    method = {"weight": "pmm", "bmi": "~ I(weight / height**2)"}
    assert not found(made(bodies, method=method))
    imp = made(bodies, method=method, predictors=bi.make_predictors(bodies))
    row = found(imp)["weight", "feedback loop"]
    assert row.severity == "error" and row.advice.startswith("predictors.loc['weight', 'bmi'] = 0")
    mended = bi.make_predictors(bodies)
    mended.loc["weight", "bmi"] = 0
    assert not found(made(bodies, method=method, predictors=mended))


def test_a_loop_is_found_through_a_name_that_reads_as_arithmetic(bodies):
    df = bodies.rename(columns={"bmi": "bmi-1"})
    method = {"weight": "pmm", "bmi-1": "~ I(weight / height**2)"}
    imp = made(df, method=method, predictors=bi.make_predictors(df))
    assert "'bmi-1', which is computed from it" in found(imp)["weight", "feedback loop"].evidence


def test_a_passive_value_that_blows_up_points_to_its_inputs(bodies):
    imp = made(bodies, method={"weight": "normal", "bmi": "~ I(weight / height**2)"})
    imputed = {**imp.history.imputed, "bmi": imp.history.imputed["bmi"] * 20}
    row = found(replace(imp, history=replace(imp.history, imputed=imputed)))[
        "bmi", "imputed values far out"
    ]
    assert row.advice.startswith("method['weight'] = 'pmm'\n# keeps")


def test_two_incomplete_variables_that_are_nearly_one_are_found(bodies):
    rng = np.random.default_rng(2)  # not that of `bodies`, whose draws would make it exact
    twin = bodies.assign(bmi=bodies["weight"] + 0.8 * rng.normal(size=150))
    row = found(made(twin))["weight", "strong mutual dependence"]
    assert "100 % of the rows that miss one miss both" in row.evidence
    apart = twin.assign(bmi=twin["bmi"].where(twin["bmi"].notna(), 75.0))
    apart.loc[:5, "bmi"] = np.nan
    assert ("weight", "strong mutual dependence") not in found(made(apart))


def test_few_imputations_are_found_by_missing_information_of_the_analysis(frame):
    assert (
        imputations_for([0.4, 0.4], WANTED).tolist() == [9, 9] and imputations_for(0.4, 0.05) == 33
    )
    assert ("y", "few imputations") not in found(made(frame))
    half = frame.assign(y=frame["y"].where(np.arange(120) % 5 < 2))
    assert "34 % of 'y'" not in found(made(half, m=8))["y", "few imputations"].evidence
    imp = made(half, m=8, method={"y": "sample", "sick": "sample"})
    with pytest.warns(bi.ImputationWarning, match="'y ~ x' asks for. y: imputed without a look"):
        fits = imp.fit("y ~ x")
    result = found(imp, fits=fits)
    assert "y ~ x" in result["y", "imputed without a look at other variables"].evidence
    fmi = fits.pool().table["fmi"]
    row = result[fmi.idxmax(), "few imputations"]
    assert row.advice == f"imp = imp.more({int(imputations_for(fmi.max(), WANTED))})"
    bound = replace(imp, history=replace(imp.history, further_seeds=(9,)))
    assert "bi.impute(..., m=" in found(bound, fits=fits)[fmi.idxmax(), "few imputations"].advice
    assert not {key for key in found(made(frame), fits=made(frame).fit("x ~ z"))}


@pytest.mark.slow
def test_a_real_run_of_a_real_model_is_healthy():
    study = bi.simulate.simulate_popularity(seed=1, schools=30, pupils=600)
    imp = bi.impute(study.incomplete, cluster="school", seed=1, progress=False)
    assert imp.diagnose(imp.fit("popular ~ sex + texp + (1 | school)")).empty


@pytest.mark.filterwarnings("error")
def test_observed_cells_imputed_anew_are_missing_together_in_none():
    rng = np.random.default_rng(1)
    x = rng.normal(size=60)
    frame = pd.DataFrame({"x": x, "twin": x + 0.01 * rng.normal(size=60)})
    again = pd.DataFrame({name: np.arange(60) < 20 for name in frame})
    imp = made(frame, where=again, method="normal")
    assert "strong mutual dependence" not in {finding for _, finding in found(imp)}
