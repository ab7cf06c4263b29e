//! A galaxy that somebody brings: its embeddings, with which to search.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Shared;
use super::refusal::{File, Query, Refusal};
use crate::service::archive::{Estimate, Spectrum, Stretch, estimated, picture};

/// Letters of a file's name that messages repeat.
const LONGEST_NAME: usize = 60;

/// What the upload is called.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Called {
    /// Name of the file, for messages.
    #[serde(default)]
    name: String,
}

/// A galaxy that was brought.
#[derive(Debug, Serialize, ToSchema)]
pub struct Brought {
    /// Embeddings by kind, `image` and `spectrum`, as far as the file has them: `vector` of a search.
    vectors: BTreeMap<&'static str, Vec<f32>>,
    /// Its image for the eye, as an address that holds it all (`data:image/png;base64,…`).
    picture: Option<String>,
    /// Its spectrum on the model's wavelengths.
    spectrum: Option<Spectrum>,
    /// Its redshift, where the file tells it.
    redshift: Option<f32>,
    /// What the galaxies nearest by embedding say of it.
    estimates: Vec<Estimate>,
}

/// Embeds one galaxy: an image or a spectrum in FITS, or a spectrum as CSV with the columns `wavelength` (Å) and `flux`.
/// The body is the file. Nothing of it is kept.
#[utoipa::path(post, path = "/api/v1/upload", params(Called),
    request_body(content = [u8], content_type = "application/octet-stream"),
    responses((status = 200, body = Brought), (status = 400, body = Refusal), (status = 413, body = Refusal)))]
pub async fn upload(
    State(service): Shared,
    Query(called): Query<Called>,
    File(bytes): File,
) -> Result<Json<Brought>, Refusal> {
    let last = called.name.rsplit(['/', '\\']).next().unwrap_or_default();
    let letters = last.chars().filter(|letter| !letter.is_control());
    let mut name: String = letters.take(LONGEST_NAME).collect();
    if name.is_empty() {
        name = "the upload".to_owned();
    }
    let brought = service.work(move |archive| {
        let upload = archive.embed(&bytes, &name)?;
        let drawn = |image: &ndarray::Array3<f32>| picture(image.view(), Stretch::default());
        let png = upload.image.as_ref().map(drawn).transpose()?;
        let mut estimates = Vec::new();
        for (by, vector) in &upload.vectors {
            if archive.gallery(*by).is_ok() {
                estimates.extend(estimated(archive, *by, vector, None)?);
            }
        }
        let vectors = upload.vectors.into_iter();
        Ok(Brought {
            vectors: vectors.map(|(of, vector)| (of.name(), vector)).collect(),
            picture: png.map(|png| format!("data:image/png;base64,{}", STANDARD.encode(png))),
            spectrum: upload.spectrum,
            redshift: upload.redshift,
            estimates,
        })
    });
    Ok(Json(brought.await?))
}
