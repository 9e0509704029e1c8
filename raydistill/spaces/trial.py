"""The config of one trial: everything that its result depends on, the trial's id, and reading it back from its folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from raydistill.spaces.bounded import read_json
from raydistill.spaces.messages import arm_and_size, listed
from raydistill.spaces.network import NetworkConfig
from raydistill.spaces.sections import Config, DatasetConfig, EvaluationConfig, GoalConfig, ImageFolderConfig

MethodT = TypeVar("MethodT", bound=Config)


class TrialConfig(Config, Generic[MethodT]):
    """Everything that the result of a trial depends on. Its hash is the trial's id."""

    seed: int = Field(ge=0)
    """Derived from the study's seed and the ask number."""
    ask_number: int = Field(default=0, ge=0)
    """Number of the trial, counted from 0 in the order in which the solver proposes trials."""
    dataset: Annotated[ImageFolderConfig | DatasetConfig, Field(union_mode="left_to_right")]
    data_sha256: str
    """Hash of the images, labels and split."""
    network: NetworkConfig
    method: MethodT
    label: str | None = None
    """Name of the arm in a race of several; left out where it is the method's name."""
    ipc: int = Field(ge=1)
    """Images per class."""
    evaluation: EvaluationConfig
    goal: GoalConfig
    cpus_per_trial: int = Field(default=1, ge=1)
    """CPU cores and torch threads."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Device of the trial: cuda if `gpus_per_trial` is above 0."""

    @model_serializer(mode="wrap")
    def _without_an_empty_label(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = handler(self)
        if self.label is None:
            fields.pop("label", None)
        return fields

    @property
    def arm(self) -> str:
        """Name of its arm in a race."""
        return self.label or str(self.method.name)  # type: ignore[attr-defined]

    @property
    def factor(self) -> int:
        """Side of the square of smaller images in each stored one; 1 where a stored image is one image."""
        return int(getattr(self.method, "factor", 1))

    @property
    def arm_and_size(self) -> str:
        """The arm with the number of its images, for people."""
        return arm_and_size(self.arm, self.ipc, self.factor)

    @property
    def decoded_ipc(self) -> int:
        """Images per class that networks are trained on; `ipc` counts stored ones."""
        return self.ipc * self.factor**2

    @property
    def trial_id(self) -> str:
        """First 12 hex digits of the SHA-256 of the canonical JSON of all fields except the path of the data folder.

        The content of that folder counts through `data_sha256`; its path does not, so that a study can move with its data.
        """
        return trial_id_of(self.model_dump(mode="json"))

    def canonical_json(self) -> str:
        """The config as JSON with sorted keys: equal configs give equal text."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True)

    def to_file(self) -> str:
        """The config as the text of a trial's `config.json`: for people, with sorted keys."""
        return json.dumps(self.model_dump(mode="json"), indent=2, sort_keys=True) + "\n"

    def __reduce__(self) -> tuple[Any, ...]:
        # A parametrised generic class cannot be imported by name, so it is pickled as the method's class and the JSON.
        return _trial_from_json, (type(self.method), self.canonical_json())


def trial_id_of(config: Mapping[str, Any]) -> str:
    """The `trial_id` of a config as JSON, of whatever version of raydistill; its `dataset` must be a mapping."""
    dataset = {key: value for key, value in config["dataset"].items() if key != "path"}
    return hashlib.sha256(json.dumps({**config, "dataset": dataset}, sort_keys=True).encode()).hexdigest()[:12]


def _trial_from_json(method: type[Config], data: str) -> TrialConfig[Any]:
    return TrialConfig[method].model_validate_json(data)  # type: ignore[valid-type]


def read_trial_config(data: str | bytes, methods: Mapping[str, type[Config]]) -> TrialConfig[Any]:
    """The trial config in a `config.json`.

    Raises:
        ValueError: the text is not the config of a trial with a known method.
    """
    raw = read_json(data)
    method = raw.get("method") if isinstance(raw, dict) else None
    name = method.get("name") if isinstance(method, dict) else None
    if not isinstance(name, str) or name not in methods:
        raise ValueError(
            f"config of the unknown method {name!r}; known methods: {listed(methods)}: use the version of raydistill that wrote "
            "it"
        )
    return TrialConfig[methods[name]].model_validate_json(data)  # type: ignore[valid-type]
