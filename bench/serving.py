"""How Framescope serves, against what people would run otherwise: same weights, texts and machine.

python -m bench.serving [BUNDLE] [--seconds 2] [--repeats 3] [--clients 1 8 64] [--only NAME ...]

Prints tables of ratios and writes them to build/bench/results.md and .json. README.md beside this
file says who is compared, at which settings, and how to read it.
"""

import argparse
import itertools
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from tokenizers import Tokenizer

from bench.limits import Alone, Limits, flops_per_token
from bench.loads import Load, loads
from bench.processes import Running, StartError
from bench.report import markdown
from bench.results import EACH_TEXT, POOL, Cell, Results, Start
from bench.servers import (
    BUILD,
    HUB,
    ONNX_WEIGHTS,
    SERVERS,
    WEIGHTS,
    InstallError,
    Server,
    body,
    environment_of_servers,
    export_onnx,
    install,
)
from bench.weights import write_peer_weights
from bench.wrk import WrkError, check_wrk, run_wrk
from models import registry
from models.bundle import TOKENIZER, BundleError, read_framing
from training.finetune import native_bf16

IN_FLIGHT = 64
"""Texts asked for at once, from which a run lasts longer: it ends before the last answers."""
LONGER = 4


def main(argv: list[str] | None = None) -> int:
    """Measure everybody. 0: done; 2: could not, and why stands on standard error."""
    parser = argparse.ArgumentParser(prog="python -m bench.serving", description=__doc__)
    parser.add_argument("bundle", type=Path, nargs="?", help="by default the promoted model")
    parser.add_argument("--seconds", type=int, default=2, help="of one run of the load generator")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 64])
    names = [server.name for server in SERVERS]
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME")
    options = parser.parse_args(argv)
    try:
        check_wrk()
        bundle = options.bundle or registry.path(registry.promoted())
        read_framing(bundle)
        chosen = [server for server in SERVERS if server.name in options.only]
        results = compare(bundle, chosen, options.clients, options.seconds, options.repeats)
    except (BundleError, registry.RegistryError, WrkError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    text = markdown(results)
    (BUILD / "results.md").write_text(text, encoding="utf-8")
    (BUILD / "results.json").write_text(json.dumps(asdict(results), indent=1), encoding="utf-8")
    print(text)
    return 0


def compare(
    bundle: Path, servers: Sequence[Server], clients: Sequence[int], seconds: int, repeats: int
) -> Results:
    """Install and measure the servers in turn, in the opposite order every other repeat."""
    dtype = "bfloat16" if native_bf16() else "float32"
    environment = environment_of_servers(dtype)
    framing = read_framing(bundle)
    tokenizer = Tokenizer.from_file(str(bundle / TOKENIZER))
    tokenizer.no_truncation()
    all_loads = loads(framing.codebook, lambda text: len(tokenizer.encode(text).ids))
    tokens = [len(tokenizer.encode(text).ids) for text in all_loads[0].texts]
    failures = set_up(bundle, servers, all_loads[0], environment)
    cells: list[Cell] = []
    starts: list[Start] = []
    limits: list[Limits] = []
    bulk: list[float] = []
    for repeat in range(repeats):
        say(f"repeat {repeat + 1} of {repeats}: the engine alone, and the machine's limit")
        limits.append(measure_limits(bundle, all_loads[0], seconds))
        bulk.append(measure_bulk(all_loads[0], limits[-1], seconds, environment))
        for server in list(servers)[:: -1 if repeat % 2 else 1]:
            for load in all_loads:
                if server.name in failures:
                    continue
                say(f"repeat {repeat + 1} of {repeats}: {server.name}, {load.name}")
                try:
                    begun, measured = measure(server, load, clients, repeat, seconds, environment)
                except (StartError, WrkError) as error:
                    failures[server.name] = str(error)
                    continue
                starts.append(begun)
                cells += measured
    config = json.loads((bundle / "config.json").read_text(encoding="utf-8"))["encoder"]
    tokens_per_text = sum(tokens) / len(tokens)
    return Results(
        machine={"CPU": cpu_name(), "cores": str(os.cpu_count()), "numbers": dtype},
        servers=tuple(server.name for server in servers if server.name not in failures),
        failures=failures,
        cells=tuple(cells),
        starts=tuple(starts),
        limits=tuple(limits),
        bulk_texts_per_s=tuple(bulk),
        tokens_per_text=tokens_per_text,
        flops_per_token=flops_per_token(config, round(tokens_per_text)),
        dtype=dtype,
    )


def set_up(
    bundle: Path, servers: Sequence[Server], singles: Load, environment: Mapping[str, str]
) -> dict[str, str]:
    """Convert the bundle, install the peers, and start everybody once for what that leaves behind.

    Returns why a server is left out, by name.
    """
    BUILD.mkdir(parents=True, exist_ok=True)
    register(bundle, environment)
    write_peer_weights(bundle, WEIGHTS)
    for made_from_them in (ONNX_WEIGHTS, HUB):
        shutil.rmtree(made_from_them, ignore_errors=True)
    failures: dict[str, str] = {}
    for server in servers:
        say(f"setting up {server.name}")
        try:
            if server.environment:
                install(server.environment)
            if server.folder == ONNX_WEIGHTS:
                export_onnx()
            with start(server, singles, environment):
                pass
        except (InstallError, StartError) as error:
            failures[server.name] = str(error)
    return failures


def register(bundle: Path, environment: Mapping[str, str]) -> None:
    """Promote the bundle in a registry of the benchmark's own, which BentoML finds on import."""
    program = (
        "import pathlib, sys; from models import registry; "
        "registry.promote(registry.add(pathlib.Path(sys.argv[1])))"
    )
    command = [sys.executable, "-c", program, str(bundle)]
    subprocess.run(command, check=True, env=dict(environment))


def start(server: Server, load: Load, environment: Mapping[str, str]) -> Running:
    """The server, to be entered as a block; its first request is the load's first."""
    port = free_port()
    return Running(
        server.full_command(port, environment["BENCH_DTYPE"]),
        environment,
        server.folder,
        f"http://127.0.0.1:{port}{server.path}",
        body(server, load.requests[0]),
        BUILD / "server.log",
    )


def measure(
    server: Server,
    load: Load,
    clients: Sequence[int],
    repeat: int,
    seconds: int,
    environment: Mapping[str, str],
) -> tuple[Start, list[Cell]]:
    """Start a server, warm it up with the load, run the load, stop it.

    Raises `StartError`, and `WrkError` if it stops answering.
    """
    bodies = BUILD / "bodies.jsonl"
    bodies.write_text("".join(body(server, request) + "\n" for request in load.requests))
    texts_per_request = len(load.texts) / len(load.requests)
    cells = []
    with start(server, load, environment) as running:
        run_wrk(running.url, bodies, clients=2, seconds=1)
        for number in clients:
            running.wait_until_idle()
            longer = LONGER if number * texts_per_request >= IN_FLIGHT else 1
            answers = run_wrk(running.url, bodies, number, seconds * longer)
            enough = answers.answered >= number
            cells.append(
                Cell(
                    server=server.name,
                    load=load.name,
                    clients=number,
                    repeat=repeat,
                    documents_per_s=answers.answered * load.documents / answers.seconds,
                    p50_ms=answers.p50_ms if enough else None,
                    p99_ms=answers.p99_ms if enough else None,
                    failed=answers.refused + answers.broken,
                )
            )
    memory = running.peak_mib, running.total_mib
    return Start(server.name, load.name, repeat, running.start_seconds, *memory), cells


def measure_limits(bundle: Path, singles: Load, seconds: int) -> Limits:
    """The engine alone and the machine's ceiling, in a process of their own."""
    calls = {EACH_TEXT: [[text] for text in singles.texts], POOL: [singles.texts]}
    file = BUILD / "texts.json"
    file.write_text(json.dumps(calls), encoding="utf-8")
    command = [sys.executable, "-m", "bench.limits", str(bundle), str(file), str(seconds)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found = json.loads(done.stdout)
    engine = {name: Alone(**alone) for name, alone in found["engine"].items()}
    return Limits(tflops=found["tflops"], engine=engine)


def measure_bulk(
    singles: Load, limits: Limits, seconds: int, environment: Mapping[str, str]
) -> float:
    """Texts a second of `serving.bulk`, without its start: what one text takes is subtracted."""
    enough = int(limits.engine[POOL].texts_per_s * seconds * LONGER)
    many = list(itertools.islice(itertools.cycle(singles.texts), enough))
    whole, start = (bulk_seconds(some, environment) for some in (many, many[:1]))
    return (len(many) - 1) / (whole - start)


def bulk_seconds(texts: Sequence[str], environment: Mapping[str, str]) -> float:
    """How long `serving.bulk` takes for these texts."""
    source, out = BUILD / "bulk.jsonl", BUILD / "bulk"
    rows = (json.dumps({"id": str(i), "text": text}) for i, text in enumerate(texts))
    source.write_text("\n".join(rows), encoding="utf-8")
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-m", "serving.bulk", str(source), str(out)]
    begun = time.perf_counter()
    subprocess.run(command, check=True, env=dict(environment), stderr=subprocess.DEVNULL)
    return time.perf_counter() - begun


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def cpu_name() -> str:
    """The processor's name, where the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def say(what: str) -> None:
    """Progress, on standard error."""
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
