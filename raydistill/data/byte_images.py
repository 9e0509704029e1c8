"""Real images stored as bytes and converted to floats on use, so that training on 224 x 224 images needs less memory.

They need a quarter of the memory of floats, on the CPU and on a GPU. All code takes real images as one float tensor and selects
batches from it, so this class is a tensor: selecting images (indexing, slicing, splitting) and moving them works on the bytes;
every other operation first converts to floats. A selected batch is bit for bit equal to the batch from a float tensor, because
standardisation treats every value by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from raydistill.data.preprocess import Standardise

aten = torch.ops.aten


class ByteImages(Tensor):
    """(N, C, H, W) standardised float32 images, stored as bytes."""

    stored: Tensor
    """(N, C, H, W) uint8."""
    white: int
    channel_mean: Tensor
    """(1, C, 1, 1) float32, kept on the device: creating it there at each use would wait for all work queued on a GPU."""
    channel_std: Tensor

    @staticmethod
    def __new__(cls, stored: Tensor, white: int, mean: Tensor, std: Tensor) -> ByteImages:
        """Images of bytes whose largest value is `white`."""
        made: ByteImages = Tensor._make_wrapper_subclass(cls, stored.shape, dtype=torch.float32, device=stored.device)
        made.stored, made.white = stored, white
        made.channel_mean, made.channel_std = mean.to(stored.device), std.to(stored.device)
        return made

    def floats(self) -> Tensor:
        """The same images as an ordinary tensor."""
        return self._as_floats(self.stored)

    def _as_floats(self, stored: Tensor) -> Tensor:
        return (stored.to(torch.float32) / self.white - self.channel_mean) / self.channel_std

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Callable[..., Any], types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Select or move images as bytes; do every other operation on floats.

        Raises:
            TypeError: the operation would change the images in place.
        """
        options = dict(kwargs or {})
        if args and isinstance(args[0], ByteImages):
            if func._schema.is_mutable:  # type: ignore[attr-defined]
                raise TypeError(f"{func} would change real images in place, which are stored as bytes; change a clone instead")
            if func is aten.index.Tensor and _picks_images(args[1]):
                return args[0]._as_floats(func(args[0].stored, args[1]))
            if func is aten.select.int and args[1] == 0:
                return args[0]._as_floats(func(args[0].stored, *args[1:])).squeeze(0)
            if _keeps_bytes(func, args, options):
                options.pop("dtype", None)
                picked = func(args[0].stored, *args[1:], **options)
                return tree_map_only(Tensor, args[0]._with, picked)
        args, options = tree_map_only(ByteImages, ByteImages.floats, (args, options))
        return func(*args, **options)

    def _with(self, stored: Tensor) -> ByteImages:
        return ByteImages(stored, self.white, self.channel_mean, self.channel_std)

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        """How the images are pickled for another process."""
        return ByteImages, (self.stored, self.white, self.channel_mean, self.channel_std)

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        return f"ByteImages({tuple(self.shape)}, device={self.device})"


def byte_images(stored: Tensor, white: int, preprocess: Standardise) -> ByteImages:
    """(N, C, H, W) bytes as images that are standardised with `preprocess`."""
    return ByteImages(stored, white, *preprocess.tensors(torch.float32, stored.device))


def _picks_images(indices: Sequence[Tensor | None]) -> bool:
    """Whether indices select whole images, in any shape; more than one index would select channels or pixels."""
    return len(indices) == 1 and indices[0] is not None and (indices[0].dtype != torch.bool or indices[0].ndim == 1)


def _keeps_bytes(func: Callable[..., Any], args: Sequence[Any], options: Mapping[str, Any]) -> bool:
    """Whether the result of an operation consists of whole images."""
    if func is aten.split.Tensor:
        return len(args) == 2 or args[2] == 0
    if func in (aten.slice.Tensor, aten.index_select.default):
        return len(args) == 1 or args[1] == 0
    if func is aten._to_copy.default:
        return options.get("dtype") in (None, torch.float32)
    return func is aten.detach.default
