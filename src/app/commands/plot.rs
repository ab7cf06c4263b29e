//! `astroclip plot`, and the drawings that `eval all` shows too.

use std::path::Path;
use std::sync::Arc;

use ndarray::{Array3, Axis, s};
use serde::Serialize;

use super::contents::spread;
use super::output::{Originals, Output};
use super::{WEIGHTS, embeddings, label_table, model, print, print_json, sources};
use crate::app::cli::{PlotAttention, PlotMap, PlotReconstruction, PlotTask};
use crate::app::workspace::{Kinds, Takings, labels_of};
use crate::base::error::{Error, Result};
use crate::base::random::{Purpose, generator};
use crate::evaluation::eval;
use crate::evaluation::report::{
    self, ImageAttention, MapPoint, Reconstruction, SpectrumAttention, write_drawing,
};
use crate::files::catalog::LabelOptions;
use crate::files::data::{Dataset, Galaxies, Skipped};
use crate::files::embeddings::{EmbeddingFile, ModelEmbeddings};
use crate::network::encoder::{AlignedEncoder, SpectrumEncoder};
use crate::survey::{Labels, Modality, RgbScaling, Target, arcsinh_rgb};
use crate::views::augment::{SegmentMaskConfig, centre_crop, segment_mask};

pub(super) fn run(task: &PlotTask) -> Result<()> {
    match task {
        PlotTask::Reconstruction(args) => reconstruction(args),
        PlotTask::Attention(args) => attention(args),
        PlotTask::Map(args) => map(args),
    }
}

/// The galaxies of a drawing.
struct Shown {
    dataset: Arc<Dataset>,
    galaxies: Galaxies,
}

impl Shown {
    /// `count` test galaxies that can be used, spread evenly; all of them where there is no test split.
    fn read(dataset: Arc<Dataset>, count: usize, modality: Modality) -> Result<Self> {
        if !dataset.has(modality) {
            return Err(Error::input(format!(
                "the files hold no {modality} data; give some that do"
            )));
        }
        let test = (0..dataset.len()).filter(|&row| !dataset.train_rows().contains(row));
        let mut rows: Vec<usize> = test.collect();
        if rows.is_empty() {
            rows = (0..dataset.len()).collect();
        }
        let shown = spread(rows.len(), count);
        let rows: Vec<usize> = shown.into_iter().map(|place| rows[place]).collect();
        let galaxies = Skipped::default().read(&dataset, &rows, &[modality])?;
        Ok(Self { dataset, galaxies })
    }

    /// Identifier and redshift of each.
    fn captions(&self) -> Result<Vec<String>> {
        let caption = |&row: &usize| {
            let labels = self.dataset.labels(row..row + 1)?;
            let redshift = match labels.redshift[0] {
                redshift if redshift.is_finite() => format!(", z = {redshift:.4}"),
                _ => String::new(),
            };
            Ok(format!("{}{redshift}", labels.object_id[0]))
        };
        self.galaxies.rows.iter().map(caption).collect()
    }
}

/// A drawing that was written.
#[derive(Debug, Serialize)]
struct Drawn<'a> {
    out: &'a Path,
    galaxies: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_of_hidden: Option<f64>,
    #[serde(flatten)]
    taken: Takings,
}

impl Drawn<'_> {
    fn report(&self, json: bool) -> Result<()> {
        if json {
            return print_json(self);
        }
        let error = self.error_of_hidden.map_or_else(String::new, |error| {
            format!(", mean squared error where hidden {error:.3} of the variance there")
        });
        print(&format!(
            "{}: {} galaxies{error}\n",
            self.out.display(),
            self.galaxies
        ))
    }
}

/// A drawing of hidden parts.
pub(super) struct ReconstructionDrawing {
    pub svg: String,
    pub galaxies: usize,
    /// Mean squared error where hidden, of the variance there.
    pub error_of_hidden: f64,
}

fn reconstruction(args: &PlotReconstruction) -> Result<()> {
    Output::Picture.check(&args.out)?;
    let mut taken = Takings::default();
    let named = args.weights.as_deref();
    let weights = model(named, WEIGHTS, &[Kinds::SPECTRUM_ENCODER], &mut taken)?;
    let models = std::slice::from_ref(&weights);
    let data = sources(&args.data, models, "spectra", &mut taken)?.data;
    Originals::of(&data).and([&weights]).outlast(&args.out)?;
    let device = args.device.device.open()?;
    let encoder = SpectrumEncoder::load(&weights, &device)?;
    let dataset = Arc::new(data.open(&encoder.survey)?);
    let drawn = reconstruction_drawing(
        &encoder,
        dataset,
        args.galaxies,
        args.segments,
        args.width,
        args.seed,
    )?;
    write_drawing(&drawn.svg, &args.out)?;
    let drawn = Drawn {
        out: &args.out,
        galaxies: drawn.galaxies,
        error_of_hidden: Some(drawn.error_of_hidden),
        taken,
    };
    drawn.report(args.json)
}

/// Hides parts of spectra and draws what the encoder predicts there.
///
/// # Errors
/// Where the files hold no spectra, or the parts do not fit.
pub(super) fn reconstruction_drawing(
    encoder: &SpectrumEncoder,
    dataset: Arc<Dataset>,
    galaxies: usize,
    segments: usize,
    width: Option<usize>,
    seed: u64,
) -> Result<ReconstructionDrawing> {
    let shown = Shown::read(dataset, galaxies, Modality::Spectrum)?;
    let spectra = shown.galaxies.spectra.as_ref().expect("asked for");
    let tokens = encoder.tokenizer.tokens(spectra.ncols());
    let masks = SegmentMaskConfig {
        segments,
        // The fraction of a spectrum that the paper hides: 6 segments of 30 among 778 tokens.
        width: width.unwrap_or((tokens * 30).div_ceil(778)),
    };
    masks.check("", tokens)?;
    let mut rng = generator(seed, Purpose::Masks, 0);
    let hidden: Vec<Vec<bool>> = (0..spectra.nrows())
        .map(|_| segment_mask(tokens, &masks, &mut rng))
        .collect();
    let predicted = encoder.reconstruct(spectra.view(), &hidden)?;
    let (mut error, mut variance) = (0.0, 0.0);
    for (truth, predicted) in spectra.outer_iter().zip(predicted.outer_iter()) {
        let pairs: Vec<(f64, f64)> = truth
            .iter()
            .zip(predicted)
            .filter(|(_, predicted)| !predicted.is_nan())
            .map(|(&truth, &predicted)| (f64::from(truth), f64::from(predicted)))
            .collect();
        let mean = pairs.iter().map(|pair| pair.0).sum::<f64>() / pairs.len().max(1) as f64;
        error += pairs.iter().map(|(a, b)| (a - b).powi(2)).sum::<f64>();
        variance += pairs.iter().map(|(a, _)| (a - mean).powi(2)).sum::<f64>();
    }
    let drawn: Vec<Reconstruction> = shown
        .captions()?
        .into_iter()
        .zip(spectra.outer_iter().zip(predicted.outer_iter()))
        .map(|(caption, (flux, predicted))| Reconstruction {
            caption,
            flux: flux.to_vec(),
            predicted: predicted.to_vec(),
        })
        .collect();
    let wavelengths = encoder.survey.wavelengths.wavelengths();
    Ok(ReconstructionDrawing {
        svg: report::reconstruction(&drawn, &wavelengths)?,
        galaxies: drawn.len(),
        error_of_hidden: error / variance,
    })
}

fn attention(args: &PlotAttention) -> Result<()> {
    Output::Picture.check(&args.out)?;
    let mut taken = Takings::default();
    let weights = model(
        args.weights.as_deref(),
        WEIGHTS,
        &[Kinds::ALIGNED],
        &mut taken,
    )?;
    let models = std::slice::from_ref(&weights);
    let data = sources(&args.data, models, "images or spectra", &mut taken)?.data;
    Originals::of(&data).and([&weights]).outlast(&args.out)?;
    let device = args.device.device.open()?;
    let encoder = AlignedEncoder::load(&weights, &device)?;
    let dataset = Arc::new(data.open(&encoder.survey)?);
    let (drawing, galaxies) = attention_drawing(&encoder, dataset, args.of, args.galaxies)?;
    write_drawing(&drawing, &args.out)?;
    let drawn = Drawn {
        out: &args.out,
        galaxies,
        error_of_hidden: None,
        taken,
    };
    drawn.report(args.json)
}

/// Draws what each head of the cross-attention looks at, and says of how many galaxies.
///
/// # Errors
/// Where the files do not hold what is asked for.
pub(super) fn attention_drawing(
    encoder: &AlignedEncoder,
    dataset: Arc<Dataset>,
    of: Modality,
    galaxies: usize,
) -> Result<(String, usize)> {
    let shown = Shown::read(dataset, galaxies, of)?;
    let captions = shown.captions()?.into_iter();
    let drawing = match of {
        Modality::Spectrum => {
            let spectra = shown.galaxies.spectra.as_ref().expect("asked for");
            let attention = encoder.attend_spectra(spectra.view())?;
            let wavelengths = encoder.survey.wavelengths.wavelengths();
            let tokens = attention.dim().2;
            let middles = (1..tokens).map(|token| {
                let pixels = encoder.tokenizer.pixels(token);
                0.5 * (wavelengths[pixels.start] + wavelengths[pixels.end - 1])
            });
            let middles: Vec<f64> = middles.collect();
            let drawn: Vec<SpectrumAttention> = captions
                .zip(spectra.outer_iter().zip(attention.outer_iter()))
                .map(|(caption, (flux, attention))| SpectrumAttention {
                    caption,
                    flux: flux.to_vec(),
                    middles: middles.clone(),
                    // The first token is no part of the spectrum.
                    attention: attention.slice(s![.., 1..]).to_owned(),
                })
                .collect();
            report::spectrum_attention(&drawn, &wavelengths)?
        }
        Modality::Image => {
            let images = shown.galaxies.images.as_ref().expect("asked for");
            let attention = encoder.attend_images(images.view())?;
            let size = encoder.model.image.config().image_size;
            let side = size / encoder.model.image.config().patch_size;
            let drawn: Result<Vec<ImageAttention>> = captions
                .zip(images.outer_iter().zip(attention.outer_iter()))
                .map(|(caption, (image, attention))| {
                    let last = image.dim().0 - 1;
                    let three = centre_crop(image, size).select(Axis(0), &[0, last / 2, last]);
                    let heads = attention.dim().0;
                    let weights: Vec<f32> = attention.iter().copied().collect();
                    let attention = Array3::from_shape_vec((heads, side, side), weights);
                    Ok(ImageAttention {
                        caption,
                        picture: arcsinh_rgb(three.view(), &RgbScaling::default()),
                        attention: attention.map_err(|_| Error::run("patches are no square"))?,
                    })
                })
                .collect();
            report::image_attention(&drawn?)?
        }
    };
    Ok((drawing, shown.galaxies.rows.len()))
}

/// Redshifts of the galaxies of an embedding file: those of the labels where there are any, else of the file.
pub(super) fn redshifts(file: &EmbeddingFile, labels: Option<&Labels>) -> Vec<f64> {
    let known = labels.and_then(|labels| Some((labels, labels.known(Target::Redshift)?)));
    match known {
        Some((labels, known)) => labels.values_at(&known, &file.object_id),
        None => file.redshift.iter().map(|&z| f64::from(z)).collect(),
    }
}

/// Draws a map of embeddings.
fn map(args: &PlotMap) -> Result<()> {
    Output::Picture.check(&args.out)?;
    let mut taken = Takings::default();
    let set = embeddings(
        &args.drawn.embeddings,
        &args.drawn.shards,
        "astroclip plot map FILE",
        &mut taken,
    )?;
    let inputs = Originals::default().and(set.files());
    inputs.and(&args.labels.labels).outlast(&args.out)?;
    let model = args.drawn.model.as_deref();
    let file = ModelEmbeddings::one(&set, &args.drawn.keys.keys(), model, &[args.of])?;
    let options = args.labels.options();
    let is_open = args.labels.labels.is_empty();
    let of_file = is_open && options == LabelOptions::default();
    let values: Vec<f64> = match args.colour.as_str() {
        "redshift" if of_file => redshifts(&file, None),
        column => {
            let tables = match is_open.then(|| labels_of(&[&file])).transpose()?.flatten() {
                Some(found) => taken.note(found),
                None => args.labels.labels.clone(),
            };
            let target = Target::from_name(column);
            let table = label_table(&tables, &options, target.as_slice(), &mut taken)?;
            let table = table.ok_or_else(|| {
                Error::input(format!(
                    "--colour {column}: name the table that holds this column by --labels"
                ))
            })?;
            match target.and_then(|target| table.known(target)) {
                Some(known) => table.values_at(&known, &file.object_id),
                None => table.values_of(column, &file.object_id)?,
            }
        }
    };
    let (drawing, galaxies) = map_drawing(&file, args.of, args.galaxies, &args.colour, &values)?;
    write_drawing(&drawing, &args.out)?;
    let drawn = Drawn {
        out: &args.out,
        galaxies,
        error_of_hidden: None,
        taken,
    };
    drawn.report(args.json)
}

/// Draws a map of at most `most` galaxies, coloured by one value for each galaxy of the file; returns how many it shows, too.
///
/// # Errors
/// Where the file holds no such embeddings, or too few.
pub(super) fn map_drawing(
    file: &EmbeddingFile,
    of: Modality,
    most: usize,
    quantity: &str,
    values: &[f64],
) -> Result<(String, usize)> {
    let embeddings = file.embeddings(of)?;
    let is_known = |row: &usize| embeddings.row(*row).iter().all(|value| value.is_finite());
    let known: Vec<usize> = (0..embeddings.nrows()).filter(is_known).collect();
    let unknown = embeddings.nrows() - known.len();
    if unknown > 0 {
        tracing::warn!(
            "{}: {unknown} galaxies are not shown: their {of} embeddings are not finite",
            file.path.display()
        );
    }
    let shown: Vec<usize> = (spread(known.len(), most).into_iter())
        .map(|index| known[index])
        .collect();
    let positions = eval::embedding_map(embeddings.select(Axis(0), &shown).view())
        .map_err(|error| error.in_file(&file.path))?;
    let points: Vec<MapPoint> = shown
        .iter()
        .zip(positions.outer_iter())
        .map(|(&row, at)| MapPoint {
            at: [f64::from(at[0]), f64::from(at[1])],
            value: values[row],
        })
        .collect();
    let title = format!("{} galaxies by their {of} embeddings (t-SNE)", shown.len());
    Ok((
        report::embedding_map(&points, &title, quantity)?,
        shown.len(),
    ))
}
