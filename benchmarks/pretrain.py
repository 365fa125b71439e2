"""Our pre-training loop beside a plain Hugging Face loop: pairs per second, at mBERT's size with random weights.

    python benchmarks/pretrain.py                     # CPU, fp32, about ten minutes; --quick: two
    python benchmarks/pretrain.py --precision bf16 --batch-size 128          # on a GPU if there is one
    python benchmarks/pretrain.py --sweep --precision bf16                   # batches of 32 to 1024, torch.compile

Ours is ``weam.train.train``, timed by its own speed file. The peer is what transformers offers: a shuffled DataLoader
that pads to the longest, the exchange as a product with a matrix per pair, and the output layer at all positions. Both
take the same pairs after the warm-up, each in batches of its own. First, in fp32 and without dropout, both must come to
the same losses on the same batches. Utilisation counts what real tokens and predicted rows need, for both alike.

The pairs are real if --data has them (benchmarks/loader.py says how they are made), else drawn. Each measurement is a
process of its own. Where weam is not installed, set PYTHONPATH to the repository.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from loader import MAX_LENGTH, VOCABULARY, machine, prepare, resident
from torch.nn import functional
from torch.utils.data import DataLoader
from transformers import BertConfig, BertForMaskedLM, get_linear_schedule_with_warmup

from weam.batches import MASKS, Ints, Mixture, Rows, rng
from weam.config import Masking
from weam.corpus import Shards
from weam.flops import measured_peak
from weam.io import read_object
from weam.objectives import MaskedPrediction, model_inputs
from weam.pretrain import SETTINGS
from weam.processes import Processes, processes
from weam.subwords import Template
from weam.train import Run, compile_encoder, division, train

SIZES: dict[str, dict[str, int]] = {
    "mbert": {},  # BertConfig's own
    "small": {"num_hidden_layers": 2, "hidden_size": 128, "num_attention_heads": 2, "intermediate_size": 512},
}
SEED = 1
TOLERANCE = 1e-4
MEMORY_GB, GOAL = 40, 0.4
"""--sweep says whether this utilisation is reached in this memory."""
Examples = list[dict[str, Ints]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="three steps")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--objective", choices=["weam", "tlm"], default="weam")
    parser.add_argument("--compile", action="store_true", help="torch.compile the encoder, on both sides")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--steps", type=int, help="steps that are timed (CPU 20; GPU 200, with --sweep 40)")
    parser.add_argument("--max-length", type=int, default=MAX_LENGTH)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--size", choices=SIZES, default="mbert")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("WEAM_SHARED_DATA", "../shared/data")))
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "weam-benchmark-pretrain")
    parser.add_argument("--sweep", nargs="*", type=int, metavar="N", help="try batches of so many pairs (32 to 1024)")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.case:
        with processes(args.device, args.threads) as group:
            run_case(json.loads(args.case), group)
        return
    gpu = args.device != "cpu" and torch.cuda.is_available()
    steps = args.steps or (3 if args.quick else 20 if not gpu else 40 if args.sweep is not None else 200)
    manifest = prepare(args.data, args.work, args.max_length)
    case: dict[str, Any] = {"manifest": str(manifest), "size": args.size, "precision": args.precision, "steps": steps}
    case |= {"objective": args.objective, "compile": args.compile, "sizes": [8]}
    case["warm"] = 20 if gpu else 10 if args.compile or args.sweep is not None else 1  # train() logs the 1st and 10th

    def measure(side: str, **changes: Any) -> list[dict[str, Any]]:
        asked = case | {"side": side} | changes
        command = [sys.executable, __file__, "--device", args.device, "--threads", str(args.threads)]
        found = []
        with subprocess.Popen([*command, "--case", json.dumps(asked)], stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            for line in filter(lambda line: line.startswith("{"), child.stdout):
                found.append(json.loads(line))
                print(row(found[-1]), flush=True)
        if child.returncode:
            sys.exit("a measurement failed; its message stands above")
        return found

    (check,) = measure("check")
    if check["loss_difference"] > TOLERANCE:
        sys.exit(f"the two loops do not compute the same losses (to {TOLERANCE}); no times are taken")
    case["peak"] = check["peak_tflops"] * 1e12
    print("| objective | side | compiled | pairs a batch | pairs/s | tokens/s | utilisation | padding | memory, GB |")
    print("|---|---|---|---:|---:|---:|---:|---:|---:|")
    if args.sweep is None:
        case["sizes"] = [args.batch_size]
        results = measure("ours") + measure("peer")
    else:
        case["sizes"] = sorted(args.sweep) or [32, 64, 128, 256, 512, 1024]
        results = []
        for name in ("weam", "tlm"):
            for compiled in (False, True):
                results += measure("ours", objective=name, compile=compiled)
        for name in ("weam", "tlm"):
            print(verdict([r for r in results if r["objective"] == name], name))
        results += measure("peer")
    rates = {
        side: max(
            (r["pairs_per_s"] for r in results if (r["side"], r["objective"]) == (side, args.objective)), default=0
        )
        for side in ("ours", "peer")
    }
    summary: dict[str, Any] = {"benchmark": "pretrain"} | rates
    summary |= {"ratio": round(rates["ours"] / rates["peer"], 2) if rates["peer"] else None, "unit": "pairs/s"}
    summary |= {"machine": machine(args.threads), "device": "cuda" if gpu else "cpu"} | check
    summary |= {key: case[key] for key in ("precision", "objective", "size", "steps")}
    print(json.dumps(summary | {"data": read_object(manifest.with_name("about.json")), "results": results}))


def row(result: dict[str, Any]) -> str:
    """A result for the reader."""
    if "loss_difference" in result:
        return (
            f"the same batches: losses differ by {result['loss_difference']:.1e} at most, gradients of a parameter by "
            f"{result['gradient_difference']:.1e} of their norm; matrix products: {result['peak_tflops']:.4g} TFLOP/s"
        )
    cells = [result["objective"], result["side"], "yes" if result["compile"] else "no", str(result["batch_size"])]
    cells += [f"{result['pairs_per_s']:,.2f}", f"{result['tokens_per_s']:,.0f}", f"{result['utilisation']:.1%}"]
    cells += [f"{result['padding']:.1%}", f"{result['memory_gb']:.2f}"]
    return f"| {' | '.join(cells)} |"


def verdict(results: list[dict[str, Any]], name: str) -> str:
    """Whether the goal is reached."""
    best = max((r for r in results if r["memory_gb"] <= MEMORY_GB), key=lambda r: r["utilisation"], default=None)
    if best is None:
        return f"{name}: nothing fits into {MEMORY_GB} GB"
    said = (
        f"{name}: {GOAL:.0%} of the measured peak in {MEMORY_GB} GB: {'yes' if best['utilisation'] >= GOAL else 'no'}"
    )
    how = f"{best['batch_size']} pairs a batch{', compiled' * best['compile']}, {best['memory_gb']} GB"
    return f"{said}, {best['utilisation']:.1%} ({how})"


def run_case(case: dict[str, Any], group: Processes) -> None:
    """Measure in this process; one line of JSON for each size of batches."""
    shards = Shards(case["manifest"], "drawn", "pairs", columns=("link_source", "link_target"))
    torch.manual_seed(SEED)
    dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0} if case["side"] == "check" else {}
    shape = SIZES[case["size"]] | {"vocab_size": VOCABULARY, "pad_token_id": shards.template.pad}
    with group.device:
        model = BertForMaskedLM(BertConfig(**shape, **dropout))
    if case["side"] == "check":
        peak = max(measured_peak(group.device, case["precision"]) for _ in range(3))
        print(json.dumps(check(case, model, shards, group) | {"peak_tflops": round(peak / 1e12, 4)}))
        return
    if case["compile"] and case["side"] == "peer":
        compile_encoder(model)
    for size in case["sizes"]:
        if group.device.type == "cuda":
            gc.collect()
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        subject = objective(case, model, shards, size)
        work = workload(case, subject, shards)
        padding, extra = work.padding, dict[str, float]()
        try:
            if case["side"] == "ours":
                seconds, extra = time_ours(case, model, shards, subject, group)
            else:
                seconds, padding = time_peer(case, model, shards.template, work, size, group)
        except torch.OutOfMemoryError:
            print(f"{case['objective']}, {case['side']}: {size} pairs a batch need more memory", file=sys.stderr)
            return
        rates = {"pairs_per_s": len(work.timed) / seconds, "tokens_per_s": work.tokens / seconds}
        rates |= {"utilisation": work.flops / seconds / case["peak"], "padding": padding, "memory_gb": memory(group)}
        about = {key: case[key] for key in ("side", "objective", "compile")} | {"batch_size": size}
        print(json.dumps(about | {key: float(f"{value:.4g}") for key, value in (rates | extra).items()}), flush=True)


def memory(group: Processes) -> float:
    """GB at the peak: of tensors on the GPU, or of the process."""
    return torch.cuda.max_memory_allocated() / 1e9 if group.device.type == "cuda" else resident("VmHWM") / 1e3


def objective(case: dict[str, Any], model: Any, shards: Shards, batch_size: int) -> MaskedPrediction:
    """Our objective, with settings under which a run ends after the warm-up and the steps, without checkpoints."""
    settings = SETTINGS[case["objective"]](
        batch_size=batch_size,
        precision=case["precision"],
        compile=case["compile"],
        max_steps=case["warm"] + case["steps"],
        epochs=1000,
        checkpoint_steps=10**9,
    )
    assert isinstance(settings, Masking)
    return MaskedPrediction(model, shards.template, settings, case["objective"])


class Workload(NamedTuple):
    """What one run takes, as :func:`train` orders it, and what its timed steps amount to."""

    warm: Examples
    timed: Examples
    tokens: int
    flops: float
    padding: float
    """of our batches"""


def workload(case: dict[str, Any], subject: MaskedPrediction, shards: Shards) -> Workload:
    """Follow the order of a run without training."""
    warm, timed, tokens, positions, flops = Examples(), Examples(), 0, 0, 0.0
    batches = Mixture([shards], SEED, subject.settings.batch_size).batches()
    for step, (rows, index) in enumerate(itertools.islice(batches, case["warm"] + case["steps"])):
        if step < case["warm"]:
            warm += unpacked(rows, index)
            continue
        timed += unpacked(rows, index)
        ((batch, work),) = subject.collate(rows, index, [np.arange(len(index))], rng(MASKS, SEED, step))
        tokens, flops, positions = tokens + work.tokens, flops + work.flops, positions + batch.inputs.ids.size
    return Workload(warm, timed, tokens, flops, 1 - tokens / positions)


def unpacked(rows: Rows, index: Ints) -> Examples:
    """Pairs one by one."""
    names = ("source_ids", "target_ids", "link_source", "link_target")
    lists = [rows.ragged(name, index) for name in names]
    split = [np.split(ragged.values, np.cumsum(ragged.lengths)[:-1]) for ragged in lists]
    return [dict(zip(names, values, strict=True)) for values in zip(*split, strict=True)]


def time_ours(
    case: dict[str, Any], model: Any, shards: Shards, subject: MaskedPrediction, group: Processes
) -> tuple[float, dict[str, float]]:
    """Seconds of the timed steps, and which share of them the loop waited for batches."""
    with tempfile.TemporaryDirectory() as folder:
        speed = Path(folder) / "speed.jsonl"
        args = argparse.Namespace(seed=SEED, work=Path(folder) / "work", out=Path(folder) / "out", tensorboard=None)
        args.speed, args.peak_tflops = speed, case["peak"] / 1e12
        run = Run(args, group, {"stage": "pretrain"})
        how = subject.settings
        train(name="ours", unit="pairs", model=model, sources=[shards], objective=subject, settings=how, run=run)
        run.finish()
        lines = [json.loads(line) for line in speed.read_text().splitlines()]
    start = next(line["seconds"] for line in lines if line["step"] == case["warm"])
    waited, before = 0.0, start
    for line in [line for line in lines if line["step"] > case["warm"]]:
        waited, before = waited + line["waiting"] * (line["seconds"] - before), line["seconds"]
    return before - start, {"waiting": waited / (before - start)}


def time_peer(
    case: dict[str, Any], model: Any, template: Template, work: Workload, size: int, group: Processes
) -> tuple[float, float]:
    """Seconds of a plain loop for the timed pairs, and its share of padding."""
    device, gpu = group.device, group.device.type == "cuda"
    generator = torch.Generator().manual_seed(SEED)
    order: list[list[int]] = []  # shuffled, the pairs of the warm-up first
    for first, examples in ((0, work.warm), (len(work.warm), work.timed)):
        mixed = torch.randperm(len(examples), generator=generator) + first
        order += [part.tolist() for part in mixed.split(size)]
    warm, steps = -(-len(work.warm) // size), len(order)
    batches = DataLoader(
        work.warm + work.timed,
        batch_sampler=order,
        collate_fn=Collate(template, case["objective"] == "weam"),
        num_workers=2 if gpu else 0,
        pin_memory=gpu,
    )
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-5, fused=True)
    scheduler = get_linear_schedule_with_warmup(optimizer, steps // 10, steps)
    tokens = positions = 0
    start = 0.0
    for step, batch in enumerate(batches):
        if step >= warm:
            tokens, positions = tokens + int(batch["attention_mask"].sum()), positions + batch["input_ids"].numel()
        batch = {name: values.to(device, non_blocking=True) for name, values in batch.items()}
        with torch.autocast(device.type, torch.bfloat16, enabled=case["precision"] == "bf16"):
            loss = plain_loss(model, **batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad()
        if step + 1 in (warm, steps):
            if gpu:
                torch.cuda.synchronize()
            start, seconds = time.perf_counter(), time.perf_counter() - start
    return seconds, 1 - tokens / positions


class Collate:
    """Pad pairs to the longest, mask 30 % of them (80/10/10), and build the matrices of the exchange."""

    def __init__(self, template: Template, exchange: bool) -> None:
        self.template, self.exchange = template, exchange

    def __call__(self, examples: Examples) -> dict[str, torch.Tensor]:
        (cls,), (sep,) = self.template.prefix, self.template.suffix
        sides = [(e["source_ids"].tolist(), e["target_ids"].tolist()) for e in examples]
        length = max(len(s) + len(t) for s, t in sides) + 3
        shape = (len(sides), length)
        ids = torch.full(shape, self.template.pad)
        types, attention = torch.zeros(shape, dtype=torch.long), torch.zeros(shape, dtype=torch.long)
        special = torch.ones(shape, dtype=torch.bool)
        for row, (s, t) in enumerate(sides):
            middle, end = len(s) + 1, len(s) + len(t) + 2
            ids[row, : end + 1] = torch.tensor([cls, *s, sep, *t, sep])
            types[row, middle + 1 : end + 1] = 1
            attention[row, : end + 1] = 1
            special[row, 1:middle] = special[row, middle + 1 : end] = False
        labels = ids.clone()
        masked = torch.bernoulli(torch.full(shape, 0.3).masked_fill(special, 0.0)).bool()
        labels[~masked] = -100
        replaced = torch.bernoulli(torch.full(shape, 0.8)).bool() & masked
        ids[replaced] = self.template.mask
        random = torch.bernoulli(torch.full(shape, 0.5)).bool() & masked & ~replaced
        ids[random] = torch.randint(self.template.vocab_size, shape)[random]
        batch = {"input_ids": ids, "attention_mask": attention, "token_type_ids": types, "labels": labels}
        return batch | ({"exchange": exchange_matrix(examples, length)} if self.exchange else {})


def exchange_matrix(examples: Examples, length: int) -> torch.Tensor:
    """[B, L, L]: each position takes the mean of its partners, or itself if it has none."""
    matrix = torch.zeros(len(examples), length, length)
    for row, example in enumerate(examples):
        source = torch.from_numpy(example["link_source"]) + 1
        target = torch.from_numpy(example["link_target"]) + 2 + len(example["source_ids"])
        matrix[row, source, target] = matrix[row, target, source] = 1.0
    matrix += torch.diag_embed((matrix.sum(-1) == 0).float())
    return matrix / matrix.sum(-1, keepdim=True)


def plain_loss(
    model: Any, labels: torch.Tensor, exchange: torch.Tensor | None = None, **inputs: torch.Tensor
) -> torch.Tensor:
    """L_mp + L_cp (or L_mp alone) with the output layer at all positions."""
    hidden = model.bert(**inputs).last_hidden_state
    loss = functional.cross_entropy(model.cls(hidden).flatten(0, 1), labels.flatten())
    if exchange is not None:
        loss = loss + functional.cross_entropy(model.cls(exchange @ hidden).flatten(0, 1), labels.flatten())
    return loss


def check(case: dict[str, Any], model: Any, shards: Shards, group: Processes) -> dict[str, float]:
    """Both losses and gradients on the same batches, masks and links; ours whole and in micro-batches."""
    case = case | {"precision": "fp32", "compile": False}
    (size,) = case["sizes"]
    subject = objective(case, model, shards, size)
    losses, gradients = 0.0, 0.0
    for step, (rows, index) in enumerate(itertools.islice(Mixture([shards], SEED, size).batches(), 3)):
        total = 0.0
        for part, _ in subject.collate(rows, index, division(size, (None, 4, 3)[step], group), rng(MASKS, SEED, step)):
            loss = subject.loss(part, group.device).total
            loss.backward()
            total += loss.item()
        ours = gradients_of(model)
        ((whole, _),) = subject.collate(rows, index, [np.arange(size)], rng(MASKS, SEED, step))
        labels = torch.full((whole.inputs.ids.size,), -100)
        labels[torch.from_numpy(whole.positions)] = torch.from_numpy(whole.labels)
        batch = model_inputs(whole.inputs, group.device) | {"labels": labels.to(group.device)}
        if case["objective"] == "weam":
            examples = unpacked(rows, index)
            batch["exchange"] = exchange_matrix(examples, whole.inputs.ids.shape[1]).to(group.device)
        loss = plain_loss(model, **batch)
        loss.backward()
        losses = max(losses, abs(loss.item() - total))
        for name, theirs in gradients_of(model).items():
            if not name.endswith("key.bias"):  # softmax does not see it: its gradient is rounding
                gradients = max(gradients, float((ours[name] - theirs).norm() / theirs.norm()))
    return {"loss_difference": losses, "gradient_difference": gradients}


def gradients_of(model: Any) -> dict[str, torch.Tensor]:
    """The gradients, and none left."""
    found = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    return found


if __name__ == "__main__":
    main()
