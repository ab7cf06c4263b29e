//! Positions on the celestial sphere as unit vectors, where nothing wraps and no pole is special.

/// Names of right ascension and declination in degrees, the best first.
pub(super) const POSITION_NAMES: [(&str, &str); 7] = [
    ("ra", "dec"),
    ("target_ra", "target_dec"),
    ("ra_deg", "dec_deg"),
    ("raj2000", "dej2000"),
    ("ra_icrs", "de_icrs"),
    ("alpha_j2000", "delta_j2000"),
    ("plug_ra", "plug_dec"),
];

/// The places of right ascension and declination among the names of columns, preferably in this case; `None` where there
/// are none of the usual names.
pub(crate) fn position_columns(names: &[&str]) -> Option<[usize; 2]> {
    let find = |wanted: &str| {
        let exact = names.iter().position(|name| *name == wanted);
        exact.or_else(|| {
            names
                .iter()
                .position(|name| name.eq_ignore_ascii_case(wanted))
        })
    };
    POSITION_NAMES
        .iter()
        .find_map(|(ra, dec)| Some([find(ra)?, find(dec)?]))
}

/// A direction on the sky.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Position(pub(super) [f64; 3]);

/// Arcseconds of a radian.
const ARCSEC: f64 = 180.0 * 3600.0 / std::f64::consts::PI;

impl Position {
    /// From right ascension and declination in degrees, any turn of right ascension; `None` where one is
    /// not finite, the declination lies beyond a pole, or the right ascension beyond ±720 degrees.
    pub fn new(ra: f64, dec: f64) -> Option<Self> {
        if !(ra.abs() <= 720.0 && dec.abs() <= 90.0) {
            return None;
        }
        // Reduced in degrees, where it is exact: 359.5 and −0.5 are the same direction to the last bit.
        let (sin_ra, cos_ra) = ra.rem_euclid(360.0).to_radians().sin_cos();
        let (sin_dec, cos_dec) = dec.to_radians().sin_cos();
        Some(Self([cos_dec * cos_ra, cos_dec * sin_ra, sin_dec]))
    }
}

/// Angle in arcsec under which a chord of the unit sphere appears, from its length squared.
pub(super) fn from_chord_squared(squared: f64) -> f64 {
    2.0 * (squared.sqrt() / 2.0).min(1.0).asin() * ARCSEC
}

/// Length squared of the chord under an angle in arcsec.
pub(super) fn to_chord_squared(angle: f64) -> f64 {
    let chord = 2.0 * (angle / ARCSEC / 2.0).sin();
    chord * chord
}
