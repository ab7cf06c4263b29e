"""Broken files for scripts/torture corpus: a function for each kind, which makes one from sound files."""

import gzip
import os
import socket
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pyarrow
import pyarrow.parquet
from astropy.io import fits

# Numbers that a header, a table or a setting may claim.
CLAIMS = [0, -1, 1, 2, 3, 7, 255, 2**15, 2**31 - 1, 2**31, 2**32, 2**40, 2**62, 2**63 - 1, -(2**63)]
WORDS = ["nan", "inf", "-inf", "1e308", "1e999", "-99", "", "0x10", "é", "\x00", "'", '"', "--", "1,2", "[1", "9" * 400]


@dataclass
class Broken:
    """A file that is somehow wrong, and what the program may do with it."""

    role: str
    path: Path
    how: str
    must_be_refused: bool = False
    # Nothing in it is wrong.
    must_be_read: bool = False
    # Commands that do not look at what is wrong.
    may_accept: tuple = ()
    # Commands for which the file is none.
    unread: tuple = ()

    def is_named_in(self, text):
        # In a message, what is no text is shown as it can be.
        name = os.fsencode(Path(self.path).name).decode("utf-8", "replace")
        # Of a path that is no text, the parser of the command line says no more where it expects the name of a preset too.
        return name in text or str(self.path) in text or "invalid UTF-8 was detected in one or more arguments" in text


@dataclass
class Sound:
    """The folder of sound files."""

    folder: Path

    def path(self, name):
        return self.folder / name

    def bytes(self, name):
        return self.path(name).read_bytes()

    @property
    def id(self):
        return self.path("labels.csv").read_text().splitlines()[1].split(",")[0]

    def galaxies(self, rows=6):
        """Images (n, y, x, band), spectra (n, pixels), redshifts and identifiers of some galaxies."""
        with h5py.File(self.path("survey.h5")) as file:
            groups = [file[name] for name in file if "images" in file[name]]
            images, spectra = (np.concatenate([group[name] for group in groups])[:rows] for name in ("images", "spectra"))
        count = len(images)
        ids = 10**9 + np.arange(count)
        return {"images": images, "spectra": spectra.reshape(count, -1), "redshifts": np.linspace(0.1, 0.5, count, dtype="f4"), "targetids": ids}


def pick(random, values):
    return values[int(random.integers(len(values)))]


def damaged(random, data):
    """Bytes with something wrong at a random place, and what: cut short, turned bits, a block of zeros or of another
    place, something more."""
    data, size = bytearray(data), len(data)
    # Headers are where it hurts: most places are among the first, or the last.
    place = pick(random, [random.integers(size), random.integers(min(size, 4096)), size - 1 - random.integers(min(size, 4096))])
    place, how = int(place), pick(random, ["cut", "bits", "bits", "zeros", "moved", "number", "more"])
    if how == "cut":
        return bytes(data[:place]), f"cut to {place} of {size} bytes"
    if how == "bits":
        places = [place + int(step) for step in random.integers(0, 64, int(random.integers(1, 9))) if place + int(step) < size]
        for at in places:
            data[at] ^= 1 << int(random.integers(8))
        return bytes(data), f"turned bits at {places}"
    length = int(random.integers(1, 2048))
    if how == "zeros":
        data[place : place + length] = bytes(min(length, size - place))
    elif how == "moved":
        start = int(random.integers(size))
        data[place : place + length] = data[start : start + length]
    elif how == "number":
        number = struct.pack(pick(random, ["<q", ">q"]), pick(random, CLAIMS))
        data[place : place + 8] = number
    else:
        data[place:place] = random.bytes(length)
    return bytes(data), f"{how} {length} bytes at {place} of {size}"


def write(folder, name, data):
    path = folder / name
    path.write_bytes(data)
    return path


def bytes_of(name, role, ending):
    """A kind: the sound file of this name with damaged bytes."""

    def make(random, folder, sound):
        data, how = damaged(random, sound.bytes(name))
        return Broken(role, write(folder, f"broken.{ending}", data), how)

    return make


# Surveys in HDF5.


def survey(folder, parts, group="0"):
    path = folder / "survey.h5"
    with h5py.File(path, "w") as file:
        for name, part in parts.items():
            part(file, f"{group}/{name}") if callable(part) else file.create_dataset(f"{group}/{name}", data=part)
    return path


def shapes(random, folder, sound):
    parts = sound.galaxies()
    name = pick(random, list(parts))
    values = parts[name]
    ways = {
        "no rows": lambda: values[:0],
        "fewer rows": lambda: values[:2],
        "more axes": lambda: values[..., None, None],
        "no pixels": lambda: values.reshape(len(values), -1)[:, :0],
        "one number": lambda: values.ravel()[0],
        "text": lambda: np.array([b"abc"] * len(values)),
        "complex numbers": lambda: values.astype("c16"),
        "records": lambda: np.zeros(len(values), [("a", "f4"), ("b", "i4")]),
        "references": lambda: lambda file, at: file.create_dataset(at, (len(values),), h5py.ref_dtype),
        "lists": lambda: lambda file, at: file.create_dataset(at, (len(values),), h5py.vlen_dtype("f4")),
        "nothing": lambda: h5py.Empty("f4"),
        "a group": lambda: lambda file, at: file.create_group(at),
    }
    how = pick(random, list(ways))
    others = tuple(f"pretrain-{kind} ~" for kind, part in (("image", "images"), ("spectrum", "spectra")) if name != part)
    # Identifiers may be text, and an image may be of one number.
    sure = name in ("images", "spectra") and how != "a group"
    return Broken("survey", survey(folder, {**parts, name: ways[how]()}), f"{name}: {how}", sure, may_accept=others)


def values(random, folder, sound):
    parts = sound.galaxies()
    name, value = pick(random, ["images", "spectra", "redshifts"]), pick(random, [np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-45, 0.0])
    rows = slice(1, 2) if random.random() < 0.5 else slice(None)
    parts[name] = parts[name].copy()
    parts[name][rows] = value
    reads = tuple(f"pretrain-{kind} ~" for kind in ("image", "spectrum"))
    sure = name != "redshifts" and not np.isfinite(value)
    return Broken("survey", survey(folder, parts), f"{name} {rows}: {value}", bool(sure), may_accept=("inspect", *reads))


def claims(random, folder, sound):
    """Sizes that are claimed, and chunks that were never written, are too large, or become too large."""
    parts = sound.galaxies()
    side = parts["images"].shape[1]
    rows = len(parts["images"])

    def empty(shape, chunks, **more):
        return lambda file, at: file.create_dataset(at, shape, "f4", chunks=chunks, **more)

    def bomb(file, at):
        dataset = file.create_dataset(at, (rows, side, side, 3), "f4", chunks=(1, side, side, 3), compression="gzip")
        packer = zlib.compressobj(9)
        packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(1500)) + packer.flush()
        for row in range(rows):
            dataset.id.write_direct_chunk((row, 0, 0, 0), packed)

    def part_written(file, at):
        dataset = file.create_dataset(at, (rows, side, side, 3), "f4", chunks=(1, side, side, 3))
        dataset[:2] = parts["images"][:2]

    def damaged_chunk(file, at):
        dataset = file.create_dataset(at, data=parts["images"], chunks=(1, side, side, 3), compression="gzip")
        dataset.id.write_direct_chunk((2, 0, 0, 0), random.bytes(int(random.integers(1, 3000))))

    ways = {
        "never written": empty((rows, side, side, 3), (1, side, side, 3)),
        "10^12 rows": empty((10**12, side, side, 3), (1, side, side, 3)),
        "2^31 rows of 2^40 pixels": empty((2**31, 2**20, 2**20, 3), (1, 16, 16, 3), fillvalue=1.0),
        "sides of 10^5 pixels": empty((2, 10**5, 10**5, 3), (1, 100, 100, 3)),
        "chunks of 3 GiB": empty((rows, 30_000, 9000, 3), (1, 30_000, 9000, 3), compression="gzip"),
        "a chunk that becomes 1.5 GiB": bomb,
        "written in part": part_written,
        "a damaged chunk": damaged_chunk,
    }
    how = pick(random, list(ways))
    # What inspect looks at is a sample, and leaves out what cannot be used.
    may = ("inspect", "pretrain-spectrum ~", "pretrain-image ~") if how == "a damaged chunk" else ("pretrain-spectrum ~",)
    others = parts
    if random.random() < 0.3 and how != "a damaged chunk":
        # Nothing else says how many there are.
        others, may = {}, ()
    return Broken("survey", survey(folder, {**others, "images": ways[how]}), f"images: {how}", True, may_accept=may)


def links(random, folder, sound):
    parts = sound.galaxies()
    os.mkfifo(folder / "pipe.h5")
    layout = h5py.VirtualLayout(parts["images"].shape, "f4")
    layout[:] = h5py.VirtualSource(pick(random, ["gone.h5", "pipe.h5", "survey.h5"]), "images", parts["images"].shape)
    shape = parts["images"].shape
    soft = {"itself": "/0/images", "nowhere": "/gone", "its group": "/0"}
    outside = {"gone": "gone.h5", "a pipe": "pipe.h5", "a folder": ".", "a device": "/dev/zero", "a file elsewhere": "/etc/passwd"}
    ways = {f"a link to {what}": h5py.SoftLink(at) for what, at in soft.items()}
    ways |= {f"a link into {what}": h5py.ExternalLink(at, "/0/images") for what, at in outside.items()}
    raw = {
        f"values in {what}": lambda file, at, place=place: file.create_dataset(at, shape, "f4", external=[(place, 0, h5py.h5f.UNLIMITED)])
        for what, place in outside.items()
    }
    how = pick(random, [*ways, *raw, "virtual"])
    if how == "virtual":
        part = lambda file, at: file.create_virtual_dataset(at, layout, fillvalue=0)
    else:
        part = raw.get(how) or (lambda file, at: file.__setitem__(at, ways[how]))
    return Broken("survey", survey(folder, {**parts, "images": part}), f"images: {how}", how != "a link to its group", may_accept=("pretrain-spectrum ~",))


def identifiers(random, folder, sound):
    parts = sound.galaxies()
    ids = parts["targetids"]
    ways = {
        "all the same": np.full_like(ids, 7), "negative": -ids, "beyond 2^63": ids.astype("u8") + np.uint64(2**63), "floats": ids.astype("f8"),
        "NaN": np.full(len(ids), np.nan), "text": np.array([b"a\xff"] * len(ids)), "empty text": np.array([b""] * len(ids), "S4"),
    }
    how = pick(random, list(ways))
    return Broken("survey", survey(folder, {**parts, "targetids": ways[how]}), f"targetids: {how}")


# FITS and Parquet.


def coadd(sound):
    spectra = sound.galaxies(3)["spectra"].astype("f4")
    columns = [fits.Column("TARGETID", "K", array=10**9 + np.arange(3)), fits.Column("OBJTYPE", "3A", array=["TGT"] * 3)]
    units = [fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns, name="FIBERMAP")]
    wave = 3600 + 0.8 * np.arange(spectra.shape[1])
    for name, value in {"WAVELENGTH": wave, "FLUX": spectra, "IVAR": np.ones_like(spectra), "MASK": np.zeros(spectra.shape, "i4")}.items():
        units.append(fits.ImageHDU(value, name=f"BRZ_{name}"))
    return units


def cutout(sound, compressed):
    image = np.moveaxis(sound.galaxies(1)["images"][0], -1, 0).astype("f4")
    header = fits.Header({"BANDS": "grz", "OBJID": 12345})
    if compressed:
        return [fits.PrimaryHDU(), fits.CompImageHDU(image, header, compression_type="RICE_1", quantize_level=16)]
    return [fits.PrimaryHDU(image, header)]


def table(sound):
    lines = [line.split(",") for line in sound.path("labels.csv").read_text().splitlines()]
    names, rows = lines[0], list(zip(*lines[1:]))
    return {name: np.array(row, "i8" if name == "object_id" else "f8") for name, row in zip(names, rows)}


def fits_of(random, folder, sound):
    """A sound FITS file, the role it has, and its units' headers as bytes."""
    what = pick(random, ["coadd", "cutout", "compressed cutout", "table"])
    if what == "coadd":
        units = coadd(sound)
    elif what == "table":
        units = [fits.PrimaryHDU(), fits.BinTableHDU.from_columns([fits.Column(name, "K" if name == "object_id" else "D", array=part) for name, part in table(sound).items()])]
    else:
        units = cutout(sound, what != "cutout")
    path = folder / "sound.fits"
    fits.HDUList(units).writeto(path)
    data = path.read_bytes()
    path.unlink()
    return what, "table" if what == "table" else "survey", data


def fits_bytes(random, folder, sound):
    what, role, data = fits_of(random, folder, sound)
    data, how = damaged(random, data)
    if random.random() < 0.3:
        return Broken(role, write(folder, "broken.fits.gz", gzip.compress(data, 1)), f"{what}, gzip: {how}")
    return Broken(role, write(folder, "broken.fits", data), f"{what}: {how}")


def fits_cards(random, folder, sound):
    """A card that says something else: sizes, types, names."""
    what, role, data = fits_of(random, folder, sound)
    cards = [at for at in range(0, len(data), 80) if data[at + 8 : at + 10] == b"= " and data[at : at + 8].isascii()]
    at = pick(random, cards)
    value = pick(random, [f"{pick(random, CLAIMS):>20}", "'RICE_1'", "'1PB(99)'", "'0A'", "'99999999999E'", "''", "T", "NaN", "1E400", "'" + "x" * 60])
    name = data[at : at + 8].decode().strip()
    data = data[: at + 10] + value.encode().ljust(70)[:70] + data[at + 80 :]
    return Broken(role, write(folder, "broken.fits", data), f"{what}: {name} = {value.strip()}")


def gzip_bombs(random, folder, sound):
    """What becomes 3 GiB when it is unpacked."""
    what, role, data = fits_of(random, folder, sound)
    packer = zlib.compressobj(9, wbits=31)
    packed = packer.compress(data) + b"".join(packer.compress(bytes(1 << 20)) for _ in range(3000)) + packer.flush()
    ending = pick(random, ["fits.gz", "fits.fz", "csv.gz"])
    return Broken(role, write(folder, f"broken.{ending}", packed), f"{what} and 3 GiB of zeros", True)


def parquet_of(sound, what):
    if what == "table":
        return pyarrow.table(table(sound))
    parts = sound.galaxies()
    nested = pyarrow.list_(pyarrow.list_(pyarrow.list_(pyarrow.float32())))
    return pyarrow.table({
        "image": pyarrow.array([image.tolist() for image in parts["images"][:, :96, :96]], nested),
        "spectrum": pyarrow.array([spectrum.tolist() for spectrum in parts["spectra"]], pyarrow.list_(pyarrow.float32())),
        "redshift": parts["redshifts"], "targetid": parts["targetids"],
    })


def parquet_bytes(random, folder, sound):
    what = pick(random, ["survey", "table"])
    path = folder / "broken.parquet"
    pyarrow.parquet.write_table(parquet_of(sound, what), path, compression=pick(random, ["snappy", "gzip", "zstd", "none"]), row_group_size=2)
    data, how = damaged(random, path.read_bytes())
    return Broken(what, write(folder, "broken.parquet", data), f"{what}: {how}")


def parquet_columns(random, folder, sound):
    whole = parquet_of(sound, "survey")
    name = pick(random, ["image", "spectrum"])
    cells = whole[name].to_pylist()
    ways = {
        "all null": [None] * len(cells),
        "one null": [cells[0], None, *cells[2:]],
        "an empty one": [cells[0], [], *cells[2:]],
        "one shorter": [cells[0], cells[1][:-3], *cells[2:]],
    }
    how = pick(random, list(ways))
    column = pyarrow.array(ways[how], whole[name].type)
    path = folder / "broken.parquet"
    pyarrow.parquet.write_table(whole.set_column(whole.column_names.index(name), name, column), path, row_group_size=2)
    may = ("inspect", f"pretrain-{'spectrum' if name == 'image' else 'image'} ~", f"pretrain-{name} ~")
    return Broken("survey", path, f"{name}: {how}", True, may_accept=may)


# Embeddings, tables, models, run files.


def embeddings(random, folder, sound):
    path = write(folder, "emb.h5", sound.bytes("emb.h5"))
    with h5py.File(path, "r+") as file:
        name = pick(random, [name for name in file if isinstance(file[name], h5py.Dataset)])
        shape, dtype = file[name].shape, file[name].dtype
        how = pick(random, ["left out", "a group", "fewer rows", "more axes", "text", "10^10 rows", "10^15 rows", "no width", "never written"])
        part = file[name][...]
        del file[name]
        if how == "a group":
            file.create_group(name)
        elif "^" in how:
            rows = 10 ** int(how[3:5])
            file.create_dataset(name, (rows, *shape[1:]), dtype, chunks=(64, *shape[1:]))
        elif how == "never written":
            file.create_dataset(name, shape, dtype)
        elif how != "left out":
            file[name] = {"fewer rows": part[:3], "more axes": part[..., None, None], "text": np.array([b"abc"] * len(part)), "no width": part.reshape(len(part), -1)[:, :0]}[how]
    # Without split and redshift it is the file of another program; identifiers may be text, and never 0.
    sure = name in ("image_embeddings", "spectrum_embeddings") and how in ("fewer rows", "more axes", "text", "10^10 rows", "10^15 rows", "no width", "never written")
    return Broken("embeddings", path, f"{name}: {how}", sure, may_accept=("search", "plot map ~", "eval redshift") if name[0] == "s" else ("eval redshift",))


def text_tables(random, folder, sound):
    lines = sound.path("labels.csv").read_text().splitlines()
    line, word = int(random.integers(len(lines))), pick(random, WORDS)
    cells = lines[line].split(",")
    cell = int(random.integers(len(cells)))
    how = pick(random, ["cell", "cell", "short", "long", "repeated", "bytes", "quote", "empty", "header"])
    if how == "cell":
        cells[cell] = word
    elif how == "short":
        cells = cells[:-1]
    elif how == "long":
        cells = cells * 2
    elif how == "quote":
        cells[cell] = '"' + cells[cell]
    lines[line] = ",".join(cells)
    if how == "repeated":
        lines = [lines[0]] + [lines[1]] * 50
    elif how in ("empty", "header"):
        lines = lines[: how == "header"]
    data = ("\n".join(lines) + "\n" * bool(lines)).encode("utf-8", "surrogateescape")
    if how == "bytes":
        data, word = damaged(random, data)
    return Broken("table", write(folder, "broken.csv", data), f"{how} {cell} of line {line + 1}: {word!r}", how in ("short", "long", "empty"))


def run_files(random, folder, sound):
    text = sound.path("run.toml").read_text()
    lines = text.splitlines()
    way = pick(random, ["bytes", "value", "key", "base", "type"])
    how, sure = way, False
    if way == "bytes":
        data, how = damaged(random, text.encode())
        return Broken("run file", write(folder, "run.toml", data), how)
    if way == "key":
        lines.append(f"{pick(random, ['none', 'widht', '[x', 'é', '==='])} = 3")
        sure = True
    elif way == "base":
        base = pick(random, ['"run.toml"', "3", '"gone.toml"', '"."', '"/dev/zero"'])
        lines[0] = f"base = {base}"
        sure = True
    else:
        at = pick(random, [at for at, line in enumerate(lines) if "=" in line and "base" not in line])
        value = str(pick(random, CLAIMS)) if way == "value" else pick(random, ['"text"', "[1]", "{a = 1}", "nan", "1e308", "true", "2026-01-01"])
        lines[at] = f"{lines[at].split('=')[0]}= {value}"
        how, sure = lines[at], way == "type"
    path = write(folder, "run.toml", ("\n".join(lines) + "\n").encode())
    return Broken("run file", path, how, sure, may_accept=("inspect --config",))


def pairs(random, folder, sound):
    data = b"image,spectrum\n" + b"".join(b"%d,%d\n" % (row, row) for row in range(12))
    data, how = damaged(random, data)
    return Broken("pairs", write(folder, "pairs.csv", data), how)


def places(random, folder, sound):
    """What is no file, or has a name that is hard to say."""
    (folder / "empty").write_bytes(b"")
    (folder / "folder").mkdir()
    os.mkfifo(folder / "pipe")
    os.symlink("loop", folder / "loop")
    os.symlink("gone", folder / "dangling")
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir(folder)
        server.bind("socket")
    names = ["empty", "folder", "pipe", "loop", "dangling", "socket", "gone", "a\nb", "x" * 300, os.fsdecode(b"\xff\xfe.h5")]
    name = pick(random, [*names, "/dev/zero", "/dev/null"])
    path = Path(name) if name.startswith("/") else folder / name
    return Broken("anything", path, "nothing that is a file", True)


KINDS = {
    "HDF5 bytes": bytes_of("survey.h5", "survey", "h5"),
    "HDF5 shapes": shapes,
    "HDF5 values": values,
    "HDF5 claims": claims,
    "HDF5 links": links,
    "identifiers": identifiers,
    "FITS bytes": fits_bytes,
    "FITS cards": fits_cards,
    "gzip bombs": gzip_bombs,
    "Parquet bytes": parquet_bytes,
    "Parquet columns": parquet_columns,
    "embedding bytes": bytes_of("emb.h5", "embeddings", "h5"),
    "embeddings": embeddings,
    "text tables": text_tables,
    "models": bytes_of("image/model.safetensors", "model", "safetensors"),
    "checkpoints": bytes_of("model.ckpt", "released", "ckpt"),
    "run files": run_files,
    "pairs": pairs,
    "no files": places,
}
