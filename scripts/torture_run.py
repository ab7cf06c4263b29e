"""One run of the program under limits, for scripts/torture: how it ended, what it said, what it left behind."""

import os
import resource
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

# Address space beyond what the program needs for a sound file of the kind.
ALLOWANCE = 2 << 30
# Wall-clock seconds.
PATIENCE = 60


@dataclass
class Run:
    """How the program ended."""

    arguments: list
    code: int | None  # None where a signal ended it, or it was given up
    signal: int | None
    timed_out: bool
    stdout: str
    stderr: str
    # Most address space, bytes, as far as it was looked at.
    peak: int

    @property
    def refused(self):
        return self.code == 2

    @property
    def diverged(self):
        """Whether it is a training whose loss is no number any more, which says so."""
        return self.code == 1 and "is NaN, since this step" in self.stderr

    def faults(self):
        """What no run may do, whatever its input."""
        if self.timed_out:
            yield f"hangs: not done after {PATIENCE} s"
        elif self.signal:
            yield f"ended by {signal.Signals(self.signal).name}"
        elif self.code not in (0, 2) and not self.diverged:
            yield f"exit code {self.code}"
        for word in ("panicked at", "stack backtrace", "memory allocation of"):
            if word in self.stderr:
                yield f"says `{word}`"
        messages = sum(line.startswith("error: ") for line in self.stderr.splitlines())
        if self.refused and messages != 1:
            yield f"{messages} messages of errors"

    def said(self):
        return " ".join(self.stderr.split())[-400:]


def address_space(pid):
    """Most address space that a process has had, bytes; 0 where it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("VmPeak")), 0)


def run(program, arguments, folder, memory=None):
    """Runs the program in `folder`, with at most `memory` bytes of address space where that is given."""

    def limits():
        if memory:
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    environment = {name: value for name, value in os.environ.items() if name not in ("RUST_LOG", "ASTROCLIP_DATA")}
    # Two at once, whatever the machine: every thread has a stack.
    environment["RAYON_NUM_THREADS"] = "2"
    command = [os.fsencode(program), *(os.fsencode(str(part)) for part in arguments)]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment, preexec_fn=limits
        )
        started, peak, timed_out = time.monotonic(), 0, False
        while process.poll() is None:
            if memory is None:
                peak = max(peak, address_space(process.pid))
            if time.monotonic() - started > PATIENCE:
                timed_out = True
                process.kill()
                process.wait()
                break
            time.sleep(0.002)
        out.seek(0)
        err.seek(0)
        code = process.returncode
        return Run(
            arguments=[str(part) for part in arguments],
            code=None if timed_out or code < 0 else code,
            signal=None if timed_out or code >= 0 else -code,
            timed_out=timed_out,
            stdout=out.read().decode("utf-8", "replace"),
            stderr=err.read().decode("utf-8", "replace"),
            peak=peak,
        )


def left_behind(folder):
    """Files in a folder of outputs that hold something half made, or made by a command that failed. A run keeps the
    record of what was asked for."""
    names = ("config.toml", "inputs.json", "metrics.jsonl", ".lock", "heartbeat.json", "sessions.jsonl")
    record = {f"run/{name}" for name in names}
    files = {str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file()}
    return sorted(files - record)
