"""Ray's dashboard as a person sees it while a search runs: Debian's Chromium, headless, against the real thing."""

from __future__ import annotations

import os
import re
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

SEARCH = [
    "network.width=4",
    "evaluation={recipe: plain, networks: 2, baseline_networks: 2, confirm_networks: 2}",
    "goal.margin_fraction=0.5",
    "method.random_inits=100000",
    "budget.trials=2",
    "resources.max_concurrent_trials=1",
]
"""Digits, with a baseline of seconds and a first trial that outlasts the test."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Dashboard:
    """A dashboard, and what opens it."""

    url: str
    token: str


@pytest.fixture(scope="module")
def dashboard(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """The dashboard of a search whose first trial runs, on a cluster that asks for a token; none without a browser to see it."""
    folder = tmp_path_factory.mktemp("search")
    token = folder / "token"
    token.write_text(secrets.token_hex(32))
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
    options = [word for override in SEARCH for word in ("--set", override)]
    process = subprocess.Popen(
        [sys.executable, "-m", "raydistill", "search", "digits_datadam", "--store", str(folder), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env=environment,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        url = line_with(process, r"Ray's dashboard: (http://\S+)")
        line_with(process, r"(trial 0 \(\w+\): step 0)")
        yield Dashboard(url=url, token=token.read_text())
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(300)


def line_with(process: subprocess.Popen[str], pattern: str) -> str:
    """The group of a pattern in the first line of a program's output that has it."""
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if found := re.search(pattern, line):
            return found.group(1)
    raise AssertionError("".join(seen))


@pytest.fixture
def page(chromium: str, quiet: list[str]) -> Iterator[Page]:
    """A fresh browser, which knows no token."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, headless=True, args=quiet)
        opened = browser.new_page(viewport={"width": 1500, "height": 700})
        opened.set_default_timeout(300_000)  # milliseconds; Playwright's own 30 seconds are not enough on a busy machine
        yield opened
        browser.close()


def log_in(page: Page, dashboard: Dashboard, token: str) -> None:
    """Open the Actors page and answer the question for the token."""
    page.goto(f"{dashboard.url}/#/actors")
    page.fill("[role=dialog] input", token)
    page.click("[role=dialog] button:has-text('Submit')")


def test_a_running_trial_is_found_by_its_ipc_on_the_actors_page(page: Page, dashboard: Dashboard, tmp_path: Path) -> None:
    log_in(page, dashboard, dashboard.token)
    row = page.locator("tr", has_text=re.compile(r"datadam ipc=\d+ trial 0 \(\w{12}\) lr_images=\S+ mmd_weight=\S+"))
    row.wait_for()
    assert "ALIVE" in row.inner_text()
    page.screenshot(path=tmp_path / "actors.png")
    assert (tmp_path / "actors.png").read_bytes().startswith(b"\x89PNG")


def test_a_trials_log_has_a_line_per_reading(page: Page, dashboard: Dashboard) -> None:
    log_in(page, dashboard, dashboard.token)
    page.locator("tr", has_text="trial 0 (").get_by_text("Log", exact=True).click()
    page.get_by_role("tab", name="STDOUT").click()
    line = re.compile(
        r"study=digits-datadam trial=\w{12} ask_number=0 ipc=\d+ step=0 accuracy_fraction=0\.\d{4} gap=\S+ seconds=\S+"
    )
    page.get_by_text(line).wait_for()


def test_a_wrong_token_shows_nothing(page: Page, dashboard: Dashboard) -> None:
    log_in(page, dashboard, "0" * 64)
    page.get_by_text("Invalid authentication token").wait_for()
    assert page.locator("[role=dialog] input").is_visible()
    assert "ipc=" not in page.content()
