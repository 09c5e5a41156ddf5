"""The command line, and the simulated study its demo imputes."""

import itertools
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi
from bayesimpute.analysis import fit
from bayesimpute.cli import main
from bayesimpute.cli.config import read_config
from bayesimpute.engine.record import lengthen
from bayesimpute.errors import BayesimputeError
from bayesimpute.imputation import impute
from bayesimpute.opening import open_file
from bayesimpute.simulate import TRUTH, simulate_popularity
from bayesimpute.tables.read_write import read_table

SHORT = ["--m", "2", "--iterations", "2", "--seed", "1"]


@pytest.fixture(scope="module")
def csv(tmp_path_factory):
    path = tmp_path_factory.mktemp("cli") / "pupils.csv"
    frame = simulate_popularity(seed=1, schools=12, pupils=240).incomplete
    frame["name"] = np.where(frame["sex"] == 1, "None", "Both")
    frame.to_csv(path, index=False)
    return path


def test_the_study_is_the_same_for_a_seed_and_its_gaps_are_the_only_difference():
    one, two = simulate_popularity(seed=3), simulate_popularity(seed=3)
    pd.testing.assert_frame_equal(one.incomplete, two.incomplete)
    gone = one.incomplete["popular"].isna()
    pd.testing.assert_frame_equal(one.incomplete[~gone], one.complete[~gone])
    assert abs(gone.mean() - 0.42) < 0.04
    assert not one.complete.isna().any(axis=None)
    assert one.complete["school"].nunique() == 100 and len(one.complete) == 2000


def test_complete_cases_of_the_study_overstate_popularity_and_understate_sex():
    study = simulate_popularity(seed=4)
    kept = study.incomplete.dropna()
    assert kept["popular"].mean() > study.complete["popular"].mean() + 0.3

    def slope(data):
        centred = data[["popular", "sex"]] - data.groupby("school")[["popular", "sex"]].transform(
            "mean"
        )
        return (centred["popular"] * centred["sex"]).sum() / (centred["sex"] ** 2).sum()

    assert abs(slope(study.complete) - TRUTH["sex"]) < 0.1
    assert slope(kept) < slope(study.complete) - 0.05


@pytest.mark.parametrize(
    "wrong", [{"schools": 1}, {"schools": 10, "pupils": 19}, {"missing": 0}, {"missing": 1.2}]
)
def test_an_impossible_study_is_refused(wrong):
    with pytest.raises(BayesimputeError, match=r"give|must be"):
        simulate_popularity(seed=1, **wrong)


def test_the_label_none_is_not_a_missing_value(csv, tmp_path):
    assert read_table(csv)["name"].value_counts().keys().tolist().count("None") == 1
    other = tmp_path / "x.csv"
    other.write_text("a,b\nNone,NA\n,nan\nx,NaN\n")
    frame = read_table(other)
    assert frame["a"].isna().tolist() == [False, True, False] and frame["b"].isna().all()


def test_impute_writes_a_result_that_show_describes(csv, tmp_path, capsys):
    out, long = tmp_path / "imp.nc", tmp_path / "long.csv"
    words = ["impute", str(csv), "--cluster", "school", "--method", "popular=normal"]
    words += ["--exclude", "name", "--out", str(out), "--complete", str(long), *SHORT]
    assert main(words) == 0
    said = capsys.readouterr()
    assert f"Written: {out}" in said.out and "popular_ij" in said.out and not said.err
    completed = pd.read_csv(long)
    assert list(completed.columns[-2:]) == [".imp", ".id"] and "name" not in completed
    assert len(completed) == 480 and not completed.isna().any(axis=None)
    assert main(["show", str(out)]) == 0
    assert "m = 2, 2 iterations" in capsys.readouterr().out
    assert open_file(out).method["popular"] == "normal"


def test_demo_prints_truth_complete_cases_and_imputation_side_by_side(tmp_path, capsys):
    assert main(["demo", "--out", str(tmp_path / "demo"), *SHORT]) == 0
    said = capsys.readouterr().out
    header = next(line for line in said.splitlines() if "complete cases" in line)
    assert header.split("  ")[-1].strip() == "imputed" and "truth" in header
    for term in TRUTH:
        assert any(line.startswith(term) for line in said.splitlines())
    assert "r_hat" in said and "ess_bulk" in said
    assert "Checked: nothing of how the chains mix" in said  # diagnose() judges, as everywhere
    for name in ("trace.png", "density.png"):
        assert str(tmp_path / "demo" / name) in said
        assert (tmp_path / "demo" / name).stat().st_size > 5_000


def test_demo_on_the_papers_data_has_a_random_effect_of_sex(shared_data, tmp_path, capsys):
    path = tmp_path / "popmis.csv"
    shared_data("popmis").to_csv(path, index=False)
    words = ["demo", "--data", str(path), "--out", str(tmp_path / "demo"), *SHORT]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "complete cases" in said and "truth" not in said
    assert "(β1 + b1_j)·sex_ij" in said and "848" in said


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["show", "none.nc"], "does not exist"),
        (["show", "{csv}"], "is not a netCDF-4 file"),
        (["impute", "none.csv", "--out", "x.nc"], "There is no file"),
        (["impute", "{csv}", "--out", "no/folder/x.nc"], "There is no folder"),
        (["impute", "{csv}", "--out", "x.nc", "--cluster", "schol"], "school"),
        (["impute", "{csv}", "--out", "x.nc", "--exclude", "age"], "no such column"),
        (["impute", "{csv}", "--out", "x.nc", "--method", "a=pmm", "--method", "pmm"], "alone"),
        (["impute", "{csv}", "--out", "x.nc", "--method", "popular=norml"], "normal"),
        (["impute", "{csv}", "--out", "x.nc", "--m", "0"], "m"),
        (["demo", "--data", "{other}"], "popular"),
        (["impute", "{csv}", "--out", "x.nc", "--m", "-1"], "m=-1"),
        (["impute", "{csv}", "--out", "x.nc", "--iterations", "0"], "iterations=0"),
        (["impute", "{csv}", "--out", "x.nc", "--seed", "-3"], "seed=-3"),
        (["impute", "{csv}", "--out", "x.nc", "--cluster", ""], "cluster=''"),
        (["impute", "{csv}", "--out", "x.nc", "--method", "=normal"], "names ''"),
        (["impute", "{csv}", "--out", "x.nc", "--method", "popular="], "nothing to impute"),
        (["impute", "{csv}", "--out", "x.nc", "--method", "nosuch=pmm"], "'nosuch'"),
        (["impute", "{csv}", "--out", "."], "'.' is a folder"),
        (["impute", "{csv}", "--out", ""], "'.' is a folder"),
        (["impute", "{csv}", "--out", "{csv}"], "the data are read from"),
        (["impute", "{csv}", "--out", "x.nc", "--complete", "."], "'.' is a folder"),
        (["impute", "{csv}", "--out", "x.nc", "--complete", "no/a.csv"], "no folder"),
        (["impute", "{csv}", "--out", "x.nc", "--complete", "x.nc"], "--out writes"),
        (["impute", "{csv}", "--out", "x.nc", "--complete", "{csv}"], "the data are read from"),
        (["impute", "{broken}", "--out", "x.nc"], "names in its first line"),
        (["impute", "{empty}", "--out", "x.nc"], "is empty"),
        (
            ["impute", "{csv}", "--out", "x.nc", "--fit", "sex ~ texp", "--family", "Sex=binomial"],
            "'Sex', which is no outcome of --fit",
        ),
        (
            ["impute", "{csv}", "--out", "x.nc", "--fit", "sex ~ texp", "--family", "binominal"],
            "Unknown family 'binominal'",
        ),
        (["impute", "{csv}", "--out", "x.nc", "--completed", "a.json"], "by the ending"),
        (["impute", "{csv}", "--out", "x.nc", "--completed", "a.dta.gz"], "by the ending"),
        (
            ["impute", "{csv}", "--out", "x.nc", "--predictors", "{other}", "--report", "{other}"],
            "the predictors are read from",
        ),
        (["config", "{csv}", "--out", "{csv}"], "the data are read from"),
        (["config", "{csv}", "--cluster", "schol"], "Did you mean 'school'"),
        (["impute", ".", "--out", "x.nc"], "is a folder"),
        (["show", "."], "is a folder"),
        (["show", "{empty}"], "is not a netCDF-4 file"),
        (["demo", "--data", "none.csv"], "There is no file"),
        (["demo", "--m", "0", "--data", "{csv}"], "m=0"),
    ],
)
def test_wrong_input_is_one_line_on_stderr_and_exit_code_two(
    words, sentence, csv, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    other = tmp_path / "other.csv"
    other.write_text("school,age\n1,2\n")
    broken, empty = tmp_path / "broken.csv", tmp_path / "empty.csv"
    broken.write_text('a,b\n1,2,3\n"x')
    empty.write_text("")
    before = csv.read_bytes()
    paths = {"csv": csv, "other": other, "broken": broken, "empty": empty}
    code = main([word.format(**paths) for word in words])
    said = capsys.readouterr()
    assert code == 2 and sentence in said.err
    assert said.err.count("\n") == 1 and "Traceback" not in said.err
    assert not (tmp_path / "x.nc").exists()
    assert csv.read_bytes() == before


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "COMMAND"),
        (["nosuch"], "invalid choice: 'nosuch'"),
        (["impute"], "required: FILE, --out"),
        (["impute", "a.csv"], "required: --out"),
        (["impute", "a.csv", "--out"], "--out: expected one argument"),
        (["impute", "a.csv", "--out", "x.nc", "--m", "two"], "--m: invalid int value: 'two'"),
        (["impute", "a.csv", "--out", "x.nc", "--m", "2.5"], "--m: invalid int value"),
        (["impute", "a.csv", "--out", "x.nc", "--iterations", "x"], "--iterations: invalid int"),
        (["impute", "a.csv", "--out", "x.nc", "--nosuch", "3"], "unrecognized arguments"),
        (["show"], "required: FILE.nc"),
        (["demo", "--seed", "x"], "--seed: invalid int value"),
    ],
)
def test_a_command_line_that_cannot_be_read_shows_how_it_is_written(words, sentence, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 2 and sentence in capsys.readouterr().err


def test_an_opened_result_goes_on_to_the_same_bits_as_the_one_that_was_written(tmp_path):
    frame = simulate_popularity(seed=1, schools=12, pupils=240).incomplete
    imp = impute(frame, cluster="school", m=2, iterations=2, seed=1)
    imp.to_netcdf(tmp_path / "imp.nc")
    again = open_file(tmp_path / "imp.nc").extend(2)
    longer = imp.extend(2)
    assert again.history.states == longer.history.states
    pd.testing.assert_frame_equal(again.complete("long"), longer.complete("long"))
    assert again.iterations == 4 and imp.iterations == 2


def test_explore_says_what_is_missing_and_what_suits(csv, capsys):
    assert main(["explore", str(csv), "--cluster", "school"]) == 0
    said = capsys.readouterr().out
    for title in (
        "Table",
        "What is missing",
        "Patterns",
        "Influx and outflux",
        "Suggested methods",
    ):
        assert f"{title}\n{'-' * len(title)}\n" in said
    assert "240 rows and 6 columns" in said and "label None" in said
    assert main(["explore", str(csv), "--cluster", "schol"]) == 2
    assert "Did you mean 'school'?" in capsys.readouterr().err


def test_a_run_is_written_down_and_made_from_the_file(csv, tmp_path, capsys):
    run = tmp_path / "run.toml"
    assert main(["config", str(csv), "--cluster", "school", "--out", str(run)]) == 0
    text = run.read_text("utf-8")
    assert '"popular" = "pmm"  # numeric' in text and "label None" in text
    text = text.replace("m = 20 ", "m = 2 ").replace("iterations = 10 ", "iterations = 2 ")
    text = text.replace("# seed = 1 ", "seed = 1 ").replace("# report", "report")
    run.write_text(text.replace('# exclude = ["id"]', 'exclude = ["name"]'))
    long = tmp_path / "long.parquet"
    assert main(["impute", "--config", str(run), "--completed", str(long)]) == 0
    capsys.readouterr()
    frame = read_table(csv).drop(columns="name")
    direct = impute(frame, cluster="school", m=2, iterations=2, seed=1)
    found = open_file(tmp_path / "pupils.nc")
    pd.testing.assert_frame_equal(found.complete("long"), direct.complete("long"))
    pd.testing.assert_frame_equal(read_table(long), direct.complete("long"))
    assert (tmp_path / "report.html").stat().st_size > 10_000
    # what is said on the command line comes first
    run.write_text(run.read_text("utf-8").replace("report =", "# report ="))
    words = ["impute", "--config", str(run), "--m", "1", "--out", str(tmp_path / "one.nc")]
    assert main(words) == 0 and open_file(tmp_path / "one.nc").m == 1
    assert main(["config", str(csv)]) == 0  # to be looked at
    assert "m = 20" in capsys.readouterr().out


def test_a_run_that_is_written_down_reads_the_table_as_it_was_read(tmp_path, monkeypatch, capsys):
    lines = "\n".join(f"{k % 3};{k},5;{'ab'[k % 2]}" for k in range(29))
    (tmp_path / "data.csv").write_text(f"ward;x;grade\n1;-99;a\n{lines}\n")
    (tmp_path / "runs").mkdir()
    monkeypatch.chdir(tmp_path)
    how = ["--na", "-99", "--separator", ";", "--category", "ward", "--ordered", "grade=b,a"]
    assert main(["config", "data.csv", *how, "--out", "runs/run.toml"]) == 0
    text = (tmp_path / "runs" / "run.toml").read_text("utf-8")
    assert "# sheet" in text and "decimal" not in text.replace("separator, decimal", "")
    assert main(["impute", "--config", "runs/run.toml", "--method", "sample", *SHORT]) == 0
    found = open_file(tmp_path / "runs" / "data.nc").data
    assert found["x"].isna().sum() == 1 and found["ward"].cat.categories.tolist() == ["0", "1", "2"]
    assert found["grade"].cat.ordered and found["grade"].cat.categories.tolist() == ["b", "a"]
    capsys.readouterr()


@pytest.mark.parametrize(("text", "sentence"), [
    ("m = ", "is no TOML"),
    ("itrations = 3", "'itrations' is no option. Did you mean 'iterations'?"),
    ("m = true", "m = True must be a whole number"),
    ('na = "-99"', "must be a list"),
    ('cluster = 3', "must be a text"),
    ('fit = ["y ~ x", 3]', "3 in fit must be a text"),
])  # fmt: skip
def test_a_wrong_file_of_options_is_one_line(text, sentence, tmp_path, capsys):
    (tmp_path / "run.toml").write_text(text)
    assert main(["impute", "--config", str(tmp_path / "run.toml")]) == 2
    said = capsys.readouterr().err
    assert sentence in said and said.count("\n") == 1
    assert main(["impute", "--config", str(tmp_path / "nowhere.toml")]) == 2


def test_analyses_formulas_codes_and_predictors_from_the_command_line(tmp_path, capsys):
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"x": rng.normal(size=90), "g": np.arange(90) % 6})
    frame["y"] = np.where(frame["x"] + rng.normal(size=90) > 0, "yes", "no")
    frame.loc[::5, "x"] = -99
    frame.loc[::7, "y"] = "unknown"
    path = tmp_path / "data.csv"
    frame.to_csv(path, index=False, sep=";", decimal=",")
    common = ["impute", str(path), "--na", "-99", "unknown", *SHORT]
    words = ["--analysis", "y ~ x", "--family", "binomial", "--out", str(tmp_path / "a.nc")]
    assert main([*common, *words]) == 0
    found = open_file(tmp_path / "a.nc")
    assert found.specification.analyses[0].formula == "y ~ x"
    assert found.data["x"].isna().sum() == 18 and found.data["y"].isna().sum() == 13
    words = ["--formula", "x ~ y + (1 | g)", "--formula", "y ~ x", "--out", str(tmp_path / "b.nc")]
    assert main([*common, *words]) == 0
    assert open_file(tmp_path / "b.nc").predictors.loc["x"].tolist() == [0, -2, 1]
    matrix = pd.DataFrame([[0, -2, 0], [0, 0, 0], [0, 0, 0]], list("xgy"), list("xgy"))
    matrix.to_csv(tmp_path / "codes.csv")
    words = ["--predictors", str(tmp_path / "codes.csv"), "--out", str(tmp_path / "c.nc")]
    assert main([*common, *words, "--method", "x=normal", "--method", "y=sample"]) == 0
    assert open_file(tmp_path / "c.nc").predictors.loc["x"].tolist() == [0, -2, 0]
    capsys.readouterr()


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A table of numbers, two of them with gaps, and a yes or no."""
    rng = np.random.default_rng(4)
    frame = pd.DataFrame(rng.normal(size=(60, 3)), columns=["x", "body fat", "y"])
    frame["yes"] = (frame["x"] + rng.normal(size=60) > 0).astype(int)
    frame.loc[::5, "x"] = np.nan
    frame.loc[1::6, "body fat"] = np.nan
    path = tmp_path_factory.mktemp("measured") / "data.csv"
    frame.to_csv(path, index=False)
    return path


def test_an_analysis_is_printed_with_its_intervals(measured, tmp_path, capsys):
    words = ["impute", str(measured), "--analysis", "y ~ x", "--out", str(tmp_path / "a.nc")]
    assert main([*words, *SHORT]) == 0
    table = open_file(tmp_path / "a.nc").analysis
    said = capsys.readouterr().out.partition("Analysis, as the imputations")[2].splitlines()
    row = next(line for line in said if line.startswith("x ")).split()[1:]
    wanted = table.loc["x", ["estimate", "sd", "ci_low", "ci_high"]].astype(float).round(3)
    assert [float(each) for each in row[:4]] == wanted.tolist()


def test_an_analysis_by_chained_equations_leaves_fits_and_report(measured, tmp_path, capsys):
    words = ["impute", str(measured), "--analysis", "y ~ x", "--on", "conditional", *SHORT]
    words += ["--out", str(tmp_path / "c.nc"), "--report", str(tmp_path / "c.html")]
    assert main([*words, "--fit", "y ~ x"]) == 0
    assert "Pooled over 2 imputations" in capsys.readouterr().out
    assert (tmp_path / "c.html").is_file()


def test_families_of_fits_and_names_in_backticks(measured, tmp_path, capsys):
    words = ["impute", str(measured), "--out", str(tmp_path / "f.nc"), *SHORT]
    asked = ["--analysis", "y ~ x", "--fit", "yes ~ x", "--family", "yes=binomial"]
    assert main([*words, *asked]) == 0
    frames = open_file(tmp_path / "f.nc").complete("all")
    odds = fit(frames, "yes ~ x", family="binomial").pool().table.loc["x", "estimate"]
    assert f"{odds:.4f}" in capsys.readouterr().out
    assert main([*words, "--formula", "`body fat` ~ y"]) == 0
    assert open_file(tmp_path / "f.nc").predictors.loc["body fat"].tolist() == [0, 0, 1, 0]
    assert main([*words, *asked[:2], "--family", "no=binomial"]) == 2
    assert "family names 'no'" in capsys.readouterr().err


def test_words_of_one_column_leave_the_others_as_the_file_has_them(measured, tmp_path, capsys):
    (tmp_path / "run.toml").write_text(
        f"file = {str(measured)!r}\nout = 'm.nc'\n[method]\nx = 'normal'\n'body fat' = 'normal'\n"
    )
    words = ["impute", "--config", str(tmp_path / "run.toml"), *SHORT, "--method"]
    assert main([*words, "body fat=sample"]) == 0
    found = open_file(tmp_path / "m.nc").method
    assert (found["x"], found["body fat"]) == ("normal", "sample")
    assert main([*words, "sample"]) == 0
    assert open_file(tmp_path / "m.nc").method["x"] == "sample"
    capsys.readouterr()


def test_a_checkpoint_is_gone_on_with(csv, tmp_path, capsys):
    words = ["impute", str(csv), "--exclude", "name", "--checkpoint", str(tmp_path / "c.nc")]
    assert main([*words, "--out", str(tmp_path / "a.nc"), *SHORT]) == 0
    more = [*SHORT[:2], "--iterations", "3", *SHORT[4:]]
    assert main([*words, "--out", str(tmp_path / "b.nc"), *more]) == 0
    assert open_file(tmp_path / "b.nc").iterations == 3
    capsys.readouterr()


def test_version_and_completion(capsys, tmp_path):
    with pytest.raises(SystemExit) as stopped:
        main(["--version"])
    assert stopped.value.code == 0 and capsys.readouterr().out.startswith("bayesimpute 0.")
    assert main(["completion"]) == 0
    script = capsys.readouterr().out
    (tmp_path / "complete.sh").write_text(
        f"{script}\nCOMP_WORDS=(bayesimpute impute --chec); COMP_CWORD=2\n_bayesimpute\n"
        'echo "${COMPREPLY[@]}"\n'
    )
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is not installed")
    done = subprocess.run(
        [bash, tmp_path / "complete.sh"], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["--checkpoint"]


def test_ctrl_c_ends_with_130(csv, tmp_path, monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("bayesimpute.imputation.impute", interrupted)
    assert main(["impute", str(csv), "--out", str(tmp_path / "x.nc")]) == 130
    said = capsys.readouterr().err
    assert said == "bayesimpute: interrupted: before the first iteration; nothing is written.\n"


@pytest.mark.parametrize("kept", [False, True])
def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(kept, csv, tmp_path, capsys):
    out, checkpoint = tmp_path / "x.nc", tmp_path / "c.nc"
    iterations = 4 if kept else 40  # without a checkpoint a stretch has several
    words = ["impute", str(csv), "--out", str(out), "--method", "sample", "--exclude", "name"]
    words += ["--m", "2", "--iterations", str(iterations), "--seed", "1", "--cores", "1"]
    words += ["--checkpoint", str(checkpoint)] if kept else []
    with pytest.MonkeyPatch.context() as patch:
        calls = itertools.count()

        def second(*given):
            if next(calls):
                raise KeyboardInterrupt
            return lengthen(*given)

        patch.setattr("bayesimpute.engine.run.lengthen", second)
        assert main(words) == 130
    said = capsys.readouterr().err
    assert "interrupted: after iteration" in said and "goes on" in said and said.count("\n") == 1
    assert out.exists() is not kept
    done = open_file(checkpoint if kept else out).iterations
    assert 1 <= done < iterations
    if kept:
        assert main(words) == 0 and open_file(out).iterations == iterations


def test_output_that_is_no_longer_read_ends_quietly_with_141(csv):
    words = [sys.executable, "-m", "bayesimpute", "config", str(csv)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as started:
        started.stdout.close()
        assert started.stderr.read() == b""
    assert started.returncode == 141


def test_show_says_whose_imputations_they_are(tmp_path, capsys):
    df = pd.DataFrame({"x": np.arange(30.0), "y": [*np.arange(25.0) % 7, *[np.nan] * 5]})
    one, two = (bi.impute(df, m=2, iterations=1, seed=k, progress=False) for k in (1, 2))
    taken_in = bi.from_completed(one.complete("all"), incomplete=df)
    for imp, told in ((one.bind(two), "seeds 1 and 2, made 2"), (taken_in, "\ntaken in 2")):
        imp.to_netcdf(tmp_path / "imp.nc")
        assert main(["show", str(tmp_path / "imp.nc")]) == 0
        assert told in capsys.readouterr().out


def test_a_file_of_options_may_name_the_users_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "run.toml").write_text('file = "~/a.csv"\nout = "b.nc"')
    given = read_config(tmp_path / "runs" / "run.toml")
    assert given == {"file": tmp_path / "a.csv", "out": tmp_path / "runs" / "b.nc"}
