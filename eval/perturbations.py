"""Changes to a passage that leave its meaning, and so its labels, as they are.

Pure functions: the same text and seed give the same result in every process.
"""

import random
import re
from collections.abc import Callable

WORDS_PER_TYPO = 15
SMALL_WORDS = {
    "a", "an", "and", "as", "at", "but", "by", "for", "from", "in", "of", "on", "or", "the", "to",
    "with",
}  # fmt: skip
CURLY_TO_STRAIGHT = str.maketrans("“”‘’", "\"\"''")
BEFORE_AN_OPENING_QUOTE = "([{—–“‘"

DATELINES = (
    "GENEVA, March 4 — ",
    "NAIROBI (Own correspondent) — ",
    "MONTEVIDEO, 11 October. ",
    "By a staff writer | Updated 14:20 GMT | ",
    "WORLD / 3 min read / ",
)
BOILERPLATE = (
    " Sign up for our weekly newsletter.",
    " Share this article.",
    " All rights reserved.",
    " (Corrects the date in an earlier version.)",
    " Read more on page 4.",
)

BRITISH_AND_AMERICAN = """
ageing/aging aluminium/aluminum analyse/analyze analysed/analyzed apologise/apologize armour/armor
armoured/armored artefact/artifact authorise/authorize authorised/authorized behaviour/behavior
cancelled/canceled catalogue/catalog centre/center centred/centered centres/centers
civilisation/civilization colour/color coloured/colored colours/colors counsellor/counselor
criticise/criticize criticised/criticized criticising/criticizing defence/defense
demilitarised/demilitarized destabilise/destabilize destabilising/destabilizing
emphasise/emphasize emphasised/emphasized endeavour/endeavor endeavours/endeavors
favour/favor favourable/favorable favoured/favored favourite/favorite favours/favors
fibre/fiber fuelled/fueled fuelling/fueling fulfil/fulfill globalisation/globalization grey/gray
harbour/harbor harbours/harbors honour/honor honourable/honorable honoured/honored humour/humor
instalment/installment jeopardise/jeopardize judgement/judgment kilometre/kilometer
kilometres/kilometers labelled/labeled labelling/labeling labour/labor legitimise/legitimize
liberalisation/liberalization litre/liter litres/liters manoeuvre/maneuver manoeuvres/maneuvers
manoeuvring/maneuvering marginalised/marginalized metre/meter metres/meters
militarisation/militarization militarise/militarize mobilisation/mobilization mobilise/mobilize
modernisation/modernization modernise/modernize modernised/modernized modernising/modernizing
nationalise/nationalize neighbour/neighbor neighbourhood/neighborhood neighbouring/neighboring
neighbourly/neighborly neighbours/neighbors normalisation/normalization normalise/normalize
offence/offense organisation/organization organisations/organizations organise/organize
organised/organized organising/organizing penalise/penalize penalises/penalizes plough/plow
pretence/pretense prioritise/prioritize programme/program programmes/programs
quarrelled/quarreled realise/realize realised/realized recognise/recognize
recognised/recognized recognises/recognizes recognising/recognizing refuelled/refueled
refuelling/refueling rigour/rigor rumour/rumor rumours/rumors sceptical/skeptical
sceptics/skeptics signalled/signaled signalling/signaling stabilise/stabilize sulphur/sulfur
summarised/summarized theatre/theater theatres/theaters totalling/totaling travelled/traveled
traveller/traveler travellers/travelers travelling/traveling utilise/utilize vapour/vapor
"""
PAIRS = [pair.split("/") for pair in BRITISH_AND_AMERICAN.split()]
OTHER_SPELLING = {one: other for pair in PAIRS for one, other in (pair, reversed(pair))}


def typos(text: str, seed: int) -> str:
    """One slip of the keys in about every fifteenth word, and in one word at least.

    Two letters exchanged, one dropped or one doubled, never the first, in words of four letters
    or more; a text without such a word stays as it is.
    """
    lot = random.Random(f"{seed} {text}")
    words = list(re.finditer(r"[A-Za-z]{4,}", text))
    number = min(len(words), max(1, round(len(text.split()) / WORDS_PER_TYPO)))
    for word in sorted(lot.sample(words, number), key=lambda w: w.start(), reverse=True):
        text = text[: word.start()] + _mistyped(word[0], lot) + text[word.end() :]
    return text


def _mistyped(word: str, lot: random.Random) -> str:
    at = lot.randrange(1, len(word) - 1)
    before, letter, after, rest = word[:at], word[at], word[at + 1], word[at + 2 :]
    slips = [before + after + rest, before + letter + letter + after + rest]
    if letter != after:
        slips.append(before + after + letter + rest)
    return lot.choice(slips)


def lower_case(text: str) -> str:
    """No capitals at all."""
    return text.lower()


def headline_case(text: str) -> str:
    """A capital on every word, as in a headline, but for the small words within."""
    return re.sub(
        r"[^\W\d_]+(?:['’][^\W\d_]+)*",
        lambda word: (
            word[0]
            if word.start() and word[0] in SMALL_WORDS
            else word[0][:1].upper() + word[0][1:]
        ),
        text,
    )


def straight_quotes(text: str) -> str:
    """Typewriter quotation marks and apostrophes."""
    return text.translate(CURLY_TO_STRAIGHT)


def curly_quotes(text: str) -> str:
    """Typographic quotation marks and apostrophes, opening after a space, a bracket or a dash."""
    curled = ""
    for character in text:
        opens = not curled or curled[-1].isspace() or curled[-1] in BEFORE_AN_OPENING_QUOTE
        if character == '"':
            character = "“" if opens else "”"
        elif character == "'":
            character = "‘" if opens else "’"
        curled += character
    return curled


def other_quotes(text: str) -> str:
    """Straight quotes where there is a curly one, else curly quotes."""
    straight = straight_quotes(text)
    return straight if straight != text else curly_quotes(text)


def other_spelling(text: str) -> str:
    """British words in American spelling and American in British, those of the table."""
    return re.sub(r"[A-Za-z]+", lambda word: _respelled(word[0]), text)


def _respelled(word: str) -> str:
    other = OTHER_SPELLING.get(word.lower(), word)
    for cased in (str.lower, str.capitalize, str.upper):
        if word == cased(word):
            return cased(other) if other != word else word
    return word


def framed_by_boilerplate(text: str, seed: int) -> str:
    """A dateline or byline in front, and a site's standing text behind."""
    lot = random.Random(f"{seed} {text}")
    return lot.choice(DATELINES) + text + lot.choice(BOILERPLATE)


PERTURBATIONS: dict[str, Callable[[str, int], str]] = {
    "typos": typos,
    "lower_case": lambda text, seed: lower_case(text),
    "headline_case": lambda text, seed: headline_case(text),
    "quotes": lambda text, seed: other_quotes(text),
    "spelling": lambda text, seed: other_spelling(text),
    "boilerplate": framed_by_boilerplate,
}
