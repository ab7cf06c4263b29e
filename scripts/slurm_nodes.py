"""The examples of scripts/slurm under a Slurm of two nodes on one machine: daemons, keys and logs in a folder of their own."""

import argparse
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ranks import IMAGE, SPECTRUM, Runs, compare

EXAMPLES = Path(__file__).parent / "slurm"
NODES = 2
# Two real cores are shared by all.
CONFIG = """\
ClusterName=check
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
TmpFS={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
GresTypes=gpu
ReturnToService=2
KillWait=30
SlurmdTimeout=60
SlurmdParameters=config_overrides
{nodes}
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


class Cluster:
    """munged, slurmctld and a slurmd for each node, until the end of a `with`."""

    def __init__(self, folder):
        self.folder, self.daemons = folder, []
        self.environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}

    def __enter__(self):
        try:
            self.begin()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_):
        self.end()

    def begin(self):
        folder, host = self.folder, socket.gethostname().split(".")[0]
        (folder / "state").mkdir()
        key = folder / "munge.key"
        key.write_bytes(secrets.token_bytes(1024))
        key.chmod(0o600)
        ports = free_ports(NODES + 1)
        nodes = [
            f"NodeName=n{node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=128 RealMemory=64000 Gres=gpu:4"
            for node, port in enumerate(ports[1:], 1)
        ]
        (folder / "slurm.conf").write_text(
            CONFIG.format(host=host, port=ports[0], folder=folder, nodes="\n".join(nodes)))
        # What stands for GPUs, which the examples ask for.
        gpus = ["null", "zero", "full", "random"]
        (folder / "gres.conf").write_text("".join(f"Name=gpu File=/dev/{gpu}\n" for gpu in gpus))
        self.daemon("munged", "--foreground", "--force", f"--key-file={key}", f"--socket={folder}/munge.socket",
                    f"--pid-file={folder}/munged.pid", f"--log-file={folder}/munged.log",
                    f"--seed-file={folder}/munged.seed")
        wait(lambda: (folder / "munge.socket").exists(), 20, "munged", folder)
        self.daemon("slurmctld", "-D")
        for node in range(1, NODES + 1):
            (folder / f"n{node}").mkdir()
            self.daemon("slurmd", "-D", "-N", f"n{node}")
        idle = "\n".join(["idle"] * NODES)
        wait(lambda: self.says("sinfo", "-h", "-N", "-o", "%T").strip() == idle, 60, "nodes that are idle", folder)

    def daemon(self, *command):
        log = open(self.folder / f"{command[0]}-{len(self.daemons)}.out", "w")
        self.daemons.append(subprocess.Popen(command, env=self.environment, stdout=log, stderr=log))

    def end(self):
        for daemon in reversed(self.daemons):
            daemon.send_signal(signal.SIGTERM)
            try:
                daemon.wait(timeout=20)
            except subprocess.TimeoutExpired:
                daemon.kill()

    def says(self, *command, folder=None):
        done = subprocess.run(command, env=self.environment, cwd=folder, capture_output=True, text=True)
        return done.stdout if done.returncode == 0 else f"{command[0]}: {done.stdout}{done.stderr}"


class Jobs:
    def __init__(self, cluster, runs):
        self.cluster, self.runs = cluster, runs
        cluster.environment.update({
            **{key: value for key, value in runs.environment.items() if key.startswith(("OMPI_", "RAYON_"))},
            "PATH": f"{Path(runs.program).parent}:{os.environ['PATH']}",
        })

    def submit(self, example, options, *arguments):
        text = self.cluster.says(
            "sbatch", "--export=ALL", *options, str(EXAMPLES / example), *arguments, folder=self.runs.folder)
        found = re.search(r"Submitted batch job (\d+)", text)
        if not found:
            sys.exit(f"sbatch {example}: {text}")
        return found[1]

    def state(self, job):
        """What Slurm says of a job, or of all tasks of an array."""
        text = self.cluster.says("scontrol", "show", "job", job)
        return re.findall(r"JobState=(\S+)", text), re.findall(r"ExitCode=(\S+)", text)

    def end_of(self, job, seconds):
        final = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY"}
        wait(lambda: set(self.state(job)[0]) <= final, seconds, f"end of job {job}", self.cluster.folder,
             lambda: self.log(job))
        return self.state(job)

    def log(self, job):
        return "".join(path.read_text() for path in sorted(self.runs.folder.glob(f"*-{job}*.log")))

    def completed(self, job, seconds=300):
        states, codes = self.end_of(job, seconds)
        if set(states) != {"COMPLETED"}:
            sys.exit(f"job {job} is {states} with {codes}:\n{self.log(job)}")

    def begun(self, job, out, lines=3):
        metrics = self.runs.folder / out / "metrics.jsonl"
        wait(lambda: metrics.exists() and metrics.read_text().count("\n") >= lines, 180, f"steps of job {job}",
             self.cluster.folder, lambda: self.log(job))


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def wait(is_so, seconds, what, folder, more=lambda: "", pause=0.3):
    end = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > end:
            logs = [*folder.glob("*.log"), *folder.glob("*.out")]
            tails = "".join(f"--- {log.name}\n{log.read_text()[-2000:]}" for log in logs)
            sys.exit(f"no {what} after {seconds} s\n{more()}\n{tails}")
        time.sleep(pause)


def processes_of(program):
    """Processes that run this very file, in the order of their numbers."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(folder / "exe") == program:
                found.append(int(folder.name))
        except OSError:
            continue
    return sorted(found)


def settings(values):
    return [word for value in values for word in ("--set", value)]


SMALL = ["--nodes=2", "--ntasks-per-node=1", "--gpus-per-node=1", "--cpus-per-task=1", "--time=10"]
CPU = ["--device", "cpu"]


def training(jobs):
    runs = jobs.runs
    one = runs.train(None, "pretrain-image", "runs/one", IMAGE, ["--config", "tiny-vit", *CPU])
    job = jobs.submit("pretrain.sbatch", SMALL, "tiny-vit", "survey.h5", "runs/nodes", *CPU, *settings(IMAGE))
    jobs.completed(job)
    compare("pretrain.sbatch on two nodes", one, runs.result("runs/nodes"))


def stopped_and_requeued(jobs):
    """As five minutes before the end of a job's time: SIGUSR1, code 75, the queue, and on."""
    runs = jobs.runs
    # Without KoLeo: among so many galaxies of an untrained network two neighbours are equally near but for rounding.
    slow = [*IMAGE, "train.batch_size=16", "train.checkpoint_every=1000", "loss.koleo_weight=0.0"]
    one = runs.train(None, "pretrain-image", "runs/slow-one", slow, ["--config", "tiny-vit", *CPU])
    job = jobs.submit("pretrain.sbatch", SMALL, "tiny-vit", "survey.h5", "runs/requeued", *CPU, *settings(slow))
    jobs.begun(job, "runs/requeued")
    jobs.cluster.says("scancel", "--signal=USR1", job)
    wait(lambda: "Restarts=1" in jobs.cluster.says("scontrol", "show", "job", job), 90, f"requeue of job {job}",
         jobs.cluster.folder, lambda: jobs.log(job))
    # What goes back into the queue waits there for two minutes; before all of its first turn is cleared away a second fails.
    time.sleep(5)
    jobs.cluster.says("scontrol", "update", f"JobId={job}", "StartTime=now")
    jobs.completed(job)
    text = jobs.log(job)
    if "resuming after step" not in text:
        sys.exit(f"a requeued job began anew:\n{text}")
    compare("stopped by a signal, requeued", one, runs.result("runs/requeued"))


def killed(jobs):
    runs = jobs.runs
    many = ["train.steps=100000", *SPECTRUM[1:]]
    command = ["srun", "--mpi=" + os.environ.get("ASTROCLIP_MPI", "pmix"), "--kill-on-bad-exit=1", "-N2", "-n2",
               runs.program, "pretrain-spectrum", "--config", "tiny-specformer", "--data", "survey.h5", "--out",
               "runs/killed", *CPU, *settings(many)]
    process = subprocess.Popen(
        command, cwd=runs.folder, env=jobs.cluster.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True)
    jobs.begun("srun", "runs/killed")
    os.kill(processes_of(runs.program)[-1], signal.SIGKILL)
    begun = time.monotonic()
    try:
        out, _ = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        sys.exit("a step outlives its killed rank by more than 60 s")
    if process.returncode == 0:
        sys.exit(f"a step with a killed rank ends as if it were done:\n{out}")
    print(f"a rank is killed: srun has ended after {time.monotonic() - begun:.1f} s, code {process.returncode}", flush=True)


def cancelled(jobs):
    many = ["train.steps=100000", *IMAGE[1:]]
    job = jobs.submit("pretrain.sbatch", SMALL, "tiny-vit", "survey.h5", "runs/cancelled", *CPU, *settings(many))
    jobs.begun(job, "runs/cancelled")
    jobs.cluster.says("scancel", job)
    states, _ = jobs.end_of(job, 90)
    if states != ["CANCELLED"]:
        sys.exit(f"a cancelled job is {states}")
    if not list((jobs.runs.folder / "runs/cancelled/checkpoints").glob("*.safetensors")):
        sys.exit(f"a cancelled job left no checkpoint:\n{jobs.log(job)}")
    print("scancel: a checkpoint is left", flush=True)


def embedding(jobs):
    """An array of which one task is stopped and requeued, then one whose shards are there but for one."""
    runs, shards = jobs.runs, 3
    # Deep, so that a shard takes seconds: a signal must find its task at work.
    deep = [*IMAGE, "model.width=128", "model.depth=12"]
    runs.train(None, "pretrain-image", "runs/deep", deep, ["--config", "tiny-vit", *CPU])
    weights = "runs/deep/model.safetensors"
    more = ["--batch-size", "1", *CPU]
    runs.run([runs.program, "simulate", "--galaxies", "1500", "--out", "many.h5"])
    runs.run([runs.program, "embed", "--weights", weights, "--data", "many.h5", "--out", "whole.h5", *more])
    options = [f"--array=1-{shards}", "--cpus-per-task=1", "--time=10"]

    def submitted():
        return jobs.submit("embed.sbatch", options, weights, "many.h5", "emb.h5", *more)

    def found(files, code=0):
        out, err = runs.run(
            [runs.program, "search", files, "--id", "3000000000000700", "-k", "1500", "--json"], code)
        return [{**match, "embeddings": None} for match in json.loads(out)] if code == 0 else err

    job, part = submitted(), runs.folder / "emb-2-of-3.h5.part"
    wait(lambda: part.exists() and part.stat().st_size > 20000, 120, f"galaxies of job {job}", jobs.cluster.folder,
         lambda: jobs.log(job), pause=0.02)
    jobs.cluster.says("scancel", "--signal=USR1", f"{job}_2")
    wait(lambda: "Restarts=1" in jobs.cluster.says("scontrol", "show", "job", f"{job}_2"), 90,
         f"requeue of task 2 of job {job}", jobs.cluster.folder, lambda: jobs.log(job))
    others = [runs.folder / f"emb-{number}-of-3.h5" for number in (1, 3)]
    wait(lambda: all(other.exists() for other in others), 120, f"other tasks of job {job}", jobs.cluster.folder)
    said = found("emb-*.h5", 2)
    if "2-of-3 is half done" not in said:
        sys.exit(f"nobody says that a shard is half done:\n{said}")
    time.sleep(5)
    jobs.cluster.says("scontrol", "update", f"JobId={job}_2", "StartTime=now")
    jobs.completed(job)
    if "going on after" not in jobs.log(job):
        sys.exit(f"a requeued task began anew:\n{jobs.log(job)}")
    if found("emb-*.h5") != found("whole.h5"):
        sys.exit("shards of an array are not the whole")
    (runs.folder / "emb-2-of-3.h5").unlink()
    if "2-of-3 is missing" not in found("emb-*.h5", 2):
        sys.exit("nobody says that a shard is missing")
    job = submitted()
    jobs.completed(job)
    kept = jobs.log(job).count("is whole, and is not made again")
    if kept != shards - 1 or found("emb-*.h5") != found("whole.h5"):
        sys.exit(f"{kept} shards were left alone:\n{jobs.log(job)}")
    print("embed.sbatch: an array, one task stopped and requeued, is the whole; then one shard is made again", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", required=True)
    program = parser.parse_args().program
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder:
        folder = Path(folder)
        (folder / "work").mkdir()
        (folder / "bin").mkdir()
        (folder / "cluster").mkdir()
        shutil.copy(program, folder / "bin/astroclip")
        runs = Runs(str(folder / "bin/astroclip"), folder / "work")
        runs.run([runs.program, "simulate", "--galaxies", "96", "--out", "survey.h5"])
        with Cluster(folder / "cluster") as cluster:
            jobs = Jobs(cluster, runs)
            for check in [training, embedding, stopped_and_requeued, killed, cancelled]:
                check(jobs)
    print(f"slurm: all is as it should be, after {time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main()
