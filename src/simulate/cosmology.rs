//! Distances and ages in a flat ΛCDM universe with H0 = 70 km/s/Mpc and Ωm = 0.3.

/// Hubble constant, km/s/Mpc.
const HUBBLE: f64 = 70.0;
/// Matter density today, in units of the critical density.
const OMEGA_MATTER: f64 = 0.3;
/// Speed of light, km/s.
pub(super) const LIGHT_SPEED: f64 = 299_792.458;
/// One megaparsec, cm.
pub(super) const MEGAPARSEC: f64 = 3.085_677_6e24;

fn expansion_rate(redshift: f64) -> f64 {
    (OMEGA_MATTER * (1.0 + redshift).powi(3) + 1.0 - OMEGA_MATTER).sqrt()
}

/// Comoving distance, Mpc: the integral of c / H(z), by Simpson's rule.
pub(super) fn comoving_distance(redshift: f64) -> f64 {
    const STEPS: usize = 32;
    let width = redshift / STEPS as f64;
    let sum: f64 = (0..=STEPS)
        .map(|step| {
            let weight = match step {
                0 | STEPS => 1.0,
                odd if odd % 2 == 1 => 4.0,
                _ => 2.0,
            };
            weight / expansion_rate(step as f64 * width)
        })
        .sum();
    LIGHT_SPEED / HUBBLE * sum * width / 3.0
}

/// Luminosity distance, Mpc.
pub(super) fn luminosity_distance(redshift: f64) -> f64 {
    comoving_distance(redshift) * (1.0 + redshift)
}

/// Distance modulus, mag.
pub(super) fn distance_modulus(redshift: f64) -> f64 {
    5.0 * luminosity_distance(redshift).log10() + 25.0
}

/// Comoving volume per unit redshift, Mpc³ per steradian.
pub(super) fn volume_element(redshift: f64) -> f64 {
    comoving_distance(redshift).powi(2) * LIGHT_SPEED / HUBBLE / expansion_rate(redshift)
}

/// Angle under which one kiloparsec is seen, arcsec.
pub(super) fn arcsec_per_kiloparsec(redshift: f64) -> f64 {
    let angular_distance = comoving_distance(redshift) / (1.0 + redshift);
    206_264.8 / (angular_distance * 1e3)
}

/// Age of the universe, Gyr (the closed form for a flat universe with a cosmological constant).
pub(super) fn age(redshift: f64) -> f64 {
    let lambda = 1.0 - OMEGA_MATTER;
    let hubble_time = 977.79 / HUBBLE;
    let argument = (lambda / OMEGA_MATTER).sqrt() * (1.0 + redshift).powf(-1.5);
    2.0 / (3.0 * lambda.sqrt()) * hubble_time * argument.asinh()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of astropy 7 `FlatLambdaCDM(70, 0.3)`.
    #[test]
    fn agrees_with_astropy() {
        assert!((luminosity_distance(0.5) - 2832.94).abs() < 0.5);
        assert!((luminosity_distance(0.05) - 222.29).abs() < 0.5);
        assert!((age(0.0) - 13.467).abs() < 0.01);
        assert!((age(1.0) - 5.7517).abs() < 0.01);
    }
}
