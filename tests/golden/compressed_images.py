"""Writes compressed_images.fits.gz: images compressed by astropy in every way that is read, and their pixels as
astropy unpacks them. Made with astropy 8.0.

    python compressed_images.py
"""

import io

import numpy as np
from astropy.io import fits

rng = np.random.default_rng(1)
y, x = np.mgrid[:11, :13]
sky = rng.normal(0, 0.01, (3, 11, 13))
galaxy = np.array([0.3, 0.6, 1.0])[:, None, None] * np.exp(-np.hypot(y - 5, x - 6) / 3)
image = (sky + galaxy).astype("f4")
holes = image.copy()
holes[1, 4:6, 2:5] = np.nan
holes[2, :3] = 0
counts = np.rint(200 * image)
dithered = dict(quantize_level=16, quantize_method=2, dither_seed=7)
kinds = [
    ("dither1", image, dict(compression_type="RICE_1", quantize_method=1, dither_seed=9_999)),
    ("dither2", holes, dict(compression_type="RICE_1", tile_shape=(2, 5, 6), **dithered)),
    ("gzip2-dither2", holes.astype("f8"), dict(compression_type="GZIP_2", **dithered)),
    ("no-dither", image, dict(compression_type="GZIP_1", quantize_method=-1)),
    ("lossless", holes, dict(compression_type="GZIP_2", quantize_level=0)),
    ("constant", np.full((3, 4, 5), 0.7, "f4"), dict(compression_type="RICE_1")),
    ("u1", np.clip(counts, 0, 255).astype("u1"), dict(compression_type="RICE_1")),
    ("i2", counts.astype("i2"), dict(compression_type="RICE_1", tile_shape=(2, 5, 6))),
    ("u2", np.clip(counts, 0, None).astype("u2"), dict(compression_type="GZIP_2")),
    ("i4", rng.integers(-(2**31), 2**31 - 1, (9, 40)).astype("i4"), dict(compression_type="RICE_1")),
    ("u4", counts.clip(0).astype("u4") * 100_000, dict(compression_type="GZIP_1")),
    ("none", image, dict(compression_type="NOCOMPRESS")),
]


def compressed():
    return [fits.PrimaryHDU()] + [fits.CompImageHDU(data, name=name, **kw) for name, data, kw in kinds]


packed = io.BytesIO()
fits.HDUList(compressed()).writeto(packed)
packed.seek(0)
with fits.open(packed) as file:
    pixels = [fits.ImageHDU(np.array(hdu.data), name=f"{hdu.name}-PIXELS") for hdu in file[1:]]
fits.HDUList(compressed() + pixels).writeto("compressed_images.fits.gz", overwrite=True)
