"""The commands around one set: distil, evaluate, import, export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from raydistill.cli.common import DataRoot, Overrides, example, exit_codes
from raydistill.cli.completion import complete_space
from raydistill.cli.evaluating import evaluate

app = typer.Typer()


@app.command(epilog=example("distill digits_random --set ipc=10 --out my-set"))
def distill(
    space: Annotated[
        str,
        typer.Argument(
            metavar="FILE_OR_NAME",
            help="A YAML search space, the name of a shipped one, or the folder of a trial.",
            autocompletion=complete_space,
        ),
    ],
    overrides: Overrides = None,
    out: Annotated[str | None, typer.Option(help="Folder or URI for the set; by default distilled/<hash of the config>.")] = None,
    store: Annotated[
        str | None,
        typer.Option(envvar="RAYDISTILL_STORE", help="Store of the experts; by default that of the trial, or studies."),
    ] = None,
    data_root: DataRoot = None,
) -> None:
    """Distil one set without a search: a space with every range fixed by --set, or rerun a trial from its folder."""
    with exit_codes("Interrupted. Nothing was written."):
        from raydistill.report.next_commands import after_distilling, next_lines
        from raydistill.report.progress import PlainWatcher
        from raydistill.report.rerun import rerun_line
        from raydistill.report.steps import watch_steps
        from raydistill.report.summary import distilled_summary
        from raydistill.sets.distilling import distil_once, save_set
        from raydistill.sets.evaluating import compare_with_start
        from raydistill.sets.rerun import to_distil
        from raydistill.storage.data_root import as_data_root
        from raydistill.storage.store import Store

        config, experts, trial = to_distil(space, overrides or [], store, as_data_root(data_root))
        folder = Store(out or f"distilled/{config.trial_id}")
        folder.check_writable()
        with watch_steps() as on_step:
            distilled = distil_once(config, experts, as_data_root(data_root), on_step, PlainWatcher())
        paths = save_set(distilled, folder)
        further = next_lines(*after_distilling(folder.root, data_root))
        with exit_codes(f"Interrupted. The set is written, {paths[0]}; its accuracy was not read to the end.\n{further}"):
            after, before = compare_with_start(distilled, as_data_root(data_root), "evaluate" if trial is None else "trial")
            typer.echo(distilled_summary(after, before, paths))
            if trial is not None and (rerun := trial.compare(distilled.synthetic, after)) is not None:
                typer.echo(rerun_line(rerun))
            typer.echo(further)


app.command(epilog=example("evaluate studies/digits-datadam/winner --network mlp,lenet"))(evaluate)


@app.command("import", epilog=example("import set.npz --out my-set"))
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A published .pt, or an .npz that export wrote.")],
    out: Annotated[str, typer.Option(help="Folder or URI for the set.")],
    dataset: Annotated[
        str | None, typer.Option(help="For a .pt file: the data set that it was distilled from, for example cifar10.")
    ] = None,
    space: Annotated[
        str | None,
        typer.Option(help="For a .pt file: the scale of its pixel values: pixels, standardised, standardised:DATASET, or zca."),
    ] = None,
    labels: Annotated[Path | None, typer.Option(help="File with the labels, if FILE has only images.")] = None,
    labels_are: Annotated[
        Literal["probabilities", "logits"] | None,
        typer.Option(help="What soft labels are; by default decided by their values, and refused where these leave a doubt."),
    ] = None,
    lr: Annotated[Path | None, typer.Option(help="File with the learned learning rate.")] = None,
    entry: Annotated[
        str | None,
        typer.Option(
            metavar="N|all",
            help="Which set of a file with several, counted from 1; all writes each to a folder of its own. By default the last.",
        ),
    ] = None,
    overrides: Overrides = None,
    data_root: DataRoot = None,
) -> None:
    """Convert a set that others published to the format of this project. Nothing in the file is executed."""
    with exit_codes("Interrupted. Nothing was written."):
        from raydistill.report.next_commands import after_distilling, command, next_lines
        from raydistill.sets.importing import Given, import_into
        from raydistill.storage.layout import SET_FILE

        given = Given(
            dataset=dataset,
            space=space,
            labels_file=labels,
            labels_are=labels_are,
            lr_file=lr,
            overrides=tuple(overrides or []),
        )
        imported, written = import_into(out, file, given, entry=_entry(entry), data_root=data_root)
        for one, paths in zip(imported, written, strict=True):
            typer.echo("\n".join([*one.notes, *(f"Written {path}" for path in paths)]))
        folders = [path.removesuffix(f"/{SET_FILE}") for path, _ in written]
        if entry == "all":
            typer.echo(next_lines(*(command("evaluate", folder, data_root=data_root) for folder in folders)))
        else:
            typer.echo(next_lines(*after_distilling(folders[0], data_root)))


def _entry(text: str | None) -> int | Literal["last", "all"]:
    if text is None or text == "all":
        return "last" if text is None else "all"
    if not text.isdecimal() or int(text) < 1:
        raise typer.BadParameter(f"given {text!r}; allowed: a whole number from 1 on, or all", param_hint="--entry")
    return int(text)


@app.command(epilog=example("export studies/digits/winner --format hf --out digits-hf"))
def export(
    set_file: Annotated[str, typer.Argument(metavar="SET", help="A set: an images.safetensors, or the folder that holds it.")],
    out: Annotated[str, typer.Option(help="A new or empty folder for hf and folder, a new file NAME.npz for npz.")],
    form: Annotated[
        str,
        typer.Option(
            "--format",
            help="hf (a Hugging Face data set) or folder (PNG in class folders, as torchvision's ImageFolder reads them), both "
            "with 8-bit pixels; or npz (exact).",
        ),
    ] = "folder",
    accuracy: Annotated[
        bool, typer.Option(help="Train the set's networks before and after rounding to 8 bits, and write both accuracies.")
    ] = True,
    data_root: DataRoot = None,
) -> None:
    """Write a set in a format that other programs read."""
    with exit_codes("Interrupted. Nothing was written."):
        from raydistill.report.next_commands import command, next_lines
        from raydistill.sets.exporting import export_set
        from raydistill.storage.data_root import as_data_root

        exported = export_set(set_file, out, form, accuracy=accuracy, data_root=as_data_root(data_root))
        typer.echo(f"Written {exported.path}: {exported.note}")
        if form == "npz":
            back = str(Path(exported.path).with_suffix(""))
            typer.echo(next_lines(command("import", exported.path, out=back, data_root=data_root)))
