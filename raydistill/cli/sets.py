"""The commands around one set: distil, evaluate, import, export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, cast

import typer

from raydistill.cli.common import (
    Address,
    DataRoot,
    Local,
    Overrides,
    example,
    exit_codes,
    is_given,
    listed,
    to_continue,
)
from raydistill.cli.completion import complete_space
from raydistill.errors import InputError

app = typer.Typer()
USES = ("transfer", "continual", "nas")
OF_USES = (
    "controls",
    "class_steps",
    "orders",
    "distil_in_steps",
    "space",
    "sample",
    "proxy_share",
    "hours",
    "into",
    "dry_run",
    "gpus",
    "local",
    "address",
)
"""Options of `evaluate` that only the protocols in `USES` take."""


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
        from raydistill.sets.one import compare_with_start, distil_once, save_set
        from raydistill.sets.rerun import to_distil
        from raydistill.storage.data_root import as_data_root
        from raydistill.storage.store import Store

        config, experts, trial = to_distil(space, overrides or [], store, as_data_root(data_root))
        folder = Store(out or f"distilled/{config.trial_id}")
        folder.check_writable()
        with watch_steps() as on_step:
            distilled = distil_once(config, experts, as_data_root(data_root), on_step, PlainWatcher())
        paths = save_set(distilled, folder)
        after, before = compare_with_start(distilled, as_data_root(data_root), "evaluate" if trial is None else "trial")
        typer.echo(distilled_summary(after, before, paths))
        if trial is not None and (rerun := trial.compare(distilled.synthetic, after)) is not None:
            typer.echo(rerun_line(rerun))
        typer.echo(next_lines(*after_distilling(folder.root, data_root)))


@app.command(epilog=example("evaluate studies/digits-datadam/winner --network mlp,lenet"))
def evaluate(
    context: typer.Context,
    set_file: Annotated[str, typer.Argument(metavar="SET", help="A set: an images.safetensors, or the folder that holds it.")],
    network: Annotated[
        str | None,
        typer.Option(help="Networks, separated by commas, e.g. mlp,resnet18:norm=batch; by default the set's own."),
    ] = None,
    split: Annotated[str, typer.Option(help="Images that the networks are read on: select, or test (with --reason).")] = "select",
    reason: Annotated[str | None, typer.Option(help="Why the test split is opened; logged in the store.")] = None,
    networks: Annotated[int | None, typer.Option(min=1, help="Number of fresh networks; by default that of the trial.")] = None,
    recipe: Annotated[str | None, typer.Option(help="Training recipe; by default that of the trial.")] = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            help="Protocol: dc_bench or dd_ranking (benchmarks), transfer, continual or nas (what the set is used for)."
        ),
    ] = None,
    augmentations: Annotated[
        str, typer.Option(help="With dc_bench: augmentations, separated by commas; by default all six.")
    ] = "",
    store: Annotated[
        str | None,
        typer.Option(
            envvar="RAYDISTILL_STORE",
            help="Store that logs an opening of the test split; by default that of the set's study, or studies.",
        ),
    ] = None,
    controls: Annotated[
        str | None,
        typer.Option(help="With transfer, continual, nas: controls beside the set, separated by commas, or none."),
    ] = None,
    class_steps: Annotated[
        int | None, typer.Option(help="With continual: steps in which the classes come; by default 5.")
    ] = None,
    orders: Annotated[int | None, typer.Option(help="With continual: orders of the classes; by default 5.")] = None,
    distil_in_steps: Annotated[
        bool,
        typer.Option("--distil-in-steps", help="With continual: a memory too that is distilled from each step's classes alone."),
    ] = False,
    space: Annotated[
        str | None, typer.Option(help="With nas: values of axes, as width=8,16:depth=1,2; by default the field's 720 networks.")
    ] = None,
    sample: Annotated[
        int | None, typer.Option(help="With nas: networks of the space; by default as many as --hours allows.")
    ] = None,
    proxy_share: Annotated[
        float | None, typer.Option(help="With nas: steps on a set as a part of the recipe's; by default 0.25.")
    ] = None,
    hours: Annotated[
        float | None, typer.Option(help="With transfer, continual, nas: more is refused; sizes the sample of nas, there 1.")
    ] = None,
    into: Annotated[
        str | None, typer.Option(help="With transfer, continual, nas: folder of the records; by default uses/ in the study.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="With transfer, continual, nas: say how long it takes.")] = False,
    gpus: Annotated[float, typer.Option(min=0, help="With transfer, continual, nas: share of a GPU per network.")] = 0,
    local: Local = False,
    address: Address = None,
    data_root: DataRoot = None,
    suffix: Annotated[Literal["md", "csv", "tex", "json"], typer.Option("--format", help="Format of the printed table.")] = "md",
) -> None:
    """Train fresh networks on a saved set and print their accuracy; with --network, a row per network."""
    with exit_codes(to_continue() if protocol in USES else "Interrupted."):
        import raydistill
        from raydistill.report.progress import watch
        from raydistill.report.rendering import render
        from raydistill.report.tables import network_frame
        from raydistill.report.words import accuracy_line
        from raydistill.sets.one import evaluate_file
        from raydistill.sets.place import ImagesToRead
        from raydistill.storage.data_root import as_data_root

        if augmentations and protocol is None:
            raise typer.BadParameter(
                "only --protocol dc_bench has augmentations; add it, or leave this out", param_hint="--augmentations"
            )
        if protocol in USES:
            if augmentations:
                raise InputError(f"augmentations are dc_bench's, not {protocol}'s: leave --augmentations out")
            from raydistill.report.next_commands import command, next_lines
            from raydistill.report.use_tables import render_use
            from raydistill.sets.place import study_around

            with watch() as watcher:
                result = raydistill.evaluate_for(
                    cast("Any", protocol),
                    set_file,
                    split=cast("Any", split),
                    reason=reason,
                    store=store,
                    network=None if network is None else listed(network),
                    networks=networks,
                    recipe=recipe,
                    controls=None if controls is None else listed(controls),
                    class_steps=class_steps,
                    orders=orders,
                    distil_in_steps=distil_in_steps,
                    space=space,
                    sample=sample,
                    proxy_share=proxy_share,
                    hours=hours,
                    into=into,
                    gpus=gpus,
                    data_root=data_root,
                    local=local,
                    address=address,
                    dry_run=dry_run,
                    watcher=watcher,
                )
            if result is not None:
                typer.echo(render_use(result, suffix), nl=False)
            if (study := study_around(set_file)) is not None and result is not None:
                # On the standard error: the table may be redirected to a file.
                typer.echo(next_lines(command("report", study.root)), err=True)
            return
        for name in OF_USES:
            if is_given(context, name):
                raise typer.BadParameter(
                    "only --protocol transfer, continual and nas take it; add one of them, or leave it out",
                    param_hint=f"--{name.replace('_', '-')}",
                )
        architectures = [name.strip() for name in network.split(",")] if network is not None else []
        on = ImagesToRead(split=split, reason=reason, log=store, data_root=as_data_root(data_root))
        if protocol is not None:
            from raydistill.report.protocol_tables import render_protocol

            with watch() as watcher:
                said = render_protocol(
                    protocol,
                    set_file,
                    on,
                    suffix,
                    architectures=architectures,
                    augmentations=listed(augmentations),
                    networks=networks,
                    recipe=recipe,
                    watcher=watcher,
                )
            typer.echo(said, nl=False)
            return
        with watch() as watcher:
            readings = evaluate_file(set_file, on, networks=networks, recipe=recipe, architectures=architectures, watcher=watcher)
        if network is None and not is_given(context, "suffix"):
            (read,) = readings
            of = "" if read.metric == "accuracy" else f", {read.metric.replace('_', ' ')}"
            typer.echo(f"{accuracy_line(read.accuracy_fractions)}, {split} images{of}")
        else:
            typer.echo(render(network_frame(readings), suffix), nl=False)


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
        from raydistill.sets.place import SET_FILE

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
