import json
import math
import re
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from bench import recipe as bench
from bench import variants
from bench.variants import NEEDS_REAL, VARIANTS, Variant
from data.codebook import Codebook
from data.corpus import to_dataset_dict
from data.records import Record, read_records, record_model
from tests.small_model import CORPUS, ROOT, tiny_encoder
from training.finetune import average, last_checkpoint, prepare_finetuning, tokenize
from training.recipe import Recipe

DOCUMENTS = ROOT / "data/corpus/extension/documents/northeast-asia.jsonl"
LOGITS = tensor([[2.0, -1.0], [0.5, 3.0], [-4.0, 0.0]])
LABELS = tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    """Of a tiny encoder with as many layers as the default one has."""
    encoder = tiny_encoder(tmp_path_factory.mktemp("encoder"), layers=6)
    return Recipe(base_encoder=str(encoder), max_tokens=96, learning_rate=2e-3, averaged=1)


@pytest.fixture(scope="module")
def records(codebook: Codebook) -> list[Record]:
    """A few documents and scenarios, some of them as if they were real."""
    found = read_records([*CORPUS, DOCUMENTS], codebook)
    chosen = bench.selected(found, 0.08)
    real = {"source": "elsewhere", "annotator": "somebody"}
    return [r.model_copy(update=real) if i % 4 == 0 else r for i, r in enumerate(chosen)]


def passage(codebook: Codebook, name: str, **fields: object) -> Record:
    voices = dict.fromkeys(codebook.voices, False)
    given = {"id": name, "text": f"Text of {name}.", "frames": []} | voices | fields
    return record_model(codebook).model_validate(given)


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_trains_and_gives_finite_numbers(
    name: str, recipe: Recipe, records: list[Record], codebook: Codebook
) -> None:
    # One epoch keeps the test short; a variant of the number of epochs sets its own.
    short = replace(recipe, epochs=1)
    result = bench.result(VARIANTS[name], short, records, codebook)
    for value in (result.macro, result.authored, result.real, result.attributed):
        assert 0 < value <= 1
    assert result.seconds > 0
    assert result.tokens > 0


def test_the_default_is_what_training_makes(
    recipe: Recipe, records: list[Record], codebook: Codebook, tmp_path: Path
) -> None:
    logits, _, tokens = bench.trained(Variant(), recipe, records, codebook, tmp_path / "bench")
    corpus = to_dataset_dict(records, codebook)
    finetuning = prepare_finetuning(recipe, corpus, codebook)
    finetuning.train(tmp_path / "training", resume=False)
    ids = tokenize(corpus["validation"], finetuning.tokenizer, 96)["input_ids"][:]
    network: torch.nn.Module = finetuning.network
    network.eval()
    with torch.inference_mode():
        expected = torch.cat([network(tensor([x]), torch.ones(1, len(x))).logits for x in ids])
    # Where this machine multiplies bf16, the trainer does and the joined network does not.
    assert np.allclose(logits, expected.numpy(), atol=0.05)
    measured = bench.precisions(logits, records, codebook)
    checkpoint = last_checkpoint(tmp_path / "training/order-0")
    assert checkpoint is not None
    state = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    assert measured["macro"] == pytest.approx(state["best_metric"])
    train = tokenize(corpus["train"], finetuning.tokenizer, 96)["input_ids"][:]
    assert tokens == recipe.epochs * sum(map(len, train))


@pytest.mark.parametrize("name", ["contrastive", "adapted"])
def test_a_first_stage_moves_the_encoder_and_leaves_the_head(
    name: str, recipe: Recipe, records: list[Record], codebook: Codebook, tmp_path: Path
) -> None:
    variant = VARIANTS[name]
    trainer = prepared(replace(recipe, **variant.fields), records, codebook, tmp_path)
    before = {k: v.clone() for k, v in trainer.model.state_dict().items()}
    variant.adjust(trainer, recipe)
    after = trainer.model.state_dict()
    assert after.keys() == before.keys()
    moved = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"encoder"}


def test_masked_tokens_are_hidden_and_asked_for(
    recipe: Recipe, records: list[Record], codebook: Codebook, tmp_path: Path
) -> None:
    trainer = prepared(replace(recipe, frozen_layers=0), records, codebook, tmp_path)
    rows = [trainer.train_dataset[i] for i in range(40)]
    plain = trainer.data_collator(rows)
    masked = variants.MaskedCollator(trainer.data_collator)(rows)
    asked = masked["labels"] != variants.IGNORED
    assert 0.1 < asked.sum() / plain["attention_mask"].sum() < 0.2
    for i, row in enumerate(rows):
        for j in asked[i].nonzero().flatten().tolist():
            assert masked["labels"][i, j] == row["input_ids"][j]
    assert not masked["inputs_embeds"][asked].any()
    assert torch.equal(masked["inputs_embeds"][~asked], plain["inputs_embeds"][~asked])


def prepared(
    recipe: Recipe, records: list[Record], codebook: Codebook, folder: Path, order: int = 0
) -> Any:
    """A `Trainer` as `training` makes it."""
    corpus = to_dataset_dict(records, codebook)
    return prepare_finetuning(recipe, corpus, codebook).trainer(folder, order)


def test_layer_decay_gives_each_layer_less_than_the_one_above(
    recipe: Recipe, records: list[Record], codebook: Codebook, tmp_path: Path
) -> None:
    trainer = prepared(replace(recipe, frozen_layers=3), records, codebook, tmp_path)
    variants.layer_decay(trainer, recipe)
    optimizer = trainer.optimizer
    assert optimizer is not None
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    trained = dict(trainer.model.named_parameters())
    assert rates.keys() == {id(p) for p in trained.values()}
    first, second, third = (
        {rates[id(p)] for name, p in trained.items() if f".layer.{i}." in name} for i in range(3)
    )
    assert third == {2e-3}
    assert [*second] == [pytest.approx(1.6e-3)]
    assert [*first] == [pytest.approx(1.28e-3)]
    assert rates[id(trained["classifier.query.weight"])] == recipe.head_learning_rate


def test_first_token_pooling_reads_the_first_token_alone(
    recipe: Recipe, records: list[Record], codebook: Codebook, tmp_path: Path
) -> None:
    # No layer is left above the kept states, so a token's state depends on that token alone.
    trainer = prepared(replace(recipe, frozen_layers=6), records, codebook, tmp_path)
    variants.first_token(trainer, recipe)
    network = trainer.model
    states, mask = torch.randn(1, 4, 32), torch.tensor([[1, 1, 1, 0]])
    logits = network(attention_mask=mask, inputs_embeds=states).logits
    assert torch.allclose(logits, network.classifier(states[:, :1], mask[:, :1]), atol=1e-6)


@pytest.mark.parametrize("part", ["mean", "value"])
def test_a_part_of_the_head_that_is_left_out_never_counts(
    part: str, recipe: Recipe, records: list[Record], codebook: Codebook, tmp_path: Path
) -> None:
    trainer = prepared(replace(recipe, epochs=1), records, codebook, tmp_path)
    variants.without(part)(trainer, recipe)
    trainer.train()
    head = trainer.model.classifier
    assert not head.get_parameter(f"{part}.weight").any()
    other = {"mean": "value", "value": "mean"}[part]
    assert head.get_parameter(f"{other}.weight").any()


def test_class_weights_make_positives_weigh_as_much_as_negatives(
    recipe: Recipe, records: list[Record], codebook: Codebook, tmp_path: Path
) -> None:
    trainer = prepared(recipe, records, codebook, tmp_path)
    variants.class_weights(trainer, recipe)
    train = to_dataset_dict(records, codebook)["train"]
    labels = tensor(train["labels"][:])
    loss = trainer.compute_loss_func
    assert loss is not None
    logits = torch.zeros_like(labels, requires_grad=True)
    (gradient,) = torch.autograd.grad(loss(Outputs(logits), labels), logits)
    # A head that knows nothing is pulled as hard one way as the other, for each label.
    assert torch.allclose(gradient.sum(0), torch.zeros(labels.shape[1]), atol=1e-6)
    assert (gradient != 0).all()


class Outputs:
    def __init__(self, logits: torch.Tensor) -> None:
        self.logits = logits


def test_focal_loss_without_focus_is_cross_entropy() -> None:
    expected = binary_cross_entropy_with_logits(LOGITS, LABELS)
    assert torch.allclose(variants.focal(LOGITS, LABELS, gamma=0.0), expected)


def test_focal_loss_scales_by_the_missing_probability() -> None:
    # At a logit of log 3, p is 3/4: (1/4)^2 * -log(3/4).
    logit = tensor([[math.log(3.0)]])
    found = variants.focal(logit, tensor([[1.0]]), gamma=2.0)
    assert found.item() == pytest.approx(math.log(4 / 3) / 16)
    other = variants.focal(logit, tensor([[0.0]]), gamma=2.0)
    assert other.item() == pytest.approx(math.log(4) * 9 / 16)


def test_label_smoothing_is_least_at_the_smoothed_target() -> None:
    logits = torch.logit(tensor([[0.95, 0.05]])).requires_grad_()
    loss = variants.smoothed(logits, tensor([[1.0, 0.0]]))
    (gradient,) = torch.autograd.grad(loss, logits)
    assert torch.allclose(gradient, torch.zeros(1, 2), atol=1e-6)


def test_a_weight_of_three_counts_a_passage_three_times() -> None:
    weights = tensor([[3.0], [1.0], [1.0]])
    repeated = [0, 0, 0, 1, 2]
    found = variants.weighted(LOGITS, torch.cat([LABELS, weights], 1))
    expected = binary_cross_entropy_with_logits(LOGITS[repeated], LABELS[repeated])
    assert torch.allclose(found, expected)


def test_real_passages_get_the_weight(codebook: Codebook) -> None:
    real = passage(codebook, "a", split="train", source="UN", frames=[codebook.frames[0]])
    authored = passage(codebook, "b", split="train", source="authored")
    corpus = variants.real_weighted([real, authored], codebook)
    assert corpus["train"]["labels"][:] == [
        [*real.multi_hot(codebook), 3.0],
        [*authored.multi_hot(codebook), 1.0],
    ]


def test_contrastive_loss_by_hand() -> None:
    # Two alike in labels, at 60 degrees; a third, alike to nobody, at right angles to the first.
    embeddings = tensor([[2.0, 0.0], [0.5, math.sqrt(0.75)], [0.0, 5.0]])
    labels = tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
    t = variants.TEMPERATURE
    ab, ac, bc = 0.5 / t, 0.0, math.sqrt(0.75) / t
    first = math.log(math.exp(ab) + math.exp(ac)) - ab
    second = math.log(math.exp(ab) + math.exp(bc)) - ab
    found = variants.contrastive(embeddings, labels)
    assert found.item() == pytest.approx((first + second) / 2, rel=1e-5)


@pytest.mark.parametrize("rows", [1, 2])
def test_contrastive_loss_without_pairs_is_zero_and_has_a_gradient(rows: int) -> None:
    embeddings = torch.randn(rows, 4, requires_grad=True)
    loss = variants.contrastive(embeddings, torch.eye(2)[:rows])
    (gradient,) = torch.autograd.grad(loss, embeddings)
    assert loss.item() == 0
    assert not gradient.any()


def test_averaging_takes_the_mean_of_each_weight() -> None:
    found = average([{"w": tensor([1.0, 2.0])}, {"w": tensor([4.0, 4.0])}])
    assert torch.equal(found["w"], tensor([2.5, 3.0]))


def test_the_average_is_the_mean_of_runs_that_differ_in_their_order(
    recipe: Recipe, records: list[Record], codebook: Codebook, tmp_path: Path
) -> None:
    # Logits of a mean are no mean of logits, so the runs are made again and their weights averaged.
    short = replace(recipe, epochs=1, averaged=2)
    found, _, tokens = bench.trained(Variant(), short, records, codebook, tmp_path)
    weights = []
    for order in range(2):
        trainer = prepared(short, records, codebook, tmp_path / f"order{order}", order)
        trainer.train()
        weights.append(trainer.model.state_dict())
    values = [run["classifier.value.weight"] for run in weights]
    assert not torch.equal(*values)
    halves = {k: (weights[0][k] + weights[1][k]) / 2 for k in weights[0]}
    trainer.model.load_state_dict(halves)
    assert np.allclose(found, bench.validation_logits(trainer), atol=1e-4)
    ids = tokenize(to_dataset_dict(records, codebook)["train"], trainer.processing_class, 96)
    assert tokens == 2 * sum(map(len, ids["input_ids"][:]))


def test_windows_cover_a_document_by_twos_and_threes(codebook: Codebook) -> None:
    frame, other = codebook.frames[:2]
    marks: list[dict[str, object]] = [{}, {"frames": [other]}, {"attributed": True}, {}, {}, {}]
    marks[0] = {"frames": [frame]}
    document = [
        passage(codebook, f"p{i}", document="d", start=i * 20, end=i * 20 + 9, **mark)
        for i, mark in enumerate(marks)
    ]
    first, second = variants.windows(document, codebook)
    assert first.text == "Text of p0. Text of p1."
    assert first.frames == [frame, other]
    assert not first.voice("attributed")
    assert second.text == "Text of p2. Text of p3. Text of p4."
    assert second.frames == []
    assert second.voice("attributed")
    assert (second.start, second.end) == (40, 89)


def test_windows_are_added_to_training_alone(records: list[Record], codebook: Codebook) -> None:
    plain, widened = to_dataset_dict(records, codebook), variants.with_windows(records, codebook)
    assert widened["validation"].to_list() == plain["validation"].to_list()
    assert len(widened["train"]) > len(plain["train"])
    assert widened["train"].to_list()[: len(plain["train"])] == plain["train"].to_list()


def test_context_is_the_passage_before_in_the_document(codebook: Codebook) -> None:
    fields: dict[str, object] = {"document": "d", "split": "train"}
    second = passage(codebook, "second", start=20, end=29, **fields)
    first = passage(codebook, "first", start=0, end=9, **fields)
    alone = passage(codebook, "alone", split="train")
    texts = variants.with_context([second, alone, first], codebook)["train"]["text"][:]
    assert texts == ["Text of second. [SEP] Text of first.", "Text of alone.", "Text of first."]


def test_a_share_takes_whole_training_documents_and_nothing_held_out(codebook: Codebook) -> None:
    records = read_records(CORPUS, codebook)
    small, large = bench.selected(records, 0.2), bench.selected(records, 0.6)
    assert {r.id for r in small} < {r.id for r in large}
    assert {r.effective_split for r in large} == {"train", "validation"}
    validation = [r for r in records if r.effective_split == "validation"]
    assert [r for r in small if r.effective_split == "validation"] == validation
    everything = [r for r in records if r.effective_split != "test"]
    assert bench.selected(records, 1.0) == everything
    train = sorted((r for r in everything if r.effective_split == "train"), key=document)
    taken = {r.id for r in small}
    for _, passages in groupby(train, key=document):
        assert len({r.id in taken for r in passages}) == 1


def document(record: Record) -> str:
    return record.document_id


def test_the_table_begins_with_the_default_and_compares_with_it(
    recipe: Recipe, records: list[Record], codebook: Codebook
) -> None:
    authored = [r for r in records if r.kind != "real"]
    short = replace(recipe, epochs=1)
    lines = list(bench.table(["frozen-6", NEEDS_REAL], authored, codebook, 2, short))
    assert lines[0].endswith(" 0 real  ")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[6:]]
    assert [row[0] for row in rows] == ["default", "frozen-6"]
    assert [row[3] for row in rows] == ["-", "-"]
    assert rows[0][5] == "1.0"
    mean, low, high = map(float, re.findall(r"\d\.\d+", rows[0][1]))
    assert low <= mean <= high


def test_macro_average_precision_leaves_out_what_does_not_occur() -> None:
    truth = np.array([[True, False], [False, False]])
    assert bench.macro_average_precision(truth, np.array([[0.1, 0.3], [0.2, 0.4]])) == 0.5
    assert math.isnan(bench.macro_average_precision(truth[:, 1:], np.zeros((2, 1))))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["no-such"], "there is no variant 'no-such'"),
        (["--share", "0"], "--share is 0.0; give a number above 0 and at most 1"),
        (["--seeds", "0"], "--seeds is 0; give 1 or more"),
    ],
)
def test_a_wrong_argument_gets_a_sentence(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        bench.main(arguments)
    assert stopped.value.code == 2
    assert says in capsys.readouterr().err
