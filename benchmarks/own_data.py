"""Seconds and memory of reading a folder of the user's own images, the first time and again.

    python benchmarks/own_data.py                  # 100,000 JPEG files of 64 x 64, minutes on one core and 400 MB of disk
    python benchmarks/own_data.py --images 2000    # a quick run

Each reading is a process of its own, as a search's would be: `load_splits` from the folder's path to three preprocessed parts.
Peak memory is the most that the process held at a time (`ru_maxrss`), with Python, torch and the pages of the cached file that
were mapped just then. The images are deleted at the end, and so is their cache.
"""

from __future__ import annotations

import argparse
import io
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

READ = """
import resource, sys, time
from raydistill.data.splits import load_splits
from raydistill.spaces.sections import ImageFolderConfig
config = ImageFolderConfig(name="image_folder", path=sys.argv[1], size=int(sys.argv[2]))
idle = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start, start_cpu = time.perf_counter(), time.process_time()
splits = load_splits(config)
seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - start_cpu
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(seconds, cpu_seconds, peak, idle, len(splits.train.labels), splits.sha256[:12])
"""
CLASSES = 10


def write_images(folder: Path, images: int, size: int) -> int:
    """Write JPEG files of smoothed noise in ten class folders; returns their bytes together."""
    generator = np.random.default_rng(0)
    written = 0
    for number in range(images):
        coarse = Image.fromarray(generator.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        data = io.BytesIO()
        coarse.resize((size, size), Image.Resampling.BILINEAR).save(data, "JPEG", quality=90)
        path = folder / f"class{number % CLASSES}" / f"{number:06d}.jpg"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data.getvalue())
        written += len(data.getvalue())
    return written


def read(folder: Path, size: int, cache: Path) -> str:
    """Read the folder in a process of its own; returns a cell of the table."""
    environment = {**os.environ, "RAYDISTILL_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", READ, str(folder), str(size)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    seconds, cpu_seconds, peak, idle, train, sha256 = ended.stdout.split()
    times = f"{float(seconds):.1f} s ({float(cpu_seconds):.1f} s of CPU)"
    print(f"  {times}, peak {int(peak) / 2**20:.2f} GiB ({int(idle) / 2**20:.2f} before), {train} train, {sha256}")
    return f"{times}, {int(peak) / 2**20:.2f} GiB"


def main() -> None:
    """Measure and print a row for `results/speed.md`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000, help="number of images (default: 100,000)")
    parser.add_argument("--size", type=int, default=64, help="height and width in pixels (default: 64)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="raydistill-own-data-") as place:
        folder, cache = Path(place, "images"), Path(place, "cache")
        folder.mkdir()
        start = time.perf_counter()
        written = write_images(folder, given.images, given.size)
        print(f"{given.images:,} JPEG files, {written / 1e6:.0f} MB, written in {time.perf_counter() - start:.0f} s")
        first = read(folder, given.size, cache)
        again = read(folder, given.size, cache)
        kept = sum(path.stat().st_size for path in cache.rglob("*") if path.is_file())
    print(f"| {given.images:,} of {given.size} x {given.size} | {first} | {again} | {kept / 1e9:.2f} GB | {platform.machine()} |")


if __name__ == "__main__":
    main()
