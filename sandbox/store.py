"""What the sandbox keeps, and how tests and demos put it there."""

import hashlib
import json
import re
import shutil
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fiftyone_tator.sandbox.database import Database, dumps, now
from fiftyone_tator.sandbox.schema import LOCALIZATION_COLUMNS, STATE_COLUMNS, TOMBSTONE, VISIBLE

__all__ = ["MediaFile", "Store", "dumps", "now"]


@dataclass(frozen=True)
class MediaFile:
    """One file of a media.

    Args:
        role: the key in ``media_files``: ``image``, ``streaming``, ``archival``, ``thumbnail``, ...
        name: the file's name, unique within its media
        data: its bytes, or the path of a file to copy; None if ``key`` names an object that is stored already
        resolution (None): ``(height, width)``
        mime (None): the media type, for images and thumbnails
        codec (None): the codec, for videos
        segment_info (None): for streaming files the JSON bytes (or a path) that describe the segments
        key (None): storage key of an object that several media share
        extra (None): more keys of the definition
    """

    role: str
    name: str
    data: bytes | Path | None
    resolution: tuple[int, int] | None = None
    mime: str | None = None
    codec: str | None = None
    segment_info: bytes | Path | None = None
    key: str | None = None
    extra: Mapping[str, Any] | None = None


class Store(Database):
    """A :class:`~fiftyone_tator.sandbox.database.Database` with helpers that fill it.

    They check nothing: they are for tests and demos. What comes over the network goes through
    :mod:`~fiftyone_tator.sandbox.attributes`.
    """

    # People and projects

    def add_user(self, username: str, *, password: str | None = None, **columns: Any) -> int:
        """Adds a user with a token.

        Args:
            username: the name, unique
            password (None): the password; by default the name
            **columns: ``first_name``, ``last_name``, ``email``, ``is_staff``

        Returns:
            the new id
        """
        columns.setdefault("email", f"{username}@example.com")
        return self.insert(
            "user",
            username=username,
            elemental_id=str(uuid.uuid4()),
            token=self.derive("token", username)[:40],
            password=self.derive("password", password or username),
            **columns,
        )

    def add_project(self, name: str, organization: int, *, created_by: int | None = None, summary: str = "") -> int:
        """Adds a project without types or members.

        Args:
            name: its name
            organization: its organization's id
            created_by (None): the creator's id, who sees the project as "Creator"
            summary (""): a line of text

        Returns:
            the new id
        """
        return self.insert(
            "project",
            name=name,
            organization=organization,
            summary=summary,
            elemental_id=str(uuid.uuid4()),
            created=now(),
            created_by=created_by,
        )

    def add_member(self, project: int, user: int, permission: str) -> int:
        """Makes a user a member of a project.

        Args:
            project: project id
            user: user id
            permission: ``View Only``, ``Can Edit``, ``Can Transfer``, ``Can Execute`` or ``Full Control``

        Returns:
            the new membership's id
        """
        return self.insert("membership", project=project, user=user, permission=permission)

    def add_version(self, project: int, name: str, *, description: str | None = None, **columns: Any) -> int:
        """Adds a version with the next free number.

        Args:
            project: project id
            name: its name
            description (None): by default the name
            **columns: ``show_empty``, ``created_by``, ``bases`` (a list of ids), ``number``

        Returns:
            the new id
        """
        columns["bases"] = dumps(list(columns.get("bases") or []))
        with self.write() as db:
            (number,) = db.execute(
                "select coalesce(max(number) + 1, 0) from version where project = ?", (project,)
            ).fetchone()
            columns.setdefault("number", number)
            text = name if description is None else description
            return self.insert(
                "version", project=project, name=name, description=text, elemental_id=str(uuid.uuid4()), **columns
            )

    def add_section(self, project: int, name: str, *, created_by: int | None = None) -> int:
        """Adds a section (a folder of media).

        Args:
            project: project id
            name: its name
            created_by (None): a user id

        Returns:
            the new id
        """
        return self.insert(
            "section",
            project=project,
            name=name,
            path=re.sub(r"[^A-Za-z0-9_.]", "_", name),
            tator_user_sections=str(uuid.uuid1()),
            elemental_id=str(uuid.uuid4()),
            created_datetime=now(),
            created_by=created_by,
        )

    # Types

    def _add_type(self, table: str, project: int, name: str, dtype: str, data: dict[str, Any]) -> int:
        attributes = [
            {"order": order, "required": False, "description": "", **attribute}
            for order, attribute in enumerate(data.pop("attribute_types", ()))
        ]
        data = {"description": "", "attribute_types": attributes, "elemental_id": str(uuid.uuid4()), **data}
        return self.insert(table, project=project, name=name, dtype=dtype, data=dumps(data))

    def add_media_type(self, project: int, name: str, dtype: str, **data: Any) -> int:
        """Adds a media type.

        Args:
            project: project id
            name: its name
            dtype: ``image`` or ``video``
            **data: more keys of a MediaType, such as ``attribute_types``

        Returns:
            the new id
        """
        data = {
            "file_format": "jpg" if dtype == "image" else "mp4",
            "default_volume": 0,
            "visible": True,
            **dict.fromkeys(("archive_config", "streaming_config", "overlay_config")),
            **dict.fromkeys(("default_box", "default_line", "default_dot")),
            **data,
        }
        return self._add_type("media_type", project, name, dtype, data)

    def add_localization_type(
        self, project: int, name: str, dtype: str, media_types: Sequence[int], **data: Any
    ) -> int:
        """Adds a localization type.

        Args:
            project: project id
            name: its name
            dtype: ``box``, ``dot``, ``line`` or ``poly``
            media_types: ids of the media types that it may be drawn on
            **data: more keys of a LocalizationType, such as ``attribute_types``

        Returns:
            the new id
        """
        shown = {"color_map": None, "line_width": 3, "visible": True, "drawable": True, "grouping_default": True}
        return self._add_type("localization_type", project, name, dtype, {**shown, "media": list(media_types), **data})

    def add_state_type(self, project: int, name: str, association: str, media_types: Sequence[int], **data: Any) -> int:
        """Adds a state type.

        Args:
            project: project id
            name: its name
            association: ``Localization`` (tracks), ``Frame`` or ``Media``
            media_types: ids of the media types that it may belong to
            **data: more keys of a StateType, such as ``attribute_types``

        Returns:
            the new id
        """
        data = {
            "interpolation": "latest",
            "association": association,
            "visible": True,
            "grouping_default": True,
            "delete_child_localizations": False,
            "default_localization": None,
            "extended_info": {},
            "media": list(media_types),
            **data,
        }
        return self._add_type("state_type", project, name, "state", data)

    def add_attribute_type(self, kind: str, type_id: int, attribute: Mapping[str, Any]) -> None:
        """Adds an attribute to a type; rows that exist do not get it.

        Args:
            kind: ``media``, ``localization`` or ``state``
            type_id: the type's id
            attribute: an AttributeType: ``name``, ``dtype`` and what else it needs
        """
        table = f"{kind}_type"
        with self.write() as db:
            data = json.loads(db.execute(f"select data from {table} where id = ?", (type_id,)).fetchone()[0])
            order = len(data["attribute_types"])
            data["attribute_types"].append({"order": order, "required": False, "description": "", **attribute})
            db.execute(f"update {table} set data = ? where id = ?", (dumps(data), type_id))

    # Media

    def put_object(self, key: str, data: bytes | Path) -> int:
        """Stores a file.

        Args:
            key: where: ``{organization}/{project}/{media}/{name}``
            data: its bytes, or the path of a file to copy

        Returns:
            its size
        """
        target = self.media_dir / key
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(data, Path):
            shutil.copyfile(data, target)
        else:
            target.write_bytes(data)
        return target.stat().st_size

    def _definition(self, prefix: str, file: MediaFile) -> dict[str, Any]:
        key = file.key or prefix + file.name
        size = (self.media_dir / key).stat().st_size if file.data is None else self.put_object(key, file.data)
        definition: dict[str, Any] = {"path": key, "size": size}
        if file.mime:
            definition["mime"] = file.mime
        if file.resolution:
            definition["resolution"] = list(file.resolution)
        if file.codec:
            definition |= {"codec": file.codec, "reference_only": 0}
        if file.segment_info is not None:
            definition["segment_info"] = prefix + Path(file.name).stem + "_segments.json"
            self.put_object(definition["segment_info"], file.segment_info)
        return definition | dict(file.extra or {})

    def add_media(
        self,
        project: int,
        media_type: int,
        name: str,
        files: Sequence[MediaFile] = (),
        *,
        width: int | None = None,
        height: int | None = None,
        section: int | None = None,
        attributes: Mapping[str, Any] | None = None,
        created_by: int | None = None,
        **columns: Any,
    ) -> int:
        """Adds a media with its files, as it is after the import.

        Args:
            project: project id
            media_type: media type id
            name: its file name
            files (()): its files; none leaves ``media_files`` empty, as before the import
            width (None): width in pixels
            height (None): height in pixels
            section (None): id of its section
            attributes (None): its attributes
            created_by (None): a user id
            **columns: ``fps``, ``num_frames``, ``codec``

        Returns:
            the new id
        """
        time, values = now(), dict(attributes or {})
        if section is not None:
            found = self.row("select tator_user_sections from section where id = ?", (section,))
            values["tator_user_sections"] = found[0] if found else None
        first = next((file.data for file in files if file.data is not None), b"")
        digest = hashlib.md5(first if isinstance(first, bytes) else first.read_bytes(), usedforsecurity=False)
        with self.write() as db:
            media = self.insert(
                "media", project=project, type=media_type, name=name, section=section, attributes=dumps(values),
                width=width, height=height, md5=digest.hexdigest(), elemental_id=str(uuid.uuid4()),
                created_by=created_by, created_datetime=time, modified_by=created_by, modified_datetime=time, **columns,
            )  # fmt: skip
            (organization,) = db.execute("select organization from project where id = ?", (project,)).fetchone()
            roles: dict[str, list[dict[str, Any]]] = {}
            for file in files:
                roles.setdefault(file.role, []).append(self._definition(f"{organization}/{project}/{media}/", file))
            db.execute("update media set media_files = ? where id = ?", (dumps(roles), media))
        return media

    # Annotations, in bulk

    def _insert_many(self, table: str, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> range:
        time = now()
        defaults = {
            "frame": 0, "mark": 0, "variant_deleted": 0, "created_datetime": time, "created_by": None,
            **dict.fromkeys(set(columns) & {"x", "y", "width", "height", "u", "v", "points", "parent"}),
        }  # fmt: skip
        first = 1 + int((self.row("select seq from sqlite_sequence where name = ?", (table,)) or (0,))[0])
        count = 0

        def complete() -> Iterable[dict[str, Any]]:
            nonlocal count
            for row in rows:
                full = {**defaults, **row, "id": first + count}
                full["attributes"] = dumps(full.get("attributes") or {})
                full["points"] = None if full.get("points") is None else dumps(full["points"])
                full.setdefault("elemental_id", None)
                full["elemental_id"] = full["elemental_id"] or str(uuid.uuid4())
                full.setdefault("modified_datetime", full["created_datetime"])
                full.setdefault("modified_by", full["created_by"])
                full["live"] = TOMBSTONE if full["variant_deleted"] else VISIBLE
                count += 1
                yield full

        names = ", ".join(columns)
        values = ", ".join(":" + name for name in columns)
        with self.write() as db:
            db.executemany(f"insert into {table} ({names}) values ({values})", complete())
        return range(first, first + count)

    def add_localizations(self, rows: Iterable[Mapping[str, Any]]) -> range:
        """Inserts localizations as first marks; the fast way to a large project.

        Args:
            rows: each with ``project``, ``type``, ``media``, ``version``, the geometry of its type (``points`` as a
                list), ``attributes`` (all of the type's, nothing is filled in), and if wanted ``frame`` (0),
                ``elemental_id`` (a new one), ``created_by``, ``created_datetime``, ``parent``

        Returns:
            the ids, in the order of the rows
        """
        with self.write():
            return self._insert_many("localization", LOCALIZATION_COLUMNS, rows)

    def add_states(self, rows: Iterable[Mapping[str, Any]]) -> range:
        """Inserts states as first marks.

        Args:
            rows: each with ``project``, ``type``, ``version``, ``attributes``, ``frame`` (None for tracks),
                ``localizations`` and ``media`` (lists of ids), and what :meth:`add_localizations` also takes

        Returns:
            the ids, in the order of the rows
        """
        kept = [{"frame": None, **row} for row in rows]
        with self.write() as db:
            ids = self._insert_many("state", STATE_COLUMNS, kept)
            for state, row in zip(ids, kept, strict=True):
                for table, key in (("state_localization", "localizations"), ("state_media", "media")):
                    members = [(state, member) for member in row.get(key) or ()]
                    db.executemany(f"insert into {table} values (?, ?)", members)
        return ids
