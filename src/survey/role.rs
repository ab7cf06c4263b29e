//! What a supervised network did with a galaxy.

/// What a galaxy was to a network that was trained end to end, as the column `split` of its predictions says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The network was fitted to it: its prediction is better than one for a galaxy that the network never saw.
    Train,
    /// Never fitted to, but it decided which weights were kept.
    Validation,
    /// The network never saw it.
    Test,
}

impl Role {
    const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }

    /// The role of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    /// Its number where a table has only numbers: 0 and 1 as for [`Split`](super::Split) in embedding files.
    pub fn code(self) -> f64 {
        match self {
            Self::Train => 0.0,
            Self::Test => 1.0,
            Self::Validation => 2.0,
        }
    }

    /// The role of that number.
    pub fn from_code(code: f64) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.code() == code)
    }
}
