//! Spectra of a Parquet file: nested lists on DESI's wavelengths, or structs of flux, wavelengths and what tells bad pixels.

use super::schema::{Kind, Leaf};
use super::shard::Shard;
use crate::base::error::Result;
use crate::files::data::options::Keys;
use crate::files::data::source::{StoredSpectra, Wavelengths};
use crate::survey::{DESI_GRID, Survey};

/// What stands for the wavelength of a pixel that is none.
const NO_WAVELENGTH: f64 = -1.0;

/// A column of spectra.
#[derive(Debug)]
pub(super) struct Spectra {
    pub flux: Leaf,
    /// Pixels of the longest.
    pixels: usize,
    /// What structs have beside the flux.
    beside: Option<Beside>,
}

#[derive(Debug)]
struct Beside {
    wavelengths: Leaf,
    /// Inverse variance: a pixel without any is bad.
    ivar: Option<Leaf>,
    /// Other than zero where a pixel is bad.
    mask: Option<Leaf>,
}

impl Spectra {
    /// Spectra in `column`, which the file must have; members that `keys` name stand instead of those of usual names.
    ///
    /// # Errors
    /// Where there are no numbers, or no wavelengths.
    pub fn open(
        shard: &Shard,
        column: &str,
        survey: &Survey,
        keys: &Keys,
    ) -> Result<(Self, Wavelengths)> {
        let refused = |message: String| shard.error(format!("column `{column}` {message}"));
        let member = |key: (&str, Option<&String>), names: &[&str], kinds: &[Kind]| {
            let leaf = match key {
                (flag, Some(name)) => Some(shard.named(flag, name)?),
                (_, None) => names
                    .iter()
                    .find_map(|name| shard.schema.leaf(&[column, name])),
            };
            match leaf {
                Some(leaf) if !kinds.contains(&leaf.kind()) || leaf.lists() == 0 => {
                    Err(shard.error(format!(
                        "column `{}` holds {:?} values in {} nested lists; expected numbers in a list for each galaxy",
                        leaf.name(),
                        leaf.kind(),
                        leaf.lists()
                    )))
                }
                leaf => Ok(leaf.cloned()),
            }
        };
        let nested = shard.schema.leaf(&[column]);
        let wavelengths = member(
            ("--wavelength-key", keys.wavelength.as_ref()),
            &["lambda", "wavelength", "wave"],
            &[Kind::Real],
        )?;
        let flux = match nested {
            Some(flux) if wavelengths.is_none() => return Self::open_nested(shard, flux),
            Some(flux) if flux.kind() == Kind::Real && flux.lists() > 0 => Some(flux.clone()),
            Some(_) => None,
            None => member(("", None), &["flux"], &[Kind::Real])?,
        };
        let (Some(flux), Some(wavelengths)) = (flux, wavelengths) else {
            return Err(refused(format!(
                "has the members {}; expected lists of floating-point numbers `flux` and `lambda` (Å), and `ivar` and \
                 `mask` where pixels can be bad",
                shard.schema.members_of(column)
            )));
        };
        let flags = [Kind::Logical, Kind::Byte, Kind::Integer, Kind::Real];
        let mut spectra = Self {
            flux,
            pixels: 0,
            beside: Some(Beside {
                wavelengths,
                ivar: member(("--ivar-key", keys.ivar.as_ref()), &["ivar"], &[Kind::Real])?,
                mask: member(("--mask-key", keys.mask.as_ref()), &["mask"], &flags)?,
            }),
        };
        let mut first = spectra.first_wavelengths(shard)?;
        if first.is_empty() {
            return Err(refused("has no spectrum in any row".to_owned()));
        }
        // Every row of one length, as those of DESI, is what the sum says; others are counted.
        let rows = shard.groups.rows() as u64;
        let is_even = shard.groups.values(&spectra.flux) == rows * first.len() as u64;
        spectra.pixels = match is_even && survey.wavelengths.matches(&first) {
            true => first.len(),
            false => spectra.longest(shard)?,
        };
        first.resize(spectra.pixels.max(first.len()), NO_WAVELENGTH);
        Ok((spectra, Wavelengths::per_row(&first)))
    }

    /// Nested lists, which come without wavelengths: DESI's.
    fn open_nested(shard: &Shard, flux: &Leaf) -> Result<(Self, Wavelengths)> {
        let refused = |message: String| shard.error(format!("column `{}` {message}", flux.name()));
        if flux.kind() != Kind::Real || flux.lists() == 0 {
            return Err(refused(
                "must hold lists of floating-point numbers, or structs of such lists (`flux`, `lambda`, `ivar`, \
                 `mask`)"
                    .to_owned(),
            ));
        }
        let mut pixels = 0;
        for row in 0..shard.groups.rows() {
            shard.for_rows(flux, &[(0, row)], |_, _, _, values| {
                pixels = values.len();
                Ok(())
            })?;
            if pixels > 0 {
                break;
            }
        }
        if pixels != DESI_GRID.len {
            return Err(refused(format!(
                "has {pixels} pixels; expected DESI's {}, where the file does not tell the wavelengths",
                DESI_GRID.len
            )));
        }
        let spectra = Self {
            flux: flux.clone(),
            pixels,
            beside: None,
        };
        Ok((spectra, Wavelengths::Shared(DESI_GRID.wavelengths())))
    }

    /// Whether pixels can be bad.
    pub fn has_flags(&self) -> bool {
        self.beside.is_some()
    }

    /// Wavelengths of the first row that has a spectrum.
    fn first_wavelengths(&self, shard: &Shard) -> Result<Vec<f64>> {
        let mut first = Vec::new();
        let Some(Beside { wavelengths, .. }) = &self.beside else {
            return Ok(first);
        };
        for row in 0..shard.groups.rows() {
            shard.for_rows_exact(wavelengths, &[(0, row)], |_, _, _, values| {
                first = values.to_vec();
                Ok(())
            })?;
            if !first.is_empty() {
                break;
            }
        }
        Ok(first)
    }

    /// Pixels of the longest spectrum, from the member that is the smallest to read.
    fn longest(&self, shard: &Shard) -> Result<usize> {
        let beside = self.beside.iter();
        let members = beside.flat_map(|beside| {
            let flags = beside.ivar.iter().chain(&beside.mask);
            flags.chain([&beside.wavelengths])
        });
        let smallest = members.min_by_key(|leaf| shard.groups.bytes(leaf));
        let (mut longest, mut length) = (0, 0);
        shard.scan(smallest.unwrap_or(&self.flux), |starts, _| {
            length = if starts { 1 } else { length + 1 };
            longest = longest.max(length);
        })?;
        Ok(longest)
    }

    pub fn read(
        &self,
        shard: &Shard,
        wanted: &[(usize, usize)],
        out: &mut StoredSpectra<'_>,
    ) -> Result<()> {
        let pixels = self.pixels;
        let Some(beside) = &self.beside else {
            return shard.for_rows(&self.flux, wanted, |position, _, _, values| {
                if values.len() != pixels {
                    return Err(format!(
                        "{} values where the first has {pixels}",
                        values.len()
                    ));
                }
                out.flux[position * pixels..][..pixels].copy_from_slice(values);
                Ok(())
            });
        };
        let StoredSpectra {
            flux,
            bad,
            wavelengths,
        } = out;
        let mut lengths = vec![0; flux.len() / pixels];
        shard.for_rows(&self.flux, wanted, |position, _, levels, values| {
            match values.len() {
                0 => return Err("there is no spectrum".to_owned()),
                more if more > pixels => {
                    return Err(format!("{more} values where the others have {pixels}"));
                }
                length => lengths[position] = length,
            }
            let bad = &mut bad[position * pixels..][..pixels];
            bad[values.len()..].fill(true);
            levels
                .missing(&self.flux)
                .for_each(|pixel| bad[pixel] = true);
            flux[position * pixels..][..values.len()].copy_from_slice(values);
            Ok(())
        })?;
        // Behind the flux of a shorter row all is bad already.
        let same_length = |position: usize, length: usize| match length == lengths[position] {
            true => Ok(()),
            false => Err(format!(
                "{length} values where `{}` has {}; each pixel needs one",
                self.flux.name(),
                lengths[position]
            )),
        };
        shard.for_rows_exact(&beside.wavelengths, wanted, |position, _, _, values| {
            same_length(position, values.len())?;
            let wavelengths = &mut wavelengths[position * pixels..][..pixels];
            wavelengths[..values.len()].copy_from_slice(values);
            wavelengths[values.len()..].fill(NO_WAVELENGTH);
            let bad = &mut bad[position * pixels..][..values.len()];
            for (bad, &wavelength) in bad.iter_mut().zip(values) {
                *bad |= wavelength.is_nan() || wavelength <= 0.0;
            }
            Ok(())
        })?;
        let mut flag = |leaf: &Leaf, is_bad: fn(f32) -> bool| {
            shard.for_rows(leaf, wanted, |position, _, _, values| {
                same_length(position, values.len())?;
                let bad = &mut bad[position * pixels..][..values.len()];
                for (bad, &value) in bad.iter_mut().zip(values) {
                    *bad |= is_bad(value);
                }
                Ok(())
            })
        };
        if let Some(mask) = &beside.mask {
            flag(mask, |mask| mask != 0.0)?;
        }
        if let Some(ivar) = &beside.ivar {
            flag(ivar, |ivar| !ivar.is_finite() || ivar <= 0.0)?;
        }
        Ok(())
    }
}
