"""The service as a client sees it: a real process, real HTTP."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from data.codebook import Codebook
from models.classifier import Classifier
from tests.conftest import environment, served
from tests.small_model import CORPUS, ROOT

SEED = {path.name: path.read_text(encoding="utf-8") for path in sorted(CORPUS[0].glob("*.txt"))}


def classify(server: httpx.Client, *texts: str, **more: Any) -> dict[str, Any]:
    documents = [{"id": f"d{i}", "text": text} for i, text in enumerate(texts)]
    response = server.post("/v1/classify", json={"documents": documents} | more)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def test_the_answer_has_the_shape_and_the_scores_of_the_contract(
    server: httpx.Client, classifier: Classifier, codebook: Codebook
) -> None:
    answer = classify(server, *SEED.values())
    assert answer["model"]["name"] == "framescope"
    assert answer["model"]["codebook"] == codebook.version
    predictions = classifier.predict(list(SEED.values()))
    for i, (document, prediction) in enumerate(zip(answer["documents"], predictions, strict=True)):
        assert list(document) == ["id", "frames", "labels", "passages", "warnings"]
        assert document["id"] == f"d{i}"
        assert list(document["frames"]) == list(codebook.frames)
        for frame, result in document["frames"].items():
            column = codebook.keys.index(frame)
            assert result["score"] == pytest.approx(prediction.document_scores[column], abs=0.005)
            assert (frame in document["labels"]) == result["present"]
            assert result["present"] == (
                prediction.document_scores[column] >= classifier.thresholds[column]
            )
        spans = [(p["start"], p["end"]) for p in document["passages"]]
        assert spans == [tuple(span) for span in prediction.passages]
        for passage in document["passages"]:
            assert list(passage["frames"]) == list(codebook.frames)
            assert list(passage["voice"]) == list(codebook.voices)
            assert set(passage["labels"]) <= set(document["labels"])


def test_offsets_are_code_points_of_the_text_as_sent(server: httpx.Client) -> None:
    first = "😀 Заявление министерства иностранных дел было опубликовано утром."
    second = "Это второе предложение документа, и оно тоже достаточно длинное."
    text = f"{first}\r\n\r\n{second}"
    (document,) = classify(server, text)["documents"]
    passages = [text[p["start"] : p["end"]] for p in document["passages"]]
    assert passages == [first, second]


def test_passages_are_left_out_on_request(server: httpx.Client) -> None:
    (with_them,) = classify(server, SEED["002_fb3488250e664188.txt"])["documents"]
    (without,) = classify(server, SEED["002_fb3488250e664188.txt"], passages=False)["documents"]
    assert with_them["passages"]
    assert without == with_them | {"passages": []}


def test_another_language_is_scored_with_a_warning(server: httpx.Client) -> None:
    russian = "Министерство иностранных дел заявило, что обвинения не имеют под собой оснований."
    documents = classify(server, russian, SEED["003_d796ef47ad9d03bc.txt"])["documents"]
    (warning,) = documents[0]["warnings"]
    assert warning["code"] == "language"
    assert "'ru'" in warning["message"]
    assert documents[0]["frames"]["denial"]["score"] > 0
    assert documents[1]["warnings"] == []


def test_the_limits_themselves_are_allowed(server: httpx.Client) -> None:
    assert len(classify(server, *["Short text."] * 64, passages=False)["documents"]) == 64
    longest = ("A sentence of the usual length stands here again. " * 4_000)[:200_000]
    (document,) = classify(server, longest)["documents"]
    assert document["passages"][-1]["end"] == len(longest.rstrip())


REFUSED: dict[str, tuple[bytes | str, int, str, str]] = {
    "too many documents": (
        json.dumps({"documents": [{"id": "a", "text": "b"}] * 65}),
        *(413, "too_many_documents", "65 documents; send at most 64"),
    ),
    "a long document": (
        json.dumps({"documents": [{"id": "a", "text": "b" * 200_001}]}),
        *(
            413,
            "document_too_long",
            "documents.0.text has 200,001 characters; send at most 200,000",
        ),
    ),
    "a large body": (b" " * (4 * 1024 * 1024 + 1), 413, "body_too_large", "4,194,305 bytes"),
    "no documents": ('{"documents": []}', 422, "invalid_field", "documents"),
    "empty text": ('{"documents": [{"id": "a", "text": ""}]}', 422, "empty_text", "is empty"),
    "white space": (
        '{"documents": [{"id": "a", "text": " \\n\\u00a0"}]}',
        *(422, "empty_text", "documents.0.text is 3 characters of white space"),
    ),
    "a number for text": (
        '{"documents": [{"id": "a", "text": 7}]}',
        *(422, "invalid_field", "documents.0.text: input should be a valid string (got a number)"),
    ),
    "text for a flag": (
        '{"documents": [{"id": "a", "text": "b"}], "passages": "yes"}',
        *(422, "invalid_field", "passages: input should be a valid boolean"),
    ),
    "a missing field": (
        '{"documents": [{"text": "b"}]}',
        *(422, "missing_field", "documents.0.id is missing"),
    ),
    "an unknown field": (
        '{"documents": [{"id": "a", "txt": "b", "text": "c"}]}',
        *(422, "unknown_field", "documents.0.txt is not a field; here there are id, text."),
    ),
    "a list for a body": ("[]", 422, "invalid_field", "The body"),
    "invalid JSON": ('{"documents": [', 400, "invalid_json", "is not JSON"),
    "an empty body": ("", 400, "invalid_json", "is not JSON"),
    "deep nesting": ("[" * 100_000, 400, "invalid_json", "is not JSON"),
    "invalid UTF-8": (
        b'{"documents": [{"id": "a", "text": "\xff"}]}',
        *(400, "invalid_utf8", "not valid UTF-8 at byte 36"),
    ),
    "a lone surrogate": (
        '{"documents": [{"id": "a", "text": "\\ud83d"}]}',
        *(400, "invalid_unicode", "surrogate"),
    ),
    "a NUL": (
        '{"documents": [{"id": "a", "text": "b\\u0000c"}]}',
        *(422, "nul_character", "documents.0.text holds a NUL character at position 1"),
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_refused_in_one_sentence(server: httpx.Client, name: str) -> None:
    body, status, code, words = REFUSED[name]
    response = server.post("/v1/classify", content=body)
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert error["code"] == code
    assert words in error["message"]
    assert list(error) == ["code", "message", "field"]


def test_a_large_body_without_a_declared_length_is_cut_off(server: httpx.Client) -> None:
    chunks = (b" " * 65_536 for _ in range(80))
    response = server.post("/v1/classify", content=chunks)
    assert response.status_code == 413
    assert response.json()["error"]["code"] == "body_too_large"


def test_the_model_and_the_codebook_describe_themselves(
    server: httpx.Client, classifier: Classifier, codebook: Codebook
) -> None:
    card = server.get("/v1/model").json()
    assert card["thresholds"] == dict(
        zip(codebook.keys, classifier.thresholds.tolist(), strict=True)
    )
    assert card["provenance"]["corpus_sha256"] == classifier.framing.provenance.corpus_sha256
    assert 0 <= card["metrics"]["test"]["macro_f1"] <= 1
    assert Codebook.model_validate(server.get("/v1/codebook").json()) == codebook


def test_probes_metrics_description_and_page(server: httpx.Client) -> None:
    classify(server, "Text.")
    assert server.get("/livez").status_code == 200
    assert server.get("/readyz").status_code == 200
    assert 'endpoint="/v1/classify"' in server.get("/metrics").text
    description = server.get("/docs.json").json()
    limits = description["components"]["schemas"]["ClassifyRequest"]["properties"]["documents"]
    assert limits["maxItems"] == 64
    assert "post" in description["paths"]["/v1/classify"]
    page = server.get("/").text
    assert "Framescope" in page
    assert "googletagmanager" not in page
    assert server.get("/v1/nothing").status_code == 404
    assert server.get("/v1/classify").status_code == 405


def test_without_a_promoted_model_it_says_how_to_make_one(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bentoml", "serve", "."],
        cwd=ROOT,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode != 0
    assert "Run `python -m training` to train and promote one" in done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_that_was_sent_is_logged(home: Path) -> None:
    secret = "Zugzwangerl"
    service = served(home, ".", ROOT)
    with service as client:
        classify(client, f"The {secret} met.")
        client.post("/v1/classify", json={"documents": [{"id": 5, "text": secret}]})
        client.post("/v1/classify", content=f'{{"documents": ["{secret}"')
        service.process.terminate()
        output, _ = service.process.communicate(timeout=30)
    assert "Service framescope initialized" in output
    assert secret not in output


def test_the_bento_answers_from_another_directory(home: Path, tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, "-m", "bentoml", "build", "--output", "tag"],
        cwd=ROOT,
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert built.returncode == 0, built.stderr
    tag = built.stdout.strip().removeprefix("__tag__:")
    # The Bento keeps the model that it was built with, whatever is promoted later.
    pointer = home / "framescope" / "promoted.json"
    before = pointer.read_text(encoding="utf-8")
    pointer.rename(pointer.with_suffix(".away"))
    try:
        with served(home, tag, tmp_path) as client:
            version = classify(client, *SEED.values())["model"]["version"]
            assert version == json.loads(before)[-1]
            assert "Framescope" in client.get("/").text
    finally:
        pointer.with_suffix(".away").rename(pointer)
