"""Who may come in, and who may do what."""

import pytest

from fiftyone_tator.sandbox.access import Gate
from fiftyone_tator.sandbox.errors import BadRequest
from fiftyone_tator.sandbox.seed import seed
from fiftyone_tator.sandbox.store import Store
from fiftyone_tator.sandbox.testing import running

DENIED = "You do not have permission to perform this action."


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (None, "Authentication credentials were not provided."),
        ("Token deadbeef", "Invalid token."),
        ("Bearer {}", "Authentication credentials were not provided."),
        ("{}", "Authentication credentials were not provided."),
    ],
)
def test_unknown_callers_get_400(api, header, message):
    """Missing and wrong credentials are 400, never 401."""
    token = api.server.tokens["editor"]
    api.http.headers.pop("Authorization")
    try:
        headers = {} if header is None else {"Authorization": header.format(token)}
        answer = api.http.get(api.lists, params={"stop": 1}, headers=headers)
    finally:
        api.http.headers["Authorization"] = f"Token {token}"
    assert (answer.status_code, answer.json()) == (400, {"message": message, "details": "None"})


def test_word_token_in_any_case(api):
    """The word Token may be written in lower case."""
    answer = api.http.get("/rest/User/GetCurrent", headers={"Authorization": f"token {api.server.tokens['editor']}"})
    assert answer.json()["username"] == "editor"


def test_outsider_is_denied(api, api_of):
    """A user who is no member gets 403 for lists and rows, and an empty list of projects."""
    (id_,), _ = api.make()
    outsider = api_of("outsider")
    assert outsider.refused("GET", api.lists, status=403, stop=1) == DENIED
    assert outsider.refused("GET", f"/rest/Localization/{id_}", status=403) == DENIED
    assert outsider.refused("PATCH", f"/rest/Localization/{id_}", {"frame": 1}, 403) == DENIED
    assert outsider.call("GET", "/rest/Projects") == []


def test_viewer_reads_and_cannot_write(api, api_of):
    """View Only reads everything and writes nothing."""
    (id_,), (element,) = api.make()
    viewer = api_of("viewer")
    assert viewer.row(element)["id"] == id_
    path = f"/rest/Localization/{id_}"
    for method, where, body in [
        ("POST", api.lists, [api.spec()]),
        ("PATCH", path, {"frame": 1}),
        ("DELETE", path, {}),
        ("PATCH", api.lists, {"ids": [id_], "attributes": {"Label": "x"}}),
        ("DELETE", api.lists, {"ids": [id_]}),
        ("POST", api.states, [{"type": 1, "media_ids": [1]}]),
        ("POST", f"/rest/Versions/{api.project}", {"name": "mine"}),
    ]:
        assert viewer.refused(method, where, body, 403) == DENIED
    assert api.row(element)["attributes"]["Label"] == "fish"


def test_deleting_media_needs_can_transfer(api):
    """Can Edit is not enough to delete media."""
    assert api.refused("DELETE", f"/rest/Media/{api.server.seeded.media}", status=403) == DENIED


def test_authorship_needs_full_control(api, admin):
    """user_elemental_id sets the author with Full Control only."""
    viewer = admin.call("GET", f"/rest/Memberships/{api.project}")[2]
    assert viewer["username"] == "viewer"
    row = admin.server.store.row("select elemental_id from user where username = 'viewer'")
    message = "User Editor Test does not have full permission, required for authorship modifications"
    assert api.refused("POST", api.lists, [api.spec(user_elemental_id=row[0])], 403) == message
    (id_,), (element,) = admin.make(user_elemental_id=row[0])
    assert (admin.row(element)["created_by"], admin.row(element)["user"]) == (viewer["user"],) * 2
    assert admin.row(element)["modified_by"] == viewer["user"]
    own = admin.call("GET", "/rest/User/GetCurrent")
    unknown = "00000000-0000-4000-8000-000000000000"
    assert admin.refused("PATCH", f"/rest/Localization/{id_}", {"user_elemental_id": unknown}) == (
        f"Couldn't find user with {unknown}"
    )
    patched = admin.patch(id_, user_elemental_id=own["elemental_id"])
    assert (patched["created_by"], patched["id"], patched["mark"]) == (own["id"], id_, 0)
    admin.bulk({"elemental_ids": [element], "user_elemental_id": row[0]})
    assert (admin.row(element)["created_by"], admin.row(element)["id"]) == (viewer["user"], id_)


def test_authors_are_changed_on_all_marks(admin):
    """A change of the author in bulk reaches old marks too, and counts them."""
    (id_,), (element,) = admin.make()
    admin.patch(id_, attributes={"Label": "new"})
    viewer = admin.server.store.row("select id, elemental_id from user where username = 'viewer'")
    body = {"elemental_ids": [element], "user_elemental_id": viewer["elemental_id"]}
    assert admin.bulk(body, count=2) == "Successfully updated 2 localizations!"
    rows = admin.rows([element], show_all_marks=1)
    assert [(row["mark"], row["created_by"]) for row in rows] == [(0, viewer["id"]), (1, viewer["id"])]


def test_users_see_those_they_share_a_project_with(api, api_of):
    """A user is shown to themselves, to members of common projects and to staff; to others it is 403."""
    users = api.server.seeded.users
    shown = api.call("GET", f"/rest/User/{users['viewer']}")
    assert (shown["username"], len(shown["elemental_id"])) == ("viewer", 36)
    assert shown.keys() == api.call("GET", "/rest/User/GetCurrent").keys()
    for who, whom, status in [
        ("editor", users["outsider"], 403),
        ("editor", 99_999, 403),
        ("outsider", users["editor"], 403),
        ("outsider", users["outsider"], 200),
        ("admin", users["outsider"], 200),
        ("admin", 99_999, 404),
    ]:
        api_of(who).call("GET", f"/rest/User/{whom}", status=status)


def test_requests_over_the_limit_are_400(connected):
    """Too many requests in a second are refused with 400 and no Retry-After."""
    with running(requests_per_second=3) as server:
        api = connected(server, "editor")
        answers = [api.http.get("/rest/User/GetCurrent") for _ in range(12)]
        api.http.close()
    refused = [answer for answer in answers if answer.status_code != 200]
    assert refused
    assert {answer.status_code for answer in refused} == {400}
    assert refused[0].json()["message"] == "Request was throttled. Expected available in 1 second."
    assert "retry-after" not in refused[0].headers


def test_password_login_and_refresh(fresh):
    """A password gets the user's one token; refresh replaces it and the old one dies."""
    login = {"username": "viewer", "password": "viewer"}
    old = fresh.call("POST", "/rest/Token", {**login, "refresh": False}, 201)["token"]
    assert old == fresh.server.tokens["viewer"]
    new = fresh.call("POST", "/rest/Token", {**login, "refresh": True}, 201)["token"]
    assert len(new) == 40 and new != old
    answer = fresh.http.get("/rest/Projects", headers={"Authorization": f"Token {old}"})
    assert answer.json()["message"] == "Invalid token."


def test_three_wrong_passwords_lock_for_ten_minutes():
    """After three wrong passwords the right one is refused with the same message, for ten minutes."""
    store, moment = Store(), [1000.0]
    seed(store)
    gate = Gate(store, clock=lambda: moment[0])
    messages = set()
    for password in ("a", "b", "c", "editor"):
        with pytest.raises(BadRequest) as refusal:
            gate.login("editor", password)
        messages.add(str(refusal.value))
    assert len(messages) == 1
    moment[0] += 601
    assert gate.login("editor", "editor").username == "editor"
    store.close()


def test_tokens_stay_with_the_database(tmp_path):
    """Tokens are 40 hexadecimal digits, the same whenever a database is opened, others in another one."""
    first = Store(tmp_path / "a.sqlite")
    tokens = seed(first).tokens
    first.close()
    again, other = Store(tmp_path / "a.sqlite"), Store(tmp_path / "b.sqlite")
    assert seed(again).tokens == tokens != seed(other).tokens
    assert all(len(token) == 40 and int(token, 16) >= 0 for token in tokens.values())
    again.close()
    other.close()


def test_unknown_ids_and_paths(api):
    """Unknown ids are 404 with a JSON message, an unknown path 404 with a page, a wrong method 400."""
    assert api.refused("GET", "/rest/Localization/2000000000", status=404) == "No Localization matches the given query."
    assert api.refused("GET", "/rest/Localizations/999", status=404) == "No Project matches the given query."
    assert api.refused("GET", "/rest/Version/999", status=404) == "No Version matches the given query."
    nobody = f"/rest/Localization/{api.version}/00000000-0000-4000-8000-000000000000"
    assert api.refused("GET", nobody, status=404) == ""
    assert "Not Found" in api.call("GET", "/rest/NoSuchThing", status=404)
    assert api.refused("OPTIONS", api.lists) == 'Method "OPTIONS" not allowed.'


def test_users_projects_and_members(api):
    """The small lists have the keys that clients read."""
    assert api.call("GET", "/rest/User/GetCurrent").keys() >= {"id", "username", "elemental_id", "is_staff", "email"}
    (project,) = api.call("GET", "/rest/Projects")
    assert project == api.call("GET", f"/rest/Project/{api.project}")
    assert (project["name"], project["permission"], project["organization"]) == ("Contract", "Can Edit", 1)
    members = {row["username"]: row["permission"] for row in api.call("GET", f"/rest/Memberships/{api.project}")}
    assert members == {"admin": "Full Control", "editor": "Can Edit", "viewer": "View Only"}


def test_types_versions_and_sections(api):
    """Types carry their attribute types, versions number and bases, sections their folder."""
    box = api.call("GET", f"/rest/LocalizationType/{api.box_type}")
    assert (box["dtype"], box["name"], box["media"]) == ("box", "Box", [1, 2])
    label = box["attribute_types"][0]
    assert label == {
        "name": "Label", "dtype": "string", "order": 0, "default": "unknown", "required": False, "description": "",
    }  # fmt: skip
    for kind, names in [("Localization", "Box Dot Line Poly"), ("State", "FrameState Track"), ("Media", "Image Video")]:
        assert [row["name"] for row in api.call("GET", f"/rest/{kind}Types/{api.project}")] == names.split()
    versions = api.call("GET", f"/rest/Versions/{api.project}")
    assert [(row["name"], row["number"], row["bases"]) for row in versions[:2]] == [
        ("Baseline", 0, []),
        ("Scratch", 1, []),
    ]
    assert api.call("GET", f"/rest/Version/{api.version}")["name"] == "Scratch"
    assert api.call("GET", f"/rest/Sections/{api.project}")[0]["path"] == "Dive_1"


def test_versions_come_and_go(fresh):
    """A new version gets the next number; deleting one hides its rows."""
    made = fresh.call("POST", f"/rest/Versions/{fresh.project}", {"name": "Model", "bases": [1]}, 201)
    assert (made["object"]["number"], made["object"]["bases"]) == (2, [1])
    (id_,), _ = fresh.make(version=made["id"])
    fresh.call("DELETE", f"/rest/Version/{made['id']}")
    assert fresh.call("GET", fresh.counts, version=made["id"]) == 0
    fresh.call("GET", f"/rest/Localization/{id_}", status=404)


def test_helpers_extend_a_project(fresh):
    """Attribute types that the store gets show at once and are accepted."""
    fresh.server.store.add_attribute_type("localization", fresh.box_type, {"name": "extra", "dtype": "int"})
    _, (element,) = fresh.make(attributes={"extra": "3"})
    assert fresh.row(element)["attributes"]["extra"] == 3
