//! Readers, one file per format.

mod coadd;
mod column;
mod cutout;
mod hugging_face;
mod image_file;
mod joint;
mod keyed;
mod multimodal;
mod planes;
mod sdss;
mod spectra;
mod spectrum_file;
mod table;
mod wcs;

use std::path::Path;

use super::options::{Format, ReadOptions};
use super::source::Source;
use crate::base::error::{Error, Result};
use crate::files::catalog::WIDEST;
use crate::files::container::Container;
use crate::files::container::fits::FitsFile;
use crate::files::container::hdf5_file::{self, member_names};
use crate::survey::Survey;

/// What a reader of HDF5 files needs to open one.
struct Opening<'a> {
    path: &'a Path,
    file: &'a hdf5::File,
    survey: &'a Survey,
    options: &'a ReadOptions,
}

/// A way to arrange a survey in an HDF5 file.
struct Layout {
    format: Format,
    /// What makes up the layout, for the message about a file that has none of them.
    holds: &'static str,
    /// Whether the file is meant to have this layout; [`Layout::open`] checks the details.
    recognises: fn(&hdf5::File) -> bool,
    open: fn(&Opening<'_>) -> Result<table::Hdf5Table>,
}

/// Every known layout; the first that recognises a file opens it.
const LAYOUTS: [&Layout; 4] = [
    &joint::LAYOUT,
    &multimodal::LAYOUT,
    &spectrum_file::LAYOUT,
    &image_file::LAYOUT,
];

/// Opens one file, by its content or as the options say.
pub(super) fn open(path: &Path, survey: &Survey, options: &ReadOptions) -> Result<Box<dyn Source>> {
    let container = Container::of(path)?;
    let expected = |wanted: &str| {
        Err(Error::input(format!(
            "is not a {wanted} file, as --format {} needs",
            options.format.map_or_else(String::new, name)
        ))
        .in_file(path))
    };
    use Format::{Cutout, DesiCoadd, HuggingFace, MultimodalUniverse, SdssSpectrum};
    match (options.format, container) {
        (None | Some(HuggingFace | MultimodalUniverse), Container::Parquet) => Ok(Box::new(
            hugging_face::ParquetShard::open(path, survey, options)?,
        )),
        (Some(HuggingFace), _) => expected("Parquet"),
        (None | Some(DesiCoadd | SdssSpectrum | Cutout), Container::Fits) => {
            open_fits(path, survey, options)
        }
        (Some(DesiCoadd | SdssSpectrum | Cutout), _) => expected("FITS"),
        (_, Container::Hdf5) => open_hdf5(path, survey, options),
        (Some(_), _) => expected("HDF5"),
        (None, _) => Err(Error::input(
            "is text; galaxies are read from HDF5, FITS or Parquet (a table of labels goes to \
             --labels)",
        )
        .in_file(path)),
    }
}

/// Whether a file is one of galaxies' images or spectra, by its content; whether they can be used is another question.
pub fn holds_galaxies(path: &Path) -> bool {
    match Container::of(path) {
        Ok(Container::Hdf5) => hdf5_file::open(path)
            .is_ok_and(|file| LAYOUTS.iter().any(|layout| (layout.recognises)(&file))),
        Ok(Container::Fits) => FitsFile::open(path).is_ok_and(|file| {
            coadd::recognises(&file) || sdss::recognises(&file) || cutout::recognises(&file)
        }),
        Ok(Container::Parquet) => hugging_face::recognises(path),
        Ok(Container::Text) | Err(_) => false,
    }
}

/// Whether an HDF5 file holds arrays that no table has: images or spectra under other names.
pub fn holds_arrays(path: &Path) -> bool {
    let is_array = |dataset: hdf5::Dataset| {
        let shape = dataset.shape();
        shape.len() > 2 || shape.get(1).is_some_and(|&width| width > WIDEST)
    };
    let has_arrays = |group: &hdf5::Group| {
        // pandas keeps all columns of one type in an array.
        hdf5_file::attribute(group, "pandas_type").is_none()
            && member_names(group)
                .iter()
                .any(|name| group.dataset(name).is_ok_and(is_array))
    };
    hdf5_file::open(path).is_ok_and(|file| {
        has_arrays(&file)
            || member_names(&file)
                .iter()
                .any(|name| file.group(name).is_ok_and(|group| has_arrays(&group)))
    })
}

/// Whether a survey file holds a table of labels beside its galaxies.
pub fn has_catalog(path: &Path) -> bool {
    Container::of(path).is_ok_and(|container| container == Container::Hdf5)
        && hdf5_file::open(path).is_ok_and(|file| joint::has_catalog(&file))
}

/// A format as `--format` takes it.
fn name(format: Format) -> String {
    use clap::ValueEnum;
    format
        .to_possible_value()
        .map_or_else(String::new, |value| value.get_name().to_owned())
}

fn open_fits(path: &Path, survey: &Survey, options: &ReadOptions) -> Result<Box<dyn Source>> {
    let file = FitsFile::open(path)?;
    let format = match options.format {
        Some(format) => format,
        None if coadd::recognises(&file) => Format::DesiCoadd,
        None if sdss::recognises(&file) => Format::SdssSpectrum,
        None => Format::Cutout,
    };
    Ok(match format {
        Format::DesiCoadd => Box::new(coadd::Coadd::open(path, file, survey)?),
        Format::SdssSpectrum => Box::new(sdss::SdssSpectrum::open(path, &file)?),
        _ => Box::new(cutout::Cutout::open(path, &file, survey)?),
    })
}

fn open_hdf5(path: &Path, survey: &Survey, options: &ReadOptions) -> Result<Box<dyn Source>> {
    let file = &hdf5_file::open(path)?;
    let opening = Opening {
        path,
        file,
        survey,
        options,
    };
    let keyed = options.format == Some(Format::Keys)
        || (options.format.is_none() && options.keys.name_data());
    if keyed {
        return Ok(Box::new(keyed::open(&opening)?));
    }
    let layout = LAYOUTS.iter().find(|layout| match options.format {
        Some(format) => layout.format == format,
        None => (layout.recognises)(file),
    });
    match layout {
        Some(layout) if options.format.is_some() && !(layout.recognises)(file) => {
            Err(Error::input(format!(
                "does not hold what --format {} needs: {}; it holds {}",
                name(layout.format),
                layout.holds,
                listed(file)
            ))
            .in_file(path))
        }
        Some(layout) => Ok(Box::new((layout.open)(&opening)?)),
        None => {
            hdf5_file::check_links(path, file)?;
            Err(unknown_layout(path, file))
        }
    }
}

/// The error for a file that no layout recognises.
fn unknown_layout(path: &Path, file: &hdf5::File) -> Error {
    let known: Vec<_> = LAYOUTS
        .iter()
        .map(|layout| format!("  {}: {}", name(layout.format), layout.holds))
        .collect();
    Error::input(format!(
        "layout not recognised; it holds {}. Known layouts:\n{}\nName the datasets of any other by \
         --image-key, --spectrum-key, --wavelength-key and --id-key",
        listed(file),
        known.join("\n")
    ))
    .in_file(path)
}

/// The first datasets at the root and in its groups, with their shapes.
fn listed(file: &hdf5::File) -> String {
    const SHOWN: usize = 20;
    let mut found = Vec::new();
    for name in member_names(file) {
        if let Ok(dataset) = file.dataset(&name) {
            found.push(format!("`{name}` {:?}", dataset.shape()));
        } else if let Ok(group) = file.group(&name) {
            for member in member_names(&group) {
                if let Ok(dataset) = group.dataset(&member) {
                    found.push(format!("`{name}/{member}` {:?}", dataset.shape()));
                }
            }
        }
    }
    if found.is_empty() {
        return "no dataset at all".to_owned();
    }
    if found.len() > SHOWN {
        let more = found.len() - SHOWN;
        found.truncate(SHOWN);
        found.push(format!("and {more} more"));
    }
    found.join(", ")
}
