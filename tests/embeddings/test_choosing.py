"""Which embedder options ask for, and what belongs to a service only."""

from typing import Any

import pytest

from fiftyone_tator.embeddings.choosing import choose, shown
from fiftyone_tator.embeddings.options import EmbedOptions, parse_embed_options
from fiftyone_tator.embeddings.remote import FastVSSEmbedder
from fiftyone_tator.sync.errors import InvalidOption

SERVICES = ["http://ann:hunter2@VSS.org/", "http://b:8000"]
HERE = ["local", "descriptor", "zoo", "zoo:resnet18-imagenet-torch"]


@pytest.mark.parametrize("service", ["http://vss.org", "http://VSS.org/", None])
def test_a_service_is_found_without_the_password_that_the_secret_has_for_it(service: str | None) -> None:
    found = choose(EmbedOptions(service=service), SERVICES)
    assert isinstance(found, FastVSSEmbedder)
    assert found._url == SERVICES[0]


@pytest.mark.parametrize(
    ("address", "seen"),
    [
        ("http://ann:hunter2@VSS.org:8000/a/", "http://vss.org:8000/a"),
        ("http://ann:hun://ter2@vss.org", "http://vss.org"),
        ("http://ann:hun@ter2@vss.org", "http://vss.org"),
        ("ann:hunter2@vss.org", "vss.org"),
        ("vss.org", "vss.org"),
    ],
)
def test_an_address_is_shown_without_a_password(address: str, seen: str) -> None:
    assert shown(address) == seen


def test_a_service_that_the_secret_does_not_name_is_told_with_those_that_it_names() -> None:
    with pytest.raises(InvalidOption, match=r"service http://c\. It names http://vss\.org, http://b:8000\.") as refused:
        choose(EmbedOptions(service="http://c"), SERVICES)
    assert "hunter2" not in str(refused.value)
    with pytest.raises(InvalidOption, match="It is not set"):
        choose(EmbedOptions(service="http://c"), [])


@pytest.mark.parametrize("service", HERE)
@pytest.mark.parametrize("option", [{"project": "reef"}, {"path": "/embeddings/{project}/"}])
def test_what_only_services_have_is_refused_for_this_machine(service: str, option: dict[str, Any]) -> None:
    (name,) = option
    with pytest.raises(
        InvalidOption, match=rf"option {name} belongs to a Fast-VSS, and '{service}' is this machine\. "
    ):
        choose(parse_embed_options(("The form", {"service": service, **option})), SERVICES)


def test_a_project_without_any_service_is_refused_instead_of_embedded_here() -> None:
    with pytest.raises(InvalidOption, match=r"'local' is this machine, since the secret FASTVSS_API_URL is not set"):
        choose(parse_embed_options(("The form", {"project": "reef"})), [])


@pytest.mark.parametrize("service", HERE)
def test_this_machine_outdoes_what_presets_say_of_a_service(service: str) -> None:
    preset = {"service": "http://b:8000", "project": "reef", "path": "/embeddings/{project}/", "batch_size": 8}
    options = parse_embed_options(("The presets", preset), ("The form", {"service": service}))
    assert (options.service, options.project, options.batch_size) == (service, None, 8)
    assert "path" not in options.model_fields_set
    later = parse_embed_options(("The presets", {"service": service}), ("The form", {"project": "reef"}))
    assert later.project == "reef"


@pytest.mark.parametrize("address", ["http://ann:hunter2@vss.org", "ann:hunter2@vss.org"])
def test_an_address_with_a_password_is_no_option(address: str) -> None:
    with pytest.raises(InvalidOption, match=r"^The form: .*user name or password in it.*FASTVSS_API_URL") as refused:
        parse_embed_options(("The form", {"service": address}))
    assert not any(secret in str(refused.value) for secret in ("hunter2", "ann"))
