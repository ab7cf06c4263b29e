//! SVG drawings as PNG pictures.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};

use crate::base::error::{Error, Result};
use crate::base::output::write_whole;

/// Pixels of a picture per CSS pixel of the drawing: sharp in print and on dense screens.
const SCALE: f32 = 2.0;

/// Bytes in which an SVG file says what it is.
const START: u64 = 4096;

/// Typefaces without serifs, the best first.
const PREFERRED: [&str; 4] = ["DejaVu Sans", "Liberation Sans", "Helvetica", "Arial"];

/// The fonts of this machine, looked up once.
static FONTS: LazyLock<Arc<fontdb::Database>> = LazyLock::new(|| {
    let mut fonts = fontdb::Database::new();
    fonts.load_system_fonts();
    let families: Vec<String> = fonts
        .faces()
        .filter_map(|face| Some(face.families.first()?.0.clone()))
        .collect();
    let usual = PREFERRED.iter().copied().map(str::to_owned);
    // Whatever there is, where there is none of the usual.
    let family = usual.chain(families.first().cloned());
    if let Some(family) = family.into_iter().find(|name| families.contains(name)) {
        fonts.set_sans_serif_family(family);
    }
    Arc::new(fonts)
});

/// What a drawing is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PictureFormat {
    Svg,
    Png,
}

impl PictureFormat {
    fn of(path: &Path) -> Result<Self> {
        let ending = path.extension().unwrap_or_default().to_ascii_lowercase();
        match ending.to_str() {
            Some("svg") => Ok(Self::Svg),
            Some("png") => Ok(Self::Png),
            _ => Err(Error::input("a picture's name must end in .png or .svg").in_file(path)),
        }
    }
}

/// Writes an SVG drawing to `path`, whole or not at all: as it is, or as PNG, as the name ends.
///
/// # Errors
/// [`Error::input`] where the name ends otherwise, [`Error::run`] where the file cannot be written.
pub fn write_drawing(svg: &str, path: &Path) -> Result<()> {
    match PictureFormat::of(path)? {
        PictureFormat::Svg => write_whole(path, svg.as_bytes()),
        PictureFormat::Png => write_whole(path, &png(svg)?),
    }
}

/// Whether a picture can be called so.
///
/// # Errors
/// [`Error::input`] for a name that [`write_drawing`] would refuse.
pub fn check_picture_name(path: &Path) -> Result<()> {
    PictureFormat::of(path).map(drop)
}

/// Whether a file is a picture of the format that its name asks for.
pub fn is_drawing(path: &Path) -> bool {
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(START).read_to_end(&mut start));
    read.is_ok()
        && match PictureFormat::of(path) {
            Ok(PictureFormat::Svg) => start.windows(4).any(|word| word == b"<svg"),
            Ok(PictureFormat::Png) => start.starts_with(b"\x89PNG"),
            Err(_) => false,
        }
}

/// An SVG drawing as PNG.
///
/// # Errors
/// [`Error::run`] where it cannot be drawn.
pub fn png(svg: &str) -> Result<Vec<u8>> {
    let failed = |source: &dyn std::fmt::Display| {
        Error::run(format!("a drawing cannot become a picture: {source}"))
    };
    let options = Options {
        fontdb: Arc::clone(&FONTS),
        font_family: "sans-serif".into(),
        ..Options::default()
    };
    if FONTS.is_empty() {
        tracing::warn!("this machine has no fonts: pictures lack their text; write .svg instead");
    }
    let tree = Tree::from_str(svg, &options).map_err(|source| failed(&source).caused_by(source))?;
    let size = tree.size();
    let side = |length: f32| (length * SCALE).ceil() as u32;
    let mut pixels = Pixmap::new(side(size.width()), side(size.height()))
        .ok_or_else(|| failed(&"it has no size"))?;
    let scale = Transform::from_scale(SCALE, SCALE);
    resvg::render(&tree, scale, &mut pixels.as_mut());
    pixels
        .encode_png()
        .map_err(|source| failed(&source).caused_by(source))
}
