"""A SLURM cluster of one node on this machine: munged, slurmctld and slurmd with files and ports of their own.

Needs Debian's `slurm-wlm` and `munge` and root. Nothing outside of its folder is written, nothing is left running.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from swapaqa.running.orphans import end_with_parent

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "scancel", "sinfo")
CONFIGURATION = """
ClusterName=proof
SlurmctldHost=localhost(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
SlurmctldPort={controller}
SlurmdPort={node}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SwitchType=switch/none
MpiDefault=none
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=2,batch_sched_delay=0
ReturnToService=2
NodeName=localhost NodeAddr=127.0.0.1 NodeHostname={host} CPUs={cpus} State=UNKNOWN
PartitionName=proof Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""  # cred_expire: a requeued job waits for as long, two minutes otherwise


@dataclass
class Cluster:
    """A running cluster: what its commands need in the environment, and their answers."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        return {"SLURM_CONF": f"{self.folder}/slurm.conf"}

    def ask(self, *command: str) -> str:
        """What a SLURM command prints."""
        environment = os.environ | self.environment
        answer = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        return answer.stdout.strip()

    def job_of(self, element: int) -> str:
        """The name of an element of the array that is queued or runs, `12_1`."""
        names = self.ask("squeue", "-h", "-r", "-o", "%i").split()
        return next(name for name in names if name.endswith(f"_{element}"))

    def wait_for(self, what: str, ready: Callable[[], bool], seconds: float = 60) -> None:
        """Wait until `ready()`; past `seconds` fail with the ends of the daemons' logs."""
        end = time.monotonic() + seconds
        while not ready():
            if time.monotonic() > end:
                logs = sorted(self.folder.glob("*.out"))
                tails = [f"{log.name}:\n{log.read_text(errors='replace')[-2000:]}" for log in logs]
                raise TimeoutError("\n".join([f"waited {seconds:.0f} s for {what}", *tails]))
            time.sleep(0.2)

    def end_jobs(self) -> None:
        """Kill what runs, cancel what is queued, and wait until all is gone: a job's steps outlive the daemons."""
        self.ask("scancel", "--signal=KILL", "--full", "--user=root")
        self.ask("scancel", "--user=root")
        self.wait_for("the end of all jobs", lambda: not self.ask("squeue", "-h"))


@pytest.fixture(scope="session")
def slurm() -> Iterator[Cluster]:
    """A cluster of one node with eight pretended processors."""
    reason = missing()
    if reason:
        pytest.skip(reason)
    pytest.importorskip("submitit", reason="not installed: the extra `slurm` (pip install swapaqa[slurm])")
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="not installed: the extra `slurm`")
    with running(cpus=8) as cluster:
        yield cluster


def missing() -> str | None:
    """Why there can be no cluster here; None if there can."""
    absent = [program for program in PROGRAMS if shutil.which(program) is None]
    if absent:
        return f"not installed: {', '.join(absent)} (Debian's packages slurm-wlm and munge)"
    return None if os.geteuid() == 0 else "slurmctld and slurmd were tried as root only"


@contextmanager
def running(cpus: int) -> Iterator[Cluster]:
    """Bring a cluster up; end its jobs and its daemons, and remove its folder."""
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))  # short: the path of a socket has at most 107 characters
    cluster = Cluster(folder)
    try:
        write_configuration(folder, cpus)
        with ExitStack() as stack:
            stack.enter_context(daemon(folder, *munged(folder)))
            cluster.wait_for("munged", (folder / "munge.socket").is_socket)
            stack.enter_context(daemon(folder, "slurmctld", "-D", "-c", "-f", f"{folder}/slurm.conf"))
            stack.enter_context(daemon(folder, "slurmd", "-D", "-N", "localhost", "-f", f"{folder}/slurm.conf"))
            cluster.wait_for("the node", lambda: cluster.ask("sinfo", "-h", "-o", "%T") == "idle")
            stack.callback(cluster.end_jobs)
            yield cluster
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_configuration(folder: Path, cpus: int) -> None:
    (folder / "state").mkdir()
    (folder / "spool").mkdir()
    folder.chmod(0o755)
    key = folder / "munge.key"
    key.touch(0o600)
    key.write_bytes(os.urandom(128))
    host = socket.gethostname().partition(".")[0]
    controller, node = free_ports()
    text = CONFIGURATION.format(folder=folder, controller=controller, node=node, host=host, cpus=cpus)
    (folder / "slurm.conf").write_text(text)


def munged(folder: Path) -> list[str]:
    names = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
    files = [f"--{option}={folder}/munge.{name}" for option, name in names.items()]
    return ["munged", "--foreground", "--force", "--num-threads=2", *files]


def free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


@contextmanager
def daemon(folder: Path, *command: str) -> Iterator[None]:
    """Run a program in the background, its output in `<folder>/<program>.out`, and end it."""
    with open(folder / f"{command[0]}.out", "wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, preexec_fn=end_with_parent)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
