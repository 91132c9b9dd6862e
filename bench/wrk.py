"""The load generator: wrk, which takes hardly any time from the server beside it."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(__file__).with_name("wrk.lua")
ANSWER_SECONDS = 120
"""A request that takes longer counts as broken."""


class WrkError(RuntimeError):
    """wrk is not there or did not do its work; the message says what to do."""


@dataclass(frozen=True)
class Answers:
    """What came back in one run. Latencies are those of requests answered within the run."""

    answered: int
    refused: int
    """Answers that were an HTTP error."""
    broken: int
    """Connections that failed, and answers that never came."""
    seconds: float
    p50_ms: float
    p99_ms: float


def check_wrk() -> None:
    """Raise `WrkError` if wrk is not installed."""
    if shutil.which("wrk") is None:
        raise WrkError(
            "The load generator wrk is not installed; run `sudo apt-get install wrk` (Debian, "
            "Ubuntu) or `brew install wrk` (macOS)."
        )


def run_wrk(url: str, bodies: Path, clients: int, seconds: int) -> Answers:
    """Send the bodies, one a line of the file, in turn from `clients` connections."""
    command = ["wrk", "--threads", "1", "--connections", str(clients)]
    command += ["--duration", f"{seconds}s", "--timeout", f"{ANSWER_SECONDS}s"]
    command += ["--script", str(SCRIPT), url, "--", str(bodies)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise WrkError(f"wrk failed: {done.stderr.strip() or done.stdout.strip()}")
    return parse(done.stdout)


def parse(output: str) -> Answers:
    """The line that wrk.lua prints after wrk's own report. Raises `WrkError` if it is missing."""
    last = output.rstrip().rpartition("\n")[2]
    try:
        return Answers(**json.loads(last))
    except (TypeError, ValueError) as error:
        raise WrkError(f"wrk printed no result; it ended with {last!r}.") from error
