"""A pretend GPU: tensors that say `pretend:0`, live in CPU memory, and refuse to be mixed with CPU tensors, as CUDA's do.

It shows, without a GPU, what is placed where (mixed devices and CPU generators are errors), how often a loop waits for the
device, how many copies go to it and how many kernels are launched, and how many bytes its tensors hold. It shows neither speed
nor streams, nor what CUDA's kernels compute.

PyTorch takes one such device per process, and only before the process's first backward pass: autograd then counts devices. So
tests on it run in a process of their own; see `tests/test_pretend_gpu.py`.
"""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch import library as operators
from torch.optim import optimizer as torch_optimizer
from torch.utils import backend_registration
from torch.utils._mode_utils import no_dispatch

NAME = "pretend"
HAS_PYTHON_DEVICES = hasattr(backend_registration, "_setup_privateuseone_for_python_backend")
WITHOUT_THEM = f"PyTorch {torch.__version__} has no devices written in Python; 2.9 and later have them"
ROUNDED_TO = 512
"""Bytes of the smallest block of CUDA's allocator."""

aten = torch.ops.aten
WAITS_FOR_SHAPE = {
    "nonzero",
    "masked_select",
    "_unique2",
    "unique_dim",
    "unique_consecutive",
    "equal",
    "bincount",
    "repeat_interleave",
}
"""Operators whose result's shape or value the host must know: it waits for the device."""
INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_"}
LAUNCH_NOTHING = {"_unsafe_view", "empty", "empty_strided", "empty_like", "new_empty", "new_empty_strided", "detach"}


class MixedDevicesError(Exception):
    """An operator that CUDA would refuse: tensors of two devices, or a CPU generator for numbers on the device."""


@dataclass(kw_only=True, eq=False)
class Counts:
    """What the device was asked to do."""

    waits: Counter[str] = field(default_factory=Counter)
    """Times the host waited for the device, by the reason."""
    copies: int = 0
    """Copies from the host to the device."""
    kernels: Counter[str] = field(default_factory=Counter)
    """Operators that launch a kernel, by name; views and allocations launch none."""

    def __sub__(self, earlier: Counts) -> Counts:
        return Counts(
            waits=self.waits - earlier.waits, copies=self.copies - earlier.copies, kernels=self.kernels - earlier.kernels
        )

    def copy(self) -> Counts:
        return Counts(waits=self.waits.copy(), copies=self.copies, kernels=self.kernels.copy())


class Memory:
    """Bytes that tensors of the device hold, now and at most."""

    def __init__(self) -> None:
        self.live = self.peak = 0
        self._holders: dict[int, int] = {}

    def hold(self, outer: Tensor, inner: Tensor) -> None:
        """Count the storage of `inner` for as long as `outer`, or another tensor of that storage, lives."""
        storage = inner.untyped_storage()
        number, size = storage._cdata, -(-storage.nbytes() // ROUNDED_TO) * ROUNDED_TO
        if number not in self._holders:
            self.live += size
            self.peak = max(self.peak, self.live)
        self._holders[number] = self._holders.get(number, 0) + 1
        weakref.finalize(outer, self._let_go, number, size)

    def _let_go(self, number: int, size: int) -> None:
        self._holders[number] -= 1
        if self._holders[number] == 0:
            del self._holders[number]
            self.live -= size


COUNTS, MEMORY = Counts(), Memory()
_KEPT: list[operators.Library] = []
"""What is taken back when it is forgotten."""


class OnDevice(Tensor):
    """A tensor of the device, around the CPU tensor `inner` that holds its numbers."""

    inner: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, inner: Tensor) -> OnDevice:
        outer = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=torch.device(NAME, 0),
        )
        outer.inner = inner
        MEMORY.hold(outer, inner)
        return outer

    def __repr__(self, **_: Any) -> str:
        return f"OnDevice({self.inner!r})"

    def tolist(self) -> Any:
        COUNTS.waits["tolist"] += 1
        return self.inner.tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


class _Module:
    """What `torch.pretend` is."""

    is_initialized = is_available = staticmethod(lambda: True)
    current_device = staticmethod(lambda: 0)
    device_count = staticmethod(lambda: 1)
    _is_in_bad_fork = staticmethod(lambda: False)
    manual_seed_all = staticmethod(lambda seed: None)
    max_memory_allocated = staticmethod(lambda device=None: MEMORY.peak)

    @staticmethod
    def reset_peak_memory_stats(device: Any = None) -> None:
        MEMORY.peak = MEMORY.live


def register() -> None:
    """Make the device known to PyTorch; once in a process, before its first backward pass."""
    backend_registration._setup_privateuseone_for_python_backend(NAME, _Module())
    fallback = operators.Library("_", "IMPL")
    fallback.fallback(lambda func, *args, **kwargs: _run(func, args, kwargs), "PrivateUse1")  # what makes tensors from nothing
    _KEPT.append(fallback)
    # PyTorch updates parameters of its own tensor types together; a GPU's tensors are of these types, so ours are one too.
    torch_optimizer._foreach_supported_types.append(OnDevice)


@contextmanager
def in_use() -> Iterator[torch.device]:
    """Run a block with the device; gives the device."""
    before = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)  # a plain parameter cannot become one of ours in place
    torch._C._set_only_lift_cpu_tensors(True)  # `torch.tensor(..., device=ours)` makes a tensor of the CPU and copies it
    try:
        yield torch.device(NAME, 0)
    finally:
        torch._C._set_only_lift_cpu_tensors(False)
        torch.__future__.set_overwrite_module_params_on_conversion(before)


def to_host(tensor: Tensor) -> Tensor:
    """A copy on the CPU that counts as nothing."""
    return _bare(tensor.detach()).clone()


def _is_ours(device: Any) -> bool:
    return device is not None and torch.device(device).type == NAME


def _bare(value: Any) -> Any:
    return value.inner if isinstance(value, OnDevice) else value


def _is_wait(name: str, args: Any) -> bool:
    if name in INDEXING:  # CUDA looks for the True of a mask, and copies indices of the CPU, and waits for both
        indices = [index for index in args[1] if index is not None]
        return any(index.dtype == torch.bool or not isinstance(index, OnDevice) for index in indices)
    return name in WAITS_FOR_SHAPE


@dataclass(frozen=True, kw_only=True, slots=True)
class _Facts:
    """What is asked of an operator at each call."""

    name: str
    launches: bool
    is_mutable: bool
    changes_shape: bool


@cache
def _facts(func: Any) -> _Facts:
    name = func._schema.name.removeprefix("aten::")
    return _Facts(
        name=name,
        launches=_launches(func, name),
        is_mutable=func._schema.is_mutable,
        changes_shape=torch.Tag.inplace_view in func.tags,
    )


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """What an operator takes or returns, with each value of its lists and tuples changed. PyTorch's own trees know more, and take
    a third of a test's time."""
    if type(value) in (list, tuple):
        return type(value)([_mapped(one, change) for one in value])
    return change(value)


def _tensors(values: Iterable[Any], found: list[Tensor]) -> list[Tensor]:
    """The tensors among values and in their lists and tuples, in addition to those found."""
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif type(value) in (list, tuple):
            _tensors(value, found)
    return found


def _launches(func: Any, name: str) -> bool:
    is_view = any(returned.alias_info is not None and not returned.alias_info.is_write for returned in func._schema.returns)
    return not is_view and torch.Tag.inplace_view not in func.tags and name not in LAUNCH_NOTHING


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Run an operator on the CPU tensors inside, with the device's rules; operators of the CPU alone are left as they are."""
    given = _tensors(kwargs.values(), _tensors(args, []))
    ours = [t for t in given if isinstance(t, OnDevice)]
    device = kwargs.get("device")
    if not ours and not _is_ours(device):
        return func(*args, **kwargs)
    facts = _facts(func)
    name = facts.name
    if name in ("_to_copy", "copy_"):
        return _copied(func, name, args, kwargs)
    if name == "_local_scalar_dense":
        COUNTS.waits["item"] += 1
        return func(_bare(args[0]))
    _refuse_mixtures(name, given, kwargs.get("generator"))
    if _is_wait(name, args):
        COUNTS.waits[name] += 1
    if facts.launches:
        COUNTS.kernels[name] += 1
    to_host = device is not None and not _is_ours(device)
    out = func(*_mapped(args, _bare), **_on_cpu(kwargs))
    if to_host:
        return out
    if facts.is_mutable and name.endswith("_"):
        if facts.changes_shape:
            with no_dispatch():  # the shape of the tensor outside changes as that of the one inside did
                func(*args, **kwargs)
        return args[0] if out is not None else None
    same = {id(t.inner): t for t in ours}
    return _mapped(out, lambda t: (same[id(t)] if id(t) in same else OnDevice(t)) if isinstance(t, Tensor) else t)


def _copied(func: Any, name: str, args: Any, kwargs: dict[str, Any]) -> Any:
    """A copy between devices or within ours: of `args[0]` to a new tensor, or of `args[1]` into `args[0]`."""
    if name == "copy_":
        source, is_to_ours = args[1], isinstance(args[0], OnDevice)
        is_async = kwargs.get("non_blocking", args[2] if len(args) > 2 else False)
    else:
        source, device = args[0], kwargs.get("device")
        is_to_ours = _is_ours(device) if device is not None else isinstance(source, OnDevice)
        is_async = kwargs.get("non_blocking", False)
    is_from_ours = isinstance(source, OnDevice)
    if is_from_ours and is_to_ours:
        COUNTS.kernels[name] += 1
    elif is_to_ours:
        COUNTS.copies += 1
        COUNTS.waits["copy to the device without non_blocking"] += not is_async
    else:
        COUNTS.waits["copy to the host"] += 1
    if name == "copy_":
        func(*_mapped(args, _bare), **kwargs)
        return args[0]
    out = func(_bare(source), **_on_cpu(kwargs))
    out = out.clone() if out is _bare(source) else out
    return OnDevice(out) if is_to_ours else out


def _on_cpu(kwargs: dict[str, Any]) -> dict[str, Any]:
    plain = {key: torch.device("cpu") if key == "device" and _is_ours(value) else _bare(value) for key, value in kwargs.items()}
    return plain | ({"pin_memory": False} if plain.get("pin_memory") else {})


def _refuse_mixtures(name: str, given: list[Tensor], generator: torch.Generator | None) -> None:
    ours = any(isinstance(t, OnDevice) for t in given)
    for tensor in given:
        is_allowed = isinstance(tensor, OnDevice) or (tensor.dim() == 0 and name not in INDEXING) or name in INDEXING
        if ours and not is_allowed:
            raise MixedDevicesError(f"{name}: a tensor of the device beside one of the CPU, of shape {tuple(tensor.shape)}")
    if generator is not None and generator.device.type == "cpu":
        raise MixedDevicesError(f"{name}: a generator of the CPU for numbers on the device")


def counted(work: Callable[[], Any]) -> Counts:
    """What the device was asked to do while `work` ran."""
    before = COUNTS.copy()
    work()
    return COUNTS - before
