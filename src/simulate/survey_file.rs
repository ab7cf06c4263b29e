//! Writes a simulated survey in the joint layout: ten groups of pairs and a catalogue.

use std::{ops::Range, path::Path};

use hdf5::{Dataset, File, Group, H5Type};
use ndarray::{Array1, Array2, Array4, Axis, s};
use rayon::prelude::*;

use super::{CatalogRow, SimulatedGalaxy, SimulationConfig, simulate_galaxy};
use crate::base::error::{Error, Result};
use crate::base::output::PartialFile;
use crate::survey::{BANDS, CUTOUT_SIZE, DESI_GRID, QUESTIONS, Question};

/// Groups of the joint layout.
const GROUPS: usize = 10;
/// Group of the catalogue.
const CATALOG: &str = "catalog";
/// Galaxies in memory at once: 40 MB of images and spectra.
const CHUNK: usize = 128;

/// Simulates a survey and writes it to `out`.
///
/// Layout: groups `0`..`9`, each with `images` `(n, 152, 152, 3)` f32 with axes x, y, band (g, r, z) in
/// nanomaggies, `spectra` `(n, 7781, 1)` f32 in 10⁻¹⁷ erg/s/cm²/Å, `redshifts` f32 and `targetids` i64;
/// and a root group `catalog` with one dataset per column of [`CatalogRow`], rows in the order of the
/// groups. The galaxies are spread evenly over the groups. `progress` is told the number of finished
/// galaxies. The file depends on the configuration alone, not on the number of threads.
///
/// # Errors
/// [`Error::input`] for fewer than ten galaxies or where the folder of `out` does not exist;
/// [`Error::run`] where the file cannot be written. In both cases `out` is left as it was.
pub fn write_survey(
    config: &SimulationConfig,
    out: &Path,
    mut progress: impl FnMut(usize),
) -> Result<()> {
    if config.galaxies < GROUPS {
        return Err(Error::input(format!(
            "galaxies = {}: a survey file has {GROUPS} groups and needs at least one galaxy in each; \
             ask for {GROUPS} or more",
            config.galaxies
        )));
    }
    let partial = PartialFile::beside(out)?;
    let numbers = CUTOUT_SIZE * CUTOUT_SIZE * BANDS.len() + DESI_GRID.len;
    partial.make_room(4 * numbers as u64 * config.galaxies as u64)?;
    write_file(config, partial.path(), &mut progress)
        .map_err(|source| Error::writing(out, source))?;
    partial.finish()
}

/// Whether a file is one that [`write_survey`] wrote: its groups, and its columns of the catalogue, and nothing else.
pub fn is_simulated(path: &Path) -> bool {
    let names = |group: &Group| group.member_names().unwrap_or_default();
    let is_ours = |file: File| {
        let groups = (0..GROUPS).map(|group| group.to_string());
        let expected: Vec<String> = groups.chain([CATALOG.to_owned()]).collect();
        let columns = file.group(CATALOG).map(|catalog| names(&catalog));
        let columns = columns.unwrap_or_default();
        let has = |name: &str| columns.iter().any(|column| column == name);
        names(&file) == expected && COLUMNS.iter().all(|(name, _)| has(name))
    };
    File::open(path).is_ok_and(is_ours)
}

/// Galaxies of one group.
fn members(galaxies: usize, group: usize) -> Range<usize> {
    group * galaxies / GROUPS..(group + 1) * galaxies / GROUPS
}

fn write_file(
    config: &SimulationConfig,
    path: &Path,
    progress: &mut impl FnMut(usize),
) -> hdf5::Result<()> {
    // The oldest format has no times of creation in it: the same survey is the same file, byte for byte.
    let file = File::with_options()
        .with_fapl(|access| access.libver_earliest())
        .create(path)?;
    let catalog = Catalog::create(&file, config.galaxies)?;
    for group in 0..GROUPS {
        let members = members(config.galaxies, group);
        let pairs = Pairs::create(&file.create_group(&group.to_string())?, members.len())?;
        for first in members.clone().step_by(CHUNK) {
            let chunk = first..(first + CHUNK).min(members.end);
            let galaxies: Vec<SimulatedGalaxy> = chunk
                .clone()
                .into_par_iter()
                .map(|index| simulate_galaxy(config.seed, index as u64, config.variant))
                .collect();
            pairs.write(first - members.start, &galaxies)?;
            catalog.write(first, &galaxies)?;
            progress(chunk.end);
        }
    }
    file.flush()?;
    file.close()
}

/// Datasets of one group of pairs.
struct Pairs {
    images: Dataset,
    spectra: Dataset,
    redshifts: Dataset,
    targetids: Dataset,
}

impl Pairs {
    fn create(group: &Group, count: usize) -> hdf5::Result<Self> {
        Ok(Self {
            images: dataset::<f32, _>(
                group,
                "images",
                (count, CUTOUT_SIZE, CUTOUT_SIZE, BANDS.len()),
            )?,
            spectra: dataset::<f32, _>(group, "spectra", (count, DESI_GRID.len, 1))?,
            redshifts: dataset::<f32, _>(group, "redshifts", count)?,
            targetids: dataset::<i64, _>(group, "targetids", count)?,
        })
    }

    fn write(&self, first: usize, galaxies: &[SimulatedGalaxy]) -> hdf5::Result<()> {
        let rows = first..first + galaxies.len();
        let mut images = Array4::zeros((galaxies.len(), CUTOUT_SIZE, CUTOUT_SIZE, BANDS.len()));
        images
            .axis_iter_mut(Axis(0))
            .into_par_iter()
            .zip(galaxies)
            .for_each(|(mut image, galaxy)| {
                // (band, y, x) -> (x, y, band)
                image.assign(&galaxy.image.view().reversed_axes());
            });
        self.images
            .write_slice(&images, s![rows.clone(), .., .., ..])?;
        let mut spectra = Array2::zeros((galaxies.len(), DESI_GRID.len));
        for (mut row, galaxy) in spectra.axis_iter_mut(Axis(0)).zip(galaxies) {
            row.assign(&galaxy.spectrum);
        }
        self.spectra
            .write_slice(&spectra.insert_axis(Axis(2)), s![rows.clone(), .., ..])?;
        let redshifts: Array1<f32> = galaxies
            .iter()
            .map(|galaxy| galaxy.catalog.redshift as f32)
            .collect();
        self.redshifts.write_slice(&redshifts, s![rows.clone()])?;
        let targetids: Array1<i64> = galaxies
            .iter()
            .map(|galaxy| galaxy.catalog.target_id)
            .collect();
        self.targetids.write_slice(&targetids, s![rows])
    }
}

fn dataset<T: H5Type, S: Into<hdf5::Extents>>(
    group: &Group,
    name: &str,
    shape: S,
) -> hdf5::Result<Dataset> {
    // Without the time of writing: the same survey has the same bytes.
    let builder = group.new_dataset::<T>().obj_track_times(false);
    builder.shape(shape).create(name)
}

/// A numerical column of the catalogue: its name and how to read it off a row.
type Column = (&'static str, fn(&CatalogRow) -> f32);

const COLUMNS: [Column; 8] = [
    ("Z", |row| row.redshift as f32),
    ("MAG_G", |row| row.magnitudes[0]),
    ("MAG_R", |row| row.magnitudes[1]),
    ("MAG_Z", |row| row.magnitudes[2]),
    ("LOG_MSTAR", |row| row.log_stellar_mass),
    ("Z_MW", |row| row.metallicity),
    ("TAGE_MW", |row| row.age),
    ("AVG_SFR", |row| row.formation_rate),
];

/// Datasets of the catalogue.
struct Catalog {
    target_id: Dataset,
    columns: Vec<Dataset>,
    /// Per question: one dataset per answer, then the total.
    votes: Vec<(Vec<Dataset>, Dataset)>,
}

impl Catalog {
    fn create(file: &File, count: usize) -> hdf5::Result<Self> {
        let group = file.create_group(CATALOG)?;
        let votes = |question: &Question| {
            let fractions = question
                .answers
                .iter()
                .map(|answer| {
                    dataset::<f32, _>(
                        &group,
                        &format!("{}_{answer}_fraction", question.name),
                        count,
                    )
                })
                .collect::<hdf5::Result<_>>()?;
            let total =
                dataset::<i32, _>(&group, &format!("{}_total-votes", question.name), count)?;
            Ok((fractions, total))
        };
        Ok(Self {
            target_id: dataset::<i64, _>(&group, "TARGETID", count)?,
            columns: COLUMNS
                .iter()
                .map(|(name, _)| dataset::<f32, _>(&group, name, count))
                .collect::<hdf5::Result<_>>()?,
            votes: QUESTIONS.iter().map(votes).collect::<hdf5::Result<_>>()?,
        })
    }

    fn write(&self, first: usize, galaxies: &[SimulatedGalaxy]) -> hdf5::Result<()> {
        let rows = first..first + galaxies.len();
        let floats = |dataset: &Dataset, read: &dyn Fn(&CatalogRow) -> f32| {
            let values: Array1<f32> = galaxies
                .iter()
                .map(|galaxy| read(&galaxy.catalog))
                .collect();
            dataset.write_slice(&values, s![rows.clone()])
        };
        let ids: Array1<i64> = galaxies
            .iter()
            .map(|galaxy| galaxy.catalog.target_id)
            .collect();
        self.target_id.write_slice(&ids, s![rows.clone()])?;
        for (dataset, (_, read)) in self.columns.iter().zip(COLUMNS) {
            floats(dataset, &read)?;
        }
        for (question, (fractions, total)) in self.votes.iter().enumerate() {
            for (answer, dataset) in fractions.iter().enumerate() {
                floats(dataset, &|row| row.votes.fraction(question, answer))?;
            }
            let totals: Array1<i32> = galaxies
                .iter()
                .map(|galaxy| galaxy.catalog.votes.total(question) as i32)
                .collect();
            total.write_slice(&totals, s![rows.clone()])?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::Variant;

    #[test]
    fn layout_is_the_joint_files() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let out = folder.path().join("survey.h5");
        let config = SimulationConfig {
            galaxies: 23,
            seed: 4,
            ..SimulationConfig::default()
        };
        let mut seen = Vec::new();
        write_survey(&config, &out, |done| seen.push(done)).expect("the survey is written");
        assert_eq!(seen.last(), Some(&23));
        assert_eq!(
            std::fs::read_dir(folder.path()).expect("readable").count(),
            1
        );

        let file = File::open(&out).expect("an HDF5 file");
        let catalog = file.group("catalog").expect("a catalogue");
        let column: Array1<i64> = catalog
            .dataset("TARGETID")
            .and_then(|d| d.read_1d())
            .expect("ids");
        let mut ids = Vec::new();
        for group in 0..GROUPS {
            let group = file.group(&group.to_string()).expect("a group");
            let read: Array1<i64> = group
                .dataset("targetids")
                .and_then(|d| d.read_1d())
                .expect("ids");
            let count = read.len();
            assert!((2..=3).contains(&count));
            let shape = |name| group.dataset(name).expect("a dataset").shape();
            assert_eq!(shape("images"), [count, 152, 152, 3]);
            assert_eq!(shape("spectra"), [count, 7781, 1]);
            assert_eq!(shape("redshifts"), [count]);
            ids.extend(read);
        }
        assert_eq!(column.to_vec(), ids);
        let mut unique = ids.clone();
        unique.sort_unstable();
        unique.dedup();
        assert!(unique.len() == 23 && unique[0] > 0);

        // The last galaxy of the file, axis by axis.
        let galaxy = simulate_galaxy(4, 22, Variant::Standard);
        let images: Array4<f32> = file
            .dataset("9/images")
            .and_then(|d| d.read())
            .expect("images of the last group");
        assert_eq!(images[[2, 100, 30, 1]], galaxy.image[[1, 30, 100]]);
        let total: Array1<i32> = catalog
            .dataset("smooth-or-featured_total-votes")
            .and_then(|d| d.read_1d())
            .expect("votes");
        assert!(total.iter().all(|&votes| votes > 30));
    }

    #[test]
    fn too_small_a_survey_and_a_missing_folder_are_refused() {
        let small = SimulationConfig {
            galaxies: 9,
            seed: 0,
            ..SimulationConfig::default()
        };
        let error = write_survey(&small, Path::new("x.h5"), |_| ()).expect_err("too few");
        assert_eq!(error.exit_code(), 2);
        let config = SimulationConfig {
            galaxies: 10,
            seed: 0,
            ..SimulationConfig::default()
        };
        let error =
            write_survey(&config, Path::new("no/such/folder/x.h5"), |_| ()).expect_err("no folder");
        assert_eq!(error.exit_code(), 2);
    }
}
