"""Everything that is said to a Tator server.

    with Tator("https://tator.example.org", token) as tator:
        for page in tator.iter_localizations(1, types=[1], versions=[2]):
            ...

Imports nothing else of this project and no FiftyOne.
"""

from ._urls import normalise_url
from ._values import fits_bulk, with_elemental_ids
from .errors import (
    AuthenticationFailed,
    ConnectionFailed,
    ExpiredLink,
    IncompleteAnswer,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    ServerFailed,
    StaleRow,
    TatorError,
    Throttled,
)
from .models import (
    AttributeType,
    Level,
    LocalizationType,
    MediaType,
    Membership,
    Project,
    Section,
    StateType,
    User,
    Version,
)
from .rows import Localization, Media, MediaFile, MediaFiles, State
from .sdk import Sdk
from .session import Tator

__all__ = [
    "AttributeType",
    "AuthenticationFailed",
    "ConnectionFailed",
    "ExpiredLink",
    "IncompleteAnswer",
    "InvalidRequest",
    "Level",
    "Localization",
    "LocalizationType",
    "Media",
    "MediaFile",
    "MediaFiles",
    "MediaType",
    "Membership",
    "NotFound",
    "PermissionDenied",
    "Project",
    "Sdk",
    "Section",
    "ServerFailed",
    "StaleRow",
    "State",
    "StateType",
    "Tator",
    "TatorError",
    "Throttled",
    "User",
    "Version",
    "fits_bulk",
    "normalise_url",
    "with_elemental_ids",
]
