"""Every option of an import, and where options come from."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fiftyone as fo
import fiftyone.operators as foo
import pytest
from PIL import Image

from fiftyone_tator.operators.presets import layers
from fiftyone_tator.sync.errors import InvalidOption, NothingToImport
from fiftyone_tator.sync.options import parse_options
from fiftyone_tator.sync.preview import Preview, preview
from fiftyone_tator.sync.scope import resolve

PLUGIN = "@tator/sync"
IMPORT = f"{PLUGIN}/import_from_tator"


@pytest.fixture(scope="module")
def mixed(shared_house: Any) -> Any:
    """Two versions of boxes of three labels on pictures of two kinds and a video."""
    house = shared_house
    house.version("Model")
    png, jpg = house.media("a.png"), house.media("B.JPG")
    video = house.media("clip.mp4", b"video", dtype="video", size=(64, 48))
    for version in house.versions.values():
        house.boxes(
            *(
                house.spec(media, version=version, attributes={"Label": label, "quality": quality})
                for media in (png, jpg)
                for label, quality in (("crab", "good"), ("kelp", "bad"), ("it's, 100 %", "bad"))
            ),
            house.spec(video, version=version, frame=3),
        )
    return house


def looked_at(house: Any, **options: Any) -> Preview:
    chosen = house.options(**options)
    return preview(house.client(), resolve(house.client(), chosen), chosen)


@pytest.fixture
def name(mixed: Any) -> Iterator[str]:
    yield mixed.options(dataset_name="of-options").dataset_name
    if fo.dataset_exists("of-options"):
        fo.delete_dataset("of-options")


FILTERS: list[tuple[dict[str, Any], int]] = [
    ({}, 12),
    ({"versions": ["Model"]}, 6),
    ({"include_classes": ["crab"]}, 4),
    ({"include_classes": ["crab", "it's, 100 %"]}, 8),
    ({"image_extensions": ["jpg"]}, 6),
    ({"image_extensions": [".PNG", "*.jpg"]}, 12),
    ({"image_extensions": [".tif"]}, 0),
    ({"include_classes": ["kelp"], "image_extensions": ["png"], "versions": ["Baseline"]}, 1),
    ({"label_attribute": "quality", "include_classes": ["bad"]}, 8),
    ({"max_samples": 5}, 5),
    ({"max_samples": 100}, 12),
    ({"max_samples": 3, "include_classes": ["kelp"]}, 3),
]


@pytest.mark.parametrize(("options", "wanted"), FILTERS, ids=[str(options) for options, _ in FILTERS])
def test_the_import_makes_what_the_preview_counts(mixed: Any, name: str, options: dict[str, Any], wanted: int) -> None:
    seen = looked_at(mixed, **options)
    result = mixed.run(dataset_name=name, **options)
    assert result.created == len(mixed.dataset(name)) == wanted
    assert min(seen.localizations, options.get("max_samples", seen.localizations)) == wanted
    if "max_samples" not in options:
        assert result.filtered + wanted + sum(g["count"] for g in result.as_json()["left_out"]) == (
            seen.localizations + seen.filtered + seen.on_videos
        )


def test_the_preview_says_in_a_sentence_what_comes(mixed: Any) -> None:
    assert looked_at(mixed).text == "12 boxes on 2 images; 2 on 1 video are left out"
    some = looked_at(mixed, include_classes=["crab"], max_samples=3)
    assert "; 8 are not among what you chose; the first 3 are imported" in some.text


def test_the_preview_counts_only_images_that_have_what_is_asked_for(house: Any) -> None:
    house.type("Dot", "dot")
    boxed, dotted, both = (house.media(f"{name}.png") for name in ("boxed", "dotted", "both"))
    video = house.media("clip.mp4", b"video", dtype="video", size=(64, 48))
    house.boxes(
        *(house.spec(media) for media in (boxed, both)),
        *(house.spec(media, type=house.types["Dot"]) for media in (dotted, both, video)),
        house.spec(both, attributes={"Label": "kelp"}),
    )
    assert looked_at(house).text == "3 boxes on 2 images"
    assert looked_at(house, types=["Dot"]).text == "2 dots on 2 images; 1 on 1 video are left out"
    assert looked_at(house, types=["Box", "Dot"]).text == "5 localizations on 3 images; 1 on 1 video are left out"
    assert looked_at(house, include_classes=["kelp"]).text == "1 boxes on 1 image; 2 are not among what you chose"


def test_the_preview_says_when_its_number_of_images_is_an_upper_bound() -> None:
    seen = Preview("boxes", 60_000, 36, on_videos=2, videos=1, filtered=0, limit=None, exact=False)
    assert seen.text == "60,000 boxes on at most 36 images; 2 on at most 1 video are left out"


def test_the_preview_of_the_demo_counts_its_boxes(tator: Any) -> None:
    from fiftyone_tator.sandbox.demo import add_demo
    from fiftyone_tator.sync.options import ImportOptions
    from fiftyone_tator.tator_client import Tator

    demo = add_demo(tator.store, tator.seeded)
    options = ImportOptions(project=demo.project, versions=["Baseline"])
    sql = "select count(*) from localization where version = ? and type = ? and live = 2"
    boxes = tator.store.row(sql, (demo.versions["Baseline"], demo.localization_types["box"]))[0]
    with Tator(tator.url, tator.tokens["viewer"]) as client:
        seen = preview(client, resolve(client, options), options)
        options = ImportOptions(project=demo.project)
        whole = preview(client, resolve(client, options), options)
    assert whole.text == "2,246 boxes on 36 images; 276 on 1 video are left out"
    assert seen.localizations + seen.on_videos == boxes
    assert (seen.images, seen.videos) == (36, 1)
    assert seen.text == "1,131 boxes on 36 images; 212 on 1 video are left out"


def test_include_classes_brings_more_when_more_are_chosen(mixed: Any, name: str) -> None:
    mixed.run(dataset_name=name, include_classes=["crab"])
    result = mixed.run(dataset_name=name, include_classes=["kelp"])
    assert (result.created, len(mixed.dataset(name))) == (4, 8)
    assert set(mixed.dataset(name).distinct("ground_truth.label")) == {"crab", "kelp"}


def test_classes_that_nothing_has_make_no_dataset_and_the_labels_are_named(mixed: Any, name: str) -> None:
    with pytest.raises(NothingToImport, match=r"chosen class \(nobody\)\. Their labels are: crab, kelp, it's, 100 %\."):
        mixed.run(dataset_name=name, include_classes=["nobody"])
    assert not fo.dataset_exists(name)
    assert looked_at(mixed, include_classes=["nobody"]).localizations == 0
    mixed.run(dataset_name=name, include_classes=["crab"])
    assert mixed.run(dataset_name=name, include_classes=["nobody"]).unchanged == 4


def test_a_limit_counts_only_what_can_become_a_sample(house: Any) -> None:
    media = house.media("flat.png")
    later = house.version("Read after the first page")
    house.boxes(*(house.spec(media, width=0.0) for _ in range(2)))
    house.boxes(*(house.spec(media, version=later) for _ in range(3)))
    assert house.run(max_samples=2).created == 2
    assert house.run(max_samples=2).created == 0


def test_a_higher_limit_brings_the_next_ones_and_a_lower_one_takes_nothing(mixed: Any, name: str) -> None:
    mixed.run(dataset_name=name, max_samples=4)
    before = set(mixed.dataset(name).values("elemental_id"))
    assert mixed.run(dataset_name=name, max_samples=2).removed == 0
    assert mixed.run(dataset_name=name, max_samples=7).created == 3
    assert before < set(mixed.dataset(name).values("elemental_id")) and len(mixed.dataset(name)) == 7


def test_the_same_limit_brings_the_same_samples(mixed: Any, name: str) -> None:
    mixed.run(dataset_name=name, max_samples=5)
    first = set(mixed.dataset(name).values("elemental_id"))
    fo.delete_dataset(name)
    mixed.run(dataset_name=name, max_samples=5)
    assert set(mixed.dataset(name).values("elemental_id")) == first


def test_padding_and_crop_size_are_those_of_the_crop(mixed: Any, name: str) -> None:
    # Boxes are 32 x 12 pixels; half of that on each side makes 64 x 24.
    mixed.run(dataset_name=name, padding=0.5, crop_size=48, max_samples=1)
    assert Image.open(mixed.dataset(name).first().filepath).size == (48, 18)


def test_crop_format_png_keeps_the_pixels_of_the_picture(mixed: Any, name: str) -> None:
    mixed.run(dataset_name=name, crop_format="png", max_samples=1)
    sample = mixed.dataset(name).first()
    assert Path(sample.filepath).suffix == ".png" and sample.metadata.mime_type == "image/png"
    (download,) = (mixed.folder / "download").glob(f"{sample.media_id}_*")
    part = Image.open(download).convert("RGB").crop((16, 12, 48, 24))
    assert Image.open(sample.filepath).tobytes() == part.tobytes()


def test_the_label_attribute_becomes_the_label_and_the_others_fields(mixed: Any, name: str) -> None:
    mixed.run(dataset_name=name, label_attribute="quality", max_samples=1)
    sample = mixed.dataset(name).first()
    assert sample.ground_truth.label in ("good", "bad") and sample["Label"] in ("crab", "kelp", "it's, 100 %")
    assert not mixed.dataset(name).has_field("quality")


def test_an_unknown_label_attribute_is_named_with_those_that_there_are(mixed: Any, name: str) -> None:
    with pytest.raises(InvalidOption, match=r"'Lable'.*Label, quality, notes"):
        mixed.run(dataset_name=name, label_attribute="Lable")


def test_the_dataset_has_its_default_name(mixed: Any) -> None:
    import fiftyone_tator.sync.importing as importing
    from fiftyone_tator.sync.options import ImportOptions

    importing.import_project(mixed.client(), ImportOptions(project=mixed.name, max_samples=1), root=mixed.root)
    assert fo.dataset_exists(f"tator_project_{mixed.project}")
    fo.delete_dataset(f"tator_project_{mixed.project}")


# ---------------------------------------------------------------------- the operator


@pytest.fixture
def run(mixed: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Runs the operator as somebody does from Python; gives its result."""
    monkeypatch.setenv("FIFTYONE_TATOR_URL", f"{mixed.tator.url}/ , https://other.example")
    monkeypatch.setenv("FIFTYONE_TATOR_TOKEN", f"{mixed.tator.tokens['editor']},{'1' * 40}")
    monkeypatch.setenv("FIFTYONE_TATOR_DIR", str(mixed.root))

    def call(dataset: Any = None, **options: Any) -> dict[str, Any]:
        params = {"project": mixed.project, "dataset_name": name, **options}
        ctx = {"dataset": dataset, "params": {key: value for key, value in params.items() if value is not None}}
        result = foo.execute_operator(IMPORT, ctx=ctx)
        result.raise_exceptions()
        return dict(result.result)

    return call


@pytest.fixture
def app_presets() -> Iterator[dict[str, Any]]:
    """The presets of the App config."""
    plugins = fo.app_config.plugins
    fo.app_config.plugins = {**(plugins or {}), PLUGIN: {}}
    yield fo.app_config.plugins[PLUGIN]
    fo.app_config.plugins = plugins


@pytest.fixture
def opened() -> Iterator[Any]:
    """A dataset with presets of its own."""
    dataset = fo.Dataset("with-presets", overwrite=True)
    yield dataset
    dataset.delete()


def set_presets(dataset: Any, **presets: Any) -> None:
    dataset.app_config.plugins[PLUGIN] = presets
    dataset.save()


def test_the_operator_imports_and_gives_numbers(run: Any, name: str) -> None:
    result = run(versions=["Model"])
    assert (result["dataset"], result["created"], result["left_out"][0]["count"]) == (name, 6, 1)
    assert json.loads(json.dumps(result)) == result


def test_the_callable_operator_takes_its_options_by_name(run: Any, mixed: Any, name: str) -> None:
    operator = foo.get_operator(IMPORT)
    result = operator(mixed.name, dataset_name=name, versions=("Model",), include_classes={"crab"}, max_samples=1)
    assert result.result["created"] == 1


def test_the_app_configs_presets_set_any_option(run: Any, mixed: Any, app_presets: dict[str, Any]) -> None:
    app_presets.update(project=mixed.name, include_classes=["crab"], versions=["Model"])
    assert run(project=None)["created"] == 2


def test_a_datasets_presets_win_over_those_of_the_app_config(run: Any, app_presets: Any, opened: Any) -> None:
    app_presets.update(max_samples=4)
    set_presets(opened, max_samples=3)
    assert run(opened)["created"] == 3


def test_a_config_file_wins_over_presets_and_the_caller_over_all(
    run: Any, app_presets: Any, opened: Any, tmp_path: Path, name: str
) -> None:
    app_presets.update(max_samples=4)
    set_presets(opened, max_samples=3)
    file = tmp_path / "import.yml"
    file.write_text("max_samples: 2\n")
    assert run(opened, config_file=str(file))["created"] == 2
    fo.delete_dataset(name)
    assert run(opened, config_file=str(file), max_samples=1)["created"] == 1


def test_a_preset_may_name_the_config_file(run: Any, app_presets: Any, tmp_path: Path) -> None:
    (tmp_path / "import.json").write_text('{"max_samples": 2}')
    app_presets.update(config_file=str(tmp_path / "import.json"))
    assert run()["created"] == 2


@pytest.mark.parametrize(
    ("presets", "message"),
    [
        ({"max_sample": 1}, "The App config's presets: there is no option 'max_sample'. Did you mean max_samples?"),
        ({"max_samples": "many"}, "The App config's presets: the option max_samples cannot be 'many'"),
        ({"token": "x" * 40}, "The App config's presets: there is no option 'token'"),
    ],
)
def test_a_wrong_preset_is_named_with_its_place(
    run: Any, app_presets: Any, presets: dict[str, Any], message: str
) -> None:
    app_presets.update(presets)
    with pytest.raises(Exception, match=r"presets: th") as failure:
        run()
    assert message in str(failure.value)


def test_a_datasets_wrong_preset_is_named_with_the_dataset(run: Any, opened: Any) -> None:
    set_presets(opened, crop_format="gif")
    with pytest.raises(Exception, match=r"The presets of dataset 'with-presets': the option crop_format cannot be"):
        run(opened)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.yml", "max_sample: 1", "there is no option 'max_sample'. Did you mean max_samples"),
        ("a.yml", "padding: wide", "the option padding cannot be 'wide'"),
        ("a.yml", "- a\n- b", "should hold options"),
        ("a.yml", "a: [", "neither YAML nor JSON"),
        ("a.json", "{", "neither YAML nor JSON"),
        ("a.yml", None, "cannot be read: No such file or directory. Check its path"),
    ],
)
def test_a_config_file_that_cannot_be_used_is_named_with_what_is_wrong(
    run: Any, tmp_path: Path, name: str, content: str | None, message: str
) -> None:
    file = tmp_path / name
    if content is not None:
        file.write_text(content)
    with pytest.raises(Exception, match=message) as failure:
        run(dataset_name=None, config_file=str(file))
    assert str(file) in str(failure.value)


def test_the_forms_own_parameters_are_no_options(mixed: Any) -> None:
    params = {"project": mixed.project, "more": True, "view_target": "DATASET", "loaded_projects": {}, "padding": None}
    assert parse_options(*layers(None, params)).project == mixed.project


# ---------------------------------------------------------------------- the secrets


def test_several_servers_are_comma_lists_and_the_first_is_the_default(run: Any, mixed: Any) -> None:
    assert run(max_samples=1)["created"] == 1
    assert run(server=mixed.tator.url, max_samples=2)["created"] == 1


def test_a_server_without_a_token_is_named_with_those_that_have_one(run: Any, mixed: Any) -> None:
    with pytest.raises(Exception, match=rf"no token for https://third.example.*{mixed.tator.url}, https://other"):
        run(server="https://third.example")


@pytest.mark.parametrize("secret", ["FIFTYONE_TATOR_URL", "FIFTYONE_TATOR_TOKEN"])
def test_a_secret_that_is_not_set_is_named(run: Any, monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    monkeypatch.delenv(secret)
    with pytest.raises(Exception, match=f"The secret {secret} is not set. Set it in the environment"):
        run()


def test_lists_of_different_lengths_are_refused_without_a_token_in_the_message(
    run: Any, monkeypatch: pytest.MonkeyPatch, mixed: Any
) -> None:
    monkeypatch.setenv("FIFTYONE_TATOR_TOKEN", mixed.tator.tokens["editor"])
    with pytest.raises(Exception, match=r"names 2 servers and FIFTYONE_TATOR_TOKEN holds 1 tokens") as failure:
        run()
    assert mixed.tator.tokens["editor"] not in str(failure.value)
