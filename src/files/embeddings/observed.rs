//! Where a galaxy is, and how much of it was measured: the columns of an embedding file beside its embeddings.

use hdf5::{Dataset, H5Type};

use super::writer::{extend, new_column, write_text};

/// Right ascension, degrees.
pub(super) const RA: &str = "ra";
/// Declination, degrees.
pub(super) const DEC: &str = "dec";
/// See [`Observed::spectrum_filled`].
pub(super) const SPECTRUM_FILLED: &str = "spectrum_filled";
/// See [`Observed::bands_missing`].
pub(super) const BANDS_MISSING: &str = "bands_missing";

/// In the file, a number of bands that is not known.
const NO_BANDS: u8 = u8::MAX;

/// Where a galaxy is, and how much of what the model was shown of it was measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observed {
    /// Right ascension and declination, degrees; NaN where unknown.
    pub position: [f64; 2],
    /// Share of the model's wavelengths at which nothing was measured, so that pixels were interpolated or filled with the
    /// median; NaN where unknown or without spectrum.
    pub spectrum_filled: f32,
    /// Number of the image's bands without data; `None` where unknown or without image.
    pub bands_missing: Option<u8>,
}

impl Observed {
    /// Of a galaxy of which nothing is said.
    pub const UNKNOWN: Self = Self {
        position: [f64::NAN; 2],
        spectrum_filled: f32::NAN,
        bands_missing: None,
    };

    /// Bytes of [`Observed::to_bytes`].
    pub(super) const BYTES: usize = 8 + 8 + 4 + 1;

    /// All of it, in a fixed order.
    pub(super) fn to_bytes(self) -> impl Iterator<Item = u8> {
        let [ra, dec] = self.position.map(f64::to_le_bytes);
        let filled = self.spectrum_filled.to_le_bytes();
        let bands = [self.bands_missing.unwrap_or(NO_BANDS)];
        ra.into_iter().chain(dec).chain(filled).chain(bands)
    }

    /// What [`Observed::to_bytes`] gave.
    pub(super) fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let [
            a,
            b,
            c,
            d,
            e,
            f,
            g,
            h,
            i,
            j,
            k,
            l,
            m,
            n,
            o,
            p,
            q,
            r,
            s,
            t,
            bands,
        ] = *bytes;
        Self {
            position: [[a, b, c, d, e, f, g, h], [i, j, k, l, m, n, o, p]].map(f64::from_le_bytes),
            spectrum_filled: f32::from_le_bytes([q, r, s, t]),
            bands_missing: known_bands(bands),
        }
    }
}

/// A number of bands as the file has it.
pub(super) fn known_bands(bands: u8) -> Option<u8> {
    (bands != NO_BANDS).then_some(bands)
}

/// Writes what is known, batch by batch.
#[derive(Debug)]
pub(super) struct ObservedWriter {
    ra: KnownColumn<f64>,
    dec: KnownColumn<f64>,
    spectrum_filled: KnownColumn<f32>,
    bands_missing: KnownColumn<u8>,
}

impl ObservedWriter {
    pub fn new() -> Self {
        Self {
            ra: KnownColumn::new(RA, "degrees; NaN = unknown", f64::NAN),
            dec: KnownColumn::new(DEC, "degrees; NaN = unknown", f64::NAN),
            spectrum_filled: KnownColumn::new(
                SPECTRUM_FILLED,
                "share of the model's wavelengths at which nothing was measured; NaN = unknown",
                f32::NAN,
            ),
            bands_missing: KnownColumn::new(
                BANDS_MISSING,
                "bands of the image without data; 255 = unknown",
                NO_BANDS,
            ),
        }
    }

    /// Appends galaxies behind `start` others.
    pub fn extend(
        &mut self,
        file: &hdf5::File,
        start: usize,
        observed: &[Observed],
    ) -> hdf5::Result<()> {
        let is_nan = |value: &f64| value.is_nan();
        let axis = |axis: usize| observed.iter().map(move |of| of.position[axis]).collect();
        self.ra.extend(file, start, axis(0), is_nan)?;
        self.dec.extend(file, start, axis(1), is_nan)?;
        let filled = observed.iter().map(|of| of.spectrum_filled).collect();
        let missing = observed
            .iter()
            .map(|of| of.bands_missing.unwrap_or(NO_BANDS));
        self.spectrum_filled
            .extend(file, start, filled, |share| share.is_nan())?;
        self.bands_missing
            .extend(file, start, missing.collect(), |&bands| bands == NO_BANDS)
    }
}

/// A column that a file has once a value of it is known.
#[derive(Debug)]
struct KnownColumn<T> {
    name: &'static str,
    meaning: &'static str,
    unknown: T,
    dataset: Option<Dataset>,
}

impl<T: H5Type + Copy> KnownColumn<T> {
    fn new(name: &'static str, meaning: &'static str, unknown: T) -> Self {
        Self {
            name,
            meaning,
            unknown,
            dataset: None,
        }
    }

    fn extend(
        &mut self,
        file: &hdf5::File,
        start: usize,
        values: Vec<T>,
        is_unknown: impl Fn(&T) -> bool,
    ) -> hdf5::Result<()> {
        let dataset = match &self.dataset {
            Some(dataset) => dataset,
            None if values.iter().all(is_unknown) => return Ok(()),
            None => {
                let dataset = new_column::<T>(file, self.name)?;
                write_text(&dataset, "meaning", self.meaning)?;
                extend(&dataset, 0, &vec![self.unknown; start])?;
                self.dataset.insert(dataset)
            }
        };
        extend(dataset, start, &values)
    }
}
