"""What an import did, in numbers and in words."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

_EXAMPLES = 20


@dataclass(slots=True)
class Group:
    """Items that share a reason.

    Args:
        count: how many there are
        examples: the first of them, in words
    """

    count: int = 0
    examples: list[str] = field(default_factory=list)


class Tally:
    """Counts items by reason and remembers the first of each."""

    def __init__(self) -> None:
        self.groups: dict[str, Group] = {}

    def add(self, reason: str, items: Iterable[str]) -> None:
        """Adds items.

        Args:
            reason: why, in words that start a sentence
            items: what, in words
        """
        for item in items:
            group = self.groups.setdefault(reason, Group())
            group.count += 1
            if len(group.examples) < _EXAMPLES:
                group.examples.append(item)

    def as_json(self) -> list[dict[str, Any]]:
        """The groups, the largest first, as plain documents with ``reason``, ``count`` and ``examples``."""
        ordered = sorted(self.groups.items(), key=lambda item: (-item[1].count, item[0]))
        return [{"reason": reason, **asdict(group)} for reason, group in ordered]


@dataclass(slots=True)
class ImportResult:
    """What an import did.

    Args:
        dataset: the dataset's name
        created: samples that are new
        updated: samples that took over what changed in Tator
        removed: samples whose localization was deleted in Tator
        unchanged: samples that were up to date; where only changes were read, those that none of them is about
        conflicts: localizations that both sides changed; ours stayed, and the sample has the tag ``tator:conflict``
        deleted_here: localizations whose sample somebody deleted in the dataset; they stay deleted
        filtered: localizations that the chosen classes, extensions or sample limit leave out
        pictures: pictures that were decoded
        seconds: how long it took
        left_out: what was left out, and why
        notes: what came, but not in full, and why; and what else there is to know
        compared: ``full`` if everything was compared, ``changes`` if only what Tator lists as changed was read
    """

    dataset: str
    created: int = 0
    updated: int = 0
    removed: int = 0
    unchanged: int = 0
    conflicts: int = 0
    deleted_here: int = 0
    filtered: int = 0
    pictures: int = 0
    seconds: float = 0.0
    left_out: Tally = field(default_factory=Tally)
    notes: Tally = field(default_factory=Tally)
    compared: Literal["full", "changes"] = "full"

    def as_json(self) -> dict[str, Any]:
        """The result as a plain document, as the operator returns it."""
        numbers = {
            name: getattr(self, name)
            for name in self.__dataclass_fields__
            if name not in ("left_out", "notes", "seconds")
        }
        return {
            **numbers,
            "seconds": round(self.seconds, 2),
            "left_out": self.left_out.as_json(),
            "notes": self.notes.as_json(),
        }


def summary(result: dict[str, Any], noun: str = "localizations") -> str:
    """An import's result in one sentence.

    Args:
        result: from :meth:`ImportResult.as_json`
        noun: what the localizations are called

    Returns:
        for example ``1,204 new, 3 updated, 1 removed, 20 unchanged``
    """
    words = {
        "created": "new",
        "updated": "updated",
        "removed": "removed",
        "unchanged": "unchanged",
        "conflicts": "in conflict (ours stayed, tagged tator:conflict)",
        "deleted_here": "deleted here and not brought back",
        "filtered": f"{noun} not asked for",
    }
    parts = [f"{result[key]:,} {text}" for key, text in words.items() if result.get(key)]
    left = sum(group["count"] for group in result.get("left_out", ()))
    if left:
        parts.append(f"{left:,} left out")
    return ", ".join(parts) or "nothing changed"
