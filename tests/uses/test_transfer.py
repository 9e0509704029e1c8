"""A set made with one network, judged with others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from made_up import Told
from resealed import content, reseal
from small_set import write_small_set

import raydistill
from raydistill.core.synthetic import decode
from raydistill.errors import DataError, InputError, StoreError
from raydistill.report.use_tables import render_use
from raydistill.storage.store import Store
from raydistill.uses import running
from raydistill.uses.values import About, TransferCell, TransferResult, read_result


def transfer(path: str, **options: Any) -> Any:
    given: dict[str, Any] = {"network": ["mlp", "convnet"], "networks": 2, "recipe": "plain", "local": True, **options}
    return raydistill.evaluate_for("transfer", path, **given)


def unit_files(path: str) -> list[Path]:
    return sorted(Path(path, "uses", "units").glob("*.json"))


def test_the_set_its_controls_and_the_full_data_are_judged_with_every_network(small_set: str) -> None:
    result = transfer(small_set)
    sources = ["set", "random", "k_center", "herding", "k_means_medoids", "full"]
    assert [(c.source, c.network.split(":")[0]) for c in result.cells] == [(s, n) for s in sources for n in ("mlp", "convnet")]
    assert {len(c.accuracy_fractions) for c in result.cells} == {2}
    assert read_result(Store(f"{small_set}/uses"), "transfer") == result


def test_the_networks_are_the_own_and_all_others_that_the_images_are_large_enough_for(small_set: str) -> None:
    """ResNet18 with instance norm needs 9 x 9 pixels, LeNet 12 x 12, VGG11 28 x 28; digits have 8 x 8."""
    result = transfer(small_set, network=None, networks=1, controls=["none"])
    assert [c.network.split(":")[0] for c in result.cells if c.source == "set"] == ["convnet", "mlp", "alexnet"]
    assert result.left_out == ("lenet", "vgg11", "resnet18")
    assert "The images are too small for lenet, vgg11, resnet18." in render_use(result, "md")


def test_a_second_run_trains_nothing_and_a_killed_one_only_what_is_missing(small_set: str) -> None:
    first, told = transfer(small_set, controls=["random"]), Told()
    assert len(unit_files(small_set)) == 2 * 2 * 3
    assert transfer(small_set, controls=["random"], watcher=told) == first
    assert told.all("job") == []
    unit_files(small_set)[0].unlink()
    again = transfer(small_set, controls=["random"], watcher=told)
    assert (len(told.all("job")), told.all("found")) == (1, [11])
    assert [c.accuracy_fractions for c in again.cells] == [c.accuracy_fractions for c in first.cells]


def test_each_network_on_random_images_has_a_draw_of_its_own(small_set: str) -> None:
    transfer(small_set, controls=["random"], network="mlp")
    one, other = (decode(path.read_bytes())[0] for path in Path(small_set, "uses", "sets").glob("*.safetensors"))
    assert one.images.shape == other.images.shape == (30, 1, 8, 8)
    assert not torch.equal(one.images, other.images)


def test_networks_of_one_number_start_alike_on_every_source(small_set: str) -> None:
    transfer(small_set, controls=["k_center"], network="mlp")
    store = Store(f"{small_set}/uses/units")
    units = [content(store, path.name)["unit"] for path in unit_files(small_set)]
    assert len({unit["seed"] for unit in units}) == 2
    assert len(units) == 6


def test_a_dry_run_says_how_long_it_takes_and_trains_nothing(small_set: str) -> None:
    told = Told()
    assert transfer(small_set, watcher=told, dry_run=True) is None
    (said,) = told.all("note")
    assert "12 networks mlp at" in said
    assert not Path(small_set, "uses").exists()
    transfer(small_set)
    transfer(small_set, watcher=told, dry_run=True)
    assert "nothing is left to do: the records of all 24 networks are in" in told.all("note")[-1]


def test_the_records_go_where_they_are_asked_to_go(small_set: str, tmp_path: Path) -> None:
    transfer(small_set, controls=["none"], into=tmp_path / "elsewhere")
    assert (tmp_path / "elsewhere" / "transfer.json").is_file()
    assert not Path(small_set, "uses").exists()


def test_the_records_of_a_set_in_a_study_lie_in_the_study_outside_of_the_winner(tmp_path: Path) -> None:
    """`winner/` is written again by each end of a search."""
    study = tmp_path / "store" / "study"
    (study / "trials").mkdir(parents=True)
    (study / "search_space.yaml").write_text("study: study\n")
    path = write_small_set(study / "kept")
    result = transfer(path, controls=["none"], networks=1)
    assert (study / "uses" / result.about.set_sha256[:12] / "transfer.json").is_file()


def test_controls_have_the_sets_kind_of_labels_where_its_method_has_experts(tmp_path: Path) -> None:
    """A set with soft labels of a method without experts gets real images with their classes."""
    path = write_small_set(tmp_path / "soft", torch.randn(30, 10))
    result = transfer(path, network="mlp", networks=1)
    assert {c.source for c in result.cells} == {"set", "random", "k_center", "herding", "k_means_medoids", "full"}


def test_controls_of_a_set_by_experts_are_labelled_by_the_same_experts(tmp_path: Path) -> None:
    """The experts are trained where the store does not have them; the set's own method stands for itself."""
    fixed = [
        "ipc=3",
        "evaluation.recipe=plain",
        "evaluation.networks=2",
        "method={name: random_soft, experts: 1, expert_epochs: 1}",
    ]
    path, told = write_small_set(tmp_path / "soft", torch.randn(30, 10), fixed=fixed), Told()
    result = transfer(path, network="mlp", networks=1, watcher=told)
    assert {c.source for c in result.cells} == {"set", "k_center_soft", "herding_soft", "k_means_medoids_soft", "full"}
    assert [stage for stage, _ in told.all("stage")] == ["experts", "control sets", "networks"]
    made = [decode(file.read_bytes())[0] for file in Path(path, "uses", "sets").glob("*.safetensors")]
    assert [one.label_kind for one in made] == ["soft"] * 3


def test_experts_that_are_missing_are_in_the_estimate_and_in_the_hours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At a second per image two experts of one epoch take 2 x 797 s each: GSAM passes twice."""
    monkeypatch.setattr(running, "trial_pace", lambda *_: 1.0)
    monkeypatch.setattr(running, "probed_pace", lambda *_: 0.0)
    method = "method={name: random_soft, experts: 2, expert_epochs: 1}"
    fixed = ["ipc=3", "evaluation.recipe=plain", "evaluation.networks=2", method]
    path, told = write_small_set(tmp_path / "soft", torch.randn(30, 10), fixed=fixed), Told()
    assert transfer(path, network="mlp", networks=1, dry_run=True, watcher=told) is None
    assert "2 experts at 27 min each, " in told.all("note")[0]
    with pytest.raises(InputError, match=r"given --hours 0.4, and what is left takes about 53 min: 2 experts at 27 min each, "):
        transfer(path, network="mlp", networks=1, hours=0.4)
    transfer(path, network="mlp", networks=1)
    transfer(path, network="mlp", networks=2, dry_run=True, watcher=told)
    assert "expert" not in told.all("note")[-1]


def test_the_test_split_opens_once_and_only_while_something_is_left(small_set: str, tmp_path: Path) -> None:
    log = Store(str(tmp_path / "log"))
    given: dict[str, Any] = {"split": "test", "reason": "a test", "store": log.root, "controls": ["none"]}
    first = transfer(small_set, **given)
    assert transfer(small_set, **given) == first
    assert len(log.files("test_openings")) == 1
    assert transfer(small_set, controls=["none"]).about.split == "select"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"network": "lennet"}, r"network 'lennet': unknown name 'lennet'; did you mean 'lenet'\?"),
        ({"network": "lenet"}, r"given lenet for 1-channel images of 8 x 8 pixels; it needs at least 12 x 12"),
        ({"recipe": "plian"}, r"unknown recipe 'plian'; did you mean 'plain'\?"),
        ({"controls": ["randon"]}, r"unknown control 'randon' for a set of datadam with hard labels; did you mean 'random'\?"),
        ({"controls": ["random_soft"]}, r"unknown control 'random_soft' for a set of datadam with hard labels"),
        ({"networks": 0}, r"given --networks 0; expected a whole number of at least 1"),
        ({"hours": 0}, r"given --hours 0; expected a number above 0"),
        ({"orders": 3}, r"--orders is for --protocol continual, not for transfer: leave it out"),
        ({"distil_in_steps": True}, r"--distil-in-steps is for --protocol continual, not for transfer: leave it out"),
        ({"sample": 3}, r"--sample is for --protocol nas, not for transfer: leave it out"),
        ({"split": "test"}, r"the test split needs a reason"),
    ],
)
def test_what_it_cannot_do_is_named(small_set: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        transfer(small_set, **options)


def test_an_unknown_use_is_named(small_set: str) -> None:
    use: Any = "transfers"
    with pytest.raises(InputError, match="given the use 'transfers'; allowed: transfer"):
        raydistill.evaluate_for(use, small_set, local=True)


def test_more_than_the_hours_given_is_refused_with_how_long_it_takes(small_set: str) -> None:
    with pytest.raises(InputError, match=r"given --hours 1e-09, and what is left takes about .* networks mlp .*: give --hours "):
        transfer(small_set, hours=1e-9)


def test_hours_on_a_gpu_are_refused_because_nothing_is_timed(small_set: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raydistill.uses.running.probe", lambda *_: None)
    with pytest.raises(InputError, match=r"given --hours 1, but on a GPU nothing is timed beforehand: leave --hours out"):
        transfer(small_set, hours=1)


def test_a_set_of_other_data_is_refused(tmp_path: Path) -> None:
    path = write_small_set(tmp_path / "set", None, "dataset.split_seed=1")
    data = Path(path, "images.safetensors").read_bytes()
    Path(path, "images.safetensors").write_bytes(data.replace(b'\\"split_seed\\": 1', b'\\"split_seed\\": 2'))
    with pytest.raises(DataError, match=r"data set digits has hash .*, but the trial was made for"):
        transfer(path)


def test_a_set_too_large_for_controls_is_refused(small_set: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raydistill.data.splits.Splits.smallest_class", property(lambda _: 2))
    with pytest.raises(
        InputError, match=r"controls of the set's size need 3 train images of each class, .* give --controls none"
    ):
        transfer(small_set)


@pytest.mark.parametrize("damage", ["unit", "control"])
def test_a_damaged_record_is_named_with_what_to_do(small_set: str, damage: str) -> None:
    transfer(small_set, controls=["random"])
    if damage == "unit":
        file = unit_files(small_set)[0]
        file.write_text(file.read_text().replace('"seconds"', '"minutes"'))
        message = "is damaged.*delete it and run the same command again, which trains that network again"
    else:
        for file in Path(small_set, "uses", "sets").glob("*.safetensors"):
            file.write_bytes(b"nothing")
        for file in unit_files(small_set):
            file.unlink()
        message = "delete it and run the same command again, which makes it again"
    with pytest.raises(StoreError, match=message):
        transfer(small_set, controls=["random"])


def by_hand() -> TransferResult:
    about = About(
        set_sha256="a" * 64,
        method="dm",
        dataset="digits",
        ipc=4,
        label_kind="hard",
        network="convnet:depth=2",
        recipe="quick",
        split="select",
        metric="accuracy",
        device="cpu",
        code_sha256="c" * 64,
        commit=None,
        versions={},
    )
    cells = [("set", "mlp:width=128", (0.8, 0.9)), ("set", "lenet", (0.7, 0.7)), ("full", "mlp:width=128", (0.95, 0.97))]
    return TransferResult(
        about=about, cells=tuple(TransferCell(source=s, network=n, accuracy_fractions=a, seconds=1.5) for s, n, a in cells)
    )


def test_people_see_sources_times_networks() -> None:
    """0.8 and 0.9: 85 % with a sample deviation of 7.07 points."""
    said = render_use(by_hand(), "md")
    assert "Transfer: mean +- standard deviation over 2 networks each, a set of dm at IPC 4 on digits, made with convnet" in said
    assert "| the set        | 85.00 +- 7.07 | 70.00 +- 0.00 |" in said
    assert "full data" in render_use(by_hand(), "tex")


def test_scripts_see_a_row_per_cell() -> None:
    rows = json.loads(render_use(by_hand(), "json"))
    assert [(row["source"], row["network"]) for row in rows][:2] == [("set", "mlp:width=128"), ("set", "lenet")]
    assert rows[0]["accuracy_fraction_mean"] == pytest.approx(0.85)
    assert (rows[0]["of_method"], rows[0]["of_ipc"], rows[0]["seconds"]) == ("dm", 4, 1.5)
    assert render_use(by_hand(), "csv").startswith("source,network,accuracy_fraction_mean,")


def test_a_result_that_was_changed_is_not_read(small_set: str) -> None:
    transfer(small_set, controls=["none"], networks=1)
    file = Path(small_set, "uses", "transfer.json")
    file.write_text(file.read_text().replace('"datadam"', '"dm"'))
    with pytest.raises(StoreError, match="was changed after it was written; delete it and run the same command again"):
        read_result(Store(f"{small_set}/uses"), "transfer")


def test_a_result_of_another_version_is_not_read(small_set: str) -> None:
    transfer(small_set, controls=["none"], networks=1)
    reseal(Store(f"{small_set}/uses"), "transfer.json", record_version=2)
    with pytest.raises(StoreError, match="written by another version of raydistill"):
        read_result(Store(f"{small_set}/uses"), "transfer")
