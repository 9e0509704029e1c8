"""The JSON Schema of a space, held against the reader: what the reader accepts it accepts, what it refuses the reader refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft7Validator
from small_space import SPACE

from raydistill.catalogue import described_spaces, known, shipped_spaces, space_schema
from raydistill.errors import SpaceError
from raydistill.spaces.data_facts import MOST_IMAGES, DataFacts
from raydistill.spaces.known import Known
from raydistill.spaces.parse import parse_space
from raydistill.spaces.schema import schema_of

FOLDER = Path(__file__).parents[2] / "search_spaces"
PAD = "method: {name: pad, experts: 2, expert_epochs: 60"
DATADAM = "method: {name: datadam"


def known_without_data() -> Known:
    """What this installation knows; every data set is large enough for anything, so that only the document counts."""
    here = known(None)
    return Known(
        methods=here.methods,
        datasets=here.datasets,
        recipes=here.recipes,
        epoch_recipes=here.epoch_recipes,
        data_facts=lambda _: DataFacts(smallest_class=MOST_IMAGES, confirm_images=MOST_IMAGES),
        smallest_margin=lambda *_: 0.0,
    )


KNOWN = known_without_data()
VALIDATOR = Draft7Validator(schema_of(KNOWN))
SHIPPED = Draft7Validator(json.loads(space_schema()))


def changed(lines: str) -> str:
    """The small space with its sections replaced by those of the lines."""
    return yaml.safe_dump({**yaml.safe_load(SPACE), **yaml.safe_load(lines)}, sort_keys=False)


def is_read(text: str) -> bool:
    try:
        parse_space(text, KNOWN)
    except SpaceError:
        return False
    return True


def is_by_schema(text: str) -> bool:
    return VALIDATOR.is_valid(yaml.safe_load(text))


GOOD = [
    "seed: 7",
    "ipc: 12",
    "ipc: {low: 1, high: 60}",
    "study: v1.2_x-3",
    "dataset: {name: mnist, split_seed: 4, preprocess: zca}",
    "dataset: {name: image_folder, path: cats, size: 32}",
    "dataset: {name: image_folder, path: /data/cats, size: 8, test_fraction: null, mirror_keeps_class: false}",
    "network: {name: mlp, width: 16}\nmethod: {name: dm}",
    "network: {name: resnet18, norm: batch}",
    "network: {name: convnet, depth: 3, width: 8, norm: group}",
    DATADAM + ", lr_images: 1}",
    DATADAM + ", lr_images: {low: 1, high: 10}}",
    DATADAM + ", random_inits: {low: 10, high: 20, log: false}}",
    DATADAM + ", init: {choices: [real, noise]}}",
    DATADAM + ", lr_images: {choices: [0.1, 1, 10.0]}, augmentation: crop_scale}",
    DATADAM + ", lr_images: {choices: [1, 1.0]}}",
    PAD + "}",
    PAD + ", expert_drop_epochs: [30, 50], expert_drop_fractions: [0, 0.5], filter_data: false}",
    PAD + ", filter_data: {choices: [true, false]}, expert_lr: {choices: [0.01, 0.02]}}",
    PAD + ", expert_drop_epochs: {choices: [[30, 50], [40, 60]]}}",
    "method: {name: random_soft, expert_curriculum: {initial_fraction: 0.5, all_from_epoch: 2, drop_epochs: [3, 4], "
    "drop_fractions: [0.1, 0.2], score_networks: 1, score_epochs: 1}}",
    "evaluation: {recipe: long, networks: 1, baseline_networks: 2}",
    "evaluation: {recipe: dsa_dm}\nipc: 10",
    "goal: {margin_fraction: 0.5, confidence: 0.9, lossy_trials: 3}",
    "budget: {trials: 5, hours: 2, gpu_hours: null}",
    "resources: {cpus_per_trial: 2, gpus_per_trial: 0.25, max_concurrent_trials: null}",
]
"""Changes that leave a space without a mistake."""

BAD = [
    "sed: 0",
    "study: Upper",
    "study: experts",
    "study: 7",
    "seed: -1",
    "seed: true",
    "seed: null",
    "ipc: 0",
    "ipc: ten",
    "ipc: {choices: [1, 10]}",
    "ipc: {low: 0, high: 10}",
    "ipc: {low: 1}",
    "ipc: {low: 1, high: 10, log: maybe}",
    "ipc: {low: 1, high: 9.5}",
    "dataset: digits",
    "dataset: {name: digit}",
    "dataset: {name: digits, path: cats}",
    "dataset: {name: image_folder, path: cats}",
    "dataset: {name: image_folder, path: cats, size: 8, test_fraction: 0.5}",
    "dataset: {name: digits, split_seed: {choices: [1, 2]}}",
    "network: {depth: 2}",
    "network: {name: convnet, depth: 9}",
    "network: {name: convnet, width: {low: 8, high: 16}}",
    "network: {name: mlp, depth: 2}",
    "method: datadam",
    "method: {lr_images: 1.0}",
    "method: {name: datadm}",
    "method: {name: {choices: [datadam, dm]}}",
    DATADAM + ", lr_image: 1.0}",
    DATADAM + ", lr_images: '1e-3'}",
    DATADAM + ", lr_images: 0}",
    DATADAM + ", lr_images: {low: 0, high: 1}}",
    DATADAM + ", lr_images: {low: 0.1, high: 1, step: 0.1}}",
    DATADAM + ", lr_images: {choices: [0.1]}}",
    DATADAM + ", lr_images: {choices: [0.1, fast]}}",
    DATADAM + ", lr_images: {choices: [0.1, 1], log: true}}",
    DATADAM + ", random_inits: {low: 1.5, high: 3}}",
    DATADAM + ", init: {low: 1, high: 2}}",
    DATADAM + ", init: blank}",
    PAD + ", expert_lr: {low: 0.01, high: 0.1}}",
    PAD + ", expert_drop_epochs: [1, 2, 3]}",
    PAD + ", expert_drop_epochs: ['30', 50]}",
    PAD + ", filter_data: 1}",
    "method: {name: random_soft, expert_curriculum: {initial_fraction: 0.5}}",
    "evaluation: {recipe: defualt}",
    "evaluation: {networks: 0}",
    "evaluation: null",
    "goal: {}",
    "goal: {margin_fraction: 2}",
    "goal: {margin_fraction: 0.02, confidence: 0.5}",
    "budget: 12",
    "budget: {trials: 0}",
    "budget: {trials: 5, hours: 0}",
    "resources: {tpus: 1}",
]
"""Mistakes that schema and reader both see."""

ONLY_THE_READER = [
    "ipc: {low: 60, high: 1}",
    "ipc: {low: 5, high: 5}",
    "ipc: 10.0",
    DATADAM + ", mmd_weight: {low: 0, high: 1, log: true}}",
    DATADAM + ", lr_images: {choices: [1.0, 1.0]}}",
    DATADAM + ", lr_images: .inf}",
    DATADAM + ", augmentation: dsb}",
    "network: {name: convnet, width: 6, norm: group}",
    PAD + ", expert_drop_epochs: [50, 30]}",
    "dataset: {name: image_folder, path: ../others, size: 8}",
    "evaluation: {recipe: dsa_dm}\nipc: {low: 1, high: 60}",
    "budget: {trials: 5, gpu_hours: 1}",
    "network: {name: mlp, width: 16}",
]
"""Mistakes that a schema cannot say: order, difference and finiteness of values, a whole number with a point, words with a
grammar of their own, and fields that do not fit each other or the method. To these come keys given twice, which
YAML merges before a schema is asked, and all that depends on the data."""


def test_there_are_enough_spaces_to_hold_the_schema_against_the_reader() -> None:
    assert len([*GOOD, *BAD, *ONLY_THE_READER]) >= 50


@pytest.mark.parametrize("lines", GOOD)
def test_what_the_reader_accepts_the_schema_accepts(lines: str) -> None:
    text = changed(lines)
    assert (is_read(text), is_by_schema(text)) == (True, True)


@pytest.mark.parametrize("lines", BAD)
def test_what_the_schema_refuses_the_reader_refuses(lines: str) -> None:
    text = changed(lines)
    assert (is_by_schema(text), is_read(text)) == (False, False)


@pytest.mark.parametrize("lines", ONLY_THE_READER)
def test_a_mistake_that_only_the_reader_sees_is_one(lines: str) -> None:
    text = changed(lines)
    assert (is_by_schema(text), is_read(text)) == (True, False)


@pytest.mark.parametrize("section", ["study", "dataset", "network", "method", "ipc", "goal", "budget"])
def test_a_missing_section_is_refused_by_both(section: str) -> None:
    document = {key: value for key, value in yaml.safe_load(SPACE).items() if key != section}
    text = yaml.safe_dump(document)
    assert (is_by_schema(text), is_read(text)) == (False, False)


@pytest.mark.parametrize("name", sorted(shipped_spaces()))
def test_a_shipped_space_names_the_schema_and_keeps_it(name: str) -> None:
    text = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    assert text.splitlines()[0] == "# yaml-language-server: $schema=schema.json"
    assert list(SHIPPED.iter_errors(yaml.safe_load(text))) == []


@pytest.mark.parametrize("name", sorted(shipped_spaces()))
def test_a_shipped_space_says_in_a_line_what_it_is_for(name: str) -> None:
    description = described_spaces()[name]
    assert description.endswith(".")
    assert 20 < len(description) <= 110


def test_the_shipped_schema_is_what_the_command_prints() -> None:
    """Written anew by: raydistill schema > search_spaces/schema.json."""
    assert (FOLDER / "schema.json").read_text(encoding="utf-8") == space_schema()


def test_the_schema_is_one() -> None:
    Draft7Validator.check_schema(json.loads(space_schema()))


def test_every_field_of_a_method_is_explained() -> None:
    methods = schema_of(KNOWN)["properties"]["method"]["anyOf"]
    assert {method["properties"]["name"]["const"] for method in methods} == set(KNOWN.methods)
    unexplained = {
        name
        for method in methods
        for name, field in method["properties"].items()
        if name != "name" and "description" not in field
    }
    assert unexplained == set()
    assert not [word for word in ("only_choices", "$defs", "oneOf", "prefixItems") if f'"{word}"' in space_schema()]
