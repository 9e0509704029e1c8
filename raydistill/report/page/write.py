"""Writes a page where it was asked for: whole, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from raydistill.errors import InputError
from raydistill.storage.layout import REPORT_FILE
from raydistill.storage.store import Store


class Written(NamedTuple):
    """A page that was written."""

    path: str
    is_running: bool
    """Whether a search works on the study, so that the page will be out of date."""


def write_page(make: Callable[[str], str], path: str) -> str:
    """Make a page and write it; returns its path.

    Args:
        make: the text of the page, given the path where it will lie.
        path: a file of this machine or a URI, `.html`.

    Raises:
        InputError: the path is no .html file.
        StoreError: it cannot be written; then nothing is.
    """
    if not path.endswith((".html", ".htm")):
        raise InputError(f"given --out {path}; a page is an .html file: give for example {path.rstrip('/')}/{REPORT_FILE}")
    text = make(path)
    folder, _, name = path.rpartition("/")
    Store(folder or ("/" if path.startswith("/") else ".")).write(name, text)
    return path
