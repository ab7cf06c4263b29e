//! Estimators as files: tensors with checksums, and a header that says what they are.

use std::path::Path;

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::continua::Continua;
use super::interval::Shares;
use super::morphology::QuestionPart;
use super::part::{Fitted, Part};
use super::perceptrons::Perceptrons;
use super::space::Space;
use super::tensors::{Shelf, Stored};
use super::{Estimator, Head};
use crate::base::error::{Error, Result};
use crate::evaluation::eval::Source;
use crate::evaluation::eval::flow::FlowHead;
use crate::evaluation::knn::Weights;
use crate::files::inputs::Inputs;
use crate::network::weights::{TensorFile, TensorMap, file_sha256, write_tensors};
use crate::survey::Target;

/// Version of the layout; raised when older programs would misread.
const FORMAT: u32 = 3;

/// The header of a file.
#[derive(Debug, Serialize, Deserialize)]
struct FileHead {
    estimator: u32,
    program_version: String,
    #[serde(default)]
    commit: Option<String>,
    inputs: Inputs,
    head: Head,
    parts: Vec<PartHead>,
    questions: Vec<QuestionHead>,
    spaces: Vec<SpaceHead>,
    #[serde(default)]
    continua: Option<ContinuaHead>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PartHead {
    pub source: Source,
    pub targets: Vec<Target>,
    pub n_train: usize,
    pub fitted: FittedHead,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum FittedHead {
    Knn {
        k: usize,
        weights: Weights,
        some_rows: bool,
        calibrations: Vec<Shares>,
    },
    Mlp(PerceptronsHead),
    Flow(FlowHead),
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PerceptronsHead {
    pub members: Vec<MemberHead>,
    pub calibrations: Vec<Shares>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct MemberHead {
    pub layers: usize,
    pub fractions: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct QuestionHead {
    source: Source,
    question: String,
    answers: Vec<String>,
    n_train: usize,
    perceptrons: PerceptronsHead,
}

#[derive(Debug, Serialize, Deserialize)]
struct SpaceHead {
    source: Source,
    k: usize,
    limit: f64,
}

#[derive(Debug, Serialize, Deserialize)]
struct ContinuaHead {
    galaxies: usize,
    bands: Vec<usize>,
    limit: f64,
}

/// An estimator from a file, and where it comes from.
#[derive(Debug)]
pub struct EstimatorFile {
    /// The estimator.
    pub estimator: Estimator,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
    /// Version of the program that wrote it.
    pub program_version: String,
    /// The commit that program was built from, where it knew.
    pub commit: Option<String>,
    /// Embeddings and labels that it was fitted to.
    pub inputs: Inputs,
}

/// Whether a file is an estimator.
pub fn is_estimator(path: &Path) -> bool {
    TensorFile::open(path).is_ok_and(|file| file.header::<FileHead>().is_ok())
}

impl Estimator {
    /// Writes it, whole or not at all.
    ///
    /// # Errors
    /// Where the disk refuses, and where a number is not finite.
    pub fn save(&self, path: &Path, inputs: &Inputs) -> Result<()> {
        let mut shelf = Shelf(TensorMap::new());
        let parts = self.parts.iter().enumerate();
        let parts = parts.map(|(index, part)| shelf.put_part(&format!("parts.{index}"), part));
        let parts = parts.collect();
        let questions = self.questions.iter().enumerate().map(|(index, part)| {
            let name = format!("questions.{index}");
            QuestionHead {
                source: part.source,
                question: part.question.clone(),
                answers: part.answers.clone(),
                n_train: part.n_train,
                perceptrons: shelf.put_perceptrons(&name, &part.perceptrons),
            }
        });
        let questions = questions.collect();
        let spaces = self.spaces.iter().map(|space| {
            shelf.put_matrix(format!("spaces.{}", space.source), &space.vectors);
            SpaceHead {
                source: space.source,
                k: space.k,
                limit: space.limit,
            }
        });
        let spaces = spaces.collect();
        let continua = self.continua.as_ref().map(|continua| {
            shelf.put_matrix("continua".to_owned(), &continua.moments);
            ContinuaHead {
                galaxies: continua.galaxies,
                bands: continua.bands.clone(),
                limit: continua.limit,
            }
        });
        let mut ids: Vec<u64> = self.fitted_to.iter().copied().collect();
        ids.sort_unstable();
        // Tensors are of floating point, which holds 16 bits of an identifier whatever they are.
        let words = |id: &u64| [48, 32, 16, 0].map(|shift| ((id >> shift) & 0xffff) as f32);
        let words: Vec<f32> = ids.iter().flat_map(words).collect();
        let words = Array2::from_shape_vec((ids.len(), 4), words).expect("4 words of each");
        shelf.put_matrix("fitted_to".to_owned(), &words);
        let head = FileHead {
            estimator: FORMAT,
            program_version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: option_env!("ASTROCLIP_COMMIT").map(str::to_owned),
            inputs: inputs.clone(),
            head: self.head.clone(),
            parts,
            questions,
            spaces,
            continua,
        };
        write_tensors(path, &shelf.0, &head)
    }
}

impl EstimatorFile {
    /// Reads an estimator.
    ///
    /// # Errors
    /// [`Error::input`] where the file is none, is damaged, or is of a newer program.
    pub fn open(path: &Path) -> Result<Self> {
        let mut file = TensorFile::open(path)?;
        let head: FileHead = file.header().map_err(|error| {
            Error::input("is no estimator; expected a file that `astroclip fit` wrote")
                .caused_by(error)
                .in_file(path)
        })?;
        if head.estimator > FORMAT {
            return Err(Error::input(format!(
                "an estimator of format {}; this program reads up to {FORMAT}: use a newer one",
                head.estimator
            ))
            .in_file(path));
        }
        let mut shelf = Stored {
            file: &mut file,
            path,
        };
        let mut estimator = Estimator {
            head: head.head,
            parts: Vec::new(),
            questions: Vec::new(),
            spaces: Vec::new(),
            continua: None,
            fitted_to: shelf.ids()?,
        };
        for (index, part) in head.parts.into_iter().enumerate() {
            estimator
                .parts
                .push(shelf.part(&format!("parts.{index}"), part)?);
        }
        for (index, part) in head.questions.into_iter().enumerate() {
            let perceptrons = shelf.perceptrons(&format!("questions.{index}"), part.perceptrons)?;
            estimator.questions.push(QuestionPart {
                source: part.source,
                question: part.question,
                answers: part.answers,
                n_train: part.n_train,
                perceptrons,
            });
        }
        for space in head.spaces {
            estimator.spaces.push(Space {
                vectors: shelf.matrix(&format!("spaces.{}", space.source))?,
                source: space.source,
                k: space.k,
                limit: space.limit,
            });
        }
        if let Some(continua) = head.continua {
            estimator.continua = Some(Continua {
                moments: shelf.matrix("continua")?,
                galaxies: continua.galaxies,
                bands: continua.bands,
                limit: continua.limit,
            });
        }
        if !estimator.is_of_one_piece() {
            return Err(shelf.wrong("sizes of its tensors do not go together"));
        }
        Ok(Self {
            estimator,
            sha256: file_sha256(path)?,
            program_version: head.program_version,
            commit: head.commit,
            inputs: head.inputs,
        })
    }
}

impl Estimator {
    /// Whether all parts take vectors of the widths that the head tells, and say as many numbers as they should.
    fn is_of_one_piece(&self) -> bool {
        let width = |source: Source| self.head.widths.get(&source).copied();
        let fits = |perceptrons: &Perceptrons, source: Source, outputs: usize| {
            let mut members = perceptrons.members.iter();
            !perceptrons.members.is_empty()
                && perceptrons.calibrations.len() == outputs
                && members.all(|member| {
                    width(source) == Some(member.widths().0) && member.widths().1 == outputs
                })
        };
        let space = |source: Source| self.spaces.iter().find(|space| space.source == source);
        let is_part = |part: &Part| {
            let targets = part.targets.len();
            match &part.fitted {
                Fitted::Knn(nearest) => space(part.source).is_some_and(|space| {
                    let all = space.vectors.nrows();
                    let rows = nearest.rows.as_ref().map_or(all, Vec::len);
                    nearest.values.dim() == (rows, targets)
                        && nearest.calibrations.len() == targets
                        && (1..=rows).contains(&nearest.k)
                        && space.k == nearest.k
                        && nearest.rows.iter().flatten().all(|&row| row < all)
                }),
                Fitted::Mlp(perceptrons) => fits(perceptrons, part.source, targets),
                Fitted::Flow(flows) => {
                    width(part.source).is_some_and(|width| flows.widths() == (width, targets))
                }
            }
        };
        let is_space = |space: &Space| {
            width(space.source) == Some(space.vectors.ncols())
                && (1..=space.vectors.nrows()).contains(&space.k)
        };
        self.parts.iter().all(is_part)
            && self
                .questions
                .iter()
                .all(|part| fits(&part.perceptrons, part.source, part.answers.len()))
            && self.spaces.iter().all(is_space)
            && self.continua.iter().all(Continua::is_of_one_piece)
    }
}
