"""The programs that align: fast_align with atools (ours, or any with their command line), and eflomal."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

from weam.config_data import Align
from weam.errors import UserError
from weam.io import no_room

Outputs = dict[str, Path]
"""Files of Pharaoh links, one line per line of the corpus: forward, reverse, symmetrised."""
DIRECTIONS = ("forward", "reverse")
HUGE_PAGES = "glibc.malloc.hugetlb=1"
"""Tables of word pairs outgrow what the processor knows of small pages; glibc before 2.35 and others ignore it."""


def find_aligner(settings: Align, tools: Path, threads: int) -> Callable[[Path, Path], Outputs]:
    """The aligner of the settings: a function of the corpus (``source ||| target`` lines) and a folder for its files.

    Raises:
        UserError: a program or package is missing.
    """
    if settings.method == "eflomal":
        try:
            from eflomal import Aligner
        except ImportError:
            raise UserError(
                "align.method eflomal needs the package of that name; install it (pip install eflomal, it needs a C "
                "compiler), or use fast_align"
            ) from None
        return partial(eflomal, settings, find_tool(tools, "atools"), Aligner)
    return partial(fast_align, settings, find_tool(tools, "fast_align"), find_tool(tools, "atools"), threads)


def fast_align(settings: Align, program: Path, atools: Path, threads: int, corpus: Path, work: Path) -> Outputs:
    """Run fast_align: ours once for everything, others once per direction."""
    outputs = _outputs(settings, work)
    options = fast_align_options(settings, corpus)
    if is_ours(program):
        both = ["--both", str(work / "links"), "--symmetrise", settings.heuristic, "--threads", str(threads)]
        call([str(program), *options, *both], work / "stdout", "both directions")
        return outputs
    for direction, reverse in zip(DIRECTIONS, ([], ["-r"]), strict=True):
        call([str(program), *options, *reverse], outputs[direction], f"the {direction} direction")
    _symmetrise(settings, atools, outputs)
    return outputs


def find_our_fast_align(tools: Path) -> Path:
    """Our own program, the only one with saved models of both directions."""
    program = find_tool(tools, "fast_align")
    if not is_ours(program):
        raise UserError(
            f"{program}: align.train_pairs needs WEAM's own fast_align; leave align.source and align.binary_dir empty"
        )
    return program


def apply_model(settings: Align, program: Path, model: Path, threads: int, corpus: Path, work: Path) -> Outputs:
    """Align with a saved model of our fast_align."""
    options = ["-i", str(corpus), "--apply", str(model), "--both", str(work / "links")]
    options += ["--symmetrise", settings.heuristic, "--threads", str(threads)]
    call([str(program), *options], work / "stdout", "aligning with the model")
    return _outputs(settings, work)


def eflomal(settings: Align, atools: Path, aligner: type, corpus: Path, work: Path) -> Outputs:
    """Run eflomal (Östling and Tiedemann 2016) with its own defaults; it draws its seed from the system."""
    outputs = _outputs(settings, work)
    with corpus.open(encoding="utf-8") as first, corpus.open(encoding="utf-8") as second:
        sources = (line.split(" ||| ")[0] + "\n" for line in first)
        targets = (line.split(" ||| ")[1] for line in second)
        try:
            aligner().align(sources, targets, str(outputs["forward"]), str(outputs["reverse"]))
        except subprocess.CalledProcessError as error:
            raise UserError(f"eflomal: ended with status {error.returncode}; does it have enough memory?") from None
    _symmetrise(settings, atools, outputs)
    return outputs


def _outputs(settings: Align, work: Path) -> Outputs:
    names = {"forward": "forward", "reverse": "reverse", "symmetrised": settings.heuristic}
    return {direction: work / f"links.{name}" for direction, name in names.items()}


def _symmetrise(settings: Align, atools: Path, outputs: Outputs) -> None:
    forward, reverse = (str(outputs[direction]) for direction in DIRECTIONS)
    command = [str(atools), "-i", forward, "-j", reverse, "-c", settings.heuristic]
    call(command, outputs["symmetrised"], "the symmetrisation")


def find_tool(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.is_file():
        raise UserError(f"--tools {folder}: has no program {name}; run the build_fast_align stage or give its folder")
    if not os.access(path, os.X_OK):  # an object storage keeps no modes
        with contextlib.suppress(OSError):
            path.chmod(path.stat().st_mode | 0o111)
    return path.resolve()


def is_ours(fast_align: Path) -> bool:
    """Whether the program has the options of WEAM's own; others know the classic ones only."""
    try:
        command = [str(fast_align), "--version"]
        shown = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return False  # the alignment itself will say what is wrong
    return shown.returncode == 0 and shown.stdout.startswith(b"fast_align (WEAM)")


def fast_align_options(settings: Align, corpus: Path) -> list[str]:
    """Short options only: the long ones of the original program do not work."""
    options = ["-i", str(corpus), "-I", str(settings.iterations), "-q", repr(settings.null_probability)]
    switches = {
        "-d": settings.favor_diagonal,
        "-o": settings.optimize_tension,
        "-v": settings.variational_bayes,
    }
    return options + [switch for switch, on in switches.items() if on]


def _environment() -> dict[str, str]:
    """Ours with huge pages for the memory of a program, unless a user has decided about them."""
    set_by_user = os.environ.get("GLIBC_TUNABLES", "")
    if "glibc.malloc.hugetlb" in set_by_user:
        return dict(os.environ)
    return os.environ | {"GLIBC_TUNABLES": ":".join(filter(None, (set_by_user, HUGE_PAGES)))}


def call(command: list[str], out: Path, what: str) -> None:
    """Run a program with its output in ``out`` and its messages on our stderr."""
    try:
        with out.open("wb") as stream:
            run = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=stream, env=_environment(), check=False)
            status = run.returncode
    except OSError as error:
        raise UserError(
            f"{command[0]}: cannot be run ({error.strerror}); delete it and run the build_fast_align stage again"
        ) from None
    if status < 0:
        raise UserError(f"{command[0]}: was killed by signal {-status} in {what}; does it have enough memory?")
    if status > 0:
        if full := no_room(out):
            raise full
        raise UserError(f"{command[0]}: ended with status {status} in {what}; its own message stands above")
