from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fiftyone_tator.tator_client import InvalidRequest, LocalizationType, fits_bulk, with_elemental_ids
from fiftyone_tator.tator_client._chunks import by_bytes, chunks, unique
from fiftyone_tator.tator_client._values import check_geometry, check_specs, split_nulls


@given(st.lists(st.integers()), st.integers(1, 7))
def test_chunks_hold_everything_once_and_are_never_empty(values: list[int], size: int) -> None:
    """Chunks put together are the list; none is empty, because empty means everything to Tator."""
    pieces = list(chunks(values, size))
    assert [each for piece in pieces for each in piece] == values
    assert all(0 < len(piece) <= size for piece in pieces)


@given(st.lists(st.integers(0, 400).map(lambda n: b"x" * n), max_size=60), st.integers(1, 9), st.integers(2, 900))
def test_requests_keep_both_limits(pieces: list[bytes], count: int, size: int) -> None:
    """Ranges cover all pieces in order, within rows and bytes; only a single too long piece exceeds them."""
    ranges = list(by_bytes(pieces, max_count=count, max_bytes=size))
    assert [index for start, stop in ranges for index in range(start, stop)] == list(range(len(pieces)))
    for start, stop in ranges:
        body = b"[" + b",".join(pieces[start:stop]) + b"]"
        assert stop - start <= count and (len(body) <= size or stop - start == 1)


@given(st.lists(st.integers(0, 5)))
def test_unique_keeps_the_first_of_each(values: list[int]) -> None:
    """Repeated ids are asked for once, in their order."""
    assert unique(values) == sorted(set(values), key=values.index)


clean = st.text(st.characters(blacklist_categories=("Cc", "Cs"), blacklist_characters="'%"), max_size=20)
dirty = st.tuples(clean, st.sampled_from(["'", "%", "\t", "\r", "\x00", "\x07", "\x7f", "\x85"]), clean).map("".join)
plain = st.one_of(clean, st.integers(), st.booleans(), st.floats(allow_nan=False), st.lists(clean, max_size=3))


@given(st.dictionaries(st.from_regex(r"[A-Za-z_ ]{1,9}", fullmatch=True), plain, max_size=4))
def test_ordinary_values_travel_in_bulk(attributes: dict[str, Any]) -> None:
    """Text without quotes, percent signs and control characters, and all numbers, go in bulk."""
    assert fits_bulk(attributes)


@given(st.dictionaries(st.just("Label"), plain), dirty, st.sampled_from(["value", "list", "dict", "name", "null"]))
def test_values_that_would_break_the_sql_go_alone(attributes: dict[str, Any], text: str, place: str) -> None:
    """One quote, percent sign or control character anywhere keeps all of it out of a bulk edit."""
    nulls = [text] if place == "null" else []
    more = {"value": {"x": text}, "list": {"x": [1, text]}, "dict": {"x": {text: 1}}, "name": {text: 1}, "null": {}}
    assert not fits_bulk({**attributes, **more[place]}, nulls)


@pytest.mark.parametrize("text", ["a\nb", "a\\b", 'say "x"', "größer", "深海"])
def test_harmless_characters_do_not_slow_an_edit_down(text: str) -> None:
    """Newlines, backslashes, double quotes and other scripts go in bulk."""
    assert fits_bulk({"Label": text})


def test_null_goes_by_its_own_list() -> None:
    """Setting null travels as null_attributes; setting a value as well is refused."""
    assert split_nulls({"a": 1, "b": None}, ["c"]) == ({"a": 1}, ["b", "c"])
    with pytest.raises(InvalidRequest, match="'a'"):
        split_nulls({"a": 1}, ["a"])


@pytest.mark.parametrize("geometry", [{"width": 0}, {"u": 0.0}, {"x": None}, {"points": None}, {"z": 1}])
def test_geometry_that_tator_would_ignore_is_refused(geometry: dict[str, Any]) -> None:
    """A size of 0 or null, which Tator ignores and reports as done, is not sent."""
    with pytest.raises(InvalidRequest):
        check_geometry(geometry)
    assert check_geometry({"x": 0, "y": 0.0, "frame": 0}) == {"x": 0, "y": 0.0, "frame": 0}


BOX = LocalizationType.from_json(
    {
        "id": 1,
        "project": 1,
        "name": "Box",
        "dtype": "box",
        "attribute_types": [{"name": "Label", "dtype": "string"}],
        "media": [1],
    }
)
SPEC = {"type": 1, "media_id": 1, "version": 4, "frame": 0, "attributes": {"Label": "x"}}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"attributes": {"label": "x"}}, "'label'"),
        ({"attributes": {"Label": None}}, "null"),
        ({"frame": None}, "'frame'"),
        ({"version": None}, "'version'"),
    ],
)
def test_specs_that_would_be_stored_wrongly_are_refused(change: dict[str, Any], words: str) -> None:
    """What Tator would drop silently or put into another version is refused before it is sent."""
    check_specs([SPEC], [BOX])
    with pytest.raises(InvalidRequest, match=words):
        check_specs([SPEC, {**SPEC, **change}], [BOX])


def test_two_specs_of_one_element_are_refused() -> None:
    """Two new localizations cannot share an elemental id in one call."""
    with pytest.raises(InvalidRequest, match="elemental_id"):
        check_specs([{**SPEC, "elemental_id": "AB"}, {**SPEC, "elemental_id": "ab"}], [])


def test_specs_get_ids_of_their_own_and_stay_untouched() -> None:
    """Elemental ids are added where missing, in copies."""
    specs = [dict(SPEC), {**SPEC, "elemental_id": "mine"}]
    done = with_elemental_ids(specs)
    assert "elemental_id" not in specs[0] and done[1]["elemental_id"] == "mine"
    assert len(done[0]["elemental_id"]) == 36 and json.dumps(done)
