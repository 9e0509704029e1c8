"""A set as the Parquet file of a Hugging Face data set, which `datasets.load_dataset` opens without a network."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from raydistill.core.synthetic import Manifest, SyntheticSet
from raydistill.errors import InputError
from raydistill.sets.eight_bit import EightBit

FILE = "data/train-00000-of-00001.parquet"
WriteParquet = Callable[[SyntheticSet, Manifest, EightBit, Sequence[str], Path], None]


def parquet_writer() -> WriteParquet:
    """The function that writes `FILE` in a folder: image, label, and logits where the labels are soft.

    It takes the set, its manifest, its pixels, the names of the classes' folders (for the images' names), and the folder.

    Raises:
        InputError: pyarrow is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise InputError(
            "a Hugging Face data set needs pyarrow, which is not installed: pip install 'raydistill[hf]', or in a copy of the "
            "repository pip install '.[hf]'"
        ) from error

    def write(synthetic: SyntheticSet, manifest: Manifest, eight_bit: EightBit, class_folders: Sequence[str], out: Path) -> None:
        ipc = eight_bit.synthetic.ipc
        columns: dict[str, Any] = {
            "image": pyarrow.array(
                [
                    {"bytes": _png(image), "path": f"{class_folders[place // ipc]}-{place % ipc:05d}.png"}
                    for place, image in enumerate(eight_bit.pixels)
                ],
                pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())]),
            ),
            "label": pyarrow.array([place // ipc for place in range(len(eight_bit.pixels))], pyarrow.int64()),
        }
        if synthetic.label_kind == "soft":
            columns["logits"] = pyarrow.array(synthetic.labels.tolist(), pyarrow.list_(pyarrow.float32()))
        about = json.dumps({"info": {"features": _features(synthetic, manifest)}})
        table = pyarrow.table(columns).replace_schema_metadata({"huggingface": about})
        (out / FILE).parent.mkdir(parents=True)
        pyarrow.parquet.write_table(table, out / FILE)

    return write


def _features(synthetic: SyntheticSet, manifest: Manifest) -> dict[str, Any]:
    """The columns as `datasets` describes them."""
    features: dict[str, Any] = {
        "image": {"_type": "Image"},
        "label": {"names": list(manifest.class_names), "_type": "ClassLabel"},
    }
    if synthetic.label_kind == "soft":
        # `Sequence` is read by every version of `datasets`; versions before 4 do not know its newer name, `List`.
        features["logits"] = {"feature": {"dtype": "float32", "_type": "Value"}, "_type": "Sequence"}
    return features


def _png(image: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image if image.shape[2] == 3 else image[:, :, 0]).save(buffer, format="PNG")
    return buffer.getvalue()
