"""A run in a file, which ``bayesimpute config`` writes and ``impute --config`` reads."""

import json
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayesimpute.errors import SpecificationError
from bayesimpute.files import place
from bayesimpute.tables.notes import notes_on
from bayesimpute.wording import did_you_mean, one_line

if TYPE_CHECKING:
    import pandas as pd

#: What a file may say, and of which types.
KEYS: dict[str, tuple[type, ...]] = {
    "file": (str,), "out": (str,), "separator": (str,), "decimal": (str,), "encoding": (str,),
    "na": (list,), "sheet": (str,), "cluster": (str,), "exclude": (list,), "method": (str, dict),
    "predictors": (str,), "formula": (list, dict), "analysis": (str, list),
    "family": (str, list, dict), "on": (str,), "category": (list,), "ordered": (list, dict),
    "fit": (str, list), "model_options": (dict,), "m": (int,),
    "iterations": (int,), "seed": (int,), "cores": (int,), "checkpoint": (str,),
    "completed": (str,), "report": (str,),
}  # fmt: skip
#: Lists of which are of texts; a missing code may be a number.
TEXTS = ("exclude", "formula", "analysis", "family", "category", "ordered", "fit")
FILES = ("file", "out", "predictors", "checkpoint", "completed", "report")
WORDS = {str: "a text", int: "a whole number", list: "a list", dict: "a table"}


def read_config(path: Path) -> dict[str, Any]:
    """Read the options of a run.

    Paths in it are taken from its folder.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    SpecificationError
        If it is no TOML, or says what is no option.
    """
    path = place(path)
    if not path.is_file():
        raise FileNotFoundError(f"--config: there is no file {str(path)!r}.")
    try:
        given = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise SpecificationError(f"--config {str(path)!r} is no TOML: {problem}.") from None
    for key, value in given.items():
        if key not in KEYS:
            raise SpecificationError(
                f"--config {str(path)!r}: {key!r} is no option.{did_you_mean(key, KEYS)}"
            )
        if not isinstance(value, KEYS[key]) or isinstance(value, bool):
            wanted = " or ".join(WORDS[each] for each in KEYS[key])
            raise SpecificationError(f"--config {str(path)!r}: {key} = {value!r} must be {wanted}.")
        texts = value if isinstance(value, list) and key in TEXTS else ()
        strange = [each for each in texts if not isinstance(each, str)]
        if strange:
            raise SpecificationError(
                f"--config {str(path)!r}: {strange[0]!r} in {key} must be a text."
            )
    return {
        key: path.parent / os.path.expanduser(value) if key in FILES else value
        for key, value in given.items()
    }


#: Options by which a table is read, as examples of what may be chosen.
READING = {
    "na": '["-99"]                  # further values that are missing',
    "separator": '";"               # of text: separator, decimal, encoding are found else',
    "decimal": "",
    "encoding": "",
    "sheet": '"2020"                # of an Excel workbook; else the first',
    "exclude": '["id"]              # columns that are left out',
    "category": '["ward"]           # columns of numbers that stand for categories',
    "ordered": '["stage=I,II,III"]  # categories and their order',
}


def _reading(given: Mapping[str, Any], *names: str) -> Iterator[str]:
    """Options that were given, as they will be read again; of others an example."""
    for name in names:
        value = given.get(name)
        if value:
            yield f"{name} = {json.dumps(value, ensure_ascii=False)}"
        elif READING[name]:
            yield f"# {name} = {READING[name]}"


def config_text(
    data: "pd.DataFrame",
    file: Path,
    cluster: str | None,
    given: Mapping[str, Any],
    said: Sequence[str],
) -> str:
    """Write a run of a table down, with comments: defaults, and what may be chosen.

    Parameters
    ----------
    data
        The table, read.
    file
        Its file, as it is called from where the text will be.
    cluster
        Column of cluster ids.
    given
        Options by which it was read; a run must read it in the same way.
    said
        What was decided in reading it.
    """
    from bayesimpute.data.table import Table
    from bayesimpute.specification.defaults import make_method
    from bayesimpute.specification.groupings import checked_groupings

    table = Table.from_frame(data)
    ids = table.columns_of(checked_groupings(cluster, table))
    methods = make_method(data)
    stem = file.name.partition(".")[0] or "result"
    lines = [
        f"# Imputation of {one_line(file.name)}: bayesimpute impute --config run.toml",
        "# Options of the command line come before those that stand here.",
        *(f"# {one_line(note)}" for note in (*said, *notes_on(data))),
        "",
        f"file = {_quoted(str(file))}",
        f"out = {_quoted(f'{stem}.nc')}",
        '# completed = "long.csv"        # completed data, one under the other; or .dta, .parquet',
        '# report = "report.html"        # one page: data, models, diagnosis, pictures',
        '# checkpoint = "checkpoint.nc"  # an interrupted run goes on from it',
        "",
        *_reading(given, "na", "separator", "decimal", "encoding", "sheet"),
        "",
        f"cluster = {_quoted(cluster)}" if cluster else
        '# cluster = "school"            # column of cluster ids: models get random intercepts',
        *_reading(given, "exclude", "category", "ordered"),
        '# analysis = ["y ~ x * z"]      # what will be fitted: imputations compatible with it',
        '# family = "binomial"           # of its outcome',
        '# on = "conditional"            # chained equations whatever the analysis',
        '# fit = ["y ~ x"]               # analyses of the completed data, pooled',
        "",
        "m = 20                          # imputations",
        "iterations = 10                 # of each chain",
        "# seed = 1                      # the same seed gives the same values",
        "",
        "# Methods of the incomplete columns; these are the defaults.",
        "[method]",
    ]  # fmt: skip
    for name, variable in table.variables.items():
        missing = table.missing(name)
        if missing.any() and name not in ids:
            said = f"# {variable.kind}, {missing.mean():.1%} missing"
            lines.append(f"{_quoted(name)} = {_quoted(methods[name])}  {said}")
    lines += [
        "",
        "# [formula]                     # models of your own choice, as in lme4",
        '# y = "y ~ x + (1 + x | school)"',
        "",
        "# [model_options.y]",
        "# donors = 10",
    ]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
