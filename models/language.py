"""Which language a text is in, as far as that bears on whether its scores can be relied on."""

from collections.abc import Collection
from functools import cache

from py3langid.langid import MODEL_FILE, LanguageIdentifier

MIN_ODDS = 30.0
"""How much likelier than a trained language another must be before it is named: a few names or a
headline in capitals give odds below ten either way."""

SAMPLE_CHARS = 5_000


def untrained_language(text: str, trained: Collection[str]) -> str | None:
    """The ISO 639 code of the text's language if the model was clearly not trained on it."""
    ranking = dict(_identifier().rank(text[:SAMPLE_CHARS]))
    best = max(ranking, key=ranking.__getitem__)
    odds = ranking[best] / max(max(ranking[language] for language in trained), 1e-300)
    return str(best) if best not in trained and odds >= MIN_ODDS else None


@cache
def _identifier() -> LanguageIdentifier:
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
