import json
import shutil
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

from bench.limits import Alone, Limits, flops_per_token, time_calls
from bench.loads import BATCHES, DOCUMENTS, SINGLE, WHOLE, WORDS, cut, loads, passages
from bench.processes import Running, StartError, last_line
from bench.report import markdown, show
from bench.results import EACH_TEXT, POOL, Cell, Results, Start, bars, rates, ratios, spread
from bench.servers import OURS, PEERS, PIPELINE, SERVERS, body
from bench.serving import free_port
from bench.weights import write_peer_weights
from bench.wrk import Answers, WrkError, parse, run_wrk
from data.codebook import Codebook
from data.passages import split_passages

WRK_OUTPUT = """\
Running 2s test @ http://127.0.0.1:8123/v1/classify
  1 threads and 8 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency    49.15ms   14.91ms 119.34ms   80.26%
    Req/Sec   164.05     34.53   220.00     70.00%
  327 requests in 2.00s, 143.70KB read
  Non-2xx or 3xx responses: 4
Requests/sec:    163.41
Transfer/sec:     71.81KB
{"answered": 323, "refused": 4, "broken": 0, "seconds": 2.001, "p50_ms": 45.1, "p99_ms": 101.9}
"""

ECHO = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        ok = b"refuse" not in body
        self.send_response(200 if ok else 503)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *arguments):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def test_the_line_after_wrks_own_report_is_read() -> None:
    assert parse(WRK_OUTPUT) == Answers(323, 4, 0, 2.001, 45.1, 101.9)


def test_output_without_that_line_is_an_error_that_shows_what_came() -> None:
    with pytest.raises(WrkError, match=r"71\.81KB"):
        parse(WRK_OUTPUT.rpartition("{")[0])


def results(framescope: list[float], peers: dict[str, list[float]]) -> Results:
    cells, starts = [], []
    for server, values in {OURS: framescope, **peers}.items():
        for repeat, value in enumerate(values):
            for load in (SINGLE, BATCHES, WHOLE):
                for clients in (1, 64):
                    p50 = 5.0 if clients == 1 else None
                    cells.append(Cell(server, load, clients, repeat, value, p50, p50, 0))
                starts.append(Start(server, load, repeat, 1000 / value, 10_000 / value, 1e6))
    limits = [
        Limits({"float32": 0.1}, {POOL: Alone(800.0, 400.0), EACH_TEXT: Alone(250.0, 4.0)})
        for _ in framescope
    ]
    return Results(
        machine={"CPU": "a CPU"},
        servers=(OURS, *peers),
        failures={"LitServe": "did not install: no such version"},
        cells=tuple(cells),
        starts=tuple(starts),
        limits=tuple(limits),
        bulk_texts_per_s=tuple(2 * value for value in framescope),
        tokens_per_text=50.0,
        flops_per_token=2e6,
        dtype="float32",
    )


def test_ratios_are_taken_within_a_repeat_and_against_its_best_peer() -> None:
    found = results([400.0, 600.0, 800.0], {PIPELINE: [40.0, 50.0, 10.0], "X": [20.0, 60.0, 100.0]})
    best = rates(found, [PIPELINE, "X"], SINGLE, [64])
    assert best == {0: 40.0, 1: 60.0, 2: 100.0}
    assert ratios(rates(found, [OURS], SINGLE, [64]), best) == [10.0, 10.0, 8.0]


def test_bars_hold_where_the_median_reaches_them() -> None:
    found = bars(results([400.0, 640.0, 800.0], {PIPELINE: [100.0] * 3}), [1, 64])
    at_64, batches, through_http, engine, wait, start, memory, bulk = found
    assert at_64.value == spread([4.0, 6.4, 8.0])
    assert at_64.held
    assert batches.held
    assert through_http.value == spread([0.5, 0.8, 1.0])
    assert through_http.held
    # 0.1 TFLOP/s over 2 MFLOP a token and 50 tokens a text are 1,000 texts a second.
    assert engine.value == spread([0.8])
    assert wait.value == spread([1.0])
    assert start.value == spread([0.25, 100 / 640, 0.125])
    assert start.held
    assert memory.held
    assert bulk.value == spread([1.0, 1.6, 2.0])
    slower = bars(results([200.0, 300.0, 450.0], {PIPELINE: [100.0] * 3}), [1, 64])
    assert [bar.held for bar in slower] == [False, True, False, True, True, False, False, False]


def test_a_bar_whose_peer_was_left_out_is_not_measured_rather_than_held() -> None:
    found = results([400.0], {})
    assert [bar.held for bar in bars(found, [1, 64])] == [
        False,
        False,
        False,
        True,
        True,
        False,
        False,
        True,
    ]
    assert "not measured" in markdown(found)


def test_a_peer_that_answered_nothing_leaves_no_ratio() -> None:
    assert ratios({0: 5.0}, {0: 0.0}) == []
    assert spread([]) is None
    assert show(None, "{:.1f}") == "-"


def test_the_tables_name_everybody_and_who_was_left_out() -> None:
    text = markdown(results([400.0, 600.0], {PIPELINE: [40.0, 50.0]}))
    assert "| 64 | pipeline + FastAPI | 45.0 (40.0-50.0) | 11.00 (10.00-12.00) | - |" in text
    assert "- LitServe: did not install: no such version" in text
    for line in text.splitlines():
        if line.startswith("| 64 |"):
            assert line.count("|") == 8


def test_flops_are_those_of_the_matrix_products() -> None:
    encoder = {"hidden_size": 2, "intermediate_size": 3, "num_hidden_layers": 5}
    # A layer: query, key, value, output: 4 x (2 x 2); two of 2 x 3; scores and mix: 2 x 7 x 2.
    assert flops_per_token(encoder, tokens=7) == 5 * 2 * (16 + 12 + 28)


def test_the_engine_is_called_with_the_lists_in_turn() -> None:
    called: list[int] = []
    alone = time_calls(lambda texts: called.append(len(texts)), [["a"], ["b", "c"]], 0.01)
    assert called[:4] == [1, 2, 1, 2]
    assert alone.texts_per_s > 0
    assert alone.p50_ms >= 0


def test_loads_are_deterministic_and_ask_everybody_for_the_same_passages(
    codebook: Codebook,
) -> None:
    def tokens(text: str) -> int:
        return len(text.split()) + 12

    single, batches, whole = made = loads(codebook, tokens)
    assert made == loads(codebook, tokens)
    assert single.documents == whole.documents == 1
    assert batches.documents == 32
    assert [text for request in batches.requests for text in passages(request)] == [
        text for request in single.requests for text in passages(request)
    ]
    assert len(whole.requests) == DOCUMENTS
    for (document,) in whole.requests:
        assert WORDS <= len(document.text.split()) < WORDS + 100
        spans = split_passages(document.text, codebook.language)
        assert tuple(document.text[s.start : s.end] for s in spans) == document.passages
    for server in SERVERS:
        for load in made:
            assert "\n" not in body(server, load.requests[0])


def test_a_text_that_is_too_short_is_taken_whole() -> None:
    assert cut("One sentence stands here.", "en").text == "One sentence stands here."


def test_every_peer_has_requirements_and_its_script() -> None:
    for server in SERVERS:
        if server.environment:
            assert (PEERS / f"{server.environment}.txt").is_file()
    assert OURS in [server.name for server in SERVERS]
    assert PIPELINE in [server.name for server in SERVERS]


def test_peers_load_the_bundles_encoder_under_a_stock_head(bundle: Path, tmp_path: Path) -> None:
    write_peer_weights(bundle, tmp_path)
    ours = AutoModelForSequenceClassification.from_pretrained(bundle, dtype=torch.float32).eval()
    stock, info = AutoModelForSequenceClassification.from_pretrained(
        tmp_path, dtype=torch.float32, output_loading_info=True
    )
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    batch = tokenizer(["The ring is drawn tighter."], return_tensors="pt")
    with torch.inference_mode():
        hidden = ours.encoder(
            input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]
        ).last_hidden_state
        expected = ours.classifier.mean(hidden[:, 0])
        torch.testing.assert_close(stock.eval()(**batch).logits, expected, rtol=1e-3, atol=1e-3)
    classify: Any = pipeline("text-classification", model=str(tmp_path), top_k=None)
    assert {scored["label"] for scored in classify(["Some text."])[0]} == set(
        ours.config.id2label.values()
    )


def test_another_encoder_than_bert_is_refused(bundle: Path, tmp_path: Path) -> None:
    other = tmp_path / "bundle"
    shutil.copytree(bundle, other)
    config = json.loads((other / "config.json").read_text())
    config["encoder"]["model_type"] = "roberta"
    (other / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="roberta"):
        write_peer_weights(other, tmp_path / "weights")


@pytest.fixture
def unused_port() -> int:
    return free_port()


def running(program: str, tmp_path: Path, port: int) -> Running:
    return Running(
        [sys.executable, "-c", program, str(port)],
        {"PYTHONUNBUFFERED": "1"},
        tmp_path,
        f"http://127.0.0.1:{port}/",
        "{}",
        tmp_path / "log",
    )


def test_a_server_is_timed_watched_and_stopped_with_its_children(
    tmp_path: Path, unused_port: int
) -> None:
    # The child holds the port, in a session of its own, as some servers' workers do.
    parent = (
        "import subprocess, sys\n"
        f"subprocess.run([sys.executable, '-c', {ECHO!r}, sys.argv[1]], start_new_session=True)"
    )
    with running(parent, tmp_path, unused_port) as server:
        assert server.start_seconds > 0
        server.wait_until_idle()
    assert 1 < server.peak_mib < server.total_mib
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{unused_port}/")


def test_a_server_that_does_not_start_says_its_last_line(tmp_path: Path, unused_port: int) -> None:
    broken = running("print('loading'); raise SystemExit('no weights here')", tmp_path, unused_port)
    with pytest.raises(StartError, match="no weights here"), broken:
        pass


def test_of_no_output_there_is_no_last_line() -> None:
    assert last_line("\n \n") == "it wrote nothing"


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
def test_wrk_sends_the_bodies_in_turn_and_counts_refusals(tmp_path: Path, unused_port: int) -> None:
    bodies = tmp_path / "bodies.jsonl"
    bodies.write_text('{"text": "one"}\n{"text": "refuse this"}\n')
    with running(ECHO, tmp_path, unused_port):
        answers = run_wrk(f"http://127.0.0.1:{unused_port}/", bodies, clients=2, seconds=1)
    assert answers.answered > 0
    assert abs(answers.answered - answers.refused) <= 2
    assert answers.broken == 0
    assert 0 < answers.p50_ms <= answers.p99_ms
