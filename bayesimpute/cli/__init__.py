"""The command line: ``bayesimpute impute``, ``explore``, ``config``, ``open`` and ``demo``."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from bayesimpute.cli.completion import completion
from bayesimpute.cli.config import config_text
from bayesimpute.cli.explore import run_explore
from bayesimpute.cli.impute import (
    add_impute,
    add_reading,
    add_run_options,
    check_written,
    read_data,
)
from bayesimpute.cli.show import run_show
from bayesimpute.errors import BayesimputeError
from bayesimpute.files import place, write
from bayesimpute.tables.read_write import read_table


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    arguments
        Words after ``bayesimpute``; by default those of the process.

    Returns
    -------
    int
        Exit code: 0; 2 after an error of the input, or of what is asked for, told in one line on
        stderr; 130 after Ctrl-C, with a line on how to go on; 141 if what is printed is no longer
        read (``| head``). ``bayesimpute --help`` lists them.
    """
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:
        # as a program that the signal had ended; Python would complain at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (BayesimputeError, OSError) as problem:
        print(f"bayesimpute: {' '.join(str(problem).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stop:
        how = f": {stop}" if str(stop) else ""
        print(f"bayesimpute: interrupted{how}.", file=sys.stderr)
        return 130
    return 0


class _Version(argparse.Action):
    """Says the version, which is looked up only then."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        """Print it and end."""
        from importlib.metadata import version

        print(f"bayesimpute {version('bayesimpute')}")
        parser.exit()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bayesimpute",
        description="Multiple imputation by chained equations; every model is a PyMC model.",
        epilog="Exit codes: 0 done; 2 something is wrong with the input or the options, said in "
        "one line; 130 stopped by Ctrl-C; 141 output was cut off.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="say the version and end")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="impute the popularity study and show what comes back")
    demo.add_argument(
        "--data", type=Path, metavar="FILE.csv",
        help="columns school, popular, sex, texp; default: a simulated study with known truth",
    )  # fmt: skip
    demo.add_argument("--out", type=Path, default=Path("bayesimpute-demo"), metavar="DIR")
    add_run_options(demo, seed=1, iterations=20)
    demo.set_defaults(run=_demo)

    impute = add_impute(commands)

    config = commands.add_parser("config", help="write the options of a run down, with comments")
    config.add_argument("file", type=Path, metavar="FILE", help="the table to be imputed")
    config.add_argument("--cluster", metavar="COLUMN", help="column of cluster ids")
    config.add_argument(
        "--out", type=Path, metavar="FILE.toml", help="file to write; default: standard output"
    )
    add_reading(config)
    config.set_defaults(run=_config)

    explore = commands.add_parser("explore", help="say what is missing and which methods suit")
    explore.add_argument("file", type=Path, metavar="FILE")
    explore.add_argument("--cluster", metavar="COLUMN", help="column of cluster ids")
    add_reading(explore)
    explore.set_defaults(run=run_explore)

    shown = {}
    for name in ("open", "show"):
        shown[name] = commands.add_parser(
            name, help="say what is in a result and whether it converged"
        )
        shown[name].add_argument("file", type=Path, metavar="FILE.nc")
        shown[name].set_defaults(run=run_show)

    complete = commands.add_parser("completion", help="print a script for the tab key of a shell")
    known = {"demo": demo, "impute": impute, "config": config, "explore": explore, **shown}
    complete.set_defaults(run=lambda _: print(completion(known), end=""))
    return parser


def _demo(options: argparse.Namespace) -> None:
    from bayesimpute.cli.demo import demo

    data = None if options.data is None else read_table(options.data)
    demo(
        data, out=options.out, m=options.m, iterations=options.iterations, seed=options.seed
    )  # fmt: skip


def _config(options: argparse.Namespace) -> None:
    said: list[str] = []
    data = read_data(vars(options), said)
    check_written({"--out": options.out}, {"the data are": options.file})
    file = options.file
    if options.out is not None and not place(file).is_absolute():
        # paths in it are taken from its folder
        file = Path(os.path.relpath(place(file), place(options.out).parent))
    text = config_text(data, file, options.cluster, vars(options), said)
    if options.out is None:
        print(text, end="")
    else:
        write(options.out, text.encode())
        print(f"Written: {options.out}")
