//! Where galaxies of millions are, by their identifiers.

use rayon::prelude::*;

use super::ObjectId;

/// The rows of a list of identifiers in the identifiers' order: 4 bytes a galaxy, and none where the list is in that order,
/// where a hash map takes 40 and several times as long to make.
#[derive(Debug)]
pub struct RowsById {
    /// Without rows that repeat an identifier; `None` where the list itself is in order and repeats none.
    order: Option<Vec<u32>>,
    repeated: usize,
}

impl RowsById {
    /// Of the identifiers of rows 0, 1, ….
    ///
    /// # Panics
    /// Where there are 2³² rows or more.
    pub fn new(ids: &[ObjectId]) -> Self {
        let rows = u32::try_from(ids.len()).expect("fewer than 2^32 galaxies are in memory");
        if ids.is_sorted_by(|a, b| a < b) {
            return Self {
                order: None,
                repeated: 0,
            };
        }
        // Side by side: looked up by row, each comparison would wait for memory twice.
        let mut order: Vec<(ObjectId, u32)> = ids.iter().copied().zip(0..rows).collect();
        order.par_sort_unstable();
        order.dedup_by_key(|(id, _)| *id);
        Self {
            repeated: ids.len() - order.len(),
            order: Some(order.into_iter().map(|(_, row)| row).collect()),
        }
    }

    /// The row of a galaxy in the list that this was made of; of several the first.
    pub fn find(&self, ids: &[ObjectId], id: ObjectId) -> Option<usize> {
        match &self.order {
            None => ids.binary_search(&id).ok(),
            Some(order) => {
                let place = order.binary_search_by_key(&id, |&row| ids[row as usize]);
                place.ok().map(|place| order[place] as usize)
            }
        }
    }

    /// Rows that repeat an identifier.
    pub fn repeated(&self) -> usize {
        self.repeated
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_row_of_an_identifier_is_found_whatever_the_order() {
        let texts = |ids: &[&str]| -> Vec<ObjectId> {
            ids.iter().filter_map(|id| ObjectId::of_text(id)).collect()
        };
        let ids = texts(&["12", "-3", "NGC 7", "18446744073709551615", "-3", "0"]);
        let rows = RowsById::new(&ids);
        let found = |id: &str| rows.find(&ids, ObjectId::of_text(id).unwrap());
        assert_eq!(
            [
                "12",
                "-3",
                "NGC 7",
                "18446744073709551615",
                "0",
                "1",
                "M 31"
            ]
            .map(found),
            [Some(0), Some(1), Some(2), Some(3), Some(5), None, None]
        );
        assert_eq!(rows.repeated(), 1);

        let ids = texts(&["-3", "0", "12", "NGC 7"]);
        let rows = RowsById::new(&ids);
        for (row, &id) in ids.iter().enumerate() {
            assert_eq!(rows.find(&ids, id), Some(row));
        }
        assert_eq!(rows.find(&ids, 1_i64.into()), None);
        assert!(rows.order.is_none() && rows.repeated() == 0);
    }
}
