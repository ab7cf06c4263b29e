//! Why an estimate in a catalogue is to be doubted: bits of its column `flag`.

/// A bit of the column `flag`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flag {
    /// The embedding is unlike all that the estimator was fitted to.
    OutsideTraining,
    /// The estimate lies beyond the range of the training galaxies.
    BeyondRange,
    /// Much of the spectrum was not measured.
    FilledSpectrum,
    /// A band of the image was not observed.
    MissingBand,
    /// The density of the redshift has more than one peak.
    SeveralPeaks,
}

impl Flag {
    /// All of them, by their bits.
    pub const ALL: [Self; 5] = [
        Self::OutsideTraining,
        Self::BeyondRange,
        Self::FilledSpectrum,
        Self::MissingBand,
        Self::SeveralPeaks,
    ];

    /// Its bit.
    pub fn bit(self) -> i32 {
        1 << self as i32
    }

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::OutsideTraining => "outside_training",
            Self::BeyondRange => "beyond_range",
            Self::FilledSpectrum => "filled_spectrum",
            Self::MissingBand => "missing_band",
            Self::SeveralPeaks => "several_peaks",
        }
    }

    /// Names of the bits that are set; those of no known flag by their numbers.
    pub fn names_of(flag: i32) -> Vec<String> {
        let bits = (0..i32::BITS).filter(|bit| (flag >> bit) & 1 == 1);
        bits.map(|bit| match Self::ALL.get(bit as usize) {
            Some(known) => known.name().to_owned(),
            None => format!("bit {bit}"),
        })
        .collect()
    }
}
