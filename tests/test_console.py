"""The console as a person uses it: a real browser in front of the real service."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect, sync_playwright

from data.codebook import Codebook
from tests.small_model import CORPUS

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no `chromium` on the PATH")

EMOJI = "😀 👩‍👩‍👧 🏳️‍🌈"
SEED = " ".join(
    " ".join(path.read_text(encoding="utf-8").split()) for path in sorted(CORPUS[0].glob("*.txt"))
)
MARKUP = "<img src=x onerror=\"document.title='hacked'\"> & <b>bold</b>"
TEXT = f"{EMOJI} {MARKUP}\n\n{SEED}"

# What the page shows of the text, in pieces: whether each is marked, and its words.
PIECES = """text => [...text.childNodes]
    .filter(node => !node.classList?.contains("tags"))
    .map(node => [node.nodeName === "MARK", node.textContent])"""


@dataclass
class Console:
    """A page that shows the console, and all that it asked for or tripped over since."""

    page: Page
    requested: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def classify(self, text: str) -> dict[str, Any]:
        """Type a text, press Ctrl+Enter, and give what the API answered."""
        self.page.get_by_label("Text to classify").fill(text)
        with self.page.expect_response("**/v1/classify") as response:
            self.page.keyboard.press("Control+Enter")
        answer: dict[str, Any] = response.value.json()
        expect(self.page.locator("#classify")).to_have_attribute("aria-disabled", "false")
        return answer


@pytest.fixture(scope="module")
def console(server: httpx.Client) -> Iterator[Console]:
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=CHROMIUM) as browser,
    ):
        console = Console(browser.new_page())
        console.page.on("request", lambda request: console.requested.append(request.url))
        console.page.on("pageerror", lambda error: console.errors.append(str(error)))
        console.page.goto(str(server.base_url))
        yield console


def test_the_marks_cover_exactly_the_passages_that_carry_a_frame(
    console: Console, codebook: Codebook
) -> None:
    (document,) = console.classify(TEXT)["documents"]
    carrying = [passage for passage in document["passages"] if passage["labels"]]
    assert carrying, "the small model marks nothing in the seed corpus"
    assert carrying[-1]["start"] > len(EMOJI)

    pieces: list[tuple[bool, str]] = console.page.locator("#text").evaluate(PIECES)
    assert "".join(words for _, words in pieces) == TEXT
    marked, position = [], 0
    for is_mark, words in pieces:
        if is_mark:
            marked.append((position, position + len(words)))
        position += len(words)
    assert marked == [(passage["start"], passage["end"]) for passage in carrying]

    names = {label.key: label.name for label in codebook.labels}
    tags = console.page.locator("#text .tags").evaluate_all(
        "all => all.map(tags => [...tags.children].map(tag => tag.textContent))"
    )
    assert tags == [[names[key] for key in passage["labels"]] for passage in carrying]
    assert console.page.title() == "Framescope"


def test_each_frame_stands_with_its_score_and_threshold(
    console: Console, codebook: Codebook
) -> None:
    (document,) = console.classify(TEXT)["documents"]
    rows = console.page.locator("#scores > li").all_inner_texts()
    for row, key in zip(rows, codebook.frames, strict=True):
        result = document["frames"][key]
        name, score, state, below = row.splitlines()
        assert name == next(label.name for label in codebook.labels if label.key == key)
        assert float(score) == pytest.approx(result["score"], abs=0.0006)
        assert state == ("present" if result["present"] else "not present")
        assert float(below.split()[1].rstrip(",")) == pytest.approx(result["threshold"], abs=0.0006)


@pytest.mark.parametrize("way", ["hover", "focus"])
def test_a_passage_tells_its_scores_its_voices_and_what_its_frames_mean(
    console: Console, codebook: Codebook, way: str
) -> None:
    (document,) = console.classify(TEXT)["documents"]
    carrying = [passage for passage in document["passages"] if passage["labels"]]
    passage, mark = carrying[-1], console.page.locator("mark").last
    mark.hover() if way == "hover" else mark.focus()
    detail = console.page.get_by_role("region", name="The selected passage")
    shown = detail.locator("li").all_inner_texts()
    assert len(shown) == len(codebook.labels)
    for label in codebook.labels:
        (row,) = (row for row in shown if row.startswith(label.name + "\n"))
        score = (passage["frames"] | passage["voice"])[label.key]
        assert float(row.splitlines()[1]) == pytest.approx(score, abs=0.0006)
        if label.key in passage["labels"]:
            assert label.definition in row


def test_warnings_and_errors_are_shown_as_text(console: Console) -> None:
    russian = "Министерство иностранных дел заявило, что обвинения не имеют под собой оснований."
    (document,) = console.classify(russian)["documents"]
    expect(console.page.locator("#warnings")).to_contain_text(document["warnings"][0]["message"])
    error = console.classify(" \n ")["error"]
    expect(console.page.get_by_role("alert")).to_have_text(error["message"])
    expect(console.page.locator("#results")).to_be_hidden()
    console.classify(russian)
    expect(console.page.get_by_role("alert")).to_have_text("")


def test_the_example_works_and_the_model_is_named(console: Console, server: httpx.Client) -> None:
    with console.page.expect_response("**/v1/classify") as response:
        console.page.get_by_role("button", name="Try an example").click()
    assert response.value.ok
    expect(console.page.locator("#results")).to_be_visible()
    card = server.get("/v1/model").json()
    for fact in (card["name"], card["version"], *card["provenance"]["languages"]):
        expect(console.page.locator("#model")).to_contain_text(fact)


def test_nothing_left_the_server_and_nothing_broke(console: Console, server: httpx.Client) -> None:
    console.classify(TEXT)
    origin = f"http://{server.base_url.netloc.decode()}"
    paths = {url.removeprefix(origin) for url in console.requested if not url.startswith("data:")}
    assert paths == {"/", "/v1/classify", "/v1/model", "/v1/codebook"}
    assert console.errors == []
