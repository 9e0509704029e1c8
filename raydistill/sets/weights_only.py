"""Reads a published file of tensors in a process of its own: `python -m raydistill.sets.weights_only FILE ENTRY OUT`.

Only this module opens such files. Only tensors and plain numbers are read (torch's weights-only mode); a file with anything else,
which could run code, is refused. The tensors are written to OUT as safetensors, with metadata; the reason for a refusal goes to
stderr, with exit code 3.

Supported contents: a tensor or a number; (images, labels); a mapping with `images`, `labels` and optionally `lr` (a tensor or a
number); the mapping of DC, DM and DataDAM, whose `data` lists (images, labels) for each repetition of the experiment. ENTRY says
which of them: a number counted from 1, `last`, or `all`.
"""

from __future__ import annotations

import json
import re
import resource
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

REFUSED = 3
"""Exit code for a file that is refused."""
# DC's files also contain accuracies as numpy scalars. These names create only numbers and types; two belong to numpy 1 and 2.
NUMPY: list[Any] = [
    np.dtype,
    np.dtypes.Float64DType,
    np.dtypes.Float32DType,
    np.dtypes.Int64DType,
    (np._core.multiarray.scalar, "numpy._core.multiarray.scalar"),  # type: ignore[attr-defined]
    (np._core.multiarray.scalar, "numpy.core.multiarray.scalar"),  # type: ignore[attr-defined]
]


class RefusedError(Exception):
    """The file cannot be read safely as a set; the message says why."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Entry:
    """One set of a published file."""

    tensors: dict[str, Tensor]
    """`images`, `labels` and `lr`, as far as they are there; or `tensor` alone."""
    number: int
    """Counted from 1."""
    count: int
    """Sets in the file."""
    place: str
    """Where in the file the set was found."""


def read_entries(path: Path, which: str) -> list[Entry]:
    """The sets of a file that are asked for.

    Args:
        path: the file.
        which: a number counted from 1, `last` or `all`.

    Raises:
        RefusedError: the content is not supported, the file contains code, or it has no such entry.
    """
    found = _sets_of(_load(path))
    count = len(found)
    if which not in ("last", "all") and not (which.isdecimal() and 1 <= int(which) <= count):
        holds = "1 set" if count == 1 else f"{count} sets"
        raise RefusedError(f"it contains {holds}, and --entry is {which}; allowed: 1 to {count}, or all")
    numbers = range(1, count + 1) if which == "all" else [count if which == "last" else int(which)]
    entries = []
    for number in numbers:
        tensors, place = found[number - 1]
        for name, tensor in tensors.items():
            _check_plain(name, tensor, path)
        copied = {name: tensor.detach().contiguous().clone() for name, tensor in tensors.items()}
        entries.append(Entry(tensors=copied, number=number, count=count, place=place))
    return entries


def _check_plain(name: str, tensor: Tensor, path: Path) -> None:
    size = tensor.numel() * tensor.element_size()
    if tensor.is_meta:
        raise RefusedError(f"entry {name!r} has a shape, but no values; ask its author for a file of plain tensors")
    if tensor.layout != torch.strided or tensor.is_quantized or size > path.stat().st_size:
        raise RefusedError(
            f"entry {name!r} is not a plain tensor, or claims {size} bytes, more than the file has; ask its author for a "
            "file of plain tensors"
        )


def write_entries(entries: list[Entry], out: Path) -> None:
    """Write sets as one safetensors file, which `read_written` reads."""
    tensors = {f"{place}/{name}": tensor for place, entry in enumerate(entries) for name, tensor in entry.tensors.items()}
    about = [{"number": entry.number, "count": entry.count, "place": entry.place} for entry in entries]
    save_file(tensors, str(out), {"entries": json.dumps(about)})


def read_written(path: Path) -> list[Entry]:
    """The sets in a file that `write_entries` wrote."""
    with safe_open(str(path), framework="pt") as read:
        tensors = {name: read.get_tensor(name) for name in read.keys()}
        about = json.loads(read.metadata()["entries"])
    split = [(*name.split("/"), tensor) for name, tensor in tensors.items()]
    return [
        Entry(tensors={name: tensor for owner, name, tensor in split if owner == str(place)}, **entry)
        for place, entry in enumerate(about)
    ]


def _load(path: Path) -> Any:
    try:
        with torch.serialization.safe_globals(NUMPY):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # A hostile file may cause any error; only the message leaves this process.
        code = re.search(r"GLOBAL ([\w.]+)", str(error))
        if code:
            raise RefusedError(
                f"it contains code or objects ({code[1]}) that a set does not need; none of it was run: ask its author for a "
                "file of plain tensors"
            ) from error
        if type(error).__name__ == "UnpicklingError":  # torch's own message advises to read the file without this protection
            raise RefusedError(
                "it is not a file of plain tensors written by torch.save (it may contain code, or be another kind of pickle); "
                "none of it was run: ask its author for a file of plain tensors"
            ) from error
        raise RefusedError(
            f"it is not a file of tensors ({type(error).__name__}: "
            f"{str(error).splitlines()[0][:200] if str(error) else 'empty'}); give a .pt file written by torch.save"
        ) from error


def _sets_of(loaded: Any) -> list[tuple[dict[str, Tensor], str]]:
    """Every set of a file, with where it was found."""
    if isinstance(loaded, Mapping) and isinstance(loaded.get("data"), list) and loaded["data"]:
        count = len(loaded["data"])
        return [(_pair(pair), f"set {number} of {count}") for number, pair in enumerate(loaded["data"], start=1)]
    return [_only_set_of(loaded)]


def _only_set_of(loaded: Any) -> tuple[dict[str, Tensor], str]:
    if isinstance(loaded, Tensor) or _is_number(loaded):
        return {"tensor": _tensor("lr", loaded)}, "a single tensor"
    if isinstance(loaded, Mapping) and isinstance(loaded.get("images"), Tensor):
        names = [name for name in ("images", "labels", "lr") if loaded.get(name) is not None]
        return {name: _tensor(name, loaded[name]) for name in names}, "images and labels by name"
    if isinstance(loaded, list | tuple):
        return _pair(loaded), "a pair of images and labels"
    keys = f" with the keys {', '.join(map(str, loaded))}" if isinstance(loaded, Mapping) else ""
    raise RefusedError(
        f"it contains a {type(loaded).__name__}{keys}; supported: a tensor, (images, labels), a mapping with images and labels, "
        "or a mapping whose 'data' lists (images, labels)"
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _tensor(name: str, value: Any) -> Tensor:
    """An entry as a tensor; the learned learning rate may be a plain number."""
    if isinstance(value, Tensor) or (name == "lr" and _is_number(value)):
        try:
            return torch.as_tensor(value)
        except (ValueError, OverflowError, RuntimeError) as error:
            raise RefusedError(f"a number in it is too large ({error}); ask its author for plain tensors") from error
    raise RefusedError(f"entry {name!r} is a {type(value).__name__}; expected a tensor: ask its author for plain tensors")


def _pair(entry: Any) -> dict[str, Tensor]:
    if not isinstance(entry, list | tuple) or len(entry) != 2 or not all(isinstance(part, Tensor) for part in entry):
        raise RefusedError("its entries are not (images, labels); give images and labels as two separate files")
    return {"images": entry[0], "labels": entry[1]}


def _bound_memory(path: Path) -> None:
    """Limit this process's memory to its present use, four times the file and 1 GiB: a packed file may claim to be far larger."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + 4 * path.stat().st_size + 2**30
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def main() -> None:
    """Read the file in the first argument, and write the sets of it that the second names to the third."""
    source, which, out = sys.argv[1:]
    _bound_memory(Path(source))
    try:
        entries = read_entries(Path(source), which)
    except RefusedError as error:
        print(error, file=sys.stderr)
        sys.exit(REFUSED)
    write_entries(entries, Path(out))


if __name__ == "__main__":
    main()
