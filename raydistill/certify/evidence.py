"""Gathers the evidence of a certificate from the study, the log of openings and the reading of the test images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from raydistill.certify.arms import Plan, certificate_seeds
from raydistill.certify.candidate import Candidate
from raydistill.certify.certificate import (
    RULES,
    Admissibility,
    Earlier,
    Evidence,
    Opening,
    RecipeFacts,
    Sizes,
    SmallerIpc,
    seal_of,
)
from raydistill.certify.reading import SplitReading
from raydistill.core.cost import forward_macs
from raydistill.core.recipes import recipe_of
from raydistill.data.own.report import TwinCounts
from raydistill.data.splits import train_twins
from raydistill.errors import CertifyError, StoreError
from raydistill.report.study import controls_of
from raydistill.search.resume import stored_document
from raydistill.spaces.bounded import read_json
from raydistill.spaces.sections import ImageFolderConfig
from raydistill.spaces.trial import TrialConfig
from raydistill.spaces.units import looked_before
from raydistill.storage.baseline import BUILD_AGAIN, Baseline, read_network
from raydistill.storage.checkout import commit
from raydistill.storage.data_root import DataRoot
from raydistill.storage.record import TrialRecord, unpack_bits, versions
from raydistill.storage.result import SearchResult
from raydistill.storage.store import Store


def gather_evidence(
    study: Store,
    candidate: Candidate,
    plan: Plan,
    read: SplitReading,
    earlier: tuple[Earlier, ...],
    openings: tuple[Opening, ...],
    data_root: DataRoot = None,
) -> Evidence:
    """The evidence of a certificate, once its networks are trained and read.

    Args:
        study: its folder.
        candidate: the trial that is certified.
        plan: of the certificate.
        read: which test images its networks get right.
        earlier: the certificates that the study had before.
        openings: of the test split up to the certificate's own (`openings_until`).
        data_root: folder or URI of the data files.
    """
    config, recipe = candidate.config, recipe_of(candidate.config, candidate.splits)
    return Evidence(
        study=study_name(study),
        number=plan.number,
        earlier=earlier,
        trial_id=config.trial_id,
        config=config.model_dump(mode="json"),
        recipe=RecipeFacts(words=str(recipe), steps=recipe.steps, full_steps=plan.full_steps, batch=recipe.batch),
        seeds=tuple(certificate_seeds(plan.number, candidate.splits.sha256, plan.networks)),
        test_images=read.images,
        test_sha256=read.sha256,
        arms=read.arms,
        test_labels=read.labels,
        select_labels=candidate.baseline.select_labels,
        admissibility=admissibility_of(study, candidate.baseline, config.evaluation.baseline_networks, recipe.steps),
        rules=RULES,
        smaller=smaller_of(of_side(candidate.records, config, study), config.ipc),
        confirmed_candidates=candidate.result.confirmed_candidates,
        sizes=_sizes(candidate),
        experts_sha256=candidate.record.experts_sha256,
        search_code_sha256=candidate.record.code_sha256,
        code_sha256=plan.code_sha256,
        twins=_twins(candidate, data_root),
        race=race_of(candidate.result, RULES),
        search_commit=candidate.record.commit,
        commit=commit(),
        versions=versions(),
        trained_on=f"{config.device}, {config.cpus_per_trial} threads",
        read_on=read.read_on,
        seal=seal_of(read.arms),
        openings=openings,
        started_at=plan.started_at,
        finished_at=datetime.now(UTC).isoformat(),
    )


def _twins(candidate: Candidate, data_root: DataRoot) -> TwinCounts | None:
    """Images of a person's own data with a twin in another part; None where there are none."""
    dataset = candidate.config.dataset
    counts = train_twins(dataset, data_root).counts if isinstance(dataset, ImageFolderConfig) else None
    return counts if counts is not None and (counts.across or counts.of_test) else None


def check_evidence(study: Store, candidate: Candidate) -> tuple[Opening, ...]:
    """Read what the evidence needs beside the networks' readings, so that nothing fails once the test split is open.

    Returns:
        The openings that the log has before the certificate's own.

    Raises:
        CertifyError: a file of a baseline network is missing.
        StoreError: it, or an entry of the log, is damaged, or a network was read on other images.
    """
    config = candidate.config
    steps = recipe_of(config, candidate.splits).steps
    try:
        found = admissibility_of(study, candidate.baseline, config.evaluation.baseline_networks, steps)
        unpack_bits([*found.at_recipe, *found.at_doubled], found.select_images)
    except ValueError as error:
        raise StoreError(
            f"a file {study.path('baseline')}/network-*.json is damaged ({error}); restore it, or {BUILD_AGAIN}"
        ) from error
    except FileNotFoundError as error:
        raise CertifyError(
            f"{study.path('baseline')} lacks a file network-*.json, which shows that the full-data networks were trained to the "
            f"end; the test split stays sealed: restore it, or {BUILD_AGAIN}"
        ) from error
    return openings_of(study.parent, config.dataset.model_dump(mode="json"))


def admissibility_of(study: Store, baseline: Baseline, networks: int, steps: int) -> Admissibility:
    """Both step counts of the study's baseline networks; `baseline.json` keeps the better one only.

    Args:
        study: has a file of each network.
        baseline: made of them.
        networks: how many.
        steps: of the recipe.

    Raises:
        FileNotFoundError: a network's file is missing.
        StoreError: it is damaged.
    """
    readings = [reading for index in range(networks) for reading in read_network(study, index)]
    by_steps = {s: tuple(r.select_correct for r in readings if r.steps == s) for s in (steps, 2 * steps)}
    return Admissibility(
        at_recipe=by_steps[steps],
        at_doubled=by_steps[2 * steps],
        select_images=baseline.select_images,
        chance_fraction=baseline.chance_fraction,
    )


def race_of(result: SearchResult, rules: int) -> str | None:
    """What the search says of distilling, if it had controls; in the words of a certificate's rules."""
    finding = result.finding
    if finding is None or finding.claim == "no_controls":
        return None
    looks = result.earlier_looks
    if not looks:
        return finding.sentence
    if rules < 3:
        who = "an earlier result of this study has" if looks == 1 else f"{looks} earlier results of this study have"
        words = f"{who} looked at these confirm images, so the stated confidence holds for the first result alone"
        return f"{finding.sentence} ({words})"
    return f"{finding.sentence} ({looked_before(looks)})"


def of_side(records: Sequence[TrialRecord], certified: TrialConfig[Any], study: Store) -> list[TrialRecord]:
    """The records of the certified trial's side of a race, methods or controls; all where the study has no controls."""
    controls = controls_of(stored_document(study))
    return [record for record in records if (record.arm in controls) == (certified.arm in controls)]


def smaller_of(records: Sequence[TrialRecord], certified_ipc: int) -> tuple[SmallerIpc, ...]:
    """The results of trials below the certified IPC, largest IPC first."""
    rows = []
    for ipc in sorted({r.ipc for r in records if r.ipc < certified_ipc}, reverse=True):
        finished = [r for r in records if r.ipc == ipc and r.gap is not None]
        best = min(finished, key=lambda r: (r.gap or 0.0, r.ask_number), default=None)
        rows.append(
            SmallerIpc(
                ipc=ipc,
                trials=_trials_by_state(records, ipc),
                best_trial_id=best.trial_id if best else None,
                best_correct=best.select_correct if best else (),
            )
        )
    return tuple(rows)


def _sizes(candidate: Candidate) -> Sizes:
    splits, record = candidate.splits, candidate.record
    assert record.cost is not None
    classes = len(splits.class_names)
    return Sizes(
        classes=classes,
        train_images=len(splits.train.labels),
        train_bytes=splits.train_bytes,
        set_images=record.images,
        set_bytes=record.set_bytes,
        forward_macs=forward_macs(candidate.config.network, splits.shape, classes),
        distill_seconds=record.cost.distill_seconds,
        search_seconds=candidate.result.seconds,
    )


def study_name(study: Store) -> str:
    """The name of a study's folder."""
    return study.root.rstrip("/").rpartition("/")[2]


def opening_reason(study: str, number: int, trial_id: str, seal: str) -> str:
    """The entry in the log for a certificate's opening: it fixes the networks before they are read."""
    return f"certificate {number} of study {study}, trial {trial_id}; networks sealed as {seal}"


def openings_of(log: Store, dataset: Mapping[str, Any]) -> tuple[Opening, ...]:
    """The log's entries for a data set, oldest first.

    Preprocessing, scaling and split seed make no difference: a published test part is the same under every seed, and two parts
    drawn with different seeds share images.

    Raises:
        StoreError: an entry is damaged.
    """
    found = []
    for file in log.files("test_openings"):
        name = f"test_openings/{file}"
        try:
            entry = read_json(log.read(name))
            if all(entry["dataset"].get(field) == dataset.get(field) for field in ("name", "path")):
                found.append(Opening(file=file, **{field: entry[field] for field in ("opened_at", "reason", "user", "host")}))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise StoreError(
                f"{log.path(name)} is damaged ({error}), and it records an opening of the test split: restore it"
            ) from error
    return tuple(found)


def found_by(opening: Opening, log: Store) -> tuple[str, ...]:
    """The entries that were in the log when an opening was logged; none is known of an opening by an older version."""
    after = read_json(log.read(f"test_openings/{opening.file}")).get("after")
    return tuple(map(str, after)) if isinstance(after, list) else ()


def openings_until(before: Sequence[Opening], now: Sequence[Opening], reason: str) -> tuple[Opening, ...]:
    """The openings up to a certificate's own, which is the last; those that others logged while it read are no matter of it.

    Args:
        before: what the log had when the certificate was about to open the split. The clock of whoever wrote an entry may run
            ahead, so that its name sorts behind the certificate's own.
        now: what the log has since.
        reason: of the certificate's own opening.

    Raises:
        StoreError: the log has lost the certificate's own opening.
    """
    own = next((opening for opening in reversed(now) if opening.reason == reason and opening not in before), None)
    if own is None:
        raise StoreError(
            f"the log of openings no longer has the entry of this certificate ({reason}): leave the files in test_openings as "
            "they are, and certify again"
        )
    return (*(opening for opening in now if opening != own and (opening.file < own.file or opening in before)), own)


def own_opening(evidence: Evidence) -> Opening | None:
    """A certificate's own opening of the test split; None where it states none.

    It is the last, but for certificates of older versions, which also state what others logged while they were made.
    """
    reason = opening_reason(evidence.study, evidence.number, evidence.trial_id, evidence.seal)
    return next((opening for opening in reversed(evidence.openings) if opening.reason == reason), None)


def _trials_by_state(records: Sequence[TrialRecord], ipc: int) -> dict[str, int]:
    return dict(sorted(Counter(record.state for record in records if record.ipc == ipc).items()))
