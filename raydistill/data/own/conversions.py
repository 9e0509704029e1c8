"""What is done to images on the way from a file to bytes, in words."""

from __future__ import annotations

from collections.abc import Mapping

CONVERSIONS: Mapping[str, str] = {
    "first_frame_of_several": "only the first frame or page of the file is used",
    "turned_as_exif_says": "turned or mirrored as the camera noted (EXIF orientation)",
    "opaque_alpha_dropped": "an alpha channel that is opaque everywhere is dropped",
    "alpha_laid_on_background": "transparent parts are laid on the background",
    "bilevel_to_grey": "black and white pixels of 1 bit become grey of 8 bits",
    "palette_to_colour": "the colours of a palette are written out",
    "cmyk_to_colour": "printing colours (CMYK) become red, green and blue, without a colour profile",
    "ycbcr_to_colour": "YCbCr becomes red, green and blue",
    "lab_to_colour": "CIE Lab becomes red, green and blue",
    "hsv_to_colour": "hue, saturation and value become red, green and blue",
    "high_byte_of_16_bits": "colour of 16 bits per channel, or grey with alpha: the upper 8 bits are kept",
    "scaled_from_16_bits": "grey of 16 bits: 0 to 65535 becomes 0 to 255",
    "scaled_from_0_to_1": "floats: 0 to 1 becomes 0 to 255",
    "scaled_from_value_range": "value_range becomes 0 to 255",
    "cut_off_at_value_range": "some values outside value_range are cut off",
    "colour_to_grey": "colour becomes grey (ITU-R 601 luma)",
    "grey_to_colour": "grey becomes colour, three times the same channel",
    "scaled_down": "scaled down, bilinear with antialiasing",
    "cropped": "not square: cut to the middle square",
    "padded": "not square: filled up to a square",
    "stretched": "not square: stretched to a square",
}
"""What may be done to an image, by the key that records use, in the order in which it is done."""
