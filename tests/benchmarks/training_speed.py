"""Training steps per second: each backend against PyTorch code as the authors train with.

    python tests/benchmarks/training_speed.py                       # float32, then mixed bfloat16
    python tests/benchmarks/training_speed.py --dtypes mixed_bfloat16 --contenders jax peer

One process for each contender builds TDNResNet50 and takes the same steps of the same size:
forward, backward, clipping, SGD with momentum and decay. They take turns, so that what else the
machine does falls on all alike; a ratio is the median over rounds of a contender's seconds by the
peer's of the same round. The peer is torch_tdn.py as its authors run it, eager, under autocast for
bfloat16; `peer-compiled` is the same through `torch.compile` with channels last.

A backend that is not installed is left out, with a line that says so. Memory is the process' peak
on a processor, the device's on a GPU. On a GPU, gpu_training.py follows: which
share of the card's own rate of matrix products is used, and at which batch the input limits.

The exit status is 1 where a limit is exceeded. Limits are for the default model and sizes.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve()
BACKENDS = ("tensorflow", "torch", "jax")
PEERS = ("peer", "peer-compiled")
DTYPES = ("float32", "mixed_bfloat16")
CLASSES, FRAMES = 174, 5
WARM_UP_STEPS = 2
GIB, GB = 2**30, 1e9
# Seconds of a step by those of the peer, on a processor and on a GPU; bytes of a process.
CPU_LIMITS = {
    ("tensorflow", "float32"): 0.75,
    ("tensorflow", "mixed_bfloat16"): 0.90,
    ("torch", "float32"): 1.0,
    ("jax", "float32"): 1.6,
}
GPU_LIMITS = {("jax", "mixed_bfloat16"): 0.5}
GPU_LIMIT_TO_COMPILED = 1 / 1.2
MAX_MEMORY = {("tensorflow", "float32"): 3.0 * GB}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Training speed against the authors' way.")
    parser.add_argument("--contenders", nargs="+", default=[*BACKENDS, "peer"], metavar="NAME")
    parser.add_argument("--dtypes", nargs="+", default=DTYPES, choices=DTYPES)
    parser.add_argument("--batch", type=int, default=4, metavar="CLIPS")
    parser.add_argument("--segments", type=int, default=8)
    parser.add_argument("--size", type=int, default=112, metavar="PIXELS")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=1, help="in each round")
    parser.add_argument("--small", action="store_true", help="a small model, to see that it works")
    parser.add_argument("--output", metavar="FILE", help="write all figures as JSON")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.worker:
        return work(args)
    unknown = set(args.contenders) - {*BACKENDS, *PEERS}
    if unknown or "peer" not in args.contenders:
        parser.error(f"--contenders are `peer` and any of {', '.join((*BACKENDS, PEERS[1]))}")
    rows = [row for dtype in args.dtypes for row in compare(args, dtype)]
    exceeded = [] if args.small else list(limits_exceeded(rows))
    if args.output:
        figures = {"options": vars(args), "python": platform.python_version(), "rows": rows}
        Path(args.output).write_text(json.dumps(figures, indent=1) + "\n")
    for line in exceeded:
        show(f"Exceeded: {line}")
    if any(row["on_gpu"] for row in rows) and "jax" in args.contenders:
        environment = {**os.environ, "KERAS_BACKEND": "jax"}
        subprocess.run([sys.executable, HERE.with_name("gpu_training.py")], env=environment)
    return 1 if exceeded else 0


def show(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


# === The comparison ===


def compare(args: argparse.Namespace, dtype: str) -> list[dict]:
    """Measures all contenders in one dtype, and shows a table."""
    show(f"\n{dtype}, batch {args.batch}, {args.segments} x {args.size}")
    with contextlib.ExitStack() as stack:
        workers = {}
        for name in args.contenders:
            module = "torch" if name in PEERS else name
            if importlib.util.find_spec(module) is None:
                show(f"{name:14}  left out: {module} is not installed")
                continue
            workers[name] = stack.enter_context(Worker(name, dtype, args))
        seconds = {name: [] for name in workers}
        for _ in range(args.rounds):
            for name, worker in workers.items():
                seconds[name].append(worker.ask("step")["seconds"] / args.steps)
        facts = {name: worker.ask("facts") for name, worker in workers.items()}
    if "peer" not in seconds:
        return []
    show("contender       s/step  clips/s  of the peer  peak memory")
    rows = []
    for name, own in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(own, seconds["peer"], strict=True))
        median = statistics.median(own)
        row = {"contender": name, "dtype": dtype, "seconds": own, "ratio": ratio, **facts[name]}
        if "peer-compiled" in seconds:
            pairs = zip(own, seconds["peer-compiled"], strict=True)
            row["ratio_to_compiled"] = statistics.median(a / b for a, b in pairs)
        rows.append(row)
        show(
            f"{name:14}{median:8.3f}{args.batch / median:9.2f}{ratio:13.2f}"
            f"{row['memory'] / GB:10.2f} GB  {row['device']}"
        )
    return rows


def limits_exceeded(rows: list[dict]):
    """Yields a line for each figure over its limit."""
    for row in rows:
        key = row["contender"], row["dtype"]
        limit = (GPU_LIMITS if row["on_gpu"] else CPU_LIMITS).get(key)
        if limit is not None and row["ratio"] > limit:
            yield f"{' '.join(key)} takes {row['ratio']:.2f} of the peer's time; limit {limit}"
        compiled = row.get("ratio_to_compiled")
        if row["on_gpu"] and key in GPU_LIMITS and (compiled or 0) > GPU_LIMIT_TO_COMPILED:
            yield f"{' '.join(key)} takes {compiled:.2f} of the compiled peer's time"
        memory = None if row["on_gpu"] else MAX_MEMORY.get(key)
        if memory is not None and row["memory"] > memory:
            yield f"{' '.join(key)} takes {row['memory'] / GB:.2f} GB; limit {memory / GB}"


class Worker:
    """A process that takes steps when it is asked to."""

    def __init__(self, name: str, dtype: str, args: argparse.Namespace) -> None:
        options = ("batch", "segments", "size", "steps")
        command = [sys.executable, str(HERE), "--worker", name, "--dtypes", dtype]
        command += [part for each in options for part in (f"--{each}", str(getattr(args, each)))]
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        # All contenders of a GPU are there at once.
        environment["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
        environment["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"
        environment["KERAS_BACKEND"] = "torch" if name in PEERS else name
        self._name = name
        self._process = subprocess.Popen(
            command + ["--small"] * args.small,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.ask("start")

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def ask(self, what: str) -> dict:
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{self._name} ended with status {self._process.wait()}")
        return json.loads(answer)


# === A contender's process ===


def work(args: argparse.Namespace) -> int:
    """Answers lines of standard input, until it is closed."""
    answers = os.fdopen(os.dup(1), "w")
    # What a framework prints is no answer.
    os.dup2(2, 1)
    sys.path[:0] = [str(HERE.parents[2]), str(HERE.parent)]
    make_step = peer_step if args.worker in PEERS else our_step
    step, device, device_memory = make_step(args, args.dtypes[0])
    for _ in range(WARM_UP_STEPS):
        step()
    for line in sys.stdin:
        start = time.perf_counter()
        if line.strip() == "step":
            for _ in range(args.steps):
                step()
        answer = {"seconds": time.perf_counter() - start}
        if line.strip() == "facts":
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            # macOS counts bytes, others KiB.
            peak *= 1 if sys.platform == "darwin" else 1024
            on_gpu = device_memory is not None
            answer = {
                "device": device,
                "on_gpu": on_gpu,
                "memory": device_memory() if on_gpu else peak,
            }
        answers.write(f"{json.dumps(answer)}\n")
        answers.flush()
    return 0


def our_step(args: argparse.Namespace, dtype: str):
    """Returns a training step of the Keras model, its device, and what tells the device's peak."""
    import keras
    import numpy as np

    from keras_tdn.models import TDNResNet
    from keras_tdn.training import CoupledSGD

    depths, width = ((1, 1, 1, 1), 16) if args.small else ((3, 4, 6, 3), 64)
    keras.utils.set_random_seed(0)
    model = TDNResNet(
        depths,
        width=width,
        classes=CLASSES,
        num_segments=args.segments,
        input_shape=(args.segments * FRAMES, args.size, args.size, 3),
        dtype=dtype,
    )
    model.compile(CoupledSGD(0.01), "sparse_categorical_crossentropy")
    rng = np.random.default_rng(0)
    clips = rng.integers(0, 256, (args.batch, *model.input_shape[1:]), "uint8")
    labels = rng.integers(0, CLASSES, args.batch)

    def step() -> None:
        # To read the loss waits for the step.
        float(np.ravel(model.train_on_batch(clips, labels))[0])

    backend = keras.backend.backend()
    if backend == "torch":
        return step, *torch_device()
    if backend == "jax":
        import jax

        device = jax.devices()[0]
        if device.platform == "cpu":
            return step, "cpu", None
        return step, device.device_kind, lambda: device.memory_stats()["peak_bytes_in_use"]
    import tensorflow as tf

    devices = tf.config.list_physical_devices("GPU")
    if not devices:
        return step, "cpu", None
    name = tf.config.experimental.get_device_details(devices[0]).get("device_name", "GPU")
    return step, name, lambda: tf.config.experimental.get_memory_info("GPU:0")["peak"]


def peer_step(args: argparse.Namespace, dtype: str):
    """Returns the same of the authors' way."""
    import torch
    from torch_tdn import TorchTDN

    torch.manual_seed(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    depths, width = ((1, 1, 1, 1), 16) if args.small else ((3, 4, 6, 3), 64)
    model = TorchTDN(depths, width, args.segments, CLASSES).to(device).train()
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, weight_decay=5e-4)
    shape = args.batch * args.segments, 3 * FRAMES, args.size, args.size
    frames = torch.randn(shape, device=device)
    labels = torch.randint(0, CLASSES, (args.batch,), device=device)
    forward = model
    if args.worker == "peer-compiled":
        model.to(memory_format=torch.channels_last)
        frames = frames.contiguous(memory_format=torch.channels_last)
        forward = torch.compile(model)

    def step() -> None:
        half = dtype == "mixed_bfloat16"
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=half):
            loss = torch.nn.functional.cross_entropy(forward(frames), labels)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 20.0)
        optimizer.step()
        float(loss.detach())

    return step, *torch_device()


def torch_device():
    import torch

    if not torch.cuda.is_available():
        return "cpu", None
    return torch.cuda.get_device_name(), torch.cuda.max_memory_allocated


if __name__ == "__main__":
    sys.exit(main())
