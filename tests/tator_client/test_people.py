from __future__ import annotations

from typing import Any

import pytest

from fiftyone_tator.tator_client import Level, PermissionDenied, ServerFailed, Tator


@pytest.mark.parametrize(
    ("who", "level"), [("admin", Level.FULL_CONTROL), ("editor", Level.CAN_EDIT), ("viewer", Level.VIEW_ONLY)]
)
def test_a_user_knows_their_level(sandbox: Any, who: str, level: Level) -> None:
    """The level is that of the membership, also of a project's creator."""
    with Tator(sandbox.url, sandbox.tokens[who]) as tator:
        assert tator.level(sandbox.project) is level


def test_who_is_no_member_has_no_level(sandbox: Any) -> None:
    """Asking for the level in a foreign project fails like everything else there."""
    with Tator(sandbox.url, sandbox.tokens["outsider"]) as tator, pytest.raises(PermissionDenied):
        tator.level(sandbox.project)


@pytest.mark.parametrize(
    ("words", "level"),
    [
        ("View Only", Level.VIEW_ONLY),
        ("Can Transfer", Level.CAN_TRANSFER),
        ("Permission.VIEW_ONLY", Level.VIEW_ONLY),
        ("full control", Level.FULL_CONTROL),
        ("Something New", Level.CAN_EDIT),
        ("", Level.CAN_EDIT),
        (None, Level.CAN_EDIT),
    ],
)
def test_unknown_levels_lock_nobody_out(words: str | None, level: Level) -> None:
    """Levels are read in any spelling; what is unknown may write as far as we are concerned."""
    assert Level.from_words(words) is level


def test_levels_are_in_order_and_have_words() -> None:
    """A higher level compares as greater, and is named as Tator names it."""
    assert [level.words for level in sorted(Level)] == [
        *("View Only", "Can Edit", "Can Transfer", "Can Execute", "Full Control")
    ]


def test_fine_grained_permissions_are_left_to_the_server(server: Any, token: str) -> None:
    """Where memberships do not decide, a membership that may only look keeps nobody from trying."""
    project = {"id": 1, "name": "p", "permission": "View Only", "effective_permission": 15}
    server.will(server.json(project))
    with Tator(server.url, token) as tator:
        assert tator.level(1) is Level.CAN_EDIT
    assert len(server.seen) == 1


def test_authors_are_found_among_those_whom_the_user_may_see(sandbox: Any, tator: Tator) -> None:
    """Elemental ids come for members of common projects; outsiders and unknown users are left out."""
    users = sandbox.seeded.users
    me = tator.whoami()
    found = tator.user_elemental_ids([users["viewer"], me.id, users["outsider"], 99_999, me.id])
    assert found.keys() == {users["viewer"], me.id} and found[me.id] == me.elemental_id
    with Tator(sandbox.url, sandbox.tokens["admin"]) as admin:
        assert admin.user_elemental_ids([users["outsider"], 99_999]).keys() == {users["outsider"]}
    assert tator.user_elemental_ids([]) == {}


def test_a_failing_server_is_not_taken_for_a_hidden_user(server: Any, token: str) -> None:
    """Only a refusal leaves a user out."""
    server.will(server.json({"message": "x"}, 500))
    with Tator(server.url, token, retries=0) as tator, pytest.raises(ServerFailed):
        tator.user_elemental_ids([1])


def test_a_new_mark_may_keep_its_author(scene: Any) -> None:
    """With Full Control an edit by creation names its author; below it the whole request is refused."""
    (element,) = scene.make(1)
    (row,) = scene.read(element)
    authors = scene.tator.user_elemental_ids([row.created_by])
    spec = scene.spec("new", elemental_id=element, user_elemental_id=authors[row.created_by])
    with Tator(scene.sandbox.url, scene.sandbox.tokens["admin"]) as admin:
        admin.create_localizations(scene.project, [scene.spec("new", elemental_id=element)])
        (taken,) = scene.read(element)
        assert taken.created_by == admin.whoami().id != row.created_by
        assert isinstance(admin.create_each(scene.project, [spec])[0], int)
    assert scene.read(element)[0].created_by == row.created_by
    with pytest.raises(PermissionDenied, match="authorship"):
        scene.tator.create_each(scene.project, [spec])
