//! Crops, masks and pixel values against their definitions.

use std::path::PathBuf;

use ndarray::{Array3, Array4, Axis};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use safetensors::SafeTensors;

use super::blur::{blur_within, gaussian_blur};
use super::geometry::{Orientation, Source};
use super::*;
use crate::survey::{RgbScaling, arcsinh_rgb};

fn generator() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(11)
}

/// An image of noise about a bright spot off the centre.
fn image<R: Rng>(size: usize, rng: &mut R) -> Array3<f32> {
    Array3::from_shape_fn((3, size, size), |(band, y, x)| {
        let distance = (y as f32 - 40.0).hypot(x as f32 - 30.0);
        let noise: f32 = rng.sample(StandardNormal);
        (1.0 + band as f32) * (-distance / 8.0).exp() + 0.01 * noise
    })
}

/// Golden values of the released `ToRGB(m=0.03, Q=20)`.
#[test]
fn colours_equal_those_of_the_released_code() {
    let folder = std::env::var_os("ASTROCLIP_REFERENCE").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden"),
        PathBuf::from,
    );
    let bytes = std::fs::read(folder.join("to_rgb.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let load = |name: &str| {
        let tensor = tensors.tensor(name).unwrap();
        let &[batch, height, width, bands] = tensor.shape() else {
            panic!("{name}: {:?}", tensor.shape());
        };
        let values = tensor.data().chunks_exact(4);
        let values = values
            .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
            .collect();
        Array4::from_shape_vec((batch, height, width, bands), values)
            .unwrap()
            .permuted_axes([0, 3, 1, 2])
    };
    let (images, expected) = (load("images"), load("rgb"));
    for (image, expected) in images.outer_iter().zip(expected.outer_iter()) {
        let rgb = arcsinh_rgb(image, &RgbScaling::default());
        let worst = (&rgb - &expected).fold(0.0_f32, |worst, error| worst.max(error.abs()));
        assert!(worst < 1e-6, "{worst}");
    }
}

#[test]
fn turning_by_nothing_and_by_right_angles_moves_pixels_exactly() {
    let image = image(61, &mut generator());
    let source = Source::new(image.view(), true);
    let crop = |flip_y, flip_x, angle| {
        source.crop(
            [3, 7],
            50,
            Orientation {
                flip_y,
                flip_x,
                angle,
            },
        )
    };
    let close = |crop: &Array3<f32>, expected: &dyn Fn(usize, usize) -> [usize; 2]| {
        crop.indexed_iter().all(|((band, y, x), value)| {
            let [y, x] = expected(y + 3, x + 7);
            (value - image[[band, y, x]]).abs() < 1e-3
        })
    };
    assert!(close(&crop(false, false, 0.0), &|y, x| [y, x]));
    assert!(close(&crop(true, false, 0.0), &|y, x| [60 - y, x]));
    assert!(close(&crop(false, true, 0.0), &|y, x| [y, 60 - x]));
    assert!(close(
        &crop(false, false, std::f32::consts::FRAC_PI_2),
        &|y, x| [60 - x, y]
    ));
    let plain = Source::new(image.view(), false);
    let flipped = Orientation {
        flip_y: true,
        flip_x: true,
        angle: 0.0,
    };
    assert!(close(&plain.crop([3, 7], 50, flipped), &|y, x| [
        60 - y,
        60 - x
    ]));
    // At 45 degrees the corners lie outside the image and show its reflection: nothing is empty.
    let whole = Source::new(Array3::ones((3, 61, 61)).view(), true).crop(
        [0, 0],
        61,
        Orientation {
            flip_y: false,
            flip_x: true,
            angle: std::f32::consts::FRAC_PI_4,
        },
    );
    assert!(whole.iter().all(|value| (value - 1.0).abs() < 1e-6));
}

#[test]
fn blur_spreads_a_point_to_the_gaussian_that_was_asked_for_and_keeps_the_flux() {
    const SIDE: usize = 61;
    let sigma = 2.5;
    let mut plane = vec![0.0; SIDE * SIDE];
    plane[30 * SIDE + 30] = 1.0;
    gaussian_blur(&mut plane, SIDE, sigma);
    for (index, value) in plane.iter().enumerate() {
        let (y, x) = (index / SIDE, index % SIDE);
        let distance = (y as f64 - 30.0).hypot(x as f64 - 30.0);
        let expected = (-0.5 * (distance / sigma).powi(2)).exp()
            / (2.0 * std::f64::consts::PI * sigma * sigma);
        assert!((f64::from(*value) - expected).abs() < 2e-6, "{y} {x}");
    }
    // A kernel wider than the plane, on a point in the corner.
    let mut corner = vec![0.0; 5 * 7];
    corner[0] = 1.0;
    gaussian_blur(&mut corner, 7, 4.0);
    assert!((corner.iter().sum::<f32>() - 1.0).abs() < 1e-5);
}

#[test]
fn a_kernel_of_five_pixels_is_that_of_torchvision() {
    // torchvision's GaussianBlur(5) has weights exp(-x²/2σ²) at -2…2, normalized.
    let sigma = 1.5_f64;
    let weights = [-2.0, -1.0, 0.0, 1.0, 2.0].map(|x: f64| (-0.5 * (x / sigma).powi(2)).exp());
    let total: f64 = weights.iter().sum();
    let mut plane = vec![0.0; 11 * 11];
    plane[5 * 11 + 5] = 1.0;
    blur_within(&mut plane, 11, sigma, 2);
    let weight = |place: usize| match place {
        3..=7 => weights[place - 3] / total,
        _ => 0.0,
    };
    for (index, &value) in plane.iter().enumerate() {
        let expected = weight(index / 11) * weight(index % 11);
        assert!((f64::from(value) - expected).abs() < 1e-7, "{index}");
    }
}

#[test]
fn views_for_regression_are_flipped_and_blurred_at_random_and_repeat_with_the_seed() {
    let pixels = PixelConfig {
        pixel_values: PixelValues::Zscore,
        ..PixelConfig::default()
    };
    let mut rng = generator();
    let image = image(64, &mut rng);
    let config = RegressionViewConfig {
        size: 48,
        ..RegressionViewConfig::default()
    };
    let view = |config: &RegressionViewConfig, seed: u64| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        regression_view(image.view(), config, &pixels, &mut rng)
    };
    assert_eq!(view(&config, 1), view(&config, 1));
    assert_ne!(view(&config, 1), view(&config, 2));

    let sharp = RegressionViewConfig {
        max_blur: 0.0,
        ..config.clone()
    };
    let centre = centre_crop(image.view(), 48).to_owned();
    let mut flips = [0; 4];
    for seed in 0..40 {
        let sharp = view(&sharp, seed);
        let found = (0..4).find(|flip| {
            let mut flipped = centre.view();
            (0..2)
                .filter(|axis| flip >> axis & 1 == 1)
                .for_each(|axis| flipped.invert_axis(Axis(axis + 1)));
            sharp == flipped
        });
        flips[found.expect("the centre, flipped or not")] += 1;
        // A blur takes contrast away and leaves the flux.
        let blurred = view(&config, seed);
        assert!(blurred.std(0.0) <= sharp.std(0.0));
        assert!((blurred.sum() / sharp.sum() - 1.0).abs() < 0.02);
    }
    assert!(flips.iter().all(|&count| count > 2), "{flips:?}");

    let too_large = RegressionViewConfig { size: 65, ..config };
    assert!(
        too_large
            .check_fit("view", 64)
            .unwrap_err()
            .to_string()
            .contains("65")
    );
}

#[test]
fn added_noise_has_the_level_that_was_drawn() {
    // A shape of 0 makes both draws equal, so nothing is added.
    let mut none = SkyNoiseConfig {
        shape: vec![0.0; 3],
        ..SkyNoiseConfig::default()
    };
    let mut flat = Array3::zeros((3, 64, 64));
    none.apply(&mut flat, &mut generator());
    assert!(flat.iter().all(|value| *value == 0.0));
    // The mean added variance is half of E|wanted² − own²|; here by drawing as SciPy does.
    none = SkyNoiseConfig::default();
    let (mut measured, mut expected) = (0.0, 0.0);
    let mut rng = generator();
    for _ in 0..400 {
        let mut image = Array3::zeros((3, 16, 16));
        none.apply(&mut image, &mut rng);
        let z = image.index_axis(Axis(0), 2);
        measured += f64::from(z.iter().map(|value| value * value).sum::<f32>()) / 256.0;
        let mut draw = || {
            let normal: f64 = rng.sample(StandardNormal);
            -0.0143416 + 0.0260779 * (0.1334844 * normal).exp()
        };
        expected += (draw().powi(2) - draw().powi(2)).max(0.0);
    }
    assert!(
        (measured / expected - 1.0).abs() < 0.2,
        "{measured} {expected}"
    );
}

#[test]
fn crops_have_the_sizes_of_the_config_and_repeat_with_the_seed() {
    let image = image(152, &mut generator());
    let (config, pixels) = (MultiCropConfig::default(), PixelConfig::default());
    config.check("crops", 3).unwrap();
    config.check_fit("crops", 152).unwrap();
    let draw = |seed| {
        multi_crop(
            image.view(),
            &config,
            &pixels,
            &mut ChaCha8Rng::seed_from_u64(seed),
        )
    };
    let crops = draw(1);
    assert_eq!(crops.global.len(), 2);
    assert!(crops.global.iter().all(|crop| crop.dim() == (3, 144, 144)));
    assert_eq!(crops.local.len(), 8);
    assert!(crops.local.iter().all(|crop| crop.dim() == (3, 60, 60)));
    let all = crops.global.iter().chain(&crops.local);
    assert!(
        all.clone()
            .flatten()
            .all(|value| (0.0..=1.0).contains(value))
    );
    let again = draw(1);
    assert!(all.eq(again.global.iter().chain(&again.local)));
    assert_ne!(draw(2).global[0], crops.global[0]);

    // Without augmentation a view is the centre of the image, in the model's pixel values.
    let align = AlignViewConfig {
        augment: false,
        ..AlignViewConfig::default()
    };
    let zscore = PixelConfig {
        pixel_values: PixelValues::Zscore,
        mean: vec![0.5, 0.0, 0.0],
        std: vec![2.0, 1.0, 1.0],
        ..PixelConfig::default()
    };
    let view = align_view(image.view(), &align, &zscore, &mut generator());
    assert_eq!(view[[0, 10, 20]], (image[[0, 14, 24]] - 0.5) / 2.0);
    assert_eq!(view[[1, 10, 20]], image[[1, 14, 24]]);

    let message = MultiCropConfig {
        global_size: 160,
        ..config
    }
    .check_fit("crops", 152)
    .unwrap_err();
    assert!(
        message
            .to_string()
            .starts_with("`crops.global_size` is 160"),
        "{message}"
    );
}

#[test]
fn worse_seeing_spreads_light_of_all_bands_alike() {
    let mut rng = generator();
    let widths: Vec<f32> = (0..100)
        .map(|_| {
            let mut image = Array3::zeros((2, 41, 41));
            (image[[0, 20, 20]], image[[1, 20, 20]]) = (1.0_f32, 3.0);
            worsen_seeing(image.view_mut(), 3.0, &mut rng);
            let (first, second) = (image.index_axis(Axis(0), 0), image.index_axis(Axis(0), 1));
            assert!((first.sum() - 1.0).abs() < 1e-5);
            assert!((&second - &(&first * 3.0)).iter().all(|it| it.abs() < 1e-6));
            let variance = first
                .indexed_iter()
                .map(|((row, _), light)| light * (row as f32 - 20.0).powi(2));
            variance.sum::<f32>().sqrt()
        })
        .collect();
    let mean = widths.iter().sum::<f32>() / 100.0;
    assert!((mean - 1.5).abs() < 0.3, "{mean}");
    assert!(widths.iter().all(|width| (0.0..3.0).contains(width)));
}

#[test]
fn block_masks_spread_their_ratios_over_half_of_the_crops() {
    let mut rng = generator();
    let masks = block_masks(64, [12, 12], &BlockMaskConfig::default(), &mut rng);
    let mut counts: Vec<usize> = masks
        .iter()
        .map(|mask| mask.iter().filter(|masked| **masked).count())
        .collect();
    assert_ne!(
        counts[..32].iter().filter(|count| **count == 0).count(),
        32,
        "shuffled"
    );
    counts.sort_unstable();
    assert!(counts[..32].iter().all(|count| *count == 0));
    assert!(
        counts[32..].iter().all(|count| (4..=72).contains(count)),
        "{counts:?}"
    );
    // The i-th masked crop wants a share of 0.1 + 0.4 (i + U) / 32 and may fall short of it.
    let mean = counts[32..].iter().sum::<usize>() as f64 / (32.0 * 144.0);
    assert!((0.26..0.31).contains(&mean), "{mean}");
    // Blocks: a masked patch has masked neighbours more often than by chance.
    let pairs = |mask: &[bool]| {
        let right = |place: &usize| place % 12 < 11 && mask[*place] && mask[place + 1];
        (0..144).filter(right).count()
    };
    let paired: usize = masks.iter().map(|mask| pairs(mask)).sum();
    let masked: usize = counts.iter().sum();
    assert!(paired as f64 > 0.6 * masked as f64, "{paired} of {masked}");
}

#[test]
fn segment_masks_hold_one_segment_in_each_part_of_the_sequence() {
    let config = SegmentMaskConfig::default();
    config.check("masks", 778).unwrap();
    let mut rng = generator();
    let mut first_masked = 0;
    for _ in 0..500 {
        let mask = segment_mask(778, &config, &mut rng);
        for segment in 0..6 {
            let part = &mask[segment * 778 / 6..(segment + 1) * 778 / 6];
            let start = part.iter().position(|masked| *masked).unwrap();
            assert!(part[start..start + 30].iter().all(|masked| *masked));
            assert_eq!(part.iter().filter(|masked| **masked).count(), 30);
        }
        first_masked += usize::from(mask[0]);
    }
    // One place in 99 starts at the first token.
    assert!((1..=15).contains(&first_masked), "{first_masked}");
    assert!(config.check("masks", 329).is_err());
    let one = SegmentMaskConfig {
        segments: 1,
        width: 5,
    };
    one.check("masks", 5).unwrap();
    assert_eq!(segment_mask(5, &one, &mut rng), [true; 5]);
}
