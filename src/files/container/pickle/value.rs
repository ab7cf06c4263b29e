//! Python values, which refer to each other by index.

/// Place of a value in a [`Pickle`](super::Pickle).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Id(pub(super) u32);

/// A Python value; one of a kind that no reader asks for is [`Value::Opaque`].
#[derive(Debug)]
pub(crate) enum Value {
    None,
    Bool,
    Int(i64),
    Float(f64),
    Text(String),
    /// A tuple, list or set.
    Sequence(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// A class or function by its dotted name.
    Global(String),
    Object(Object),
    /// A reference to data outside of the pickle.
    Persistent(Id),
    Opaque,
}

/// An instance of a class, or the result of a function, that was not called.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) class: Id,
    pub(crate) arguments: Id,
    pub(super) state: Option<Id>,
    pub(super) entries: Vec<(Id, Id)>,
}
