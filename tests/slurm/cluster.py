"""A real Slurm on this machine, without systemd or root: munge, a controller and two node daemons on the loopback.

Everything lives in one folder; ports are free ones. The first node pretends to have a GPU. There is no accounting
database, so the Slurm plugin must be told to ask squeue. Facts behind the settings: memory limits are kept by sampling
(``jobacct_gather/linux`` with OverMemoryKill; the state is then FAILED), because control groups need root; a generic
resource that only has a count, without a file, drains its node; the job-step plugin of Snakemake drops all variables
that begin with SLURM, so that a wrapper of srun must set SLURM_CONF again.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "scancel")
PACKAGES = "slurmctld slurmd slurm-client munge"
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
CONFIG = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser={user}
SlurmdUser={user}
MailProg=/bin/true
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/completed.log
MpiDefault=none
SwitchType=switch/none
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
ReturnToService=2
MinJobAge=3600
KillWait=5
CompleteWait=0
GresTypes=gpu
DefMemPerCPU=500
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={first} CPUs={cpus} RealMemory={memory} Gres=gpu:1 State=UNKNOWN
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={second} CPUs={cpus} RealMemory={memory} State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=1-00:00:00 DefaultTime=00:10:00 State=UP
"""


def missing() -> list[str]:
    """Programs of Slurm that are not installed."""
    return [name for name in PROGRAMS if not shutil.which(name, path=PATH)]


def wait(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait until ``condition`` holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"after {seconds:g} s: not {what}"
        time.sleep(0.2)


class Cluster:
    """The cluster in ``folder``, whose path must be short (sockets); ``cpus`` and ``memory`` (MB) of each node."""

    def __init__(self, folder: Path, cpus: int = 4, memory: int = 8000) -> None:
        self.folder = folder
        host = socket.gethostname().split(".")[0]
        controller, first, second = _free_ports(3)
        user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
        values = {"host": host, "controller": controller, "first": first, "second": second, "user": user}
        for name in ("state", "spool-n1", "spool-n2", "bin"):
            (folder / name).mkdir(parents=True)
        folder.chmod(0o755)  # munged wants it
        self._conf = folder / "slurm.conf"
        self._conf.write_text(CONFIG.format(folder=folder, cpus=cpus, memory=memory, **values))
        (folder / "gres.conf").write_text("AutoDetect=off\nNodeName=n1 Name=gpu File=/dev/null\n")
        srun = folder / "bin" / "srun"
        srun.write_text(f'#!/bin/sh\nSLURM_CONF={self._conf} exec {shutil.which("srun", path=PATH)} "$@"\n')
        srun.chmod(0o755)
        key = folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o600)

    def environment(self) -> dict[str, str]:
        """Variables that clients of this cluster need."""
        return {"SLURM_CONF": str(self._conf), "PATH": f"{self.folder}/bin:{PATH}"}

    def run(self, *command: str) -> str:
        """Run a client, or a daemon, to its end."""
        environment = os.environ | self.environment()
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}{self._logs()}"
        return done.stdout

    def start(self) -> None:
        files = [f"--{name}={self.folder}/munge.{name.split('-')[0]}" for name in ("key-file", "socket")]
        files += [f"--pid-file={self.folder}/munged.pid", f"--log-file={self.folder}/munged.log"]
        self.run("munged", "--force", *files, f"--seed-file={self.folder}/munged.seed", "--num-threads=2")
        self.run("slurmctld", "-c", "-f", str(self._conf))
        for node in ("n1", "n2"):
            self.start_node(node)
        wait(
            lambda: self.run("sinfo", "-h", "-N", "-t", "idle", "-o", "%N").split() == ["n1", "n2"], 60, "two nodes up"
        )

    def start_node(self, node: str) -> None:
        self.run("slurmd", "-N", node, "-f", str(self._conf))

    def kill_node(self, node: str) -> None:
        """Let a node die: its daemon and what runs on it."""
        pid = self._pid(f"slurmd-{node}")
        assert pid is not None
        _kill(pid)
        for process in self._processes(node):
            _kill(process)

    def stop(self) -> None:
        """Cancel all jobs and stop all daemons."""
        if self._pid("slurmctld") is not None:
            self.run("scancel", "--quiet", "--full", "--user", str(os.getuid()))
            time.sleep(1)
        for name in ("slurmd-n1", "slurmd-n2", "slurmctld", "munged"):
            pid = self._pid(name)
            if pid is not None:
                os.kill(pid, signal.SIGTERM)
                end = time.monotonic() + 10
                while self._pid(name) is not None and time.monotonic() < end:
                    time.sleep(0.1)
                if self._pid(name) is not None:
                    _kill(pid)

    def jobs(self) -> list[dict[str, str]]:
        """All jobs, also finished ones, with the fields of ``scontrol show job``."""
        lines = self.run("scontrol", "show", "job", "--oneliner").splitlines()
        return [dict(re.findall(r"(\w[\w:/]*)=(\S*)", line)) for line in lines if line.startswith("JobId=")]

    def jobs_of(self, rule: str, tree: Path | None = None) -> list[dict[str, str]]:
        """Jobs of a rule, whose name the plugin puts into the comment; ``tree``: of Snakemake in this folder."""
        jobs = [job for job in self.jobs() if re.match(rf"rule_{rule}(_|$)", job.get("Comment", ""))]
        return [job for job in jobs if tree is None or Path(job["WorkDir"]) == tree]

    def _pid(self, name: str) -> int | None:
        """Process id of a daemon that lives; a zombie does not."""
        try:
            pid = int((self.folder / f"{name}.pid").read_text())
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
        except (OSError, ValueError):
            return None
        return pid if state != "Z" else None

    def _processes(self, node: str) -> list[int]:
        """Processes of jobs on a node, and the daemons of their steps, which are the parents."""
        found = set()
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                variables = (folder / "environ").read_bytes().split(b"\0")
                parent = int((folder / "stat").read_text().rpartition(") ")[2].split()[1])
                above = Path(f"/proc/{parent}/cmdline").read_bytes()
            except OSError:
                continue
            if {f"SLURM_CONF={self._conf}".encode(), f"SLURMD_NODENAME={node}".encode()} <= set(variables):
                found.add(int(folder.name))
                if above.startswith(b"slurmstepd"):
                    found.add(parent)
        return sorted(found)

    def _logs(self) -> str:
        logs = sorted(self.folder.glob("*.log"))
        return "".join(f"\n== {log.name}\n" + "".join(log.read_text().splitlines(True)[-8:]) for log in logs)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
