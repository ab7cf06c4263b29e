//! The map of the embeddings, and columns to colour it by.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Shared;
use super::refusal::{Named, Query, Refusal};
use crate::service::archive::Progress;
use crate::survey::Modality;

/// Which map.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct MapOf {
    /// Of which embeddings: `image` or `spectrum`.
    #[param(value_type = String)]
    of: Modality,
}

/// Galaxies on a map.
#[derive(Debug, Serialize, ToSchema)]
pub struct Drawn {
    /// `computing`, then `done`: ask again in a few seconds.
    status: &'static str,
    /// Rows of the galaxies in the embedding file.
    rows: Vec<usize>,
    /// Their identifiers.
    object_id: Vec<String>,
    /// Places from 0 to 1, of all of the galaxies.
    x: Vec<f32>,
    /// As `x`.
    y: Vec<f32>,
    /// Galaxies that t-SNE placed; the others stand between those that they are most similar to.
    landmarks: usize,
}

/// The values of a column.
#[derive(Debug, Serialize, ToSchema)]
pub struct ColumnValues {
    /// By row of the embedding file; null where unknown.
    values: Vec<Option<f64>>,
}

/// Places of all galaxies on a map of their embeddings. The first request begins it.
#[utoipa::path(get, path = "/api/v1/map", params(MapOf),
    responses((status = 200, body = Drawn), (status = 400, body = Refusal)))]
pub async fn map(State(service): Shared, Query(wanted): Query<MapOf>) -> Result<Response, Refusal> {
    let progress = service.work(move |archive| {
        Ok(match archive.map(wanted.of)? {
            Progress::Failed(why) => Err(why),
            Progress::Computing => Ok(None),
            Progress::Done(map) => {
                // Four digits are a tenth of a pixel.
                let axis = |axis: usize| {
                    let rounded = map.at.iter().map(|at| (at[axis] * 1e4).round() / 1e4);
                    rounded.collect()
                };
                let ids = map.rows.iter().map(|&row| archive.id(row).to_string());
                Ok(Some(Drawn {
                    status: "done",
                    object_id: ids.collect(),
                    x: axis(0),
                    y: axis(1),
                    rows: map.rows.clone(),
                    landmarks: map.landmarks,
                }))
            }
        })
    });
    match progress.await? {
        Err(why) => Err(Refusal::bad(why)),
        Ok(Some(drawn)) => Ok(kept(drawn)),
        Ok(None) => Ok(Json(Drawn {
            status: "computing",
            rows: Vec::new(),
            object_id: Vec::new(),
            x: Vec::new(),
            y: Vec::new(),
            landmarks: 0,
        })
        .into_response()),
    }
}

/// The values of a column for all galaxies.
#[utoipa::path(get, path = "/api/v1/columns/{name}", params(("name" = String, Path, description = "Name of the column")),
    responses((status = 200, body = ColumnValues), (status = 404, body = Refusal)))]
pub async fn column(State(service): Shared, Named(name): Named) -> Result<Response, Refusal> {
    let values = service.work(move |archive| {
        let column = archive.columns().find(&name)?;
        let known = |value: &f64| Some(*value).filter(|value| value.is_finite());
        Ok(column.values.iter().map(known).collect())
    });
    let values = values.await.map_err(Refusal::into_missing)?;
    Ok(kept(ColumnValues { values }))
}

/// An answer that stays the same while the service runs.
fn kept(answer: impl Serialize) -> Response {
    (
        [(header::CACHE_CONTROL, "private, max-age=600")],
        Json(answer),
    )
        .into_response()
}
