"""Feeds hostile files to everything that reads what somebody else may have written, and counts the answers.

    python benchmarks/fuzz.py [--minutes 5] [--target space ...] [--seed 0]

Each target begins with valid files and changes them: values of a document are replaced by hostile ones (other types, huge
numbers, NaN, paths out of the folder), keys are removed and renamed, and bytes are turned, cut out, put in and cut off. JSON
files are sealed again after the change, so that the checks behind the seal are reached. The contract: a file is read, or refused
with one error of raydistill; never another exception, more than `SECONDS`, more than `GIB` of memory, or a file elsewhere.

Hypothesis makes the changes. It comes with the extra `test`.
"""

from __future__ import annotations

import argparse
import copy
import csv
import io
import json
import os
import resource
import signal
import sys
import tarfile
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow
import pyarrow.parquet
import torch
import yaml
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
sys.path.insert(0, str(Path(__file__).parent.parent / "tests/search"))
from hand_certified import certificate
from hand_made import STORED, HandMade, trial_config
from PIL import Image

from raydistill.catalogue import known, shipped_spaces
from raydistill.certify.verify import verify_certificate
from raydistill.core.synthetic import Manifest, encode, hard_set
from raydistill.data.image_folder import load_image_folder
from raydistill.data.own.decode import Rules, read
from raydistill.data.preprocess import Standardise
from raydistill.errors import InputError, RaydistillError
from raydistill.report.status import read_status
from raydistill.sets.importing import Given, import_sets
from raydistill.sets.npz import to_npz
from raydistill.sets.weights_only import RefusedError, read_entries, read_written, write_entries
from raydistill.spaces.data_facts import DataFacts
from raydistill.spaces.parse import parse_space
from raydistill.spaces.sections import ImageFolderConfig
from raydistill.storage.sealed import seal, unseal
from raydistill.storage.store import Store

os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", f"{tempfile.gettempdir()}/hypothesis")
SECONDS, GIB = 10, 2.0
Case = Callable[[st.DataObject, Path], None]

HOSTILE: list[Any] = [
    *(None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, 10**400, 0.5, -0.0, 1e308, float("nan"), float("inf"), -1e-320),
    *(
        "",
        " ",
        "\0",
        "a" * 5000,
        "../../escaped",
        "/tmp/raydistill-escaped",
        "..",
        ".",
        "~",
        "a/b",
        "é\u202e",
        "\ud800",
        "1e5",
        "nan",
    ),
    *(
        [],
        {},
        [None],
        [[]],
        {"": None},
        {"low": 1},
        {"low": 2, "high": 1},
        {"choices": []},
        {"choices": [1, 1]},
        ["a", 1],
        [0.0] * 300,
    ),
    *(
        {"low": 1, "high": 10**400},
        {"low": 1e-320, "high": 1e308, "log": True},
        {"name": []},
        {"name": {"name": "x"}},
        "0" * 65,
        "g" * 64,
    ),
]


def places(document: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value in a document."""
    parts = document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    for key, value in parts:
        yield (*at, key)
        yield from places(value, (*at, key))


def changed_document(data: st.DataObject, document: Any) -> Any:
    """A copy with one to three values replaced, removed, doubled or renamed; now and then something else altogether."""
    document = json.loads(json.dumps(document))
    for _ in range(data.draw(st.integers(1, 3))):
        found = list(places(document))
        if not found or data.draw(st.integers(0, 60)) == 0:
            return copy.deepcopy(data.draw(st.sampled_from(HOSTILE)))
        *above, key = data.draw(st.sampled_from(found))
        owner = document
        for part in above:
            owner = owner[part]
        action, value = (
            data.draw(st.sampled_from(["replace"] * 5 + ["remove", "double", "rename"])),
            data.draw(hostile_for(owner[key])),
        )
        if action == "replace" or (action == "rename" and isinstance(owner, list)):
            owner[key] = value
        elif action == "remove":
            del owner[key]
        elif action == "rename":
            owner[str(value)[:50]] = owner.pop(key)
        elif isinstance(owner, list):
            owner.append(owner[key])
        else:
            owner[key] = [owner[key], owner[key]]
    return document


def hostile_for(value: Any) -> st.SearchStrategy[Any]:
    """A hostile value, or one near the valid one: text of the same kind, a number a little off."""
    near: list[Any] = [value]
    if isinstance(value, str):
        near = [value[:-1], value + "0", value.upper(), value[::-1], "../" + value, value * 2]
    elif isinstance(value, int | float) and abs(value) < 1e300:
        near = [-value, value + 1, value * 2, value / 3, str(value), float(value)]
    return st.sampled_from([*HOSTILE, *near]).map(copy.deepcopy)


def changed_bytes(data: st.DataObject, content: bytes) -> bytes:
    """The content with one to four changes: bytes replaced, cut out, put in, repeated, zeroed; or cut off."""
    for _ in range(data.draw(st.integers(1, 4))):
        at, length = data.draw(st.integers(0, max(0, len(content) - 1))), data.draw(st.integers(1, 64))
        action = data.draw(st.sampled_from(["replace", "bit", "cut", "put", "repeat", "ones", "end", "length"]))
        if action == "bit" and content:
            content = content[:at] + bytes([content[at] ^ (1 << length % 8)]) + content[at + 1 :]
            continue
        new = {
            "replace": data.draw(st.binary(max_size=8)),
            "put": content[at : at + length] + data.draw(st.binary(max_size=8)),
            "repeat": content[at : at + length] * 3,
            "ones": b"\xff" * min(length, 8),
            "length": data.draw(st.integers(0, 2**63)).to_bytes(8, "little"),
        }.get(action, b"")
        content = content[:at] if action == "end" else content[:at] + new + content[at + length :]
    return content


def as_json(document: Any) -> str:
    """A document as indented JSON; numbers that JSON does not know are written as Python does."""
    return json.dumps(document, indent=2)


FACTS = replace(known(None), data_facts=lambda _: DataFacts(smallest_class=79, confirm_images=300, shape=(1, 8, 8)))
SPACES = {name: yaml.safe_load(path.read_text()) for name, path in shipped_spaces().items()}
TEXTS = [path.read_bytes() for path in shipped_spaces().values()]
SETTINGS = [
    "network.width",
    "method.lr_images",
    "methods.dm.batch_real",
    "controls",
    "ipc.low",
    "a..b",
    "budget",
    "study",
    "",
    "goal.x.y",
]


def space(data: st.DataObject, folder: Path) -> None:
    """A search space: a shipped one with changed values or bytes, and overrides."""
    if data.draw(st.booleans()):
        text = yaml.safe_dump(changed_document(data, SPACES[data.draw(st.sampled_from(sorted(SPACES)))]))
    else:
        text = changed_bytes(data, data.draw(st.sampled_from(TEXTS))).decode(errors="replace")
    value = st.one_of(st.sampled_from(HOSTILE).map(lambda v: yaml.safe_dump(v)), st.text(max_size=20))
    overrides = data.draw(st.lists(st.tuples(st.sampled_from(SETTINGS), value).map("=".join), max_size=2))
    parse_space(text, FACTS, overrides=overrides)


class Study:
    """A small valid study, kept as bytes by name."""

    def __init__(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            made = HandMade(Path(folder))
            made.study.write("search_space.yaml", yaml.safe_dump(STORED))
            ids = [made.trial(10), made.trial(4, (0.9,)), made.trial(7, None)]
            made.result(winner_trial_id=ids[0])
            store = Store(folder)
            self.files = {name: store.read(name) for name in store.stamps()}


STUDY = Study()


def study(data: st.DataObject, folder: Path) -> None:
    """A study with one changed JSON file, read as `status` reads it."""
    name = data.draw(st.sampled_from(sorted(STUDY.files)))
    content = STUDY.files[name]
    if data.draw(st.integers(0, 3)):
        valid = yaml.safe_load(content) if name.endswith(".yaml") else json.loads(unseal(content))
        document = changed_document(data, valid)
        text = as_json(document)
        is_sealed = isinstance(document, dict) and document and b"file_sha256" in content
        new = (seal(text) if is_sealed else text).encode(errors="surrogatepass")
    else:
        new = changed_bytes(data, content)
    for path, old in STUDY.files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(new if path == name else old)
    read_status(Store(str(folder)))


def verify(data: st.DataObject, folder: Path) -> None:
    """A certificate."""
    valid = certificate().to_json()
    if data.draw(st.integers(0, 3)):
        new = as_json(changed_document(data, json.loads(valid))).encode(errors="surrogatepass")
    else:
        new = changed_bytes(data, valid.encode())
    (folder / "certificate.json").write_bytes(new)
    verify_certificate(str(folder / "certificate.json"))


SET = hard_set(torch.zeros(6, 1, 4, 4), 3, 2, 1)
MANIFEST = Manifest(
    preprocess=Standardise(mean=(0.5,), std=(0.2,)),
    class_names=("a", "b", "c"),
    config=json.loads(trial_config(0, 2).canonical_json()),
    code_sha256="c" * 64,
)


def npz(data: st.DataObject, folder: Path) -> None:
    """A set as npz: changed bytes, or an array of another shape and type in place of a valid one."""
    content = to_npz(SET, MANIFEST)
    if data.draw(st.booleans()):
        content = changed_bytes(data, content)
    else:
        with np.load(io.BytesIO(content)) as read_again:
            arrays = {name: read_again[name] for name in read_again.files}
        name = data.draw(st.sampled_from(sorted(arrays)))
        kinds = st.sampled_from(["f4", "f8", "i8", "u1", "U5", "S3", "?", "c8", "M8[s]"])
        shape = data.draw(st.lists(st.integers(0, 3), max_size=4))
        arrays[name] = np.zeros(shape, data.draw(kinds))
        text = data.draw(
            st.sampled_from([None, "", "[]", "{}", "1", '{"method": 3}', "[" * 5000, "9" * 5000, '{"method": {"factor": []}}'])
        )
        arrays["config"] = arrays["config"] if text is None else np.array(text)
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        content = buffer.getvalue()
    (folder / "set.npz").write_bytes(content)
    import_sets(folder / "set.npz", Given())


def safetensors(data: st.DataObject, folder: Path) -> None:
    """A set as safetensors: changed bytes, or a changed header."""
    content = encode(SET, MANIFEST)
    if data.draw(st.booleans()):
        content = changed_bytes(data, content)
    else:
        size = int.from_bytes(content[:8], "little")
        text = as_json(changed_document(data, json.loads(content[8 : 8 + size]))).encode(errors="surrogatepass")
        content = len(text).to_bytes(8, "little") + text + content[8 + size :]
    (folder / "images.safetensors").write_bytes(content)
    from raydistill.sets.set_file import read_whole_set_file

    read_whole_set_file(str(folder / "images.safetensors"))


def pictures() -> dict[str, bytes]:
    """A small picture in each format."""
    random, made = np.random.default_rng(0), {}
    picture = Image.fromarray(random.integers(0, 256, (24, 24, 3), dtype=np.uint8))
    for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "JPEG2000", "PPM", "TGA", "ICO", "PCX"):
        buffer = io.BytesIO()
        picture.save(buffer, kind)
        made[kind] = buffer.getvalue()
    return made


PICTURES = pictures()


def image(data: st.DataObject, folder: Path) -> None:
    """A picture with changed bytes, read as a folder of images reads it."""
    content = changed_bytes(data, PICTURES[data.draw(st.sampled_from(sorted(PICTURES)))])
    rules = Rules(
        size=8, channels=data.draw(st.sampled_from([None, 1, 3])), background=data.draw(st.sampled_from([None, (0, 0, 0)]))
    )
    read(lambda: Image.open(io.BytesIO(content)), rules)


def published() -> list[bytes]:
    """Files as others publish sets: a pair, a mapping, the mapping of DC with numbers of numpy, and the format of before."""
    random = np.random.default_rng(0)
    images, labels = torch.from_numpy(random.random((6, 1, 4, 4), dtype=np.float32)), torch.arange(6) // 2
    contents: list[tuple[Any, bool]] = [
        ((images, labels), True),
        ({"images": images, "labels": labels, "lr": 0.1}, True),
        ({"data": [[images, labels]] * 2, "accs_all_exps": {"ConvNet": [np.float64(0.5)]}}, True),
        ([images, labels], False),
    ]
    made = []
    for content, is_zip in contents:
        buffer = io.BytesIO()
        torch.save(content, buffer, _use_new_zipfile_serialization=is_zip)
        made.append(buffer.getvalue())
    return made


PUBLISHED = published()


def pt(data: st.DataObject, folder: Path) -> None:
    """A published set with changed bytes, read as the process that `import` starts for it reads it."""
    content = data.draw(st.sampled_from(PUBLISHED))
    (folder / "set.pt").write_bytes(changed_bytes(data, content))
    which = data.draw(st.sampled_from(["last", "all", "1", "2", "0"]))
    try:
        write_entries(read_entries(folder / "set.pt", which), folder / "set.safetensors")
        read_written(folder / "set.safetensors")
    except RefusedError as error:  # it is printed by that process, and told as this error by the one that waits
        raise InputError(str(error)) from error


def own(path: Path) -> None:
    """Read a user's own data as a search does."""
    fields = {"name": "image_folder", "path": str(path), "size": 8}
    load_image_folder(ImageFolderConfig.model_validate(fields), None)


def packed() -> tuple[bytes, bytes]:
    """24 small pictures of two classes as a tar, with their labels in text and in JSON, and as arrays."""
    random, buffer, arrays = np.random.default_rng(0), io.BytesIO(), io.BytesIO()
    pixels = random.integers(0, 256, (24, 8, 8), dtype=np.uint8)
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for number, picture in enumerate(pixels):
            image = io.BytesIO()
            Image.fromarray(picture).save(image, "PNG")
            label = ("cls", b"a") if number % 2 else ("json", b'{"label": "b"}')
            for kind, content in (("png", image.getvalue()), label):
                member = tarfile.TarInfo(f"{'x' * 100 if number == 3 else ''}{number:03d}.{kind}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    np.savez(arrays, images=pixels, labels=np.arange(24) % 2)
    return buffer.getvalue(), arrays.getvalue()


TAR, ARRAYS = packed()


def tar(data: st.DataObject, folder: Path) -> None:
    """A tar of WebDataset with changed bytes; half of the changes are in headers."""
    content = TAR
    if data.draw(st.booleans()):
        at = 512 * data.draw(st.integers(0, len(TAR) // 512 - 20)) + data.draw(st.integers(0, 511))
        content = content[:at] + data.draw(st.binary(min_size=1, max_size=12)) + content[at + 12 :]
    (folder / "x.tar").write_bytes(changed_bytes(data, content))
    own(folder / "x.tar")


def arrays(data: st.DataObject, folder: Path) -> None:
    """Arrays of images and labels with changed bytes."""
    (folder / "x.npz").write_bytes(changed_bytes(data, ARRAYS))
    own(folder / "x.npz")


def write_pictures(folder: Path) -> list[str]:
    """24 small pictures of two classes; returns their paths."""
    pixels = np.random.default_rng(0).integers(0, 256, (24, 8, 8), dtype=np.uint8)
    names = [f"{number:02d}.png" for number in range(24)]
    for name, picture in zip(names, pixels, strict=True):
        Image.fromarray(picture).save(folder / name)
    return names


WORDS = st.one_of(st.none(), st.text(max_size=8), st.sampled_from(["train", "val", "00.png", "../00.png", "/dev/zero", "a\0b"]))
CELLS = st.one_of(WORDS, st.integers(-(2**63), 2**63 - 1), st.floats(), st.booleans(), st.binary(max_size=4), st.lists(WORDS))


def parquet(data: st.DataObject, folder: Path) -> None:
    """A table with columns of other types, or with changed bytes."""
    names = write_pictures(folder)
    columns: dict[str, list[Any]] = {"path": list(names), "label": ["a", "b"] * 12, "split": [None] * 24, "group": list(names)}
    if is_changed := data.draw(st.booleans()):
        kind = data.draw(
            st.sampled_from([WORDS, st.integers(0, 3), st.floats(), st.binary(max_size=4), st.lists(WORDS, max_size=2)])
        )
        name = data.draw(st.sampled_from(sorted(columns)))
        columns[name] = [data.draw(kind) for _ in range(24)]
    compression = data.draw(st.sampled_from(["none", "snappy", "zstd"]))
    pyarrow.parquet.write_table(pyarrow.table(columns), folder / "x.parquet", compression=compression)
    if not is_changed:
        (folder / "x.parquet").write_bytes(changed_bytes(data, (folder / "x.parquet").read_bytes()))
    own(folder / "x.parquet")


def table(data: st.DataObject, folder: Path) -> None:
    """A CSV with other cells, or with changed bytes."""
    names = write_pictures(folder)
    lines = [["path", "label", "split", "group"], *([name, "ab"[place % 2], "", name] for place, name in enumerate(names))]
    for _ in range(data.draw(st.integers(0, 3))):
        line = data.draw(st.sampled_from(lines))
        line[data.draw(st.integers(0, 3))] = str(data.draw(CELLS))
    buffer = io.StringIO()
    csv.writer(buffer).writerows(lines)
    content = buffer.getvalue().encode(errors="surrogatepass")
    (folder / "x.csv").write_bytes(changed_bytes(data, content) if data.draw(st.booleans()) else content)
    own(folder / "x.csv")


def saved_by_hugging_face() -> dict[str, bytes]:
    """A data set of two splits as `save_to_disk` writes it: content by name."""
    pixels = np.random.default_rng(0).integers(0, 256, (24, 8, 8), dtype=np.uint8)
    columns = {
        "image": [Image.fromarray(picture) for picture in pixels],
        "label": [0, 1] * 12,
        "group": [str(n) for n in range(24)],
    }
    kinds = {"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b"]), "group": datasets.Value("string")}
    rows = datasets.Dataset.from_dict(columns, features=datasets.Features(kinds))
    datasets.disable_progress_bars()
    with tempfile.TemporaryDirectory() as name:
        datasets.DatasetDict({"train": rows.select(range(20)), "test": rows.select(range(20, 24))}).save_to_disk(name)
        return {str(file.relative_to(name)): file.read_bytes() for file in Path(name).rglob("*") if file.is_file()}


SAVED = saved_by_hugging_face()


def hugging_face(data: st.DataObject, folder: Path) -> None:
    """A folder of Hugging Face's `save_to_disk` with one changed file."""
    changed = data.draw(st.sampled_from(sorted(SAVED)))
    for name, content in SAVED.items():
        if name == changed and name.endswith(".json") and data.draw(st.integers(0, 3)):
            content = as_json(changed_document(data, json.loads(content))).encode(errors="surrogatepass")
        elif name == changed:
            content = changed_bytes(data, content)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    own(folder)


TARGETS: dict[str, Case] = {
    "space": space,
    "study": study,
    "verify": verify,
    "npz": npz,
    "safetensors": safetensors,
    "image": image,
    "pt": pt,
    "tar": tar,
    "arrays": arrays,
    "parquet": parquet,
    "table": table,
    "hugging_face": hugging_face,
}


@dataclass
class Tally:
    """The answers of one target."""

    answers: Counter[str] = field(default_factory=Counter)
    failures: dict[str, str] = field(default_factory=dict)
    """Traceback by kind of failure."""
    slowest: float = 0.0


class TooLong(BaseException):  # it is no error of the program under test
    """An input took longer than `SECONDS`."""


ALLOWED = ("/dev/", os.path.realpath(os.environ["HYPOTHESIS_STORAGE_DIRECTORY"]))
escapes: list[str] = []
watched: list[str] = []
"""The folder of the input under test, while it is tested."""


def _watch(event: str, given_: tuple[Any, ...]) -> None:
    if not watched:
        return
    if event == "open" and isinstance(given_[0], str):
        flags = given_[2] if isinstance(given_[2], int) else 0
        paths = [given_[0]] if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) else []
    elif event in ("os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.symlink", "os.link", "os.truncate", "shutil.rmtree"):
        paths = [str(part) for part in given_[:2] if isinstance(part, str | Path)]
    else:
        return
    for path in paths:
        real = os.path.realpath(path)
        if not real.startswith((*ALLOWED, watched[0])):
            escapes.append(f"{event} {real}")


@contextmanager
def limited(folder: str) -> Iterator[None]:
    """End what takes too long, and note what is written outside the folder."""

    def late(*_: Any) -> None:
        raise TooLong

    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    watched.append(folder)
    try:
        yield
    finally:
        watched.clear()
        signal.setitimer(signal.ITIMER_REAL, 0)


def answer(case: Case, data: st.DataObject) -> tuple[str, str]:
    """`accepted`, `refused`, or the kind of failure with its traceback."""
    escapes.clear()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tempfile.TemporaryDirectory() as name:
        try:
            with limited(os.path.realpath(name)):
                case(data, Path(name))
            said = "accepted", ""
        except RaydistillError as error:
            said = ("refused", "") if str(error).strip() else ("refused without a message", "")
        except TooLong:
            said = f"more than {SECONDS} s", traceback.format_exc()
        except Exception as error:  # it is what is looked for
            last = traceback.extract_tb(error.__traceback__)[-1]
            ours = [frame for frame in traceback.extract_tb(error.__traceback__) if "/raydistill/" in frame.filename]
            if not ours:
                raise  # of hypothesis, or of this file
            said = f"{type(error).__name__} in {ours[-1].name} ({Path(last.filename).name})", traceback.format_exc()
    if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before > GIB * 2**20:
        said = f"more than {GIB:g} GiB", ""
    return (f"writes {escapes[0]}", "") if escapes else said


def fuzz(case: Case, *, seconds: float, first_seed: int = 0, examples: int = 200) -> Tally:
    """Try inputs for so long, with one seed after another; with 0 seconds the examples of one seed."""
    tally, ends = Tally(), time.monotonic() + seconds
    number = first_seed
    while True:
        run = settings(
            max_examples=examples,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )

        @run
        @seed(number)
        @given(st.data())
        def one(data: st.DataObject) -> None:
            began = time.monotonic()
            kind, told = answer(case, data)
            tally.answers[kind] += 1
            tally.slowest = max(tally.slowest, time.monotonic() - began)
            if kind not in ("accepted", "refused"):
                tally.failures.setdefault(kind, told)

        one()
        number += 1
        if time.monotonic() >= ends:
            return tally


def main() -> None:
    """Print a row per target, and the first traceback of each kind of failure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5.0, help="for each target")
    parser.add_argument("--target", action="append", choices=list(TARGETS))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    os.environ["RAYDISTILL_CACHE_GB"] = "0"  # decoded images would be written elsewhere
    sys.addaudithook(_watch)
    print(
        "| target | minutes | inputs | accepted | refused | failures | slowest (s) |\n|---|---|---|---|---|---|---|", flush=True
    )
    failures: dict[str, str] = {}
    for name in options.target or TARGETS:
        began = time.monotonic()
        tally = fuzz(TARGETS[name], seconds=60 * options.minutes, first_seed=options.seed)
        counts = tally.answers
        failed = counts.total() - counts["accepted"] - counts["refused"]
        minutes = (time.monotonic() - began) / 60
        row = (name, f"{minutes:.1f}", counts.total(), counts["accepted"], counts["refused"], failed, f"{tally.slowest:.1f}")
        print("| " + " | ".join(map(str, row)) + " |", flush=True)
        failures |= {f"{name}: {kind} ({counts[kind]} times)": told for kind, told in tally.failures.items()}
    for kind, told in failures.items():
        print(f"\n{kind}\n{told}")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
