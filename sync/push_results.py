"""What a push did, or would do, in numbers and in words."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from fiftyone_tator.sync.results import Tally

_MOST_FAILURES = 10_000
_MOST_FLOWS = 100


@dataclass(slots=True)
class PushResult:
    """What a push did; with ``dry_run``, what it would do.

    Args:
        dataset: the dataset's name
        dry_run: whether nothing was written
        version: the name of the version that was written to, if it is not each localization's own
        changed: localizations that took over a change
        created: localizations that are new in Tator
        deleted: localizations that were deleted in Tator
        already: localizations that Tator had the same change of
        taken: samples that took over what changed in Tator
        removed: samples that went because Tator has the localization no more
        conflicts: localizations that both sides changed and nobody decided about; tagged ``tator:conflict``
        deleted_here: localizations whose sample was deleted here, which stay in Tator
        failed: localizations of which something could not be sent
        forgotten: localizations that both sides have no more
        recovered: localizations that a push which was cut off had changed
        looked_at: samples that somebody had touched
        fields: how many localizations changed each field
        flows: label changes: from, to, how many
        undecided: the first conflicts: sample, what it is, field, our value and theirs in words
        seconds: how long it took
        problems: why something could not be sent
        notes: what else is worth knowing
        failures: the first 10,000 localizations that failed, with the reason
    """

    dataset: str
    dry_run: bool = False
    version: str | None = None
    changed: int = 0
    created: int = 0
    deleted: int = 0
    already: int = 0
    taken: int = 0
    removed: int = 0
    conflicts: int = 0
    deleted_here: int = 0
    failed: int = 0
    forgotten: int = 0
    recovered: int = 0
    looked_at: int = 0
    fields: dict[str, int] = field(default_factory=dict)
    flows: list[tuple[str | None, str | None, int]] = field(default_factory=list)
    undecided: list[dict[str, str]] = field(default_factory=list)
    seconds: float = 0.0
    problems: Tally = field(default_factory=Tally)
    notes: Tally = field(default_factory=Tally)
    failures: list[dict[str, Any]] = field(default_factory=list)

    def fail(self, name: str, version: int, element: str | None, reasons: Iterable[str]) -> None:
        """Adds a localization of which something could not be sent.

        Args:
            name: what it is, in words
            version: its version's id
            element: its elemental id, if it has one
            reasons: why, each the end of a sentence that begins with the localization
        """
        said = list(reasons)
        self.failed += 1
        for reason in said:
            self.problems.add(reason[:1].upper() + reason[1:], [name])
        if len(self.failures) < _MOST_FAILURES:
            self.failures.append({"elemental_id": element, "version": version, "what": name, "reason": "; ".join(said)})

    def as_json(self) -> dict[str, Any]:
        """The result as a plain document, as the operator returns it."""
        plain = {
            name: getattr(self, name)
            for name in self.__dataclass_fields__
            if name not in ("problems", "notes", "flows")
        }
        return {
            **plain,
            "seconds": round(self.seconds, 2),
            "flows": [list(flow) for flow in self.flows[:_MOST_FLOWS]],
            "problems": self.problems.as_json(),
            "notes": self.notes.as_json(),
        }


def push_summary(result: dict[str, Any]) -> str:
    """A push's result in one sentence.

    Args:
        result: from :meth:`PushResult.as_json`

    Returns:
        for example ``1,204 changed, 3 created, 2 in conflict``
    """
    words = {
        "changed": "changed",
        "created": "created",
        "deleted": "deleted",
        "already": "there already",
        "taken": "taken over from Tator",
        "removed": "removed here",
        "conflicts": "in conflict (tagged tator:conflict)",
        "deleted_here": "deleted here only",
        "failed": "not sent",
    }
    parts = [f"{result[key]:,} {text}" for key, text in words.items() if result.get(key)]
    return ", ".join(parts) or "nothing to push"
