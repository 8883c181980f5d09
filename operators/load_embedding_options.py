"""``@tator/sync/load_embedding_options``: what the form for embeddings asks services and the database."""

import time
from collections.abc import Mapping
from typing import Any

import fiftyone.operators as foo

from fiftyone_tator.embeddings.options import parse_embed_options
from fiftyone_tator.embeddings.vectors import Record, VectorField
from fiftyone_tator.operators.embed_run import samples_of
from fiftyone_tator.operators.embed_services import embedder_of, projects_of
from fiftyone_tator.sync.errors import InvalidOption
from fiftyone_tator.tator_client import TatorError

URI = "@tator/sync/load_embedding_options"
_PATIENCE = 30.0
"""Seconds: a person waits before the form."""
PROJECTS, READY, COUNT = "projects", "ready", "count"
"""What can be asked for; see :meth:`LoadEmbeddingOptions.execute`."""


class LoadEmbeddingOptions(foo.Operator):  # type: ignore[misc]
    """Loads what the form for embeddings shows; not listed, since the form calls it by itself."""

    @property
    def config(self) -> foo.OperatorConfig:
        """The operator's configuration."""
        return foo.OperatorConfig(
            name="load_embedding_options",
            label="Load the choices for embeddings",
            unlisted=True,
            disable_schema_validation=True,
        )

    def execute(self, ctx: Any) -> dict[str, Any]:
        """Answers one question of the form.

        Args:
            ctx: the execution context; its param ``ask`` says what is asked for, ``about`` about what: the
                ``projects`` of a ``service``; whether what the options name is ``ready``, by embedding one picture;
                the ``count`` of samples with and without a vector in a ``field``

        Returns:
            the answer; where something is wrong the reason as ``problem``
        """
        try:
            ask, about = ctx.params.get("ask"), ctx.params.get("about")
            if not isinstance(ask, str) or ask not in _ANSWERS or not isinstance(about, Mapping):
                raise InvalidOption(
                    f"ask and about should say what is asked for, and about what; ask is one of {', '.join(_ANSWERS)}."
                )
            return _ANSWERS[ask](ctx, about)
        except TatorError as error:
            return {"problem": str(error)}


def _projects(ctx: Any, about: Mapping[str, Any]) -> dict[str, Any]:
    return {"projects": projects_of(_text(about, "service"), ctx.secrets)}


def _ready(ctx: Any, about: Mapping[str, Any]) -> dict[str, Any]:
    options = parse_embed_options(("The form", about))
    started = time.monotonic()
    with embedder_of(options, ctx.secrets, patience=_PATIENCE) as embedder:
        record = Record.of(embedder.source, embedder.probe())
    return {"info": record.as_info(), "seconds": time.monotonic() - started}


def _count(ctx: Any, about: Mapping[str, Any]) -> dict[str, Any]:
    samples = samples_of(ctx)
    ctx.dataset.reload()
    vectors = VectorField(ctx.dataset, _text(about, "field"))
    return {
        "samples": len(ctx.dataset) if samples is None else len(samples),
        "missing": len(vectors.wanted(samples)),
        "held": vectors.count(),
    }


def _text(about: Mapping[str, Any], name: str) -> str:
    value = about.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidOption(f"about should hold {name!r}, a text.")
    return value


_ANSWERS = {PROJECTS: _projects, READY: _ready, COUNT: _count}
