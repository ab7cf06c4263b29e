//! The galaxies whose estimates are farthest from the truth, and where to look at them.

use serde::{Deserialize, Serialize};

use super::columns::EstimateColumns;
use super::sample::{Catalogue, Sample};
use crate::survey::{Labels, ObjectId, Target};

/// Releases of the Legacy Surveys in DESI's identifiers (bits 42 to 57 of a TARGETID), whose galaxies have pages.
const DESI_RELEASES: std::ops::RangeInclusive<i64> = 8000..=11_999;

/// A galaxy whose estimate is far from the truth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outlier {
    /// Its identifier.
    pub object_id: ObjectId,
    /// Right ascension and declination, degrees, where known.
    pub position: Option<[f64; 2]>,
    /// The true value.
    pub truth: f64,
    /// The estimate.
    pub estimate: f64,
    /// Estimate less truth; of redshifts over 1 + z.
    pub residual: f64,
    /// 16th and 84th percentile, where the catalogue has them.
    pub interval: Option<[f64; 2]>,
    /// Names of its flags.
    pub flags: Vec<String>,
    /// Pages that show it: a name and an address each.
    pub links: Vec<(String, String)>,
}

/// Estimate less truth; of redshifts over 1 + z.
pub(super) fn residual(target: Target, truth: f64, estimate: f64) -> f64 {
    match target {
        Target::Redshift => (estimate - truth) / (1.0 + truth),
        _ => estimate - truth,
    }
}

/// The `most` galaxies of a sample that are farthest from the truth, the worst first; `bits` says what flags are called.
pub(super) fn outliers(
    catalogue: &Catalogue,
    columns: &EstimateColumns,
    sample: &Sample,
    bits: &[FlagBit],
    most: usize,
) -> Vec<Outlier> {
    let of = |place: usize| residual(columns.target, sample.truth[place], sample.estimate[place]);
    let mut places: Vec<usize> = (0..sample.rows.len()).collect();
    places.sort_by(|&a, &b| of(b).abs().total_cmp(&of(a).abs()));
    let flags = flags_of(&catalogue.table);
    let level = |wanted: f64| {
        columns
            .points
            .iter()
            .position(|(level, _)| *level == wanted)
    };
    let ends = level(0.16).zip(level(0.84));
    let outlier = |&place: &usize| {
        let (row, object_id) = (sample.rows[place], sample.object_id[place]);
        let position = catalogue.positions[row];
        let position = position[0].is_finite().then_some(position);
        let points = &sample.points[place];
        Outlier {
            object_id,
            position,
            truth: sample.truth[place],
            estimate: sample.estimate[place],
            residual: of(place),
            interval: ends
                .filter(|_| !points.is_empty())
                .map(|(low, high)| [points[low], points[high]]),
            flags: flags.map_or_else(Vec::new, |flags| flag_names(bits, flags[row] as i32)),
            links: links(object_id, position),
        }
    };
    places.iter().take(most).map(outlier).collect()
}

/// A bit of the column of flags, and what it is called.
pub type FlagBit = (i32, &'static str);

/// Names of the bits that are set; those of no known flag by their values.
pub(super) fn flag_names(bits: &[FlagBit], flag: i32) -> Vec<String> {
    let set = (0..31)
        .map(|place| 1 << place)
        .filter(|bit| flag & bit != 0);
    set.map(|bit| match bits.iter().find(|known| known.0 == bit) {
        Some((_, name)) => (*name).to_owned(),
        None => format!("bit {bit}"),
    })
    .collect()
}

/// The column of flags, where there is one.
pub(super) fn flags_of(table: &Labels) -> Option<&[f64]> {
    table.column(&["flag"])
}

/// Pages that show a galaxy.
fn links(object_id: ObjectId, position: Option<[f64; 2]>) -> Vec<(String, String)> {
    let mut links = Vec::new();
    let mut link = |name: &str, address: String| links.push((name.to_owned(), address));
    if let Some([ra, dec]) = position {
        link(
            "Legacy Surveys",
            format!("https://www.legacysurvey.org/viewer?ra={ra}&dec={dec}&layer=ls-dr9&zoom=16"),
        );
        link(
            "SDSS",
            format!(
                "https://skyserver.sdss.org/dr18/VisualTools/explore/summary?ra={ra}&dec={dec}"
            ),
        );
    }
    if let Ok(target) = object_id.to_string().parse::<i64>()
        && DESI_RELEASES.contains(&(target >> 42))
    {
        link(
            "DESI",
            format!("https://www.legacysurvey.org/viewer/desi-spectrum/dr1/targetid{target}"),
        );
    }
    links
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_go_where_there_is_something_to_see() {
        let names = |id: i64, position| -> Vec<String> {
            let links = links(id.into(), position);
            links.into_iter().map(|(name, _)| name).collect()
        };
        let position = Some([150.25, -2.5]);
        // Release 9010, and a number that is no TARGETID.
        assert_eq!(names(39_627_788_403_084_375, None), ["DESI"]);
        assert_eq!(names(17, position), ["Legacy Surveys", "SDSS"]);
        assert_eq!(
            links(17_i64.into(), position)[0].1,
            "https://www.legacysurvey.org/viewer?ra=150.25&dec=-2.5&layer=ls-dr9&zoom=16"
        );
    }
}
