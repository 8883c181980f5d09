"""The pages that end an import: what came, what was left out and why; or why nothing came."""

from typing import Any

import fiftyone.operators.types as types

from fiftyone_tator.operators.markdown import reasons
from fiftyone_tator.sync.results import summary


def result_page(results: dict[str, Any]) -> types.Property:
    """What came, what was left out and why.

    Args:
        results: from :meth:`fiftyone_tator.sync.results.ImportResult.as_json`
    """
    outputs = types.Object()
    outputs.view(
        "summary",
        types.Success(
            label=f"{results['dataset']}: {summary(results)}",
            description=f"{results['pictures']:,} pictures were read, in {results['seconds']:,.1f} s.",
        ),
    )
    for name, title in (("left_out", "Left out"), ("notes", "Worth knowing")):
        groups = results.get(name) or []
        if groups:
            outputs.md(reasons(title, groups), name=name)
    return types.Property(outputs, view=types.View(label="Imported from Tator"))


def failure_page(reason: str) -> types.Property:
    """Why nothing came.

    Args:
        reason: what went wrong and what to do, in words
    """
    outputs = types.Object()
    outputs.view("reason", types.Error(label="The import stopped", description=reason))
    return types.Property(outputs, view=types.View(label="Import from Tator"))
