"""``bayesimpute impute``: options of the command line and of a file, and the run."""

import argparse
import shlex
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayesimpute.cli.config import read_config
from bayesimpute.errors import ImputationWarning, SpecificationError, WritingError
from bayesimpute.files import check_target, place
from bayesimpute.tables.notes import notes_on, spoilt_numbers
from bayesimpute.tables.read_write import read_table, write_table
from bayesimpute.wording import listed, one_line

if TYPE_CHECKING:
    import pandas as pd

    from bayesimpute.imputations import Imputations

#: Iterations of a run that says nothing else.
DEFAULT_ITERATIONS = 10
#: Texts that a refusal writes out for the command line.
MOST_TEXTS = 5
#: What bi.impute itself takes, by the names of its arguments.
PASSED_ON = ("cluster", "m", "iterations", "seed", "cores", "model_options", "checkpoint", "on")


def add_impute(commands: Any) -> argparse.ArgumentParser:
    """Add the command to the parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "impute", help="impute the table of a file"
    )
    parser.add_argument(
        "file", type=Path, nargs="?", metavar="FILE",
        help="csv, tsv, txt (also .gz, .zip), parquet, Stata's dta, SPSS' sav, xlsx",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="FILE.nc", help="result")
    parser.add_argument(
        "--config", type=Path, metavar="FILE.toml",
        help="all of these options in a file (bayesimpute config writes one); those given here "
        "come first",
    )  # fmt: skip
    add_reading(parser)
    parser.add_argument("--cluster", metavar="COLUMN", help="column of cluster ids")
    parser.add_argument(
        "--method", action="append", metavar="COLUMN=NAME",
        help="method of a column, or NAME alone for all; may be repeated; default by kind",
    )  # fmt: skip
    parser.add_argument(
        "--exclude", action="append", metavar="COLUMN",
        help="leave a column out (a row number, an id); may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--predictors", type=Path, metavar="FILE",
        help="predictor matrix: a table whose first column names the targets, codes as in mice",
    )  # fmt: skip
    parser.add_argument(
        "--formula", action="append", metavar="'Y ~ X + (1 | G)'",
        help="model of the target on its left side; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--analysis", action="append", metavar="'Y ~ X * Z + (1 | G)'",
        help="analysis that the imputations are made for; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--family", action="append", metavar="[Y=]NAME",
        help="of the outcome of the analysis: binomial, poisson, …; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--on", choices=("analysis", "conditional"),
        help="impute compatibly with the analysis (default), or by chained equations all the same",
    )  # fmt: skip
    add_run_options(parser, seed=None)
    parser.add_argument("--cores", type=int, help="threads (default: all physical cores)")
    parser.add_argument(
        "--checkpoint", type=Path, metavar="FILE.nc",
        help="written after every iteration; an interrupted run goes on from it",
    )  # fmt: skip
    parser.add_argument(
        "--completed", "--complete", type=Path, metavar="FILE",
        help="also write the completed data, long, with columns .imp and .id: csv, dta, parquet, …",
    )  # fmt: skip
    parser.add_argument("--report", type=Path, metavar="FILE.html", help="also write the report")
    parser.set_defaults(run=run_impute, parser=parser)
    return parser


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Add how a table is read."""
    parser.add_argument(
        "--separator", metavar="CHARACTER", help="between fields of text (tab is one); else found"
    )
    parser.add_argument("--decimal", metavar="CHARACTER", help="decimal point; else found")
    parser.add_argument("--encoding", metavar="NAME", help="of text; else found")
    parser.add_argument(
        "--na", nargs="+", action="extend", metavar="VALUE",
        help="values that are missing, such as -99 (besides empty fields, NA, NaN, n/a, null, .)",
    )  # fmt: skip
    parser.add_argument("--sheet", metavar="NAME", help="of an Excel workbook; else the first")


def add_run_options(
    parser: argparse.ArgumentParser, seed: int | None, iterations: int | None = None
) -> None:
    """Add m, iterations and seed; without a default of iterations all may come from a file."""
    default = 20 if iterations is not None else None
    parser.add_argument("--m", type=int, default=default, help="imputations (default 20)")
    text = f"per chain (default {iterations or DEFAULT_ITERATIONS})"
    parser.add_argument("--iterations", type=int, default=iterations, help=text)
    drawn = "drawn, and recorded" if seed is None else str(seed)
    parser.add_argument("--seed", type=int, default=seed, help=f"default: {drawn}")


def read_data(given: Mapping[str, Any], said: list[str] | None = None) -> "pd.DataFrame":
    """Read the table that options name; `said` takes what was decided in reading it."""
    return read_table(
        Path(given["file"]),
        given.get("separator"),
        given.get("decimal"),
        given.get("encoding"),
        [str(value) for value in given.get("na") or ()],
        given.get("sheet"),
        said,
    )


def run_impute(options: argparse.Namespace) -> None:
    """Impute, and write what was asked for."""
    given = settings(options)
    watched = sys.stderr.isatty()
    if watched:
        print(f"Reading {given['file']} …", file=sys.stderr)
    said: list[str] = []
    data = _without(read_data(given, said), given.get("exclude") or ())
    written = {f"--{name}": given.get(name) for name in ("out", "completed", "report")}
    check_written(written, Path(given["file"]))
    arguments = _arguments(given)
    method = arguments["method"]
    _check_numbers(data, method if isinstance(method, Mapping) else {})
    for note in [*said, *notes_on(data)]:
        print(f"Note: {one_line(note)}", flush=True)
    if watched:
        gaps = int(data.isna().sum().sum())
        print(
            f"{len(data):,} rows × {data.shape[1]} columns, {gaps:,} missing cells. Models are "
            "compiled first; later runs find them on disk.",
            file=sys.stderr,
        )

    from bayesimpute.cli.show import describe
    from bayesimpute.imputation import impute

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ImputationWarning)  # they are events, which are shown
            imputations = impute(data, **arguments)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("before the first iteration; nothing is written") from None
    asked = arguments.get("iterations", DEFAULT_ITERATIONS)
    if imputations.iterations < asked:
        raise KeyboardInterrupt(_stopped(imputations, asked, given))

    describe(imputations)
    problems = []
    for name, kept in (("out", _result), ("completed", _completed), ("report", _report)):
        path = given.get(name)
        if path is None:
            continue
        try:
            kept(imputations, Path(path))
        except OSError as problem:  # what can be kept of the run is
            problems.append(problem)
        else:
            print(f"Written: {path}")
    if problems:
        raise problems[0]
    out = str(given["out"])
    print(f"Analyse: in Python, bayesimpute.open({out!r}).fit('y ~ x').pool()")


def _stopped(imputations: "Imputations", asked: int, given: Mapping[str, Any]) -> str:
    """Keep what is done after Ctrl-C, and say how to go on from it."""
    done = imputations.iterations
    after = f"after iteration {done} of {asked}"
    if given.get("checkpoint") is not None:
        return f"{after}; the same command goes on from {given['checkpoint']}"
    imputations.to_netcdf(given["out"])
    out = str(given["out"])
    return (
        f"{after}; {out} holds these; Python's bayesimpute.open({out!r}).extend({asked - done}) "
        "makes the others. With --checkpoint FILE.nc the same command goes on"
    )


def _check_numbers(data: "pd.DataFrame", method: Mapping[str, str]) -> None:
    """Refuse numbers that a few texts make a category of each, unless it is wanted.

    Raises
    ------
    SpecificationError
        With the option that says what the texts mean.
    """
    for name, texts in spoilt_numbers(data):
        if name not in method:
            words = " ".join(map(shlex.quote, texts[:MOST_TEXTS]))
            labels = f"; or take all for labels: --method {shlex.quote(f'{name}=categorical')}"
            raise SpecificationError(
                f"Column {name!r} is of numbers, but for {listed(texts)}. If that means missing, "
                f"say so: --na {words}; or leave the column out: --exclude {shlex.quote(name)}"
                f"{labels if data[name].isna().any() else ''}."
            )


def settings(options: argparse.Namespace) -> dict[str, Any]:
    """Options of the file, and over them those of the command line."""
    given: dict[str, Any] = {} if options.config is None else read_config(options.config)
    own = {
        name: value
        for name, value in vars(options).items()
        if value is not None and name not in ("run", "parser", "config")
    }
    given |= own
    lacking = [shown for name, shown in (("file", "FILE"), ("out", "--out")) if name not in given]
    if lacking:
        options.parser.error(f"the following arguments are required: {', '.join(lacking)}")
    return given


def _arguments(given: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of bi.impute."""
    arguments = {name: given[name] for name in PASSED_ON if given.get(name) is not None}
    method = given.get("method")
    arguments["method"] = _pairs("--method", method) if isinstance(method, list) else method
    if given.get("predictors") is not None:
        matrix = read_table(Path(given["predictors"]))  # its first column may have a name, or none
        if matrix.index.dtype.kind == "i":
            matrix = matrix.set_index(matrix.columns[0]).rename_axis(None)
        arguments["predictors"] = matrix
    formulas = given.get("formula")
    if isinstance(formulas, list):
        formulas = {text.partition("~")[0].strip(): text for text in formulas}
    if formulas:
        arguments["formulas"] = formulas
    analysis = given.get("analysis")
    if analysis:
        arguments["analysis"] = analysis if isinstance(analysis, str) else list(analysis)
    family = given.get("family")
    if family:
        arguments["family"] = _pairs("--family", family) if isinstance(family, list) else family
    return arguments


def _without(data: "pd.DataFrame", excluded: Sequence[str]) -> "pd.DataFrame":
    unknown = [name for name in excluded if name not in data.columns]
    if unknown:
        raise SpecificationError(
            f"--exclude {unknown[0]}: there is no such column; there are "
            f"{', '.join(map(str, data.columns))}."
        )
    return data.drop(columns=list(excluded))


def _result(imputations: "Imputations", path: Path) -> None:
    imputations.to_netcdf(path)


def _completed(imputations: "Imputations", path: Path) -> None:
    if path.suffix.lower() == ".dta":
        imputations.to_long(path, include=False)
    else:
        write_table(imputations.complete("long"), path)


def _report(imputations: "Imputations", path: Path) -> None:
    imputations.report(path)


def _pairs(option: str, given: Sequence[str]) -> dict[str, str] | str | None:
    """``COLUMN=NAME`` words as a dict; one bare ``NAME`` for all columns."""
    if not given:
        return None
    if len(given) == 1 and "=" not in given[0]:
        return given[0]
    bare = [word for word in given if "=" not in word]
    if bare:
        raise SpecificationError(
            f"{option} {bare[0]}: write COLUMN=NAME, such as popular=normal "
            "(a NAME alone holds for all columns and stands alone)."
        )
    return dict(word.split("=", 1) for word in given)


def check_written(paths: Mapping[str, Any], source: Path) -> None:
    """Refuse files that cannot be written, or that would take the place of the data or each other.

    Raises
    ------
    SpecificationError, WritingError, FileNotFoundError
        Naming the option, or the file.
    """
    taken = {place(source).resolve(): "the data are read from"}
    for option, path in paths.items():
        if path is None:
            continue
        try:
            check_target(path)
        except (WritingError, FileNotFoundError) as problem:
            raise type(problem)(f"{option}: {problem}") from None
        found = place(path).resolve()
        if found in taken:
            use = taken[found]
            raise SpecificationError(
                f"{option} {str(path)!r} is the file that {use}; name another."
            )
        taken[found] = f"{option} writes"
