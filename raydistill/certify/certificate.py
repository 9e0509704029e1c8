"""A certificate as a frozen, versioned value: `certificate.json`.

`evidence` is what was measured; `findings` follow from it alone (`findings.find`), so that `raydistill verify` can compute them
again without opening the test split.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, ClassVar, Literal

from pydantic import Field, PositiveInt, ValidationError, model_validator

from raydistill.data.own.report import TwinCounts
from raydistill.errors import CertifyError
from raydistill.methods import method_configs
from raydistill.spaces.sections import Config, GrownConfig
from raydistill.spaces.trial import TrialConfig, read_trial_config
from raydistill.spaces.units import points
from raydistill.storage.layout import CERTIFICATE_FILE
from raydistill.storage.result import GapBounds
from raydistill.storage.store import Store

LABELS = ("test_labels", "select_labels")
PAGE = "certificate.md"
Verdict = Literal["lossless", "not_lossless", "inconclusive"]


class RecipeFacts(Config):
    """How the networks of all arms are trained."""

    words: str
    steps: PositiveInt
    """Optimiser steps on a set."""
    full_steps: PositiveInt
    """Optimiser steps on the full data: those at which the baseline was better on the select images."""
    batch: PositiveInt


class Admissibility(GrownConfig):
    """The study's baseline networks on the select images, at the recipe's steps and at twice as many."""

    LATER: ClassVar[tuple[str, ...]] = ("chance_fraction",)
    at_recipe: tuple[str, ...]
    """Per network: which select images it gets right, packed bits in hex."""
    at_doubled: tuple[str, ...]
    select_images: int
    chance_fraction: float | None = None
    """Accuracy of one answer for every select image; left out where the study's baseline does not tell."""


class SmallerIpc(Config):
    """What the search saw at one IPC below the certified one, on the select images."""

    ipc: int
    trials: dict[str, int]
    """Trials by state."""
    best_trial_id: str | None
    """Of the finished trials, the one with the smallest gap."""
    best_correct: tuple[str, ...]
    """Its networks, as in `Admissibility`."""


class Arm(Config):
    """Networks trained on one thing: the full data, the set, or one draw of a control."""

    name: str
    """`full`, `set`, or the method of a control."""
    draw: int
    """0 where there is only one."""
    label_kind: Literal["hard", "soft"]
    set_sha256: str | None
    """Of the safetensors file; null for the full data."""
    parameters_sha256: tuple[str, ...]
    """Per network: of the trained parameters, taken before the test split was opened."""
    correct: tuple[str, ...]
    """Per network, in the order of the seeds: which test images it gets right, packed bits in hex."""

    @property
    def title(self) -> str:
        """The arm in a word or two."""
        return f"{self.name} {self.draw}" if self.name not in ("full", "set") else self.name


class Sizes(Config):
    """The size and the cost of the set and of the full data."""

    classes: PositiveInt
    train_images: PositiveInt
    train_bytes: PositiveInt
    """Train part as published: a byte per pixel and channel, one per label."""
    set_images: PositiveInt
    set_bytes: PositiveInt
    """float32 images, labels and learned rate, without headers."""
    forward_macs: PositiveInt
    """Multiply-accumulates of one image's forward pass (fvcore, conv and linear)."""
    distill_seconds: float
    search_seconds: float
    """Distilling and evaluating, over all trials of the study."""


class Opening(Config):
    """One entry of the log of openings of the test split."""

    file: str
    opened_at: str
    reason: str
    user: str
    host: str


class Earlier(Config):
    """A certificate that this study got before."""

    number: int
    verdict: Verdict
    finished_at: str
    content_sha256: str


RULES = 4
"""By which rules a certificate is read. From 2 on: the smaller sizes from the smallest up, and of the winner's side of a race.
From 3 on: no arm is lossless beside full data that is not trained to its end. From 4 on: nor beside full data that is not above
chance by more than the margin; a smaller size is lossy in its row if it is in the order of the tests, and the page names that
order, asks whether full data loses by longer training, and names balanced accuracy beside its numbers."""


class Evidence(GrownConfig):
    """Everything that was measured or read, and where it came from."""

    LATER: ClassVar[tuple[str, ...]] = ("rules",)
    study: str
    rules: int = Field(default=1, ge=1, le=RULES)
    """See `RULES`; left out of certificates of older versions, which are checked by theirs."""
    number: int
    """1 for the study's first certificate; one more for each opening after it."""
    earlier: tuple[Earlier, ...]
    trial_id: str
    """Of the certified set: the first 12 hex digits of its config's hash."""
    config: dict[str, Any]
    """The trial's config, with data hash, network, method, IPC, margin and confidence."""
    recipe: RecipeFacts
    seeds: tuple[int, ...]
    """Of the networks; each seed starts one network of every arm from the same initialisation."""
    test_images: int
    test_sha256: str
    arms: tuple[Arm, ...]
    """`full` first, then `set`, then the controls."""
    admissibility: Admissibility
    smaller: tuple[SmallerIpc, ...]
    """IPCs below the certified one that the search tried, largest first."""
    confirmed_candidates: int
    """Candidates that the search read on the confirm images before it ended."""
    sizes: Sizes
    experts_sha256: str | None
    """Of the experts that the set was made with; null where its method reads none."""
    search_code_sha256: str
    """Of the code that made the set."""
    code_sha256: str
    """Of the code that made this certificate."""
    test_labels: str | None = None
    """Class of each test image as two bytes in hex, where the goal is of balanced accuracy; null otherwise."""
    select_labels: str | None = None
    """The same for the select images."""
    twins: TwinCounts | None = None
    """Images that are there twice in a person's own data; null where none has a twin in another part, and in other data sets."""
    race: str | None = None
    """The finding of the search in a sentence; null where the search had no controls, or was of an older version."""
    search_commit: str | None = None
    """Of the code that made the set, as in a `TrialRecord`."""
    commit: str | None = None
    """Of the code that made this certificate."""
    versions: dict[str, str]
    trained_on: str
    """Kind of device, and torch threads, of every job."""
    read_on: str
    """Device on which the test images were read."""
    seal: str
    """Hash over the parameters of all networks; part of the reason under which the test split was opened."""
    openings: tuple[Opening, ...]
    """All entries of the store's log for this data set up to this certificate, oldest first; the last one is its own.
    Certificates of older versions also have those that others wrote while the networks were read."""
    started_at: str
    finished_at: str

    @model_validator(mode="after")
    def _arms_in_order(self) -> Evidence:
        if [arm.name for arm in self.arms[:2]] != ["full", "set"]:
            raise ValueError(
                f"arms begin with {[arm.name for arm in self.arms[:2]]}, and must begin with full and set: certify again"
            )
        return self

    @property
    def trial(self) -> TrialConfig[Any]:
        """The certified trial's config.

        Raises:
            ValueError: it is not a trial config of a known method.
        """
        return read_trial_config(json.dumps(self.config), method_configs())


class ArmFinding(Config):
    """One arm on the test images."""

    name: str
    draw: int
    accuracy_fraction: float
    """Mean over the networks."""
    networks_std: float
    gap: GapBounds | None
    """Full data minus this arm, in pairs; null for the full data."""
    verdict: Verdict | None
    set_above: GapBounds | None
    """The certified set minus this control, in pairs; null for the full data and the set."""


class SmallerFinding(Config):
    """One smaller IPC: the best trial's gap on the select images, with its bounds."""

    ipc: int
    finished: int
    stopped: int
    """Stopped early, diverged or failed."""
    gap: GapBounds | None
    """Null where fewer than two networks read a finished set."""
    is_lossy: bool
    """Even the best trial's lower bound is above the margin, with at least the stated number of trials. From `rules` 4 on also of
    every smaller size that has as many trials: the sizes are tested from the smallest up."""


class Compression(Config):
    """Full data over set."""

    images: float
    bytes: float
    set_bits_per_class: float
    full_bits_per_class: float
    full_train_flops: int
    """To train one network: 6 per multiply-accumulate (2 forward, 4 backward)."""
    set_train_flops: int
    train_flops: float
    """At the recipe's steps; 1 where a batch of the set is as large as one of the full data."""
    epoch_flops: float
    """For one pass over the images."""


class Findings(Config):
    """What follows from the evidence."""

    verdict: Verdict
    headline: tuple[str, ...]
    """The claim in sentences, what weakens it included."""
    ipc: int
    margin_fraction: float
    confidence: float
    gap: GapBounds
    """Of the set, on the test images."""
    procedure: str
    """How the bounds are found."""
    arms: tuple[ArmFinding, ...]
    lossless_controls: int
    """Draws of controls that are lossless too."""
    doubled_moves_by: float
    """Full-data accuracy on the select images at twice the recipe's steps minus that at its steps."""
    is_admissible: bool
    smaller: tuple[SmallerFinding, ...]
    largest_lossy_ipc: int | None
    """The largest smaller IPC whose best trial is shown to lose more than the margin; null if none is shown."""
    compression: Compression


class Certificate(Config):
    """What `raydistill certify` writes."""

    certificate_version: Literal[1] = 1
    findings: Findings
    evidence: Evidence
    content_sha256: str = Field(pattern="^[0-9a-f]{64}$")
    """Of findings and evidence as canonical JSON. A checksum, not a signature: it shows accidental changes, not forgery."""

    def __repr__(self) -> str:
        """The certificate in a line; `to_json` has everything."""
        evidence, findings = self.evidence, self.findings
        verdict = findings.verdict.replace("_", " ")
        return f"Certificate({evidence.study} {evidence.number}: {verdict} at IPC {findings.ipc}, gap {points(findings.gap.gap)})"

    __str__ = __repr__

    def to_json(self) -> str:
        """The certificate as a file holds it."""
        return self.model_dump_json(indent=2) + "\n"


def content_sha256(findings: Findings, evidence: Evidence) -> str:
    """Hash of what a certificate says."""
    # Certificates from before commits and findings were written have no such fields, and keep their hash.
    without = {field for field in ("search_commit", "commit", "race", "twins", *LABELS) if getattr(evidence, field) is None}
    content = {"findings": findings.model_dump(mode="json"), "evidence": evidence.model_dump(mode="json", exclude=without)}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def seal_of(arms: tuple[Arm, ...]) -> str:
    """Hash over the parameters of all networks of all arms, in their order."""
    return hashlib.sha256("\n".join(h for arm in arms for h in arm.parameters_sha256).encode()).hexdigest()


def read_certificate(folder: Store, name: str = CERTIFICATE_FILE) -> Certificate:
    """The certificate in a file.

    Raises:
        CertifyError: there is no file, or it is not a certificate.
    """
    try:
        return Certificate.model_validate_json(folder.read(name))
    except FileNotFoundError as error:
        raise CertifyError(
            f"no certificate at {folder.path(name)}; give a certificate.json that raydistill certify wrote"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise CertifyError(
            f"{folder.path(name)} is not a certificate of this version ({place}: {first['msg']}); restore the file that "
            "raydistill certify wrote, or use the version that wrote it"
        ) from error
