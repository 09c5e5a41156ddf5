"""Files of many makings on the command line: imputations, or one sentence; never a traceback."""

import gzip
import io
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bayesimpute.cli import main
from bayesimpute.cli.impute import _orders, _write, with_categories
from bayesimpute.opening import open_file
from bayesimpute.tables.notes import spoilt_numbers
from bayesimpute.tables.read_write import read_table, write_table

N = 40
RNG = np.random.default_rng(5)
X = RNG.normal(10, 2, N).round(2)
Y = (X + RNG.normal(size=N)).round(2)
G = RNG.choice(["red", "blue"], N)
#: Missing values of x, y and g.
GAPS = {"x": 8, "y": 6, "g": 7}
CHEAP = ["--m", "2", "--iterations", "1", "--seed", "1", "--method", "sample"]


def text(sep=",", decimal=".", na="", first=lambda i: str(i + 1), name="id", label=str):
    """Four columns, the first as it is asked for."""
    lines = [sep.join([name, "x", "y", "g"])]
    for i in range(N):
        numbers = [
            na if i % gap == at else str(own[i]).replace(".", decimal)
            for own, gap, at in ((X, 5, 0), (Y, 7, 3))
        ]
        lines.append(sep.join([first(i), *numbers, na if i % 6 == 1 else label(G[i])]))
    return "\n".join(lines) + "\n"


BASE = text()
HEAD, BODY = BASE.split("\n", 1)
RANDOM = RNG.integers(0, 256, 3000, dtype=np.uint8).tobytes()

#: File name -> its text or bytes, and further words of the command, if any. All are imputed, with
#: gaps as in GAPS unless another count stands there.
IMPUTED = {
    "semicolon and comma.csv": (text(";", ","), []),
    "tab.tsv": (text("\t"), []),
    "pipe.txt": (text("|"), []),
    "blanks.txt": (text(" ", na="NA"), []),
    "byte order mark.csv": (BASE.encode("utf-8-sig"), []),
    "utf-16.csv": (BASE.encode("utf-16"), []),
    "utf-16 without mark.csv": (BASE.encode("utf-16-le"), []),
    "latin.csv": (BASE.replace("red", "größe").encode("latin-1"), []),
    "windows.csv": (BASE.replace("red", "“red” €").encode("cp1252"), []),
    "japanese.csv": (BASE.replace("red", "赤い").encode("shift-jis"), ["--encoding", "shift-jis"]),
    "lines in quotes.csv": (text(label=lambda each: f'"{each}\nof two lines, with a comma"'), []),
    "packed.csv.gz": (gzip.compress(BASE.encode()), []),
    "packed but not called so.csv": (gzip.compress(BASE.encode()), []),
    "empty lines.csv": ("\n\n" + BASE.replace("\n", "\n\n"), []),
    "separator at the end.csv": (BASE.replace("\n", ",\n"), []),
    "separator at the end of rows.csv": (f"{HEAD}\n" + BODY.replace("\n", ",\n"), []),
    "numbered rows.csv": (text(name=""), []),
    "R's row names.csv": ("x,y,g\n" + BODY, []),
    "old Mac.csv": (BASE.replace("\n", "\r"), []),
    "remarks.csv": ("# made by a device\n# in 2020, 2021\n" + BASE, []),
    "-99.csv": (text(na="-99"), ["--na", "-99"]),
    "999.csv": (text(na="999"), ["--na", "999"]),
    "point.csv": (text(na="."), []),
    "not applicable.csv": (text(na="n/a"), []),
    "missing.csv": (text(na="missing"), ["--na", "missing"]),
    "dates.csv": (text(first=lambda i: f"2020-01-{i % 28 + 1:02d}"), []),
    "German dates.csv": (text(first=lambda i: f"{i % 28 + 1}.1.2020"), []),
    "yes and no.csv": (text(first=lambda i: ["yes", "no"][i % 2]), []),
    "true and false.csv": (text(first=lambda i: ["TRUE", "FALSE"][i % 2]), []),
    "thousands.csv": (text(first=lambda i: f'"{1000 + i * 37:,}"'), []),
    "German thousands.csv": (text(";", ",", first=lambda i: f"1.{i * 37 % 900 + 100}"), []),
    "per cent.csv": (text(first=lambda i: f"{i * 2 % 90}%"), []),
    "very large ids.csv": (text(first=lambda i: str(10**25 + i)), []),
    "constant.csv": (text(first=lambda i: "7"), []),
    "None.csv": (text(first=lambda i: ["None", "some"][i % 2]), []),
    "short rows.csv": (text() + "41\n", []),
}  # fmt: skip

#: The same for what ends in a sentence with these words.
REFUSED = {
    "two columns of one name.csv": (BASE.replace(HEAD, "id,x,x,g"), "'x' 2 times"),
    "a word among numbers.csv": (text(na="missing"), "--na missing"),
    "codes alone.csv": (text(na="-99"), "nothing to impute"),
    "all missing.csv": (text(first=lambda i: ""), "no observed value"),
    "constant with gaps.csv": (text(first=lambda i: "7" if i % 3 else ""), "no spread"),
    "no gaps.csv": ("a,b\n" + "".join(f"{i},{i * i}\n" for i in range(20)), "nothing to impute"),
    "header only.csv": ("a,b,c\n", "has no rows"),
    "no header.csv": (BODY, "no name for its column"),
    "title.csv": ("Report of the year\n\n" + BASE, "names in its first line"),
    "ragged.csv": (BASE + "1,2,3,4,5,6\n", "names in its first line"),
    "zero bytes.csv": (b"", "is empty"),
    "garbage.csv": (RANDOM, "binary data"),
    "page.csv": ("<!DOCTYPE html><html><body>404</body></html>", "web page"),
    "objects.csv": ('[{"a": 1}]', "JSON"),
    "workbook.csv": (b"PK\x03\x04" + RANDOM, ".xlsx"),
    "infinite.csv": (text(first=lambda i: "inf" if i == 3 else str(i)), "infinite"),
    "no parquet.parquet": (RANDOM, "cannot be read"),
    "no Stata.dta": (RANDOM, "cannot be read"),
    "no SPSS.sav": (RANDOM, "cannot be read"),
    "no workbook.xlsx": (RANDOM, "is no Excel workbook"),
    "not packed.csv.gz": (RANDOM, "cannot be read"),
    "folder.csv": (None, "is a folder"),
}


def run(folder, name, words=()):
    (folder / "out.nc").unlink(missing_ok=True)
    return main(["impute", str(folder / name), "--out", str(folder / "out.nc"), *CHEAP, *words])


@pytest.mark.parametrize("name", IMPUTED)
def test_a_file_of_this_making_is_imputed(name, tmp_path, capsys):
    content, words = IMPUTED[name]
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    assert run(tmp_path, name, words) == 0, capsys.readouterr().err
    found = open_file(tmp_path / "out.nc").data
    extra = name == "short rows.csv"
    assert {each: int(found[each].isna().sum()) - extra for each in GAPS} == GAPS
    seen = found["x"].dropna().to_numpy()
    np.testing.assert_array_equal(seen, X[np.arange(N) % 5 != 0])
    labels = found["g"].dropna().nunique()
    assert labels == 2 and found["y"].dtype == float
    expected = {"per cent.csv": 2.0, "thousands.csv": 1037.0, "German thousands.csv": 1137.0}
    if name in expected:
        assert found["id"].tolist()[1] == expected[name]
    if "dates" in name:
        assert found["id"].tolist()[1] == pd.Timestamp("2020-01-02")


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_of_this_making_is_refused_in_a_sentence(name, tmp_path, capsys):
    content, words = REFUSED[name]
    if content is None:
        (tmp_path / name).mkdir()
    else:
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    assert run(tmp_path, name) == 2
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1 and not (tmp_path / "out.nc").exists()


def test_parquet_keeps_its_types(tmp_path):
    frame = pd.read_csv(io.StringIO(BASE))
    kept = frame.assign(
        c=frame["g"].astype("category"), i=frame["x"].round().astype("Int64"),
        t=pd.Timestamp("2020-01-01"),
    )  # fmt: skip
    kept.to_parquet(tmp_path / "a.parquet")
    assert run(tmp_path, "a.parquet") == 0
    found = open_file(tmp_path / "out.nc").complete(1)
    assert found.dtypes.equals(kept.dtypes) and found["t"].eq(kept["t"]).all()


def test_stata_labels_are_categories_and_its_missing_codes_missing(tmp_path, capsys):
    pyreadstat = pytest.importorskip("pyreadstat", reason="writes missing codes of Stata")
    frame = pd.read_csv(io.StringIO(BASE)).drop(columns="g")
    frame["region"] = [1, 2, "a", 3] * (N // 4)  # .a is "refused"
    frame["income"] = [10.0, 20.0, 999.0, 35.5] * (N // 4)  # one label, of a code
    frame["text"] = ["p", "q", "", "q"] * (N // 4)
    pyreadstat.write_dta(
        frame, tmp_path / "a.dta", missing_user_values={"region": ["a"]},
        variable_value_labels={
            "region": {1: "north", 2: "south", 3: "east"}, "income": {999: "refused"},
        },
    )  # fmt: skip
    assert run(tmp_path, "a.dta", ["--na", "999"]) == 0
    found = open_file(tmp_path / "out.nc").data
    assert list(found["region"].cat.categories) == ["north", "south", "east"]
    assert not found["region"].cat.ordered
    assert found["income"].dtype == float and found["text"].isna().sum() == N // 4
    assert found[["region", "income"]].isna().sum().tolist() == [N // 4] * 2
    assert "labels for some values only" in capsys.readouterr().out


def test_spss_labels_are_categories_in_the_order_of_their_codes(tmp_path):
    pyreadstat = pytest.importorskip("pyreadstat", reason="SPSS files need pyreadstat")
    frame = pd.read_csv(io.StringIO(BASE)).drop(columns="g")
    frame["agree"] = [3.0, 2.0, 9.0, 1.0] * (N // 4)
    frame["place"] = [2.0, 1.0, None, 2.0] * (N // 4)
    pyreadstat.write_sav(
        frame, tmp_path / "a.sav", missing_ranges={"agree": [9]},
        variable_value_labels={
            "agree": {1: "no", 2: "perhaps", 3: "always", 9: "refused"},
            "place": {1: "town", 2: "country"},
        },
        variable_measure={"agree": "ordinal", "place": "nominal"},
    )  # fmt: skip
    assert run(tmp_path, "a.sav") == 0
    found = open_file(tmp_path / "out.nc").data
    assert list(found["agree"].cat.categories) == ["no", "perhaps", "always"]
    assert found["agree"].cat.ordered and not found["place"].cat.ordered
    assert found[["agree", "place"]].isna().sum().tolist() == [N // 4] * 2


def test_a_workbook_of_two_sheets(tmp_path, capsys):
    pytest.importorskip("openpyxl", reason="Excel files need openpyxl")
    frame = pd.read_csv(io.StringIO(BASE))
    with pd.ExcelWriter(tmp_path / "a.xlsx") as book:
        frame.to_excel(book, sheet_name="one", index=False)
        frame.assign(z=1.0).to_excel(book, sheet_name="two", index=False)
    assert run(tmp_path, "a.xlsx") == 0 and "2 sheets" in capsys.readouterr().out
    assert "z" not in open_file(tmp_path / "out.nc").data
    assert run(tmp_path, "a.xlsx", ["--sheet", "two"]) == 0
    assert "z" in open_file(tmp_path / "out.nc").data and "2 sheets" not in capsys.readouterr().out
    assert run(tmp_path, "a.xlsx", ["--sheet", "three"]) == 2


@pytest.mark.parametrize(("name", "module"), [
    ("a.sav", "pyreadstat"), ("a.xlsx", "openpyxl"), ("a.parquet", "pyarrow"),
])  # fmt: skip
def test_a_reader_that_is_not_installed_is_named(name, module, tmp_path, monkeypatch, capsys):
    frame = pd.DataFrame({"x": [1.0, None, 2.0]})
    (tmp_path / name).write_bytes(b"")
    if name == "a.xlsx":
        frame.to_excel(tmp_path / name, index=False)
    for each in (module, f"{module}.parquet"):
        monkeypatch.setitem(__import__("sys").modules, each, None)
    if module == "pyarrow":
        monkeypatch.setattr(pd, "read_parquet", refused)
    assert run(tmp_path, name) == 2
    assert 'pip install "bayesimpute[files]"' in capsys.readouterr().err


def refused(*_):
    raise ImportError("pyarrow is not there")


def test_what_may_mean_missing_is_pointed_out(tmp_path, capsys):
    (tmp_path / "a.csv").write_text(text(na="-99", first=lambda i: ["?", "a", ""][i % 3]))
    assert run(tmp_path, "a.csv") == 0
    said = capsys.readouterr().out
    assert "--na -99" in said and "'?'" in said
    assert main(["explore", str(tmp_path / "a.csv")]) == 0
    assert "--na -99" in capsys.readouterr().out


def test_numbers_with_words_among_them_are_labels_if_a_method_is_named_for_them(tmp_path):
    rows = text(first=lambda i: ["missing", "1.5", "2.5", ""][i % 4])
    (tmp_path / "b.csv").write_text(rows)
    words = ["impute", str(tmp_path / "b.csv"), "--out", str(tmp_path / "c.nc"), *CHEAP[:6]]
    words += [each for name in "xyg" for each in ("--method", f"{name}=sample")]
    assert main(words) == 2
    assert main([*words, "--method", "id=sample"]) == 0
    assert open_file(tmp_path / "c.nc").data["id"].nunique() == 3


def test_a_workbook_with_numbered_rows_and_one_with_a_title(tmp_path, capsys):
    pytest.importorskip("openpyxl", reason="Excel files need openpyxl")
    frame = pd.read_csv(io.StringIO(BASE)).drop(columns="id")
    frame.to_excel(tmp_path / "rows.xlsx")
    assert run(tmp_path, "rows.xlsx") == 0
    assert list(open_file(tmp_path / "out.nc").data.columns) == ["x", "y", "g"]
    frame.to_excel(tmp_path / "title.xlsx", startrow=3, index=False)
    assert run(tmp_path, "title.xlsx") == 2
    assert "no name for its column" in capsys.readouterr().err
    (tmp_path / "text.xlsx").write_text(BASE)
    assert run(tmp_path, "text.xlsx") == 2
    assert "is no Excel workbook; if it is text" in capsys.readouterr().err


def test_cells_of_a_column_of_a_workbook_are_of_one_kind(tmp_path):
    pytest.importorskip("openpyxl", reason="Excel files need openpyxl")
    cells = {"code": [1, "1", "a", None], "x ": [1.5, "2.5", 4, None], 2019: [1, 2, 3, 4]}
    pd.DataFrame(cells, dtype=object).to_excel(tmp_path / "a.xlsx", index=False)
    found = read_table(tmp_path / "a.xlsx")
    assert found["code"].dropna().tolist() == ["1", "1", "a"]
    assert found["x"].dropna().tolist() == [1.5, 2.5, 4.0] and found["2019"].dtype == int
    spoilt = pd.DataFrame({"x": [1.5, "missing", 2.5, 3.5]}, dtype=object)
    spoilt.to_excel(tmp_path / "b.xlsx", index=False)
    assert dict(spoilt_numbers(read_table(tmp_path / "b.xlsx"))) == {"x": ["missing"]}


def test_columns_of_lists_are_left_alone(tmp_path):
    frame = pd.read_csv(io.StringIO(BASE)).assign(parts=[[1, 2]] * N)
    frame.to_parquet(tmp_path / "a.parquet")
    assert run(tmp_path, "a.parquet") == 0
    assert main(["explore", str(tmp_path / "a.parquet")]) == 0


def test_a_separator_that_was_not_found_is_pointed_out(tmp_path, capsys):
    (tmp_path / "a.csv").write_text(text("^"))
    assert run(tmp_path, "a.csv") == 2
    assert "if '^' stands between several, say so: --separator '^'" in capsys.readouterr().out
    assert run(tmp_path, "a.csv", ["--separator", "^"]) == 0


def coded(folder):
    rows = ["ward,stage,weight,age"]
    for i in range(60):
        ward = "" if i % 7 == 0 else str(i * i % 3 + i % 2 + 9)
        stage = "" if i % 5 == 1 else ("low", "mid", "high")[i % 3]
        rows.append(f"{ward},{stage},{'' if i % 6 == 0 else 60 + i % 11},{20 + i % 17}")
    (folder / "a.csv").write_text("\n".join(rows))


def test_codes_become_categories_and_categories_get_their_order(tmp_path, capsys):
    coded(tmp_path)
    words = ["--category", "ward", "--ordered", "stage=low, mid,high"]
    assert run(tmp_path, "a.csv", words) == 0
    data = open_file(tmp_path / "out.nc").data
    assert list(data["ward"].cat.categories) == ["9", "10", "11"] and not data["ward"].cat.ordered
    assert list(data["stage"].cat.categories) == ["low", "mid", "high"]
    assert data["stage"].cat.ordered and data["stage"].isna().sum() == 12
    assert main(["explore", str(tmp_path / "a.csv"), *words]) == 0
    assert "ordinal" in capsys.readouterr().out
    (tmp_path / "run.toml").write_text(
        'file = "a.csv"\nout = "b.nc"\ncategory = ["ward"]\nm = 2\niterations = 1\n'
        'method = "sample"\n[ordered]\nstage = ["low", "mid", "high"]\n'
    )
    assert main(["impute", "--config", str(tmp_path / "run.toml")]) == 0
    assert open_file(tmp_path / "b.nc").data.dtypes.equals(data.dtypes)


def test_labels_are_of_numbers_and_texts_alike():
    mixed = pd.Series([1, "1", 2.0, np.float32(3), "b", None], dtype=object)
    given = {"ordered": {"b": "1,2", "c": [2.0, 1]}}
    df = pd.DataFrame({"a": mixed, "b": [1, 2] * 3, "c": [1.0, 2.0] * 3})
    done = with_categories(df, ["a"], _orders(given["ordered"]))
    assert list(done["a"].dropna()) == ["1", "1", "2", "3", "b"]
    assert [list(done[name].cat.categories) for name in "bc"] == [["1", "2"], ["2", "1"]]


@pytest.mark.parametrize(("words", "said"), [
    (["--category", "wart"], "--category wart: there is no such column. Did you mean 'ward'"),
    (["--ordered", "stage"], "write COLUMN=LOW,…,HIGH, such as stage=I,II,III"),
    (["--ordered", "stage=low,low,mid,high"], "--ordered stage: a label stands there twice"),
    (["--ordered", "stage=low,mid"], "--ordered stage: 'high' is a value of the column and not"),
    (["--ordered", "stage=low", "--ordered", "stage=mid"], "--ordered is given twice for 'stage'"),
    (["--fit", "age ~ ward", *["--family", "age=gaussian"] * 2], "--family is given twice for 'a"),
])  # fmt: skip
def test_options_that_cannot_be_are_refused(words, said, tmp_path, capsys):
    coded(tmp_path)
    assert run(tmp_path, "a.csv", words) == 2
    assert said in capsys.readouterr().err


def test_an_analysis_is_pooled_printed_and_reported(tmp_path, capsys):
    coded(tmp_path)
    words = ["--fit", "weight ~ age + stage", "--fit", "ward ~ age", "--family", "weight=gaussian"]
    report = ["--report", str(tmp_path / "r.html")]
    assert run(tmp_path, "a.csv", [*words, *report]) == 0
    said = capsys.readouterr().out
    assert "weight ~ age + stage\n" in said and "stagemid" in said
    assert "Note: The imputation does not hold all that 'weight ~ age + stage' asks for." in said
    assert "ward ~ age" in (tmp_path / "r.html").read_text("utf-8")
    assert run(tmp_path, "a.csv", ["--fit", "weight ~ heigt"]) == 2
    assert "'heigt'" in capsys.readouterr().err and not (tmp_path / "out.nc").exists()


def test_a_run_in_nested_clusters_is_written_down(tmp_path, capsys):
    (tmp_path / "a.csv").write_text('g,h,"x\x7f"\n1,1,2\n1,2,3\n2,1,\n2,1,4\n')
    assert main(["config", str(tmp_path / "a.csv"), "--cluster", "g/h"]) == 0
    written = tomllib.loads(capsys.readouterr().out)
    assert written["cluster"] == "g/h" and list(written["method"]) == ["x\x7f"]


def test_ids_are_labels_whatever_they_look_like(tmp_path, capsys):
    ids = [*(str(k // 2) for k in range(50)), "0a", "0a"]
    rows = "".join(f"{each},{k if k % 3 else ''}\n" for k, each in enumerate(ids))
    (tmp_path / "a.csv").write_text("ward,x\n" + rows)
    assert run(tmp_path, "a.csv") == 2
    assert "--category ward" in capsys.readouterr().err
    assert run(tmp_path, "a.csv", ["--category", "ward"]) == 0
    assert run(tmp_path, "a.csv", ["--cluster", "ward"]) == 0


def test_a_word_among_numbers_with_a_decimal_comma_is_refused(tmp_path, capsys):
    (tmp_path / "a.csv").write_text("x;y\n" + "".join(f"{k},5;{k}\n" for k in range(9)) + "bad;\n")
    assert run(tmp_path, "a.csv") == 2
    assert "but for 'bad'" in capsys.readouterr().err


def test_a_file_that_cannot_hold_the_completed_data_leaves_the_others(tmp_path):
    frame = pd.DataFrame({"when": pd.to_datetime(["2020-01-01"]).tz_localize("UTC")})
    written, problems = [], []
    kinds = {
        "completed": lambda _, path: write_table(frame, path),
        "report": lambda _, path: written.append(path),
    }
    given = {"completed": str(tmp_path / "a.dta"), "report": "a.html"}
    _write(None, given, kinds, problems)
    assert "cannot hold" in str(problems[0]) and written == [Path("a.html")]


@pytest.mark.parametrize("command", ["explore", "config"])
def test_what_was_decided_in_reading_is_said_and_columns_may_be_left_out(command, tmp_path, capsys):
    rows = "".join(f'{k},"{1000 + k:,}",{k if k % 4 else ""}\n' for k in range(20))
    (tmp_path / "a.csv").write_text("id,pay,x\n" + rows)
    assert main([command, str(tmp_path / "a.csv"), "--exclude", "id"]) == 0
    said = capsys.readouterr().out
    assert "'pay' has thousands" in said and "'id' tells the rows apart" not in said
    assert command == "explore" or 'exclude = ["id"]\n' in said


def test_a_fit_that_fails_leaves_the_others_and_the_report(tmp_path, capsys, monkeypatch):
    (tmp_path / "a.csv").write_text(BASE)
    given = []
    monkeypatch.setattr(
        "bayesimpute.cli.impute._report", lambda analyses, *_: given.append(analyses)
    )
    words = ["--fit", "x ~ y", "--fit", "g ~ x", "--report", str(tmp_path / "a.html")]
    assert run(tmp_path, "a.csv", words) == 2
    assert "The outcome 'g' has the categories" in capsys.readouterr().err
    assert list(given[0]) == ["x ~ y"]


def test_columns_that_completed_data_have_of_their_own_are_refused_at_once(tmp_path, capsys):
    (tmp_path / "a.csv").write_text(text(name=".id"))
    assert run(tmp_path, "a.csv", ["--completed", str(tmp_path / "b.csv")]) == 2
    assert "--exclude .id" in capsys.readouterr().err and not (tmp_path / "out.nc").exists()
