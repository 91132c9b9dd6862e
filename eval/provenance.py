"""What a report or a model was made with: the code's state, the libraries, the machine."""

import os
import platform
import shlex
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[1]
LIBRARIES = ("numpy", "openvino", "tokenizers", "scikit-learn", "torch", "transformers")


@dataclass(frozen=True)
class Run:
    """The process that made a report."""

    command: str
    created: str  # UTC, ISO 8601
    git_commit: str
    git_dirty: bool
    libraries: dict[str, str]
    seed: int  # of the bootstrap, and of all that the suite draws by lot
    cpu: str
    cores: int  # that this process may use
    system: str


def describe_run(seed: int) -> Run:
    """This process, as far as it can tell."""
    commit, dirty = git_state()
    return Run(
        command=shlex.join(["python", "-m", "eval", *sys.argv[1:]]),
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        git_commit=commit,
        git_dirty=dirty,
        libraries={"python": platform.python_version()} | {n: version(n) for n in LIBRARIES},
        seed=seed,
        cpu=cpu_name(),
        cores=usable_cores(),
        system=f"{platform.system()} {platform.machine()}",
    )


def git_state() -> tuple[str, bool]:
    """The commit, and whether tracked files differ from it; ("unknown", True) outside git."""

    def git(*args: str) -> str:
        command = ["git", "-C", str(ROOT), *args]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain"))
    except (OSError, subprocess.CalledProcessError):
        return "unknown", True


def cpu_name() -> str:
    """The processor's trade name where the system tells it, else its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def usable_cores() -> int:
    """Cores that this process may run on, which in a container may be fewer than there are."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not every system lets a process be bound to cores
        return os.cpu_count() or 1
