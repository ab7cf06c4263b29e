"""Runs of several ranks under mpirun beside those of one process: losses, weights, resuming, and how they end."""

import argparse
import array
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

STEPS = 20
# What runs may differ by: losses, and weights by the norm of the difference over the norm; and gradients, in which a
# difference of weights grows: their norms, and their means as the optimiser keeps them.
MOST = (1e-5, 1e-4)
# The same where gradients travel in bf16, with 8 bits; without KoLeo, for which a near galaxy is another by rounding.
MOST_BF16 = (2e-3, 1e-2)
# A loss that is smaller is rounded as its parts are: of two galaxies at a time all of them come near 0 within a few steps.
LEAST = 0.1
SHARDED, BF16 = "train.ranks.shard_optimizer=true", "train.ranks.gradients=bf16"
TRAIN = [
    f"train.steps={STEPS}", "train.batch_size=8", "train.log_every=1", "train.checkpoint_every=10",
    "train.keep_checkpoints=2", "optimizer.warmup_steps=2",
]
SPECTRUM = [*TRAIN, "model.width=32", "model.depth=2", "model.heads=2"]
IMAGE = [
    *TRAIN, "model.width=32", "model.depth=2", "model.heads=2", "model.drop_path=0.2", "model.image_size=48",
    "images.crops.global_size=48", "images.crops.local_size=24", "head.prototypes=64", "head.hidden=32",
    "teacher.temperature_warmup_steps=5", "optimizer.freeze_last_layer_steps=2",
]
ALIGN = [
    *TRAIN, "align.image_head.embedding=64", "align.spectrum_head.embedding=64", "align.image_head.mlp_ratio=1.0",
    "align.spectrum_head.mlp_ratio=1.0",
]


class Runs:
    def __init__(self, program, folder):
        self.program, self.folder = program, folder
        # Ranks share two cores here, and Open MPI does not like to be root.
        self.environment = {
            **os.environ, "RAYON_NUM_THREADS": "1", "OMPI_ALLOW_RUN_AS_ROOT": "1",
            "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMPI_MCA_btl_vader_single_copy_mechanism": "none",
        }

    def launched(self, ranks):
        return [] if ranks is None else ["mpirun", "--oversubscribe", "-n", str(ranks)]

    def command(self, ranks, stage, out, settings, more=()):
        command = [*self.launched(ranks), self.program, stage, "--data", "survey.h5", "--out", str(out), *more]
        for setting in settings:
            command += ["--set", setting]
        return command

    def start(self, command, **options):
        return subprocess.Popen(
            command, cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            **options)

    def run(self, command, code=0):
        process = self.start(command)
        try:
            out, err = process.communicate(timeout=300)
        except subprocess.TimeoutExpired:
            process.kill()
            sys.exit(f"no end after 300 s: {' '.join(command)}")
        if process.returncode != code:
            sys.exit(f"exit code {process.returncode}, not {code}: {' '.join(command)}\n{out}{err}")
        return out, err

    def train(self, ranks, stage, out, settings, more=()):
        self.run(self.command(ranks, stage, out, settings, more))
        return self.result(out)

    def result(self, out):
        lines = (self.folder / out / "metrics.jsonl").read_text().splitlines()
        records = [json.loads(line) for line in lines]
        steps = [record["step"] for record in records]
        if steps != list(range(1, STEPS + 1)):
            sys.exit(f"{out}: lines of steps {steps}")
        return records, weights(self.folder / out / "checkpoints" / f"step-{STEPS:08}.safetensors")


def weights(path):
    """Tensors of a checkpoint by name, but for second moments.

    Biases of keys are left out: they add the same to all that softmax compares, so that their gradient is zero but for
    rounding, and Adam takes whole steps along that, in any direction. (With optimizer.adamw.epsilon=1e-4, which stops
    that, they agree as all others do.)
    """
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8:8 + size])
    tensors = {}
    for name in sorted(header):
        if name == "__metadata__" or name.startswith("optimizer/second.") or name.endswith("k_proj.bias"):
            continue
        first, last = header[name]["data_offsets"]
        values = array.array("f", data[8 + size + first:8 + size + last])
        if name.endswith("qkv.bias"):
            # Queries, keys, values.
            width = len(values) // 3
            del values[width:2 * width]
        tensors[name] = values
    return tensors


def compare(what, one, other, most=MOST):
    (records, expected), (others, actual) = one, other

    def farthest(number, least=0.0):
        pairs = [(record[number], found[number]) for record, found in zip(records, others)]
        return max(abs(found - record) / max(abs(record), least) for record, found in pairs)

    losses, norms = farthest("loss", LEAST), farthest("grad_norm")
    if actual.keys() != expected.keys():
        sys.exit(f"{what}: tensors {actual.keys() ^ expected.keys()} are in one checkpoint alone")
    sections = {"weights": {}, "moments": {}}
    for name in expected:
        kind = "moments" if name.startswith("optimizer/") else "weights"
        sections[kind][name] = squares(a - b for a, b in zip(actual[name], expected[name]))
    off = {
        kind: math.sqrt(sum(errors.values()) / sum(squares(expected[name]) for name in errors))
        for kind, errors in sections.items()
    }
    print(f"{what:<36} losses {losses:.1e}  weights {off['weights']:.1e}  norms {norms:.1e}  moments {off['moments']:.1e}",
          flush=True)
    if not (max(losses, off["weights"]) < most[0] and max(norms, off["moments"]) < most[1]):
        worst = [max(errors, key=errors.get) for errors in sections.values()]
        sys.exit(f"{what}: differs from one process by more than {most[0]}, gradients {most[1]}; most in {worst}")


def squares(values):
    return sum(value * value for value in values)


def says(text, words):
    if words not in text:
        sys.exit(f"nothing says {words!r}:\n{text}")


def stages(runs):
    encoders = [
        "--image-encoder", "runs/pretrain-image-1/model.safetensors",
        "--spectrum-encoder", "runs/pretrain-spectrum-1/model.safetensors",
    ]
    for stage, settings, more, variants in [
        ("pretrain-image", ["--config", "tiny-vit"], [], [
            ("", IMAGE),
            ("-sinkhorn", [*IMAGE, "loss.centering=sinkhorn-knopp"]),
            ("-micro", [*IMAGE, "train.micro_batch_size=2"]),
            ("-sharded", [*IMAGE, SHARDED]),
            ("-bf16", [*IMAGE, "loss.koleo_weight=0.0", BF16]),
        ]),
        ("pretrain-spectrum", ["--config", "tiny-specformer"], [], [
            ("", SPECTRUM),
            ("-micro", [*SPECTRUM, "train.micro_batch_size=1"]),
            ("-bf16", [*SPECTRUM, BF16]),
        ]),
        ("align", ["--config", "tiny-align"], encoders, [
            ("", ALIGN),
            ("-micro", [*ALIGN, "train.micro_batch_size=1"]),
        ]),
    ]:
        for variant, changes in variants:
            among(runs, stage, variant, changes, [*settings, *more])
        resumed(runs, stage, variants[0][1], [*settings, *more])

    # From the embeddings of that alignment.
    model, teacher = "runs/align-1/model.safetensors", "teacher.h5"
    runs.run([runs.program, "embed", "--weights", model, "--data", "survey.h5", "--out", teacher])
    taught = ["--config", "tiny-align", *encoders, "--teacher", teacher]
    for variant, changes in [("-taught", []), ("-taught-micro", ["train.micro_batch_size=1"])]:
        among(runs, "align", variant, [*ALIGN, "train.seed=1", *changes], taught)


def among(runs, stage, variant, changes, more):
    """A stage by 1, 2 and 4 ranks beside one process."""
    name = f"{stage}{variant}"
    one = runs.train(None, stage, f"runs/{name}-1", changes, more)
    for ranks in [1, 2, 4]:
        other = runs.train(ranks, stage, f"runs/{name}-ranks-{ranks}", changes, more)
        compare(f"{name}, {ranks} ranks", one, other, MOST_BF16 if BF16 in changes else MOST)


def resumed(runs, stage, changes, more):
    """Begun by four ranks, each with its share of the optimiser, gone on with by two, ended by one process."""
    out, one = f"runs/{stage}-resumed", runs.result(f"runs/{stage}-1")
    runs.run(runs.command(4, stage, out, [*changes, SHARDED], [*more, "--stop-after", "7"]))
    runs.run(runs.command(2, stage, out, changes, [*more, "--resume", "--stop-after", "13"]))
    runs.run(runs.command(None, stage, out, changes, [*more, "--resume"]))
    compare(f"{stage}, resumed with 4, 2 and 1", one, runs.result(out))


def ends(runs):
    """What is wrong is said by the rank that knows it, and ends all."""
    base = ["--config", "tiny-specformer"]
    many = ["train.steps=100000", *SPECTRUM[1:]]

    command = runs.command(3, "pretrain-spectrum", "runs/uneven", SPECTRUM, base)
    _, err = runs.run(command, code=2)
    says(err, "train.batch_size is 8, which 3 ranks cannot share evenly")

    # Two programs in one job: the second sees another run file.
    first = [runs.program, "pretrain-spectrum", "--data", "survey.h5", "--out", "runs/differs", *base]
    first += [word for setting in SPECTRUM for word in ("--set", setting)]
    command = ["mpirun", "--oversubscribe", "-n", "1", *first, ":", "-n", "1", *first, "--set", "train.seed=9"]
    _, err = runs.run(command, code=2)
    says(err, "rank 1 on")
    says(err, "has another run file than rank 0")
    if (runs.folder / "runs/differs").exists():
        sys.exit("ranks that differ began a run")

    # A rank is killed: all end within a minute, and not as if nothing had been.
    process = runs.start(runs.command(2, "pretrain-spectrum", "runs/killed", many, base), start_new_session=True)
    wait_for_step(runs, "runs/killed", process)
    os.kill(ranks_of(runs, process.pid)[-1], signal.SIGKILL)
    killed = time.monotonic()
    try:
        process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        sys.exit("ranks outlive one that was killed by more than 60 s")
    if process.returncode == 0:
        sys.exit("a killed rank ends a run as if it were done")
    print(f"a rank is killed: all have ended after {time.monotonic() - killed:.1f} s, code {process.returncode}")

    # A signal that reaches one rank stops all after the same step, to go on by --resume.
    process = runs.start(runs.command(2, "pretrain-spectrum", "runs/stopped", many, base), start_new_session=True)
    wait_for_step(runs, "runs/stopped", process)
    os.kill(ranks_of(runs, process.pid)[-1], signal.SIGUSR1)
    _, err = process.communicate(timeout=60)
    if process.returncode != 75:
        sys.exit(f"a stopped run ends with {process.returncode}, not 75:\n{err}")
    says(err, "with a checkpoint")
    if not list((runs.folder / "runs/stopped/checkpoints").glob("*.safetensors")):
        sys.exit("a stopped run left no checkpoint")
    print("a signal to one rank: all have stopped with a checkpoint")


def wait_for_step(runs, out, process):
    metrics, begun = runs.folder / out / "metrics.jsonl", time.monotonic()
    while not (metrics.exists() and metrics.read_text().count("\n") > 2):
        if process.poll() is not None:
            sys.exit(f"ended before its third step: {process.communicate()}")
        if time.monotonic() - begun > 120:
            os.killpg(process.pid, signal.SIGKILL)
            sys.exit("no third step after 120 s")
        time.sleep(0.1)


def ranks_of(runs, launcher):
    """Processes of our program below a launcher, in the order of their numbers."""
    # The kernel keeps 15 characters.
    ours, found, parents = Path(runs.program).name[:15], [], {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rsplit(")", 1)
                parents[int(folder.name)] = (int(fields[1].split()[1]), fields[0].split("(", 1)[1])
            except (OSError, IndexError):
                continue
    for process, (parent, name) in parents.items():
        above = parent
        while above in parents and above != launcher:
            above = parents[above][0]
        if above == launcher and name == ours:
            found.append(process)
    return sorted(found)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", required=True)
    program = parser.parse_args().program
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ranks-") as folder:
        runs = Runs(program, Path(folder))
        runs.run([program, "simulate", "--galaxies", "96", "--out", "survey.h5"])
        stages(runs)
        ends(runs)
    print(f"ranks: all is as with one process, after {time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main()
