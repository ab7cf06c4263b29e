//! Images and spectra of rows anywhere in the files.

use std::sync::atomic::Ordering;

use ndarray::{Array2, Array4, ArrayView2, ArrayView3, ArrayView4, Axis, s};

use super::check::{is_missing, is_picture};
use super::{Dataset, Part, plural};
use crate::base::error::{Error, Result};
use crate::base::reading::Reading;
use crate::files::data::source::{StoredSpectra, by_part};
use crate::survey::{Modality, centre_margin};

/// Images and spectra of some galaxies.
#[derive(Debug, Clone)]
pub struct Galaxies {
    /// Their rows in the data set.
    pub rows: Vec<usize>,
    /// Images, `(n, bands, S, S)`, where they were asked for.
    pub images: Option<Array4<f32>>,
    /// Spectra, `(n, pixels)`, where they were asked for.
    pub spectra: Option<Array2<f32>>,
    /// Of each spectrum the share of the survey's wavelengths at which nothing was measured, where spectra were asked
    /// for: those of bad pixels, interpolated or filled, and those that the file does not cover.
    pub spectrum_filled: Option<Vec<f32>>,
}

impl Galaxies {
    /// The images, which must have been asked for.
    pub fn asked_images(&self) -> ArrayView4<'_, f32> {
        self.images.as_ref().expect("images were asked for").view()
    }

    /// Those at these places.
    pub fn at(&self, places: &[usize]) -> Self {
        Self {
            rows: places.iter().map(|&place| self.rows[place]).collect(),
            images: self
                .images
                .as_ref()
                .map(|images| images.select(Axis(0), places)),
            spectra: self
                .spectra
                .as_ref()
                .map(|spectra| spectra.select(Axis(0), places)),
            spectrum_filled: self
                .spectrum_filled
                .as_ref()
                .map(|shares| places.iter().map(|&place| shares[place]).collect()),
        }
    }

    /// Of each image the number of bands without data, where images were asked for.
    pub fn bands_missing(&self) -> Option<Vec<u8>> {
        let images = self.images.as_ref()?;
        let (_, bands, height, width) = images.dim();
        let pixels = images.as_slice().expect("standard layout");
        let missing = |image: &[f32]| {
            let bands = image.chunks_exact(height * width);
            let missing = bands.filter(|band| is_missing(band, width)).count();
            u8::try_from(missing).unwrap_or(u8::MAX)
        };
        let per_image = bands * height * width;
        Some(pixels.chunks_exact(per_image).map(missing).collect())
    }

    /// The spectra, which must have been asked for.
    pub fn asked_spectra(&self) -> ArrayView2<'_, f32> {
        let spectra = self.spectra.as_ref();
        spectra.expect("spectra were asked for").view()
    }
}

impl Dataset {
    /// Images of these rows, in this order: `(n, bands, S, S)`, bands of the survey, in the units of the
    /// file (nanomaggies).
    ///
    /// # Errors
    /// Without images, where a file cannot be read, and where an image holds a NaN or an infinity or one of
    /// its bands is mostly missing: exactly zero in more than half of the pixels, many in a row. Where the options take
    /// images with missing bands, a band of NaN alone is of zeros.
    pub fn images(&self, rows: &[usize]) -> Result<Array4<f32>> {
        let size = self.image_size.ok_or_else(|| self.lacks(Modality::Image))?;
        let bands = self.survey.bands.len();
        let mut images = Array4::zeros((rows.len(), bands, size, size));
        for (part, wanted) in self.by_part(Modality::Image, rows) {
            let source = &self.parts[part].source;
            let _reading = Reading::of(&source.contents().path);
            let shape = source
                .contents()
                .image_shape
                .expect("images are read from files that have some");
            if shape == [bands, size, size] {
                let out = images.as_slice_mut().expect("standard layout");
                source.read_images(&wanted, out)?;
                continue;
            }
            let mut whole = vec![0.0; wanted.len() * shape.iter().product::<usize>()];
            source.read_images(&packed(&wanted), &mut whole)?;
            let pixels = shape.iter().product();
            for (values, &(position, _)) in whole.chunks_exact(pixels).zip(&wanted) {
                let image = ArrayView3::from_shape(shape, values).expect("as many pixels");
                let [top, left] = [shape[1], shape[2]].map(|side| centre_margin(side, size));
                let centre = image.slice(s![.., top..top + size, left..left + size]);
                images.index_axis_mut(Axis(0), position).assign(&centre);
            }
        }
        let per_image = (bands * size * size).max(1);
        if self.missing_bands {
            let pixels = images.as_slice_mut().expect("standard layout");
            let nowhere = pixels
                .chunks_exact_mut(size * size)
                .filter(|band| band.iter().all(|value| value.is_nan()));
            nowhere.for_each(|band| band.fill(0.0));
        }
        let pixels = images.as_slice().expect("standard layout");
        for (image, &row) in pixels.chunks_exact(per_image).zip(rows) {
            self.check_image(image, row)?;
        }
        if let Some(first) = pixels.chunks_exact(per_image).next()
            && !self.looked_at_images.swap(true, Ordering::Relaxed)
            && is_picture(first)
        {
            tracing::warn!(
                "{}: images hold integers from 0 to 255, as pictures made for the eye do; models take fluxes in \
                 nanomaggies",
                self.place(Modality::Image, rows[0]).0.display()
            );
        }
        Ok(images)
    }

    /// Spectra of these rows, in this order: `(n, pixels)` at the survey's wavelengths, in the units of the
    /// file (1e-17 erg/s/cm²/Å).
    ///
    /// # Errors
    /// Without spectra, where a file cannot be read, and where a spectrum holds a NaN or an infinity in a good pixel, is
    /// zero everywhere, or has few good pixels.
    pub fn spectra(&self, rows: &[usize]) -> Result<Array2<f32>> {
        Ok(self.measured_spectra(rows)?.0)
    }

    /// Spectra, and of each the share of the survey's wavelengths at which nothing was measured.
    fn measured_spectra(&self, rows: &[usize]) -> Result<(Array2<f32>, Vec<f32>)> {
        if !self.has(Modality::Spectrum) {
            return Err(self.lacks(Modality::Spectrum));
        }
        let mut spectra = Array2::zeros((rows.len(), self.survey.wavelengths.len));
        let mut filled = vec![0.0; rows.len()];
        let mut in_place = Vec::new();
        for (part, wanted) in self.by_part(Modality::Spectrum, rows) {
            let Part { source, placing } = &self.parts[part];
            let _reading = Reading::of(&source.contents().path);
            let Some(placing) = placing else {
                let mut out = StoredSpectra {
                    flux: spectra.as_slice_mut().expect("standard layout"),
                    bad: &mut [],
                    wavelengths: &mut [],
                };
                source.read_spectra(&wanted, &mut out)?;
                in_place.extend(wanted.into_iter().map(|(position, _)| position));
                continue;
            };
            let pixels = placing.pixels();
            let values = wanted.len() * pixels;
            let mut flux = vec![0.0; values];
            let mut bad = vec![false; if placing.flags { values } else { 0 }];
            let mut wavelengths = vec![0.0; if placing.per_row() { values } else { 0 }];
            let mut out = StoredSpectra {
                flux: &mut flux,
                bad: &mut bad,
                wavelengths: &mut wavelengths,
            };
            source.read_spectra(&packed(&wanted), &mut out)?;
            for (index, &(position, _)) in wanted.iter().enumerate() {
                let range = index * pixels..(index + 1) * pixels;
                let bad = bad.get_mut(range.clone()).unwrap_or_default();
                let wavelengths = wavelengths.get(range.clone()).unwrap_or_default();
                let mut out = spectra.row_mut(position);
                let out = out.as_slice_mut().expect("standard layout");
                filled[position] = placing
                    .place(&mut flux[range], bad, wavelengths, out)
                    .map_err(|message| self.error(Modality::Spectrum, rows[position], message))?;
            }
            if placing.has_gaps() && !self.told_of_gaps.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    "{}: spectra have gaps of bad pixels too long to interpolate; these are filled with the \
                     median of the spectrum (`astroclip check` says how many)",
                    source.contents().path.display()
                );
            }
        }
        for position in in_place {
            let spectrum = spectra.row(position);
            self.check_spectrum(
                spectrum.to_slice().expect("standard layout"),
                rows[position],
            )?;
        }
        Ok((spectra, filled))
    }

    /// Images and spectra, those that are asked for, of these rows.
    ///
    /// # Errors
    /// As [`Dataset::images`] and [`Dataset::spectra`].
    pub fn read(&self, rows: &[usize], modalities: &[Modality]) -> Result<Galaxies> {
        let wants = |modality| modalities.contains(&modality);
        let images = wants(Modality::Image)
            .then(|| self.images(rows))
            .transpose()?;
        let spectra = wants(Modality::Spectrum)
            .then(|| self.measured_spectra(rows))
            .transpose()?;
        let (spectra, spectrum_filled) = spectra.unzip();
        Ok(Galaxies {
            rows: rows.to_vec(),
            images,
            spectra,
            spectrum_filled,
        })
    }

    fn by_part(&self, modality: Modality, rows: &[usize]) -> Vec<(usize, Vec<(usize, usize)>)> {
        let wanted = rows.iter().enumerate().map(|(position, &row)| {
            assert!(row < self.len, "row {row} of {}", self.len);
            (position, self.stored(modality, row))
        });
        by_part(&self.starts, wanted)
    }

    fn lacks(&self, modality: Modality) -> Error {
        let contents = self.parts[0].source.contents();
        let what = plural(modality);
        Error::input(format!(
            "holds no {what} (format: {}); give a file with {what}",
            contents.format
        ))
        .in_file(&contents.path)
    }
}

/// The same rows, to be read one behind the other.
fn packed(wanted: &[(usize, usize)]) -> Vec<(usize, usize)> {
    wanted.iter().map(|&(_, row)| row).enumerate().collect()
}
