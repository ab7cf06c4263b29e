//! Requests that cannot be answered, and why: in the words of the command line, as JSON.

use std::path::Path;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::{BytesRejection, JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

use crate::base::error::Error;

/// Why a request is not answered.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Refusal {
    #[serde(skip)]
    #[schema(ignore)]
    status: Option<StatusCode>,
    /// What is wrong, what was expected, and what to do.
    error: String,
}

impl Refusal {
    pub fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self {
            status: Some(status),
            error: error.into(),
        }
    }

    /// What was sent is wrong.
    pub fn bad(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error)
    }

    /// What is asked for does not exist.
    pub fn missing(error: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, error)
    }

    /// It is our fault; the log says more than the answer.
    pub fn internal(why: &str) -> Self {
        tracing::warn!("a request was not answered: {why}");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the service failed; its log says why",
        )
    }

    /// An error of the work, without the place of the embedding file, which is nobody's concern.
    pub fn of(error: &Error, embeddings: &Path) -> Self {
        match error.is_input() {
            true => Self::bad(error.message_in(embeddings)),
            false => Self::internal(&error.to_string()),
        }
    }

    /// What was named in the address does not exist.
    pub fn into_missing(self) -> Self {
        match self.status {
            Some(StatusCode::BAD_REQUEST) => Self::missing(self.error),
            _ => self,
        }
    }

    /// What is wrong.
    pub fn message(&self) -> &str {
        &self.error
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        self.status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    pub fn into_answer(self) -> Response<Body> {
        (self.status(), Json(self)).into_response()
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response<Body> {
        self.into_answer()
    }
}

/// The parameters behind `?`.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        match axum::extract::Query::try_from_uri(&parts.uri) {
            Ok(axum::extract::Query(query)) => Ok(Self(query)),
            Err(QueryRejection::FailedToDeserializeQueryString(error)) => {
                Err(Refusal::bad(error.body_text()))
            }
            Err(error) => Err(Refusal::bad(error.body_text())),
        }
    }
}

/// A part of the address.
pub struct Named(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let named = axum::extract::Path::<String>::from_request_parts(parts, state).await;
        match named {
            Ok(axum::extract::Path(name)) => Ok(Self(name)),
            Err(PathRejection::FailedToDeserializePathParams(error)) => {
                Err(Refusal::bad(error.body_text()))
            }
            Err(error) => Err(Refusal::bad(error.body_text())),
        }
    }
}

/// A body of JSON.
pub struct Sent<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Sent<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        match Json::from_request(request, state).await {
            Ok(Json(sent)) => Ok(Self(sent)),
            Err(error @ JsonRejection::BytesRejection(_)) => Err(too_large(error.status())),
            Err(JsonRejection::MissingJsonContentType(_)) => Err(Refusal::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "expected a body of JSON with the header `Content-Type: application/json`",
            )),
            Err(error) => Err(Refusal::bad(error.body_text())),
        }
    }
}

/// A body as it is.
pub struct File(pub axum::body::Bytes);

impl<S: Send + Sync> FromRequest<S> for File {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let bytes = axum::body::Bytes::from_request(request, state).await;
        bytes
            .map(Self)
            .map_err(|error: BytesRejection| too_large(error.status()))
    }
}

/// A body that was not read to its end.
fn too_large(status: StatusCode) -> Refusal {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => Refusal::new(
            status,
            "the body is too large; one galaxy has at most 16 MB, questions have at most 1 MB",
        ),
        _ => Refusal::bad("the body ended before its end"),
    }
}
