//! From what an estimator says of galaxies to the columns of a catalogue.

use ndarray::Array2;
use serde_json::{Value, json};

use super::columns::{column, estimate_columns, question_columns, spectrum_columns};
use super::flags::{
    BEYOND_RANGE, FLAGS, NO_ESTIMATE, SUMMITS, UNLIKE_CONTINUA, UNLIKE_IMAGES, UNLIKE_SPECTRA,
    of_observation,
};
use super::interval::LEVELS;
use super::morphology::{QuestionPart, QuestionSaid};
use super::options::Regressor;
use super::part::{Part, Said, Telling};
use super::{Estimates, Estimator, EstimatorFile};
use crate::evaluation::eval::Source;
use crate::files::catalog::{Cells, ColumnHead, ColumnKind, Keyword, TableHead};
use crate::files::embeddings::EmbeddingBlock;
use crate::survey::Target;

/// Which columns a catalogue has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout<'a> {
    pub estimator: &'a Estimator,
    /// What is told.
    pub telling: Telling,
    /// Whether there are spectra.
    pub spectra: bool,
}

impl Layout<'_> {
    /// The names, units and meanings of all columns, and what the catalogue was made with.
    pub fn head(&self, file: &EstimatorFile, provenance: Value) -> TableHead {
        let mut columns = vec![
            column(
                "object_id",
                ColumnKind::Id,
                "meta.id;meta.main",
                "Identifier of the galaxy",
            ),
            ColumnHead {
                unit: Some("deg".to_owned()),
                ..column(
                    "ra",
                    ColumnKind::F64,
                    "pos.eq.ra;meta.main",
                    "Right ascension, ICRS",
                )
            },
            ColumnHead {
                unit: Some("deg".to_owned()),
                ..column(
                    "dec",
                    ColumnKind::F64,
                    "pos.eq.dec;meta.main",
                    "Declination, ICRS",
                )
            },
        ];
        for target in self.estimator.targets() {
            estimate_columns(&mut columns, target, None);
        }
        columns.push(column(
            "source",
            ColumnKind::Text,
            "meta.note",
            "What the estimates are from: image, spectrum or both",
        ));
        columns.push(column(
            "method",
            ColumnKind::Text,
            "meta.note",
            "How they are made: flow, mlp or knn",
        ));
        if let Some(grid) = self.telling.grid {
            columns.push(column(
                "pz",
                ColumnKind::F32Array(grid.points),
                "stat.probability;src.redshift",
                &format!(
                    "Probability density of the redshift at {} redshifts from {} in steps of {}",
                    grid.points, grid.start, grid.step
                ),
            ));
        }
        for (question, answers, _) in self.estimator.questions() {
            for answer in answers {
                question_columns(&mut columns, question, answer);
            }
        }
        for source in self.spaces() {
            columns.push(column(
                &format!("novelty_{source}"),
                ColumnKind::F32,
                "stat.value",
                &format!(
                    "Distance of the {source} embedding to the nearest training galaxies, over what 99 % of these stay below"
                ),
            ));
        }
        if self.spectra {
            spectrum_columns(&mut columns, self.estimator.continua.is_some());
        }
        let bits: Vec<String> = FLAGS
            .iter()
            .map(|flag| format!("{}: {}", flag.bit, flag.name))
            .collect();
        columns.push(column(
            "flag",
            ColumnKind::I32,
            "meta.code.qual",
            &format!(
                "Sum of reasons not to rely on the estimates ({})",
                bits.join(", ")
            ),
        ));
        columns.push(column(
            "split",
            ColumnKind::I32,
            "meta.code",
            "0: the estimator was fitted to this galaxy; 1: it was not",
        ));
        if self.telling.each {
            for (source, method) in self.estimator.methods() {
                for target in self.estimator.targets() {
                    if self.part(source, method, target).is_some() {
                        estimate_columns(&mut columns, target, Some((source, method)));
                    }
                }
            }
        }
        TableHead {
            name: "estimates".to_owned(),
            description: "Redshift, physical properties and morphology of galaxies, estimated from embeddings by astroclip"
                .to_owned(),
            columns,
            keywords: self.keywords(file),
            provenance,
        }
    }

    fn keywords(&self, file: &EstimatorFile) -> Vec<Keyword> {
        let keyword = |key: &str, value: Value, comment: &str| Keyword {
            key: key.to_owned(),
            value,
            comment: comment.to_owned(),
        };
        let mut keywords = vec![
            keyword(
                "PROGRAM",
                json!("astroclip"),
                "program that made this table",
            ),
            keyword("VERSION", json!(env!("CARGO_PKG_VERSION")), "its version"),
            keyword("ESTIMSHA", json!(file.sha256), "SHA-256 of the estimator"),
            keyword(
                "SAMPLES",
                json!(self.telling.samples),
                "samples of each posterior",
            ),
        ];
        if let Some(commit) = option_env!("ASTROCLIP_COMMIT") {
            keywords.push(keyword("COMMIT", json!(commit), "commit of the program"));
        }
        if let Some(sha) = &file.estimator.head.model_sha256 {
            keywords.push(keyword(
                "MODELSHA",
                json!(sha),
                "SHA-256 of the model that embedded",
            ));
        }
        if let Some(grid) = self.telling.grid {
            keywords.push(keyword(
                "PZSTART",
                json!(grid.start),
                "first redshift of pz",
            ));
            keywords.push(keyword(
                "PZSTEP",
                json!(grid.step),
                "step of the redshifts of pz",
            ));
            keywords.push(keyword("PZPOINTS", json!(grid.points), "redshifts of pz"));
        }
        for flag in FLAGS {
            let key = format!("FLAG{}", flag.bit);
            keywords.push(keyword(&key, json!(flag.name), flag.meaning));
        }
        keywords
    }

    /// The kinds of embeddings whose novelty is told.
    fn spaces(&self) -> impl Iterator<Item = Source> {
        let of_embeddings = |source: &Source| matches!(source, Source::Image | Source::Spectrum);
        self.estimator
            .spaces
            .iter()
            .map(|space| space.source)
            .filter(of_embeddings)
    }

    fn part(&self, source: Source, method: Regressor, target: Target) -> Option<&Part> {
        let mut parts = self.estimator.parts.iter();
        parts.find(|part| {
            (part.source, part.method()) == (source, method) && part.targets.contains(&target)
        })
    }

    /// The rows of a block.
    pub(super) fn cells(&self, block: &EmbeddingBlock, said: &Estimates<'_>) -> Block {
        let rows = block.object_id.len();
        let targets = self.estimator.targets();
        let mut filled = Block::of(block);
        let mut flags = vec![0; rows];
        let mut chosen: Vec<Option<(Source, Regressor)>> = vec![None; rows];
        for &target in &targets {
            let mut columns = vec![vec![f64::NAN; rows]; 1 + LEVELS.len()];
            // What counts least first: what counts more overwrites it.
            for of_part in said.parts.iter().rev() {
                fill(&mut columns, target, of_part, |row| {
                    chosen[row] = Some((of_part.0.source, of_part.0.method()));
                });
            }
            if let Some([least, most]) = self.estimator.head.ranges.get(&target) {
                for (row, flag) in flags.iter_mut().enumerate() {
                    let estimate = columns[0][row];
                    if estimate < *least || estimate > *most {
                        *flag |= BEYOND_RANGE;
                    }
                }
            }
            filled.cells.extend(columns.into_iter().map(Cells::F64));
        }
        // Of several parts that tell the redshift, the one that is shown.
        for (part, rows, said) in said.parts.iter().rev() {
            let Some(summits) = &said.has_summits else {
                continue;
            };
            for (&row, &has) in rows.iter().zip(summits) {
                if chosen[row] == Some((part.source, part.method())) {
                    flags[row] = flags[row] & !SUMMITS | if has { SUMMITS } else { 0 };
                }
            }
        }
        let text = |of: fn((Source, Regressor)) -> String| {
            let texts = chosen.iter().map(|one| one.map_or_else(String::new, of));
            Cells::Texts(texts.collect())
        };
        filled.cells.push(text(|(source, _)| source.to_string()));
        filled.cells.push(text(|(_, method)| method.to_string()));
        if let Some(grid) = self.telling.grid {
            let mut densities = Array2::from_elem((rows, grid.points), f32::NAN);
            for (_, rows, said) in said.parts.iter().rev() {
                for (&row, density) in rows.iter().zip(said.density.iter().flat_map(|d| d.rows())) {
                    densities.row_mut(row).assign(&density);
                }
            }
            filled.cells.push(Cells::F32Array(densities));
        }
        for part in &self.estimator.questions {
            let told = said.questions.iter();
            let told = told.filter(|(known, ..)| known.question == part.question);
            fill_question(&mut filled.cells, rows, part, told);
        }
        for source in self.spaces() {
            let novelty = said.novelty.get(&source).cloned();
            let novelty = novelty.unwrap_or_else(|| vec![f32::NAN; rows]);
            let bit = match source {
                Source::Image => UNLIKE_IMAGES,
                _ => UNLIKE_SPECTRA,
            };
            for (flag, value) in flags.iter_mut().zip(&novelty) {
                *flag |= if *value > 1.0 { bit } else { 0 };
            }
            filled.cells.push(Cells::F32(novelty));
        }
        if self.spectra {
            filled.cells.push(Cells::F32(block.signal_to_noise.clone()));
            filled.cells.push(Cells::F32(block.star_lines.clone()));
            if let Some(continua) = &self.estimator.continua {
                let novelty = continua.novelty(block.continua.view());
                for (flag, value) in flags.iter_mut().zip(&novelty) {
                    *flag |= if *value > 1.0 { UNLIKE_CONTINUA } else { 0 };
                }
                filled.cells.push(Cells::F32(novelty));
            }
        }
        for (row, flag) in flags.iter_mut().enumerate() {
            *flag |= of_observation(block, row);
            if chosen[row].is_none() {
                *flag |= NO_ESTIMATE;
            }
        }
        let known = |id| i32::from(!self.estimator.was_fitted_to(id));
        let split = block.object_id.iter().map(|&id| known(id)).collect();
        filled.cells.push(Cells::I32(flags.clone()));
        filled.cells.push(Cells::I32(split));
        if self.telling.each {
            for (source, method) in self.estimator.methods() {
                for &target in &targets {
                    if self.part(source, method, target).is_none() {
                        continue;
                    }
                    let mut columns = vec![vec![f64::NAN; rows]; 1 + LEVELS.len()];
                    let own = said
                        .parts
                        .iter()
                        .filter(|(part, ..)| (part.source, part.method()) == (source, method));
                    own.for_each(|of_part| fill(&mut columns, target, of_part, |_| {}));
                    filled.cells.extend(columns.into_iter().map(Cells::F64));
                }
            }
        }
        filled.flags = flags;
        filled
    }
}

/// Rows of a catalogue.
pub(super) struct Block {
    /// In the order of the columns.
    pub cells: Vec<Cells>,
    /// The column `flag`.
    pub flags: Vec<i32>,
}

impl Block {
    /// The columns that are known before anything is estimated.
    fn of(block: &EmbeddingBlock) -> Self {
        let axis = |axis: usize| block.position.iter().map(|place| place[axis]).collect();
        Self {
            cells: vec![
                Cells::Ids(block.object_id.clone()),
                Cells::F64(axis(0)),
                Cells::F64(axis(1)),
            ],
            flags: Vec::new(),
        }
    }
}

/// Fills in what a part says of a target: the estimate, then the points of its distribution.
fn fill(
    columns: &mut [Vec<f64>],
    target: Target,
    (part, rows, said): &(&Part, Vec<usize>, Said),
    mut told: impl FnMut(usize),
) {
    let Some(index) = part.targets.iter().position(|&known| known == target) else {
        return;
    };
    for (nth, &row) in rows.iter().enumerate() {
        columns[0][row] = said.point[[nth, index]];
        for level in 0..LEVELS.len() {
            columns[1 + level][row] = said.levels[[nth, index, level]];
        }
        told(row);
    }
}

/// Fills in what is told of the answers to a question, of the rows of which it is.
fn fill_question<'a>(
    cells: &mut Vec<Cells>,
    rows: usize,
    part: &QuestionPart,
    told: impl Iterator<Item = &'a (&'a QuestionPart, Vec<usize>, QuestionSaid)>,
) {
    let mut columns = vec![vec![f32::NAN; rows]; 3 * part.answers.len()];
    for (_, of_rows, said) in told {
        for (nth, &row) in of_rows.iter().enumerate() {
            for (answer, columns) in columns.chunks_mut(3).enumerate() {
                columns[0][row] = said.fractions[[nth, answer]] as f32;
                columns[1][row] = said.levels[[nth, answer, 1]] as f32;
                columns[2][row] = said.levels[[nth, answer, 3]] as f32;
            }
        }
    }
    cells.extend(columns.into_iter().map(Cells::F32));
}

/// What an estimator is to be told of a block.
pub(super) fn galaxies(block: &EmbeddingBlock, magnitudes: Option<Array2<f32>>) -> super::Galaxies {
    super::Galaxies {
        object_id: block.object_id.clone(),
        image: block.image.clone(),
        spectrum: block.spectrum.clone(),
        magnitudes,
    }
}
