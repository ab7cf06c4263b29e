//! What programs may ask for, as OpenAPI 3.1.

use axum::Json;
use utoipa::OpenApi;

use super::{galaxies, map, refusal, search, tables, upload, views};
use crate::service::archive;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "astroclip serve",
        description = "Galaxies by the similarity of their images and spectra."
    ),
    paths(
        galaxies::info,
        galaxies::one,
        galaxies::batch,
        galaxies::batch_of_body,
        views::picture,
        views::fits,
        views::spectrum,
        galaxies::estimates,
        galaxies::near,
        search::by_id,
        search::by_body,
        search::unusual,
        map::map,
        map::column,
        tables::export,
        tables::cone,
        upload::upload,
    ),
    components(schemas(
        galaxies::Info,
        galaxies::Galaxy,
        galaxies::Batch,
        galaxies::IdList,
        galaxies::Near,
        galaxies::NearGalaxy,
        search::SearchBody,
        search::FilterBody,
        search::Found,
        search::FoundGalaxy,
        search::Unusual,
        search::UnusualGalaxy,
        map::Drawn,
        map::ColumnValues,
        tables::ExportBody,
        tables::ExportFormat,
        upload::Brought,
        refusal::Refusal,
        archive::ColumnSummary,
        archive::Estimate,
        archive::Spectrum,
    ))
)]
struct Document;

/// The document.
pub async fn document() -> Json<utoipa::openapi::OpenApi> {
    Json(Document::openapi())
}
