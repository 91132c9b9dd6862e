import json
import random
import re
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from data.codebook import load_codebook
from data.records import CorpusError
from eval import perturbations
from eval.actor_swap import Scorer, measure_actor_swap
from eval.actors import PLACEHOLDER, fits, template_faults
from eval.behavior import (
    measure_pairs,
    measure_robustness,
    measure_topics,
    perturbed_texts,
    run_suite,
)
from eval.casts import Variant, choose_casts, fill, original_cast, possible_casts, swap_variants
from eval.estimates import clustered_means, wilson
from eval.suite_items import FOLDER, load_suite
from models.calibration import Scores

CODEBOOK = load_codebook()
SUITE = load_suite(CODEBOOK)
ACTORS = list(SUITE.actors.values())
THRESHOLDS = [0.5] * len(CODEBOOK.keys)
TEXTS = [
    *(fill(passage, original_cast(passage), SUITE.actors) for passage in SUITE.swaps),
    *(topic.text for topic in SUITE.topics),
    *(side.text for pair in SUITE.pairs for side in (pair.with_, pair.without)),
]

LEXICON = {
    "encirclement": r"ring|hemmed|surround|fenced|contain|doorstep|strangulation|blockade|boxed",
    "hegemony": r"diktat|vassal|puppet|imperial|colonial|bully|dictat|domination|hegemony|impos",
    "bloc_expansion": r"axis|bloc|enlargement|camps|accession|expansion|new members",
    "denial": r"den(y|ies|ied)|baseless|groundless|reject|fabricat|false|no evidence|smear|absurd",
    "attributed": r"said|told|according to|warned|insisted",
    "rebutted": r"nobody is|not directed|so-called",
}


def by_label(rule: Callable[[str, str], bool]) -> Scorer:
    """A scorer that says 0.9 where the rule finds the label in the text, and 0.1 elsewhere."""

    def score(texts: Sequence[str]) -> Scores:
        rows = [[0.9 if rule(text, label) else 0.1 for label in CODEBOOK.keys] for text in texts]
        return np.array(rows).reshape(-1, len(CODEBOOK.keys))

    return score


constant = by_label(lambda text, label: label == "denial")
lexicon = by_label(lambda text, label: bool(re.search(LEXICON[label], text, re.IGNORECASE)))
accuses_valdoria = by_label(lambda text, label: label == "hegemony" and "Valdoria" in text)


@pytest.fixture(scope="module")
def variants() -> list[Variant]:
    return swap_variants(SUITE)


@pytest.fixture(scope="module")
def oracle(variants: list[Variant]) -> Scorer:
    """Knows every authored text by heart, and no other."""
    known = {variant.text: variant.passage.carries for variant in variants}
    known |= {topic.text: topic.carries for topic in SUITE.topics}
    known |= {side.text: side.carries for p in SUITE.pairs for side in (p.with_, p.without)}
    return by_label(lambda text, label: text in known and known[text](label))


# The files


def test_the_suite_is_as_large_as_a_report_promises() -> None:
    assert len(SUITE.swaps) >= 120
    assert len(SUITE.topics) >= 200
    assert len(SUITE.pairs) >= 150
    assert {frame for topic in SUITE.topics for frame in topic.tempts} == set(CODEBOOK.frames)
    assert {pair.frame for pair in SUITE.pairs} >= set(CODEBOOK.frames)
    assert len(set(TEXTS)) == len(TEXTS)


def test_every_problem_of_every_file_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "suite"
    shutil.copytree(FOLDER, folder)

    def change(name: str, number: int, **fields: object) -> None:
        file = folder / f"{name}.jsonl"
        lines = file.read_text(encoding="utf-8").splitlines()
        lines[number - 1] = json.dumps(json.loads(lines[number - 1]) | fields)
        file.write_text("\n".join(lines), encoding="utf-8")

    change("actors", 3, a_adjective="an Chinese lot")
    change("actor_swap", 1, frames=["encirclements"], attributed="no")
    change("actor_swap", 2, original={"a": "russia", "b": "nato"}, accused=["c"])
    change("actor_swap", 4, text="The {a.name} squeezed {b.adjective")
    change("topic_without_frame", 2, rule="", tempts=["hegemonies"])
    change("topic_without_frame", 7, id="topic-001", tempts=["encirclement"])
    change("topic_without_frame", 9, frames=["encirclement"], tempts=["encirclement"])
    change("minimal_pairs", 5, frame="denials")
    change("minimal_pairs", 6, without={"text": "Both.", "frames": ["encirclement"]})
    with (folder / "minimal_pairs.jsonl").open("a") as file:
        file.write("\nnot JSON")
    with pytest.raises(CorpusError) as caught:
        load_suite(CODEBOOK, folder)
    told = [str(problem).replace(f"{folder}/", "") for problem in caught.value.problems]
    for start, reason in [
        ("actors.jsonl:3: item:", "a_adjective must be the adjective"),
        ("actor_swap.jsonl:1: frames:", "encirclements: not among encirclement, hegemony"),
        ("actor_swap.jsonl:1: attributed:", "valid boolean"),
        ("actor_swap.jsonl:2: original:", "of the wrong kind"),
        ("actor_swap.jsonl:2: accused:", "c: not among a, b"),
        ("actor_swap.jsonl:4: text:", "{a.name} may not follow the article 'The'; a brace"),
        ("topic_without_frame.jsonl:2: rule:", "pattern"),
        ("topic_without_frame.jsonl:2: tempts:", "hegemonies: not among"),
        ("topic_without_frame.jsonl:7: id:", "'topic-001' stands in the file twice"),
        ("topic_without_frame.jsonl:9: tempts:", "a frame that the passage carries"),
        ("minimal_pairs.jsonl:5: item:", "denials: not among"),
        ("minimal_pairs.jsonl:6: without.attributed:", "required"),
        (f"minimal_pairs.jsonl:{len(SUITE.pairs) + 1}: item:", "JSON"),
    ]:
        assert any(line.startswith(start) and reason in line for line in told), (start, told)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{a.name} objects.", "{a.name} begins a sentence"),
        ("It objects. {a.leader} objects.", "{a.leader} begins a sentence"),
        ("It said {a.Name} objects.", "{a.Name} stands within a sentence"),
        ("It saw a {a.adjective} ship.", "may not follow the article 'a'"),
        ("It saw the {a.possessive} ship.", "may not follow the article 'the'"),
        ("It saw {a.flag}.", "{a.flag} is no slot"),
        ("It saw {b.name}.", "{b.name} is no slot"),
        ("It saw nothing.", "the slot 'a' is not in the text"),
        ("It saw {a.name} and {that}.", "a brace belongs to no slot"),
    ],
)
def test_a_passage_that_some_actor_would_break_is_refused(text: str, fault: str) -> None:
    assert fault in "; ".join(template_faults(text, ["a"]))


@pytest.mark.parametrize(
    "text",
    [
        "{a.Name} objects. {a.Name} says so.",
        'Q Is it true? A {a.Name} objects. "{a.Name} says so." {a.capital} agrees.',
        "The {a.adjective} note reached the {a.capital} office.",
    ],
)
def test_a_passage_that_no_actor_breaks_is_taken(text: str) -> None:
    assert not template_faults(text, ["a"])


# Who plays in which variant


@st.composite
def performances(draw: st.DrawFn) -> str:
    """A passage of the suite with any cast that fits it, in any order of trying."""
    passage = draw(st.sampled_from(SUITE.swaps))
    kinds = list(passage.slots.values())
    trial = st.permutations(ACTORS).map(lambda actors: actors[: len(kinds)])
    chosen = draw(trial.filter(lambda actors: fits(actors, kinds)))
    return fill(passage, tuple(actor.key for actor in chosen), SUITE.actors)


@given(performances())
def test_a_passage_reads_well_whoever_plays(text: str) -> None:
    assert not set("{}") & set(text)
    assert not PLACEHOLDER.search(text)
    assert not re.search(r"\b(a|an|the) (a|an|the)\b", text)
    for start in re.findall(r"(?:^|[.?!] )[\"“]?(\w)", text):
        assert start == start.upper(), text
    for actor in ACTORS:
        other = "an" if actor.a_adjective.startswith("a ") else "a"
        assert not re.search(rf"\b{other} {actor.adjective}\b", text)
    assert not re.search(r"(?<=\w )The\b", re.sub(r"\b[QA] ", "", text)), text


def test_the_casts_are_the_same_in_every_run(variants: list[Variant]) -> None:
    assert [v.text for v in swap_variants(SUITE)] == [v.text for v in variants]


def test_each_passage_has_its_original_and_eight_others_or_all_there_are(
    variants: list[Variant],
) -> None:
    for passage in SUITE.swaps:
        casts = [v.cast for v in variants if v.passage.id == passage.id]
        assert casts[0] == original_cast(passage)
        assert len(casts) == len(set(casts)) == 1 + min(8, len(possible_casts(passage, ACTORS)))
        kinds = list(passage.slots.values())
        assert all(fits([SUITE.actors[key] for key in cast], kinds) for cast in casts)


def test_no_cast_holds_two_actors_of_one_capital(variants: list[Variant]) -> None:
    assert not any({"nato", "european_union"} <= set(variant.cast) for variant in variants)


def test_the_casts_use_all_pairs_evenly() -> None:
    casts = [cast for of in choose_casts(SUITE.swaps, ACTORS).values() for cast in of]
    pairs = Counter(frozenset(cast[:2]) for cast in casts if len(cast) > 1)
    # All unordered pairs but that of NATO and the European Union.
    assert len(pairs) == len(ACTORS) * (len(ACTORS) - 1) // 2 - 1
    assert max(pairs.values()) - min(pairs.values()) <= 1
    alone = Counter(cast[0] for cast in casts if len(cast) == 1)
    assert len(alone) == len(ACTORS)
    assert max(alone.values()) - min(alone.values()) <= 1


# Perturbations

sentences = st.one_of(
    st.sampled_from(TEXTS), st.text("abcdeXYZéŠ “”‘’\"'.,-() \n1234", max_size=120)
)
straight_sentences = sentences.map(perturbations.straight_quotes)
seeds = st.integers(0, 1_000)


@given(sentences, seeds)
def test_a_perturbation_depends_on_text_and_seed_alone(text: str, seed: int) -> None:
    random.seed(seed)
    first = {name: change(text, seed) for name, change in perturbations.PERTURBATIONS.items()}
    random.seed(seed + 1)
    assert first == {n: change(text, seed) for n, change in perturbations.PERTURBATIONS.items()}


def test_another_seed_gives_other_typos() -> None:
    assert len({perturbations.typos(TEXTS[0], seed) for seed in range(20)}) > 5


@given(sentences, seeds)
def test_typos_spoil_one_word_in_fifteen_and_keep_the_others(text: str, seed: int) -> None:
    before, after = text.split(), perturbations.typos(text, seed).split()
    spoiled = sum(one != other for one, other in zip(before, after, strict=True))
    assert spoiled <= max(1, round(len(before) / 15))
    assert (spoiled > 0) == bool(re.search(r"[A-Za-z]{4}", text))


@given(sentences)
def test_casing_keeps_the_words(text: str) -> None:
    assert perturbations.lower_case(text) == text.lower()
    headline = perturbations.headline_case(text)
    assert headline.lower() == text.lower()
    assert len(headline.split()) == len(text.split())


def test_a_headline_has_capitals_on_all_but_its_small_words() -> None:
    assert (
        perturbations.headline_case("of all the NATO bases, the ministry's own is the best-known")
        == "Of All the NATO Bases, the Ministry's Own Is the Best-Known"
    )


@given(straight_sentences)
def test_quotes_come_back_from_curly_to_straight(text: str) -> None:
    curly = perturbations.curly_quotes(text)
    assert not set("\"'") & set(curly)
    assert perturbations.straight_quotes(curly) == text
    assert perturbations.other_quotes(perturbations.other_quotes(text)) == text


def test_quotes_open_and_close() -> None:
    straight = '"It\'s ours," he said ("\'mine\', even").'
    curly = "“It’s ours,” he said (“‘mine’, even”)."
    assert perturbations.curly_quotes(straight) == curly
    assert perturbations.other_quotes(curly) == straight


table_words = st.sampled_from(sorted(perturbations.OTHER_SPELLING)).flatmap(
    lambda word: st.sampled_from([word, word.capitalize(), word.upper()])
)


@given(st.lists(st.one_of(table_words, straight_sentences)).map(" ".join))
def test_spelling_twice_changed_is_as_before(text: str) -> None:
    other = perturbations.other_spelling(text)
    assert len(other.split()) == len(text.split())
    assert perturbations.other_spelling(other) == text


def test_spelling_is_changed_both_ways() -> None:
    assert (
        perturbations.other_spelling("Neighbours honor the DEFENCE program; unionised workers")
        == "Neighbors honour the DEFENSE programme; unionised workers"
    )


def test_the_spelling_table_names_no_word_twice() -> None:
    words = [word for pair in perturbations.PAIRS for word in pair]
    assert len(set(words)) == len(words) == len(perturbations.OTHER_SPELLING)


@given(sentences, seeds)
def test_boilerplate_stands_around_the_whole_text(text: str, seed: int) -> None:
    longer = perturbations.framed_by_boilerplate(text, seed)
    assert any(longer.startswith(line + text) for line in perturbations.DATELINES)
    assert any(longer.endswith(text + line) for line in perturbations.BOILERPLATE)


# The measures


def test_all_is_scored_in_one_call_and_is_json() -> None:
    calls: list[Sequence[str]] = []

    def score(texts: Sequence[str]) -> Scores:
        calls.append(texts)
        return lexicon(texts)

    behavior = run_suite(score, THRESHOLDS, CODEBOOK, SUITE)
    assert [len(texts) for texts in calls] == [behavior.texts]
    assert len(set(calls[0])) == behavior.texts < 2_500
    assert json.loads(json.dumps(asdict(behavior), allow_nan=False))["suite_sha256"] == SUITE.sha256
    assert run_suite(lexicon, THRESHOLDS, CODEBOOK, SUITE) == behavior


def test_a_constant_score_never_flips_and_finds_its_frame_everywhere(
    variants: list[Variant],
) -> None:
    swap = measure_actor_swap(constant, THRESHOLDS, CODEBOOK, variants)
    assert swap.passages == len(SUITE.swaps)
    assert swap.overall.flip_rate.count == len(variants) - len(SUITE.swaps)
    for effect in (swap.overall, *swap.labels.values(), *(pair.effect for pair in swap.pairs)):
        for estimate in (effect.flip_rate, effect.shift):
            assert estimate.value == estimate.low == estimate.high == 0
    for actor in swap.accused:
        assert actor.score["denial"].value == pytest.approx(0.9)
        assert all(abs(lean.value) < 1e-9 for lean in actor.lean.values())

    topics = measure_topics(constant, THRESHOLDS, CODEBOOK, SUITE.topics)
    wrong = {topic.id for topic in SUITE.topics if not topic.carries("denial")}
    assert topics.failing == dict.fromkeys(wrong, ("denial",))
    assert topics.overall.value == len(wrong) / len(SUITE.topics)

    pairs = measure_pairs(constant, THRESHOLDS, CODEBOOK, SUITE.pairs)
    assert pairs.overall.value == 0
    assert {pairs.failing[p.id] for p in SUITE.pairs if p.frame == "denial"} == {("without",)}
    assert {pairs.failing[p.id] for p in SUITE.pairs if p.frame != "denial"} == {("with",)}

    robustness = measure_robustness(constant, THRESHOLDS, CODEBOOK, perturbed_texts(SUITE))
    assert all(result.overall.value == 0 for result in robustness.values())


def test_a_bias_against_one_actor_shows_and_the_actor_is_named(variants: list[Variant]) -> None:
    swap = measure_actor_swap(accuses_valdoria, THRESHOLDS, CODEBOOK, variants)
    assert swap.labels["hegemony"].flip_rate.low > 0
    assert swap.labels["denial"].flip_rate.value == 0
    assert swap.overall.shift.value == pytest.approx(swap.labels["hegemony"].shift.value / 4)

    assert "valdoria" in swap.pairs[0].actors
    by_valdoria: dict[bool, list[float]] = {True: [], False: []}
    for pair in swap.pairs:
        by_valdoria["valdoria" in pair.actors].append(pair.effect.flip_rate.value)
    assert np.mean(by_valdoria[True]) > 0.5
    # The passages that were written for Valdoria flip for everybody else.
    assert np.mean(by_valdoria[False]) < 0.1

    leans = {actor.actor: actor.lean["hegemony"] for actor in swap.accused}
    assert max(leans, key=lambda actor: leans[actor].low) == "valdoria"
    assert leans["valdoria"].low > 0.3
    assert all(lean.high < 0.1 for actor, lean in leans.items() if actor != "valdoria")
    scores = {actor.actor: actor.score["hegemony"].value for actor in swap.accused}
    assert max(scores, key=lambda actor: scores[actor]) == "valdoria"


def test_who_knows_the_labels_makes_no_mistake(variants: list[Variant], oracle: Scorer) -> None:
    swap = measure_actor_swap(oracle, THRESHOLDS, CODEBOOK, variants)
    assert swap.overall.flip_rate.value == 0
    topics = measure_topics(oracle, THRESHOLDS, CODEBOOK, SUITE.topics)
    assert topics.overall.value == 0
    assert not topics.failing
    assert topics.rules.keys() == {topic.rule for topic in SUITE.topics}
    assert sum(rule.count for rule in topics.rules.values()) == len(SUITE.topics)
    pairs = measure_pairs(oracle, THRESHOLDS, CODEBOOK, SUITE.pairs)
    assert pairs.overall.value == pairs.overall.high == 1
    assert not pairs.failing
    assert sum(label.count for label in pairs.labels.values()) == len(SUITE.pairs)
    # It knows the texts by heart alone, so whatever carries a frame is lost with any change.
    robustness = measure_robustness(oracle, THRESHOLDS, CODEBOOK, perturbed_texts(SUITE))
    assert all(result.overall.value > 0.3 for result in robustness.values())


def test_words_alone_get_some_right_and_fail_where_the_topic_tempts(
    variants: list[Variant],
) -> None:
    assert measure_actor_swap(lexicon, THRESHOLDS, CODEBOOK, variants).overall.flip_rate.value == 0
    topics = measure_topics(lexicon, THRESHOLDS, CODEBOOK, SUITE.topics)
    assert 0.1 < topics.overall.value < 0.9
    assert topics.rules["e-contain-other"].value > 0.5
    pairs = measure_pairs(lexicon, THRESHOLDS, CODEBOOK, SUITE.pairs)
    assert 0 < pairs.overall.value < 1
    assert len(pairs.failing) == round((1 - pairs.overall.value) * len(SUITE.pairs))
    robustness = measure_robustness(lexicon, THRESHOLDS, CODEBOOK, perturbed_texts(SUITE))
    assert robustness["typos"].overall.value > 0
    for name in ("lower_case", "headline_case", "quotes", "spelling"):
        assert robustness[name].overall.value == 0, name


def test_who_reads_capitals_flips_with_them_alone() -> None:
    shouting = by_label(lambda text, label: label == "denial" and "NATO" in text)
    robustness = measure_robustness(shouting, THRESHOLDS, CODEBOOK, perturbed_texts(SUITE))
    assert robustness["lower_case"].labels["denial"].low > 0
    assert robustness["lower_case"].labels["hegemony"].value == 0
    assert robustness["quotes"].overall.value == robustness["headline_case"].overall.value == 0


def test_a_score_at_the_threshold_counts_as_present() -> None:
    half = by_label(lambda text, label: False)
    topics = measure_topics(half, [0.1] * len(CODEBOOK.keys), CODEBOOK, SUITE.topics)
    assert topics.overall.value == 1
    above = measure_topics(half, [0.11] * len(CODEBOOK.keys), CODEBOOK, SUITE.topics)
    assert above.overall.value == 0


def test_nothing_to_measure_is_no_error() -> None:
    swap = measure_actor_swap(lexicon, THRESHOLDS, CODEBOOK, [])
    assert swap.overall.flip_rate.count == swap.passages == 0
    assert measure_topics(lexicon, THRESHOLDS, CODEBOOK, []).overall.high == 1
    assert measure_pairs(lexicon, THRESHOLDS, CODEBOOK, []).overall.count == 0
    assert measure_robustness(lexicon, THRESHOLDS, CODEBOOK, {"none": []})["none"].overall.low == 0


# Estimates


@given(st.integers(0, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_that_of_scipy(case: tuple[int, int]) -> None:
    hits, n = case
    estimate = wilson(np.arange(n) < hits)
    if not n:
        assert (estimate.value, estimate.low, estimate.high) == (0, 0, 1)
        return
    theirs = binomtest(hits, n).proportion_ci(method="wilson")
    assert estimate.value == pytest.approx(hits / n)
    assert (estimate.low, estimate.high) == pytest.approx((theirs.low, theirs.high), abs=1e-6)


def test_values_that_go_together_say_less_than_as_many_alone() -> None:
    values = np.repeat(np.random.default_rng(0).random((40, 2)), 8, axis=0)
    together = clustered_means(values, [f"passage {row // 8}" for row in range(320)])
    alone = clustered_means(values, [f"passage {row}" for row in range(320)])
    for a, b, mean in zip(together, alone, values.mean(axis=0), strict=True):
        assert a.value == b.value == pytest.approx(mean)
        assert a.low < a.value < a.high
        # Eight times the same counts once: the square root of eight times as wide.
        assert (a.high - a.low) / (b.high - b.low) == pytest.approx(8**0.5, rel=0.15)
