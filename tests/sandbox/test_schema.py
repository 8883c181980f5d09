"""The OpenAPI document, and tator-py built from it."""

import httpx
import pytest
import tator
import yaml
from tator.exceptions import ApiException


@pytest.fixture(scope="module")
def client(sandbox):
    return tator.get_api(sandbox.url, sandbox.tokens["editor"])


@pytest.fixture(scope="module")
def boxes(client, sandbox):
    spec = {
        "type": 1, "media_id": sandbox.seeded.media, "version": 2, "frame": 0, "x": 0.1, "y": 0.1, "width": 0.2,
        "height": 0.2, "attributes": {"Label": "tator-py"},
    }  # fmt: skip
    return client.create_localization_list(1, body=[spec] * 4).id


def test_the_document(sandbox):
    """/schema moves to /schema/, which is YAML without login, and JSON on request."""
    moved = httpx.get(f"{sandbox.url}/schema")
    assert (moved.status_code, moved.headers["location"]) == (301, "/schema/")
    answer = httpx.get(f"{sandbox.url}/schema/")
    assert answer.headers["content-type"].startswith("application/vnd.oai.openapi")
    document = yaml.safe_load(answer.text)
    assert document == httpx.get(f"{sandbox.url}/schema/", params={"format": "json"}).json()
    names = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert len(names) == len(set(names)) > 50


def test_every_reference_leads_somewhere(sandbox):
    """All schemas that are referred to exist."""
    document = httpx.get(f"{sandbox.url}/schema/", params={"format": "json"}).json()
    references = set()

    def walk(value):
        if isinstance(value, dict):
            references.add(value.get("$ref"))
            list(map(walk, value.values()))
        elif isinstance(value, list):
            list(map(walk, value))

    walk(document)
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert references - {None} <= known


def test_reading_with_tator_py(client, boxes, sandbox):
    """tator-py reads projects, types, lists and counts as its own classes."""
    assert client.whoami().username == "editor"
    assert client.get_project(1).name == "Contract"
    assert client.get_localization_type(1).attribute_types[0].name == "Label"
    assert [version.name for version in client.get_version_list(1)][:2] == ["Baseline", "Scratch"]
    assert client.get_membership_list(1)[0].permission == "Full Control"
    rows = client.get_localization_list(1, version=[2], type=1, after=min(boxes) - 1)
    assert isinstance(rows[0], tator.models.Localization) and rows[0].attributes["Label"] == "tator-py"
    assert client.get_localization_count(1, version=[2], after=min(boxes) - 1) >= len(boxes)
    assert [row.id for row in client.get_localization_list_by_id(1, {"ids": boxes[:2]})] == boxes[:2]


def test_writing_with_tator_py(client, boxes):
    """tator-py edits and deletes single rows and lists."""
    first, *rest = boxes
    edited = client.update_localization(first, localization_update={"attributes": {"Label": "edited"}})
    assert edited.object.mark == 1 and isinstance(edited.object, tator.models.Localization)
    change = {"ids": rest, "attributes": {"score": 0.5}}
    assert "updated 3" in client.update_localization_list(1, localization_bulk_update=change, count=3).message
    gone = client.delete_localization_list(1, localization_bulk_delete={"ids": rest}, count=3, version=[2])
    assert gone.message == "Successfully deleted 3 localizations!"
    assert client.delete_localization(edited.object.id).id > edited.object.id


def test_refusals_in_tator_py(client):
    """A refusal is tator-py's own exception with the status."""
    with pytest.raises(ApiException) as refusal:
        client.get_localization(2000000000)
    assert refusal.value.status == 404


def test_downloads_with_tator_py(client, sandbox, tmp_path):
    """tator.util.download_media gets the picture's bytes."""
    media = client.get_media(sandbox.seeded.media, presigned=300)
    target = tmp_path / "picture.jpg"
    assert list(tator.util.download_media(client, media, str(target)))[-1] == 100
    assert target.stat().st_size == media.media_files.image[0].size


def test_tracks_with_tator_py(client, sandbox):
    """tator-py makes states and edits their members."""
    spec = {"type": 1, "media_ids": [sandbox.seeded.media], "version": 2, "localization_ids": [], "attributes": {}}
    (id_,) = client.create_state_list(1, body=[spec]).id
    answer = client.update_state(id_, state_update={"localization_ids_add": [5], "in_place": 1})
    assert answer.message.endswith("successfully updated!")
    assert client.get_state(id_).localizations == [5]
