//! Values that are hardly what they are taken for: numbers would come out, and be wrong.

use crate::app::commands::contents::Survey as Contents;
use crate::survey::Survey;

/// The median pixel of a cutout is sky, which is near 0 once it is subtracted; without, a dark sky has some 0.1
/// nanomaggies in a pixel of the Legacy Surveys.
const MOST_SKY: f32 = 0.5;

/// Deviations of flux within which spectra are in 1e-17 erg/s/cm²/Å: those of DESI and SDSS have 0.1 to 1000.
const FLUX: [f64; 2] = [1e-4, 1e6];

/// What does not look as it should in files that are taken for cutouts of the Legacy Surveys or spectra on DESI's
/// wavelengths. What other surveys hold, and in which unit, their run files know.
pub(super) fn of(contents: &Contents, survey: &Survey) -> Vec<String> {
    let mut doubts = Vec::new();
    if *survey != Survey::default() {
        return doubts;
    }
    for band in contents.bands() {
        if band.median.abs() > MOST_SKY {
            doubts.push(format!(
                "the median pixel of band {} is {:.4}, where the sky of images in nanomaggies lies near 0; give images \
                 in nanomaggies with the sky subtracted",
                band.name, band.median
            ));
        }
    }
    if let Some(flux) = contents
        .flux()
        .filter(|flux| !(FLUX[0]..FLUX[1]).contains(&flux.std))
    {
        doubts.push(format!(
            "the flux has a deviation of {:.3e}, where spectra in 1e-17 erg/s/cm²/Å have 0.1 to 1000; scale it",
            flux.std
        ));
    }
    doubts
}
