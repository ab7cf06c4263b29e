//! Attenuation by dust.

/// Ratio of the reddening of the stars to that of the nebular gas (Calzetti et al. 2000, eq. 3).
pub(super) const STELLAR_TO_NEBULAR: f64 = 0.44;

/// Attenuation curve k(λ) of Calzetti et al. (2000, eq. 4), extended to 1 000 Å by its blue branch;
/// `wavelength` in Å, rest frame. The attenuation is `k E(B−V)` magnitudes.
pub(super) fn calzetti(wavelength: f64) -> f64 {
    let inverse = 1e4 / wavelength;
    let curve = if wavelength < 6300.0 {
        2.659 * (-2.156 + inverse * (1.509 + inverse * (-0.198 + inverse * 0.011))) + 4.05
    } else {
        2.659 * (-1.857 + 1.040 * inverse) + 4.05
    };
    curve.max(0.0)
}

/// Share of the light that gets through at `wavelength` (Å, rest frame).
pub(super) fn transmission(wavelength: f64, reddening: f64) -> f64 {
    10f64.powf(-0.4 * reddening * calzetti(wavelength))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R_V = 4.05 at V by definition, and blue light suffers more.
    #[test]
    fn curve_is_calzettis() {
        assert!((calzetti(5500.0) - 4.05).abs() < 0.05);
        assert!(calzetti(1500.0) > 2.0 * calzetti(5500.0));
        assert!((transmission(5500.0, 0.0) - 1.0).abs() < 1e-12);
    }
}
