"""The comparison of base, ours and theirs loses nothing, invents nothing and does not depend on order."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fiftyone_tator.sync.plan import Difference, Existence, compare, same

value = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([0.0, 1.0, 0.5, "", "a", "b", (1.0, 2.0), ()])
value |= st.just(float("nan")) | st.builds(lambda: (float("nan"), 1.0))
values = st.dictionaries(st.sampled_from("label score depth site".split()), value)


def merged(ours: Mapping[str, Any], difference: Difference) -> dict[str, Any]:
    """Ours with what only they changed."""
    return {**ours, **(difference.theirs or {})}


def equal(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(same(one.get(field), other.get(field)) for field in {**one, **other})


@given(values)
def test_where_nothing_changed_there_is_nothing_to_do(base: dict[str, Any]) -> None:
    assert compare(base, dict(base), dict(base)) == Difference(Existence.SAME, theirs={}, conflicts={})


@given(values, values)
def test_with_ours_untouched_the_merge_is_theirs(base: dict[str, Any], theirs: dict[str, Any]) -> None:
    difference = compare(base, base, theirs)
    assert equal(merged(base, difference), theirs)
    assert (difference.ours, difference.alike, difference.conflicts) == (frozenset(), frozenset(), {})


@given(values, values)
def test_with_theirs_untouched_the_merge_is_ours(base: dict[str, Any], ours: dict[str, Any]) -> None:
    difference = compare(base, ours, base)
    assert equal(merged(ours, difference), ours)
    assert (difference.theirs, difference.alike, difference.conflicts) == ({}, frozenset(), {})
    assert difference.ours == {field for field in {**base, **ours} if not same(base.get(field), ours.get(field))}


@given(values, values, values)
def test_a_merge_that_was_applied_asks_for_nothing_more(
    base: dict[str, Any], ours: dict[str, Any], theirs: dict[str, Any]
) -> None:
    """The base moves to theirs; what stays is what we changed, conflicts included."""
    before = compare(base, ours, theirs)
    after = compare(theirs, merged(ours, before), theirs)
    assert (after.theirs, after.alike, after.conflicts) == ({}, frozenset(), {})
    assert after.ours == before.ours | set(before.conflicts or ())


@given(values, values, values)
def test_every_difference_is_in_exactly_one_class_and_nothing_else_is(
    base: dict[str, Any], ours: dict[str, Any], theirs: dict[str, Any]
) -> None:
    difference = compare(base, ours, theirs)
    classes = [*difference.ours, *(difference.theirs or ()), *difference.alike, *(difference.conflicts or ())]
    fields = {**base, **ours, **theirs}
    changed = {
        field
        for field in fields
        if not same(base.get(field), ours.get(field)) or not same(base.get(field), theirs.get(field))
    }
    assert len(classes) == len(set(classes))
    assert set(classes) == changed


@given(values, values, values)
def test_what_is_mine_to_one_side_is_theirs_to_the_other(
    base: dict[str, Any], ours: dict[str, Any], theirs: dict[str, Any]
) -> None:
    here, there = compare(base, ours, theirs), compare(base, theirs, ours)
    assert here.ours == set(there.theirs or ())
    assert set(here.theirs or ()) == there.ours
    assert here.alike == there.alike
    mirrored = {field: (mine, yours) for field, (yours, mine) in (there.conflicts or {}).items()}
    assert here.conflicts == mirrored


@given(values, values, values)
def test_no_value_is_dropped(base: dict[str, Any], ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Each changed value is in the merge, or both sides are in the conflict."""
    difference = compare(base, ours, theirs)
    result = merged(ours, difference)
    for field in {**base, **ours, **theirs}:
        here, there = ours.get(field), theirs.get(field)
        if field in (difference.conflicts or {}):
            kept = (difference.conflicts or {})[field]
            assert same(kept[0], here)
            assert same(kept[1], there)
        else:
            if not same(here, base.get(field)):
                assert same(result.get(field), here)
            if not same(there, base.get(field)):
                assert same(result.get(field), there)


@given(values, values, values, st.randoms())
def test_the_order_of_fields_does_not_matter(
    base: dict[str, Any], ours: dict[str, Any], theirs: dict[str, Any], random: Any
) -> None:
    def shuffled(state: dict[str, Any]) -> dict[str, Any]:
        items = list(state.items())
        random.shuffle(items)
        return dict(items)

    assert compare(base, ours, theirs) == compare(shuffled(base), shuffled(ours), shuffled(theirs))


@given(values)
def test_what_was_never_agreed_on_was_created_there_or_is_not_there(state: dict[str, Any]) -> None:
    assert compare(None, None, state).existence is Existence.CREATED_THERE
    assert compare(None, None, None).existence is Existence.SAME


@given(values, values)
def test_a_deletion_is_told_apart_by_whether_the_other_side_changed_it(
    base: dict[str, Any], now: dict[str, Any]
) -> None:
    changed = not equal(base, now)
    there = Existence.DELETED_THERE_CHANGED_HERE if changed else Existence.DELETED_THERE
    here = Existence.DELETED_HERE_CHANGED_THERE if changed else Existence.DELETED_HERE
    assert compare(base, now, None).existence is there
    assert compare(base, None, now).existence is here
    assert compare(base, None, None) == Difference(Existence.DELETED_BOTH)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (True, 1, False),
        (False, 0.0, False),
        (1, 1.0, True),
        (None, False, False),
        (None, "", False),
        (None, None, True),
        ("a", "A", False),
        (float("nan"), float("nan"), True),
        (float("nan"), None, False),
        ((1.0, float("nan")), (1.0, float("nan")), True),
        ((1.0,), (1.0, 2.0), False),
        ((), None, False),
    ],
)
def test_values_are_the_same_as_people_mean_it(one: Any, other: Any, expected: bool) -> None:
    assert same(one, other) is expected
    assert same(other, one) is expected
