"""The command line: ``bayesimpute demo``, ``impute`` and ``show``."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bayesimpute.errors import BayesimputeError, DataError, SpecificationError, WritingError
from bayesimpute.files import check_target, place, write
from bayesimpute.wording import one_line, visible

if TYPE_CHECKING:
    import pandas as pd

    from bayesimpute.imputations import Imputations

MISSING = ["", "NA", "NaN", "nan"]  # never "None", which is a label in real data


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    arguments
        Words after ``bayesimpute``; by default those of the process.

    Returns
    -------
    int
        Exit code: 0; 2 after an error of the input, told in one line on stderr.
    """
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except (BayesimputeError, OSError) as problem:
        print(f"bayesimpute: {' '.join(str(problem).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("bayesimpute: interrupted", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bayesimpute",
        description="Multiple imputation by chained equations; every model is a PyMC model.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="impute the popularity study and show what comes back")
    demo.add_argument(
        "--data", type=Path, metavar="FILE.csv",
        help="columns school, popular, sex, texp; default: a simulated study with known truth",
    )  # fmt: skip
    demo.add_argument("--out", type=Path, default=Path("bayesimpute-demo"), metavar="DIR")
    _add_run_options(demo, seed=1, iterations=20)
    demo.set_defaults(run=_demo)

    impute = commands.add_parser("impute", help="impute a CSV file")
    impute.add_argument("file", type=Path, metavar="FILE.csv")
    impute.add_argument("--cluster", metavar="COLUMN", help="column of cluster ids")
    impute.add_argument("--cores", type=int, help="threads (default: all physical cores)")
    impute.add_argument("--out", type=Path, required=True, metavar="FILE.nc", help="result")
    impute.add_argument(
        "--method", action="append", default=[], metavar="COLUMN=NAME",
        help="method of a column, or NAME alone for all; may be repeated; default pmm",
    )  # fmt: skip
    impute.add_argument(
        "--exclude", action="append", default=[], metavar="COLUMN",
        help="leave a column out (a row number, an id); may be repeated",
    )  # fmt: skip
    impute.add_argument(
        "--complete", type=Path, metavar="FILE.csv",
        help="also write the completed data, long, with columns .imp and .id",
    )  # fmt: skip
    _add_run_options(impute, seed=None)
    impute.set_defaults(run=_impute)

    show = commands.add_parser("show", help="say what is in a result and whether it converged")
    show.add_argument("file", type=Path, metavar="FILE.nc")
    show.set_defaults(run=_show)
    return parser


def _add_run_options(
    parser: argparse.ArgumentParser, seed: int | None, iterations: int = 10
) -> None:
    parser.add_argument("--m", type=int, default=20, help="imputations (default 20)")
    text = f"per chain (default {iterations})"
    parser.add_argument("--iterations", type=int, default=iterations, help=text)
    drawn = "drawn, and recorded" if seed is None else str(seed)
    parser.add_argument("--seed", type=int, default=seed, help=f"default: {drawn}")


def _demo(options: argparse.Namespace) -> None:
    from bayesimpute.demo import demo

    data = None if options.data is None else read_csv(options.data)
    demo(
        data, out=options.out, m=options.m, iterations=options.iterations, seed=options.seed
    )  # fmt: skip


def _impute(options: argparse.Namespace) -> None:
    data = read_csv(options.file)
    unknown = [name for name in options.exclude if name not in data.columns]
    if unknown:
        raise SpecificationError(
            f"--exclude {unknown[0]}: there is no such column; there are "
            f"{', '.join(map(str, data.columns))}."
        )
    _check_written({"--out": options.out, "--complete": options.complete}, options.file)
    method = _methods(options.method)

    from bayesimpute.imputation import impute

    imputations = impute(
        data.drop(columns=options.exclude),
        cluster=options.cluster,
        m=options.m,
        iterations=options.iterations,
        method=method,
        seed=options.seed,
        cores=options.cores,
    )
    _describe(imputations)
    problems = []
    for path, kept in ((options.out, _result), (options.complete, _completed)):
        if path is None:
            continue
        try:
            kept(imputations, path)
        except OSError as problem:  # what can be kept of the run is
            problems.append(problem)
        else:
            print(f"Written: {path}")
    if problems:
        raise problems[0]


def _result(imputations: "Imputations", path: Path) -> None:
    imputations.to_netcdf(path)


def _completed(imputations: "Imputations", path: Path) -> None:
    write(path, imputations.complete("long").to_csv(index=False).encode())


def _show(options: argparse.Namespace) -> None:
    from bayesimpute.opening import open_file

    _describe(open_file(options.file))


def _describe(imputations: "Imputations") -> None:
    from bayesimpute.demo import convergence_table, verdict

    print(f"{imputations!r}\nseed {imputations.seed}, made {imputations.created_at}")
    for target, equation in imputations.equations().items():
        print(f"  {one_line(target)}: {one_line(equation)}")
    print(visible(f"\n{convergence_table(imputations)}\n\n{verdict(imputations)}"))
    events = imputations.events
    for message in dict.fromkeys(events.loc[events["severity"] != "info", "message"]):
        print(f"Note: {one_line(message)}")


def read_csv(path: Path) -> "pd.DataFrame":
    """Read a table; empty fields, NA and NaN are missing, the label None is not.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    DataError
        If it is not a CSV table.
    """
    import pandas as pd

    path = place(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {str(path)!r}; give a CSV file.")
    try:
        return pd.read_csv(path, keep_default_na=False, na_values=MISSING)
    except (ValueError, UnicodeDecodeError) as problem:
        first = str(problem).strip().splitlines()[0]
        raise DataError(f"{str(path)!r} cannot be read as a CSV table: {first}") from problem


def _methods(given: Sequence[str]) -> dict[str, str] | str | None:
    """``COLUMN=NAME`` words as a dict; one bare ``NAME`` for all columns."""
    if not given:
        return None
    if len(given) == 1 and "=" not in given[0]:
        return given[0]
    bare = [word for word in given if "=" not in word]
    if bare:
        raise SpecificationError(
            f"--method {bare[0]}: write COLUMN=NAME, such as popular=normal "
            "(a NAME alone holds for all columns and stands alone)."
        )
    return dict(word.split("=", 1) for word in given)


def _check_written(paths: Mapping[str, Path | None], source: Path) -> None:
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
