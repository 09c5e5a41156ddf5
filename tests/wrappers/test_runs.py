"""What must not depend on how a run with wrappers was run, stored, or gone on with."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pymc as pm
import pytest

import bayesimpute as bi
from bayesimpute.data.table import Kind
from bayesimpute.models.sample import Sample

RUN = {"cluster": "school", "m": 2, "seed": 5}


class YesNo(Sample):
    """A method for two categories, which numbers 0 and 1 can be."""

    kinds = frozenset({Kind.BINARY})


def women(data):
    return data["sex"] == "female"


@pytest.fixture(scope="module")
def gaps(trial):
    """Gaps in x and sex too, and an answer that men do not give."""
    rng = np.random.default_rng(2)
    df = trial.copy()
    df["asked"] = np.where((df["sex"] == "female") & (rng.random(400) < 0.5), "yes", "no")
    df.loc[rng.random(400) < 0.2, "asked"] = None
    df.loc[rng.random(400) < 0.1, "x"] = np.nan
    df.loc[rng.random(400) < 0.1, "sex"] = None
    return df


def methods():
    """All wrappers, plain values only."""
    return {
        "y": bi.delta(bi.by_group("2l.pan", "arm"), by_cluster={"s1": -1, "s2": 0.5}),
        "x": bi.fixed_clusters(bi.delta("norm", 0.5)),
        "sex": "pmm",
        "asked": bi.only_where("pmm", "sex == 'female' and x > -5", otherwise="no"),
    }


def coded(builder):
    """Wrappers around code: a function, a distribution, a model."""
    return {
        "y": bi.by_group(bi.delta(builder, pm.Normal.dist(1, 0.2)), "arm"),
        "x": bi.delta("normal", by_cluster={"s1": pm.Normal.dist(0, 0.1), "s2": 1}),
        "sex": "pmm",
        "asked": bi.only_where("pmm", women, otherwise="no"),
    }


def assert_same(a, b):
    for name, values in a.history.imputed.items():
        assert np.array_equal(values, b.history.imputed[name]), name
        for key, draws in a.history.parameters[name].items():
            assert np.array_equal(draws, b.history.parameters[name][key]), (name, key)


@pytest.fixture(scope="module")
def run(gaps):
    return bi.impute(gaps, iterations=3, method=methods(), **RUN)


@pytest.fixture(scope="module")
def coded_run(gaps, builder):
    return bi.impute(gaps, iterations=1, method=coded(builder), **RUN)


def test_nothing_observed_changes_and_nothing_stays_missing(gaps, run):
    for completed in run.complete("all"):
        assert not completed.isna().any().any()
        for name in gaps:
            seen = gaps[name].notna()
            assert completed.loc[seen, name].equals(gaps.loc[seen, name])


def test_the_seed_decides_the_bits_and_rows_may_be_shuffled(gaps, run):
    assert_same(run, bi.impute(gaps, iterations=3, method=methods(), **RUN))
    shuffled = gaps.sample(frac=1, random_state=1)
    again = bi.impute(shuffled, iterations=3, method=methods(), **RUN)
    assert again.complete(2).sort_index().equals(run.complete(2))


def test_threads_and_spawned_processes_give_the_same_bits(gaps, run, processes):
    with ThreadPoolExecutor(2) as threads:
        for executor in (threads, processes):
            again = bi.impute(gaps, iterations=3, method=methods(), executor=executor, **RUN)
            assert_same(run, again)


def test_code_in_wrappers_travels_to_processes(gaps, builder, coded_run, processes):
    again = bi.impute(gaps, iterations=1, method=coded(builder), executor=processes, **RUN)
    assert_same(coded_run, again)


def test_wrappers_of_plain_values_come_back_from_the_file(gaps, run, tmp_path):
    path = tmp_path / "imp.nc"
    bi.impute(gaps, iterations=1, method=methods(), **RUN).to_netcdf(path)
    opened = bi.open(path)
    assert opened.method == run.method
    assert opened.equations() == run.equations()
    assert_same(run, opened.extend(2))
    assert "sigma[a]" in opened.model("y").named_vars
    with pytest.raises(bi.SpecificationError, match="already holds"):
        bi.open(path, methods={"y": methods()["y"]})


def test_a_checkpoint_goes_on(gaps, run, tmp_path):
    path = tmp_path / "run.nc"
    bi.impute(gaps, iterations=1, method=methods(), checkpoint=path, **RUN)
    assert_same(run, bi.impute(gaps, iterations=3, method=methods(), checkpoint=path, **RUN))


def test_code_in_wrappers_is_given_again(gaps, builder, coded_run, tmp_path):
    path = tmp_path / "imp.nc"
    method = coded(builder)
    whole = bi.impute(gaps, iterations=2, method=method, **RUN)
    coded_run.to_netcdf(path)
    opened = bi.open(path)
    assert opened.method == whole.method
    assert opened.equations()["x"] == whole.equations()["x"]
    was = r"'y': …} \(was by_group\(delta\(own_model, Normal\(1, 0.2\)\), arm\)\)"
    with pytest.raises(bi.SpecificationError, match=was):
        opened.extend(1)
    again = {name: method[name] for name in ("y", "x", "asked")}
    assert_same(whole, bi.open(path, methods=again).extend(1))
    other = bi.delta("normal", by_cluster={"s1": pm.Normal.dist(0, 0.1), "s2": 2})
    with pytest.raises(bi.SpecificationError, match=r"'x' has .* where the file has"):
        bi.open(path, methods={**again, "x": other})


def test_wrappers_can_be_pickled_and_compared():
    for wrapper in methods().values():
        assert pickle.loads(pickle.dumps(wrapper)) == wrapper
    assert bi.delta("pmm", 1) != bi.delta("pmm", 2)


def test_cells_asked_for_with_where_follow_the_wrapper(trial):
    cells = trial.isna()
    cells.loc[:99, "y"] = True
    method = {"y": bi.only_where("normal", "sex == 'male'")}
    imp = bi.impute(trial, where=cells, iterations=1, method=method, **RUN)
    completed = imp.complete(1)
    outside = trial["sex"] == "female"
    assert completed.loc[outside, "y"].equals(trial.loc[outside, "y"])
    asked = cells["y"] & ~outside
    assert completed.loc[asked, "y"].notna().all()
    again = asked & trial["y"].notna()
    assert (completed.loc[again, "y"] != trial.loc[again, "y"]).all()


def test_numbers_taken_as_categories_are_still_so_after_opening(trial, tmp_path):
    df = trial.drop(columns="y").assign(z=np.where(trial["x"] > 0, 5.0, 7.0))
    df["z"] = df["z"].mask(trial["y"].isna())
    method = {"z": bi.only_where(YesNo(), "sex == 'male'", otherwise=7)}
    whole = bi.impute(df, iterations=2, method=method, **RUN)
    gone = df["z"].isna()
    completed = whole.complete(1)
    assert set(completed.loc[gone & (df["sex"] == "male"), "z"]) == {5, 7}
    assert set(completed.loc[gone & (df["sex"] == "female"), "z"]) == {7}
    bi.impute(df, iterations=1, method=method, **RUN).to_netcdf(tmp_path / "z.nc")
    opened = bi.open(tmp_path / "z.nc", methods=method)
    assert opened.specification.targets["z"].kind is Kind.BINARY
    assert_same(whole, opened.extend(1))
    with pytest.raises(bi.SpecificationError, match="otherwise=6 is none of its categories"):
        method = {"z": bi.only_where(YesNo(), "sex == 'male'", otherwise=6)}
        bi.impute(df, iterations=1, method=method, **RUN)
