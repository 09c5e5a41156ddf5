"""The conditional models: equations, methods, options, and what each says."""

from bayesimpute.html import Html, join, tag
from bayesimpute.report.content import Content, folded, note, paragraph, subheading
from bayesimpute.report.notation import equations_html
from bayesimpute.report.sentences import says
from bayesimpute.specification.equations import equations, template_of
from bayesimpute.specification.linear_predictor import setting_of
from bayesimpute.specification.specification import Passive, Specification, Target
from bayesimpute.wrappers.base import innermost, method_text

#: Models shown unfolded.
MOST_OPEN = 12


def models(content: Content) -> Html:
    """One card a target, in the order of visits."""
    run = content.run
    specification = run.specification
    texts = equations(specification)
    order = list(dict.fromkeys(name for name in run.history.imputed if name in texts))
    order += [name for name in texts if name not in order]
    cards = [model_card(specification, name, texts[name]) for name in order]
    opening = [
        paragraph(
            f"Each of the m = {run.m} imputations is a chain of its own. In each of its "
            f"{run.iterations} iterations every incomplete variable is visited in turn: "
            "the parameters of its model are drawn given the completed values of the others, then "
            "its missing values."
        ),
        paragraph("Order of visits: ", ", ".join(specification.visit_sequence), "."),
        note(legend(specification)),
    ]
    first, rest = cards[:MOST_OPEN], cards[MOST_OPEN:]
    more = [folded(f"{len(rest)} more models", *rest)] if rest else []
    return join([*opening, *first, *more])


def legend(specification: Specification) -> str:
    """Explain the symbols of these models, those that occur."""
    targets = [t for t in specification.targets.values() if isinstance(t, Target)]
    said = " ".join(template_of(specification, target.name) for target in targets)
    settings = [setting_of(specification, target) for target in targets]
    clustered = any(setting.target.cluster is not None for setting in settings)
    selects = "$selection" in said
    sentences = [f"i counts rows{' and j clusters' if clustered else ''}."]
    if any(len(setting.groupings) > 1 for setting in settings):
        sentences.append("Of several groupings j, k, … count the clusters, in the order shown.")
    sentences.append(
        "β are coefficients of the outcome, γ of whether it is seen."
        if selects
        else "β are coefficients of the population."
    )
    if any(setting.groupings for setting in settings):
        letters = "b and a are" if selects else "b are"
        sentences.append(f"{letters} effects of single clusters, Ψ their covariance matrix.")
    if "c_k" in said:
        sentences.append("c are cutpoints between categories.")
    if "Σ" in said:
        sentences.append("Σ is the covariance matrix of residuals.")
    if "$star" in said:
        sentences.append("A star marks latent values.")
    if any(width > 1 for setting in settings for width in setting.widths.values()):
        sentences.append(
            "A bold coefficient is a vector, one number for each category of its predictor but "
            "the reference."
        )
    sentences.append("Predictors are centred at their observed means.")
    return " ".join(sentences)


def model_card(specification: Specification, name: str, text: str) -> Html:
    """One model: heading, equations, sentences.

    Parameters
    ----------
    specification
        Of the run.
    name
        The target.
    text
        Its equation as text: what is read aloud, or shown where there is no other.
    """
    target = specification.targets[name]
    equations = equations_html(specification, name, text)
    if not equations:
        equations = tag("div", tag("code", text), class_="equations")
    cells = int(specification.where[name].sum())
    labels = [f"{cells:,} cells", *_labels(specification, target)]
    chips = join([tag("span", label, class_="chip") for label in labels], " ")
    return tag(
        "article",
        subheading(name, " ", chips),
        equations,
        paragraph(" ".join(says(specification, name))),
        class_="model",
    )


def _labels(specification: Specification, target: Target | Passive) -> list[str]:
    if isinstance(target, Passive):
        return ["computed"]
    asked = specification.methods.get(target.name, "")
    meant = method_text(innermost(target.method))
    labels = [f"method {asked}" if asked else f"method {meant}"]
    if meant not in asked:
        labels.append(f"= {meant}")
    labels += [f"{name} = {value}" for name, value in target.options.items()]
    if target.priors:
        labels.append(f"own priors: {', '.join(target.priors)}")
    if target.level == 2:
        labels.append("one value a cluster")
    return labels
