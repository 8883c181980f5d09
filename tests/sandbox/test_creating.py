"""POST of localizations."""

import math
import uuid

import pytest

SCHEMA = "Request body validation error"


def stored(api, **attributes):
    (id_,) = api.call("POST", api.lists, [api.spec(attributes=attributes)], 201)["id"]
    return api.by_id(id_)["attributes"]


def test_the_answer_keeps_the_order(api):
    """POST answers 201 with a message and the ids in the order of the specs; elements keep their ids."""
    specs = [api.spec(attributes={"Label": f"n{number}"}) for number in range(3)]
    made = api.call("POST", api.lists, specs, 201)
    assert made["message"] == "Successfully created 3 localizations!" and made["id"] == sorted(made["id"])
    rows = [api.by_id(id_) for id_ in made["id"]]
    assert [row["elemental_id"] for row in rows] == [spec["elemental_id"] for spec in specs]
    assert [(row["attributes"]["Label"], row["mark"]) for row in rows] == [("n0", 0), ("n1", 0), ("n2", 0)]


def test_one_spec_without_a_list(api):
    """A single spec may stand without a list, and gets an element id if it has none."""
    (id_,) = api.call("POST", api.lists, api.spec(elemental_id=None), 201)["id"]
    assert uuid.UUID(api.by_id(id_)["elemental_id"]).version == 4


def test_500_at_most(api):
    """500 specs are taken, 501 refused with the body repeated, none refused."""
    specs = [api.spec() for _ in range(501)]
    refusal = api.call("POST", api.lists, specs, 400)
    assert refusal["message"] == SCHEMA and specs[500]["elemental_id"] in refusal["details"]
    assert api.call("PUT", api.counts, {"elemental_ids": [spec["elemental_id"] for spec in specs]}) == 0
    assert len(api.call("POST", api.lists, specs[:500], 201)["id"]) == 500
    empty = api.call("POST", api.lists, [], 400)
    assert empty == {"message": "Localization creation requires list of localizations!", "details": "'body'"}


def test_all_or_nothing(api):
    """One bad spec refuses all."""
    good, bad = api.spec(), api.spec(attributes={"score": "bad"})
    assert api.refused("POST", api.lists, [good, bad]) == "Invalid attribute value bad for float attribute score"
    assert api.rows([good["elemental_id"], bad["elemental_id"]]) == []


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"Label": None}, SCHEMA),
        ({"score": "bad"}, "Invalid attribute value bad for float attribute score"),
        ({"score": "NaN"}, "invalid input syntax for type json"),
        ({"score": "inf"}, "invalid input syntax for type json"),
        ({"count": "abc"}, "Invalid attribute value abc for int attribute count"),
        (
            {"quality": "worst"},
            "Invalid attribute value worst for enum attribute quality. Valid choices are: ['good', 'fair', 'bad'].",
        ),
        ({"quality": "Good"}, "Invalid attribute value Good for enum attribute quality"),
        ({"verified": 1}, "'int' object has no attribute 'lower'"),
        ({"verified": "yes"}, "Invalid attribute value yes for bool attribute verified"),
        ({"seen_at": "xx"}, "Invalid attribute value xx for datetime attribute seen_at"),
        ({"seen_at": 1700000000}, "Invalid attribute value 1700000000 for datetime attribute seen_at"),
        ({"Label": "nul\0"}, "unsupported Unicode escape sequence"),
        ({"Label": "half \ud800"}, "unsupported Unicode escape sequence"),
        ({"geo": [500, 0]}, "Invalid attribute value [500, 0] for geopos attribute geo"),
    ],
)
def test_refused_values(api, attributes, message):
    """What a type cannot hold is refused, in a POST and in a PATCH."""
    assert api.refused("POST", api.lists, [api.spec(attributes=attributes)]).startswith(message)
    (id_,), (element,) = api.make()
    assert api.refused("PATCH", f"/rest/Localization/{id_}", {"attributes": attributes}).startswith(message)
    assert api.row(element)["mark"] == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"x": 1.2}, {"y": -0.01}, {"width": "1"}, {"x": True}, {"frame": ...}, {"frame": "0"}, {"type": ...},
        {"points": [[2, 0]]}, {"points": [["a", 0]]}, {"attributes": [1]}, {"parent": "x"},
    ],
)  # fmt: skip
def test_refused_shapes(api, changes):
    """Coordinates outside the image and missing or wrong keys do not fit the schema."""
    assert api.refused("POST", api.lists, [api.spec(**changes)]) == SCHEMA


def test_refused_references(api):
    """Unknown versions, types and media are named in the message; a negative frame is the database's refusal."""
    for key in ("version", "type", "media_id"):
        assert api.refused("POST", api.lists, [api.spec(**{key: 9999})]) == "9999"
    assert "frame_check" in api.refused("POST", api.lists, [api.spec(frame=-1)])


@pytest.mark.parametrize(
    ("name", "given", "kept"),
    [
        ("count", 1.9, 1), ("count", "12", 12), ("count", True, 1), ("verified", "true", True), ("score", "0.25", 0.25),
        ("score", 1, 1.0), ("Label", 5, 5), ("Label", ["a"], ["a"]), ("embedding", [1, 2], [1.0, 2.0]),
        ("score", 1e308, 10**308), ("embedding", [3e20], [3 * 10**20]),
        ("seen_at", "2026-01-02T03:04:05+02:00", "2026-01-02T03:04:05+02:00"),
        ("seen_at", "2 January 2026 3:04", "2026-01-02T03:04:00"),
        ("seen_at", "2026-01-02T03:04:05.1234567Z", "2026-01-02T03:04:05.123456+00:00"),
    ],
)  # fmt: skip
def test_converted_values(api, name, given, kept):
    """What can be converted is; text attributes keep what they get."""
    found = stored(api, **{name: given})[name]
    assert (found, type(found)) == (kept, type(kept))


def test_unknown_attributes_are_dropped(api):
    """POST drops names that the type lacks, also those in another case."""
    found = stored(api, Label="u", NoSuch=1, label="lower")
    assert found["Label"] == "u" and not {"NoSuch", "label"} & set(found)


def test_defaults(api):
    """Attributes left out get the type's default, use_current the present time."""
    found = stored(api)
    assert found.pop("seen_at").endswith("+00:00")
    assert found == {
        "Label": "unknown", "score": 0.0, "verified": False, "count": 0, "quality": "good", "notes": "",
        "embedding": [0.0] * 4, "geo": [0.0, 0.0],
    }  # fmt: skip


def test_what_has_no_default_is_missing(fresh):
    """Without a default the key is missing, a default of null is stored as null; a datetime has no other default."""
    types = {
        "plain": {"dtype": "string"},
        "nothing": {"dtype": "float", "default": None},
        "when": {"dtype": "datetime", "default": "2026-01-01T00:00:00"},
    }
    for name, more in types.items():
        fresh.server.store.add_attribute_type("localization", fresh.box_type, {"name": name, **more})
    found = stored(fresh, Label="x")
    assert found["nothing"] is None and not {"plain", "when"} & found.keys()
    assert stored(fresh, plain="", nothing=1)["plain"] == ""
    message = fresh.refused("GET", fresh.lists, version=fresh.version, attribute_gt="nothing::0")
    assert message == "cannot cast jsonb null to type double precision"


def test_required_attributes_have_to_be_given(fresh):
    """A required attribute without a default cannot be left out of POST; with one it can."""
    for more in ({"name": "who", "dtype": "string"}, {"name": "n", "dtype": "int", "default": 3}):
        fresh.server.store.add_attribute_type("localization", fresh.box_type, {"required": True, **more})
    assert fresh.refused("POST", fresh.lists, [fresh.spec()]) == (
        'Missing attribute value for "who". Set a `default` on the attribute type or supply a value.'
    )
    assert stored(fresh, who="me")["n"] == 3
    time = {"name": "when", "dtype": "datetime", "required": True}
    fresh.server.store.add_attribute_type("localization", fresh.box_type, time)
    assert fresh.refused("POST", fresh.lists, [fresh.spec(attributes={"who": "me"})]) == (
        'Missing attribute value for "when". Set `use_current` to True or supply a value.'
    )


def test_long_text_is_stored(api):
    """Text has no length of its own; the body limit holds for the whole request."""
    assert stored(api, notes="深" * 40_000)["notes"] == "深" * 40_000
    assert api.refused("POST", api.lists, [api.spec(attributes={"notes": "n" * 2_700_000})]) == (
        "Request body exceeded settings.DATA_UPLOAD_MAX_MEMORY_SIZE."
    )


def test_boxes_at_the_edge(api):
    """A box may reach over the edge, have no width, or no geometry at all."""
    (wide, flat, none) = api.call(
        "POST", api.lists, [api.spec(x=0.9, width=0.5), api.spec(width=0), api.spec(x=None, y=None)], 201
    )["id"]
    assert (api.by_id(wide)["width"], api.by_id(flat)["width"], api.by_id(none)["x"]) == (0.5, 0, None)


@pytest.mark.parametrize(
    ("dtype", "geometry"),
    [
        ("dot", {"x": 0.25, "y": 0.5}),
        ("line", {"x": 0.1, "y": 0.2, "u": 0.3, "v": -0.1}),
        ("poly", {"points": [[0.1, 0.1], [0.2, 0.1], [0.2, 0.2]]}),
    ],
)
def test_other_geometries(api, dtype, geometry):
    """Dots, lines and polygons keep their own geometry, the rest is null."""
    nothing = dict.fromkeys(("x", "y", "width", "height", "u", "v", "points"))
    spec = api.spec(
        type=api.server.seeded.localization_types[dtype], attributes={}, **{**dict.fromkeys(nothing, ...), **geometry}
    )
    (id_,) = api.call("POST", api.lists, [spec], 201)["id"]
    row = api.by_id(id_)
    assert {key: row[key] for key in nothing} == {**nothing, **geometry}


def test_without_a_version(api):
    """Without a version the one with the lowest number is meant."""
    (id_,) = api.call("POST", api.lists, [api.spec(version=...)], 201)["id"]
    assert api.by_id(id_)["version"] == api.server.seeded.versions["Baseline"]


def test_an_existing_element_gets_the_next_mark(api, admin):
    """Posting an element again makes its next mark: a whole new row of the caller, with defaults for the rest."""
    (old,), (element,) = admin.make(attributes={"Label": "first", "count": 7})
    (new,) = api.call("POST", api.lists, [api.spec(elemental_id=element, attributes={"Label": "again"})], 201)["id"]
    row = api.row(element)
    assert (row["id"], row["mark"], row["attributes"]["Label"], row["attributes"]["count"]) == (new, 1, "again", 0)
    assert row["created_by"] == api.server.seeded.users["editor"] and old != new


@pytest.mark.parametrize("number", [0.1 + 0.2, 1 / 3, 1e-17, math.pi / 4, 0.12345678901234568])
def test_doubles_come_back(api, number):
    """Doubles survive POST, PATCH and bulk PATCH exactly."""
    (id_,), (element,) = api.make(x=number, attributes={"score": number})
    assert (api.row(element)["x"], api.row(element)["attributes"]["score"]) == (number, number)
    assert api.patch(id_, attributes={"score": -number}, in_place=1)["attributes"]["score"] == -number
    api.bulk({"elemental_ids": [element], "attributes": {"score": number * 2}, "in_place": 1}, count=1)
    assert api.row(element)["attributes"]["score"] == number * 2


def test_text_comes_back(api):
    """Text survives POST and PATCH, and without quote, percent and control characters bulk PATCH."""
    text = '深海魚 é 😀 \u200b "q" back\\slash a,b x::y\nnew line'
    (id_,), (element,) = api.make(attributes={"Label": text})
    assert api.row(element)["attributes"]["Label"] == text
    assert api.patch(id_, attributes={"Label": text + " it's 100%\t"})["attributes"]["Label"] == text + " it's 100%\t"
    api.bulk({"elemental_ids": [element], "attributes": {"Label": text}, "in_place": 1})
    assert api.row(element)["attributes"]["Label"] == text
