"""What the engine hands to everyone else: the chains, finished or to be continued, and as bytes."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bayesimpute.data.names import original_text, safe_text
from bayesimpute.events import Event
from bayesimpute.method import Adaptation, Array

FIELDS = ("step_size", "variance", "start_mean", "start_sd")


def pack(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Named arrays as npz bytes."""
    buffer = io.BytesIO()
    named: dict[str, Any] = {safe_text(name): np.asarray(array) for name, array in arrays.items()}
    np.savez(buffer, **named)
    return buffer.getvalue()


def unpack(data: bytes) -> dict[str, np.ndarray]:
    """Read what :func:`pack` wrote; object arrays are refused."""
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        return {original_text(name): archive[name] for name in archive.files}


def pack_adaptations(adaptations: Mapping[str, Adaptation]) -> bytes:
    """One adaptation a target, as bytes."""
    arrays: dict[str, np.ndarray] = {}
    for name, adaptation in adaptations.items():
        _flatten(adaptation, "", name, arrays)
    return pack(arrays)


def unpack_adaptations(data: bytes) -> dict[str, Adaptation]:
    """Read what :func:`pack_adaptations` wrote."""
    arrays = unpack(data)
    names = dict.fromkeys(key.split("|", 2)[2] for key in arrays)
    return {name: _gathered("", name, arrays) for name in names}


def _flatten(adaptation: Adaptation, path: str, name: str, arrays: dict[str, np.ndarray]) -> None:
    """Put the fields of an adaptation and of its parts under ``field|path|name``."""
    for own in FIELDS:
        arrays[f"{own}|{path}|{name}"] = np.asarray(getattr(adaptation, own))
    for k, part in enumerate(adaptation.parts):
        _flatten(part, f"{path}/{k}", name, arrays)


def _gathered(path: str, name: str, arrays: Mapping[str, np.ndarray]) -> Adaptation:
    step_size, variance, mean, sd = (arrays[f"{own}|{path}|{name}"] for own in FIELDS)
    parts: list[Adaptation] = []
    while f"{FIELDS[0]}|{path}/{len(parts)}|{name}" in arrays:
        parts.append(_gathered(f"{path}/{len(parts)}", name, arrays))
    return Adaptation(float(step_size), variance, mean, sd, tuple(parts))


def shares_of(codes: Array, categories: int) -> Array:
    """Share of the cells in each category.

    Parameters
    ----------
    codes
        (cell,) category codes 0, 1, … as floats. What is no code (of a user's ``post``; refused
        when the data are completed) counts in no category.
    categories
        Number of categories, those never imputed among them.

    Returns
    -------
    ndarray (category,)
        NaN if there is no cell.

    Examples
    --------
    >>> shares_of(np.array([2.0, 0.0, 2.0, 2.0]), 3).tolist()
    [0.25, 0.0, 0.75]
    """
    if not codes.size:
        return np.full(categories, np.nan)
    inside = codes[(codes >= 0) & (codes < categories)]
    whole = inside.astype(np.int64)
    return np.bincount(whole[whole == inside], minlength=categories) / codes.size


def labels_of(categories: Sequence[Any]) -> tuple[str, ...]:
    """Text of each category, by which its share is named; distinct also for 1 and ``"1"``.

    Examples
    --------
    >>> labels_of([False, True]), labels_of([1, "1"])
    (('False', 'True'), ('1', "'1'"))
    """
    texts = tuple(str(label) for label in categories)
    return texts if len(set(texts)) == len(texts) else tuple(repr(label) for label in categories)


@dataclass(frozen=True, eq=False)
class History:
    """Everything m chains produced; chain = imputation, draw = iteration.

    Attributes
    ----------
    m
        Number of chains.
    iterations
        Iterations completed so far.
    imputed
        Target (passive ones too) -> (m, n_where) values of the last iteration, category codes for
        categories; the cells are those of ``Specification.where``, in canonical row order.
    chain_mean
        Target -> (m, iterations) mean of the imputed cells. Category codes count from 1 here, as
        in mice, so that the numbers can be compared.
    chain_sd
        Target -> (m, iterations) standard deviation (ddof 1) of the imputed cells, NaN if there is
        only one.
    chain_share
        Categorical target -> (m, iterations, categories) share of the imputed cells in each
        category, in the order of the variable's categories. Of a file written before shares were
        recorded there are none, and its iterations are NaN when the run goes on.
    parameters
        Target -> parameter -> (m, iterations) or (m, iterations, k) draws.
    labels
        Target -> parameter -> labels of the last axis, ``()`` for a scalar.
    statistics
        Target -> statistic of the sampler (``"diverging"``, ``"tree_size"``, ``"acceptance"``, …)
        -> (m, iterations).
    states
        One resumable state a chain: npz bytes without pickle.
    adaptation
        Adapted kernels, shared by the chains: npz bytes without pickle.
    seed
        Entropy of the run's ``numpy.random.SeedSequence``; may have 128 bits.
    events
        Automatic actions, those of the specification first.
    monitored
        Monitor -> (m, iterations) or (m, iterations, k): what the user's function gave of the
        completed data; NaN where it failed and the run was told to go on.
    monitor_labels
        Monitor -> labels of the last axis, ``()`` for a number.
    further_seeds
        Those of other runs whose chains were put behind the ones of this.
    """

    m: int
    iterations: int
    imputed: Mapping[str, np.ndarray]
    chain_mean: Mapping[str, np.ndarray]
    chain_sd: Mapping[str, np.ndarray]
    parameters: Mapping[str, Mapping[str, np.ndarray]]
    labels: Mapping[str, Mapping[str, tuple[str, ...]]]
    statistics: Mapping[str, Mapping[str, np.ndarray]]
    states: tuple[bytes, ...]
    adaptation: bytes
    seed: int
    events: tuple[Event, ...]
    monitored: Mapping[str, np.ndarray] = field(default_factory=dict)
    monitor_labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    chain_share: Mapping[str, np.ndarray] = field(default_factory=dict)
    further_seeds: tuple[int, ...] = ()

    @property
    def variables(self) -> list[str]:
        """Variables of which any cell is imputed."""
        return [name for name, cells in self.imputed.items() if cells.shape[1]]
