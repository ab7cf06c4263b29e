//! The page and the interface for programs: HTTP requests to what the archive answers.

#[expect(unused_qualifications, reason = "what the macros for OpenAPI write")]
mod galaxies;
mod guard;
#[expect(unused_qualifications, reason = "what the macros for OpenAPI write")]
mod map;
mod openapi;
mod page;
mod refusal;
#[expect(unused_qualifications, reason = "what the macros for OpenAPI write")]
mod search;
mod tables;
#[expect(unused_qualifications, reason = "what the macros for OpenAPI write")]
mod upload;
#[expect(unused_qualifications, reason = "what the macros for OpenAPI write")]
mod views;

use std::future::IntoFuture;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::routing::{get, post};
use axum::{Router, middleware};
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::CorsLayer;
use tower_http::timeout::TimeoutLayer;

use super::archive::Archive;
use crate::base::error::{Error, Result};
use crate::base::interrupt;
use guard::Guard;
use refusal::Refusal;

/// Largest body of a request, bytes.
const MOST_BODY: usize = 1 << 20;
/// Largest upload, bytes: a cutout of 152 pixels has 0.3 MB.
const MOST_UPLOAD: usize = 16 << 20;
/// Longest time for a request.
const LONGEST: Duration = Duration::from_secs(60);
/// Pieces of work at once for each processor; others wait.
const WORK_PER_PROCESSOR: usize = 2;
/// How often it is looked whether the program is to stop.
const LOOK: Duration = Duration::from_millis(100);
/// Longest time that requests under way have to end then.
const GRACE: Duration = Duration::from_secs(5);

/// How the service is reached.
#[derive(Debug)]
pub struct Access {
    /// Where it listens.
    pub listener: TcpListener,
    /// What every request must show, where not everyone may ask.
    pub token: Option<String>,
    /// Origins of pages elsewhere that may ask too.
    pub allowed_origins: Vec<HeaderValue>,
}

/// What the answers to requests share.
pub(super) struct Service {
    archive: Arc<Archive>,
    permits: Arc<Semaphore>,
}

/// What a handler gets.
type Shared = axum::extract::State<Arc<Service>>;

impl Service {
    /// Does work that takes processors or files, where others do not wait for it.
    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Arc<Archive>) -> Result<T> + Send + 'static,
    ) -> Result<T, Refusal> {
        let permits = Arc::clone(&self.permits);
        let permit = permits
            .acquire_owned()
            .await
            .map_err(|_| Refusal::internal("closed"))?;
        let archive = Arc::clone(&self.archive);
        let done = tokio::task::spawn_blocking(move || {
            // Held until the work is done, also where nobody waits for it any more.
            let _permit = permit;
            work(&archive).map_err(|error| Refusal::of(&error, archive.path()))
        });
        done.await
            .unwrap_or_else(|_| Err(Refusal::internal("panicked")))
    }
}

/// Answers requests until a signal asks for a stop; those under way are answered first.
///
/// # Errors
/// Where the address cannot be used.
pub fn serve(archive: Arc<Archive>, access: Access) -> Result<()> {
    let failed = |source: std::io::Error| Error::run(format!("the service cannot run: {source}"));
    let address = access.listener.local_addr().map_err(failed)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(failed)?;
    let _listening = interrupt::listen();
    let served = runtime.block_on(async {
        access.listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(access.listener)?;
        let guard = Guard::new(address, access.token);
        let app = app(archive, guard, access.allowed_origins);
        let serving = axum::serve(listener, app).with_graceful_shutdown(asked_to_stop());
        let serving = tokio::spawn(serving.into_future());
        asked_to_stop().await;
        // Those that still read or write after that are cut off.
        match tokio::time::timeout(GRACE, serving).await {
            Ok(Ok(served)) => served,
            Ok(Err(_)) | Err(_) => Ok(()),
        }
    });
    runtime.shutdown_timeout(Duration::from_millis(200));
    served.map_err(failed)
}

/// Ends once a signal has asked for a stop.
async fn asked_to_stop() {
    while interrupt::requested().is_none() {
        tokio::time::sleep(LOOK).await;
    }
}

fn app(archive: Arc<Archive>, guard: Guard, allowed_origins: Vec<HeaderValue>) -> Router {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let service = Arc::new(Service {
        archive,
        permits: Arc::new(Semaphore::new(WORK_PER_PROCESSOR * processors)),
    });
    let api = Router::new()
        .route("/info", get(galaxies::info))
        .route(
            "/galaxies",
            get(galaxies::batch).post(galaxies::batch_of_body),
        )
        .route("/galaxies/{id}", get(galaxies::one))
        .route("/galaxies/{id}/image.png", get(views::picture))
        .route("/galaxies/{id}/image.fits", get(views::fits))
        .route("/galaxies/{id}/spectrum", get(views::spectrum))
        .route("/galaxies/{id}/estimates", get(galaxies::estimates))
        .route("/near", get(galaxies::near))
        .route("/search", get(search::by_id).post(search::by_body))
        .route("/unusual", get(search::unusual))
        .route("/map", get(map::map))
        .route("/columns/{name}", get(map::column))
        .route("/export", post(tables::export))
        .route(
            "/upload",
            post(upload::upload).layer(DefaultBodyLimit::max(MOST_UPLOAD)),
        )
        .fallback(no_such_thing);
    let cors = CorsLayer::new()
        .allow_origin(allowed_origins)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([header::CONTENT_TYPE, header::AUTHORIZATION]);
    Router::new()
        .nest("/api/v1", api)
        .route("/openapi.json", get(openapi::document))
        .route("/cone", get(tables::cone))
        .route("/", get(page::page))
        .route("/{file}", get(page::part))
        .fallback(no_such_thing)
        .method_not_allowed_fallback(no_such_method)
        .with_state(service)
        .layer(DefaultBodyLimit::max(MOST_BODY))
        .layer(CatchPanicLayer::custom(|_| {
            Refusal::internal("panicked").into_answer()
        }))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::SERVICE_UNAVAILABLE,
            LONGEST,
        ))
        .layer(middleware::from_fn_with_state(
            Arc::new(guard),
            guard::check,
        ))
        .layer(cors)
}

async fn no_such_thing() -> Refusal {
    Refusal::new(
        StatusCode::NOT_FOUND,
        "there is nothing here; / is the page, /openapi.json says what programs may ask for",
    )
}

async fn no_such_method() -> Refusal {
    Refusal::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "it cannot be asked for in this way; /openapi.json says how",
    )
}
