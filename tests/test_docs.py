"""What holds of the documents as a whole; their links, commands and examples are in `tests/docs/`."""

import re
import subprocess
from collections.abc import Iterable

from documents import ROOT

LARGEST_README_BYTES = 9000
INDEX_HOSTS = re.compile("|".join([r"py" r"pi\.org", r"python" r"hosted\.org", r"npm" r"js\.(org|com)", r"deb\.deb" r"ian\.org"]))


def index_hosts(texts: Iterable[tuple[str, str]]) -> list[str]:
    """Names of texts that name the host of a package index; which one is used is the business of each machine."""
    return [name for name, text in texts if INDEX_HOSTS.search(text)]


def test_the_readme_is_short() -> None:
    assert (ROOT / "README.md").stat().st_size < LARGEST_README_BYTES


def test_no_tracked_file_names_a_package_index() -> None:
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    files = [(name, ROOT / name) for name in names if (ROOT / name).is_file()]
    assert len(files) > 20
    assert index_hosts((name, path.read_text(encoding="utf-8", errors="ignore")) for name, path in files) == []


def test_the_name_of_a_package_index_is_found() -> None:
    assert index_hosts([("a", "see https://py" + "pi.org/x"), ("b", "the package index")]) == ["a"]


def test_the_chain_of_rooms_in_the_documents_is_the_one_that_is_held() -> None:
    from test_layers import CHAIN

    contributing = " ".join((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split())
    assert CHAIN in contributing
    rooms = {path.name for path in (ROOT / "raydistill").iterdir() if (path / "__init__.py").is_file()}
    assert {room for room in rooms if f"`{room}/`" not in contributing} == set()
