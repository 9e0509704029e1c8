"""The commands around a certificate: certify, verify, ablate."""

from __future__ import annotations

from typing import Annotated

import typer

from raydistill.cli.common import (
    AcceptCodeChange,
    Address,
    DataRoot,
    Local,
    StoreOption,
    Study,
    example,
    exit_codes,
    to_continue,
)
from raydistill.search.again import submitted
from raydistill.storage.layout import CERTIFICATE_FILE

NOT_ALL_CHECKED = 3
"""Exit code of `verify` where nothing contradicts the certificate but a part of it could not be checked."""
app = typer.Typer()
Trial = Annotated[str | None, typer.Option(metavar="ID", help="Id of a finished trial; by default the search's winner.")]


@app.command(epilog=example("certify digits-datadam --store studies"))
def certify(
    study: Study,
    store: StoreOption = "studies",
    trial: Trial = None,
    networks: Annotated[int, typer.Option(help="Fresh networks on the full data, on the set and on each control.")] = 10,
    again: Annotated[bool, typer.Option("--again", help="Open the test split once more; the new certificate states it.")] = False,
    data_root: DataRoot = None,
    local: Local = False,
    address: Address = None,
    accept_code_change: AcceptCodeChange = False,
) -> None:
    """Test on the sealed test split, opened once and logged, whether a study's winner is lossless, and write a certificate."""
    with exit_codes(to_continue()):
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
        from raydistill.catalogue import find_study
        from raydistill.certify.page import render_page
        from raydistill.methods import METHODS
        from raydistill.report.next_commands import command, next_lines, training_command

        typer.echo(render_page(certificate), nl=False)
        found = find_study(study, store)
        where = {"data_root": data_root, "local": local, "address": address, "accept_code_change": accept_code_change}
        # On the standard error: the page may be redirected to a file.
        typer.echo(f"Written {found.path('certificate.json')} and {found.path('certificate.md')}", err=True)
        after = [command("verify", found.path(CERTIFICATE_FILE))]
        if METHODS[certificate.evidence.config["method"]["name"]].ablations:
            after.append(training_command("ablate", found.root, submitted=submitted(), trial=trial, **where))
        typer.echo(next_lines(*after), err=True)


@app.command(epilog=example("verify studies/digits-datadam/certificate.json"))
def verify(
    certificate: Annotated[str, typer.Argument(metavar="CERTIFICATE", help="A certificate.json, or the folder that holds it.")],
    retrain: Annotated[
        bool, typer.Option("--retrain", help="Train the networks again and compare; opens the test split, which is logged.")
    ] = False,
    data_root: DataRoot = None,
    local: Local = False,
    address: Address = None,
) -> None:
    """Check that the findings of a certificate follow from the data in it.

    The exit code is 1 if they do not, and 3 if nothing contradicts them but a part could not be checked.
    """
    with exit_codes("Interrupted. The certificate is unchanged."):
        import raydistill
        from raydistill.report.progress import watch

        with watch() as watcher:
            verification = raydistill.verify(
                certificate, retrain=retrain, data_root=data_root, local=local, address=address, watcher=watcher
            )
        lines = [*(f"Checked: {said}" for said in verification.checked)]
        lines += [f"Not checked: {said}" for said in verification.not_checked]
        typer.echo("\n".join([*verification.certificate.findings.headline, *lines]))
        if verification.not_checked:
            raise typer.Exit(NOT_ALL_CHECKED)


@app.command(epilog=example("ablate digits-datadam --draws 5"))
def ablate(
    study: Study,
    store: StoreOption = "studies",
    trial: Trial = None,
    draws: Annotated[int, typer.Option(help="Distillations of each variant.")] = 5,
    networks: Annotated[int, typer.Option(help="Fresh networks per distillation.")] = 3,
    data_root: DataRoot = None,
    local: Local = False,
    address: Address = None,
    accept_code_change: AcceptCodeChange = False,
) -> None:
    """Turn off each term of the winning method in turn, at the winner's IPC, and tabulate the effects."""
    with exit_codes(to_continue()):
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
        from raydistill.catalogue import find_study
        from raydistill.certify.ablation_table import render_ablation
        from raydistill.report.next_commands import next_lines, training_command
        from raydistill.storage.data_root import as_data_root

        found = find_study(study, store)
        typer.echo(render_ablation(ablation, found.root, as_data_root(data_root)), nl=False)
        typer.echo(f"Written {found.path('ablation.json')} and {found.path('ablation.md')}", err=True)
        if not found.exists(CERTIFICATE_FILE):
            where = {"data_root": data_root, "local": local, "address": address, "accept_code_change": accept_code_change}
            line = training_command("certify", found.root, submitted=submitted(), trial=trial, **where)
            typer.echo(next_lines(line), err=True)
