"""The page of a study as a person meets it: drawn at both widths, reached by keyboard, heard by a screen reader, alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hand_certified import certificate
from hand_race import picture, trial_id, write_race

import raydistill

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

WIDTHS = (400, 1400)
CHARTS = {"accuracy", "cost", "progress"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pages of a race of ten trials and of one of a thousand, and of a certificate."""
    folder = tmp_path_factory.mktemp("store")
    for name, trials in (("ten", 10), ("thousand", 1000)):
        write_race(folder / name, trials)
        (folder / name / "trials" / trial_id(5) / "images.png").write_bytes(picture(2))
        raydistill.write_report(folder / name)
    (folder / "certificate.json").write_text(certificate(controls={"random": [(150, 150, 150)]}).to_json())
    raydistill.write_report(folder / "certificate.json")
    return folder


@pytest.fixture(scope="module")
def browser(chromium: str, quiet: list[str]) -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, headless=True, args=quiet)
        yield opened
        opened.close()


def look(browser: Browser, page: Path, width: int = 1400, scheme: str = "light") -> tuple[Page, list[str]]:
    """A page at a width, and what went wrong on it: errors, words in the console, requests to anywhere."""
    opened = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    opened.set_default_timeout(300_000)  # milliseconds
    wrong: list[str] = []
    opened.on("console", lambda message: wrong.append(message.text))
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("request", lambda request: None if request.url.startswith(("data:", page.as_uri())) else wrong.append(request.url))
    opened.goto(page.as_uri())
    return opened, wrong


def outside(page: Page, selector: str) -> int:
    """How many of the drawn things lie beside their chart, or have no size."""
    return int(
        page.evaluate(
            """(selector) => Array.from(document.querySelectorAll(selector)).filter((drawn) => {
                const own = drawn.getBoundingClientRect(), plot = drawn.closest(".plot").getBoundingClientRect();
                return own.width + own.height === 0 || own.left < plot.left - 12 || own.right > plot.right + 12
                    || own.top < plot.top - 12 || own.bottom > plot.bottom + 12;
            }).length""",
            selector,
        )
    )


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(("name", "finished"), [("ten", 9), ("thousand", 900)])
def test_every_chart_is_drawn_and_nothing_is_asked_for(
    browser: Browser, store: Path, name: str, finished: int, width: int
) -> None:
    page, wrong = look(browser, store / name / "report.html", width)
    assert wrong == []
    assert page.evaluate("document.documentElement.scrollWidth") == width, "nothing sticks out"
    names = set(page.locator("figure.chart").evaluate_all("figures => figures.map((figure) => figure.id)"))
    assert names >= CHARTS
    assert page.locator("#accuracy a.dot .mark").count() >= finished
    assert page.locator("#cost a.dot .mark").count() == finished
    assert page.locator("#progress a.dot .mark").count() == finished + finished // 9
    assert outside(page, ".plot .mark, .plot .line") == 0
    page.close()


@pytest.mark.parametrize("width", WIDTHS)
def test_a_certificate_is_drawn_at_both_widths(browser: Browser, store: Path, width: int) -> None:
    page, wrong = look(browser, store / "certificate.html", width)
    assert wrong == []
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.locator("#gaps .dot .mark").count() == 2
    assert outside(page, ".plot .mark") == 0
    page.close()


def test_a_mark_is_reached_and_opened_by_keyboard_alone(browser: Browser, store: Path) -> None:
    page, wrong = look(browser, store / "ten" / "report.html")
    first = page.locator('#accuracy .dot[tabindex="0"]')
    assert first.count() == 1, "a chart is one stop on the way through the page"
    first.focus()
    page.keyboard.press("ArrowRight")
    label = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert label.startswith("Trial ")
    page.keyboard.press("Enter")
    sheet = page.locator("#sheet")
    sheet.wait_for()
    assert sheet.get_by_text("lr_images").count() + sheet.get_by_text("accuracy").count() > 0
    assert sheet.locator("h2").inner_text().startswith(label.partition(":")[0])
    page.keyboard.press("Escape")
    sheet.wait_for(state="hidden")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == label, "back where one was"
    page.keyboard.press("Home")
    assert first.evaluate("dot => dot === document.activeElement")
    assert wrong == []
    page.close()


def test_a_click_on_a_mark_opens_its_trial(browser: Browser, store: Path) -> None:
    page, _ = look(browser, store / "ten" / "report.html", 400)
    page.locator(f'#cost a.dot[href="#t-{trial_id(2)}"] .mark').click(force=True)
    assert "random · IPC 1" in page.locator("#sheet h2").inner_text()
    page.get_by_role("button", name="Close").click()
    page.locator("#sheet").wait_for(state="hidden")
    page.close()


def test_the_legend_hides_and_shows_an_arm(browser: Browser, store: Path) -> None:
    page, _ = look(browser, store / "ten" / "report.html")
    button = page.locator("#accuracy").get_by_role("button", name="dm", exact=True)
    shown = page.locator("#accuracy .dot:not(.off)")
    before = shown.count()
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    assert shown.count() == before - 2, "two finished trials of dm"
    button.click()
    assert shown.count() == before
    page.close()


def test_the_list_shows_the_trials_that_one_looks_for(browser: Browser, store: Path) -> None:
    page, _ = look(browser, store / "thousand" / "report.html")
    page.locator("#find").fill("dm, ipc 13 ")
    assert page.locator("#found").inner_text() == "17 shown"
    assert page.locator(".trial:not([hidden])").count() == 17
    page.close()


def test_a_screen_reader_hears_charts_by_name_and_marks_as_links(browser: Browser, store: Path) -> None:
    page, _ = look(browser, store / "ten" / "report.html")
    heard = page.locator("#accuracy").aria_snapshot()
    assert 'heading "Accuracy against images per class" [level=2]' in heard
    assert 'group "Accuracy against images per class 9 finished trials of 4 methods and controls' in heard
    assert 'link "Trial 1: dm at IPC 1, accuracy 88.00 %, gap 10.00 points' in heard
    assert page.get_by_role("img", name="Images of the set of dm at IPC 2").count() <= 1
    page.close()


def test_without_scripts_a_mark_leads_to_its_trial_in_the_list(browser: Browser, store: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((store / "ten" / "report.html").as_uri())
    assert page.locator(f'#accuracy a.dot[href="#t-{trial_id(1)}"]').count() == 1
    assert page.locator(f"#t-{trial_id(1)}").count() == 1
    context.close()


def test_the_page_follows_the_readers_light_or_dark(browser: Browser, store: Path) -> None:
    grounds = {}
    for scheme in ("light", "dark"):
        page, wrong = look(browser, store / "ten" / "report.html", scheme=scheme)
        grounds[scheme] = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert wrong == []
        page.close()
    assert grounds == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 26)"}
