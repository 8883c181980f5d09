"""Every attribute has a field of its own, whose name FiftyOne takes and nobody else has."""

import re
from typing import Any

import fiftyone as fo
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fiftyone_tator.sync.errors import InvalidOption
from fiftyone_tator.sync.fields import (
    OWN_FIELDS,
    RESERVED,
    Field,
    FieldMap,
    field_name,
    find_label,
    find_score,
    label_candidates,
    map_fields,
)
from fiftyone_tator.tator_client import LocalizationType, MediaType

DTYPES = ("bool", "int", "float", "enum", "string", "datetime", "geopos", "float_array", "blob")
ODD_NAMES = ("id", "filepath", "tags", "media id", "label", "_private", "a.b", "$set", "pk", "objects", "", " ", "__")
ODD_NAMES += ("x__y", "ground_truth", "it's", "100%", "a/b", 'say "so"', "سمكة", "魚", "name", "type", "a\nb", "box")

names = (
    st.sampled_from(ODD_NAMES) | st.text(max_size=12) | st.sampled_from(sorted(RESERVED)) | st.sampled_from(OWN_FIELDS)
)
attributes = st.lists(
    st.tuples(names, st.sampled_from(DTYPES), st.integers(0, 3)), max_size=6, unique_by=lambda attribute: attribute[0]
).map(lambda all: [{"name": name, "dtype": dtype, "order": order} for name, dtype, order in all])


def localization_type(id: int, attribute_types: list[dict[str, Any]], name: str = "Box") -> LocalizationType:
    """A localization type as the server describes it."""
    data = {"id": id, "project": 1, "name": name, "dtype": "box", "attribute_types": attribute_types}
    return LocalizationType.from_json(data)


def media_type(id: int, attribute_types: list[dict[str, Any]]) -> MediaType:
    """A media type as the server describes it."""
    data = {"id": id, "project": 1, "name": f"Image {id}", "dtype": "image", "attribute_types": attribute_types}
    return MediaType.from_json(data)


kinds = st.lists(attributes, min_size=1, max_size=3).map(
    lambda all: [
        localization_type(id, [*each, {"name": "Label", "dtype": "string", "order": 9}])
        for id, each in enumerate(([a for a in each if a["name"] != "Label"] for each in all), start=1)
    ]
)
media_kinds = st.lists(attributes, max_size=2).map(
    lambda all: [media_type(id, each) for id, each in enumerate(all, start=1)]
)


@given(names, st.sets(names), st.sampled_from(["", "media_"]))
@example("__", set(), "media_")
@example("_x__", set(), "media_")
def test_a_fields_name_is_one_that_fiftyone_takes_and_that_is_free(name: str, taken: set[str], prefix: str) -> None:
    field = field_name(name, taken, prefix=prefix)
    assert field not in taken
    assert field not in RESERVED
    assert field
    assert not field.startswith("_")
    assert not re.search(r"[.$\x00-\x1f]|__", field)
    assert field.isprintable()


@pytest.mark.parametrize("name", ["Label", "depth (m)", "it's", "100%", "a/b", "سمكة", "魚", 'say "so"', "class", "in"])
def test_a_name_that_fiftyone_takes_stays_as_it_is(name: str) -> None:
    assert field_name(name, ()) == name


def test_a_reserved_or_taken_name_is_told_apart_by_tator() -> None:
    assert field_name("id", ()) == "tator_id"
    assert field_name("depth", ["depth"]) == "tator_depth"
    assert field_name("depth", ["depth", "tator_depth"]) == "tator_depth_2"
    assert field_name("name", OWN_FIELDS, prefix="media_") == "tator_media_name"


def test_every_public_attribute_of_a_sample_is_reserved() -> None:
    public = {name for name in dir(fo.Sample(filepath="picture.jpg")) if not name.startswith("_")}
    assert public <= RESERVED


def test_every_public_attribute_of_the_document_behind_a_sample_is_reserved(database: object) -> None:
    """A field that covers one of them, such as ``validate`` or ``pk``, makes samples that cannot be read or saved."""
    dataset = fo.Dataset()
    try:
        sample = fo.Sample(filepath="picture.jpg")
        dataset.add_sample(sample)
        public = {name for name in dir(sample._doc) if not name.startswith("_")}
        assert public <= RESERVED
    finally:
        dataset.delete()


def test_fiftyone_reads_and_writes_a_field_of_any_attribute_name(database: object) -> None:
    taken: list[str] = list(OWN_FIELDS)
    for name in (*ODD_NAMES, "self", "STRICT", "clean", "to_mongo", "x" * 200, "a b__c"):
        taken.append(field_name(name, taken))
    fields = taken[len(OWN_FIELDS) :]
    dataset = fo.Dataset()
    try:
        for field in fields:
            dataset.add_sample_field(field, fo.FloatField)
        dataset.add_sample(fo.Sample(filepath="picture.jpg", **dict.fromkeys(fields, 0.0)))
        for number, field in enumerate(fields):
            dataset.set_values(field, [float(number)])
        sample = dataset.first()
        assert [sample[field] for field in fields] == list(range(len(fields)))
        for field in fields:
            sample[field] += 0.5
        sample.save()
        dataset.reload()
        assert list(dataset.values(fields)) == [[number + 0.5] for number in range(len(fields))]
    finally:
        dataset.delete()


@given(kinds, media_kinds)
def test_every_attribute_has_a_field_of_its_own_type_and_no_two_fields_share_a_name(
    kinds: list[LocalizationType], media: list[MediaType]
) -> None:
    mapped = map_fields(kinds, media)
    fields = [*mapped.fields, *mapped.media_fields]
    names = [field.name for field in fields]
    assert len(names) == len(set(names))
    assert not set(names) & {*OWN_FIELDS, *RESERVED}
    for kind in kinds:
        special = {mapped.label[kind.id], mapped.score[kind.id]}
        wanted = {(a.name, a.dtype) for a in kind.attribute_types if a.name not in special}
        assert {(field.attribute, field.dtype) for field in mapped.by_type[kind.id]} == wanted
        assert len(mapped.by_type[kind.id]) == len(wanted)
        assert set(mapped.by_type[kind.id]) <= set(mapped.fields)
    assert {(f.attribute, f.dtype) for f in mapped.media_fields} == {
        (a.name, a.dtype) for each in media for a in each.attribute_types
    }
    assert {field.source for field in mapped.media_fields} <= {"media"}


@given(kinds, media_kinds, st.randoms())
def test_the_names_do_not_depend_on_the_order_in_which_types_and_attributes_come(
    kinds: list[LocalizationType], media: list[MediaType], random: Any
) -> None:
    def turned(kind: LocalizationType) -> LocalizationType:
        types = list(kind.attribute_types)
        random.shuffle(types)
        return LocalizationType(**{**{f: getattr(kind, f) for f in kind.__slots__}, "attribute_types": tuple(types)})

    shuffled = [turned(kind) for kind in kinds]
    random.shuffle(shuffled)
    one, other = map_fields(kinds, media), map_fields(shuffled, media)
    assert one.by_type == other.by_type
    assert (one.label, one.score, one.media_fields) == (other.label, other.score, other.media_fields)
    assert set(one.fields) == set(other.fields)


@given(kinds, kinds, media_kinds)
def test_a_field_that_is_there_keeps_its_name_whatever_is_added(
    before: list[LocalizationType], after: list[LocalizationType], media: list[MediaType]
) -> None:
    first = map_fields(before, [])
    second = map_fields(after, media, existing=first.fields)
    was = {(f.attribute, f.dtype): f for f in first.fields}
    now = {(f.attribute, f.dtype): f for f in second.fields}
    assert all(now[key] == was[key] for key in was.keys() & now.keys())
    new = [f.name for key, f in now.items() if key not in was] + [f.name for f in second.media_fields]
    assert not set(new) & {f.name for f in first.fields}


@given(kinds, media_kinds)
def test_an_import_again_gives_the_same_fields(kinds: list[LocalizationType], media: list[MediaType]) -> None:
    first = map_fields(kinds, media)
    again = map_fields(kinds, media, existing=[Field(**field) for field in first.describe()])
    assert again == first


def test_an_attribute_whose_type_changed_gets_a_field_beside_the_old_one() -> None:
    old = Field("depth", "depth", "float")
    mapped = map_fields([localization_type(1, [{"name": "depth", "dtype": "string"}])], [], existing=[old])
    assert mapped.label == {1: "depth"}
    box = localization_type(1, [{"name": "depth", "dtype": "int"}, {"name": "Label", "dtype": "string"}])
    assert [field.name for field in map_fields([box], [], existing=[old]).fields] == ["tator_depth"]


@pytest.mark.parametrize(
    ("attribute_types", "expected"),
    [
        ([("species", "string"), ("Label", "string")], "Label"),
        ([("species", "enum"), ("label", "string")], "label"),
        ([("species", "enum"), ("note", "string"), ("site", "string")], "species"),
        ([("note", "string"), ("depth", "float")], "note"),
        ([("a", "enum"), ("b", "enum")], None),
        ([("a", "string"), ("b", "string"), ("c", "int")], None),
        ([], None),
    ],
)
def test_the_label_is_found_where_there_is_no_doubt(
    attribute_types: list[tuple[str, str]], expected: str | None
) -> None:
    kind = localization_type(1, [{"name": name, "dtype": dtype} for name, dtype in attribute_types])
    assert find_label(kind) == expected


@pytest.mark.parametrize(
    ("attribute_types", "expected"),
    [
        ([("Confidence", "float"), ("score", "float")], "score"),
        ([("SCORE", "float"), ("score", "float")], "score"),
        ([("score", "float"), ("SCORE", "float")], "score"),
        ([("score", "int"), ("Confidence", "float")], "Confidence"),
        ([("my score", "float")], None),
    ],
)
def test_the_score_is_a_float_called_score_or_confidence(
    attribute_types: list[tuple[str, str]], expected: str | None
) -> None:
    kind = localization_type(1, [{"name": name, "dtype": dtype} for name, dtype in attribute_types])
    assert find_score(kind) == expected


def doubtful() -> LocalizationType:
    return localization_type(1, [{"name": "genus", "dtype": "string"}, {"name": "site", "dtype": "string"}], "Fish")


def test_a_label_in_doubt_is_asked_for_with_the_choices_and_the_option() -> None:
    with pytest.raises(InvalidOption, match=r"'Fish'.*genus, site.*label_attribute"):
        map_fields([doubtful()], [])
    assert map_fields([doubtful()], [], label_attribute="genus").label == {1: "genus"}
    assert label_candidates([doubtful(), doubtful()]) == ["genus", "site"]


def test_a_label_attribute_that_no_type_has_is_refused_with_the_choices() -> None:
    with pytest.raises(InvalidOption, match=r"'Genus'.*genus, site"):
        map_fields([doubtful()], [], label_attribute="Genus")


def test_a_label_attribute_that_no_type_has_is_refused_though_the_label_would_be_clear() -> None:
    kind = localization_type(1, [{"name": "Label", "dtype": "string"}])
    with pytest.raises(InvalidOption, match=r"'Labell'.*Label"):
        map_fields([kind], [], label_attribute="Labell")


def test_a_type_without_text_has_no_label_and_is_not_asked_about() -> None:
    mapped: FieldMap = map_fields([localization_type(1, [{"name": "count", "dtype": "int"}])], [])
    assert mapped.label == {1: None}


def test_a_media_attribute_never_meets_one_of_a_localization() -> None:
    shared = [{"name": "depth", "dtype": "float"}, {"name": "name", "dtype": "string"}, {"name": "id", "dtype": "int"}]
    mapped = map_fields(
        [localization_type(1, [*shared, {"name": "media_depth", "dtype": "float"}])],
        [media_type(1, shared), media_type(2, shared)],
    )
    assert {field.attribute: field.name for field in mapped.fields} == {
        "depth": "depth",
        "id": "tator_id",
        "media_depth": "media_depth",
    }
    assert {field.attribute: field.name for field in mapped.media_fields} == {
        "depth": "tator_media_depth",
        "name": "tator_media_name",
        "id": "tator_media_id",
    }
