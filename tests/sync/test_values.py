"""Every value that Tator can hold finds its place in a field of its type, or is named as what cannot be kept."""

import json
import math
from datetime import datetime, timedelta, timezone
from typing import Any

import fiftyone.core.utils as fou
import numpy as np
import pytest
from bson import BSON, ObjectId
from hypothesis import assume, given
from hypothesis import strategies as st

from fiftyone_tator.sync.plan import same
from fiftyone_tator.sync.values import (
    CONVERTERS,
    Unkept,
    comparable,
    converter,
    integer,
    moment,
    position,
    real,
    text,
    truth,
    vector,
)

ENDLESS = pytest.param(10**5000, id="5,000 digits")
TYPES = sorted(CONVERTERS)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**300, max_value=10**320)
    | st.floats(allow_nan=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
dates = st.datetimes(min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 29))
zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.sampled_from([*TYPES, "blob", "something new"]), json_values)
def test_any_value_of_any_type_is_kept_by_mongodb_or_named_as_unkept(dtype: str, value: Any) -> None:
    try:
        stored = converter(dtype)(value)
    except Unkept as reason:
        assert 0 < len(str(reason)) < 200
        return
    BSON.encode({"value": stored})
    assert same(comparable(dtype, stored), comparable(dtype, stored))


@given(st.sampled_from(TYPES), json_values)
def test_a_value_compares_equal_to_itself_after_a_journey_through_mongodb(dtype: str, value: Any) -> None:
    try:
        stored = converter(dtype)(value)
    except Unkept:
        return
    back = BSON.encode({"value": stored}).decode()["value"]
    assert same(comparable(dtype, back), comparable(dtype, converter(dtype)(value)))


@pytest.mark.parametrize("dtype", [*TYPES, "blob"])
def test_null_stays_null(dtype: str) -> None:
    assert converter(dtype)(None) is None
    assert comparable(dtype, None) is None


@given(st.text())
def test_text_stays_as_it_is(value: str) -> None:
    assert text(value) == value
    assert CONVERTERS["enum"](value) == value


@pytest.mark.parametrize(
    ("value", "expected"), [(5, "5"), (["a", "é"], '["a", "é"]'), (True, "true"), ({"k": 1.5}, '{"k": 1.5}'), ("", "")]
)
def test_what_is_no_text_in_a_text_attribute_becomes_its_json(value: Any, expected: str) -> None:
    assert text(value) == expected


@given(st.integers(-(2**63), 2**63 - 1))
def test_an_integer_of_64_bits_stays_as_it_is(value: int) -> None:
    assert integer(value) == value
    assert integer(str(value)) == value


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 10**308, ENDLESS, "x", "", [1], {}, math.inf, math.nan])
def test_what_is_no_integer_of_64_bits_is_unkept(value: Any) -> None:
    with pytest.raises(Unkept, match="integer"):
        integer(value)


@given(st.floats(allow_nan=False))
def test_a_float_survives_exactly(value: float) -> None:
    assert real(value) == value


def test_a_float_that_came_back_as_an_integer_of_309_digits_is_the_same_float() -> None:
    assert real(int(1e308)) == 1e308


@pytest.mark.parametrize("value", [10**400, ENDLESS, "bad", [0.5], {}, "x" * 10_000])
def test_what_is_no_number_is_unkept_in_a_short_sentence(value: Any) -> None:
    with pytest.raises(Unkept, match="not a number") as caught:
        real(value)
    assert len(str(caught.value)) < 100


@pytest.mark.parametrize("value", [1, 0, "true", "", [], 1.0])
def test_only_true_and_false_are_bools(value: Any) -> None:
    assert (truth(True), truth(False)) == (True, False)
    with pytest.raises(Unkept, match="neither true nor false"):
        truth(value)


@given(dates, zones)
def test_a_date_with_a_zone_becomes_naive_utc_in_milliseconds(when: datetime, zone: timezone) -> None:
    stored = moment(when.replace(tzinfo=zone).isoformat())
    exact = when - (zone.utcoffset(None) or timedelta())
    assert stored is not None
    assert stored.tzinfo is None
    assert timedelta() <= exact - stored < timedelta(milliseconds=1)
    assert stored.microsecond % 1000 == 0


@given(dates)
def test_a_date_without_a_zone_is_taken_as_utc(when: datetime) -> None:
    assert moment(when.isoformat()) == moment(f"{when.isoformat()}+00:00") == moment(f"{when.isoformat()}Z")


@given(dates)
def test_a_date_is_kept_by_mongodb_to_the_digit(when: datetime) -> None:
    stored = moment(when.isoformat())
    assert BSON.encode({"value": stored}).decode()["value"] == stored


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-11-21T09:55:51.198Z", datetime(2026, 11, 21, 9, 55, 51, 198_000)),
        ("2025-06-01T12:34:56.789012+00:00", datetime(2025, 6, 1, 12, 34, 56, 789_000)),
        ("2025-06-01 12:34:56 -0500", datetime(2025, 6, 1, 17, 34, 56)),
        ("2025-06-01", datetime(2025, 6, 1)),
        ("1 June 2025 3pm", datetime(2025, 6, 1, 15)),
        ("Sun, 01 Jun 2025 12:00:00 GMT", datetime(2025, 6, 1, 12)),
    ],
)
def test_common_texts_of_dates_are_read(value: str, expected: datetime) -> None:
    assert moment(value) == expected


@pytest.mark.parametrize(
    "value", ["12:30", "June", "5", "2025", "Monday", "June 5", "noon", "", "99", 20250601, True, []]
)
def test_a_date_that_lacks_its_year_month_or_day_is_unkept_and_not_filled_up_from_today(value: Any) -> None:
    with pytest.raises(Unkept, match="not a date"):
        moment(value)


def test_a_date_before_the_year_1_in_utc_is_unkept() -> None:
    with pytest.raises(Unkept, match="not a date"):
        moment("0001-01-01T00:00:00+14:00")


def test_the_position_that_tator_stores_for_null_is_none() -> None:
    assert position([-1.0, -1.0]) is None


@given(st.floats(-180, 180), st.floats(-90, 90))
def test_a_position_keeps_longitude_and_latitude_in_this_order(longitude: float, latitude: float) -> None:
    assume((longitude, latitude) != (-1, -1))
    stored = position([longitude, latitude])
    assert stored is not None
    assert stored["point"] == {"type": "Point", "coordinates": [longitude, latitude]}
    assert comparable("geopos", stored) == (longitude, latitude)


@pytest.mark.parametrize(
    "value",
    [
        *([181, 0], [0, 91], [-180.01, 0], [1], [1, 2, 3], [], [None, 1], ["a", "b"], [math.nan, 0], [10**400, 0]),
        *("12", "1,2", {"1": 0, "2": 0}, 5),
    ],
)
def test_what_is_no_pair_on_the_globe_is_unkept(value: Any) -> None:
    with pytest.raises(Unkept, match=r"pair of longitude|on the globe"):
        position(value)


def test_two_documents_of_one_position_compare_equal_though_their_ids_differ() -> None:
    one, other = position([1.5, 2]), position((1.5, 2.0))
    assert one is not None
    assert other is not None
    assert one["_id"] != other["_id"]
    assert comparable("geopos", one) == comparable("geopos", other)


def test_a_location_without_a_point_is_not_the_same_as_one_with() -> None:
    line = {"_id": ObjectId(), "_cls": "GeoLocation", "tags": [], "line": {"type": "LineString", "coordinates": []}}
    assert comparable("geopos", line) != comparable("geopos", position([0, 0]))


@given(st.lists(st.floats(allow_nan=False) | st.integers(-(2**60), 2**60), max_size=40))
def test_fiftyone_reads_a_vector_as_the_array_that_it_was(values: list[float]) -> None:
    stored = vector(values)
    assert stored is not None
    array = fou.deserialize_numpy_array(stored)
    assert array.dtype == np.float64
    assert array.shape == (len(values),)
    assert array.tolist() == [float(value) for value in values]


@given(st.lists(st.floats(width=32), max_size=40), st.sampled_from([np.float32, np.float64, ">f8"]))
def test_a_vector_that_fiftyone_wrote_anew_is_still_the_same(values: list[float], dtype: Any) -> None:
    ours = fou.serialize_numpy_array(np.array(values, dtype=dtype))
    if any(math.isnan(value) for value in values):
        with pytest.raises(Unkept, match="missing"):
            vector(values)
        assert same(comparable("float_array", ours), comparable("float_array", ours))
    else:
        assert same(comparable("float_array", ours), comparable("float_array", vector(values)))


@pytest.mark.parametrize("value", [5, "abc", "1.5", [[1, 2]], [1, [2]], {}, [1, None], [None], ["a"], [10**400], True])
def test_what_is_no_flat_list_of_numbers_is_unkept(value: Any) -> None:
    with pytest.raises(Unkept, match="number"):
        vector(value)


@given(dates, zones)
def test_a_date_that_mongodb_gives_in_a_zone_is_the_same_as_in_utc(when: datetime, zone: timezone) -> None:
    """So it does where FiftyOne is configured to show times in a time zone."""
    stored = moment(when.isoformat())
    assert stored is not None
    shown = stored.replace(tzinfo=timezone.utc).astimezone(zone)
    assert same(comparable("datetime", shown), comparable("datetime", stored))


def test_a_value_of_a_type_that_is_not_known_is_kept_as_text() -> None:
    assert converter("blob")({"a": [1]}) == json.dumps({"a": [1]})
