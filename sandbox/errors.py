"""The refusals of the server, as exceptions.

ApiError
    BadRequest      400: nearly everything, also missing credentials and throttling
        BadFilter   400 on GET, 500 with an HTML page on a PUT read
    Denied          403: not a member, or a level too low
    NotFound        404: no such row
"""


class ApiError(Exception):
    """A refusal.

    Args:
        message: what the answer's ``message`` says
        details ("None"): what the answer's ``details`` says
    """

    status = 500

    def __init__(self, message: str, details: str = "None") -> None:
        super().__init__(message)
        self.message = message
        self.details = details

    def body(self) -> dict[str, str]:
        """The JSON body of the answer."""
        return {"message": self.message}


class BadRequest(ApiError):
    """The request cannot be served."""

    status = 400

    def body(self) -> dict[str, str]:
        """The JSON body of the answer, with details."""
        return {"message": self.message, "details": self.details}


class BadFilter(BadRequest):
    """A filter cannot be applied."""


class Denied(ApiError):
    """The user may not do this."""

    status = 403

    def __init__(self, message: str = "You do not have permission to perform this action.") -> None:
        super().__init__(message)


class NotFound(ApiError):
    """The path names nothing.

    Args:
        kind: what was looked for, such as ``Project``; empty for an empty message
    """

    status = 404

    def __init__(self, kind: str = "") -> None:
        super().__init__(f"No {kind} matches the given query." if kind else "")


def invalid_body(body: object) -> BadRequest:
    """The refusal of a body that does not fit the schema; it repeats the body.

    Args:
        body: the parsed body

    Returns:
        the exception
    """
    return BadRequest(
        "Request body validation error",
        f"Value {body!r} not valid for schema of type any: "
        f'(<ValidationError: "{body!r} is not valid under any of the given schemas">,)',
    )
