"""Ends runs at random moments, by SIGKILL, SIGTERM and SIGUSR1, goes on with them until they are done, and compares what
they leave with unbroken runs: models, checkpoints, metrics, embeddings, the quickstart's results."""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import h5py
import numpy as np

# Exit code of a run that was asked to end and can go on.
REQUEUE = 75
# A run that a signal has asked to end has so long, seconds.
GRACE = 30
# Most ends of one run, so that it is done some time.
MOST_ENDS = 12

IMAGE = {
    "train.steps": 300, "train.batch_size": 4, "train.log_every": 1, "train.checkpoint_every": 2,
    "optimizer.warmup_steps": 1, "model.width": 16, "model.depth": 1, "model.heads": 2, "model.image_size": 48,
    "images.crops.global_size": 48, "images.crops.local_size": 24, "head.prototypes": 32, "head.hidden": 16,
}
SPECTRUM = {
    "train.steps": 900, "train.batch_size": 4, "train.log_every": 1, "train.checkpoint_every": 3,
    "optimizer.warmup_steps": 1, "model.width": 16, "model.depth": 1, "model.heads": 2,
}
ALIGN = {
    "train.steps": 300, "train.batch_size": 4, "train.log_every": 1, "train.checkpoint_every": 2,
    "optimizer.warmup_steps": 1, "align.image_head.embedding": 64, "align.spectrum_head.embedding": 64,
    "align.image_head.mlp_ratio": 1.0, "align.spectrum_head.mlp_ratio": 1.0,
}
IMAGE_BASELINE = {
    "train.steps": 300, "train.batch_size": 4, "train.log_every": 1, "train.checkpoint_every": 2,
    "optimizer.warmup_steps": 1, "validation.every": 5, "model.width": 2, "images.view.size": 48,
}
SPECTRUM_BASELINE = {
    "train.steps": 300, "train.batch_size": 4, "train.log_every": 1, "train.checkpoint_every": 2,
    "optimizer.warmup_steps": 1, "validation.every": 5, "model.channels": [2, 4, 4, 4], "model.dropout": 0.1,
}

# Three models: two folds and a last one.
FINETUNE = {
    "train.steps": 80, "train.batch_size": 4, "train.log_every": 1, "train.checkpoint_every": 2,
    "optimizer.frozen_steps": 20, "optimizer.warmup_steps": 1, "validation.every": 5, "validation.folds": 2,
}


def settings(values):
    return [part for name, value in values.items() for part in ("--set", f"{name}={value}")]


# What is run, for the survey and the models of `prepare`. A run folder is resumed once it holds a run.
TRAINING = {
    "pretrain-image": ["pretrain-image", "--config", "tiny-vit", *settings(IMAGE)],
    "pretrain-spectrum": ["pretrain-spectrum", "--config", "tiny-specformer", *settings(SPECTRUM)],
    "align": ["align", "--config", "tiny-align", "--image-encoder", "image/model.safetensors",
              "--spectrum-encoder", "spectrum/model.safetensors", *settings(ALIGN)],
    "finetune": ["finetune", "--weights", "aligned/model.safetensors", "--source", "spectrum", "--labels", "survey.h5",
                 *settings(FINETUNE)],
    "baseline image": ["baseline", "image", "--labels", "survey.h5", *settings(IMAGE_BASELINE)],
    "baseline spectrum": ["baseline", "spectrum", "--labels", "survey.h5", *settings(SPECTRUM_BASELINE)],
}


class Killer:
    """Runs the program to its end, over as many ends before as its dice say."""

    def __init__(self, program, folder, rng):
        self.program, self.folder, self.rng = program, folder, rng
        self.ends = Counter()

    def start(self, arguments):
        environment = {name: value for name, value in os.environ.items() if name not in ("RUST_LOG", "ASTROCLIP_DATA")}
        return subprocess.Popen(
            [self.program, *arguments], cwd=self.folder, env=environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )

    def whole(self, arguments):
        """Runs the command unbroken; returns the seconds that it takes."""
        started = time.monotonic()
        process = self.start(arguments)
        output, _ = process.communicate()
        if process.returncode:
            raise SystemExit(f"an unbroken run fails: {' '.join(arguments)}\n{output}")
        return time.monotonic() - started

    def broken(self, arguments, resumable, seconds):
        """Ends the command at random moments, of which it takes so many seconds unbroken; `resumable` says which
        arguments go on with it."""
        for end in range(MOST_ENDS + 1):
            process = self.start([*arguments, *resumable()])
            if end < MOST_ENDS:
                try:
                    process.wait(self.rng.uniform(0.0, 0.6 * seconds))
                except subprocess.TimeoutExpired:
                    how = self.rng.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGUSR1))
                    process.send_signal(how)
                    try:
                        process.wait(GRACE)
                    except subprocess.TimeoutExpired:
                        process.kill()
                        yield f"not done {GRACE} s after {how.name}"
                    if process.returncode:
                        self.ends[how.name] += 1
            output, _ = process.communicate()
            if process.returncode == 0:
                return
            if process.returncode > 0 and process.returncode != REQUEUE:
                yield f"exit code {process.returncode}: {output.strip()[-600:]}"
                return
        yield "never done"


def prepare(program, folder, rng):
    killer = Killer(program, folder, rng)
    for galaxies, name in ((60, "survey.h5"), (800, "large.h5")):
        killer.whole(["simulate", "--galaxies", str(galaxies), "--out", name])
    for stage, name in (("pretrain-image", "image"), ("pretrain-spectrum", "spectrum"), ("align", "aligned")):
        killer.whole([*TRAINING[stage], "--device", "cpu", "--data", "survey.h5", "--out", name])


def metrics(run):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "samples_per_second"} for line in lines]


def differences(broken, whole):
    """What differs between two run folders."""
    for path in sorted(whole.rglob("*.safetensors")):
        other = broken / path.relative_to(whole)
        if not other.exists() or other.read_bytes() != path.read_bytes():
            yield f"{path.relative_to(whole)} differs"
    if metrics(broken) != metrics(whole):
        yield "metrics.jsonl differs"
    left = [path.name for path in broken.rglob("*") if path.name.startswith((".partial", ".tmp"))]
    if left:
        yield f"left behind: {left}"


def train(killer, stage, number):
    whole, broken = (killer.folder / f"{stage} {number} {how}" for how in ("whole", "broken"))
    command = [*TRAINING[stage], "--device", "cpu", "--data", "survey.h5", "--set", f"train.seed={number}"]
    seconds = killer.whole([*command, "--out", str(whole)])
    resumable = lambda: ["--resume"] if (broken / "config.toml").exists() else []
    yield from killer.broken([*command, "--out", str(broken)], resumable, seconds)
    yield from differences(broken, whole)


def arrays(path):
    with h5py.File(path) as file:
        return {name: file[name][()] for name in file if isinstance(file[name], h5py.Dataset)}


def same_arrays(one, other):
    one, other = arrays(one), arrays(other)
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name], equal_nan=one[name].dtype.kind == "f")
                                              for name in one)


def embed(killer, number):
    whole, broken = (killer.folder / f"{number}-{how}.h5" for how in ("whole", "broken"))
    command = ["embed", "--weights", "aligned/model.safetensors", "--data", "large.h5", "--batch-size", "1",
               "--device", "cpu"]
    seconds = killer.whole([*command, "--out", str(whole)])
    yield from killer.broken([*command, "--out", str(broken)], lambda: ["--resume"], seconds)
    if not same_arrays(whole, broken):
        yield "embeddings differ"


def quickstart(killer, number):
    whole, broken = (killer.folder / f"quickstart-{number}-{how}" for how in ("whole", "broken"))
    command = ["quickstart", "--preset", "smoke", "--set", f"seed={number}", "--device", "cpu"]
    seconds = killer.whole([*command, "--out", str(whole)])
    yield from killer.broken([*command, "--out", str(broken)], list, seconds)
    for part in ("after_alignment", "before_alignment", "photometry", "retrieval"):
        one, other = (json.loads((folder / "results.json").read_text())[part] for folder in (whole, broken))
        if one != other:
            yield f"{part} differs"
    for path in whole.glob("*.h5"):
        if not same_arrays(path, broken / path.name):
            yield f"{path.name} differs"


def main():
    parser = argparse.ArgumentParser(prog="torture kills", description=__doc__)
    parser.add_argument("seed", nargs="?", type=int, default=0, help="of the moments [0]")
    parser.add_argument("count", nargs="?", type=int, default=8, help="runs of each kind [8]; one quickstart for four")
    parser.add_argument("--program", required=True, help=argparse.SUPPRESS)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    kinds = {stage: (lambda killer, number, stage=stage: train(killer, stage, number)) for stage in TRAINING}
    kinds |= {"embed": embed, "quickstart": quickstart}
    lost = 0
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        prepare(args.program, folder, rng)
        signals = ("SIGKILL", "SIGTERM", "SIGUSR1")
        print("".join(f"{title:>9}" for title in ("runs", *signals, "faults")) + "  kind")
        for kind, way in kinds.items():
            killer = Killer(args.program, folder, rng)
            count = (args.count + 3) // 4 if kind == "quickstart" else args.count
            started, faults = time.monotonic(), 0
            for number in range(count):
                for fault in way(killer, number):
                    faults += 1
                    print(f"{kind}, run {number} of seed {args.seed}: {fault}", flush=True)
            numbers = (count, *(killer.ends[name] for name in signals), faults)
            seconds = time.monotonic() - started
            print("".join(f"{number:>9}" for number in numbers) + f"  {kind} ({seconds:.0f} s)", flush=True)
            lost += faults
    sys.exit(lost > 0)


if __name__ == "__main__":
    main()
