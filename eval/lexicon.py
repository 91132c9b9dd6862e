"""The keyword baseline: an authored list of phrases for each frame, and nothing learned."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import yaml
from pydantic import TypeAdapter, ValidationError

from data.codebook import Codebook
from eval.baselines import Baseline
from eval.metrics import Bools, Floats

DEFAULT_PATH = Path(__file__).parent / "lexicon.yaml"


class LexiconError(ValueError):
    """The lexicon does not fit; the message says why."""


def load_lexicon(codebook: Codebook, path: Path = DEFAULT_PATH) -> dict[str, tuple[str, ...]]:
    """Phrases by frame. Raises `LexiconError` unless the keys are the codebook's frames."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        lexicon = TypeAdapter(dict[str, tuple[str, ...]]).validate_python(content)
    except (yaml.YAMLError, ValidationError) as error:
        raise LexiconError(f"{path.name} is no list of phrases for each frame: {error}") from error
    if set(lexicon) != set(codebook.frames):
        raise LexiconError(
            f"{path.name} has phrases for {', '.join(lexicon)}, and the codebook's frames are "
            f"{', '.join(codebook.frames)}."
        )
    return lexicon


def keywords(codebook: Codebook, path: Path = DEFAULT_PATH) -> Baseline:
    """A frame's score is m / (m + 1) for m matches of its phrases; a voice's is 0.

    Raises `LexiconError`.
    """
    patterns = {f: phrase_pattern(phrases) for f, phrases in load_lexicon(codebook, path).items()}

    def match(train: Sequence[str], truth: Bools, texts: Sequence[str]) -> Floats:
        scores = np.zeros((len(texts), len(codebook.keys)))
        for frame, pattern in patterns.items():
            matches = np.array([len(pattern.findall(text)) for text in texts], np.float64)
            scores[:, codebook.keys.index(frame)] = matches / (matches + 1)
        return scores

    return match


def phrase_pattern(phrases: Sequence[str]) -> re.Pattern[str]:
    """Matches any of the phrases as whole words, an asterisk standing for any ending."""
    escaped = (
        r"\s+".join(re.escape(word).replace(r"\*", r"\w*") for word in phrase.split())
        for phrase in phrases
    )
    return re.compile(rf"\b(?:{'|'.join(escaped)})\b", re.IGNORECASE)
