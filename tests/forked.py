"""Commands in processes of their own, forked from a server that has imported PyTorch: a start takes no seconds."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import kill_at

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["kill_at", "weam.pretrain", "transformers.models.bert.modeling_bert"])


def _run(folder: str, arguments: list[str]) -> None:
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(Path(folder, name), os.O_WRONLY | os.O_CREAT), number)
    sys.argv = ["kill_at.py", *arguments]
    sys.exit(kill_at.main())


def killed(point: str, count: int, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command with ``kill_at`` and wait for its end; what it says is as of a new interpreter."""
    with tempfile.TemporaryDirectory(prefix="weam-test-") as folder:
        process = SERVER.Process(target=_run, args=(folder, [point, str(count), *arguments]))
        process.start()
        process.join(300)
        assert process.exitcode is not None, "the command does not end"
        out, err = (Path(folder, name).read_text(encoding="utf-8") for name in ("stdout", "stderr"))
    return subprocess.CompletedProcess(arguments, process.exitcode, out, err)
