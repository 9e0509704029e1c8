"""Odd folders of images, and what each gets: the list behind the table in docs/odd-inputs.md and behind its test.

Every case begins with a folder of two classes, `a` and `b`, of 24 colour images of 24 x 24 pixels each, which is then spoiled.
"""

from __future__ import annotations

import io
import os
import shutil
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from own_images import fill, pictures
from PIL import Image

Spoil = Callable[[Path], object]


@dataclass(frozen=True, kw_only=True, slots=True)
class Odd:
    """One odd input."""

    what: str
    """In the words of the table."""
    spoil: Spoil
    gets: str
    """What happens, in the words of the table."""
    settings: tuple[str, ...] = ()
    """Fields of the dataset section beside `size: 16`."""
    conversions: Mapping[str, int] = field(default_factory=dict)
    """Made, beside `scaled_down` of all."""
    problem: str | None = None
    """Kind of the only kind of problem."""
    warning: str | None = None
    """Part of the only warning."""


def image(seed: int = 99, size: int = 24) -> Image.Image:
    return pictures(1, size=size, seed=seed)[0]


def grey() -> Image.Image:
    return image().convert("L")


def saved(name: str, made: Callable[[], Image.Image], kind: str | None = None, **options: object) -> Spoil:
    """Save one more image into class a."""
    return lambda folder: made().save(folder / "a" / name, kind, **options)  # type: ignore[arg-type]


def with_alpha(level: int) -> Callable[[], Image.Image]:
    def made() -> Image.Image:
        opaque = image().convert("RGBA")
        opaque.putalpha(level)
        return opaque

    return made


def palette_with_transparency(folder: Path) -> None:
    image().quantize(8).save(folder / "a" / "x.gif", transparency=0)


def levels(kind: type[np.generic], scale: float) -> Callable[[], Image.Image]:
    """Grey values of another type, from 0 to 255 times the scale."""
    return lambda: Image.fromarray((np.asarray(grey(), dtype=np.float64) * scale).astype(kind))


def all_grey(folder: Path, convert: Callable[[Image.Image], Image.Image], name: str) -> None:
    """Every image grey, after a conversion."""
    for file in sorted(folder.glob("*/*.png")):
        convert(Image.open(file).convert("L")).save(file.with_name(f"{file.stem}.{name}"))
        if name != "png":
            file.unlink()


def all_of_12_bits(folder: Path) -> None:
    all_grey(folder, lambda g: Image.fromarray(np.asarray(g).astype(np.uint16) * 16), "png")


def all_floats(scale: float) -> Spoil:
    return lambda folder: all_grey(folder, lambda g: Image.fromarray(np.asarray(g, dtype=np.float32) * np.float32(scale)), "tiff")


def not_a_number(folder: Path) -> None:
    values = np.asarray(grey(), dtype=np.float32) / 255
    values[0, 0] = np.nan
    Image.fromarray(values).save(folder / "a" / "x.tiff")


def colour_of_16_bits(folder: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    values = np.asarray(image(), dtype=">u2") * 257
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 24, 24, 16, 2, 0, 0, 0))
    data = b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    (folder / "a" / "x.png").write_bytes(data)


def turned(folder: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image().save(folder / "a" / "x.jpg", exif=exif)


def cut_off(folder: Path) -> None:
    file = folder / "a" / "0000.png"
    os.truncate(file, file.stat().st_size // 2)


def several_frames(name: str) -> Spoil:
    return lambda folder: image().save(folder / "a" / name, save_all=True, append_images=[image(98)])


def wide() -> Image.Image:
    return image(size=60).crop((0, 0, 60, 30))


def renamed(names: Mapping[str, str]) -> Spoil:
    def spoil(folder: Path) -> None:
        for old, new in names.items():
            (folder / old).rename(folder / new)

    return spoil


def numbered(folder: Path) -> None:
    fill(folder, {"0": 24, "1": 24, "10": 24, "2": 24}, seed=5)
    shutil.rmtree(folder / "a")
    shutil.rmtree(folder / "b")


def with_test(folder: Path) -> None:
    """Make it train/ and test/."""
    fill(folder / "train", {"a": 30, "b": 30})
    fill(folder / "test", {"a": 15, "b": 15}, seed=1)
    shutil.rmtree(folder / "a")
    shutil.rmtree(folder / "b")


def leaked(folder: Path) -> None:
    """Every image of the train part lies in the test part too, as JPEG."""
    with_test(folder)
    for name in ("a", "b"):
        for number in range(15):
            read = Image.open(folder / "train" / name / f"{number:04d}.png")
            (folder / "test" / name / f"{number:04d}.png").unlink()
            read.save(folder / "test" / name / f"{number:04d}.jpg", quality=95)


def twice(folder: Path) -> None:
    for file in sorted((folder / "a").iterdir())[:10]:
        shutil.copy(file, folder / "a" / f"copy-{file.name}")


def wrong_suffix(folder: Path) -> None:
    file = io.BytesIO()
    image().save(file, "JPEG")
    (folder / "a" / "x.png").write_bytes(file.getvalue())


def system_files(folder: Path) -> None:
    for name in ("Thumbs.db", ".DS_Store"):
        (folder / name).write_bytes(b"")


def imbalanced(folder: Path) -> None:
    fill(folder, {"a": 72}, seed=3)


ODD: tuple[Odd, ...] = (
    Odd(what="nothing odd", spoil=lambda folder: None, gets="used"),
    Odd(
        what="PNG with an opaque alpha channel",
        spoil=saved("x.png", with_alpha(255)),
        gets="used; the channel is dropped",
        conversions={"opaque_alpha_dropped": 1},
    ),
    Odd(
        what="PNG with transparency",
        spoil=saved("x.png", with_alpha(100)),
        gets="refused: what lies behind it?",
        problem="transparency",
    ),
    Odd(
        what="PNG with transparency, and `background`",
        spoil=saved("x.png", with_alpha(100)),
        settings=("background=[255, 255, 255]",),
        gets="used, laid on the background",
        conversions={"alpha_laid_on_background": 1},
    ),
    Odd(
        what="GIF with a transparent colour",
        spoil=palette_with_transparency,
        gets="refused in the same way",
        problem="transparency",
    ),
    Odd(
        what="GIF with a transparent colour, and `background`",
        spoil=palette_with_transparency,
        settings=("background=[0, 0, 0]",),
        gets="used, laid on the background",
        conversions={"alpha_laid_on_background": 1, "palette_to_colour": 1},
    ),
    Odd(
        what="one grey image with transparency among colour images, and `background`",
        spoil=saved("x.png", lambda: with_alpha(100)().convert("LA")),
        settings=("background=[0, 0, 0]",),
        gets="refused: it is grey",
        conversions={"alpha_laid_on_background": 1},
        problem="mixed_channels",
    ),
    Odd(
        what="one grey image among colour images",
        spoil=saved("x.png", grey),
        gets="refused: grey or colour?",
        problem="mixed_channels",
    ),
    Odd(
        what="one grey image among colour images, and `channels: 3`",
        spoil=saved("x.png", grey),
        settings=("channels=3",),
        gets="used in colour, three times the same",
        conversions={"grey_to_colour": 1},
    ),
    Odd(
        what="one grey image among colour images, and `channels: 1`",
        spoil=saved("x.png", grey),
        settings=("channels=1",),
        gets="used; all others become grey",
        conversions={"colour_to_grey": 48},
    ),
    Odd(
        what="colour images that look grey",
        spoil=saved("x.png", lambda: grey().convert("RGB")),
        gets="used in colour; three equal channels are colour",
    ),
    Odd(
        what="all images grey with 8 bits",
        spoil=lambda folder: all_grey(folder, lambda g: g, "png"),
        gets="used in grey",
    ),
    Odd(
        what="black and white of 1 bit, and `channels: 3`",
        spoil=saved("x.png", lambda: image().convert("1")),
        settings=("channels=3",),
        gets="used",
        conversions={"bilevel_to_grey": 1, "grey_to_colour": 1},
    ),
    Odd(
        what="PNG with a palette",
        spoil=saved("x.png", lambda: image().quantize(16)),
        gets="used in colour",
        conversions={"palette_to_colour": 1},
    ),
    Odd(
        what="JPEG in printing colours (CMYK)",
        spoil=saved("x.jpg", lambda: image().convert("CMYK")),
        gets="used in red, green and blue",
        conversions={"cmyk_to_colour": 1},
    ),
    Odd(
        what="TIFF in YCbCr",
        spoil=saved("x.tiff", lambda: image().convert("YCbCr")),
        gets="used in red, green and blue",
        conversions={"ycbcr_to_colour": 1},
    ),
    Odd(
        what="TIFF in CIE Lab",
        spoil=saved("x.tiff", lambda: Image.new("LAB", (24, 24), (90, 20, 30))),
        gets="used in red, green and blue",
        conversions={"lab_to_colour": 1},
    ),
    Odd(
        what="PNG in colour with 16 bits a channel",
        spoil=colour_of_16_bits,
        gets="used; the upper 8 bits are kept",
        conversions={"high_byte_of_16_bits": 1},
    ),
    Odd(
        what="PNG in colour with 16 bits a channel, and `value_range`",
        spoil=colour_of_16_bits,
        settings=("value_range=[0, 4095]",),
        gets="refused: only the upper 8 bits can be read",
        problem="value_range",
    ),
    Odd(
        what="all images grey with 16 bits, of which 12 are used",
        spoil=all_of_12_bits,
        gets="used, and a warning: they are dark, because 65535 becomes white",
        conversions={"scaled_from_16_bits": 48},
        warning="which makes them dark",
    ),
    Odd(
        what="all images grey with 16 bits, and `value_range: [0, 4080]`",
        spoil=all_of_12_bits,
        settings=("value_range=[0, 4080]",),
        gets="used with all 256 levels",
        conversions={"scaled_from_value_range": 48},
    ),
    Odd(
        what="all images floats from 0 to 1",
        spoil=all_floats(1 / 255),
        gets="used; 1 becomes white",
        conversions={"scaled_from_0_to_1": 48},
    ),
    Odd(
        what="all images floats from 0 to 255",
        spoil=all_floats(1),
        gets="refused: which values are black and white?",
        problem="value_range",
    ),
    Odd(
        what="all images floats from 0 to 255, and `value_range: [0, 255]`",
        spoil=all_floats(1),
        settings=("value_range=[0, 255]",),
        gets="used",
        conversions={"scaled_from_value_range": 48},
    ),
    Odd(
        what="grey whole numbers of 32 bits",
        spoil=saved("x.tiff", levels(np.int32, 300)),
        gets="refused: which values are black and white?",
        problem="value_range",
    ),
    Odd(what="floats with NaN", spoil=not_a_number, gets="refused, with any `value_range`", problem="not_finite"),
    Odd(
        what="floats with NaN, and `on_bad: skip`",
        spoil=not_a_number,
        settings=("on_bad=skip",),
        gets="left out, and listed",
        warning="left out (on_bad: skip): 1, such as a/x.tiff",
    ),
    Odd(
        what="a photograph that the camera noted to turn (EXIF)",
        spoil=turned,
        gets="used, turned",
        conversions={"turned_as_exif_says": 1},
    ),
    Odd(what="images of different size", spoil=saved("x.png", lambda: image(size=300)), gets="used, scaled down"),
    Odd(
        what="an image twice as wide as high",
        spoil=saved("x.png", wide),
        gets="used, cut to its middle",
        conversions={"cropped": 1},
    ),
    Odd(
        what="an image twice as wide as high, and `fit: pad`",
        spoil=saved("x.png", wide),
        settings=("fit=pad",),
        gets="used whole, with black above and below",
        conversions={"padded": 1},
    ),
    Odd(
        what="an image twice as wide as high, and `fit: stretch`",
        spoil=saved("x.png", wide),
        settings=("fit=stretch",),
        gets="used whole, stretched",
        conversions={"stretched": 1},
    ),
    Odd(what="an image smaller than `size`", spoil=saved("x.png", lambda: image(size=10)), gets="refused", problem="small"),
    Odd(
        what="an image smaller than `size`, and `on_bad: skip`",
        spoil=saved("x.png", lambda: image(size=10)),
        settings=("on_bad=skip",),
        gets="left out, and listed",
        warning="left out (on_bad: skip): 1, such as a/x.png",
    ),
    Odd(what="an empty file", spoil=lambda folder: (folder / "a/x.png").write_bytes(b""), gets="refused", problem="unreadable"),
    Odd(what="a text file named .png", spoil=lambda f: (f / "a/x.png").write_text("hello"), gets="refused", problem="unreadable"),
    Odd(what="a file that was cut off half-way", spoil=cut_off, gets="refused", problem="unreadable"),
    Odd(
        what="a file that was cut off half-way, and `on_bad: skip`",
        spoil=cut_off,
        settings=("on_bad=skip",),
        gets="left out, and listed",
        warning="left out (on_bad: skip): 1, such as a/0000.png",
    ),
    Odd(
        what="transparency, and `on_bad: skip`",
        spoil=saved("x.png", with_alpha(100)),
        settings=("on_bad=skip",),
        gets="refused: nothing is damaged, it needs a background",
        problem="transparency",
    ),
    Odd(what="a JPEG named .png", spoil=wrong_suffix, gets="used; the contents count, not the name"),
    Odd(
        what="an animated GIF",
        spoil=several_frames("x.gif"),
        gets="used: the first frame, and a warning",
        conversions={"first_frame_of_several": 1, "palette_to_colour": 1},
        warning="Files with several frames or pages: 1.",
    ),
    Odd(
        what="a TIFF of several pages",
        spoil=several_frames("x.tiff"),
        gets="used: the first page, and a warning",
        conversions={"first_frame_of_several": 1},
        warning="Files with several frames or pages: 1.",
    ),
    Odd(what="WebP", spoil=saved("x.webp", image, lossless=True), gets="used"),
    Odd(what="BMP", spoil=saved("x.bmp", image), gets="used"),
    Odd(what="JPEG 2000", spoil=saved("x.jp2", image), gets="used"),
    Odd(what="a class without images", spoil=lambda folder: (folder / "c").mkdir(), gets="refused", problem="empty_class"),
    Odd(
        what="a class of nine images",
        spoil=lambda folder: fill(folder, {"c": 9}, seed=4),
        gets="refused: no image for every part",
        problem="class_too_small",
    ),
    Odd(what="one class alone", spoil=lambda folder: shutil.rmtree(folder / "b"), gets="refused", problem="too_few_classes"),
    Odd(
        what="Thumbs.db and .DS_Store",
        spoil=system_files,
        gets="used; counted",
    ),
    Odd(what="class names with spaces and umlauts", spoil=renamed({"a": "süße Hündin", "b": "große Katze"}), gets="used"),
    Odd(
        what="classes 0, 1, 10 and 2",
        spoil=numbered,
        gets="used in this order, and a warning",
        warning="their order is 0, 1, 10, 2",
    ),
    Odd(
        what="a class of three times the images of another",
        spoil=imbalanced,
        gets="used, and a warning",
        warning="The classes differ in size",
    ),
    Odd(what="`train/` and `test/`", spoil=with_test, gets="used; the test part stays whole"),
    Odd(
        what="test images that lie in `train/` too, saved again as JPEG",
        spoil=leaked,
        gets="used, and a warning; a certificate says so",
        warning="with a twin in the train part",
    ),
    Odd(
        what="test images that lie in `train/` too, and `duplicates: drop`",
        spoil=leaked,
        settings=("duplicates=drop",),
        gets="used without these train images",
        warning="Images with a twin",
    ),
    Odd(
        what="images that are there twice in a folder without parts",
        spoil=twice,
        gets="used, and a warning: the split separates some",
        warning="with a twin in the train part",
    ),
    Odd(
        what="a `value_range` where all images have 8 bits",
        spoil=lambda folder: None,
        settings=("value_range=[0, 1000]",),
        gets="used, and a warning: it changes nothing",
        warning="it changes nothing",
    ),
)
