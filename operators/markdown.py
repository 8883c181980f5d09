"""Markdown for pages and forms: plain text stays as it is, tables stay in shape."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_MOST_REASONS = 12
_MOST_EXAMPLES = 3


def plain(text: Any) -> str:
    """Text without what Markdown would take for its own, on one line.

    Args:
        text: whatever people wrote
    """
    return "".join(f"\\{c}" if c in "\\`*_{}[]()<>#+-.!|&~$" else c for c in " ".join(str(text).split()))


def table(head: Sequence[str], rows: Iterable[Sequence[Any]], *, numbers: Sequence[int] = ()) -> str:
    """A table.

    Args:
        head: what is above each column
        rows: the cells; numbers are written with separators, other text as it is
        numbers: the places of columns to align to the right
    """
    rule = ["---:" if place in numbers else ":---" for place in range(len(head))]
    lines = [[*map(plain, head)], rule, *([_cell(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


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
    if len(groups) > _MOST_REASONS:
        lines.append(f"- {len(groups) - _MOST_REASONS} more reasons; the result holds them all")
    return "\n".join(lines)


def _cell(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else plain(value)
