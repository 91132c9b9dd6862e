"""What is sent: single texts, batches of texts, and whole documents, from the project's corpus."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from data.codebook import Codebook
from data.passages import split_passages
from data.records import document_text, read_records

CORPUS = Path(__file__).parents[1] / "data/corpus/extension"
TEXTS, TOKENS = 256, range(43, 48)
BATCH = 32
DOCUMENTS, WORDS = 16, 800
SINGLE, BATCHES, WHOLE = "single texts", f"batches of {BATCH}", f"documents of {WORDS} words"


@dataclass(frozen=True)
class Document:
    """A text, and the passages that Framescope scores it by."""

    text: str
    passages: tuple[str, ...]


Request = tuple[Document, ...]


@dataclass(frozen=True)
class Load:
    """One kind of request; all requests of a load hold equally many documents."""

    name: str
    requests: tuple[Request, ...]

    @property
    def documents(self) -> int:
        """Documents of one request."""
        return len(self.requests[0])

    @property
    def texts(self) -> list[str]:
        """All passages of all requests, in order."""
        return [text for request in self.requests for text in passages(request)]


def loads(codebook: Codebook, tokens: Callable[[str], int]) -> tuple[Load, ...]:
    """The loads, the same in every run; `tokens` counts a text's tokens."""
    texts = short_texts(codebook, tokens)
    return (
        Load(SINGLE, tuple((text,) for text in texts)),
        Load(BATCHES, tuple(texts[i : i + BATCH] for i in range(0, len(texts), BATCH))),
        Load(WHOLE, tuple((document,) for document in long_documents(codebook))),
    )


def short_texts(codebook: Codebook, tokens: Callable[[str], int]) -> Request:
    """Authored texts of one passage and about 45 tokens, evenly spread over the corpus."""
    texts = [
        record.text
        for record in read_records([CORPUS], codebook)
        if tokens(record.text) in TOKENS
        and len(split_passages(record.text, codebook.language)) == 1
    ]
    chosen = [texts[i * len(texts) // TEXTS] for i in range(TEXTS)]
    return tuple(Document(text, (text,)) for text in chosen)


def long_documents(codebook: Codebook) -> Iterator[Document]:
    """Authored documents joined until they reach the number of words, cut after a passage."""
    paths = iter(sorted((CORPUS / "documents").glob("*.txt")))
    for _ in range(DOCUMENTS):
        joined = ""
        while len(joined.split()) < WORDS:
            joined += document_text(next(paths)).strip() + "\n\n"
        yield cut(joined, codebook.language)


def cut(text: str, language: str) -> Document:
    """The beginning of a text up to the passage with which it reaches the number of words."""
    passages: list[str] = []
    end = 0
    for span in split_passages(text, language):
        end = span.end
        passages.append(text[span.start : end])
        if len(text[:end].split()) >= WORDS:
            break
    return Document(text[:end], tuple(passages))


def passages(request: Sequence[Document]) -> list[str]:
    """All passages of a request, in order."""
    return [passage for document in request for passage in document.passages]
