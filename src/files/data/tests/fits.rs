//! Cutouts and coadds in FITS files.

use std::io::Write;
use std::path::Path;

use flate2::{Compression, write::GzEncoder};
use ndarray::s;

use super::{open_one, refusal};
use crate::survey::{DESI_GRID, Modality};

/// A FITS file, HDU by HDU.
#[derive(Default)]
pub(super) struct Fits {
    pub(super) bytes: Vec<u8>,
}

impl Fits {
    /// Adds a HDU: header cards as `KEY = value`, then its data.
    pub(super) fn hdu(mut self, cards: &[String], data: &[u8]) -> Self {
        let start = match self.bytes.is_empty() {
            true => "SIMPLE  =                    T".to_owned(),
            false => String::new(),
        };
        let first = (!start.is_empty()).then_some(start);
        for card in first.iter().chain(cards) {
            let (key, value) = card.split_once('=').unwrap();
            let line = format!("{:<8}= {:>20}", key.trim(), value.trim());
            self.bytes.extend(format!("{line:<80}").as_bytes());
        }
        self.bytes.extend(format!("{:<80}", "END").as_bytes());
        self.pad(b' ');
        self.bytes.extend(data);
        self.pad(0);
        self
    }

    fn pad(&mut self, with: u8) {
        self.bytes
            .resize(self.bytes.len().next_multiple_of(2880), with);
    }

    /// An extension that holds an image.
    pub(super) fn image(self, name: &str, bitpix: i32, axes: &[usize], data: &[u8]) -> Self {
        let mut cards = vec!["XTENSION = 'IMAGE   '".to_owned()];
        cards.extend(image_cards(bitpix, axes));
        cards.extend(["PCOUNT = 0".into(), "GCOUNT = 1".into()]);
        cards.push(format!("EXTNAME = '{name}'"));
        self.hdu(&cards, data)
    }

    /// An extension that holds a table of (name, form).
    pub(super) fn table(
        self,
        name: &str,
        fields: &[(&str, &str)],
        row: usize,
        data: &[u8],
    ) -> Self {
        let mut cards = vec!["XTENSION = 'BINTABLE'".to_owned()];
        cards.extend(image_cards(8, &[row, data.len() / row]));
        cards.extend(["PCOUNT = 0".into(), "GCOUNT = 1".into()]);
        cards.push(format!("TFIELDS = {}", fields.len()));
        for (number, (field, form)) in fields.iter().enumerate() {
            cards.push(format!("TTYPE{} = '{field}'", number + 1));
            cards.push(format!("TFORM{} = '{form}'", number + 1));
        }
        cards.push(format!("EXTNAME = '{name}'"));
        self.hdu(&cards, data)
    }

    pub(super) fn write(self, path: &Path) {
        std::fs::write(path, self.bytes).unwrap();
    }
}

pub(super) fn image_cards(bitpix: i32, axes: &[usize]) -> Vec<String> {
    let mut cards = vec![
        format!("BITPIX = {bitpix}"),
        format!("NAXIS = {}", axes.len()),
    ];
    let axes = axes.iter().enumerate();
    cards.extend(axes.map(|(axis, length)| format!("NAXIS{} = {length}", axis + 1)));
    cards
}

pub(super) fn floats(values: impl IntoIterator<Item = f32>) -> Vec<u8> {
    values.into_iter().flat_map(f32::to_be_bytes).collect()
}

/// Pixels of the arms' ends on DESI's grid: B and R overlap, and so do R and Z.
pub(super) const ARMS: [(&str, usize, usize); 3] =
    [("B", 0, 2751), ("R", 2700, 5026), ("Z", 4900, 7781)];

/// Four fibres: a target with flux 1 in B and 4 in R and a masked pixel, the sky, one without light, a
/// target that Redrock warns of.
fn write_coadd(folder: &Path) {
    let rows: i64 = 4;
    let mut fibres = Vec::new();
    let mut redshifts = Vec::new();
    for row in 0..rows {
        fibres.extend((1000 + row).to_be_bytes());
        fibres.extend(if row == 1 { b"SKY" } else { b"TGT" });
        fibres.extend(0_i32.to_be_bytes());
        redshifts.extend((1000 + row).to_be_bytes());
        redshifts.extend((0.1 * row as f64 + 0.25).to_be_bytes());
        redshifts.extend((if row == 3 { 4_i64 } else { 0 }).to_be_bytes());
    }
    let fields = [
        ("TARGETID", "K"),
        ("OBJTYPE", "3A"),
        ("COADD_FIBERSTATUS", "J"),
    ];
    let mut coadd = Fits::default()
        .hdu(&image_cards(8, &[]), &[])
        .table("FIBERMAP", &fields, 15, &fibres);
    for (arm, start, end) in ARMS {
        let pixels = end - start;
        let waves = (start..end).map(|pixel| DESI_GRID.wavelength(pixel));
        let waves: Vec<u8> = waves.flat_map(f64::to_be_bytes).collect();
        let level = match arm {
            "R" => 4.0,
            _ => 1.0,
        };
        let flux = (0..4 * pixels).map(|at| if at / pixels == 2 { 0.0 } else { level });
        let ivar = (0..4 * pixels).map(|_| if arm == "R" { 3.0 } else { 1.0 });
        let mut mask = vec![0_i32; 4 * pixels];
        if arm == "B" {
            mask[10] = 1;
        }
        let mask: Vec<u8> = mask.into_iter().flat_map(i32::to_be_bytes).collect();
        let name = |what: &str| format!("{arm}_{what}");
        coadd = coadd
            .image(&name("WAVELENGTH"), -64, &[pixels], &waves)
            .image(&name("FLUX"), -32, &[pixels, 4], &floats(flux))
            .image(&name("IVAR"), -32, &[pixels, 4], &floats(ivar))
            .image(&name("MASK"), 32, &[pixels, 4], &mask);
    }
    coadd.write(&folder.join("coadd-main-dark-1.fits"));
    let fields = [("TARGETID", "K"), ("Z", "D"), ("ZWARN", "K")];
    Fits::default()
        .hdu(&image_cards(8, &[]), &[])
        .table("REDSHIFTS", &fields, 24, &redshifts)
        .write(&folder.join("redrock-main-dark-1.fits"));
}

#[test]
fn arms_of_a_coadd_are_merged_by_inverse_variance() {
    let folder = tempfile::tempdir().unwrap();
    write_coadd(folder.path());
    // The redshifts are no survey file of their own.
    let data = open_one(folder.path());
    let labels = data.labels(0..data.len()).unwrap();
    assert_eq!(labels.object_id, [1000, 1003]);
    assert_eq!(labels.redshift[0], 0.25);
    assert!(labels.redshift[1].is_nan(), "Redrock warns of it");
    let notes = &data.describe().files[0].notes;
    let expected = [
        "left out 1 fibres on the sky, 1 spectra without any signal of 4 rows",
        "masked pixels: 0.02 % in B, 0.00 % in R, 0.00 % in Z",
    ];
    assert_eq!(*notes, expected);
    let spectra = data.spectra(&[0]).unwrap();
    let at = |pixel: usize| spectra[[0, pixel]];
    // (1 · 1 + 3 · 4) / (1 + 3) where two arms overlap.
    let overlap = 3.25;
    for (pixel, expected) in [
        (0, 1.0),
        (10, 1.0),
        (2699, 1.0),
        (2700, overlap),
        (2750, overlap),
        (2751, 4.0),
        (4899, 4.0),
        (4900, overlap),
        (5025, overlap),
        (5026, 1.0),
        (7780, 1.0),
    ] {
        assert_eq!(at(pixel), expected, "pixel {pixel}");
    }
}

#[test]
fn targets_of_a_coadd_may_be_unsigned_and_the_file_compressed() {
    let folder = tempfile::tempdir().unwrap();
    write_coadd(folder.path());
    let plain = folder.path().join("coadd-main-dark-1.fits");
    let mut bytes = std::fs::read(&plain).unwrap();
    // A card of FIBERMAP that says nothing, and the rows behind its header.
    let card = bytes.windows(6).position(|key| key == b"GCOUNT").unwrap();
    let offset = format!("{:<80}", "TZERO1  = 9223372036854775808");
    bytes[card..][..80].copy_from_slice(offset.as_bytes());
    for row in 0..4 {
        bytes[2 * 2880 + 15 * row] ^= 0x80;
    }
    std::fs::remove_file(&plain).unwrap();
    let packed = std::fs::File::create(plain.with_extension("fits.gz")).unwrap();
    let mut packer = GzEncoder::new(packed, Compression::fast());
    packer.write_all(&bytes).unwrap();
    packer.finish().unwrap();

    let data = open_one(folder.path());
    let labels = data.labels(0..data.len()).unwrap();
    assert_eq!(labels.object_id, [1000, 1003]);
    assert_eq!(labels.redshift[0], 0.25, "from the file beside");
    assert!(data.describe().files[0].groups[0].compressed);
}

#[test]
fn a_cutout_is_read_by_the_bands_that_its_header_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cutout_39627788403084375.fits");
    // Stored z, r, g, of 5 by 6 pixels; r is missing in a second file.
    let write = |path: &Path, r: f32| {
        let mut cards = image_cards(-32, &[6, 5, 3]);
        cards.push("BANDS = 'zrg'".into());
        cards.push("CD2_2 = 7.2777E-05".into());
        let band = |index: usize| match index / 30 {
            0 => 300.0,
            1 => r,
            _ => 100.0,
        };
        let values = (0..90).map(|index| band(index) * (1.0 + (index % 30) as f32));
        Fits::default().hdu(&cards, &floats(values)).write(path);
    };
    write(&path, 200.0);
    let data = open_one(&path);
    assert_eq!(
        data.labels(0..1).unwrap().object_id,
        [39_627_788_403_084_375]
    );
    assert!(!data.has(Modality::Spectrum));
    let image = data.images(&[0]).unwrap();
    // The middle five columns; g, r, z.
    assert_eq!(image.dim(), (1, 3, 5, 5));
    assert_eq!(image.slice(s![0, .., 0, 0]).to_vec(), [100.0, 200.0, 300.0]);
    assert_eq!(image[[0, 1, 2, 3]], 200.0 * (1.0 + 2.0 * 6.0 + 3.0));

    write(&path, 0.0);
    let message = open_one(&path).images(&[0]).unwrap_err().to_string();
    assert!(
        message.contains("nothing but zeros in band r (100 % of its pixels)"),
        "{message}"
    );

    let table = folder.path().join("table.fits");
    Fits::default()
        .hdu(&image_cards(8, &[]), &[])
        .table("T", &[("A", "K")], 8, &[0; 16])
        .write(&table);
    assert!(refusal(&table).contains("FITS file without an image of galaxies"));
}

/// The path of a cutout of three bands with these header cards, filled by `pixel`.
fn write_cutout(path: &Path, bitpix: i32, cards: &[&str], data: &[u8]) {
    let mut all = image_cards(bitpix, &[4, 4, 3]);
    all.extend(cards.iter().map(|card| (*card).to_owned()));
    Fits::default().hdu(&all, data).write(path);
}

#[test]
fn names_are_identifiers_and_numbers_in_them_only_where_they_are_no_coordinates() {
    let folder = tempfile::tempdir().unwrap();
    let id = |name: &str| {
        let path = folder.path().join(name);
        write_cutout(&path, -32, &[], &floats((0..48).map(|i| 0.1 + i as f32)));
        open_one(&path).labels(0..1).unwrap().object_id[0].to_string()
    };
    for (name, expected) in [
        ("39627788403084375.fits", "39627788403084375"),
        ("cutout_39627788403084375.fits.fz", "39627788403084375"),
        ("39627788403084375_grz.fits", "39627788403084375"),
        ("J112953.88-000427.4.fits", "J112953.88-000427.4"),
        (
            "cutout_187.3119321_12.9783123.fits",
            "cutout_187.3119321_12.9783123",
        ),
        ("cutout_1873119_129783.fits", "cutout_1873119_129783"),
        ("J112953_000427.fits", "J112953_000427"),
        ("galaxy7.fits", "galaxy7"),
    ] {
        assert_eq!(id(name), expected, "{name}");
    }
}

#[test]
fn pixels_are_measured_in_any_frame() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.fits");
    let notes = |cards: &[&str]| {
        write_cutout(&path, -32, cards, &floats((0..48).map(|i| 0.1 + i as f32)));
        open_one(&path).describe().files[0].notes.clone()
    };
    // 0.262 arcsec: turned by 90°, with CDELT and PC turned by 30°, one axis alone.
    let none: [&str; 0] = [];
    assert_eq!(
        notes(&[
            "CD1_1 = 0.0",
            "CD1_2 = 7.2777E-5",
            "CD2_1 = 7.2777E-5",
            "CD2_2 = 0.0"
        ]),
        none
    );
    let turned = [
        "CDELT1 = -7.2777E-5",
        "CDELT2 = 7.2777E-5",
        "PC1_1 = 0.8660254",
        "PC1_2 = -0.5",
        "PC2_1 = 0.5",
        "PC2_2 = 0.8660254",
    ];
    assert_eq!(notes(&turned), none);
    assert_eq!(notes(&["CD2_2 = 7.2777E-5"]), none);
    assert_eq!(
        notes(&["CDELT1 = -1.45556E-4", "CDELT2 = 1.45556E-4"]),
        ["pixels of 0.524 arcsec; survey.pixel_scale is 0.262"]
    );
    assert_eq!(
        notes(&["CD1_1 = -7.5E-5", "CD2_2 = 7.062E-5"]),
        ["pixels are not square: 0.270 by 0.254 arcsec"]
    );
}

#[test]
fn pictures_of_eight_bits_are_refused_and_integers_noted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.fits");
    let bytes: Vec<u8> = (0..48).collect();
    write_cutout(&path, 8, &[], &bytes);
    let message = refusal(&path);
    assert!(
        message.contains("8-bit pictures") && message.contains("fits-cutout?ra="),
        "{message}"
    );
    // Fluxes that were scaled to bytes are fluxes.
    write_cutout(&path, 8, &["BSCALE = 0.01", "BZERO = -0.1"], &bytes);
    let image = open_one(&path).images(&[0]).unwrap();
    assert_eq!(image[[0, 0, 1, 1]], (0.01 * 5.0 - 0.1) as f32);
    let counts: Vec<u8> = (0..48_i16)
        .flat_map(|value| (300 * value).to_be_bytes())
        .collect();
    write_cutout(&path, 16, &[], &counts);
    let notes = open_one(&path).describe().files[0].notes.clone();
    assert!(notes[0].contains("pixels are integers"), "{notes:?}");
}

#[test]
fn a_filter_that_is_described_at_length_is_one_band() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.fits");
    let bands = |cards: &[&str]| {
        write_cutout(&path, -32, cards, &floats((0..48).map(|i| 0.1 + i as f32)));
        open_one(&path).describe().files[0].bands.clone()
    };
    assert_eq!(bands(&["BANDS = 'grz'"]), ["g", "r", "z"]);
    assert_eq!(
        bands(&["FILTER = 'DES-z,DES-r,DES-g'"]),
        ["DES-z", "DES-r", "DES-g"]
    );
    let one = ["BAND0 = 'z'", "BAND1 = 'g'", "BAND2 = 'r'"];
    assert_eq!(bands(&one), ["z", "g", "r"]);
    let image = open_one(&path).images(&[0]).unwrap();
    assert_eq!(image.slice(s![0, .., 0, 0]).to_vec(), [16.1, 32.1, 0.1]);
}

#[test]
fn images_without_pixels_and_larger_than_the_file_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.fits");
    for (axes, expected) in [
        ([4, 0, 3], "images of 0 x 4 pixels"),
        ([0, 4, 3], "images of 4 x 0 pixels"),
        ([400_000_000, 400_000_000, 3], "HDU `PRIMARY` is cut short"),
    ] {
        let pixels = floats([1.0; 48]);
        for groups in [1, 0] {
            let mut cards = image_cards(-32, &axes);
            cards.push(format!("GCOUNT = {groups}"));
            Fits::default().hdu(&cards, &pixels).write(&path);
            let message = refusal(&path);
            assert!(message.contains(expected), "{message}");
        }
    }
    for shape in [[2, 3, 0, 4], [2, 4, 0, 3], [2, 3, 0, 0]] {
        let file = hdf5::File::create(&path).unwrap();
        let images = file.new_dataset::<f32>().shape(shape);
        images.create("images").unwrap();
        drop(file);
        let message = refusal(&path);
        assert!(message.contains("pixels, which are none"), "{message}");
    }
}
