use std::path::Path;

use ndarray::{Array2, Array4, Axis};

use super::table::substitute_id;
use super::{Dataset, Description, Split};
use crate::error::{Error, Result};
use crate::survey::ObjectId;

/// Several data sets, one after the other.
pub(super) struct Concatenated {
    parts: Vec<Box<dyn Dataset>>,
    /// First row of each part.
    starts: Vec<usize>,
    object_ids: Vec<ObjectId>,
    redshifts: Vec<f32>,
    splits: Vec<Split>,
}

impl Concatenated {
    /// Joins at least one data set, each with the file that it came from.
    ///
    /// # Errors
    /// Where one lacks images or spectra that another has, or its images differ in size.
    pub fn new(files: Vec<(&Path, Box<dyn Dataset>)>) -> Result<Self> {
        let (first_path, first) = &files[0];
        for (path, part) in &files[1..] {
            if part.image_size() != first.image_size() || part.has_spectra() != first.has_spectra()
            {
                return Err(Error::input(format!(
                    "{} holds {}, but {} holds {}; files given together must hold the same",
                    first_path.display(),
                    contents(first.as_ref()),
                    path.display(),
                    contents(part.as_ref())
                )));
            }
        }
        let mut joined = Self {
            parts: Vec::new(),
            starts: Vec::new(),
            object_ids: Vec::new(),
            redshifts: Vec::new(),
            splits: Vec::new(),
        };
        for (_, part) in files {
            let start = joined.object_ids.len();
            joined.starts.push(start);
            // Substitutes for missing identifiers count rows, so they go on from file to file.
            let ids = part.object_ids().iter().enumerate();
            joined.object_ids.extend(ids.map(|(row, &id)| {
                if id == substitute_id(row) {
                    substitute_id(start + row)
                } else {
                    id
                }
            }));
            joined.redshifts.extend_from_slice(part.redshifts());
            joined.splits.extend_from_slice(part.splits());
            joined.parts.push(part);
        }
        Ok(joined)
    }

    /// Per part that is asked for: the part, positions in `rows`, and rows within the part.
    fn by_part(&self, rows: &[usize]) -> Vec<(&dyn Dataset, Vec<usize>, Vec<usize>)> {
        let mut wanted: Vec<_> = self
            .parts
            .iter()
            .map(|part| (part.as_ref(), Vec::new(), Vec::new()))
            .collect();
        for (position, &row) in rows.iter().enumerate() {
            assert!(row < self.len(), "row {row} of {}", self.len());
            let part = self.starts.partition_point(|&start| start <= row) - 1;
            wanted[part].1.push(position);
            wanted[part].2.push(row - self.starts[part]);
        }
        wanted.retain(|(_, positions, _)| !positions.is_empty());
        wanted
    }
}

fn contents(dataset: &dyn Dataset) -> String {
    let images = dataset
        .image_size()
        .map(|size| format!("images of {size} x {size} pixels"));
    let spectra = dataset.has_spectra().then(|| "spectra".to_owned());
    let held: Vec<_> = images.into_iter().chain(spectra).collect();
    held.join(" and ")
}

impl Dataset for Concatenated {
    fn image_size(&self) -> Option<usize> {
        self.parts[0].image_size()
    }

    fn has_spectra(&self) -> bool {
        self.parts[0].has_spectra()
    }

    fn object_ids(&self) -> &[ObjectId] {
        &self.object_ids
    }

    fn redshifts(&self) -> &[f32] {
        &self.redshifts
    }

    fn splits(&self) -> &[Split] {
        &self.splits
    }

    fn images(&self, rows: &[usize]) -> Result<Array4<f32>> {
        let Some(size) = self.image_size() else {
            return self.parts[0].images(&[]);
        };
        let mut out = Array4::zeros((rows.len(), 3, size, size));
        for (part, positions, rows) in self.by_part(rows) {
            let images = part.images(&rows)?;
            for (image, position) in images.outer_iter().zip(positions) {
                out.index_axis_mut(Axis(0), position).assign(&image);
            }
        }
        Ok(out)
    }

    fn spectra(&self, rows: &[usize]) -> Result<Array2<f32>> {
        let mut out = Array2::zeros((rows.len(), crate::survey::DESI_GRID.len));
        if !self.has_spectra() {
            return self.parts[0].spectra(&[]);
        }
        for (part, positions, rows) in self.by_part(rows) {
            let spectra = part.spectra(&rows)?;
            for (spectrum, position) in spectra.outer_iter().zip(positions) {
                out.row_mut(position).assign(&spectrum);
            }
        }
        Ok(out)
    }

    fn describe(&self) -> Description {
        let mut joined = self.parts[0].describe();
        for part in &self.parts[1..] {
            let description = part.describe();
            joined.galaxies += description.galaxies;
            joined.train += description.train;
            joined.test += description.test;
            joined.with_redshift += description.with_redshift;
            joined.files.extend(description.files);
        }
        joined
    }
}
