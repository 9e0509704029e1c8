"""The commands. Each imports what it needs when it needs it, so that `--help` and misspelt names are answered at once.

Exit codes: 0 done (whatever the verdict), 1 failed, 2 bad input, 130 interrupted. What a person can put right is told in a
sentence; anything unexpected ends with its traceback.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

BAD_INPUT = {
    "raydistill.spaces": ("InputError",),
    "raydistill.space_document": ("SpaceError",),
    "raydistill.space_file": ("DataError",),
    "raydistill.experts.need": ("ExpertsError",),
    "raydistill.remote": ("StoreError",),
    "raydistill.lease": ("StudyInUseError",),
    "raydistill.search.driver": ("StudyMismatchError",),
    "raydistill.search.on_ray": ("ClusterError", "NodeError", "ResourcesError"),
    "raydistill.certify.certificate": ("CertifyError",),
    "raydistill.comparison": ("CompareError",),
    "raydistill.core.contract": ("DeviceError",),
}
"""Module to the exceptions that end a command with 2."""
FAILURE = {
    "raydistill.certify.verify": ("VerificationError",),
    "raydistill.core.contract": ("DivergedError",),
}
"""The same for 1, without a traceback."""

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
experts_app = typer.Typer(no_args_is_help=True)
app.add_typer(experts_app, name="experts", help="Expert trajectories, which DATM and PAD match: list, build, prune.")
bench_app = typer.Typer(invoke_without_command=True, pretty_exceptions_enable=False)
app.add_typer(bench_app, name="bench")

Space = Annotated[str, typer.Argument(metavar="FILE_OR_NAME", help="A YAML search space, or a shipped one's name.")]
StoreOption = Annotated[str, typer.Option("--store", envvar="RAYDISTILL_STORE", help="Folder or URI that holds studies.")]
DataRoot = Annotated[
    str | None,
    typer.Option("--data-root", envvar="RAYDISTILL_DATA", help="Folder of the data files, or a URI to copy from."),
]
Study = Annotated[str, typer.Argument(metavar="STUDY", help="A folder <store>/<study>, or a name in --store.")]
Overrides = Annotated[list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Replace one field, e.g. --set ipc=10.")]


def _print_version(is_asked: bool) -> None:
    if is_asked:
        import raydistill

        typer.echo(f"raydistill {raydistill.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Find the smallest synthetic training set that is as good as the full data."""


@app.command()
def search(
    space: Space,
    store: StoreOption = "studies",
    data_root: DataRoot = None,
    local: Annotated[bool, typer.Option("--local", help="Run trials one by one in this process, without Ray.")] = False,
    trials: Annotated[int | None, typer.Option(min=1, help="Trials in all, in place of the space's budget.")] = None,
    address: Annotated[str | None, typer.Option(help="Of a running Ray cluster, e.g. auto.")] = None,
    overrides: Overrides = None,
    accept_code_change: Annotated[bool, typer.Option("--accept-code-change", help="Continue a study of other code.")] = False,
) -> None:
    """Search a space for the smallest lossless IPC; run again, it continues."""
    with _exit_codes(f"Interrupted. What is done is saved; this continues:\n  {_this_command()}"):
        import raydistill
        from raydistill.report.progress import watch

        with watch() as watcher:
            result = raydistill.search(
                space,
                store=store,
                data_root=data_root,
                local=local,
                address=address,
                trials=trials,
                overrides=overrides or [],
                accept_code_change=accept_code_change,
                watcher=watcher,
            )
        from raydistill.report.summary import end_of_search
        from raydistill.store import Store

        typer.echo(end_of_search(Store(store).at(result.study), result))


@app.command()
def status(
    study: Study,
    store: StoreOption = "studies",
    as_json: Annotated[bool, typer.Option("--json", help="The same facts as JSON.")] = False,
) -> None:
    """Show where a study stands from its files alone: a search of it may run elsewhere, or have stopped."""
    with _exit_codes("Interrupted."):
        from datetime import UTC, datetime

        import raydistill
        from raydistill.report.status import status_lines

        found = raydistill.status(study, store=store)
        typer.echo(found.model_dump_json(indent=2) if as_json else status_lines(found, datetime.now(UTC)))


@app.command()
def grafana(
    folder: Annotated[
        Path,
        typer.Argument(metavar="FOLDER", help="That Grafana reads dashboards from; by default the one of Ray's latest session."),
    ] = Path("/tmp/ray/session_latest/metrics/grafana/dashboards"),
) -> None:
    """Put the Grafana dashboard of a search's gauges where Ray's set-up of Grafana finds it."""
    with _exit_codes("Interrupted."):
        from raydistill.report.grafana import install_dashboard

        typer.echo(f"Written {install_dashboard(folder)}")


@app.command()
def submit(
    space: Space,
    store: Annotated[str, typer.Option(help="Folder or URI that holds studies, as every node of the cluster sees it.")],
    address: Annotated[str, typer.Option(help="Of the cluster's dashboard.")] = "http://127.0.0.1:8265",
    data_root: Annotated[str | None, typer.Option(help="Folder of the data files, as every node sees it.")] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Trials in all, in place of the space's budget.")] = None,
    overrides: Overrides = None,
    accept_code_change: Annotated[bool, typer.Option("--accept-code-change", help="Continue a study of other code.")] = False,
    allow_unauthenticated: Annotated[
        bool, typer.Option("--allow-unauthenticated", help="Take a cluster that asks nobody for a token.")
    ] = False,
) -> None:
    """Send a search to a running cluster as a job; it goes on when this command has ended."""
    with _exit_codes("Interrupted. Whether the job was sent, the cluster's dashboard says."):
        from raydistill.submission import plan_submission, submitted_lines
        from raydistill.submission import submit as send

        planned = plan_submission(
            space,
            store=store,
            data_root=data_root,
            trials=trials,
            overrides=overrides or [],
            accept_code_change=accept_code_change,
        )
        job = send(planned, address, allow_unauthenticated=allow_unauthenticated)
        typer.echo(submitted_lines(planned, address, job, store, allow_unauthenticated=allow_unauthenticated))


@app.command()
def plan(
    space: Space,
    data_root: DataRoot = None,
    at_once: Annotated[int | None, typer.Option("--at-once", min=1, help="Jobs side by side; by default what fits here.")] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Trials in all, in place of the space's budget.")] = None,
    overrides: Overrides = None,
) -> None:
    """Forecast a search's hours, disk and memory from a short measured probe; nothing is written."""
    with _exit_codes("Interrupted."):
        from raydistill.data_root import as_data_root
        from raydistill.spaces import load_space

        budget = [] if trials is None else [f"budget.trials={trials}"]
        checked = load_space(space, [*(overrides or []), *budget], as_data_root(data_root))

        from raydistill.plan import plan_search
        from raydistill.report.summary import forecast_lines

        typer.echo(forecast_lines(plan_search(checked, as_data_root(data_root), at_once)))


@app.command()
def distill(
    space: Space,
    overrides: Overrides = None,
    out: Annotated[str | None, typer.Option(help="Folder or URI for the set; by default distilled/<hash of the config>.")] = None,
    store: StoreOption = "studies",
    data_root: DataRoot = None,
) -> None:
    """Distil one set without a search; every range of the space is fixed by --set."""
    with _exit_codes("Interrupted. Nothing was written."):
        from raydistill.data_root import as_data_root
        from raydistill.spaces import load_space

        checked = load_space(space, overrides or [], as_data_root(data_root))

        from raydistill.one_set import compare_with_start, distil_once, only_trial, save_set
        from raydistill.report.progress import PlainWatcher
        from raydistill.report.steps import watch_steps
        from raydistill.report.summary import distilled_summary
        from raydistill.store import Store

        config = only_trial(checked, as_data_root(data_root))
        folder = Store(out or f"distilled/{config.trial_id}")
        folder.check_writable()
        with watch_steps() as on_step:
            distilled = distil_once(config, Store(store), as_data_root(data_root), on_step, PlainWatcher())
        paths = save_set(distilled, folder)
        typer.echo(distilled_summary(*compare_with_start(distilled, as_data_root(data_root)), paths))


@app.command()
def evaluate(
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
    store: StoreOption = "studies",
    data_root: DataRoot = None,
    suffix: Annotated[str, typer.Option("--format", help="Of a table: md, csv or tex.")] = "md",
) -> None:
    """Train fresh networks on a saved set and read their accuracy; with --network a row per architecture."""
    with _exit_codes("Interrupted."):
        from raydistill.data_root import as_data_root
        from raydistill.one_set import evaluate_file
        from raydistill.report.tables import FORMATS, network_frame, render
        from raydistill.report.words import accuracy_line

        if suffix not in FORMATS:
            raise typer.BadParameter(f"{suffix!r}; allowed: {', '.join(FORMATS)}", param_hint="--format")
        if augmentations and protocol is None:
            raise typer.BadParameter(
                "without --protocol dc_bench; leave it out, or give the protocol", param_hint="--augmentations"
            )
        architectures = [name.strip() for name in network.split(",")] if network is not None else []
        if protocol is not None:
            from raydistill.report.protocol_tables import render_protocol

            said = render_protocol(
                protocol,
                set_file,
                suffix,
                architectures=architectures,
                augmentations=_listed(augmentations),
                networks=networks,
                recipe=recipe,
                split=split,
                reason=reason,
                log=store,
                data_root=as_data_root(data_root),
            )
            typer.echo(said, nl=False)
            return
        readings = evaluate_file(
            set_file,
            split=split,
            reason=reason,
            log=store,
            networks=networks,
            recipe=recipe,
            architectures=architectures,
            data_root=as_data_root(data_root),
        )
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
    with _exit_codes("Interrupted. Nothing was written."):
        from raydistill.data_root import as_data_root
        from raydistill.one_set import write_set
        from raydistill.set_import import import_file
        from raydistill.store import Store

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
    out: Annotated[Path, typer.Option(help="A new folder for png, a file for npz.")],
    form: Annotated[str, typer.Option("--format", help="png (class folders, as ImageFolder reads) or npz (exact).")] = "png",
    data_root: DataRoot = None,
) -> None:
    """Write a set in a form that other programs read."""
    with _exit_codes("Interrupted."):
        from raydistill.data_root import as_data_root
        from raydistill.set_export import export_set

        exported = export_set(set_file, out, form, data_root=as_data_root(data_root))
        typer.echo(f"Written {exported.path}: {exported.note}")


@app.command()
def tables(
    studies: Annotated[list[str], typer.Argument(metavar="STUDY...", help="Folders <store>/<study>, or names in --store.")],
    store: StoreOption = "studies",
    suffix: Annotated[str, typer.Option("--format", help="Of what is printed: md, csv or tex.")] = "md",
) -> None:
    """Write each study's tables below its folder; print one study's, or the comparison of several."""
    with _exit_codes("Interrupted."):
        from raydistill.methods import method_configs
        from raydistill.report.tables import FORMATS, ipc_frame, read_study, render, study_frame, trial_frame, write_tables
        from raydistill.spaces import find_study

        if suffix not in FORMATS:
            raise typer.BadParameter(f"{suffix!r}; allowed: {', '.join(FORMATS)}", param_hint="--format")
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
    suffix: Annotated[str, typer.Option("--format", help="Of what is printed: md, csv or tex.")] = "md",
) -> None:
    """Compare methods at one IPC, in pairs with the random real images that each draw starts from."""
    with _exit_codes(f"Interrupted. What is done is saved; this continues:\n  {_this_command()}"):
        import raydistill
        from raydistill.report.progress import watch
        from raydistill.report.summary import end_of_comparison
        from raydistill.spaces import InputError

        if (split == "test") != (reason is not None) or split not in ("select", "test"):
            raise InputError(f"split {split!r} with reason {reason!r}; allowed: select without one, test with one")
        with watch() as watcher:
            comparison = raydistill.compare(
                space,
                methods=_listed(methods),
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
        typer.echo(end_of_comparison(comparison, suffix), nl=False)


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
    with _exit_codes(f"Interrupted. What is done is saved; this continues:\n  {_this_command()}"):
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
    with _exit_codes("Interrupted. The certificate is as it was."):
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
    with _exit_codes(f"Interrupted. What is done is saved; this continues:\n  {_this_command()}"):
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
    table: Annotated[str | None, typer.Option(help="The report's tables: 1 to 7, joined by commas, or all.")] = None,
    reading: Annotated[str, typer.Option(help="as_run (its code) or as_specified (its text: K x T x zeta).")] = "as_run",
    scale: Annotated[str, typer.Option(help="small (two CPU cores) or full (the report's size, for a GPU).")] = "small",
    flops_only: Annotated[bool, typer.Option("--flops-only", help="Table 1's FLOPs alone; trains nothing.")] = False,
    ledger: Annotated[bool, typer.Option("--ledger", help="Published values beside those in the store; trains nothing.")] = False,
    threads: Annotated[int, typer.Option(min=1, help="Torch threads of a job.")] = 1,
    gpus: Annotated[float, typer.Option(min=0, help="Share of a GPU for a job; 0 computes on the CPU.")] = 0,
    store: StoreOption = "studies",
    data_root: DataRoot = None,
    local: Annotated[bool, typer.Option("--local", help="One by one in this process, without Ray.")] = False,
    address: Annotated[str | None, typer.Option(help="Of a running Ray cluster, e.g. auto.")] = None,
    suffix: Annotated[str, typer.Option("--format", help="Of what is printed: md, csv or tex.")] = "md",
) -> None:
    """Make the tables of the report again, beside its values; or list published values beside own ones."""
    with _exit_codes(f"Interrupted. What is done is saved; this continues:\n  {_this_command()}"):
        import raydistill
        from raydistill.report.progress import watch
        from raydistill.report.tables import FORMATS
        from raydistill.reproduce.tables import render_flops, render_results
        from raydistill.spaces import InputError

        if suffix not in FORMATS:
            raise typer.BadParameter(f"{suffix!r}; allowed: {', '.join(FORMATS)}", param_hint="--format")
        if [table is not None, flops_only, ledger].count(True) != 1:
            raise InputError("one of --table, --flops-only and --ledger is wanted: give --table 1 to 7, or another of them alone")
        if flops_only:
            typer.echo(render_flops(suffix), nl=False)
            return
        if ledger:
            from raydistill.reproduce.ledger import render_ledger
            from raydistill.store import Store

            typer.echo(render_ledger(Store(store), suffix), nl=False)
            return
        with watch() as watcher:
            results = raydistill.reproduce(
                table or "",
                reading=reading,  # type: ignore[arg-type]
                scale=scale,  # type: ignore[arg-type]
                threads=threads,
                gpus=gpus,
                store=store,
                data_root=data_root,
                local=local,
                address=address,
                watcher=watcher,
            )
        typer.echo(render_results(results, suffix), nl=False)


@bench_app.callback()
def bench(
    context: typer.Context,
    cases: Annotated[str, typer.Option(help="Cases, joined by commas; by default all.")] = "",
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    threads: Annotated[int, typer.Option(min=1, help="Torch threads.")] = 1,
    repetitions: Annotated[int, typer.Option(min=10, help="DataDAM iterations to time.")] = 30,
    evaluation_steps: Annotated[int, typer.Option(min=1, help="Recipe steps to time; scaled to the whole recipe.")] = 50,
    tune: Annotated[bool, typer.Option("--tune", help="What Ray Tune adds to a trial, instead of cases.")] = False,
    data_root: DataRoot = None,
    suffix: Annotated[str, typer.Option("--format", help="Of what is printed: md, csv or tex.")] = "md",
) -> None:
    """Time DataDAM's iteration and an evaluation network, with the split, and measure peak memory; or compare solvers."""
    if context.invoked_subcommand is not None:
        return
    with _exit_codes("Interrupted."):
        from raydistill.bench import run_bench
        from raydistill.data_root import as_data_root
        from raydistill.report.tables import render, timing_frame

        if tune:
            from raydistill.tune_cost import time_tune

            typer.echo(render(timing_frame([time_tune(data_root=as_data_root(data_root))]), suffix), nl=False)
            return
        names = _listed(cases)
        timings = run_bench(
            names,
            device=device,
            threads=threads,
            repetitions=repetitions,
            evaluation_steps=evaluation_steps,
            data_root=as_data_root(data_root),
        )
        typer.echo(render(timing_frame(timings), suffix), nl=False)


@experts_app.command("list")
def list_experts(
    store: StoreOption = "studies",
    suffix: Annotated[str, typer.Option("--format", help="Of what is printed: md, csv or tex.")] = "md",
) -> None:
    """Show the sets of a store: key, size, what they took, and the studies that use them."""
    with _exit_codes("Interrupted."):
        from raydistill.experts.sets import list_sets
        from raydistill.report.tables import expert_set_frame, render
        from raydistill.store import Store

        typer.echo(render(expert_set_frame(list_sets(Store(store))), suffix), nl=False)


@experts_app.command("build")
def build_experts(
    space: Space,
    store: StoreOption = "studies",
    data_root: DataRoot = None,
    local: Annotated[bool, typer.Option("--local", help="One by one in this process, without Ray.")] = False,
    address: Annotated[str | None, typer.Option(help="Of a running Ray cluster, e.g. auto.")] = None,
    overrides: Overrides = None,
) -> None:
    """Train the experts that a search of the space would read; damaged ones again, those that are there not."""
    with _exit_codes(f"Interrupted. What is done is saved; this continues:\n  {_this_command()}"):
        import raydistill
        from raydistill.report.progress import watch

        with watch() as watcher:
            keys = raydistill.build_experts(
                space,
                store=store,
                data_root=data_root,
                local=local,
                address=address,
                overrides=overrides or [],
                watcher=watcher,
            )
        typer.echo("\n".join(keys) or "the method of this space reads no experts")


@experts_app.command("prune")
def prune_experts(
    keys: Annotated[list[str] | None, typer.Argument(help="Sets; by default those that no study uses.")] = None,
    store: StoreOption = "studies",
) -> None:
    """Delete sets of experts."""
    with _exit_codes("Interrupted."):
        from raydistill.experts.sets import prune_sets
        from raydistill.store import Store

        typer.echo("\n".join(f"deleted {key}" for key in prune_sets(Store(store), keys or ())) or "nothing to delete")


@bench_app.command("unroll")
def bench_unroll(
    ipc: Annotated[str, typer.Option(help="Images per class, joined by commas.")] = "1,10,50",
    student_steps: Annotated[str, typer.Option(help="Lengths of the unrolled path, joined by commas.")] = "10,40",
    width: Annotated[int, typer.Option(min=1, help="Of the ConvNet-3.")] = 16,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    threads: Annotated[int, typer.Option(min=1, help="Torch threads.")] = 1,
    suffix: Annotated[str, typer.Option("--format", help="Of what is printed: md, csv or tex.")] = "md",
) -> None:
    """Time the three gradients of trajectory matching and measure their memory, on MNIST's size."""
    with _exit_codes("Interrupted."):
        from raydistill.report.tables import render, timing_frame
        from raydistill.unroll_cost import time_unrolling

        costs = time_unrolling(
            _whole(ipc, "--ipc"), _whole(student_steps, "--student-steps"), width=width, device=device, threads=threads
        )
        typer.echo(render(timing_frame(costs), suffix), nl=False)


@bench_app.command("solver")
def bench_solver(
    problems: Annotated[int, typer.Option(min=1, help="Made-up problems; the first so many are always the same.")] = 210,
    trials: Annotated[str, typer.Option(help="Budgets, joined by commas.")] = "12,24,48",
    workers: Annotated[int, typer.Option(min=1, max=64, help="Trials at once.")] = 1,
    strategies: Annotated[str, typer.Option(help="Joined by commas; by default all but the slow constrained-gp.")] = "",
    confirmations: Annotated[str, typer.Option(help="Orders of the confirmation: descending, ascending.")] = "descending",
    suffix: Annotated[str, typer.Option("--format", help="Of what is printed: md, csv or tex.")] = "md",
) -> None:
    """Compare ways to search on made-up problems with known truth; nothing is trained."""
    with _exit_codes("Interrupted."):
        from raydistill.report.tables import render, score_frame
        from raydistill.solver_bench import bench_solvers

        scores = bench_solvers(
            strategies=_listed(strategies),
            confirmations=_listed(confirmations),
            problems=problems,
            budgets=_listed(trials),
            workers=workers,
        )
        typer.echo(render(score_frame(scores), suffix), nl=False)


@app.command()
def spaces() -> None:
    """List the shipped search spaces."""
    with _exit_codes("Interrupted."):
        from raydistill.spaces import shipped_spaces

        for name, path in shipped_spaces().items():
            typer.echo(f"{name}\t{path}")


def _whole(text: str, option: str) -> list[int]:
    """Whole numbers from 1, joined by commas."""
    words = _listed(text)
    if not words or not all(word.isdecimal() and int(word) > 0 for word in words):
        raise typer.BadParameter(f"{text!r}; whole numbers from 1, joined by commas, are wanted: write 1,10", param_hint=option)
    return [int(word) for word in words]


def main() -> None:
    """The `raydistill` command."""
    app(prog_name="raydistill")


@contextmanager
def _exit_codes(interrupted: str) -> Iterator[None]:
    """Turn what a person can put right into one message and an exit code; let the unexpected through."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(interrupted, err=True)
        raise typer.Exit(130) from None
    except _loaded(BAD_INPUT) as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(2) from None
    except _loaded(FAILURE) as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from None


def _loaded(errors: Mapping[str, tuple[str, ...]]) -> tuple[type[Exception], ...]:
    """The classes of those modules that are imported; one that is not cannot have raised anything."""
    modules = [(sys.modules[module], names) for module, names in errors.items() if module in sys.modules]
    return tuple(getattr(module, name) for module, names in modules for name in names if hasattr(module, name))


def _listed(joined: str) -> list[str]:
    return [name.strip() for name in joined.split(",") if name.strip()]


def _this_command() -> str:
    return shlex.join(["raydistill", *sys.argv[1:]])
