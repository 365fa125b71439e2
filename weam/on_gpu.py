"""Run a command on GPUs of this machine that no other such command uses; wait for them if need be.

Snakemake counts GPUs, but does not say which one is free: on a machine with several, every job would take the first.
Here each GPU has a lock, a file in the temporary folder; the kernel frees it when the command ends, however it ends.
The command gets CUDA_VISIBLE_DEVICES and replaces this process, so signals and the exit status are its own. GPUs are
those of CUDA_VISIBLE_DEVICES, in any form that CUDA knows (numbers, GPU-… or MIG-… ids; runs that share a machine have
to name them in the same form), or, without it, all that nvidia-smi lists.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from weam.errors import UserError

INTERVAL = 0.5
"""Seconds between two looks for a free GPU."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("count", type=int, metavar="N", help="number of GPUs")
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND", help="the command and its arguments")


def run(args: argparse.Namespace) -> None:
    if not args.command:
        raise UserError("no command is given; put it after the number of GPUs")
    known = devices()
    if not 1 <= args.count <= len(known):
        raise UserError(
            f"{args.count} GPUs are asked for, and there are {len(known)} ({','.join(known)}); "
            f"ask for 1 to {len(known)}"
        )
    folder = Path(tempfile.gettempdir(), f"weam-gpus-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    taken = ",".join(take(known, args.count, folder))
    print(f"weam on_gpu: CUDA_VISIBLE_DEVICES={taken}", file=sys.stderr, flush=True)
    os.environ["CUDA_VISIBLE_DEVICES"] = taken
    try:
        os.execvp(args.command[0], args.command)
    except OSError as error:
        raise UserError(f"{shlex.join(args.command)} cannot be started ({error.strerror})") from None


def devices() -> list[str]:
    """Names of the GPUs that may be used, each once.

    Raises:
        UserError: CUDA_VISIBLE_DEVICES hides all, or it is not set and nvidia-smi finds none.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return _listed()
    names: list[str] = []
    for name in visible.split(","):
        name = name.strip()
        if name in ("", "-1", "NoDevFiles"):  # CUDA too reads no further
            break
        names.append(name)
    if not names:
        raise UserError(f"CUDA_VISIBLE_DEVICES is {visible!r}, which hides all GPUs; name those that jobs may use")
    return list(dict.fromkeys(names))


def _listed() -> list[str]:
    """Numbers of the GPUs that nvidia-smi lists, or, where it splits one into MIG instances, the ids of these."""
    hint = "set CUDA_VISIBLE_DEVICES to the GPUs that jobs may use, or ask for none"
    try:
        done = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True)
    except OSError as error:
        raise UserError(f"nvidia-smi, which lists the GPUs, cannot be started ({error.strerror}); {hint}") from None
    names: list[str] = []
    for gpu in re.split(r"^GPU (?=\d+:)", done.stdout, flags=re.MULTILINE)[1:]:
        names += re.findall(r"UUID: (MIG-[^)\s]+)", gpu) or [gpu.partition(":")[0]]
    if not names or done.returncode:
        raise UserError(f"nvidia-smi -L lists no GPU ({(done.stderr or done.stdout).strip()}); {hint}")
    return names


def take(known: Sequence[str], count: int, folder: Path) -> list[str]:
    """Lock ``count`` of the GPUs until this process, and what it turns into, has ended; their names.

    One process at a time gathers GPUs, the others wait for it: two that want two of three cannot block each other.
    """
    with open(folder / "gathering", "ab") as gathering:
        fcntl.flock(gathering, fcntl.LOCK_EX)
        taken: list[str] = []
        waits = False
        while True:
            for name in known:
                if len(taken) < count and name not in taken and _lock(folder / f"gpu-{quote(name, safe='')}"):
                    taken.append(name)
            if len(taken) == count:
                return sorted(taken, key=list(known).index)
            if not waits:
                print(f"weam on_gpu: waits, other jobs have the GPUs {','.join(known)}", file=sys.stderr, flush=True)
                waits = True
            time.sleep(INTERVAL)


def _lock(path: Path) -> bool:
    """Lock a file if nobody has; it stays open, also in the command."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return False
    os.set_inheritable(file, True)
    return True
