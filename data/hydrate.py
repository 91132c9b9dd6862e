"""Bring in the text that stand-off records point at.

Each source is fetched once, all its passages are cut and checked, and the good ones are kept in
the cache as soon as their source is there. A run that was stopped therefore goes on where it was.
"""

from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from threading import Event
from typing import NamedTuple
from urllib.parse import quote

import httpx
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    sleep_using_event,
    stop_after_attempt,
    stop_when_event_set,
    wait_exponential,
    wait_random,
)
from tqdm import tqdm

from data.records import StandoffRecord
from data.standoff import Source, SourceError, SourceFile, cache_text, cached_text

GITHUB = "https://raw.githubusercontent.com"
CONNECTIONS = 8
ATTEMPTS = 5
TIMEOUT_S = 15.0
MOST_PATIENT_S = 60.0
"""Longest wait that a server may ask for with `Retry-After`."""

Read = Callable[[Source], SourceFile]


class Unreachable(RuntimeError):
    """What keeps one source away keeps all of them away; the message says what it is."""


class Lost(NamedTuple):
    """A passage whose text could not be had, and why."""

    record: StandoffRecord
    reason: str

    def __str__(self) -> str:
        return f"{self.record.id} is lost: {self.record.pointer.source}: {self.reason}"


def hydrate(
    records: Sequence[StandoffRecord],
    cache: Path,
    mirror: Path | None = None,
    base_url: str = GITHUB,
) -> Generator[Lost]:
    """Put the records' texts into the cache, and tell which are lost as they turn out to be.

    The sources are `mirror/OWNER/NAME/PATH` (`mirror/PATH` where a pointer has no repository) or,
    without a mirror, `base_url/OWNER/NAME/COMMIT/PATH`. Raises `Unreachable` where it makes no
    sense to go on.
    """
    waiting: defaultdict[Source, list[StandoffRecord]] = defaultdict(list)
    for record in records:
        if cached_text(cache, record.sha256) is None:
            waiting[record.pointer.source].append(record)
    cache.mkdir(parents=True, exist_ok=True)
    stop = Event()
    read: AbstractContextManager[Read]
    read = nullcontext(partial(read_local, mirror)) if mirror else fetcher(base_url, stop)
    with (
        read as source_file,
        ThreadPoolExecutor(CONNECTIONS) as pool,
        tqdm(total=sum(map(len, waiting.values())), unit=" passages", disable=None) as bar,
    ):
        futures = {pool.submit(source_file, source): source for source in waiting}
        try:
            for future in as_completed(futures):
                for record in waiting[futures[future]]:
                    try:
                        text = future.result().passage(record.pointer)
                        cache_text(cache, record.sha256, text)
                    except SourceError as error:
                        yield Lost(record, str(error))
                    bar.update()
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)


def read_local(mirror: Path, source: Source) -> SourceFile:
    """A source from a folder. Raises `SourceError`."""
    file = mirror / (source.repository or "") / source.path
    try:
        return SourceFile.decode(source.path, file.read_bytes())
    except OSError as error:
        raise SourceError(f"{file} cannot be read ({error.strerror})") from error


@contextmanager
def fetcher(base_url: str, stop: Event) -> Iterator[Read]:
    """A function that fetches a source, with retries until `stop` is set.

    It raises `SourceError` and `Unreachable`.
    """
    retrying = Retrying(
        retry=retry_if_exception(_may_pass),
        wait=_wait,
        sleep=sleep_using_event(stop),
        stop=stop_after_attempt(ATTEMPTS) | stop_when_event_set(stop),
        reraise=True,
    )

    def get(url: str) -> bytes:
        return client.get(url).raise_for_status().content

    def fetch(source: Source) -> SourceFile:
        if source.repository is None:
            raise SourceError("this file is not public; give the folder it is in with --sources")
        url = f"{base_url.rstrip('/')}/{source.repository}/{source.commit}/{quote(source.path)}"
        try:
            return SourceFile.decode(source.path, retrying(get, url))
        except httpx.HTTPStatusError as error:
            answer = f"{error.response.status_code} {error.response.reason_phrase}"
            if error.response.status_code == httpx.codes.TOO_MANY_REQUESTS:
                raise Unreachable(
                    f"{base_url} wants no more requests for now ({answer})"
                ) from error
            raise SourceError(f"{base_url} answers {answer}") from error
        except (*_NO_CONNECTION, httpx.InvalidURL) as error:
            raise Unreachable(f"{base_url} cannot be reached ({error})") from error
        except httpx.HTTPError as error:
            raise SourceError(f"{base_url} failed ({type(error).__name__})") from error

    with httpx.Client(timeout=TIMEOUT_S, follow_redirects=True) as client:
        yield fetch


_NO_CONNECTION = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)


def _may_pass(error: BaseException) -> bool:
    if isinstance(error, httpx.HTTPStatusError):
        status = error.response.status_code
        return status == httpx.codes.TOO_MANY_REQUESTS or status >= 500
    return isinstance(error, httpx.TransportError) and not isinstance(
        error, httpx.UnsupportedProtocol
    )


_backoff = wait_exponential(multiplier=0.5) + wait_random(0, 0.5)


def _wait(state: RetryCallState) -> float:
    """Twice as long each time, and no less than the server asks for."""
    error = state.outcome.exception() if state.outcome else None
    asked = ""
    if isinstance(error, httpx.HTTPStatusError):
        asked = error.response.headers.get("retry-after", "")
    return max(_backoff(state), min(float(asked), MOST_PATIENT_S) if asked.isdecimal() else 0.0)
