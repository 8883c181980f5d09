"""The pages that end work with embeddings: what was made, what was not and why, and what to do next."""

from collections.abc import Mapping, Sequence
from typing import Any

import fiftyone.operators.types as types

from fiftyone_tator.embeddings.reducing import NAMES
from fiftyone_tator.operators.embed_run import page
from fiftyone_tator.operators.markdown import plain, table
from fiftyone_tator.operators.push_result import many

_MOST_FAILURES = 20
SORTING = "Select a sample, press the button Sort by image similarity, and Show results in the panel that opens"
"""How the App sorts by similarity."""


def embedded_page(result: Mapping[str, Any]) -> types.Property:
    """What was embedded, what was not and why, and what was made of it.

    Args:
        result: from :meth:`fiftyone_tator.embeddings.computing.EmbedResult.as_json`, with what was ``made``
    """

    def fill(outputs: types.Object) -> None:
        view = types.Warning if result["failed"] else types.Success
        outputs.view("summary", view(label=f"{result['dataset']}: {summary(result)}", description=_how(result)))
        made = result["made"]
        for name, text in (
            ("made", _made(made)),
            ("notes", "\n".join(f"- {plain(note)}" for note in result.get("notes", ()))),
            ("failures", _failures(result)),
            ("next", _next(result["field"], made)),
        ):
            if text:
                outputs.md(text, name=name)

    return page("Embeddings computed", fill)


def summary(result: Mapping[str, Any]) -> str:
    """The counts in one line: ``931 pictures embedded, 200 had a vector already, 3 failed``.

    Args:
        result: from :meth:`fiftyone_tator.embeddings.computing.EmbedResult.as_json`
    """
    parts = [f"{many(result['embedded'], 'picture')} embedded"]
    parts += [f"{result['already']:,} had a vector already"] if result["already"] else []
    parts += [f"{result['failed']:,} failed"] if result["failed"] else []
    parts += [f"{many(result['gone'], 'sample')} deleted meanwhile"] if result.get("gone") else []
    return ", ".join(parts)


def _how(result: Mapping[str, Any]) -> str:
    numbers = f"{result['dimensions']:,} numbers each by {result['model']}"
    return f"Field {result['field']}: {numbers}. It took {result['seconds']:,.1f} s."


def _made(made: Mapping[str, Mapping[str, Any]]) -> str:
    names = {"map": "The map", "similarity": "The similarity index", "suggestions": "The suggestions"}
    said = {"map": map_line, "similarity": similarity_line, "suggestions": suggestions_line}
    lines = [
        f"- **{names[name]}** was not made: {plain(each['problem'])}" if "problem" in each else f"- {said[name](each)}"
        for name, each in made.items()
    ]
    return "\n".join(["**Made of it**", "", *lines]) if lines else ""


def map_line(result: Mapping[str, Any]) -> str:
    """A map in one line.

    Args:
        result: from :meth:`fiftyone_tator.embeddings.maps.MapResult.as_json`
    """
    left_out = f", {many(result['left_out'], 'sample')} left out" if result["left_out"] else ""
    seed = f", seed {result['seed']}" if result["method"] != "pca" else ""
    return (
        f"The map **{plain(result['key'])}** of {many(result['samples'], 'sample')}{left_out}: "
        f"{NAMES[result['method']]}{seed}, {result['seconds']:,.1f} s"
    )


def similarity_line(result: Mapping[str, Any]) -> str:
    """A similarity index in one line.

    Args:
        result: from :meth:`fiftyone_tator.embeddings.similarity.SimilarityResult.as_json`
    """
    return (
        f"The similarity index **{plain(result['key'])}** of {many(result['samples'], 'sample')}: "
        f"{plain(result['backend'])}, {result['seconds']:,.1f} s"
    )


def suggestions_line(result: Mapping[str, Any]) -> str:
    """Suggestions of labels in one line.

    Args:
        result: from :meth:`fiftyone_tator.embeddings.suggesting.SuggestionResult.as_json`
    """
    said = f"Suggestions for {many(result['suggested'], 'sample')}, from {many(result['labelled'], 'labelled sample')}"
    if result["accuracy"] is None:
        return said
    measured = "" if result["calibrated_on"] else "; the confidence is the share of neighbours that agree"
    return f"{said}: the first is right for {result['accuracy']:.0%} of those whose label is known{measured}"


def _failures(result: Mapping[str, Any]) -> str:
    found = result["failures"][:_MOST_FAILURES]
    if not found:
        return ""
    rows = [(each["picture"], each["reason"]) for each in found]
    more = result["failed"] - len(found)
    lines = ["**Without a vector**", "", table(("Picture", "Why"), rows)]
    lines += ["", f"and {more:,} more"] if more else []
    return "\n".join([*lines, "", "Compute again when it is put right: only these are embedded then."])


def _next(field: str, made: Mapping[str, Mapping[str, Any]]) -> str:
    keys = {name: plain(each["key"]) for name, each in made.items() if "key" in each}
    lines = []
    if "map" in keys:
        lines.append("Draw around points in the map (Select): the grid shows what they are")
    if "similarity" in keys:
        lines.append(SORTING)
    else:
        lines.append(f"Compute similarity of {plain(field)}, to sort by it")
    lines.append("Find suspicious labels: what is probably labelled wrong, what is there twice, what fits nowhere")
    return "\n".join(["**What next**", "", *(f"- {line}" for line in lines)])


def line_page(title: str, label: str, lines: Sequence[str], more: str = "") -> types.Property:
    """A page with a headline and some lines.

    Args:
        title: above the page
        label: the headline
        lines: Markdown
        more: Markdown below them
    """

    def fill(outputs: types.Object) -> None:
        outputs.view("summary", types.Success(label=label))
        outputs.md("\n".join(f"- {line}" for line in lines), name="lines")
        if more:
            outputs.md(more, name="more")

    return page(title, fill)
