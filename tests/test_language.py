import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.language import SAMPLE_CHARS, untrained_language


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("de", "Die Regierung hat am Dienstag erklärt, dass sie weiter verhandeln will."),
        ("ru", "Министр заявил во вторник, что переговоры будут продолжены."),
        ("he", "שר החוץ אמר ביום שלישי כי השיחות יימשכו."),
        ("zh", "部长星期二表示谈判将继续进行。"),
        ("fr", "Le ministre a déclaré\nmardi que\tles négociations se poursuivraient.\x85"),
    ],
)
def test_another_language_is_named(language: str, text: str) -> None:
    assert untrained_language(text, ["en"]) == language
    assert untrained_language(text, ["en", language]) is None


@pytest.mark.parametrize(
    "text",
    [
        "NATO EXPANDS",
        "Xi Jinping, Vladimir Putin, Aleksandr Lukashenko",
        "Guten Morgen",
        "123 456, 7.8 %",
        "The minister said on Tuesday that the talks would go on.",
        "“Non,” said the minister of Côte d’Ivoire, and the talks went on in Yamoussoukro.",
    ],
)
def test_names_numbers_and_trained_languages_are_not(text: str) -> None:
    assert untrained_language(text, ["en"]) is None


@given(st.text(max_size=200), st.sampled_from(["en", "de", "xx"]))
def test_whatever_is_posted_is_read(text: str, trained: str) -> None:
    untrained_language(text, [trained])


def test_a_long_text_is_judged_by_its_beginning() -> None:
    english = "The minister said on Tuesday that the talks would go on. "
    german = "Die Regierung hat am Dienstag erklärt, dass sie weiter verhandeln will. "
    beginning = english * (SAMPLE_CHARS // len(english) + 1)
    assert untrained_language(beginning + german * 1_000, ["en"]) is None
