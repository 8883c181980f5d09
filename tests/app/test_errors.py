"""What a person reads when something is wrong: words, never a stack trace."""

from collections.abc import Callable
from typing import Any


def calm(page: Any) -> bool:
    text = page.inner_text("body")
    return "Traceback" not in text and "Error occurred" not in text and "unhashable" not in text


def test_a_server_that_refuses_the_token_or_is_away_is_named_in_the_form_and_another_can_be_chosen(
    form: Any, page: Any, app: Any, tator: Any, leaks: Callable[..., list[str]]
) -> None:
    form.open(app)
    form.pick("Tator server", "localhost").sees("cannot be used now").sees("token")
    assert calm(page)
    assert leaks(app, page=page.content()) == []
    urls = app.env["FIFTYONE_TATOR_URL"].split(",")
    form.pick("Tator server", urls[2]).sees(f"{urls[2]} cannot be used now")
    assert calm(page)
    form.pick("Tator server", tator.url).project().sees("2,246 boxes")
    assert not page.get_by_text("cannot be used now").is_visible()


def test_without_secrets_the_form_names_them_and_cannot_be_sent(form: Any, page: Any, apps: dict[str, Any]) -> None:
    form.open(apps["none"]).sees("The import is not set up yet").sees("FIFTYONE_TATOR_URL is not set")
    assert not page.get_by_role("button", name="Import", exact=True).is_enabled()
    assert calm(page)


def test_an_unknown_key_in_a_config_file_is_named_and_the_field_stays(
    form: Any, page: Any, app: Any, scratch: Any
) -> None:
    file = scratch / "wrong.yml"
    file.write_text("max_sample: 7\n")
    form.open(app).project()
    page.get_by_text("More options").click()
    form.field("Config file").fill(str(scratch / "nowhere.yml"))
    form.sees("cannot be read: No such file")
    form.field("Config file").fill(str(file))
    form.sees("there is no option 'max_sample'. Did you mean max_samples?")
    assert form.field("Config file").input_value() == str(file)
    assert calm(page)


def test_a_server_that_fails_during_an_import_is_told_in_place_of_progress(
    form: Any, page: Any, app: Any, tator: Any
) -> None:
    form.open(app).project()
    form.field("Dataset").fill("never")
    form.sees("2,246 boxes").sees("It will be made")
    tator.faults.arm("* /rest/Localizations", "fail", status=403, times=0)
    form.submit()
    form.sees("The import stopped")
    assert calm(page)
    page.get_by_text("Executing...").wait_for(state="hidden")
    assert "never" not in {row["name"] for row in app.collections().get("datasets", ())}
