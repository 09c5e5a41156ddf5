"""What the user asked for: methods and arguments by column, checked against the data.

Cells and rows, quantities to follow, the predictor matrix and the terms it stands for, methods; and
of columns that nobody asks for, what stays as it is.
"""

import datetime as dt
from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.data.table import Kind, Table, is_date
from bayesimpute.errors import DataError, SpecificationError
from bayesimpute.roles import Role
from bayesimpute.sampling.priors import check_distribution
from bayesimpute.specification.aliases import MATCHING, SELECTION
from bayesimpute.specification.defaults import default_method
from bayesimpute.specification.expressions import names_in, read, with_category_codes
from bayesimpute.specification.latent_means import mean_of
from bayesimpute.specification.specification import Log, Passive, Term, nearest
from bayesimpute.wording import listed
from bayesimpute.wrappers.base import Wrapper


def remedy(table: Table, name: str) -> str:
    """Say how a column that is neither number nor category becomes one, for the end of a sentence.

    Examples
    --------
    >>> import pandas as pd
    >>> table = Table.from_frame(pd.DataFrame({"x": [b"a", b"b"]}))
    >>> remedy(table, "x")
    "convert it first: df['x'] = df['x'].str.decode('utf-8')"
    """
    return f"convert it first: df[{name!r}] = {_converted(table.frame[name])}"


def say_gaps(table: Table, imputed: Container[str], events: Log) -> None:
    """Say of each column whose missing cells nobody fills."""
    for name in table.incomplete():
        if name in imputed:
            continue
        variable, n = table.variables[name], int(table.missing(name).sum())
        stay = f"{n} missing cell(s) of {name!r} stay as they are"
        if variable.kind is not Kind.OTHER:
            events.info(name, "gaps stay", f"{stay}, as was asked.")
            continue
        what = f"its dtype, {variable.dtype}, is neither number nor category"
        how = (
            f"to impute it as a number, ask for it: method={{{name!r}: {MATCHING!r}}}"
            if is_date(variable.dtype)
            else f"to impute it, {remedy(table, name)}"
        )
        events.warning(name, "gaps stay", f"{stay}: {what}; {how}.")


def say_idle(table: Table, clusters: Collection[str], events: Log) -> None:
    """Say of each column that no model has among its predictors because of its dtype."""
    for name, variable in table.variables.items():
        if variable.kind is Kind.OTHER and name not in clusters:
            events.info(
                name,
                "no predictor",
                f"{name!r} ({variable.dtype}) is neither number nor category and predicts nothing; "
                f"for it to do so, {remedy(table, name)}.",
            )


def _converted(column: "pd.Series[Any]") -> str:
    """Code that makes numbers, dates or categories of a column."""
    dtype: Any = column.dtype
    of_arrow = isinstance(dtype, pd.ArrowDtype)
    this = f"df[{column.name!r}]"
    if of_arrow:
        unit = np.datetime_data(dtype.numpy_dtype)[0] if dtype.kind in "mM" else ""
        zone = getattr(dtype.pyarrow_dtype, "tz", None)
        if dtype.kind == "m":
            return f"{this}.astype('timedelta64[{unit}]')"
        if dtype.kind == "M":
            return f"{this}.astype('datetime64[{unit}{f', {zone}' if zone else ''}]')"
        return _as_text(this)
    if isinstance(dtype, pd.PeriodDtype):
        days = f"{this}.dt.to_timestamp()"
        return f"({days} - {days}.min()) / pd.Timedelta(days=1)"
    if is_date(dtype) and getattr(dtype, "kind", "") == "m":
        return f"{this} / pd.Timedelta(days=1)"
    if is_date(dtype):
        return f"({this} - {this}.min()) / pd.Timedelta(days=1)"
    if pd.api.types.is_complex_dtype(dtype):
        return f"{this}.map(abs)"
    return _objects(this, list(column.dropna()))


def _objects(this: str, cells: list[Any]) -> str:
    conversions = {
        dt.timedelta: f"pd.to_timedelta({this})",
        dt.date: f"pd.to_datetime({this})",
        Decimal: f"{this}.astype(float)",
        bytes: f"{this}.str.decode('utf-8')",
    }
    for kind, code in conversions.items():
        if cells and all(isinstance(cell, kind) for cell in cells):
            return code
    return _as_text(this)


def _as_text(this: str) -> str:
    return f"{this}.map(str, na_action='ignore')"


#: Words for cells -> which these are, given which are missing.
CELLS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "missing": np.copy,
    "observed": np.invert,
    "all": np.ones_like,
    "none": np.zeros_like,
}


def cells_wanted(where: Any, table: Table) -> dict[str, np.ndarray]:
    """Cells to impute: variable -> bool (row,), canonical order.

    Parameters
    ----------
    where
        None or ``"missing"``, ``"all"``, ``"observed"``, ``"none"``, or a boolean frame or
        array of the data's shape, in the user's row order.
    table
        The data.

    Raises
    ------
    SpecificationError
        If it has another form, shape or labels, or holds anything but True and False.
    """
    where = "missing" if where is None else where
    if isinstance(where, str):
        if where not in CELLS:
            raise SpecificationError(
                f"where={where!r} must be 'missing', 'all', 'observed', 'none' or a boolean frame."
            )
        return {name: CELLS[where](table.missing(name)) for name in table.variables}
    frame = table.frame
    if isinstance(where, pd.DataFrame):
        unknown = [name for name in where.columns if name not in frame.columns]
        if unknown:
            raise SpecificationError(f"where has a column {unknown[0]!r} that the data do not.")
        if where.columns.has_duplicates:
            raise SpecificationError("where has a column twice; build it from df.isna().")
        if not where.index.equals(frame.index):
            raise SpecificationError(
                "where must have the index of the data, row by row; build it from df.isna()."
            )
        mask = where.reindex(columns=frame.columns, fill_value=False)
        values = mask.to_numpy(dtype=object)
    else:
        values = np.asarray(where, dtype=object)
    if values.shape != frame.shape:
        raise SpecificationError(
            f"where has shape {values.shape}, the data have {frame.shape}; build it from df.isna()."
        )
    if not all(isinstance(value, bool | np.bool_) for value in values.ravel()):
        raise SpecificationError("where must hold only True and False.")
    cells = values.astype(bool)[table.rows]
    return {name: cells[:, k] for k, name in enumerate(frame.columns)}


def rows_ignored(ignore: Any, table: Table) -> np.ndarray:
    """Rows no model is fitted to, bool (row,), canonical order.

    Raises
    ------
    SpecificationError
        If it is not one True or False a row, or leaves fewer than two rows.
    """
    if ignore is None:
        return np.zeros(table.n_rows, dtype=bool)
    if isinstance(ignore, pd.Series):
        if not (ignore.index.is_unique and set(ignore.index) == set(table.frame.index)):
            if not ignore.index.equals(table.frame.index):
                raise SpecificationError(
                    "ignore is a Series with another index than the data; build it from df, such "
                    "as df['wave'] > 2, or give a plain list."
                )
        elif table.frame.index.is_unique:
            ignore = ignore.loc[table.frame.index]
    values = np.asarray(ignore, dtype=object)
    if values.shape != (table.n_rows,) or not all(isinstance(v, bool | np.bool_) for v in values):
        raise SpecificationError(
            f"ignore must hold one True or False for each of the {table.n_rows} rows."
        )
    rows = values.astype(bool)[table.rows]
    if (~rows).sum() < 2:
        raise SpecificationError("ignore leaves fewer than two rows to learn from.")
    return rows


type Monitors = Mapping[str, Callable[..., Any]]


def checked_monitors(monitor: Any, table: Table) -> dict[str, Callable[..., Any]]:
    """Check ``monitor=`` of :func:`bayesimpute.impute`; None is an empty one.

    Raises
    ------
    SpecificationError
        If it is no dict from name to function, or a name is empty or that of a column, which
        would give two quantities one name in ``imp.diagnostics()``.
    """
    if monitor is None:
        return {}
    if not isinstance(monitor, Mapping):
        raise SpecificationError(
            f"monitor must be a dict from name to function, such as "
            f"{{'mean_bmi': lambda data: data['bmi'].mean()}}, not {type(monitor).__name__}."
        )
    for name, function in monitor.items():
        if not isinstance(name, str) or not name.strip():
            raise SpecificationError(f"monitor: the name {name!r} must be text that is not empty.")
        if name in table.variables:
            raise SpecificationError(
                f"monitor {name!r} has the name of a column; give it another, such as "
                f"{'monitored_' + name!r}."
            )
        if not callable(function):
            raise SpecificationError(
                f"monitor {name!r} must be a function of a completed data frame that gives a "
                f"number, such as lambda data: data['bmi'].mean(), not {type(function).__name__}."
            )
    return dict(monitor)


MEANS = (Role.FIXED_WITH_MEAN, Role.RANDOM_WITH_MEAN)
SLOPES = (Role.RANDOM, Role.RANDOM_WITH_MEAN)
#: Codes that place a predictor in one of two equations.
TWO_EQUATIONS = {Role.SELECTION_ONLY: "selection", Role.OUTCOME_ONLY: "outcome"}


def check_predictors(predictors: Any, table: Table) -> pd.DataFrame:
    """Give the matrix with a row and a column for every column of the data.

    Raises
    ------
    SpecificationError
        If it is neither a frame nor a square array, names unknown columns, or holds anything but
        the codes of :class:`~bayesimpute.roles.Role`.
    """
    names = list(table.variables)
    predictors = _labelled(predictors, names)
    if not isinstance(predictors, pd.DataFrame):
        shape = getattr(predictors, "shape", None)
        what = type(predictors).__name__ + (f" of shape {shape}" if shape is not None else "")
        raise SpecificationError(
            f"predictors must be a DataFrame with a row a target and a column a predictor, or a "
            f"{len(names)} × {len(names)} array in the order of the columns, not "
            f"{what}; start from bi.make_predictors(df)."
        )
    for label in [*predictors.index, *predictors.columns]:
        if label not in names:
            raise SpecificationError(
                f"predictors: {label!r} is no column of the data; there are {', '.join(names)}."
            )
    if predictors.index.has_duplicates or predictors.columns.has_duplicates:
        raise SpecificationError("predictors: a row or column label occurs twice; remove one.")
    unknown = ~predictors.isin([int(role) for role in Role])  # 2.0 is one, 1.5 and NaN are not
    for row, column in np.argwhere(unknown.to_numpy())[:1]:
        raise SpecificationError(
            f"predictors: {predictors.iat[row, column]!r} in row {predictors.index[row]!r}, column "
            f"{predictors.columns[column]!r} is no code; codes are "
            f"{', '.join(f'{int(r)} ({r.name})' for r in Role)}."
        )
    for axis, labels in {"row": predictors.index, "column": predictors.columns}.items():
        lacking = [name for name in names if name not in labels]
        if lacking:
            raise SpecificationError(
                f"predictors must be square: it has no {axis} for {lacking[0]!r}; start from "
                "bi.make_predictors(df) and edit its cells."
            )
    matrix = predictors.loc[names, names].astype(int)
    values = matrix.to_numpy(copy=True)
    np.fill_diagonal(values, int(Role.NONE))
    return pd.DataFrame(values, index=names, columns=names)


def check_rows(predictors: Any, table: Table) -> pd.DataFrame:
    """Give some rows of the matrix, with a column for every column of the data, 0 where none is.

    Raises
    ------
    SpecificationError
        As :func:`check_predictors`; rows and columns that are not there are no fault.
    """
    names = list(table.variables)
    predictors = _labelled(predictors, names)
    if not isinstance(predictors, pd.DataFrame):
        check_predictors(predictors, table)  # says what it is instead
    rows, columns = (list(dict.fromkeys([*names, *axis])) for axis in predictors.axes)
    whole = check_predictors(
        predictors.reindex(index=rows, columns=columns, fill_value=int(Role.NONE))
        if predictors.index.is_unique and predictors.columns.is_unique
        else predictors,
        table,
    )
    return whole.loc[list(predictors.index)]


def _labelled(predictors: Any, names: Sequence[str]) -> Any:
    """Name the rows and columns of a square matrix without labels, in column order."""
    if isinstance(predictors, np.ndarray) and predictors.shape == (len(names), len(names)):
        return pd.DataFrame(predictors, index=list(names), columns=list(names))
    if isinstance(predictors, pd.DataFrame) and predictors.shape == (len(names), len(names)):
        predictors = predictors.copy()
        if isinstance(predictors.index, pd.RangeIndex):
            predictors.index = pd.Index(names)
        if isinstance(predictors.columns, pd.RangeIndex):
            predictors.columns = pd.Index(names)
    return predictors


def clusters_of(row: "pd.Series[Any]", target: str) -> tuple[str, ...]:
    """Columns coded −2 in a row of the matrix.

    Raises
    ------
    SpecificationError
        If there are slopes or cluster means without one.
    """
    clusters = tuple(str(name) for name in row.index[row == Role.CLUSTER])
    if clusters:
        return clusters
    for name, code in row.items():
        if code in (*SLOPES, *MEANS):
            raise SpecificationError(
                f"predictors of {target!r}: code {code} of {name!r} needs clusters; code the "
                "cluster variable −2 in this row, or use 1."
            )
    return ()


def terms_of(
    row: "pd.Series[Any]", target: str, table: Table, two_equations: bool = False
) -> tuple[Term, ...]:
    """Terms of a model from its row of the matrix.

    `two_equations` says whether the model has a selection equation beside its outcome's.

    Raises
    ------
    SpecificationError
        If a code belongs to models with two equations, or a column cannot be a predictor.
    """
    terms = []
    for label, code in row.items():
        name, role = str(label), Role(int(code))
        if role in (Role.NONE, Role.CLUSTER):
            continue
        if role in TWO_EQUATIONS and not two_equations:
            raise SpecificationError(
                f"predictors of {target!r}: code {int(role)} of {name!r} is for models with a "
                f"selection equation ({SELECTION!r}); the model of this target has one equation, "
                "use 1 or 2."
            )
        if table.variables[name].kind is Kind.OTHER:
            raise SpecificationError(
                f"predictors of {target!r}: {name!r} ({table.variables[name].dtype}) is neither a "
                f"number nor a category; {remedy(table, name)}, or set its code to 0."
            )
        terms.append(
            Term(
                name,
                (name,),
                random=role in SLOPES,
                cluster_mean=role in MEANS,
                equation=TWO_EQUATIONS.get(role, "both"),
            )
        )
    return tuple(terms)


def role_of(random: bool, mean: bool) -> Role:
    """Code of a predictor, with a slope by cluster and with its cluster mean beside it or not."""
    if random:
        return Role.RANDOM_WITH_MEAN if mean else Role.RANDOM
    return Role.FIXED_WITH_MEAN if mean else Role.FIXED


def effective_row(
    terms: Sequence[Term], clusters: Sequence[str], names: Sequence[str]
) -> dict[str, int]:
    """Codes that say what a model uses: of a column, the most its terms make of it."""
    row = dict.fromkeys(names, int(Role.NONE))
    for term in terms:
        for name in term.read_columns(row):
            if name in row and term.equation != "both":
                only = next(code for code, name in TWO_EQUATIONS.items() if name == term.equation)
                row[name] = int(only)
            elif name in row:
                random = term.random or row[name] in SLOPES
                mean = term.cluster_mean or row[name] in MEANS
                row[name] = int(role_of(random, mean))
    return row | dict.fromkeys(clusters, int(Role.CLUSTER))


@dataclass(frozen=True)
class Request:
    """What the user asked for, by target; defaults filled in nowhere.

    `clusters` are the groupings of ``cluster=``, that of most clusters first. `analysed` are the
    targets whose formula is an analysis, `rows` those of the predictor matrix that replace what an
    analysis asks for.
    """

    clusters: tuple[str, ...]
    predictors: pd.DataFrame | None
    formulas: Mapping[str, str]
    priors: Mapping[str, Mapping[str, Any]]
    post: Mapping[str, Any]
    model_options: Mapping[Any, Mapping[str, Any]]
    analysed: tuple[str, ...] = ()
    rows: pd.DataFrame | None = None


def choose_methods(
    method: Mapping[str, Any] | str | None,
    table: Table,
    cells: Mapping[str, np.ndarray],
    request: Request,
    modelled: Collection[str] = (),
) -> dict[str, Any]:
    """Choose the method of every column that gets values or is `modelled`, in column order."""
    clusters = set(table.columns_of(request.clusters))
    if request.predictors is not None:
        asked = [name for name, mask in cells.items() if mask.any()]
        coded = request.predictors.loc[asked] == Role.CLUSTER
        clusters |= {str(name) for name in coded.columns[coded.any()]}
    wanted = [
        name
        for name, mask in cells.items()
        if name in modelled
        or (
            mask.any()
            and table.variables[name].kind is not Kind.OTHER
            and not (name in clusters and not table.missing(name).any())
        )
    ]
    if isinstance(method, Mapping):
        given = by_column(method, table, "method")
        for name, value in given.items():
            if value not in ("", None) and table.variables[name].kind is Kind.OTHER:
                raise SpecificationError(
                    f"method gives {value!r} for {name!r} ({table.variables[name].dtype}), which "
                    f"is neither a number nor a category; {remedy(table, name)}."
                )
            if value not in ("", None) and name not in wanted:
                raise SpecificationError(
                    f"method gives {value!r} for {name!r}, which has no cell to impute; leave it "
                    "out, or ask for cells with where=."
                )
    elif method is None or isinstance(method, str | Wrapper) or callable(method):
        given = dict.fromkeys(wanted, method) if method is not None else {}
    else:
        raise SpecificationError(
            f"method must be a dict from column to method, or one method, not "
            f"{type(method).__name__}."
        )
    for name in sorted(clusters):
        if table.missing(name).any():
            table.clusters(name)
    chosen = {
        name: given[name] if name in given else default_method(table, name)[0] for name in wanted
    }
    chosen = {name: value for name, value in chosen.items() if value not in ("", None)}
    if not any(mask.any() for mask in cells.values()) and table.incomplete():
        return {}  # no cell is asked for, as with where="none"
    if not chosen:
        raise DataError(
            "There is nothing to impute: no missing cell has a method. Complete data need no "
            "imputation; observed cells are imputed anew with where=."
        )
    for name, value in chosen.items():
        if table.missing(name).all() and not (is_passive(value) or mean_of(name, table)):
            raise DataError(
                f"Variable {name!r} has no observed value; there is nothing to learn from. Drop "
                "it, or set its method to ''."
            )
    return chosen


def asked_for(method: Any) -> tuple[str, ...]:
    """Columns that a method is named for: dates among them become numbers."""
    if not isinstance(method, Mapping):
        return ()
    return tuple(name for name, value in method.items() if value not in ("", None))


def say_defaults(method: Any, names: Iterable[str], table: Table, events: Log) -> None:
    """Say which methods were taken because the user named none, one event a method and reason."""
    if method is not None and not isinstance(method, Mapping):
        return
    groups: dict[tuple[str, str], list[str]] = {}
    for name in names:
        if method is None or name not in method:
            groups.setdefault(default_method(table, name), []).append(name)
    for (chosen, reason), each in groups.items():
        events.info(
            each[0] if len(each) == 1 else "",
            "default method",
            f"{listed(each)} by {chosen!r}, no method being named: {reason}. bi.suggest_methods "
            "gives reasons.",
        )


def without_complete(
    request: Request, targets: Mapping[str, Any], table: Table, events: Log
) -> Request:
    """Leave out formulas of columns of which no cell is imputed, as mice does, and say so."""
    idle = [name for name in request.formulas if name not in targets]
    if not idle:
        return request
    what = "complete" if not any(table.missing(name).any() for name in idle) else "not imputed"
    message = f"formulas names {listed(idle)}, {what} in these data: no model is made of it."
    events.info("", "formula not used", message)
    used = {name: text for name, text in request.formulas.items() if name in targets}
    return replace(request, formulas=used)


def is_passive(method: Any) -> bool:
    """Whether a method computes a column from others: ``"~ I(a / b)"``."""
    return isinstance(method, str) and method.lstrip().startswith("~")


def passive_methods(chosen: Mapping[str, Any], table: Table) -> dict[str, Passive]:
    """Read the passive methods among the chosen ones.

    Raises
    ------
    SpecificationError
        If an expression does not parse, or reads a column it cannot.
    """
    passives = {}
    for name, value in chosen.items():
        if not is_passive(value):
            continue
        text = value.lstrip()[1:].strip()
        try:
            read(text)
        except SpecificationError as error:
            raise SpecificationError(f"Passive method of {name!r}: {error}") from None
        inputs = names_in(text)
        for column in inputs:
            if column not in table.variables:
                raise SpecificationError(
                    f"Passive method of {name!r}, {value!r}: there is no column {column!r}."
                    f"{nearest(column, table.variables)}"
                )
            if table.missing(column).any() and column not in chosen:
                raise SpecificationError(
                    f"Passive method of {name!r} uses {column!r}, which stays incomplete; give "
                    f"{column!r} a method."
                )
        if name in inputs:
            raise SpecificationError(
                f"Passive method of {name!r} uses {name!r} itself; a cycle cannot be computed."
            )
        if table.variables[name].kind is not Kind.NUMERIC:
            raise SpecificationError(
                f"Passive method of {name!r}: only numeric variables can be computed."
            )
        # a column alone would pass for a number whatever is in it
        coded = with_category_codes(f"({text})" if text in table.variables else text, table)
        passives[name] = Passive(name, coded, inputs)
    return passives


def option_blocks(given: Any, table: Table) -> Mapping[Any, Mapping[str, Any]]:
    """Options by column, ``"*"`` for every target whose method knows them."""
    if given is None:
        return {}
    for key, block in given.items() if isinstance(given, Mapping) else [("", None)]:
        if not isinstance(block, Mapping):
            raise SpecificationError(
                "model_options must be a dict of dicts, such as {'popular': {'donors': 10}} or "
                "{'*': {'donors': 10}} for every target."
            )
        if key is not None and key != "*" and key not in table.variables:
            raise SpecificationError(
                f"model_options: {key!r} is neither a column nor '*' (all targets)."
                f"{nearest(key, table.variables)}"
            )
    return {"*" if key is None else key: block for key, block in given.items()}


def by_column(given: Any, table: Table, argument: str) -> dict[str, Any]:
    """Check an argument that maps columns to values; None is an empty one."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise SpecificationError(
            f"{argument} must be a dict from column to value, not {type(given).__name__}."
        )
    for name in given:
        if name not in table.variables:
            raise SpecificationError(
                f"{argument} names {name!r}, which is no column of the data."
                f"{nearest(name, table.variables)}"
            )
    return dict(given)


def check_priors(given: Mapping[str, Any]) -> None:
    """Refuse what is no dict of PyMC distributions for each target."""
    for name, distributions in given.items():
        if not isinstance(distributions, Mapping):
            raise SpecificationError(
                f"priors of {name!r} must be a dict from parameter to distribution, such as "
                "{'sigma': pm.HalfNormal.dist(1)}."
            )
        for parameter, distribution in distributions.items():
            check_distribution(name, parameter, distribution)
