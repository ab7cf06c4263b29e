//! Images and spectra of rows anywhere in the files.

use ndarray::{Array2, Array4, ArrayView2, ArrayView3, ArrayView4, Axis, s};

use super::{Dataset, Part, plural};
use crate::base::error::{Error, Result};
use crate::files::data::source::by_part;
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
}

impl Galaxies {
    /// The images, which must have been asked for.
    pub fn asked_images(&self) -> ArrayView4<'_, f32> {
        self.images.as_ref().expect("images were asked for").view()
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
    /// its bands is mostly missing: exactly zero in more than half of the pixels, many in a row.
    pub fn images(&self, rows: &[usize]) -> Result<Array4<f32>> {
        let size = self.image_size.ok_or_else(|| self.lacks(Modality::Image))?;
        let bands = self.survey.bands.len();
        let mut images = Array4::zeros((rows.len(), bands, size, size));
        for (part, wanted) in self.by_part(rows) {
            let source = &self.parts[part].source;
            let shape = source
                .contents()
                .image_shape
                .expect("all files have images");
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
        let pixels = images.as_slice().expect("standard layout");
        let per_image = (bands * size * size).max(1);
        for (image, &row) in pixels.chunks_exact(per_image).zip(rows) {
            self.check_image(image, row)?;
        }
        Ok(images)
    }

    /// Spectra of these rows, in this order: `(n, pixels)` at the survey's wavelengths, in the units of the
    /// file (1e-17 erg/s/cm²/Å).
    ///
    /// # Errors
    /// Without spectra, where a file cannot be read, and where a spectrum holds a NaN or an infinity or is
    /// zero everywhere.
    pub fn spectra(&self, rows: &[usize]) -> Result<Array2<f32>> {
        if !self.has(Modality::Spectrum) {
            return Err(self.lacks(Modality::Spectrum));
        }
        let mut spectra = Array2::zeros((rows.len(), self.survey.wavelengths.len));
        for (part, wanted) in self.by_part(rows) {
            let Part { source, resampler } = &self.parts[part];
            let Some(resampler) = resampler else {
                let out = spectra.as_slice_mut().expect("standard layout");
                source.read_spectra(&wanted, out)?;
                continue;
            };
            let mut whole = vec![0.0; wanted.len() * resampler.pixels()];
            source.read_spectra(&packed(&wanted), &mut whole)?;
            let values = whole.chunks_exact(resampler.pixels());
            for (spectrum, &(position, row)) in values.zip(&wanted) {
                self.check_spectrum(spectrum, self.starts[part] + row)?;
                let mut out = spectra.row_mut(position);
                resampler.apply(spectrum, out.as_slice_mut().expect("standard layout"));
            }
        }
        for (spectrum, &row) in spectra.outer_iter().zip(rows) {
            self.check_spectrum(spectrum.to_slice().expect("standard layout"), row)?;
        }
        Ok(spectra)
    }

    /// Images and spectra, those that are asked for, of these rows.
    ///
    /// # Errors
    /// As [`Dataset::images`] and [`Dataset::spectra`].
    pub fn read(&self, rows: &[usize], modalities: &[Modality]) -> Result<Galaxies> {
        let wants = |modality| modalities.contains(&modality);
        Ok(Galaxies {
            rows: rows.to_vec(),
            images: wants(Modality::Image)
                .then(|| self.images(rows))
                .transpose()?,
            spectra: wants(Modality::Spectrum)
                .then(|| self.spectra(rows))
                .transpose()?,
        })
    }

    fn by_part(&self, rows: &[usize]) -> Vec<(usize, Vec<(usize, usize)>)> {
        let wanted = rows.iter().copied().enumerate().inspect(|&(_, row)| {
            assert!(row < self.len, "row {row} of {}", self.len);
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
