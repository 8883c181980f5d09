"""Who asks, and what they may do: tokens, sessions, levels, throttling, the lockout of password logins."""

import hmac
import secrets
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from fiftyone_tator.sandbox.database import Database
from fiftyone_tator.sandbox.errors import BadRequest, Denied, NotFound

LEVELS = ("View Only", "Can Edit", "Can Transfer", "Can Execute", "Full Control")
VIEW, EDIT, TRANSFER, EXECUTE, FULL = range(len(LEVELS))

SESSION_COOKIE, CSRF_COOKIE = "sessionid", "csrftoken"
_LOCKOUT_AFTER, _LOCKOUT_SECONDS = 3, 600.0


@dataclass(frozen=True)
class User:
    """The user of a request.

    Args:
        id: user id
        username: login name
        full_name: first and last name
    """

    id: int
    username: str
    full_name: str


@dataclass
class Gate:
    """What the server remembers about those who ask.

    Args:
        store: where the users are
        per_second (100): requests a second that a user may make; 0 for no limit
        anonymous_per_second (10): the same for an address without a user
        clock (time.monotonic): the present time in seconds
    """

    store: Database
    per_second: int = 100
    anonymous_per_second: int = 10
    clock: Callable[[], float] = time.monotonic
    _recent: dict[str, deque[float]] = field(default_factory=lambda: defaultdict(deque))
    _wrong: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def user(self, headers: Mapping[str, str], cookies: Mapping[str, str], *, writes: bool, address: str) -> User:
        """Finds out who asks.

        Args:
            headers: of the request, with lower-case names
            cookies: of the request
            writes: whether the request changes something: then a session needs the CSRF token
            address: where it comes from, to throttle those without a user

        Returns:
            the user

        Raises:
            BadRequest: without credentials, with unknown ones, or too often
            Denied: if the CSRF token is missing
        """
        scheme, _, token = headers.get("authorization", "").strip().partition(" ")
        if scheme.lower() == "token":
            found = self._by("token", token.strip())
            if found is None:
                raise BadRequest("Invalid token.")
        else:
            found = self.session(cookies)
            if found is None:
                self.throttle(f"address {address}", self.anonymous_per_second)
                raise BadRequest("Authentication credentials were not provided.")
            if writes:
                self._check_csrf(headers, cookies)
        self.throttle(f"user {found.id}", self.per_second)
        return found

    def session(self, cookies: Mapping[str, str]) -> User | None:
        """The user of a browser session.

        Args:
            cookies: of the request

        Returns:
            the user, or None
        """
        username, _, signature = cookies.get(SESSION_COOKIE, "").rpartition(":")
        if not username or not hmac.compare_digest(signature, self.store.derive("session", username)):
            return None
        return self._by("username", username)

    def session_cookie(self, user: User) -> str:
        """The value of the session cookie.

        Args:
            user: who logged in

        Returns:
            the value
        """
        return f"{user.username}:{self.store.derive('session', user.username)}"

    def _check_csrf(self, headers: Mapping[str, str], cookies: Mapping[str, str]) -> None:
        given = headers.get("x-csrftoken", "")
        if not given:
            raise Denied("CSRF Failed: CSRF token missing.")
        if not hmac.compare_digest(given, cookies.get(CSRF_COOKIE, "")):
            raise Denied("CSRF Failed: CSRF token from the 'X-Csrftoken' HTTP header incorrect.")

    def _by(self, column: str, value: str) -> User | None:
        row = self.store.row(f"select * from user where {column} = ?", (value,))
        if row is None:
            return None
        return User(row["id"], row["username"], f"{row['first_name']} {row['last_name']}".strip() or row["username"])

    def throttle(self, who: str, limit: int) -> None:
        """Counts a request of the last second.

        Args:
            who: whose
            limit: how many are allowed; 0 for any number

        Raises:
            BadRequest: if there are too many
        """
        if not limit:
            return
        with self._lock:
            recent, moment = self._recent[who], self.clock()
            while recent and recent[0] <= moment - 1:
                recent.popleft()
            if len(recent) >= limit:
                raise BadRequest("Request was throttled. Expected available in 1 second.")
            recent.append(moment)

    def login(self, username: str, password: str) -> User:
        """Checks a password.

        Args:
            username: the name
            password: the password

        Returns:
            the user

        Raises:
            BadRequest: if it is wrong, or after three wrong ones within ten minutes, with the same message
        """
        wrong = self._wrong[username]
        wrong[:] = [moment for moment in wrong if moment > self.clock() - _LOCKOUT_SECONDS]
        found = self._by("username", username) if len(wrong) < _LOCKOUT_AFTER else None
        if found is not None:
            row = self.store.row("select password from user where id = ?", (found.id,))
            if row and hmac.compare_digest(row["password"], self.store.derive("password", password)):
                wrong.clear()
                return found
        wrong.append(self.clock())
        raise BadRequest("Unable to log in with provided credentials.")

    def token(self, user: User, *, refresh: bool = False) -> str:
        """A user's token.

        Args:
            user: the user
            refresh (False): replaces it; the old one dies

        Returns:
            40 hexadecimal digits
        """
        if refresh:
            with self.store.write() as db:
                db.execute("update user set token = ? where id = ?", (secrets.token_hex(20), user.id))
        row = self.store.row("select token from user where id = ?", (user.id,))
        return str(row["token"]) if row else ""


def level(store: Database, user: User, project: int) -> int:
    """A user's level in a project.

    Args:
        store: where
        user: the user
        project: project id

    Returns:
        the level, -1 for no member

    Raises:
        NotFound: if there is no such project
    """
    if store.row("select 1 from project where id = ?", (project,)) is None:
        raise NotFound("Project")
    row = store.row("select permission from membership where project = ? and user = ?", (project, user.id))
    return LEVELS.index(row["permission"]) if row else -1


def require(store: Database, user: User, project: int, needed: int) -> None:
    """Refuses users below a level.

    Args:
        store: where
        user: the user
        project: project id
        needed: the level

    Raises:
        Denied: if the user's level is lower
        NotFound: if there is no such project
    """
    if level(store, user, project) < needed:
        raise Denied


def require_acquaintance(store: Database, user: User, other: int) -> None:
    """Refuses users who share no project with another one; staff may look at everybody.

    Args:
        store: where
        user: who asks
        other: user id

    Raises:
        Denied: if the user may not see the other one
    """
    sql = """select 1 from user where id = ?1 and (is_staff or id = ?2) union all
             select 1 from membership a join membership b on b.project = a.project
             where a.user = ?1 and b.user = ?2"""
    if store.row(sql, (user.id, other)) is None:
        raise Denied


def require_organization_admin(store: Database, user: User, organization: int) -> None:
    """Refuses users who are not Admin of an organization.

    Args:
        store: where
        user: the user
        organization: organization id

    Raises:
        Denied: if the user is not
        NotFound: if there is no such organization
    """
    if store.row("select 1 from organization where id = ?", (organization,)) is None:
        raise NotFound("Organization")
    sql = "select 1 from affiliation where organization = ? and user = ? and permission = 'Admin'"
    if store.row(sql, (organization, user.id)) is None:
        raise Denied(f"User {user.full_name} does not have Admin permissions for organization {organization}")


def require_author(store: Database, user: User, project: int, elemental_id: str) -> int:
    """The user that ``user_elemental_id`` names, if the caller may set authors.

    Args:
        store: where
        user: who asks
        project: project id
        elemental_id: of the wanted author

    Returns:
        the author's user id

    Raises:
        Denied: without Full Control
        BadRequest: if there is no such user
    """
    if level(store, user, project) < FULL:
        raise Denied(f"User {user.full_name} does not have full permission, required for authorship modifications")
    row = store.row("select id from user where elemental_id = ?", (str(elemental_id),))
    if row is None:
        raise BadRequest(f"Couldn't find user with {elemental_id}")
    return int(row["id"])
