"""Random galaxies, in every format of images and spectra."""

import math

import h5py
import numpy as np
import pyarrow
import pyarrow.parquet
from astropy.io import fits
from astropy.table import Table

from reader_checks import GRID, SIDE, SurveyFile
from reader_tables import chance, pick, storage

BANDS = ["g", "r", "z"]
# A gap of bad pixels up to here lies on a line; a longer one gets the median.
LONGEST_BRIDGE = 100.0
# A number that no file may turn into a value.
POISON = [math.nan, math.inf, 1e30, -5e20, 0.0]


def labels(random, count):
    """Identifiers as text, None where unknown, the array of them, and redshifts."""
    kind = pick(random, ["signed", "unsigned", "small", "text", "bytes", "unknown"])
    if kind == "unsigned":
        numbers = [2**63 + 5 + 7 * row for row in range(count)]
        return [str(x) for x in numbers], np.array(numbers, "u8")
    if kind in ("text", "bytes"):
        names = [pick(random, ["J1129-{:02}", "00{}", "abc{}"]).format(row) for row in range(count)]
        if kind == "text":
            return names, np.array(names, dtype=h5py.string_dtype())
        return names, np.array([repr(name.encode()) for name in names], "S24")
    if kind == "unknown":
        return [None] + [str(row + 5) for row in range(1, count)], np.array([-1] + [row + 5 for row in range(1, count)])
    start = 39627788403084375 if kind == "signed" else 1
    numbers = [start + 3 * row for row in range(count)]
    return [str(x) for x in numbers], np.array(numbers, pick(random, ["<i8", ">i8"]) if kind == "signed" else "i4")


def redshifts(random, count):
    """As a file has them, and as they are meant."""
    written = np.array([pick(random, [-99.0, math.nan, -0.001, 0.0, 6.5]) if chance(random, 0.3) else random.random() for _ in range(count)])
    code = pick(random, ["<f4", "<f8", ">f8", ">f4"])
    written = written.astype(code)
    return written, np.where(written > -0.1, written, np.nan).astype("f4")


def write_rows(random, file, name, values, by_group):
    """A dataset of galaxies, in one group for each where `by_group`: the groups are read in the order of their numbers."""
    parts = [(name, values)]
    if by_group:
        parts = [(f"{9 + row}/{name}", values[row : row + 1]) for row in range(len(values))]
    for name, values in parts:
        # Text of any length goes through no filter.
        file.create_dataset(name, data=np.ascontiguousarray(values), **({} if values.dtype.kind == "O" else storage(random)))


# Spectra.


def bridged(flux, bad, wave):
    """The spectrum without its bad pixels: on the line between their neighbours, or the median of all where that is long."""
    flux, bad = flux.astype("f4"), bad.copy()
    edges = np.flatnonzero(np.diff(np.concatenate([[False], bad, [False]]).astype(int)))
    for start, end in zip(edges[::2], edges[1::2]):
        if start > 0 and end < len(flux) and wave[end] - wave[start] <= LONGEST_BRIDGE:
            share = (np.arange(end - start) + 1) / (end - start + 1)
            flux[start:end] = flux[start - 1] + (flux[end] - flux[start - 1]) * share
            bad[start:end] = False
    flux[bad] = np.sort(flux[~bad])[np.count_nonzero(~bad) // 2]
    return flux


def spectra(random, count, on_grid, code="f4"):
    """Wavelengths, flux as it is meant, which pixels are bad."""
    if on_grid:
        wave = GRID
    else:
        wave = pick(random, [1200.0, 3500.0, 3700.5]) + np.cumsum(random.uniform(0.7, 1.6, int(random.integers(3000, 4500))))
        wave = wave if wave[0] > 3000 else wave + 2300
    shape = 3.0 + np.sin(wave / 300) + random.normal(size=(count, len(wave))) * 0.3
    level = 10.0 ** random.integers(1 if code[-2] == "i" else -1, 3)
    flux = (shape * level).astype(code).astype("f4")
    bad = random.random(flux.shape) < pick(random, [0.0, 0.01, 0.1])
    for row in bad:
        if chance(random, 0.4):
            # Off the grid a long gap is a matter of resampling, not of reading.
            first, longest = int(random.integers(5, len(wave) - 400)), 300 if on_grid else 40
            row[first : first + int(random.integers(1, longest))] = True
    if not on_grid:
        bad[:, :2] = bad[:, -2:] = False
    return wave, flux, bad


def flags(random, bad):
    """Inverse variance and mask that say which pixels are bad, one or both of them; None for that which is not there."""
    ivar, mask = np.full(bad.shape, 2.0, pick(random, ["<f4", ">f4", "<f8", "f2"])), np.zeros(bad.shape, bool)
    by_ivar = bad & (random.random(bad.shape) < 0.5)
    which = pick(random, ["both", "ivar", "mask"])
    if which == "ivar":
        by_ivar = bad
    if which == "mask":
        by_ivar = np.zeros_like(bad)
    ivar[by_ivar] = random.choice([0.0, np.nan, -1.0, np.inf], np.count_nonzero(by_ivar))
    code = pick(random, ["?", "u1", "<i4", ">u2", "i8", "f4"])
    mask = (bad & ~by_ivar).astype(code) * (1 if code == "?" else np.array(pick(random, [1, 4, 128])).astype(code))
    return ivar if which != "mask" else None, mask.astype(code) if which != "ivar" else None


def poisoned(random, flux, bad):
    out = flux.copy()
    out[bad] = random.choice(POISON, np.count_nonzero(bad))
    return out


def hdf5_spectra(random, folder):
    count, on_grid = int(random.integers(1, 4)), chance(random, 0.6)
    code = pick(random, ["<f4", "<f8", ">f4", ">f8", "<f2", "<i4"])
    wave, flux, bad = spectra(random, count, on_grid, code)
    layout = pick(random, ["spectra", "keys", "multimodal", "joint"] if on_grid else ["spectra", "keys", "multimodal"])
    flagged = layout != "joint" and chance(random, 0.7) and bad.any()
    if not flagged:
        bad = np.zeros_like(bad)
    stored = flux.astype(code)
    if code[1] == "f":
        with np.errstate(over="ignore"):
            stored = poisoned(random, flux, bad).astype(code)
    names = {
        "spectra": ("flux", "wave", "ivar", "mask", "targetid", "z_redrock"),
        "keys": ("F", "W", "I", "M", "ID", "Z1"),
        "multimodal": ("spectrum_flux", "spectrum_lambda", "spectrum_ivar", "spectrum_mask", "object_id", "Z"),
        "joint": ("spectra", None, None, None, "targetids", "redshifts"),
    }[layout]
    names = dict(zip(("flux", "wave", "ivar", "mask", "id", "z"), names))
    ids, id_values = labels(random, count)
    written, meant = redshifts(random, count)
    per_row = layout != "joint" and chance(random, 0.4)
    waves = np.tile(wave, (count, 1)) if per_row else wave
    ivar, mask = flags(random, bad) if flagged else (None, None)
    columns = {"flux": stored, "ivar": ivar, "mask": mask, "wave": waves}
    padding = int(random.integers(1, 60)) if per_row and chance(random, 0.5) else 0
    if padding:
        filler = {"flux": 0, "ivar": 0, "mask": 1, "wave": pick(random, [-1.0, 0.0, math.nan])}
        for name, values in columns.items():
            if values is not None:
                end = np.full((count, padding), filler[name], values.dtype)
                columns[name] = np.concatenate([values, end], axis=1)
    deep = chance(random, 0.3) or layout == "joint"
    path = folder / "spectra.h5"
    columns |= {"id": id_values, "z": written}
    with h5py.File(path, "w") as file:
        for name, values in columns.items():
            if values is not None and names[name]:
                values = values[..., None] if deep and name == "flux" else values
                values = values.astype(pick(random, ["f8", ">f8"])) if name == "wave" else values
                write_rows(random, file, names[name], values, layout == "joint")
    options = []
    if layout == "keys":
        given = [("spectrum", "flux"), ("wavelength", "wave"), ("ivar", "ivar"), ("mask", "mask"), ("id", "id"), ("redshift", "z")]
        for option, name in given:
            if columns.get(name, 0) is not None:
                options += [f"--{option}-key", names[name]]
    clean = np.stack([bridged(one, gone, wave) for one, gone in zip(flux, bad)])
    return SurveyFile(path, ids, meant, spectra=clean, wavelengths=wave, options=options, names=list(names.values()))


def parquet_joint(random, folder):
    """Nested lists as Hugging Face has the joint set: images with axes x, y, band, spectra on DESI's wavelengths."""
    count = int(random.integers(1, 4))
    ids = [39627788403084375 + row for row in range(count)]
    written, meant = redshifts(random, count)
    columns = {"targetid": ids, "redshift": written.astype(pick(random, ["f4", "f8"]))}
    real = pick(random, [pyarrow.float32(), pyarrow.float64()])
    images, flux = None, None
    if chance(random, 0.5):
        images, _, planes = image_values(random, count, shuffled=False)
        kind = pyarrow.list_(pyarrow.list_(pyarrow.list_(real)))
        columns["image"] = pyarrow.array(planes.transpose(0, 3, 2, 1).tolist(), kind)
    else:
        _, flux, _ = spectra(random, count, True)
        deep = chance(random, 0.5)
        kind = pyarrow.list_(pyarrow.list_(real)) if deep else pyarrow.list_(real)
        columns["spectrum"] = pyarrow.array((flux[..., None] if deep else flux).tolist(), kind)
    path = folder / pick(random, ["train-00000-of-00001.parquet", "galaxies.parquet"])
    compression = pick(random, ["snappy", "zstd", "gzip", "none"])
    pyarrow.parquet.write_table(pyarrow.table(columns), path, compression=compression, row_group_size=int(pick(random, [1, 2, 100])))
    return SurveyFile(path, [str(one) for one in ids], meant, images, flux, GRID)


def parquet_structs(random, folder):
    """Structs of the Multimodal Universe."""
    count = int(random.integers(1, 4))
    ids = [str(39627788403084375 + row) for row in range(count)] if chance(random, 0.5) else [f"J1-{row:02}" for row in range(count)]
    written, meant = redshifts(random, count)
    columns = {"object_id": pyarrow.array(ids), "Z": pyarrow.array(written.astype("f8"))}
    images, clean, wave, bad, flux = None, None, None, None, None
    real = pick(random, [pyarrow.float32(), pyarrow.float64(), pyarrow.float32()])
    if chance(random, 0.5):
        wave, flux, bad = spectra(random, count, chance(random, 0.6))
        if chance(random, 0.3):
            bad[:] = False
        clean = np.stack([bridged(one, gone, wave) for one, gone in zip(flux, bad)])
        ivar, mask = flags(random, bad)
        stored = poisoned(random, flux, bad)
        rows = []
        fill = int(random.integers(1, 40)) if chance(random, 0.4) else 0
        for row in range(count):
            end = [0.0] * fill
            one = {"flux": stored[row].tolist() + end, "lambda": wave.tolist() + [-1.0] * fill}
            if ivar is not None:
                one["ivar"] = ivar[row].astype("f4").tolist() + end
            if mask is not None:
                one["mask"] = [bool(x) for x in mask[row]] + [True] * fill
            rows.append(one)
        members = {name: {"mask": pyarrow.bool_(), "lambda": pyarrow.float64()}.get(name, real) for name in rows[0]}
        if chance(random, 0.5):
            ty = pyarrow.struct([(name, pyarrow.list_(kind)) for name, kind in members.items()])
        else:
            ty = pyarrow.list_(pyarrow.struct(list(members.items())))
            rows = [[dict(zip(one, values)) for values in zip(*one.values())] for one in rows]
        columns["spectrum"] = pyarrow.array(rows, ty)
    else:
        images, bands, planes = image_values(random, count)
        rows = [
            {"band": [pick(random, ["des-", ""]) + band for band in bands], "flux": planes[row].tolist(), "scale": [0.262] * len(bands)}
            for row in range(count)
        ]
        ty = pyarrow.struct(
            [("band", pyarrow.list_(pyarrow.string())), ("flux", pyarrow.list_(pyarrow.list_(pyarrow.list_(real)))), ("scale", pyarrow.list_(real))]
        )
        columns["image"] = pyarrow.array(rows, ty)
    path = folder / "galaxies.parquet"
    compression = pick(random, ["snappy", "zstd", "none"])
    pyarrow.parquet.write_table(pyarrow.table(columns), path, compression=compression, row_group_size=int(pick(random, [1, 2, 100])))
    return SurveyFile(path, ids, meant, images, clean, wave)


# Images.


def image_values(random, count, shuffled=True):
    """Images as they are meant (n, 3, y, x), the bands of a file, and its planes in their order."""
    bands = [str(band) for band in random.permutation(BANDS)] if shuffled else list(BANDS)
    if shuffled and chance(random, 0.3):
        bands.insert(int(random.integers(4)), "i")
    planes = (random.random((count, len(bands), SIDE, SIDE)) * 0.05 + 0.001).astype("f4")
    return planes[:, [bands.index(band) for band in BANDS]], bands, planes


def hdf5_images(random, folder):
    count, layout = int(random.integers(1, 4)), pick(random, ["joint", "images", "keys", "multimodal"])
    code = pick(random, ["<f4", "<f8", ">f4", ">f8", "<f2"])
    _, bands, planes = image_values(random, count, layout == "multimodal")
    planes = planes.astype(code)
    meant_images = planes[:, [bands.index(band) for band in BANDS]].astype("f4")
    last = layout == "joint" or chance(random, 0.3)
    stored = planes
    if layout == "joint":
        stored = planes.transpose(0, 3, 2, 1)
    elif last:
        stored = planes.transpose(0, 2, 3, 1)
    name, identifier, redshift = {
        "joint": ("images", "targetids", "redshifts"),
        "images": ("images", pick(random, ["targetid", "object_id", "inds"]), "z_spec"),
        "keys": ("IMG", "mine", "red"),
        "multimodal": ("image_array", "object_id", "Z"),
    }[layout]
    ids, id_values = labels(random, count)
    written, meant = redshifts(random, count)
    path = folder / "images.h5"
    with h5py.File(path, "w") as file:
        for called, values in ((name, stored), (identifier, id_values), (redshift, written)):
            write_rows(random, file, called, values, layout == "joint")
        if layout == "multimodal":
            names = [[pick(random, ["des-{}", "{}", "DES-{}"]).format(band) for band in bands]] * count
            file["image_band"] = np.array(names, dtype=pick(random, ["S8", h5py.string_dtype()]))
    options = ["--image-key", name, "--id-key", identifier, "--redshift-key", redshift] if layout == "keys" else []
    return SurveyFile(path, ids, meant, meant_images, options=options, names=[name, identifier, redshift])


def fits_cutout(random, folder):
    meant, bands, planes = image_values(random, 1)
    planes, code = planes[0], pick(random, ["f4", "f8", "i2", "i4", "u1"])
    header = fits.Header()
    if code[0] == "f":
        stored = planes.astype(f">{code}")
    else:
        scale, zero = 0.06 / {"u1": 250, "i2": 30000, "i4": 2e9}[code], pick(random, [0.0, 0.001])
        stored = np.round((planes.astype("f8") - zero) / scale).astype(f">{code}")
        planes = (scale * stored + zero).astype("f4")
    where = pick(random, ["primary", "extension", "after a table"])
    hdu = fits.ImageHDU() if where != "primary" else fits.PrimaryHDU()
    hdu.data = stored
    header = hdu.header
    if code[0] != "f":
        header["BSCALE"], header["BZERO"] = scale, zero
    named = pick(random, ["BANDS", "BAND0"])
    if named == "BANDS":
        header["BANDS"] = "".join(bands)
    else:
        for index, band in enumerate(bands):
            header[f"BAND{index}"] = band
    number = pick(random, [39627788403084375, 5, None])
    if number is not None:
        header["TARGETID"] = number
    redshift = float(random.random()) if chance(random, 0.5) else math.nan
    if not math.isnan(redshift):
        header["Z_SPEC"] = redshift
    units = [hdu] if where == "primary" else [fits.PrimaryHDU(), hdu]
    if where == "after a table":
        units.insert(1, fits.BinTableHDU(Table({"x": [1, 2]})))
    path = folder / "cutout.fits"
    # The stored numbers are written as they are, with their cards.
    with open(path, "wb") as file:
        for unit in units:
            if unit is not hdu:
                file.write(unit.header.tostring().encode())
                body = b"" if unit.data is None else unit.data.tobytes()
            else:
                header["BITPIX"] = {"f4": -32, "f8": -64, "i2": 16, "i4": 32, "u1": 8}[code]
                file.write(header.tostring().encode())
                body = stored.tobytes()
            file.write(body + bytes(-len(body) % 2880))
    images = planes[[bands.index(band) for band in BANDS]].astype("f4")[None]
    # Eight bits may be a picture for the eye.
    odd = ["8 bits"] if code == "u1" else []
    ids = [None if number is None else str(number)]
    return SurveyFile(path, ids, np.array([redshift]), images, odd=odd, names=["8-bit"] if odd else ["HDU", "BAND"])


def desi_coadd(random, folder):
    """Three arms with what DESI's pipeline writes, and Redrock's file beside."""
    count = int(random.integers(1, 4))
    arms = {"B": (0, 2751), "R": (2700, 5026), "Z": (4900, 7781)}
    level = 3.0 + random.random((count, 1))
    sums, weights = np.zeros((count, len(GRID))), np.zeros((count, len(GRID)))
    units = [fits.PrimaryHDU()]
    ids = [39627788403084375 + row for row in range(count)]
    left_out = np.array([chance(random, 0.2) for _ in range(count)])
    left_out[0] = False
    fibermap = Table({"TARGETID": ids, "OBJTYPE": np.where(left_out, "SKY", "TGT")})
    fibermap["COADD_FIBERSTATUS"] = np.zeros(count, "i4")
    units.append(fits.BinTableHDU(fibermap, name="FIBERMAP"))
    for arm, (start, end) in arms.items():
        flux = (level + random.normal(size=(count, end - start)) * 0.2).astype(pick(random, [">f4", ">f8"]))
        ivar = random.uniform(0.5, 2.0, flux.shape).astype(">f4")
        mask = (random.random(flux.shape) < 0.01).astype(">i4") * 4
        ivar[random.random(flux.shape) < 0.01] = 0.0
        good = (mask == 0) & (ivar > 0)
        sums[:, start:end] += np.where(good, flux.astype("f8") * ivar, 0)
        weights[:, start:end] += np.where(good, ivar, 0)
        flux[~good] = random.choice(POISON, np.count_nonzero(~good))
        units.append(fits.ImageHDU(GRID[start:end].astype(">f8"), name=f"{arm}_WAVELENGTH"))
        units.append(fits.ImageHDU(flux, name=f"{arm}_FLUX"))
        units.append(fits.ImageHDU(ivar, name=f"{arm}_IVAR"))
        if chance(random, 0.5):
            # As DESI has it: tiles compressed by Rice.
            units.append(fits.CompImageHDU(mask, name=f"{arm}_MASK"))
        else:
            units.append(fits.ImageHDU(mask, name=f"{arm}_MASK"))
    path = folder / "coadd-1-2.fits"
    with np.errstate(over="ignore"):
        fits.HDUList(units).writeto(path)
    z, warn = random.random(count), np.array([0 if chance(random, 0.7) else 4 for _ in range(count)])
    order = random.permutation(count)
    redrock = Table({"TARGETID": np.array(ids)[order], "Z": z[order], "ZWARN": warn[order]})
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU(redrock, name="REDSHIFTS")]).writeto(folder / "redrock-1-2.fits")
    kept = np.flatnonzero(~left_out)
    flux = np.divide(sums, weights, out=np.zeros_like(sums), where=weights > 0)[kept].astype("f4")
    clean = np.stack([bridged(one, weight == 0, GRID) for one, weight in zip(flux, weights[kept])])
    odd = ["compressed mask"] if any(isinstance(unit, fits.CompImageHDU) for unit in units) else []
    names = [str(ids[row]) for row in kept]
    return SurveyFile(path, names, np.where(warn == 0, z, np.nan)[kept], spectra=clean, wavelengths=GRID, odd=odd, names=["compressed"])


SURVEYS = {
    "hdf5-spectra": hdf5_spectra,
    "hdf5-images": hdf5_images,
    "parquet-joint": parquet_joint,
    "parquet-structs": parquet_structs,
    "fits-cutout": fits_cutout,
    "desi-coadd": desi_coadd,
}
