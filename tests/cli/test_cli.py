"""The command fiftyone-tator: its parts, and the demo from nothing to the App."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

import fiftyone_tator
from fiftyone_tator.cli import main
from fiftyone_tator.cli.demo import SANDBOX_PORT, app_port, data_folder, database_name
from fiftyone_tator.cli.install import link_plugin
from fiftyone_tator.cli.mongo import free_port
from fiftyone_tator.cli.processes import Failed, Processes, is_free

DEMO = [sys.executable, "-m", "fiftyone_tator.cli", "demo"]
BENCHMARK = Path(fiftyone_tator.__file__).parent / "benchmarks" / "import_benchmark.py"


def until(condition: Callable[[], bool], what: str, *, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited in vain for {what}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture
def environment() -> dict[str, str]:
    """A shell's environment on a machine where nothing is set up: the demo finds its MongoDB by itself."""
    return {name: value for name, value in os.environ.items() if not name.startswith("FIFTYONE_")}


@pytest.fixture(scope="module")
def ports() -> list[str]:
    """The same for all demos: what was imported knows the address of its sandbox."""
    return ["--port", str(free_port()), "--sandbox-port", str(free_port())]


@pytest.fixture
def running(folder: Path, environment: dict[str, str], ports: list[str]) -> Iterator["subprocess.Popen[str]"]:
    command = [*DEMO, "--folder", str(folder), *ports]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        yield process
        if process.poll() is None:
            process.send_signal(signal.SIGINT)


def command(process: psutil.Process) -> str:
    """A process's command; nothing if it ended."""
    try:
        return " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return ""


def test_the_demo_does_everything_and_ends_with_0(folder: Path, environment: dict[str, str], ports: list[str]) -> None:
    command = [*DEMO, "--exit", "--folder", str(folder), *ports]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    imported = re.search(r"Imported +([\d,]+) (new|unchanged)", done.stdout)
    assert imported is not None and int(imported[1].replace(",", "")) >= 1_500
    assert re.search(rf"FiftyOne App +http://127\.0\.0\.1:{ports[1]}/datasets/tator_project_2", done.stdout)
    assert "The map is there" in done.stdout


def test_the_demo_serves_the_app_until_it_is_interrupted_and_leaves_nothing_running(
    running: "subprocess.Popen[str]",
) -> None:
    assert running.stdout is not None
    address = next(found[0] for line in running.stdout if (found := re.search(r"http\S+/datasets/\S+", line)))
    with urllib.request.urlopen(address) as answer:
        assert answer.status == 200
    until(lambda: any("delegated" in command(child) for child in psutil.Process(running.pid).children()), "a worker")
    family = psutil.Process(running.pid).children(recursive=True)
    assert any("mongod" in process.name() for process in family)
    running.send_signal(signal.SIGINT)
    assert running.wait(60) == 0
    psutil.wait_procs(family, timeout=30)
    assert [process for process in family if process.is_running()] == []


def test_a_taken_port_is_named_with_the_way_out(folder: Path, environment: dict[str, str]) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert not is_free(port)
        command = [*DEMO, "--exit", "--folder", str(folder), "--sandbox-port", str(port)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"Port {port} is taken" in done.stderr and "--sandbox-port" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_demo_with_another_sandbox_port_imports_anew_beside_the_first_one(
    folder: Path, environment: dict[str, str], ports: list[str]
) -> None:
    command = [*DEMO, "--exit", "--folder", str(folder), *ports[:3], str(free_port())]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"Imported +[\d,]+ new", done.stdout)


def test_only_demos_with_an_unusual_sandbox_port_have_a_folder_and_a_database_of_their_own(tmp_path: Path) -> None:
    assert data_folder(tmp_path, SANDBOX_PORT) == tmp_path
    assert data_folder(tmp_path, 8790) == tmp_path / "8790"
    assert database_name(2, 8790) == f"{database_name(2, SANDBOX_PORT)}_8790"


def test_a_process_that_ends_by_itself_is_named_with_what_it_said(tmp_path: Path) -> None:
    with Processes(tmp_path, {}) as processes, pytest.raises(Failed, match=r"(?s)The part ended.*code 3.*out of luck"):
        processes.start("part", ["-c", "print('out of luck'); raise SystemExit(3)"])
        processes.wait_until(lambda: False, "nothing")


def test_project_4_has_the_fourth_block_of_ports() -> None:
    assert (app_port(1), app_port(4)) == (5151, 5181)


def test_install_links_the_package_into_the_plugins_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["install", "--folder", str(tmp_path / "plugins")]) == 0
    link = tmp_path / "plugins" / "tator-sync"
    assert (link / "fiftyone.yml").is_file() and str(link) in capsys.readouterr().out
    assert link_plugin(tmp_path / "plugins") == link


def test_install_takes_nothing_away_that_is_not_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "tator-sync").mkdir()
    assert main(["install", "--folder", str(tmp_path)]) == 1
    assert "Move it away" in capsys.readouterr().err


def test_an_unknown_command_is_answered_with_the_commands_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demon"]) == 2
    assert "demo " in capsys.readouterr().err


@pytest.mark.parametrize("module", ["av", "scipy", "skimage"])
def test_a_sandbox_without_the_packages_for_pictures_says_what_to_install(module: str) -> None:
    program = (
        f"import sys; sys.modules[{module!r}] = None\n"
        "from fiftyone_tator.cli import main; sys.exit(main(['sandbox', '--port', '0']))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "pip install -e '.[sandbox]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_import_benchmark_runs(environment: dict[str, str]) -> None:
    few = ["--boxes", "150", "--pictures", "3", "--runs", "1", "--most", "1000", "--most-mb", "5000"]
    done = subprocess.run([sys.executable, str(BENCHMARK), *few], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert re.search(r"ratio \d+\.\d\d", done.stdout)
