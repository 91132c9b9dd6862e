import json
from pathlib import Path

import pytest

from tests.conftest import command
from tests.small_model import CORPUS


def test_the_report_says_how_good_the_model_is_and_how_good_baselines_are(
    home: Path, encoder: Path, tmp_path: Path
) -> None:
    done = command(
        home, "eval", "report", "promoted", "--corpus", str(CORPUS[1]), "--out", str(tmp_path),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    model, keywords, tfidf, probe = report["passages"]["systems"].values()
    names = ["keywords", "TF-IDF + logistic regression", "linear probe"]
    assert list(report["passages"]["systems"])[1:] == names
    # The file is part of what they were trained on, so a baseline that works does well on it.
    assert tfidf["macro"]["f1"]["value"] > 0.8
    assert 0 < probe["macro"]["f1"]["value"] < 1
    assert 0 < keywords["macro"]["f1"]["value"] < 1
    assert model["items"] == CORPUS[1].read_text(encoding="utf-8").count("\n")
    frames = list(model["labels"])[:4]
    assert model["macro"]["f1"]["value"] == pytest.approx(
        sum(model["labels"][frame]["f1"]["value"] for frame in frames) / 4
    )
    assert "learned from another state of the corpus" in report["notes"][0]
    markdown = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert markdown.strip() == done.stdout.strip()
    assert f"| TF-IDF + logistic regression | {tfidf['macro']['f1']['value']:.3f} |" in markdown


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["no-such-version"], "There is no model version 'no-such-version'"),
        (["promoted", "--corpus", "none.jsonl"], "none.jsonl: no corpus here"),
        (["data/corpus"], "data/corpus is not a bundle"),
    ],
)
def test_what_cannot_be_scored_is_told_in_a_sentence(
    home: Path, tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    done = command(home, "eval", "report", *arguments, "--out", str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.startswith(sentence)
