//! Galaxies: what is known of them, their images, spectra and estimates.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Shared;
use super::refusal::{Named, Query, Refusal, Sent};
use crate::base::error::{Error, Result};
use crate::service::archive::{Archive, ColumnSummary, Estimate, Observations, estimated};
use crate::survey::{Modality, Split};

/// Galaxies in one answer.
const MOST: usize = 1000;

/// What the service has.
#[derive(Debug, Serialize, ToSchema)]
pub struct Info {
    /// Version of the program.
    version: &'static str,
    /// Name of the embedding file.
    embeddings: String,
    /// Number of galaxies.
    galaxies: usize,
    /// Whether some of the nearest may be missing from an answer: searches in an index.
    approximate: bool,
    /// Kinds of embeddings.
    #[schema(value_type = Vec<String>, example = json!(["image", "spectrum"]))]
    modalities: Vec<Modality>,
    /// Numbers per embedding.
    width: usize,
    /// Whether there are images.
    images: bool,
    /// Whether there are spectra.
    spectra: bool,
    /// Side of the images, arcsec; 0 without images.
    image_side: f64,
    /// What may be uploaded.
    #[schema(value_type = Vec<String>, example = json!(["image", "spectrum"]))]
    uploads: Vec<Modality>,
    /// Galaxies whose position is known.
    positions: usize,
    /// Columns of numbers that are known of galaxies.
    columns: Vec<ColumnSummary>,
    /// How identifiers look.
    examples: Vec<String>,
}

/// A galaxy.
#[derive(Debug, Serialize, ToSchema)]
pub struct Galaxy {
    /// Identifier; as text, because scripts in browsers round integers of 64 bits.
    object_id: String,
    /// Row in the embedding file.
    row: usize,
    /// Right ascension, degrees.
    ra: Option<f64>,
    /// Declination, degrees.
    dec: Option<f64>,
    /// `train` or `test`.
    #[schema(value_type = String, example = "test")]
    split: Split,
    /// Whether its image is at hand.
    image: bool,
    /// Whether its spectrum is at hand.
    spectrum: bool,
    /// What is known of it, by column.
    properties: BTreeMap<String, f64>,
}

/// Galaxies in the order in which they were asked for.
#[derive(Debug, Serialize, ToSchema)]
pub struct Batch {
    /// Those that exist.
    galaxies: Vec<Galaxy>,
    /// Identifiers that do not.
    missing: Vec<String>,
}

/// Galaxies near a position, nearest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct Near {
    /// The galaxies.
    galaxies: Vec<NearGalaxy>,
}

/// A galaxy and how near it is.
#[derive(Debug, Serialize, ToSchema)]
pub struct NearGalaxy {
    /// Its distance, arcsec.
    distance: f64,
    #[serde(flatten)]
    galaxy: Galaxy,
}

/// Identifiers.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Ids {
    /// Identifiers, separated by commas.
    ids: String,
}

/// Identifiers.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IdList {
    /// Identifiers, up to 1000.
    ids: Vec<String>,
}

/// A position.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Around {
    /// Right ascension, degrees.
    ra: f64,
    /// Declination, degrees.
    dec: f64,
    /// Radius, arcsec.
    #[serde(default = "Around::radius")]
    #[param(default = 60.0)]
    radius: f64,
}

impl Around {
    fn radius() -> f64 {
        60.0
    }
}

/// What the service has.
#[utoipa::path(get, path = "/api/v1/info", responses((status = 200, body = Info)))]
pub async fn info(State(service): Shared) -> Json<Info> {
    let archive = &service.archive;
    let has = |modality| {
        let observations = archive.observations();
        observations.is_some_and(|observations: &Observations| observations.has(modality))
    };
    let width = archive.modalities().first().map(|&of| archive.gallery(of));
    let step = (archive.len() / 3).max(1);
    let examples = (0..archive.len()).step_by(step).take(3);
    let embedder = archive.embedder();
    Json(Info {
        version: env!("CARGO_PKG_VERSION"),
        embeddings: archive.name(),
        galaxies: archive.len(),
        approximate: archive.is_approximate(),
        modalities: archive.modalities(),
        width: width
            .and_then(Result::ok)
            .map_or(0, |gallery| gallery.width()),
        images: has(Modality::Image),
        spectra: has(Modality::Spectrum),
        image_side: archive.observations().map_or(0.0, Observations::image_side),
        uploads: embedder.map_or_else(Vec::new, |embedder| embedder.modalities().to_vec()),
        positions: archive.sky().known(),
        columns: archive.columns().summaries(),
        examples: examples.map(|row| archive.id(row).to_string()).collect(),
    })
}

/// A galaxy.
#[utoipa::path(get, path = "/api/v1/galaxies/{id}", params(("id" = String, Path, description = "Identifier")),
    responses((status = 200, body = Galaxy), (status = 404, body = Refusal)))]
pub async fn one(State(service): Shared, Named(id): Named) -> Result<Json<Galaxy>, Refusal> {
    let row = service.row(&id)?;
    Ok(Json(galaxy(&service.archive, row)))
}

/// Several galaxies.
#[utoipa::path(get, path = "/api/v1/galaxies", params(Ids),
    responses((status = 200, body = Batch), (status = 400, body = Refusal)))]
pub async fn batch(State(service): Shared, Query(ids): Query<Ids>) -> Result<Json<Batch>, Refusal> {
    let ids = ids.ids.split(',').filter(|id| !id.trim().is_empty());
    let ids = ids.map(str::to_owned).collect();
    found(&service.archive, ids)
}

/// Several galaxies.
#[utoipa::path(post, path = "/api/v1/galaxies", request_body = IdList,
    responses((status = 200, body = Batch), (status = 400, body = Refusal)))]
pub async fn batch_of_body(
    State(service): Shared,
    Sent(list): Sent<IdList>,
) -> Result<Json<Batch>, Refusal> {
    found(&service.archive, list.ids)
}

/// Galaxies near a position.
#[utoipa::path(get, path = "/api/v1/near", params(Around),
    responses((status = 200, body = Near), (status = 400, body = Refusal)))]
pub async fn near(
    State(service): Shared,
    Query(around): Query<Around>,
) -> Result<Json<Near>, Refusal> {
    let Around { ra, dec, radius } = around;
    if !(ra.abs() <= 720.0 && dec.abs() <= 90.0 && radius >= 0.0) {
        return Err(Refusal::bad(format!(
            "right ascension {ra}, declination {dec}, radius {radius}: expected degrees, the declination from −90 to 90, \
             and a radius of 0 arcsec or more"
        )));
    }
    let near = service.work(move |archive| {
        if archive.sky().known() == 0 {
            return Err(Error::input(
                "no galaxy has a position; embed files that have `ra` and `dec`",
            ));
        }
        let near = archive.sky().within(ra, dec, radius / 3600.0);
        let near = near
            .into_iter()
            .take(MOST)
            .map(|(row, distance)| NearGalaxy {
                distance: 3600.0 * distance,
                galaxy: galaxy(archive, row),
            });
        Ok(near.collect())
    });
    let galaxies = near.await?;
    Ok(Json(Near { galaxies }))
}

/// What the galaxies nearest by embedding say of a galaxy, itself left out.
#[utoipa::path(get, path = "/api/v1/galaxies/{id}/estimates",
    params(("id" = String, Path, description = "Identifier")),
    responses((status = 200, body = Vec<Estimate>), (status = 404, body = Refusal)))]
pub async fn estimates(
    State(service): Shared,
    Named(id): Named,
) -> Result<Json<Vec<Estimate>>, Refusal> {
    let row = service.row(&id)?;
    let estimates = service.work(move |archive| {
        let mut estimates = Vec::new();
        for by in archive.modalities() {
            if archive.gallery(by)?.has_direction(row) {
                let vector = archive.embedding(row, by)?;
                estimates.extend(estimated(archive, by, &vector, Some(row))?);
            }
        }
        Ok(estimates)
    });
    Ok(Json(estimates.await?))
}

impl super::Service {
    /// The row of a galaxy that an address names.
    pub(super) fn row(&self, id: &str) -> Result<usize, Refusal> {
        let row = self.archive.row(id);
        row.map_err(|error| Refusal::of(&error, self.archive.path()).into_missing())
    }
}

fn found(archive: &Archive, ids: Vec<String>) -> Result<Json<Batch>, Refusal> {
    if ids.is_empty() || ids.len() > MOST {
        return Err(Refusal::bad(format!(
            "{} identifiers; expected 1 to {MOST}",
            ids.len()
        )));
    }
    let (mut galaxies, mut missing) = (Vec::new(), Vec::new());
    for id in ids {
        match archive.row(&id) {
            Ok(row) => galaxies.push(galaxy(archive, row)),
            Err(_) => missing.push(id),
        }
    }
    Ok(Json(Batch { galaxies, missing }))
}

/// What is known of a galaxy.
pub(super) fn galaxy(archive: &Archive, row: usize) -> Galaxy {
    let known = |value: f64| Some(value).filter(|value| value.is_finite());
    let id = archive.id(row);
    let [ra, dec] = archive.file().observed[row].position.map(known);
    let holds = |modality| {
        let observations = archive.observations();
        observations.is_some_and(|of| of.has(modality) && of.holds(id))
    };
    let columns = archive.columns().iter();
    Galaxy {
        object_id: id.to_string(),
        row,
        ra,
        dec,
        split: archive.file().split[row],
        image: holds(Modality::Image),
        spectrum: holds(Modality::Spectrum),
        properties: columns
            .filter_map(|column| Some((column.name.clone(), known(column.values[row])?)))
            .collect(),
    }
}
