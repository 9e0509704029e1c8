"""The command that writes out the files of clusters."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from raydistill.cli.common import example, exit_codes

app = typer.Typer()
NEXT = """
Next, in {folder}:
  AWS              fill in cluster.yaml, then  ray up --yes cluster.yaml
  own machines     fill in cluster-local.yaml, then  ray up --yes cluster-local.yaml
  SLURM            sbatch clusters/slurm.sh digits_datadam --store /shared/studies
  an image         docker build --file clusters/Dockerfile --tag raydistill:{version} .
  Kubernetes       fill in clusters/kuberay.yaml, then  kubectl apply --filename clusters/kuberay.yaml"""


@app.command(name="cluster-files", epilog=example("cluster-files my-cluster"))
def cluster_files(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write into; made if it is not there.")],
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that are there with other content.")] = False,
) -> None:
    """Write the files that start a cluster (AWS, own machines, SLURM, Docker, Kubernetes), with what its nodes install."""
    with exit_codes("Interrupted. Run it again to write the rest."):
        import raydistill
        from raydistill.search.cluster_files import FILES, write_cluster_files

        done = write_cluster_files(folder, force=force)
        told = [name for name in done.written if name.split("/")[0] in FILES]
        rest = len(done.written) - len(told)
        typer.echo("\n".join(f"Written {folder / name}" for name in told))
        typer.echo(f"Written {rest} files of the package, which nodes install; {len(done.alike)} files were there already")
        typer.echo(NEXT.format(folder=folder, version=raydistill.__version__))
