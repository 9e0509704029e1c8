"""The page of a study, read as text; `tests/browser/test_page.py` looks at it in Chromium."""

from __future__ import annotations

import base64
import html
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import pytest
from hand_race import pack, picture, record, result, trial_id, use_balanced_accuracy, write_race, write_trial
from PIL import Image

from raydistill.report.curve import curve_rows
from raydistill.report.looks import looks_of
from raydistill.report.page.accuracy import accuracy_chart
from raydistill.report.page.pictures import first_columns
from raydistill.report.page.study_page import _another_store, study_page
from raydistill.report.read import read_whole
from raydistill.storage.given import Given, write_given
from raydistill.storage.lock import study_lock
from raydistill.storage.manifest import write_manifest
from raydistill.storage.store import Store


@pytest.fixture(scope="module")
def race(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A race of sixty trials with pictures of two sets, which no test changes."""
    folder = write_race(tmp_path_factory.mktemp("race") / "by-hand", 60)
    (folder / "trials" / trial_id(25) / "images.png").write_bytes(picture(13))
    (folder / "trials" / trial_id(58) / "images.png").write_bytes(picture(250))
    return folder


@pytest.fixture
def copy(race: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(race, tmp_path / "by-hand"))


def page_of(folder: Path) -> str:
    return study_page(read_whole(Store(str(folder))), str(folder / "report.html"))


class Outline(HTMLParser):
    """Ids, links and headings of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.levels: list[int] = []
        self.sources: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids += [given["id"]] if given.get("id") else []  # type: ignore[list-item]
        self.links += [given["href"] or ""] if tag in ("a", "link") else []
        self.levels += [int(tag[1])] if re.fullmatch("h[1-6]", tag) else []
        self.sources += [given.get("src") or ""] if tag in ("img", "script", "iframe") else []


def test_the_finding_comes_first_in_one_sentence(race: Path) -> None:
    page = page_of(race)
    heading = re.search(r"<h1>(.*?)</h1>", page, flags=re.DOTALL)
    assert heading is not None
    assert re.sub(r"<[^>]*>", "", heading[1]) == (
        "Distilling is needed: dm at IPC 13 (gap at most 2.20 points) is lossless, k_means and random are all lossy at IPC 13."
    )
    assert page.index("<h1>") < page.index('id="accuracy"') < page.index('id="short"')


def test_a_finding_after_earlier_looks_says_that_the_confidence_does_not_cover_it(copy: Path) -> None:
    assert "looked at" not in page_of(copy)
    given = json.loads((copy / "result.json").read_text())
    (copy / "result.json").write_text(json.dumps({**given, "earlier_looks": 2}))
    assert "he confirm images of this study were looked at 2 times before, so the stated confidence does not cover" in page_of(
        copy
    )


def test_nothing_is_loaded_from_elsewhere(race: Path) -> None:
    page = page_of(race)
    assert "default-src 'none'" in page
    assert all(source == "" or source.startswith("data:") for source in Outline(page).sources)
    assert "@import" not in page
    assert "url(" not in page


def test_every_link_leads_to_a_file_of_the_study_or_a_place_of_the_page(race: Path) -> None:
    outline = Outline(page_of(race))
    inner = {link[1:] for link in outline.links if link.startswith("#")}
    assert inner - set(outline.ids) == set()
    files = [link for link in outline.links if not link.startswith(("#", "data:"))]
    made_later = ("images.safetensors", "images.png", "confirmation.json")
    assert len(files) > 100
    assert [link for link in files if not (race / link).exists() and not link.endswith(made_later)] == []


def test_ids_are_unique_and_headings_leave_no_level_out(race: Path) -> None:
    outline = Outline(page_of(race))
    assert len(outline.ids) == len(set(outline.ids))
    assert outline.levels[0] == 1
    assert outline.levels.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(outline.levels, outline.levels[1:], strict=False))


def test_the_first_chart_has_a_mark_for_each_finished_trial_and_what_the_confirm_images_say(race: Path) -> None:
    chart = page_of(race).partition('id="accuracy"')[2].partition("</figure>")[0]
    assert chart.count('href="#t-') == 54 + 1, "54 of 60 finished, and the winner's diamond leads to its trial too"
    assert chart.count("On the confirm images") == 4
    assert "k_means at IPC 13, factor 2, drawn anew" in chart
    assert "full data 98.00 %" in chart
    assert "margin: 3.00 points below" in chart
    assert "lossy at 8, lossless at 13" in chart


def test_what_the_confirm_images_say_has_its_own_height_however_low(copy: Path) -> None:
    """Two controls that lose 45 and 60 points, below every trial, are as far apart as 15 points are."""
    document = json.loads((copy / "result.json").read_text())
    for place, gap in enumerate((0.45, 0.60)):
        document["finding"]["controls_at"][place]["gap_interval"] |= {"gap": gap, "lower": gap - 0.01, "upper": gap + 0.01}
    (copy / "result.json").write_text(json.dumps(document))
    study = read_whole(Store(str(copy)))
    chart = accuracy_chart(study, curve_rows(study), looks_of(study.arms))
    assert chart is not None
    high, low = (next(mark for mark in chart.marks if f"gap {gap} points" in mark.label) for gap in ("45.00", "60.00"))
    assert low.y - high.y > 50
    assert high.span is not None
    assert high.span[0] > high.y > high.span[1]


def test_a_page_says_balanced_accuracy_where_that_is_the_metric(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_balanced_accuracy(monkeypatch)
    page = page_of(write_race(tmp_path / "by-hand", 8, is_over=False))
    assert "balanced accuracy (%), select images" in page
    assert "Balanced accuracy against images per class" in page
    assert "dm at IPC 1, balanced accuracy 88.00 %" in page
    assert "Balanced accuracy on the full data" in page


def test_a_trial_in_the_list_has_its_settings_files_and_the_command_that_makes_it_again(race: Path) -> None:
    entry = page_of(race).partition(f'id="t-{trial_id(1)}"')[2].partition("</details>")[0]
    for words in (f"trials/{trial_id(1)}/record.json", "lr_images", "raydistill distill", "88.00 %", "10.00 points"):
        assert words in entry
    assert "preprocess" not in entry, "what all trials share stands once"


def test_both_sides_sets_stand_beside_each_other(race: Path) -> None:
    page = page_of(race)
    assert "Distilled: dm, IPC 13" in page
    assert "the first 12 of 13 images of each class" in page
    sources = [source for source in Outline(page).sources if source]
    image = Image.open(BytesIO(base64.b64decode(sources[0].partition(",")[2])))
    assert image.size == (2 + 12 * 10, 2 + 10 * 10)


def test_packed_sets_say_what_their_images_hold(copy: Path) -> None:
    pack(copy, 25)
    assert "130 images (stored; each holds 2 x 2 smaller ones, which networks see enlarged), accuracy" in page_of(copy)


def test_a_picture_that_is_damaged_or_no_grid_is_not_shown() -> None:
    assert first_columns(b"no picture", ipc=3, classes=10) is None
    assert first_columns(picture(13), ipc=100, classes=10) is None
    assert first_columns(picture(13)[:-40], ipc=13, classes=10) is None


def test_what_a_trial_left_behind_cannot_change_the_page(copy: Path) -> None:
    error = "Traceback\n<script>alert(1)</script>"
    write_trial(copy, record(60, state="crashed", error=error, select_correct=[], images_sha256=None))
    page = page_of(copy)
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_a_damaged_record_among_many_is_a_note_that_names_it(copy: Path) -> None:
    broken = copy / "trials" / trial_id(7) / "record.json"
    broken.write_text("{")
    page = page_of(copy)
    assert "1 file left out" in page
    assert str(broken) in page


def test_many_damaged_records_are_counted(copy: Path) -> None:
    for number in range(25):
        (copy / "trials" / trial_id(number) / "record.json").write_text("{")
    page = page_of(copy)
    assert "25 files left out" in page
    assert "And 5 more." in page


def test_a_search_that_runs_is_told_and_its_page_loads_itself_again(copy: Path) -> None:
    (copy / "result.json").unlink()
    with study_lock(Store(str(copy))):
        page = page_of(copy)
    assert "The search runs" in page
    assert "dm at IPC 29 reads within the margin (gap 2.00 points), which no other image has confirmed yet" in page
    assert "60 of 60 trials asked so far have ended" in page
    assert 'data-seconds="30"' in page
    assert '<meta http-equiv="refresh" content="30">' in page
    assert 'http-equiv="refresh"' not in page_of(copy)


def test_a_study_that_has_just_begun_has_a_page_too(tmp_path: Path) -> None:
    study = write_race(tmp_path / "new", 0, is_over=False)
    (study / "baseline" / "baseline.json").unlink()
    page = page_of(study)
    for words in ("no trial has finished yet", "there is nothing to draw", "are not trained yet", "None was asked yet"):
        assert words in page


def test_without_a_set_within_the_margin_the_closest_is_named(tmp_path: Path) -> None:
    study = write_race(tmp_path / "far", 3, is_over=False)
    assert "no set reads within the margin yet; the closest is dm at IPC 1 with a gap of 10.00 points" in page_of(study)
    assert "so there is no front" in page_of(study)


def test_a_result_of_an_older_version_shows_its_verdict(copy: Path) -> None:
    (copy / "result.json").write_text(json.dumps({k: v for k, v in result(60).items() if k != "finding"}))
    page = page_of(copy)
    assert "Lossless at IPC 13 (dm)" in page
    assert "within the margin" in page


def test_a_study_without_a_winner_says_why(copy: Path) -> None:
    changes = {"verdict": "not_reached", "smallest_lossless_ipc": None, "winner_trial_id": None, "reason": "no trial is near"}
    (copy / "result.json").write_text(json.dumps(result(60, **changes)))
    assert "Verdict not reached: no trial is near." in page_of(copy)


def test_few_trials_say_nothing_of_their_settings(tmp_path: Path) -> None:
    page = page_of(write_race(tmp_path / "few", 12))
    assert "3 finished trials: too few to say which setting mattered; 8 are needed." in page


def test_enough_trials_have_a_bar_for_each_setting(race: Path) -> None:
    arm = page_of(race).partition('id="m-0"')[2].partition("</table>")[0]
    assert "15 finished trials" in arm
    assert re.findall(r'<th scope="row">(\w+)', arm) in (["lr_images", "init"], ["init", "lr_images"])


def test_the_page_of_a_study_elsewhere_links_to_where_the_files_are(race: Path, tmp_path: Path) -> None:
    study = read_whole(Store(str(race)))
    page = study_page(study, str(tmp_path / "page.html"))
    (link,) = {link for link in Outline(page).links if link.endswith("search_space.yaml")}
    assert (tmp_path / link).resolve() == race / "search_space.yaml"


def test_a_thousand_trials_are_shown_without_torch_ray_or_sklearn_and_in_a_small_file(tmp_path: Path) -> None:
    write_race(tmp_path / "big", 1000)
    code = (
        "import sys, raydistill; raydistill.write_report(sys.argv[1]); "
        "print(sorted({'torch', 'ray', 'sklearn', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "big")], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    assert (tmp_path / "big" / "report.html").stat().st_size < 10_000_000


def commands_of(folder: Store) -> dict[str, str]:
    """Each command of a study's page, by the first words of what it is for."""
    page = study_page(read_whole(folder), "/pages/report.html")
    found = re.findall(r'<p class="command"><span>(.*?)</span><code>(.*?)</code>', page)
    return {what: html.unescape(line) for what, line in found}


def test_commands_have_what_the_search_was_given(copy: Path) -> None:
    given = {"data_root": "/the data", "local": True, "log": ("tensorboard",), "accept_code_change": True}
    write_given(Store(str(copy)), Given(space="digits", **given))
    over, store = commands_of(Store(str(copy))), str(copy.parent)
    data = "--data-root '/the data'"
    assert over["Search again, from nothing, into another store"] == (
        f"raydistill search {copy}/search_space.yaml --store {store}-again {data} --local"
    )
    certify = f"raydistill certify {copy} {data} --local --accept-code-change"
    assert over["Prove the winner on the sealed test split"] == certify
    assert over["Distil it again"].endswith(f" {data}")
    assert [line for line in over.values() if "--protocol" in line]
    assert all(line.endswith(data) for line in over.values() if "--protocol" in line)
    (copy / "result.json").unlink()
    assert commands_of(Store(str(copy)))["Go on with this search"] == (
        f"raydistill search {copy}/search_space.yaml --store {store} {data} --local --log tensorboard --accept-code-change"
    )


@pytest.mark.parametrize(
    ("store", "another"),
    [
        ("s3://bucket/studies", "s3://bucket/studies-again"),
        ("s3://bucket", "s3://bucket/again"),
        ("/studies", "/studies-again"),
        ("/", "/again"),
        ("studies", "studies-again"),
        (".", "./again"),
        ("file:///studies", "file:///studies-again"),
    ],
)
def test_another_store_is_proposed_in_the_same_bucket(store: str, another: str) -> None:
    assert _another_store(store) == another


def test_a_job_of_a_cluster_goes_on_by_the_command_that_submitted_it(copy: Path) -> None:
    (copy / "result.json").unlink()
    write_given(Store(str(copy)), Given(space=None, address="10.0.0.1:6379", again="raydistill submit digits --store /shared"))
    found = commands_of(Store(str(copy)))
    assert found["Go on with this search"] == "raydistill submit digits --store /shared"
    assert "10.0.0.1" not in " ".join(found.values())


def test_a_space_in_a_store_elsewhere_is_said_to_be_a_copy_unless_it_is_known(copy: Path, tmp_path: Path) -> None:
    (copy / "result.json").unlink()
    study = Store(f"memory://{tmp_path.name}/by-hand")
    for file in filter(Path.is_file, copy.rglob("*")):
        study.write(file.relative_to(copy).as_posix(), file.read_bytes())
    said = f"COPY_OF_search_space.yaml is to be a copy of {study.root}/search_space.yaml"
    assert commands_of(study)[f"Go on with this search ({said})"].startswith(
        "raydistill search COPY_OF_search_space.yaml --store"
    )
    write_given(study, Given(space="digits", overrides=("seed=3",)))
    assert commands_of(study)["Go on with this search"] == (
        f"raydistill search digits --store memory://{tmp_path.name} --trials 16 --set seed=3"
    )


def test_a_damaged_command_file_is_told_and_spoils_nothing_else_of_the_page(copy: Path) -> None:
    write_given(Store(str(copy)), Given(space="digits"))
    (copy / "command.json").write_bytes((copy / "command.json").read_bytes().replace(b"digits", b"digit5"))
    assert "command.json is damaged" in page_of(copy)


def with_manifest(folder: Path) -> Path:
    """The list of the study's files as they are."""
    store = Store(str(folder))
    write_manifest(store, [trial.record for trial in read_whole(store).asked if trial.record is not None])
    return folder


def test_what_changed_since_the_end_is_said_apart_from_what_was_left_out(copy: Path) -> None:
    with_manifest(copy)
    (copy / "trials" / trial_id(25) / "images.png").write_bytes(picture(13)[::-1])
    (copy / "trials" / trial_id(7) / "record.json").write_text("{")
    page = page_of(copy)
    assert "1 file left out</h2>" in page
    assert "1 file changed or gone since the search ended</h2>" in page
    assert "<h1>Distilling is needed" in page


def test_a_result_that_was_changed_is_no_finding(copy: Path) -> None:
    with_manifest(copy)
    document = json.loads((copy / "result.json").read_text())
    document["finding"]["sentence"] = "distilling is needed: so they say"
    (copy / "result.json").write_text(json.dumps(document))
    page = page_of(copy)
    assert "<h1>No finding is shown" in page
    assert "result.json was changed after the search ended; restore it, or run the search again." in page
    assert "so they say" not in page
    assert "Smallest lossless distilled set" not in page
    study = read_whole(Store(str(copy)))
    assert (study.finding, study.verdict) == (None, None)
    assert "its result was changed; " in repr(study)


@pytest.mark.parametrize(
    ("moves_by", "words"),
    [
        (0.02, "move the accuracy by +2.00 points: the full data is not trained to its end, so that no verdict is possible"),
        (-0.02, "move the accuracy by -2.00 points: the full data loses by longer training, so that no verdict is possible"),
    ],
)
def test_full_data_that_more_steps_make_worse_is_not_said_to_be_undertrained(copy: Path, moves_by: float, words: str) -> None:
    file = copy / "baseline" / "baseline.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "is_admissible": False, "doubled_moves_by": moves_by}))
    assert words in page_of(copy)
