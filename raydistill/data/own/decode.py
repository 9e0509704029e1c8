"""One image file as bytes of the wanted size and channels, with every conversion stated; nothing is converted silently.

An image that needs a decision is refused until the config makes it: transparency needs `background`, values that are not 8 bits
may need `value_range`. `CONVERSIONS` names all that is done to a picture otherwise.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from raydistill.data.own.conversions import CONVERSIONS
from raydistill.errors import Unusable as Unusable
from raydistill.spaces.sections import ImageFolderConfig

GREY = frozenset({"1", "L"})
COLOUR = frozenset({"RGB", "P", "CMYK", "YCbCr", "LAB", "HSV"})
WITH_ALPHA = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
SIXTEEN_BITS = 65535.0
EXIF_ORIENTATION = 0x0112

DAMAGED = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, zipfile.BadZipFile)
"""What Pillow, and numpy for arrays, raise where a file is damaged. A lack of memory says nothing about the file."""

MAY_BE_SKIPPED = frozenset({"unreadable", "not_finite", "small", "mode"})
"""Kinds of `Unusable` that `on_bad: skip` leaves out. The others wait for a decision, such as the background."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """What the config says about pixels."""

    size: int | None
    """Height and width; None leaves every image as large as it is."""
    fit: Literal["crop", "pad", "stretch"] = "crop"
    channels: Literal[1, 3] | None = None
    background: tuple[int, int, int] | None = None
    value_range: tuple[float, float] | None = None


def rules_of(config: ImageFolderConfig) -> Rules:
    """The rules in a data set's section."""
    return Rules(
        size=config.size,
        fit=config.fit,
        channels=config.channels,
        background=config.background,
        value_range=config.value_range,
    )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Decoded:
    """An image as the data set holds it."""

    pixels: NDArray[np.uint8]
    """(C, H, W); C is 1 for grey and 3 for colour."""
    conversions: tuple[str, ...]
    """Keys of `CONVERSIONS`, in the order in which they were made."""
    mode: str
    """Of the file, in Pillow's words."""
    width: int
    """Of the file in pixels, after turning."""
    height: int
    values: tuple[float, float] | None = None
    """Smallest and largest value in the file, of images that were scaled from more than 8 bits."""


def read(open_image: Callable[[], Image.Image], rules: Rules) -> Decoded:
    """Open and decode an image, and close it.

    Args:
        open_image: returns the opened file.
        rules: what the config says about pixels.

    Raises:
        Unusable: it cannot be opened, or `decode` refuses it.
    """
    try:
        opened = open_image()
    except (*DAMAGED, Image.DecompressionBombError) as error:
        raise _unreadable(error) from error
    with opened:
        return decode(opened, rules)


def decode(opened: Image.Image, rules: Rules) -> Decoded:
    """An opened image as bytes, with the conversions made.

    Raises:
        Unusable: it is damaged, smaller than the size, or needs a decision that the rules do not make.
    """
    try:
        return _Decoding(opened, rules).result()
    except Unusable:
        raise
    except (*DAMAGED, Image.DecompressionBombError) as error:
        raise _unreadable(error) from error


def _unreadable(error: Exception) -> Unusable:
    return Unusable(
        "unreadable", f"cannot be read as an image ({error})", "remove or replace it, or write on_bad: skip to leave it out"
    )


class _Decoding:
    """One image on its way from the file to bytes; notes the conversions as they are made."""

    def __init__(self, opened: Image.Image, rules: Rules) -> None:
        self.opened = opened
        self.rules = rules
        self.made: list[str] = []
        self.values: tuple[float, float] | None = None
        raw_modes = _raw_modes(opened)
        self.loses_bits = opened.mode in ("RGB", "RGBA") and ";16" in raw_modes
        """Whether Pillow reads 8 of 16 bits per channel."""
        self.is_grey_with_alpha = "LA;16" in raw_modes
        """Pillow makes colour with alpha of it."""

    def result(self) -> Decoded:
        has_alpha = self.opened.has_transparency_data
        turned = self._turned()
        width, height = turned.size
        if _has_more_frames(self.opened):
            self.made.append("first_frame_of_several")
        image = self._without_alpha(turned) if has_alpha else self._eight_bits(turned)
        image = self._of_size(self._with_channels(image))
        pixels = np.asarray(image)
        return Decoded(
            pixels=pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1),
            conversions=tuple(sorted(self.made, key=list(CONVERSIONS).index)),
            mode=self.opened.mode,
            width=width,
            height=height,
            values=self.values,
        )

    def _turned(self) -> Image.Image:
        self.opened.load()
        if self.opened.getexif().get(EXIF_ORIENTATION, 1) in range(2, 9):
            self.made.append("turned_as_exif_says")
        return ImageOps.exif_transpose(self.opened)

    def _without_alpha(self, image: Image.Image) -> Image.Image:
        """Drop an opaque alpha channel; lay any other on the background."""
        if image.mode not in GREY | COLOUR | WITH_ALPHA:
            raise Unusable(
                "mode",
                f"has a transparent value among pixels of mode {image.mode}",
                "save it with 8 bits per channel, or without a transparent value",
            )
        if image.mode in ("P", "PA"):
            self.made.append("palette_to_colour")
        is_grey = image.mode in GREY | {"LA", "La"} or self.is_grey_with_alpha
        if self.loses_bits:
            self._refuse_range_for_colour()
            self.made.append("high_byte_of_16_bits")
        laid = image.convert("RGBA")
        if laid.getchannel("A").getextrema() == (255, 255):
            self.made.append("opaque_alpha_dropped")
            return laid.convert("RGB").convert("L") if is_grey else laid.convert("RGB")
        background = self.rules.background
        if background is None:
            raise Unusable(
                "transparency",
                "has transparency, so its colours are not defined",
                "write background: [255, 255, 255] to lay such images on white ([0, 0, 0] for black), or save them without an "
                "alpha channel",
            )
        self.made.append("alpha_laid_on_background")
        laid = Image.alpha_composite(Image.new("RGBA", laid.size, (*background, 255)), laid).convert("RGB")
        return laid.convert("L") if is_grey and len(set(background)) == 1 else laid

    def _eight_bits(self, image: Image.Image) -> Image.Image:
        """Grey or colour of 8 bits."""
        mode = image.mode
        if mode in GREY:
            self.made += ["bilevel_to_grey"] if mode == "1" else []
            return image.convert("L")
        if mode in COLOUR:
            if mode == "P":
                self.made.append("palette_to_colour")
            elif mode != "RGB":
                self.made.append(f"{mode.lower()}_to_colour")
            elif self.loses_bits:
                self._refuse_range_for_colour()
                self.made.append("high_byte_of_16_bits")
            return image.convert("RGB")
        if mode in ("I", "F") or mode.startswith("I;16"):
            return self._scaled(np.asarray(image).astype(np.float64))
        raise Unusable(
            "mode", f"has pixels of mode {mode}", "allowed are grey and colour of 8 or 16 bits, and grey floats: convert it"
        )

    def _refuse_range_for_colour(self) -> None:
        if self.rules.value_range is not None:
            raise Unusable(
                "value_range",
                "has colour or alpha of 16 bits per channel, of which the upper 8 bits alone are read, so value_range cannot be "
                "used",
                "save it with 8 bits per channel, or leave value_range out",
            )

    def _scaled(self, values: NDArray[np.float64]) -> Image.Image:
        """Values of more than 8 bits as grey of 8 bits."""
        if not np.isfinite(values).all():
            raise Unusable(
                "not_finite", "has values that are not numbers (NaN or infinite)", "replace these values, or remove it"
            )
        low, high = float(values.min()), float(values.max())
        self.values = (low, high)
        black, white = self._range(low, high)
        if low < black or high > white:
            self.made.append("cut_off_at_value_range")
        scaled = (np.clip(values, black, white) - black) / (white - black) * 255
        return Image.fromarray(np.rint(scaled).astype(np.uint8))

    def _range(self, low: float, high: float) -> tuple[float, float]:
        """The values that become black and white."""
        mode = self.opened.mode
        if self.rules.value_range is not None:
            self.made.append("scaled_from_value_range")
            return self.rules.value_range
        if mode.startswith("I;16") or (mode == "I" and self.opened.format in ("PNG", "PPM")):
            self.made.append("scaled_from_16_bits")
            return 0.0, SIXTEEN_BITS
        if mode == "F" and low >= 0 and high <= 1:
            self.made.append("scaled_from_0_to_1")
            return 0.0, 1.0
        kind = "floats" if mode == "F" else "whole numbers of 32 bits"
        raise Unusable(
            "value_range",
            f"has {kind} from {low:g} to {high:g}, and no file says which of them are black and white",
            "write value_range: [black, white], the same for all images, such as value_range: [0, 255]",
        )

    def _with_channels(self, image: Image.Image) -> Image.Image:
        if self.rules.channels == 1 and image.mode == "RGB":
            self.made.append("colour_to_grey")
            return image.convert("L")
        if self.rules.channels == 3 and image.mode == "L":
            self.made.append("grey_to_colour")
            return image.convert("RGB")
        return image

    def _of_size(self, image: Image.Image) -> Image.Image:
        """Make an image square and of the size; one that is so already is returned unchanged."""
        size = self.rules.size
        if size is None or image.size == (size, size):
            return image
        self._refuse_smaller(image, size)
        if image.size != (image.width, image.width):
            self.made.append({"crop": "cropped", "pad": "padded", "stretch": "stretched"}[self.rules.fit])
        if (max if self.rules.fit == "pad" else min)(image.size) > size or self.rules.fit == "stretch":
            self.made.append("scaled_down")
        if self.rules.fit == "stretch":
            return image.resize((size, size), Image.Resampling.BILINEAR)
        if self.rules.fit == "crop":
            return ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)
        around = self.rules.background or (0, 0, 0)
        # The background of a grey image is the luma of the colour, as Pillow has it.
        level = Image.new("RGB", (1, 1), around).convert(image.mode).getpixel((0, 0))
        return ImageOps.pad(image, (size, size), Image.Resampling.BILINEAR, color=level)  # type: ignore[arg-type]

    def _refuse_smaller(self, image: Image.Image, size: int) -> None:
        side = (max if self.rules.fit == "pad" else min)(image.size)
        if side < size:
            raise Unusable(
                "small",
                f"has {image.width} x {image.height} pixels, smaller than size {size}",
                f"images are not enlarged: write size: {side} or smaller, or remove it",
                side,
            )


def _raw_modes(opened: Image.Image) -> str:
    """How the decoder reads the file's values: Pillow says it only until the image is loaded."""
    return " ".join(str(tile[3:]) for tile in getattr(opened, "tile", ()))


def _has_more_frames(opened: Image.Image) -> bool:
    """Whether a file goes on after its first frame; what comes then may be damaged, which costs the first one nothing."""
    try:
        return bool(getattr(opened, "is_animated", False))
    except (OSError, SyntaxError, ValueError, EOFError, LookupError, struct.error, Image.DecompressionBombError):
        return True
