"""The pages that end a push: what Tator took over, what it did not and why; or why nothing went out."""

from collections.abc import Mapping, Sequence
from typing import Any

import fiftyone.operators.types as types

from fiftyone_tator.operators.markdown import plain, table
from fiftyone_tator.sync.push_results import push_summary

_MOST_FAILURES = 20
_MOST_REASONS = 12
_MOST_EXAMPLES = 3


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
    label = f"{results['dataset']}: {push_summary(results)}"
    looked = f"{results['looked_at']:,} edited samples were looked at, in {results['seconds']:,.1f} s."
    if results["dry_run"]:
        outputs.view("summary", types.Notice(label=label, description=f"Nothing was written: a dry run. {looked}"))
        return
    where = f"Written to version {results['version']}. " if results["version"] else ""
    view = types.Warning if results["failed"] else types.Success
    outputs.view("summary", view(label=label, description=f"{where}{looked}"))


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


def reasons(title: str, groups: Sequence[Mapping[str, Any]]) -> str:
    """Reasons with examples, as a list; nothing if there are none.

    Args:
        title: above the list
        groups: from :meth:`fiftyone_tator.sync.results.Tally.as_json`
    """
    if not groups:
        return ""
    lines = [f"**{title}**", ""]
    for group in groups[:_MOST_REASONS]:
        lines.append(f"- **{group['count']:,}**: {plain(group['reason'])}. For example:")
        lines += [f"    - {plain(example)}" for example in group["examples"][:_MOST_EXAMPLES]]
    return "\n".join([*lines, *_more(len(groups) - _MOST_REASONS)])


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
