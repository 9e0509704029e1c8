"""What a search was given, as its study remembers it."""

from __future__ import annotations

from pathlib import Path

import pytest

from raydistill.storage.given import Given, read_given, whole_path, whole_space, write_given
from raydistill.storage.store import Store


def test_what_was_given_is_read_as_it_was_written(tmp_path: Path) -> None:
    given = Given(space="digits", overrides=("seed=3",), local=True, log=("wandb",))
    write_given(Store(str(tmp_path)), given)
    assert read_given(Store(str(tmp_path))) == given


def test_a_study_of_an_older_version_says_nothing(tmp_path: Path) -> None:
    assert read_given(Store(str(tmp_path))) is None


def test_a_path_is_made_whole_and_all_else_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "space.yaml").write_text("")
    assert whole_path("space.yaml") == str(tmp_path / "space.yaml")
    assert [whole_path(given) for given in ("digits", "s3://bucket/data", None)] == ["digits", "s3://bucket/data", None]


def test_a_folder_of_a_shipped_spaces_name_is_not_taken_for_the_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits_random").mkdir()
    (tmp_path / "space.yaml").write_text("")
    assert [whole_space(given) for given in ("digits_random", "space.yaml", None)] == [
        "digits_random",
        str(tmp_path / "space.yaml"),
        None,
    ]
