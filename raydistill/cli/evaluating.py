"""The command that evaluates a set: fresh networks, protocols of benchmarks, and what the set is used for."""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast

import typer

from raydistill.cli.common import Address, DataRoot, Local, exit_codes, is_given, listed, to_continue
from raydistill.errors import InputError
from raydistill.uses.names import USES

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


def evaluate(
    context: typer.Context,
    set_file: Annotated[str, typer.Argument(metavar="SET", help="A set: an images.safetensors, or the folder that holds it.")],
    network: Annotated[
        str | None,
        typer.Option(help="Networks, separated by commas, e.g. mlp,resnet18:norm=batch; by default the set's own."),
    ] = None,
    split: Annotated[str, typer.Option(help="Images that the networks are read on: select, or test (with --reason).")] = "select",
    reason: Annotated[str | None, typer.Option(help="Why the test split is opened; logged in the store.")] = None,
    networks: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Number of fresh networks; by default that of the trial. Of each kind with transfer (3), continual (1), nas (1) "
            "and cost (3, at least 2).",
        ),
    ] = None,
    recipe: Annotated[str | None, typer.Option(help="Training recipe; by default that of the trial.")] = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            help="Protocol: dc_bench or dd_ranking (benchmarks), transfer, continual, nas, cost or privacy (what a set is for)."
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
        typer.Option(help="With transfer and the protocols after it: controls beside the set, separated by commas, or none."),
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
        float | None,
        typer.Option(help="With transfer and the protocols after it: more is refused; sizes the sample of nas, there 1."),
    ] = None,
    into: Annotated[
        str | None,
        typer.Option(help="With transfer and the protocols after it: folder of the records; by default uses/ in the study."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With transfer and the protocols after it: say how long it takes.")
    ] = False,
    gpus: Annotated[float, typer.Option(min=0, help="With transfer and the protocols after it: share of a GPU per network.")] = 0,
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
        from raydistill.sets.evaluating import evaluate_file
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
                    f"only --protocol {', '.join(USES)} take it; add one of them, or leave it out",
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
