"""The commands that compare and prove."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from raydistill.cli.common import (
    DataRoot,
    Overrides,
    Space,
    StoreOption,
    Study,
    TableFormat,
    exit_codes,
    listed,
    refuse_beside,
    this_command,
)
from raydistill.errors import InputError

app = typer.Typer()


@app.command()
def tables(
    studies: Annotated[list[str], typer.Argument(metavar="STUDY...", help="Folders <store>/<study>, or names in --store.")],
    store: StoreOption = "studies",
    suffix: TableFormat = "md",
) -> None:
    """Write each study's tables below its folder; print one study's, or the comparison of several."""
    with exit_codes("Interrupted."):
        from raydistill.catalogue import find_study
        from raydistill.methods import method_configs
        from raydistill.report.rendering import render
        from raydistill.report.tables import ipc_frame, read_study, study_frame, trial_frame, write_tables

        folders = [find_study(study, store) for study in studies]
        read = [read_study(folder, method_configs()) for folder in folders]
        for folder, records in zip(folders, read, strict=True):
            write_tables(folder, records)
        frames = [trial_frame(read[0]), ipc_frame(read[0])] if len(read) == 1 else [study_frame(read)]
        typer.echo("\n".join(render(frame, suffix) for frame in frames), nl=False)


@app.command()
def compare(
    space: Space,
    methods: Annotated[
        str, typer.Option(help="Methods, or spaces that give a method's settings, joined by commas; controls are added.")
    ],
    ipc: Annotated[int, typer.Option(min=1, help="Images per class.")],
    draws: Annotated[int, typer.Option(help="Random starts per method.")] = 10,
    split: Annotated[str, typer.Option(help="Images to read on: select, or test (which needs --reason).")] = "select",
    reason: Annotated[str | None, typer.Option(help="Why the test split is opened; logged in the store.")] = None,
    store: StoreOption = "studies",
    data_root: DataRoot = None,
    local: Annotated[bool, typer.Option("--local", help="One by one in this process, without Ray.")] = False,
    address: Annotated[str | None, typer.Option(help="Of a running Ray cluster, e.g. auto.")] = None,
    overrides: Overrides = None,
    suffix: TableFormat = "md",
) -> None:
    """Compare methods at one IPC, in pairs with the random real images that each draw starts from."""
    with exit_codes(f"Interrupted. What is done is saved; this continues:\n  {this_command()}"):
        import raydistill
        from raydistill.comparison.rows import comparison_key
        from raydistill.report.progress import watch
        from raydistill.report.summary import end_of_comparison
        from raydistill.sets.one import check_reading
        from raydistill.storage.store import Store

        check_reading(split, reason, None)
        with watch() as watcher:
            comparison = raydistill.compare(
                space,
                methods=listed(methods),
                ipc=ipc,
                draws=draws,
                store=store,
                reason=reason,
                data_root=data_root,
                local=local,
                address=address,
                overrides=overrides or [],
                watcher=watcher,
            )
        path = Store(store).at("compare", comparison_key(comparison.settings)).path("comparison.json")
        typer.echo(end_of_comparison(comparison, suffix, path), nl=False)


@app.command()
def certify(
    study: Study,
    store: StoreOption = "studies",
    trial: Annotated[str | None, typer.Option(metavar="ID", help="A finished trial; by default the search's winner.")] = None,
    networks: Annotated[int, typer.Option(help="Fresh networks on the full data, on the set and on each control.")] = 10,
    again: Annotated[bool, typer.Option("--again", help="Open the test split once more; the certificate says so.")] = False,
    data_root: DataRoot = None,
    local: Annotated[bool, typer.Option("--local", help="One by one in this process, without Ray.")] = False,
    address: Annotated[str | None, typer.Option(help="Of a running Ray cluster, e.g. auto.")] = None,
    accept_code_change: Annotated[bool, typer.Option("--accept-code-change", help="Certify a set of other code.")] = False,
) -> None:
    """Prove on the sealed test split, opened once, that a study's winner is lossless, or say that it is not."""
    with exit_codes(f"Interrupted. What is done is saved; this continues:\n  {this_command()}"):
        import raydistill
        from raydistill.report.progress import watch

        with watch() as watcher:
            certificate = raydistill.certify(
                study,
                store=store,
                trial=trial,
                networks=networks,
                again=again,
                accept_code_change=accept_code_change,
                data_root=data_root,
                local=local,
                address=address,
                watcher=watcher,
            )
        from raydistill.certify.page import render_page

        typer.echo(render_page(certificate), nl=False)


@app.command()
def verify(
    certificate: Annotated[str, typer.Argument(metavar="CERTIFICATE", help="A certificate.json, or the folder that holds it.")],
    retrain: Annotated[bool, typer.Option("--retrain", help="Train again and compare; opens the test split, logged.")] = False,
    data_root: DataRoot = None,
    local: Annotated[bool, typer.Option("--local", help="One by one in this process, without Ray.")] = False,
    address: Annotated[str | None, typer.Option(help="Of a running Ray cluster, e.g. auto.")] = None,
) -> None:
    """Check that a certificate follows from what it stores; ends with 1 where it does not."""
    with exit_codes("Interrupted. The certificate is as it was."):
        import raydistill
        from raydistill.report.progress import watch

        with watch() as watcher:
            verification = raydistill.verify(
                certificate, retrain=retrain, data_root=data_root, local=local, address=address, watcher=watcher
            )
        lines = [*(f"Holds: {said}" for said in verification.checked)]
        lines += [f"Not checked: {said}" for said in verification.not_checked]
        typer.echo("\n".join([*verification.certificate.findings.headline, *lines]))


@app.command()
def ablate(
    study: Study,
    store: StoreOption = "studies",
    trial: Annotated[str | None, typer.Option(metavar="ID", help="A finished trial; by default the search's winner.")] = None,
    draws: Annotated[int, typer.Option(help="Distillations of each variant.")] = 5,
    networks: Annotated[int, typer.Option(help="Fresh networks behind each.")] = 3,
    data_root: DataRoot = None,
    local: Annotated[bool, typer.Option("--local", help="One by one in this process, without Ray.")] = False,
    address: Annotated[str | None, typer.Option(help="Of a running Ray cluster, e.g. auto.")] = None,
    accept_code_change: Annotated[bool, typer.Option("--accept-code-change", help="Take a trial of other code.")] = False,
) -> None:
    """Turn each term of the winning method off in turn, at the found size, and tabulate the effects."""
    with exit_codes(f"Interrupted. What is done is saved; this continues:\n  {this_command()}"):
        import raydistill
        from raydistill.report.progress import watch

        with watch() as watcher:
            ablation = raydistill.ablate(
                study,
                store=store,
                trial=trial,
                draws=draws,
                networks=networks,
                accept_code_change=accept_code_change,
                data_root=data_root,
                local=local,
                address=address,
                watcher=watcher,
            )
        from raydistill.certify.ablation_table import render_ablation

        typer.echo(render_ablation(ablation), nl=False)


@app.command()
def reproduce(
    context: typer.Context,
    table: Annotated[str | None, typer.Option(help="The report's tables: 1 to 7, joined by commas, or all.")] = None,
    reading: Annotated[
        Literal["as_run", "as_specified"], typer.Option(help="By its code, or by its text (K x T x zeta).")
    ] = "as_run",
    scale: Annotated[Literal["small", "full"], typer.Option(help="For two CPU cores, or as large as the report.")] = "small",
    flops_only: Annotated[bool, typer.Option("--flops-only", help="Table 1's FLOPs alone; trains nothing.")] = False,
    ledger: Annotated[bool, typer.Option("--ledger", help="Published values beside those in the store; trains nothing.")] = False,
    threads: Annotated[int, typer.Option(min=1, help="Torch threads of a job.")] = 1,
    gpus: Annotated[float, typer.Option(min=0, help="Share of a GPU for a job; 0 computes on the CPU.")] = 0,
    store: StoreOption = "studies",
    data_root: DataRoot = None,
    local: Annotated[bool, typer.Option("--local", help="One by one in this process, without Ray.")] = False,
    address: Annotated[str | None, typer.Option(help="Of a running Ray cluster, e.g. auto.")] = None,
    suffix: TableFormat = "md",
) -> None:
    """Make the tables of the report again, beside its values; or list published values beside own ones."""
    with exit_codes(f"Interrupted. What is done is saved; this continues:\n  {this_command()}"):
        import raydistill
        from raydistill.report.progress import watch
        from raydistill.reproduce.tables import render_flops, render_results

        if [table is not None, flops_only, ledger].count(True) != 1:
            raise InputError("one of --table, --flops-only and --ledger is wanted: give --table 1 to 7, or another of them alone")
        training = ("reading", "scale", "threads", "gpus", "local", "address", "data_root")
        if flops_only:
            refuse_beside(context, "--flops-only", *training, "store")
            typer.echo(render_flops(suffix), nl=False)
            return
        if ledger:
            refuse_beside(context, "--ledger", *training)
            from raydistill.reproduce.ledger import render_ledger
            from raydistill.storage.store import Store

            results_store = Store(store)
            source = context.get_parameter_source("store")
            if source is not None and source.name != "DEFAULT" and not results_store.exists("."):
                raise InputError(f"there is no store {store}, so it holds no results; correct --store")
            typer.echo(render_ledger(results_store, suffix), nl=False)
            return
        with watch() as watcher:
            results = raydistill.reproduce(
                table or "",
                reading=reading,
                scale=scale,
                threads=threads,
                gpus=gpus,
                store=store,
                data_root=data_root,
                local=local,
                address=address,
                watcher=watcher,
            )
        typer.echo(render_results(results, suffix), nl=False)
        if results.missing and not results.rows:
            raise InputError(f"nothing was run, for lack of data: {'; '.join(results.missing.values())}")
