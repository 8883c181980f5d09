"""What a push needs to know of the project, and whether it may write there: found out before anything is written."""

from collections.abc import Mapping
from dataclasses import dataclass

from fiftyone_tator.sync.errors import InvalidOption, NotAllowed
from fiftyone_tator.sync.origin import Origin
from fiftyone_tator.sync.push_options import PushOptions
from fiftyone_tator.sync.scope import Scope, find_version, users_of
from fiftyone_tator.tator_client import Level, LocalizationType, Project, Tator, User, Version


@dataclass(frozen=True)
class Target:
    """The project that a push writes to.

    Args:
        project: the project
        types: its localization types by id, those that the dataset has
        versions: its versions by id
        version: where proposals go; None if every localization stays in its own version
        users: user names by id
        me: who is pushing
        level: what that user may do
    """

    project: Project
    types: Mapping[int, LocalizationType]
    versions: Mapping[int, Version]
    version: Version | None
    users: Mapping[int, str]
    me: User
    level: Level

    @classmethod
    def of(cls, client: Tator, origin: Origin, options: PushOptions, *, needed: Level = Level.CAN_EDIT) -> "Target":
        """Asks the server.

        Args:
            client: the session with the server
            origin: the dataset
            options: of the push
            needed: the level that the user needs

        Raises:
            InvalidOption: if the dataset is another server's, or there is no such version
            NotAllowed: if the user may only look
            TatorError: if the server cannot be asked
        """
        if client.url != origin.server:
            raise InvalidOption(
                f"Dataset {origin.dataset.name!r} comes from {origin.server}, not from {client.url}. Name that server, "
                "or leave the option server out."
            )
        project, level = client.project(origin.project), client.level(origin.project)
        if level < needed:
            raise NotAllowed(
                f"You may look at project {project.name!r} on {client.url}, but not edit it. Ask its owner for the "
                "level Can Edit; your edits stay here until then."
            )
        versions = {version.id: version for version in client.versions(project.id)}
        known = {int(kind) for kind in origin.info["types"]}
        return cls(
            project=project,
            types={kind.id: kind for kind in client.localization_types(project.id) if kind.id in known},
            versions=versions,
            version=None if options.version is None else find_version(project, versions.values(), options.version),
            users=users_of(client, project.id),
            me=client.whoami(),
            level=level,
        )

    def scope(self, client: Tator, origin: Origin) -> Scope:
        """The part of the project that the dataset is about, as an import knows it.

        Args:
            client: the session with the server
            origin: the dataset
        """
        return Scope(
            url=client.url,
            project=self.project,
            versions=tuple(self.versions.values()),
            types=tuple(self.types.values()),
            media_types={kind.id: kind for kind in client.media_types(self.project.id)},
            users=dict(self.users),
            all_versions=frozenset(self.versions),
        )
