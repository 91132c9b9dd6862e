"""A server under test: started alone, timed to its first answer, its memory watched, killed."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import psutil

START_SECONDS = 300
SAMPLE_SECONDS = 0.1
IDLE_PERCENT = 10.0


class StartError(RuntimeError):
    """A server did not start; the message has the last line that it wrote."""


class Running:
    """A process group that answers `body` at `url`; killed when the block ends.

    `start_seconds` is the time to the first answer. `peak_mib` is the largest resident memory so
    far of any one process, the one that scores, and `total_mib` that of all together. Raises
    `StartError` on entry.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        url: str,
        body: str,
        log: Path,
    ) -> None:
        self.start_seconds = 0.0
        self.peak_mib = self.total_mib = 0.0
        self._start = (command, environment, folder)
        self.url, self._body, self._log = url, body, log
        self._stop = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        command, environment, folder = self._start
        begun = time.perf_counter()
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                command,
                env=environment,
                cwd=folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._watcher.start()
        # One client for all tries: making one loads certificates, on a core that the start needs.
        with httpx.Client(timeout=START_SECONDS) as client:
            self._wait_for_answer(client, begun)
        self.start_seconds = time.perf_counter() - begun
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._watcher.join()
        # Killed rather than asked: with thousands of texts in its queue it would be long. Some
        # servers give their workers a session of their own, so the group is not enough.
        for process in self._processes():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def wait_until_idle(self) -> None:
        """Wait until the server has worked off what a load left in its queue."""
        deadline = time.perf_counter() + START_SECONDS
        while time.perf_counter() < deadline:
            before = self._cpu_seconds()
            time.sleep(0.3)
            if (self._cpu_seconds() - before) / 0.3 < IDLE_PERCENT / 100:
                return

    def _wait_for_answer(self, client: httpx.Client, begun: float) -> None:
        while not self._answers(client):
            if self._process.poll() is not None or time.perf_counter() - begun > START_SECONDS:
                self.__exit__(None, None, None)
                raise StartError(
                    "did not start: " + last_line(self._log.read_text(errors="replace"))
                )
            time.sleep(0.02)

    def _answers(self, client: httpx.Client) -> bool:
        headers = {"content-type": "application/json"}
        try:
            answer = client.post(self.url, content=self._body, headers=headers)
        except httpx.TransportError:
            return False
        return answer.is_success

    def _watch(self) -> None:
        while not self._stop.wait(SAMPLE_SECONDS):
            resident = [_memory(process) / 2**20 for process in self._processes()]
            self.peak_mib = max([self.peak_mib, *resident])
            self.total_mib = max(self.total_mib, sum(resident))

    def _cpu_seconds(self) -> float:
        total = 0.0
        for process in self._processes():
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system
        return total

    def _processes(self) -> list[psutil.Process]:
        try:
            parent = psutil.Process(self._process.pid)
            return [parent, *parent.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []


def last_line(output: str) -> str:
    """The last line that says something."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1] if lines else "it wrote nothing"


def _memory(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0
