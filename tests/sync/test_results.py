"""What an import says of itself adds up."""

import json

from hypothesis import given
from hypothesis import strategies as st

from fiftyone_tator.sync.results import ImportResult, Tally, summary


@given(st.lists(st.tuples(st.sampled_from("abc"), st.lists(st.text(max_size=3), max_size=30)), max_size=8))
def test_a_tally_counts_all_and_remembers_the_first_twenty_of_each_reason(
    additions: list[tuple[str, list[str]]],
) -> None:
    tally = Tally()
    all_items: dict[str, list[str]] = {}
    for reason, items in additions:
        tally.add(reason, iter(items))
        if items:
            all_items.setdefault(reason, []).extend(items)
    groups = tally.as_json()
    assert {g["reason"]: (g["count"], g["examples"]) for g in groups} == {
        reason: (len(items), items[:20]) for reason, items in all_items.items()
    }
    assert [g["count"] for g in groups] == sorted((g["count"] for g in groups), reverse=True)


def test_reasons_of_equal_size_come_in_the_order_of_the_alphabet() -> None:
    tally = Tally()
    tally.add("b", ["x"])
    tally.add("a", ["y"])
    assert [group["reason"] for group in tally.as_json()] == ["a", "b"]


def test_a_result_is_plain_json_with_every_number() -> None:
    result = ImportResult("reef", created=1, updated=2, removed=3, unchanged=4, conflicts=5, deleted_here=6)
    result.filtered, result.pictures, result.seconds = 7, 8, 1.23456
    result.left_out.add("Not imported because it lies outside the picture", ["a.jpg", "b.jpg"])
    result.notes.add("Imported, but", ["c.jpg"])
    data = result.as_json()
    assert json.loads(json.dumps(data)) == data
    assert [data[key] for key in "created updated removed unchanged conflicts deleted_here filtered".split()] == [
        *range(1, 8)
    ]
    assert (data["dataset"], data["pictures"], data["seconds"]) == ("reef", 8, 1.23)
    assert data["left_out"][0]["count"] == 2
    assert data["notes"][0]["examples"] == ["c.jpg"]


def test_two_results_share_no_tally() -> None:
    one, other = ImportResult("a"), ImportResult("b")
    one.left_out.add("why", ["x"])
    assert other.as_json()["left_out"] == []


def test_the_summary_names_what_happened_and_nothing_else() -> None:
    result = ImportResult("reef", created=1_204, updated=3, removed=1, unchanged=20, conflicts=2, deleted_here=4)
    result.filtered = 9
    result.left_out.add("broken", ["a", "b"])
    result.left_out.add("outside", ["c"])
    assert summary(result.as_json(), "boxes") == (
        "1,204 new, 3 updated, 1 removed, 20 unchanged, 2 in conflict (ours stayed, tagged tator:conflict), "
        "4 deleted here and not brought back, 9 boxes not asked for, 3 left out"
    )
    assert summary(ImportResult("reef", unchanged=1_000_000).as_json()) == "1,000,000 unchanged"


def test_a_result_in_which_nothing_happened_says_so() -> None:
    assert summary(ImportResult("reef").as_json()) == "nothing changed"
    assert summary({}) == "nothing changed"
