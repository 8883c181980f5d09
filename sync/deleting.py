"""Localizations whose sample was deleted here: deleted in Tator, or brought back, or forgotten."""

from collections.abc import Sequence

from bson import ObjectId

from fiftyone_tator.sync.journal import Item, Journal
from fiftyone_tator.sync.origin import Origin
from fiftyone_tator.sync.planning import Planned, Planner
from fiftyone_tator.sync.progress import Tracker
from fiftyone_tator.sync.push_results import PushResult
from fiftyone_tator.sync.sending import said
from fiftyone_tator.tator_client import Localization, PermissionDenied, Tator

_BATCH = 500
_LEFT = "Tator did not delete it. Push again"


class Deleter:
    """Carries deletions out.

    Args:
        client: the session with the server
        origin: the dataset
        journal: of the dataset's pushes
        push: the push's id
        result: counts what is done
    """

    def __init__(self, client: Tator, origin: Origin, journal: Journal, push: ObjectId, result: PushResult) -> None:
        self._client, self._origin, self._journal, self._push, self._result = client, origin, journal, push, result

    def forget(self, planned: Sequence[Planned]) -> None:
        """Forgets what neither side has any more; Tator is asked once more, for what is forgotten may come back.

        Args:
            planned: the localizations

        Raises:
            TatorError: if the server fails
        """
        for version in sorted({each.base.version for each in planned}):
            elements = [each.base.elemental_id for each in planned if each.base.version == version]
            left = self._read(version, elements)
            self._origin.store.remove([(version, element) for element in elements if element not in left])

    def _read(self, version: int, elements: Sequence[str]) -> dict[str, Localization]:
        """Those of some localizations that Tator shows, by elemental id."""
        rows = self._client.read_localizations(self._origin.project, elemental_ids=elements, version=version)
        return {str(row.elemental_id).lower(): row for row in rows}

    def bring_back(self, planned: Sequence[Planned]) -> None:
        """Forgets what was deleted here and shall not be, so that the next import takes it for new.

        Args:
            planned: the localizations
        """
        back = [each.base.identity for each in planned]
        self._origin.store.remove(back)
        if back:
            reason = "Deleted here, changed in Tator: the next import brings it back"
            self._result.notes.add(reason, [element for _, element in back])

    def delete(self, planned: Sequence[Planned], planner: Planner, tracker: Tracker) -> list[Planned]:
        """Deletes localizations in Tator, and forgets those that are gone.

        Theirs is read once more right before each batch: what somebody changed since is not deleted.

        Args:
            planned: the localizations
            planner: plans anew what changed
            tracker: told before each batch

        Returns:
            those that somebody changed since they were planned, planned anew

        Raises:
            TatorError: if the server fails; the next push finds out what was done
        """
        changed: list[Planned] = []
        for version in sorted({each.base.version for each in planned}):
            of_version = [each for each in planned if each.base.version == version]
            for start in range(0, len(of_version), _BATCH):
                tracker.advance(0)
                batch = of_version[start : start + _BATCH]
                anew = planner.anew(batch, self._read(version, [each.base.elemental_id for each in batch]))
                stale = {each.base.elemental_id for each in anew}
                changed += anew
                if rest := [each for each in batch if each.base.elemental_id not in stale]:
                    self._batch(version, rest)
        return changed

    def _batch(self, version: int, planned: Sequence[Planned]) -> None:
        rows = [each.base for each in planned]
        items = [Item(row.elemental_id, row.sample) for row in rows]
        elements, project, reason = [row.elemental_id for row in rows], self._origin.project, _LEFT
        entry = self._journal.out(self._push, "delete", "delete", version, [], [], items)
        try:
            self._client.delete_localizations(project, version, elements)
        except PermissionDenied as refusal:
            reason = said(refusal, "deleted")
        self._journal.back(entry, 0)
        left = self._read(version, elements)
        gone = [row for row in rows if row.elemental_id not in left]
        self._origin.store.remove([row.identity for row in gone])
        self._result.deleted += len(gone)
        for row in rows:
            if row.elemental_id in left:
                self._result.fail(row.elemental_id, version, row.elemental_id, [reason])
        self._journal.done(entry)
