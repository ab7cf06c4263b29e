//! Where a galaxy is, and how much and how well it was measured: the columns of an embedding file beside its embeddings.

use hdf5::{Dataset, H5Type};

use super::writer::{extend, new_column, write_text};

/// Right ascension, degrees.
pub(super) const RA: &str = "ra";
/// Declination, degrees.
pub(super) const DEC: &str = "dec";
/// See [`Observed::spectrum_filled`].
const SPECTRUM_FILLED: &str = "spectrum_filled";
/// See [`Observed::signal_to_noise`].
const SPECTRUM_SNR: &str = "spectrum_snr";
/// See [`Observed::star_lines`].
const STAR_LINES: &str = "star_lines";
/// See [`Observed::bands_missing`].
pub(super) const BANDS_MISSING: &str = "bands_missing";

/// Where a number of a column goes.
pub(super) type Put = fn(&mut Observed, f32);

/// The columns that say something of spectra, and where it goes.
pub(super) const OF_SPECTRA: [(&str, Put); 3] = [
    (SPECTRUM_FILLED, |of, value| of.spectrum_filled = value),
    (SPECTRUM_SNR, |of, value| of.signal_to_noise = value),
    (STAR_LINES, |of, value| of.star_lines = value),
];

/// In the file, a number of bands that is not known.
const NO_BANDS: u8 = u8::MAX;

/// Where a galaxy is, and how much and how well of what the model was shown of it was measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observed {
    /// Right ascension and declination, degrees; NaN where unknown.
    pub position: [f64; 2],
    /// Share of the model's wavelengths at which nothing was measured, so that pixels were interpolated or filled with the
    /// median; NaN where unknown or without spectrum.
    pub spectrum_filled: f32,
    /// Signal to noise of the spectrum's pixels, NaN where unknown; see [`SpectrumQuality`](crate::survey::SpectrumQuality).
    pub signal_to_noise: f32,
    /// Significance of stars' absorption lines at redshift 0, NaN where unknown; see
    /// [`SpectrumQuality`](crate::survey::SpectrumQuality).
    pub star_lines: f32,
    /// Number of the image's bands without data; `None` where unknown or without image.
    pub bands_missing: Option<u8>,
}

impl Observed {
    /// Of a galaxy of which nothing is said.
    pub const UNKNOWN: Self = Self {
        position: [f64::NAN; 2],
        spectrum_filled: f32::NAN,
        signal_to_noise: f32::NAN,
        star_lines: f32::NAN,
        bands_missing: None,
    };

    /// Bytes of [`Observed::to_bytes`].
    pub(super) const BYTES: usize = 2 * 8 + 3 * 4 + 1;

    /// All of it, in a fixed order.
    pub(super) fn to_bytes(self) -> impl Iterator<Item = u8> {
        let [ra, dec] = self.position.map(f64::to_le_bytes);
        let spectrum = [self.spectrum_filled, self.signal_to_noise, self.star_lines];
        let bands = [self.bands_missing.unwrap_or(NO_BANDS)];
        ra.into_iter()
            .chain(dec)
            .chain(spectrum.into_iter().flat_map(f32::to_le_bytes))
            .chain(bands)
    }

    /// What [`Observed::to_bytes`] gave.
    pub(super) fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let mut rest = bytes.as_slice();
        let position = [0, 1].map(|_| f64::from_le_bytes(take(&mut rest)));
        let [spectrum_filled, signal_to_noise, star_lines] =
            [0, 1, 2].map(|_| f32::from_le_bytes(take(&mut rest)));
        let [bands] = take(&mut rest);
        Self {
            position,
            spectrum_filled,
            signal_to_noise,
            star_lines,
            bands_missing: known_bands(bands),
        }
    }
}

/// The next bytes of as many as there are.
fn take<const N: usize>(bytes: &mut &[u8]) -> [u8; N] {
    let (these, rest) = bytes
        .split_first_chunk()
        .expect("as many bytes as there are");
    *bytes = rest;
    *these
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
    signal_to_noise: KnownColumn<f32>,
    star_lines: KnownColumn<f32>,
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
            signal_to_noise: KnownColumn::new(
                SPECTRUM_SNR,
                "signal to noise per pixel of the spectrum; NaN = unknown",
                f32::NAN,
            ),
            star_lines: KnownColumn::new(
                STAR_LINES,
                "significance of stars' absorption lines at redshift 0, standard deviations; NaN = unknown",
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
        let is_nan = |value: &f32| value.is_nan();
        let of = |value: fn(&Observed) -> f32| observed.iter().map(value).collect();
        let filled = of(|of| of.spectrum_filled);
        self.spectrum_filled.extend(file, start, filled, is_nan)?;
        let signal = of(|of| of.signal_to_noise);
        self.signal_to_noise.extend(file, start, signal, is_nan)?;
        let lines = of(|of| of.star_lines);
        self.star_lines.extend(file, start, lines, is_nan)?;
        let missing = observed
            .iter()
            .map(|of| of.bands_missing.unwrap_or(NO_BANDS));
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
