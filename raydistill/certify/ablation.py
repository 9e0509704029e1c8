"""What each term of the winning method does: turned off one at a time at the found size, with all other settings as found.

Draw d of every variant is distilled with the same seed, so it starts from the same images, and is read by networks with the same
seeds: effects are taken in pairs. Their bounds carry the variation of draws and of images, by the procedure of `paired_gap` with
draws in the place of networks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from raydistill.certify.ablation_table import CONFIDENCE, HARD, START, Ablation, AblationRow, Outcome, Read, render_ablation
from raydistill.certify.candidate import Candidate, TrialChoice, find_candidate
from raydistill.certify.evidence import study_name
from raydistill.core.contract import NoCheckpoint
from raydistill.core.evaluate import network_seeds, train_and_read, with_learned_rate
from raydistill.core.metrics import Classes, accuracy_of, counted_classes
from raydistill.core.paired_gap import paired_gap
from raydistill.core.process import prepare_process
from raydistill.core.recipes import recipe_of
from raydistill.core.synthetic import SyntheticSet, hard_labels
from raydistill.data.splits import Splits, splits_of
from raydistill.errors import CertifyError, DivergedError
from raydistill.experts.files import open_experts
from raydistill.methods import METHODS
from raydistill.search.estimate import Part
from raydistill.search.experts import plan_experts, prepare_experts
from raydistill.search.jobs import NetworkJob, network_job
from raydistill.search.needs import needs_of_trial
from raydistill.search.pace import network_seconds
from raydistill.search.workplace import Workplace
from raydistill.spaces.sections import derive_seed
from raydistill.spaces.trial import TrialConfig
from raydistill.storage.checkout import commit
from raydistill.storage.data_root import DataRoot
from raydistill.storage.lock import study_lock
from raydistill.storage.looks import note_look
from raydistill.storage.record import code_sha256, pack_bits, unpack_bits, versions
from raydistill.storage.result import GapBounds
from raydistill.storage.store import Store
from raydistill.storage.versioned import read_needed, write_stored
from raydistill.trial.distillation import distil

ABLATION, ABLATION_PAGE = "ablation.json", "ablation.md"
WHOLE_JOB = "ablate: whole method"


def ablate_study(study: Store, choice: TrialChoice, work: Workplace, *, draws: int, networks: int) -> Ablation:
    """Ablate the winning method of a study, or continue where an earlier call was interrupted.

    Args:
        study: of a finished search, by a path that other processes see too.
        choice: which of its trials.
        work: distils and evaluates; its executor is closed at the end.
        draws: of each variant.
        networks: behind each draw.

    Raises:
        CertifyError: there is no trial to ablate, its method has no terms, or there are too few draws.
        StoreError: a file of the study is damaged or missing.
        DataError: the data is not the data of the study.
    """
    data_root = work.data_root
    with study_lock(study, tell=work.watcher.note, command="ablate") as study, closing(work.executor):
        if draws < 2 or networks < 1:
            raise CertifyError(
                f"given {draws} draws of {networks} networks; effects vary over draws: give --draws 2 or more and --networks 1"
            )
        candidate = find_candidate(study, choice, data_root)
        work.executor.require(needs_of_trial(candidate.config, study, data_root))
        variants, unused = plan_variants(candidate.config, draws=draws, networks=networks)
        configs = [config for draws_of_one in variants.values() for config in draws_of_one]
        store = study.parent
        needs = plan_experts(configs, store, data_root)
        prepare_experts(needs, configs[0], store, work, study=study_name(study))
        jobs = [
            _job(config, term, study, data_root)
            for term, draws_of_one in variants.items()
            for config in draws_of_one
            if not study.exists(outcome_file(config))
        ]
        whole = sum(job.name == WHOLE_JOB for job in jobs)
        work.tell_estimate(_parts(candidate, whole, len(jobs) - whole, networks))
        note_look(study, candidate.records)
        work.run_missing("ablation", jobs, len(configs))
        ablation = _conclude(candidate, variants, unused, study)
        study.write(ABLATION_PAGE, render_ablation(ablation, study.root, data_root))
        write_stored(study, ABLATION, ablation)
        return ablation


def _parts(candidate: Candidate, whole: int, others: int, networks: int) -> list[Part]:
    """What is left: a draw of the whole method is read at its start and end, and again with hard labels if it has soft ones."""
    cost, each = candidate.record.cost, network_seconds(candidate.record)
    reads = 3 if candidate.synthetic.label_kind == "soft" else 2

    def seconds(read: int) -> float | None:
        return None if cost is None or each is None else cost.distill_seconds + read * networks * each

    return [
        Part(jobs=whole, what="draws of the whole method", seconds_each=seconds(reads)),
        Part(jobs=others, what="draws with a term turned off", seconds_each=seconds(1)),
    ]


def plan_variants(
    winner: TrialConfig[Any], *, draws: int, networks: int
) -> tuple[dict[str, list[TrialConfig[Any]]], tuple[str, ...]]:
    """Per term (and "" for the whole method) the configs of its draws; and the terms that the winner does not use.

    Raises:
        CertifyError: the method has no terms.
    """
    ablations = METHODS[winner.method.name].ablations
    if not ablations:
        able = ", ".join(name for name, method in METHODS.items() if method.ablations)
        raise CertifyError(
            f"method {winner.method.name} has no terms to turn off; methods with terms: {able}: ablate a study of one of these"
        )
    variants = {"": _draws(winner, {}, draws, networks)}
    unused = []
    for term, overrides_of in ablations.items():
        overrides = overrides_of(winner.method)
        if all(getattr(winner.method, field) == value for field, value in overrides.items()):
            unused.append(term)
        else:
            variants[term] = _draws(winner, overrides, draws, networks)
    return variants, tuple(unused)


def measure_variant(config: TrialConfig[Any], index: int, study: Store, data_root: DataRoot = None, *, is_whole: bool) -> None:
    """Distil one draw of one variant, read it on select and confirm images, write the outcome; nothing if it is written.

    For the whole method the start is read too, and a set with soft labels is read again with hard ones.
    """
    del index  # the draw is in the config's seed
    if study.exists(outcome_file(config)):
        return
    splits = splits_of(config, data_root)
    device = prepare_process(config)
    start: Read | None = None

    def read_start(step: int, steps: int, loss: Any, synthetic: SyntheticSet, *, is_accepted: bool = True) -> None:
        nonlocal start
        if step == 0 and is_whole:
            start = _read(synthetic, config, splits, device)

    end, hard, error = None, None, None
    try:
        experts = open_experts(config, splits, study.parent)
        synthetic = distil(config, splits, device, read_start, NoCheckpoint(), experts)
        end = _read(synthetic, config, splits, device)
        if is_whole and synthetic.label_kind == "soft":
            hard = _read(with_hard_labels(synthetic), config, splits, device)
    except DivergedError as diverged:
        error = str(diverged)
    write_stored(study, outcome_file(config), Outcome(end=end, start=start, hard=hard, error=error))


def with_hard_labels(synthetic: SyntheticSet) -> SyntheticSet:
    """A set's images with their own classes for labels and without a learned rate, which fits the labels it was learned with."""
    classes = synthetic.labels.shape[1]
    # Of the stored images: `decoded` repeats hard labels.
    labels = hard_labels(classes, synthetic.ipc).to(synthetic.labels.device)
    return replace(synthetic, labels=labels, learned_lr=None)


def outcome_file(config: TrialConfig[Any]) -> str:
    """Where an outcome goes: a name made of everything that shapes it."""
    return f"ablation/{config.trial_id}-{code_sha256()[:12]}.json"


def _draws(winner: TrialConfig[Any], overrides: Mapping[str, Any], draws: int, networks: int) -> list[TrialConfig[Any]]:
    method = type(winner.method).model_validate({**winner.method.model_dump(), **overrides})
    evaluation = winner.evaluation.model_copy(update={"networks": networks})
    return [
        winner.model_copy(update={"method": method, "evaluation": evaluation, "seed": derive_seed(winner.seed, "ablation", draw)})
        for draw in range(draws)
    ]


def _job(config: TrialConfig[Any], term: str, study: Store, data_root: DataRoot) -> NetworkJob:
    train = partial(measure_variant, is_whole=not term)
    return network_job(f"ablate: {term}" if term else WHOLE_JOB, train, 0, config, study, data_root)


def _read(synthetic: SyntheticSet, config: TrialConfig[Any], splits: Splits, device: torch.device) -> Read:
    seeds = network_seeds("ablation", splits.sha256, config.evaluation.networks)
    recipe = recipe_of(config, splits)
    parts = [splits.select, splits.confirm]
    seen = synthetic.decoded()
    rows = [
        train_and_read(
            seen.images,
            seen.labels,
            splits,
            parts,
            config.network,
            with_learned_rate(recipe, synthetic),
            seed,
            device,
            diverged=None,  # a term without which networks diverge is one that the set needs: their accuracy is its finding
        )
        for seed in seeds
    ]
    select, confirm = (pack_bits(np.array(part)) for part in zip(*rows, strict=True))
    return Read(select=select, confirm=confirm)


def _conclude(
    candidate: Candidate, variants: Mapping[str, Sequence[TrialConfig[Any]]], unused: tuple[str, ...], study: Store
) -> Ablation:
    outcomes = {
        term: [read_needed(study, outcome_file(config), Outcome, "delete it and run the command again") for config in configs]
        for term, configs in variants.items()
    }
    whole = [outcome.end for outcome in outcomes[""]]
    if sum(read is not None for read in whole) < 2:
        errors = "; ".join(sorted({outcome.error for outcome in outcomes[""] if outcome.error}))
        raise CertifyError(
            f"fewer than two draws of the whole method ended ({errors}), so no effect can be measured: give more --draws, or "
            "another --trial"
        )
    winner = candidate.config
    labels = {"select": candidate.splits.select.labels.numpy(), "confirm": candidate.splits.confirm.labels.numpy()}
    sizes = {part: Images(len(own), counted_classes(winner.goal.metric, own)) for part, own in labels.items()}
    rows = [
        _row(term, dict(METHODS[winner.method.name].ablations[term](winner.method)), whole, [o.end for o in found], sizes)
        for term, found in outcomes.items()
        if term
    ]
    if any(outcome.hard for outcome in outcomes[""]):
        rows.append(_row(HARD, {}, whole, [outcome.hard for outcome in outcomes[""]], sizes))
    rows.append(_row(START, {}, whole, [outcome.start for outcome in outcomes[""]], sizes))
    select, confirm = (_mean(_correct([r for r in whole if r], part, of), of) for part, of in sizes.items())
    return Ablation(
        study=study_name(study),
        trial_id=winner.trial_id,
        method=winner.method.name,
        ipc=winner.ipc,
        draws=len(whole),
        networks=len(next(read for read in whole if read).select),
        select_accuracy=select,
        confirm_accuracy=confirm,
        rows=tuple(rows),
        unused=unused,
        device=winner.device,
        code_sha256=code_sha256(),
        commit=commit(),
        versions=versions(),
    )


class Images(NamedTuple):
    """The images of a part."""

    number: int
    classes: Classes | None
    """Of each image, for balanced accuracy; None for accuracy."""


def _row(
    term: str, fields: dict[str, Any], whole: Sequence[Read | None], without: Sequence[Read | None], sizes: Mapping[str, Images]
) -> AblationRow:
    pairs = [(one, other) for one, other in zip(whole, without, strict=True) if one and other]
    found: dict[str, tuple[float | None, GapBounds | None]] = {"select": (None, None), "confirm": (None, None)}
    if len(pairs) >= 2:
        for part, of in sizes.items():
            one, other = (_correct([pair[side] for pair in pairs], part, of) for side in (0, 1))
            # Each bound at 97.5 %, so that both together are the two-sided interval.
            effect = paired_gap(one, other, (1 + CONFIDENCE) / 2, of.classes)
            found[part] = _mean(other, of), GapBounds.model_validate(effect)
    return AblationRow(
        term=term,
        fields=fields,
        draws=len(pairs),
        diverged=sum(read is None for read in without),
        select_accuracy=found["select"][0],
        confirm_accuracy=found["confirm"][0],
        select_effect=found["select"][1],
        confirm_effect=found["confirm"][1],
    )


def _correct(reads: Sequence[Read], part: str, of: Images) -> NDArray[np.float64]:
    """(draws, images): the fraction of a draw's networks that get an image right."""
    return np.array([unpack_bits(getattr(read, part), of.number).mean(axis=0) for read in reads])


def _mean(correct: NDArray[np.float64], of: Images) -> float:
    return float(correct.mean() if of.classes is None else accuracy_of(correct, of.classes).mean())
