//! Shapes: how a galaxy's bulge, disc and young stars are spread over the sky.

use std::f64::consts::{PI, TAU};

use rand::{Rng, RngExt};

use super::{
    cosmology, normal,
    population::{Galaxy, Kind},
};
use crate::survey::{CUTOUT_SIZE, PIXEL_SCALE};

/// Logarithmic spiral arms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Arms {
    /// Number of arms.
    pub(super) count: u32,
    /// Pitch angle, radians.
    pub(super) pitch: f64,
    /// Contrast: 0 none, 1 grand design.
    pub(super) strength: f64,
    phase: f64,
    handedness: f64,
}

/// A bar in the disc's plane.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bar {
    /// Half-length, disc scale lengths.
    length: f64,
    /// Share of the older disc's light.
    pub(super) strength: f64,
    angle: f64,
}

/// Shape of one galaxy.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Morphology {
    /// Half-light radius of the bulge, arcsec, along its major axis.
    pub(super) bulge_radius: f64,
    /// Sérsic index of the bulge.
    pub(super) sersic_index: f64,
    /// Axis ratio of the bulge.
    pub(super) bulge_axis_ratio: f64,
    /// Exponential scale length of the disc, arcsec.
    pub(super) disc_scale: f64,
    /// Axis ratio of the disc as seen.
    pub(super) disc_axis_ratio: f64,
    /// Position angle of the major axis, radians.
    position_angle: f64,
    /// Offset of the centre from the cutout's, pixels.
    offset: [f64; 2],
    pub(super) arms: Option<Arms>,
    pub(super) bar: Option<Bar>,
    /// Share of the young stars in a few bright clumps.
    clumpiness: f64,
    /// Lopsidedness of the disc by an interaction, 0 to 1.
    pub(super) disturbance: f64,
}

/// Half-light radius along the major axis, kpc (van der Wel et al. 2014, sect. 3.1 and 3.2); early types
/// of low mass follow a shallower relation.
fn half_light_radius(kind: Kind, log_mass: f64, redshift: f64) -> f64 {
    let mass = 10f64.powf(log_mass) / 5e10;
    match kind {
        Kind::Red => {
            let slope = if mass > 0.4 { 0.75 } else { 0.25 };
            5.6 * 0.4f64.powf(0.75) * (mass / 0.4).powf(slope) * (1.0 + redshift).powf(-1.48)
        }
        _ => 8.9 * mass.powf(0.22) * (1.0 + redshift).powf(-0.75),
    }
}

/// Draws the shape of a galaxy.
pub(super) fn draw(galaxy: &Galaxy, rng: &mut impl Rng) -> Morphology {
    let log_mass = galaxy.expected_log_mass;
    let spread = match galaxy.kind {
        Kind::Red => 0.13,
        _ => 0.16,
    };
    let kiloparsec = half_light_radius(galaxy.kind, log_mass, galaxy.redshift)
        * 10f64.powf(spread * normal(rng));
    let radius = (kiloparsec * cosmology::arcsec_per_kiloparsec(galaxy.redshift)).clamp(0.25, 22.0);
    let elliptical = galaxy.bulge_share >= 1.0;
    let (bulge_radius, sersic_index) = if elliptical {
        (radius, (3.9 + 0.7 * normal(rng)).clamp(2.0, 6.0))
    } else {
        // Bulges of discs are small and less concentrated (Gadotti 2009).
        let ratio = 0.22 + 0.45 * galaxy.bulge_share;
        let index = 1.4 + 2.4 * galaxy.bulge_share + 0.4 * normal(rng);
        ((radius * ratio).max(0.12), index.clamp(0.8, 4.5))
    };
    let thickness: f64 = match galaxy.kind {
        Kind::Red => 0.28,
        Kind::Green => 0.22,
        Kind::Blue => 0.16,
    };
    let face = galaxy.inclination.cos();
    let disc_axis_ratio =
        (face * face * (1.0 - thickness * thickness) + thickness * thickness).sqrt();
    let bulge_axis_ratio = if elliptical {
        (0.78 + 0.14 * normal(rng)).clamp(0.4, 1.0)
    } else {
        0.75 + 0.25 * face
    };

    let over = log_mass - 10.0;
    let spiral = match galaxy.kind {
        Kind::Blue => 0.55 + 0.35 * over,
        Kind::Green => 0.45,
        Kind::Red => 0.06,
    };
    let arms = (!elliptical && rng.random::<f64>() < spiral.clamp(0.0, 0.92)).then(|| {
        let count = match rng.random::<f64>() {
            low if low < 0.60 => 2,
            low if low < 0.80 => 3,
            low if low < 0.92 => 4,
            low if low < 0.96 => 1,
            _ => 5,
        };
        Arms {
            count,
            // Pitch angles of 10° to 35°, tighter with a larger bulge (Kennicutt 1981).
            pitch: (24.0 - 18.0 * galaxy.bulge_share + 5.0 * normal(rng))
                .clamp(8.0, 38.0)
                .to_radians(),
            strength: (0.55 + 0.22 * normal(rng)).clamp(0.12, 1.0),
            phase: TAU * rng.random::<f64>(),
            handedness: if rng.random() { 1.0 } else { -1.0 },
        }
    });
    let bar = (!elliptical && rng.random::<f64>() < 0.35).then(|| Bar {
        length: 0.9 + 0.5 * rng.random::<f64>(),
        strength: 0.06 + 0.18 * rng.random::<f64>(),
        angle: TAU * rng.random::<f64>(),
    });
    let disturbance = if rng.random::<f64>() < 0.08 {
        rng.random::<f64>()
    } else {
        0.0
    };
    Morphology {
        bulge_radius,
        sersic_index,
        bulge_axis_ratio,
        // Half of an exponential disc's light lies within 1.678 scale lengths.
        disc_scale: (radius / 1.678).max(0.12),
        disc_axis_ratio,
        position_angle: PI * rng.random::<f64>(),
        offset: [0.3 * normal(rng), 0.3 * normal(rng)],
        arms,
        bar,
        clumpiness: match galaxy.kind {
            Kind::Red => 0.0,
            _ => (0.18 + 0.08 * normal(rng)).clamp(0.02, 0.4),
        },
        disturbance,
    }
}

/// A map of one cutout, row by row; the values of a component sum to the share of its light inside.
pub(super) type Map = Vec<f32>;

/// Light of each component over the cutout, before the atmosphere.
pub(super) struct Maps {
    pub(super) bulge: Map,
    pub(super) old_disc: Map,
    pub(super) young_disc: Map,
}

const SIZE: usize = CUTOUT_SIZE;

/// Length of a short vector; `hypot`'s guard against overflow costs five times as much.
fn radius(x: f64, y: f64) -> f64 {
    (x * x + y * y).sqrt()
}

/// b_n of the Sérsic profile (Ciotti & Bertin 1999, eq. 18).
fn sersic_b(index: f64) -> f64 {
    2.0 * index - 1.0 / 3.0 + 4.0 / (405.0 * index) + 46.0 / (25_515.0 * index * index)
}

impl Morphology {
    /// Draws the maps. Clump positions come from `rng`.
    pub(super) fn maps(&self, rng: &mut impl Rng) -> Maps {
        Maps {
            bulge: self.bulge(),
            old_disc: self.old_disc(),
            young_disc: self.young_disc(rng),
        }
    }

    /// Calls `profile(u, v)` with arcsec along the major and minor axis for every pixel within `reach`
    /// arcsec of the centre, averaged over sub-pixels: finer near the centre, where profiles are steep.
    fn paint(&self, reach: f64, cusp: bool, profile: impl Fn(f64, f64) -> f64) -> Map {
        let scale = PIXEL_SCALE;
        let middle = (SIZE as f64 - 1.0) / 2.0;
        let centre = self.offset.map(|offset| offset + middle);
        let (sin, cos) = self.position_angle.sin_cos();
        let mut map = vec![0f32; SIZE * SIZE];
        let range = |centre: f64| {
            let low = (centre - reach / scale).floor().max(0.0) as usize;
            let high = (centre + reach / scale).ceil().max(0.0) as usize;
            low..(high + 1).min(SIZE)
        };
        for y in range(centre[1]) {
            for x in range(centre[0]) {
                let (dx, dy) = (x as f64 - centre[0], y as f64 - centre[1]);
                let distance = radius(dx, dy);
                if distance * scale > reach {
                    continue;
                }
                let sub = match distance {
                    near if near < 2.0 && cusp => 9,
                    near if near < 3.0 => 5,
                    near if near < 8.0 => 2,
                    _ => 1,
                };
                let mut sum = 0.0;
                for sub_y in 0..sub {
                    for sub_x in 0..sub {
                        let shift = |step: usize| (step as f64 + 0.5) / sub as f64 - 0.5;
                        let (x, y) = ((dx + shift(sub_x)) * scale, (dy + shift(sub_y)) * scale);
                        sum += profile(x * cos + y * sin, y * cos - x * sin);
                    }
                }
                map[y * SIZE + x] = (sum / (sub * sub) as f64) as f32;
            }
        }
        map
    }

    /// Half the side of the cutout, arcsec.
    fn half_side() -> f64 {
        SIZE as f64 * PIXEL_SCALE / 2.0
    }

    /// Sérsic profile, cut at 8 half-light radii as survey pipelines do.
    fn bulge(&self) -> Map {
        let (index, radius, ratio) = (self.sersic_index, self.bulge_radius, self.bulge_axis_ratio);
        let b = sersic_b(index);
        let reach = 8.0 * radius;
        let edge = (-b * (8f64.powf(1.0 / index) - 1.0)).exp();
        let mut map = self.paint(reach.min(1.5 * Self::half_side()), true, |u, v| {
            let distance = self::radius(u, v / ratio) / radius;
            if distance > 8.0 {
                return 0.0;
            }
            ((-b * (distance.powf(1.0 / index) - 1.0)).exp() - edge).max(0.0)
        });
        // Where the profile fits into the cutout its sum is the total; else the share inside by
        // radial integration.
        normalise(
            &mut map,
            radial_share(Self::half_side() / radius, 8.0, |distance| {
                ((-b * (distance.powf(1.0 / index) - 1.0)).exp() - edge).max(0.0)
            }),
        );
        map
    }

    /// Radius in the disc's plane, scale lengths.
    fn disc_radius(&self, u: f64, v: f64) -> f64 {
        radius(u, v / self.disc_axis_ratio) / self.disc_scale
    }

    /// Azimuth in the disc's plane, radians.
    fn disc_azimuth(&self, u: f64, v: f64) -> f64 {
        (v / self.disc_axis_ratio).atan2(u)
    }

    /// Phase of the spiral pattern: 0 on the ridge of an arm.
    fn arm_phase(arms: &Arms, radius: f64, azimuth: f64) -> f64 {
        let winding = (radius.max(0.05)).ln() / arms.pitch.tan();
        f64::from(arms.count) * (arms.handedness * azimuth - winding) + arms.phase
    }

    /// Excess of light on one side of a disturbed disc.
    fn lopsided(&self, radius: f64, azimuth: f64) -> f64 {
        1.0 + 0.6 * self.disturbance * (radius / 3.0).min(1.0) * (azimuth - 1.0).cos()
    }

    fn old_disc(&self) -> Map {
        let edge = (-6f64).exp();
        let bar_share = self.bar.map_or(0.0, |bar| bar.strength);
        let mut map = self.paint(
            (6.0 * self.disc_scale).min(1.5 * Self::half_side()),
            false,
            |u, v| {
                let radius = self.disc_radius(u, v);
                if radius > 6.0 {
                    return 0.0;
                }
                let base = (-radius).exp() - edge;
                if self.arms.is_none() && self.disturbance == 0.0 {
                    return base;
                }
                let azimuth = self.disc_azimuth(u, v);
                let wave = self.arms.map_or(0.0, |arms| {
                    let fade = (radius / 0.8).min(1.0);
                    0.45 * arms.strength * fade * Self::arm_phase(&arms, radius, azimuth).cos()
                });
                base * (1.0 + wave) * self.lopsided(radius, azimuth)
            },
        );
        let inside = radial_share(Self::half_side() / self.disc_scale, 6.0, |radius| {
            (-radius).exp() - edge
        });
        normalise(&mut map, inside * (1.0 - bar_share));
        if let Some(bar) = self.bar {
            let half_length = bar.length * self.disc_scale;
            let (sin, cos) = bar.angle.sin_cos();
            let mut bar_map = self.paint(2.2 * half_length, false, |u, v| {
                let v = v / self.disc_axis_ratio;
                let along = (u * cos + v * sin) / half_length;
                let across = (v * cos - u * sin) / (0.3 * half_length);
                (-(along.abs().powi(3) + across * across)).exp()
            });
            normalise(&mut bar_map, bar_share);
            for (sum, value) in map.iter_mut().zip(bar_map) {
                *sum += value;
            }
        }
        map
    }

    fn young_disc(&self, rng: &mut impl Rng) -> Map {
        // Young stars reach further out and avoid the centre.
        let scale = 1.15;
        let edge = (-6f64).exp();
        let mut map = self.paint(
            (6.0 * scale * self.disc_scale).min(1.5 * Self::half_side()),
            false,
            |u, v| {
                let radius = self.disc_radius(u, v);
                if radius > 6.0 * scale {
                    return 0.0;
                }
                let base = ((-radius / scale).exp() - edge) * (0.5 + 0.5 * (radius / 0.8).min(1.0));
                if self.arms.is_none() && self.disturbance == 0.0 {
                    return base;
                }
                let azimuth = self.disc_azimuth(u, v);
                let ridge = self.arms.map_or(1.0, |arms| {
                    let contrast = 2.2 * arms.strength * (radius / 0.8).min(1.0);
                    (contrast * (Self::arm_phase(&arms, radius, azimuth).cos() - 1.0)).exp()
                });
                base * ridge * self.lopsided(radius, azimuth)
            },
        );
        let inside = radial_share(
            Self::half_side() / (scale * self.disc_scale),
            6.0,
            |radius| (-radius).exp() - edge,
        );
        normalise(&mut map, inside * (1.0 - self.clumpiness));
        self.add_clumps(&mut map, inside, rng);
        map
    }

    /// Star-forming clumps: point-like, on the arms' ridges where there are arms.
    fn add_clumps(&self, map: &mut Map, inside: f64, rng: &mut impl Rng) {
        const CLUMPS: usize = 24;
        let weights: [f64; CLUMPS] = std::array::from_fn(|_| -(rng.random::<f64>().max(1e-6)).ln());
        let share = self.clumpiness * inside / weights.iter().sum::<f64>();
        let (sin, cos) = self.position_angle.sin_cos();
        for weight in weights {
            let radius =
                0.4 - (rng.random::<f64>().max(1e-3) * rng.random::<f64>().max(1e-3)).ln() * 0.9;
            let mut azimuth = TAU * rng.random::<f64>();
            if let Some(arms) = &self.arms {
                // Walk to the ridge that is nearest in azimuth.
                let phase = Self::arm_phase(arms, radius, azimuth);
                let off = (phase + PI).rem_euclid(TAU) - PI;
                azimuth -= arms.handedness * (off - 0.35 * normal(rng)) / f64::from(arms.count);
            }
            let (u, v) = (
                radius * self.disc_scale * azimuth.cos(),
                radius * self.disc_scale * azimuth.sin() * self.disc_axis_ratio,
            );
            let middle = (SIZE as f64 - 1.0) / 2.0;
            let x = middle + self.offset[0] + (u * cos - v * sin) / PIXEL_SCALE;
            let y = middle + self.offset[1] + (u * sin + v * cos) / PIXEL_SCALE;
            add_point(map, x, y, (share * weight) as f32);
        }
    }
}

/// Adds a point source of `flux` at a position in pixels, spread over the four nearest pixels.
pub(super) fn add_point(map: &mut [f32], x: f64, y: f64, flux: f32) {
    let (left, low) = (x.floor(), y.floor());
    if left < 0.0 || low < 0.0 || left + 1.0 >= SIZE as f64 || low + 1.0 >= SIZE as f64 {
        return;
    }
    let (right_share, upper_share) = ((x - left) as f32, (y - low) as f32);
    let first = low as usize * SIZE + left as usize;
    map[first] += flux * (1.0 - right_share) * (1.0 - upper_share);
    map[first + 1] += flux * right_share * (1.0 - upper_share);
    map[first + SIZE] += flux * (1.0 - right_share) * upper_share;
    map[first + SIZE + 1] += flux * right_share * upper_share;
}

/// Share of a round profile's light within `radius` of all within `end`.
fn radial_share(radius: f64, end: f64, profile: impl Fn(f64) -> f64) -> f64 {
    if radius >= end {
        return 1.0;
    }
    const STEPS: usize = 400;
    let integral = |limit: f64| -> f64 {
        // Quadratic spacing resolves the cusp.
        (0..STEPS)
            .map(|step| {
                let place = |at: f64| limit * (at / STEPS as f64).powi(2);
                let (inner, outer) = (place(step as f64), place(step as f64 + 1.0));
                let middle = place(step as f64 + 0.5);
                profile(middle) * 0.5 * (outer * outer - inner * inner)
            })
            .sum()
    };
    integral(radius) / integral(end)
}

fn normalise(map: &mut [f32], total: f64) {
    let sum: f64 = map.iter().map(|&value| f64::from(value)).sum();
    if sum > 0.0 {
        let factor = (total / sum) as f32;
        map.iter_mut().for_each(|value| *value *= factor);
    }
}
