"""The JSON Schema of a search space, by which editors complete and check a YAML file while it is written.

Built from the same models as the reader (`parse`), which stays the judge: what the reader accepts the schema accepts, and some
mistakes only the reader sees. These are what a schema cannot say: that a range begins below its end, that choices differ, that
values fit each other, the data and the network, and that a whole number is written without a point.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, TypeAdapter

from raydistill.spaces.arm_reader import LABEL
from raydistill.spaces.known import Known
from raydistill.spaces.network import NetworkConfig
from raydistill.spaces.parse import REQUIRED, STUDY_NAME, TAKEN_NAMES
from raydistill.spaces.ranges import takes_only_choices
from raydistill.spaces.sections import (
    BudgetConfig,
    DatasetConfig,
    EvaluationConfig,
    GoalConfig,
    ImageFolderConfig,
    ResourcesConfig,
    SearchConfig,
)

DIALECT = "http://json-schema.org/draft-07/schema#"
"""The newest one that editors' YAML support reads in full."""
Schema = dict[str, Any]


def schema_of(known: Known) -> Schema:
    """The schema of the spaces that are read with these names of methods, data sets and recipes."""
    definitions: Schema = {}
    evaluation = _section(EvaluationConfig, definitions)
    evaluation["properties"]["recipe"]["enum"] = sorted(known.recipes)
    methods = [_method(model, definitions) for _, model in sorted(known.methods.items())]
    racing = sorted(set(known.methods) - set(known.controls))
    properties = {
        "study": {
            "type": "string",
            "pattern": f"^{STUDY_NAME.pattern}$",
            "not": {"enum": list(TAKEN_NAMES)},
            "description": "Name of the study and of its folder in the store: small letters, digits, '.', '_' and '-'.",
        },
        "seed": {
            "type": "integer",
            "minimum": 0,
            "default": 0,
            "description": "Seed of the study; every trial's follows from it.",
        },
        "dataset": _dataset(known, definitions),
        "network": _clean(TypeAdapter(NetworkConfig).json_schema(), definitions),
        "method": {"anyOf": methods, "description": "A distillation method; a field is a value, a range, or choices."},
        "methods": {
            "type": "array",
            "minItems": 1,
            "items": {"anyOf": [_entry(known, name, definitions) for name in racing]},
            "description": "The methods that race, instead of one under `method`; a method named twice needs labels.",
        },
        "controls": {
            "type": "array",
            "items": {
                "anyOf": [
                    {"type": "string", "enum": sorted(known.controls)},
                    *(_entry(known, name, definitions) for name in sorted(known.controls)),
                ]
            },
            "description": "What the methods have to beat; by default every control with such labels, and [] for none.",
        },
        "ipc": {
            "anyOf": [
                {"type": "integer", "minimum": 1},
                _range({"type": "integer", "minimum": 1}, {"type": "integer"}),
                _object({"share": {"anyOf": [SHARE, _range(SHARE, SHARE)]}}, required=["share"]),
            ],
            "description": "Images per class: a number or a range, at most what the smallest class has; or a share of that.",
        },
        "evaluation": evaluation,
        "goal": _section(GoalConfig, definitions),
        "search": _section(SearchConfig, definitions),
        "budget": _section(BudgetConfig, definitions),
        "resources": _section(ResourcesConfig, definitions),
    }
    return {
        "$schema": DIALECT,
        "title": "raydistill search space",
        "type": "object",
        "properties": properties,
        "required": list(REQUIRED),
        "anyOf": [{"required": ["method"]}, {"required": ["methods"]}],
        "not": {"required": ["method", "methods"]},
        "additionalProperties": False,
        "definitions": definitions,
    }


SHARE: Schema = {"type": "number", "exclusiveMinimum": 0, "maximum": 1, "description": "Of the smallest class's train images."}


def _dataset(known: Known, definitions: Schema) -> Schema:
    named = _section(DatasetConfig, definitions)
    named["properties"]["name"]["enum"] = sorted(set(known.datasets) - {"image_folder"})
    kinds = [named, *([_section(ImageFolderConfig, definitions)] if "image_folder" in known.datasets else [])]
    return {"anyOf": kinds, "description": "The data set, and how it is split and preprocessed."}


def _method(model: type[BaseModel], definitions: Schema) -> Schema:
    """A method's section, whose fields but the name may be ranges or choices."""
    section = _section(model, definitions)
    for name, field in section["properties"].items():
        if name != "name":
            section["properties"][name] = _open(field, is_interval_allowed=not takes_only_choices(model, name))
    return section


def _entry(known: Known, name: str, definitions: Schema) -> Schema:
    """The section of a method or a control in a list.

    One that has a form with soft labels takes `labels: experts`, and the fields of those experts.
    """
    section = _method(known.methods[name], definitions)
    if name not in known.expert_labelled:
        return _labelled(section)
    soft = _method(known.methods[known.expert_labelled[name]], definitions)["properties"]
    labels = {"type": "string", "enum": ["experts"], "description": "Soft labels by experts, in place of the images' own."}
    return _labelled({**section, "properties": {**soft, **section["properties"]}}, labels=labels)


def _labelled(section: Schema, **more: Schema) -> Schema:
    """The section with the label that it may have in a list, and more fields that it has there."""
    label = {"type": "string", "pattern": f"^{LABEL.pattern}$", "description": "Name in the race; by default that of the method."}
    return {**section, "properties": {"label": label, **more, **section["properties"]}}


def _open(field: Schema, *, is_interval_allowed: bool) -> Schema:
    """A field's value, a range of it where it is a number, or choices of it."""
    about: Schema = {key: field[key] for key in ("description", "default") if key in field}
    value = {key: part for key, part in field.items() if key not in about}
    shapes = [value]
    if is_interval_allowed and value.get("type") in ("number", "integer"):
        shapes.append(_range(value, value))
    choices = {"type": "array", "items": value, "minItems": 2, "description": "Two or more different values."}
    shapes.append(_object({"choices": choices}, required=["choices"]))
    return {**about, "anyOf": shapes}


def _range(low: Schema, high: Schema) -> Schema:
    properties = {
        "low": {**low, "description": "Below `high`; above 0 where `log` is true."},
        "high": high,
        "log": {"type": "boolean", "default": False, "description": "Whether values are drawn evenly on a logarithmic scale."},
    }
    return _object(properties, required=["low", "high"])


def _object(properties: Schema, required: list[str]) -> Schema:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _section(model: type[BaseModel], definitions: Schema) -> Schema:
    return _clean(model.model_json_schema(ref_template="#/definitions/{model}"), definitions)


def _clean(schema: Schema, definitions: Schema) -> Schema:
    """The schema in the dialect's words, without the models' own names; shared parts move to `definitions`."""
    for name, part in schema.pop("$defs", {}).items():
        definitions[name] = _words(part)
    cleaned = _words(schema)
    assert isinstance(cleaned, dict)
    cleaned.pop("description", None)  # a class's docstring speaks to programmers
    return cleaned


def _words(part: Any) -> Any:
    if isinstance(part, list):
        return [_words(item) for item in part]
    if not isinstance(part, Mapping):
        return part
    kept = {key: value for key, value in part.items() if key not in ("title", "only_choices", "discriminator")}
    if "prefixItems" in kept:
        kept["items"] = kept.pop("prefixItems")
    if "oneOf" in kept:
        kept["anyOf"] = kept.pop("oneOf")
    if "$ref" in kept:
        kept = {"$ref": kept["$ref"].replace("#/$defs/", "#/definitions/")}
    return {key: _properties(value) if key == "properties" else _words(value) for key, value in kept.items()}


def _properties(properties: Mapping[str, Any]) -> Schema:
    """Fields by name, a name like `title` among them."""
    return {name: _words(field) for name, field in properties.items()}
