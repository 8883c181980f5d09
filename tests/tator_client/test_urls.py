from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fiftyone_tator.tator_client import AuthenticationFailed, ConnectionFailed
from fiftyone_tator.tator_client._urls import normalise_url, without_query
from fiftyone_tator.tator_client._wire import clean_token

hosts = st.from_regex(r"[a-z][a-z0-9]{0,8}(\.[a-z]{2,5}){0,2}", fullmatch=True)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("https://tator.example.org", "https://tator.example.org"),
        (" https://Tator.example.org/ \n", "https://tator.example.org"),
        ("tator.example.org", "https://tator.example.org"),
        ("tator.example.org:8443/rest/", "https://tator.example.org:8443"),
        ("http://localhost:8080/rest", "http://localhost:8080"),
        ("localhost:8080", "http://localhost:8080"),
        ("127.0.0.1:9", "http://127.0.0.1:9"),
        ("https://tator.example.org:443", "https://tator.example.org"),
        ("https://tator.example.org/12/annotation/7?version=3", "https://tator.example.org"),
        ("https://tator.example.org/projects", "https://tator.example.org"),
        ("https://example.org/tator/rest/Projects", "https://example.org/tator"),
        ("http://[::1]:80/", "http://[::1]"),
    ],
)
def test_addresses_as_people_write_them(written: str, meant: str) -> None:
    """An address may be written in many ways and means one server."""
    assert normalise_url(written) == meant


@given(
    scheme=st.sampled_from(["", "http://", "https://", "HTTPS://"]),
    host=hosts,
    port=st.one_of(st.just(""), st.integers(1, 65535).map(lambda port: f":{port}")),
    tail=st.sampled_from(["", "/", "//", "/rest", "/rest/", "/3/project-detail", "/sub", "/sub/rest/"]),
)
def test_a_normal_address_stays_as_it_is(scheme: str, host: str, port: str, tail: str) -> None:
    """Normalising twice is normalising once, and the host is never lost."""
    once = normalise_url(f"{scheme}{host}{port}{tail}")
    assert normalise_url(once) == once
    assert once.startswith(("http://", "https://")) and host in once and not once.endswith("/")


@given(st.text(max_size=40))
def test_any_text_is_an_address_or_a_clear_refusal(text: str) -> None:
    """Text that is no address is refused by our own exception."""
    try:
        assert normalise_url(text).startswith("http")
    except ConnectionFailed as error:
        assert "https://tator.example.org" in error.message or "user name" in error.message


@pytest.mark.parametrize("wrong", ["", "   ", "ftp://tator.example.org", "https://", "http://a:b", "http://a b/"])
def test_what_is_no_address_is_refused_at_once(wrong: str) -> None:
    """Something that cannot be an address is not tried, nor worth trying again."""
    with pytest.raises(ConnectionFailed) as caught:
        normalise_url(wrong)
    assert not caught.value.transient


def test_passwords_in_addresses_are_refused_without_repeating_them() -> None:
    """A URL with a name and password in it is refused, and the message does not hold them."""
    with pytest.raises(ConnectionFailed) as caught:
        normalise_url("https://me:hunter2@tator.example.org")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("written", ["abc123", "Token abc123", "token  abc123\n", " abc123 ", "TOKEN abc123"])
def test_tokens_as_people_paste_them(written: str) -> None:
    """Blanks around a token and the word in front of it are dropped."""
    assert clean_token(written) == "abc123"


@pytest.mark.parametrize("wrong", ["", "  ", "Token ", "ab cd", "ab\ncd", "abc\u00e9", "ab\x00c"])
def test_what_is_no_token_is_refused_without_repeating_it(wrong: str) -> None:
    """An empty or impossible token is refused before anything is sent, and not shown."""
    with pytest.raises(AuthenticationFailed) as caught:
        clean_token(wrong)
    assert not wrong.strip() or wrong.strip() == "Token" or wrong not in str(caught.value)


def test_messages_show_object_urls_without_their_query() -> None:
    """What is shown of an object URL ends before the signature."""
    assert without_query("https://s3.example/a.jpg?X-Amz-Signature=abc#d") == "https://s3.example/a.jpg"
