"""The run as a whole: what must never depend on how it was run."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi
from bayesimpute.engine.chain import ChainState

RUN = {"cluster": "school", "m": 3, "iterations": 3, "seed": 7}


def assert_same(a, b):
    for name, values in a.history.imputed.items():
        assert np.array_equal(values, b.history.imputed[name]), name
        assert np.array_equal(a.history.chain_mean[name], b.history.chain_mean[name])
        assert (name in a.history.chain_share) == (a.data[name].dtype == "category")
        if name in a.history.chain_share:
            assert np.array_equal(a.history.chain_share[name], b.history.chain_share[name])
        for key, draws in a.history.parameters[name].items():
            assert np.array_equal(draws, b.history.parameters[name][key], equal_nan=True)


@pytest.fixture(scope="module")
def run(study):
    return bi.impute(study, **RUN)


def test_no_missing_cell_is_left_and_no_observed_cell_changes(study, run):
    before = study.copy(deep=True)
    for completed in run.complete("all"):
        assert not completed.isna().any().any()
        assert completed.dtypes.equals(study.dtypes)
        for name in study:
            seen = study[name].notna()
            assert completed.loc[seen, name].equals(study.loc[seen, name])
    pd.testing.assert_frame_equal(study, before)


def test_a_level2_variable_gets_one_value_a_cluster(run):
    assert run.specification.targets["size"].level == 2
    for completed in run.complete("all"):
        assert (completed.groupby("school")["size"].nunique() == 1).all()


def test_the_seed_decides_the_bits(study, run):
    assert_same(run, bi.impute(study, **RUN))
    other = bi.impute(study, **{**RUN, "seed": 8})
    assert not np.array_equal(other.history.imputed["y"], run.history.imputed["y"])


def test_threads_give_the_same_bits(study, run):
    with ThreadPoolExecutor(2) as executor:
        assert_same(run, bi.impute(study, executor=executor, **RUN))


def test_spawned_processes_give_the_same_bits(study, run, processes):
    assert_same(run, bi.impute(study, executor=processes, **RUN))


def test_extending_equals_one_longer_run(study, run):
    short = bi.impute(study, **{**RUN, "iterations": 1})
    assert_same(run, short.extend(2))


def test_extending_a_saved_run_equals_one_longer_run(study, run, tmp_path):
    bi.impute(study, **{**RUN, "iterations": 1}).to_netcdf(tmp_path / "imp.nc")
    assert_same(run, bi.open(tmp_path / "imp.nc").extend(2))


def test_a_checkpoint_of_other_priors_is_refused(study, tmp_path):
    import pymc as pm

    def with_prior(sd):
        return {"y": {"sd_intercept": pm.HalfNormal.dist(sd)}}

    arguments = {**RUN, "m": 2, "method": {"y": "normal"}, "checkpoint": tmp_path / "imp.nc"}
    first = {**arguments, "iterations": 1}
    bi.impute(study, **first, priors=with_prior(1.0))
    bi.impute(study, **arguments, priors=with_prior(1.0))
    for priors in (with_prior(2.0), None):
        with pytest.raises(bi.SpecificationError, match="different: priors"):
            bi.impute(study, **arguments, priors=priors)


def test_a_checkpoint_goes_on_where_it_was(study, run, tmp_path):
    path = tmp_path / "run.nc"
    bi.impute(study, **{**RUN, "iterations": 1}, checkpoint=path)
    assert_same(run, bi.impute(study, **RUN, checkpoint=path))
    with pytest.raises(bi.SpecificationError, match=r"another run.*m"):
        bi.impute(study, **{**RUN, "m": 2}, checkpoint=path)


@pytest.mark.parametrize("seed", [1, 2])
def test_shuffled_rows_give_the_same_values(study, run, seed):
    shuffled = bi.impute(study.sample(frac=1, random_state=seed), **RUN)
    for k in (1, 3):
        pd.testing.assert_frame_equal(shuffled.complete(k).sort_index(), run.complete(k))


def test_relabelled_clusters_give_the_same_values(study, run):
    renamed = study.assign(school=study["school"].map(lambda s: (7 * int(s[1:])) % 12))
    again = bi.impute(renamed, **RUN)
    pd.testing.assert_frame_equal(
        again.complete(1).drop(columns="school"), run.complete(1).drop(columns="school")
    )


def test_reordered_categories_of_a_predictor_give_the_same_values(study):
    nominal = study.assign(kind=pd.Categorical(study["kind"].astype(object)))
    turned = nominal.assign(kind=nominal["kind"].cat.reorder_categories(["mid", "low", "high"]))
    a, b = (bi.impute(df, method="pmm", **RUN) for df in (nominal, turned))
    assert list(a.complete(1)["kind"]) == list(b.complete(1)["kind"])
    np.testing.assert_allclose(a.complete(1)["y"], b.complete(1)["y"])


def test_rescaled_predictors_give_the_same_values(study):
    only_y = study.drop(columns=["size", "kind"]).fillna({"x": 0.0})
    # rounding differs, and each transition of the adaptation magnifies it; another draw is off by 1
    given = {**RUN, "method": "normal", "model_options": {"y": {"tune": 10}}}
    a = bi.impute(only_y, **given)
    b = bi.impute(only_y.assign(x=only_y["x"] * 1000 - 5), **given)
    np.testing.assert_allclose(a.complete(2)["y"], b.complete(2)["y"], atol=1e-4)


def test_rescaling_the_target_rescales_its_imputations(study):
    only_y = study.drop(columns=["size", "kind"]).fillna({"x": 0.0})
    a = bi.impute(only_y, method="normal", **RUN)
    b = bi.impute(only_y.assign(y=only_y["y"] * 64), method="normal", **RUN)
    np.testing.assert_array_equal(64 * a.complete(2)["y"], b.complete(2)["y"])


def test_where_imputes_observed_cells_in_the_result_only(study):
    cells = study.isna()
    cells.loc[0:9, "y"] = True
    imp = bi.impute(study, where=cells, **{**RUN, "iterations": 1})
    assert len(imp.history.imputed["y"][0]) == int(cells["y"].sum())
    seen = study["y"].notna() & ~cells["y"]
    assert imp.complete(1).loc[seen, "y"].equals(study.loc[seen, "y"])


def test_what_is_drawn_of_an_observed_cell_is_no_predictor_of_other_variables(study):
    cells = study.isna()
    cells["y"] = True
    imp = bi.impute(study, where=cells, **{**RUN, "iterations": 1})
    known = imp.specification.known["y"]
    seen = ~np.isnan(known)
    for state in imp.history.states:
        values = ChainState.from_bytes(imp.specification, state).values["y"]
        assert np.array_equal(values[seen], known[seen])
    assert not np.array_equal(imp.history.imputed["y"][0][seen], known[seen])


def test_ignored_rows_are_imputed_but_never_donors(study):
    far = study.copy()
    far.loc[far.index[:60], "y"] = far["y"] + 1000
    ignore = np.arange(120) < 60
    imp = bi.impute(far, ignore=ignore, **RUN)
    drawn = imp.complete(1).loc[far["y"].isna(), "y"]
    assert drawn.max() < 500


def test_post_is_applied(study):
    imp = bi.impute(study, method={"y": "normal"}, post={"y": bi.squeeze(0, 1)}, **RUN)
    drawn = imp.complete(1).loc[study["y"].isna(), "y"]
    assert drawn.between(0, 1).all()


def test_passive_variables_follow_their_inputs(study):
    df = study.assign(double=study["x"] * 2 + study["y"])
    imp = bi.impute(df, method={"double": "~ I(x * 2 + y)"}, **RUN)
    for completed in imp.complete("all"):
        np.testing.assert_allclose(completed["double"], completed["x"] * 2 + completed["y"])


def test_what_functions_give_is_in_the_order_of_its_labels(study):
    """A result that pandas has sorted is not put back by position."""

    def sorted_post(values, data, rng):
        return pd.Series(values, data.index).sort_values()

    def sorted_condition(data):
        return (data["x"] > 0).sort_values()

    first, second = (
        bi.impute(
            study,
            method={"y": bi.only_where("sample", condition, otherwise=0.0)},
            post={"y": post},
            **RUN,
        )
        for condition, post in [
            (sorted_condition, sorted_post),
            (lambda data: data["x"] > 0, lambda values, data, rng: values),
        ]
    )
    pd.testing.assert_frame_equal(first.complete(1), second.complete(1))


def test_a_failing_post_names_target_imputation_and_iteration(study):
    with pytest.raises(bi.SamplingError, match=r"'y', imputation 1, iteration 1.*finite"):
        bi.impute(study, post={"y": lambda values, data, rng: values * np.nan}, **RUN)


def test_kept_errors_become_events(study):
    imp = bi.impute(
        study, post={"y": lambda values, data, rng: values * np.nan}, on_error="keep", **RUN
    )
    kept = imp.events[imp.events["action"] == "values kept"]
    assert len(kept) == RUN["m"] * RUN["iterations"]
    assert not imp.complete(1).isna().any().any()


def test_the_textbook_model_comes_back(run):
    import pymc as pm

    model = run.model("y", imputation=2)
    assert isinstance(model, pm.Model)
    assert {"intercept", "beta", "sd_intercept", "sigma"} <= set(model.named_vars)


def test_chain_means_are_those_of_the_imputed_values(study, run):
    drawn = run.complete(2).loc[study["y"].isna(), "y"]
    assert run.history.chain_mean["y"][1, -1] == pytest.approx(drawn.mean())
    assert run.history.chain_sd["y"][1, -1] == pytest.approx(drawn.std())


def test_a_function_of_an_impossible_imputed_value_is_named(study):
    df = study.assign(x=study["x"].abs() + 0.01).drop(columns=["size", "kind"])
    with pytest.raises(bi.SamplingError, match=r"log\(x\).*not a finite number"):
        bi.impute(
            df,
            method={"x": "normal", "y": "normal"},
            formulas={"y": "y ~ log(x) + (1 | school)", "x": "x ~ y"},
            **RUN,
        )


def test_formulas_with_interactions_and_cluster_means_run(study):
    imp = bi.impute(
        study,
        formulas={"y": "y ~ x * kind + cluster_mean(x) + (1 + x | school)"},
        method={"y": "normal"},
        **RUN,
    )
    assert imp.history.labels["y"]["beta"][-1] == "mean(x)"
    assert any(":" in label for label in imp.history.labels["y"]["beta"])
    assert imp.history.labels["y"]["correlation"] == ("intercept~x",)
    assert not imp.complete(1).isna().any().any()


def test_every_code_of_the_matrix_has_its_columns(study):
    predictors = bi.make_predictors(study, cluster="school")
    predictors.loc["y", ["x", "kind", "size"]] = [4, 3, 1]
    imp = bi.impute(study, predictors=predictors, method={"y": "2l.norm"}, **RUN)
    labels = imp.history.labels["y"]
    assert labels["beta"][:1] == ("size",)
    assert "mean(x)" in labels["beta"] and sum("mean(kind" in k for k in labels["beta"]) == 2
    assert {"sd_intercept", "sd_x", "sd_log_sigma"} <= set(labels)
    assert imp.predictors.loc["y", "x"] == 4


def test_clusters_of_one_row_are_fine(study):
    alone = study.copy()
    alone.loc[alone.index[:8], "school"] = [f"alone{k}" for k in range(8)]
    imp = bi.impute(alone, method={"y": "2l.norm"}, **RUN)
    assert not imp.complete(1).isna().any().any()
