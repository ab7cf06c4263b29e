//! Parts of an estimator as tensors, and from tensors.

use std::collections::HashSet;
use std::path::Path;

use ndarray::{Array1, Array2, ArrayView1};

use super::interval::{Calibration, Shares};
use super::neighbours::Nearest;
use super::part::{Fitted, Part};
use super::perceptrons::Perceptrons;
use super::stored::{FittedHead, MemberHead, PartHead, PerceptronsHead};
use crate::base::error::{Error, Result};
use crate::evaluation::eval::Mlp;
use crate::evaluation::eval::flow::FlowEnsemble;
use crate::evaluation::eval::mlp::MlpParts;
use crate::network::weights::{NamedTensor, TensorFile, TensorMap};

/// Tensors on their way to a file.
pub(super) struct Shelf(pub TensorMap);

impl Shelf {
    fn put(&mut self, name: String, shape: Vec<usize>, values: impl Iterator<Item = f32>) {
        let values = values.collect();
        self.0.insert(name, NamedTensor { shape, values });
    }

    pub fn put_matrix(&mut self, name: String, matrix: &Array2<f32>) {
        self.put(name, matrix.shape().to_vec(), matrix.iter().copied());
    }

    fn put_vector(&mut self, name: String, vector: &Array1<f32>) {
        self.put(name, vec![vector.len()], vector.iter().copied());
    }

    pub fn put_part(&mut self, name: &str, part: &Part) -> PartHead {
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

    pub fn put_perceptrons(&mut self, name: &str, perceptrons: &Perceptrons) -> PerceptronsHead {
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
pub(super) struct Stored<'a> {
    pub file: &'a mut TensorFile,
    pub path: &'a Path,
}

impl Stored<'_> {
    pub fn wrong(&self, what: &str) -> Error {
        Error::input(format!("{what}: the estimator is damaged; fit it again")).in_file(self.path)
    }

    pub fn matrix(&mut self, name: &str) -> Result<Array2<f32>> {
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
        let number = |row: ArrayView1<'_, f32>| {
            row.iter()
                .fold(0, |number, &word| (number << 16) | word as u64)
        };
        Ok(words.rows().into_iter().map(number).collect())
    }

    pub fn ids(&mut self) -> Result<HashSet<u64>> {
        Ok(self.integers("fitted_to")?.into_iter().collect())
    }

    pub fn part(&mut self, name: &str, head: PartHead) -> Result<Part> {
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

    pub fn perceptrons(&mut self, name: &str, head: PerceptronsHead) -> Result<Perceptrons> {
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
