"""The comparison of base, ours and theirs loses nothing, invents nothing and does not depend on order."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fiftyone_tator.sync.plan import UNKNOWN, Difference, Existence, Kind, Side, Summary, compare, plan, same

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


# ---------------------------------------------------------------------- both sides settled

sides = st.sampled_from(["leave", "ours", "theirs"])


def settled(
    base: Mapping[str, Any], ours: Mapping[str, Any], theirs: Mapping[str, Any], side: Side
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Base, ours and theirs after a plan was carried out: what goes out is there, what comes in is here."""
    difference = compare(base, ours, theirs)
    here = {**ours, **{name: theirs.get(name) for name in difference.takes(side)}}
    there = {**theirs, **{name: ours.get(name) for name in difference.sends(side)}}
    agreed = {**there, **{name: base.get(name) for name in difference.left(side)}}
    return agreed, here, there


@given(values, values, values, sides)
def test_a_plan_that_was_carried_out_on_both_sides_asks_for_nothing_more(
    base: dict[str, Any], ours: dict[str, Any], theirs: dict[str, Any], side: Side
) -> None:
    before = compare(base, ours, theirs)
    again = settled(base, ours, theirs, side)
    after = compare(*again)
    assert (after.ours, after.theirs, after.alike) == (frozenset(), {}, frozenset())
    assert set(after.conflicts) == before.left(side)
    assert all(equal(one, other) for one, other in zip(settled(*again, side), again, strict=True))


@given(values, values, values, sides)
def test_both_sides_are_equal_once_every_conflict_was_decided(
    base: dict[str, Any], ours: dict[str, Any], theirs: dict[str, Any], side: Side
) -> None:
    _, here, there = settled(base, ours, theirs, side)
    conflicts = compare(base, ours, theirs).left(side)
    assert all(same(here.get(name), there.get(name)) for name in {**here, **there} if name not in conflicts)


@given(values, values, values)
def test_the_kind_of_each_value_is_the_class_that_it_is_in(
    base: dict[str, Any], ours: dict[str, Any], theirs: dict[str, Any]
) -> None:
    difference = compare(base, ours, theirs)
    for name in {**base, **ours, **theirs}:
        was, here, there = base.get(name), ours.get(name), theirs.get(name)
        changed = not same(was, here), not same(was, there)
        expected = {(False, False): Kind.SAME, (True, False): Kind.OURS, (False, True): Kind.THEIRS}.get(changed)
        assert difference.kind(name) is (expected or (Kind.ALIKE if same(here, there) else Kind.CONFLICT))


@given(values, values)
def test_what_nobody_remembers_is_alike_or_a_conflict_and_never_taken_or_sent(
    ours: dict[str, Any], theirs: dict[str, Any]
) -> None:
    for forgotten in (compare(None, ours, theirs), compare(dict.fromkeys({**ours, **theirs}, UNKNOWN), ours, theirs)):
        assert (forgotten.ours, forgotten.theirs) == (frozenset(), {})
        assert forgotten.alike | set(forgotten.conflicts) == {**ours, **theirs}.keys()


@given(values)
def test_what_tator_never_had_was_created_here(ours: dict[str, Any]) -> None:
    assert compare(None, ours, None) == Difference(Existence.CREATED_HERE, ours=frozenset(ours))


# ---------------------------------------------------------------------- whole plans

state = st.none() | values
triples = st.lists(st.tuples(state, state, state), max_size=12)


def summary(rows: list[tuple[Any, Any, Any]]) -> Summary:
    found = Summary()
    for key, difference in plan((number, *row) for number, row in enumerate(rows)):
        found.add(key, difference)
    return found


@given(triples, st.randoms())
def test_a_plan_is_the_same_in_any_order_and_leaves_no_localization_out(rows: Any, random: Any) -> None:
    shuffled = random.sample(rows, len(rows))
    one, other = summary(rows), summary(shuffled)
    assert (one.existences, one.kinds, one.fields, one.conflicts) == (
        other.existences,
        other.kinds,
        other.fields,
        other.conflicts,
    )
    assert one.existences.total() == len(rows)


def test_a_summary_stays_small_however_long_the_plan_is() -> None:
    found = Summary()
    for number in range(20_000):
        found.add(number, compare({"label": "a"}, {"label": f"b{number}"}, {"label": f"c{number}"}))
        found.flow("a", f"b{number}")
    assert (len(found.flows), found.other_flows) == (Summary.MOST_FLOWS, 20_000 - Summary.MOST_FLOWS)
    assert (len(found.examples), found.conflicts) == (Summary.MOST_EXAMPLES, 20_000)


def test_a_plan_reads_its_rows_one_by_one() -> None:
    read: list[int] = []

    def rows() -> Any:
        for number in range(3):
            read.append(number)
            yield number, {"label": "a"}, {"label": "a"}, {"label": "a"}

    differences = plan(rows())
    assert next(differences)[0] == 0
    assert read == [0]
