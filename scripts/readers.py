"""Random files for scripts/check_readers: each is read by astroclip and compared with what was written.

A file counts as right where every value comes out as it was written, as refused where astroclip exits with code 2 and
names the file and what in it is wrong, and as different otherwise: another value, a crash, or a refusal of a plain file.
"""

import argparse
import os
import sys
import tempfile
import traceback
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from reader_checks import Different, Program, prepare
from reader_surveys import SURVEYS
from reader_tables import TABLES

KINDS = {**TABLES, **SURVEYS}
OUTCOMES = ("right", "refused", "different")


def check(program, work, kind, seed, keep=False):
    """Writes the file of a kind and a seed, reads it, and says what became of it."""
    with tempfile.TemporaryDirectory(dir=work, prefix=f"{kind}-{seed}-") as folder:
        folder = work / f"kept-{kind}-{seed}" if keep else Path(folder)
        folder.mkdir(exist_ok=True)
        try:
            random = np.random.default_rng([seed, list(KINDS).index(kind)])
            return KINDS[kind](random, folder).check(program)
        except Different as different:
            return "different", str(different)
        except Exception:
            return "different", "the script itself failed: " + traceback.format_exc()


def run(args, work):
    program = Program(args.program, work)
    if args.only:
        kind, seed = args.only
        outcome, said = check(program, work, kind, int(seed), keep=True)
        print(f"{kind} {seed}: {outcome}  {said}\n{work}/kept-{kind}-{seed}")
        return outcome == "different"
    kinds = [kind for kind in KINDS if not args.kind or kind in args.kind]
    seeds = np.random.SeedSequence(args.seed).generate_state(args.files)
    jobs = [(kinds[index % len(kinds)], int(seed)) for index, seed in enumerate(seeds)]
    counts = {kind: Counter() for kind in kinds}
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        futures = [pool.submit(check, program, work, *job) for job in jobs]
        for (kind, seed), future in zip(jobs, futures):
            outcome, said = future.result()
            counts[kind][outcome] += 1
            if outcome == "different" or args.verbose:
                print(f"{outcome:9} --only {kind} {seed}  {said}", flush=True)
    print("\n" + "".join(f"{title:>10}" for title in ("files", *OUTCOMES)) + "  kind")
    for kind, count in [*counts.items(), ("all", sum(counts.values(), Counter()))]:
        numbers = (count.total(), *(count[outcome] for outcome in OUTCOMES))
        print("".join(f"{number:>10}" for number in numbers) + f"  {kind}")
    return sum(count["different"] for count in counts.values()) > 0


def main():
    parser = argparse.ArgumentParser(prog="check_readers", description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="?", type=int, default=1000, help="how many files [1000]")
    parser.add_argument("seed", nargs="?", type=int, default=0, help="what they are drawn from [0]")
    parser.add_argument("--only", nargs=2, metavar=("KIND", "SEED"), help="makes one file again and keeps it")
    parser.add_argument("--kind", action="append", choices=list(KINDS), help="only this kind; may be repeated")
    parser.add_argument("--verbose", action="store_true", help="prints what became of every file")
    parser.add_argument("--program", required=True, help=argparse.SUPPRESS)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(tempfile.mkdtemp()) if args.only else Path(folder)
        prepare(args.program, work)
        sys.exit(run(args, work))


if __name__ == "__main__":
    main()
