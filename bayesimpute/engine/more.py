"""More chains of a run: those that it would have had, had more been asked for at first."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any

import numpy as np

from bayesimpute.engine.history import History
from bayesimpute.engine.run import go_on
from bayesimpute.specification.specification import Specification


def more_chains(
    specification: Specification,
    history: History,
    m: int,
    executor: Executor | None = None,
    progress: bool | None = None,
    cores: int = 1,
) -> History:
    """Run the chains from ``history.m`` to `m`, as long as the others, and put them behind these.

    Every chain has random streams of its own, and all share what was tuned before: it is the
    history of a run with m chains, bit for bit.

    Parameters
    ----------
    specification, history
        Of the run.
    m
        Number of chains in all.
    executor, progress, cores
        As of :func:`~bayesimpute.engine.run.go_on`.
    """
    fresh = _not_started(history, m - history.m)
    fresh = go_on(
        specification, fresh, history.iterations, executor=executor, progress=progress,
        cores=cores, first=history.m,
    )  # fmt: skip
    return beside(history, fresh)


def _not_started(history: History, chains: int) -> History:
    """History of further chains of a run before their first iteration."""

    def none(values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {name: np.empty((chains, 0, *each.shape[2:])) for name, each in values.items()}

    return replace(
        history,
        m=chains,
        iterations=0,
        imputed={name: np.empty((chains, each.shape[1])) for name, each in history.imputed.items()},
        chain_mean=none(history.chain_mean),
        chain_sd=none(history.chain_sd),
        chain_share=none(history.chain_share),
        parameters={name: none(each) for name, each in history.parameters.items()},
        statistics={name: {} for name in history.statistics},
        monitored=none(history.monitored),
        states=(b"",) * chains,
        events=(),
    )


def beside(history: History, other: History) -> History:
    """Put the chains of another history of the same specification behind those of one.

    Both have made as many iterations. Events of chains are in the order in which one run would have
    had them.
    """
    every = [history, other]
    chains = [each.m for each in every]
    of_chains = [event for each in every for event in each.events if event.imputation]
    of_chains.sort(key=lambda event: (event.iteration, event.imputation))
    before = [event for event in history.events if not event.imputation]
    joined: dict[str, Any] = {
        name: _stacked([getattr(each, name) for each in every], chains) for name in _BY_CHAIN
    }
    return replace(
        history,
        m=sum(chains),
        **joined,
        states=(*history.states, *other.states),
        events=(*before, *of_chains),
    )


_BY_CHAIN = (
    "imputed", "chain_mean", "chain_sd", "chain_share", "parameters", "statistics", "monitored",
)  # fmt: skip


def _stacked(groups: Sequence[Mapping[str, Any]], chains: Sequence[int]) -> dict[str, Any]:
    """Put arrays of several mappings one under the other; NaN where one of them lacks a name."""
    found: dict[str, Any] = {}
    for name in dict.fromkeys(name for group in groups for name in group):
        parts = [group.get(name) for group in groups]
        if any(isinstance(part, Mapping) for part in parts):
            found[name] = _stacked([part or {} for part in parts], chains)
            continue
        shape = next(part.shape[1:] for part in parts if part is not None)
        filled = [
            np.full((count, *shape), np.nan) if part is None else part
            for part, count in zip(parts, chains, strict=True)
        ]
        found[name] = np.concatenate(filled)
    return found
