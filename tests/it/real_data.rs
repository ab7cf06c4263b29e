//! The readers on real observations, for `scripts/check_real_data`: the folder comes from `ASTROCLIP_REAL_DATA`.

use std::path::{Path, PathBuf};

use astroclip::files::data::{self, Dataset, ReadOptions};
use astroclip::survey::Survey;

fn open(path: PathBuf) -> Dataset {
    data::open(&[path], &Survey::default(), &ReadOptions::default()).expect("a survey")
}

/// The coadds against `desi_spectra_real.h5`, which another program stitched together from the same files.
///
/// Both hold the mean of the arms by inverse variance where they overlap, one sum in 64 bits and one in 32:
/// they differ by the rounding of 32-bit numbers. Pixels without any weight are interpolated here and anything
/// there; `ivar` of the stitched file tells them.
#[test]
#[ignore = "needs real observations: scripts/check_real_data"]
fn coadds_equal_the_stitched_spectra_where_both_are_good() {
    let folder =
        std::env::var_os("ASTROCLIP_REAL_DATA").expect("ASTROCLIP_REAL_DATA names the folder");
    let folder = Path::new(&folder);
    let stitched_path = folder.join("desi_spectra_real.h5");
    let ivar: ndarray::Array2<f32> = hdf5::File::open(&stitched_path)
        .and_then(|file| file.dataset("ivar")?.read_2d())
        .expect("ivar");
    let stitched = open(stitched_path);
    let ids = stitched
        .labels(0..stitched.len())
        .expect("labels")
        .object_id;
    let mut compared = 0;
    for name in [
        "coadd-4-80613-thru20210324.fits",
        "coadd-sv3-dark-26065.fits",
    ] {
        let coadd = open(folder.join(name));
        let labels = coadd.labels(0..coadd.len()).expect("labels");
        for (row, id) in labels.object_id.iter().enumerate() {
            let Some(other) = ids.iter().position(|other| other == id) else {
                continue;
            };
            let ours = coadd.spectra(&[row]).expect("a spectrum");
            let theirs = stitched.spectra(&[other]).expect("a spectrum");
            let good = |pixel: &usize| ivar[[other, *pixel]] > 0.0;
            let close = |pixel: &usize| {
                let (ours, theirs) = (ours[[0, *pixel]], theirs[[0, *pixel]]);
                (ours - theirs).abs() <= 1e-6 * theirs.abs().max(0.1)
            };
            let pixels: Vec<usize> = (0..ours.ncols()).filter(good).collect();
            let same = pixels.iter().copied().filter(close).count();
            println!("{name} {id}: {same} of {} pixels agree", pixels.len());
            assert_eq!(same, pixels.len(), "{name}, target {id}");
            compared += 1;
        }
    }
    assert!(compared >= 2, "{compared} targets are in both");
}
