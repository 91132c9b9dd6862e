"""What is served gives the checkpoint's scores, or is not registered."""

import shutil
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
import torch
from datasets import DatasetDict
from safetensors.torch import load_file, save_file

from data.codebook import Codebook
from data.corpus import to_dataset_dict
from data.records import read_records
from models.bundle import GRAPH
from models.calibration import scores
from models.classifier import Classifier
from models.cpu_network import CpuNetwork
from models.engine import Engine
from models.gpu_network import GpuNetwork, has_gpu
from models.parity import ParityError, checkpoint_logits, compare
from tests.small_model import CORPUS
from training.build import fastest_in_parity


@pytest.fixture(scope="module")
def corpus(codebook: Codebook) -> DatasetDict:
    return to_dataset_dict(read_records(CORPUS, codebook), codebook)


def test_a_graph_that_strays_from_its_checkpoint_is_refused(
    bundle: Path, classifier: Classifier, corpus: DatasetDict, tmp_path: Path
) -> None:
    framing = classifier.framing
    copy = Path(shutil.copytree(bundle, tmp_path / "copy"))
    again, _, (parity,) = fastest_in_parity(copy, framing, corpus)
    assert parity.holds
    assert parity.as_json() == framing.metrics["parity"][0]
    assert again.framing.calibration == framing.calibration
    weights = load_file(copy / "model.safetensors")
    weights["classifier.mean.bias"] += 0.3
    save_file(weights, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(ParityError, match=r"is not registered: in .* labels change"):
        fastest_in_parity(copy, framing, corpus)


def test_a_label_changes_only_away_from_its_threshold() -> None:
    thresholds = np.array([0.5])
    near = compare("f32", np.array([[0.495]]), np.array([[0.504]]), thresholds)
    assert (near.changed_labels, near.holds) == (0, True)
    far = compare("f32", np.array([[0.48]]), np.array([[0.51]]), thresholds)
    assert (far.changed_labels, far.holds) == (1, False)
    same_side = compare("f32", np.array([[0.6]]), np.array([[0.62]]), thresholds)
    assert (same_side.changed_labels, same_side.holds) == (0, False)


def test_sums_and_norms_of_the_graph_stay_exact_in_any_precision(bundle: Path) -> None:
    operations = ov.Core().read_model(bundle / GRAPH).get_ops()
    exact = [op.rt_info for op in operations if op.get_type_name() in {"Add", "MVN", "Multiply"}]
    assert len(exact) > 10
    assert all("DisablePrecisionConversion_0" in info for info in exact)


def test_the_checkpoint_holds_values_of_bf16(bundle: Path) -> None:
    for name, weights in load_file(bundle / "model.safetensors").items():
        if weights.ndim > 1:
            assert torch.equal(weights, weights.bfloat16().float()), name


@pytest.mark.parametrize(
    "device",
    [
        "cpu",
        pytest.param("cuda", marks=pytest.mark.skipif(not has_gpu(), reason="there is no GPU")),
    ],
)
def test_torch_in_half_precision_gives_the_checkpoints_scores(
    bundle: Path, classifier: Classifier, corpus: DatasetDict, device: str
) -> None:
    texts, max_tokens = corpus["test"]["text"][:40], classifier.framing.max_tokens
    engine = Engine(bundle, max_tokens, GpuNetwork(bundle, device))
    # Uncalibrated: the slope of a label that so small a model has not learned magnifies noise.
    expected = scores(checkpoint_logits(bundle, max_tokens, texts), 1.0, 0.0)
    found = scores(engine.logits(texts), 1.0, 0.0)
    parity = compare(engine.network.precision, expected, found, classifier.thresholds)
    assert parity.holds, parity
    assert engine.network.precision == "fp16"


def test_a_bundle_may_ask_for_the_portable_precision(bundle: Path) -> None:
    assert CpuNetwork(bundle, "f32").precision == "f32"
    assert CpuNetwork(bundle, "native").precision in {"bf16", "f32"}
