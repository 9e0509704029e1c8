"""Turning terms off: which variants are distilled, effects by hand, what is resumed and refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from made_up import Told, correct, workplace
from resealed import content, reseal
from torch.nn.functional import one_hot

from raydistill.certify import ablation
from raydistill.certify.ablation import Images, ablate_study, outcome_file, plan_variants, with_hard_labels
from raydistill.certify.ablation_table import HARD, START, Ablation, Read, render_ablation
from raydistill.certify.candidate import TrialChoice, find_candidate
from raydistill.core.paired_gap import paired_gap
from raydistill.core.synthetic import SyntheticSet
from raydistill.errors import CertifyError, DivergedError
from raydistill.methods import METHODS
from raydistill.methods.configs.datadam import DataDAMConfig
from raydistill.search.local import LocalExecutor
from raydistill.storage.record import pack_bits
from raydistill.storage.store import Store


def ablate(study: Store, watcher: Any = None, **given: Any) -> Ablation:
    work = workplace(watcher, given.pop("executor", None))
    choice = TrialChoice(trial_id=given.pop("trial_id", None), accept_code_change=given.pop("accept_code_change", False))
    return ablate_study(study, choice, work, **{"draws": 2, "networks": 1, **given})


def test_every_term_in_use_has_a_row_and_the_start_set_the_last(study: Store) -> None:
    told = Told()
    made = ablate(study, told)
    assert [row.term for row in made.rows] == ["attention", "mmd", "augmentation", START]
    assert made.unused == ("calibration", "moving average", "model steps")
    said = repr(made)
    assert said == str(made)
    assert said.startswith(f"Ablation({made.study}: datadam at IPC {made.ipc}; effects on confirm images: attention ")
    assert said.endswith(" points; 2 draws)")
    assert told.all("stage") == [("ablation", 8)]
    assert "2 draws of the whole method at " in told.all("note")[0]
    assert ", 6 draws with a term turned off at " in told.all("note")[0]
    assert content(study, "ablation.json") == json.loads(made.model_dump_json())
    assert study.read("ablation.md").decode() == render_ablation(made, study.root)
    command = f"raydistill ablate {study.root} --trial {made.trial_id} --draws 2 --networks 1"
    again = f"Run again with `{command}`; code `{made.code_sha256}`"
    assert f"\n{again}, commit `abc`, torch " in render_ablation(made.model_copy(update={"commit": "abc"}), study.root)
    with_data = render_ablation(made, study.root, "/the data")
    assert f"--networks {made.networks} --data-root '/the data'`; code" in with_data
    assert f"\n{again}, torch " in render_ablation(made.model_copy(update={"commit": None}), study.root)


def soft(synthetic: SyntheticSet) -> SyntheticSet:
    """The set with logits that are sure of each image's own class, and a learned rate."""
    return replace(synthetic, labels=10.0 * one_hot(synthetic.labels, 10).float(), learned_lr=0.01)


def test_soft_labels_have_a_row_of_the_same_sets_with_hard_ones(study: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """No variant is distilled for it: of eight distillations the two of the whole method are read once more."""
    distil, read, kinds = ablation.distil, ablation._read, []

    def reading(synthetic: SyntheticSet, *rest: Any) -> Read:
        kinds.append((synthetic.label_kind, synthetic.learned_lr))
        return read(synthetic, *rest)

    monkeypatch.setattr(ablation, "distil", lambda *given: soft(distil(*given)))
    monkeypatch.setattr(ablation, "_read", reading)
    made = ablate(study)
    assert [row.term for row in made.rows] == ["attention", "mmd", "augmentation", HARD, START]
    assert (made.rows[3].draws, made.rows[3].fields) == (2, {})
    assert (kinds.count(("soft", 0.01)), kinds.count(("hard", None))) == (8, 4)
    assert f"\n| {HARD} |  | 2 (0) | " in render_ablation(made, study.root)
    assert "Augmentation has no row: the experts are trained with it" in render_ablation(made, study.root)


def test_hard_labels_are_each_images_own_class_at_the_recipes_rate() -> None:
    """Two classes of two images, whatever the logits say."""
    given = SyntheticSet(images=torch.zeros(4, 1, 2, 2), labels=torch.tensor([[0.0, 9.0]] * 4), ipc=2, learned_lr=0.5)
    hard = with_hard_labels(given)
    assert (hard.labels.tolist(), hard.label_kind, hard.learned_lr) == ([0, 0, 1, 1], "hard", None)


def test_an_ablation_that_is_killed_goes_on(study: Store) -> None:
    class Killed(LocalExecutor):
        def run_jobs(self, jobs: Any, watcher: Any) -> None:
            super().run_jobs(jobs[:3], watcher)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ablate(study, executor=Killed())
    told = Told()
    ablate(study, told)
    assert (told.all("stage"), told.all("found")) == ([("ablation", 8)], [3])


def test_what_off_means_for_datadam() -> None:
    """Model steps exist only where a network is kept for several iterations."""
    kept = DataDAMConfig(name="datadam", steps_per_init=10)
    off = {term: dict(fields(kept)) for term, fields in METHODS["datadam"].ablations.items()}
    assert off == {
        "attention": {"attention_weight": 0.0},
        "mmd": {"mmd_weight": 0.0},
        "augmentation": {"augmentation": "none"},
        "calibration": {"calibration_weight": 0.0},
        "moving average": {"ema_decay": 0.0},
        "model steps": {"model_steps": 0},
    }
    assert METHODS["datadam"].ablations["model steps"](DataDAMConfig(name="datadam")) == {}


def test_a_term_that_is_off_already_is_unused(study: Store) -> None:
    winner = find_candidate(study, TrialChoice(), None).config
    plain = winner.model_copy(update={"method": winner.method.model_copy(update={"augmentation": "none"})})
    variants, unused = plan_variants(plain, draws=2, networks=1)
    assert (list(variants), unused) == (
        ["", "attention", "mmd"],
        ("augmentation", "calibration", "moving average", "model steps"),
    )


def test_a_moving_average_is_a_term_where_the_winner_has_one(study: Store) -> None:
    winner = find_candidate(study, TrialChoice(), None).config
    averaged = winner.model_copy(update={"method": winner.method.model_copy(update={"ema_decay": 0.9})})
    variants, _ = plan_variants(averaged, draws=2, networks=1)
    assert [config.method.ema_decay for config in variants["moving average"]] == [0.0, 0.0]


def test_variants_of_a_draw_share_their_seed(study: Store) -> None:
    variants, _ = plan_variants(find_candidate(study, TrialChoice(), None).config, draws=3, networks=1)
    seeds = [[config.seed for config in configs] for configs in variants.values()]
    assert all(row == seeds[0] for row in seeds)
    assert len(set(seeds[0])) == 3
    assert len({outcome_file(config) for configs in variants.values() for config in configs}) == 12


def read(*right: int) -> Read:
    """Networks that get the first so many of 100 select and of 100 confirm images right."""
    return Read(select=pack_bits(correct(right)), confirm=pack_bits(correct(right)))


HUNDRED = {part: Images(100, None) for part in ("select", "confirm")}


def test_effects_of_balanced_accuracy_count_classes_alike() -> None:
    """The last ten of 100 images are a class of their own: 98 right are 1 and .8, the mean .9; 94 are 1 and .4, 96 1 and .6."""
    classes = np.repeat([0, 1], [90, 10])
    parts = {part: Images(100, classes) for part in ("select", "confirm")}
    row = ablation._row("mmd", {}, [read(98), read(98)], [read(94), read(96)], parts)
    assert row.select_effect is not None
    assert row.select_effect.gap == pytest.approx(0.15)
    assert row.select_accuracy == pytest.approx(0.75)


def test_effects_are_taken_in_pairs_of_draws() -> None:
    """Whole 96 and 98, 98 and 98; without 94 and 94, 96 and 96: means over networks differ by 3 and by 2 points."""
    row = ablation._row("mmd", {"mmd_weight": 0.0}, [read(96, 98), read(98, 98)], [read(94, 94), read(96, 96)], HUNDRED)
    assert row.select_effect is not None
    assert row.select_effect.gap == pytest.approx(0.025)
    assert (row.select_accuracy, row.confirm_accuracy) == (pytest.approx(0.95), pytest.approx(0.95))
    whole = np.array([correct([96, 98]).mean(axis=0), correct([98, 98]).mean(axis=0)])
    without = np.array([correct([94]).mean(axis=0), correct([96]).mean(axis=0)])
    expected = paired_gap(whole, without, 0.975)
    assert (row.select_effect.lower, row.select_effect.upper) == (expected.lower, expected.upper)


def test_a_draw_that_diverged_on_either_side_is_left_out() -> None:
    whole = [read(98), None, read(98), read(98)]
    row = ablation._row("mmd", {}, whole, [read(96), read(96), None, read(96)], HUNDRED)
    assert (row.draws, row.diverged) == (2, 1)
    assert row.select_effect is not None
    assert row.select_effect.gap == pytest.approx(0.02)


def test_one_pair_of_draws_shows_no_effect() -> None:
    row = ablation._row("mmd", {}, [read(98), None], [read(96), read(96)], HUNDRED)
    assert (row.draws, row.select_effect, row.confirm_accuracy) == (1, None, None)


def diverges(config: Any, *_: Any) -> Any:
    raise DivergedError(3, float("nan"))


def test_a_term_without_which_the_method_diverges_is_told(study: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    distil = ablation.distil
    monkeypatch.setattr(
        ablation,
        "distil",
        lambda config, *rest: (diverges if config.method.mmd_weight == 0 else distil)(config, *rest),
    )
    made = ablate(study)
    row = next(row for row in made.rows if row.term == "mmd")
    assert (row.draws, row.diverged, row.select_effect) == (0, 2, None)
    assert "| mmd | mmd_weight=0.0 | 0 (2) |  |  |  |  |  |  |" in render_ablation(made, study.root)


def test_a_method_that_always_diverges_is_refused(study: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ablation, "distil", diverges)
    with pytest.raises(CertifyError, match=r"fewer than two draws of the whole method ended \(the loss is nan at step 3"):
        ablate(study)


def test_a_method_without_terms_is_refused(study: Store) -> None:
    winner = find_candidate(study, TrialChoice(), None).config
    random = winner.model_copy(update={"method": METHODS["random"].config(name="random")})
    with pytest.raises(CertifyError, match=r"method random has no terms to turn off; methods with terms: .*datadam"):
        plan_variants(random, draws=2, networks=1)


@pytest.mark.parametrize(("draws", "networks"), [(1, 3), (5, 0)])
def test_too_few_draws_or_networks_are_refused(study: Store, draws: int, networks: int) -> None:
    with pytest.raises(CertifyError, match=f"given {draws} draws of {networks} networks; effects vary over draws"):
        ablate(study, draws=draws, networks=networks)


def test_a_study_without_a_candidate_is_refused(study: Store) -> None:
    reseal(study, "result.json", winner_trial_id=None)
    with pytest.raises(CertifyError, match="has no candidate"):
        ablate(study)
