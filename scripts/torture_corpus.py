"""Broken files through every command that reads them, for scripts/torture.

A run is sound where it exits with code 2 and one message that names the file, or with 0 where the file is still right or
--skip-bad leaves out what is broken. It is a fault where it ends by a signal or a panic, hangs, takes more than 2 GiB
beyond what a sound file takes, exits otherwise, takes a file for right that cannot be, or leaves an output behind.
"""

import argparse
import os
import shlex
import sys
import tempfile
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

import torture_run
from torture_files import KINDS, Broken, Sound

COLUMNS = ("tried", "refused", "right", "skipped", "faults")
MODEL = ["train.steps=1", "train.batch_size=2", "model.width=16", "model.depth=1", "model.heads=2"]
IMAGE = [*MODEL, "images.crops.local_count=1", "head.hidden=16", "head.prototypes=16"]
ALIGN = ["train.steps=1", "train.batch_size=2"] + [
    f"align.{kind}_head.{setting}" for kind in ("image", "spectrum") for setting in ("embedding=64", "mlp_ratio=1.0")
]


def setting(values):
    return [part for value in values for part in ("--set", value)]


def prepare(program, work):
    """A survey, three models of one step, embeddings and a table of labels: what broken files are made from."""
    out = work / "sound"
    out.mkdir()

    def made(*line):
        done = torture_run.run(program, line, out)
        if done.code != 0:
            raise SystemExit(f"{line}: {done.said()}")

    made("simulate", "--galaxies", "12", "--seed", "1", "--out", "survey.h5")
    # So many that some are for training and some for tests.
    made("simulate", "--galaxies", "48", "--seed", "1", "--out", "many.h5")
    made("pretrain-image", "--data", "survey.h5", "--out", "image", *setting(IMAGE))
    made("pretrain-spectrum", "--data", "survey.h5", "--out", "spectrum", *setting(MODEL))
    made("align", "--data", "survey.h5", "--out", "aligned", "--image-encoder", "image/model.safetensors",
         "--spectrum-encoder", "spectrum/model.safetensors", *setting(ALIGN))
    made("embed", "--weights", "aligned/model.safetensors", "--data", "many.h5", "--out", "emb.h5")
    made("export", "aligned/model.safetensors", "--to", "released", "--out", "model.ckpt")
    with h5py.File(out / "emb.h5") as file:
        ids, redshifts = file["object_id"][:], file["redshift"][:].astype(float)
    columns = np.transpose([np.linspace(10, 11, len(ids)), np.linspace(-1, 1, len(ids)), redshifts])
    rows = ["object_id,ra,dec,z_spec", *(f"{name},{ra!r},{dec!r},{z!r}" for name, (ra, dec, z) in zip(ids, columns.tolist()))]
    (out / "labels.csv").write_text("\n".join(rows) + "\n")
    (out / "run.toml").write_text('base = "tiny-vit"\n[train]\nsteps = 1\nbatch_size = 2\n[model]\nwidth = 16\nheads = 2\n')
    return Sound(out)


def commands(role, path, sound, out):
    """Name and arguments of every command that takes a file of this role; of what takes long, the names end in ~."""
    aligned, survey, labels, emb = (sound.path(name) for name in ("aligned/model.safetensors", "survey.h5", "labels.csv", "emb.h5"))
    inspect, embed = ["inspect", path, "--json"], ["embed", "--weights", aligned, "--out", out / "e.h5"]
    pretrain = ["pretrain-image", "--data", survey, "--out", out / "run"]
    return {
        "survey": {
            "inspect": inspect,
            "check": ["check", path],
            "embed": [*embed, "--data", path],
            "embed --skip-bad": [*embed, "--data", path, "--skip-bad"],
            "pretrain-image ~": ["pretrain-image", "--data", path, "--out", out / "run", *setting(IMAGE)],
            "pretrain-spectrum ~": ["pretrain-spectrum", "--data", path, "--out", out / "run", *setting(MODEL)],
        },
        "embeddings": {
            "inspect": inspect,
            "search": ["search", path, "--id", sound.id, "--json"],
            "eval redshift": ["eval", "redshift", "--embeddings", path, "--labels", labels, "--seeds", "1", "--json"],
            "eval retrieval": ["eval", "retrieval", "--embeddings", path, "--json"],
            "plot map ~": ["plot", "map", path, "--out", out / "map.png"],
        },
        "table": {
            "inspect": inspect,
            "match id": ["match", path, labels, "--on", "id", "--out", out / "m.csv"],
            "match sky": ["match", path, labels, "--on", "sky", "--out", out / "m.h5"],
            "eval redshift": ["eval", "redshift", "--embeddings", emb, "--labels", path, "--seeds", "1", "--json"],
        },
        "model": {
            "inspect": inspect,
            "embed": ["embed", "--weights", path, "--data", survey, "--out", out / "e.h5"],
            "export": ["export", path, "--to", "released", "--out", out / "m.ckpt"],
            "align ~": ["align", "--image-encoder", path, "--spectrum-encoder", sound.path("spectrum/model.safetensors"),
                        "--data", survey, "--out", out / "run", *setting(ALIGN)],
        },
        "released": {"inspect": inspect, "import": ["import", path, "--out", out / "m.safetensors"]},
        "run file": {
            "pretrain-image ~": [*pretrain, "--config", path],
            "inspect --config": ["inspect", survey, "--config", path, "--json"],
        },
        "anything": {
            "inspect": inspect,
            "check": ["check", path],
            "embed --data": [*embed, "--data", path],
            "embed --weights": ["embed", "--weights", path, "--data", survey, "--out", out / "e.h5"],
            "embed --pairs": [*embed, "--data", survey, "--pairs", path],
            "search": ["search", path, "--id", "1"],
            "eval --labels": ["eval", "redshift", "--embeddings", emb, "--labels", path],
            "match": ["match", path, labels, "--on", "id", "--out", out / "m.csv"],
            "import": ["import", path, "--out", out / "m.safetensors"],
            "pretrain-image --config": [*pretrain, "--config", path],
        },
        "pairs": {"embed --pairs": [*embed, "--data", survey, "--pairs", path]},
    }[role]


@dataclass
class Trial:
    """What became of one file."""

    counts: Counter
    # A line for each fault.
    faults: list
    # With --verbose, a line for each run.
    runs: list


def try_file(program, work, sound, limits, kind, seed, keep=False):
    """Makes the file of a kind and a seed, and runs the commands that read it."""
    with tempfile.TemporaryDirectory(dir=work, prefix="file-") as folder:
        folder = work / f"kept-{kind}-{seed}" if keep else Path(folder)
        folder.mkdir(exist_ok=True)
        random = np.random.default_rng([seed, list(KINDS).index(kind)])
        broken = KINDS[kind](random, folder, sound)
        trial = Trial(Counter(), [], [])
        lines = commands(broken.role, broken.path, sound, folder / "out")
        for name, arguments in lines.items():
            # Those that take long are tried for every fourth file.
            if name in broken.unread or (name.endswith("~") and not keep and random.random() > 0.25):
                continue
            judge(trial, program, folder, broken, (kind, seed, name), arguments, limits.get(name))
        return trial


def judge(trial, program, folder, broken: Broken, case, arguments, memory):
    kind, seed, name = case
    out = folder / "out"
    out.mkdir()
    done = torture_run.run(program, arguments, folder, memory)
    faults = list(done.faults())
    # `check` lists what it finds on standard output.
    if done.refused and not broken.is_named_in(done.stderr + done.stdout):
        faults.append(f"the message does not name {broken.path}")
    if done.code != 0 and (left := torture_run.left_behind(out)):
        faults.append(f"leaves {', '.join(left)}")
    may_skip = "--skip-bad" in arguments
    if done.code == 0 and broken.must_be_refused and not may_skip and name not in broken.may_accept:
        faults.append("takes it for right")
    if done.refused and broken.must_be_read and not may_skip:
        faults.append("refuses what is right")
    trial.counts["tried"] += 1
    outcome = "refused" if done.refused or done.diverged else "skipped" if may_skip and broken.must_be_refused else "right"
    trial.counts["faults" if faults else outcome] += 1
    line = f"--only {kind!r} {seed}: {broken.how}: {shlex.join(['astroclip', *done.arguments])}"
    if faults:
        trial.faults.append(f"FAULT {line}\n      {'; '.join(faults)}\n      {done.said()}")
    trial.runs.append(f"{outcome:8} {line}\n      {done.said()}")
    for path in sorted(out.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    out.rmdir()


def measured(program, work, sound):
    """Address space that each command may take: what it takes for a sound file, and the allowance."""
    limits = {}
    sounds = {
        "survey": "survey.h5", "embeddings": "emb.h5", "table": "labels.csv", "model": "image/model.safetensors",
        "released": "model.ckpt", "run file": "run.toml", "anything": "survey.h5", "pairs": "survey.h5",
    }
    for role, name in sounds.items():
        for command in commands(role, sound.path(name), sound, work):
            with tempfile.TemporaryDirectory(dir=work) as out:
                done = torture_run.run(program, commands(role, sound.path(name), sound, Path(out))[command], out)
            limits[command] = max(limits.get(command, 1 << 30), done.peak + torture_run.ALLOWANCE)
            if role not in ("anything", "pairs") and done.code != 0:
                raise SystemExit(f"a sound file is refused: {command}: {done.said()}")
    # What refuses at once took less than it would have.
    most = max(limits.values())
    return {command: most for command in limits}


def main():
    parser = argparse.ArgumentParser(prog="torture corpus", description=__doc__.splitlines()[0])
    parser.add_argument("seed", nargs="?", type=int, default=0, help="what the files are drawn from [0]")
    parser.add_argument("count", nargs="?", type=int, default=300, help="how many files [300]")
    parser.add_argument("--only", nargs=2, metavar=("KIND", "SEED"), help="makes one file again and keeps it")
    parser.add_argument("--kind", action="append", choices=list(KINDS), help="only this kind; may be repeated")
    parser.add_argument("--verbose", action="store_true", help="prints what became of every run")
    parser.add_argument("--program", required=True, help=argparse.SUPPRESS)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(tempfile.mkdtemp()) if args.only else Path(folder)
        sound = prepare(args.program, work)
        limits = measured(args.program, work, sound)
        sys.exit(run(args, work, sound, limits))


def run(args, work, sound, limits):
    if args.only:
        kind, seed = args.only
        trial = try_file(args.program, work, sound, limits, kind, int(seed), keep=True)
        print("\n".join([*trial.runs, "", *trial.faults, f"{work}/kept-{kind}-{seed}"]))
        return bool(trial.faults)
    kinds = args.kind or list(KINDS)
    seeds = np.random.SeedSequence(args.seed).generate_state(args.count)
    jobs = [(kinds[index % len(kinds)], int(seed)) for index, seed in enumerate(seeds)]
    counts = {kind: Counter() for kind in kinds}
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        futures = [pool.submit(try_file, args.program, work, sound, limits, *job) for job in jobs]
        for (kind, _), future in zip(jobs, futures):
            trial = future.result()
            counts[kind]["files"] += 1
            counts[kind] += trial.counts
            for line in [*(trial.runs if args.verbose else []), *trial.faults]:
                print(line, flush=True)
    titles = ("files", *COLUMNS)
    print("\n" + "".join(f"{title:>9}" for title in titles) + "  kind")
    for kind, count in [*counts.items(), ("all", sum(counts.values(), Counter()))]:
        print("".join(f"{count[title]:>9}" for title in titles) + f"  {kind}")
    return sum(count["faults"] for count in counts.values()) > 0


if __name__ == "__main__":
    main()
