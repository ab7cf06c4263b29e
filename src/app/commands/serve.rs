//! `astroclip serve`.

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use axum::http::HeaderValue;

use super::{embeddings, index_named, label_table, print, read_options};
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
    let set = embeddings(
        &args.within.embeddings,
        &args.within.shards,
        "astroclip serve FILE",
        &mut taken,
    )?;
    let archive = match index_named(&set, args.exact, &args.within)? {
        Some(index) => {
            let sources = index.sources();
            let parts = parts(args, &sources.iter().collect::<Vec<_>>(), &mut taken)?;
            Archive::of_index(index, parts)?
        }
        None => {
            let model = args.within.model.as_deref();
            let file = ModelEmbeddings::one_of_any_kind(&set, &args.within.keys.keys(), model)?;
            let parts = parts(args, &[&file], &mut taken)?;
            Archive::new(file, parts)?
        }
    };
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
    // While nobody waits for it.
    std::thread::scope(|scope| {
        scope.spawn(|| archive.prepare());
        if let Some(embedder) = archive.embedder() {
            scope.spawn(|| {
                if let Err(error) = embedder.encoder() {
                    tracing::warn!("{error}");
                }
            });
        }
        serve(std::sync::Arc::clone(&archive), access)
    })
}

/// What else is known of the galaxies of some embedding files.
fn parts(args: &Serve, files: &[&EmbeddingFile], taken: &mut Takings) -> Result<Parts> {
    let origin = origin(files);
    let embedder = embedder(args, files[0], origin.as_ref())?;
    Ok(Parts {
        labels: labels(args, files, taken)?,
        observations: observations(args, origin.as_ref(), embedder.as_ref())?,
        embedder,
    })
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
fn origin(files: &[&EmbeddingFile]) -> Option<Origin> {
    let missed = |why: &dyn std::fmt::Display| {
        tracing::warn!("images, spectra and uploads as far as they are named: {why}");
    };
    let mut all: Option<Origin> = None;
    for file in files {
        let found = origin_of(file).unwrap_or_else(|error| {
            missed(&error);
            None
        });
        match (&mut all, found) {
            (_, None) => {}
            (Some(all), Some(found)) if all.data.read == found.data.read => {
                let known = all.data.paths.clone();
                let new = found.data.paths.into_iter();
                all.data
                    .paths
                    .extend(new.filter(|path| !known.contains(path)));
            }
            (Some(_), Some(_)) => missed(&format_args!(
                "{}: its survey was read in another way than that of {}",
                file.path.display(),
                files[0].path.display()
            )),
            (None, found) => all = found,
        }
    }
    all
}

fn labels(
    args: &Serve,
    files: &[&EmbeddingFile],
    taken: &mut Takings,
) -> Result<Option<crate::survey::Labels>> {
    let tables: Vec<PathBuf> = match args.labels.labels.is_empty() {
        false => args.labels.labels.clone(),
        true => match labels_of(files)? {
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
