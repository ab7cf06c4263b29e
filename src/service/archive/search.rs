//! Searches: by galaxies, against galaxies, by vectors, with filters, page by page.

use ndarray::ArrayView1;

use super::{Archive, Filter};
use crate::base::error::{Error, Result};
use crate::evaluation::search::{Match, without_direction};
use crate::survey::Modality;

/// How much the mean of the galaxies that are not meant counts against that of those that are (Rocchio 1971).
const UNLIKE_WEIGHT: f64 = 0.5;
/// The last place that can be asked for.
const LAST_PLACE: usize = 10_000;
/// Most galaxies that one query is made of.
const MOST_EXAMPLES: usize = 1000;

/// What to look for.
#[derive(Debug, Clone)]
pub struct Query {
    /// The direction in which to look.
    pub like: Vector,
    /// Which embeddings are searched.
    pub to: Modality,
    /// Which of the answers are wanted.
    pub page: Page,
    /// Which galaxies are meant at all.
    pub filters: Vec<Filter>,
}

/// The direction in which to look.
#[derive(Debug, Clone)]
pub enum Vector {
    /// The mean of the embeddings of some galaxies, each of norm 1, less half the mean of those of others.
    Galaxies {
        /// Rows of those.
        like: Vec<usize>,
        /// Rows of the others.
        unlike: Vec<usize>,
        /// Which of their embeddings.
        from: Modality,
    },
    /// An embedding of the same model.
    Given(Vec<f32>),
}

/// A part of an ordered answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Places that are passed over.
    pub offset: usize,
    /// Places wanted.
    pub limit: usize,
}

/// Galaxies found.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Best first; ranks count from 1 on the first page.
    pub matches: Vec<Match>,
    /// Galaxies that could match.
    pub total: usize,
}

impl Page {
    /// The places on the page.
    ///
    /// # Errors
    /// Where the page is empty or too far down.
    pub fn check(self) -> Result<std::ops::Range<usize>> {
        match self.offset.checked_add(self.limit) {
            Some(end) if self.limit > 0 && end <= LAST_PLACE => Ok(self.offset..end),
            _ => Err(Error::input(format!(
                "offset {} and limit {}: expected a limit of 1 or more, and both together at most {LAST_PLACE}; filters \
                 reach further",
                self.offset, self.limit
            ))),
        }
    }
}

impl Archive {
    /// The galaxies most similar to a query by cosine, best first: what `astroclip search` finds. A query of one galaxy
    /// finds itself within one modality, as there.
    ///
    /// # Errors
    /// Where embeddings are missing or have no direction, a filter or a page is impossible.
    pub fn search(&self, query: &Query) -> Result<Answer> {
        let gallery = self.gallery(query.to)?;
        let places = query.page.check()?;
        let passing = self.columns.passing(&query.filters)?;
        let vector = self.vector(&query.like)?;
        let from = match &query.like {
            Vector::Galaxies { from, .. } => Some(*from),
            Vector::Given(_) => None,
        };
        let (vector, end) = (ArrayView1::from(&vector), places.end);
        let (found, total) = match &passing {
            None => (
                gallery.nearest(vector, from, end, None)?,
                gallery.directed(),
            ),
            Some(passing) => {
                let passes = |row: usize| passing[row];
                let possible =
                    (0..gallery.len()).filter(|&row| passing[row] && gallery.has_direction(row));
                (
                    gallery.nearest(vector, from, end, Some(&passes))?,
                    possible.count(),
                )
            }
        };
        let matches = found.into_iter().zip(1..).skip(places.start);
        Ok(Answer {
            matches: matches
                .map(|((row, similarity), rank)| Match::new(&self.file, rank, row, similarity))
                .collect(),
            total,
        })
    }

    /// The vector of a query.
    fn vector(&self, like: &Vector) -> Result<Vec<f32>> {
        match like {
            Vector::Given(vector) => Ok(vector.clone()),
            Vector::Galaxies { like, unlike, from } => {
                let count = like.len() + unlike.len();
                if like.is_empty() || count > MOST_EXAMPLES {
                    return Err(Error::input(format!(
                        "{} galaxies to look for and {} against; expected 1 or more to look for, and at most \
                         {MOST_EXAMPLES} in all",
                        like.len(),
                        unlike.len()
                    )));
                }
                if let ([row], []) = (&like[..], &unlike[..]) {
                    return self.embedding(*row, *from);
                }
                let mut sum = self.mean_direction(like, *from)?;
                if !unlike.is_empty() {
                    let against = self.mean_direction(unlike, *from)?;
                    for (sum, against) in sum.iter_mut().zip(against) {
                        *sum -= UNLIKE_WEIGHT * against;
                    }
                }
                Ok(sum.into_iter().map(|value| value as f32).collect())
            }
        }
    }

    /// The embedding of a galaxy as the file has it.
    ///
    /// # Errors
    /// Where it is not there, or has no direction.
    pub fn embedding(&self, row: usize, from: Modality) -> Result<Vec<f32>> {
        let gallery = self.gallery(from)?;
        let vector = gallery.vector(row)?;
        match gallery.has_direction(row) {
            true => Ok(vector),
            false => Err(without_direction(
                &self.file,
                from,
                row,
                ArrayView1::from(&vector),
            )),
        }
    }

    fn mean_direction(&self, rows: &[usize], from: Modality) -> Result<Vec<f64>> {
        let gallery = self.gallery(from)?;
        let mut sum = vec![0.0; gallery.width()];
        for &row in rows {
            let Some(direction) = gallery.direction(row)? else {
                let vector = gallery.vector(row)?;
                return Err(without_direction(
                    &self.file,
                    from,
                    row,
                    ArrayView1::from(&vector),
                ));
            };
            for (sum, value) in sum.iter_mut().zip(direction) {
                *sum += value / rows.len() as f64;
            }
        }
        Ok(sum)
    }
}
