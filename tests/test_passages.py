import textwrap

from hypothesis import example, given
from hypothesis import strategies as st

from data.passages import MAX_CHARS, MIN_CHARS, split_passages

SENTENCES = [
    "The U.S. left. ",
    "Он ушёл. ",
    "한국은 말했다. ",
    "Mr. Li said: “No.” ",
    "(Applause) ",
]
MARKS = ["😀🇺🇦 ", "e\u0301 ", "\r\n", "\n", "\t", "\u2028", "\u00a0", " \u200b"]
LONG = ["a" * 700, "x" * 2_500]
pieces = st.sampled_from(SENTENCES + MARKS + LONG)
texts = st.one_of(st.text(), st.lists(pieces, max_size=30).map("".join))


@given(texts)
@example("")
@example(" \r\n\t ")
@example("\x1c\x85")
def test_passages_hold_every_visible_character_once_and_in_order(text: str) -> None:
    spans = split_passages(text)
    outside, position = "", 0
    for start, end in spans:
        assert position <= start < end <= len(text)
        outside += text[position:start]
        position = end
    assert not (outside + text[position:]).strip()


@given(texts)
def test_a_passage_is_trimmed_crosses_no_empty_line_and_fits_the_encoder(text: str) -> None:
    for start, end in split_passages(text):
        passage = text[start:end]
        assert passage == passage.strip()
        lines = passage.replace("\r\n", "\n").replace("\r", "\n")
        assert "\n\n" not in lines
        assert len(passage) <= MAX_CHARS


SPEECH = (
    "The Assembly meets at a time of great concern, and my delegation wishes to say so plainly. "
    "In the region of the Great Lakes, which Mr. Bah visited in May, some 40,000 families wait for "
    "a road to be opened. Nobody told any of them when that will be! We ask the Council to act, "
    "the Secretary-General to report to it in writing, and all Members to pay what they pledged."
)


@given(st.integers(30, 100), st.sampled_from(["\n", "\r\n"]))
def test_a_text_broken_by_width_has_the_passages_of_the_whole_text(width: int, end: str) -> None:
    paragraph = textwrap.fill(SPEECH, width, break_on_hyphens=False).replace("\n", end)
    text = f"{paragraph}{end}{end}{paragraph}"
    whole = [SPEECH[s:e] for s, e in split_passages(SPEECH)]
    assert len(whole) == 4
    assert [" ".join(text[s:e].split()) for s, e in split_passages(text)] == whole * 2


@given(
    st.lists(st.sampled_from(["Talks End Early", "Envoy Arrives In Port", "Strike At The Mill"]))
)
def test_headlines_in_a_list_stay_apart(headlines: list[str]) -> None:
    text = "\n".join(headlines)
    assert [text[s:e] for s, e in split_passages(text)] == headlines


def test_a_heading_does_not_join_the_paragraph_below_it() -> None:
    text = f"MINISTER OPENS THE BRIDGE\n{SPEECH}\nRelated News\n{SPEECH}"
    passages = [text[s:e] for s, e in split_passages(text)]
    assert passages[0] == "MINISTER OPENS THE BRIDGE"
    assert passages[5] == "Related News"


@given(st.text(alphabet="ab. ", min_size=1))
def test_offsets_do_not_depend_on_what_stands_before(text: str) -> None:
    before = "😀 Русский.\r\n"
    shifted = [(s - len(before), e - len(before)) for s, e in split_passages(before + text)[1:]]
    assert shifted == list(split_passages(text))


def test_sentences_are_passages_and_short_ones_join_a_neighbor() -> None:
    first = "The ministry of the U.S. rejected the charge on Monday evening."
    second = "It gave no further details of the meeting that it had asked for."
    text = f"{first} He agreed. {second}\r\n(Applause)"
    assert len("He agreed.") < MIN_CHARS
    passages = [text[s:e] for s, e in split_passages(text)]
    assert passages == [f"{first} He agreed.", second, "(Applause)"]


def test_a_line_of_two_megabytes_is_cut_at_white_space() -> None:
    text = "sentence without an end " * 90_000
    spans = split_passages(text)
    assert len(text) > 2_000_000
    assert {text[s:e].split()[0] for s, e in spans} <= {"sentence", "without", "an", "end"}
    assert "".join(text[s:e] for s, e in spans).replace(" ", "") == text.replace(" ", "")
