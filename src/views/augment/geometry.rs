//! Where a crop lies in an image and how it is turned.

use std::f32::consts::PI;

use ndarray::{Array3, ArrayView3, Axis};
use rand::{Rng, RngExt};

/// How a crop's frame lies on the image: flipped, then turned about the image's centre.
#[derive(Debug, Clone, Copy)]
pub(super) struct Orientation {
    pub flip_y: bool,
    pub flip_x: bool,
    /// Radians.
    pub angle: f32,
}

impl Orientation {
    /// Flips each axis with this probability, and turns by U(0, π) if `rotation` is set.
    pub fn draw<R: Rng + ?Sized>(flip_probability: f64, rotation: bool, rng: &mut R) -> Self {
        Self {
            flip_y: rng.random_bool(flip_probability),
            flip_x: rng.random_bool(flip_probability),
            angle: if rotation {
                rng.random_range(0.0..PI)
            } else {
                0.0
            },
        }
    }
}

/// An image to take crops from.
pub(super) struct Source<'a> {
    image: ArrayView3<'a, f32>,
    /// None, or one for each four bands.
    canvases: Vec<Canvas>,
}

/// Bands that are worked on together, as one vector.
const LANES: usize = 4;

/// Some bands of the image with their reflection around them, wide enough for any angle. The bands of a pixel lie
/// together, so that one vector load fetches them.
struct Canvas {
    pixels: Vec<[f32; LANES]>,
    width: usize,
    /// Pixels added above and to the left.
    margin: [usize; 2],
}

impl Canvas {
    /// Takes at most [`LANES`] bands.
    fn new(bands: ArrayView3<'_, f32>) -> Self {
        let (_, height, width) = bands.dim();
        let diagonal = (height as f64).hypot(width as f64);
        // One pixel more for the neighbour in the bilinear sum, one for rounding.
        let margin =
            [height, width].map(|side| ((diagonal - side as f64) / 2.0).ceil() as usize + 2);
        let rows = reflected(height, margin[0]);
        let columns = reflected(width, margin[1]);
        let mut pixels = vec![[0.0; LANES]; rows.len() * columns.len()];
        for (lane, band) in bands.outer_iter().enumerate() {
            let band = band.as_standard_layout();
            let plane = band.as_slice().expect("standard layout");
            for (row, out) in rows.iter().zip(pixels.chunks_exact_mut(columns.len())) {
                let line = &plane[row * width..(row + 1) * width];
                for (out, &column) in out.iter_mut().zip(&columns) {
                    out[lane] = line[column];
                }
            }
        }
        Self {
            pixels,
            width: columns.len(),
            margin,
        }
    }

    /// Interpolates the places `start`, `start + step`, …, each y and x on the canvas.
    fn sample_line(&self, start: [f32; 2], step: [f32; 2], out: &mut [[f32; LANES]]) {
        // Fixed point with 32 bits after the point splits into pixel and fraction with one shift.
        let fixed = |value: f32| (f64::from(value) * 2.0_f64.powi(32)) as i64;
        let fraction = |place: i64| ((place >> 8) & 0xff_ffff) as i32 as f32 / 2.0_f32.powi(24);
        let [mut y, mut x] = start.map(fixed);
        let [step_y, step_x] = step.map(fixed);
        for out in out {
            let (down, right) = (fraction(y), fraction(x));
            let first = (y >> 32) as usize * self.width + (x >> 32) as usize;
            let second = first + self.width;
            let above = between(&self.pixels[first..first + 2], right);
            let below = between(&self.pixels[second..second + 2], right);
            *out = between(&[above, below], down);
            y += step_y;
            x += step_x;
        }
    }
}

/// The value at this fraction of the way from the first of two pixels to the second.
#[inline(always)]
fn between(pixels: &[[f32; LANES]], fraction: f32) -> [f32; LANES] {
    std::array::from_fn(|band| pixels[0][band] + fraction * (pixels[1][band] - pixels[0][band]))
}

/// The index that stands for each place from `-margin` to `len + margin - 1`: `b a | a b c | c b`.
pub(super) fn reflected(len: usize, margin: usize) -> Vec<usize> {
    let period = 2 * len as isize;
    let places = -(margin as isize)..(len + margin) as isize;
    places
        .map(|place| place.rem_euclid(period) as usize)
        .map(|place| {
            if place < len {
                place
            } else {
                2 * len - 1 - place
            }
        })
        .collect()
}

impl<'a> Source<'a> {
    /// Prepares crops of a `(bands, H, W)` image; only with `rotation` may they have an angle.
    pub fn new(image: ArrayView3<'a, f32>, rotation: bool) -> Self {
        let canvases = match rotation {
            true => image
                .axis_chunks_iter(Axis(0), LANES)
                .map(Canvas::new)
                .collect(),
            false => Vec::new(),
        };
        Self { image, canvases }
    }

    /// The crop of `(bands, size, size)` whose first pixel is `corner`, y and x in the oriented frame.
    /// Between pixels it interpolates bilinearly; outside it sees the image's reflection.
    pub fn crop(&self, corner: [usize; 2], size: usize, orientation: Orientation) -> Array3<f32> {
        match self.canvases.is_empty() {
            true => self.plain_crop(corner, size, orientation),
            false => self.turned_crop(corner, size, orientation),
        }
    }

    fn plain_crop(&self, corner: [usize; 2], size: usize, orientation: Orientation) -> Array3<f32> {
        let (bands, height, width) = self.image.dim();
        let place = |start: usize, side: usize, flip: bool, offset: usize| {
            if flip {
                side - 1 - start - offset
            } else {
                start + offset
            }
        };
        let columns: Vec<_> = (0..size)
            .map(|x| place(corner[1], width, orientation.flip_x, x))
            .collect();
        let mut pixels = Vec::with_capacity(bands * size * size);
        for band in self.image.outer_iter() {
            for y in 0..size {
                let row = band.row(place(corner[0], height, orientation.flip_y, y));
                pixels.extend(columns.iter().map(|&x| row[x]));
            }
        }
        Array3::from_shape_vec((bands, size, size), pixels)
            .expect("as many pixels as the shape says")
    }

    fn turned_crop(
        &self,
        corner: [usize; 2],
        size: usize,
        orientation: Orientation,
    ) -> Array3<f32> {
        let (bands, height, width) = self.image.dim();
        let centre = [height, width].map(|side| 0.5 * (side as f32 - 1.0));
        let sign = |flip: bool| if flip { -1.0 } else { 1.0 };
        let (flip_y, flip_x) = (sign(orientation.flip_y), sign(orientation.flip_x));
        let (sin, cos) = orientation.angle.sin_cos();
        let mut crop = Array3::zeros((bands, size, size));
        let out = crop.as_slice_mut().expect("standard layout");
        let mut pixels = vec![[0.0; LANES]; size];
        let planes = out.chunks_mut(LANES * size * size);
        for (canvas, planes) in self.canvases.iter().zip(planes) {
            let centre_on_canvas = [0, 1].map(|axis| centre[axis] + canvas.margin[axis] as f32);
            for line in 0..size {
                let dy = flip_y * ((corner[0] + line) as f32 - centre[0]);
                let dx = flip_x * (corner[1] as f32 - centre[1]);
                let start = [
                    centre_on_canvas[0] + cos * dy - sin * dx,
                    centre_on_canvas[1] + sin * dy + cos * dx,
                ];
                canvas.sample_line(start, [-sin * flip_x, cos * flip_x], &mut pixels);
                for (lane, plane) in planes.chunks_exact_mut(size * size).enumerate() {
                    let out = &mut plane[line * size..][..size];
                    for (out, pixel) in out.iter_mut().zip(&pixels) {
                        *out = pixel[lane];
                    }
                }
            }
        }
        crop
    }
}
