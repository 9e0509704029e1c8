"""A network of hosts on one machine, out of Linux namespaces, for `ray up`. Run as a program it is what holds the network.

Each host has its own network, processes, shared memory, host name and root folder: an overlay over this machine's, so that what
is installed here is installed there, and nothing that happens there is left here. `laptop` is where a person sits; the others
have sshd, and let in the laptop's key. `<folder>/shared` is `/shared` on all, as NFS would be. No route leads out.

All hosts hang on one process, which ends when its standard input does: a test that is killed takes its hosts with it, and the
kernel then removes their networks and mounts. Needs root, and Debian's iproute2, util-linux, openssh-server and rsync.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

NETWORK = "10.77.0"
LAPTOP = "laptop"
ADDRESSES = {LAPTOP: f"{NETWORK}.9", "head": f"{NETWORK}.10", "w1": f"{NETWORK}.11", "w2": f"{NETWORK}.12"}
PROGRAMS = {
    "curl": "curl",
    "ip": "iproute2",
    "unshare": "util-linux",
    "sshd": "openssh-server",
    "ssh": "openssh-client",
    "rsync": "rsync",
}
"""Program to the Debian package that brings it."""
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
HOME = "/home/raydistill"
"""Of root on every host."""
HOST = Path(__file__).with_name("host.sh")


class CannotMakeHostsError(Exception):
    """This machine cannot make hosts out of namespaces; the text says what is missing."""


class World:
    """Hosts, from `with` to its end."""

    def __init__(self, folder: Path, visible: Sequence[Path], hosts: Sequence[str] = tuple(ADDRESSES)) -> None:
        """Prepare.

        Args:
            folder: for logs, the laptop's key and the shared folder; its path holds for this machine alone.
            visible: folders that every host sees even where they are mounts of their own.
            hosts: which to make.
        """
        self.folder = folder
        self.shared = folder / "shared"
        self._hosts = hosts
        self._visible = [path for path in visible if path.stat().st_dev != Path("/").stat().st_dev]
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> World:
        """Make the hosts, and wait until they answer.

        Raises:
            CannotMakeHostsError: root or a program is missing, or the kernel refuses.
        """
        refuse_without_means()
        self.shared.mkdir(parents=True)
        if not (self.folder / "id").exists():
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.folder / "id"], check=True)
        command = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        command += [sys.executable, __file__, str(self.folder), ",".join(self._hosts), *map(str, self._visible)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True)
        assert self._process.stdout
        said = self._process.stdout.readline()
        if said != "ready\n":
            rest = self._process.stdout.read()
            self.__exit__()
            logs = "".join(f"\n{path.name}:\n{path.read_text()}" for path in sorted(self.folder.glob("*.log")))
            raise CannotMakeHostsError(f"hosts out of namespaces cannot be made here: {said}{rest}{logs}")
        return self

    def __exit__(self, *_: object) -> None:
        """End every process of every host; the kernel removes the rest."""
        assert self._process
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(timeout=300)

    @property
    def process_id(self) -> int:
        """Of what all hosts hang on."""
        assert self._process
        return self._process.pid

    def run(self, host: str, command: str, *, timeout: float = 600, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a shell command on a host, in its home; its output and errors together.

        Raises:
            AssertionError: it did not end with 0; with what it said.
        """
        done = subprocess.run(
            self.command(host, command, environment), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout
        )
        assert done.returncode == 0, f"{host}: {command} ended with {done.returncode}:\n{done.stdout}"
        return done

    def command(self, host: str, command: str, environment: Mapping[str, str]) -> list[str]:
        """The same as words for `subprocess`."""
        variables = {"HOME": HOME, "PATH": PATH, "LANG": "C.UTF-8", **environment}
        words = [f"{name}={value}" for name, value in variables.items()]
        enter = ["nsenter", f"--target={self._init(host)}", "--mount", "--net", "--pid", "--uts", "--ipc", "--root", "--wd"]
        return [*enter, "env", "-i", *words, "bash", "-c", f"cd; {command}"]

    def _init(self, host: str) -> int:
        """The first process of a host, by the number that it has on this machine."""
        (holder,) = children(self.process_id)
        for process in children(holder):
            if f"\0{host}\0" in Path(f"/proc/{process}/cmdline").read_text():
                (init,) = children(process)
                return init
        raise AssertionError(f"no host {host}: {self._hosts}")


def children(process: int) -> list[int]:
    """Ids of a process's children."""
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def refuse_without_means() -> None:
    """Say all that is missing.

    Raises:
        CannotMakeHostsError: something is.
    """
    missing = sorted({package for program, package in PROGRAMS.items() if not shutil.which(program, path=PATH)})
    wanted = [] if os.geteuid() == 0 else ["root, to make namespaces: run it with sudo"]
    wanted += [f"the packages {' '.join(missing)}: apt-get install {' '.join(missing)}"] if missing else []
    if wanted:
        raise CannotMakeHostsError(f"hosts out of namespaces need {'; and '.join(wanted)}")


def hold(folder: Path, hosts: Sequence[str], visible: Sequence[str]) -> None:
    """Make a bridge and the hosts on it, say `ready`, and stay until the standard input ends. Runs in namespaces of its own."""
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", "bridge", "type", "bridge")
    run("ip", "link", "set", "bridge", "up")
    own_network = os.readlink("/proc/self/ns/net")
    started: dict[str, subprocess.Popen[bytes]] = {}
    for host in hosts:
        unshare = ["unshare", "--net", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child"]
        arguments = [host, ADDRESSES[host], HOME, str(folder), *visible]
        with (folder / f"{host}.log").open("w") as log:
            process = subprocess.Popen(
                [*unshare, "bash", str(HOST), *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        started[host] = process
        wait_until(lambda number=process.pid: os.readlink(f"/proc/{number}/ns/net") != own_network, f"{host} has no network")
        end = f"to-{host}"
        run("ip", "link", "add", end, "type", "veth", "peer", "name", "eth0", "netns", str(process.pid))
        run("ip", "link", "set", end, "master", "bridge", "up")
    for host, process in started.items():
        wait_until(lambda of=process: is_up(of), f"{host} is not up")
    print("ready", flush=True)
    sys.stdin.read()


def is_up(process: subprocess.Popen[bytes]) -> bool:
    """Whether the first process of a host has gone to the host's own root, which it does last; before, that is this machine's.

    Raises:
        ChildProcessError: it has ended; its log says why.
    """
    if process.poll() is not None:
        raise ChildProcessError(f"a host ended with {process.returncode} before it was up")
    return any(os.readlink(f"/proc/{init}/root") != "/" for init in children(process.pid))


def run(*words: str) -> None:
    """Run a program; it must end with 0."""
    subprocess.run(words, check=True, env={"PATH": PATH})


def wait_until(condition, complaint: str, seconds: float = 300) -> None:
    """Look until something is so.

    Raises:
        TimeoutError: it never was.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{complaint} after {seconds:g} s")
        time.sleep(0.02)


if __name__ == "__main__":
    hold(Path(sys.argv[1]), sys.argv[2].split(","), sys.argv[3:])
