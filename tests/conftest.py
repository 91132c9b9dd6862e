import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from data.codebook import Codebook, load_codebook
from models.classifier import Classifier
from tests.small_model import ROOT, arguments, tiny_encoder


@pytest.fixture(scope="session", autouse=True)
def nothing_hydrated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test depends on what real text this machine happens to have."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FRAMESCOPE_CACHE", str(tmp_path_factory.mktemp("hydrated")))
        yield


@pytest.fixture(scope="session")
def codebook() -> Codebook:
    return load_codebook()


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory, encoder: Path) -> Path:
    """A BentoML home whose registry holds one small, promoted model."""
    home = tmp_path_factory.mktemp("home")
    run = tmp_path_factory.mktemp("training") / "run"
    command(home, "training", *arguments(encoder, run)).check_returncode()
    return home


@pytest.fixture(scope="session")
def bundle(home: Path) -> Path:
    """The bundle of the small model."""
    return next((home / "models" / "framescope").glob("*/manifest.json")).parent


@pytest.fixture(scope="session")
def classifier(bundle: Path) -> Classifier:
    return Classifier.load(bundle)


def environment(home: Path) -> dict[str, str]:
    return os.environ | {"BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "true"}


def command(home: Path, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m module` from the repository root, as a user would."""
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture(scope="session")
def server(home: Path) -> Iterator[httpx.Client]:
    """A client of the service, started with `bentoml serve` in a process of its own."""
    with served(home, ".", ROOT) as client:
        yield client


class served:
    """Serve a Bento or folder until the block ends."""

    def __init__(self, home: Path, target: str, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        serve = ("bentoml", "serve", target, "--host", "127.0.0.1", "--port", str(port))
        self.process = subprocess.Popen(
            [sys.executable, "-m", *serve],
            cwd=folder,
            env=environment(home),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60)

    def __enter__(self) -> httpx.Client:
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if self.client.get("/readyz").is_success:
                    return self.client
            except httpx.TransportError:
                time.sleep(0.1)
        self.process.kill()
        output, _ = self.process.communicate()
        pytest.fail(f"the service did not start:\n{output}")

    def __exit__(self, *exception: object) -> None:
        self.client.close()
        self.process.terminate()
        self.process.communicate(timeout=30)
