//! Images and spectra that others bring: read as survey files are, and embedded by the model of the embeddings.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use burn::tensor::Device;
use ndarray::{Array3, Axis};
use serde::Deserialize;

use super::{Archive, Spectrum};
use crate::base::error::{Error, Result};
use crate::files::catalog::{Column, Table};
use crate::files::container::Container;
use crate::files::data::{ReadOptions, open};
use crate::network::encoder::{Encoder, architecture};
use crate::network::weights::{ModelFile, ModelKind, TensorFile};
use crate::survey::{Modality, Survey};

/// What columns of a spectrum in text are called, the best first; upper or lower case does not matter.
const WAVELENGTH: [&str; 5] = ["wavelength", "wave", "lambda", "wavelength_angstrom", "lam"];
const FLUX: [&str; 4] = ["flux", "flam", "f_lambda", "flux_density"];
const INVERSE_VARIANCE: [&str; 2] = ["ivar", "inverse_variance"];
const MASK: [&str; 2] = ["mask", "and_mask"];
/// What may be uploaded, for messages.
const ACCEPTED: &str = "an upload is one image of (band, y, x) or one spectrum in FITS, or one spectrum as CSV with the \
                        columns `wavelength` (Å) and `flux`";

/// The model of the embeddings, read when it is first needed.
pub struct Embedder {
    path: PathBuf,
    device: Device,
    /// What it embeds.
    modalities: Vec<Modality>,
    survey: Survey,
    encoder: OnceLock<Result<Mutex<Encoder>, String>>,
}

/// What a model's architecture says of the galaxies that it takes.
#[derive(Deserialize)]
struct OfSurvey {
    #[serde(default)]
    survey: Survey,
}

/// What a galaxy of others is.
#[derive(Debug)]
pub struct Upload {
    /// Embeddings of its image and of its spectrum, as far as it has them.
    pub vectors: Vec<(Modality, Vec<f32>)>,
    /// Fluxes of its image `(band, y, x)`.
    pub image: Option<Array3<f32>>,
    /// Its spectrum on the model's wavelengths.
    pub spectrum: Option<Spectrum>,
    /// Its redshift, where the file tells it.
    pub redshift: Option<f32>,
}

impl Embedder {
    /// A model file, of which the header is read.
    ///
    /// # Errors
    /// Where it is no model of ours that embeds.
    pub fn open(path: &Path, device: Device) -> Result<Self> {
        let file: ModelFile = TensorFile::open(path)?.header()?;
        let modalities = match file.kind {
            ModelKind::ImageEncoder => vec![Modality::Image],
            ModelKind::SpectrumEncoder => vec![Modality::Spectrum],
            ModelKind::AstroClip => Modality::ALL.to_vec(),
            kind => {
                return Err(Error::input(format!(
                    "it holds a {}, which predicts and does not embed; expected an image or spectrum encoder or an \
                     aligned model",
                    kind.label()
                ))
                .in_file(path));
            }
        };
        let of_file: OfSurvey = architecture(&file).map_err(|error| error.in_file(path))?;
        Ok(Self {
            path: path.to_owned(),
            device,
            modalities,
            survey: of_file.survey,
            encoder: OnceLock::new(),
        })
    }

    /// What it embeds.
    pub fn modalities(&self) -> &[Modality] {
        &self.modalities
    }

    /// What images and spectra are like.
    pub fn survey(&self) -> &Survey {
        &self.survey
    }

    /// The model in memory; other calls wait while it is read.
    ///
    /// # Errors
    /// Where the file is damaged, the same each time.
    pub fn encoder(&self) -> Result<&Mutex<Encoder>> {
        let read = || match Encoder::load(&self.path, &self.device) {
            Ok((encoder, _)) => Ok(Mutex::new(encoder)),
            Err(error) => Err(error.message_in(&self.path)),
        };
        self.encoder
            .get_or_init(read)
            .as_ref()
            .map_err(|message| Error::run(format!("the model cannot be used: {message}")))
    }
}

impl Archive {
    /// Embeds a galaxy that someone brings as a file, called `name` in messages.
    ///
    /// # Errors
    /// [`Error::input`] where the file is of no known format, damaged, or of more than one galaxy, or the galaxy cannot be
    /// used: in the words of the command line.
    pub fn embed(&self, bytes: &[u8], name: &str) -> Result<Upload> {
        let embedder = self.embedder.as_ref().ok_or_else(|| {
            Error::input("no model is at hand that embeds uploads; start with --weights MODEL")
        })?;
        let folder = tempfile::tempdir()
            .map_err(|source| Error::run(format!("no temporary folder can be made: {source}")))?;
        let read = read_upload(bytes, folder.path(), embedder.survey());
        let read = read.map_err(|error| renamed(&error, folder.path(), name))?;
        self.embed_with(embedder, read)
            .map_err(|error| renamed(&error, folder.path(), name))
    }

    fn embed_with(&self, embedder: &Embedder, read: Upload) -> Result<Upload> {
        let encoder = embedder.encoder()?;
        let encoder = encoder.lock().unwrap_or_else(PoisonError::into_inner);
        let usable = |modality: Modality| encoder.modalities().contains(&modality);
        let image = read.image.as_ref().filter(|_| usable(Modality::Image));
        let images = image.map(|image| image.view().insert_axis(Axis(0)));
        let spectrum = read
            .spectrum
            .as_ref()
            .filter(|_| usable(Modality::Spectrum));
        let spectra = spectrum.map(|spectrum| {
            ndarray::ArrayView2::from_shape((1, spectrum.flux.len()), &spectrum.flux)
                .expect("one row of all pixels")
        });
        if images.is_none() && spectra.is_none() {
            let known: Vec<&str> = encoder
                .modalities()
                .iter()
                .map(|kind| kind.name())
                .collect();
            return Err(Error::input(format!(
                "holds nothing that the model embeds: it takes {}",
                known.join(" or ")
            )));
        }
        let prepared = encoder.preparation().prepare(images, spectra)?;
        let (image, spectrum) = encoder.embed(prepared);
        let both = [(Modality::Image, image), (Modality::Spectrum, spectrum)];
        let vectors = both.into_iter().filter_map(|(modality, vectors)| {
            let vector = vectors?.embeddings.row(0).to_vec();
            Some((modality, vector))
        });
        let vectors: Vec<(Modality, Vec<f32>)> = vectors.collect();
        for (modality, vector) in &vectors {
            let gallery = self.galleries.iter().flatten().next();
            let width = gallery.map_or(0, |gallery| gallery.width());
            if vector.len() != width {
                return Err(Error::run(format!(
                    "the model's {modality} embeddings have {} numbers, those of {} have {width}: another model made them",
                    vector.len(),
                    self.name()
                )));
            }
        }
        Ok(Upload { vectors, ..read })
    }
}

/// Reads an upload by way of a file in a folder of its own, without embeddings.
fn read_upload(bytes: &[u8], folder: &Path, survey: &Survey) -> Result<Upload> {
    let path = folder.join("upload");
    let writing = |source| Error::writing(&path, source);
    fs::write(&path, bytes).map_err(writing)?;
    let path = match Container::of(&path)? {
        Container::Fits if bytes.starts_with(b"SIMPLE") => path,
        Container::Fits => {
            return Err(
                Error::input("is compressed by gzip; unpack it first (gunzip)").in_file(&path),
            );
        }
        Container::Text => text_spectrum(&path, folder)?,
        Container::Hdf5 | Container::Parquet => {
            return Err(Error::input(format!("is of another format; {ACCEPTED}")).in_file(&path));
        }
    };
    let dataset = open(std::slice::from_ref(&path), survey, &ReadOptions::default())?;
    if dataset.len() != 1 {
        let message = format!("holds {} galaxies; {ACCEPTED}", dataset.len());
        return Err(Error::input(message).in_file(&path));
    }
    let is_there: Vec<Modality> = Modality::ALL
        .into_iter()
        .filter(|&modality| dataset.has(modality))
        .collect();
    let galaxy = dataset.read(&[0], &is_there)?;
    let redshift = dataset.labels(0..1)?.redshift[0];
    Ok(Upload {
        vectors: Vec::new(),
        image: galaxy
            .images
            .map(|images| images.index_axis_move(Axis(0), 0)),
        spectrum: galaxy
            .spectra
            .map(|spectra| Spectrum::of(survey, spectra.row(0).to_vec())),
        redshift: Some(redshift).filter(|redshift| redshift.is_finite()),
    })
}

/// A spectrum in text, written as a file of spectra is: with the same care for bad pixels and wavelengths.
fn text_spectrum(path: &Path, folder: &Path) -> Result<PathBuf> {
    let table = Table::open(path)?;
    let of = |names: &[&str], what: &str| {
        let column = table.find(names);
        column.ok_or_else(|| {
            table.error(format!(
                "has no column of {what} (`{}`); it has {}; {ACCEPTED}",
                names[0],
                table.column_names()
            ))
        })
    };
    let numbers = |column: &Column| {
        let numbers = column.values.numbers();
        numbers.map(|numbers| numbers.into_owned()).ok_or_else(|| {
            table.error(format!(
                "column `{}` holds text; expected numbers",
                column.name
            ))
        })
    };
    let wavelengths = numbers(of(&WAVELENGTH, "wavelengths")?)?;
    let flux = numbers(of(&FLUX, "fluxes")?)?;
    let ivar = table.find(&INVERSE_VARIANCE).map(numbers).transpose()?;
    let mask = table.find(&MASK).map(numbers).transpose()?;
    let out = folder.join("spectrum.h5");
    let failed = |source: hdf5::Error| Error::writing(&out, source);
    let file = hdf5::File::create(&out).map_err(failed)?;
    let build = |name: &str, values: &[f64], shape: &[usize]| {
        let dataset = file.new_dataset::<f64>().shape(shape).create(name);
        dataset
            .and_then(|dataset| dataset.write_raw(values))
            .map_err(failed)
    };
    let pixels = wavelengths.len();
    build("wave", &wavelengths, &[pixels])?;
    build("flux", &flux, &[1, pixels])?;
    for (name, values) in [("ivar", ivar), ("mask", mask)] {
        if let Some(values) = values {
            build(name, &values, &[1, pixels])?;
        }
    }
    // It has no identifier, and none is missed.
    let id = file.new_dataset::<i64>().shape([1]).create("targetid");
    id.and_then(|id| id.write_raw(&[0])).map_err(failed)?;
    file.close().map_err(failed)?;
    Ok(out)
}

/// The same error about the file that was uploaded: where it lies here is nobody's concern.
fn renamed(error: &Error, folder: &Path, name: &str) -> Error {
    let message = error.to_string();
    let places = ["upload", "spectrum.h5"].map(|file| folder.join(file).display().to_string());
    let message = places
        .iter()
        .fold(message, |message, place| message.replace(place, name));
    match error.is_input() {
        true => Error::input(message),
        false => Error::run(message),
    }
}
