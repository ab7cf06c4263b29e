"""The cases of scripts/check_cases: what is run on each input, and what is right."""

import json
import os
import subprocess
import sys
import traceback
from pathlib import Path

import h5py
import numpy as np

from reader_checks import Different, Program, last, prepare

WORK = Path(sys.argv[2])
PROGRAM = Program(sys.argv[1], WORK)
CASES = []


class Run:
    """One command and what it said."""

    def __init__(self, *args):
        done = PROGRAM.run(None, *args)
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr

    @property
    def json(self):
        if self.code != 0:
            raise Different(f"exit code {self.code}: {self.last()}")
        return json.loads(self.out)

    def last(self):
        return last(self.err)

    def refused(self, *words):
        """Whether the command was refused with a message of these words."""
        missing = [word for word in words if word.lower() not in last(self.err).lower()]
        if self.code != 2 or missing:
            raise Different(f"exit code {self.code}, {missing} not in: {self.last()}")
        return True


def case(number, what):
    def add(check):
        CASES.append((number, what, check))
        return check

    return add


def expect(condition, said):
    if not condition:
        raise Different(said)


def close(value, wanted, tolerance, what):
    expect(value is not None and abs(value - wanted) <= tolerance, f"{what} is {value}, not {wanted}")


def inspect(path):
    return Run("inspect", path, "--json")


def embed(kind, path, *more):
    out = Path(f"{Path(path).name}.{kind}.emb.h5").absolute()
    run = Run("embed", "--weights", WORK / kind / "model.safetensors", "--data", path, "--out", out, "--quiet", *more)
    return run, out


def ids_of(out):
    with h5py.File(out) as file:
        return [x.decode() if isinstance(x, bytes) else int(x) for x in file["object_id"][:]]


def spectrum_ids(path):
    run, out = embed("spectrum", path)
    expect(run.code == 0, run.last())
    return ids_of(out)


@case("01", "identifiers above 2^63")
def _():
    with h5py.File("spectra_u64.h5") as file:
        right = [int(x) for x in file["targetid"][:]]
    expect(spectrum_ids("spectra_u64.h5") == right, "embed changes identifiers")
    found = Run("search", "emb_u64.h5", "--id", right[1], "--json", "-k", 2).json
    expect(found[0]["object_id"] == right[1], f"search finds {found[0]}")
    joined = Run("match", "ids.csv", "ids.csv", "--on", "id", "--out", "joined.csv")
    text = Path("joined.csv").read_text() if joined.code == 0 else joined.last()
    expect(all(str(x) in text for x in right), text[:200])


@case("02", "uint16, 32, 64 in FITS")
def _():
    for name, ids in (
        ("u64.fits", [39627788403084375, 9223372036854775807]),
        ("u64_big.fits", [9223372036854775808, 11998197826060468224]),
        ("u64_cfitsio.fits", [39627788403084375]),
        ("u16u32.fits", [39627788403084375, 65535, 4294967295]),
    ):
        Run("match", name, name, "--on", "id", "--out", f"{name}.csv")
        text = Path(f"{name}.csv").read_text()
        expect(all(str(x) in text for x in ids), f"{name}: {text[:200]}")


@case("04", "FIBERSTATUS; single exposures")
def _():
    old = inspect("coadd-old.fits").json
    expect(old["galaxies"] == 3, f"coadd-old has {old['galaxies']} galaxies")
    single = inspect("spectra-4-1.fits").json
    expect(single["galaxies"] == 2, f"spectra-4-1 has {single['galaxies']} galaxies")
    expect(single["redshifts"]["known"] == 2, "redrock beside spectra is not found")
    expect(any("exposure" in note for file in single["files"] for note in file["notes"]), "no word of exposures")


@case("05", "a camera was off")
def _():
    run = inspect("coadd-no-z.fits")
    if run.code == 2:
        return run.refused("arm")
    close(run.json["flux"]["mean"], 2.0, 0.3, "mean flux")
    said = " ".join(note for file in run.json["files"] for note in file["notes"])
    expect("median" in said or "not covered" in said or "cover" in said, f"not said: {said}")


@case("06", "masses in the second table")
def _():
    run = Run("eval", "properties", "--embeddings", "emb.h5", "--labels", "fastspec-test.fits", "--json")
    if run.code == 2:
        return run.refused("SPECPHOT")
    expect("log_mstar" in run.out, run.out[:300])


@case("07", "identifiers of a spreadsheet")
def _():
    Run("match", "ok.csv", "vi.csv", "--on", "id", "--out", "o.csv").refused("3.96E+16", "TARGETID")
    Run("match", "ok.csv", "merged.csv", "--on", "id", "--out", "o.csv").refused("TARGETID")
    decimal = Run("match", "ok.csv", "decimal.csv", "--on", "id", "--out", "o.csv")
    if decimal.code != 0:
        return decimal.refused("39627788403084375.0")
    expect("39627788403084375" in Path("o.csv").read_text(), "digits are lost")


@case("08", "header of numpy.savetxt")
def _():
    for name in ("saved.csv", "saved_space.txt"):
        run = inspect(name)
        if run.code == 2:
            run.refused("#")
            continue
        names = [column["name"] for column in run.json["columns"]]
        expect(run.json["rows"] == 50 and names == ["targetid", "ra", "dec", "z"], f"{run.json['rows']} rows, {names}")
    joined = Run("match", "saved.csv", "other.csv", "--on", "sky", "--out", "o.csv")
    expect(joined.code == 0 and len(Path("o.csv").read_text().splitlines()) == 51, joined.last())


def redshift_result(labels):
    run = Run("eval", "redshift", "--embeddings", "emb.h5", "--labels", labels, "--seeds", 1, "--json")
    scores = [row for row in run.json["results"] if row["model"] != "chance"]
    return scores[0], run


@case("09", "placeholders for unknown")
def _():
    right, _ = redshift_result("labels_nan.csv")
    for name in ("m99", "m9", "m1", "m9999"):
        got, run = redshift_result(f"labels_{name}.csv")
        expect(got == right, f"{name}: {got} is not {right}")
        expect("unknown" in run.err, f"{name}: not said")
    args = ("eval", "properties", "--embeddings", "emb.h5", "--seeds", 1, "--json")
    out = Run(*args, "--labels", "labels_age.csv")
    ages = [row for row in out.json["results"] if row["target"] == "tage_mw"]
    expect(min_r2(ages) > 0.9, f"ages: {ages[:1]}")


def min_r2(rows):
    return min((row["r2"] for row in rows), default=float("nan"))


def tensors(path):
    """Names, types and bytes of all tensors of a safetensors file."""
    data = Path(path).read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header.pop("__metadata__", None)
    body = data[8 + size :]
    return {name: (of["dtype"], of["shape"], body[slice(*of["data_offsets"])]) for name, of in header.items()}


@case("10", "a magnitude called z")
def _():
    run = Run("eval", "redshift", "--embeddings", "emb.h5", "--labels", "sdss.csv", "--seeds", 1, "--json")
    if run.code == 2:
        return run.refused("redshift", "z")
    expect("zspec" in run.err, "what was taken is not said")
    expect(min_r2([row for row in run.json["results"] if row["model"] != "chance"][:1]) > 0.98, run.out[:300])


@case("11", "checkpoints of compiled models")
def _():
    for name in ("same", "whole", "parts", "backbone", "model", "ddp", "ddp_compiled"):
        run = Run("import", f"{name}.ckpt", "--out", f"{name}.safetensors")
        expect(run.code == 0, f"{name}: {run.last()}")
    same = tensors("same.safetensors")
    for name in ("whole", "parts", "backbone", "model", "ddp", "ddp_compiled"):
        expect(tensors(f"{name}.safetensors") == same, f"{name} differs from same")


@case("12", "DINOv2's own checkpoints")
def _():
    run = Run("import", "model_final.rank_0.pth", "--out", "o.safetensors")
    expect(run.code == 0, run.last())
    Run("import", "flat.rank_0.pth", "--out", "f.safetensors").refused("flat_param")


@case("13", "SDSS of the Multimodal Universe")
def _():
    right = [299489676975171584 + 2**38 * i for i in range(8)]
    for name, rows in (
        ("sdss_one_plate.hdf5", [3, 4]),
        ("sdss_padded.hdf5", [0, 1, 2]),
        ("sdss_two_plates.hdf5", [0, 1, 2, 3, 4]),
    ):
        expect(spectrum_ids(name) == [right[row] for row in rows], f"{name}: identifiers")
        flux = inspect(name).json["flux"]
        close(flux["median"], 5.0, 0.6, f"{name}: median flux")


@case("14", "DESI of the Multimodal Universe")
def _():
    right = [39627788403084375 + i for i in range(6)]
    for name in ("mmu_desi", "mmu_desi_intid", "mmu_desi_lambda_first", "mmu_desi_ivar_first"):
        flux = inspect(f"{name}.parquet").json["flux"]
        close(flux["largest"], 3.35, 0.2, f"{name}: largest flux")
        expect(spectrum_ids(f"{name}.parquet") == right, f"{name}: identifiers")


@case("15", "8-bit RGB pictures")
def _():
    inspect("Galaxy10_DECals.h5").refused("8-bit")
    embed("image", "gz10_healpix.h5")[0].refused("8-bit")


@case("16", "a file of a killed writer")
def _():
    run = inspect("killed.h5")
    run.refused("h5clear")
    expect("fetch" not in run.err, run.last())


@case("17", "external links, virtual data, user blocks")
def _():
    for name in ("master_spectra.h5", "master.h5", "vds.h5", "userblock.h5", "external_raw.h5"):
        run = inspect(name)
        if run.code == 2:
            expect("spectra_part.h5" in run.err or "raw.bin" in run.err, run.last())
            continue
        close(run.json["flux"]["median"], 3.04, 0.1, f"{name}: median flux")
        close(run.json["flux"]["largest"], 4.336, 0.001, f"{name}: largest flux")
    Path("spectra_part.h5").unlink()
    for name in ("master_spectra.h5", "master.h5", "vds.h5"):
        inspect(name).refused("spectra_part.h5")


@case("18", "filters")
def _():
    import hdf5plugin

    for name in ("gzip", "lzf", "fletcher", "scaleoffset"):
        close(inspect(f"{name}.h5").json["flux"]["median"], 3.0, 0.1, name)
    for name in ("blosc", "bitshuffle", "zstd", "lz4"):
        run = embed("spectrum", f"{name}.h5")[0]
        run.refused("ASTROCLIP_HDF5_PLUGINS")
        expect("damaged" not in run.err and "target/" not in run.err, run.last())
    os.environ["ASTROCLIP_HDF5_PLUGINS"] = hdf5plugin.PLUGIN_PATH
    close(inspect("blosc.h5").json["flux"]["median"], 3.0, 0.1, "blosc with plugins")
    del os.environ["ASTROCLIP_HDF5_PLUGINS"]


@case("19", "half precision")
def _():
    close(inspect("images_f16.h5").json["bands"][0]["median"], 0.02, 0.002, "images")
    close(inspect("spectra_f16.h5").json["flux"]["median"], 3.0, 0.1, "spectra")
    for labels in ("labels_f16.parquet", "labels_f16.h5"):
        run = Run("eval", "redshift", "--embeddings", "emb_f16.h5", "--labels", labels, "--seeds", 1, "--json")
        expect(min_r2([row for row in run.json["results"] if row["model"] != "chance"][:1]) > 0.98, f"{labels}: {run.out[:200]}")


@case("20", "catalogues of pandas")
def _():
    for name in ("table.h5", "fixed.h5", "table_dc.h5"):
        run = Run("match", "plain.csv", name, "--on", "id", "--out", f"{name}.csv")
        if run.code == 2:
            run.refused("to_parquet")
        else:
            header = Path(f"{name}.csv").read_text().splitlines()[0]
            expect("LOGMSTAR" in header and "values_block" not in header, f"{name}: {header}")
        seen = inspect(name)
        expect(seen.code == 0 and "LOGMSTAR" in seen.out or "to_parquet" in seen.err, f"inspect {name}: {seen.last()}")
    for name in ("indexed.parquet", "zstd.parquet"):
        run = Run("match", "plain.csv", name, "--on", "id", "--out", f"{name}.csv")
        expect(run.code == 0 and len(Path(f"{name}.csv").read_text().splitlines()) == 50, f"{name}: {run.last()}")


@case("21", "ivar without a mask")
def _():
    for name in ("with_ivar.h5", "with_mask.h5"):
        close(inspect(name).json["flux"]["largest"], 2.914, 0.001, f"{name}: largest flux")
    out = [embed("spectrum", name)[1] for name in ("with_ivar.h5", "with_mask.h5")]
    with h5py.File(out[0]) as one, h5py.File(out[1]) as other:
        expect(np.array_equal(one["spectrum_embeddings"], other["spectrum_embeddings"]), "embeddings differ")


@case("22", ".fits.gz and .fits.fz")
def _():
    run = inspect("mixed")
    if run.json["galaxies"] != 6:
        expect("passed over" in run.err, f"{run.json['galaxies']} galaxies, no word")
        raise Different("not all are read")
    run, out = embed("image", "mixed")
    expect(run.code == 0 and ids_of(out) == [39627788403084370 + i for i in range(6)], run.last())
    one = inspect("allgz/39627788403084372.fits.gz")
    expect(one.json["galaxies"] == 1, one.out[:200])


@case("23", "others' embeddings; no direction")
def _():
    found = Run("search", "emb.h5", "--id", 1020, "--json").json
    expect({found[0]["object_id"], found[1]["object_id"]} == {1020, 1021}, found[:2])
    expect(inspect("emb.h5").json["kind"] == "embeddings", "inspect")
    Run("search", "own.h5", "--id", 1011).refused("zero")
    Run("search", "own.h5", "--id", 1007).refused("not finite")


@case("24", "positions")
def _():
    for name in ("deg", "signed"):
        run = Run("match", "deg.csv", f"{name}.csv", "--on", "sky", "--out", f"{name}.out.csv")
        expect(len(Path(f"{name}.out.csv").read_text().splitlines()) == 31, run.last())
    for name in ("hms", "hms_letters"):
        run = Run("match", "deg.csv", f"{name}.csv", "--on", "sky", "--out", f"{name}.out.csv")
        expect(run.code == 2 or len(Path(f"{name}.out.csv").read_text().splitlines()) == 31, run.last())


@case("25", "names of cutouts; rotated frames")
def _():
    for folder, count in (("iau", 3), ("radec", 3)):
        run, out = embed("image", folder)
        expect(run.code == 0 and len(set(ids_of(out))) == count, f"{folder}: {run.last()}")
        stems = {path.stem for path in Path(folder).iterdir()}
        given = {str(one) for one in ids_of(out)}
        expect(given == stems or given == {str(-1 - i) for i in range(count)}, f"{folder}: {given}")
    expect(ids_of(embed("image", "good")[1]) == [39627788403084375, 39627788403084376], "good")
    notes = [note for file in inspect("rotated").json["files"] for note in file["notes"]]
    expect(not any("arcsec" in note for note in notes), f"rotated: {notes}")


def main():
    prepare(sys.argv[1], WORK)
    failed = 0
    for number, what, check in CASES:
        try:
            os.chdir(WORK / "cases" / number)
            made = subprocess.run([sys.executable, "make.py"], capture_output=True, text=True)
            if made.returncode != 0:
                raise Different(f"make.py: {made.stderr[-300:]}")
            said, verdict = "", "right"
            check()
        except Different as different:
            said, verdict = str(different), "WRONG"
        except Exception as error:
            said, verdict = "".join(traceback.format_exception_only(error)).strip(), "WRONG"
        failed += verdict == "WRONG"
        print(f"{number}  {what:42} {verdict}  {said}".rstrip(), flush=True)
    print(f"{len(CASES) - failed} of {len(CASES)} right or refused by name")
    sys.exit(1 if failed else 0)


main()
