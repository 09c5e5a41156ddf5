"""Tables of many makings, in and out."""

import gzip
import shutil
import subprocess
import zipfile

import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi
from bayesimpute.errors import BayesimputeError, DataError, SpecificationError
from bayesimpute.tables.notes import notes_on
from bayesimpute.tables.read_write import read_table, write_table

FRAME = pd.DataFrame(
    {
        "name": ["Zoë", "None", None, "Ann, B."],
        "age": [31.0, np.nan, 45.5, 7.25],
        "k": [1, 2, 3, 4],
    }
)


def text_of(frame, **options):
    return frame.to_csv(index=False, **options)


#: File name -> its bytes, and what has to be said to read it.
FILES = {
    "plain.csv": (text_of(FRAME).encode(), {}),
    "semicolon.csv": (text_of(FRAME, sep=";").encode(), {}),
    "decimal comma.csv": (text_of(FRAME, sep=";", decimal=",").encode(), {}),
    "tab.txt": (text_of(FRAME, sep="\t").encode(), {}),
    "tab.tsv": (text_of(FRAME, sep="\t").encode(), {}),
    "tab with decimal comma.tsv": (text_of(FRAME, sep="\t", decimal=",").encode(), {}),
    "pipe.dat": (text_of(FRAME, sep="|").encode(), {}),
    "no ending": (text_of(FRAME).encode(), {}),
    "byte order mark.csv": (text_of(FRAME).encode("utf-8-sig"), {}),
    "windows.csv": (text_of(FRAME).encode("cp1252"), {}),
    "utf-16.csv": (text_of(FRAME).encode("utf-16"), {}),
    "mac.csv": (text_of(FRAME).encode("mac_roman"), {"encoding": "mac_roman"}),
    "windows lines.csv": (text_of(FRAME).replace("\n", "\r\n").encode(), {}),
    "blanks after commas.csv": (text_of(FRAME, sep=";").replace(";", "; ").encode(), {}),
    "quoted.csv": (text_of(FRAME, quoting=1).encode(), {}),
    "packed.csv.gz": (gzip.compress(text_of(FRAME).encode()), {}),
    "code -99.csv": (text_of(FRAME.fillna({"age": -99})).encode(), {"na": ["-99"]}),
    "code -99.0.csv": (text_of(FRAME.fillna({"age": -99.0})).encode(), {"na": ["-99"]}),
    "dot.csv": (text_of(FRAME, na_rep=".").encode(), {"na": ["."]}),
    "given separator.csv": (text_of(FRAME, sep="~").encode(), {"separator": "~"}),
    "named separator.csv": (text_of(FRAME, sep="\t").encode(), {"separator": "tab"}),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_text_of_many_makings_is_read(name, tmp_path):
    content, options = FILES[name]
    (tmp_path / name).write_bytes(content)
    found = read_table(tmp_path / name, **options)
    pd.testing.assert_frame_equal(found, FRAME, check_dtype=False)
    assert list(notes_on(found)) == [
        "Column 'name' has the label None, which is a category and not a gap."
    ]


ENDINGS = ("csv", "tsv", "csv.gz", "csv.bz2", "csv.xz", "tsv.zip", "parquet", "dta", "xlsx")


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_is_written_is_read(ending, tmp_path):
    path = tmp_path / f"table.{ending}"
    if ending == "xlsx":
        pytest.importorskip("openpyxl", reason="Excel files need openpyxl")
    frame = FRAME.assign(c=pd.Categorical(["a", None, "b", "a"]), t=[True, False, True, True])
    write_table(frame, path)
    found = read_table(path)
    if ending != "parquet":
        frame = frame.astype({"c": object})
        found = found.astype({"c": object, "t": bool})
    pd.testing.assert_frame_equal(found, frame, check_dtype=False, check_categorical=False)


def test_a_packed_archive_of_one_file_is_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.csv.zip", "w") as archive:
        archive.writestr("a.csv", text_of(FRAME))
    pd.testing.assert_frame_equal(read_table(tmp_path / "a.csv.zip"), FRAME, check_dtype=False)


def test_codes_of_missing_values_hold_in_other_forms_too(tmp_path):
    frame = pd.DataFrame(
        {"x": [1.0, -99.0], "s": ["u", "unknown"], "c": pd.Categorical(["p", "q"])}
    )
    frame.to_parquet(tmp_path / "a.parquet")
    found = read_table(tmp_path / "a.parquet", na=["-99", "unknown", "q"])
    assert found.isna().to_numpy().tolist() == [[False] * 3, [True] * 3]


@pytest.mark.parametrize(("name", "content", "words"), [
    ("empty.csv", b"", "is empty"),
    ("blank.csv", b"\n\n", "is empty"),
    ("ragged.csv", b"a,b\n1,2\n1,2,3\n", "names in its first line"),
    ("a.parquet", b"no parquet", "cannot be read as a .parquet file"),
    ("a.dta", b"no Stata", "cannot be read as a .dta file"),
    ("a.csv.gz", b"not packed", "cannot be read"),
])  # fmt: skip
def test_what_cannot_be_read_is_said_in_a_sentence(name, content, words, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=words) as told:
        read_table(tmp_path / name)
    assert "\n" not in str(told.value)
    with pytest.raises(FileNotFoundError, match="no file"):
        read_table(tmp_path / "nowhere.csv")
    with pytest.raises(SpecificationError, match="by the ending"):
        write_table(FRAME, tmp_path / "a.docx")


def test_a_label_that_reads_as_missing_is_not_written_as_text(tmp_path):
    country = pd.DataFrame({"country": pd.Categorical(["NA", "DE", None])})
    with pytest.raises(DataError, match="'NA' of 'country' would be read as missing"):
        write_table(country, tmp_path / "a.csv")
    write_table(country, tmp_path / "a.parquet")
    assert read_table(tmp_path / "a.parquet")["country"].tolist()[:2] == ["NA", "DE"]


@pytest.fixture(scope="module")
def imp():
    rng = np.random.default_rng(3)
    n = 120
    df = pd.DataFrame({"age at visit": rng.normal(50, 9, n), "2nd": rng.integers(0, 9, n)})
    df["y"] = df["age at visit"] / 10 + rng.normal(size=n)
    df["sex"] = np.where(df["y"] + rng.normal(size=n) > 5, "female", "male")
    for name in ("age at visit", "y", "sex"):
        df.loc[rng.random(n) < 0.2, name] = None
    return bi.impute(df, m=3, iterations=1, seed=1, progress=False)


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "parquet"])
def test_long_files_are_taken_in_again(imp, ending, tmp_path):
    imp.to_long(tmp_path / f"long.{ending}")
    again = bi.from_completed(read_table(tmp_path / f"long.{ending}"))
    pd.testing.assert_frame_equal(again.complete("long"), imp.complete("long"), check_dtype=False)


def test_stata_gets_names_that_it_has(imp, tmp_path):
    imp.to_long(tmp_path / "long.dta")
    found = pd.read_stata(tmp_path / "long.dta")
    assert list(found.columns) == ["imp", "id", "age_at_visit", "v2nd", "y", "sex"]
    assert found["imp"].tolist() == sorted(list(range(4)) * 120)
    assert found["id"][:120].tolist() == list(range(1, 121))
    again = bi.from_completed(read_table(tmp_path / "long.dta"), imputation="imp", row="id")
    np.testing.assert_allclose(again.complete(2)["y"], imp.complete(2)["y"])


def test_texts_and_truth_values_with_gaps_are_numbers_in_stata(tmp_path):
    frame = pd.DataFrame({"t": ["u", "v", "u"], "b": pd.Series([True, False, True], dtype=object)})
    gaps = frame.where(pd.DataFrame({"t": [True, True, False], "b": [False, True, True]}))
    bi.from_completed([frame], incomplete=gaps).to_long(tmp_path / "a.dta")
    found = pd.read_stata(tmp_path / "a.dta")
    assert found[["t", "b"]].isna().sum().tolist() == [1, 1]
    assert found["b"].dtype.kind == "f"
    again = bi.from_completed(found, imputation="imp", row="id")
    assert again.complete(1)["t"].tolist() == ["u", "v", "u"]


def test_a_column_that_a_form_cannot_hold_is_named_with_one_that_can(tmp_path):
    frame = pd.DataFrame(
        {"x": [1.0, 2.0], "month": pd.period_range("2020-01", periods=2, freq="M")}
    )
    with pytest.raises(DataError, match=r"'month' \(period\[M\]\); a \.csv file can"):
        write_table(frame, tmp_path / "a.dta")
    write_table(frame, tmp_path / "a.csv")
    assert read_table(tmp_path / "a.csv")["x"].tolist() == [1.0, 2.0]


def test_stata_gets_no_name_that_means_something_to_it(tmp_path):
    names = ["if", "_n", "str12", "vif", "string"]
    frame = pd.DataFrame({"x": [1.0, 2.0]} | {name: [1, 2] for name in names})
    completed = bi.from_completed([frame], incomplete=frame.assign(x=[1.0, np.nan]))
    completed.to_long(tmp_path / "a.dta")
    found = list(pd.read_stata(tmp_path / "a.dta").columns[3:])
    assert found == ["vif", "v_n", "vstr12", "vif_2", "string"]


def rscript():
    found = shutil.which("Rscript")
    if found is None:
        pytest.skip("R is not installed")
    there = 'quit(status = !nzchar(system.file(package = "mice")))'
    done = subprocess.run([found, "-e", there], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("R has no package mice")
    return found


R_CODE = """
suppressMessages(library(mice))
long <- read.csv("long.csv", stringsAsFactors = TRUE)
imp <- as.mids(long)
fit <- summary(pool(with(imp, lm(y ~ age.at.visit + sex))))
write.csv(fit, "pooled.csv", row.names = FALSE)
back <- complete(imp, "long", include = TRUE)
write.csv(back, "back.csv", row.names = FALSE)
own <- mice(complete(imp, 0), m = 2, maxit = 1, printFlag = FALSE, seed = 1)
write.csv(complete(own, "long", include = TRUE), "own.csv", row.names = FALSE)
"""


def test_a_long_file_goes_to_mice_and_comes_back_equal(imp, tmp_path):
    program = rscript()
    imp.to_long(tmp_path / "long.csv")
    (tmp_path / "code.R").write_text(R_CODE)
    done = subprocess.run(
        [program, "code.R"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    back = read_table(tmp_path / "back.csv").rename(
        columns={"age.at.visit": "age at visit", "X2nd": "2nd"}
    )
    again = bi.from_completed(back, incomplete=imp.data.reset_index(drop=True))
    for k in (1, 2, 3):
        pd.testing.assert_frame_equal(again.complete(k), imp.complete(k), check_dtype=False)
    theirs = pd.read_csv(tmp_path / "pooled.csv").set_index("term")
    ours = imp.fit("y ~ `age at visit` + sex").pool().table
    np.testing.assert_allclose(theirs["estimate"], ours["estimate"], rtol=1e-8)
    np.testing.assert_allclose(theirs["std.error"], ours["std_error"], rtol=1e-8)
    np.testing.assert_allclose(theirs["df"], ours["df"], rtol=1e-6)
    own = bi.from_completed(read_table(tmp_path / "own.csv"))  # imputations that mice made
    assert own.m == 2 and not own.complete(2).isna().any(axis=None)


def test_columns_named_as_theirs_are_refused(imp, tmp_path):
    named = bi.from_completed(
        [imp.complete(1).assign(**{".imp": 1})], incomplete=imp.data.assign(**{".imp": 1})
    )
    with pytest.raises(BayesimputeError, match=r"\.imp"):
        named.to_long(tmp_path / "long.csv")


@pytest.mark.parametrize(("text", "values"), [
    ('a,b\n"1,5",2\n"2,25",3\n', [1.5, 2.25]),
    ("a;b\n" + "1;2\n" * 300 + "2,25;3\n", [1.0, 2.25]),
    ("b;a\n1,5;1.5\n2,5;2.25\n", [1.5, 2.25]),
    ("a,b\n1.5,2\nNA ,3\n2.25 ,4\n", [1.5, 2.25]),
])  # fmt: skip
def test_numbers_are_numbers_whatever_the_others_are(text, values, tmp_path):
    (tmp_path / "a.csv").write_text(text)
    said = []
    found = read_table(tmp_path / "a.csv", said=said)
    assert found["a"].dropna().unique().tolist() == values
    assert "NA" in text or "has numbers with the decimal sign" in said[0]


def test_a_row_of_several_lines_may_end_after_those_looked_at(tmp_path):
    rows = "".join(f'"a text\nof two; lines";{k}\n' for k in range(150))
    (tmp_path / "a.csv").write_text("x;b\n" + rows)
    assert list(read_table(tmp_path / "a.csv").columns) == ["x", "b"]


@pytest.mark.parametrize(("ids", "found"), [
    (["01", "1", "2"], ["01", "1", "2"]), (["07", "08", "12"], [7, 8, 12]),
])  # fmt: skip
def test_zeros_in_front_tell_ids_apart(ids, found, tmp_path):
    (tmp_path / "a.csv").write_text("x,id\r\n" + "".join(f'5,"{each}"\r\n' for each in ids))
    said = []
    assert read_table(tmp_path / "a.csv", said=said)["id"].tolist() == found
    assert len(said) == 1 and f"{ids[0]}" in said[0]


@pytest.mark.parametrize("row", ["1,234;1.5;2,345", "1.234;1,5;2.345"])
def test_signs_before_three_digits_mark_thousands_beside_the_other(row, tmp_path):
    (tmp_path / "a.csv").write_text(f"pay;x;rent\n{row}\n{row}\n")
    said = []
    assert read_table(tmp_path / "a.csv", said=said).iloc[0].tolist() == [1234, 1.5, 2345]
    assert "'pay' has thousands" in said[0]


def test_a_comma_that_may_mark_thousands_is_pointed_out(tmp_path):
    (tmp_path / "a.csv").write_text("pay;x\n1,234;1\n2,345;2\n")
    said = []
    assert read_table(tmp_path / "a.csv", said=said)["pay"].tolist() == [1.234, 2.345]
    assert "--decimal '.'" in said[0]
    assert read_table(tmp_path / "a.csv", decimal=".")["pay"].tolist() == [1234, 2345]


def test_labels_do_not_differ_by_blanks_behind_them(tmp_path):
    (tmp_path / "a.csv").write_text("a ,b\nyes ,1\nyes,2\nno,3\n? ,4\n")
    assert read_table(tmp_path / "a.csv", na=["?"])["a"].dropna().tolist() == ["yes", "yes", "no"]


def test_a_column_of_a_long_file_is_of_one_kind(tmp_path):
    (tmp_path / "long.csv").write_text("a,b\n" + "1,2\n" * 270_000 + "x,2\n1,2\n")
    assert set(read_table(tmp_path / "long.csv")["a"]) == {"1", "x"}
