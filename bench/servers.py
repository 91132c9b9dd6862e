"""Who is compared: how each is installed, started and asked. README.md says why these settings."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.loads import Request, passages
from bench.processes import last_line

ROOT = Path(__file__).parents[1]
PEERS = ROOT / "bench/peers"
BUILD = ROOT / "build/bench"
WEIGHTS, ONNX_WEIGHTS = BUILD / "weights", BUILD / "weights-onnx"
HUB = BUILD / "hub"
"""Where Infinity keeps the graph that it optimized."""
OURS, PIPELINE = "Framescope", "pipeline + FastAPI"


class InstallError(RuntimeError):
    """A peer did not install; the message has the last line of the installer."""


@dataclass(frozen=True)
class Server:
    """One of those compared."""

    name: str
    environment: str
    """Its requirements, `bench/peers/NAME.txt`; none for ourselves."""
    command: tuple[str, ...]
    """What its Python is called with; `PORT` and `DTYPE` are filled in."""
    path: str
    body: Callable[[Request], dict[str, Any]]
    folder: Path = PEERS

    @property
    def python(self) -> str:
        """The interpreter of its environment."""
        return str(python_of(self.environment)) if self.environment else sys.executable

    def full_command(self, port: int, dtype: str) -> list[str]:
        """The command line that starts it."""
        filled = {"PORT": str(port), "DTYPE": dtype}
        return [self.python, *(filled.get(word, word) for word in self.command)]


def ask_framescope(request: Request) -> dict[str, Any]:
    """Whole documents, with all passages listed where there are several."""
    documents = [{"id": str(i), "text": document.text} for i, document in enumerate(request)]
    several = any(len(document.passages) > 1 for document in request)
    return {"documents": documents, "passages": several}


def ask_peer(request: Request) -> dict[str, Any]:
    """The passages that Framescope makes of the documents: peers cut off long texts."""
    return {"texts": passages(request)}


def ask_infinity(request: Request) -> dict[str, Any]:
    """As `ask_peer`, in Infinity's words."""
    return {"model": "peer", "input": passages(request)}


def infinity(engine: str, *more: str) -> tuple[str, ...]:
    """Infinity's command line, run in the folder of its weights.

    It finds an ONNX graph only if the folder is the current one.
    """
    return (
        *(str(PEERS / "infinity_cli.py"), "v2", "--model-id", ".", "--served-model-name", "peer"),
        *("--engine", engine, "--device", "cpu", "--batch-size", "32"),
        *("--no-compile", "--no-model-warmup", "--log-level", "warning"),
        *("--host", "127.0.0.1", "--port", "PORT", *more),
    )


SERVERS = (
    Server(
        OURS,
        "",
        ("-m", "bentoml", "serve", ".", "--host", "127.0.0.1", "--port", "PORT"),
        "/v1/classify",
        ask_framescope,
        ROOT,
    ),
    Server(
        PIPELINE,
        "pipeline",
        (
            *("-m", "uvicorn", "pipeline_fastapi:app", "--host", "127.0.0.1", "--port", "PORT"),
            *("--loop", "uvloop", "--http", "httptools", "--no-access-log"),
        ),
        "/classify",
        ask_peer,
    ),
    Server(
        "Infinity, torch",
        "infinity",
        infinity("torch", "--dtype", "DTYPE"),
        "/classify",
        ask_infinity,
        WEIGHTS,
    ),
    Server(
        "Infinity, ONNX",
        "infinity",
        infinity("optimum"),
        "/classify",
        ask_infinity,
        ONNX_WEIGHTS,
    ),
    Server("LitServe", "litserve", ("litserve_server.py", "PORT"), "/predict", ask_peer),
    Server(
        "BentoML's example",
        "bentoml",
        (
            *("-m", "bentoml", "serve", "bentoml_service:Peer"),
            *("--host", "127.0.0.1", "--port", "PORT"),
        ),
        "/classify",
        ask_peer,
    ),
)


def python_of(environment: str) -> Path:
    """The interpreter of a peer's virtual environment."""
    return BUILD / "environments" / environment / "bin/python"


def install(environment: str) -> None:
    """Make a peer's virtual environment, unless its requirements are the installed ones.

    Raises `InstallError`.
    """
    requirements = PEERS / f"{environment}.txt"
    python = python_of(environment)
    installed = python.parents[1] / "installed.txt"
    wanted = requirements.read_text() + (ROOT / "constraints.txt").read_text()
    if installed.is_file() and installed.read_text() == wanted:
        return
    _run([sys.executable, "-m", "venv", "--clear", str(python.parents[1])])
    _run([str(python), "-m", "pip", "install", "--quiet", "--requirement", str(requirements)])
    installed.write_text(wanted)


def export_onnx() -> None:
    """The peers' weights as an ONNX graph, by optimum's own exporter. Raises `InstallError`."""
    script = str(PEERS / "infinity_cli.py")
    _run([str(python_of("infinity")), script, "export", str(WEIGHTS), str(ONNX_WEIGHTS)])


def environment_of_servers(dtype: str) -> dict[str, str]:
    """Environment variables for all: no limit on threads but the machine's, and no hub."""
    inherited = {name: value for name, value in os.environ.items() if "NUM_THREADS" not in name}
    return inherited | {
        "BENCH_WEIGHTS": str(WEIGHTS),
        "BENCH_DTYPE": dtype,
        "BENTOML_HOME": str(BUILD / "home"),
        "BENTOML_DO_NOT_TRACK": "true",
        "DO_NOT_TRACK": "1",
        "HF_HOME": str(HUB),
        "HF_HUB_OFFLINE": "1",
        "PYTHONUNBUFFERED": "1",
    }


def body(server: Server, request: Request) -> str:
    """One request's body, on one line."""
    return json.dumps(server.body(request))


def _run(command: list[str]) -> None:
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise InstallError("did not install: " + last_line(done.stderr or done.stdout))
