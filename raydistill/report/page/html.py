"""From data to the text of a page: the templates, what every page has, and where its links lead."""

from __future__ import annotations

import functools
import importlib.metadata
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from raydistill.report.looks import Look
from raydistill.storage.store import Store


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """A cell of a table, or a value in a list: its text, and the file that it is from."""

    text: str
    href: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A table as people read it."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    """How to read it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """A name and a value."""

    name: str
    value: str
    more: str = ""
    href: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """What every page has above its content."""

    title: str
    kicker: str
    heading: str
    """The finding, up to its colon; `rest` is what follows."""
    rest: str = ""
    lead: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """Files that were left out, a sentence for each."""
    changed: tuple[str, ...] = ()
    """Files that are gone or changed since the search ended, and that the page shows as they are."""
    refresh: int | None = None
    """Seconds after which the page of a running study loads itself again."""
    looks: tuple[Look, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Links:
    """Makes links from the page to the files of a store."""

    store: Store
    page: str | None
    """Folder of the page, on this machine; None for a page on another store."""

    def to(self, *parts: str) -> str:
        """The link to a file: relative where page and file lie on one machine, so that both can move together."""
        if not self.store.is_local or self.page is None:
            target = self.store.path(*parts)
            return target if "://" in target else Path(target).absolute().as_uri()
        target = os.path.relpath(self.store.local_path(*parts).absolute(), self.page)
        return quote(target.replace(os.sep, "/"))


def links_from(folder: Store, page: str) -> Links:
    """Links to the files of a folder, from a page at a path or URI."""
    return Links(store=folder, page=None if "://" in page else str(Path(page).expanduser().absolute().parent))


def render_html(template: str, head: Head, content: Mapping[str, Any]) -> str:
    """The text of a page.

    Args:
        template: its file.
        head: what every page has.
        content: what the template shows besides.
    """
    shared = {name: getattr(head, name) for name in Head.__dataclass_fields__}
    written = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
    page = {**shared, **content, "version": importlib.metadata.version("raydistill"), "written": written}
    return _templates().get_template(template).render(page=page)


def table_of(caption: str, head: Iterable[str], rows: Iterable[Iterable[Cell | str]], note: str = "") -> Table:
    """A table whose cells may be plain text."""
    cells = tuple(tuple(cell if isinstance(cell, Cell) else Cell(text=cell) for cell in row) for row in rows)
    return Table(caption=caption, head=tuple(head), rows=cells, note=note)


def split_sentence(sentence: str) -> tuple[str, str]:
    """The part of a finding up to its colon, with a capital letter, and the rest."""
    first, _, rest = sentence.rstrip(".").partition(": ")
    return first[:1].upper() + first[1:], f"{rest}." if rest else ""


@functools.cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=lambda name: name is not None and ".html" in name,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
