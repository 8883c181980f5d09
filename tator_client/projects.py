"""What the server knows about users, projects, versions and types."""

from __future__ import annotations

from collections.abc import Sequence

from ._base import Connected
from ._chunks import unique
from .errors import NotFound, PermissionDenied
from .models import (
    Level,
    LocalizationType,
    MediaType,
    Membership,
    Project,
    Section,
    StateType,
    User,
    Version,
)


class ProjectCalls(Connected):
    """The part of a session that reads what projects consist of.

    Every method raises a :class:`.errors.TatorError`: ``NotFound`` for an id that does not
    exist, ``PermissionDenied`` for a project the user is no member of.
    """

    def whoami(self) -> User:
        """Returns the user of the token; the cheapest way to test URL and token."""
        return self._one("User/GetCurrent", User.from_json)

    def user_elemental_ids(self, ids: Sequence[int]) -> dict[int, str]:
        """Returns the elemental ids of users, by which a spec names another author.

        A user may see those with whom they share a project.

        Args:
            ids: ids of users; none asks nothing

        Returns:
            elemental ids by user id; users that the server does not show are left out
        """
        found: dict[int, str] = {}
        for id in unique(ids):
            try:
                user = self._one(f"User/{int(id)}", User.from_json)
            except (NotFound, PermissionDenied):
                continue
            if user.elemental_id:
                found[id] = user.elemental_id
        return found

    def projects(self) -> list[Project]:
        """Returns the projects that the user may see."""
        return self._list("Projects", Project.from_json)

    def project(self, project: int) -> Project:
        """Returns one project by its id."""
        return self._one(f"Project/{int(project)}", Project.from_json)

    def memberships(self, project: int) -> list[Membership]:
        """Returns the members of a project with their levels and default versions."""
        return self._list(f"Memberships/{int(project)}", Membership.from_json)

    def level(self, project: int) -> Level:
        """Returns what the user of the token may do in a project.

        Under fine-grained permissions, which are of other levels, it is ``CAN_EDIT``: the server decides
        then what may be written.
        """
        found = self.project(project)
        if found.effective_permission:
            return Level.CAN_EDIT
        me = self.whoami().id
        # Who made a project is called its Creator, and may be lowered like any other member.
        mine = [each.permission for each in self.memberships(project) if each.user == me]
        return Level.from_words(mine[0] if mine else found.permission)

    def versions(self, project: int) -> list[Version]:
        """Returns the versions of a project."""
        return self._list(f"Versions/{int(project)}", Version.from_json)

    def version(self, version: int) -> Version:
        """Returns one version by its id."""
        return self._one(f"Version/{int(version)}", Version.from_json)

    def localization_types(self, project: int) -> list[LocalizationType]:
        """Returns the localization types of a project."""
        return self._list(f"LocalizationTypes/{int(project)}", LocalizationType.from_json)

    def media_types(self, project: int) -> list[MediaType]:
        """Returns the media types of a project."""
        return self._list(f"MediaTypes/{int(project)}", MediaType.from_json)

    def state_types(self, project: int) -> list[StateType]:
        """Returns the state types of a project."""
        return self._list(f"StateTypes/{int(project)}", StateType.from_json)

    def sections(self, project: int) -> list[Section]:
        """Returns the sections (folders, playlists, saved searches) of a project."""
        return self._list(f"Sections/{int(project)}", Section.from_json)
