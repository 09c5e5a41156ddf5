r"""All models of a run as one PyMC model of the incomplete data.

.. math::
    p(\text{outcomes} \mid \text{covariates})\, p(\text{covariate}_1 \mid \text{those before it})
    \cdots

with the priors of the chains, under the names that parameters have in ``imp.datatree``. A missing
number is a free variable; missing categories are summed out,

.. math::
    \log p(\text{rows}) = \log \sum_k \prod_c p_c(y_c \mid k, …),

over all combinations k of the missing categories that some row depends on together, or over their
numbers in a cluster whose mean predicts (:mod:`bayesimpute.engine.joint_counts`). Missing values
that no other model needs integrate out of themselves and are left out.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from bayesimpute.data.names import safe_pair
from bayesimpute.data.table import Kind
from bayesimpute.design import DesignBuilder
from bayesimpute.engine.adapt import reference_values
from bayesimpute.engine.bench import options_of
from bayesimpute.engine.joint_counts import Counts, Group, categories_of, log_sum, sums_of
from bayesimpute.engine.joint_rows import (
    Part,
    columns_of,
    groups_of_rows,
    is_symbol,
    rows_learnt_from,
    without_ignored,
)
from bayesimpute.errors import SpecificationError
from bayesimpute.method import Design
from bayesimpute.registry import resolve
from bayesimpute.sampling.hazards import events_of
from bayesimpute.sampling.selection import DRAWN, SEEN, UNSEEN
from bayesimpute.sampling.textbook import Columns, Textbook, values_of
from bayesimpute.specification.joint_order import sources_of_term
from bayesimpute.specification.specification import Specification, Target
from bayesimpute.wrappers.base import innermost, layers, method_text
from bayesimpute.wrappers.by_group import ByGroup, move
from bayesimpute.wrappers.delta import Delta

Positions = npt.NDArray[np.int64]

#: Names in the readable model of what is known of the rows of a selection model.
_SELECTION = {SEEN: "seen", UNSEEN: "unseen", DRAWN: "unseen, drawn"}


def joint_model(specification: Specification, seed: int) -> Any:
    """Build the model.

    Parameters
    ----------
    specification
        Of a run with ``analysis=``.
    seed
        Of the run: fixes units and default priors.

    Raises
    ------
    SpecificationError
        If the models are no joint distribution, or one of them cannot be written so.
    """
    return Joint.of(specification, seed).model


@dataclass(frozen=True, eq=False)
class Joint:
    """The model as it is being built.

    Attributes
    ----------
    model
        The PyMC model.
    specification, builders, designs
        Of the run; designs at the reference values.
    reference
        Completed data that fix units and default priors, (row,) each.
    categories
        Values of the variables whose missing ones are summed out.
    groups
        These, by what depends on each other.
    counts
        Those of them that are summed out by their numbers in a cluster.
    parts
        What the rows of each model are: one kind of row, or one for each group.
    values
        Columns of the data: numbers, or symbols where some are missing.
    own
        Values of each target by row of its design, the same way.
    """

    model: Any
    specification: Specification
    builders: Mapping[str, DesignBuilder]
    designs: Mapping[str, Design]
    reference: Mapping[str, Any]
    categories: Mapping[str, Any]
    groups: list[Group]
    counts: Counts | None
    parts: dict[str, list[Part]] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    own: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, specification: Specification, seed: int) -> "Joint":
        """Build the model."""
        import pymc as pm

        _check(specification)
        values = reference_values(specification, seed)
        specification = without_ignored(specification, _builders(specification))
        builders = _builders(specification)
        designs = {name: _shifted(each, each.build(values)) for name, each in builders.items()}
        categories = categories_of(specification, builders)
        groups, counts = sums_of(specification, builders, categories)
        model = pm.Model(model=None)
        joint = cls(model, specification, builders, designs, values, categories, groups, counts)
        joint.values.update(values)
        for name in builders:
            joint._add_parameters(name)
        for name in builders:
            joint._add_rows(name)
        for number, group in enumerate(groups):
            joint._add_sum(group, number)
        if counts is not None:
            joint._add_counts(counts)
        return joint

    def draws_of(self, name: str, parameter: str, labels: Sequence[str], posterior: Any) -> Any:
        """Draws of a parameter in the order in which the chains have its elements.

        Parameters
        ----------
        name, parameter
            Target, and name of the parameter in the chains.
        labels
            Of its elements there.
        posterior
            Of this model, as PyMC gives it.

        Returns
        -------
        numpy.ndarray or None
            (chain, draw, element); None if the model has no such parameter.
        """
        variable = safe_pair(name, parameter)
        if variable not in posterior:
            return None
        draws = posterior[variable].values
        effects = {part.named("correlation"): part.model.effects for part in self.parts[name]}
        if parameter in effects:
            names = effects[parameter]
            place = {f"{b}~{a}": (i, j) for i, a in enumerate(names) for j, b in enumerate(names)}
            return np.stack([draws[(..., *place[label])] for label in labels], axis=-1)
        if parameter.startswith("correlation|"):
            a, b = np.tril_indices(draws.shape[-1], -1)
            pairs = draws[..., a, b]
            free = np.abs(pairs).max(axis=tuple(range(pairs.ndim - 1))) > 0.0
            return pairs[..., free]
        return draws.reshape(*draws.shape[:2], -1)

    def _add_parameters(self, name: str) -> None:
        """Add the parameters of one model, with their priors."""
        import pymc as pm

        target, design = self.builders[name].target, self.designs[name]
        method = resolve(innermost(target.method))
        if not isinstance(method, Textbook):
            raise SpecificationError(
                f"joint_model: the method {method_text(target.method)!r} of {name!r} cannot be "
                "written down for rows of which some values are symbols; use a model of the "
                "package, or look at imp.model(variable)."
            )
        self.parts[name] = []
        for label, rows in groups_of_rows(target, design):
            own = design.rows(rows) if label else design
            with pm.Model(coords=own.coords, model=None) as alone:
                model = method.row_model(own, target.priors, options_of(target))
            place = np.full(len(design.y), -1)
            place[rows] = np.arange(len(rows))
            part = Part(label, model, place)
            self.parts[name].append(part)
            move(alone, self.model, partial(_renamed, name, part))

    def _add_rows(self, name: str) -> None:
        """Add the rows of one model that depend on no missing category, and missing numbers."""
        builder, design = self.builders[name], self.designs[name]
        live = self._live(name)
        touched = np.zeros(len(design.y), dtype=bool)
        for summed in (*self.groups, *(() if self.counts is None else (self.counts,))):
            if name in summed.touched:
                touched[summed.touched[name]] = True
        self.own[name] = self._numbers(name)
        if builder.target.level == 2 and builder.clusters is not None:
            # rows without the value have that of their cluster
            own = builder.coded[design.y.astype(np.int64)] if builder.coded.size else design.y
            self.values[name] = own[builder.clusters.codes]
        if live.any() and name not in self.categories:
            self._add_missing(name, np.flatnonzero(live))
        says = np.flatnonzero(rows_learnt_from(self.specification, builder) & ~touched)
        for part in self.parts[name]:
            self._add_plain(name, part, says[part.within(says)])

    def _live(self, name: str) -> npt.NDArray[np.bool_]:
        """Rows of a model's design whose value is a free variable or summed out, (row,) bool."""
        live = self.designs[name].live
        return np.zeros(len(self.designs[name].y), dtype=bool) if live is None else live

    def _add_plain(self, name: str, part: Part, says: Positions) -> None:
        """Add rows that depend on no missing category: seen values, and whether they are seen."""
        model, valued = part.model, np.ones(len(says), dtype=bool)
        known = np.full(len(says), SEEN)
        if model.known is not None:
            known = model.known[part.place[says]]
            says, known = says[~np.isnan(known)], known[~np.isnan(known)]
            valued = known != UNSEEN
        seen = says[valued & ~self._live(name)[says]]
        if seen.size:
            row = model.distribution(self._columns(name, part, seen))
            y = values_of(row, self._numbers(name)[seen])
            what = part.named("observed")
            dim = self._dim(name, what, seen)
            self.model.register_rv(row, safe_pair(name, what), observed=y, dims=(dim,))
        for code, text in _SELECTION.items() if model.factor is not None else ():
            chosen = says[known == code]
            if chosen.size and model.factor is not None and model.known is not None:
                y = None if code == UNSEEN else self.own[name][chosen]
                value = model.factor(self._columns(name, part, chosen), y, code)
                self._potential(safe_pair(name, part.named(text)), value.sum())

    def _add_missing(self, name: str, live: Positions) -> None:
        """Add the missing numbers of a variable, distributed as its model says.

        Where that depends on missing categories these are at their first; their sum sets it right.
        """
        import pytensor.tensor as pt

        for part in self.parts[name]:
            rows = live[part.within(live)]
            if not rows.size:
                continue
            row = part.model.distribution(self._columns(name, part, rows))
            if not row.dtype.startswith("float"):
                raise SpecificationError(
                    f"joint_model: missing counts of {name!r} would be unobserved whole numbers, "
                    "which NUTS cannot move; only numbers and categories can be missing in it. The "
                    "chains of bi.impute have them."
                )
            what = part.named("missing")
            dims = (self._dim(name, what, rows),)
            missing = self.model.register_rv(row, safe_pair(name, what), dims=dims)
            self.own[name] = pt.set_subtensor(pt.as_tensor_variable(self.own[name])[rows], missing)
        builder = self.builders[name]
        if builder.target.level == 2 and builder.clusters is not None:
            self.values[name] = self.own[name][builder.clusters.codes]
        else:
            self.values[name] = self.own[name]

    def _numbers(self, name: str) -> Any:
        """Values of a target by row of its design, missing ones at their reference."""
        design, around = self.designs[name], self.builders[name].target.around
        return design.y + self.reference[around] if around else design.y

    def _dim(self, name: str, what: str, rows: Positions) -> str:
        """Dim of some rows of a model, labelled as the user labels rows or clusters."""
        builder = self.builders[name]
        table, clusters = self.specification.table, builder.clusters
        if builder.target.level == 2 and clusters is not None:
            labels = [clusters.labels[k] for k in rows]
        else:
            labels = table.frame.index[table.rows[rows]].tolist()
        if len(set(labels)) < len(labels):
            labels = rows.tolist()
        dim = safe_pair(name, f"{what}_row")
        self.model.add_coord(dim, labels)
        return dim

    def _columns(
        self,
        name: str,
        part: Part,
        rows: Positions,
        changed: Mapping[str, Any] | None = None,
        averaged: Mapping[str, Any] | None = None,
    ) -> Columns:
        values = {**self.values, **(changed or self._first())}
        in_means = None if averaged is None else {**values, **averaged}
        found = columns_of(self.specification, self.builders[name], values, rows, in_means)
        latent, around = part.model.latent, self.builders[name].target.around
        offset = self.designs[name].live_shift
        offset = None if offset is None else offset[rows]
        if around:
            offset = values[around][rows] + (0.0 if offset is None else offset)
        return replace(
            found,
            event=events_of(self.designs[name])[rows],
            latent=None if latent is None else latent[part.place[rows]],
            offset=offset,
        )

    def _first(self) -> dict[str, Any]:
        """Columns with missing categories at their first."""
        out = {}
        for other, categories in self.categories.items():
            live = self.specification.live_rows(other)
            out[other] = np.where(live, categories[0], self.values[other])
        return out

    def _add_sum(self, group: Group, number: int) -> None:
        """Add the rows that depend on missing categories, these summed out."""
        import pytensor.tensor as pt

        summed = pt.logsumexp(self._at_combinations(group), axis=0).sum()
        names = " and ".join(dict.fromkeys(group.slots))
        title = f"{names} summed out"
        self._potential(
            title if title not in self.model.named_vars else f"{title} {number}",
            summed - self._counted(group.touched),
        )

    def _add_counts(self, counts: Counts) -> None:
        """Add the rows that depend on missing categories by their numbers, these summed out."""
        import pytensor.tensor as pt

        plain, by_group = [], []
        for averaged in counts.columns(self.values, self.categories):
            total: Any = pt.zeros(counts.missing.shape[1])
            for name, (rows, cluster) in counts.plain.items():
                value = self._log_density(name, rows, self._first(), averaged)
                total = pt.inc_subtensor(total[cluster], value)
            plain.append(total)
            by_group.append([self._at_combinations(group, averaged) for group in counts.groups])
        each = [pt.stack(group) for group in zip(*by_group, strict=True)]
        summed = log_sum(counts, self.categories, pt.stack(plain), each).sum()
        title = f"{' and '.join(counts.names)} summed out by their numbers"
        self._potential(title, summed - self._counted(counts.touched))

    def _at_combinations(self, group: Group, averaged: Mapping[str, Any] | None = None) -> Any:
        """Log density of the rows of each group at each combination, (combination, group)."""
        import pytensor.tensor as pt

        each = []
        for changed in group.assignments(self.values, self.categories):
            total: Any = pt.zeros(group.size)
            for name, rows in group.touched.items():
                value = self._log_density(name, rows, {**self._first(), **changed}, averaged)
                total = pt.inc_subtensor(total[group.group[name]], value)
            each.append(total)
        return pt.stack(each)

    def _log_density(
        self,
        name: str,
        rows: Positions,
        changed: Mapping[str, Any],
        averaged: Mapping[str, Any] | None = None,
    ) -> Any:
        """Log density of rows of one model at a combination, (row,)."""
        import pymc as pm
        import pytensor.tensor as pt

        out: Any = pt.zeros(len(rows))
        for part in self.parts[name]:
            within = part.within(rows)
            if not within.size:
                continue
            own, model = rows[within], part.model
            columns = self._columns(name, part, own, changed, averaged)
            known = np.full(len(own), SEEN)
            if model.known is not None:
                known = model.known[part.place[own]]
            valued = np.flatnonzero(~np.isnan(known) & (known != UNSEEN))
            if valued.size:
                y = self._own(name, own[valued], changed)
                row = model.distribution(columns.rows(valued))
                y = y if is_symbol(y) else values_of(row, y)
                out = pt.inc_subtensor(out[within[valued]], pm.logp(row, y, warn_rvs=False))
            for code in _SELECTION if model.factor is not None else ():
                chosen = np.flatnonzero(known == code)
                if chosen.size and model.factor is not None:
                    y = None if code == UNSEEN else self._own(name, own[chosen], changed)
                    value = model.factor(columns.rows(chosen), y, code)
                    out = pt.inc_subtensor(out[within[chosen]], value)
        return out

    def _own(self, name: str, rows: Positions, changed: Mapping[str, Any]) -> Any:
        """Values of a target in rows of its design, categories as codes."""
        if name not in changed:
            return self.own[name][rows]
        builder = self.builders[name]
        column = builder.codes(changed[name])
        if builder.target.level == 2 and builder.clusters is not None:
            live = self.designs[name].live
            by_cluster = column[builder.clusters.first_rows]
            column = by_cluster if live is None else np.where(live, by_cluster, self.own[name])
        return column[rows]

    def _counted(self, touched: Mapping[str, Positions]) -> Any:
        """Sum what the missing numbers among rows have counted for already."""
        import pymc as pm

        total: Any = 0.0
        for name, rows in touched.items():
            live = self._live(name)
            if name in self.categories:
                continue
            for part in self.parts[name]:
                chosen = rows[part.within(rows)]
                chosen = chosen[live[chosen]]
                if chosen.size:
                    row = part.model.distribution(self._columns(name, part, chosen))
                    total = total + pm.logp(row, self.own[name][chosen], warn_rvs=False).sum()
        return total

    def _potential(self, name: str, value: Any) -> None:
        import pymc as pm

        with self.model:
            pm.Potential(name, value)


def _renamed(name: str, part: Part, each: str) -> str:
    """Name in the joint model of a variable or dim of a part's model."""
    return safe_pair(name, part.named(each))


def _builders(specification: Specification) -> dict[str, DesignBuilder]:
    """Give what makes the designs of all models."""
    return {
        name: DesignBuilder.of(specification, target)
        for name in specification.visit_sequence
        if isinstance(target := specification.targets[name], Target)
    }


def _shifted(builder: DesignBuilder, design: Design) -> Design:
    """Give a design the δ of its live rows."""
    if design.live is None:
        return design
    for wrapper in layers(builder.target.method):
        if isinstance(wrapper, Delta):
            design = wrapper.shifted(design, np.array([amount for _, amount in wrapper.amounts]))
    return design


def _categories_in(specification: Specification, target: Target, label: str) -> Iterator[str]:
    """Incomplete categories that a term is made of."""
    (term,) = (term for term in target.terms if term.label == label)
    for name in sources_of_term(term, specification.targets, specification.table.variables):
        kind = specification.table.variables[name].kind
        if kind is not Kind.NUMERIC and specification.live_rows(name).any():
            yield name


def _check(specification: Specification) -> None:
    if specification.live is None:
        raise SpecificationError(
            "joint_model: chained equations are models of one variable each, and no joint "
            "distribution; impute with analysis='y ~ x', whose models are one."
        )
    for name, target in specification.targets.items():
        if not isinstance(target, Target):
            continue
        means = {label for each in target.groupings for label in each.means}
        for label in sorted(means):
            for each in _categories_in(specification, target, label):
                raise SpecificationError(
                    f"joint_model: the model of {name!r} has the mean of {label!r} by several "
                    f"groupings, and missing values of {each!r}, which are summed out, tie all "
                    "rows of a cluster together. Leave that mean out."
                )
        around = list(layers(target.method))
        groups = sum(isinstance(wrapper, ByGroup) for wrapper in around)
        if groups > 1 or any(not isinstance(wrapper, Delta | ByGroup) for wrapper in around):
            raise SpecificationError(
                f"joint_model: the method of {name!r} is {target.method}, which the joint model "
                "does not know; the chains of bi.impute do."
            )
