"""Hosted templates, applets, and the web pages that show them."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

PAGE = '<main id="mainApplet">{{ title }} of {{ project_id }}{{ missing }} & {% raw %}{{ kept }}{% endraw %}</main>'


class Host(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.seen.append((self.path, dict(self.headers)))
        status, page = self.server.pages.get(self.path, (404, "gone: {{ title }}"))
        self.send_response(status)
        if status == 302:
            self.send_header("Location", page)
        self.end_headers()
        self.wfile.write(page.encode())

    def log_message(self, *args):
        pass


@pytest.fixture
def host():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Host)
    server.seen, server.pages = [], {"/a.html": (200, PAGE), "/moved.html": (302, "/a.html")}
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def template(fresh, host):
    def make(path="/a.html"):
        parameters = [{"name": "project_id", "value": "1"}, {"name": "title", "value": "<Review>"}]
        body = {
            "name": "t", "url": host.url + path, "headers": [{"name": "X-Key", "value": "abc"}], "tparams": parameters,
        }  # fmt: skip
        return fresh.call("POST", "/rest/HostedTemplates/1", body, 201)["id"]

    return make


def applet(api, template, **more):
    body = {"name": "Review", "categories": ["dashboard"], "template": template, **more}
    return api.call("POST", f"/rest/Applets/{api.project}", body, 201)["id"]


def test_templates(fresh, template):
    """A template shows everything but its headers; PATCH needs name and url and resets what it leaves out."""
    id_ = template()
    path = f"/rest/HostedTemplate/{id_}"
    shown = fresh.call("GET", path)
    assert set(shown) == {"id", "name", "organization", "url", "tparams", "effective_permission"}
    assert fresh.call("GET", "/rest/HostedTemplates/1") == [shown]
    assert fresh.refused("PATCH", path, {"name": "t"}) == "Request body validation error"
    done = fresh.call("PATCH", path, {"name": "t2", "url": shown["url"]})
    assert done["message"] == f"Hosted template {id_} successfully updated!"
    assert fresh.call("GET", path)["tparams"] == []
    assert fresh.call("DELETE", path)["message"] == "Hosted template deleted successfully!"
    assert fresh.refused("GET", path, status=404) == "No HostedTemplate matches the given query."


def test_only_admins_see_templates(api):
    """Whoever is not the organization's Admin may not even list templates."""
    assert api.refused("GET", "/rest/HostedTemplates/1", status=403) == (
        "User Editor Test does not have Admin permissions for organization 1"
    )


def test_rendering(fresh, host, template):
    """The applet's values win over the template's, undefined ones are empty, nothing is escaped."""
    id_ = applet(fresh, template(), tparams=[{"name": "project_id", "value": "42"}])
    shown = fresh.call("GET", f"/rest/Applet/{id_}")
    assert shown["rendered"] == '<main id="mainApplet"><Review> of 42 & {{ kept }}</main>'
    assert fresh.call("GET", f"/rest/Applets/{fresh.project}") == [shown]
    assert shown["tparams"] == [{"name": "project_id", "value": "42"}] and shown["categories"] == ["dashboard"]


def test_every_read_fetches(fresh, host, template):
    """Every read fetches the page again, with the template's headers and nothing about the user."""
    id_ = applet(fresh, template(), headers=[{"name": "X-Once", "value": "1"}])
    assert host.seen[0][1]["X-Key"] == "abc" and host.seen[0][1]["X-Once"] == "1"
    host.pages["/a.html"] = (200, "changed")
    assert fresh.call("GET", f"/rest/Applet/{id_}")["rendered"] == "changed"
    fresh.call("GET", f"/rest/Applets/{fresh.project}")
    assert len(host.seen) == 3
    headers = host.seen[-1][1]
    assert headers["X-Key"] == "abc" and not {"X-Once", "Authorization", "Cookie"} & set(headers)


def test_redirects_and_statuses(fresh, host, template):
    """Redirects are followed, and a page of any status is rendered."""
    assert "mainApplet" in fresh.call("GET", f"/rest/Applet/{applet(fresh, template('/moved.html'))}")["rendered"]
    assert fresh.call("GET", f"/rest/Applet/{applet(fresh, template('/no.html'))}")["rendered"] == "gone: <Review>"


def test_one_host_down_fails_the_list(fresh, host, template):
    """A broken template is 400 for its applet and for the whole list, and at creation."""
    good, broken = applet(fresh, template()), applet(fresh, template("/moved.html"))
    host.pages["/moved.html"] = (200, "{% if %}")
    assert fresh.refused("GET", f"/rest/Applet/{broken}")
    assert fresh.refused("GET", f"/rest/Applets/{fresh.project}")
    assert fresh.call("GET", f"/rest/Applet/{good}")["id"] == good
    down = fresh.call("POST", "/rest/HostedTemplates/1", {"name": "d", "url": "http://127.0.0.1:1/x"}, 201)["id"]
    assert fresh.refused("POST", f"/rest/Applets/{fresh.project}", {"name": "x", "template": down})


def test_who_may_make_applets(fresh, connected, template):
    """Members read applets; making them needs Can Execute and organization Admin."""
    id_ = applet(fresh, template())
    editor = connected(fresh.server, "editor")
    with editor.http:
        assert editor.call("GET", f"/rest/Applet/{id_}")["id"] == id_
        assert editor.refused("POST", f"/rest/Applets/{fresh.project}", {"name": "x"}, 403)
        assert editor.refused("DELETE", f"/rest/Applet/{id_}", status=403)


def test_applets_change_and_go(fresh, template):
    """PATCH changes what it names, DELETE removes."""
    id_ = applet(fresh, template())
    path = f"/rest/Applet/{id_}"
    assert fresh.call("PATCH", path, {"description": "d"})["message"] == f"Applet {id_} successfully updated!"
    shown = fresh.call("GET", path)
    assert (shown["description"], shown["name"]) == ("d", "Review")
    assert fresh.call("DELETE", path)["message"] == "Registered applet deleted successfully!"
    assert fresh.call("GET", f"/rest/Applets/{fresh.project}") == []


@pytest.fixture
def browser(fresh):
    """A logged-in browser, without a token."""
    with httpx.Client(base_url=fresh.server.url, follow_redirects=True) as client:
        client.post("/accounts/login/", data={"username": "editor", "password": "editor"})
        yield client


def test_pages_need_a_login(fresh, browser):
    """Who is not logged in lands on the login page and loses the query; a wrong password stays there."""
    path = f"/{fresh.project}/annotation/1?selected_entity=x"
    with httpx.Client(base_url=fresh.server.url, follow_redirects=True) as client:
        login = client.get(path)
        assert login.url.path == "/accounts/login/" and "selected_entity" not in str(login.url)
        assert "Unable to log in" in client.post(login.url, data={"username": "editor", "password": "no"}).text
        back = client.post(login.url, data={"username": "editor", "password": "editor"})
    assert back.url.path == path.partition("?")[0]
    assert "Contract" in browser.get("/").text


def test_the_dashboard(fresh, browser, template):
    """An applet is shown in an iframe of its page, under Tator's isolation headers."""
    id_ = applet(fresh, template())
    answer = browser.get(f"/{fresh.project}/dashboards/{id_}")
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert answer.headers["cross-origin-embedder-policy"] == "credentialless"
    assert 'srcdoc="&lt;main id=&quot;mainApplet&quot;&gt;' in answer.text
    assert f"/{fresh.project}/dashboards/{id_}" in browser.get(f"/{fresh.project}/project-detail").text


def test_a_link_to_a_localization(fresh, browser):
    """A deep link names the media and the element, and draws its box on the picture."""
    _, (element,) = fresh.make(attributes={"Label": "<crab>"})
    query = {"selected_entity": element, "selected_type": "box_1", "version": fresh.version, "frame": 0}
    text = browser.get(f"/{fresh.project}/annotation/1", params=query).text
    assert "contract.jpg" in text and element in text and "&lt;crab&gt;" in text
    assert '<rect x="0.1" y="0.2" width="0.3" height="0.4" class="chosen"' in text
    picture = text.partition('<img src="')[2].partition('"')[0].replace("&amp;", "&")
    assert browser.get(picture).content[:3] == b"\xff\xd8\xff"
    assert browser.get(f"/{fresh.project}/annotation/999").status_code == 404


def test_a_session_calls_the_api(fresh, browser):
    """A page reads as its user by cookie; a write needs the CSRF cookie's value in a header."""
    assert browser.get("/rest/User/GetCurrent").json()["username"] == "editor"
    path = f"/rest/Localizations/{fresh.project}"
    refused = browser.post(path, json=[fresh.spec()])
    assert (refused.status_code, refused.json()["message"]) == (403, "CSRF Failed: CSRF token missing.")
    assert browser.post(path, json=[fresh.spec()], headers={"X-CSRFToken": "wrong"}).status_code == 403
    token = browser.cookies["csrftoken"]
    assert browser.post(path, json=[fresh.spec()], headers={"X-CSRFToken": token}).status_code == 201
