//! `astroclip serve`.

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use axum::http::HeaderValue;

use super::{embeddings, label_table, print, read_options};
use crate::app::cli::Serve;
use crate::app::workspace::{Origin, Takings, labels_of, origin_of};
use crate::base::error::{Error, Result};
use crate::base::input;
use crate::files::data::SurveyFiles;
use crate::files::embeddings::{EmbeddingFile, ModelEmbeddings};
use crate::network::weights::file_sha256;
use crate::service::archive::{Archive, Embedder, Observations, Parts};
use crate::service::web::{Access, serve};
use crate::survey::{Survey, Target};

/// Letters of the shortest token.
const SHORTEST_TOKEN: usize = 16;

pub(super) fn run(args: &Serve) -> Result<()> {
    let access = access(args)?;
    let mut taken = Takings::default();
    let path = embeddings(
        args.within.embeddings.as_deref(),
        "astroclip serve FILE",
        &mut taken,
    )?;
    let model = args.within.model.as_deref();
    let file = ModelEmbeddings::one_of_any_kind(&path, &args.within.keys.keys(), model)?;
    let origin = origin(&file);
    let embedder = embedder(args, &file, origin.as_ref())?;
    let parts = Parts {
        labels: labels(args, &file, &mut taken)?,
        observations: observations(args, origin.as_ref(), embedder.as_ref())?,
        embedder,
    };
    let archive = Archive::new(file, parts)?;
    let address = access.listener.local_addr().map_err(Error::from)?;
    let token = match access.token {
        Some(_) => "?token=TOKEN",
        None => "",
    };
    print(&format!(
        "{}: {} galaxies at http://{address}/{token}\n",
        archive.path().display(),
        archive.len()
    ))?;
    if let Some(embedder) = archive.embedder() {
        // Read while nobody waits for it.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                if let Err(error) = embedder.encoder() {
                    tracing::warn!("{error}");
                }
            });
            serve(std::sync::Arc::clone(&archive), access)
        })
    } else {
        serve(archive, access)
    }
}

/// How the service is reached, before anything that takes time.
fn access(args: &Serve) -> Result<Access> {
    let token = args.token_file.as_deref().map(token).transpose()?;
    if !args.bind.ip().is_loopback() && token.is_none() {
        return Err(Error::input(format!(
            "--bind {}: anyone who reaches this machine could look and search; name a file with a token by --token-file, \
             such as: head -c 24 /dev/urandom | base64 > token.txt",
            args.bind
        )));
    }
    let origin = |origin: &String| {
        let has_scheme = origin.starts_with("https://") || origin.starts_with("http://");
        let value = origin.parse::<HeaderValue>().ok();
        value
            .filter(|_| has_scheme && origin != "*")
            .ok_or_else(|| {
                Error::input(format!(
                    "--allow-origin {origin}: expected an origin such as https://example.org"
                ))
            })
    };
    let allowed_origins = args
        .allow_origin
        .iter()
        .map(origin)
        .collect::<Result<_>>()?;
    let listener = TcpListener::bind(args.bind).map_err(|source| {
        Error::input(format!(
            "--bind {}: {source}; another port may be free, and port 0 takes any that is",
            args.bind
        ))
        .caused_by(source)
    })?;
    Ok(Access {
        listener,
        token,
        allowed_origins,
    })
}

fn token(path: &Path) -> Result<String> {
    let text = input::text(path)?;
    let token = text.trim();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if token.len() < SHORTEST_TOKEN || !token.bytes().all(is_plain) {
        return Err(Error::input(format!(
            "holds no token: expected one line of {SHORTEST_TOKEN} or more letters, digits and -._~+/=, such as `head -c 24 \
             /dev/urandom | base64` gives"
        ))
        .in_file(path));
    }
    Ok(token.to_owned())
}

/// What the embeddings were made from, where it still is; what is gone is said and missed.
fn origin(file: &EmbeddingFile) -> Option<Origin> {
    origin_of(file).unwrap_or_else(|error| {
        tracing::warn!("images, spectra and uploads as far as they are named: {error}");
        None
    })
}

fn labels(
    args: &Serve,
    file: &EmbeddingFile,
    taken: &mut Takings,
) -> Result<Option<crate::survey::Labels>> {
    let tables: Vec<PathBuf> = match args.labels.labels.is_empty() {
        false => args.labels.labels.clone(),
        true => match labels_of(&[file])? {
            Some(found) => taken.note(found),
            None => Vec::new(),
        },
    };
    label_table(&tables, &args.labels.options(), &Target::ALL, taken)
}

/// The model: the one that is named, else the one that made the embeddings.
fn embedder(
    args: &Serve,
    file: &EmbeddingFile,
    origin: Option<&Origin>,
) -> Result<Option<Embedder>> {
    let of_origin = origin.and_then(|origin| origin.model.clone());
    let Some(path) = args.weights.clone().or(of_origin) else {
        tracing::info!("no model is known: nothing can be uploaded; name one by --weights MODEL");
        return Ok(None);
    };
    if args.weights.is_some()
        && let Some(provenance) = &file.provenance
        && file_sha256(&path)? != provenance.model_sha256
    {
        tracing::warn!(
            "{}: is not the model of {}; uploads may be embedded into another space",
            path.display(),
            file.path.display()
        );
    }
    let device = args.device.device.open()?;
    Embedder::open(&path, device).map(Some)
}

/// The survey files: those that are named, else those that were embedded.
fn observations(
    args: &Serve,
    origin: Option<&Origin>,
    embedder: Option<&Embedder>,
) -> Result<Option<Observations>> {
    let files = match args.data.is_empty() {
        false => Some(SurveyFiles {
            paths: args.data.clone(),
            read: read_options(&args.read),
        }),
        true => origin.map(|origin| origin.data.clone()),
    };
    let Some(mut files) = files.filter(|files| !files.paths.is_empty()) else {
        tracing::info!(
            "no survey files are known: no images and no spectra; name them by --data FILE …"
        );
        return Ok(None);
    };
    files.read.missing_bands = true;
    let survey = embedder.map_or_else(Survey::default, |embedder| embedder.survey().clone());
    Observations::new(files.open(&survey)?).map(Some)
}
