"""Whose log an opening for a set belongs in, where the set lies behind a URI."""

from __future__ import annotations

from raydistill.sets.place import opening_log
from raydistill.storage.store import Store


def test_a_set_of_a_study_behind_a_uri_belongs_to_the_log_of_its_store() -> None:
    study = Store("memory://place/store/study")
    study.write("search_space.yaml", "study: study")
    study.write("trials/one/images.safetensors", b"")
    assert opening_log("memory://place/store/study/trials/one", None).root == "memory://place/store"
    assert opening_log("memory://place/store/study/trials/one", "memory://place/store/").root == "memory://place/store"


def test_a_set_outside_a_study_behind_a_uri_belongs_to_the_log_that_is_named() -> None:
    Store("memory://place/sets/one").write("images.safetensors", b"")
    assert opening_log("memory://place/sets/one/images.safetensors", None).root == "studies"
    assert opening_log("memory://place/sets/one", "other").root == "other"
