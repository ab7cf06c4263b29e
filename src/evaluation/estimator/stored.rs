//! Estimators as files: tensors with checksums, and a header that says what they are.

use std::path::Path;

use ndarray::{Array1, Array2};
use serde::{Deserialize, Serialize};

use super::interval::{Calibration, Shares};
use super::morphology::QuestionPart;
use super::neighbours::Nearest;
use super::part::{Fitted, Part};
use super::perceptrons::Perceptrons;
use super::space::Space;
use super::{Estimator, Head};
use crate::base::error::{Error, Result};
use crate::evaluation::eval::flow::{FlowEnsemble, FlowHead};
use crate::evaluation::eval::mlp::MlpParts;
use crate::evaluation::eval::{Mlp, Source};
use crate::evaluation::knn::Weights;
use crate::files::inputs::Inputs;
use crate::network::weights::{NamedTensor, TensorFile, TensorMap, file_sha256, write_tensors};
use crate::survey::Target;

/// Version of the layout; raised when older programs would misread.
const FORMAT: u32 = 1;

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
}

#[derive(Debug, Serialize, Deserialize)]
struct PartHead {
    source: Source,
    targets: Vec<Target>,
    n_train: usize,
    fitted: FittedHead,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum FittedHead {
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
struct PerceptronsHead {
    members: Vec<MemberHead>,
    calibrations: Vec<Shares>,
}

#[derive(Debug, Serialize, Deserialize)]
struct MemberHead {
    layers: usize,
    fractions: bool,
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
            error.and("expected an estimator, as `astroclip fit` writes".to_owned())
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
    }
}

/// Tensors on their way to a file.
struct Shelf(TensorMap);

impl Shelf {
    fn put(&mut self, name: String, shape: Vec<usize>, values: impl Iterator<Item = f32>) {
        let values = values.collect();
        self.0.insert(name, NamedTensor { shape, values });
    }

    fn put_matrix(&mut self, name: String, matrix: &Array2<f32>) {
        self.put(name, matrix.shape().to_vec(), matrix.iter().copied());
    }

    fn put_vector(&mut self, name: String, vector: &Array1<f32>) {
        self.put(name, vec![vector.len()], vector.iter().copied());
    }

    fn put_part(&mut self, name: &str, part: &Part) -> PartHead {
        let fitted = match &part.fitted {
            Fitted::Knn(nearest) => {
                let values = nearest.values.mapv(|value| value as f32);
                self.put_matrix(format!("{name}.values"), &values);
                if let Some(rows) = &nearest.rows {
                    // Two words of 16 bits each, as identifiers.
                    let words = rows.iter().flat_map(|row| [row >> 16, row & 0xffff]);
                    self.put(
                        format!("{name}.rows"),
                        vec![rows.len(), 2],
                        words.map(|word| word as f32),
                    );
                }
                FittedHead::Knn {
                    k: nearest.k,
                    weights: nearest.weights,
                    some_rows: nearest.rows.is_some(),
                    calibrations: self.put_calibrations(name, &nearest.calibrations),
                }
            }
            Fitted::Mlp(perceptrons) => FittedHead::Mlp(self.put_perceptrons(name, perceptrons)),
            Fitted::Flow(flows) => {
                let (head, tensors) = flows.parts();
                for (index, (shape, values)) in tensors.into_iter().enumerate() {
                    self.put(format!("{name}.{index}"), shape, values.into_iter());
                }
                FittedHead::Flow(head)
            }
        };
        PartHead {
            source: part.source,
            targets: part.targets.clone(),
            n_train: part.n_train,
            fitted,
        }
    }

    fn put_calibrations(&mut self, name: &str, calibrations: &[Calibration]) -> Vec<Shares> {
        let calibrations = calibrations.iter().enumerate();
        calibrations
            .map(|(index, calibration)| {
                let (shares, errors) = calibration.parts();
                self.put_vector(format!("{name}.errors.{index}"), &errors);
                shares
            })
            .collect()
    }

    fn put_perceptrons(&mut self, name: &str, perceptrons: &Perceptrons) -> PerceptronsHead {
        let members = perceptrons
            .members
            .iter()
            .enumerate()
            .map(|(index, member)| {
                let MlpParts {
                    layers,
                    input,
                    output,
                    fractions,
                } = member.parts();
                let name = format!("{name}.members.{index}");
                for (index, (weight, bias)) in layers.iter().enumerate() {
                    self.put_matrix(format!("{name}.{index}.weight"), weight);
                    self.put_vector(format!("{name}.{index}.bias"), bias);
                }
                for (what, [mean, scale]) in [("input", &input), ("output", &output)] {
                    self.put_vector(format!("{name}.{what}.mean"), mean);
                    self.put_vector(format!("{name}.{what}.scale"), scale);
                }
                MemberHead {
                    layers: layers.len(),
                    fractions,
                }
            });
        PerceptronsHead {
            members: members.collect(),
            calibrations: self.put_calibrations(name, &perceptrons.calibrations),
        }
    }
}

/// Tensors that are read from a file.
struct Stored<'a> {
    file: &'a mut TensorFile,
    path: &'a Path,
}

impl Stored<'_> {
    fn wrong(&self, what: &str) -> Error {
        Error::input(format!("{what}: the estimator is damaged; fit it again")).in_file(self.path)
    }

    fn matrix(&mut self, name: &str) -> Result<Array2<f32>> {
        let NamedTensor { shape, values } = self.file.read(name)?;
        match shape[..] {
            [rows, columns] => Array2::from_shape_vec((rows, columns), values).ok(),
            _ => None,
        }
        .ok_or_else(|| self.wrong(&format!("`{name}` has shape {shape:?}, expected two axes")))
    }

    fn vector(&mut self, name: &str) -> Result<Array1<f32>> {
        Ok(self.file.read(name)?.values.into())
    }

    /// Integers that were written as words of 16 bits.
    fn integers(&mut self, name: &str) -> Result<Vec<u64>> {
        let words = self.matrix(name)?;
        let whole = |word: &f32| *word >= 0.0 && *word < 65_536.0 && word.fract() == 0.0;
        if !words.iter().all(whole) || words.ncols() > 4 {
            return Err(self.wrong(&format!("`{name}` is not of words of 16 bits")));
        }
        let number = |row: ndarray::ArrayView1<'_, f32>| {
            row.iter()
                .fold(0, |number, &word| (number << 16) | word as u64)
        };
        Ok(words.rows().into_iter().map(number).collect())
    }

    fn ids(&mut self) -> Result<std::collections::HashSet<u64>> {
        Ok(self.integers("fitted_to")?.into_iter().collect())
    }

    fn part(&mut self, name: &str, head: PartHead) -> Result<Part> {
        let fitted = match head.fitted {
            FittedHead::Knn {
                k,
                weights,
                some_rows,
                calibrations,
            } => Fitted::Knn(Nearest {
                rows: match some_rows {
                    true => {
                        let rows = self.integers(&format!("{name}.rows"))?.into_iter();
                        Some(rows.map(|row| row as usize).collect())
                    }
                    false => None,
                },
                values: self.matrix(&format!("{name}.values"))?.mapv(f64::from),
                k,
                weights,
                calibrations: self.calibrations(name, calibrations)?,
            }),
            FittedHead::Mlp(head) => Fitted::Mlp(self.perceptrons(name, head)?),
            FittedHead::Flow(head) => {
                let tensors = (0..head.tensors())
                    .map(|index| {
                        let NamedTensor { shape, values } =
                            self.file.read(&format!("{name}.{index}"))?;
                        Ok((shape, values))
                    })
                    .collect::<Result<Vec<_>>>()?;
                let flows = FlowEnsemble::of_parts(head, tensors);
                Fitted::Flow(
                    flows.ok_or_else(|| self.wrong("sizes of its flows do not go together"))?,
                )
            }
        };
        Ok(Part {
            source: head.source,
            targets: head.targets,
            n_train: head.n_train,
            fitted,
        })
    }

    fn calibrations(&mut self, name: &str, heads: Vec<Shares>) -> Result<Vec<Calibration>> {
        let heads = heads.into_iter().enumerate();
        heads
            .map(|(index, shares)| {
                let errors = self.vector(&format!("{name}.errors.{index}"))?;
                let calibration = Calibration::of_parts(shares, &errors);
                calibration.ok_or_else(|| self.wrong("its errors are not in order"))
            })
            .collect()
    }

    fn perceptrons(&mut self, name: &str, head: PerceptronsHead) -> Result<Perceptrons> {
        let mut members = Vec::new();
        for (index, member) in head.members.iter().enumerate() {
            let name = format!("{name}.members.{index}");
            let layers = (0..member.layers)
                .map(|index| {
                    let weight = self.matrix(&format!("{name}.{index}.weight"))?;
                    Ok((weight, self.vector(&format!("{name}.{index}.bias"))?))
                })
                .collect::<Result<_>>()?;
            let mut units = |what: &str| -> Result<[Array1<f32>; 2]> {
                let mean = self.vector(&format!("{name}.{what}.mean"))?;
                Ok([mean, self.vector(&format!("{name}.{what}.scale"))?])
            };
            let parts = MlpParts {
                layers,
                input: units("input")?,
                output: units("output")?,
                fractions: member.fractions,
            };
            let member = Mlp::of_parts(parts);
            let member =
                member.ok_or_else(|| self.wrong("sizes of its perceptrons do not go together"))?;
            members.push(member);
        }
        Ok(Perceptrons {
            members,
            calibrations: self.calibrations(name, head.calibrations)?,
        })
    }
}
