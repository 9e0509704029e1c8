"""The commands around one set: distil, read, bring in, hand on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from raydistill.cli.common import DataRoot, Overrides, TableFormat, exit_codes, listed, refuse_beside

app = typer.Typer()


@app.command()
def distill(
    space: Annotated[
        str, typer.Argument(metavar="FILE_OR_NAME", help="A YAML search space, a shipped one's name, or a trial's folder.")
    ],
    overrides: Overrides = None,
    out: Annotated[str | None, typer.Option(help="Folder or URI for the set; by default distilled/<hash of the config>.")] = None,
    store: Annotated[
        str | None,
        typer.Option(envvar="RAYDISTILL_STORE", help="Holds experts; by default the store of the trial, or studies."),
    ] = None,
    data_root: DataRoot = None,
) -> None:
    """Distil one set without a search; every range of the space is fixed by --set, or a trial is run again from its folder."""
    with exit_codes("Interrupted. Nothing was written."):
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


@app.command()
def evaluate(
    context: typer.Context,
    set_file: Annotated[str, typer.Argument(metavar="SET", help="An images.safetensors, or the folder that holds it.")],
    network: Annotated[
        str | None, typer.Option(help="Architectures, joined by commas, e.g. mlp,resnet18:norm=batch; by default the set's own.")
    ] = None,
    split: Annotated[str, typer.Option(help="Images to read on: select, or test (which needs --reason).")] = "select",
    reason: Annotated[str | None, typer.Option(help="Why the test split is opened; logged in the store.")] = None,
    networks: Annotated[int | None, typer.Option(min=1, help="Fresh networks; by default the trial's number.")] = None,
    recipe: Annotated[str | None, typer.Option(help="Training recipe; by default the trial's.")] = None,
    protocol: Annotated[str | None, typer.Option(help="Of a benchmark: dc_bench or dd_ranking.")] = None,
    augmentations: Annotated[str, typer.Option(help="With dc_bench, joined by commas; by default all of its six.")] = "",
    store: Annotated[
        str | None,
        typer.Option(
            envvar="RAYDISTILL_STORE",
            help="Where an opening of the test split is logged; by default the store of the set's study, or studies.",
        ),
    ] = None,
    data_root: DataRoot = None,
    suffix: TableFormat = "md",
) -> None:
    """Train fresh networks on a saved set and read their accuracy; with --network a row per architecture."""
    with exit_codes("Interrupted."):
        from raydistill.report.rendering import render
        from raydistill.report.tables import network_frame
        from raydistill.report.words import accuracy_line
        from raydistill.sets.one import evaluate_file
        from raydistill.sets.place import ImagesToRead
        from raydistill.storage.data_root import as_data_root

        if augmentations and protocol is None:
            raise typer.BadParameter(
                "without --protocol dc_bench; leave it out, or give the protocol", param_hint="--augmentations"
            )
        if network is None and protocol is None:
            refuse_beside(context, "the set's own network alone (--network and --protocol give tables)", "suffix")
        architectures = [name.strip() for name in network.split(",")] if network is not None else []
        on = ImagesToRead(split=split, reason=reason, log=store, data_root=as_data_root(data_root))
        if protocol is not None:
            from raydistill.report.protocol_tables import render_protocol

            said = render_protocol(
                protocol,
                set_file,
                on,
                suffix,
                architectures=architectures,
                augmentations=listed(augmentations),
                networks=networks,
                recipe=recipe,
            )
            typer.echo(said, nl=False)
            return
        readings = evaluate_file(set_file, on, networks=networks, recipe=recipe, architectures=architectures)
        if network is None:
            typer.echo(f"{accuracy_line(readings[0].accuracy_fractions)}, {split} images")
        else:
            typer.echo(render(network_frame(readings), suffix), nl=False)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A published .pt, or an .npz that export wrote.")],
    out: Annotated[str, typer.Option(help="Folder or URI for the set.")],
    dataset: Annotated[str | None, typer.Option(help="Data set of a .pt, for example cifar10.")] = None,
    space: Annotated[str | None, typer.Option(help="Of a .pt's images: pixels, standardised[:DATASET], or zca.")] = None,
    labels: Annotated[Path | None, typer.Option(help="File of the labels, where FILE has images alone.")] = None,
    lr: Annotated[Path | None, typer.Option(help="File of the learned rate.")] = None,
    overrides: Overrides = None,
    data_root: DataRoot = None,
) -> None:
    """Bring a set that others published into this project's form; the file is read apart and nothing in it is run."""
    with exit_codes("Interrupted. Nothing was written."):
        from raydistill.sets.importing import import_file
        from raydistill.sets.one import write_set
        from raydistill.storage.data_root import as_data_root
        from raydistill.storage.store import Store

        folder = Store(out)
        folder.check_writable()
        imported = import_file(
            file,
            dataset=dataset,
            space=space,
            labels_file=labels,
            lr_file=lr,
            overrides=overrides or [],
            data_root=as_data_root(data_root),
        )
        paths = write_set(imported.synthetic, imported.manifest, folder)
        typer.echo("\n".join([*imported.notes, *(f"Written {path}" for path in paths)]))


@app.command()
def export(
    set_file: Annotated[str, typer.Argument(metavar="SET", help="An images.safetensors, or the folder that holds it.")],
    out: Annotated[str, typer.Option(help="A new folder for png, a new file NAME.npz for npz.")],
    form: Annotated[str, typer.Option("--format", help="png (class folders, as ImageFolder reads) or npz (exact).")] = "png",
    data_root: DataRoot = None,
) -> None:
    """Write a set in a form that other programs read."""
    with exit_codes("Interrupted."):
        from raydistill.sets.exporting import export_set
        from raydistill.storage.data_root import as_data_root

        exported = export_set(set_file, out, form, data_root=as_data_root(data_root))
        typer.echo(f"Written {exported.path}: {exported.note}")
