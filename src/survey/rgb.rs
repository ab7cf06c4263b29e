use ndarray::{Array3, ArrayView3, Axis, Zip};
use serde::{Deserialize, Serialize};

/// Arcsinh stretch of g, r, z nanomaggies to colours in [0, 1], as the Legacy Surveys viewer and the
/// released AstroCLIP code do it (`dr2_rgb`; Lupton et al. 2004).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RgbScaling {
    /// Scale of each band, in the order of the file (g, r, z).
    pub scales: [f32; 3],
    /// Offset added after scaling, nanomaggies.
    pub m: f32,
    /// Softening of the arcsinh.
    pub q: f32,
}

impl Default for RgbScaling {
    fn default() -> Self {
        Self {
            scales: [6.0, 3.4, 2.2],
            m: 0.03,
            q: 20.0,
        }
    }
}

/// Maps an image of `(band, y, x)` nanomaggies, bands g, r, z, to `(channel, y, x)` in [0, 1] with
/// channels z, r, g: the order the released weights expect, and red, green, blue for the eye.
pub fn arcsinh_rgb(image: ArrayView3<'_, f32>, scaling: &RgbScaling) -> Array3<f32> {
    let (bands, height, width) = image.dim();
    assert_eq!(bands, 3, "arcsinh_rgb takes g, r, z");
    let RgbScaling { scales, m, q } = *scaling;
    let mut rgb = Array3::zeros((3, height, width));
    let (red, mut green_blue) = rgb.view_mut().split_at(Axis(0), 1);
    let (green, blue) = green_blue.view_mut().split_at(Axis(0), 1);
    let (mut red, mut green, mut blue) = (
        red.index_axis_move(Axis(0), 0),
        green.index_axis_move(Axis(0), 0),
        blue.index_axis_move(Axis(0), 0),
    );
    let stretch = |g: f32, r: f32, z: f32| {
        let scaled = [g * scales[0] + m, r * scales[1] + m, z * scales[2] + m].map(|v| v.max(0.0));
        let intensity = scaled.iter().sum::<f32>() / 3.0;
        let softened = (q * intensity).asinh() / q.sqrt();
        let gain = softened / if intensity == 0.0 { 1e-6 } else { intensity };
        scaled.map(|v| (v * gain).clamp(0.0, 1.0))
    };
    let colours = Zip::from(image.index_axis(Axis(0), 0))
        .and(image.index_axis(Axis(0), 1))
        .and(image.index_axis(Axis(0), 2))
        .map_collect(|&g, &r, &z| stretch(g, r, z));
    Zip::from(&colours)
        .and(&mut red)
        .and(&mut green)
        .and(&mut blue)
        .for_each(|colour, red, green, blue| {
            *red = colour[2];
            *green = colour[1];
            *blue = colour[0];
        });
    rgb
}
