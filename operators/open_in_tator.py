"""``@tator/sync/open_in_tator``: the localizations of samples, where they are at home."""

from collections.abc import Sequence
from typing import Any

import fiftyone as fo
import fiftyone.operators as foo
import fiftyone.operators.types as types

from fiftyone_tator.operators.hands import GRID, SAMPLE, answer, call, chosen, placement
from fiftyone_tator.operators.markdown import plain
from fiftyone_tator.sync.hands import addresses

OPEN_URL = "@tator/sync/open_url"
"""Opens an address in a new tab; in ``app/operators.js``, since no operator of the App itself does."""

_MOST_LINKS = 100


class OpenInTator(foo.Operator):  # type: ignore[misc]
    """Opens a sample in Tator in a new tab; of several samples, a page with a link to each."""

    @property
    def config(self) -> foo.OperatorConfig:
        """The operator's configuration."""
        return foo.OperatorConfig(
            name="open_in_tator",
            label="Open in Tator",
            description="Open the selected samples, or the open one, in Tator",
            icon="open_in_new",
            disable_schema_validation=True,
            view_target=False,
        )

    def resolve_placement(self, ctx: Any) -> Any:
        """A button above the grid."""
        return placement(ctx, GRID, "Open in Tator", "open_in_new", prompt=False)

    def execute(self, ctx: Any) -> dict[str, Any] | None:
        """Opens a tab, or shows a page of links: browsers let one click open one tab only.

        Args:
            ctx: the execution context

        Returns:
            the addresses as ``urls``, in the order of the selection, of the first hundred samples
        """

        def work() -> dict[str, Any]:
            ids = chosen(ctx)
            ids = ctx.dataset.values("id") if ids is None else ids
            found = addresses(ctx.dataset, ids, _MOST_LINKS)
            if len(ids) == 1:
                ctx.trigger(OPEN_URL, {"url": found[0][1]})
            else:
                ctx.trigger("show_output", {"outputs": _page(found, len(ids)).to_json(), "results": {}})
            return {"urls": [url for _, url in found]}

        return answer(ctx, work)

    def __call__(self, samples: "fo.Dataset | fo.DatasetView", *, selected: Sequence[str] | None = None) -> Any:
        """Gives the addresses to Python.

        Args:
            samples: a dataset, or a view of one
            selected (None): ids of samples; all of ``samples`` if None

        Returns:
            an :class:`fiftyone.operators.executor.ExecutionResult`; its ``result`` has the addresses of the first
            hundred samples as ``urls``

        Raises:
            OperatorFailed: if it fails in a way that is explained
        """
        return call(self, samples, selected)


class OpenSampleInTator(OpenInTator):
    """The same, placed where one sample is open; an operator can be in one place only."""

    @property
    def config(self) -> foo.OperatorConfig:
        """The operator's configuration."""
        return foo.OperatorConfig(
            name="open_sample_in_tator",
            label="Open this sample in Tator",
            icon="open_in_new",
            unlisted=True,
            disable_schema_validation=True,
            view_target=False,
        )

    def resolve_placement(self, ctx: Any) -> Any:
        """A button at the open sample."""
        return placement(ctx, SAMPLE, "Open in Tator", "open_in_new", prompt=False)


def _page(found: Sequence[tuple[str, str]], wanted: int) -> types.Property:
    outputs = types.Object()
    lines = [f"- [{plain(title)}](<{url}>)" for title, url in found]
    if wanted > len(found):
        lines.append(f"- {wanted - len(found):,} more are selected")
    outputs.md("\n".join(lines), name="links")
    return types.Property(outputs, view=types.View(label="Open in Tator"))
