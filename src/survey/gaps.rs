//! Pixels of spectra that were not measured, and what takes their place.

/// Bad pixels between good ones over at most this width, Å, are bridged by a line: many times a line of the sky or a
/// cosmic ray, and less than the shape of a galaxy's continuum changes over. A wider gap holds what no line can guess.
pub const LONGEST_BRIDGE: f64 = 100.0;

/// A spectrum with a smaller share of good pixels among those that its wavelengths allow is not used: it would be its
/// median for the most part. One that lacks an arm of DESI's three has two thirds.
pub const LEAST_GOOD: f64 = 0.5;

/// Puts bad pixels on the line between the good ones beside them, where these enclose at most [`LONGEST_BRIDGE`], and
/// takes their flags; says how many. Pixels of wider gaps, and those at the ends, stay bad.
///
/// # Panics
/// Where the lengths differ.
pub fn bridge(spectrum: &mut [f32], bad: &mut [bool], wavelengths: &[f64]) -> usize {
    assert_eq!(spectrum.len(), bad.len(), "one flag per pixel");
    assert_eq!(
        spectrum.len(),
        wavelengths.len(),
        "one wavelength per pixel"
    );
    let mut bridged = 0;
    let mut at = 0;
    while let Some(offset) = bad[at..].iter().position(|&bad| bad) {
        let start = at + offset;
        let end = bad[start..].iter().position(|&bad| !bad);
        let end = end.map_or(bad.len(), |offset| start + offset);
        at = end;
        if start == 0 || end == bad.len() || wavelengths[end] - wavelengths[start] > LONGEST_BRIDGE
        {
            continue;
        }
        let (left, right) = (spectrum[start - 1], spectrum[end]);
        let width = (end - start + 1) as f32;
        for (step, value) in spectrum[start..end].iter_mut().enumerate() {
            *value = left + (right - left) * (step + 1) as f32 / width;
        }
        bad[start..end].fill(false);
        bridged += end - start;
    }
    bridged
}

/// Gives pixels that nothing is known of the median of all others, which is no feature to a model that sees spectra
/// relative to their mean; says how many. Nothing happens where none is known.
pub fn fill_with_median(spectrum: &mut [f32], unknown: impl Fn(usize) -> bool) -> usize {
    let known = spectrum.iter().enumerate();
    let mut known: Vec<f32> = known
        .filter_map(|(pixel, &value)| (!unknown(pixel)).then_some(value))
        .collect();
    let missing = spectrum.len() - known.len();
    if known.is_empty() || missing == 0 {
        return missing;
    }
    let middle = known.len() / 2;
    let (_, &mut median, _) = known.select_nth_unstable_by(middle, f32::total_cmp);
    for (pixel, value) in spectrum.iter_mut().enumerate() {
        if unknown(pixel) {
            *value = median;
        }
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::{bridge, fill_with_median};

    #[test]
    fn narrow_gaps_are_bridged_and_wide_ones_and_ends_are_not() {
        let wavelengths = [0.0, 30.0, 60.0, 90.0, 120.0, 150.0, 190.0, 230.0, 260.0];
        let mut spectrum = [9.0, 1.0, f32::NAN, 9.0, 4.0, 9.0, 9.0, 5.0, 9.0];
        let mut bad = [true, false, true, true, false, true, true, false, true];
        // 60 Å from the first bad pixel to the next good one, then 80 Å.
        assert_eq!(bridge(&mut spectrum, &mut bad, &wavelengths), 4);
        assert_eq!(
            spectrum[1..8],
            [1.0, 2.0, 3.0, 4.0, 4.0 + 1.0 / 3.0, 4.0 + 2.0 / 3.0, 5.0]
        );
        assert_eq!(bad.iter().filter(|&&bad| bad).count(), 2, "the ends");

        let mut bad = [false, false, false, true, true, true, true, false, false];
        assert_eq!(bridge(&mut spectrum, &mut bad, &wavelengths), 0, "140 Å");
        assert_eq!(bad.iter().filter(|&&bad| bad).count(), 4);
    }

    #[test]
    fn the_unknown_gets_the_median_of_the_known() {
        let mut spectrum = [7.0, 3.0, f32::NAN, 1.0, 2.0];
        assert_eq!(
            fill_with_median(&mut spectrum, |pixel| pixel == 0 || pixel == 2),
            2
        );
        assert_eq!(spectrum, [2.0, 3.0, 2.0, 1.0, 2.0]);
        let mut none = [1.0, 2.0];
        assert_eq!(fill_with_median(&mut none, |_| true), 2);
        assert_eq!(none, [1.0, 2.0]);
    }
}
