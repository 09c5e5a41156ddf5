"""A finished run made by hand: what the result layer does needs no sampler."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from bayesimpute.data.table import Table
from bayesimpute.engine.history import History
from bayesimpute.events import Event
from bayesimpute.imputations import Imputations
from bayesimpute.specification.specification import Passive, Specification, Target, Term

M, ITERATIONS = 4, 6


@pytest.fixture
def pupils() -> pd.DataFrame:
    """Twelve pupils of every awkward dtype, rows not in index order."""
    return pd.DataFrame(
        {
            "school": ["b", 3, "b", 3, (1, "x"), 3] * 2,
            "popular": [1.5, np.nan, 2.25, np.nan, 4.0, 5.0, 6.0, np.nan, 8.0, 9.0, 1.0, 2.0],
            "grade": pd.array([1, None, 3, None, 5, 6, 7, 8, 9, 10, 11, 12], dtype="Int64"),
            "mood": pd.Categorical(
                ["low", None, "high", "mid"] * 3, categories=["low", "mid", "high"], ordered=True
            ),
            "girl": pd.array([True, None, False] * 4, dtype="boolean"),
            "town": pd.array(["B", "A", None] * 4, dtype="str"),
            "double": [3.0, np.nan, 4.5, np.nan, 8, 10, 12, np.nan, 16, 18, 2, 4],
            "born": pd.date_range("2001-01-01", periods=12, freq="D"),
            "weight": np.arange(12, dtype=np.float32),
            "None": np.arange(12) % 2 == 0,
        },
        index=pd.Index([5, 3, 8, 1, 2, 4, 6, 7, 9, 10, 11, 12][::-1], name="pupil"),
    )


METHODS = {
    "popular": "normal",
    "grade": "pmm",
    "mood": "pmm",
    "girl": "sample",
    "town": "sample",
    "double": "~ I(2 * popular)",
}


@pytest.fixture
def make_imputations() -> Callable[..., Imputations]:
    """Imputations of any frame, drawn from the observed values."""

    def make(
        frame: pd.DataFrame,
        methods: dict[str, object] | None = None,
        m: int = M,
        **replaced: object,
    ) -> Imputations:
        table = Table.from_frame(frame)
        if methods is None:
            methods = {name: "pmm" for name in table.incomplete()}
        rng = np.random.default_rng(1)
        where = {name: table.missing(name) for name in methods}
        imputed = {}
        for name, cells in where.items():
            observed = table.values[name][~table.missing(name)]
            imputed[name] = rng.choice(observed, size=(m, cells.sum()))
        if "double" in imputed and "popular" in imputed:
            imputed["double"] = 2 * imputed["popular"]
        targets = {
            name: Passive(name, "2 * popular", ("popular",))
            if str(method).startswith("~")
            else Target(name, method, "school", 1, (Term("weight", ("weight",)),), **replaced)
            for name, method in methods.items()
        }
        predictors = pd.DataFrame(0, index=list(methods), columns=list(frame.columns))
        event = Event("warning", "specification", "popular", "predictor dropped", "Constant.")
        specification = Specification(
            table=table,
            targets=targets,
            visit_sequence=tuple(targets),
            passive_order=tuple(n for n, t in targets.items() if isinstance(t, Passive)),
            where=where,
            ignore=np.zeros(len(frame), dtype=bool),
            methods={name: str(methods.get(name, "")) for name in frame.columns},
            predictors=predictors,
            events=(event,),
        )
        chains = (m, ITERATIONS)
        shares = {}
        for name, drawn in imputed.items():
            if k := len(table.variables[name].categories):
                shares[name] = np.random.default_rng(2).dirichlet(np.ones(k), chains)
                shares[name][:, -1] = (drawn[:, :, None] == np.arange(k)).mean(axis=1)
        sampled = [name for name, t in targets.items() if isinstance(t, Target)]
        history = History(
            m=m,
            iterations=ITERATIONS,
            imputed=imputed,
            chain_mean={name: rng.normal(5, 0.1, chains) for name in targets},
            chain_sd={name: rng.uniform(1, 1.2, chains) for name in targets},
            parameters={
                name: {
                    "intercept": rng.normal(size=chains),
                    "beta": rng.normal(size=(*chains, 2)),
                }
                for name in sampled
            },
            labels={name: {"intercept": (), "beta": ("weight", "log(a/b)")} for name in sampled},
            statistics={
                name: {
                    "diverging": np.eye(*chains) * (name == "popular"),
                    "acceptance": rng.uniform(0.7, 1, chains),
                    "tree_size": rng.integers(1, 8, chains).astype(float),
                }
                for name in sampled
            },
            states=tuple(bytes([k, 0, 255]) for k in range(m)),
            adaptation=b"",
            seed=2**127 + 1,
            events=(event, Event("info", "imputation", "mood", "tie", "Ü.", 1, 2)),
            chain_share=shares,
        )
        return Imputations(specification, history)

    return make


@pytest.fixture
def imputations(pupils: pd.DataFrame, make_imputations: Callable[..., Imputations]) -> Imputations:
    return make_imputations(pupils, METHODS)
