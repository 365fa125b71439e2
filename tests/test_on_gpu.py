"""Each command gets GPUs of its own: real processes and locks, made-up names of GPUs."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from weam.cli import main
from weam.errors import UserError
from weam.on_gpu import devices

SHOW = 'echo "$CUDA_VISIBLE_DEVICES" > "$0" && exec sleep 60'
LISTING = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-5c89852c-d268-c3f3-1b07-005d5ae1dc3f)
  MIG 3g.20gb     Device  0: (UUID: MIG-c7384736-a75d-5afc-978f-d2f1294409fd)
  MIG 1g.5gb      Device  1: (UUID: MIG-a28ad590-3fda-56dd-84fc-0a0b96edc58d)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-5c89852c-d268-c3f3-1b07-005d5ae1dc40)
GPU 10: NVIDIA H100 (UUID: GPU-5c89852c-d268-c3f3-1b07-005d5ae1dc41)
"""


class Jobs:
    """Processes that take GPUs and then sleep, each with a file that says which ones it got."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: dict[str, subprocess.Popen[str]] = {}

    def start(self, name: str, known: str, count: int = 1) -> None:
        environment = os.environ | {"TMPDIR": str(self.folder), "CUDA_VISIBLE_DEVICES": known}
        command = [sys.executable, "-m", "weam", "on_gpu", str(count), "sh", "-c", SHOW, str(self.folder / name)]
        self.processes[name] = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)

    def got(self, name: str) -> str:
        """The GPUs of a job; nothing as long as it waits."""
        path = self.folder / name
        return path.read_text().strip() if path.exists() else ""

    def wait(self, name: str) -> str:
        until(lambda: self.got(name) != "", f"{name} has its GPU")
        return self.got(name)

    def says(self, name: str) -> str:
        """The next line that a job writes to stderr."""
        stderr = self.processes[name].stderr
        assert stderr is not None
        return stderr.readline()

    def locked(self, gpu: str) -> bool:
        (path,) = self.folder.glob(f"weam-gpus-*/gpu-{gpu}")
        with path.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        self.processes[name].send_signal(number)
        self.processes[name].wait()


def until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, f"not within 30 s: {what}"
        time.sleep(0.02)


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    jobs = Jobs(tmp_path)
    yield jobs
    for process in jobs.processes.values():
        process.kill()
        with contextlib.suppress(BrokenPipeError):
            process.communicate()


def test_jobs_at_the_same_time_get_different_gpus(jobs: Jobs) -> None:
    known = ["2", "3", "GPU-8932f937-d72c", "MIG-GPU-8932f937-d72c/1/0"]
    for name in "abcd":
        jobs.start(name, ",".join(known))
    assert sorted(jobs.wait(name) for name in "abcd") == sorted(known)


def test_a_job_more_than_gpus_waits_for_one_that_is_killed(jobs: Jobs) -> None:
    for name in "ab":
        jobs.start(name, "0,1")
        jobs.wait(name)
    jobs.start("c", "0,1")
    assert jobs.says("c") == "weam on_gpu: waits, other jobs have the GPUs 0,1\n"
    assert jobs.got("c") == ""
    jobs.kill("b")
    assert jobs.wait("c") == "1"
    jobs.start("d", "0,1")
    jobs.kill("c", signal.SIGTERM)
    assert jobs.wait("d") == "1"
    assert jobs.processes["a"].poll() is None


def test_two_jobs_that_want_both_gpus_do_not_take_one_each(jobs: Jobs) -> None:
    """The worst case is played: whenever a GPU gets free, only one of the two is awake, in turns."""
    for name in "ab":
        jobs.start(name, "0,1")
        jobs.wait(name)
    jobs.start("c", "0,1", count=2)
    assert jobs.says("c").startswith("weam on_gpu: waits")
    jobs.start("d", "0,1", count=2)
    first, second = jobs.processes["c"], jobs.processes["d"]
    time.sleep(0.5)
    second.send_signal(signal.SIGSTOP)
    jobs.kill("a")
    until(lambda: jobs.locked("0"), "c has one")
    first.send_signal(signal.SIGSTOP)
    second.send_signal(signal.SIGCONT)
    jobs.kill("b")
    time.sleep(1)
    first.send_signal(signal.SIGCONT)
    assert jobs.wait("c") == "0,1"
    assert jobs.got("d") == ""
    jobs.kill("c")
    assert jobs.wait("d") == "0,1"


def test_a_killed_job_that_waited_stands_in_nobodys_way(jobs: Jobs) -> None:
    jobs.start("a", "0,1")
    jobs.wait("a")
    jobs.start("b", "0,1", count=2)
    assert jobs.says("b").startswith("weam on_gpu: waits")
    jobs.kill("b")
    jobs.start("c", "0,1")
    assert jobs.wait("c") == "1"


def test_the_command_keeps_its_exit_status(tmp_path: Path) -> None:
    environment = os.environ | {"TMPDIR": str(tmp_path), "CUDA_VISIBLE_DEVICES": "7"}
    command = [sys.executable, "-m", "weam", "on_gpu", "1", "sh", "-c", "exit 75"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (75, "", "weam on_gpu: CUDA_VISIBLE_DEVICES=7\n")


@pytest.mark.parametrize(
    ("visible", "names"),
    [("2,3", ["2", "3"]), (" 1, 0 ,1", ["1", "0"]), ("MIG-a,GPU-b", ["MIG-a", "GPU-b"]), ("3,-1,2", ["3"])],
)
def test_what_is_set_already_is_kept_to(monkeypatch: pytest.MonkeyPatch, visible: str, names: list[str]) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert devices() == names


@pytest.mark.parametrize("visible", ["", "-1", "NoDevFiles"])
def test_hidden_gpus_are_an_error(monkeypatch: pytest.MonkeyPatch, visible: str) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    with pytest.raises(UserError, match="hides all GPUs; name those that jobs may use"):
        devices()


def nvidia_smi(monkeypatch: pytest.MonkeyPatch, folder: Path, output: str, status: int = 0) -> None:
    """A program of that name is the only one, and CUDA_VISIBLE_DEVICES is not set."""
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n/bin/cat << 'END'\n{output}END\nexit {status}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_gpus_are_those_of_nvidia_smi(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As its manual shows them; of a GPU that is split only the instances can be used."""
    nvidia_smi(monkeypatch, tmp_path, LISTING)
    instances = ["MIG-c7384736-a75d-5afc-978f-d2f1294409fd", "MIG-a28ad590-3fda-56dd-84fc-0a0b96edc58d"]
    assert devices() == [*instances, "1", "10"]


def test_a_machine_without_gpus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    nvidia_smi(monkeypatch, tmp_path, "No devices were found\n", status=6)
    with pytest.raises(UserError, match=r"lists no GPU \(No devices were found\); set CUDA_VISIBLE_DEVICES"):
        devices()
    (tmp_path / "nvidia-smi").unlink()
    with pytest.raises(UserError, match=r"cannot be started \(No such file or directory\); set CUDA_VISIBLE_DEVICES"):
        devices()


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["3", "true"], "3 GPUs are asked for, and there are 2 (4,5); ask for 1 to 2"),
        (["0", "true"], "0 GPUs are asked for"),
        (["1"], "no command is given"),
        (["1", "weam-no-such-program"], "weam-no-such-program cannot be started (No such file or directory)"),
    ],
)
def test_faults_are_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], args: list[str], words: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert main(["on_gpu", *args]) == 1
    assert f"weam on_gpu: error: {words}" in capsys.readouterr().err
