from collections import Counter
from pathlib import Path

import pytest

from data.__main__ import main
from data.adapters import CORPORA, Corpus, adapt, read_mapping
from data.codebook import Codebook
from data.records import CorpusError, read_records

ARTICLE = """Ministers meet in the rain

The pact that crept to our fence wants our harbors too, the old admiral said. He would not sit.
Buses ran late.
"""


def layout(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content, encoding="utf-8")
    return root


def semeval2023(root: Path) -> Path:
    return layout(
        root,
        {
            "data/ge/train-articles-subtask-3/article101.txt": ARTICLE,
            "data/ge/train-labels-subtask-3.txt": "101\t1\t\n101\t3\tDoubt,Creeping\n101\t4\t\n",
            "data/ge/train-labels-subtask-3/article101-labels-subtask-3.txt": "101\t1\t\n",
            "data/ge/dev-articles-subtask-2/article202.txt": ARTICLE,
            "data/ge/dev-labels-subtask-2.txt": "202\tCreeping,Economic \n",
        },
    )


def semeval2025(root: Path) -> Path:
    start = ARTICLE.index("old admiral")
    return layout(
        root,
        {
            "EN/raw-documents/EN_UA_7.txt": ARTICLE,
            "EN/subtask-1-annotations.txt": (
                f"EN_UA_7.txt\told admiral\t{start}\t{start + 11}\tAntagonist\tCreeping\tBigot\n"
            ),
            "EN/subtask-2-annotations.txt": (
                "EN_UA_7.txt\tURW: War;URW: Sea\tURW: War: Creeping;URW: Sea: Other\n"
            ),
        },
    )


EUVSDISINFO = (
    "debunk_id,keywords,article_id,article_title,article_publisher,article_domain,article_url,"
    "article_language,article_text,debunk_date,class\n"
    'd1,"Creeping, Harbors",a1,Rain,example,example.org,x,English,"A pact, they say,\nis at our '
    'fence.",31-12-2019,disinformation\n'
    "d1,Creeping,a2,Rain,example,example.org,x,Spanish,,31-12-2019,trustworthy\n"
    "d2,,a3,Rain,example,example.org,x,Spanish,Llueve.,,trustworthy\n"
)


def test_euvsdisinfo(tmp_path: Path, codebook: Codebook) -> None:
    file = layout(tmp_path, {"euvsdisinfo.csv": EUVSDISINFO}) / "euvsdisinfo.csv"
    found = adapt(file, codebook, "euvsdisinfo", {"Creeping": ["encirclement"]})
    one, other = found.records
    assert one.text == "A pact, they say,\nis at our fence."
    assert (one.id, one.document, one.frames) == (
        "euvsdisinfo-a1",
        "euvsdisinfo-d1",
        ["encirclement"],
    )
    assert (one.date, one.lang, one.source) == ("2019-12-31", "en", "example")
    assert (other.id, other.date, other.lang, other.frames) == (
        "euvsdisinfo-a3",
        None,
        "spanish",
        [],
    )
    assert found.mapped == Counter({"Creeping": 1})
    assert found.unmapped == Counter({"Harbors": 1, "disinformation": 1, "trustworthy": 1})


def test_euvsdisinfo_without_its_texts_is_refused(tmp_path: Path, codebook: Codebook) -> None:
    file = layout(tmp_path, {"base.csv": "debunk_id,keywords\nd1,Creeping\n"}) / "base.csv"
    with pytest.raises(CorpusError) as caught:
        adapt(file, codebook, "euvsdisinfo", {})
    assert "article_text" in [problem.field for problem in caught.value.problems]


def test_semeval2023(tmp_path: Path, codebook: Codebook) -> None:
    mapping = {"Creeping": ["bloc_expansion", "encirclement"], "Doubt": ["denial"]}
    found = adapt(semeval2023(tmp_path), codebook, "semeval2023", mapping)
    whole, title, framed, dull = found.records
    assert (whole.id, whole.text.strip(), whole.split) == (
        "semeval2023-subtask-2-202",
        ARTICLE.strip(),
        "validation",
    )
    assert whole.frames == ["bloc_expansion", "encirclement"]
    assert (title.text, title.frames) == ("Ministers meet in the rain", [])
    assert framed.text.startswith("The pact that crept")
    assert framed.frames == ["denial", "bloc_expansion", "encirclement"]
    assert (framed.document, framed.split, framed.lang) == ("semeval2023-101", "train", "de")
    assert (dull.id, dull.text) == ("semeval2023-subtask-3-101-4", "Buses ran late.")
    assert found.mapped == Counter({"Creeping": 2, "Doubt": 1})
    assert found.unmapped == Counter({"Economic": 1})


def test_semeval2025(tmp_path: Path, codebook: Codebook) -> None:
    mapping = {"Antagonist/Creeping": ["encirclement"], "URW: War: Creeping": ["hegemony"]}
    found = adapt(semeval2025(tmp_path), codebook, "semeval2025", mapping)
    mention, article = found.records
    assert mention.text.startswith("The pact that crept")
    assert "Buses" not in mention.text
    assert (mention.frames, mention.note) == (["encirclement"], "mention: old admiral")
    assert (article.id, article.frames, article.lang) == (
        "semeval2025-EN_UA_7",
        ["hegemony"],
        "en",
    )
    assert article.text.strip() == ARTICLE.strip()
    assert mention.document == article.document
    assert found.unmapped.keys() == {
        "Antagonist",
        "Antagonist/Bigot",
        "URW: War",
        "URW: Sea",
        "URW: Sea: Other",
    }


def test_one_label_file_can_be_read_alone(tmp_path: Path, codebook: Codebook) -> None:
    file = semeval2023(tmp_path) / "data/ge/dev-labels-subtask-2.txt"
    (record,) = adapt(file, codebook, "semeval2023", {}).records
    assert record.document == "semeval2023-202"


def test_every_missing_article_or_place_is_told(tmp_path: Path, codebook: Codebook) -> None:
    labels = "101\t9\tDoubt\n101\t2\tDoubt\n303\t1\t\n101\tx\t\n"
    root = semeval2023(tmp_path)
    layout(root, {"data/ge/train-labels-subtask-3.txt": labels})
    with pytest.raises(CorpusError) as caught:
        adapt(root, codebook, "semeval2023", {})
    assert [(p.line, p.field) for p in caught.value.problems] == [
        (1, "article"),
        (2, "text"),
        (3, "article"),
        (4, "article"),
    ]
    file = semeval2025(tmp_path) / "EN/subtask-1-annotations.txt"
    file.write_text("EN_UA_7.txt\tfog\t9000\t9003\tInnocent\tVictim\nEN_UA_7.txt\tfog\n")
    with pytest.raises(CorpusError) as caught:
        adapt(file, codebook, "semeval2025", {})
    assert [p.line for p in caught.value.problems] == [1, 2]


@pytest.mark.parametrize(
    "content",
    [
        "[labels]\nDoubt = ['denal']",
        "[lables]\nDoubt = []",
        "[labels]\nDoubt = 'denial'",
        "[labels",
    ],
)
def test_a_wrong_mapping_is_refused(content: str, tmp_path: Path, codebook: Codebook) -> None:
    file = layout(tmp_path, {"map.toml": content}) / "map.toml"
    with pytest.raises(CorpusError, match=r"map\.toml:1: "):
        read_mapping(file, codebook)


@pytest.mark.parametrize("corpus", CORPORA)
def test_the_example_mappings_name_frames_of_the_codebook(
    corpus: Corpus, codebook: Codebook
) -> None:
    mapping = read_mapping(Path("docs/mappings") / f"{corpus}.toml", codebook)
    assert any(mapping.values())


def test_the_command_says_what_is_not_mapped(
    tmp_path: Path, codebook: Codebook, capsys: pytest.CaptureFixture[str]
) -> None:
    root = semeval2023(tmp_path)
    out = tmp_path / "out.jsonl"
    mapping = layout(tmp_path, {"map.toml": "[labels]\nCreeping = ['encirclement']"}) / "map.toml"
    arguments = ["--from", "semeval2023", "--mapping", str(mapping), "--out", str(out)]
    assert main(["import", str(root), *arguments]) == 0
    printed = capsys.readouterr().out
    assert "not mapped, so no frame: 2 labels" in printed
    assert {"Doubt", "Economic"} <= set(printed.split())
    assert len(read_records([out], codebook)) == 4
    assert main(["import", str(tmp_path / "data/ge/dev-articles-subtask-2"), *arguments]) == 2
    assert "no label file" in capsys.readouterr().err
