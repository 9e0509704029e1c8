"""Reading a search space: mistakes, and the one message that lists all of them with line and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from small_space import IPC, IS_TEXT, LR, NETWORK, mistakes, parse

from raydistill.catalogue import known
from raydistill.errors import SpaceError
from raydistill.spaces.parse import parse_space, read_space
from raydistill.spaces.space import Range

SMALLEST = (
    "the smallest class has 77 train images (class 8): write at most that number, add images of this class, or leave it out of "
    "the data or join it with another"
)


def test_space_without_mistakes_has_its_ranges_by_path() -> None:
    assert parse().arms[0].ranges == {
        "ipc": Range(low=1, high=60, log=True, whole=True),
        "method.lr_images": Range(low=0.1, high=10.0, log=True, whole=False),
    }


@pytest.mark.parametrize("path", ["../others", "cats/../../others", "/data/../others"])
def test_a_folder_of_images_does_not_leave_the_data_root_by_the_way_up(path: str) -> None:
    (mistake,) = mistakes("{name: digits}", f"{{name: image_folder, path: {path}, size: 8}}")
    assert mistake == (
        f"x.yaml:3: dataset.path: given {path!r}; expected a folder below the data root, or an absolute path: write it without "
        "'..'"
    )


@pytest.mark.parametrize("name", ["..", "../other", "a/b", "/tmp", "~", "s3:x", ".hidden"])
def test_a_study_names_a_folder_of_its_store_and_nothing_else(name: str) -> None:
    (mistake,) = mistakes("study: small", f"study: '{name}'")
    assert mistake.startswith(
        f"x.yaml:1: study: given {name!r}; allowed are up to 64 lower-case letters, digits, '.', '_' and '-'"
    )


def test_what_is_not_written_takes_its_default() -> None:
    space = parse("seed: 0\n", "")
    assert (space.seed, space.resources.cpus_per_trial, space.arms[0].template["evaluation"]["recipe"]) == (0, 1, "default")


def test_fixed_values_and_lower_ends_make_the_template() -> None:
    template = parse("ipc: {low: 1, high: 60, log: true}", "ipc: 7").arms[0].template
    assert (template["ipc"], template["method"]["lr_images"], template["method"]["mmd_weight"]) == (7, 0.1, 0.01)


def test_a_trial_of_a_parsed_space_is_whole() -> None:
    config = parse().arms[0].trial(ask_number=3, values={"ipc": 4, "method.lr_images": 2.0}, data_sha256="d" * 64)
    assert (config.ipc, config.method.lr_images, config.network.width) == (4, 2.0, 8)


def test_five_mistakes_come_in_one_message_in_the_order_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "study: small\n"
        "sed: 0\n"
        "dataset: {name: digit}\n"
        "network: {name: convnet, depth: 2, width: 8}\n"
        "method:\n"
        "  name: datadam\n"
        "  lr_images: 1e-3\n"
        "  mmd_weight: -0.1\n"
        "ipc: {low: 60, high: 1, log: true}\n"
        "goal: {margin_fraction: 0.02}\n"
        "budget: {trials: 12}\n"
    )
    with pytest.raises(SpaceError) as caught:
        read_space(path, known(None))
    expected = [
        f"{path} has 5 mistakes:",
        f"  {path}:2: sed: unknown key 'sed'; did you mean 'seed'? Allowed: budget, controls, dataset, evaluation, goal, ipc, ",
        f"  {path}:3: dataset.name: unknown data set 'digit'; did you mean 'digits'? Allowed: ",
        f"  {path}:7: method.lr_images: YAML reads '1e-3' {IS_TEXT}: write 0.001",
        f"  {path}:8: method.mmd_weight: given -0.1; must be at least 0",
        f"  {path}:9: ipc: low 60 is above high 1: swap them",
    ]
    for line, start in zip(str(caught.value).splitlines(), expected, strict=True):
        assert line.startswith(start)


def test_mistakes_are_there_to_be_read_one_by_one() -> None:
    with pytest.raises(SpaceError) as caught:
        parse("seed: 0", "seed: -1")
    assert [(m.key, m.message) for m in caught.value.mistakes] == [
        ("seed", "given -1; expected a whole number of at least 0: write 0")
    ]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("seed: 0", "sed: 0", "x.yaml:2: sed: unknown key 'sed'; did you mean 'seed'? Allowed: budget, controls, dataset"),
        ("seed: 0", "7: 0", "x.yaml:2: 7: unknown key '7'; Allowed: budget, controls, dataset"),
        ("depth: 2", "dept: 2", "x.yaml:4: network.dept: unknown key 'dept'; did you mean 'depth'? Allowed: activation, depth"),
        (LR, "  lr_image: 1.0\n", "x.yaml:7: method.lr_image: unknown key 'lr_image'; did you mean 'lr_images'? Allowed: "),
        ("lr_images", "lr_image", "x.yaml:7: method.lr_image: unknown key 'lr_image'; did you mean 'lr_images'? Allowed: "),
        ("budget:", "resources: {cpus: 1}\nbudget:", "x.yaml:10: resources.cpus: unknown key 'cpus'; "),
        ("high: 60", "hi: 60", "x.yaml:8: ipc.hi: unknown key 'hi'; did you mean 'high'? Allowed: high, log, low"),
    ],
)
def test_an_unknown_key_is_reported_with_the_nearest_and_the_allowed(old: str, new: str, expected: str) -> None:
    assert mistakes(old, new)[0].startswith(expected)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("datadam", "datadm", "x.yaml:6: method.name: unknown method 'datadm'; did you mean 'datadam'? Allowed: "),
        ("digits", "digit", "x.yaml:3: dataset.name: unknown data set 'digit'; did you mean 'digits'? Allowed: "),
        ("convnet", "convnets", "x.yaml:4: network.name: unknown name 'convnets'; did you mean 'convnet'? Allowed: "),
        (
            "budget:",
            "evaluation: {recipe: defualt}\nbudget:",
            "x.yaml:10: evaluation.recipe: unknown recipe 'defualt'; did you mean 'default'? Allowed: ",
        ),
    ],
)
def test_a_misspelt_name_is_reported_with_the_nearest(old: str, new: str, expected: str) -> None:
    (line,) = mistakes(old, new)
    assert line.startswith(expected)


def test_method_name_may_not_be_a_range() -> None:
    (line,) = mistakes("name: datadam", "name: {choices: [datadam, random]}")
    assert line.startswith("x.yaml:6: method.name: unknown method '{choices: [datadam, random]}'; Allowed: ")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("1e-3", f"YAML reads '1e-3' {IS_TEXT}: write 0.001"),
        ("1e-7", f"YAML reads '1e-7' {IS_TEXT}: write 1.0e-07"),
        ("1.25e3", f"YAML reads '1.25e3' {IS_TEXT}: write 1250.0"),
        ("'0.1'", "given the text '0.1'; expected a number: write 0.1 without quotes"),
        ("fast", "given the text 'fast'; expected a number: write digits"),
        ("inf", "given the text 'inf'; expected a number: write digits"),
        ("true", "given true; expected a number"),
        ("null", "given null; expected a number"),
        ("[1.0, 2.0]", "given [1.0, 2.0]; expected a number"),
        (".inf", "given .inf; expected a finite number"),
        ("-1.0", "given -1.0; must be above 0"),
        ("0", "given 0; must be above 0"),
    ],
)
def test_a_rate_that_is_no_positive_number_is_reported(given: str, expected: str) -> None:
    assert mistakes(LR, f"  lr_images: {given}\n") == [f"x.yaml:7: method.lr_images: {expected}"]


@pytest.mark.parametrize(("text", "number"), [("1.0e-07", 1e-7), ("0.001", 1e-3), ("1250.0", 1250.0)])
def test_the_remedies_for_text_are_numbers_to_yaml(text: str, number: float) -> None:
    assert parse(LR, f"  lr_images: {text}\n").arms[0].template["method"]["lr_images"] == number


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("1e2", f"YAML reads '1e2' {IS_TEXT}: write 100"),
        ("ten", "given the text 'ten'; expected a whole number: write digits"),
        ("1.5", "given 1.5; expected a whole number"),
        ("false", "given false; expected a whole number"),
        ("0", "given 0; must be at least 1"),
    ],
)
def test_a_count_that_is_no_whole_number_is_reported(given: str, expected: str) -> None:
    assert mistakes(LR, f"  random_inits: {given}\n") == [f"x.yaml:7: method.random_inits: {expected}"]


def test_an_unknown_augmentation_is_reported() -> None:
    (line,) = mistakes(LR, "  augmentation: dsb\n")
    assert line.startswith("x.yaml:7: method.augmentation: augmentation 'dsb': unknown operation 'dsb'; allowed: dsa, none")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("{choices: [1, 10]}", "ipc: choices; IPC takes a range instead: write {low: .., high: .., log: true}"),
        ("{low: 0, high: 10}", "ipc.low: given 0; must be at least 1"),
        ("0", "ipc: given 0; expected a whole number of at least 1, or {low: .., high: .., log: true}"),
        ("true", "ipc: given true; expected a whole number of at least 1, or {low: .., high: .., log: true}"),
        ("", "ipc: given null; expected a whole number of at least 1, or {low: .., high: .., log: true}"),
        ("1e1", f"ipc: YAML reads '1e1' {IS_TEXT}: write 10"),
        ("100", f"ipc: given 100; {SMALLEST}"),
        ("{low: 1, high: 78}", f"ipc.high: given 78; {SMALLEST}"),
    ],
)
def test_an_invalid_ipc_is_reported(given: str, expected: str) -> None:
    """The stratified digits have 77 train images in their smallest class."""
    assert mistakes(IPC, f"ipc: {given}\n") == [f"x.yaml:8: {expected}"]


def test_a_recipe_in_epochs_needs_one_ipc() -> None:
    (line,) = mistakes("budget:", "evaluation: {recipe: dsa_dm}\nbudget:")
    assert line.endswith(
        "evaluation.recipe: 'dsa_dm' counts epochs, so every IPC would be evaluated with a different number of steps than the "
        "baseline: write one of affine, default, long, plain, quick, quick_plain, or a single IPC"
    )
    assert (
        parse("budget:", "evaluation: {recipe: dsa_dm}\nbudget:", "ipc=10").arms[0].template["evaluation"]["recipe"] == "dsa_dm"
    )


def test_a_name_that_the_store_uses_itself_is_refused() -> None:
    (line,) = mistakes("study: small", "study: experts")
    assert line.endswith(
        "study: given 'experts'; the store uses the names compare, experts, reproduce, test_openings itself: choose another name"
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("0.02", "0.0", "goal.margin_fraction: given 0.0; must be above 0"),
        ("0.02", "-0.01", "goal.margin_fraction: given -0.01; must be above 0"),
        ("0.02", "0.02, confidence: 0.5", "goal.confidence: given 0.5; must be above 0.5"),
        ("0.02", "0.02, confidence: 1.0", "goal.confidence: given 1.0; must be below 1"),
        ("trials: 12", "trials: 0", "budget.trials: given 0; must be at least 1"),
        ("trials: 12", "trials: 12, hours: 0.0", "budget.hours: given 0.0; must be above 0"),
        ("trials: 12", "trials: 12, gpu_hours: 1.0", "gpu_hours: given 1.0, but resources.gpus_per_trial is 0, so no GPU hours"),
    ],
)
def test_a_goal_or_budget_that_makes_no_sense_is_reported(old: str, new: str, message: str) -> None:
    assert any(message in line for line in mistakes(old, new))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("study: small\n", "", "x.yaml: study: missing: add it, for example study: my-study"),
        (IPC, "", "x.yaml: ipc: missing: add it, for example ipc: {low: 1, high: 50, log: true}"),
        ("{margin_fraction: 0.02}", "{}", "x.yaml:9: goal.margin_fraction: missing: add it, for example"),
        ("goal: {margin_fraction: 0.02}\n", "", "x.yaml: goal: missing: add it, for example goal: {margin_fraction: 0.05}"),
        ("budget: {trials: 12}\n", "", "x.yaml: budget: missing: add it, for example budget: {trials: 20}"),
        ("name: convnet, ", "", "x.yaml:4: network.name: missing: add it"),
        ("  name: datadam\n", "", "x.yaml:5: method: has no name: add 'name: ...', one of "),
        ("{name: digits}", "digits", "x.yaml:3: dataset: given 'digits'; expected a section with keys: write {name: digits, ..}"),
        ("{trials: 12}", "12", "x.yaml:10: budget: given 12; expected a section with keys: write key: value"),
        (NETWORK, "network:\n", "x.yaml:4: network: given null; expected a section with keys: write key: value"),
        (
            "method:\n  name: datadam\n" + LR,
            "method: datadam\n",
            "x.yaml:5: method: given 'datadam'; expected a section with a name: add",
        ),
        ("method:\n  name: datadam\n" + LR, "method:\n", "x.yaml:5: method: given null; expected a section with a name: add"),
        ("name: digits", "name: 7", "x.yaml:3: dataset.name: given 7; expected text"),
        ("seed: 0", "seed: true", "x.yaml:2: seed: given true; expected a whole number of at least 0: write 0"),
        ("{trials: 12}", "{trials: 0}", "x.yaml:10: budget.trials: given 0; must be at least 1"),
        ("0.02", "2", "x.yaml:9: goal.margin_fraction: given 2; must be below 1"),
        ("depth: 2", "depth: 9", "x.yaml:4: network.depth: given 9; must be at most 8"),
        (
            "budget:",
            "resources: {gpus_per_trial: 1.5}\nbudget:",
            "x.yaml:10: resources: gpus_per_trial is 1.5; a trial computes on one GPU",
        ),
        ("width: 8", "width: 6, norm: group", "x.yaml:4: network: width is 6; norm: group has 4 groups"),
        ("width: 8", "norm: instanse", "x.yaml:4: network.norm: given 'instanse'; allowed: 'instance', 'batch'"),
    ],
)
def test_what_is_missing_or_out_of_bounds_is_reported(old: str, new: str, expected: str) -> None:
    (line,) = mistakes(old, new)
    assert line.startswith(expected)


@pytest.mark.parametrize("name", ["../x", "..", "/tmp/x", "a/b", "", "Small", "-x", "7.5 x", "x" * 65, "7", "null"])
def test_a_study_name_that_is_no_plain_folder_name_is_reported(name: str) -> None:
    quoted = name if name in ("7", "null") else f'"{name}"'
    (line,) = mistakes("study: small", f"study: {quoted}")
    assert line.startswith("x.yaml:1: study: given ")
    assert line.endswith(
        "allowed are up to 64 lower-case letters, digits, '.', '_' and '-', starting with a letter or digit, because it becomes "
        "a folder name"
    )


@pytest.mark.parametrize("name", ["digits-datadam", "a", "v1.2_x", "x" * 64])
def test_a_plain_folder_name_is_a_study_name(name: str) -> None:
    assert parse("study: small", f"study: {name}").study == name


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("seed: 0", "seed: 0\nseed: 1", "x.yaml:3: seed: given twice (also on line 2): keep one"),
        (LR, LR + "  lr_images: 1.0\n", "x.yaml:8: method.lr_images: given twice (also on line 7): keep one"),
    ],
)
def test_a_key_given_twice_is_reported_with_both_lines(old: str, new: str, expected: str) -> None:
    assert mistakes(old, new) == [expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("study: [", "x.yaml:1: file: is not valid YAML: expected the node content, but found '<stream end>': correct this line"),
        ("a: 1\nb: c: d\n", "x.yaml:2: file: is not valid YAML: mapping values are not allowed here: correct this line"),
        ("- a\n", "x.yaml: file: is not a YAML mapping: write 'study: ...' and the other keys"),
        ("", "x.yaml: file: is not a YAML mapping: write 'study: ...' and the other keys"),
        ("\x00", "x.yaml: file: is not valid YAML: unacceptable character"),
    ],
)
def test_a_file_that_is_not_a_yaml_mapping_is_reported(text: str, expected: str) -> None:
    with pytest.raises(SpaceError) as caught:
        parse_space(text, known(None), source="x.yaml")
    assert str(caught.value).splitlines()[1].strip().startswith(expected)


def test_a_file_that_is_not_there_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match=r"none.yaml: file: cannot be read: .*No such file"):
        read_space(tmp_path / "none.yaml", known(None))


def test_a_file_that_is_not_text_is_reported(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SpaceError, match=r"file: cannot be read: .*can't decode"):
        read_space(tmp_path / "x.yaml", known(None))


def test_override_replaces_a_value() -> None:
    space = parse("", "", "ipc.high=30", "evaluation.networks=5", "method.init=noise")
    assert (
        space.arms[0].ranges["ipc"],
        space.arms[0].template["evaluation"]["networks"],
        space.arms[0].template["method"]["init"],
    ) == (
        Range(low=1, high=30, log=True, whole=True),
        5,
        "noise",
    )


def test_override_replaces_a_range_by_a_value_and_a_value_by_a_range() -> None:
    assert set(parse("", "", "ipc=5", "method.mmd_weight={low: 0.1, high: 1.0}").arms[0].ranges) == {
        "method.lr_images",
        "method.mmd_weight",
    }


def test_an_override_replaces_a_value() -> None:
    assert parse("", "", "ipc=5").arms[0].template["ipc"] == 5


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("ipc", "x.yaml: --set: given 'ipc'; expected path.to.field=value"),
        ("=5", "x.yaml: --set: given '=5'; expected path.to.field=value"),
        ("method..init=noise", "x.yaml: --set: given 'method..init=noise'; expected path.to.field=value"),
        ("seed.x=1", "x.yaml: --set: given 'seed.x=1'; a part of its path is a plain value, not a section: shorten the path"),
        ("ipc=[", "x.yaml: --set: given 'ipc=['; '[' is not valid YAML: quote or correct it"),
        ("ipc=500", f"--set: ipc: given 500; {SMALLEST}"),
        ("ipc.high=500", f"--set: ipc.high: given 500; {SMALLEST}"),
        ("ipc=", "--set: ipc: given null; expected a whole number of at least 1, or {low: .., high: .., log: true}"),
        ("method.lr_images=1e-3", "--set: method.lr_images: YAML reads '1e-3' as text"),
        ("method.lr_imges=1.0", "--set: method.lr_imges: unknown key 'lr_imges'; did you mean 'lr_images'?"),
        ("study=../x", "--set: study: given '../x'"),
    ],
)
def test_a_bad_override_is_reported_as_such(override: str, expected: str) -> None:
    (line,) = mistakes("", "", override)
    assert line.startswith(expected)


def test_a_folder_of_images_has_keys_of_its_own(tmp_path: Path) -> None:
    for name in ("a/1.png", *(f"b/{number}.png" for number in range(10))):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("L", (8, 8)).save(tmp_path / name)
    given = f"{{name: image_folder, path: {tmp_path}, size: 8}}"
    assert mistakes("{name: digits}", given)[0].startswith(
        f"x.yaml:3: dataset: {tmp_path} has 1 image of class a, too few for an image in"
    )


def test_mistakes_in_a_folder_of_images_are_named_together() -> None:
    assert mistakes("{name: digits}", "{name: image_folder, size: '8', test_fraction: 0.5, selct_fraction: 0.1}") == [
        "x.yaml:3: dataset.path: missing: add it, for example path: my_images",
        "x.yaml:3: dataset.size: given the text '8'; expected a number: write 8 without quotes",
        "x.yaml:3: dataset.test_fraction: given 0.5; must be at most 0.3",
        "x.yaml:3: dataset.selct_fraction: unknown key 'selct_fraction'; did you mean 'select_fraction'? Allowed: "
        "background, channels, classes, confirm_fraction, duplicates, fit, group_column, group_pattern, label_column, "
        "mirror_keeps_class, name, on_bad, path, path_column, preprocess, select_fraction, size, split_column, split_seed, "
        "test_fraction, value_range",
    ]


def test_a_misspelt_name_comes_before_the_keys_that_depend_on_it() -> None:
    (mistake,) = mistakes("{name: digits}", "{name: image_foldr, path: x}")
    assert mistake.startswith("x.yaml:3: dataset.name: unknown data set 'image_foldr'; did you mean 'image_folder'?")


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        (
            "{margin_fraction: 0.02}",
            "{margin_fracton: 0.02}",
            "x.yaml:9: goal.margin_fracton: unknown key 'margin_fracton'; did you",
        ),
        (IPC, IPC.replace("ipc", "ipcs", 1), "x.yaml:8: ipcs: unknown key 'ipcs'; did you mean 'ipc'?"),
    ],
)
def test_a_misspelt_required_key_is_one_mistake_not_two(old: str, new: str, line: str) -> None:
    """Adding what is missing beside the misspelt key would give both."""
    (found,) = mistakes(old, new)
    assert found.startswith(line)
