"""Reading a race: methods in a list, labels, controls, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from documents import text_of

from raydistill.catalogue import known
from raydistill.errors import SpaceError
from raydistill.search.distributions import complete_document
from raydistill.spaces.parse import parse_space
from raydistill.spaces.space import Choices, Range, SearchSpace

HEAD = """\
study: race
dataset: {name: digits}
network: {name: convnet, depth: 2, width: 8}
ipc: {low: 1, high: 60, log: true}
goal: {margin_fraction: 0.02}
budget: {trials: 12}
"""
TWO = """\
methods:
  - name: datadam
    lr_images: {low: 0.1, high: 10.0, log: true}
  - name: dm
    batch_real: 64
"""
"""From line 7 on."""
HARD = ("random", "k_center", "herding", "k_means", "k_means_medoids")
CONTROLS = ", ".join(sorted(known(None).controls))
METHODS = ", ".join(sorted(set(known(None).methods) - set(known(None).controls)))


def parse(text: str, *overrides: str, **options: Any) -> SearchSpace:
    return parse_space(HEAD + text, known(None), source="x.yaml", overrides=overrides, **options)


def mistakes(text: str, *overrides: str) -> list[str]:
    """The message's lines after the first, which counts them."""
    with pytest.raises(SpaceError) as caught:
        parse(text, *overrides)
    return [line.strip() for line in str(caught.value).splitlines()[1:]]


def test_each_method_has_its_own_ranges_and_all_share_those_of_ipc() -> None:
    space = parse(TWO)
    ipc = Range(low=1, high=60, log=True, whole=True)
    first, second = space.methods
    assert first.ranges == {"ipc": ipc, "method.lr_images": Range(low=0.1, high=10.0, log=True, whole=False)}
    assert second.ranges == {"ipc": ipc}
    assert second.template["method"]["batch_real"] == 64
    assert (space.is_race, [arm.label for arm in space.methods]) == (True, ["datadam", "dm"])


def test_without_controls_in_the_file_the_default_ones_race_too() -> None:
    space = parse(TWO)
    assert tuple(arm.label for arm in space.controls) == HARD
    assert not space.are_controls_given
    assert [arm.label for arm in space.without_controls().arms] == ["datadam", "dm"]


def test_methods_with_soft_labels_have_controls_with_soft_labels_of_their_experts() -> None:
    space = parse("methods: [{name: datm, experts: 3}, {name: pad}]\n")
    assert {(arm.label.endswith("_soft"), arm.template["method"]["experts"]) for arm in space.controls} == {(True, 3)}


def test_a_command_that_makes_one_set_adds_no_controls_and_needs_no_budget_for_them() -> None:
    assert parse(TWO, "budget.trials=1", for_search=False).controls == ()


def test_no_controls_are_no_race_where_there_is_one_method() -> None:
    space = parse("methods: [{name: datadam}]\ncontrols: []\n")
    assert (space.controls, space.is_race, space.are_controls_given) == ((), False, True)


def test_controls_are_names_or_sections_with_ranges() -> None:
    space = parse(TWO + "controls:\n  - random\n  - {name: k_means, space: {choices: [pixels, features]}}\n")
    assert [arm.label for arm in space.controls] == ["random", "k_means"]
    assert space.arm("k_means").ranges["method.space"] == Choices(values=("pixels", "features"))


@pytest.mark.parametrize(
    ("given", "factors"),
    [("factor: 2", (1, 2)), ("factor: {choices: [1, 3]}", (1, 3)), ("factor: {low: 2, high: 4}", (1, 2, 3, 4))],
)
def test_controls_that_are_not_set_may_pack_as_the_methods_do_or_not_at_all(given: str, factors: tuple[int, ...]) -> None:
    space = parse("methods: [{name: datadam}, {name: dm, batch_real: 8, " + given + "}]\n", "ipc.high=4")
    assert {arm.ranges["method.factor"] for arm in space.controls} == {Choices(values=factors)}
    listed = parse(
        "methods: [{name: dm, batch_real: 8, " + given + "}]\ncontrols: [random, {name: k_means, factor: 1}]\n", "ipc.high=4"
    )
    assert listed.arm("random").ranges["method.factor"] == Choices(values=factors)
    assert "method.factor" not in listed.arm("k_means").ranges


def test_a_label_tells_two_of_one_method_apart_and_is_part_of_the_trial() -> None:
    space = parse("methods: [{name: datadam}, {name: datadam, label: from-noise, init: noise}]\n")
    plain, labelled = space.methods
    assert (plain.label, labelled.label, labelled.method) == ("datadam", "from-noise", "datadam")
    one, other = (arm.trial(ask_number=0, values={"ipc": 3}, data_sha256="d" * 64) for arm in (plain, labelled))
    assert (one.label, one.arm, other.label, other.arm) == (None, "datadam", "from-noise", "from-noise")
    assert "label" not in one.model_dump()
    with pytest.raises(KeyError, match="noise"):
        space.arm("noise")


def test_the_short_form_is_a_race_of_one_method_and_its_controls() -> None:
    assert [arm.label for arm in parse("method: {name: datadam}\n").arms] == ["datadam", *HARD]


def test_a_study_of_one_control_has_no_others() -> None:
    assert [(arm.label, arm.is_control) for arm in parse("method: {name: random}\n").arms] == [("random", False)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "methods:\n  - {name: datadam}\n  - {name: datadam}\n",
            "x.yaml:8: methods.datadam: datadam stands for 2 of methods and controls: add 'label: ...' that tells them apart",
        ),
        (
            "methods:\n  - {name: datadam, label: random}\n",
            "controls.random: random stands for 2 of methods and controls: add 'label: ...' that tells them apart",
        ),
        (
            "methods:\n  - {name: datadam}\n  - {name: random}\n",
            "x.yaml:9: methods.random: random is a control: write it under controls",
        ),
        (
            "methods: [{name: datadam}]\ncontrols: [dm, random]\n",
            "x.yaml:8: controls.dm: dm is a method, not a control: write it under methods; controls are herding, k_center, "
            "k_means, "
            "k_means_medoids, random",
        ),
        (
            "methods: [{name: datadam}]\nmethod: {name: dm, batch_real: 64}\n",
            "x.yaml:7: methods: given together with method, which is the short form for one of them: keep one of the two",
        ),
        ("methods: []\n", "x.yaml:7: methods: given []; expected a list of methods: write [{name: datadam, ..}, ..]"),
        (
            "methods: {name: datadam}\n",
            "x.yaml:7: methods: given {name: datadam}; expected a list of methods: write [{name: datadam, ..}, ..]",
        ),
        (
            "methods: [datadam]\n",
            f"x.yaml:7: methods: given 'datadam'; expected a section with a name: add 'name: ...', one of {METHODS}",
        ),
        ("methods: [{init: real}]\n", f"x.yaml:7: methods: has no name: add 'name: ...', one of {METHODS}"),
        (
            "methods: [{name: [datadam]}]\n",
            f"x.yaml:7: methods.None.name: unknown method '[datadam]'; did you mean 'datadam'? Allowed: {METHODS}",
        ),
        (
            "methods: [{name: datadm}]\n",
            f"x.yaml:7: methods.datadm.name: unknown method 'datadm'; did you mean 'datadam'? Allowed: {METHODS}",
        ),
        (
            "methods:\n  - {name: datadam, label: From Noise}\n",
            "x.yaml:8: methods.From Noise.label: given 'From Noise'; expected up to 64 lower-case letters, digits, '_' and '-', "
            "starting with a letter or digit",
        ),
        (
            "methods: [{name: datadam}]\ncontrols: [randm]\n",
            f"x.yaml:8: controls.randm.name: unknown control 'randm'; did you mean 'random'? Allowed: {CONTROLS}",
        ),
        (
            "methods: [{name: datadam}]\ncontrols: random\n",
            "x.yaml:8: controls: given 'random'; expected a list: write [random, k_center, herding, k_means, "
            "k_means_medoids], or [] "
            "for none",
        ),
        (
            "methods: [{name: datadam}]\ncontrols: [3]\n",
            f"x.yaml:8: controls: given 3; expected a section with a name: add 'name: ...', one of {CONTROLS}",
        ),
        (
            "methods: [{name: datadam}]\ncontrols: [random_soft]\n",
            "x.yaml:8: controls.random_soft: its labels are not hard, as those of the methods are: write some of herding, "
            "k_center, "
            "k_means, k_means_medoids, random",
        ),
        (
            "methods: [{name: datadam}, {name: datm}]\n",
            "x.yaml:7: methods: datm make soft labels and datadam hard ones, and the two share no ranking: write one study "
            "for each "
            "kind",
        ),
    ],
    ids=lambda value: value.splitlines()[0] if value.startswith("methods") else "",
)
def test_what_is_wrong_with_a_race_is_named_with_its_line(text: str, expected: str) -> None:
    (mistake,) = mistakes(text)
    assert mistake.endswith(expected)


def test_a_range_of_a_field_that_the_method_lacks_is_named_beside_other_mistakes_of_the_list() -> None:
    text = TWO.replace("batch_real: 64", "batch_real: 64\n    mmd_weight: {low: 0.1, high: 1.0}")
    found = mistakes(text + "controls:\n  - random\n  - name: k_means\n    spce: pixels\n")
    assert [line.partition(";")[0] for line in found] == [
        "x.yaml:12: methods.dm.mmd_weight: unknown key 'mmd_weight'",
        "x.yaml:16: controls.k_means.spce: unknown key 'spce'",
    ]


def test_a_budget_must_hold_a_trial_of_every_arm_and_the_message_says_how_many_that_takes() -> None:
    (mistake,) = mistakes(TWO, "budget.trials=6")
    assert mistake == (
        "--set: budget.trials: given 6; each of datadam, dm, random, k_center, herding, k_means, k_means_medoids is "
        "tried at least "
        "once, which takes 7 trials: write at least that number, or name fewer controls (controls: [] for none)"
    )
    assert len(parse(TWO, "budget.trials=7").arms) == 7
    assert len(parse(TWO + "controls: []\n", "budget.trials=2").arms) == 2


def test_set_names_a_method_of_the_list_by_its_label() -> None:
    space = parse(TWO, "methods.datadam.lr_images=1.0", "methods.dm.init=noise", "controls=[random]")
    assert space.arm("datadam").template["method"]["lr_images"] == 1.0
    assert set(space.arm("datadam").ranges) == {"ipc"}
    assert space.arm("dm").template["method"]["init"] == "noise"
    assert [arm.label for arm in space.controls] == ["random"]


def test_set_with_a_label_that_is_not_there_or_a_value_that_is_wrong_says_so() -> None:
    absent, wrong = mistakes(TWO, "methods.dc.init=noise", "methods.dm.init=rael")
    assert absent.endswith(
        "given 'methods.dc.init=noise'; methods has no section called dc; it has datadam, dm: name one of these"
    )
    assert wrong.startswith("--set: methods.dm.init: given 'rael'; allowed: 'real', 'noise', ")


@pytest.mark.parametrize(
    "text",
    [
        TWO,
        TWO + "controls: [random, {name: k_means, label: centres, space: {choices: [pixels, features]}}]\n",
        "methods: [{name: datadam, label: mine}]\ncontrols: []\n",
        "method: {name: datadam}\n",
        "methods: [{name: datm, experts: 3}]\nsearch: {sampler: tpe}\n",
        "methods: [{name: dm, factor: {choices: [1, 2]}, batch_real: 8, pool: 5, calibration_weight: {low: 0.1, high: 1.0}}]\n",
    ],
)
def test_the_complete_document_of_a_race_reads_back_as_the_same_space(text: str) -> None:
    space = parse(text, "ipc.high=19")
    document = complete_document(space)
    again = parse_space(yaml.safe_dump(document, sort_keys=False), known(None))
    assert again.arms == space.arms
    assert (again.search, again.are_controls_given) == (space.search, True)
    assert complete_document(again) == document


def test_the_shipped_race_has_two_methods_and_five_controls() -> None:
    space = parse_space(text_of("search_spaces/digits.yaml"), known(None))
    assert [arm.label for arm in space.arms] == ["datadam", "dm", *HARD]
