//! DESI's spectra as the survey publishes them: the arms B, R and Z of every fibre, coadded (`coadd-*.fits`) or exposure
//! by exposure (`spectra-*.fits`), with the redshifts of the `redrock-*.fits` beside where there is one.

mod arms;
mod fibers;

use std::ops::Range;
use std::path::Path;

use arms::Arm;
use fibers::Fibers;

use crate::base::error::{Error, Result};
use crate::files::catalog::{Column, Table};
use crate::files::container::fits::FitsFile;
use crate::files::data::describe::GroupDescription;
use crate::files::data::source::{
    Contents, NOWHERE, Source, SourceLabels, Splits, Stated, StoredSpectra, Wavelengths,
};
use crate::survey::{DESI_GRID, LEAST_GOOD, Modality, ObjectId, Survey, WavelengthGrid};

/// The galaxies of one file. Fibres on the sky, faulty ones and spectra without signal are left out.
#[derive(Debug)]
pub(super) struct Coadd {
    contents: Contents,
    file: FitsFile,
    arms: Vec<Arm>,
    targets: Vec<Target>,
    redshifts: Vec<f32>,
}

#[derive(Debug)]
struct Target {
    id: ObjectId,
    /// Rows in the file: one for each exposure that is not coadded yet.
    rows: Vec<usize>,
}

/// What merging a target's rows met.
struct Merged {
    /// Whether any pixel has flux: a fibre without light has weights but none.
    any: bool,
    /// Bad pixels of each arm, in all rows.
    masked: Vec<usize>,
}

/// Whether the file has the arms of a coadd.
pub(super) fn recognises(file: &FitsFile) -> bool {
    arms::any(file)
}

impl Coadd {
    /// Opens a file and looks at every spectrum once.
    ///
    /// # Errors
    /// Where the file is no coadd or damaged, or its wavelengths are not on DESI's grid.
    pub fn open(path: &Path, file: FitsFile, survey: &Survey) -> Result<Self> {
        let fibers = Fibers::read(path, &file)?;
        let mut coadd = Self {
            contents: Contents {
                path: path.to_owned(),
                format: match fibers.exposures {
                    true => "DESI exposures",
                    false => "DESI coadd",
                },
                groups: Vec::new(),
                image_shape: None,
                band_names: None,
                wavelengths: Some(Wavelengths::Shared(DESI_GRID.wavelengths())),
                bad_pixels: true,
                splits: Splits::ById,
                catalog_columns: Vec::new(),
                stated: Stated {
                    flux_unit: arms::unit(&file),
                    wavelengths: true,
                    ..Stated::default()
                },
                positions: fibers::has_positions(&file)
                    .then(|| "`TARGET_RA` and `TARGET_DEC` of FIBERMAP".to_owned()),
                notes: Vec::new(),
                warnings: Vec::new(),
            },
            arms: arms::read(path, &file, fibers.rows)?,
            file,
            targets: Vec::new(),
            redshifts: Vec::new(),
        };
        let seen = seen(&survey.wavelengths);
        let (mut empty, mut few) = (0, 0);
        let mut masked = vec![0; coadd.arms.len()];
        let mut rows = 0;
        let mut flux = vec![0.0; DESI_GRID.len];
        let mut bad = vec![false; DESI_GRID.len];
        for (id, exposures) in &fibers.targets {
            let merged = coadd.merge(exposures, &mut flux, &mut bad)?;
            let good = bad[seen.clone()].iter().filter(|&&bad| !bad).count();
            if !merged.any || good == 0 {
                empty += 1;
            } else if (good as f64) < LEAST_GOOD * seen.len() as f64 {
                few += 1;
            } else {
                rows += exposures.len();
                for (sum, masked) in masked.iter_mut().zip(merged.masked) {
                    *sum += masked;
                }
                coadd.targets.push(Target {
                    id: *id,
                    rows: exposures.clone(),
                });
            }
        }
        let galaxies = coadd.targets.len();
        let left_out = left_out(&fibers, empty, few);
        if galaxies == 0 {
            return Err(Error::input(format!(
                "no usable spectrum among {} rows: left out {left_out}",
                fibers.rows
            ))
            .in_file(path));
        }
        let notes = &mut coadd.contents.notes;
        if !left_out.is_empty() {
            notes.push(format!("left out {left_out} of {} rows", fibers.rows));
        }
        if fibers.exposures {
            notes.push(format!(
                "single exposures: {rows} rows of {galaxies} targets are coadded by inverse variance"
            ));
        }
        let lacking = arms::lacking(&coadd.arms);
        if !lacking.is_empty() {
            coadd.contents.warnings.push(format!(
                "lacks the arm {}: its wavelengths are filled with the median of each spectrum",
                lacking.join(" and ")
            ));
        }
        if masked.iter().any(|&masked| masked > 0) {
            let shares = coadd.arms.iter().zip(&masked).map(|(arm, &masked)| {
                let share = 100.0 * masked as f64 / (rows * arm.pixels).max(1) as f64;
                format!("{share:.2} % in {}", arm.name)
            });
            let shares: Vec<String> = shares.collect();
            notes.push(format!("masked pixels: {}", shares.join(", ")));
        }
        coadd.redshifts = match fibers::redshifts(path)? {
            None => vec![f32::NAN; galaxies],
            Some(known) => {
                let targets = coadd.targets.iter();
                targets
                    .map(|target| known.get(&target.id).copied().unwrap_or(f32::NAN))
                    .collect()
            }
        };
        coadd.contents.groups = vec![GroupDescription {
            name: "/".into(),
            galaxies,
            compressed: arms::are_compressed(&coadd.file, &coadd.arms),
        }];
        Ok(coadd)
    }

    /// Merges rows of one target, and their arms where they overlap: the mean by inverse variance, as DESI's
    /// `coadd_cameras` does it. Flags pixels without any weight.
    fn merge(&self, rows: &[usize], flux: &mut [f32], bad: &mut [bool]) -> Result<Merged> {
        let file = &self.file;
        let mut sums = vec![0.0; DESI_GRID.len];
        let mut weights = vec![0.0; DESI_GRID.len];
        let mut masked = vec![0; self.arms.len()];
        for &row in rows {
            for (arm, masked) in self.arms.iter().zip(&mut masked) {
                let read = |what: &str| {
                    let hdu = arms::hdu(&self.contents.path, file, arm.name, what)?;
                    file.image_rows(hdu, row..row + 1)
                };
                let (flux, ivar) = (read("FLUX")?, read("IVAR")?);
                let mask = match file.hdu(&format!("{}_MASK", arm.name)) {
                    Some(hdu) => file.image_rows(hdu, row..row + 1)?,
                    None => vec![0.0; flux.len()],
                };
                let pixels = flux.iter().zip(&ivar).zip(&mask);
                for (place, ((&flux, &ivar), &mask)) in pixels.enumerate() {
                    if mask == 0.0 && ivar > 0.0 && ivar.is_finite() && flux.is_finite() {
                        sums[arm.start + place] += ivar * flux;
                        weights[arm.start + place] += ivar;
                    } else {
                        *masked += 1;
                    }
                }
            }
        }
        let out = flux.iter_mut().zip(bad);
        for ((flux, bad), (sum, weight)) in out.zip(sums.iter().zip(&weights)) {
            *bad = *weight == 0.0;
            *flux = match *bad {
                true => 0.0,
                false => (sum / weight) as f32,
            };
        }
        Ok(Merged {
            any: flux.iter().any(|&flux| flux != 0.0),
            masked,
        })
    }
}

/// The pixels of DESI's grid that a survey sees.
fn seen(grid: &WavelengthGrid) -> Range<usize> {
    let place = |wavelength: f64| (wavelength - DESI_GRID.start) / DESI_GRID.step;
    let last = grid.wavelength(grid.len - 1);
    let start = (place(grid.start).round().max(0.0) as usize).min(DESI_GRID.len);
    let end = (place(last).round() + 1.0).max(0.0) as usize;
    start..end.clamp(start, DESI_GRID.len)
}

/// What is left out, counted by reason.
fn left_out(fibers: &Fibers, empty: usize, few: usize) -> String {
    let what = match fibers.exposures {
        true => "exposures with faulty fibres",
        false => "faulty fibres",
    };
    let few_good = format!(
        "spectra with less than {:.0} % good pixels",
        100.0 * LEAST_GOOD
    );
    let counts = [
        (fibers.sky, "fibres on the sky".to_owned()),
        (fibers.faulty, format!("{what} ({})", fibers.status)),
        (empty, "spectra without any signal".to_owned()),
        (few, few_good),
    ];
    let counts = counts.into_iter().filter(|(count, _)| *count > 0);
    let counts: Vec<String> = counts
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    counts.join(", ")
}

impl Source for Coadd {
    fn contents(&self) -> &Contents {
        &self.contents
    }

    fn labels(&self, rows: Range<usize>) -> Result<SourceLabels> {
        Ok(SourceLabels {
            object_id: self.targets[rows.clone()]
                .iter()
                .map(|target| Some(target.id))
                .collect(),
            redshift: self.redshifts[rows].to_vec(),
        })
    }

    fn positions(&self, rows: Range<usize>) -> Result<Vec<[f64; 2]>> {
        let all = fibers::positions(&self.file)?;
        let targets = self.targets[rows].iter();
        Ok(targets
            .map(|target| all.get(target.rows[0]).copied().unwrap_or(NOWHERE))
            .collect())
    }

    fn columns(&self) -> Result<Vec<Column>> {
        Table::open_one(&self.contents.path, Some("FIBERMAP")).map(Table::into_columns)
    }

    fn read_spectra(&self, wanted: &[(usize, usize)], out: &mut StoredSpectra<'_>) -> Result<()> {
        for &(position, row) in wanted {
            let pixels = position * DESI_GRID.len..(position + 1) * DESI_GRID.len;
            let (flux, bad) = (&mut out.flux[pixels.clone()], &mut out.bad[pixels]);
            self.merge(&self.targets[row].rows, flux, bad)?;
        }
        Ok(())
    }

    fn place(&self, _what: Modality, row: usize) -> String {
        let Target { id, rows } = &self.targets[row];
        match rows[..] {
            [row] => format!("target {id} in row {row}"),
            _ => format!("target {id} in rows {rows:?}"),
        }
    }
}
