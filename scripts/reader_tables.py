"""Random tables and identifiers, in every format of tables."""

import math
import struct
import warnings

import h5py
import numpy as np
import pandas
import pyarrow
import pyarrow.parquet
import tables
from astropy.io import fits
from astropy.table import MaskedColumn, Table

from reader_checks import MOST_ROWS, Column, JoinFile, TableFile

WORDS = ["J112953.88-000427.4", "a b", "NGC 224", "x;y", "p,q", 'say "M31"', "Größe", "it's", "0001m002", "é", "END", "b-c"]
NAMES = ["LOGMSTAR", "z_phot", "Mag_G", "flux_r", "err", "zwarn", "SPECTYPE", "votes", "q-1", "w 2", "A", "n_obs"]
INTEGERS = {"i1": 8, "i2": 16, "i4": 32, "i8": 64, "u1": 8, "u2": 16, "u4": 32, "u8": 64}


def pick(random, choices):
    return choices[random.integers(len(choices))]


def chance(random, probability):
    return bool(random.random() < probability)


def names_of(random, count):
    return [str(name) for name in random.permutation(NAMES)[:count]]


def integers(random, code, count):
    """Integers of a type such as `i8`, near its ends, near 2^53, and small ones."""
    bits, signed = INTEGERS[code], code[0] == "i"
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    near = [low, low + 1, high, high - 1, 0, 1, -1, 39627788403084375, 2**53 - 1, 2**53, 2**53 + 1, -(2**53) - 1, 2**31]
    near = [value for value in near if low <= value <= high]
    small = chance(random, 0.4)
    return [int(random.integers(0, 100)) if small else pick(random, near) for _ in range(count)]


def floats(random, code, count):
    """Floating point of a type such as `f4`, as what a reader makes of it in 64 bits."""
    kind = np.dtype(code).type
    odd = [0.0, -0.0, math.nan, math.inf, -math.inf, float(np.finfo(kind).max), float(np.finfo(kind).tiny)]
    odd += [float(np.finfo(kind).smallest_subnormal), -99.0]
    few = chance(random, 0.3)
    values = [pick(random, odd) if few and chance(random, 0.4) else random.normal() * 10.0 ** random.integers(-3, 4) for _ in range(count)]
    return [float(kind(value)) for value in values]


def texts(random, count):
    return [pick(random, WORDS) if chance(random, 0.9) else "" for _ in range(count)]


def holes(random, cells, share=0.3):
    return [None if chance(random, share) else cell for cell in cells]


# Text tables.

MISSING = ["", "nan", "NaN", "NULL", "null", "None", "NA", "N/A", "--", "-", "masked", "<NA>", "...", "---"]


def written_float(random, value):
    if value is None:
        return pick(random, MISSING)
    if math.isnan(value):
        return pick(random, ["nan", "NaN"])
    if math.isinf(value):
        return ("-" if value < 0 else "") + pick(random, ["inf", "Inf", "Infinity"])
    return pick(random, [repr, "{:.17e}".format, lambda v: "{:.17E}".format(v), "{:+}".format])(value)


def csv_column(random, name, rows, delimiter):
    """A column, its cells as they are written, and what is odd about it."""
    kind = pick(random, ["integers", "i8", "u8", "floats", "holes", "integer holes", "text", "logical", "nothing", "odd cell", "long", "mixed"])
    column, odd = Column(name, []), []
    if delimiter == ";" and chance(random, 0.2):
        kind = "decimal comma"
    blanks = delimiter == " "
    if kind in ("integers", "i8", "u8", "integer holes"):
        code = {"integers": "i2", "integer holes": pick(random, ["i4", "i8"])}.get(kind, kind)
        column.cells = integers(random, code, rows)
        if kind == "integer holes":
            column.cells = holes(random, column.cells)
        missing = pick(random, MISSING)
        written = [missing if cell is None else str(cell) for cell in column.cells]
    elif kind in ("floats", "holes"):
        column.cells = floats(random, "f8", rows)
        if kind == "holes":
            column.cells = holes(random, column.cells)
        written = [written_float(random, cell) for cell in column.cells]
    elif kind == "text":
        column.cells = texts(random, rows)
        if blanks:
            column.cells = [cell or None for cell in column.cells]
        written = [cell or "" for cell in column.cells]
        column.raw = written
    elif kind == "logical":
        written = [pick(random, ["True", "False"]) for _ in range(rows)]
        column.cells = written
    elif kind == "nothing":
        column.cells = [None] * rows
        written = [pick(random, MISSING)] * rows
    elif kind == "odd cell":
        column.cells = floats(random, "f4", rows)
        column.cells = [1.5 if not math.isfinite(cell) else cell for cell in column.cells]
        written = [repr(cell) for cell in column.cells]
        place = random.integers(rows)
        written[place] = pick(random, ["12a", "1.2.3", "1e5e5", "0x1A", "< 3", "17:05", "5%", "1_000"])
        column.cells[place] = written[place]
        column.raw = list(written)
        odd.append(f"odd cell {written[place]} in {name}")
    elif kind == "decimal comma":
        column.cells = [float(f"{random.normal():.6f}") for _ in range(rows)]
        written = [f"{cell:.6f}".replace(".", ",") for cell in column.cells]
    elif kind == "long":
        column.cells = [pick(random, [2**64, 10**20 + 7, -(2**63) - 1, 3]) for _ in range(rows)]
        column.rounded = True
        written = [str(cell) for cell in column.cells]
    else:
        column.cells = [pick(random, [1.5, -2, 9007199254740993, 0]) for _ in range(rows)]
        column.rounded = True
        written = [str(cell) for cell in column.cells]
    if column.raw is None and any(isinstance(cell, str) for cell in column.cells):
        column.raw = list(written)
    if blanks:
        written = [cell or "nan" for cell in written]
    return column, written, odd


def quoted(random, cell, delimiter, always):
    special = delimiter in cell or '"' in cell or "\n" in cell or cell.startswith("#")
    if delimiter == " ":
        special = " " in cell or '"' in cell or "'" in cell or not cell
    if always or special:
        return '"' + cell.replace('"', '""') + '"'
    return cell


def csv(random, folder):
    rows = int(random.integers(1, MOST_ROWS))
    delimiter = pick(random, [",", ",", ",", ";", "\t", " "])
    columns, written, odd = [Column("id", list(range(1, rows + 1)))], [[str(row) for row in range(1, rows + 1)]], []
    for name in names_of(random, random.integers(1, 6)):
        column, cells, why = csv_column(random, name, rows, delimiter)
        columns.append(column)
        written.append(cells)
        odd += why
    ending = pick(random, ["\n", "\n", "\n", "\r\n", "\r\n", "\r"])
    always, padded = chance(random, 0.2), delimiter not in "\t " and chance(random, 0.2)
    # Strictly, a quote behind a blank is a letter.
    if padded and (always or any(delimiter in cell or '"' in cell for column in written for cell in column)):
        odd.append("blanks before quotes")
    lines = []
    for _ in range(random.integers(3) if chance(random, 0.3) else 0):
        lines.append("# " + pick(random, ["made by topcat", "units, of a kind", "id", "2024-01-01"]))
    # As numpy and others write a header.
    commented = not padded and chance(random, 0.1) and len(columns) > 1
    for cells in [[column.name for column in columns], *zip(*written)]:
        cells = [quoted(random, cell, delimiter, always) for cell in cells]
        lines.append((f" {delimiter} " if padded else delimiter).join(cells))
        if commented:
            lines[-1], commented = "# " + lines[-1], False
        if chance(random, 0.05) and delimiter != " ":
            lines.append("")
    text = ending.join(lines) + (ending if chance(random, 0.9) else "")
    encoding = pick(random, ["utf-8", "utf-8", "utf-8-sig", "latin-1"])
    if encoding == "latin-1" and any(ord(letter) > 127 for letter in text):
        odd.append("Latin-1")
    if ending == "\r":
        odd.append("line ends of old Macintoshes")
    path = folder / f"table.{pick(random, ['csv', 'txt', 'tsv', 'dat'])}"
    path.write_bytes(text.encode(encoding))
    return TableFile(path, columns[1:], rows, odd)


# FITS.


def fits_field(random, name, rows):
    """TFORM, more cards, bytes of every row, the columns that it makes, and what is odd about it."""
    kind = pick(random, "LXBIJKAEDCMPQ") if chance(random, 0.5) else pick(random, "BIJKEDA")
    code = {"B": "u1", "I": "i2", "J": "i4", "K": "i8", "E": "f4", "D": "f8"}.get(kind)
    width = 1 if chance(random, 0.7) else int(pick(random, [0, 2, 3, 5, 64, 65]))
    elements = [Column(name if width == 1 else f"{name}_{index}", []) for index in range(width)]
    cards = {}
    if kind == "A":
        size = max((len(word.encode()) for word in WORDS)) + 1
        strings = [pick(random, [*WORDS, ""]) for _ in range(rows)]
        fill, encoding = pick(random, [b" ", b"\0"]), pick(random, ["utf-8", "latin-1"])
        data = [text.encode(encoding).ljust(size, fill) for text in strings]
        return f"{size}A", cards, data, [Column(name, strings)]
    if kind == "L":
        cells = [[pick(random, [True, False, None]) for _ in range(width)] for _ in range(rows)]
        data = [b"".join({True: b"T", False: b"F", None: b"\0"}[cell] for cell in row) for row in cells]
    elif kind in "XCMPQ":
        size = {"X": (width + 7) // 8, "C": 8 * width, "M": 16 * width, "P": 8, "Q": 16}[kind]
        form = f"{width}{kind}" if kind in "XCM" else f"1{kind}E(0)"
        return form, cards, [bytes(size)] * rows, []
    elif kind in "ED":
        scale, zero = (1.0, 0.0) if chance(random, 0.8) else (pick(random, [0.5, 2.0, -1.0]), pick(random, [0.0, 25.0]))
        if (scale, zero) != (1.0, 0.0):
            cards |= {"TSCAL": scale, "TZERO": zero}
        stored = [floats(random, code, width) for _ in range(rows)]
        data = [np.array(row, f">{code}").tobytes() for row in stored]
        cells = [[value if (scale, zero) == (1.0, 0.0) else scale * value + zero for value in row] for row in stored]
    else:
        stored = [integers(random, code, width) for _ in range(rows)]
        data = [np.array(row, f">{code}").tobytes() for row in stored]
        unsigned = {"B": -128, "I": 2**15, "J": 2**31, "K": 2**63}[kind]
        scale, zero = pick(random, [(1, 0), (1, 0), (1, unsigned), (0.25, 10.0), (1, 7)])
        if zero:
            cards |= {"TZERO": zero} if scale == 1 else {"TSCAL": scale, "TZERO": zero}
        null = None
        if chance(random, 0.4):
            null = stored[0][0] if width else 0
            cards["TNULL"] = null
        cells = [[None if value == null else scale * value + zero for value in row] for row in stored]
        for element in elements:
            element.rounded = kind == "K" and zero not in (0, unsigned)
    for index, element in enumerate(elements):
        element.cells = [row[index] for row in cells]
    if width > 64:
        elements = []
    return f"{'' if width == 1 and chance(random, 0.5) else width}{kind}", cards, data, elements


def fits_raw(random, folder):
    """Bytes of a binary table, whatever astropy would make of them."""
    rows = int(random.integers(1, MOST_ROWS))
    fields = [("id", "K", {}, [struct.pack(">q", row) for row in range(1, rows + 1)])]
    columns = []
    for name in names_of(random, random.integers(1, 6)):
        form, cards, data, made = fits_field(random, name, rows)
        fields.append((name, form, cards, data))
        columns += made
    if chance(random, 0.3):
        fields = [fields[index] for index in random.permutation(len(fields))]
    body = b"".join(field[3][row] for row in range(rows) for field in fields)
    header = fits.Header([("XTENSION", "BINTABLE"), ("BITPIX", 8), ("NAXIS", 2), ("NAXIS1", len(body) // rows)])
    header["NAXIS2"], header["PCOUNT"], header["GCOUNT"], header["TFIELDS"] = rows, 0, 1, len(fields)
    for number, (name, form, cards, _) in enumerate(fields, 1):
        header[f"TTYPE{number}"], header[f"TFORM{number}"] = name, form
        for card, value in cards.items():
            header[f"{card}{number}"] = value
    path = folder / "table.fits"
    with open(path, "wb") as file:
        file.write(fits.PrimaryHDU().header.tostring().encode())
        file.write(header.tostring().encode())
        file.write(body + bytes(-len(body) % 2880))
    return TableFile(path, columns, rows)


def fits_astropy(random, folder):
    """Tables as astropy writes them, with masks."""
    rows = int(random.integers(1, MOST_ROWS))
    table, columns = Table({"id": np.arange(1, rows + 1)}), []
    for name in names_of(random, random.integers(1, 6)):
        # astropy writes i1 as logical.
        code = pick(random, [*INTEGERS, "f4", "f8", "U", "?", "words"][1:])
        mask = np.array([chance(random, 0.3) for _ in range(rows)]) if chance(random, 0.5) else None
        if code == "words":
            # An array of text in every row.
            cells = [[pick(random, ["B", "R", "Z", "", "brz"]) for _ in range(2)] for _ in range(rows)]
            table[name] = np.array(cells, "U4")
            for index in range(2):
                columns.append(Column(f"{name}_{index}", [row[index] for row in cells]))
            continue
        if code == "U":
            cells = [text if text.isascii() else "plain" for text in texts(random, rows)]
            table[name] = np.array(cells, "U24")
        elif code == "?":
            cells = [chance(random, 0.5) for _ in range(rows)]
            table[name] = np.array(cells)
        else:
            cells = integers(random, code, rows) if code in INTEGERS else floats(random, code, rows)
            values = np.array(cells, code)
            if mask is not None:
                fill = next(value for value in range(100, 200) if value not in cells)
                values = MaskedColumn(values, mask=mask, fill_value=fill) if code in INTEGERS else MaskedColumn(values, mask=mask)
                cells = [None if masked else cell for cell, masked in zip(cells, mask)]
            table[name] = values
        columns.append(Column(name, cells))
    path = folder / pick(random, ["table.fits", "table.fits", "table.fits.gz"])
    table.write(path)
    odd = ["compressed by gzip"] if path.suffix == ".gz" else []
    return TableFile(path, columns, rows, odd, None if not odd else ["gzip"])


# HDF5.


def array(random, rows, width=None):
    """An array as h5py writes it, the cells that it means, and what is odd about its type."""
    shape = (rows,) if width is None else (rows, width)
    count = rows * (width or 1)
    code = pick(random, [*INTEGERS, "f2", "f4", "f8", "?", "enum", "S", "text"] + ["c8", "g"] * (width is None))
    order = pick(random, "<>")
    if code in INTEGERS:
        cells = integers(random, code, count)
        values = np.array(cells, order + code)
    elif code[0] == "f":
        cells = floats(random, code, count)
        values = np.array(cells, order + code)
    elif code == "?":
        cells = [chance(random, 0.5) for _ in range(count)]
        values = np.array(cells)
    elif code == "enum":
        names = {"GALAXY": 0, "QSO": 1, "STAR": 5}
        cells = [pick(random, list(names.values())) for _ in range(count)]
        values = np.array(cells, h5py.enum_dtype(names, basetype=pick(random, ["i1", "u2", "i4"])))
    elif code == "S":
        cells = texts(random, count)
        encoding = pick(random, ["utf-8", "utf-8", "latin-1"])
        values = np.array([cell.encode(encoding) for cell in cells], "S24")
    elif code == "text":
        cells = texts(random, count)
        values = np.array(cells, dtype=h5py.string_dtype("utf-8"))
    else:
        return np.zeros(shape, {"c8": "c8", "g": "g"}[code]), None
    return values.reshape(shape), cells


def columns_of(name, cells, width):
    if cells is None:
        return [Column(name, [], optional=True)]
    if width in (None, 1):
        return [Column(name, cells)]
    return [Column(f"{name}_{index}", cells[index::width]) for index in range(width)]


def storage(random):
    if chance(random, 0.5):
        return {}
    options = {"chunks": True}
    options |= pick(random, [{}, {"compression": "gzip"}, {"compression": "gzip", "compression_opts": 9}, {"compression": "lzf"}])
    options |= {"shuffle": True} if chance(random, 0.4) else {}
    return options | ({"fletcher32": True} if chance(random, 0.3) else {})


def hdf5_group(random, folder):
    """A dataset for each column."""
    rows, columns = int(random.integers(1, MOST_ROWS)), []
    path, home = folder / "table.h5", pick(random, ["/", "catalog", "catalog"])
    with h5py.File(path, "w", libver=pick(random, ["earliest", "latest"])) as file:
        group = file.require_group(home)
        group["id"] = np.arange(1, rows + 1)
        for name in names_of(random, random.integers(1, 6)):
            width = int(pick(random, [1, 2, 5])) if chance(random, 0.3) else None
            values, cells = array(random, rows, width)
            growing = {"maxshape": (None, *values.shape[1:]), "chunks": True} if chance(random, 0.2) else {}
            # Text of any length goes through no filter.
            stored = {} if values.dtype.kind == "O" else storage(random)
            group.create_dataset(name, data=values, **(stored | growing))
            columns += columns_of(name, cells, width)
    return TableFile(path, columns, rows)


def hdf5_compound(random, folder):
    """One dataset of records."""
    rows, columns = int(random.integers(1, MOST_ROWS)), []
    fields = [("id", np.arange(1, rows + 1))]
    for name in names_of(random, random.integers(1, 6)):
        width = int(pick(random, [2, 3])) if chance(random, 0.2) else None
        values, cells = array(random, rows, width)
        while width and h5py.check_string_dtype(values.dtype) and values.dtype.kind == "O":
            values, cells = array(random, rows, width)
        fields.append((name, values))
        columns += columns_of(name, cells, width)
    records = np.dtype([(name, values.dtype, values.shape[1:]) for name, values in fields], align=chance(random, 0.3))
    data = np.zeros(rows, records)
    for name, values in fields:
        data[name] = values
    path = folder / "table.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset(pick(random, ["data", "Table", "a/b", "catalog_v2"]), data=data, **storage(random))
    return TableFile(path, columns, rows)


def hdf5_astropy(random, folder):
    """Tables as astropy writes them, with masks."""
    rows, columns = int(random.integers(1, MOST_ROWS)), []
    table = Table({"id": np.arange(1, rows + 1)})
    for name in names_of(random, random.integers(1, 6)):
        code = pick(random, [*INTEGERS, "f4", "f8", "S"])
        if code == "S":
            cells = [text if text.isascii() else "plain" for text in texts(random, rows)]
            values = np.array([cell.encode() for cell in cells], "S24")
        else:
            cells = integers(random, code, rows) if code in INTEGERS else floats(random, code, rows)
            values = np.array(cells, code)
        if chance(random, 0.6):
            mask = [chance(random, 0.3) for _ in range(rows)]
            values = MaskedColumn(values, mask=mask)
            cells = [None if masked else cell for cell, masked in zip(cells, mask)]
        table[name] = values
        columns.append(Column(name, cells))
    path = folder / "table.hdf5"
    table.write(path, path=pick(random, ["data", "catalog_1"]), serialize_meta=True, compression=chance(random, 0.3))
    return TableFile(path, columns, rows)


def hdf5_pandas(random, folder):
    """Frames as pandas writes them."""
    # Names of columns are no names of Python.
    warnings.simplefilter("ignore", tables.NaturalNameWarning)
    rows, columns = int(random.integers(1, MOST_ROWS)), []
    frame = pandas.DataFrame({"id": np.arange(1, rows + 1)})
    for name in names_of(random, random.integers(1, 6)):
        code = pick(random, [*INTEGERS, "f4", "f8", "text", "?"])
        if code == "text":
            # pandas writes an empty text as NaN in some of its formats.
            cells = [text or "x" for text in texts(random, rows)]
            frame[name] = pandas.Series(cells, dtype=object)
        elif code == "?":
            cells = [chance(random, 0.5) for _ in range(rows)]
            frame[name] = np.array(cells)
        else:
            cells = integers(random, code, rows) if code in INTEGERS else floats(random, code, rows)
            frame[name] = np.array(cells, code)
        columns.append(Column(name, cells))
    path, form = folder / "frame.h5", pick(random, ["fixed", "table", "table"])
    options = {"data_columns": True, "index": False} if form == "table" and chance(random, 0.3) else {}
    frame.to_hdf(path, key="frame", format=form, **options)
    # Text in the fixed format is a pickle.
    odd = ["fixed"] if form == "fixed" else []
    return TableFile(path, columns, rows, odd, ["to_parquet"] if odd else None)


# Parquet.

ARROW = {"i1": "int8", "i2": "int16", "i4": "int32", "i8": "int64", "u1": "uint8", "u2": "uint16", "u4": "uint32", "u8": "uint64"}
ARROW |= {"f2": "float16", "f4": "float32", "f8": "float64"}


def arrow_numbers(random, count):
    code = pick(random, list(ARROW))
    cells = integers(random, code, count) if code in INTEGERS else floats(random, code, count)
    return getattr(pyarrow, ARROW[code])(), cells


def arrow_cells(code, cells):
    return [np.float16(cell) if code == pyarrow.float16() and cell is not None else cell for cell in cells]


def parquet_column(random, name, rows):
    """An Arrow array, and the columns that it makes."""
    kind = pick(random, ["numbers"] * 4 + ["text", "large text", "dictionary", "logical", "null", "date", "time", "decimal"]
                + ["bytes", "list", "list", "fixed list", "struct", "list of structs", "map", "list of text"])
    share = pick(random, [0, 0, 0.3, 1])
    if kind == "numbers":
        code, cells = arrow_numbers(random, rows)
        cells = holes(random, cells, share)
        return pyarrow.array(arrow_cells(code, cells), code), [Column(name, cells)]
    if kind in ("text", "large text", "dictionary"):
        cells = holes(random, texts(random, rows), share)
        values = pyarrow.array(cells, pyarrow.large_string() if kind == "large text" else pyarrow.string())
        return values.dictionary_encode() if kind == "dictionary" else values, [Column(name, cells)]
    if kind == "logical":
        cells = holes(random, [chance(random, 0.5) for _ in range(rows)], share)
        return pyarrow.array(cells, pyarrow.bool_()), [Column(name, cells)]
    if kind in ("list", "fixed list"):
        width = int(pick(random, [1, 2, 4]))
        code, cells = arrow_numbers(random, rows * width)
        cells = holes(random, cells, pick(random, [0, 0, 0.2]))
        lists = [cells[row * width:][:width] for row in range(rows)]
        lists = holes(random, lists, pick(random, [0, 0, 0.3])) if width > 1 else lists
        ty = pyarrow.list_(code, width) if kind == "fixed list" else pyarrow.list_(code)
        plain = [None if one is None else arrow_cells(code, one) for one in lists]
        made = [[None if one is None else one[index] for one in lists] for index in range(width)]
        # Without any list there is none to tell the width.
        if all(one is None for one in lists):
            return pyarrow.array(plain, ty), []
        return pyarrow.array(plain, ty), [Column(name if width == 1 else f"{name}_{i}", cells) for i, cells in enumerate(made)]
    if kind == "struct":
        code, cells = arrow_numbers(random, rows)
        words = texts(random, rows)
        gone = [chance(random, 0.2) for _ in range(rows)]
        values = [None if out else {"x": x, "y": y} for x, y, out in zip(arrow_cells(code, cells), words, gone)]
        ty = pyarrow.struct([("x", code), ("y", pyarrow.string())])
        made = [[None if out else cell for cell, out in zip(member, gone)] for member in (cells, words)]
        return pyarrow.array(values, ty), [Column(f"{name}.x", made[0]), Column(f"{name}.y", made[1])]
    plain = {
        "null": lambda: pyarrow.nulls(rows),
        "date": lambda: pyarrow.array(list(range(rows)), pyarrow.date32()),
        "time": lambda: pyarrow.array(list(range(rows)), pyarrow.timestamp(pick(random, ["ms", "us", "ns"]))),
        "decimal": lambda: pyarrow.array(["1.50"] * rows).cast(pyarrow.decimal128(pick(random, [5, 15, 30]), 2)),
        "bytes": lambda: pyarrow.array([b"\xff\0"] * rows),
        "list of structs": lambda: pyarrow.array([[{"x": 1.0, "y": 2.0}]] * rows),
        "map": lambda: pyarrow.array([[("g", 1.0)]] * rows, pyarrow.map_(pyarrow.string(), pyarrow.float64())),
        "list of text": lambda: pyarrow.array([["g", "r"]] * rows),
    }
    return plain[kind](), []


def parquet(random, folder):
    rows, columns = int(random.integers(1, MOST_ROWS)), []
    arrays = {"id": pyarrow.array(range(1, rows + 1))}
    for name in names_of(random, random.integers(1, 6)):
        arrays[name], made = parquet_column(random, name, rows)
        columns += made
    path = folder / "table.parquet"
    options = {"compression": pick(random, ["snappy", "zstd", "none", "gzip", "brotli", "lz4"])}
    options |= {"row_group_size": int(pick(random, [1, 3, 100])), "data_page_version": pick(random, ["1.0", "2.0"])}
    options |= {"use_dictionary": chance(random, 0.5), "version": pick(random, ["1.0", "2.4", "2.6"])}
    options |= {"use_byte_stream_split": not options["use_dictionary"] and chance(random, 0.3)}
    if options["version"] == "1.0" and any(array.type == pyarrow.uint32() for array in arrays.values()):
        options["version"] = "2.6"
    try:
        pyarrow.parquet.write_table(pyarrow.table(arrays), path, **options)
    except (pyarrow.ArrowException, OSError):
        # Not every encoding goes with every type.
        options["compression"] = "snappy"
        pyarrow.parquet.write_table(pyarrow.table(arrays), path)
    odd = [options["compression"]] if options["compression"] in ("brotli", "lz4") else []
    return TableFile(path, columns, rows, odd, [*arrays] if odd else None)


# Identifiers.

IDS = [0, 1, 7, -7, 2**53 - 1, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, 2**63, 2**63 + 1, 2**64 - 1, -(2**63), 39627788403084375]
ID_TEXTS = ["007", "7", "+7", "J112953.88-000427.4", "abc", "0001m002", "1237648720693755918", "00", "-0", "x y", "1e5", "12e345"]


def identifiers(random, folder):
    """Identifiers of every kind in every format; each must find itself in a list."""
    form = pick(random, ["csv", "fits", "hdf5", "hdf5 text", "parquet", "parquet text", "bytes", "floats", "holes"])
    odd = []
    if form in ("csv", "hdf5 text", "parquet text", "bytes") and chance(random, 0.5):
        ids = [str(name) for name in random.permutation(ID_TEXTS)[: random.integers(1, 9)]]
    else:
        limits = {"fits": (-(2**63), 2**63 - 1), "hdf5": (0, 2**64 - 1), "parquet": (-(2**63), 2**63 - 1), "floats": (-(2**53), 2**53)}
        low, high = limits.get(form, (-(2**63), 2**64 - 1))
        ids = [value for value in IDS if low <= value <= high]
        ids = [str(ids[index]) for index in random.permutation(len(ids))[: random.integers(1, 9)]]
    if any("e" in one and one[0].isdigit() for one in ids):
        # It may be a name, or what a spreadsheet made of a number.
        odd.append("like floating point")
    rows = len(ids)
    path, name = folder / "ids", pick(random, ["TARGETID", "object_id", "mine"])
    row = np.arange(rows)
    if form == "csv":
        path = path.with_suffix(".csv")
        path.write_text(f"{name},row\n" + "".join(f"{one},{index}\n" for index, one in enumerate(ids)))
        if any(one.lstrip("-").isdigit() and not -(2**63) <= int(one) < 2**64 for one in ids):
            odd.append("long")
    elif form == "fits":
        path = path.with_suffix(".fits")
        Table({name: np.array([int(one) for one in ids]), "row": row}).write(path)
    elif form in ("hdf5", "floats"):
        path = path.with_suffix(".h5")
        numbers = [int(one) for one in ids]
        with h5py.File(path, "w") as file:
            file[name] = np.array(numbers, "f8" if form == "floats" else "u8")
            file["row"] = row
    elif form in ("hdf5 text", "bytes"):
        path = path.with_suffix(".h5")
        written = [repr(one.encode()) for one in ids] if form == "bytes" else ids
        if chance(random, 0.3):
            written = [f" {one} " for one in written]
        with h5py.File(path, "w") as file:
            kind = pick(random, ["S32", h5py.string_dtype(), h5py.string_dtype("utf-8", 40)])
            file.create_dataset(name, data=[one.encode() for one in written], dtype=kind)
            file["row"] = row
    elif form == "holes":
        path = path.with_suffix(".parquet")
        values = holes(random, [int(one) for one in ids if -(2**63) <= int(one) < 2**63] + [5])
        ids = [None if value is None else str(value) for value in values]
        table = {name: pyarrow.array(values, pyarrow.int64()), "row": np.arange(len(ids))}
        pyarrow.parquet.write_table(pyarrow.table(table), path)
        if not any(ids):
            odd.append("none is known")
    else:
        path = path.with_suffix(".parquet")
        values = [int(one) for one in ids] if form == "parquet" else ids
        pyarrow.parquet.write_table(pyarrow.table({name: values, "row": row}), path)
    return JoinFile(path, ids, name, odd)


TABLES = {
    "csv": csv,
    "fits-raw": fits_raw,
    "fits-astropy": fits_astropy,
    "hdf5-group": hdf5_group,
    "hdf5-compound": hdf5_compound,
    "hdf5-astropy": hdf5_astropy,
    "hdf5-pandas": hdf5_pandas,
    "parquet": parquet,
    "identifiers": identifiers,
}
