"""Growing the history of a run by stretches of its chains."""

from collections.abc import Mapping, Sequence

import numpy as np

from bayesimpute.engine.bench import Bench
from bayesimpute.engine.chain import Stretch
from bayesimpute.engine.history import History
from bayesimpute.events import Event
from bayesimpute.specification.specification import Specification


def begin(
    specification: Specification,
    bench: Bench,
    m: int,
    adaptation: bytes,
    seed: int,
    events: tuple[Event, ...],
    monitor_labels: Mapping[str, tuple[str, ...]],
) -> History:
    """History of m chains that have not started: states are empty."""
    names = list(specification.targets)
    categories = {name: len(specification.table.variables[name].categories) for name in names}
    return History(
        m=m,
        iterations=0,
        imputed={name: np.empty((m, int(specification.where[name].sum()))) for name in names},
        chain_mean={name: np.empty((m, 0)) for name in names},
        chain_sd={name: np.empty((m, 0)) for name in names},
        parameters={
            name: {
                key: np.repeat(array[None], m, axis=0)
                for key, array in bench.empty_parameters(name, 0).items()
            }
            for name in names
        },
        labels={
            name: dict(bench.kernels[name].labels) if name in bench.kernels else {}
            for name in names
        },
        statistics={name: {} for name in names},
        states=(b"",) * m,
        adaptation=adaptation,
        seed=seed,
        events=events,
        monitored={
            name: np.empty((m, 0, len(labels)) if labels else (m, 0))
            for name, labels in monitor_labels.items()
        },
        monitor_labels=monitor_labels,
        chain_share={name: np.empty((m, 0, k)) for name, k in categories.items() if k},
    )


def lengthen(history: History, stretches: Sequence[Stretch]) -> History:
    """Append the next iterations of all m chains; their states are packed by the caller."""
    names = list(history.imputed)
    done, step = history.iterations, stretches[0].iterations

    def joined(name: str, part: str, before: np.ndarray) -> np.ndarray:
        return np.concatenate([before, np.stack([getattr(s, part)[name] for s in stretches])], 1)

    def shares_before(name: str, categories: int) -> np.ndarray:
        unknown = np.full((history.m, done, categories), np.nan)
        return history.chain_share.get(name, unknown)

    statistics = {}
    for name in names:
        keys = dict.fromkeys(
            [*history.statistics[name], *(k for s in stretches for k in s.statistics[name])]
        )
        gap = np.full(step, np.nan)
        statistics[name] = {
            key: np.concatenate(
                [
                    history.statistics[name].get(key, np.full((history.m, done), np.nan)),
                    np.stack([s.statistics[name].get(key, gap) for s in stretches]),
                ],
                axis=1,
            )
            for key in keys
        }
    events = [event for stretch in stretches for event in stretch.events]
    events.sort(key=lambda event: event.iteration)  # of chain after chain in each
    return History(
        m=history.m,
        iterations=done + step,
        imputed={name: np.stack([s.imputed[name] for s in stretches]) for name in names},
        chain_mean={name: joined(name, "mean", history.chain_mean[name]) for name in names},
        chain_sd={name: joined(name, "sd", history.chain_sd[name]) for name in names},
        parameters={
            name: {
                key: np.concatenate(
                    [before, np.stack([s.parameters[name][key] for s in stretches])], axis=1
                )
                for key, before in history.parameters[name].items()
            }
            for name in names
        },
        labels=history.labels,
        statistics=statistics,
        states=history.states,
        adaptation=history.adaptation,
        seed=history.seed,
        events=(*history.events, *events),
        monitored={
            name: joined(name, "monitored", before) for name, before in history.monitored.items()
        },
        monitor_labels=history.monitor_labels,
        chain_share={
            name: joined(name, "share", shares_before(name, each.shape[1]))
            for name, each in stretches[0].share.items()
        },
    )
