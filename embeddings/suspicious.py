"""What is worth a second look: labels that are likely wrong, near-duplicates and outliers, each with a saved view.

Scores are written only to samples that stand in a view, and the views sort by them. So a view stays in order while its
samples are relabelled or deleted, and the next run puts together what is worth a look then.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from dataclasses import field as default
from typing import Any

import fiftyone as fo
from bson import ObjectId

from fiftyone_tator.embeddings.errors import NoEmbeddings
from fiftyone_tator.embeddings.findings import Findings, Kind, check_chosen, open_vectors, writing
from fiftyone_tator.embeddings.judging import DISTANCE_FIELD, FIELDS, GROUP, INSTEAD, OUTLIER, SUSPICION, Judges
from fiftyone_tator.embeddings.label_options import FindOptions, parse_find_options
from fiftyone_tator.sync.errors import InvalidOption
from fiftyone_tator.sync.progress import Report, Tracker
from fiftyone_tator.sync.results import Tally

WRONG, DUPLICATES, OUTLIERS = VIEWS = ("Likely wrong labels", "Near-duplicates", "Outliers")
_FEWEST, _FIRST = 3, 10
_KINDS = {
    SUSPICION: Kind(fo.FloatField, "How doubtful the label is, by what near samples are called"),
    INSTEAD: Kind(fo.StringField, "What near samples are called, where the label is doubtful"),
    OUTLIER: Kind(fo.FloatField, "How many times as far the neighbours are as theirs are"),
    GROUP: Kind(fo.IntField, "Near-duplicates have the same number; 1 is worth a look first"),
    DISTANCE_FIELD: Kind(fo.FloatField, "Cosine distance to the nearest one in the group"),
}
_MADE = "Made by find_suspicious"
_WAY_OUT = "Choose how the names of fields and views shall begin (prefix)."
_DESCRIPTIONS = {
    WRONG: f"{_MADE}: neighbours are called otherwise, the most doubtful label first",
    DUPLICATES: f"{_MADE}: one beside the other, those with different labels first",
    OUTLIERS: f"{_MADE}: unlike everything else, the farthest first",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What is in one view.

    Args:
        view: the saved view's name
        count: samples that were put into it
        found: samples that deserve it; the view may hold fewer
        first: the worst of them, as sample id and what is said of it
    """

    view: str
    count: int
    found: int
    first: list[dict[str, Any]]


@dataclass(slots=True)
class SuspicionResult:
    """What was found.

    Args:
        dataset: the dataset's name
        judged: samples that were looked at
        labelled: those of them with a label
        findings: likely wrong labels, near-duplicates and outliers, in this order
        seconds: how long it took
        left_out: samples that were not looked at, and why
        notes: what else there is to know
    """

    dataset: str
    judged: int = 0
    labelled: int = 0
    findings: list[Finding] = default(default_factory=list)
    seconds: float = 0.0
    left_out: Tally = default(default_factory=Tally)
    notes: list[str] = default(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The result as a plain document, as the operator returns it."""
        return {
            "dataset": self.dataset,
            "judged": self.judged,
            "labelled": self.labelled,
            "findings": [asdict(finding) for finding in self.findings],
            "seconds": round(self.seconds, 2),
            "left_out": self.left_out.as_json(),
            "notes": list(self.notes),
        }


def find(
    dataset: fo.Dataset,
    field: str,
    *,
    samples: Sequence[ObjectId] | None = None,
    within: str | None = "version",
    report: Report | None = None,
    **options: Any,
) -> SuspicionResult:
    """Finds labels that are likely wrong, near-duplicates and outliers, and saves a view of each.

    What an earlier run found is replaced: in all samples, or in the chosen ones only. The views hold what was found of
    others before as well; numbers of groups go on after theirs, and a group that reaches beyond the chosen samples
    stays, since its other half was not looked at.

    Args:
        dataset: the dataset
        field: holds the vectors
        samples: ids of the samples to look at, all if None; they are compared with the whole dataset, except that
            near-duplicates are looked for among them alone
        within: samples that differ in this field are no duplicates, since another version may show the same things;
            None, or a field that is not there, if all may be
        report: told how far the work is; may raise to stop it, and what an earlier run found stays until the end
        **options: of :class:`fiftyone_tator.embeddings.label_options.FindOptions`

    Returns:
        what was found

    Raises:
        NoEmbeddings: if the field holds no vectors, or fewer than three, or none of the chosen samples has one
        NothingToEmbed: if no sample was chosen
        BadVectors: if vectors of several lengths are in the field
        InvalidOption: if an option, a field or the name of a view cannot be used
        Busy: if suspicious labels are being looked for already
    """
    check_chosen(samples)
    chosen = parse_find_options(options)
    with writing(dataset, "finding suspicious labels", "findings") as lease:
        return _find(dataset, field, chosen, samples, within, lease.checked(report))


def _find(
    dataset: fo.Dataset,
    field: str,
    chosen: FindOptions,
    samples: Sequence[ObjectId] | None,
    within: str | None,
    report: Report,
) -> SuspicionResult:
    started, track = time.monotonic(), Tracker(report)
    vectors = open_vectors(dataset, field)
    findings = Findings(dataset, chosen.label_field, chosen.unlabelled, operator="find_suspicious", way_out=_WAY_OUT)
    names = {name: f"{chosen.prefix}_{name}" if chosen.prefix else name for name in FIELDS}
    views = _Views(dataset, chosen.prefix, names)
    findings.declare({names[name]: kind for name, kind in _KINDS.items()})
    track.stage("Reading labels", 0, (0, 0.05))
    labels = findings.labels(having=field)
    judged = labels.keys() if samples is None else labels.keys() & set(samples)
    if len(labels) < _FEWEST or not judged:
        raise NoEmbeddings(
            f"{len(labels)} samples have a vector in {field!r}, and at least {_FEWEST} are needed to compare them, one "
            f"of them among the chosen samples ({len(judged)} of these have one). "
            "Compute the embeddings first (compute_fastvss_embeddings)."
        )
    result = SuspicionResult(dataset.name, len(judged), sum(labels[id] is not None for id in judged))
    result.notes += findings.notes()
    if samples is not None:
        result.left_out.add("Without an embedding", map(str, sorted(set(samples) - judged)))
    track.stage("Comparing with each other", 0, (0.05, 0.2))
    judges = Judges(vectors, labels, chosen.references, chosen.seed, result.notes)
    track.stage("Looking at samples", len(judged), (0.2, 0.8))
    for ids, queries in vectors.blocks(None if samples is None else sorted(judged)):
        judges.look(ids, queries)
        track.advance(len(ids))
    track.stage("Measuring near-duplicates", 0, (0.8, 0.95))
    groups = judges.duplicates(vectors, chosen.distance, _values(findings, within))
    track.stage("Saving the views", 0, (0.95, 1))
    most = max(1, int(chosen.share * len(judged)))
    those = None if samples is None else sorted(judged)
    kept, highest = ({}, 0) if those is None else findings.groups(names[GROUP], apart_from=judged)
    found = [judges.wrong(most), judges.grouped(groups, kept, highest), judges.outliers(most)]
    findings.clear([names[name] for name in (SUSPICION, INSTEAD, OUTLIER)], those)
    findings.clear([names[name] for name in (GROUP, DISTANCE_FIELD)], those and [id for id in those if id not in kept])
    findings.write({id: {names[GROUP]: said[GROUP]} for id, said in judges.moved.items()})
    for (values, count), view in zip(found, VIEWS, strict=True):
        findings.write({id: {names[name]: value for name, value in said.items()} for id, said in values.items()})
        result.findings.append(Finding(views.save(view), len(values), count, _first(values)))
    findings.done()
    result.seconds = time.monotonic() - started
    return result


def _first(values: Mapping[ObjectId, Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{"sample": str(id), **said} for id, said in list(values.items())[:_FIRST]]


def _values(findings: Findings, within: str | None) -> Mapping[ObjectId, Any]:
    return {} if within is None or findings.dataset.get_field(within) is None else findings.values(within)


class _Views:
    """The saved views, which sort by indexed fields."""

    def __init__(self, dataset: fo.Dataset, prefix: str | None, fields: Mapping[str, str]) -> None:
        self._dataset, self._fields = dataset, fields
        self._names = {view: f"{prefix}: {view}" if prefix else view for view in VIEWS}
        for name in self._names.values():
            if dataset.has_saved_view(name) and not self._is_ours(name):
                raise InvalidOption(
                    f"The dataset has a saved view {name!r} that somebody else made. Rename that one. {_WAY_OUT}"
                )

    def _is_ours(self, name: str) -> bool:
        return str(self._dataset.get_saved_view_info(name)["description"] or "").startswith(_MADE)

    def save(self, view: str) -> str:
        name = self._names[view]
        field, ascending = {WRONG: (SUSPICION, False), OUTLIERS: (OUTLIER, False), DUPLICATES: (GROUP, True)}[view]
        key = self._fields[field]
        keys = [(key, 1), (self._fields[DISTANCE_FIELD], 1)] if view == DUPLICATES else key
        self._dataset.create_index(keys)
        found = self._dataset.match({key: {"$gt": 0}}).sort_by(keys, **({} if ascending else {"reverse": True}))
        self._dataset.save_view(name, found, description=_DESCRIPTIONS[view], overwrite=True)
        return name
