"""Networks written on one line, as options of a command: `mlp`, `resnet18:norm=batch`, `convnet:depth=2:width=32`.

A name, then options as key=value, joined by colons; commas separate networks. Unlike the YAML form `{name: convnet, depth: 2}`,
this needs no quotes in a shell.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import yaml
from pydantic import TypeAdapter, ValidationError

from raydistill.errors import InputError
from raydistill.spaces.bounded import read_yaml
from raydistill.spaces.messages import explain, unknown
from raydistill.spaces.network import NETWORKS, NetworkConfig, Shape


def parse_networks(texts: Sequence[str], own: NetworkConfig, shape: Shape) -> list[NetworkConfig]:
    """Parse network texts, in order, without duplicates.

    Args:
        texts: names, with or without options.
        own: the network of the synthetic set. Its name means this network with all its fields, which options replace one by
            one; any other name means that network with its defaults.
        shape: (C, H, W) of the images.

    Raises:
        InputError: a name or an option is wrong, or the images are too small; the message lists all mistakes.
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
    """The network with all its fields as text that `parse_networks` reads."""
    options = [f"{field}={getattr(network, field)}" for field in type(network).model_fields if field != "name"]
    return ":".join([network.name, *options])


def _parse(text: str, own: NetworkConfig) -> NetworkConfig:
    name, *options = text.split(":")
    if name not in NETWORKS:
        raise ValueError(unknown(name, NETWORKS, "name"))
    fields: dict[str, Any] = own.model_dump() if name == own.name else {"name": name}
    allowed = NETWORKS[name].model_fields.keys() - {"name"}
    for option in options:
        key, equals, value = option.partition("=")
        if not equals:
            raise ValueError(f"option {option!r}; expected key=value, joined by colons: write e.g. convnet:depth=2:width=32")
        if key not in allowed:
            raise ValueError(unknown(key, allowed, "option") if allowed else f"option {key!r}; {name} has no options: remove it")
        try:
            fields[key] = read_yaml(value)[0]
        except yaml.YAMLError:
            fields[key] = value
    try:
        return TypeAdapter(NetworkConfig).validate_python(fields)
    except ValidationError as error:
        rows = [(row, [str(part) for part in row["loc"] if part not in NETWORKS]) for row in error.errors()]
        messages = [" ".join([*names, explain(cast("dict[str, Any]", row), NetworkConfig, names)]) for row, names in rows]
        raise ValueError("; ".join(messages)) from error
