"""Writing localizations and the members of tracks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ._base import Connected
from .models import LocalizationType
from .rows import Localization, State


class Writes(Connected):
    """The part of a session that changes something on the server.

    A call is repeated after a failure only if repeating it cannot do harm. An error whose
    ``outcome_unknown`` is true may have arrived: read before writing again.
    """

    def create_localizations(
        self,
        project: int,
        specs: Sequence[Mapping[str, Any]],
        *,
        types: Sequence[LocalizationType] = (),
        on_chunk: Callable[[list[int]], None] | None = None,
    ) -> list[int]:
        """Creates localizations, or new marks of those whose ``elemental_id`` exists.

        A new mark is a row in full: attributes left out get their defaults.

        Args:
            project: the project's id
            specs: what to create: ``type``, ``media_id``, ``version``, ``frame``, geometry,
                ``attributes`` and ``elemental_id``, which is added where missing
                (see :func:`with_elemental_ids` to know it beforehand)
            types (()): types to check the names of attributes against: the server drops
                attributes it does not know without a word
            on_chunk (None): called with the new ids after each request (up to 500 rows)

        Returns:
            ids of the new rows in the order of the specs

        Raises:
            InvalidRequest: if a spec is refused; the chunk it is in was not written
            TatorError: if the server fails; ``on_chunk`` was told what had been written
        """
        raise NotImplementedError

    def update_localization(
        self,
        version: int,
        elemental_id: str,
        *,
        attributes: Mapping[str, Any] | None = None,
        null_attributes: Sequence[str] = (),
        geometry: Mapping[str, Any] | None = None,
        in_place: bool = False,
        only_if_id: int | None = None,
        user_elemental_id: str | None = None,
    ) -> Localization:
        """Edits one localization.

        Args:
            version: the version's id
            elemental_id: the element
            attributes (None): attributes to set; a value of ``None`` sets null
            null_attributes (()): names of attributes to set to null
            geometry (None): ``x``, ``y``, ``width``, ``height``, ``u``, ``v``, ``points``,
                ``frame`` to set
            in_place (False): whether to change the row itself instead of adding a mark; right
                for members of tracks, which keep ids
            only_if_id (None): edit only if this is still the id of the newest mark
            user_elemental_id (None): make this user the author (needs Full Control)

        Returns:
            the row as it is now

        Raises:
            NotFound: if it does not exist or has been deleted
            StaleRow: if ``only_if_id`` is not the newest mark
            InvalidRequest: if the server refuses a value, or would ignore it (sizes of 0)
            TatorError: if the server fails
        """
        raise NotImplementedError

    def update_localizations(
        self,
        project: int,
        version: int,
        elemental_ids: Sequence[str],
        attributes: Mapping[str, Any],
        *,
        null_attributes: Sequence[str] = (),
        in_place: bool = False,
    ) -> int:
        """Sets the same attributes on many localizations of one type.

        Values that a bulk edit cannot carry (quotes, percent signs, control characters)
        travel as single edits.

        Args:
            project: the project's id
            version: the version's id
            elemental_ids: the elements; none writes nothing (and asks nothing)
            attributes: attributes to set; a value of ``None`` sets null
            null_attributes (()): names of attributes to set to null
            in_place (False): whether to change the rows themselves instead of adding marks.
                Changes in bulk and in place do not move ``modified_datetime``

        Returns:
            the number of localizations changed

        Raises:
            InvalidRequest: if a value is refused, or the server finds another number of elements
            TatorError: if the server fails; part of the elements may have been written
        """
        raise NotImplementedError

    def delete_localizations(self, project: int, version: int, elemental_ids: Sequence[str]) -> int:
        """Deletes localizations (softly: a tombstone stays, and creating it again revives it).

        Args:
            project: the project's id
            version: the version's id
            elemental_ids: the elements; none deletes nothing (and asks nothing). Those that
                are deleted already are left alone

        Returns:
            the number of localizations deleted

        Raises:
            TatorError: if the server fails; part of the elements may have been deleted
        """
        raise NotImplementedError

    def update_state_members(
        self, state: int, *, add: Sequence[int] = (), remove: Sequence[int] = (), in_place: bool = False
    ) -> State:
        """Changes which localizations belong to a track.

        Args:
            state: id of the newest mark of the state
            add (()): ids of localizations to add
            remove (()): ids of localizations to take out
            in_place (False): whether to keep the state's id instead of adding a mark

        Returns:
            the state as it is now, with a new id unless ``in_place``

        Raises:
            TatorError: if the server refuses or fails
        """
        raise NotImplementedError
