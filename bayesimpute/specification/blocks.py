"""Targets that one model imputes together."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from bayesimpute.errors import SpecificationError
from bayesimpute.events import Event
from bayesimpute.registry import resolve
from bayesimpute.specification.specification import Grouping, Passive, Target, Term, computed_from
from bayesimpute.wrappers.base import innermost, layers
from bayesimpute.wrappers.delta import Delta

type Targets = dict[str, Target | Passive]


def form_blocks(
    targets: Mapping[str, Target | Passive], sequence: Sequence[str]
) -> tuple[Targets, tuple[str, ...], tuple[Event, ...]]:
    """Join the targets of one joint method, cluster variable and level into a block.

    Parameters
    ----------
    targets
        What is imputed, each decided by itself.
    sequence
        Order of visits.

    Returns
    -------
    targets
        Members of a block with the block's predictors: those of any member, but no member.
    sequence
        Order of visits, in which a block is visited where its first member was.
    events
        What was joined.

    Raises
    ------
    SpecificationError
        If a member has a wrapper that a block cannot have, or members' options contradict.
    """
    blocks: dict[tuple[tuple[str, ...], int], list[str]] = {}
    for name in dict.fromkeys(sequence):
        target = targets[name]
        assert isinstance(target, Target)
        if getattr(resolve(innermost(target.method)), "block", False):
            blocks.setdefault((target.clusters, target.level), []).append(name)
    joined: Targets = dict(targets)
    events = []
    passives = {k: v for k, v in targets.items() if isinstance(v, Passive)}
    followers: set[str] = set()
    for block in blocks.values():
        members = [target for name in block if isinstance(target := targets[name], Target)]
        for member in members:
            _check_wrappers(member)
        computed = [n for n in passives if not computed_from(n, passives).isdisjoint(block)]
        _check_random_parts(members)
        terms = _terms_of(members, {*block, *computed})
        options = _options_of(members)
        for member in members:
            joined[member.name] = replace(
                member,
                terms=terms,
                options=options,
                random_intercept=any(each.random_intercept for each in members),
                block=tuple(block),
                groupings=_groupings_of(members, {term.label for term in terms}),
            )
        followers |= set(block[1:])
        labels = ", ".join(term.label for term in terms) or "none"
        left_out = f"; {', '.join(computed)} are computed from them" if computed else ""
        events.append(
            Event(
                "info",
                "specification",
                block[0],
                "joint block",
                f"{', '.join(block)} are imputed together and do not predict each other "
                f"otherwise{left_out}. Predictors of all: {labels}.",
            )
        )
    return joined, tuple(name for name in sequence if name not in followers), tuple(events)


def _check_wrappers(member: Target) -> None:
    for wrapper in layers(member.method):
        if not isinstance(wrapper, Delta):
            raise SpecificationError(
                f"Method {str(wrapper)!r} of {member.name!r}: a joint block is one model of all "
                "its variables, which can only be shifted (bi.delta); impute "
                f"{member.name!r} by a method of its own, or impute the groups in separate runs."
            )


def _check_random_parts(members: Sequence[Target]) -> None:
    """Refuse formulas that do not agree on which effects are independent."""
    parts = {
        member.name: {term.label: term.random_part for term in member.terms if term.random}
        for member in members
    }
    if any(number for own in parts.values() for number in own.values()):
        first = members[0].name
        for name, own in parts.items():
            if own != parts[first]:
                raise SpecificationError(
                    f"formulas of {first!r} and {name!r}: a joint block has one structure of "
                    "effects by cluster; where some of them are independent, give all its "
                    "variables the same random parts."
                )


def _terms_of(members: Sequence[Target], excluded: set[str]) -> tuple[Term, ...]:
    terms: dict[str, Term] = {}
    for member in members:
        for term in member.terms:
            if not excluded.isdisjoint(term.columns):
                continue
            known = terms.get(term.label)
            terms[term.label] = (
                term
                if known is None
                else replace(
                    known,
                    fixed=known.fixed or term.fixed,
                    random=known.random or term.random,
                    cluster_mean=known.cluster_mean or term.cluster_mean,
                )
            )
    return tuple(terms.values())


def _groupings_of(members: Sequence[Target], labels: set[str]) -> tuple[Grouping, ...]:
    """Say what varies by each further grouping in the model of any member."""
    found: dict[str, Grouping] = {}
    for each in (grouping for member in members for grouping in member.groupings):
        known = found.get(each.name, Grouping(each.name, False))
        slopes = {**dict(known.slopes), **dict(each.slopes)}
        found[each.name] = Grouping(
            each.name,
            known.intercept or each.intercept,
            tuple((label, part) for label, part in slopes.items() if label in labels),
            tuple(label for label in dict.fromkeys([*known.means, *each.means]) if label in labels),
        )
    return tuple(found.values())


def _options_of(members: Sequence[Target]) -> dict[str, object]:
    options: dict[str, object] = {}
    for member in members:
        for option, value in member.options.items():
            if options.setdefault(option, value) != value:
                raise SpecificationError(
                    f"model_options: {option}={value!r} of {member.name!r} contradicts "
                    f"{option}={options[option]!r} of another variable of its joint block; a "
                    "block has one value."
                )
    return options
