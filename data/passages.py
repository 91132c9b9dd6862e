"""Documents into passages: a sentence, or a few short ones, with exact offsets."""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import sentencex

# A clause shorter than this rarely carries meaning of its own ("(Applause)", "He agreed.").
MIN_CHARS = 40
# Far beyond any real sentence; keeps a passage within what the encoder reads at once.
MAX_CHARS = 1_000

# The widest line of a text that a mail program or a printed page has broken by width.
MAX_WRAPPED = 100

_LINE = re.compile(r"[^\r\n]+")
_LINE_END = re.compile(r"\r\n|\r|\n")
_SENTENCE_END = re.compile(r"[.!?:;…]['\")\]’”»]*\s*$")
_LOWER_CASE = re.compile(r"\s*[a-z]")
_WORD = re.compile(r"\S+")


class Span(NamedTuple):
    """Start and end of a passage, in Unicode code points of the document."""

    start: int
    end: int


def split_passages(text: str, language: str = "en") -> list[Span]:
    """Split a text into passages, in order and without overlap.

    Every character that is not white space lies in exactly one passage, and no passage begins or
    ends with white space. A line break ends a passage unless the text was broken there by width;
    a sentence shorter than `MIN_CHARS` joins its neighbor in the same paragraph, and one longer
    than `MAX_CHARS` is cut at white space where there is any.
    """
    spans: list[Span] = []
    for start, end in _paragraphs(text):
        sentences = _sentences(text[start:end], start, language)
        spans += [piece for span in _join_short(sentences) for piece in _cut_long(text, span)]
    return spans


def _paragraphs(text: str) -> Iterator[Span]:
    """Lines, those together that were one before something broke them by width."""
    block: list[Span] = []
    for line in map(Span._make, (match.span() for match in _LINE.finditer(text))):
        if block and not _LINE_END.fullmatch(text, block[-1].end, line.start):
            yield from _unwrapped(text, block)
            block = []
        block.append(line)
    yield from _unwrapped(text, block)


def _unwrapped(text: str, block: list[Span]) -> Iterator[Span]:
    """The paragraphs of a block of lines without an empty one among them.

    A line goes on in the next where that begins in lower case and no sentence ends before it; in
    text broken by width, also where the next one's first word had little or no room left.
    """
    lower = [bool(_LOWER_CASE.match(text, line.start, line.end)) for line in block]
    width = max(map(_length, block), default=0)
    # Lists and headlines begin each line with a capital; a sentence does so once in a few lines.
    by_width = len(block) > 2 and width <= MAX_WRAPPED and 4 * sum(lower[1:]) >= len(block)
    start = 0
    for i, (line, following) in enumerate(pairwise(block), 1):
        room = width - _length(line) - _length(_first_word(text, following))
        open_end = not _SENTENCE_END.search(text, line.start, line.end)
        if not (by_width and room < width / 5) and not (lower[i] and open_end):
            yield Span(block[start].start, line.end)
            start = i
    if block:
        yield Span(block[start].start, block[-1].end)


def _first_word(text: str, line: Span) -> Span:
    word = _WORD.search(text, line.start, line.end)
    return Span(*word.span()) if word else Span(line.start, line.start)


def _sentences(paragraph: str, offset: int, language: str) -> list[Span]:
    spans = []
    # The segmenter takes a line break for white space only where there is a single one.
    for sentence in sentencex.segment(language, re.sub(r"[\r\n]", " ", paragraph)):
        body = sentence.strip()
        if body:
            start = offset + sentence.index(body)
            spans.append(Span(start, start + len(body)))
        offset += len(sentence)
    return spans


def _join_short(sentences: list[Span]) -> list[Span]:
    joined: list[Span] = []
    for span in sentences:
        if joined and min(_length(joined[-1]), _length(span)) < MIN_CHARS:
            joined[-1] = Span(joined[-1].start, span.end)
        else:
            joined.append(span)
    return joined


def _cut_long(text: str, span: Span) -> list[Span]:
    pieces = []
    start = span.start
    while span.end - start > MAX_CHARS:
        window = text[start : start + MAX_CHARS]
        head = window.rsplit(None, 1)[0] if re.search(r"\S\s", window) else window
        pieces.append(Span(start, start + len(head)))
        following = _WORD.search(text, start + len(head), span.end)
        start = following.start() if following else span.end
    return [*pieces, Span(start, span.end)]


def _length(span: Span) -> int:
    return span.end - span.start
