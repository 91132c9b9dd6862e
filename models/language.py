"""Which language a text is in, as far as that bears on whether its scores can be relied on."""

from collections.abc import Sequence

import pycld2

SAMPLE_CHARS = 5_000
MIN_BYTES = 30
"""A name or a greeting is no evidence: below this many bytes of letters nothing is said."""

KNOWN = {code for _, code in pycld2.LANGUAGES}
OLD_CODES = {"iw": "he", "jw": "jv"}
"""CLD2 knows two languages by codes that ISO 639 has withdrawn."""


def untrained_language(text: str, trained: Sequence[str]) -> str | None:
    """The ISO 639 code of the text's language if the model was clearly not trained on it.

    The first trained language gets the benefit of the doubt.
    """
    sample = text[:SAMPLE_CHARS]
    if not sample.isprintable():  # CLD2 refuses control characters
        sample = "".join(char if char.isprintable() else " " for char in sample)
    hint = trained[0] if trained[0] in KNOWN else None
    reliable, size, ranking = pycld2.detect(sample.encode("utf-8", "replace"), hintLanguage=hint)
    code = ranking[0][1].partition("-")[0]
    language = OLD_CODES.get(code, code)
    return language if reliable and size >= MIN_BYTES and language not in trained else None
