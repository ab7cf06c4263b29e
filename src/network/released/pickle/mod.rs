//! Python's pickle format as plain data.
//!
//! Nothing is ever executed: a class or function is a name, and an object is the name of its class with
//! its arguments and state. Values live in one list and refer to each other by index, so that neither
//! deep nesting nor shared parts cost stack or memory.

mod instructions;
mod limits;
mod machine;
mod value;

pub(super) use limits::MOST_BYTES;
pub(super) use value::{Id, Object, Value};

use machine::Machine;

/// A parsed pickle.
#[derive(Debug)]
pub(super) struct Pickle {
    values: Vec<Value>,
    root: Id,
}

impl Pickle {
    /// Parses the first pickle in `bytes`.
    ///
    /// # Errors
    ///
    /// Says what is wrong with it.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > MOST_BYTES {
            return Err(format!(
                "its pickle has {} bytes; at most {MOST_BYTES} are read",
                bytes.len()
            ));
        }
        let mut machine = Machine::new(bytes);
        let root = machine
            .run()
            .map_err(|what| format!("its pickle is damaged at byte {}: {what}", machine.at()))?;
        Ok(Self {
            values: machine.into_values(),
            root,
        })
    }

    /// The value that was pickled.
    pub(super) fn root(&self) -> Id {
        self.root
    }

    /// A value.
    pub(super) fn value(&self, id: Id) -> &Value {
        &self.values[id.0 as usize]
    }

    /// Keys and values of a dictionary, also of one of a class such as `OrderedDict`.
    pub(super) fn entries(&self, id: Id) -> &[(Id, Id)] {
        match self.value(id) {
            Value::Dict(entries) | Value::Object(Object { entries, .. }) => entries,
            _ => &[],
        }
    }

    /// Elements of a tuple or list.
    pub(super) fn elements(&self, id: Id) -> &[Id] {
        match self.value(id) {
            Value::Sequence(elements) => elements,
            _ => &[],
        }
    }

    /// A text.
    pub(super) fn text(&self, id: Id) -> Option<&str> {
        match self.value(id) {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A count.
    pub(super) fn count(&self, id: Id) -> Option<usize> {
        match self.value(id) {
            Value::Int(value) => usize::try_from(*value).ok(),
            _ => None,
        }
    }

    /// A number.
    pub(super) fn number(&self, id: Id) -> Option<f64> {
        match self.value(id) {
            Value::Int(value) => Some(*value as f64),
            Value::Float(value) => Some(*value),
            _ => None,
        }
    }

    /// Name of a class or function.
    pub(super) fn global(&self, id: Id) -> Option<&str> {
        match self.value(id) {
            Value::Global(name) => Some(name),
            _ => None,
        }
    }

    /// The value under `key` of a dictionary, or of an object's state.
    pub(super) fn get(&self, id: Id, key: &str) -> Option<Id> {
        let of = |id: Id| {
            let found = |(name, _): &&(Id, Id)| self.text(*name) == Some(key);
            self.entries(id)
                .iter()
                .rev()
                .find(found)
                .map(|(_, value)| *value)
        };
        of(id).or_else(|| match self.value(id) {
            Value::Object(object) => object.state.and_then(of),
            _ => None,
        })
    }
}
