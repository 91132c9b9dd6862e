import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForSequenceClassification, AutoTokenizer

import models.network  # noqa: F401 - registers the network with transformers
from models.base_encoder import EMBEDDED, BaseEncoderError, locate
from models.bundle import BundleError, read_framing
from models.classifier import Classifier
from models.cpu_network import pad, padded
from models.engine import Engine, batches
from tests.small_model import CORPUS, ROOT

TEXTS = [path.read_text(encoding="utf-8") for path in sorted(CORPUS[0].glob("*.txt"))]


@given(st.lists(st.integers(1, 600), max_size=80), st.integers(1, 4096), st.integers(0, 512))
def test_batches_hold_every_text_once_and_little_padding(
    lengths: list[int], budget: int, padding: int
) -> None:
    made = list(batches(lengths, budget, padding))
    assert sorted(i for batch in made for i in batch) == list(range(len(lengths)))
    for batch in made:
        rows = [padded(lengths[i]) for i in batch]
        assert len(batch) * max(rows) <= budget or len(batch) == 1
        assert len(batch) * max(rows) - sum(rows) <= padding
    for before, after in pairwise(made):
        both = [padded(lengths[i]) for i in [*before, after[0]]]
        whole = len(both) * max(both)
        assert whole > budget or whole - sum(both) > padding  # no batch ends before it must


@given(st.lists(st.lists(st.integers(1, 99), min_size=1, max_size=40), min_size=1, max_size=9))
def test_padding_keeps_every_token_and_rounds_the_length_up(rows: list[list[int]]) -> None:
    ids, mask = pad(rows)
    assert ids.shape == mask.shape == (len(rows), padded(max(map(len, rows))))
    assert [line[marks == 1].tolist() for line, marks in zip(ids, mask, strict=True)] == rows
    assert not ids[mask == 0].any()


def test_transformers_loads_the_bundle_and_gives_the_same_logits(
    bundle: Path, classifier: Classifier
) -> None:
    network = AutoModelForSequenceClassification.from_pretrained(bundle, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(bundle)
    max_tokens = classifier.framing.max_tokens
    texts = [text[:300] for text in TEXTS]
    encoded = tokenizer(
        texts, padding=True, truncation=True, max_length=max_tokens, return_tensors="pt"
    )
    with torch.inference_mode():
        expected = network.eval()(encoded["input_ids"], encoded["attention_mask"]).logits.numpy()
    found = Engine(bundle, max_tokens).logits(texts)
    assert found == pytest.approx(expected, abs=0.02)
    assert expected.std() > 0.05
    assert network.config.id2label == dict(enumerate(classifier.framing.codebook.keys))


def test_threads_may_use_a_new_network_at_once(bundle: Path) -> None:
    program = (
        "import builtins, pathlib, sys, threading, time\n"
        "from models.cpu_network import CpuNetwork\n"
        "network = CpuNetwork(pathlib.Path(sys.argv[1]))\n"
        "quick = builtins.__import__\n"
        "def slow(*args, **kwargs):  # whatever the first use imports takes long enough to meet\n"
        "    time.sleep(0.2)\n"
        "    return quick(*args, **kwargs)\n"
        "builtins.__import__ = slow\n"
        "pair = [threading.Thread(target=network.infer, args=([[1]],)) for _ in range(2)]\n"
        "for thread in pair: thread.start()\n"
        "for thread in pair: thread.join()\n"
    )
    command = [sys.executable, "-c", program, str(bundle)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=60)  # two that wait for each other


def test_scores_do_not_depend_on_company(classifier: Classifier) -> None:
    texts = ["NATO.", *TEXTS, "The U.S. is tightening the encirclement ring around Russia."]
    together = classifier.score_passages(texts)
    alone = np.concatenate([classifier.score_passages([text]) for text in texts])
    assert together == pytest.approx(alone, abs=0.005)


def test_none_of_an_overlong_passage_is_left_out(classifier: Classifier) -> None:
    dull, telling = "the forum was held in the region . ", TEXTS[1][531:763]
    overlong = dull * 60 + telling
    engine = classifier.engine
    (windows,) = engine.windows([overlong])
    (end,) = engine.windows([telling])[0]
    read = [token for ids in windows for token in ids[1:-1]]  # without the marks at their ends
    assert len(windows) > 1
    assert read[-len(end) + 2 :] == end[1:-1]
    highest = np.max([engine.network.infer([ids])[0] for ids in windows], axis=0)
    assert classifier.logits([overlong])[0] == pytest.approx(highest, abs=1e-3)


def test_a_document_scores_as_its_highest_passage(classifier: Classifier) -> None:
    for prediction, text in zip(classifier.predict(TEXTS), TEXTS, strict=True):
        passages = [text[span.start : span.end] for span in prediction.passages]
        assert prediction.passage_scores == pytest.approx(
            classifier.score_passages(passages), abs=0.005
        )
        assert (prediction.document_scores == prediction.passage_scores.max(axis=0)).all()


def test_documents_without_a_passage_and_no_documents_at_all(classifier: Classifier) -> None:
    empty, full = classifier.predict([" \n", TEXTS[0]])
    assert empty.passages == []
    assert not empty.document_scores.any()
    assert full.passages
    assert classifier.predict([]) == []


def test_a_changed_file_is_noticed(bundle: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in bundle.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    read_framing(copy)
    framing = (copy / "framing.json").read_text(encoding="utf-8")
    (copy / "framing.json").write_text(framing.replace('"slope": 0.', '"slope": 1.'))
    with pytest.raises(BundleError, match=r"framing\.json has changed"):
        read_framing(copy)
    (copy / "graph.bin").unlink()
    (copy / "framing.json").write_text(framing, encoding="utf-8")
    with pytest.raises(BundleError, match=r"lacks graph\.bin"):
        Classifier.load(copy)
    with pytest.raises(BundleError, match="not a bundle"):
        read_framing(tmp_path)


def test_nothing_in_a_bundle_needs_unpickling(bundle: Path) -> None:
    kinds = {path.suffix for path in bundle.iterdir()}
    assert kinds <= {".json", ".safetensors", ".xml", ".bin", ".md", ".yaml"}
    # A pickle begins with its protocol byte, a zipped one with PK.
    for path in bundle.glob("*.bin"):
        assert path.read_bytes()[:2] not in (b"\x80\x02", b"\x80\x04", b"PK")


def test_the_embedded_encoder_is_the_published_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Path(locate(EMBEDDED), "tokenizer.json").is_file()
    monkeypatch.setattr("models.base_encoder.EMBEDDED_SHA256", "0" * 64)
    with pytest.raises(BaseEncoderError, match="not the published"):
        locate(EMBEDDED)
