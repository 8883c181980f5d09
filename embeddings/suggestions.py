"""Suggestions as they are written to samples, and what is told of them."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from dataclasses import field as default
from typing import Any

import fiftyone as fo
from bson import ObjectId

from fiftyone_tator.embeddings.findings import Findings, Kind
from fiftyone_tator.embeddings.label_options import FIELDS, SuggestOptions
from fiftyone_tator.embeddings.votes import LEAST, Calibration, Votes
from fiftyone_tator.sync.documents import classification
from fiftyone_tator.sync.mapping import CONFIDENCE, LABEL
from fiftyone_tator.sync.results import Tally

_UNLIKE, _MANY = 0.5, 0.1
_DESCRIPTIONS = ("What the nearest labelled samples are called", "What else near labelled samples are called")


@dataclass(slots=True)
class SuggestionResult:
    """What was suggested.

    Args:
        dataset: the dataset's name
        fields: where the suggestions are
        labelled: samples with a label
        suggested: samples that got a suggestion
        calibrated_on: labelled samples that the confidence was measured on; 0 if they were too few, and the confidence
            is the share of the neighbours that agree
        accuracy: how often the first suggestion was right for labelled samples; None if none was tried
        seconds: how long it took
        left_out: samples without a suggestion, and why
        notes: what else there is to know
    """

    dataset: str
    fields: tuple[str, str] = FIELDS
    labelled: int = 0
    suggested: int = 0
    calibrated_on: int = 0
    accuracy: float | None = None
    seconds: float = 0.0
    left_out: Tally = default(default_factory=Tally)
    notes: list[str] = default(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The result as a plain document, as the operator returns it."""
        return {
            "dataset": self.dataset,
            "fields": list(self.fields),
            "labelled": self.labelled,
            "suggested": self.suggested,
            "calibrated_on": self.calibrated_on,
            "accuracy": None if self.accuracy is None else round(self.accuracy, 3),
            "seconds": round(self.seconds, 2),
            "left_out": self.left_out.as_json(),
            "notes": list(self.notes),
        }


class SuggestionWriter:
    """Writes suggestions, and says what was written.

    Args:
        dataset: the dataset
        options: name the fields

    Raises:
        InvalidOption: if a field cannot be used
    """

    def __init__(self, dataset: fo.Dataset, options: SuggestOptions) -> None:
        self.findings = Findings(
            dataset,
            options.label_field,
            options.unlabelled,
            operator="suggest_labels",
            way_out="Name two other fields (fields).",
        )
        best, other = options.fields
        fields = best, other
        self._unlike = 0
        self._result = SuggestionResult(dataset.name, fields)
        said = zip(fields, _DESCRIPTIONS, strict=True)
        self.findings.declare(
            {name: Kind(fo.EmbeddedDocumentField, description, fo.Classification) for name, description in said}
        )

    def begin(self, names: Sequence[str], calibration: Calibration, labelled: int) -> None:
        """Says what is known before anything is suggested.

        Args:
            names: of the labels, by number; may grow
            calibration: how often votes are right
            labelled: samples with a label
        """
        self._names, self._calibration = names, calibration
        result = self._result
        result.notes += self.findings.notes()
        result.labelled, result.calibrated_on, result.accuracy = labelled, calibration.samples, calibration.accuracy
        if not calibration.samples:
            result.notes.append(
                f"Only {calibration.tried} labelled samples could be tried, and the confidence is measured on {LEAST} "
                "or more: it is the share of the neighbours that agree, which tends to be too low or too high."
            )

    def leave_out(self, reason: str, ids: Iterable[ObjectId]) -> None:
        """Notes samples that get no suggestion.

        Args:
            reason: why
            ids: of the samples
        """
        self._result.left_out.add(reason, map(str, sorted(ids)))

    def write(self, ids: Sequence[ObjectId], votes: Votes) -> None:
        """Writes what some samples are called.

        Args:
            ids: of the samples
            votes: on each
        """
        first, second = self._calibration.confidences(votes)
        self._unlike += int((self._calibration.likeness(votes, votes.first) < _UNLIKE)[votes.first >= 0].sum())
        best, other = self._result.fields
        values = {
            id: {best: self._label(votes.first[row], first[row]), other: self._label(votes.second[row], second[row])}
            for row, id in enumerate(ids)
            if votes.first[row] >= 0
        }
        self._result.suggested += self.findings.write(values)
        self.leave_out("Without a neighbour that is no copy", [id for id in ids if id not in values])

    def _label(self, number: int, confidence: float) -> dict[str, Any] | None:
        if number < 0:
            return None
        return classification({LABEL: self._names[number], CONFIDENCE: round(float(confidence), 4)})

    def end(self, started: float) -> SuggestionResult:
        """Ends the work.

        Args:
            started: when it began, by :func:`time.monotonic`

        Returns:
            what was suggested
        """
        self.findings.done()
        if self._unlike > _MANY * self._result.suggested:
            self._result.notes.append(
                f"{self._unlike:,} of these samples are unlike those that have a label: they are farther from them, or "
                "few around them have one, as where a kind was not labelled yet. Their confidence was lowered for "
                "that; label some of them first, the least confident ones, and suggest again."
            )
        self._result.seconds = time.monotonic() - started
        return self._result
