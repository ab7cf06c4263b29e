//! Cutouts and coadds in FITS files.

use std::path::Path;

use ndarray::s;

use super::{open_one, refusal};
use crate::survey::{DESI_GRID, Modality};

/// A FITS file, HDU by HDU.
#[derive(Default)]
struct Fits {
    bytes: Vec<u8>,
}

impl Fits {
    /// Adds a HDU: header cards as `KEY = value`, then its data.
    fn hdu(mut self, cards: &[String], data: &[u8]) -> Self {
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
    fn image(self, name: &str, bitpix: i32, axes: &[usize], data: &[u8]) -> Self {
        let mut cards = vec!["XTENSION = 'IMAGE   '".to_owned()];
        cards.extend(image_cards(bitpix, axes));
        cards.extend(["PCOUNT = 0".into(), "GCOUNT = 1".into()]);
        cards.push(format!("EXTNAME = '{name}'"));
        self.hdu(&cards, data)
    }

    /// An extension that holds a table of (name, form).
    fn table(self, name: &str, fields: &[(&str, &str)], row: usize, data: &[u8]) -> Self {
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

    fn write(self, path: &Path) {
        std::fs::write(path, self.bytes).unwrap();
    }
}

fn image_cards(bitpix: i32, axes: &[usize]) -> Vec<String> {
    let mut cards = vec![
        format!("BITPIX = {bitpix}"),
        format!("NAXIS = {}", axes.len()),
    ];
    let axes = axes.iter().enumerate();
    cards.extend(axes.map(|(axis, length)| format!("NAXIS{} = {length}", axis + 1)));
    cards
}

fn floats(values: impl IntoIterator<Item = f32>) -> Vec<u8> {
    values.into_iter().flat_map(f32::to_be_bytes).collect()
}

/// Pixels of the arms' ends on DESI's grid: B and R overlap, and so do R and Z.
const ARMS: [(&str, usize, usize); 3] = [("B", 0, 2751), ("R", 2700, 5026), ("Z", 4900, 7781)];

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
        "1 masked pixels (0.01 %)",
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
