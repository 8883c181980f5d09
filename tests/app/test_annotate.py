"""Editing in the App's Annotate tab, which the import sets up."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from fiftyone_tator.sync.values import comparable

DATASET = "annotated"
EDITABLE = ["verified", "count", "quality", "seen_at", "notes"]
READ_ONLY = ["version", "media_name", "media_depth"]


@pytest.fixture
def samples(form: Any, app: Any) -> Callable[[], list[dict[str, Any]]]:
    """The documents of an imported dataset as they are in MongoDB."""
    form.open(app).project().pick("Versions", "Baseline").pick("Localization types", "Object")
    form.field("Dataset").fill(DATASET)
    form.sees("boxes on").submit()
    form.sees(f"{DATASET}: ")

    def find() -> list[dict[str, Any]]:
        rows = app.collections()
        (dataset,) = [row for row in rows["datasets"] if row["name"] == DATASET]
        return rows[dataset["sample_collection_name"]]

    return find


@pytest.fixture
def coin(samples: Callable[[], list[dict[str, Any]]]) -> Callable[[], dict[str, Any]]:
    """The document of one sample, a large coin."""
    first = next(sample["_id"] for sample in samples() if sample["ground_truth"]["label"] == "Large coin")
    return lambda: next(sample for sample in samples() if sample["_id"] == first)


def changed(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """What two documents of a sample differ in, as it is afterwards."""
    # FiftyOne packs the same numbers in another way.
    dtypes = {"embedding": "float_array"}
    return {
        key: after.get(key)
        for key in {*before, *after}
        if comparable(dtypes.get(key, ""), before.get(key)) != comparable(dtypes.get(key, ""), after.get(key))
    }


def test_what_is_edited_in_the_annotate_tab_and_nothing_else_changes_here_and_after_a_push_in_tator(
    app: Any,
    tab: Any,
    push: Any,
    tator: Any,
    samples: Callable[[], list[dict[str, Any]]],
    coin: Callable[[], dict[str, Any]],
    picture: Callable[[str], None],
) -> None:
    before = coin()
    assert (before["verified"], before["count"], before["quality"]) != (False, 17, "bad")
    tab.open(app, DATASET, before["_id"])
    tab.relabel("Large coin", "Small coin", seen=lambda: picture("annotate"))
    relabelled = coin()
    assert relabelled["last_modified_at"] > before["last_modified_at"]
    label = {**before["ground_truth"], "label": "Small coin"}
    assert changed(before, relabelled) == {"ground_truth": label, "last_modified_at": relabelled["last_modified_at"]}

    tab.switch("verified", not before["verified"])
    tab.fill("count", "17")
    tab.choose("quality", "bad")
    after = coin()
    assert after["last_modified_at"] > relabelled["last_modified_at"]
    values = {"verified": not before["verified"], "count": 17, "quality": "bad"}
    assert changed(relabelled, after) == {**values, "last_modified_at": after["last_modified_at"]}

    push.visit(app, DATASET, len(samples())).open().sees("1 localization changes in Tator").submit()
    push.sees(f"{DATASET}: 1 changed")
    assert push.tables() == [["Large coin", "Small coin", "1"]]
    there = tator.store.row(
        "select attributes from localization where elemental_id = ? order by mark desc", (before["elemental_id"],)
    )
    assert json.loads(there[0]).items() >= {"Label": "Small coin", **values}.items()


def test_looking_at_fields_in_the_annotate_tab_changes_nothing_and_what_tator_owns_cannot_be_edited(
    app: Any, tab: Any, coin: Callable[[], dict[str, Any]]
) -> None:
    before = coin()
    tab.open(app, DATASET, before["_id"])
    for name in EDITABLE:
        with tab.editing(name):
            pass
    for name in READ_ONLY:
        tab.row(name).click()
        assert not tab.back.is_visible()
    tab.fill("notes", "looked at")
    after = coin()
    assert changed(before, after) == {"notes": "looked at", "last_modified_at": after["last_modified_at"]}
