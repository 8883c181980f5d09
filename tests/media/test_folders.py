"""Names that somebody else chose become names of files, each its own, none outside its folder."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fiftyone_tator.media.folders import ENVIRONMENT, ProjectFolder, data_root, safe_name

UNSAFE = set('/\\:*?"<>|') | {chr(n) for n in range(32)} | {"\x7f"}
anything = st.text(st.characters(codec=None, exclude_categories=()), max_size=300)


@given(anything)
@example("..")
@example(".")
@example("")
@example("../../etc/passwd")
@example("con")
@example("COM1.jpg")
@example("ä" * 200 + ".jpg")
@example("\ud800.png")
@example(". .")
@example("😀" * 100)
@example("x" * 118 + " .jpg")
def test_a_safe_name_is_one_name_that_every_file_system_takes(name: str) -> None:
    safe = safe_name(name)
    assert safe
    assert not UNSAFE & set(safe)
    assert not safe.startswith(".")
    assert not safe.endswith((".", " "))
    assert len(safe.encode()) <= 120
    assert safe.partition(".")[0].lower() not in {"con", "prn", "aux", "nul", "com1", "lpt9"}


@given(anything)
def test_a_safe_name_is_safe_already(name: str) -> None:
    assert safe_name(safe_name(name)) == safe_name(name)


@pytest.mark.parametrize(
    "name",
    ["img_0003.jpg", "Dive 1 - Ärmelkanal.JPG", "سمكة.png", "魚 100%.tiff", "it's.jpg", "a.b.c.webp", "no extension"],
)
def test_a_harmless_name_stays_as_it_is(name: str) -> None:
    assert safe_name(name) == name


def test_a_long_name_keeps_its_extension() -> None:
    assert safe_name("x" * 500 + ".jpeg").endswith("x.jpeg")


@given(anything, anything, st.integers(1, 10**9), st.integers(1, 10**9))
def test_two_media_never_share_a_download(one: str, other: str, first: int, second: int) -> None:
    folder = ProjectFolder(Path("/data/project_7"))
    paths = {folder.download(first, one), folder.download(second, other)}
    assert len(paths) == (2 if first != second else len({safe_name(f"{first}_{one}"), safe_name(f"{first}_{other}")}))


@given(anything, anything)
@example("..", "..")
@example("../../x.jpg", "../y")
def test_every_file_lies_in_the_folder_of_its_project(name: str, element: str) -> None:
    folder = ProjectFolder(Path("/data/project_7"))
    assert folder.download(3, name).parent == Path("/data/project_7/download")
    assert folder.crop(name, element, "jpg").parent.parent == Path("/data/project_7/crops")


def test_the_crops_of_two_elements_never_share_a_file_though_their_media_share_a_name() -> None:
    folder = ProjectFolder(Path("/data/project_7"))
    one, other = "0c28ef2c-0f30-4a4e-a1f5-4a5a8a1d2f10", "0c28ef2c-0f30-4a4e-a1f5-4a5a8a1d2f11"
    assert folder.crop("same.jpg", one, "jpg") != folder.crop("same.jpg", other, "jpg")
    assert folder.crop("same.jpg", one, "jpg") != folder.crop("same.jpg", f"{one}_v12", "jpg")
    assert folder.crop("same.jpg", one, "jpg") == Path(f"/data/project_7/crops/same/{one}.jpg")


def test_two_projects_share_no_folder(tmp_path: Path) -> None:
    assert ProjectFolder.of(tmp_path, 1, "https://a").path == tmp_path / "project_1"
    assert ProjectFolder.of(tmp_path, 11, "https://a").path == tmp_path / "project_11"


def test_projects_of_two_servers_with_one_id_share_no_folder(tmp_path: Path) -> None:
    first = ProjectFolder.of(tmp_path, 4, "https://one.example")
    second = ProjectFolder.of(tmp_path, 4, "https://two.example:8080")
    assert (first.path.name, second.path.name) == ("project_4", "project_4_two.example_8080")
    assert ProjectFolder.of(tmp_path, 4, "https://one.example") == first
    assert ProjectFolder.of(tmp_path, 4, "https://two.example:8080") == second


def test_the_data_root_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(ENVIRONMENT, f"{tmp_path}/a/../b")
    assert data_root() == tmp_path / "b"
    monkeypatch.setenv(ENVIRONMENT, "~/crops")
    assert data_root() == Path.home() / "crops"


def test_the_data_root_lies_in_the_users_own_data_folder_where_nobody_chose_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(ENVIRONMENT, "")
    assert data_root().name == "fiftyone-tator"
    assert data_root().is_absolute()
