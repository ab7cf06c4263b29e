//! `astroclip bench data`.

use std::fs::File;
use std::hint::black_box;
use std::io::Read;
use std::path::Path;
use std::time::Instant;

use comfy_table::CellAlignment;
use ndarray::{Array4, Axis};
use rayon::ThreadPoolBuilder;
use rayon::prelude::*;
use serde::Serialize;

use super::super::{print, print_json};
use crate::app::cli::BenchData;
use crate::base::error::{Error, Result};
use crate::base::random::{Purpose, generator};
use crate::base::terminal::new_table;
use crate::files::data::{self, Dataset, ReadOptions};
use crate::survey::Modality;
use crate::training::config::{self, ImageRun};
use crate::views::augment::{MultiCrop, multi_crop};

/// Rows of one read, as training reads them.
const BATCH: usize = 64;
/// Bytes of one read of the plain file.
const BLOCK: usize = 4 << 20;
/// Images that are augmented over and over.
const IMAGES: usize = 256;
/// Measurements of which the median is taken.
const ROUNDS: usize = 5;

/// What preparing data takes, without any model; medians.
#[derive(Debug, Serialize)]
struct DataRates {
    /// The file read from one end to the other, without a look at it.
    plain_mb_per_second: f64,
    reading: Vec<Reading>,
    augmentation: Vec<Augmentation>,
}

/// Rows in the order of the file, as arrays.
#[derive(Debug, Serialize)]
struct Reading {
    what: &'static str,
    galaxies: usize,
    galaxies_per_second: f64,
    mb_per_second: f64,
    /// Of the plain rate.
    share: f64,
}

/// All crops of an image, with their blur, noise and colours.
#[derive(Debug, Serialize)]
struct Augmentation {
    threads: usize,
    crops: usize,
    galaxies_per_second: f64,
    per_thread: f64,
}

pub(super) fn run(args: &BenchData) -> Result<()> {
    let run: ImageRun = config::load(Some(&args.config), &args.set)?;
    let files = std::slice::from_ref(&args.file);
    let dataset = data::open(files, &run.survey, &ReadOptions::default())?;
    let rows: Vec<usize> = (0..dataset.len().min(args.galaxies)).collect();
    if rows.is_empty() {
        return Err(Error::input("there are no galaxies to read").in_file(&args.file));
    }
    let plain = plain_rate(&args.file)?;
    let mut reading = Vec::new();
    if dataset.has(Modality::Image) {
        let values = |rows: &[usize]| Ok(dataset.images(rows)?.len());
        reading.push(read("images", &rows, plain, values)?);
    }
    if dataset.has(Modality::Spectrum) {
        let values = |rows: &[usize]| Ok(dataset.spectra(rows)?.len());
        reading.push(read("spectra", &rows, plain, values)?);
    }
    let rates = DataRates {
        plain_mb_per_second: plain / 1e6,
        reading,
        augmentation: augment(&run, &dataset, &rows)?,
    };
    match args.json {
        true => print_json(&rates),
        false => print(&render(&rates)),
    }
}

/// Bytes per second of the whole file.
fn plain_rate(path: &Path) -> Result<f64> {
    let failed = |source| Error::reading(path, source);
    let mut block = vec![0; BLOCK];
    median_rate(|| {
        let mut file = File::open(path).map_err(failed)?;
        let mut bytes = 0;
        loop {
            match file.read(&mut block).map_err(failed)? {
                0 => return Ok(bytes),
                count => bytes += black_box(count),
            }
        }
    })
}

fn read(
    what: &'static str,
    rows: &[usize],
    plain: f64,
    values: impl Fn(&[usize]) -> Result<usize>,
) -> Result<Reading> {
    let bytes = median_rate(|| {
        let values: Result<usize> = rows.chunks(BATCH).map(&values).sum();
        Ok(size_of::<f32>() * values?)
    })?;
    let of_one = size_of::<f32>() * values(&rows[..1])?;
    Ok(Reading {
        what,
        galaxies: rows.len(),
        galaxies_per_second: bytes / of_one as f64,
        mb_per_second: bytes / 1e6,
        share: bytes / plain,
    })
}

/// Rates on one thread, and on all.
fn augment(run: &ImageRun, dataset: &Dataset, rows: &[usize]) -> Result<Vec<Augmentation>> {
    let Some(size) = dataset.image_size() else {
        return Ok(Vec::new());
    };
    run.images.crops.check_fit("images.crops", size)?;
    let images = dataset.images(&rows[..rows.len().min(IMAGES)])?;
    let all = std::thread::available_parallelism().map_or(1, usize::from);
    let mut counts = vec![1, all];
    counts.dedup();
    let counts = counts.into_iter();
    counts
        .map(|threads| augment_on(run, &images, threads))
        .collect()
}

fn augment_on(run: &ImageRun, images: &Array4<f32>, threads: usize) -> Result<Augmentation> {
    let pool = ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = pool.map_err(|source| Error::run(format!("{threads} threads: {source}")))?;
    let section = &run.images;
    let crops = |(index, image)| {
        let mut rng = generator(run.train.seed, Purpose::Augmentation, index as u64);
        multi_crop(image, &section.crops, &section.pixels, &mut rng)
    };
    let rate = median_rate(|| {
        let images = images.axis_iter(Axis(0)).into_par_iter().enumerate();
        let made = pool.install(|| images.map(crops).map(black_box).count());
        Ok(made)
    })?;
    let count = |MultiCrop { global, local }: MultiCrop| global.len() + local.len();
    Ok(Augmentation {
        threads,
        crops: count(crops((0, images.index_axis(Axis(0), 0)))),
        galaxies_per_second: rate,
        per_thread: rate / threads as f64,
    })
}

/// Median over several runs of the amount that `work` says it did, per second; a first run, which warms
/// caches, does not count.
fn median_rate(mut work: impl FnMut() -> Result<usize>) -> Result<f64> {
    work()?;
    let mut rates = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let started = Instant::now();
        let amount = work()?;
        rates.push(amount as f64 / started.elapsed().as_secs_f64());
    }
    rates.sort_by(f64::total_cmp);
    Ok(rates[ROUNDS / 2])
}

fn render(rates: &DataRates) -> String {
    let mut table = new_table();
    table.set_header([
        "work",
        "threads",
        "galaxies/s",
        "per thread",
        "MB/s",
        "of plain",
    ]);
    let none = || "–".to_owned();
    table.add_row([
        "plain file".to_owned(),
        "1".to_owned(),
        none(),
        none(),
        format!("{:.0}", rates.plain_mb_per_second),
        none(),
    ]);
    for reading in &rates.reading {
        table.add_row([
            format!("read {}", reading.what),
            "1".to_owned(),
            format!("{:.0}", reading.galaxies_per_second),
            format!("{:.0}", reading.galaxies_per_second),
            format!("{:.0}", reading.mb_per_second),
            format!("{:.0} %", 100.0 * reading.share),
        ]);
    }
    for augmentation in &rates.augmentation {
        table.add_row([
            format!("augment, {} crops", augmentation.crops),
            augmentation.threads.to_string(),
            format!("{:.0}", augmentation.galaxies_per_second),
            format!("{:.0}", augmentation.per_thread),
            none(),
            none(),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{table}\n")
}
