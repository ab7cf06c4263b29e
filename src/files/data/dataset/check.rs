//! Images and spectra that are refused: not finite, brighter than anything in the sky, or not observed.

use super::{Dataset, Part};
use crate::base::error::{Error, Result};
use crate::survey::Modality;

/// A band with a larger share of its pixels in runs of exact zeros was not observed: files have them where
/// there are no data.
const MOST_ZEROS: f64 = 0.5;

/// No pixel of a survey is further from zero: in nanomaggies it would be of magnitude -2.5, and in 1e-17 erg/s/cm²/Å
/// thirty times as bright as Vega. What is, is a fill value or in other units, and its square may not fit into `f32`.
const MOST_FLUX: f32 = 1e10;

/// Zeros of rounded noise do not follow one another for so many pixels.
const RUN: usize = 16;

impl Dataset {
    /// An error about a galaxy's image or spectrum: names file, dataset and row.
    pub(super) fn error(
        &self,
        modality: Modality,
        row: usize,
        message: impl std::fmt::Display,
    ) -> Error {
        let (Part { source, .. }, row) = self.find(modality, row);
        Error::input(message)
            .about(source.place(modality, row))
            .in_file(&source.contents().path)
    }

    pub(super) fn check_image(&self, image: &[f32], row: usize) -> Result<()> {
        let wrong = |message: String| Err(self.error(Modality::Image, row, message));
        let bands = &self.survey.bands;
        let mut missing = Vec::new();
        for (plane, band) in image.chunks_exact(image.len() / bands.len()).zip(bands) {
            // Without an early exit the loop runs on whole vectors.
            let (good, zeros) = plane.iter().fold((true, 0_u32), |(good, zeros), &value| {
                (good & is_flux(value), zeros + u32::from(value == 0.0))
            });
            if !good {
                return wrong(not_flux(&format!(" of band {band}"), plane));
            }
            let width = self.image_size.expect("there are images");
            if !self.missing_bands && is_mostly_zero(plane, zeros as usize, width) {
                let share = f64::from(zeros) / plane.len() as f64;
                missing.push(format!("{band} ({:.0} % of its pixels)", 100.0 * share));
            }
        }
        match missing.is_empty() {
            true => Ok(()),
            false => wrong(format!(
                "nothing but zeros in band {}: it was not observed there; remove the galaxy, or pass \
                 --skip-bad (`embed` takes it as it is with --missing-bands)",
                missing.join(" and ")
            )),
        }
    }

    pub(super) fn check_spectrum(&self, spectrum: &[f32], row: usize) -> Result<()> {
        match not_usable(spectrum) {
            None => Ok(()),
            Some(message) => Err(self.error(Modality::Spectrum, row, message)),
        }
    }
}

/// Why a spectrum cannot be used, if so.
pub(super) fn not_usable(spectrum: &[f32]) -> Option<String> {
    let (good, any) = spectrum.iter().fold((true, false), |(good, any), &flux| {
        (good & is_flux(flux), any | (flux != 0.0))
    });
    match (good, any) {
        (true, true) => None,
        (false, _) => Some(not_flux("", spectrum)),
        (true, false) => {
            Some("the spectrum is zero everywhere; remove the row, or pass --skip-bad".to_owned())
        }
    }
}

/// Whether a band of an image so wide was not observed: most of it is zero, or it has one value everywhere, which is no
/// sky.
pub(super) fn is_missing(band: &[f32], width: usize) -> bool {
    let zeros = band.iter().map(|&value| usize::from(value == 0.0)).sum();
    let is_blank = band.iter().all(|value| *value == band[0]);
    is_blank || is_mostly_zero(band, zeros, width)
}

/// Whether more than [`MOST_ZEROS`] of a band, of which so many pixels are zero, are zeros in runs.
fn is_mostly_zero(band: &[f32], zeros: usize, width: usize) -> bool {
    let most = MOST_ZEROS * band.len() as f64;
    // Few images have so many zeros: only theirs are looked at in turn.
    zeros as f64 > most && zeros_in_runs(band, width) as f64 > most
}

/// Whether an image has the values of an 8-bit picture, whatever the type of its numbers.
pub(super) fn is_picture(image: &[f32]) -> bool {
    let is_byte = |value: &f32| (0.0..=255.0).contains(value) && value.fract() == 0.0;
    image.iter().all(is_byte) && image.iter().any(|&value| value > 1.0)
}

/// Pixels in horizontal runs of at least [`RUN`] exact zeros, or whole rows of them.
fn zeros_in_runs(plane: &[f32], width: usize) -> usize {
    let least = RUN.min(width);
    let rows = plane.chunks_exact(width);
    rows.map(|row| {
        let runs = row.chunk_by(|a, b| (*a == 0.0) == (*b == 0.0));
        let zeros = runs.filter(|run| run[0] == 0.0 && run.len() >= least);
        zeros.map(<[f32]>::len).sum::<usize>()
    })
    .sum()
}

/// Whether a value can be a flux; NaN and infinities cannot.
fn is_flux(value: f32) -> bool {
    value.abs() <= MOST_FLUX
}

/// What is said of `values` of which some are no fluxes.
fn not_flux(part: &str, values: &[f32]) -> String {
    let all_finite = values.iter().all(|value| value.is_finite());
    let is_bad = |value: &&f32| match all_finite {
        true => !is_flux(**value),
        false => !value.is_finite(),
    };
    let bad = values.iter().filter(is_bad).count();
    let first = values.iter().position(|value| is_bad(&value));
    let first = first.expect("a value is no flux");
    let (what, remedy) = match all_finite {
        true => (
            format!("beyond ±{MOST_FLUX:e}, brighter than anything in the sky"),
            "mend the units or the fill values",
        ),
        false => ("NaN or infinite".to_owned(), "fill them"),
    };
    format!(
        "{bad} of {} values{part} are {what}, the first ({}) at place {first}; {remedy}, remove the row, or pass \
         --skip-bad",
        values.len(),
        shown(values[first])
    )
}

/// A number that may be very large, for people.
fn shown(value: f32) -> String {
    match value.is_finite() {
        true => format!("{value:e}"),
        false => value.to_string(),
    }
}
