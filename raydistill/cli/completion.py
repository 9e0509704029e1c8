"""What the shell completes: names of shipped spaces, and studies of a local store. Looks at file names alone, to be quick."""

from __future__ import annotations

from pathlib import Path

import typer

from raydistill.storage.layout import SPACE_FILE


def complete_space(incomplete: str) -> list[str]:
    """Shipped spaces that begin so; where none does, the shell completes file names."""
    package = Path(__file__).parents[1]
    folders = (package / "search_spaces", package.parent / "search_spaces")
    names = {path.stem for folder in folders for path in folder.glob("*.yaml")}
    return sorted(name for name in names if name.startswith(incomplete))


def complete_study(context: typer.Context, incomplete: str) -> list[str]:
    """Studies of the command's store that begin so; none of a store that is not a local folder."""
    store = str(context.params.get("store") or "studies")
    if "://" in store:
        return []
    names = [path.parent.name for path in Path(store).expanduser().glob(f"*/{SPACE_FILE}")]
    return sorted(name for name in names if name.startswith(incomplete))
