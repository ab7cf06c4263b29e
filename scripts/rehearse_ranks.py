"""Two ranks on the stand-in for NVIDIA's GPUs, and on one for NCCL (scripts/rehearsal/nccl.c), which takes every call and moves
nothing: what scripts/rehearse_gpu --ranks does. The calls of both ranks, in their order, with their sizes and types, have to
be those of the same run by MPI on the CPU, of which scripts/test_ranks shows that they are right.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

from ranks import ALIGN, BF16, IMAGE, SHARDED, SPECTRUM

RANKS = 2
STEPS = 2
# What a program under mpirun logs of its exchanges, by rank.
ASKED = re.compile(r"^(?:rank (\d+): )?\s*TRACE (?:sum of (\d+) (\w+)|gather of \[([\d, ]+)\] f32)$", re.MULTILINE)
# A head of more than a portion of 16 MiB, so that gradients go in several.
LARGE = [*IMAGE, "head.hidden=256", "head.bottleneck=256", "head.prototypes=20000"]
LOG = "astroclip=warn,astroclip::base::ranks=trace,astroclip::network::ops=info"


class Rehearsal:
    def __init__(self, program, work, stand_in):
        """`stand_in`: the environment in which the program finds the GPU that computes nothing."""
        self.program, self.work, self.stand_in = program, work, stand_in
        self.mpi = {
            **os.environ, "RAYON_NUM_THREADS": "1", "OMPI_ALLOW_RUN_AS_ROOT": "1",
            "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMPI_MCA_btl_vader_single_copy_mechanism": "none", "RUST_LOG": LOG,
        }

    def run(self, arguments, out, on_gpu, code=0, more=None):
        """The standard error of two ranks."""
        common = [self.program, *arguments, "--out", f"runs/{out}", "--device", "cuda" if on_gpu else "cpu"]
        command = ["mpirun", "--oversubscribe"]
        for rank in range(RANKS):
            # As on a machine with a GPU for each.
            command += [":"] if rank else []
            command += ["-n", "1", "env", f"CUDA_VISIBLE_DEVICES={rank}", *common]
        environment = {**self.mpi, **(self.stand_in if on_gpu else {}), **(more or {})}
        done = subprocess.run(command, cwd=self.work, env=environment, capture_output=True, text=True, timeout=1800)
        if done.returncode != code:
            sys.exit(f"exit code {done.returncode}, not {code}: {' '.join(map(str, command))}\n{done.stdout}{done.stderr[-6000:]}")
        return done.stderr

    def compare(self, name, arguments):
        """Whether NCCL is asked for what MPI is."""
        asked = exchanges(self.run(arguments, f"{name}-mpi", False))
        log = self.work / f"{name}-nccl"
        log.mkdir()
        said = self.run(arguments, f"{name}-nccl", True, more={"NCCL_REHEARSAL": str(log)})
        says(said, "tensors go between ranks by NCCL 2.28.3")
        calls = [(log / f"rank-{rank}").read_text().splitlines() for rank in range(RANKS)]
        joined = [re.fullmatch(r"join (\d+) of (\d+) by (id-\d+)", of_rank[0]) for of_rank in calls]
        if [found and found.group(1, 2, 3) for found in joined] != [(str(rank), str(RANKS), joined[0][3]) for rank in range(RANKS)]:
            sys.exit(f"{name}: ranks join as {[of_rank[0] for of_rank in calls]}")
        # The first sum is that by which they meet.
        expected = ["all-reduce of 1 f32 by sum"]
        for exchange in asked[0]:
            expected += nccl_calls(exchange)
        for who, found in [("the ranks by MPI", asked[1]), *((f"rank {rank} by NCCL", calls[rank][1:]) for rank in range(RANKS))]:
            wanted = asked[0] if who == "the ranks by MPI" else expected
            for place, pair in enumerate(zip(wanted, found)):
                if pair[0] != pair[1]:
                    sys.exit(f"{name}, {who}: call {place} is {pair[1]}, not {pair[0]}; before it {found[max(place - 5, 0):place]}")
            if len(wanted) != len(found):
                sys.exit(f"{name}, {who}: {len(found)} calls, not {len(wanted)}")
        kinds = {kind: sum(call.startswith(kind) for call in expected) for kind in ("all-reduce", "all-gather", "broadcast")}
        print(f"{name:<28} {STEPS} steps, the same on both ranks: {', '.join(f'{n} x {kind}' for kind, n in kinds.items())}", flush=True)
        return expected


def exchanges(log):
    """What ranks ask for, by rank: `(count, type)` of a sum, a list of counts of a gather."""
    by_rank = [[] for _ in range(RANKS)]
    for rank, count, kind, counts in ASKED.findall(log):
        asked = [int(part) for part in counts.split(",")] if counts else (int(count), kind)
        by_rank[int(rank or 0)].append(asked)
    if not by_rank[0]:
        sys.exit(f"ranks exchange nothing:\n{log}")
    return by_rank


def nccl_calls(asked):
    if isinstance(asked, tuple):
        return [f"all-reduce of {asked[0]} {asked[1]} by sum"]
    if len(set(asked)) == 1:
        return [f"all-gather of {asked[0]} f32"]
    return [*(f"broadcast of {count} f32 from {rank}" for rank, count in enumerate(asked) if count), "end of a group"]


def says(text, words):
    if words not in text:
        sys.exit(f"nothing says {words!r}:\n{text}")


def arguments(stage, settings, more=()):
    steps = [f"train.steps={STEPS}", f"train.checkpoint_every={STEPS}"]
    return [stage, "--data", "survey.h5", *more, *(word for setting in [*settings, *steps] for word in ("--set", setting))]


def rehearse(program: Path, work: Path, stand_in: dict[str, str]) -> None:
    """Ends the script where calls differ."""
    rehearsal = Rehearsal(program, work, stand_in)
    subprocess.run([program, "simulate", "--galaxies", "96", "--out", "survey.h5"], cwd=work, check=True, capture_output=True)
    image = ["--config", "tiny-vit"]
    first = arguments("pretrain-image", IMAGE, image)
    rehearsal.compare("image", first)
    balanced = "loss.centering=sinkhorn-knopp"
    rehearsal.compare("image-sinkhorn", arguments("pretrain-image", [*IMAGE, balanced, "train.micro_batch_size=2"], image))
    rehearsal.compare("image-sharded", arguments("pretrain-image", [*IMAGE, SHARDED], image))
    large = rehearsal.compare("image-large-sharded-bf16", arguments("pretrain-image", [*LARGE, SHARDED, BF16], image))
    if sum("bf16" in call for call in large) != 2 * STEPS or not any(call.startswith("broadcast") for call in large):
        sys.exit(f"image-large-sharded-bf16: gradients do not go in two portions, or no weights: {large}")
    rehearsal.compare("spectrum", arguments("pretrain-spectrum", SPECTRUM, ["--config", "tiny-specformer"]))
    models = [f"runs/{stage}-mpi/model.safetensors" for stage in ("image", "spectrum")]
    more = ["--config", "tiny-align", "--image-encoder", models[0], "--spectrum-encoder", models[1]]
    rehearsal.compare("align", arguments("align", ALIGN, more))

    # A call that fails ends both ranks, and says whose it was.
    log = work / "failed"
    log.mkdir()
    fails = {"NCCL_REHEARSAL": str(log), "NCCL_REHEARSAL_FAIL": "1:3"}
    said = rehearsal.run(first, "failed", True, code=1, more=fails)
    call = (log / "rank-1").read_text().splitlines()[-1]
    what, count, kind = re.fullmatch(r"(all-\w+) of (\d+) (\w+)(?: by sum)?", call).groups()
    name = {"all-reduce": "ncclAllReduce", "all-gather": "ncclAllGather"}[what]
    if not re.search(rf"rank 1 on \S+: {name} of {count} {kind}: unhandled system error \(as the rehearsal asks\)", said, re.IGNORECASE):
        sys.exit(f"nothing says that {call} has failed on rank 1:\n{said}")
    print("a call that fails: both ranks have ended with code 1, and the log names rank and call")

    # Without NCCL they go on by MPI, and say why.
    log = work / "off"
    log.mkdir()
    said = rehearsal.run(first, "off", True, more={"NCCL_REHEARSAL": str(log), "ASTROCLIP_NCCL": "off"})
    says(said, "by MPI, through the memory of the hosts (rank 0 on ")
    says(said, "ASTROCLIP_NCCL=off")
    without = ":".join(folder for folder in stand_in["LD_LIBRARY_PATH"].split(":") if Path(folder).name != "nccl")
    said = rehearsal.run(first, "lacking", True, more={"NCCL_REHEARSAL": str(log), "LD_LIBRARY_PATH": without})
    says(said, "there is no libnccl.so")
    if list(log.iterdir()):
        sys.exit("ranks call NCCL that have no need of it")
    print("without NCCL, by ASTROCLIP_NCCL=off or for want of it: tensors go by MPI, and the log says why")
