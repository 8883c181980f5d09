"""The pages that end a push: what Tator took over, what it did not and why; or why nothing went out."""

from collections.abc import Mapping, Sequence
from typing import Any

import fiftyone.operators.types as types

from fiftyone_tator.operators.markdown import plain, reasons, table
from fiftyone_tator.sync.push_results import push_summary

_MOST_FAILURES = 20


def result_page(results: dict[str, Any]) -> types.Property:
    """What a push did, what it did not do and why.

    Args:
        results: from :meth:`fiftyone_tator.sync.push_results.PushResult.as_json`
    """
    outputs = types.Object()
    _headline(outputs, results)
    for name, text in (
        ("flows", flows("Labels", results["flows"])),
        ("conflicts", conflicts(results)),
        ("failures", _failures(results)),
        ("notes", reasons("Worth knowing", results["notes"])),
    ):
        if text:
            outputs.md(text, name=name)
    return types.Property(outputs, view=types.View(label="Pushed to Tator"))


def failure_page(reason: str) -> types.Property:
    """Why the push stopped.

    Args:
        reason: what went wrong and what to do, in words
    """
    outputs = types.Object()
    outputs.view("reason", types.Error(label="The push stopped", description=reason))
    return types.Property(outputs, view=types.View(label="Push to Tator"))


def _headline(outputs: types.Object, results: dict[str, Any]) -> None:
    looked = f"{many(results['looked_at'], 'sample')} that somebody touched, in {results['seconds']:,.1f} s."
    if results["dry_run"]:
        label = f"{results['dataset']}: nothing was written; this is what a push would do"
        outputs.view("summary", types.Notice(label=label, description=f"Looked at {looked}"))
        outputs.md(counts(results), name="counts")
        return
    label = f"{results['dataset']}: {push_summary(results)}"
    where = f"Written to version {results['version']}. " if results["version"] else ""
    view = types.Warning if results["failed"] else types.Success
    outputs.view("summary", view(label=label, description=f"{where}Looked at {looked}"))


def counts(found: Mapping[str, Any]) -> str:
    """What a push would do, as a list with one line for each kind of change.

    Args:
        found: from a dry run
    """
    fields = found["fields"]
    named = ", ".join(f"{name} {count:,}" if len(fields) > 1 else name for name, count in fields.items())
    said = {
        "changed": ("localization", "changes", "change", f"in Tator: {named}"),
        "created": ("sample", "becomes a localization", "become localizations", "in Tator"),
        "deleted": ("localization", "is", "are", "deleted in Tator"),
        "conflicts": ("localization", "is", "are", "in conflict; both sides stay as they are"),
        "taken": ("sample", "takes", "take", "over what changed in Tator"),
        "removed": ("sample", "is", "are", "removed here, because it was deleted in Tator"),
        "already": ("localization", "has", "have", "the same change in Tator already"),
        "deleted_here": ("localization", "stays", "stay", "in Tator, although the sample was deleted here"),
        "failed": ("sample", "holds", "hold", "something that cannot be sent"),
    }
    if found["version"]:
        said["changed"] = ("localization", "goes", "go", f"to version {found['version']} as a proposal: {named}")
    lines = [
        f"- **{many(found[name], noun)}** {one if found[name] == 1 else several} {plain(rest)}"
        for name, (noun, one, several, rest) in said.items()
        if found[name]
    ]
    return "\n".join(lines or ["Nothing to push: no sample was edited since both sides agreed."])


def many(count: int, noun: str) -> str:
    """So many of something, in words.

    Args:
        count: how many
        noun: what one of them is called
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def flows(title: str, found: Sequence[Sequence[Any]], most: int = 20) -> str:
    """The changes of labels as a table; nothing if there are none.

    Args:
        title: above the table
        found: from, to, how many; the most frequent first
        most: how many rows to show
    """
    if not found:
        return ""
    rows = [(before or "no label", now or "no label", count) for before, now, count in found[:most]]
    return "\n".join(
        [
            f"**{title}**",
            "",
            table(("From", "To", "How many"), rows, numbers=(2,)),
            *_more(len(found) - len(rows)),
        ]
    )


def conflicts(results: Mapping[str, Any], most: int = 20) -> str:
    """What both sides changed and nobody decided about, as a table; nothing if there is no such thing.

    Args:
        results: of a push, or of its preview
        most: how many rows to show
    """
    found = results["undecided"][:most]
    if not found:
        return ""
    rows = [(each["what"], each["field"], each["here"], each["there"]) for each in found]
    return "\n".join(
        [
            "**Changed here and in Tator**",
            "",
            table(("What", "Field", "Here", "In Tator"), rows),
            *_more(results["conflicts"] - len({each["sample"] for each in found})),
        ]
    )


def _failures(results: Mapping[str, Any]) -> str:
    found = results["failures"][:_MOST_FAILURES]
    if not found:
        return ""
    return "\n".join(
        [
            "**Not sent**",
            "",
            table(("What", "Why"), [(each["what"], each["reason"]) for each in found]),
            *_more(results["failed"] - len(found)),
        ]
    )


def _more(count: int) -> list[str]:
    return ["", f"and {count:,} more"] if count > 0 else []
