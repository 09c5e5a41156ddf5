"""What a conditional model says, in a few plain sentences."""

from typing import Any

from bayesimpute.method import words_of
from bayesimpute.registry import resolve
from bayesimpute.specification.equations import template_of
from bayesimpute.specification.specification import Passive, Specification, Target
from bayesimpute.wrappers.base import Wrapper, innermost, layers
from bayesimpute.wrappers.by_group import ByGroup
from bayesimpute.wrappers.delta import Delta
from bayesimpute.wrappers.fixed_clusters import FixedClusters
from bayesimpute.wrappers.only_where import OnlyWhere

#: Names listed in a sentence before the rest is counted.
MOST_NAMES = 12


def says(specification: Specification, name: str) -> list[str]:
    """Sentences about the model of a target."""
    target = specification.targets[name]
    if isinstance(target, Passive):
        return [
            f"Computed anew from {names(target.inputs)} after each visit, so that it never "
            "contradicts what it is computed from."
        ]
    words, template = words_of(resolve(innermost(target.method))), template_of(specification, name)
    if words is None:
        return [
            f"A model of your own, {specification.methods[name]}, with the predictors "
            f"{names(term.label for term in target.terms)}.",
            *_around(target),
        ]
    filled = {
        "x": names(term.label for term in target.terms if term.fixed or term.random),
        "donors": target.options.get("donors", 5),
        "block": names(each for each in target.block if each != name),
    }
    sentences = [f"{words.distribution.format(**filled)}.", words.draw.format(**filled)]
    if any(place in template for place in ("$predictor", "$slopes", "$function", "$bend")):
        sentences[1:1] = _clusters(specification, target)
    sentences += _selection(target) if "$selection" in template else []
    return [*sentences, *_around(target)]


def names(labels: Any) -> str:
    """Names with commas, the rest counted; ``"nothing"`` for none."""
    listed = [str(label) for label in labels]
    if not listed:
        return "nothing else"
    if len(listed) > MOST_NAMES:
        return f"{', '.join(listed[:MOST_NAMES])} and {len(listed) - MOST_NAMES} more"
    return ", ".join(listed[:-1]) + (" and " if len(listed) > 1 else "") + listed[-1]


def _clusters(specification: Specification, target: Target) -> list[str]:
    if target.cluster is None:
        return []
    table, sentences = specification.table, []
    n = table.clusters(target.cluster).n
    effects = target.effects
    if target.level == 2:
        sentences.append(
            f"It has one value in each of the {n:,} clusters of {target.cluster}, so a row of the "
            "model is a cluster, and what varies within clusters predicts by its mean."
        )
    elif any(isinstance(layer, FixedClusters) for layer in layers(target.method)):
        sentences.append(
            f"Each of the {n:,} clusters of {target.cluster} has a coefficient of its own."
        )
        effects = target.groupings
    for each in effects:
        slopes = [label for label, _ in each.slopes]
        varying = ["the intercept"] if each.intercept else []
        varying += [f"the effect of {names(slopes)}"] if slopes else []
        if varying:
            verb = "vary" if len(varying) > 1 or len(slopes) > 1 else "varies"
            sentences.append(
                f"{' and '.join(varying).capitalize()} {verb} between the "
                f"{table.clusters(each.name).n:,} clusters of {each.name}, whose effects come from "
                "a common normal distribution."
            )
    if len(effects) > 1:
        sentences.append("Effects of different groupings are independent.")
    if any(part for each in effects for _, part in each.slopes):
        sentences.append(
            "Effects in different brackets of its formula are independent, and slopes in others "
            "than the intercept's are not centred."
        )
    for each in effects:
        if each.means:
            of = f" by {each.name}" if len(effects) > 1 else ""
            sentences.append(
                f"The cluster mean of {names(each.means)}{of} predicts too, so that effects within "
                "and between clusters may differ."
            )
    if target.options.get("heteroscedastic"):
        sentences.append("Each cluster has a residual spread of its own.")
    return sentences


def _selection(target: Target) -> list[str]:
    only = {
        equation: [term.label for term in target.terms if term.equation == equation]
        for equation in ("selection", "outcome")
    }
    sentences = []
    if only["selection"]:
        sentences.append(
            f"Exclusion restriction: {names(only['selection'])} predicts whether the value is "
            "seen, and not the value."
        )
    else:
        sentences.append("There is no exclusion restriction; see Selection models.")
    if only["outcome"]:
        sentences.append(f"In the outcome only: {names(only['outcome'])}.")
    rho = target.options.get("rho")
    if rho is not None:
        sentences.append(f"ρ is fixed at {rho:g}: an assumption, not an estimate.")
    return sentences


def _around(target: Target) -> list[str]:
    """Sentences about wrappers and about what happens to drawn values."""
    sentences = []
    for layer in layers(target.method):
        text = _layer(layer)
        if text:
            sentences.append(text)
    if target.post is not None:
        name = getattr(target.post, "__name__", str(target.post))
        sentences.append(f"Drawn values then go through {name}.")
    return sentences


def _layer(layer: Wrapper) -> str:
    if isinstance(layer, ByGroup):
        return f"Fitted separately for each value of {layer.by}."
    if isinstance(layer, OnlyWhere):
        return layer.equation("").removeprefix(";").strip().capitalize() + "."
    if isinstance(layer, Delta):
        amount = layer.equation("").removeprefix(";").strip().removeprefix("imputed with ")
        return (
            f"Shifted, as if not missing at random: {amount} is added to the linear predictor of "
            "the missing values."
        )
    return ""
