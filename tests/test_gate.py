import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForSequenceClassification

from data.codebook import Codebook
from data.records import Record, read_records
from eval.__main__ import main
from eval.behavior import run_suite
from eval.gate import check_bundle, judge_regression
from eval.gates import DEFAULT_PATH, Gates, load_gates
from eval.inputs import InputError, texts_and_truth
from eval.judgment import Scored
from eval.junit import Case, junit_xml
from eval.metrics import expected_calibration_error
from eval.previous import Previous, score_previous
from eval.suite_items import load_suite
from models.bundle import FRAMING, Framing, read_framing, write_manifest
from models.classifier import Classifier
from models.export import export_graph
from tests.conftest import command, environment
from tests.small_model import CORPUS, ROOT

Damage = Callable[[Path], None]


def rewrite(folder: Path, framing: Framing) -> None:
    (folder / FRAMING).write_text(framing.model_dump_json(), encoding="utf-8")
    write_manifest(folder)


def set_thresholds(folder: Path, thresholds: Sequence[float]) -> None:
    framing = read_framing(folder)
    calibration = tuple(
        c.model_copy(update={"threshold": float(t)})
        for c, t in zip(framing.calibration, thresholds, strict=True)
    )
    rewrite(folder, framing.model_copy(update={"calibration": calibration}))


def shuffle_head(folder: Path) -> None:
    """Each frame gets the next one's row of the head; the voices keep theirs."""
    network = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
    rows = [1, 2, 3, 0, 4, 5]
    with torch.no_grad():
        for weights in network.classifier.parameters():
            weights.copy_(weights[rows].clone())
    network.save_pretrained(folder)
    export_graph(folder)
    write_manifest(folder)


def lower_thresholds(folder: Path) -> None:
    set_thresholds(folder, [0.01] * len(read_framing(folder).calibration))


def swap_labels(folder: Path) -> None:
    """The first frame's scores go by the name of the second, and the other way round."""
    framing = read_framing(folder)
    first, second, *others = framing.codebook.labels
    labels = (second, first, *others)
    codebook = Codebook(**framing.codebook.model_dump(exclude={"labels"}), labels=labels)
    swapped = {"codebook": codebook, "codebook_fingerprint": codebook.fingerprint}
    rewrite(folder, framing.model_copy(update=swapped))


@pytest.fixture(scope="module")
def good(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small bundle, finding each label in three of ten passages of the corpus."""
    folder = tmp_path_factory.mktemp("good") / "bundle"
    shutil.copytree(bundle, folder, ignore=shutil.ignore_patterns("model.yaml"))
    classifier = Classifier.load(folder)
    texts = [r.text for r in read_records([CORPUS[1]], classifier.framing.codebook)]
    set_thresholds(folder, np.quantile(classifier.score_passages(texts), 0.7, axis=0).tolist())
    return folder


@pytest.fixture(scope="module")
def corpus(good: Path, codebook: Codebook, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Passages with the labels that the good bundle gives them: what it must keep to finding.

    The small model is too weak for the labels of people: damage would hardly show on them.
    """
    classifier = Classifier.load(good)
    records = read_records([CORPUS[1]], codebook)
    found = classifier.score_passages([r.text for r in records]) >= classifier.thresholds
    file = tmp_path_factory.mktemp("corpus") / "corpus.jsonl"
    with file.open("w", encoding="utf-8") as lines:
        for record, row in zip(records, found, strict=True):
            labels = dict(zip(codebook.keys, map(bool, row), strict=True))
            frames = [frame for frame in codebook.frames if labels[frame]]
            voices = {voice: labels[voice] for voice in codebook.voices}
            fields = record.model_dump() | {"frames": frames, "start": None, "end": None} | voices
            lines.write(json.dumps(fields) + "\n")
    return file


@pytest.fixture(scope="module")
def records(corpus: Path, codebook: Codebook) -> list[Record]:
    return read_records([corpus], codebook)


@pytest.fixture(scope="module")
def bounds(
    good: Path, records: list[Record], codebook: Codebook, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A gates file that the good bundle just keeps to."""
    classifier = Classifier.load(good)
    scores = classifier.score_passages([r.text for r in records])
    truth = np.array([r.multi_hot(codebook) for r in records]) > 0.5
    errors = [expected_calibration_error(truth[:, i], scores[:, i]) for i in range(4)]
    suite = load_suite(codebook)
    behavior = run_suite(classifier.score_passages, classifier.thresholds, codebook, suite)
    file = tmp_path_factory.mktemp("bounds") / "gates.toml"
    file.write_text(
        f"""minimum_support = 100
minimum_macro_f1 = 0.95
maximum_calibration_error = {max(errors) + 0.001}
maximum_flip_rate = {behavior.actor_swap.overall.flip_rate.value}
maximum_topic_false_positives = {behavior.topic_without_frame.overall.value}
minimum_pairs_right = {behavior.minimal_pairs.overall.value}
[minimum_f1]
"""
        + "\n".join(f"{key} = 0.95" for key in codebook.keys),
        encoding="utf-8",
    )
    return file


@pytest.fixture
def empty_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "home"))


@pytest.mark.usefixtures("empty_registry")
@pytest.mark.parametrize(
    ("damage", "fails", "holds"),
    [
        (
            shuffle_head,
            {"macro-F1", "F1 of encirclement", "F1 of hegemony", "F1 of bloc_expansion"},
            {"F1 of attributed", "F1 of rebutted"},
        ),
        (
            lower_thresholds,
            {"macro-F1", "F1 of denial", "F1 of attributed", "topic false-positive rate"},
            {"calibration error of denial", "actor-swap flip rate"},
        ),
        (
            swap_labels,
            {"F1 of encirclement", "F1 of hegemony"},
            {"F1 of bloc_expansion", "F1 of denial", "F1 of attributed", "F1 of rebutted"},
        ),
    ],
)
def test_a_damaged_bundle_fails_on_the_right_gates(
    good: Path,
    corpus: Path,
    bounds: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    damage: Damage,
    fails: set[str],
    holds: set[str],
) -> None:
    folder, junit = tmp_path / "damaged", tmp_path / "new" / "junit.xml"
    shutil.copytree(good, folder)
    damage(folder)
    line = ["gate", str(folder), "--gates", str(bounds), "--corpus", str(corpus)]
    assert main([*line, "--junit", str(junit)]) == 1
    *gates, compared, total = capsys.readouterr().out.splitlines()
    said = {line[8:].split(": ")[0]: line for line in gates}
    failed = {name for name, line in said.items() if line.startswith("FAILED  ")}
    assert failed >= fails
    assert said.keys() - failed >= holds
    assert all("wanted; look at " in said[name] for name in failed)
    assert compared == "not compared: no other model is promoted"
    assert total.endswith(f"{len(failed)} of {len(gates)} gates failed")
    suite = ElementTree.parse(junit).getroot()
    assert suite.get("failures") == str(len(failed))
    cases = {case.get("name"): case.find("failure") is not None for case in suite}
    assert cases == {name: name in failed for name in said}


def test_the_undamaged_bundle_passes_and_is_compared_with_the_promoted_one(
    good: Path, home: Path, corpus: Path, bounds: Path
) -> None:
    line = ("gate", str(good), "--gates", str(bounds), "--corpus", str(corpus))
    done = command(home, "eval", *line)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "macro-F1 against the promoted model: 1.000 after 0." in done.stdout
    assert done.stdout.strip().endswith("none of 19 gates failed")


def test_a_model_worse_than_the_promoted_one_fails(
    good: Path, records: list[Record], codebook: Codebook, tmp_path: Path
) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(good, folder)
    lower_thresholds(folder)
    texts, truth = texts_and_truth(records, codebook)
    documents = [record.document_id for record in records]

    def scored(bundle: Path) -> Scored:
        classifier = Classifier.load(bundle)
        return Scored(classifier.score_passages(texts), classifier.thresholds)

    def judged(new: Path, old: Previous | None, *, allowed: bool = False) -> list[Case]:
        gates = Gates(minimum_support=1, regression_allowed=allowed)
        return [*judge_regression(gates, codebook, truth, documents, scored(new), old)]

    before = score_previous(good, texts, codebook)
    cases = judged(folder, before)
    names = ["macro-F1", *(f"F1 of {frame}" for frame in codebook.frames)]
    assert [case.name for case in cases] == [f"{name} against the promoted model" for name in names]
    assert not cases[0].passed
    assert "`python -m eval compare promoted MODEL`" in cases[0].message
    assert all(case.passed for case in judged(good, score_previous(folder, texts, codebook)))
    assert not judged(good, None)
    assert not judged(folder, before, allowed=True)
    swap_labels(folder)
    (other,) = judged(good, score_previous(folder, texts, codebook))
    assert (other.passed, "has other labels" in other.message) == (False, True)


def test_a_bundle_is_compared_with_the_one_promoted_before_it(
    good: Path, bundle: Path, tmp_path: Path
) -> None:
    program = """
import sys
from pathlib import Path
from eval.inputs import promoted_bundle
from models import registry
folders = [Path(name) for name in sys.argv[1:]]
old, new = map(registry.add, folders)
def compared(folder):
    found = promoted_bundle(other_than=folder)
    return ["old", "new"][[old, new].index(found.name)] if found else "none"
print(*map(compared, folders))
for version in (old, new):
    registry.promote(version)
    print(*map(compared, folders))
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(bundle), str(good)],
        cwd=ROOT, env=environment(tmp_path), capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["none none", "none old", "new old"]


@pytest.mark.usefixtures("empty_registry")
def test_a_floor_on_too_few_passages_fails_and_says_so(
    good: Path, records: list[Record], codebook: Codebook
) -> None:
    frame = codebook.frames[0]
    few = [record for record in records if frame in record.frames][:7]
    gates = Gates.model_validate(
        {"minimum_support": 8, "minimum_f1": {frame: 0.0}}, context=codebook
    )
    (case,), previous = check_bundle(good, few, gates, codebook)
    assert previous is None
    assert not case.passed
    assert case.message.startswith(f"cannot be judged: 7 passages carry {frame}, at least 8 wanted")


@pytest.mark.usefixtures("empty_registry")
@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, ": no gates file can be read here (No such file or directory).\n"),
        ("", ": minimum_support: Field required.\n"),
        ("minimum_support = ", ": not TOML: "),
        (
            "minimum_support = 1\nminimum_f2 = 0.5",
            ": minimum_f2: Extra inputs",
        ),
        (
            "minimum_support = 1\n[minimum_f1]\nhegemon = 0.5",
            ": minimum_f1: hegemon: not in the co",
        ),
        (
            "minimum_support = 1\nmaximum_flip_rate = 35",
            ": maximum_flip_rate: Input should be less",
        ),
        ("minimum_support = 1\nminimum_macro_f1 = nan", ": minimum_macro_f1: Input should be"),
    ],
)
def test_gates_that_cannot_be_used_are_told_in_a_sentence(
    good: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    content: str | None,
    sentence: str,
) -> None:
    file = tmp_path / "gates.toml"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    assert main(["gate", str(good), "--gates", str(file)]) == 2
    printed = capsys.readouterr()
    assert not printed.out
    assert printed.err.startswith(f"{file}{sentence}")


def test_the_projects_own_gates_are_for_every_frame(codebook: Codebook) -> None:
    gates = load_gates(DEFAULT_PATH, codebook)
    assert gates.minimum_f1.keys() == set(codebook.frames)
    assert all(value is not None for value in dict(gates).values())
    assert gates.need_suite
    assert not gates.regression_allowed
    other = codebook.model_copy(update={"labels": codebook.labels[1:]})
    with pytest.raises(InputError, match="not in the codebook"):
        load_gates(DEFAULT_PATH, other)


def test_two_models_are_compared(
    bundle: Path, good: Path, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", str(bundle), str(good), "--corpus", str(corpus)]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"# bundle (new) against {bundle.name} (old) on {corpus.name}\n")
    assert "**Macro-F1: better**" in printed


def test_what_cannot_be_compared_is_told_in_a_sentence(
    good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, empty = tmp_path / "swapped", tmp_path / "empty.jsonl"
    shutil.copytree(good, folder)
    swap_labels(folder)
    empty.touch()
    assert main(["compare", str(folder), str(good)]) == 2
    assert "only models with the same labels can be compared" in capsys.readouterr().err
    assert main(["compare", str(good), str(good), "--corpus", str(empty)]) == 2
    assert capsys.readouterr().err == f"{empty.name}: there is no passage to score.\n"


texts = st.text(st.characters(codec="utf-8"))


@given(texts, st.lists(st.builds(Case, texts, st.booleans(), texts)))
def test_junit_holds_every_case_and_is_always_xml(suite_name: str, cases: list[Case]) -> None:
    suite = ElementTree.fromstring(junit_xml(suite_name, cases).encode())
    assert suite.get("tests") == str(len(cases))
    assert [case.find("failure") is None for case in suite] == [case.passed for case in cases]


def test_junit_keeps_the_words() -> None:
    case = Case('a <b> & "c"', False, "é 1 < 2\x00")
    (found,) = ElementTree.fromstring(junit_xml("gates", [case]).encode())
    assert found.get("name") == case.name
    assert found[0].text == "é 1 < 2\ufffd"
