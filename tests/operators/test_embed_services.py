"""Fast-VSS services, as people write them into the environment; presets for embeddings, as they write them down."""

from types import SimpleNamespace
from typing import Any

import pytest

from fiftyone_tator.embeddings.options import EmbedOptions, parse_embed_options
from fiftyone_tator.embeddings.remote import FastVSSEmbedder
from fiftyone_tator.operators.compute_fastvss_embeddings import _options
from fiftyone_tator.operators.embed_run import said
from fiftyone_tator.operators.embed_services import embedder_of, services
from fiftyone_tator.operators.presets import PLUGIN, embedding_layers, layers
from fiftyone_tator.sync.errors import InvalidOption
from fiftyone_tator.sync.options import parse_options

SECRET = "FASTVSS_API_URL"


def dataset(presets: Any) -> Any:
    """As much of a dataset as presets ask for."""
    return SimpleNamespace(name="reef", app_config=SimpleNamespace(plugins={PLUGIN: presets}))


@pytest.mark.parametrize(
    "written", ["http://a:8000/,http://b", "http://a:8000 , http://b/", "http://a:8000\nhttp://b\n"]
)
def test_several_services_are_separated_by_commas_or_lines(written: str) -> None:
    assert list(services({SECRET: written})) == ["http://a:8000", "http://b"]


@pytest.mark.parametrize("written", [None, "", " , "])
def test_without_the_secret_there_are_no_services(written: str | None) -> None:
    assert services({SECRET: written}) == {}


def test_a_password_in_an_address_is_used_and_not_shown() -> None:
    assert services({SECRET: "https://ann:hunter2@vss.org"}) == {"https://vss.org": "https://ann:hunter2@vss.org"}


def test_what_is_no_address_is_refused_without_being_printed() -> None:
    with pytest.raises(InvalidOption, match="Address 2 in the secret FASTVSS_API_URL cannot be used") as refused:
        services({SECRET: "http://a,ann:hunter2@vss"})
    assert "hunter2" not in str(refused.value)


def test_a_service_is_found_by_what_is_shown_of_it_and_no_other_is_asked() -> None:
    secrets = {SECRET: "https://ann:hunter2@VSS.org/"}
    found = embedder_of(EmbedOptions(service="https://vss.org/"), secrets)
    assert isinstance(found, FastVSSEmbedder)
    with pytest.raises(InvalidOption, match="does not name the service http://elsewhere") as refused:
        embedder_of(EmbedOptions(service="http://elsewhere"), secrets)
    assert "hunter2" not in str(refused.value)


def test_presets_for_embeddings_are_none_of_the_import() -> None:
    reef = dataset({"project": 4, "embeddings": {"project": "reef", "batch_size": 64}})
    assert parse_options(*layers(reef, {})).project == 4
    options = parse_embed_options(*embedding_layers(reef, {"batch_size": 8}))
    assert (options.project, options.batch_size) == ("reef", 8)


def test_a_wrong_preset_for_embeddings_is_named_with_its_place() -> None:
    with pytest.raises(InvalidOption, match=r"presets of dataset 'reef', embeddings: there is no option 'batchsize'"):
        parse_embed_options(*embedding_layers(dataset({"embeddings": {"batchsize": 64}}), {}))
    with pytest.raises(InvalidOption, match=r"presets of dataset 'reef'.*should map options to values under 'embed"):
        embedding_layers(dataset({"embeddings": ["batch_size"]}), {})


def test_the_forms_own_parameters_are_no_options() -> None:
    params = {
        "field": "mine",
        "map": "",
        "more": True,
        "loaded_ready_1": {},
        "shown_2": "text",
        "view_target": "DATASET",
    }
    assert said(params) == {"field": "mine"}


def test_what_the_form_shows_no_more_is_left_for_this_machine_and_what_a_caller_says_is_refused() -> None:
    params = {"service": "local", "project": "reef", "path": "/embeddings/{project}/", "batch_size": 8}
    loaded = {"loaded_ready_1": {"data": {}}}
    found = _options(SimpleNamespace(dataset=dataset({"embeddings": {"project": "kelp"}}), params={**params, **loaded}))
    assert (found.service, found.project, found.batch_size) == ("local", None, 8)
    assert not isinstance(embedder_of(found, {SECRET: "http://a:8000"}), FastVSSEmbedder)
    with pytest.raises(InvalidOption, match="option project belongs to a Fast-VSS"):
        embedder_of(_options(SimpleNamespace(dataset=dataset({}), params=params)), {SECRET: "http://a:8000"})


def test_a_preset_with_a_password_is_refused_with_its_place() -> None:
    preset = dataset({"embeddings": {"service": "http://ann:hunter2@a:8000"}})
    with pytest.raises(InvalidOption, match=r"presets of dataset 'reef', embeddings: .*password in it") as refused:
        parse_embed_options(*embedding_layers(preset, {}))
    assert "hunter2" not in str(refused.value)
