"""Servers and tokens, as people write them into the environment."""

import pytest

from fiftyone_tator.operators.servers import TOKEN, URL, Server, choose, servers
from fiftyone_tator.sync.errors import InvalidOption


def secrets(urls: str | None, tokens: str | None) -> dict[str, str | None]:
    return {URL: urls, TOKEN: tokens}


@pytest.mark.parametrize(
    "written",
    [
        "https://tator.example.org/",
        "https://tator.example.org/rest",
        "https://tator.example.org/rest/",
        "tator.example.org",
    ],
)
def test_an_address_is_known_in_the_form_that_the_client_uses(written: str) -> None:
    assert servers(secrets(written, "abc")) == [Server("https://tator.example.org", "abc")]


def test_a_server_is_found_however_its_address_is_written() -> None:
    assert choose(secrets("a.org/rest,b.org", "one,two"), "https://b.org/rest/").token == "two"


def test_the_first_server_is_the_one_if_none_is_asked_for() -> None:
    assert choose(secrets("a.org,b.org", "one,two"), None) == Server("https://a.org", "one")


@pytest.mark.parametrize(
    ("urls", "tokens"),
    [("a.org,b.org", "one,two"), ("a.org , b.org,", " one , two,"), ("a.org\nb.org\n", "one\r\ntwo\r\n")],
)
def test_several_servers_are_separated_by_commas_or_lines(urls: str, tokens: str) -> None:
    assert servers(secrets(urls, tokens)) == [Server("https://a.org", "one"), Server("https://b.org", "two")]


def test_a_token_with_the_word_token_before_it_counts_as_one() -> None:
    (server,) = servers(secrets("a.org", "Token abc"))
    assert server.token == "Token abc"


@pytest.mark.parametrize(
    ("urls", "tokens", "missing"), [(None, "one", URL), ("a.org", None, TOKEN), (" , ", "one", URL)]
)
def test_a_missing_secret_is_named(urls: str | None, tokens: str | None, missing: str) -> None:
    with pytest.raises(InvalidOption, match=f"The secret {missing} is not set"):
        servers(secrets(urls, tokens))


@pytest.mark.parametrize(("urls", "tokens"), [("a.org,b.org", "one"), ("a.org", "one,two")])
def test_servers_and_tokens_of_different_number_are_refused_without_a_token_in_the_message(
    urls: str, tokens: str
) -> None:
    with pytest.raises(InvalidOption, match="one token a server") as refused:
        servers(secrets(urls, tokens))
    assert "two" not in str(refused.value)


def test_an_address_with_a_password_in_it_is_refused_without_being_printed() -> None:
    with pytest.raises(InvalidOption, match=f"Address 2 in {URL} cannot be used.*password") as refused:
        servers(secrets("a.org,https://bob:hunter2@b.org", "one,two"))
    assert "hunter2" not in str(refused.value) and refused.value.__cause__ is None


def test_an_address_that_is_asked_for_with_a_password_in_it_is_refused_without_being_printed() -> None:
    with pytest.raises(InvalidOption, match=r"server that was asked for.*password") as refused:
        choose(secrets("a.org", "one"), "https://bob:hunter2@a.org")
    assert "hunter2" not in str(refused.value)


def test_a_server_that_the_secrets_do_not_name_is_told_with_those_that_they_name() -> None:
    with pytest.raises(
        InvalidOption, match=r"no token for https://c\.org\. They name: https://a\.org, https://b\.org\."
    ):
        choose(secrets("a.org,b.org", "one,two"), "c.org")


def test_a_token_is_not_shown() -> None:
    assert "hunter2" not in repr(servers(secrets("a.org", "hunter2")))
