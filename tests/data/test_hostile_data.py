"""Own data that is made to harm: small files that unpack to fill the memory, members that lead elsewhere, damaged headers."""

from __future__ import annotations

import io
import json
import os
import socket
import struct
import subprocess
import sys
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from own_images import fill, pictures

from raydistill.data.image_folder import load_image_folder
from raydistill.data.own import name_matcher
from raydistill.data.own.listing import listing
from raydistill.errors import DataError
from raydistill.spaces.sections import ImageFolderConfig


def config(path: Path, **fields: object) -> ImageFolderConfig:
    return ImageFolderConfig.model_validate({"name": "image_folder", "path": str(path), "size": 8, **fields})


def png_bomb(side: int = 14_000) -> bytes:
    """A black PNG of 1 bit per pixel: 24 kB that unpack to 24 MB, and to 196 MB where each pixel is a byte."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress((b"\0" * (1 + (side + 7) // 8)) * side, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def gif_bomb() -> bytes:
    """A GIF whose header claims 65535 x 65535 pixels."""
    data = io.BytesIO()
    pictures(1)[0].save(data, "GIF")
    return data.getvalue()[:6] + b"\xff\xff\xff\xff" + data.getvalue()[10:]


BOMBS = {"png": png_bomb, "gif": gif_bomb}


@pytest.mark.parametrize("kind", BOMBS)
def test_an_image_that_unpacks_to_far_more_than_its_file_is_refused(tmp_path: Path, kind: str) -> None:
    data = BOMBS[kind]()
    assert len(data) < 50_000
    (fill(tmp_path, {"a": 12, "b": 12}) / "a" / f"bomb.{kind}").write_bytes(data)
    with pytest.raises(DataError, match=rf"a/bomb.{kind} cannot be read as an image \(Image size \(\d+ pixels\) exceeds limit"):
        load_image_folder(config(tmp_path), None)


def tar(path: Path, *more: tuple[tarfile.TarInfo, bytes]) -> Path:
    """24 images of two classes, and more members."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for number, picture in enumerate(pictures(24)):
            data = io.BytesIO()
            picture.save(data, "PNG")
            for name, content in ((f"{number:03d}.png", data.getvalue()), (f"{number:03d}.cls", str(number % 2).encode())):
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        for member, content in more:
            archive.addfile(member, io.BytesIO(content))
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0, link: str = "", **pax: str) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.size, made.linkname = kind, size, link
    made.pax_headers = {key.replace("_", "."): value for key, value in pax.items()}
    return made


def test_an_image_in_a_tar_that_unpacks_to_far_more_than_its_file_is_refused(tmp_path: Path) -> None:
    bomb = png_bomb()
    path = tar(tmp_path / "x.tar", (member("900.png", size=len(bomb)), bomb), (member("900.cls", size=1), b"1"))
    with pytest.raises(DataError, match=r"x.tar/900.png cannot be read as an image \(Image size"):
        load_image_folder(config(path), None)


def test_members_of_a_tar_write_nothing_wherever_their_names_lead(tmp_path: Path) -> None:
    """Members are read where they lie in the file; links, devices and pipes are not read at all."""
    (tmp_path / "data").mkdir()
    names = ["../../escaped", "/tmp/raydistill-escaped", "a" * 5000]
    image = io.BytesIO()
    pictures(1, seed=5)[0].save(image, "PNG")
    beside = [(member(f"{name}.png", size=len(image.getvalue())), image.getvalue()) for name in names]
    beside += [(member(f"{name}.cls", size=1), b"1") for name in names]
    kinds = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE)
    beside += [(member(f"90{place}.png", kind, link="/etc/passwd"), b"") for place, kind in enumerate(kinds)]
    path = tar(tmp_path / "data/x.tar", *beside)
    load_image_folder(config(path), None)
    assert len(listing(config(path), path).items) == 27
    assert [entry.name for entry in tmp_path.rglob("*")] == ["data", "x.tar"]
    assert not Path("/tmp/raydistill-escaped.png").exists()


@pytest.mark.parametrize("pax", [{"GNU_sparse_map": "0,1,1000000000000,1", "GNU_sparse_size": "1000000000001"}], ids=["sparse"])
def test_a_sparse_member_of_a_terabyte_is_told_and_not_read(tmp_path: Path, pax: dict[str, str]) -> None:
    path = tar(tmp_path / "x.tar", (member("900.png", size=2, **pax), b"ab"), (member("900.cls", size=1), b"1"))
    problems = [f"{problem.item} {problem.text}" for problem in listing(config(path), path).problems]
    assert problems[0] == "x.tar/900.png is not whole in its tar file: it is cut off, or sparse"


def test_a_member_that_claims_to_be_larger_than_the_file_is_refused(tmp_path: Path) -> None:
    path = tar(tmp_path / "x.tar")
    large = member("900.png", size=2**40)
    path.write_bytes(path.read_bytes()[:-10240] + large.tobuf(tarfile.GNU_FORMAT) + b"ab")
    with pytest.raises(DataError, match=r"cannot be read as a tar file|is not whole in its tar file"):
        load_image_folder(config(path), None)


@pytest.mark.parametrize("value", ["-5", "-1536", "9" * 40])
def test_a_tar_whose_headers_lead_backwards_or_nowhere_is_refused(tmp_path: Path, value: str) -> None:
    """Python's own reader goes round in a circle where a size is negative."""
    path = tar(tmp_path / "x.tar", (member("900.txt", size=1, sizE=value), b"1"), (member("901.txt", size=1), b"1"))
    assert b" sizE=" in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(b" sizE=", b" size="))
    with pytest.raises(DataError, match="cannot be read as a tar file"):
        listing(config(path), path)


def npz(path: Path, **arrays: bytes) -> Path:
    """An npz file whose arrays are given as the bytes of npy files."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in arrays.items():
            archive.writestr(f"{name}.npy", content)
    return path


def npy(shape: tuple[int, ...], kind: str, content: bytes) -> bytes:
    data = io.BytesIO()
    np.lib.format.write_array_header_1_0(data, {"descr": kind, "fortran_order": False, "shape": shape})
    return data.getvalue() + content


LABELS = npy((24,), "<i8", np.arange(24).astype("<i8").tobytes())


@pytest.mark.parametrize(
    ("images", "labels", "why"),
    [
        (npy((10**9, 1000, 1000), "|u1", b"ab"), LABELS, r"images is said to take 1000000000000000 bytes"),
        (npy((24, 8, 8), "|u1", b"a" * 24 * 64), npy((10**12,), "<i8", b"ab"), r"labels is said to take 8000000000000 bytes"),
        (b"\x93NUMPY\x01\x00", LABELS, "cannot be read as arrays"),
        (b"\x93NUMPY\x01\x00\x10\x00(((((((((((((((", LABELS, "cannot be read as arrays"),
        (npy((24, 8, 8), "|u1", b"a" * 24 * 64), npy((24,), "|O", b"cos\nsystem\n."), "cannot be read as arrays"),
    ],
    ids=["images of a petabyte", "labels of terabytes", "a header cut off", "a header of brackets", "a pickle"],
)
def test_arrays_that_would_fill_the_memory_or_run_code_are_refused(
    tmp_path: Path, images: bytes, labels: bytes, why: str
) -> None:
    path = npz(tmp_path / "x.npz", images=images, labels=labels)
    with pytest.raises(DataError, match=why):
        listing(config(path), path)


def test_arrays_that_unpack_to_far_more_than_their_file_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raydistill.data.own.layouts.npz.MOST_UNPACKED", 2**20)
    path = npz(tmp_path / "x.npz", images=npy((24, 512, 512), "|u1", b"\0" * 24 * 2**18), labels=LABELS)
    with pytest.raises(DataError, match=r"images is said to take 6291456 bytes, and has \d+ in the file"):
        listing(config(path), path)


def parquet(path: Path, columns: dict[str, Any], **options: Any) -> Path:
    pyarrow.parquet.write_table(pyarrow.table(columns), path, **options)
    return path


TEXTS = ["a.png"] * 24


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"path": [{"bytes": b"a", "path": "b"}] * 24}, r"path \(struct<bytes: binary, path: string>\)"),
        ({"path": [["a.png"]] * 24}, r"path \(list<\w+: string>\)"),
        ({"path": [b"a"] * 24}, r"path \(binary\)"),
        (
            {"label": pyarrow.array([b"a"] * 24).dictionary_encode()},
            r"label \(dictionary<values=binary, indices=int32, ordered=0>\)",
        ),
        ({"label": [[1]] * 24, "group": [{"a": 1}] * 24}, r"label \(list<\w+: int64>\), group \(struct<a: int64>\)"),
    ],
)
def test_a_parquet_table_of_something_else_than_text_and_numbers_is_refused(
    tmp_path: Path, columns: dict[str, Any], said: str
) -> None:
    path = parquet(tmp_path / "x.parquet", {"path": TEXTS, "label": [1] * 24, **columns})
    with pytest.raises(
        DataError, match=rf"x.parquet has columns that are neither text nor numbers: {said}; expected paths and la"
    ):
        load_image_folder(config(path), None)


def test_a_column_that_nobody_needs_may_be_of_any_type(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 12, "b": 12})
    names = sorted(str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*.png"))
    more = {"mask": [{"bytes": b"a"}] * 24, "label": pyarrow.array([name[0] for name in names]).dictionary_encode()}
    path = parquet(tmp_path / "x.parquet", {"path": names, **more})
    assert [item.class_name for item in listing(config(path), path).items] == ["a"] * 12 + ["b"] * 12


def test_a_parquet_table_of_far_more_rows_than_its_bytes_could_name_is_refused(tmp_path: Path) -> None:
    count = 2_000_000
    path = parquet(tmp_path / "x.parquet", {"path": pyarrow.repeat("a.png", count), "label": pyarrow.repeat(1, count)})
    assert path.stat().st_size < 50_000
    with pytest.raises(DataError, match=r"cannot be read as Parquet \(it would have 2000000 rows, and the file has \d+ bytes\)"):
        load_image_folder(config(path), None)


def test_a_parquet_table_that_unpacks_to_far_more_than_its_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raydistill.data.own.layouts.parquet.MOST_UNPACKED", 2**20)
    long = ["a" * 2**18 + str(number) for number in range(24)]
    path = parquet(tmp_path / "x.parquet", {"path": long, "label": [1] * 24}, compression="zstd", use_dictionary=False)
    with pytest.raises(DataError, match=r"its columns would take 629\d{4} bytes, and the file has \d+\); save it again"):
        load_image_folder(config(path), None)


@pytest.mark.parametrize("keep", [4, 100, -1, -4, -8, -100])
def test_a_parquet_table_that_was_cut_off_is_refused(tmp_path: Path, keep: int) -> None:
    path = parquet(tmp_path / "x.parquet", {"path": TEXTS, "label": [1] * 24})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"x.parquet cannot be read as Parquet \(.*\); save it again"):
        load_image_folder(config(path), None)


def flipped(data: bytes) -> bytes:
    """With one byte changed in the middle, where the pixels lie."""
    return data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :]


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_whose_pixels_are_damaged_are_refused(tmp_path: Path, save: Callable[..., None]) -> None:
    """The labels are whole, so that the damage is only found when the pixels are read."""
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 32), dtype=np.uint8)
    save(tmp_path / "x.npz", labels=np.arange(24) % 2, images=pixels)
    (tmp_path / "x.npz").write_bytes(flipped((tmp_path / "x.npz").read_bytes()))
    with pytest.raises(DataError, match=r"cannot be read as an image|cannot be read as arrays"):
        load_image_folder(config(tmp_path / "x.npz"), None)


def test_links_in_a_folder_of_images_are_read_and_not_followed_in_circles(tmp_path: Path) -> None:
    folder = fill(tmp_path / "data", {"a": 12, "b": 12})
    (folder / "a" / "again").symlink_to(folder / "a")
    (folder / "a" / "gone.png").symlink_to(folder / "nowhere")
    found = listing(config(folder), folder)
    assert [item.name for item in found.items if "again" in item.name] == []
    assert [(one.item, one.text) for one in found.problems] == [("a/gone.png", "is a link to a file that is not there")]


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def listening(path: Path) -> None:
    os.chdir(path.parent)  # the address of a socket has at most a hundred characters
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(path.name)


SPECIAL: dict[str, Callable[[Path], None]] = {"a pipe": os.mkfifo, "a device": device, "a socket": listening}  # type: ignore[dict-item]


@pytest.fixture(params=SPECIAL.values(), ids=SPECIAL)
def special(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Puts at a path what nobody should wait for."""
    monkeypatch.chdir(tmp_path)
    made: Callable[[Path], None] = request.param
    return made


@pytest.mark.parametrize("name", ["x.csv", "x.tsv", "x.parquet", "x.npz", "x.tar", "x"])
def test_a_path_of_no_regular_file_is_refused_and_not_waited_for(
    tmp_path: Path, special: Callable[[Path], None], name: str
) -> None:
    special(tmp_path / name)
    with pytest.raises(DataError, match=rf"{name} is a pipe, a socket or a device; expected a folder of class folders, a table"):
        load_image_folder(config(tmp_path / name), None)


def test_what_is_no_regular_file_among_images_is_told_and_not_waited_for(tmp_path: Path, special: Callable[[Path], None]) -> None:
    special(fill(tmp_path / "data", {"a": 12, "b": 12}) / "a" / "x.png")
    with pytest.raises(DataError, match=r"data/a/x.png is a pipe, a socket or a device, where a file is expected; remove it$"):
        load_image_folder(config(tmp_path / "data"), None)


def test_what_is_no_regular_file_among_tars_is_told_and_not_waited_for(tmp_path: Path, special: Callable[[Path], None]) -> None:
    (tmp_path / "data").mkdir()
    tar(tmp_path / "data" / "000.tar")
    special(tmp_path / "data" / "001.tar")
    with pytest.raises(DataError, match=r"data/001.tar is a pipe, a socket or a device, where a file is expected; remove it$"):
        load_image_folder(config(tmp_path / "data"), None)


def test_a_table_that_names_no_regular_file_is_refused(tmp_path: Path, special: Callable[[Path], None]) -> None:
    special(tmp_path / "x.png")
    (tmp_path / "x.csv").write_text("path,label\nx.png,a\n")
    with pytest.raises(DataError, match=r"row 1 names x.png, which is no file"):
        load_image_folder(config(tmp_path / "x.csv"), None)


def test_a_group_pattern_that_would_never_end_is_stopped_and_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name has 2^40 divisions into repetitions. One second of a processor's time is allowed here, whatever the clock says."""
    monkeypatch.setattr("raydistill.data.own.groups.LEAST_SECONDS", 1)
    folder = fill(tmp_path, {"a": 12, "b": 12})
    pictures(1)[0].save(folder / "a" / f"{'a' * 40}!.png")
    began = time.process_time()
    with pytest.raises(
        DataError, match=r"has names that take group_pattern '\(\(a\+\)\+\)\$' more than 1 seconds to match; write it"
    ):
        load_image_folder(config(folder, group_pattern="((a+)+)$"), None)
    assert time.process_time() - began < 1


def test_names_are_matched_where_processes_have_less_time_than_a_pattern_may_take() -> None:
    given = json.dumps({"pattern": "(b+)", "names": ["abb", "c"]})
    shell = ["bash", "-c", 'ulimit -t 5 && exec "$0" "$@"', sys.executable, name_matcher.__file__, "10"]
    assert subprocess.run(shell, input=given, capture_output=True, text=True, check=True).stdout == '["bb", null]'


def test_groups_of_names_that_are_no_text_are_found(tmp_path: Path) -> None:
    """A file system may hold names that are no UTF-8, which Python writes with surrogates."""
    folder = fill(tmp_path, {"a": 12, "b": 12})
    os.rename(folder / "a" / "0000.png", os.fsencode(folder / "a") + b"/\xff0000.png")
    found = listing(config(folder, group_pattern="(\udcff?[0-9]+)"), folder)
    assert found.items[11].group == "\udcff0000"
