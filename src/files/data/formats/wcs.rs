//! Where the pixels of a FITS image lie on the sky, by the world coordinates (WCS) of its header: their size, and the
//! image's centre (Calabretta & Greisen 2002, "Representations of celestial coordinates in FITS").

use crate::files::container::fits::Hdu;

/// Degrees on the sky for a pixel along x and y: `[[to x by x, to x by y], [to y by x, to y by y]]`, from the matrix `CD`,
/// or from `CDELT` with `PC` or `CROTA2`; `None` for an axis of which the header says nothing.
fn matrix(hdu: &Hdu) -> [[f64; 2]; 2] {
    let card = |name: &str, row: usize, column: usize| hdu.number(&format!("{name}{row}_{column}"));
    let all = |name: &str| [1, 2].map(|row| [1, 2].map(|column| card(name, row, column)));
    let is_there = |cards: &[[Option<f64>; 2]; 2]| cards.iter().flatten().any(Option::is_some);
    let cd = all("CD");
    if is_there(&cd) {
        return cd.map(|row| row.map(|value| value.unwrap_or(0.0)));
    }
    let [dx, dy] = [1, 2].map(|axis| hdu.number(&format!("CDELT{axis}")).unwrap_or(0.0));
    let pc = all("PC");
    // It is the latitude's axis that has the turn.
    let turns = !hdu
        .text("CTYPE2")
        .is_some_and(|axis| axis.starts_with("RA"));
    if let (false, true, Some(turn)) = (is_there(&pc), turns, hdu.number("CROTA2")) {
        let (sin, cos) = turn.to_radians().sin_cos();
        return [[dx * cos, -dy * sin], [dx * sin, dy * cos]];
    }
    let pc = |row: usize, column: usize| {
        let default = if row == column { 1.0 } else { 0.0 };
        pc[row][column].unwrap_or(default)
    };
    [
        [dx * pc(0, 0), dx * pc(0, 1)],
        [dy * pc(1, 0), dy * pc(1, 1)],
    ]
}

/// Width and height of a pixel on the sky, arcsec, whatever the frame's rotation; their product is its area where they
/// stand at right angles.
pub(super) fn pixel_sides(hdu: &Hdu) -> Option<[f64; 2]> {
    let [[a, b], [c, d]] = matrix(hdu);
    match [a.hypot(c), b.hypot(d)].map(|side| 3600.0 * side) {
        // Some headers give one axis alone.
        [x, y] if x > 0.0 && y > 0.0 => {
            let area = 3600.0 * 3600.0 * (a * d - b * c).abs();
            // A sheared frame has smaller pixels than its sides say.
            let shear = (area / (x * y)).sqrt();
            Some([x * shear, y * shear])
        }
        [side, 0.0] | [0.0, side] if side > 0.0 => Some([side, side]),
        _ => None,
    }
}

/// Right ascension and declination of the centre of an image of `[width, height]` pixels, degrees; `None` without world
/// coordinates.
///
/// # Errors
/// Says which coordinates it has, where they are others than right ascension and declination or in a projection that is
/// not read.
pub(super) fn centre(hdu: &Hdu, size: [usize; 2]) -> Result<Option<[f64; 2]>, String> {
    let number = |name: &str, axis: usize| hdu.number(&format!("{name}{axis}"));
    let [Some(first), Some(second)] = [1, 2].map(|axis| number("CRVAL", axis)) else {
        return Ok(None);
    };
    let types = [1, 2].map(|axis| hdu.text(&format!("CTYPE{axis}")).unwrap_or(""));
    // `RA---TAN`, `DEC--TAN-SIP`: what it is, filled up by dashes, then the projection.
    let parts = types.map(|text| {
        let (what, projection) = text.split_at_checked(4).unwrap_or((text, ""));
        let projection = projection.trim_start_matches('-');
        (
            what.trim_end_matches('-'),
            projection.get(..3).unwrap_or(projection),
        )
    });
    let unknown = || format!("its axes are `{}` and `{}`", types[0], types[1]);
    let is_swapped = match parts.map(|(what, _)| what) {
        ["RA", "DEC"] => false,
        ["DEC", "RA"] => true,
        _ => return Err(unknown()),
    };
    if hdu.number("EQUINOX") == Some(1950.0)
        || hdu
            .text("RADESYS")
            .is_some_and(|frame| frame.starts_with("FK4"))
    {
        return Err("its frame is that of 1950 (FK4)".to_owned());
    }
    if hdu.number("LONPOLE").is_some_and(|pole| pole != 180.0) {
        return Err("its frame is turned by LONPOLE".to_owned());
    }
    // From the reference pixel, counted from 1, to the centre.
    let offset = [0, 1].map(|axis| {
        let centre = (size[axis] as f64 + 1.0) / 2.0;
        centre - number("CRPIX", axis + 1).unwrap_or(0.0)
    });
    let matrix = matrix(hdu);
    let mut plane = matrix.map(|row| (row[0] * offset[0] + row[1] * offset[1]).to_radians());
    let mut reference = [first, second];
    if is_swapped {
        plane.reverse();
        reference.reverse();
    }
    let [east, north] = plane;
    let radius = east.hypot(north);
    let distance = match parts[0].1 {
        "TAN" => radius.atan(),
        "SIN" => radius.asin(),
        "ARC" => radius,
        "STG" => 2.0 * (radius / 2.0).atan(),
        "ZEA" => 2.0 * (radius / 2.0).asin(),
        // Of others the reference itself is known.
        _ if radius == 0.0 => 0.0,
        _ => return Err(unknown()),
    };
    let (sin_angle, cos_angle) = east.atan2(north).sin_cos();
    let (sin_distance, cos_distance) = distance.sin_cos();
    let (sin_dec, cos_dec) = reference[1].to_radians().sin_cos();
    let dec = sin_dec * cos_distance + cos_dec * sin_distance * cos_angle;
    let across = sin_angle * sin_distance;
    let along = cos_dec * cos_distance - sin_dec * sin_distance * cos_angle;
    let ra = reference[0] + across.atan2(along).to_degrees();
    let position = [
        ra.rem_euclid(360.0),
        dec.clamp(-1.0, 1.0).asin().to_degrees(),
    ];
    match position.iter().all(|angle| angle.is_finite()) && reference[1].abs() <= 90.0 {
        true => Ok(Some(position)),
        false => Err(format!(
            "its centre is at {} and {}",
            reference[0], reference[1]
        )),
    }
}
