"""``bayesimpute impute``: options of the command line and of a file, and the run."""

import argparse
import shlex
import sys
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayesimpute.cli.config import read_config
from bayesimpute.errors import (
    BayesimputeError,
    ImputationWarning,
    SpecificationError,
    WritingError,
)
from bayesimpute.files import check_target, place
from bayesimpute.tables.notes import notes_on, spoilt_numbers
from bayesimpute.tables.read_write import check_form, form_of, read_table, write_table
from bayesimpute.wording import did_you_mean, listed, one_line, visible

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
        "--fit", action="append", metavar="'Y ~ X + (1 | G)'",
        help="analysis of the completed data, pooled by Rubin's rules, printed and in the report; "
        "may be repeated",
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
    parser.add_argument(
        "--exclude", action="append", metavar="COLUMN",
        help="leave a column out (a row number, an id); may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--category", action="append", metavar="COLUMN",
        help="a column of numbers that stand for categories; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--ordered", action="append", metavar="COLUMN=LOW,…,HIGH",
        help="a column of categories and their order; may be repeated",
    )  # fmt: skip


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


def read_data(given: Mapping[str, Any], said: list[str]) -> "pd.DataFrame":
    """Read the table that options name; `said` takes what was decided in reading it."""
    data = read_table(
        Path(given["file"]),
        given.get("separator"),
        given.get("decimal"),
        given.get("encoding"),
        [str(value) for value in given.get("na") or ()],
        given.get("sheet"),
        said,
    )
    data = _without(data, given.get("exclude") or ())
    return with_categories(data, given.get("category") or (), _orders(given.get("ordered") or ()))


def _orders(given: Any) -> dict[str, list[str]]:
    """``COLUMN=LOW,…,HIGH`` words, or a table of these, as labels by column."""
    found = {}
    pairs = given.items() if isinstance(given, Mapping) else [w.partition("=")[::2] for w in given]
    _check_once("--ordered", [name for name, _ in pairs])
    for name, labels in pairs:
        if not labels:
            raise SpecificationError(
                f"--ordered {name}: write COLUMN=LOW,…,HIGH, such as stage=I,II,III."
            )
        labels = labels.split(",") if isinstance(labels, str) else map(_label, labels)
        found[name] = [label.strip() for label in labels]
        if len(set(found[name])) < len(found[name]):
            raise SpecificationError(f"--ordered {name}: a label stands there twice.")
    return found


def run_impute(options: argparse.Namespace) -> None:
    """Impute, and write what was asked for."""
    given = settings(options)
    watched = sys.stderr.isatty()
    if watched:
        print(f"Reading {given['file']} …", file=sys.stderr)
    said: list[str] = []
    data = read_data(given, said)
    written = {f"--{name}": given.get(name) for name in ("out", "completed", "report")}
    read = {"the data are": given["file"], "the predictors are": given.get("predictors")}
    check_written(written, {**read, "the options are": options.config})
    if given.get("completed") is not None:
        check_form(Path(given["completed"]))
        for name in data.columns.intersection([".imp", ".id"]):
            raise SpecificationError(
                f"--completed adds columns .imp and .id, and the data have {name!r}: rename it, or "
                f"leave it out: --exclude {name}."
            )
    arguments = _arguments(given)
    method = arguments["method"]
    groups = str(given.get("cluster") or "")  # ids, whatever they look like
    _check_numbers(data, {*(method if isinstance(method, Mapping) else ()), *groups.split("/")})
    fitted = _fitted(given, data)
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
    problems: list[Exception] = []
    _write(imputations, given, {"out": _result, "completed": _completed}, problems)
    analyses: dict[str, Any] = {}
    try:
        _analyse(imputations, fitted, analyses)
    except BayesimputeError as problem:
        problems.append(problem)
    _write(imputations, given, {"report": partial(_report, analyses)}, problems)
    if problems:
        raise problems[0]
    out = str(given["out"])
    print(f"Analyse: in Python, bayesimpute.open({out!r}).fit('y ~ x').pool()")


def _write(
    imputations: "Imputations",
    given: Mapping[str, Any],
    kinds: Mapping[str, Callable[["Imputations", Path], None]],
    problems: list[Exception],
) -> None:
    """Write what was asked for; what can be kept of the run is, whatever fails."""
    for name, kept in kinds.items():
        path = given.get(name)
        if path is None:
            continue
        try:
            kept(imputations, Path(path))
        except (BayesimputeError, OSError) as problem:
            problems.append(problem)
        else:
            print(f"Written: {path}", flush=True)


def _fitted(given: Mapping[str, Any], data: "pd.DataFrame") -> dict[str, str | None]:
    """Formulas of ``--fit`` with their families, each looked at before hours are spent.

    Raises
    ------
    AnalysisError, SpecificationError
        If a formula does not parse, or names no column; if a family is unknown, or of no outcome.
    """
    formulas = _texts(given.get("fit"))
    if not formulas:
        return {}
    from bayesimpute.pooling.formula_design import checked_formula
    from bayesimpute.pooling.formula_models import check_family

    outcomes = {formula: checked_formula(formula, data.columns).outcome for formula in formulas}
    families = _families(given) or {}
    if isinstance(families, str):
        families = dict.fromkeys(outcomes.values(), families)
    for name in families:
        if name not in outcomes.values() and not given.get("analysis"):
            raise SpecificationError(
                f"--family names {name!r}, which is no outcome of --fit; those are "
                f"{listed(outcomes.values())}."
            )
    found = {formula: families.get(outcome) for formula, outcome in outcomes.items()}
    for family in found.values():
        check_family(family)
    return found


def _analyse(
    imputations: "Imputations", fitted: Mapping[str, str | None], analyses: dict[str, Any]
) -> None:
    """Print the answers: of the analysis that the imputations are made for, then of ``--fit``."""
    if imputations.specification.live is not None:  # else the analysis says no more than --fit
        columns = ["estimate", "sd", "ci_low", "ci_high", "r_hat"]
        shown = imputations.analysis.filter(columns).round(3).to_string()
        print(visible(f"Analysis, as the imputations were made for it:\n{shown}\n"), flush=True)
    for formula, family in fitted.items():
        with warnings.catch_warnings(record=True) as noted:
            warnings.simplefilter("always")
            fits = imputations.fit(formula, family=family)
            pooled = fits.pool()
        analyses[formula] = fits
        print(visible(f"{formula}\n{pooled!r}"))
        for message in dict.fromkeys(str(each.message) for each in noted):
            print(f"Note: {one_line(message)}")
        print(flush=True)


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


def _check_numbers(data: "pd.DataFrame", wanted: Collection[str]) -> None:
    """Refuse numbers that a few texts make a category of each, unless it is wanted.

    Raises
    ------
    SpecificationError
        With the option that says what the texts mean.
    """
    for name, texts in spoilt_numbers(data):
        if name not in wanted:
            words = " ".join(map(shlex.quote, texts[:MOST_TEXTS]))
            raise SpecificationError(
                f"Column {name!r} is of numbers, but for {listed(texts)}. If that means missing, "
                f"say so: --na {words}; or leave the column out: --exclude {shlex.quote(name)}; or "
                f"take all for labels: --category {shlex.quote(name)}."
            )


def settings(options: argparse.Namespace) -> dict[str, Any]:
    """Options of the file, and over them those of the command line."""
    given: dict[str, Any] = {} if options.config is None else read_config(options.config)
    own = {
        name: value
        for name, value in vars(options).items()
        if value is not None and name not in ("run", "parser", "config")
    }
    given |= {name: _over(name, given.get(name), value) for name, value in own.items()}
    lacking = [shown for name, shown in (("file", "FILE"), ("out", "--out")) if name not in given]
    if lacking:
        options.parser.error(f"the following arguments are required: {', '.join(lacking)}")
    return given


def _over(name: str, of_file: Any, of_words: Any) -> Any:
    """Put what words say of columns over what a file says of them; other words go alone."""
    if not isinstance(of_file, Mapping) or not isinstance(of_words, list):
        return of_words
    said: Any
    if name == "ordered":
        said = _orders(of_words)
    elif name == "formula":
        said = _by_outcome(of_words)
    else:
        said = _pairs(f"--{name}", of_words)
    return {**of_file, **said} if isinstance(said, Mapping) else said


def _outcome(formula: str) -> str:
    """Left side of a formula, as the name of a column."""
    return formula.partition("~")[0].strip().strip("`")


def _by_outcome(formulas: Sequence[str]) -> dict[str, str]:
    return {_outcome(text): text for text in formulas}


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
        formulas = _by_outcome(formulas)
    if formulas:
        arguments["formulas"] = formulas
    analysis = given.get("analysis")
    if analysis:
        arguments["analysis"] = analysis if isinstance(analysis, str) else list(analysis)
    family = _families(given)
    if isinstance(family, Mapping):  # those of --fit are no business of the imputation
        analysed, fitted = (_by_outcome(_texts(given.get(name))) for name in ("analysis", "fit"))
        family = {k: v for k, v in family.items() if k in analysed or k not in fitted}
    if family and (analysis or not given.get("fit")):
        arguments["family"] = family
    return arguments


def _texts(given: Any) -> list[str]:
    """Formulas of an option: one, several or none."""
    return [given] if isinstance(given, str) else list(given or ())


def _families(given: Mapping[str, Any]) -> Any:
    family = given.get("family")
    return _pairs("--family", family) if isinstance(family, list) else family


def with_categories(
    data: "pd.DataFrame", names: Sequence[str], orders: Mapping[str, Sequence[str]]
) -> "pd.DataFrame":
    """Make categories of columns of codes, and give categories their order.

    Parameters
    ----------
    data
        Table.
    names
        Columns whose values are labels, whatever they look like; ``1`` and ``1.0`` are one.
    orders
        Labels by column, lowest first.

    Returns
    -------
    pandas.DataFrame
        With these columns as categories; their labels are text.

    Raises
    ------
    SpecificationError
        If there is no such column, or a value is not among the labels.

    Examples
    --------
    >>> import pandas as pd
    >>> df = pd.DataFrame({"stage": ["I", None, "II"], "ward": [7.0, None, 12.0]})
    >>> done = with_categories(df, ["ward"], {"stage": ["I", "II"]})
    >>> done["ward"].cat.categories.tolist(), done["stage"].cat.ordered
    (['7', '12'], True)
    """
    import pandas as pd

    from bayesimpute.data.encoding import sorted_labels

    done = data.copy(deep=False)
    asked = [*(("category", name) for name in names), *(("ordered", name) for name in orders)]
    for option, name in asked:
        if name not in data.columns:
            raise SpecificationError(
                f"--{option} {name}: there is no such column.{did_you_mean(name, data.columns)}"
            )
        column = data[name]
        coded = isinstance(column.dtype, pd.CategoricalDtype)
        values = column.cat.categories if coded else sorted_labels(list(column.dropna()))
        labels = {value: _label(value) for value in values if not coded or (column == value).any()}
        wanted = list(orders.get(name, ())) or list(dict.fromkeys(labels.values()))
        strange = [label for label in labels.values() if label not in wanted]
        if strange:
            raise SpecificationError(
                f"--{option} {name}: {strange[0]!r} is a value of the column and not among "
                f"{listed(wanted)}."
            )
        done[name] = pd.Categorical(column.map(labels), wanted, ordered=name in orders)
    return done


def _label(value: Any) -> str:
    """Write a value as in the file: columns of whole numbers with gaps are read as 1.0, 2.0."""
    number = hasattr(value, "is_integer") and not isinstance(value, bool)
    return str(int(value)) if number and value.is_integer() else str(value)


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
    if form_of(path) == ".dta":
        imputations.to_long(path, include=False)
    else:
        write_table(imputations.complete("long"), path)


def _report(analyses: Mapping[str, Any], imputations: "Imputations", path: Path) -> None:
    imputations.report(path, analyses=analyses or None)


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
    pairs = [word.split("=", 1) for word in given]
    _check_once(option, [name for name, _ in pairs])
    return dict(pairs)


def _check_once(option: str, names: Sequence[str]) -> None:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise SpecificationError(f"{option} is given twice for {twice!r}; leave one of them out.")


def check_written(paths: Mapping[str, Any], sources: Mapping[str, Any]) -> None:
    """Refuse files that cannot be written, or that would take the place of others.

    Parameters
    ----------
    paths
        Option -> file it writes.
    sources
        What is read, as the beginning of a sentence -> file.

    Raises
    ------
    SpecificationError, WritingError, FileNotFoundError
        Naming the option, or the file.
    """
    taken = {
        place(path).resolve(): f"{what} read from"
        for what, path in sources.items()
        if path is not None
    }
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
