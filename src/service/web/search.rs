//! Searches, and galaxies that are like no others.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::galaxies::{Galaxy, galaxy};
use super::refusal::{Query, Refusal, Sent};
use super::{Service, Shared};
use crate::base::error::Result;
use crate::service::archive::{Answer, Archive, Filter, Page, Progress, Query as Wanted, Vector};
use crate::survey::Modality;

/// A search by one galaxy.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct ById {
    /// Identifier of the galaxy; several, separated by commas, are looked for by their mean.
    id: String,
    /// Identifiers of galaxies that are not meant, separated by commas: half their mean is taken off.
    #[serde(default)]
    without: String,
    /// Which embedding of it: `image` or `spectrum`.
    #[serde(default = "image")]
    #[param(value_type = Option<String>, default = "image")]
    from: Modality,
    /// Which embeddings are searched.
    #[serde(default = "image")]
    #[param(value_type = Option<String>, default = "image")]
    to: Modality,
    /// Galaxies wanted.
    #[serde(default = "limit")]
    #[param(default = 8)]
    limit: usize,
    /// Galaxies passed over: `offset` plus `limit` is at most 10000.
    #[serde(default)]
    offset: usize,
    /// Only galaxies with `COLUMN:MIN..MAX`, ends included, either of which may be missing; several separated by commas.
    #[serde(default)]
    filters: String,
}

/// A search.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchBody {
    /// Identifiers of the galaxies to look for, by the mean of their embeddings, each of norm 1.
    #[serde(default)]
    ids: Vec<String>,
    /// Identifiers of galaxies that are not meant: half their mean is taken off.
    #[serde(default)]
    without: Vec<String>,
    /// Instead of identifiers: an embedding of the same model, as `/api/v1/upload` gives it.
    #[serde(default)]
    vector: Option<Vec<f32>>,
    /// Which embedding of the galaxies: `image` or `spectrum`.
    #[serde(default = "image")]
    #[schema(value_type = Option<String>, default = "image")]
    from: Modality,
    /// Which embeddings are searched.
    #[serde(default = "image")]
    #[schema(value_type = Option<String>, default = "image")]
    to: Modality,
    /// Galaxies wanted.
    #[serde(default = "limit")]
    #[schema(default = 8)]
    limit: usize,
    /// Galaxies passed over: `offset` plus `limit` is at most 10000.
    #[serde(default)]
    offset: usize,
    /// Only galaxies within these ranges.
    #[serde(default)]
    filters: Vec<FilterBody>,
}

/// A range of a column, ends included.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FilterBody {
    /// Name of the column.
    column: String,
    /// From here on.
    min: Option<f64>,
    /// Up to here.
    max: Option<f64>,
}

/// What a search finds.
#[derive(Debug, Serialize, ToSchema)]
pub struct Found {
    /// Galaxies that could match, of which these are a page.
    total: usize,
    /// Best first.
    matches: Vec<FoundGalaxy>,
}

/// A galaxy found.
#[derive(Debug, Serialize, ToSchema)]
pub struct FoundGalaxy {
    /// Place among the matches, from 1.
    rank: usize,
    /// Cosine similarity to the query, −1 to 1.
    similarity: f64,
    #[serde(flatten)]
    galaxy: Galaxy,
}

/// Which unusual galaxies.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct UnusualPage {
    /// By which embeddings: `image` or `spectrum`.
    #[serde(default = "image")]
    #[param(value_type = Option<String>, default = "image")]
    of: Modality,
    /// Galaxies wanted.
    #[serde(default = "limit")]
    #[param(default = 8)]
    limit: usize,
    /// Galaxies passed over.
    #[serde(default)]
    offset: usize,
    /// As of a search.
    #[serde(default)]
    filters: String,
}

/// Galaxies from the most unusual on.
#[derive(Debug, Serialize, ToSchema)]
pub struct Unusual {
    /// `computing`, then `done`: ask again in a few seconds.
    status: &'static str,
    /// Galaxies that pass the filters.
    total: usize,
    /// Galaxies among which neighbours were looked for: all, or a sample.
    among: usize,
    /// Most unusual first.
    galaxies: Vec<UnusualGalaxy>,
}

/// A galaxy and how unusual it is.
#[derive(Debug, Serialize, ToSchema)]
pub struct UnusualGalaxy {
    /// Place, from 1.
    rank: usize,
    /// Euclidean distance of unit vectors to the tenth neighbour, 0 to 2.
    distance: f64,
    #[serde(flatten)]
    galaxy: Galaxy,
}

fn image() -> Modality {
    Modality::Image
}

fn limit() -> usize {
    8
}

/// Galaxies like one or several.
#[utoipa::path(get, path = "/api/v1/search", params(ById),
    responses((status = 200, body = Found), (status = 400, body = Refusal)))]
pub async fn by_id(State(service): Shared, Query(by): Query<ById>) -> Result<Json<Found>, Refusal> {
    let words = |text: &str| match text.trim() {
        "" => Vec::new(),
        text => text.split(',').map(str::to_owned).collect(),
    };
    let like = Like::Galaxies {
        ids: words(&by.id),
        without: words(&by.without),
        from: by.from,
    };
    let page = Page {
        offset: by.offset,
        limit: by.limit,
    };
    search(&service, like, by.to, page, parsed(&by.filters)?).await
}

/// Galaxies like one, several, or an embedding.
#[utoipa::path(post, path = "/api/v1/search", request_body = SearchBody,
    responses((status = 200, body = Found), (status = 400, body = Refusal)))]
pub async fn by_body(
    State(service): Shared,
    Sent(body): Sent<SearchBody>,
) -> Result<Json<Found>, Refusal> {
    let like = match (body.vector, body.ids.is_empty()) {
        (Some(vector), true) if body.without.is_empty() => Like::Vector(vector),
        (Some(_), _) => {
            return Err(Refusal::bad(
                "a search is either by `ids` or by `vector`, not by both",
            ));
        }
        (None, _) => Like::Galaxies {
            ids: body.ids,
            without: body.without,
            from: body.from,
        },
    };
    let page = Page {
        offset: body.offset,
        limit: body.limit,
    };
    let filters = body.filters.into_iter().map(|filter| Filter {
        column: filter.column,
        min: filter.min,
        max: filter.max,
    });
    search(&service, like, body.to, page, filters.collect()).await
}

/// What to look for, as it was sent.
enum Like {
    Galaxies {
        ids: Vec<String>,
        without: Vec<String>,
        from: Modality,
    },
    Vector(Vec<f32>),
}

async fn search(
    service: &Service,
    like: Like,
    to: Modality,
    page: Page,
    filters: Vec<Filter>,
) -> Result<Json<Found>, Refusal> {
    let found = service.work(move |archive| {
        let rows = |ids: &[String]| ids.iter().map(|id| archive.row(id)).collect::<Result<_>>();
        let like = match like {
            Like::Vector(vector) => Vector::Given(vector),
            Like::Galaxies { ids, without, from } => Vector::Galaxies {
                like: rows(&ids)?,
                unlike: rows(&without)?,
                from,
            },
        };
        let Answer { matches, total } = archive.search(&Wanted {
            like,
            to,
            page,
            filters,
        })?;
        let matches = matches.iter().map(|found| FoundGalaxy {
            rank: found.rank,
            similarity: found.similarity,
            galaxy: galaxy(archive, found.row),
        });
        Ok(Found {
            total,
            matches: matches.collect(),
        })
    });
    Ok(Json(found.await?))
}

/// Galaxies by the distance to their tenth neighbour, the most unusual first.
#[utoipa::path(get, path = "/api/v1/unusual", params(UnusualPage),
    responses((status = 200, body = Unusual), (status = 400, body = Refusal)))]
pub async fn unusual(
    State(service): Shared,
    Query(wanted): Query<UnusualPage>,
) -> Result<Json<Unusual>, Refusal> {
    let page = Page {
        offset: wanted.offset,
        limit: wanted.limit,
    };
    let filters = parsed(&wanted.filters)?;
    let answer = service.work(move |archive| {
        let places = page.check()?;
        let passing = archive.columns().passing(&filters)?;
        Ok(match archive.unusual(wanted.of)? {
            Progress::Computing => Ok(waiting(archive)),
            Progress::Failed(why) => Err(why),
            Progress::Done(ranking) => {
                let passes = |row: usize| passing.as_ref().is_none_or(|passing| passing[row]);
                let all = ranking.rows.iter().filter(|(row, _)| passes(*row));
                let galaxies = all.clone().zip(1..).skip(places.start).take(places.len());
                let galaxies = galaxies.map(|(&(row, distance), rank)| UnusualGalaxy {
                    rank,
                    distance,
                    galaxy: galaxy(archive, row),
                });
                Ok(Unusual {
                    status: "done",
                    total: all.clone().count(),
                    among: ranking.among,
                    galaxies: galaxies.collect(),
                })
            }
        })
    });
    answer.await?.map(Json).map_err(Refusal::bad)
}

fn waiting(archive: &Archive) -> Unusual {
    Unusual {
        status: "computing",
        total: archive.len(),
        among: 0,
        galaxies: Vec::new(),
    }
}

/// Filters that an address lists.
pub(super) fn parsed(filters: &str) -> Result<Vec<Filter>, Refusal> {
    let filters = filters
        .split(',')
        .filter(|filter| !filter.trim().is_empty());
    let filters: Result<_> = filters.map(str::parse).collect();
    filters.map_err(|error| Refusal::bad(error.to_string()))
}
