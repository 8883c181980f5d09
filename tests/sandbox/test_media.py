"""Media: lists, links that expire, files, deletion."""

import base64
import json
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from fiftyone_tator.sandbox.signing import Signer
from fiftyone_tator.sandbox.store import MediaFile
from fiftyone_tator.sandbox.testing import running


def encoded(version):
    return base64.b64encode(json.dumps({"attribute": "$version", "operation": "eq", "value": version}).encode())


@pytest.fixture
def more(fresh):
    """A project with media whose names are not in the order of ids."""
    store, seeded = fresh.server.store, fresh.server.seeded
    names = ("zebra.jpg", "Ant.jpg", "bee.jpg")
    ids = [
        store.add_media(seeded.project, 1, name, section=seeded.section, attributes={"depth": 3.0}) for name in names
    ]
    return fresh, ids


def names_of(api, method="GET", body=None, **query):
    return [row["name"] for row in api.call(method, f"/rest/Medias/{api.project}", body, **query)]


def test_order_and_pages(more):
    """Media are ordered by name, unless sort_by says otherwise; after speaks of ids, PUT ignores start and stop."""
    api, ids = more
    assert names_of(api) == ["Ant.jpg", "bee.jpg", "contract.jpg", "zebra.jpg"]
    assert names_of(api, sort_by="$id", after=ids[0]) == ["Ant.jpg", "bee.jpg"]
    assert names_of(api, start=1, stop=3) == ["bee.jpg", "contract.jpg"]
    assert names_of(api, after_name="bee.jpg") == ["contract.jpg", "zebra.jpg"]
    assert names_of(api, "PUT", {"ids": ids}, start=1, stop=2) == ["Ant.jpg", "bee.jpg", "zebra.jpg"]
    assert len(names_of(api, "PUT", {"ids": []})) == 4


def test_filters_and_count(more):
    """name ignores case, section and attributes select, a count is a bare integer."""
    api, ids = more
    assert names_of(api, name="ANT.JPG") == ["Ant.jpg"]
    assert names_of(api, attribute="depth::3") == ["Ant.jpg", "bee.jpg", "zebra.jpg"]
    assert len(names_of(api, section=api.server.seeded.section)) == 4
    count = f"/rest/MediaCount/{api.project}"
    assert api.call("GET", count) == 4
    assert api.call("PUT", count, {"ids": [*ids[:2], 999999999]}) == 2


def test_before_the_import(more):
    """A media without files has no size and an empty media_files."""
    api, ids = more
    row = api.call("GET", f"/rest/Media/{ids[0]}")
    assert (row["width"], row["height"], row["media_files"]) == (None, None, {})
    assert row["attributes"]["tator_user_sections"]


def test_media_of_a_version(fresh):
    """encoded_related_search finds media with a live row in a version, related_attribute also with dead ones."""
    query = {"encoded_related_search": encoded(fresh.version).decode()}
    assert names_of(fresh, **query) == []
    (id_,), _ = fresh.make()
    assert names_of(fresh, **query) == ["contract.jpg"]
    fresh.call("DELETE", f"/rest/Localization/{id_}", {})
    assert names_of(fresh, **query) == []
    assert names_of(fresh, related_attribute=f"$version::{fresh.version}") == ["contract.jpg"]


def test_rows_by_their_media(more):
    """Localizations are found by their media's section and attributes."""
    api, ids = more
    (id_,), _ = api.make(media_id=ids[0])
    api.make()
    query = {"version": api.version, "related_attribute": "depth::3"}
    assert [row["id"] for row in api.call("GET", api.lists, **query)] == [id_]
    assert api.call("GET", api.counts, version=api.version, section=api.server.seeded.section) == 2
    assert api.call("GET", api.counts, version=api.version, media_id=ids[0]) == 1


def test_keys_and_links(api):
    """Without presigned a path is a storage key; with it a link that needs no token."""
    path = f"/rest/Media/{api.server.seeded.media}"
    (image,) = api.call("GET", path)["media_files"]["image"]
    assert (image["path"], image["resolution"], image["mime"]) == ("1/1/1/image.jpeg", [384, 512], "image/jpeg")
    link = api.call("GET", path, presigned=3600, no_cache="true")["media_files"]["image"][0]["path"]
    query = parse_qs(urlsplit(link).query)
    assert query["X-Amz-Expires"] == ["3600"] and {"X-Amz-Date", "X-Amz-Signature"} <= set(query)
    answer = httpx.get(link)
    assert answer.content[:3] == b"\xff\xd8\xff" and len(answer.content) == image["size"]
    assert answer.headers["content-type"] == "image/jpeg"


def test_links_are_remembered(api_of):
    """A link may come back with the lifetime that was asked for earlier; no_cache forces a new one."""
    api = api_of("viewer")

    def lifetime(**query):
        (row,) = api.call("PUT", f"/rest/Medias/{api.project}", {"ids": [1]}, **query)
        return parse_qs(urlsplit(row["media_files"]["thumbnail"][0]["path"]).query)["X-Amz-Expires"]

    assert lifetime(presigned=86400) == lifetime(presigned=3600) == ["86400"]
    assert lifetime(presigned=3600, no_cache="true") == ["3600"]


def test_links_expire(connected):
    """A link that is old, changed or unsigned is an S3 error."""
    moment = [1_700_000_000.0]
    with running(clock=lambda: moment[0], link_seconds=60) as server:
        api = connected(server, "editor")
        link = api.call("GET", "/rest/Media/1", presigned=3600)["media_files"]["image"][0]["path"]
        assert "X-Amz-Expires=60" in link
        assert httpx.get(link).status_code == 200
        for wrong in (link[:-1], link.replace("Expires=60", "Expires=99"), link.partition("?")[0]):
            assert httpx.get(wrong).status_code == 403
        moment[0] += 60
        answer = httpx.get(link)
        api.http.close()
    assert (answer.status_code, answer.headers["content-type"]) == (403, "application/xml")
    assert "<Code>AccessDenied</Code><Message>Request has expired</Message>" in answer.text


def test_a_remembered_link_is_renewed_in_time():
    """A remembered link is not given out for the last fifth of its life."""
    moment = [0.0]
    signer = Signer("secret", clock=lambda: moment[0])
    first = signer.link("", "a", 100, user=1)
    moment[0] = 79
    assert signer.link("", "a", 100, user=1) == first
    moment[0] = 81
    assert signer.link("", "a", 100, user=1) != first


def test_videos(fresh):
    """A video has a segments file beside each streaming file, and its bytes come in ranges."""
    seeded = fresh.server.seeded
    files = [
        MediaFile("streaming", "144.mp4", b"0123456789", (144, 256), codec="h264", segment_info=b'{"segments": []}'),
        MediaFile("archival", "full.mp4", b"x" * 100, (360, 640), codec="h264"),
    ]
    id_ = fresh.server.store.add_media(
        seeded.project, seeded.media_types["Video"], "clip.mp4", files, width=640, height=360, fps=15.0, num_frames=90
    )
    row = fresh.call("GET", f"/rest/Media/{id_}", presigned=60)
    assert (row["fps"], row["num_frames"], row["width"]) == (15.0, 90, 640)
    (streaming,) = row["media_files"]["streaming"]
    assert httpx.get(streaming["segment_info"]).json() == {"segments": []}
    part = httpx.get(streaming["path"], headers={"Range": "bytes=2-4"})
    assert (part.status_code, part.content, part.headers["content-range"]) == (206, b"234", "bytes 2-4/10")


def test_deleting_media_hides_rows(more):
    """Deleting a media hides its localizations without tombstones."""
    api, ids = more
    (id_,), (element,) = api.make(media_id=ids[0])
    api.call("DELETE", f"/rest/Media/{ids[0]}")
    assert api.rows([element], show_deleted=1, show_all_marks=1) == []
    assert api.refused("GET", f"/rest/Localization/{id_}", status=404)
    assert api.refused("GET", f"/rest/Media/{ids[0]}", status=404) == "No Media matches the given query."
    assert "zebra.jpg" not in names_of(api)
    assert api.refused("POST", api.lists, [api.spec(media_id=ids[0])]) == str(ids[0])


def test_fields_of_media(api):
    """fields works for media, and an unknown one empties the answer."""
    path = f"/rest/Medias/{api.project}"
    assert set(api.call("GET", path, fields="id,name")[0]) == {"id", "name"}
    assert api.http.get(path, params={"fields": "nosuchfield"}).content == b""
