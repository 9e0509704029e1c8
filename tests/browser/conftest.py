"""Debian's Chromium, for every test that looks at a page."""

from __future__ import annotations

import shutil

import pytest

QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
"""A browser that asks nobody for anything but the page; without a sandbox, which root has not."""


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of Debian's browser."""
    path = shutil.which("chromium")
    if path is None:
        pytest.fail(
            "there is no chromium on the PATH, and no other browser will do: apt-get install chromium, then run this again"
        )
    return path


@pytest.fixture(scope="session")
def quiet() -> list[str]:
    """The browser's flags."""
    return QUIET
