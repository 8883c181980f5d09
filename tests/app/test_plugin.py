"""The plugin as FiftyOne sees it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
COMMAND = str(Path(sys.executable).with_name("fiftyone"))
URI = "@tator/sync/import_from_tator"

PROGRAM = """
import collections, json, os, sys

if sys.argv[1] == "plugins folder only":
    installed = lambda finder: "__editable__" in str(getattr(finder, "__module__", "")) + str(finder)
    sys.meta_path[:] = [finder for finder in sys.meta_path if not installed(finder)]
    sys.path_hooks[:] = [hook for hook in sys.path_hooks if not installed(hook)]

import fiftyone.operators as foo

operator = foo.get_operator("@tator/sync/import_from_tator")

import fiftyone_tator
from fiftyone_tator.operators import OPERATORS
from fiftyone_tator.sync import importing

root = os.path.dirname(os.path.realpath(fiftyone_tator.__file__))
files = [os.path.realpath(m.__file__) for m in list(sys.modules.values()) if getattr(m, "__file__", None)]
count = collections.Counter(os.path.relpath(file, root) for file in files if file.startswith(root + os.sep))
ours = {file: n for file, n in count.items() if not file.startswith(".venv")}
print(json.dumps({"root": root, "same": type(operator) in OPERATORS, "ours": ours}))
"""


def test_the_manifest_lists_the_operators_and_panels_that_are_registered() -> None:
    from fiftyone_tator.operators import OPERATORS
    from fiftyone_tator.panels import PANELS

    manifest = yaml.safe_load((ROOT / "fiftyone.yml").read_text())
    assert manifest["operators"] == [operator().config.name for operator in OPERATORS]
    assert manifest["panels"] == [panel().config.name for panel in PANELS]


def test_fiftyones_commands_name_the_plugin_and_its_operators() -> None:
    commands = {
        "@tator/sync": ["plugins", "list"],
        URI: ["operators", "list"],
        "Import from Tator": ["operators", "info", URI],
        "FIFTYONE_TATOR_TOKEN": ["plugins", "info", "@tator/sync"],
    }
    running = {
        said: subprocess.Popen([COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for said, words in commands.items()
    }
    said = {word: process.communicate()[0] for word, process in running.items()}
    assert {word: word in text for word, text in said.items()} == dict.fromkeys(commands, True), said


@pytest.mark.parametrize("way", ["pip installed", "plugins folder only"])
def test_every_module_is_in_a_process_once_whichever_way_the_plugin_came(way: str, tmp_path: Path) -> None:
    env, root = dict(os.environ), ROOT
    if way == "plugins folder only":
        root = tmp_path / "plugins" / "tator-sync"
        files = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True)
        for file in files.stdout.split():
            if (ROOT / file).suffix in (".py", ".yml", ".txt") and not file.startswith("tests/"):
                (root / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / file, root / file)
        env["FIFTYONE_PLUGINS_DIR"] = str(tmp_path / "plugins")
    command = [sys.executable, "-c", PROGRAM, way]
    done = subprocess.run(command, env=env, cwd=tmp_path, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert Path(found["root"]) == root
    assert found["same"], "the operator that runs is not the package's own"
    # FiftyOne loads the plugin's entry under a name of its own; it holds nothing but the way to the package.
    assert {file for file, count in found["ours"].items() if count > 1} <= {"__init__.py"}
    assert "sync/importing.py" in found["ours"]


def test_the_form_asks_nothing_of_tator_itself(app: Any, tator: Any) -> None:
    tator.faults.arm("* /", "hang", times=0)
    tator.faults.forget()
    params = {"project": "Demo: galaxies, coins and cells", "versions": ["Baseline"], "more": True}
    body = {"operator_uri": URI, "target": "inputs", "params": params}
    request = Request(f"{app.url}/operators/resolve-type", json.dumps(body).encode())
    request.add_header("Content-Type", "application/json")
    with urlopen(request, timeout=120) as answer:
        form = json.load(answer)
    assert "loaded_projects" in str(form)
    assert tator.faults.requests() == []
