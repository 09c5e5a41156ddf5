"""Where it comes from: versions, seed, and the call that makes it again."""

from bayesimpute.html import Html, join, table, tag
from bayesimpute.report.call import call_text
from bayesimpute.report.content import Content, folded, note, paragraph, scroll


def origin(content: Content) -> Html:
    """Run, versions, call."""
    run = content.run
    call, by_hand = call_text(run)
    facts = [
        ("imputations (m)", f"{run.m}"),
        ("iterations", f"{run.iterations}"),
        ("seed", f"{run.seed}"),
        ("imputed at", run.created_at),
        *(("report written at", content.written_at) for _ in [0] if content.written_at),
    ]
    parts = [
        scroll(table(["run", ""], facts)),
        scroll(table(["package", "version"], list(run.versions.items()))),
        paragraph(
            "The same data, specification, seed and versions give the same bits, whatever the "
            "number of processes. This call is equivalent to the one that was made:"
        ),
        tag("pre", tag("code", call)),
    ]
    if by_hand:
        parts.append(
            note(
                "Objects of Python that a text cannot hold, to be put in by hand: ",
                "; ".join(by_hand), ".",
            )
        )  # fmt: skip
    matrix = run.predictors
    parts.append(
        folded(
            "Predictor matrix, to be read by pandas.read_csv(…, index_col=0)",
            tag("pre", tag("code", matrix.to_csv())),
        )
    )
    parts.append(note("imp.to_netcdf(path) keeps data, chains and specification in one file."))
    return join(parts)
