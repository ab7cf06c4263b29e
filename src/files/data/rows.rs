//! Sets of rows that take no memory per row.

use std::ops::Range;

/// Rows of a data set in rising order, kept as ranges.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RowSet {
    ranges: Vec<Range<usize>>,
    /// Rows before each range.
    before: Vec<usize>,
    len: usize,
}

impl RowSet {
    /// The rows of all ranges, which follow one another without overlap.
    ///
    /// # Panics
    /// Where they do not.
    pub fn new(ranges: impl IntoIterator<Item = Range<usize>>) -> Self {
        let mut set = Self::default();
        for range in ranges {
            set.push(range);
        }
        set
    }

    /// Adds rows behind all others.
    ///
    /// # Panics
    /// Where they are not.
    pub fn push(&mut self, range: Range<usize>) {
        if range.is_empty() {
            return;
        }
        self.len += range.len();
        match self.ranges.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            last => {
                let end = last.map_or(0, |last| last.end);
                assert!(end <= range.start, "rows {range:?} after row {end}");
                self.before.push(self.len - range.len());
                self.ranges.push(range);
            }
        }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Row number `place` of the set.
    ///
    /// # Panics
    /// Where the set is smaller.
    pub fn get(&self, place: usize) -> usize {
        assert!(place < self.len, "place {place} of {}", self.len);
        let range = self.before.partition_point(|&before| before <= place) - 1;
        self.ranges[range].start + (place - self.before[range])
    }

    /// Whether `row` is in the set.
    pub fn contains(&self, row: usize) -> bool {
        let range = self.ranges.partition_point(|range| range.start <= row);
        range > 0 && self.ranges[range - 1].contains(&row)
    }

    /// The rows in rising order.
    pub fn iter(&self) -> impl Iterator<Item = usize> {
        self.ranges.iter().cloned().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::RowSet;

    #[test]
    fn a_set_of_ranges_counts_finds_and_contains() {
        let set = RowSet::new([0..3, 3..5, 7..7, 10..12]);
        let rows: Vec<usize> = set.iter().collect();
        assert_eq!(rows, [0, 1, 2, 3, 4, 10, 11]);
        assert_eq!(set.len(), rows.len());
        for (place, &row) in rows.iter().enumerate() {
            assert_eq!(set.get(place), row);
        }
        let held: Vec<usize> = (0..15).filter(|&row| set.contains(row)).collect();
        assert_eq!(held, rows);
    }
}
