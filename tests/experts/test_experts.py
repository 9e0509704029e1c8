"""Expert sets on a store: keys, building once, what is missing, damage, disk, listing, pruning."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
import torch
from resealed import reseal
from safetensors.torch import load_file

from raydistill import experts as package
from raydistill.catalogue import load_space
from raydistill.core.expert_fields import ExpertFields
from raydistill.data.splits import Splits, load_splits
from raydistill.errors import ExpertsError, StoreError, StoreUnavailableError, StudyInUseError
from raydistill.experts import build, files
from raydistill.experts.build import check_disk
from raydistill.experts.files import StoredExperts, missing, open_experts
from raydistill.experts.need import ExpertNeed, need_of, needs_of
from raydistill.experts.sets import list_sets, prune_sets
from raydistill.methods import METHODS
from raydistill.methods.configs.soft_coreset import RandomSoftConfig, of_the_same_experts
from raydistill.search.experts import plan_experts, prepare_experts
from raydistill.search.local import LocalExecutor
from raydistill.search.watcher import SilentWatcher
from raydistill.search.workplace import Workplace
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.lock import study_lock
from raydistill.storage.store import Store

SMALL: dict[str, Any] = {
    "study": "tiny",
    "dataset": {"name": "digits"},
    "network": {"name": "convnet", "depth": 2, "width": 4},
    "method": {
        "name": "datm",
        "experts": 2,
        "expert_epochs": 4,
        "expert_batch": 256,
        "window_width": 2,
        "window_growth": 0,
        "target_epochs": 1,
    },
    "ipc": 2,
    "goal": {"margin_fraction": 0.1},
    "controls": [],
    "budget": {"trials": 1},
}
PAD: dict[str, Any] = {"name": "pad", "score_networks": 2, "score_epochs": 1}


def trial(**method: Any) -> TrialConfig[Any]:
    space = load_space({**SMALL, "method": {**SMALL["method"], **method}}, [], None, for_search=False)
    return space.arms[0].trial(ask_number=0, values={}, data_sha256=splits().sha256)


def splits() -> Splits:
    from raydistill.spaces.sections import DatasetConfig

    return load_splits(DatasetConfig(name="digits"))


def need(**method: Any) -> ExpertNeed:
    found = need_of(trial(**method), splits())
    assert found is not None
    return found


class Told(SilentWatcher):
    """A watcher that records its calls."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.stages: Counter[str] = Counter()

    def stage(self, name: str, total: int) -> None:
        self.stages[name] += total

    def note(self, text: str) -> None:
        self.notes.append(text)


def prepare(store: Store, *configs: TrialConfig[Any], **given: Any) -> Told:
    told = Told()
    needs = plan_experts(configs, store, None, rebuild_damaged=given.get("rebuild_damaged", False))
    work = Workplace(executor=LocalExecutor(), data_root=None, watcher=told)
    prepare_experts(needs, configs[0], store, work, **given)
    return told


def test_the_jobs_of_experts_wait_for_their_store_and_write_nothing_once_the_lease_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("lease_file.SETTLE", "lease.RENEW"):
        monkeypatch.setattr(f"raydistill.storage.{name}_SECONDS", 0.1)
    store, config, lock = Store("memory://jobs-of-experts"), trial(), f"experts/{need().settings.key}/.lock"
    given: list[Store] = []

    def lose_the_lease(jobs: Sequence[Any], watcher: Any) -> None:
        given.append(jobs[0].store)
        store.write(lock, json.dumps(store.read_json(lock) | {"holder": "another", "token": "its own"}))
        while True:
            given[0].write("x", "1")
            time.sleep(0.1)

    executor: Any = SimpleNamespace(run_jobs=lose_the_lease)
    work = Workplace(executor=executor, data_root=None, watcher=Told())
    with pytest.raises(StudyInUseError, match="taken over from this search by another"):
        prepare_experts(plan_experts([config], store, None), config, store, work)
    assert (given[0].root, given[0].is_patient) == (store.root, True)
    assert store.read_json(lock)["holder"] == "another"


class Built(NamedTuple):
    store: Store
    key: str
    folder: Path


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("store")
    prepare(Store(str(folder)), trial())
    return Built(Store(str(folder)), need().settings.key, folder)


@pytest.fixture
def built(once: Built, tmp_path: Path) -> Built:
    """A copy that a test may damage."""
    shutil.copytree(once.folder, tmp_path, dirs_exist_ok=True)
    return Built(Store(str(tmp_path)), once.key, tmp_path / "experts" / once.key)


def test_the_key_is_of_what_shapes_an_expert() -> None:
    """Neither the number of experts nor the window shapes one; a rate, a seed, an epoch more and the filter do."""
    key = need().settings.key
    assert key == need(experts=5).settings.key == need(window_start=1, lr_images=3.0).settings.key
    others = [{"expert_lr": 0.02}, {"expert_seed": 1}, {"expert_epochs": 5}, {"augmentation": "none"}, PAD]
    assert len({key, *(need(**other).settings.key for other in others)}) == 6


def test_a_term_that_ablate_turns_off_leaves_the_experts_as_they_are() -> None:
    """Otherwise its row would say what other experts are worth. PAD's FIEX is the experts' filter itself."""
    config, changed = trial(), set()
    for name, method in METHODS.items():
        if not issubclass(method.config, ExpertFields):
            continue
        whole = method.config.model_validate({"name": name})
        for term, off in method.ablations.items():
            without = whole.model_copy(update=dict(off(whole)))
            keys = {found.settings.key for one in (whole, without) if (found := need_of(with_method(config, one), splits()))}
            changed |= {(name, term)} if len(keys) > 1 else set()
    assert changed == {("pad", "FIEX")}


def with_method(config: TrialConfig[Any], method: Any) -> TrialConfig[Any]:
    return config.model_copy(update={"method": method})


def test_methods_share_experts_of_the_same_settings() -> None:
    fields = {k: v for k, v in SMALL["method"].items() if k in ("experts", "expert_epochs", "expert_batch")}
    space = load_space({**SMALL, "method": {"name": "random_soft", **fields}}, [], None, for_search=False)
    control = need_of(space.arms[0].trial(ask_number=0, values={}, data_sha256=splits().sha256), splits())
    assert control is not None
    assert control.settings.key == need().settings.key
    assert control.kept == {4}


@pytest.mark.parametrize("method", [{}, PAD])
def test_the_soft_control_reads_the_very_experts_of_its_method(method: dict[str, Any]) -> None:
    """PAD's too, whose experts saw filtered data."""
    config = trial(**method)
    control = RandomSoftConfig(name="random_soft", **of_the_same_experts(config.method))
    found = need_of(config.model_copy(update={"method": control}), splits())
    assert found is not None
    assert found.settings == need(**method).settings


def test_a_method_without_experts_needs_none(tmp_path: Path) -> None:
    space = load_space({**SMALL, "method": {"name": "random"}}, [], None, for_search=False)
    config = space.arms[0].trial(ask_number=0, values={}, data_sha256=splits().sha256)
    assert need_of(config, splits()) is None
    assert open_experts(config, splits(), Store(str(tmp_path))) is None


def test_needs_of_one_set_are_joined() -> None:
    """Two experts from epochs 0 to 2, and three from 1 to 3: three, from 0 to 3."""
    (joined,) = needs_of([trial(), trial(experts=3, window_start=1)], splits())
    assert (joined.count, list(joined.epochs), joined.kept) == (3, [0, 1, 2, 3], {0, 1, 2, 3, 4})


def test_size_by_hand() -> None:
    """ConvNet-2 of width 4 on 8 x 8 digits: 40 + 8 and 148 + 8, and 10 x (36 + 1): 574 parameters. The padded image is 12, then
    6, then 3 pixels wide. Two experts with snapshots of epochs 0, 1, 2 and 4."""
    assert need().size_bytes == 2 * 4 * 574 * 4


def test_a_window_beyond_the_last_epoch_is_refused() -> None:
    fields = trial().method.model_copy(update={"window_start": 3})
    with pytest.raises(ExpertsError, match=r"up to epoch 5, but method\.expert_epochs is 4: raise it, or use an earlier window"):
        need_of(trial().model_copy(update={"method": fields}), splits())


def test_experts_are_built_once_and_found_by_the_next(once: Built) -> None:
    told = prepare(once.store, trial(lr_images=7.0))
    assert told.stages == {}
    assert "2 networks of 4 epochs" in told.notes[0]
    assert told.notes[0].endswith("all exist")


def test_what_they_cost_is_said_beforehand(tmp_path: Path) -> None:
    """GSAM passes twice: 2 x 2 experts x 4 epochs. Filtered ones first score, with two networks of one epoch: 20 passes."""
    assert ": 16 passes over 797 images" in prepare(Store(str(tmp_path)), trial()).notes[0]
    told = prepare(Store(str(tmp_path)), trial(**PAD))
    assert "2 to train after 2 networks that score the images: 20 passes" in told.notes[0]
    assert told.stages == {"difficulty scores": 2, "experts": 2}


def tensors(built: Built, expert: int) -> Path:
    (path,) = built.folder.glob(f"expert-{expert:03d}-*.safetensors")
    return path


def test_a_killed_build_trains_only_what_is_missing(built: Built) -> None:
    (built.folder / "expert-001.json").unlink()
    assert prepare(built.store, trial()).stages == {"experts": 1}


def test_more_experts_are_added_to_those_there(built: Built) -> None:
    before = tensors(built, 0).read_bytes()
    assert prepare(built.store, trial(experts=3)).stages == {"experts": 1}
    assert tensors(built, 0).read_bytes() == before


def test_another_window_adds_its_snapshots_and_keeps_the_old(built: Built) -> None:
    old = StoredExperts(need(), built.store)
    assert prepare(built.store, trial(window_start=1)).stages == {"experts": 2}
    new = StoredExperts(need(window_start=1), built.store)
    # A trial that opened the set before goes on reading the file that it knows.
    assert torch.equal(new.snapshot(0, 0), old.snapshot(0, 0))
    assert torch.equal(new.snapshot(1, 4), old.snapshot(1, 4))
    assert new.snapshot(0, 3).shape == (574,)


def test_a_snapshot_read_alone_is_the_one_in_the_file(once: Built) -> None:
    """The first read of an expert takes the whole file and its hash, later ones a slice."""
    experts = StoredExperts(need(), once.store)
    whole = load_file(next((once.folder / "experts" / once.key).glob("expert-000-*.safetensors")))
    read = [experts.snapshot(0, epoch) for epoch in whole["epochs"].tolist()]
    assert torch.equal(torch.stack(read), whole["snapshots"])


def test_an_epoch_that_was_not_kept_is_not_there(once: Built) -> None:
    with pytest.raises(KeyError):
        StoredExperts(need(), once.store).snapshot(0, 3)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (
            "expert-001-*.safetensors",
            r"expert-001-\w{12}\.safetensors is damaged: its hash differs from the one in its JSON file; build it again",
        ),
        ("expert-001.json", r"expert-001\.json is damaged \(.*\); build it again: raydistill experts build SPACE"),
    ],
)
def test_a_damaged_expert_is_named_never_used_and_rebuilt_on_request(built: Built, file: str, message: str) -> None:
    (path,) = built.folder.glob(file)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StoreError, match=message):
        plan_experts([trial()], built.store, None)
    assert prepare(built.store, trial(), rebuild_damaged=True).stages == {"experts": 1}
    assert missing(need(), built.store) == ([], [])


def test_an_expert_in_a_store_that_does_not_answer_is_not_taken_for_damaged(once: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(*_: object) -> None:
        raise StoreUnavailableError("no answer")

    monkeypatch.setattr(files, "read_tensors", silent)
    with pytest.raises(StoreUnavailableError, match="no answer"):
        missing(need(), once.store, rebuild_damaged=True)


def test_damage_that_comes_later_is_found_when_it_is_read(built: Built) -> None:
    experts = StoredExperts(need(), built.store)
    tensors(built, 0).write_bytes(b"no")
    with pytest.raises(StoreError, match=r"expert-000-\w{12}\.safetensors is damaged"):
        experts.snapshot(0, 0)


def test_an_expert_whose_tensors_are_gone_is_named(built: Built) -> None:
    tensors(built, 0).unlink()
    with pytest.raises(StoreError, match=r"expert-000-\w{12}\.safetensors is missing; build it again"):
        plan_experts([trial()], built.store, None)


def test_a_trial_never_builds_experts(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"expert-000 does not exist; build the experts first: raydistill experts build SPACE"):
        open_experts(trial(), splits(), Store(str(tmp_path)))


def test_a_trial_does_not_make_do_with_other_epochs(once: Built) -> None:
    with pytest.raises(StoreError, match=r"expert-000 lacks the snapshots of epochs \[3\]; build it again"):
        open_experts(trial(window_start=1), splits(), once.store)


def test_a_disk_too_small_is_said_before_anything_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(build.shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(StoreError, match=r"the experts need 0\.00 GiB, but .* has 0\.00 GiB free: use fewer experts"):
        check_disk([need()], Store(str(tmp_path)))


def test_the_disk_need_not_hold_what_is_there_already(once: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(once.folder)
    monkeypatch.setattr(build.shutil, "disk_usage", lambda path: usage._replace(free=1000))
    check_disk([need()], once.store)


def test_experts_of_other_code_are_reported(built: Built) -> None:
    reseal(Store(str(built.folder)), "expert-000.json", code_sha256="e" * 64)
    assert any(
        "trained by another version of the code (hash eeeeeeeeeeee)" in note for note in prepare(built.store, trial()).notes
    )


def test_an_expert_that_collapsed_is_reported(built: Built) -> None:
    assert not any("help little" in note for note in prepare(built.store, trial()).notes)
    for index, accuracy in ((0, 0.29), (1, 0.97)):  # their median is 0.63, and half of it lies between them
        reseal(Store(str(built.folder)), f"expert-00{index}.json", train_accuracy_fraction=accuracy)
    (note,) = [note for note in prepare(built.store, trial()).notes if "help little" in note]
    assert "0 (29.0 %);" in note
    assert "1 (" not in note


def test_the_hash_of_a_set_is_of_its_experts(built: Built) -> None:
    first = StoredExperts(need(), built.store).sha256
    prepare(built.store, trial(experts=3))
    assert StoredExperts(need(), built.store).sha256 == first
    assert StoredExperts(need(experts=3), built.store).sha256 != first


def test_a_list_shows_size_use_and_what_they_took(built: Built) -> None:
    prepare(built.store, trial(), study="mine")
    built.store.write("mine/search_space.yaml", "study: mine\n")
    (row,) = list_sets(built.store)
    assert (row.key, row.dataset, row.network, row.experts, row.epochs) == (built.key, "digits", "convnet", 2, 4)
    assert (row.snapshots, row.studies, row.filtered, row.other_code) == (8, ("mine",), False, False)
    assert row.size_bytes > 2 * 4 * 574 * 4
    assert row.seconds > 0


def test_pruning_spares_what_an_existing_study_uses(built: Built) -> None:
    prepare(built.store, trial(), study="mine")
    built.store.write("mine/search_space.yaml", "study: mine\n")
    assert prune_sets(built.store) == []
    shutil.rmtree(built.store.local_path("mine"))
    assert prune_sets(built.store) == [built.key]
    assert list_sets(built.store) == []


def test_pruning_by_key_does_not_ask_who_uses_it(built: Built) -> None:
    prepare(built.store, trial(), study="mine")
    built.store.write("mine/search_space.yaml", "study: mine\n")
    assert prune_sets(built.store, [built.key]) == [built.key]


def test_a_set_that_is_being_built_is_not_pruned(built: Built) -> None:
    with study_lock(built.store.at("experts", built.key)), pytest.raises(StudyInUseError, match="is in use by process"):
        prune_sets(built.store)


def test_a_folder_without_settings_is_no_set(built: Built) -> None:
    (built.folder.parent / "other").mkdir()
    assert [row.key for row in list_sets(built.store)] == [built.key]
    assert prune_sets(built.store) == [built.key]


def test_settings_of_another_version_are_named(built: Built) -> None:
    (built.folder / "settings.json").write_text("{}")
    with pytest.raises(
        StoreError,
        match=rf"is damaged, or was written by another version \(.*\); delete it: raydistill experts prune {built.key}",
    ):
        list_sets(built.store)


def test_an_unknown_key_is_refused(built: Built) -> None:
    with pytest.raises(
        StoreError, match=rf"no experts with key abc in .*; existing keys: {built.key}: give one of these, or no key"
    ):
        prune_sets(built.store, ["abc"])


def test_scores_are_averaged_over_their_networks(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    prepare(store, trial(**PAD))
    filtered = need(**PAD)
    one = [build.mean_scores(replace_networks(filtered, count), store) for count in (1, 2)]
    assert one[0].shape == (797,)
    assert not torch.equal(one[0], one[1])


def replace_networks(filtered: ExpertNeed, count: int) -> Any:
    """The need with another number of scoring networks, at the same place on the store."""

    class Other:
        score_networks = count
        file = staticmethod(filtered.file)

    return Other()


def test_what_the_package_says_of_its_files_is_what_it_writes(once: Built) -> None:
    written = {path.name for path in (once.folder / "experts" / once.key).iterdir() if path.is_file()}
    named = {re.sub(r"-\w{12}\.", "-<hash>.", name).replace("001", "000") for name in written} - {".lock"}
    assert named == {"settings.json", "expert-000.json", "expert-000-<hash>.safetensors"}
    assert all(name in (package.__doc__ or "") for name in named)


def test_a_joined_need_keeps_what_is_common() -> None:
    assert need().joined(replace(need(), epochs=range(0))).epochs == range(0, 3)
