//! Images and spectra of galaxies: for the eye, as FITS, as numbers.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use serde::Deserialize;
use utoipa::IntoParams;

use super::Shared;
use super::refusal::{Named, Query, Refusal};
use crate::base::error::{Error, Result};
use crate::service::archive::{Archive, Observations, Spectrum, Stretch, picture as drawn};
use crate::survey::Modality;

/// How long browsers keep pictures, which do not change while the service runs.
const KEPT: &str = "private, max-age=600";

/// How fluxes become colours.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
pub struct Stretching {
    /// Fluxes are multiplied by it; 1 is the survey's own scaling.
    brightness: f32,
    /// Softening of the arcsinh; 20 is the survey's own.
    softening: f32,
    /// Side of the picture, pixels about the centre.
    size: usize,
}

impl Default for Stretching {
    fn default() -> Self {
        let Stretch {
            brightness,
            softening,
            size,
        } = Stretch::default();
        Self {
            brightness,
            softening,
            size,
        }
    }
}

/// How many pixels a spectrum has.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Binned {
    /// At most so many, each the mean of as many pixels of the survey; all without it.
    bins: Option<usize>,
}

/// A galaxy's image for the eye.
#[utoipa::path(get, path = "/api/v1/galaxies/{id}/image.png",
    params(("id" = String, Path, description = "Identifier"), Stretching),
    responses((status = 200, content_type = "image/png", body = [u8]), (status = 404, body = Refusal)))]
pub async fn picture(
    State(service): Shared,
    Named(id): Named,
    Query(stretch): Query<Stretching>,
) -> Result<impl IntoResponse, Refusal> {
    let row = service.row(&id)?;
    let Stretching {
        brightness,
        softening,
        size,
    } = stretch;
    let is_possible = |value: f32| (1e-3..=1e4).contains(&value);
    if !is_possible(brightness) || !is_possible(softening) || size == 0 {
        return Err(Refusal::bad(format!(
            "brightness {brightness}, softening {softening}, size {size}: expected numbers from 0.001 to 10000 and a size \
             of 1 or more"
        )));
    }
    let stretch = Stretch {
        brightness,
        softening,
        size,
    };
    let png = service.work(move |archive| {
        let image = observations(archive, Modality::Image)?.image(archive.id(row))?;
        drawn(image.view(), stretch)
    });
    let png = png.await.map_err(Refusal::into_missing)?;
    Ok((
        [
            (header::CONTENT_TYPE, "image/png"),
            (header::CACHE_CONTROL, KEPT),
        ],
        png,
    ))
}

/// A galaxy's image, fluxes in nanomaggies.
#[utoipa::path(get, path = "/api/v1/galaxies/{id}/image.fits",
    params(("id" = String, Path, description = "Identifier")),
    responses((status = 200, content_type = "application/fits", body = [u8]), (status = 404, body = Refusal)))]
pub async fn fits(State(service): Shared, Named(id): Named) -> Result<impl IntoResponse, Refusal> {
    let row = service.row(&id)?;
    let fits = service.work(move |archive| {
        let position = archive.file().observed[row].position;
        observations(archive, Modality::Image)?.fits(archive.id(row), position)
    });
    let fits = fits.await.map_err(Refusal::into_missing)?;
    let name = format!("attachment; filename=\"galaxy-{row}.fits\"");
    let headers = [
        (header::CONTENT_TYPE, "application/fits".to_owned()),
        (header::CONTENT_DISPOSITION, name),
    ];
    Ok((headers, fits))
}

/// A galaxy's spectrum.
#[utoipa::path(get, path = "/api/v1/galaxies/{id}/spectrum",
    params(("id" = String, Path, description = "Identifier"), Binned),
    responses((status = 200, body = Spectrum), (status = 404, body = Refusal)))]
pub async fn spectrum(
    State(service): Shared,
    Named(id): Named,
    Query(Binned { bins }): Query<Binned>,
) -> Result<impl IntoResponse, Refusal> {
    let row = service.row(&id)?;
    if bins == Some(0) {
        return Err(Refusal::bad("bins is 0; expected 1 or more"));
    }
    let spectrum = service.work(move |archive| {
        let whole = observations(archive, Modality::Spectrum)?.spectrum(archive.id(row))?;
        Ok(match bins {
            Some(bins) => whole.binned(bins),
            None => whole,
        })
    });
    let spectrum = spectrum.await.map_err(Refusal::into_missing)?;
    Ok(([(header::CACHE_CONTROL, KEPT)], Json(spectrum)))
}

/// The survey files, where they hold what is wanted.
fn observations(archive: &Archive, wanted: Modality) -> Result<&Observations> {
    let observations = archive.observations().filter(|of| of.has(wanted));
    observations.ok_or_else(|| {
        let what = match wanted {
            Modality::Image => "images",
            Modality::Spectrum => "spectra",
        };
        Error::input(format!(
            "no {what} are at hand; start the service with the survey files: --data FILE …"
        ))
    })
}
