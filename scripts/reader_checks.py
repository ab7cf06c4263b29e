"""What astroclip reads from a file, and whether that is what was written."""

import json
import math
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

# Rows of the list of identifiers that every table is joined to.
MOST_ROWS = 16
# The wavelengths of DESI, Å, in 64 bits; what the survey expects where nothing else is said.
GRID = 3600.0 + 0.8 * np.arange(7781)
# Side of images, pixels.
SIDE = 24


class Different(Exception):
    """A value came out other than it was written, or a message does not say what is wrong."""


@dataclass
class Program:
    """The program, and the folder with the models."""

    path: str
    work: Path

    def run(self, folder, *args):
        done = subprocess.run(
            [self.path, *map(str, args)], capture_output=True, text=True, timeout=120, cwd=folder, errors="replace"
        )
        if "panicked" in done.stderr or done.returncode not in (0, 1, 2):
            raise Different(f"exit code {done.returncode}: {last(done.stderr)}")
        return done


def last(text):
    return " ".join(text.split())[-500:]


def prepare(program, work):
    """Two encoders of one step, and the identifiers that tables are joined to."""
    rows = np.arange(1, MOST_ROWS + 1)
    np.savetxt(work / "keys.csv", np.transpose([rows, rows]), "%d", ",", header="id,key", comments="")
    run = Program(program, work).run
    made = run(work, "simulate", "--galaxies", 16, "--out", "survey.h5")
    if made.returncode != 0:
        raise SystemExit(made.stderr)
    for kind, preset, settings in (
        ("image", "tiny-vit", f"[model]\nimage_size = {SIDE}\n[images.crops]\nglobal_size = {SIDE}\nlocal_size = 12\n"),
        ("spectrum", "tiny-specformer", ""),
    ):
        (work / f"{kind}.toml").write_text(f'base = "{preset}"\n[train]\nsteps = 1\nbatch_size = 8\n{settings}')
        done = run(work, f"pretrain-{kind}", "--config", f"{kind}.toml", "--data", "survey.h5", "--out", kind, "--quiet")
        if done.returncode != 0:
            raise SystemExit(done.stderr)


def refusal(done, path, names):
    """What became of a command that failed: its message must name the file and one of `names`."""
    said = " ".join(done.stderr.split())
    if done.returncode != 2:
        raise Different(f"exit code {done.returncode}: {last(said)}")
    if Path(path).name not in said:
        raise Different(f"the file is not named: {last(said)}")
    if names and not any(str(name) in said for name in names):
        raise Different(f"none of {sorted(map(str, names))} is named: {last(said)}")
    return last(said)


@dataclass
class Column:
    """Cells of a column as they are meant: integers, floating point, text, None where unknown."""

    name: str
    cells: list
    # Whether the column may be left out: its type makes no column.
    optional: bool = False
    # Text as the file has it, for a cell that may be told otherwise; such as a number among text.
    raw: list = None
    # Whether a number may come out as the nearest of 64 bits.
    rounded: bool = False


def decoded(dataset):
    values = dataset[()]
    if h5py.check_string_dtype(dataset.dtype):
        return [value.decode() if isinstance(value, bytes) else value for value in values]
    return values.tolist()


def same(read, meant, raw, rounded):
    """Whether a cell that was read is the one that was meant."""
    if isinstance(read, float) and math.isnan(read) or read == "":
        return meant is None or isinstance(meant, float) and math.isnan(meant) or isinstance(meant, str) and not meant.strip()
    if meant is None:
        return raw is not None and read == raw
    if isinstance(meant, bool):
        meant = int(meant)
    if isinstance(meant, str):
        if isinstance(read, str):
            return read == meant.rstrip() or raw is not None and read == meant.strip()
        # Text of digits is a number where a format has no types.
        try:
            return raw is not None and float(meant) == read
        except ValueError:
            return False
    if isinstance(read, str):
        if raw is not None and read == raw:
            return True
        try:
            return (int(read) if isinstance(meant, int) else float(read)) == meant
        except ValueError:
            return False
    if isinstance(meant, int):
        return read == meant or rounded and isinstance(read, float) and read == float(meant)
    return float(read) == meant


@dataclass
class TableFile:
    """A table, and what is in it beside the identifiers 1, 2, 3, …"""

    path: Path
    columns: list
    rows: int
    # Why the file may be refused; a plain one must be read.
    odd: list = field(default_factory=list)
    # Names of which a refusal must have one.
    names: list = None

    def check(self, program):
        out = self.path.parent / "read.h5"
        done = program.run(self.path.parent, "match", program.work / "keys.csv", self.path, "--on", "id", "--out", out)
        names = [column.name for column in self.columns] + ["id"] if self.names is None else self.names
        if done.returncode != 0:
            said = refusal(done, self.path, names if not self.odd else names + ["line"])
            if not self.odd:
                raise Different(f"a plain file is refused: {said}")
            return "refused", said
        with h5py.File(out) as file:
            read = {name: decoded(file["catalog"][name]) for name in file["catalog"]}
        if len(read["id"]) != self.rows:
            raise Different(f"{len(read['id'])} of {self.rows} rows are read; {self.odd}")
        warned = " ".join(done.stderr.split())
        for column in self.columns:
            if column.name not in read:
                if column.optional or column.name in warned:
                    continue
                raise Different(f"column {column.name} is not there; there are {list(read)}; {self.odd}")
            raw = column.raw or [None] * self.rows
            for row, cell in enumerate(read[column.name]):
                if same(cell, column.cells[row], raw[row], column.rounded):
                    continue
                is_unknown = cell == "" or isinstance(cell, float) and math.isnan(cell)
                if is_unknown and column.raw and column.name in warned:
                    continue
                raise Different(
                    f"column {column.name} row {row}: {cell!r} is read, {column.cells[row]!r} was written; {self.odd}"
                )
        return "right", ""


@dataclass
class JoinFile:
    """Identifiers in a table of any format: each is joined to its own row of a list of all."""

    path: Path
    # As text, in the order of rows; None for those that are unknown.
    ids: list
    name: str
    odd: list = field(default_factory=list)

    def check(self, program):
        folder = self.path.parent
        known = [row for row, name in enumerate(self.ids) if name is not None]
        others = ["another", "-77", "9007199254740995"]
        with h5py.File(folder / "list.h5", "w") as file:
            names = [self.ids[row] for row in reversed(known)] + others
            file["object_id"] = np.array(names, dtype=h5py.string_dtype())
            file["row_of"] = np.array([*reversed(known), -1, -1, -1])
        out = folder / "joined.csv"
        done = program.run(
            folder, "match", self.path, "list.h5", "--on", "id", "--id-column", self.name,
            "--right-id-column", "object_id", "--out", out,
        )
        if done.returncode != 0:
            # The list has the same identifiers, odd ones too.
            said = refusal(done, "list.h5" if self.odd and "list.h5: " in done.stderr else self.path, [self.name, "object_id", "identifier"])
            if not self.odd:
                raise Different(f"a plain file is refused: {said}")
            return "refused", said
        header, *rows = [line.split(",") for line in out.read_text().splitlines()]
        at = [header.index(name) for name in ("row", "row_of")]
        pairs = [tuple(int(float(row[place])) for place in at) for row in rows]
        if pairs != [(row, row) for row in known]:
            raise Different(f"rows {pairs} are joined, not {known}, of {self.ids}; {self.odd}")
        return "right", ""


@dataclass
class SurveyFile:
    """Galaxies: what the program must make of them."""

    path: Path
    # Identifiers as the embedding file has them; None where there are none.
    ids: list
    # NaN where unknown.
    redshifts: np.ndarray
    # (n, bands, y, x), or None.
    images: np.ndarray = None
    # (n, pixels) at `wavelengths`, without bad pixels; or None.
    spectra: np.ndarray = None
    wavelengths: np.ndarray = None
    options: list = field(default_factory=list)
    odd: list = field(default_factory=list)
    names: list = field(default_factory=list)

    def reference(self):
        """The same galaxies in the plainest file."""
        path = self.path.parent / "reference.h5"
        with h5py.File(path, "w") as file:
            if self.images is not None:
                file["images"] = self.images.astype("<f4")
            else:
                file["flux"] = self.spectra.astype("<f4")
                file["wave"] = self.wavelengths
        return path

    def check(self, program):
        folder, kind = self.path.parent, "spectrum" if self.images is None else "image"
        embed = ["--weights", program.work / kind / "model.safetensors", "--quiet", "--device", "cpu", "--raw"]
        done = program.run(folder, "embed", *embed, "--data", self.path, "--out", "read.h5", *self.options)
        if done.returncode != 0:
            said = refusal(done, self.path, self.names)
            if not self.odd:
                raise Different(f"a plain file is refused: {said}")
            return "refused", said
        self.check_values(json.loads(self.inspected(program)), kind)
        plain = program.run(folder, "embed", *embed, "--data", self.reference(), "--out", "plain.h5")
        if plain.returncode != 0:
            raise Different(f"the reference is refused: {last(plain.stderr)}")
        with h5py.File(folder / "read.h5") as read, h5py.File(folder / "plain.h5") as plain:
            ids = [x.decode() if isinstance(x, bytes) else str(x) for x in read["object_id"][()]]
            meant = [str(-1 - row) if name is None else name for row, name in enumerate(self.ids)]
            if ids != meant:
                raise Different(f"identifiers {ids} are read, {meant} were written; {self.odd}")
            redshifts = read["redshift"][()]
            if not np.array_equal(redshifts, self.redshifts.astype("f4"), equal_nan=True):
                raise Different(f"redshifts {redshifts} are read, {self.redshifts} were written; {self.odd}")
            one, other = (file[f"{kind}_embeddings"][()] for file in (read, plain))
            if not np.allclose(one, other, rtol=1e-4, atol=1e-4):
                raise Different(f"embeddings differ by {np.abs(one - other).max():.2g} from a plain file's; {self.odd}")
        return "right", ""

    def inspected(self, program):
        done = program.run(self.path.parent, "inspect", self.path, "--json", *self.options)
        if done.returncode != 0:
            raise Different(f"embed reads what inspect does not: {last(done.stderr)}")
        return done.stdout

    def check_values(self, read, kind):
        count = len(self.ids)
        if read["galaxies"] != count:
            raise Different(f"{read['galaxies']} galaxies are read, {count} were written; {self.odd}")
        if read["unusable"]:
            raise Different(f"{read['unusable']} galaxies cannot be used; {self.odd}")
        if kind == "image":
            meant = [self.images[:, band].astype("f4") for band in range(self.images.shape[1])]
            found = read["bands"]
        else:
            if len(self.wavelengths) != len(GRID):
                return
            meant, found = [self.spectra.astype("f4")], [read["flux"]]
        for values, got in zip(meant, found, strict=True):
            values = np.sort(values.astype("f8").ravel())
            wanted = {
                "least": values[0],
                "largest": values[-1],
                "median": values[len(values) // 2],
                "mean": values.mean(),
                "std": values.std(),
            }
            for name, value in wanted.items():
                if not math.isclose(got[name], value, rel_tol=2e-6, abs_tol=2e-6 * wanted["std"]):
                    raise Different(f"{got['name']}: {name} is {got[name]}, {value} was written; {self.odd}")
