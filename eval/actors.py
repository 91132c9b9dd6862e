"""Actors in their grammatical forms, and passages with slots for them."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, StringConstraints, model_validator

Text = Annotated[str, StringConstraints(pattern=r"^\S(.*\S)?$")]

PLACEHOLDER = re.compile(r"\{(\w+)\.(\w+)\}")
# After the start, a sentence's end, or the mark of a question or an answer, a quotation may open.
SENTENCE_START = re.compile(r"(?:^|[.?!][\"”]? |\b[QA] )[\"“]?$")
ARTICLE = re.compile(r"\b([Tt]he|an?) $")
FORMS_AT_START = ("Name", "adjective", "capital")
FORMS_AFTER_THE = ("adjective", "capital")


class Item(BaseModel):
    """What all lines of the suite share."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Actor(Item):
    """A state or an organization in the grammatical forms a passage may need."""

    key: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z_]*$")]
    kind: Literal["state", "organization"]
    name: Text
    Name: Text
    possessive: Text
    adjective: Text
    a_adjective: Text
    capital: Text
    people: Text
    leader: Text
    ministry: Text

    @model_validator(mode="after")
    def _forms_agree(self) -> Self:
        if self.a_adjective not in (f"a {self.adjective}", f"an {self.adjective}"):
            raise ValueError("a_adjective must be the adjective after a or an")
        if self.Name != self.name[0].upper() + self.name[1:]:
            raise ValueError("Name must be name, its first letter a capital")
        return self


FORMS = frozenset(Actor.model_fields) - {"key", "kind"}


def render(template: str, actors: Mapping[str, Actor]) -> str:
    """The passage with each slot, such as `{a.name}`, filled by its actor's form."""
    return PLACEHOLDER.sub(lambda match: str(getattr(actors[match[1]], match[2])), template)


def fits(actors: Sequence[Actor], kinds: Sequence[str]) -> bool:
    """Whether the actors may fill slots of these kinds together: all unlike, no capital shared."""
    return len({actor.capital for actor in actors}) == len(actors) and all(
        kind in ("any", actor.kind) for actor, kind in zip(actors, kinds, strict=True)
    )


def template_faults(text: str, slots: Sequence[str]) -> list[str]:
    """What keeps a passage with slots from being grammatical whoever fills them."""
    faults = []
    for match in PLACEHOLDER.finditer(text):
        slot, form = match.groups()
        before = text[: match.start()]
        article = ARTICLE.search(before)
        starts = SENTENCE_START.search(before)
        if slot not in slots or form not in FORMS:
            faults.append(f"{match[0]} is no slot with a form of an actor")
        elif starts and form not in FORMS_AT_START:
            faults.append(f"{match[0]} begins a sentence: use one of {', '.join(FORMS_AT_START)}")
        elif form == "Name" and not starts:
            faults.append(f"{match[0]} stands within a sentence: use name")
        elif article and not (article[1].lower() == "the" and form in FORMS_AFTER_THE):
            faults.append(f"{match[0]} may not follow the article {article[1]!r}")
    if set("{}") & set(PLACEHOLDER.sub("", text)):
        faults.append("a brace belongs to no slot")
    unused = set(slots) - {match[1] for match in PLACEHOLDER.finditer(text)}
    return faults + [f"the slot {slot!r} is not in the text" for slot in sorted(unused)]
