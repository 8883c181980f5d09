"""Lists, pages, counts and filters."""

import base64
import json
import re
import uuid

import httpx
import pytest

WRONG_DATE = "It must be in YYYY-MM-DD HH:MM[:ss[.uuuuuu]][TZ] format."


def encoded(query):
    return base64.b64encode(json.dumps(query).encode()).decode()


def ids_of(rows):
    return [row["id"] for row in rows]


def test_order_and_slices(api):
    """Lists are ordered by id or as sort_by says; start and stop cut them, beyond the end is empty."""
    ids, elements = api.make(5)

    def ask(**query):
        return ids_of(api.call("PUT", api.lists, {"elemental_ids": elements}, version=api.version, **query))

    assert ask() == sorted(ids)
    assert ask(sort_by="-$id") == sorted(ids, reverse=True)
    assert (ask(start=1, stop=3), ask(stop=2), ask(start=4)) == (ids[1:3], ids[:2], ids[4:])
    assert ask(start=50, stop=60) == ask(start=3, stop=1) == []
    assert api.refused("GET", api.lists, start=-2, stop=5) == "Negative indexing is not supported."


def test_sorting_by_an_attribute(api):
    """sort_by takes attributes, too."""
    _, elements = api.make(3)
    for element, score in zip(elements, (0.2, 0.9, 0.5), strict=True):
        api.patch(api.row(element)["id"], attributes={"score": score})
    found = api.call("PUT", api.lists, {"elemental_ids": elements}, version=api.version, sort_by="-score")
    assert [row["attributes"]["score"] for row in found] == [0.9, 0.5, 0.2]


def test_pages_by_after_visit_each_row_once(api):
    """after and stop page through a list without gaps."""
    ids, _ = api.make(7)
    seen, after = [], min(ids) - 1
    while page := api.call("GET", api.lists, version=api.version, type=api.box_type, after=after, stop=3):
        assert len(page) <= 3
        seen += ids_of(page)
        after = seen[-1]
    assert seen == sorted(set(seen)) and set(ids) <= set(seen)


def test_count(api):
    """A count is a bare integer and takes the filters of the list."""
    ids, elements = api.make(4)
    assert api.call("GET", api.counts, version=api.version, after=min(ids) - 1, type=api.box_type) >= 4
    assert api.call("PUT", api.counts, {"elemental_ids": elements}, version=api.version) == 4
    assert api.call("PUT", api.counts, {"ids": [ids[0], 999999999]}, version=api.version) == 1


def test_a_row_has_all_keys(api):
    """A row shows plain ids, null for what its type lacks, and UTC times cut to milliseconds."""
    (id_,), (element,) = api.make()
    row = api.row(element)
    assert set(row) == {
        "id", "project", "type", "media", "thumbnail_image", "version", "attributes", "created_by", "modified_by",
        "user", "variant_deleted", "x", "y", "width", "height", "u", "v", "points", "frame", "parent", "mark",
        "effective_permission", "created_datetime", "modified_datetime", "elemental_id",
    }  # fmt: skip
    assert (row["id"], row["mark"], row["u"], row["points"], row["parent"]) == (id_, 0, None, None, None)
    assert (row["type"], row["media"], row["version"]) == (api.box_type, api.server.seeded.media, api.version)
    assert row["created_by"] == row["modified_by"] == row["user"] == api.server.seeded.users["editor"]
    assert row == api.by_id(id_)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", row["modified_datetime"])


def test_fields(api):
    """fields picks keys and single attributes."""
    _, (element,) = api.make()
    (row,) = api.call("GET", api.lists, elemental_id=element, fields="id,elemental_id,attributes.Label")
    assert set(row) == {"id", "elemental_id", "attributes"} and row["attributes"] == {"Label": "fish"}


def test_an_unknown_field_empties_the_answer(api):
    """An unknown field is 200 with no byte on GET, and a 500 page on PUT."""
    answer = api.http.get(api.lists, params={"fields": "id,nosuchfield"})
    assert (answer.status_code, answer.content) == (200, b"")
    assert "Internal Server Error" in api.call("PUT", api.lists, {"ids": [1]}, 500, fields="id,nosuchfield")


def test_put_reads_by_body_and_query(api):
    """A PUT joins ids, elements, media or a search in its body with the query string."""
    ids, elements = api.make(3)

    def ask(body, **query):
        return ids_of(api.call("PUT", api.lists, body, version=api.version, **query))

    assert ask({"ids": ids[:2]}) == ids[:2]
    assert ask({"elemental_ids": elements[1:]}) == ids[1:]
    assert ask({"media_ids": [api.server.seeded.media]}, after=ids[0] - 1)[:3] == ids
    search = {"attribute": "$elemental_id", "operation": "eq", "value": elements[0]}
    assert ask({"object_search": search}) == ids[:1]
    assert ask({"ids": ids}, after=max(ids)) == []


@pytest.mark.parametrize("key", ["ids", "elemental_ids"])
def test_an_empty_list_is_no_filter(api, key):
    """An empty list of ids in a PUT reads everything that the query string matches."""
    ids, _ = api.make(2)
    found = ids_of(api.call("PUT", api.lists, {key: []}, version=api.version, after=min(ids) - 1))
    assert set(ids) <= set(found)


@pytest.mark.parametrize("body", [[1], {"ids": 5}, {"elemental_ids": "abc"}])
def test_bodies_of_another_shape(api, body):
    """A body that is no object of lists is refused, above all by a deletion."""
    for method in ("PUT", "PATCH", "DELETE"):
        assert api.refused(method, api.lists, body, version=api.version) == "Request body validation error"


@pytest.mark.parametrize("name", ["version", "type", "after", "stop", "frame", "show_deleted"])
def test_text_for_an_integer(api, name):
    """Text for an integer parameter names the parameter."""
    answer = api.call("GET", api.lists, status=400, **{name: "abc"})
    assert answer == {
        "message": f"Query parameter error: {name}",
        "details": "Failed to cast value to integer type: abc",
    }


def test_ids_that_do_not_exist(api):
    """Unknown types, media and versions are empty lists; a malformed element id is 400."""
    for query in ({"type": 2000000000}, {"media_id": 2000000000}, {"version": 2000000000}):
        assert api.call("GET", api.lists, **query) == []
    assert api.refused("GET", api.lists, elemental_id="no") == "badly formed hexadecimal UUID string"


def test_unknown_parameters_match_everything(api):
    """Unknown parameters and filters on unknown attributes are ignored."""
    ids, elements = api.make(2)
    assert ids_of(api.rows(elements, nosuchparam=1)) == ids
    assert ids_of(api.rows(elements, attribute="NoSuch::1")) == ids


def test_version_lists_and_merge(api):
    """A version list reads several versions, and hides parents unless merge is 0."""
    baseline = api.server.seeded.versions["Baseline"]
    (parent,), (first,) = api.make()
    (child,), (second,) = api.make(parent=parent)
    both = f"{baseline},{api.version}"
    assert ids_of(api.rows([first, second], version=both)) == [child]
    assert ids_of(api.rows([first, second], version=both, merge=0)) == [parent, child]
    assert ids_of(api.rows([first, second])) == [parent, child]
    assert api.rows([first, second], version=baseline) == []


def test_changes_since(api, later):
    """attribute_gt on $modified_datetime finds what changed; a time without zone is five hours behind UTC."""
    (changed, _), elements = api.make(2)
    since = max(row["modified_datetime"] for row in api.rows(elements))
    later(since)
    new = api.patch(changed, attributes={"count": 2})
    assert new["id"] in ids_of(api.rows(elements, attribute_gt=f"$modified_datetime::{since}"))
    assert api.rows(elements, attribute_gt="$modified_datetime::2099-01-01T00:00:00Z") == []
    naive = new["modified_datetime"][:-1]
    assert api.rows(elements, attribute_gt=f"$modified_datetime::{naive}") == []


def test_a_wrong_date_is_400_on_get_and_500_on_put(api):
    """A bad filter value is JSON on GET and counts, an HTML page on a PUT read."""
    query = {"attribute_gt": "$modified_datetime::garbage"}
    assert WRONG_DATE in api.refused("GET", api.lists, **query)
    assert WRONG_DATE in api.refused("PUT", api.counts, {"ids": [1]}, **query)
    assert api.call("PUT", api.lists, {"ids": [1]}, 500, **query).startswith("<html>")


@pytest.mark.parametrize("text", ["a,b", "x::y", "it's", "深海魚", 'say "x"', "100%_"])
def test_searches_find_any_text(api, text):
    """encoded_search and object_search compare any text exactly."""
    label = f"{text} {uuid.uuid4()}"
    (id_,), _ = api.make(attributes={"Label": label})
    query = {"attribute": "Label", "operation": "eq", "value": label}
    assert ids_of(api.call("GET", api.lists, type=api.box_type, encoded_search=encoded(query))) == [id_]
    assert ids_of(api.call("PUT", api.lists, {"object_search": query})) == [id_]
    assert ids_of(api.call("PUT", api.lists, {"object_search": {**query, "operation": "icontains"}})) == [id_]


def test_attribute_parameter(api):
    """attribute= is exact with upper and lower case, a comma breaks it, of repeated ones the last counts."""
    tag = str(uuid.uuid4())
    (id_,), _ = api.make(attributes={"Label": f"Fish {tag}"})
    assert ids_of(api.call("GET", api.lists, attribute=f"Label::Fish {tag}")) == [id_]
    assert api.call("GET", api.lists, attribute=f"Label::fish {tag}") == []
    assert "not enough values to unpack" in api.refused("GET", api.lists, attribute="Label::a,b")
    assert ids_of(api.call("GET", api.lists, attribute=["Label::nothing", f"Label::Fish {tag}"])) == [id_]
    assert ids_of(api.call("GET", api.lists, attribute=f"Label::Fish {tag},count::0")) == [id_]


def leaf(attribute, operation, value, **more):
    return {"attribute": attribute, "operation": operation, "value": value, **more}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (leaf("score", "gt", 0.4), {1, 2}),
        (leaf("score", "range", [0.1, 0.6]), {0, 1}),
        (leaf("count", "in", [1, 3]), {0, 2}),
        (leaf("verified", "eq", True), {2}),
        (leaf("quality", "eq", "bad", inverse=True), {0, 1}),
        (leaf("seen_at", "date_gte", "2026-02-01T00:00:00Z"), {1, 2}),
        (leaf("seen_at", "date_range", ["2026-01-01T00:00:00Z", "2026-02-15T00:00:00Z"]), {0, 1}),
        (leaf("$x", "lt", 0.15), {0}),
        (leaf("notes", "isnull", False), {0, 1, 2}),
        (leaf("Label", "istartswith", "KI"), {0, 1, 2}),
        (leaf("NoSuch", "eq", 1), {0, 1, 2}),
        ({"method": "and", "operations": [leaf("score", "gt", 0.4), leaf("count", "eq", 2)]}, {1}),
        ({"method": "or", "operations": [leaf("count", "eq", 1), leaf("count", "eq", 2)]}, {0, 1}),
        ({"method": "not", "operations": [leaf("count", "eq", 1)]}, {1, 2}),
    ],
)
def test_operations(api, query, found):
    """Every operation of a search selects what it says."""
    kinds = [
        {"count": 1, "score": 0.2, "seen_at": "2026-01-15T00:00:00+00:00"},
        {"count": 2, "score": 0.5, "seen_at": "2026-02-10T00:00:00+01:00"},
        {"count": 3, "score": 0.8, "seen_at": "2026-03-15T00:00:00+00:00", "verified": True, "quality": "bad"},
    ]
    specs = [api.spec(x=(k + 1) / 10, attributes={"Label": "kind", **attributes}) for k, attributes in enumerate(kinds)]
    ids = api.call("POST", api.lists, specs, 201)["id"]
    rows = api.call("PUT", api.lists, {"ids": ids, "object_search": query}, version=api.version)
    assert {ids.index(row["id"]) for row in rows} == found


def test_a_broken_search(api):
    """A search that is no JSON is 400 with the parser's text."""
    assert "Expecting value" in api.refused("GET", api.lists, encoded_search=base64.b64encode(b"nonsense").decode())


def test_one_null_breaks_filters_on_its_attribute(fresh):
    """A stored null in a float attribute makes every filter on it fail, but for attribute_null."""
    (id_, _), elements = fresh.make(2)
    query = {"version": fresh.version, "attribute_gt": "score::0.1"}
    assert len(fresh.call("GET", fresh.lists, **query)) == 2
    fresh.patch(id_, null_attributes=["score"], in_place=1)
    assert fresh.refused("GET", fresh.lists, **query) == "cannot cast jsonb null to type double precision"
    assert ids_of(fresh.call("GET", fresh.lists, version=fresh.version, attribute_null="score::true")) == [id_]
    fresh.patch(id_, attributes={"score": 0.5}, in_place=1)
    assert len(fresh.call("GET", fresh.lists, **query)) == len(elements)


def test_lists_are_gzip_always_and_escaped(api):
    """GET lists are gzip-encoded whatever the client accepts, PUT answers are not; text is ASCII."""
    _, (element,) = api.make(attributes={"Label": "深海魚"})
    got = api.http.get(api.lists, params={"elemental_id": element}, headers={"Accept-Encoding": "identity"})
    assert got.headers["content-encoding"] == "gzip" and b"\\u6df1\\u6d77\\u9b5a" in got.content
    put = api.http.put(api.lists, json={"elemental_ids": [element]})
    assert "content-encoding" not in put.headers and put.json() == got.json()


@pytest.mark.parametrize("off", [-1, 0, 1])
def test_an_answer_of_8192_bytes_never_ends(api, off):
    """A list whose text is a multiple of 8,192 bytes hangs, one byte more or less does not."""
    (id_,), (element,) = api.make()
    length = len(api.http.get(api.lists, params={"elemental_id": element}).content)
    api.patch(id_, attributes={"notes": "x" * (8192 + off - length)}, in_place=1)
    if off:
        answer = api.http.get(api.lists, params={"elemental_id": element}, timeout=5)
        assert len(answer.content) == 8192 + off
    else:
        with pytest.raises(httpx.ReadTimeout):
            api.http.get(api.lists, params={"elemental_id": element}, timeout=0.4)
        assert api.http.get(api.lists, params={"elemental_id": element, "fields": "id"}, timeout=5).json()


def test_long_request_lines(api):
    """A request line over 4,094 bytes is a 400 page, over 8 KB 414; a PUT takes the same ids."""
    ids = ",".join(["12345"] * 600)
    answer = api.http.get(api.lists, params={"media_id": ids})
    assert answer.status_code == 400
    assert re.search(r"Request Line is too large \(\d+ &gt; 4094\)", answer.text)
    assert api.http.get(api.lists, params={"media_id": ids * 3}).status_code == 414
    assert api.call("PUT", api.lists, {"ids": list(range(90000, 130000))}) == []


def test_bodies_over_the_limit(api):
    """A body over 2.5 MiB is 400."""
    message = api.refused("POST", api.lists, [api.spec(attributes={"notes": "x" * 2_700_000})])
    assert message == "Request body exceeded settings.DATA_UPLOAD_MAX_MEMORY_SIZE."
