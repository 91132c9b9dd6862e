import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from data.codebook import Codebook
from models.bundle import read_framing
from models.network import LabelAttentionForSequenceClassification
from tests.conftest import command, environment
from tests.small_model import ROOT, arguments
from training.finetune import last_checkpoint
from training.frozen import StatesCollator, encoder_layers, join, lower_states, split_off
from training.sampler import LengthBuckets


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, encoder: Path) -> Path:
    """A run of four epochs that nothing interrupted."""
    folder = tmp_path_factory.mktemp("finished")
    done = command(folder, "training", *arguments(encoder, folder / "run", "--epochs", "4"))
    assert done.returncode == 0, done.stderr
    assert "Promoted: it is the first." in done.stderr
    assert "macro-F1" in done.stderr
    return folder / "run"


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "bundle" / "model.safetensors")


def same_weights(one: Path, other: Path) -> bool:
    first, second = weights(one), weights(other)
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


@pytest.mark.parametrize("order", ["order-0", "order-1"])
def test_killed_and_resumed_it_ends_where_it_would_have_ended(
    finished: Path, encoder: Path, tmp_path: Path, order: str
) -> None:
    run = tmp_path / "run"
    line = [sys.executable, "-m", "training", *arguments(encoder, run, "--epochs", "4")]
    process = subprocess.Popen(
        line, cwd=ROOT, env=environment(tmp_path), stderr=subprocess.PIPE, text=True
    )
    while last_checkpoint(run / order) is None and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (run / "bundle").exists()
    # The kill may also hit while the next checkpoint is being written.
    begun = run / order / "checkpoint-9999"
    shutil.copytree(last_checkpoint(run / order) or run, begun)
    (begun / "trainer_state.json").write_text('{"epoch": 2.0, "glob', encoding="utf-8")
    whole = last_checkpoint(run / order)
    assert whole is not None

    options = ("--epochs", "4", "--resume")
    resumed = command(tmp_path, "training", *arguments(encoder, run, *options))
    assert resumed.returncode == 0, resumed.stderr
    assert f"Resuming from {whole.name}" in resumed.stderr
    assert same_weights(run, finished)
    assert metrics(run) == metrics(finished)


def metrics(run: Path) -> object:
    return read_framing(run / "bundle").metrics


def test_the_same_seed_gives_the_same_model_and_another_seed_another(
    finished: Path, encoder: Path, tmp_path: Path
) -> None:
    again, other = tmp_path / "again", tmp_path / "other"
    command(tmp_path, "training", *arguments(encoder, again, "--epochs", "4"))
    command(tmp_path, "training", *arguments(encoder, other, "--epochs", "4", "--seed", "7"))
    assert same_weights(again, finished)
    assert metrics(again) == metrics(finished)
    assert not same_weights(other, finished)


def test_ctrl_c_says_how_to_go_on(encoder: Path, tmp_path: Path) -> None:
    line = [sys.executable, "-m", "training"]
    line += arguments(encoder, tmp_path / "run", "--epochs", "50", "--patience", "50")
    process = subprocess.Popen(
        line,
        cwd=ROOT,
        env=environment(tmp_path),
        stderr=subprocess.PIPE,
        text=True,
        # A shell that starts the tests in the background has them ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL) and None,
    )
    while last_checkpoint(tmp_path / "run" / "order-0") is None and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, printed = process.communicate()
    assert process.returncode == 130
    assert "`python -m training --resume` goes on." in printed
    assert "Traceback" not in printed


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--resume", "--learning_rate", "0.5"], "was begun with another recipe"),
        (["--base_encoder", "no/such/encoder"], "neither a folder that holds a model nor"),
        (["--frozen_layers", "3"], "frozen_layers is 3, but"),
        (["--averaged", "0"], "averaged is 0; give 1 or more"),
        (["--max_tokens", "500"], "max_tokens is 500, but"),
        (["--gates", "no/such/gates.toml"], "no/such/gates.toml: no gates file can be read here"),
        (["--corpus", "no/such/corpus"], "no/such/corpus: no corpus here"),
        (["--corpus", "data/corpus/seed"], "The corpus has no validation passages"),
    ],
)
def test_what_cannot_start_says_why_and_keeps_what_was_there(
    finished: Path, encoder: Path, tmp_path: Path, options: list[str], sentence: str
) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    epochs = ["--epochs", "4"]
    refused = command(tmp_path, "training", *arguments(encoder, run, *epochs, *options))
    assert refused.returncode == 2
    assert sentence in refused.stderr
    assert "Traceback" not in refused.stderr
    assert same_weights(run, finished)


def test_a_model_that_fails_a_gate_is_registered_but_not_promoted(
    finished: Path, encoder: Path, tmp_path: Path
) -> None:
    run, gates = tmp_path / "run", tmp_path / "gates.toml"
    shutil.copytree(finished, run)
    gates.write_text("minimum_support = 1\nminimum_macro_f1 = 1.0\n", encoding="utf-8")
    options = ("--epochs", "4", "--resume", "--gates", str(gates))
    failed = command(tmp_path, "training", *arguments(encoder, run, *options))
    assert failed.returncode == 1, failed.stderr
    assert "Failed gate: macro-F1: 0." in failed.stderr
    assert "1 of 1 gates failed. There is no model to serve yet." in failed.stderr
    version = command(tmp_path, "models", "list").stdout.split()[0]
    assert f"`python -m models promote {version}` promotes it all the same." in failed.stderr
    assert command(tmp_path, "models", "promoted").returncode == 2
    assert command(tmp_path, "models", "promote", version).returncode == 0


def test_the_bundle_says_what_it_was_made_of(finished: Path, encoder: Path) -> None:
    origin = read_framing(finished / "bundle").provenance
    assert origin.passages["train"]["seed"] == 73
    assert origin.passages["train"]["authored"] > 200
    assert origin.recipe["epochs"] == 4
    assert origin.base_encoder.name == str(encoder)
    assert len(origin.git_commit) == 40
    assert json.loads((finished / "run.json").read_text())["corpus"] == origin.corpus_sha256


@pytest.mark.parametrize("layers", [0, 1, 2])
def test_split_and_joined_the_network_computes_the_same(
    encoder: Path, codebook: Codebook, layers: int
) -> None:
    network = LabelAttentionForSequenceClassification.from_encoder(str(encoder), codebook.keys)
    ids = [[2, 40, 41, 42, 3], [2, 50, 3], [2, *range(60, 90), 3]]
    whole = torch.cat([network(torch.tensor([row]), torch.ones(1, len(row))).logits for row in ids])
    before = {name: value.clone() for name, value in network.state_dict().items()}
    lower = split_off(network, layers)
    assert len(encoder_layers(network.encoder)) == 2 - layers
    collator = StatesCollator(lower_states(lower, ids), multiple=16)
    batch = collator([{"row": i, "labels": [0.0] * 6} for i in range(3)])
    assert batch["inputs_embeds"].shape[1] == 32
    assert torch.allclose(network(**batch).logits, whole, atol=1e-5)
    join(network, lower)
    after = network.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)


@given(st.lists(st.integers(1, 300), max_size=200), st.integers(1, 16), st.integers(0, 9))
def test_the_sampler_gives_every_passage_once_in_batches_of_like_length(
    lengths: list[int], batch_size: int, epoch: int
) -> None:
    sampler = LengthBuckets(lengths, batch_size, seed=1)
    sampler.set_epoch(epoch)
    order = list(sampler)
    assert sorted(order) == list(range(len(lengths)))
    assert list(sampler) == order
    if len(lengths) <= batch_size * 50:  # sorted as a whole, then cut into batches
        full = len(lengths) // batch_size
        found = [
            sorted(lengths[j] for j in order[i * batch_size :][:batch_size]) for i in range(full)
        ]
        ranked = sorted(lengths)
        assert sorted(found) == [ranked[i * batch_size :][:batch_size] for i in range(full)]


def test_another_epoch_brings_another_order_of_batches() -> None:
    sampler = LengthBuckets(list(range(1, 400)), 8, seed=0)
    first = list(sampler)
    sampler.set_epoch(1)
    second = list(sampler)
    assert first != second
    means = [sum(first[i : i + 8]) / 8 for i in range(0, 392, 8)]
    assert means != sorted(means)
    assert means != sorted(means, reverse=True)
