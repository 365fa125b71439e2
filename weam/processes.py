"""One training process, or several that share the work (torchrun): gradients and sums are added up over all of them."""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist

from weam.errors import UserError

BUCKET = 1 << 25
"""Numbers that are sent in one message."""


@dataclass(frozen=True)
class Processes:
    """This process (``rank`` of ``world``) and its device."""

    device: torch.device
    rank: int = 0
    world: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files and speaks."""
        return self.rank == 0

    def add(self, values: torch.Tensor) -> torch.Tensor:
        """Sum over the processes."""
        if self.world > 1:
            dist.all_reduce(values)
        return values

    def barrier(self) -> None:
        """Wait for all processes."""
        if self.world > 1:
            dist.barrier()

    def from_first(self, value: Any) -> Any:
        """The value that the first process has."""
        if self.world == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values, src=0, device=self.device if self.device.type == "cuda" else None)
        return values[0]

    def copy_first(self, tensors: Sequence[torch.Tensor]) -> None:
        """Give all processes the values of the first one."""
        for tensor in tensors if self.world > 1 else ():
            dist.broadcast(tensor.data, src=0)

    def add_gradients(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        """Replace gradients by their sums; where there is none (of an empty part), it is 0."""
        bucket: list[torch.Tensor] = []
        for number, parameter in enumerate(parameters):
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            bucket.append(parameter.grad)
            last = number + 1 == len(parameters)
            if self.world > 1 and (last or sum(g.numel() for g in bucket) >= BUCKET):
                flat = self.add(torch.cat([g.reshape(-1) for g in bucket]))
                pieces = torch.split(flat, [g.numel() for g in bucket])
                for gradient, values in zip(bucket, pieces, strict=True):
                    gradient.copy_(values.view_as(gradient))
                bucket = []


def add_device_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--threads", type=_threads, default=1, help="CPU threads (part of what fixes the last bits)")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto", help="auto: a GPU if there is one")


def _threads(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1024:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 1024")
    return int(text)


def rank() -> int:
    """Number of this process among those that torchrun started."""
    return int(os.environ.get("RANK", "0"))


def set_device(device: str, threads: int) -> torch.device:
    """Set threads and device (``auto``, ``cpu`` or ``cuda``) of a process that is alone."""
    torch.set_num_threads(threads)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: PyTorch finds no GPU; use --device cpu or install a CUDA build of torch")
    return torch.device(device)


@contextlib.contextmanager
def processes(device: str, threads: int) -> Iterator[Processes]:
    """Set threads and device; join the other processes where torchrun started several.

    Raises:
        UserError: a GPU is asked for and there is none, or fewer than processes.
    """
    device = set_device(device, threads).type
    world = int(os.environ.get("WORLD_SIZE", "1"))
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if device == "cuda" and local >= torch.cuda.device_count():
        raise UserError(
            f"process {local + 1} of this machine finds {torch.cuda.device_count()} GPUs; "
            "start torchrun with --nproc-per-node of at most that"
        )
    where = torch.device(device, local) if device == "cuda" else torch.device(device)
    if device == "cuda":
        torch.cuda.set_device(where)
    if world == 1:
        yield Processes(where)
        return
    dist.init_process_group("nccl" if device == "cuda" else "gloo", device_id=where if device == "cuda" else None)
    yield Processes(where, rank(), world)
    dist.barrier()  # not after an exception: the others may be waiting for something else, and torchrun stops them
    dist.destroy_process_group()
