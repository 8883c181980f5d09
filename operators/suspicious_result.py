"""The page that ends a search for suspicious labels: what was found, the worst of it, and the way to the views."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import fiftyone as fo
import fiftyone.operators.types as types
from bson import ObjectId
from fiftyone.core.odm import get_db_conn
from fiftyone.core.utils import to_slug

from fiftyone_tator.embeddings.judging import DISTANCE_FIELD, GROUP, INSTEAD, OUTLIER, SUSPICION
from fiftyone_tator.operators.embed_run import page
from fiftyone_tator.operators.markdown import plain, reasons, table
from fiftyone_tator.operators.push_result import many

_SHOWN = 3
"""So many of each finding are named; the views hold them all."""
LABEL, PICTURE = "label", "picture"
SHOW_VIEW = "@tator/sync/show_view"
"""Shows a saved view, also one that the App has not heard of; in ``app/operators.js``."""
MEDIA = "media_name"
"""In a dataset from Tator, the picture that a crop is of."""


def named(dataset: fo.Dataset, result: Mapping[str, Any], label_field: str) -> dict[str, Any]:
    """The result with what people know the worst samples by.

    Args:
        dataset: the dataset
        result: from :meth:`fiftyone_tator.embeddings.suspicious.SuspicionResult.as_json`
        label_field: holds the labels
    """
    ids = [ObjectId(each["sample"]) for finding in result["findings"] for each in finding["first"]]
    rows = get_db_conn()[dataset._sample_collection_name].find(
        {"_id": {"$in": ids}}, {"filepath": True, MEDIA: True, label_field: True}
    )
    known = {
        str(row["_id"]): {
            PICTURE: row.get(MEDIA) or Path(row["filepath"]).name,
            LABEL: (row.get(label_field) or {}).get("label"),
        }
        for row in rows
    }
    findings = [
        {**finding, "first": [{**each, **known.get(each["sample"], {})} for each in finding["first"]]}
        for finding in result["findings"]
    ]
    return {**result, "findings": findings}


def show_first(ctx: Any, result: Mapping[str, Any]) -> Iterator[Any]:
    """The messages that make the App show the first of the views that has samples.

    Args:
        ctx: the execution context
        result: from :func:`named`
    """
    view = next((finding["view"] for finding in result["findings"] if finding["count"]), None)
    yield ctx.trigger("reload_dataset")
    if view is not None:
        yield ctx.trigger(SHOW_VIEW, {"slug": to_slug(view)})


def suspicious_page(result: Mapping[str, Any]) -> types.Property:
    """What is suspicious, with a button for each view.

    Args:
        result: from :func:`named`
    """

    def fill(outputs: types.Object) -> None:
        found = sum(finding["count"] for finding in result["findings"])
        view = types.Warning if found else types.Success
        label = f"{result['dataset']}: {many(found, 'finding')} worth a second look"
        looked = f"{many(result['judged'], 'sample')} were looked at, {result['labelled']:,} of them with a label"
        outputs.view("summary", view(label=label, description=f"{looked}, in {result['seconds']:,.1f} s."))
        for number, finding in enumerate(result["findings"]):
            outputs.md(_finding(finding), name=f"finding_{number}")
            if finding["count"]:
                outputs.btn(
                    f"open_{number}",
                    label=f"Show {plain_view(finding)}",
                    on_click=SHOW_VIEW,
                    params={"slug": to_slug(finding["view"])},
                    variant="outlined",
                )
        notes = "\n".join(f"- {plain(note)}" for note in result["notes"])
        for name, text in (("left_out", reasons("Not looked at", result["left_out"])), ("notes", notes)):
            if text:
                outputs.md(text, name=name)

    return page("Suspicious labels", fill)


def plain_view(finding: Mapping[str, Any]) -> str:
    """How a button calls a view: ``23 likely wrong labels``.

    Args:
        finding: one of the result's
    """
    name = str(finding["view"])
    return f"{finding['count']:,} {name[:1].lower()}{name[1:]}"


def _finding(finding: Mapping[str, Any]) -> str:
    head = f"**{plain(finding['view'])}: {finding['count']:,}**"
    if finding["found"] > finding["count"]:
        head += f", the worst of {finding['found']:,}"
    first: Sequence[Mapping[str, Any]] = finding["first"][:_SHOWN]
    if not first:
        return f"{head}\n\nNone."
    rows = [(each.get(PICTURE, each["sample"]), each.get(LABEL) or "no label", _said(each)) for each in first]
    return f"{head}\n\n{table(('Picture', 'Label', 'Why'), rows)}"


def _said(each: Mapping[str, Any]) -> str:
    if SUSPICION in each:
        return f"its neighbours are called {each[INSTEAD]}; doubt {each[SUSPICION]:.2f} of 1"
    if OUTLIER in each:
        return f"its neighbours are {each[OUTLIER]:.1f} times as far as theirs are"
    return f"in group {each[GROUP]}; the nearest in it is {each[DISTANCE_FIELD]:.4f} away, by cosine"
