"""Options are refused with a message that names where they come from, what they are and what they should be."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fiftyone_tator.sync.errors import InvalidOption
from fiftyone_tator.sync.options import OPTION_NAMES, ImportOptions, load_config, parse_options, wanted_extension

GOOD: dict[str, Any] = {
    "project": 7,
    "server": "http://tator.example",
    "versions": [1, "Baseline"],
    "types": ["Box"],
    "label_attribute": "Label",
    "include_classes": ["crab", "it's 100%", "سمكة"],
    "image_extensions": [".jpg"],
    "max_samples": 10,
    "crop_size": 224,
    "padding": 0.5,
    "crop_format": "png",
    "dataset_name": "crabs",
    "compare": "full",
    "rebuild": True,
}

WRONG: list[tuple[str, Any, str]] = [
    ("project", 1.5, "an id or a name"),
    ("project", 0, "an id or a name"),
    ("project", True, "an id or a name"),
    ("project", ["a"], "an id or a name"),
    ("server", 5, "a text"),
    ("versions", "Baseline", "a list of names or ids"),
    ("versions", [1.5], "a list of names or ids"),
    ("versions", [None], "a list of names or ids"),
    ("versions", {"a": 1}, "a list of names or ids"),
    ("types", 3, "a list of names or ids"),
    ("types", [""], "a list of names or ids"),
    ("label_attribute", ["Label"], "a text"),
    ("label_attribute", True, "a text"),
    ("include_classes", "crab", "a list of texts"),
    ("include_classes", [5], "a list of texts"),
    ("image_extensions", ".jpg", "a list of texts"),
    ("image_extensions", [1], "a list of texts"),
    ("image_extensions", [" *. "], "a list of texts"),
    ("max_samples", "100", "a whole number"),
    ("max_samples", 0, "a whole number"),
    ("max_samples", 2.5, "a whole number"),
    ("max_samples", True, "a whole number"),
    ("crop_size", "large", "a whole number"),
    ("crop_size", 8, "a whole number"),
    ("crop_size", 100_000, "a whole number"),
    ("padding", "0.1", "a number"),
    ("padding", -0.1, "a number"),
    ("padding", float("nan"), "a number"),
    ("padding", 5, "a number"),
    ("crop_format", "gif", "jpg or png"),
    ("crop_format", 1, "jpg or png"),
    ("dataset_name", 5, "a text"),
    ("compare", "some", "auto or changes or full"),
    ("rebuild", "yes", "true or false"),
]


def test_every_option_that_there_is_is_taken_over() -> None:
    assert set(GOOD) == set(OPTION_NAMES)
    assert parse_options(("the form", GOOD)).model_dump() == GOOD


def test_only_the_project_must_be_given() -> None:
    options = parse_options(("the form", {"project": "Reef"}))
    assert options == ImportOptions(project="Reef")
    assert (options.style().size, options.style().padding, options.style().format) == (256, 0.0, "jpg")
    with pytest.raises(InvalidOption, match="option project"):
        parse_options(("the form", {"crop_size": 64}))


def test_the_style_of_crops_follows_the_options() -> None:
    style = parse_options(("the form", GOOD)).style()
    assert (style.size, style.padding, style.format) == (224, 0.5, "png")


def test_every_option_has_a_wrong_value_among_these() -> None:
    assert {name for name, _, _ in WRONG} == set(OPTION_NAMES)


@pytest.mark.parametrize(("name", "value", "wanted"), WRONG)
def test_a_wrong_value_is_refused_naming_its_origin_the_option_and_what_it_should_be(
    name: str, value: Any, wanted: str
) -> None:
    with pytest.raises(InvalidOption) as caught:
        parse_options(("The preset night", {"project": 1}), ("The config file /etc/tator.yml", {name: value}))
    message = str(caught.value)
    assert message.startswith(f"The config file /etc/tator.yml: the option {name} cannot be ")
    assert message.endswith(f"It should be {wanted}.")
    assert "pydantic" not in message


def test_a_wrong_value_is_blamed_on_the_layer_that_it_comes_from() -> None:
    with pytest.raises(InvalidOption, match=r"^the preset: the option padding cannot be 'wide'"):
        parse_options(("the preset", {"project": 1, "padding": "wide"}), ("the form", {"crop_size": 64}))


def test_a_wrong_value_that_a_later_layer_replaces_does_no_harm() -> None:
    assert parse_options(("a", {"project": 1, "padding": "wide"}), ("b", {"padding": 0})).padding == 0


def test_a_long_wrong_value_is_cut_short() -> None:
    with pytest.raises(InvalidOption) as caught:
        parse_options(("the form", {"project": 1, "padding": "x" * 10_000}))
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("key", "near"), [("crop_sise", "crop_size"), ("max_sample", "max_samples"), ("Version", "versions")]
)
def test_an_unknown_key_is_answered_with_the_one_that_was_meant(key: str, near: str) -> None:
    with pytest.raises(InvalidOption, match=rf"^tator\.yml: there is no option '{key}'. Did you mean {near}\?$"):
        parse_options(("tator.yml", {"project": 1, key: 5}))


@pytest.mark.parametrize("key", ["zzz", 5, None])
def test_an_unknown_key_that_resembles_none_is_answered_with_all_of_them(key: Any) -> None:
    with pytest.raises(InvalidOption) as caught:
        parse_options(("tator.yml", {key: 5}))
    assert all(name in str(caught.value) for name in OPTION_NAMES)


@given(st.lists(st.dictionaries(st.sampled_from(OPTION_NAMES), st.booleans()), max_size=4))
def test_the_last_layer_with_a_value_wins_and_empty_values_leave_the_earlier(layers: list[dict[str, bool]]) -> None:
    """Each layer gives some options a value of its own, and others an empty one."""
    empty = {"server": "", "versions": [], "types": None}
    other = {**GOOD, "project": 8, "crop_size": 99, "dataset_name": "other", "padding": 0.0, "types": ["Dot"]}
    expected: dict[str, Any] = {"project": 1}
    given_layers: list[tuple[str, dict[str, Any]]] = [("first", {"project": 1})]
    for number, layer in enumerate(layers):
        source = GOOD if number % 2 else other
        given_layers.append((f"{number}", {k: source[k] if full else empty.get(k) for k, full in layer.items()}))
        expected |= {k: source[k] for k, full in layer.items() if full}
    assert parse_options(*given_layers) == ImportOptions(**expected)


@pytest.mark.parametrize("written", ["JPG", ".jpg", ".JPG", "*.jpg", " jpg "])
def test_an_extension_may_be_written_as_people_write_it(written: str) -> None:
    assert parse_options(("the form", {"project": 1, "image_extensions": [written]})).image_extensions == [".jpg"]


def test_extensions_are_compared_in_any_case_and_only_at_the_end() -> None:
    assert wanted_extension("Dive 1.JPG", [".png", ".jpg"])
    assert not wanted_extension("x.jpg.tif", [".jpg"])
    assert not wanted_extension("jpg", [".jpg"])
    assert wanted_extension("anything", None)


@pytest.mark.parametrize("name", ["tator.yml", "tator.yaml", "tator.json", "tator.JSON", "tator"])
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
def test_a_config_file_is_yaml_or_json_with_or_without_a_byte_order_mark(
    tmp_path: Path, name: str, start: bytes
) -> None:
    is_json = name.lower().endswith("json")
    content = json.dumps(GOOD) if is_json else yaml.safe_dump(GOOD, allow_unicode=True)
    (tmp_path / name).write_bytes(start + content.encode())
    assert load_config(tmp_path / name) == GOOD
    assert load_config(str(tmp_path / name)) == GOOD


@pytest.mark.parametrize("name", ["tator.yml", "tator.json"])
@pytest.mark.parametrize("content", ["", "\n  \n"])
def test_an_empty_config_file_says_nothing(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    assert load_config(tmp_path / name) == {}


@pytest.mark.parametrize(
    ("name", "content"), [("a.yml", "- project"), ("a.yml", "project"), ("a.json", "[1]"), ("a.json", "5")]
)
def test_a_config_file_that_holds_no_mapping_is_refused_with_an_example(
    tmp_path: Path, name: str, content: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InvalidOption, match=rf"{name} should hold options such as 'max_samples: 1000'"):
        load_config(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", b"{'project': 1}"),
        ("a.yml", b"project: [1"),
        ("a.yml", b"project: \xff\xfe"),
        ("a.json", b"[" * 100_000),
        ("a.yml", b"day: 2024-99-99"),
        ("a.yml", b"!!python/object:os.system {}"),
    ],
)
def test_a_config_file_that_cannot_be_parsed_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidOption, match=rf"The config file .*{name} is neither YAML nor JSON: ."):
        load_config(tmp_path / name)


def test_a_config_file_that_is_not_there_is_named_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match=r"missing\.yml cannot be read: No such file.*Check its path"):
        load_config(tmp_path / "missing.yml")
    with pytest.raises(InvalidOption, match=r"cannot be read: Is a directory"):
        load_config(tmp_path)


def test_a_config_file_below_the_users_home_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "tator.yml").write_text("project: 3")
    assert load_config("~/tator.yml") == {"project": 3}
