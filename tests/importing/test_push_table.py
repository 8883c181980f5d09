"""Every row of the three-way table, by the operators: what both sides hold after a push and an import."""

from collections.abc import Iterator
from typing import Any

import fiftyone as fo
import fiftyone.operators as foo
import pytest

from fiftyone_tator.sync.dataset import CONFLICT_TAG

VALUES: dict[str, tuple[Any, Any, Any]] = {
    "label": ("crab", "eel", "cod"),
    "score": (0.5, 0.25, 0.75),
    "notes": ("", "it's ours", "100 % theirs"),
    "verified": (False, True, None),
    "count": (1, 2, 3),
    "geometry": ([0.25, 0.25, 0.5, 0.25], [0.1, 0.25, 0.5, 0.25], [0.3, 0.25, 0.5, 0.25]),
}
"""By field: the value at first, ours and theirs."""

CASES = {
    # what happened: here, there, and after a push and an import: here, there
    "nothing": ("base", "base", "base", "base"),
    "ours changed": ("ours", "base", "ours", "ours"),
    "theirs changed": ("base", "theirs", "theirs", "theirs"),
    "both changed alike": ("ours", "ours", "ours", "ours"),
    "conflict": ("ours", "theirs", "ours", "theirs"),
}
ROWS = [
    (field, case)
    for field in VALUES
    for case in CASES
    if not (field == "verified" and case in ("conflict", "theirs changed"))  # a bool has two values
]
EXISTENCES = {
    # what happened: here, there, and after a push with deletions and an import: here, there
    "created there": (None, None, True, True),
    "deleted here": ("deleted", None, False, False),
    "deleted there": (None, "deleted", False, False),
    "deleted on both sides": ("deleted", "deleted", False, False),
    "deleted here, changed there": ("deleted", "changed", False, True),
    "deleted there, changed here": ("changed", "deleted", True, False),
}


def value(field: str, side: str) -> Any:
    return VALUES[field][("base", "ours", "theirs").index(side)]


def here(sample: Any, field: str) -> Any:
    if field == "geometry":
        return list(sample["box"])
    if field in ("label", "score"):
        return sample.ground_truth[{"label": "label", "score": "confidence"}[field]]
    return sample[field]


def there(row: Any, field: str) -> Any:
    if field == "geometry":
        return [row.x, row.y, row.width, row.height]
    return row.attributes[{"label": "Label"}.get(field, field)]


def edit_here(house: Any, element: str, field: str, new: Any) -> None:
    sample = house.sample(element)
    if field == "geometry":
        sample["box"] = new
    elif field in ("label", "score"):
        sample.ground_truth[{"label": "label", "score": "confidence"}[field]] = new
    else:
        sample[field] = new
    sample.save()


def edit_there(house: Any, element: str, field: str, new: Any) -> None:
    if field == "geometry":
        house.edit(element, geometry=dict(zip(("x", "y", "width", "height"), new, strict=True)))
    else:
        house.edit(element, **{{"label": "Label"}.get(field, field): new})


@pytest.fixture(scope="module")
def table(shared_house: Any) -> Iterator[Any]:
    """A project and its dataset after everything happened, a push and an import, both by their operators."""
    house = shared_house
    media = house.media("img.png")
    names = [*ROWS, *(("existence", case) for case in EXISTENCES if case != "created there")]
    house.elements = dict(zip(names, house.boxes(*(house.spec(media) for _ in names)), strict=True))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIFTYONE_TATOR_URL", house.tator.url)
        patch.setenv("FIFTYONE_TATOR_TOKEN", house.tator.tokens["editor"])
        patch.setenv("FIFTYONE_TATOR_DIR", str(house.root))
        pull = foo.get_operator("@tator/sync/import_from_tator")
        pull(house.project, dataset_name="table")
        house.made.append("table")
        happen(house, media)
        house.result = foo.get_operator("@tator/sync/push_to_tator")(house.dataset("table"), deletions=True).result
        pull(house.project, dataset_name="table")
        yield house


def happen(house: Any, media: int) -> None:
    for field, case in ROWS:
        ours, theirs, _, _ = CASES[case]
        if ours != "base":
            edit_here(house, house.elements[field, case], field, value(field, ours))
        if theirs != "base":
            edit_there(house, house.elements[field, case], field, value(field, theirs))
    for case, (ours, theirs, _, _) in EXISTENCES.items():
        element = house.elements.get(("existence", case))
        if element is None:
            house.elements["existence", case] = house.box(media)
            continue
        if theirs == "deleted":
            house.delete(element)
        elif theirs == "changed":
            house.edit(element, Label="cod")
        if ours == "deleted":
            dataset = house.dataset("table")
            dataset.delete_samples(dataset.match(fo.ViewField("elemental_id") == element))
        elif ours == "changed":
            edit_here(house, element, "label", "eel")


@pytest.mark.parametrize(("field", "case"), ROWS)
def test_a_value_is_what_both_sides_meant(table: Any, field: str, case: str) -> None:
    _, _, ours, theirs = CASES[case]
    element = table.elements[field, case]
    sample, row = table.sample(element, "table"), table.row(element)
    assert here(sample, field) == value(field, ours)
    assert there(row, field) == value(field, theirs)
    assert (CONFLICT_TAG in sample.tags) is (case == "conflict")
    assert bool(sample["tator_conflict"]) is (case == "conflict")
    for other in VALUES:
        if other != field:
            assert here(sample, other) == there(row, other) == value(other, "base")


@pytest.mark.parametrize("case", EXISTENCES)
def test_a_localization_exists_where_both_sides_meant_it_to(table: Any, case: str) -> None:
    _, _, ours, theirs = EXISTENCES[case]
    element = table.elements["existence", case]
    dataset = table.dataset("table")
    assert bool(dataset.match(fo.ViewField("elemental_id") == element).count()) is ours
    assert (table.row(element) is not None) is theirs


def test_the_result_counts_every_row_once(table: Any) -> None:
    changed = sum(case == "ours changed" for _, case in ROWS)
    conflicts = sum(case == "conflict" for _, case in ROWS) + 2
    alike = sum(case == "both changed alike" for _, case in ROWS)
    found = table.result
    assert (found["changed"], found["conflicts"], found["already"]) == (changed, conflicts, alike)
    assert (found["deleted"], found["forgotten"], found["failed"]) == (1, 1, 0)
    assert found["fields"] == dict.fromkeys({"confidence", *VALUES} - {"score"}, 1)


def test_what_nobody_changed_has_no_new_mark(table: Any) -> None:
    for field in VALUES:
        assert table.marks(table.elements[field, "nothing"]) == 1
