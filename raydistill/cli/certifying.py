"""The commands around a certificate: certify, verify, ablate."""

from __future__ import annotations

from typing import Annotated

import typer

from raydistill.cli.common import (
    DataRoot,
    StoreOption,
    Study,
    exit_codes,
    this_command,
)

app = typer.Typer()


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
