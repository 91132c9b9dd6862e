"""Documents into passages: a sentence, or a few short ones, with exact offsets."""

import re
from typing import NamedTuple

import sentencex

# A clause shorter than this rarely carries meaning of its own ("(Applause)", "He agreed.").
MIN_CHARS = 40
# Far beyond any real sentence; keeps a passage within what the encoder reads at once.
MAX_CHARS = 1_000

_LINE = re.compile(r"[^\r\n]+")
_NOT_SPACE = re.compile(r"\S")


class Span(NamedTuple):
    """Start and end of a passage, in Unicode code points of the document."""

    start: int
    end: int


def split_passages(text: str, language: str = "en") -> list[Span]:
    """Split a text into passages, in order and without overlap.

    Every character that is not white space lies in exactly one passage, and no passage begins or
    ends with white space. Passages never cross a line break; a sentence shorter than `MIN_CHARS`
    joins its neighbor on the same line, and one longer than `MAX_CHARS` is cut at white space
    where there is any.
    """
    spans: list[Span] = []
    for line in _LINE.finditer(text):
        sentences = _sentences(line.group(), line.start(), language)
        spans += [piece for span in _join_short(sentences) for piece in _cut_long(text, span)]
    return spans


def _sentences(line: str, offset: int, language: str) -> list[Span]:
    spans = []
    for sentence in sentencex.segment(language, line):
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
        following = _NOT_SPACE.search(text, start + len(head), span.end)
        start = following.start() if following else span.end
    return [*pieces, Span(start, span.end)]


def _length(span: Span) -> int:
    return span.end - span.start
