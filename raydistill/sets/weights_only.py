"""Reads a file of tensors that others published, in a process of its own: `python -m raydistill.sets.weights_only FILE OUT`.

The one place that opens such a file. Only tensors and plain numbers are read from it (torch's weights-only mode); a file that
asks for anything else, which is how code would get in, is refused before it runs. What is found goes to OUT as safetensors, with
a line of metadata; why it is refused goes to stderr, with exit code 3.

Known forms: a tensor or a number; (images, labels); a mapping with `images`, `labels` and perhaps `lr`, a tensor or a number;
DC's, DM's and DataDAM's mapping whose `data` lists (images, labels) per evaluation, the first of them before any distillation, so
that the last is the set.
"""

from __future__ import annotations

import re
import resource
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

REFUSED = 3
"""Exit code for a file that is not what it should be."""
# Accuracies that DC's files hold beside the images. They build numbers and types, and under numpy 1's names too.
NUMPY: list[Any] = [
    np.dtype,
    np.dtypes.Float64DType,
    np.dtypes.Float32DType,
    np.dtypes.Int64DType,
    (np._core.multiarray.scalar, "numpy._core.multiarray.scalar"),  # type: ignore[attr-defined]
    (np._core.multiarray.scalar, "numpy.core.multiarray.scalar"),  # type: ignore[attr-defined]
]


class RefusedError(Exception):
    """The file is not a set that can be read without risk; the text says why."""


def read_tensors(path: Path) -> tuple[dict[str, Tensor], str]:
    """The tensors of a set, and where in the file they were found.

    Raises:
        RefusedError: it is no such file, or holds code.
    """
    found, place = _tensors_of(_load(path))
    for name, tensor in found.items():
        size = tensor.numel() * tensor.element_size()
        if tensor.layout != torch.strided or tensor.is_quantized or size > path.stat().st_size:
            raise RefusedError(f"its {name} claim {size} bytes, more than the file has, or are not plain; ask for plain tensors")
    return {name: tensor.detach().contiguous().clone() for name, tensor in found.items()}, place


def _load(path: Path) -> Any:
    try:
        with torch.serialization.safe_globals(NUMPY):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # Whatever a hostile file makes the reader raise; the message is all that leaves this process.
        wanted = re.search(r"GLOBAL ([\w.]+)", str(error))
        if wanted:
            raise RefusedError(
                f"it holds code or objects ({wanted[1]}) that a set does not need; nothing of it was run: ask its author for a "
                "file of plain tensors"
            ) from error
        if type(error).__name__ == "UnpicklingError":  # torch's own words end in advice to read the file without this safety
            raise RefusedError(
                "it is no file of tensors as torch.save writes them by itself (it may hold code, or be pickled otherwise), and "
                "nothing of it was run; ask its author for a file of plain tensors"
            ) from error
        raise RefusedError(
            f"it is no file of tensors ({type(error).__name__}: {str(error).splitlines()[0][:200] if str(error) else 'empty'}); "
            "give a .pt that torch.save wrote"
        ) from error


def _tensors_of(loaded: Any) -> tuple[dict[str, Tensor], str]:
    if isinstance(loaded, Tensor) or _is_number(loaded):
        return {"tensor": torch.as_tensor(loaded)}, "a single tensor"
    if isinstance(loaded, Mapping) and isinstance(loaded.get("data"), list) and loaded["data"]:
        return _pair(loaded["data"][-1]), f"the last of {len(loaded['data'])} entries"
    if isinstance(loaded, Mapping) and isinstance(loaded.get("images"), Tensor):
        names = [name for name in ("images", "labels", "lr") if loaded.get(name) is not None]
        return {name: _tensor(name, loaded[name]) for name in names}, "by name"
    if isinstance(loaded, list | tuple):
        return _pair(loaded), "a pair"
    keys = f" with the keys {', '.join(map(str, loaded))}" if isinstance(loaded, Mapping) else ""
    raise RefusedError(f"it holds a {type(loaded).__name__}{keys}; a tensor, (images, labels), or 'data' listing such are known")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _tensor(name: str, value: Any) -> Tensor:
    """An entry as a tensor; the learned rate may be a plain number."""
    if isinstance(value, Tensor) or (name == "lr" and _is_number(value)):
        return torch.as_tensor(value)
    raise RefusedError(f"its {name} are a {type(value).__name__}; a tensor is wanted: ask for plain tensors")


def _pair(entry: Any) -> dict[str, Tensor]:
    if not isinstance(entry, list | tuple) or len(entry) != 2 or not all(isinstance(part, Tensor) for part in entry):
        raise RefusedError("its entries are not (images, labels); give the tensors in files of their own")
    return {"images": entry[0], "labels": entry[1]}


def _bound_memory(path: Path) -> None:
    """Let this process take four times the file and 1 GiB beyond what it has: a packed file may claim to be far larger."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + 4 * path.stat().st_size + 2**30
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def main() -> None:
    """Read the first argument, write the second."""
    source, out = sys.argv[1:]
    _bound_memory(Path(source))
    try:
        tensors, place = read_tensors(Path(source))
    except RefusedError as error:
        print(error, file=sys.stderr)
        sys.exit(REFUSED)
    save_file(tensors, out, {"place": place})


if __name__ == "__main__":
    main()
