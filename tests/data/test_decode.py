"""One image file at a time: the pixels that it becomes, the conversions that are stated, and what is refused until decided."""

from __future__ import annotations

import io
import pickle
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from raydistill.data.image_file import read_images
from raydistill.data.own.conversions import CONVERSIONS
from raydistill.data.own.decode import Decoded, Rules, decode, read
from raydistill.errors import Unusable


def stored(image: Image.Image, kind: str = "PNG", **options: Any) -> Image.Image:
    """An image as it is opened from a file."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    file.seek(0)
    return Image.open(file)


def png_of_16_bits(value: int, *, kind: int = 2) -> Image.Image:
    """A PNG of 8 x 8 pixels with this value in every channel, of colour, or grey (kind 4) or colour (6) with opaque alpha."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    pixel = [value] * {2: 3, 4: 1, 6: 3}[kind] + [0xFFFF] * (kind in (4, 6))
    rows = (b"\0" + struct.pack(f">{8 * len(pixel)}H", *pixel * 8)) * 8
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 16, kind, 0, 0, 0))
    return Image.open(io.BytesIO(b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")))


def grey(value: float, kind: Any = np.uint16, last: float | None = None) -> Image.Image:
    """8 x 8 pixels of one value, but for the last."""
    pixels = np.full((8, 8), value, dtype=kind)
    pixels[7, 7] = value if last is None else last
    return Image.fromarray(pixels)


def decoded(opened: Image.Image, **rules: Any) -> Decoded:
    return decode(opened, Rules(**{"size": 8, **rules}))


def levels(found: Decoded) -> list[int]:
    """The bytes of the first pixel, by channel."""
    return [int(level) for level in found.pixels[:, 0, 0]]


def test_a_plain_image_of_the_right_size_is_not_touched() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    found = decoded(stored(Image.fromarray(pixels)))
    assert found.conversions == ()
    assert np.array_equal(found.pixels, pixels.transpose(2, 0, 1))


def test_an_opaque_alpha_channel_is_dropped() -> None:
    found = decoded(stored(Image.new("RGBA", (8, 8), (10, 20, 30, 255))))
    assert (levels(found), found.conversions) == ([10, 20, 30], ("opaque_alpha_dropped",))


def test_grey_with_an_opaque_alpha_channel_stays_grey() -> None:
    found = decoded(stored(Image.new("LA", (8, 8), (77, 255))))
    assert (levels(found), found.conversions) == ([77], ("opaque_alpha_dropped",))


def test_transparent_parts_are_laid_on_the_background() -> None:
    """Wholly transparent: the background alone is left."""
    found = decoded(stored(Image.new("RGBA", (8, 8), (10, 20, 30, 0))), background=(255, 128, 0))
    assert (levels(found), found.conversions) == ([255, 128, 0], ("alpha_laid_on_background",))


@pytest.mark.parametrize(("background", "expected"), [((200, 200, 200), [200]), ((200, 0, 0), [200, 0, 0])])
def test_transparent_grey_becomes_colour_only_on_a_coloured_background(
    background: tuple[int, int, int], expected: list[int]
) -> None:
    assert levels(decoded(stored(Image.new("LA", (8, 8), (10, 0))), background=background)) == expected


def test_transparency_without_a_background_says_what_to_write() -> None:
    with pytest.raises(Unusable, match=r"has transparency, .*; write background: \[255, 255, 255\] to lay such images on white"):
        decoded(stored(Image.new("RGBA", (8, 8), (10, 20, 30, 128))))


def test_a_transparent_value_among_16_bits_is_refused() -> None:
    with pytest.raises(Unusable, match=r"has a transparent value among pixels of mode I.*; save it with 8 bits per channel"):
        decoded(stored(grey(500), transparency=500))


def test_grey_of_16_bits_is_scaled_from_the_full_range() -> None:
    """257 is 65535 / 255; the values found are kept."""
    found = decoded(stored(grey(257 * 9, last=257 * 20)))
    assert (levels(found), found.conversions, found.values) == ([9], ("scaled_from_16_bits",), (2313.0, 5140.0))


def test_a_stated_range_is_scaled_and_what_lies_outside_is_cut_off() -> None:
    """1023 of 0 to 4095 is 63.7 of 255; 9000 becomes white."""
    found = decoded(stored(grey(1023, last=9000)), value_range=(0, 4095))
    assert (levels(found), found.pixels[0, 7, 7]) == ([64], 255)
    assert found.conversions == ("scaled_from_value_range", "cut_off_at_value_range")


def test_floats_from_0_to_1_are_scaled() -> None:
    found = decoded(stored(grey(0.2, np.float32, last=1.0), "TIFF"))
    assert (levels(found), found.conversions) == ([51], ("scaled_from_0_to_1",))


def test_other_floats_need_a_range() -> None:
    with pytest.raises(Unusable, match=r"has floats from -3 to 40, .*; write value_range: \[black, white\], the same for all"):
        decoded(stored(grey(-3, np.float32, last=40), "TIFF"))
    assert levels(decoded(stored(grey(-3, np.float32, last=40), "TIFF"), value_range=(-3, 48))) == [0]


def test_whole_numbers_of_32_bits_need_a_range() -> None:
    with pytest.raises(Unusable, match=r"has whole numbers of 32 bits from 7 to 70000, and no file says"):
        decoded(stored(grey(7, np.int32, last=70000), "TIFF"))


@pytest.mark.parametrize(("kind", "channels"), [(4, 1), (6, 3)])
def test_16_bits_with_an_opaque_alpha_keep_their_upper_byte_and_grey_stays_grey(kind: int, channels: int) -> None:
    """Pillow opens both as colour with alpha of 8 bits."""
    found = decoded(png_of_16_bits(0x12FF, kind=kind))
    assert levels(found) == [0x12] * channels
    assert set(found.conversions) == {"high_byte_of_16_bits", "opaque_alpha_dropped"}
    with pytest.raises(Unusable, match=r"has colour or alpha of 16 bits per channel, .* so value_range cannot be used"):
        decoded(png_of_16_bits(0x12FF, kind=kind), value_range=(0, 4095))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_no_numbers_are_refused_with_any_range(value: float) -> None:
    with pytest.raises(Unusable, match=r"has values that are not numbers \(NaN or infinite\); replace these values"):
        decoded(stored(grey(0.5, np.float32, last=value), "TIFF"), value_range=(0, 1))


def test_colour_of_16_bits_keeps_its_upper_byte() -> None:
    found = decoded(png_of_16_bits(0x12FF))
    assert (levels(found), found.conversions) == ([0x12] * 3, ("high_byte_of_16_bits",))
    with pytest.raises(Unusable, match=r"has colour or alpha of 16 bits per channel, .* so value_range cannot be used; save it"):
        decoded(png_of_16_bits(0x12FF), value_range=(0, 4095))


@pytest.mark.parametrize(
    ("mode", "kind", "conversion"),
    [
        ("1", "PNG", "bilevel_to_grey"),
        ("P", "PNG", "palette_to_colour"),
        ("CMYK", "JPEG", "cmyk_to_colour"),
        ("YCbCr", "TIFF", "ycbcr_to_colour"),
        ("LAB", "TIFF", "lab_to_colour"),
    ],
)
def test_every_other_mode_of_8_bits_is_converted_and_stated(mode: str, kind: str, conversion: str) -> None:
    assert decoded(stored(Image.new(mode, (8, 8)), kind)).conversions == (conversion,)


def test_a_mode_that_pillow_has_and_pictures_do_not_is_refused() -> None:
    with pytest.raises(Unusable, match=r"has pixels of mode RGBX; allowed are grey and colour of 8 or 16 bits, and grey floats"):
        decoded(Image.new("RGBX", (8, 8)))


def test_an_image_lies_as_its_camera_noted() -> None:
    """Orientation 6: the camera was turned, so 8 wide and 16 high in the file is 16 wide and 8 high."""
    exif = Image.Exif()
    exif[0x0112] = 6
    found = decoded(stored(Image.new("RGB", (8, 16)), "JPEG", exif=exif))
    assert (found.width, found.height) == (16, 8)
    assert found.conversions == ("turned_as_exif_says", "cropped")


def test_colour_and_grey_become_what_channels_says() -> None:
    assert levels(decoded(stored(Image.new("L", (8, 8), 9)), channels=3)) == [9, 9, 9]
    found = decoded(stored(Image.new("RGB", (8, 8), (90, 90, 90))), channels=1)
    assert (levels(found), found.conversions) == ([90], ("colour_to_grey",))


def test_crop_keeps_the_middle_pad_keeps_all_and_stretch_keeps_all_of_another_shape() -> None:
    """16 x 8, white between columns 4 and 12: all that crop keeps."""
    pixels = np.zeros((8, 16), dtype=np.uint8)
    pixels[:, 4:12] = 255
    wide = Image.fromarray(pixels)
    crop, pad, stretch = (decoded(stored(wide), fit=fit) for fit in ("crop", "pad", "stretch"))
    assert crop.pixels.min() == 255
    assert pad.pixels[0].max(axis=1).tolist() == [0, 0, 255, 255, 255, 255, 0, 0]
    assert stretch.pixels[0, 0].tolist() == stretch.pixels[0, 7].tolist()
    assert [found.conversions for found in (crop, pad, stretch)] == [
        ("cropped",),
        ("scaled_down", "padded"),
        ("scaled_down", "stretched"),
    ]


def test_the_padding_has_the_background() -> None:
    found = decoded(stored(Image.new("RGB", (16, 8))), fit="pad", background=(9, 8, 7))
    assert levels(found) == [9, 8, 7]


@pytest.mark.parametrize(("fit", "side"), [("crop", 6), ("stretch", 6), ("pad", 7)])
def test_a_smaller_image_is_refused_with_the_largest_size_that_it_allows(fit: str, side: int) -> None:
    said = rf"has 7 x 6 pixels, smaller than size 8; images are not enlarged: write size: {side} or smaller"
    with pytest.raises(Unusable, match=said):
        decoded(stored(Image.new("RGB", (7, 6))), fit=fit)


def test_without_a_size_an_image_keeps_its_own() -> None:
    assert decoded(stored(Image.new("RGB", (7, 6))), size=None).pixels.shape == (3, 6, 7)


def test_of_several_frames_the_first_is_used() -> None:
    frames = [Image.new("L", (8, 8), 10 * number) for number in range(1, 4)]
    found = decoded(stored(frames[0], "TIFF", save_all=True, append_images=frames[1:]))
    assert (levels(found), found.conversions) == ([10], ("first_frame_of_several",))


def test_damage_after_the_first_frame_costs_nothing() -> None:
    file = io.BytesIO()
    frames = [Image.fromarray(np.random.default_rng(n).integers(0, 256, (8, 8), dtype=np.uint8)) for n in range(3)]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    whole = decoded(Image.open(io.BytesIO(file.getvalue())))
    second = file.getvalue().index(b",", file.getvalue().index(b",") + 200)
    cut = decoded(Image.open(io.BytesIO(file.getvalue()[: second + 4])))
    assert np.array_equal(whole.pixels, cut.pixels)
    assert "first_frame_of_several" in cut.conversions


@pytest.mark.parametrize("data", [b"", b"no image", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_image_is_unreadable(data: bytes) -> None:
    with pytest.raises(
        Unusable, match=r"cannot be read as an image \(.*\); remove or replace it, or write on_bad: skip"
    ) as error:
        read(lambda: Image.open(io.BytesIO(data)), Rules(size=8))
    assert error.value.kind == "unreadable"


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow warns of what it then refuses
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"])
def test_a_file_that_was_cut_off_anywhere_is_used_or_unreadable(kind: str) -> None:
    """Nothing but `Unusable` comes out, whatever is missing."""
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (12, 12, 3), dtype=np.uint8)).save(file, kind)
    data = file.getvalue()
    refused = 0
    for end in range(0, len(data), max(1, len(data) // 60)):
        try:
            read(lambda end=end: Image.open(io.BytesIO(data[:end])), Rules(size=8))  # type: ignore[misc]
        except Unusable:
            refused += 1
    assert refused > 5


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "P", "CMYK"])
def test_what_worked_before_gives_the_same_pixels(tmp_path: Any, mode: str) -> None:
    """`read_images` is what folders were read with before conversions were stated."""
    pixels = np.random.default_rng(0).integers(0, 256, (21, 13, 3), dtype=np.uint8)
    path = tmp_path / ("image.tiff" if mode == "CMYK" else "image.png")
    Image.fromarray(pixels).convert(mode).save(path)
    assert np.array_equal(decode(Image.open(path), Rules(size=8)).pixels, read_images([path], 8)[0])


def test_an_unusable_image_survives_the_way_between_processes() -> None:
    error = pickle.loads(pickle.dumps(Unusable("small", "has 2 x 2 pixels", "write size: 2", 2)))
    assert (error.kind, error.reason, error.remedy, error.side, str(error)) == (
        "small",
        "has 2 x 2 pixels",
        "write size: 2",
        2,
        "has 2 x 2 pixels; write size: 2",
    )


def test_every_conversion_is_in_plain_words() -> None:
    assert all(words and not words.endswith(".") for words in CONVERSIONS.values())
