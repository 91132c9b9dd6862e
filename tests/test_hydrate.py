import csv
import hashlib
import html
import io
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.__main__ import main
from data.codebook import Codebook
from data.corpus import DEFAULT_PATHS
from data.records import CorpusError, StandoffRecord, read_entries, read_records
from data.standoff import Pointer, SourceError, SourceFile, plain_text, text_sha256
from models.bundle import read_framing
from models.card import model_card
from tests.conftest import environment
from tests.small_model import CORPUS, ROOT
from training.__main__ import main as train
from training.provenance import passages_by_kind

SEED = CORPUS[0]

COMMIT = "0123456789abcdef" * 2 + "01234567"
REPOSITORY = "some-body/Some.Texts"
SPEECH = (
    "\ufeffThey ring us&nbsp;in.\r\n\n  Nobody\u2028rings us, he said; that is “false”. 😀 End."
)
TABLE = json.dumps([{"title": "One"}, {"title": "Two", "story": "AT&amp;T denies it. \u2003 So?"}])
SHEET = 'title,story\none,"first line\r\nsecond ""line"""\n'

SOURCES = {
    "texts/a speech, 100% #1?.txt": SPEECH,
    "archive/all.json": TABLE,
    "sheets/all.csv": SHEET,
}


def standoff(id: str, path: str, excerpt: str, **changes: Any) -> dict[str, Any]:
    """A record that points at an excerpt of a source, or of a cell of it."""
    content = SOURCES[path].removeprefix("\ufeff")
    cell: dict[str, Any] = {}
    if path.endswith(".json"):
        cell = {"row": 1, "field": "story"}
        content = json.loads(content)[1]["story"]
    elif path.endswith(".csv"):
        cell = {"row": 0, "field": "story"}
        content = next(csv.DictReader(io.StringIO(content, newline="")))["story"]
    start = content.index(excerpt)
    place = {"repository": REPOSITORY, "commit": COMMIT, "path": path, **cell}
    pointer = place | {"start": start, "end": start + len(excerpt)}
    text = " ".join(html.unescape(excerpt).split())
    base = {"id": id, "document": path, "frames": [], "attributed": False, "rebutted": False}
    digest = hashlib.sha256(text.encode()).hexdigest()
    return base | {"pointer": pointer, "sha256": digest} | changes


def records() -> list[dict[str, Any]]:
    speech, table, sheet = SOURCES
    return [
        standoff("ring", speech, "They ring us&nbsp;in.", frames=["encirclement"]),
        standoff("denied", speech, "Nobody\u2028rings us, he said; that is “false”. 😀"),
        standoff("cell", table, "AT&amp;T denies it. \u2003 So?", frames=["denial"]),
        standoff("sheet", sheet, 'first line\r\nsecond "line"'),
    ]


TEXTS = {
    "ring": "They ring us in.",
    "denied": "Nobody rings us, he said; that is “false”. 😀",
    "cell": "AT&T denies it. So?",
    "sheet": 'first line second "line"',
}


def write(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    return path


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    return write(tmp_path / "labels.standoff.jsonl", *records())


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the test's own."""
    monkeypatch.setenv("FRAMESCOPE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    for path, content in SOURCES.items():
        file = tmp_path / "mirror" / REPOSITORY / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode())
    return tmp_path / "mirror"


class Server:
    """Serves the sources over HTTP; `answers` come first, each path's in turn."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.answers: dict[str, list[Callable[[BaseHTTPRequestHandler], None]]] = {}
        content = {self.path(path): text.encode() for path, text in SOURCES.items()}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(handler) -> None:
                self.requests[handler.path] += 1
                if waiting := self.answers.get(handler.path):
                    waiting.pop(0)(handler)
                else:
                    answer(content[handler.path])(handler)

            def log_message(handler, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    @staticmethod
    def path(source: str) -> str:
        encoded = source.replace("%", "%25").replace(" ", "%20").replace("#", "%23")
        return f"/{REPOSITORY}/{COMMIT}/{encoded.replace('?', '%3F').replace(',', '%2C')}"


def answer(
    body: bytes = b"", status: int = 200, length: int | None = None, **headers: str
) -> Callable[[BaseHTTPRequestHandler], None]:
    def send(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return send


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = Thread(target=server.http.serve_forever)
    thread.start()
    yield server
    server.http.shutdown()
    thread.join()
    server.http.server_close()


def texts(labels: Path, codebook: Codebook) -> dict[str, str]:
    return {record.id: record.text for record in read_records([labels], codebook)}


def test_text_comes_from_a_mirror_and_labels_from_the_repository(
    labels: Path, mirror: Path, cache: Path, codebook: Codebook, capsys: pytest.CaptureFixture[str]
) -> None:
    assert read_records([labels], codebook) == []
    assert main(["stats", str(labels)]) == 0
    assert "not hydrated: 4 passages more" in capsys.readouterr().out
    assert main(["hydrate", str(labels), "--sources", str(mirror)]) == 0
    assert capsys.readouterr().out.startswith("4 of 4 passages hydrated")
    found = read_records([labels], codebook)
    assert {record.id: record.text for record in found} == TEXTS
    assert [record.frames for record in found] == [["encirclement"], [], ["denial"], []]
    assert {record.kind for record in found} == {"real"}
    write(labels, *[record | {"frames": ["hegemony"]} for record in records()])
    assert [record.frames for record in read_records([labels], codebook)] == [["hegemony"]] * 4


def test_each_source_is_fetched_once_and_never_again(
    labels: Path, server: Server, cache: Path, codebook: Codebook
) -> None:
    fetch = ["hydrate", str(labels), "--base-url", server.url]
    assert main(fetch) == main(fetch) == 0
    assert server.requests == {server.path(path): 1 for path in SOURCES}
    assert texts(labels, codebook) == TEXTS


def test_a_server_may_fail_for_a_while(
    labels: Path, server: Server, cache: Path, codebook: Codebook
) -> None:
    speech, table, sheet = map(server.path, SOURCES)
    server.answers[speech] = [answer(status=503)]
    server.answers[table] = [answer(status=429, Retry_After="1")]
    server.answers[sheet] = [answer(SHEET.encode()[:9], length=len(SHEET))]
    assert main(["hydrate", str(labels), "--base-url", server.url]) == 0
    assert server.requests == {speech: 2, table: 2, sheet: 2}
    assert texts(labels, codebook) == TEXTS


def test_what_is_missing_or_changed_is_lost_and_told(
    labels: Path,
    server: Server,
    cache: Path,
    codebook: Codebook,
    capsys: pytest.CaptureFixture[str],
) -> None:
    speech, table, _ = SOURCES
    server.answers[server.path(speech)] = [answer(SPEECH.replace("ring us", "wring us").encode())]
    server.answers[server.path(table)] = [answer(b"gone", 404)]
    assert main(["hydrate", str(labels), "--base-url", server.url]) == 1
    assert texts(labels, codebook) == {"sheet": TEXTS["sheet"]}
    printed = capsys.readouterr()
    assert printed.out.startswith("1 of 4 passages hydrated")
    lines = sorted(printed.err.splitlines())
    assert lines[0].startswith(f"cell is lost: {REPOSITORY}/{table}: ")
    assert lines[0].endswith("answers 404 Not Found")
    assert lines[1].startswith(f"denied is lost: {REPOSITORY}/{speech}: it has changed")
    assert lines[2].startswith(f"ring is lost: {REPOSITORY}/{speech}: it has changed")
    assert len(lines) == 3
    assert server.requests[server.path(table)] == 1


def test_a_host_that_is_not_there_ends_the_run(
    labels: Path, mirror: Path, server: Server, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.http.server_close()
    fetch = ["hydrate", str(labels), "--base-url", server.url]
    assert main(fetch) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{server.url} cannot be reached" in line
    assert main(["hydrate", str(labels), "--sources", str(mirror)]) == 0
    assert main(fetch) == 0


def test_a_stopped_run_leaves_nothing_half_done_and_goes_on(
    labels: Path, server: Server, cache: Path, codebook: Codebook, tmp_path: Path
) -> None:
    speech, table, sheet = map(server.path, SOURCES)
    server.answers[table] = [answer(status=503, Retry_After="60"), answer(status=503)]
    line = [sys.executable, "-m", "data", "hydrate", str(labels), "--base-url", server.url]
    process = subprocess.Popen(
        line,
        cwd=ROOT,
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that starts the tests in the background has them ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL) and None,
    )
    while len(list(cache.glob("*.txt"))) < 3 or table not in server.requests:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err == "\nStopped; the same command goes on from here.\n"
    assert out.startswith("3 of 4 passages hydrated")
    assert main(["hydrate", str(labels), "--base-url", server.url]) == 0
    assert server.requests == {speech: 1, sheet: 1, table: 3}
    assert texts(labels, codebook) == TEXTS


def test_a_damaged_text_does_not_count(
    labels: Path, mirror: Path, cache: Path, codebook: Codebook
) -> None:
    fetch = ["hydrate", str(labels), "--sources", str(mirror)]
    assert main(fetch) == 0
    file = cache / f"{text_sha256(TEXTS['ring'])}.txt"
    file.write_bytes(file.read_bytes()[:-1])
    assert texts(labels, codebook).keys() == TEXTS.keys() - {"ring"}
    assert main(fetch) == 0
    assert texts(labels, codebook) == TEXTS


def test_a_users_own_file_needs_no_repository(
    tmp_path: Path, cache: Path, codebook: Codebook, capsys: pytest.CaptureFixture[str]
) -> None:
    record = records()[0]
    record["pointer"] = {k: v for k, v in record["pointer"].items() if k not in PUBLIC}
    record["pointer"]["path"] = "mine/speech.txt"
    labels = write(tmp_path / "own.standoff.jsonl", record)
    assert main(["hydrate", str(labels)]) == 2
    assert "give the folder it is in with --sources" in capsys.readouterr().err
    assert main(["hydrate", str(labels), "--sources", str(tmp_path)]) == 2
    assert f"{tmp_path}/mine/speech.txt cannot be read" in capsys.readouterr().err
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/speech.txt").write_bytes(SPEECH.encode())
    assert main(["hydrate", str(labels), "--sources", str(tmp_path)]) == 0
    assert texts(labels, codebook) == {"ring": TEXTS["ring"]}


PUBLIC = ("repository", "commit")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["data/corpus/seed"], "No record to hydrate: give files named *.standoff.jsonl"),
        (["--sources", "no/such"], "--sources: no/such is no folder."),
        (["--sources", ".", "--cache", "README.md"], "--cache: [Errno 20] Not a directory"),
        (["no/such"], "no/such: no corpus here"),
    ],
)
def test_a_command_that_cannot_work_says_why(
    arguments: list[str], message: str, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["hydrate", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_validate_checks_stand_off_records_too(
    tmp_path: Path, codebook: Codebook, capsys: pytest.CaptureFixture[str]
) -> None:
    good = records()[0]

    def pointing(**changes: Any) -> dict[str, Any]:
        return records()[0] | {"id": repr(changes), "pointer": good["pointer"] | changes}

    file = write(
        tmp_path / "bad.standoff.jsonl",
        good,
        good | {"id": "b", "sha256": "00"},
        good | {"id": "c", "frames": ["ring"]},
        good | {"id": "d", "text": "They ring us in."},
        good | {"id": "e", "split": "test" if split_of(good) != "test" else "train"},
        pointing(commit="main"),
        pointing(commit=None),
        pointing(row=3),
        pointing(end=0),
        pointing(path="../../etc/passwd"),
        pointing(path="/etc/passwd"),
        good,
    )
    assert main(["validate", str(file)]) == 1
    lines = capsys.readouterr().err.splitlines()
    expected = [
        ("2: sha256: ", "pattern"),
        ("3: frames.0: ", "there are encirclement"),
        ("4: text: ", "not permitted"),
        ("5: split: ", "other passages of this document"),
        ("6: pointer.commit: ", "pattern"),
        ("7: pointer: ", "both repository and commit"),
        ("8: pointer: ", "both row and field"),
        ("9: pointer.end: ", "greater"),
        ("10: pointer: ", "without '..'"),
        ("11: pointer: ", "must be relative"),
        ("12: id: ", "is also at"),
    ]
    assert len(lines) == len(expected) + 1
    for line, (place, reason) in zip(lines, expected, strict=False):
        assert line.startswith(f"{file}:{place}"), line
        assert reason in line


def split_of(record: dict[str, Any]) -> str:
    return StandoffRecord.model_validate(
        {k: v for k, v in record.items() if k not in ("attributed", "rebutted")}
    ).effective_split


def test_the_projects_real_passages_point_and_do_not_tell(codebook: Codebook) -> None:
    entries = read_entries(DEFAULT_PATHS, codebook)
    real = [entry for entry in entries if isinstance(entry, StandoffRecord)]
    assert len({entry.sha256 for entry in real}) == len(real) > 2_000
    assert all(entry.pointer.commit and entry.kind == "real" for entry in real)
    assert len(read_records(DEFAULT_PATHS, codebook)) == len(entries) - len(real)


def test_training_and_the_card_say_what_was_learned_from(
    labels: Path,
    mirror: Path,
    cache: Path,
    codebook: Codebook,
    bundle: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (mirror / REPOSITORY / "sheets/all.csv").unlink()
    assert main(["hydrate", str(labels), "--sources", str(mirror)]) == 1
    write(labels, *[record | {"split": "train"} for record in records()])
    corpus = [SEED, labels]
    with caplog.at_level("INFO"):
        assert train(["--corpus", *map(str, corpus), "--run", str(tmp_path / "run")]) == 2
    assert "Learning from 73 seed, 0 authored, 3 real." in caplog.text
    assert "Left out: 1 passages whose text is not here" in caplog.text

    framing = read_framing(bundle)
    counts = passages_by_kind(read_records(corpus, codebook))
    origin = framing.provenance.model_copy(update={"passages": counts})
    card = model_card(framing.model_copy(update={"provenance": origin}))
    assert "| train | seed | 73 |\n| train | authored | 0 |\n| train | real | 3 |" in card


@given(
    st.text(), st.text(), st.text(st.sampled_from(" \t\r\n\u2003&#;xnbspamlt<é😀\x1c"), max_size=30)
)
def test_a_passage_is_what_stands_between_its_offsets(
    before: str, after: str, excerpt: str
) -> None:
    text = plain_text(excerpt)
    assert text == " ".join(html.unescape(excerpt).split())
    assert text == " ".join(text.split())
    start, end = len(before), len(before) + len(excerpt)
    content = before + excerpt + after
    if excerpt:
        pointer = Pointer(path="x.txt", start=start, end=end)
        marked = SourceFile.decode("x.txt", b"\xef\xbb\xbf" + content.encode())
        assert marked.passage(pointer) == text
        cell = Pointer(path="x.json", row=1, field="f", start=start, end=end)
        table = json.dumps([{}, {"f": content}]).encode()
        assert SourceFile.decode("x.json", table).passage(cell) == text


@given(st.text(st.characters(codec=None), max_size=10))
def test_every_cut_has_a_hash(excerpt: str) -> None:
    assert len(text_sha256(plain_text(excerpt))) == 64


@pytest.mark.parametrize(
    ("path", "content", "reason"),
    [
        ("x.txt", b"\xff", "not valid UTF-8"),
        ("x.json", b"[{}, {", "cannot be read as a table"),
        ("x.json", b"[{}]", "no field 'f' in row 1"),
        ("x.json", b"[{}, {}]", "no field 'f' in row 1"),
        ("x.json", b"3", "no field 'f' in row 1"),
        ("x.json", b'[{}, {"f": 3}]', "field 'f' in row 1 is not text"),
        ("x.csv", b"g\n1\n2\n", "no field 'f' in row 1"),
    ],
)
def test_a_source_that_does_not_give_the_passage_says_why(
    path: str, content: bytes, reason: str
) -> None:
    pointer = Pointer(path=path, row=1, field="f", start=0, end=1)
    with pytest.raises(SourceError, match=reason):
        SourceFile.decode(path, content).passage(pointer)


def test_a_corpus_of_both_kinds_keeps_ids_apart(
    tmp_path: Path, labels: Path, codebook: Codebook
) -> None:
    plain = {"id": "ring", "document": "p", "text": "A text.", "frames": []}
    write(tmp_path / "plain.jsonl", plain | {"attributed": False, "rebutted": False})
    with pytest.raises(CorpusError, match="'ring' is also at"):
        read_entries([tmp_path], codebook)
