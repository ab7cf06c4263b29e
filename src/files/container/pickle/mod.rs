//! Python's pickle format as plain data.
//!
//! Nothing is ever executed: a class or function is a name, and an object is the name of its class with
//! its arguments and state. Values live in one list and refer to each other by index, so that neither
//! deep nesting nor shared parts cost stack or memory.

mod instructions;
mod limits;
mod machine;
mod value;

pub(crate) use limits::MOST_BYTES;
pub(crate) use value::{Id, Object, Value};

use machine::Machine;

/// A parsed pickle.
#[derive(Debug)]
pub(crate) struct Pickle {
    values: Vec<Value>,
    root: Id,
}

impl Pickle {
    /// Parses the first pickle in `bytes`.
    ///
    /// # Errors
    ///
    /// Says what is wrong with it.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
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
    pub(crate) fn root(&self) -> Id {
        self.root
    }

    /// A value.
    pub(crate) fn value(&self, id: Id) -> &Value {
        &self.values[id.0 as usize]
    }

    /// Keys and values of a dictionary, also of one of a class such as `OrderedDict`.
    pub(crate) fn entries(&self, id: Id) -> &[(Id, Id)] {
        match self.value(id) {
            Value::Dict(entries) | Value::Object(Object { entries, .. }) => entries,
            _ => &[],
        }
    }

    /// Elements of a tuple or list.
    pub(crate) fn elements(&self, id: Id) -> &[Id] {
        match self.value(id) {
            Value::Sequence(elements) => elements,
            _ => &[],
        }
    }

    /// A text.
    pub(crate) fn text(&self, id: Id) -> Option<&str> {
        match self.value(id) {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A count.
    pub(crate) fn count(&self, id: Id) -> Option<usize> {
        match self.value(id) {
            Value::Int(value) => usize::try_from(*value).ok(),
            _ => None,
        }
    }

    /// A number.
    pub(crate) fn number(&self, id: Id) -> Option<f64> {
        match self.value(id) {
            Value::Int(value) => Some(*value as f64),
            Value::Float(value) => Some(*value),
            _ => None,
        }
    }

    /// Name of a class or function.
    pub(crate) fn global(&self, id: Id) -> Option<&str> {
        match self.value(id) {
            Value::Global(name) => Some(name),
            _ => None,
        }
    }

    /// The value under `key` of a dictionary, or of an object's state.
    pub(crate) fn get(&self, id: Id, key: &str) -> Option<Id> {
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
