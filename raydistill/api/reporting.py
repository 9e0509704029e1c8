"""The functions that show a study: load it, write its page, its pictures and its tables for a paper."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from raydistill.report.page.write import Written
    from raydistill.report.study import Study
    from raydistill.storage.store import Store


def load_study(study: str | Path, *, store: str | Path = "studies") -> Study:
    """A study's trials, curve and finding, from its files alone; neither torch nor Ray is loaded.

    Args:
        study: a folder or URI `<store>/<study>`, or a name in `store`.
        store: folder or fsspec URI that holds studies.

    Returns:
        `trials()` and `curve()` are data frames, `finding` and `result` the values in `result.json`, `plot()` a picture. A record
        that cannot be read is left out, and `damaged` names it.

    Raises:
        InputError: there is no such study.
        StoreError: its space, its baseline or its result is damaged, or of another version.
    """
    from raydistill.catalogue import find_study
    from raydistill.report.read import read_whole

    return read_whole(find_study(str(study), str(store)).absolute)


def write_report(target: str | Path, *, store: str | Path = "studies", out: str | Path | None = None) -> Written:
    """Write the page of a study, of a certificate or of a comparison: one HTML file that loads nothing from elsewhere.

    Args:
        target: a folder or URI `<store>/<study>`, or a name in `store`; a `certificate.json`; a `comparison.json` or its folder.
        store: folder or fsspec URI that holds studies.
        out: the file to write, `.html`; None is `report.html` in the folder, `certificate.html` for a certificate.

    Returns:
        The page's path, and whether a search still works on the study.

    Raises:
        InputError: there is no such study, or `out` is no .html file.
        CertifyError: the certificate is damaged.
        StoreError: a file is damaged or of another version, or the page cannot be written; then nothing is.
    """
    from raydistill.catalogue import find_file
    from raydistill.report.page.comparison_page import COMPARISON_FILE
    from raydistill.report.page.study_page import study_page
    from raydistill.report.page.write import Written, write_page
    from raydistill.storage.layout import CERTIFICATE_FILE, REPORT_FILE
    from raydistill.storage.store import Store

    given, to = str(target), None if out is None else str(out)
    if given.endswith(CERTIFICATE_FILE):
        return Written(_write_certificate(*find_file(given, CERTIFICATE_FILE), to), False)
    if given.endswith(COMPARISON_FILE) or Store(given).exists(COMPARISON_FILE):
        return Written(_write_comparison(*find_file(given, COMPARISON_FILE), to), False)
    study = load_study(given, store=store)
    path = write_page(lambda path: study_page(study, path), to or study.store.path(REPORT_FILE))
    return Written(path, study.holder is not None)


def _write_certificate(folder: Store, name: str, out: str | None) -> str:
    from raydistill.certify.certificate import read_certificate
    from raydistill.certify.web_page import certificate_page
    from raydistill.report.page.write import write_page

    certificate = read_certificate(folder, name)
    path = out or folder.path("certificate.html")
    return write_page(lambda path: certificate_page(folder.absolute, certificate, path, name), path)


def _write_comparison(folder: Store, name: str, out: str | None) -> str:
    from raydistill.report.page.comparison_page import comparison_page, read_comparison
    from raydistill.report.page.write import write_page
    from raydistill.storage.layout import REPORT_FILE

    comparison = read_comparison(folder, name)
    return write_page(lambda path: comparison_page(folder.absolute, comparison, path), out or folder.path(REPORT_FILE))


def write_plots(
    study: str | Path,
    *,
    store: str | Path = "studies",
    format: Literal["pdf", "png", "svg"] = "pdf",
    out: str | Path | None = None,
) -> list[str]:
    """Write a study's pictures and tables as a paper wants them.

    Args:
        study: a folder or URI `<store>/<study>`, or a name in `store`.
        store: folder or fsspec URI that holds studies.
        format: of the pictures.
        out: folder to write into; None is `plots/` in the study.

    Returns:
        The files that were written.

    Raises:
        InputError: there is no such study or format, no trial has finished, or matplotlib is not installed.
        StoreError: a file is damaged, or the folder cannot be written.
    """
    from raydistill.report.paper_tables import tables_for_paper
    from raydistill.report.plots import pictures
    from raydistill.storage.store import Store

    found = load_study(study, store=store)
    folder = found.store.at("plots") if out is None else Store(str(out))
    made: list[tuple[str, bytes | str]] = [*pictures(found, format), *tables_for_paper(found)]
    for name, content in made:
        folder.write(name, content)
    return [folder.path(name) for name, _ in made]
