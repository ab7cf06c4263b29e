//! Tables for programs: what was found, and the galaxies in a cone on the sky (Simple Cone Search, IVOA 1.03).

use axum::body::Body;
use axum::extract::State;
use axum::http::{Response, StatusCode, Uri, header};
use axum::response::IntoResponse;
use serde::Deserialize;
use utoipa::ToSchema;

use super::Shared;
use super::refusal::{Refusal, Sent};
use crate::base::error::Error;
use crate::files::catalog::{ColumnHead, ColumnKind, OutputFormat};
use crate::service::archive::found_table;

/// Galaxies in one table of what was found.
const MOST: usize = 10_000;
/// Galaxies in one cone.
const MOST_IN_CONE: usize = 100_000;
/// What a VOTable is called in HTTP.
const VOTABLE: &str = "application/x-votable+xml";

/// What to write.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExportBody {
    /// Identifiers, in the order of the rows.
    ids: Vec<String>,
    /// Their similarities to a query, where there was one.
    #[serde(default)]
    similarity: Option<Vec<f64>>,
    /// `csv`, `votable`, or `ids` for a text with one identifier a line.
    format: ExportFormat,
}

/// As what to write it.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ExportFormat {
    /// Text with commas.
    Csv,
    /// The XML of the Virtual Observatory.
    Votable,
    /// One identifier a line.
    Ids,
}

/// A table of galaxies: identifier, position, similarity where there is one, and all that is known of them.
#[utoipa::path(post, path = "/api/v1/export", request_body = ExportBody,
    responses((status = 200, content_type = "text/csv", body = String), (status = 400, body = Refusal)))]
pub async fn export(
    State(service): Shared,
    Sent(body): Sent<ExportBody>,
) -> Result<impl IntoResponse, Refusal> {
    let count = body.ids.len();
    if count == 0 || count > MOST {
        return Err(Refusal::bad(format!(
            "{count} identifiers; expected 1 to {MOST}"
        )));
    }
    let similarities = body.similarity.as_ref().map_or(count, Vec::len);
    if similarities != count {
        return Err(Refusal::bad(format!(
            "{similarities} similarities of {count} galaxies; expected one for each"
        )));
    }
    let (kind, ending) = match body.format {
        ExportFormat::Csv => ("text/csv; charset=utf-8", "csv"),
        ExportFormat::Votable => (VOTABLE, "vot"),
        ExportFormat::Ids => ("text/plain; charset=utf-8", "txt"),
    };
    let written = service.work(move |archive| {
        let rows = body.ids.iter().map(|id| archive.row(id));
        let rows = rows.collect::<crate::base::error::Result<Vec<usize>>>()?;
        let format = match body.format {
            ExportFormat::Csv => OutputFormat::Csv,
            ExportFormat::Votable => OutputFormat::VoTable,
            ExportFormat::Ids => {
                let lines = rows.iter().map(|&row| format!("{}\n", archive.id(row)));
                return Ok(lines.collect::<String>().into_bytes());
            }
        };
        let mut table = found_table(archive, &rows, "galaxies found by their embeddings");
        if let Some(similarity) = body.similarity {
            let head = ColumnHead::plain("similarity", ColumnKind::F64)
                .described("cosine similarity to the query");
            table = table.with(head, similarity);
        }
        table.bytes(format)
    });
    let written = written.await?;
    let disposition = format!("attachment; filename=\"galaxies.{ending}\"");
    let headers = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    Ok((headers, written))
}

/// Galaxies within a cone on the sky: Simple Cone Search 1.03 of the Virtual Observatory.
#[utoipa::path(get, path = "/cone",
    params(
        ("RA" = f64, Query, description = "Right ascension of the centre, degrees"),
        ("DEC" = f64, Query, description = "Declination of the centre, degrees"),
        ("SR" = f64, Query, description = "Radius, degrees; 0 asks for the columns alone"),
        ("VERB" = Option<u8>, Query, description = "How many columns: 1, 2 or 3; all are given"),
    ),
    responses((status = 200, content_type = "application/x-votable+xml", body = String)))]
pub async fn cone(State(service): Shared, uri: Uri) -> Response<Body> {
    let asked = match Cone::of(uri.query().unwrap_or_default()) {
        Ok(asked) => asked,
        Err(message) => return refused(&message),
    };
    let table = service.work(move |archive| {
        let near = archive.sky().within(asked.ra, asked.dec, asked.radius);
        if near.len() > MOST_IN_CONE {
            return Err(Error::input(format!(
                "{} galaxies are in the cone; at most {MOST_IN_CONE} are given: ask for a smaller radius",
                near.len()
            )));
        }
        // A radius of zero asks for what columns there are.
        let near = if asked.radius > 0.0 { near } else { Vec::new() };
        let (rows, distances): (Vec<usize>, Vec<f64>) = near.into_iter().unzip();
        let distance = ColumnHead::plain("distance", ColumnKind::F64)
            .in_unit("deg")
            .of_ucd("pos.angDistance")
            .described("distance from the centre of the cone");
        found_table(archive, &rows, "galaxies in a cone")
            .with(distance, distances)
            .for_cone_search()
            .bytes(OutputFormat::VoTable)
    });
    match table.await {
        Ok(table) => ([(header::CONTENT_TYPE, VOTABLE)], table).into_response(),
        Err(refusal) if refusal.status() == StatusCode::BAD_REQUEST => refused(refusal.message()),
        Err(refusal) => refusal.into_answer(),
    }
}

/// A cone on the sky, degrees.
struct Cone {
    ra: f64,
    dec: f64,
    radius: f64,
}

impl Cone {
    /// From parameters, whose names are of any case, others being passed over as the standard asks.
    fn of(query: &str) -> Result<Self, String> {
        let number = |wanted: &str, low: f64, high: f64| {
            let mut parameters = query.split('&').filter_map(|one| one.split_once('='));
            let found = parameters.find(|(name, _)| name.eq_ignore_ascii_case(wanted));
            let text = found.map_or("", |(_, value)| value);
            let value = text.parse::<f64>().ok();
            value
                .filter(|value| (low..=high).contains(value))
                .ok_or_else(|| {
                    let shown: String = text.chars().take(40).collect();
                    format!("{wanted}: `{shown}`; expected degrees from {low} to {high}")
                })
        };
        Ok(Self {
            ra: number("RA", 0.0, 360.0)?,
            dec: number("DEC", -90.0, 90.0)?,
            radius: number("SR", 0.0, 180.0)?,
        })
    }
}

/// What the standard gives for an error: a VOTable that says it.
fn refused(message: &str) -> Response<Body> {
    let letters = message.chars().filter(|letter| !letter.is_control());
    let escaped: String = letters
        .map(|letter| match letter {
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            '"' => "&quot;".to_owned(),
            letter => letter.to_string(),
        })
        .collect();
    let table = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <VOTABLE version=\"1.4\" xmlns=\"http://www.ivoa.net/xml/VOTable/v1.3\">\n\
         <INFO ID=\"Error\" name=\"Error\" value=\"{escaped}\"/>\n</VOTABLE>\n"
    );
    ([(header::CONTENT_TYPE, VOTABLE)], table).into_response()
}
