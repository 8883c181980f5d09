"""A snapshot holds the newest row of each localization, in order, exactly as it came."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fiftyone_tator.sync.base import packed
from fiftyone_tator.sync.snapshot import KEYS, Snapshot, SnapshotWriter, line, missing, parse, read, unpack
from fiftyone_tator.tator_client import Localization, TatorError

ELEMENTS = [
    str(UUID(int=n)) for n in (0, 1, 256, 2**64, 2**127, 2**128 - 1, 0xFF << 120, 0x0123456789ABCDEF << 64, 0x10 << 56)
]
TEXTS = ("crab", "it's 100%", "Krabbe Größe", "سمكة", "魚\u2028\x85\n", 'say "so"\\', "😀", "")


def row(id: int, version: int, element: str | None, mark: int, media: int, label: str = "crab") -> dict[str, Any]:
    """A row as the server sends it, with a key that we do not keep."""
    data: dict[str, Any] = dict.fromkeys(KEYS)
    return {
        **data,
        **{"id": id, "type": 1, "media": media, "version": version, "frame": 0, "elemental_id": element, "mark": mark},
        **{"x": 0.1, "y": 0.2, "width": 1 / 3, "height": 1e-17, "attributes": {"Label": label, "n": None}},
        **{"variant_deleted": False, "created_datetime": "2026-11-21T09:55:51.198Z", "thumbnail_image": None},
    }


rows = st.lists(
    st.builds(
        row,
        st.integers(1, 2**40),
        st.sampled_from([1, 2, 255, 256, 2**40]),
        st.sampled_from(ELEMENTS),
        st.integers(0, 5),
        st.sampled_from([1, 2, 3, 10**9]),
        st.sampled_from(TEXTS),
    ),
    max_size=40,
)


def identity(data: dict[str, Any]) -> tuple[int, str]:
    return data["version"], data["elemental_id"]


def taken(path: Path, all_rows: list[dict[str, Any]]) -> Snapshot:
    writer = SnapshotWriter(path)
    writer.add(all_rows)
    snapshot = writer.finish(complete=True)
    writer.close()
    return snapshot


def newest(all_rows: list[dict[str, Any]]) -> dict[tuple[int, str], dict[str, Any]]:
    """Per identity the row of the highest mark; of those the one that was read last."""
    best: dict[tuple[int, str], dict[str, Any]] = {}
    for data in all_rows:
        if identity(data) not in best or data["mark"] >= best[identity(data)]["mark"]:
            best[identity(data)] = data
    return best


fixture_is_fine = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@fixture_is_fine
@given(rows, st.integers(1, 7))
@example([], 3)
def test_of_each_localization_the_newest_mark_is_kept_in_the_order_of_media_and_id(
    tmp_path: Path, all_rows: list[dict[str, Any]], size: int
) -> None:
    snapshot = taken(tmp_path / "rows.jsonl", all_rows)
    blocks = list(snapshot.blocks(size))
    entries = [entry for block in blocks for entry in block]
    assert len(snapshot) == len(entries)
    assert all(0 < len(block) <= size for block in blocks)
    assert {(e.row.version, e.row.elemental_id): e.text for e in entries} == {
        key: line(data) for key, data in newest(all_rows).items()
    }
    order = [(e.row.media, e.row.id) for e in entries]
    assert order == sorted(order)


@fixture_is_fine
@given(rows, st.integers(1, 7))
def test_the_order_of_reading_is_kept_beside_that_of_media(
    tmp_path: Path, all_rows: list[dict[str, Any]], size: int
) -> None:
    snapshot = taken(tmp_path / "rows.jsonl", all_rows)
    kept = [entry.text for block in snapshot.blocks(size, as_read=True) for entry in block]
    winners = {id(data) for data in newest(all_rows).values()}
    assert kept == [line(data) for data in all_rows if id(data) in winners]


@fixture_is_fine
@given(rows)
@example([])
def test_shared_elements_are_those_of_several_versions_with_the_lowest_of_them(
    tmp_path: Path, all_rows: list[dict[str, Any]]
) -> None:
    versions: dict[str, set[int]] = {}
    for data in all_rows:
        versions.setdefault(data["elemental_id"], set()).add(data["version"])
    expected = {UUID(element).bytes: min(found) for element, found in versions.items() if len(found) > 1}
    assert taken(tmp_path / "rows.jsonl", all_rows).shared_elements() == expected


identities = st.sets(st.tuples(st.sampled_from([1, 2, 256, 2**40]), st.sampled_from(ELEMENTS)))


@fixture_is_fine
@given(identities, rows)
def test_missing_is_exactly_what_the_base_has_and_the_snapshot_has_not(
    tmp_path: Path, base: set[tuple[int, str]], all_rows: list[dict[str, Any]]
) -> None:
    snapshot = taken(tmp_path / "rows.jsonl", all_rows)
    gone = missing(packed(base), snapshot.identities)
    assert len(gone) == len(set(gone))
    assert set(gone) == base - {identity(data) for data in all_rows}


@given(st.integers(0, 2**63), st.uuids())
def test_an_identity_survives_packing(version: int, element: UUID) -> None:
    assert unpack(packed([(version, str(element))])[0].tobytes()) == (version, str(element))


@given(rows)
def test_a_row_and_the_localization_made_of_it_are_one_line(all_rows: list[dict[str, Any]]) -> None:
    for data in all_rows:
        text = line(data)
        assert "\n" not in text
        assert line(Localization.from_json(data)) == text
        assert parse(text) == Localization.from_json(data)
        assert list(json.loads(text)) == list(KEYS)


def test_the_keys_that_are_kept_make_a_whole_localization() -> None:
    assert {"deleted" if key == "variant_deleted" else key for key in KEYS} == set(Localization.__slots__)


def test_rows_without_an_elemental_id_are_counted_and_left_out(tmp_path: Path) -> None:
    writer = SnapshotWriter(tmp_path / "rows.jsonl")
    writer.add([row(1, 1, None, 0, 1), row(2, 1, ELEMENTS[1], 0, 1), row(3, 1, "", 0, 1)])
    assert len(writer.finish(complete=True)) == 1
    assert writer.without_identity == 2
    writer.close()


def test_localizations_may_be_added_after_a_first_look(tmp_path: Path) -> None:
    writer = SnapshotWriter(tmp_path / "rows.jsonl")
    writer.add([row(1, 1, ELEMENTS[1], 0, 5)])
    first = writer.finish(complete=True)
    writer.add(
        [Localization.from_json(row(9, 1, ELEMENTS[1], 1, 5)), Localization.from_json(row(2, 1, ELEMENTS[2], 0, 1))]
    )
    second = writer.finish(complete=False)
    writer.close()
    writer.close()
    assert (first.complete, second.complete) == (True, False)
    assert [entry.row.id for block in first.blocks(5) for entry in block] == [1]
    assert [entry.row.id for block in second.blocks(5) for entry in block] == [2, 9]


def test_text_that_is_no_uuid_is_no_elemental_id(tmp_path: Path) -> None:
    writer = SnapshotWriter(tmp_path / "rows.jsonl")
    writer.add([row(1, 1, "abc", 0, 1)])
    snapshot = writer.finish(complete=True)
    writer.close()
    assert (len(snapshot), writer.without_identity) == (0, 1)


def test_pages_that_fail_leave_no_file(tmp_path: Path) -> None:
    def pages() -> Iterator[list[dict[str, Any]]]:
        yield [row(1, 1, ELEMENTS[1], 0, 1)]
        raise TatorError("The server is gone.")

    with pytest.raises(TatorError, match="gone"):
        read(tmp_path / "sub" / "rows.jsonl", pages())
    assert list(tmp_path.rglob("*.jsonl")) == []


def test_reading_ends_with_the_page_that_is_enough(tmp_path: Path) -> None:
    asked: list[int] = []

    def pages() -> Iterator[list[dict[str, Any]]]:
        for number in range(1, 10):
            asked.append(number)
            yield [row(number, 1, ELEMENTS[number - 1], 0, 1)]

    writer = read(tmp_path / "rows.jsonl", pages(), enough=lambda page: page[0]["id"] == 3)
    assert len(writer.finish(complete=False)) == 3
    assert asked == [1, 2, 3]
    writer.close()


def test_a_file_that_is_there_is_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("something else\n" * 100)
    assert [entry.row.id for block in taken(path, [row(4, 1, ELEMENTS[3], 0, 1)]).blocks(9) for entry in block] == [4]
    assert path.read_text().count("\n") == 1
