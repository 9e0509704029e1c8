"""Finding spaces and studies by name or path."""

from __future__ import annotations

from pathlib import Path

import pytest
from hand_made import SMALL, HandMade

from raydistill import catalogue as spaces
from raydistill.catalogue import did_you_mean, find_space, find_study, known, load_space, shipped_spaces
from raydistill.errors import InputError, SpaceError


def test_the_embedded_default_is_found_by_name() -> None:
    assert find_space("digits_datadam").name == "digits_datadam.yaml"


def test_a_file_comes_before_a_shipped_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("digits_datadam").write_text("study: mine\n")
    assert find_space("digits_datadam") == Path("digits_datadam")


def test_installed_spaces_come_before_those_of_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "raydistill"
    for folder, name in ((package / "search_spaces", "inside"), (tmp_path / "search_spaces", "beside")):
        folder.mkdir(parents=True)
        (folder / f"{name}.yaml").write_text("")
    monkeypatch.setattr(spaces, "__file__", str(package / "spaces.py"))
    assert list(shipped_spaces()) == ["inside"]


def test_an_unknown_space_suggests_the_nearest() -> None:
    with pytest.raises(InputError, match=r"^digit_datadam is neither .* did you mean 'digits_datadam'\? Shipped: .*Give one of"):
        find_space("digit_datadam")


def test_a_document_is_a_space_too() -> None:
    space = load_space(SMALL, ["ipc.high=30"], None)
    assert (space.study, sorted(space.arms[0].ranges), space.arms[0].template["method"]["random_inits"]) == (
        "tiny",
        ["ipc", "method.lr_images"],
        2,
    )


def test_mistakes_in_a_document_come_together() -> None:
    with pytest.raises(SpaceError, match="search space has 2 mistakes"):
        load_space({**SMALL, "sed": 1, "ipc": 1000}, [], None)


def test_what_is_known_comes_from_the_registries() -> None:
    here = known(None)
    assert {"datadam"} <= set(here.methods)
    assert {"digits", "mnist"} <= set(here.datasets)
    assert "default" in here.recipes


def test_a_study_is_found_by_folder_and_by_name(by_hand: HandMade) -> None:
    folder = by_hand.study.root
    store = folder.rpartition("/")[0]
    assert find_study(folder, "elsewhere").root == folder
    assert find_study("by-hand", store).root == folder


def test_an_unknown_study_suggests_the_nearest(by_hand: HandMade) -> None:
    store = by_hand.study.root.rpartition("/")[0]
    with pytest.raises(
        InputError,
        match=r"^neither by-hnd nor .*/by-hnd is a study .* did you mean 'by-hand'\? Studies in .*: by-hand\. Give one of",
    ):
        find_study("by-hnd", store)


@pytest.mark.parametrize("scheme", ["file://", ""])
def test_a_whole_path_or_a_uri_without_a_study_is_not_looked_for_in_the_store(scheme: str, tmp_path: Path) -> None:
    """With the store before it a URI is of no scheme, which packages would be missing for."""
    with pytest.raises(InputError, match=rf"^{scheme}{tmp_path}/none is not a study \(no search_space.yaml there\); Studies in"):
        find_study(f"{scheme}{tmp_path}/none", str(tmp_path))


def test_where_nothing_is_near_nothing_is_suggested() -> None:
    assert did_you_mean("xyz", ["digits_datadam"]) == ""
