"""Tables for scripts/check_catalogue: written by astroclip in every format, read by other programs and compared.

To check a further command, add a function to TABLES that gives its arguments without `--out`, and what its columns hold
where that is known.
"""

import json
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import h5py
import numpy as np
import pandas
import pyarrow.parquet
from astropy.io import fits, votable
from astropy.table import Table

PROGRAM, GALAXIES, WORK = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
ENDINGS = ("fits", "vot", "parquet", "h5", "csv")
STILTS = shutil.which("stilts")


# Tables.


def ids():
    """Identifiers of which some are above 2^53, where floating point leaves gaps."""
    random = np.random.default_rng(1)
    return random.permutation(10 * GALAXIES)[:GALAXIES].astype(np.int64) + 39_627_000_000_000_000


def matched():
    """Awkward values of any type, which a join hands through."""
    random = np.random.default_rng(2)
    odd = np.array([np.nan, np.inf, -np.inf, 5e-324, 1.7e308, 0.1, -123456789.125])
    words = np.array(["", "plain", 'quoted "so"', "it's, with a comma", "x" * 300])
    columns = {
        "object_id": ids(),
        "ra": random.uniform(0, 360, GALAXIES),
        "dec": random.uniform(-90, 90, GALAXIES),
        "odd": odd[np.arange(GALAXIES) % len(odd)],
        "large": random.integers(2**63, 2**64, GALAXIES, dtype=np.uint64, endpoint=False),
        "least": np.full(GALAXIES, np.iinfo(np.int64).min),
        "two words": words[np.arange(GALAXIES) % len(words)],
    }
    with h5py.File(WORK / "left.h5", "w") as file:
        for name, values in columns.items():
            text = h5py.string_dtype()
            file.create_dataset(
                f"catalog/{name}", data=values.astype(object) if values.dtype.kind == "U" else values,
                dtype=text if values.dtype.kind == "U" else None)
    pandas.DataFrame({"object_id": ids(), "also": np.arange(GALAXIES)}).to_csv(
        WORK / "right.csv", index=False)
    return ["match", "left.h5", "right.csv", "--on", "id"], columns


def embeddings():
    """Embeddings that know something, and labels of them."""
    random = np.random.default_rng(3)
    hidden = random.normal(size=(GALAXIES, 6))
    with h5py.File(WORK / "emb.h5", "w") as file:
        for kind in ("image", "spectrum"):
            file[f"{kind}_embeddings"] = (
                hidden @ random.normal(size=(6, 16)) + random.normal(size=(GALAXIES, 16)) / 9
            ).astype(np.float32)
        file["object_id"] = ids()
        file["split"] = (np.arange(GALAXIES) % 5 == 0).astype(np.uint8)
    labels = {
        "object_id": ids(),
        "redshift": np.exp(0.5 * hidden[:, 0] - 1.5).clip(0, 8),
        "tage_mw": 5 + np.tanh(hidden[:, 1]),
        "log_mstar": 10 + hidden[:, 2] / 3,
        "mag_g": 20.0 + hidden[:, 3], "mag_r": 19.0 + hidden[:, 3], "mag_z": 18.0 + hidden[:, 3],
    }
    pandas.DataFrame(labels).to_csv(WORK / "labels.csv", index=False)


def predictions():
    return ["eval", "redshift", "--embeddings", "emb.h5", "--labels", "labels.csv"], {}


def posteriors():
    return ["eval", "posterior", "--embeddings", "emb.h5", "--labels", "labels.csv", "--targets", "redshift,tage_mw",
            "--source", "image", "--flows", "1", "--epochs", "5", "--samples", "100"], {}


def estimates():
    """A catalogue of galaxies without labels, with p(z)."""
    run("fit", "--embeddings", "emb.h5", "--labels", "labels.csv", "--targets", "redshift,tage_mw", "--source", "image",
        "--method", "flow", "--out", "estimator.safetensors")
    return ["predict", "--estimator", "estimator.safetensors", "--embeddings", "emb.h5", "--pz", "0:2:21", "--samples",
            "100"], {}


def run(*arguments):
    ended = subprocess.run([PROGRAM, *arguments, "-q"], cwd=WORK, capture_output=True, text=True)
    assert ended.returncode == 0, f"{' '.join(arguments)}: {ended.stderr}"


TABLES = (matched, predictions, posteriors, estimates)
# Units and UCDs that must be there.
DESCRIBED = {
    "eval redshift": {"object_id": ("", "meta.id;meta.main")},
    "eval posterior": {
        "object_id": ("", "meta.id;meta.main"),
        "redshift_median": ("", "src.redshift;stat.median"),
        "tage_mw_true": ("Gyr", "time.age"),
    },
    "predict": {
        "object_id": ("", "meta.id;meta.main"),
        "tage_mw": ("Gyr", "time.age;meta.main"),
    },
}


# Readers: the columns of a file by name, and what it says of them: unit, UCD and description.


def plain(values):
    """An array of numbers or of texts, whatever a library makes of them."""
    if isinstance(values, np.ma.MaskedArray):
        values = values.filled(np.nan if values.dtype.kind == "f" else "" if values.dtype.kind in "OU" else None)
    values = np.asarray(values)
    if values.dtype.kind == "O" and values.size and isinstance(values[0], np.ndarray):
        return np.stack(values)
    if values.dtype.kind in "SO":
        return np.array([of.decode() if isinstance(of, bytes) else str(of) for of in values])
    return values


def of_fits(path):
    with fits.open(path, memmap=False) as file:
        file.verify("exception")
        header = file[1].header
        found = {name: plain(file[1].data[name]) for name in file[1].columns.names}
        said = {
            name: tuple(header.get(f"{key}{index + 1}", "") for key in ("TUNIT", "TUCD", "TCOMM"))
            for index, name in enumerate(found)
        }
    return found, said


def of_votable(path, is_ours=True):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        table = votable.parse(path, verify="warn").get_first_table()
        problems = [str(of.message) for of in caught]
    # A name with a blank makes no identifier within the XML, and astropy makes one up.
    problems = [of for of in problems if "W03" not in of]
    assert not (is_ours and problems), f"astropy warns of {path.name}: {problems}"
    found = {field.name: plain(table.array[field.ID]) for field in table.fields}
    said = {field.name: (str(field.unit or ""), field.ucd or "", (field.description or "").strip()) for field in table.fields}
    return found, said


def of_parquet(path):
    table = pyarrow.parquet.read_table(path)
    metadata = json.loads(table.schema.metadata[b"astroclip"])
    found = {name: plain(table[name].to_numpy()) for name in table.column_names}
    said = {of["name"]: (of["unit"] or "", of["ucd"] or "", of["description"]) for of in metadata["columns"]}
    votable_says = votable.parse(_file(table.schema.metadata[b"IVOA.VOTable-Parquet.content"])).get_first_table()
    names = [field.name for field in votable_says.fields]
    assert names == list(found), f"the VOTable within has the columns {names}"
    return found, said


def _file(content):
    import io
    return io.BytesIO(content)


def of_hdf5(path):
    with h5py.File(path) as file:
        group = file["catalog"]
        found = {name: plain(group[name][()]) for name in group}
        said = {
            name: tuple(group[name].attrs.get(key, "") for key in ("units", "ucd", "description")) for name in group
        }
    return found, said


def of_csv(path):
    types = {"large": np.uint64}
    frame = pandas.read_csv(path, keep_default_na=False, na_values={}, dtype=str)
    found = {}
    for name in frame:
        texts = frame[name].to_numpy(dtype=str)
        for parse in (lambda: texts.astype(types.get(name, np.int64)), lambda: np.array([float(of or "nan") for of in texts])):
            try:
                found[name] = parse()
                break
            except (ValueError, OverflowError):
                continue
        else:
            found[name] = texts
    return found, None


def by_stil(path, ending):
    """What STIL makes of a file, through a VOTable that it writes: in FITS it cuts descriptions short. Without what is true
    of all rows: the comments of FITS become arrays there that astropy does not read."""
    copy = path.with_suffix(".stil.vot")
    subprocess.run([STILTS, "tpipe", f"in={path}", f"ifmt={ending}", f"out={copy}", "ofmt=votable", "cmd=clearparams *"],
                   check=True, capture_output=True, text=True)
    return of_votable(copy, is_ours=False)


READERS = {"fits": of_fits, "vot": of_votable, "parquet": of_parquet, "h5": of_hdf5, "csv": of_csv}


# Comparison.


def same(what, found, expected):
    """Compares columns to the last bit; unknown numbers are NaN."""
    assert sorted(found) == sorted(expected), f"{what}: columns {list(found)} instead of {list(expected)}"
    for name, values in expected.items():
        ours = found[name]
        where = f"{what}: column {name}"
        assert len(ours) == len(values), f"{where}: {len(ours)} rows instead of {len(values)}"
        if values.dtype.kind in "US" or ours.dtype.kind in "US":
            # Trailing blanks are none in FITS; an integer that has no type is text in VOTable.
            equal = np.char.rstrip(ours.astype(str)) == np.char.rstrip(values.astype(str))
        elif values.dtype.kind == "f":
            equal = (ours == values) | (np.isnan(ours) & np.isnan(values))
        else:
            equal = ours == values
        rows = np.argwhere(~np.asarray(equal))[:, 0]
        assert not rows.size, f"{where}: row {rows[0]} is {ours[rows[0]]!r} instead of {values[rows[0]]!r}"


def in_text(columns):
    """Columns as CSV has them: an array is as many, and a number of 32 bits has digits of its own."""
    found = {}
    for name, values in columns.items():
        of = {name: values} if values.ndim == 1 else {f"{name}_{index}": of for index, of in enumerate(values.T)}
        for key, value in of.items():
            is_short = value.dtype == np.float32
            found[key] = np.array([float(str(one)) for one in value]) if is_short else value
    return found


def check(table):
    arguments, known = table()
    command = " ".join(arguments[:2] if arguments[0] == "eval" else arguments[:1])
    files = {}
    for ending in ENDINGS:
        path = WORK / f"{table.__name__}.{ending}"
        run(*arguments, "--out", path.name)
        files[ending] = path
    expected, described = of_hdf5(files["h5"])
    if known:
        same(f"{command}, what went in", {name: expected[name] for name in known}, known)
    for name, (unit, ucd) in DESCRIBED.get(command, {}).items():
        assert described[name][:2] == (unit, ucd), f"{command}: {name} is described by {described[name]}"
    for ending, path in files.items():
        found, said = READERS[ending](path)
        same(f"{command}.{ending}", found, in_text(expected) if ending == "csv" else expected)
        for name in said or {}:
            assert said[name] == described[name], f"{command}.{ending}: {name} is {said[name]}, not {described[name]}"
    if STILTS:
        lint = subprocess.run([STILTS, "votlint", files["vot"]], capture_output=True, text=True)
        assert lint.returncode == 0 and not lint.stdout + lint.stderr, f"votlint: {lint.stdout}{lint.stderr}"
        for ending, name in (("fits", "fits"), ("vot", "votable")):
            found, said = by_stil(files[ending], name)
            same(f"{command}.{ending} by STIL", found, expected)
            for name in said:
                assert said[name] == described[name], f"{command}.{ending} by STIL: {name} is {said[name]}"
    rows = len(next(iter(expected.values())))
    print(f"{command}: {rows} rows, {len(expected)} columns: the same in {', '.join(files)}")


def main():
    embeddings()
    for table in TABLES:
        check(table)
    readers = "astropy, pyarrow, h5py, pandas"
    if STILTS:
        print(f"read by {readers}, STIL; votlint finds nothing. STIL did not read Parquet, which stilts of Debian cannot")
    else:
        print(f"read by {readers}. Not checked: STIL and votlint, as there is no stilts (apt-get install stilts)")


if __name__ == "__main__":
    try:
        main()
    except AssertionError as different:
        sys.exit(f"different: {different}")
