//! Matches by position, against brute force.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::files::catalog::matching::match_by_position;
use crate::files::catalog::sky::{Position, from_chord_squared};

/// Great-circle distance in arcsec by Vincenty's formula, from degrees.
fn vincenty(one: (f64, f64), other: (f64, f64)) -> f64 {
    let (difference, one_dec, other_dec) = (
        (other.0 - one.0).to_radians(),
        one.1.to_radians(),
        other.1.to_radians(),
    );
    let across = other_dec.cos() * difference.sin();
    let along =
        one_dec.cos() * other_dec.sin() - one_dec.sin() * other_dec.cos() * difference.cos();
    let inward =
        one_dec.sin() * other_dec.sin() + one_dec.cos() * other_dec.cos() * difference.cos();
    across.hypot(along).atan2(inward).to_degrees() * 3600.0
}

/// Positions where matching goes wrong: a field, across ra = 0, and at both poles.
fn sky(rng: &mut ChaCha8Rng, count: usize) -> Vec<(f64, f64)> {
    const FIELD: f64 = 0.01;
    (0..count)
        .map(|_| {
            let mut near = |center: f64| center + FIELD * (rng.random::<f64>() - 0.5);
            let (offset_ra, offset_dec) = (near(0.0), near(0.0));
            match rng.random_range(0..5) {
                0 => (150.0 + offset_ra, 2.0 + offset_dec),
                1 => (offset_ra.rem_euclid(360.0), offset_dec),
                2 => (360.0 * rng.random::<f64>(), 90.0 - offset_dec.abs()),
                3 => (360.0 * rng.random::<f64>(), -90.0 + offset_dec.abs()),
                // Exact copies, in clumps.
                _ => (10.0 + 0.001 * f64::from(rng.random_range(0..9)), 60.0),
            }
        })
        .collect()
}

#[test]
fn matches_by_position_are_those_of_brute_force() {
    const RADIUS: f64 = 2.0;
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let left = sky(&mut rng, 1500);
    let mut right = sky(&mut rng, 1200);
    // Near copies of some.
    right.extend(
        left[..600]
            .iter()
            .map(|&(ra, dec)| (ra, (dec + 1e-4).min(90.0))),
    );
    let mut pairs = Vec::new();
    for (left_row, &one) in left.iter().enumerate() {
        for (right_row, &other) in right.iter().enumerate() {
            let distance = vincenty(one, other);
            if distance <= RADIUS {
                pairs.push((distance, left_row, right_row));
            }
        }
    }
    // Distances of exact copies are equal only as chords; ties go by row.
    let rounded = |distance: f64| (distance * 1e6).round() as i64;
    pairs.sort_by_key(|&(distance, left, right)| (rounded(distance), left, right));
    let mut expected = vec![None; left.len()];
    let mut taken = vec![false; right.len()];
    for (distance, left, right) in pairs {
        if expected[left].is_none() && !taken[right] {
            expected[left] = Some((right, distance));
            taken[right] = true;
        }
    }
    let positions = |sky: &[(f64, f64)]| -> Vec<_> {
        sky.iter()
            .map(|&(ra, dec)| Position::new(ra, dec))
            .collect()
    };
    let found = match_by_position(&positions(&left), &positions(&right), RADIUS).unwrap();
    let mut partners = vec![None; left.len()];
    let mut used = std::collections::HashSet::new();
    for pair in &found {
        partners[pair.left] = Some((pair.right, pair.separation));
        assert!(used.insert(pair.right), "row {} twice", pair.right);
    }
    assert!(found.len() > 900);
    let (mut total, mut expected_total) = (0.0, 0.0);
    for (row, (found, expected)) in partners.iter().zip(&expected).enumerate() {
        let distance = |partner: &Option<(usize, f64)>| partner.map(|(_, distance)| distance);
        match (distance(found), distance(expected)) {
            (Some(found), Some(expected)) => {
                assert!(
                    (found - expected).abs() < 1e-5,
                    "row {row}: {found} {expected}"
                );
                total += found;
                expected_total += expected;
            }
            (None, None) => {}
            other => panic!("row {row} of {:?}: {other:?}", left[row]),
        }
    }
    assert!((total - expected_total).abs() < 1e-3);
}

/// Great-circle distance, arcsec.
fn separation(one: Position, other: Position) -> f64 {
    let squared: f64 = one
        .0
        .iter()
        .zip(other.0)
        .map(|(one, other)| (one - other) * (one - other))
        .sum();
    from_chord_squared(squared)
}

#[test]
fn positions_that_are_none_match_nothing() {
    for (ra, dec) in [
        (f64::NAN, 0.0),
        (0.0, f64::NAN),
        (10.0, -99.0),
        (-999.0, 0.0),
        (f64::INFINITY, 0.0),
    ] {
        assert_eq!(Position::new(ra, dec), None);
    }
    let at = |ra, dec| Position::new(ra, dec).unwrap();
    assert_eq!(at(359.5, 10.0), at(-0.5, 10.0));
    assert!((separation(at(0.0, 0.0), at(180.0, 0.0)) - 648_000.0).abs() < 1e-6);
    assert!((separation(at(0.0, 89.999), at(180.0, 89.999)) - 7.2).abs() < 1e-6);
    assert!(match_by_position(&[None], &[None], 1.0).unwrap().is_empty());
    let refused = match_by_position(&[None], &[None], 0.0).unwrap_err();
    assert!(refused.to_string().contains("radius 0"));
    // Everything at one position, as with (0, 0) for "unknown".
    let crowd = vec![Position::new(0.0, 0.0); 10_000];
    let refused = match_by_position(&crowd, &crowd, 1.0).unwrap_err();
    assert!(refused.to_string().contains("placeholders"), "{refused}");
}
