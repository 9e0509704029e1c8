"""Networks as a person names them on one line: `mlp`, `resnet18:norm=batch`, `convnet:depth=2:width=32`.

A name with its options joined by colons, each as `--set` writes it. Commas part networks, and no character needs quotes in a
shell, which the YAML form `{name: convnet, depth: 2}` would.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import yaml
from pydantic import TypeAdapter, ValidationError

from raydistill.errors import InputError
from raydistill.spaces.messages import explain, unknown
from raydistill.spaces.network import NETWORKS, NetworkConfig, Shape


def parse_networks(texts: Sequence[str], own: NetworkConfig, shape: Shape) -> list[NetworkConfig]:
    """The networks named, in order, each once.

    Args:
        texts: names, with or without options.
        own: the network of the set. Its name stands for it with all its fields, which options replace one by one; any other
            name stands for that network's defaults.
        shape: (C, H, W) of the images.

    Raises:
        InputError: a name or an option is wrong, or the images are too small; all mistakes together.
    """
    found, mistakes = [], []
    for text in dict.fromkeys(texts):
        try:
            network = _parse(text, own)
        except ValueError as error:
            mistakes.append(f"network {text!r}: {error}")
            continue
        mistakes += [f"network {text!r}: {message}" for _, message in network.against(shape)]
        found.append(network)
    if mistakes:
        raise InputError("; ".join(mistakes))
    return found


def network_text(network: NetworkConfig) -> str:
    """The network with all its fields, in the form that `parse_networks` reads."""
    options = network.model_dump(exclude={"name"})
    return ":".join([network.name, *(f"{key}={value}" for key, value in options.items())])


def _parse(text: str, own: NetworkConfig) -> NetworkConfig:
    name, *options = text.split(":")
    if name not in NETWORKS:
        raise ValueError(unknown(name, NETWORKS, "name"))
    fields: dict[str, Any] = own.model_dump() if name == own.name else {"name": name}
    allowed = NETWORKS[name].model_fields.keys() - {"name"}
    for option in options:
        key, equals, value = option.partition("=")
        if not equals:
            raise ValueError(f"option {option!r}; options are key=value, joined by colons: write e.g. convnet:depth=2:width=32")
        if key not in allowed:
            raise ValueError(unknown(key, allowed, "option") if allowed else f"option {key!r}; {name} has none: leave it out")
        try:
            fields[key] = yaml.safe_load(value)
        except yaml.YAMLError:
            fields[key] = value
    try:
        return TypeAdapter(NetworkConfig).validate_python(fields)
    except ValidationError as error:
        rows = [(row, [str(part) for part in row["loc"] if part not in NETWORKS]) for row in error.errors()]
        told = [" ".join([*names, explain(cast("dict[str, Any]", row), NetworkConfig, names)]) for row, names in rows]
        raise ValueError("; ".join(told)) from error
