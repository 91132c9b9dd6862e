import json
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import Page, sync_playwright
from pydantic import TypeAdapter

from data.codebook import Codebook
from data.records import CorpusError, Record, read_records, record_model
from eval import metrics
from eval.annotator_agreement import agreement_beside_model
from eval.attribution import WORD, confident_mistakes, without, word_effects
from eval.document_measures import (
    evidence_counts,
    evidence_measures,
    judge_documents,
    marked_spans,
    split_documents,
)
from eval.documents import Document, read_documents, rebuild_documents
from eval.inputs import texts_and_truth
from eval.judgment import Scored
from eval.leakage import group_rates
from eval.lexicon import LexiconError, keywords, load_lexicon, phrase_pattern
from eval.measures import measure
from eval.report import Report
from eval.slices import MIN_PASSAGES, length_thirds, slice_results, source_family
from models.calibration import Scores
from models.classifier import Classifier
from tests.conftest import command
from tests.small_model import CORPUS, ROOT

CHROMIUM = shutil.which("chromium")
SEED = CORPUS[0]


@pytest.fixture(scope="module")
def records(codebook: Codebook) -> list[Record]:
    return read_records(CORPUS, codebook)


@pytest.fixture(scope="module")
def out(home: Path, codebook: Codebook, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on the seed corpus and on a file of documents."""
    folder = tmp_path_factory.mktemp("report")
    documents = folder / "more.jsonl"
    text = "They are tightening the ring around us.\nThe talks went on until late in the evening."
    row = {"id": "d", "text": text, "frames": [codebook.frames[0]], "source": "S", "date": None}
    documents.write_text(json.dumps(row) + "\n", encoding="utf-8")
    second = folder / "second.jsonl"
    lines = [
        record.model_copy(update={"id": f"{record.id}-2", "annotator": "reader", "frames": []})
        for record in read_records([SEED], codebook)[::2]
    ]
    second.write_text("\n".join(line.model_dump_json() for line in lines), encoding="utf-8")
    for name in {record.document for record in lines}:
        shutil.copy(SEED / name, folder)
    gates = folder / "gates.toml"
    gates.write_text("minimum_support = 1\nminimum_macro_f1 = 1.0\n[minimum_f1]\n")
    done = command(
        home, "eval", "report", "promoted", "--corpus", str(SEED), "--documents", str(documents),
        "--second", str(second), "--gates", str(gates), "--no-baselines", "--out", str(folder),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def report(out: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((out / "report.json").read_text(encoding="utf-8"))
    return loaded


def test_the_schema_is_the_documented_one(report: dict[str, Any]) -> None:
    layout = TypeAdapter(Report)
    docs = ROOT / "docs"
    written = json.loads((docs / "report.schema.json").read_text(encoding="utf-8"))
    assert written == layout.json_schema(), (
        "docs/report.schema.json is not the layout of eval/report.py; the last lines of "
        "docs/report.md say how to write it anew, and when its version changes"
    )
    assert json.loads(json.dumps(layout.validate_python(report).as_json())) == report
    page = (docs / "report.md").read_text(encoding="utf-8")
    assert f"Schema version {report['schema']}." in page
    assert re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE) == list(report)


def test_every_number_lies_in_its_interval_and_in_all_files(
    report: dict[str, Any], out: Path, codebook: Codebook
) -> None:
    model = report["passages"]["systems"][report["model"]]
    f1 = model["macro"]["f1"]
    assert f1["low"] <= f1["value"] <= f1["high"]
    markdown = (out / "report.md").read_text(encoding="utf-8")
    page = (out / "report.html").read_text(encoding="utf-8")
    for key in codebook.keys:
        measures = model["labels"][key]
        shown = f"{measures['f1']['value']:.3f}"
        row, *_ = re.findall(rf"^\| {key} \|.*$", markdown, re.MULTILINE)
        assert f"| {shown} |" in row
        assert f"<b>{shown}</b>" in page
    assert len(markdown) < 10_000


def test_the_report_says_where_its_numbers_come_from(
    report: dict[str, Any], bundle: Path, codebook: Codebook
) -> None:
    run = report["provenance"]
    assert re.fullmatch("[0-9a-f]{40}|unknown", run["git_commit"])
    assert run["command"].startswith("python -m eval report promoted --corpus")
    assert run["libraries"]["numpy"] == np.__version__
    assert run["cores"] >= 1
    assert run["cpu"]
    assert report["codebook_version"] == codebook.version
    hashes = [report["bundle_sha256"], *list(report["corpus"].values())[1:]]
    hashes += [result["sha256"] for result in report["documents"]]
    assert len(set(hashes)) == 5


def test_each_gate_and_each_measure_of_the_suite_is_a_case(
    out: Path, report: dict[str, Any]
) -> None:
    root = ElementTree.parse(out / "junit.xml").getroot()
    names = {str(case.get("name")) for case in root.iter("testcase")}
    assert [gate["name"] for gate in report["gates"]] == ["macro-F1"]
    assert not report["gates"][0]["passed"]
    failed = [
        case.get("name") for case in root.iter("testcase") if case.find("failure") is not None
    ]
    assert failed == ["macro-F1"]
    said = "**1 of 1 gates failed:**\n\n- macro-F1: 0."
    assert said in (out / "report.md").read_text(encoding="utf-8")
    assert {"actor swap: flip rate", "minimal pairs: both sides right"} <= names
    assert len(names) == int(root.get("tests", 0))
    rules = set(report["behavior"]["topic_without_frame"]["rules"])
    assert {f"topic without frame: {rule}" for rule in rules} <= names


# ---- measures


def test_without_resampling_the_measures_are_the_plain_metrics(
    records: list[Record], codebook: Codebook
) -> None:
    _, truth = texts_and_truth(records, codebook)
    scores = np.random.default_rng(0).random(truth.shape)
    found = measure(
        truth, scores, np.full(len(codebook.keys), 0.6), [r.document_id for r in records],
        codebook.keys, codebook.frames,
    )  # fmt: skip
    frames = [codebook.keys.index(frame) for frame in codebook.frames]
    assert found.macro.f1.value == pytest.approx(
        metrics.macro_f1(truth[:, frames], scores[:, frames] >= 0.6)
    )
    assert found.micro.average_precision.value == pytest.approx(
        metrics.average_precision(truth[:, frames].ravel(), scores[:, frames].ravel())
    )
    for i, key in enumerate(codebook.keys):
        assert found.labels[key].support == truth[:, i].sum()
        auc = found.labels[key].roc_auc
        assert auc.value == metrics.roc_auc(truth[:, i], scores[:, i])
        assert auc.low < auc.value < auc.high


# ---- annotators


def test_the_model_stands_beside_its_annotators(
    report: dict[str, Any], records: list[Record], codebook: Codebook
) -> None:
    agreement = report["agreement"]
    seed = read_records([SEED], codebook)
    assert "reader" in agreement["annotators"]
    assert agreement["passages"] == len(seed[::2])
    assert agreement["disputed"] == sum(bool(record.frames) for record in seed[::2])
    for frame in codebook.frames:  # the second annotator found no frame anywhere
        assert agreement["labels"][frame]["annotators_f1"]["value"] == 0
    for voice in codebook.voices:  # and the same voices
        there = any(record.voice(voice) for record in seed[::2])
        assert agreement["labels"][voice]["annotators_f1"]["value"] == there


def test_a_model_that_agrees_with_one_of_two_annotators(
    records: list[Record], codebook: Codebook
) -> None:
    records = [record for record in records if record.annotator == records[-1].annotator]
    _, truth = texts_and_truth(records, codebook)
    update = {"annotator": "other", "frames": [], **dict.fromkeys(codebook.voices, False)}
    others = [record.model_copy(update=update) for record in records]
    found = agreement_beside_model(records, others, truth, codebook)
    assert found is not None
    assert found.passages == len(records)
    for i, key in enumerate(codebook.keys):
        of_label, right = found.labels[key], truth[:, i].sum()
        assert of_label.annotators_f1.value == 0
        # Every passage twice: the model is right by one annotator, and by the other never.
        assert of_label.model_f1.value == pytest.approx(2 * right / (2 * right + right))
    assert agreement_beside_model(records, [], truth, codebook) is None
    # What an annotator said alone counts, and not what was settled with the other since.
    alone = [record.model_copy(update={"id": f"{record.id}-1"}) for record in records]
    settled = [record.model_copy(update={"frames": []}) for record in records]
    assert agreement_beside_model(settled, [*alone, *others], truth, codebook) == found


# ---- slices


def test_every_passage_is_in_one_slice_of_each_dimension(
    records: list[Record], codebook: Codebook
) -> None:
    _, truth = texts_and_truth(records, codebook)
    predicted = np.random.default_rng(0).random(truth.shape) > 0.7
    supports: Counter[str] = Counter()
    slices = slice_results(records, truth, predicted, codebook)
    for part in slices:
        supports[part.dimension] += part.support
        assert part.small == (part.support < MIN_PASSAGES)
        assert (part.macro_f1 is None) == (part.frames == 0)
    assert set(supports.values()) == {len(records)}
    assert len(supports) == 6 + len(codebook.voices)
    ranked = [p for p in slices if p.dimension == "genre" and not p.small and p.macro_f1]
    values = [p.macro_f1.value for p in ranked if p.macro_f1]
    assert values == sorted(values)


@given(st.lists(st.integers(1, 60)))
def test_length_thirds_follow_the_length(words: list[int]) -> None:
    thirds = length_thirds(words)
    assert len(thirds) == len(words)
    order = list(dict.fromkeys(third for _, third in sorted(zip(words, thirds, strict=True))))
    assert len(order) == len(set(thirds)) <= 3


def test_the_family_of_a_source_stands_before_the_colon(codebook: Codebook) -> None:
    record = record_model(codebook)
    plain: dict[str, Any] = {"id": "1", "text": "t", "frames": []}
    plain |= dict.fromkeys(codebook.voices, False)
    assert source_family(record(**plain, source="UNGA:VNM")) == "UNGA"
    assert source_family(record(**plain)) == "unknown"


# ---- attribution


def keyword_score(texts: Sequence[str]) -> Scores:
    """A scorer of two labels that each hang on a word."""
    words = [text.lower().split() for text in texts]
    return np.array([[0.9 if w in of else 0.1 for w in ("ring", "never")] for of in words])


def test_the_word_that_decides_has_the_largest_effect() -> None:
    text = "They draw the ring tighter and never rest"
    for label, word in enumerate(("ring", "never")):
        ((first, *others),) = word_effects(keyword_score, [(text, label)])
        assert first.word == word == text[first.start : first.end]
        assert first.effect == pytest.approx(0.8)
        assert {effect.effect for effect in others} == {0.0}
    assert word_effects(keyword_score, [("…", 0)]) == [()]
    assert word_effects(keyword_score, []) == []


@given(st.text(alphabet="ab ,.'é", max_size=30))
def test_leaving_a_word_out_leaves_the_others(text: str) -> None:
    words = [match[0] for match in WORD.finditer(text)]
    for i, match in enumerate(WORD.finditer(text)):
        left = WORD.findall(without(text, *match.span()))
        assert "".join(left) == "".join(words[:i] + words[i + 1 :])


def test_the_most_confident_errors_come_first(records: list[Record], codebook: Codebook) -> None:
    few = records[:60]
    texts, truth = texts_and_truth(few, codebook)

    def score(texts: Sequence[str]) -> Scores:
        labels = range(len(codebook.keys))
        return np.array([[(len(text) * 7919 + i) % 101 / 100 for i in labels] for text in texts])

    scores, thresholds = score(texts), np.full(len(codebook.keys), 0.5)
    found = confident_mistakes(score, few, truth, scores, thresholds, codebook)
    assert list(found) == list(codebook.frames)
    for frame, of_frame in found.items():
        positives = [mistake.score for mistake in of_frame.false_positives]
        assert positives == sorted(positives, reverse=True)
        assert all(frame not in mistake.true_frames for mistake in of_frame.false_positives)
        assert all(frame in mistake.true_frames for mistake in of_frame.false_negatives)
        assert all(mistake.score < 0.5 for mistake in of_frame.false_negatives)


# ---- documents


def test_documents_are_rebuilt_from_their_passages(
    records: list[Record], codebook: Codebook
) -> None:
    documents = rebuild_documents(records, CORPUS, codebook)
    with_offsets = [record for record in records if record.start is not None]
    assert {d.id for d in documents} == {record.document for record in with_offsets}
    for document in documents:
        passages = [record for record in with_offsets if record.document == document.id]
        assert set(document.frames) == {frame for record in passages for frame in record.frames}
        assert all(document.text[r.start : r.end] == r.text for r in passages)
        assert document.evidence is not None
        assert sum(map(len, document.evidence.values())) == sum(len(r.frames) for r in passages)


def test_documents_are_judged_as_they_are_served(
    classifier: Classifier, records: list[Record], codebook: Codebook
) -> None:
    documents = rebuild_documents(records, CORPUS, codebook)
    split = split_documents("seed", documents, codebook.language)
    scores = classifier.score_passages(split.passages)
    model = Scored(scores, classifier.thresholds)
    result = judge_documents(split, {"model": model}, scores, codebook)
    predictions = classifier.predict([document.text for document in documents])
    found = np.array([p.document_scores >= classifier.thresholds for p in predictions])
    for i, frame in enumerate(codebook.frames):
        truth = np.array([frame in document.frames for document in documents])
        expected = metrics.f1(metrics.counts(truth, found[:, i]))
        assert result.judgment.model.labels[frame].f1.value == expected
    spans = marked_spans(split, model, codebook)
    for prediction, marked in zip(predictions, spans, strict=True):
        present = prediction.passage_scores >= classifier.thresholds
        assert [len(marked[f]) for f in codebook.frames] == list(
            present.sum(axis=0)[: len(codebook.frames)]
        )


def test_evidence_counts_only_annotated_documents(codebook: Codebook) -> None:
    frame = codebook.frames[0]
    none: dict[str, tuple[int | tuple[int, int], ...]] = dict.fromkeys(codebook.frames, ())
    documents = [
        Document("a", "x" * 90, (frame,), none | {frame: ((0, 20), 50)}),
        Document("b", "x" * 90, (frame,), None),
    ]
    empty: dict[str, list[tuple[int, int]]] = {f: [] for f in codebook.frames}
    marked = [empty | {frame: [(10, 30), (60, 80)]}, empty]
    counts = evidence_counts(documents, marked, codebook)
    assert counts.shape == (1, len(codebook.frames), 4)
    result = evidence_measures(counts[:, 0])
    assert (result.precision.value, result.recall.value, result.f1.value) == (0.5, 0.5, 0.5)
    assert (result.marked, result.annotated) == (2, 2)


def test_all_problems_of_a_documents_file_are_told(tmp_path: Path, codebook: Codebook) -> None:
    first, second = codebook.frames[:2]
    good = {"id": "a", "text": "Some text.", "frames": [first], "source": "s", "date": "2001"}
    rows: list[dict[str, Any]] = [
        good | {"evidence_starts": {first: [3]}},
        good | {"id": "b", "frames": ["nonsense"]},
        good | {"id": "c", "evidence_starts": {second: [0]}},
        good | {"id": "d", "evidence_starts": {first: [10]}},
        good,
    ]
    file = tmp_path / "documents.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)) + "\n{\n", encoding="utf-8")
    with pytest.raises(CorpusError) as caught:
        read_documents(file, codebook)
    told = [(p.line, p.field) for p in caught.value.problems]
    assert told == [
        (2, "frames.0"), (3, "evidence_starts"), (4, "evidence_starts"), (5, "id"), (6, "document"),
    ]  # fmt: skip
    file.write_text(json.dumps(rows[0]) + "\n" + json.dumps(good | {"id": "e"}), encoding="utf-8")
    marked, unmarked = read_documents(file, codebook)
    assert marked.evidence is not None
    assert marked.evidence[first] == (3,)
    assert unmarked.evidence is None


# ---- baselines and probes


def test_phrases_match_whole_words_and_their_endings() -> None:
    pattern = phrase_pattern(["encircl*", "ring of", "no"])
    found = pattern.findall("Encirclement; a RING  of steel; string of nothing; no.")
    assert found == ["Encirclement", "RING  of", "no"]


def test_the_lexicon_knows_the_codebooks_frames(codebook: Codebook, tmp_path: Path) -> None:
    frame = codebook.frames[0]
    phrase = load_lexicon(codebook)[frame][0].replace("*", "ed")
    scores = keywords(codebook)([], np.zeros((0, 0), np.bool_), [phrase, "Good morning."])
    assert scores[0, codebook.keys.index(frame)] >= 0.5
    assert not scores[1].any()
    (tmp_path / "other.yaml").write_text("surprise: [boo]\n", encoding="utf-8")
    with pytest.raises(LexiconError, match="phrases for surprise"):
        load_lexicon(codebook, tmp_path / "other.yaml")


def test_group_rates_are_the_groups_means() -> None:
    labels = np.array([[1.0, 0.0], [0.0, 0.0], [1.0, 1.0]])
    rates = group_rates(labels, ["a", "a", "b"], ["b", "a", "unseen"])
    assert rates == pytest.approx(np.array([[1, 1], [0.5, 0], [2 / 3, 1 / 3]]))
    assert group_rates(np.zeros((0, 2)), [], ["a"]).tolist() == [[0, 0]]


# ---- the page


@dataclass
class Opened:
    page: Page
    requested: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def opened(out: Path) -> Iterator[Opened]:
    if CHROMIUM is None:
        pytest.skip("there is no `chromium` on the PATH")
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=CHROMIUM) as browser,
    ):
        opened = Opened(browser.new_page(color_scheme="dark"))
        opened.page.on("request", lambda request: opened.requested.append(request.url))
        opened.page.on("pageerror", lambda error: opened.errors.append(str(error)))
        opened.page.on("console", lambda message: opened.errors.append(message.text))
        opened.page.goto((out / "report.html").as_uri(), timeout=0)  # pytest has one
        yield opened


def test_the_page_needs_no_network(opened: Opened, out: Path) -> None:
    assert opened.errors == []
    assert [url for url in opened.requested if not url.startswith("data:")] == [
        (out / "report.html").as_uri()
    ]
    page = (out / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"(src|href|url|xmlns)\W+https?:", page)


def test_the_page_has_its_plots_and_tables(
    opened: Opened, report: dict[str, Any], codebook: Codebook
) -> None:
    page = opened.page
    for name in ("systems", "curves", "thresholds", "reliability", "swap"):
        box = page.locator(f"#plot-{name} svg").bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) > 80, name
    for name in ("curves", "reliability"):
        text = page.locator(f"#plot-{name}").text_content() or ""
        assert all(label.name in text for label in codebook.labels)
    for table in ("labels-table", "calibration-table"):
        assert page.locator(f"#{table} tbody tr").count() == len(codebook.labels)
    genres = [part for part in report["slices"] if part["dimension"] == "genre"]
    rows = page.locator("tbody[data-dimension=genre] td.support").all_inner_texts()
    assert rows == [str(part["support"]) for part in genres]
    assert page.locator("#agreement-table tbody tr").count() == len(codebook.labels)
    assert page.locator("#gates-table tr.failed th").all_inner_texts() == ["macro-F1"]
    for number in range(1, len(report["documents"]) + 1):
        assert page.locator(f"#documents-table-{number} tbody tr").count() == len(codebook.frames)
    anchors = page.evaluate("[...document.querySelectorAll('nav a')].map(a => a.hash)")
    assert all(page.locator(f"{anchor}").count() == 1 for anchor in anchors)
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(node => node.id)")
    assert len(ids) == len(set(ids))


def test_the_page_follows_the_readers_colors(opened: Opened) -> None:
    def shade(selector: str, property: str) -> int:
        color = opened.page.evaluate(
            "([s, p]) => getComputedStyle(document.querySelector(s))[p]", [selector, property]
        )
        return sum(map(int, re.findall(r"\d+", color)[:3]))

    for scheme, light in (("dark", False), ("light", True)):
        opened.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        assert (shade("body", "backgroundColor") > 380) == light
        assert (shade("#plot-curves svg text", "fill") < 380) == light


def test_only_tables_scroll_sideways_on_a_narrow_screen(opened: Opened) -> None:
    opened.page.set_viewport_size({"width": 390, "height": 844})
    wide = opened.page.evaluate("document.documentElement.scrollWidth")
    opened.page.set_viewport_size({"width": 1280, "height": 720})
    assert wide <= 390


def test_a_passage_is_shown_as_text(opened: Opened, report: dict[str, Any]) -> None:
    for frame, found in report["mistakes"].items():
        block = opened.page.locator(f"details[data-label={frame}]")
        for mistake in (*found["false_positives"], *found["false_negatives"]):
            text = " ".join((block.text_content() or "").split())
            assert " ".join(mistake["text"].split()) in text
