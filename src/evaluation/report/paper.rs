//! Numbers of Parker et al. (2024), to stand beside one's own.

/// A row of Table 2: input, method, R² of M★, Z_MW, t_age and sSFR.
pub type PropertyRow = (&'static str, &'static str, [f64; 4]);

/// Table 2.
pub const PROPERTIES: [PropertyRow; 13] = [
    ("image", "AstroCLIP, zero-shot", [0.74, 0.44, 0.27, 0.44]),
    ("image", "AstroCLIP, few-shot", [0.73, 0.43, 0.26, 0.42]),
    ("image", "unaligned, zero-shot", [0.65, 0.40, 0.16, 0.25]),
    ("image", "unaligned, few-shot", [0.72, 0.43, 0.23, 0.40]),
    (
        "image",
        "Stein et al. 2021b, zero-shot",
        [0.43, 0.30, 0.11, 0.20],
    ),
    (
        "image",
        "Stein et al. 2021b, few-shot",
        [0.48, 0.32, 0.14, 0.24],
    ),
    ("image", "ResNet18", [0.72, 0.44, 0.23, 0.32]),
    ("spectrum", "AstroCLIP, zero-shot", [0.87, 0.57, 0.43, 0.63]),
    ("spectrum", "AstroCLIP, few-shot", [0.88, 0.58, 0.43, 0.64]),
    ("spectrum", "unaligned, zero-shot", [0.84, 0.57, 0.38, 0.62]),
    ("spectrum", "unaligned, few-shot", [0.88, 0.64, 0.47, 0.69]),
    ("spectrum", "conv + attention", [0.85, 0.62, 0.43, 0.67]),
    ("photometry", "MLP", [0.67, 0.41, 0.27, 0.34]),
];

/// Table 3: input, method, −ln p per dimension and its deviation over the ensemble.
pub const LIKELIHOODS: [(&str, &str, f64, f64); 8] = [
    ("image", "AstroCLIP", 0.76, 0.00),
    ("image", "unaligned", 0.81, 0.01),
    ("image", "Stein et al. 2021b", 1.09, 0.04),
    ("image", "ResNet18", 0.77, 0.00),
    ("spectrum", "AstroCLIP", 0.14, 0.03),
    ("spectrum", "unaligned", 0.00, 0.04),
    ("spectrum", "conv + attention", 0.26, 0.00),
    ("photometry", "MLP", 0.92, 0.05),
];

/// Methods of [`MORPHOLOGY`].
pub const MORPHOLOGY_METHODS: [&str; 4] =
    ["AstroCLIP", "unaligned", "Stein et al. 2021b", "ZooBot"];

/// Table E1: question as the GZD-5 catalogue names it, accuracy and F1 of [`MORPHOLOGY_METHODS`].
pub const MORPHOLOGY: [(&str, [f64; 4], [f64; 4]); 10] = [
    (
        "smooth-or-featured",
        [0.83, 0.84, 0.78, 0.94],
        [0.83, 0.83, 0.68, 0.94],
    ),
    (
        "disk-edge-on",
        [0.97, 0.97, 0.87, 0.99],
        [0.97, 0.97, 0.81, 0.99],
    ),
    (
        "has-spiral-arms",
        [0.92, 0.95, 0.95, 0.93],
        [0.94, 0.96, 0.95, 0.94],
    ),
    ("bar", [0.56, 0.53, 0.53, 0.82], [0.54, 0.37, 0.37, 0.81]),
    (
        "bulge-size",
        [0.79, 0.81, 0.78, 0.84],
        [0.78, 0.81, 0.77, 0.84],
    ),
    (
        "how-rounded",
        [0.74, 0.79, 0.81, 0.93],
        [0.74, 0.79, 0.81, 0.93],
    ),
    (
        "edge-on-bulge",
        [0.82, 0.86, 0.83, 0.91],
        [0.81, 0.84, 0.75, 0.90],
    ),
    (
        "spiral-winding",
        [0.74, 0.77, 0.79, 0.78],
        [0.68, 0.73, 0.76, 0.79],
    ),
    (
        "spiral-arm-count",
        [0.44, 0.50, 0.50, 0.77],
        [0.41, 0.47, 0.44, 0.76],
    ),
    (
        "merging",
        [0.80, 0.81, 0.81, 0.88],
        [0.73, 0.71, 0.71, 0.85],
    ),
];
