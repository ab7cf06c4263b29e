//! Python's pickle format as plain data.
//!
//! Nothing is ever executed: a class or function is a name, and an object is the name of its class with
//! its arguments and state. Values live in one list and refer to each other by index, so that neither
//! deep nesting nor shared parts cost stack or memory.

use std::collections::HashMap;

/// Largest pickle that is read, bytes. That of the released AstroCLIP model has less than one million.
pub(super) const MOST_BYTES: usize = 16 << 20;
/// Largest number of values in a pickle, and of entries of the stack, of its marks and of the memo, which
/// one byte each can grow.
const MOST_VALUES: usize = 1 << 20;

/// Place of a value in a [`Pickle`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Id(u32);

/// A Python value; what no weights file needs is [`Value::Opaque`].
#[derive(Debug)]
pub(super) enum Value {
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
pub(super) struct Object {
    pub(super) class: Id,
    pub(super) arguments: Id,
    state: Option<Id>,
    entries: Vec<(Id, Id)>,
}

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
        let mut machine = Machine {
            bytes,
            at: 0,
            values: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
        };
        let root = machine
            .run()
            .map_err(|what| format!("its pickle is damaged at byte {}: {what}", machine.at))?;
        Ok(Self {
            values: machine.values,
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

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    values: Vec<Value>,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
}

impl<'a> Machine<'a> {
    /// Runs to the STOP instruction. The instructions are those of Python's `pickletools`, protocols 0
    /// to 5.
    fn run(&mut self) -> Result<Id, String> {
        loop {
            let instruction = self.byte()?;
            match instruction {
                b'.' => return self.pop(),
                // PROTO and FRAME tell nothing that is needed.
                0x80 => _ = self.byte()?,
                0x95 => _ = self.take(8)?,
                b'(' => {
                    within_limit(self.marks.len(), "marks")?;
                    self.marks.push(self.stack.len());
                }
                b'0' => match self.marks.last() {
                    Some(&mark) if mark == self.stack.len() => _ = self.marks.pop(),
                    _ => _ = self.pop()?,
                },
                b'1' => _ = self.pop_mark()?,
                b'2' => {
                    let top = self.top()?;
                    self.stack(top)?;
                }

                b'N' => self.push(Value::None)?,
                0x88 => self.push(Value::Bool)?,
                0x89 => self.push(Value::Bool)?,
                b'I' | b'L' => {
                    let line = self.line()?;
                    let value = match line {
                        "00" => Value::Bool,
                        "01" => Value::Bool,
                        line => line
                            .trim_end_matches('L')
                            .parse()
                            .map_or(Value::Opaque, Value::Int),
                    };
                    self.push(value)?;
                }
                b'J' => {
                    let value = i32::from_le_bytes(self.array()?);
                    self.push(Value::Int(value.into()))?;
                }
                b'K' => {
                    let value = self.byte()?;
                    self.push(Value::Int(value.into()))?;
                }
                b'M' => {
                    let value = u16::from_le_bytes(self.array()?);
                    self.push(Value::Int(value.into()))?;
                }
                0x8a => {
                    let length = self.byte()?.into();
                    self.long(length)?;
                }
                0x8b => {
                    let length = self.length(4)?;
                    self.long(length)?;
                }
                b'F' => {
                    let value = self.line()?.parse().map_or(Value::Opaque, Value::Float);
                    self.push(value)?;
                }
                b'G' => {
                    let value = f64::from_be_bytes(self.array()?);
                    self.push(Value::Float(value))?;
                }

                b'S' | b'V' => {
                    let text = self.line()?.trim_matches(['\'', '"']).to_owned();
                    self.push(Value::Text(text))?;
                }
                b'U' | 0x8c => self.text(1)?,
                b'T' | b'X' => self.text(4)?,
                0x8d => self.text(8)?,
                b'C' => self.skipped(1)?,
                b'B' => self.skipped(4)?,
                0x8e | 0x96 => self.skipped(8)?,

                b')' | b']' | 0x8f => self.push(Value::Sequence(Vec::new()))?,
                b't' | b'l' | 0x91 => {
                    let elements = self.pop_mark()?;
                    self.push(Value::Sequence(elements))?;
                }
                0x85..=0x87 => {
                    let from = self.below(usize::from(instruction - 0x84))?;
                    let elements = self.stack.split_off(from);
                    self.push(Value::Sequence(elements))?;
                }
                b'a' => {
                    let element = self.pop()?;
                    self.extend(&[element])?;
                }
                b'e' | 0x90 => {
                    let elements = self.pop_mark()?;
                    self.extend(&elements)?;
                }
                b'}' => self.push(Value::Dict(Vec::new()))?,
                b'd' => {
                    let elements = self.pop_mark()?;
                    self.push(Value::Dict(Vec::new()))?;
                    self.insert(&elements)?;
                }
                b's' => {
                    let from = self.below(2)?;
                    let elements = self.stack.split_off(from);
                    self.insert(&elements)?;
                }
                b'u' => {
                    let elements = self.pop_mark()?;
                    self.insert(&elements)?;
                }

                b'g' => {
                    let key = self.line()?.parse().map_err(|_| "a bad memo key")?;
                    self.recall(key)?;
                }
                b'h' => {
                    let key = self.byte()?.into();
                    self.recall(key)?;
                }
                b'j' => {
                    let key = u32::from_le_bytes(self.array()?).into();
                    self.recall(key)?;
                }
                b'p' => {
                    let key = self.line()?.parse().map_err(|_| "a bad memo key")?;
                    self.remember(key)?;
                }
                b'q' => {
                    let key = self.byte()?.into();
                    self.remember(key)?;
                }
                b'r' => {
                    let key = u32::from_le_bytes(self.array()?).into();
                    self.remember(key)?;
                }
                0x94 => self.remember(self.memo.len() as u64)?,

                b'c' => {
                    let name = format!("{}.{}", self.line()?, self.line()?);
                    self.push(Value::Global(name))?;
                }
                0x93 => {
                    let (name, module) = (self.pop()?, self.pop()?);
                    let text = |id: Id| match &self.values[id.0 as usize] {
                        Value::Text(text) => Ok(text),
                        _ => Err("a class whose name is no text"),
                    };
                    let name = format!("{}.{}", text(module)?, text(name)?);
                    self.push(Value::Global(name))?;
                }
                b'R' | 0x81 => {
                    let (arguments, class) = (self.pop()?, self.pop()?);
                    self.object(class, arguments)?;
                }
                0x92 => {
                    let (_, arguments, class) = (self.pop()?, self.pop()?, self.pop()?);
                    self.object(class, arguments)?;
                }
                b'o' | b'i' => {
                    let mut elements = self.pop_mark()?;
                    let class = match instruction {
                        b'i' => {
                            let name = format!("{}.{}", self.line()?, self.line()?);
                            self.push(Value::Global(name))?;
                            self.pop()?
                        }
                        _ if elements.is_empty() => return Err("an object without a class".into()),
                        _ => elements.remove(0),
                    };
                    self.push(Value::Sequence(elements))?;
                    let arguments = self.pop()?;
                    self.object(class, arguments)?;
                }
                b'b' => {
                    let state = self.pop()?;
                    let top = self.top()?;
                    if let Value::Object(object) = &mut self.values[top.0 as usize] {
                        object.state = Some(state);
                    }
                }
                b'P' => {
                    let text = self.line()?.to_owned();
                    self.push(Value::Text(text))?;
                    let reference = self.pop()?;
                    self.push(Value::Persistent(reference))?;
                }
                b'Q' => {
                    let reference = self.pop()?;
                    self.push(Value::Persistent(reference))?;
                }
                // Buffers and extension codes refer to what the file does not hold.
                other => return Err(format!("instruction 0x{other:02x} is not known")),
            }
        }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let end = self.at.checked_add(count);
        let taken = end.and_then(|end| self.bytes.get(self.at..end));
        let taken = taken.ok_or("it ends too early")?;
        self.at += count;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, String> {
        Ok(self.take(1)?[0])
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        Ok(self
            .take(N)?
            .try_into()
            .expect("as many bytes as asked for"))
    }

    /// A length of so many bytes, little-endian.
    fn length(&mut self, bytes: usize) -> Result<usize, String> {
        let mut wide = [0; 8];
        wide[..bytes].copy_from_slice(self.take(bytes)?);
        usize::try_from(u64::from_le_bytes(wide)).map_err(|_| "a length beyond memory".into())
    }

    fn line(&mut self) -> Result<&'a str, String> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|&byte| byte == b'\n');
        let line = self.take(length.ok_or("a line does not end")?)?;
        self.at += 1;
        std::str::from_utf8(line).map_err(|_| "a line is no UTF-8".into())
    }

    /// An integer of `length` bytes, two's complement, little-endian.
    fn long(&mut self, length: usize) -> Result<(), String> {
        let bytes = self.take(length)?;
        let value = match length {
            0 => Value::Int(0),
            1..=8 => {
                let sign = if bytes[length - 1] < 0x80 { 0 } else { 0xff };
                let mut wide = [sign; 8];
                wide[..length].copy_from_slice(bytes);
                Value::Int(i64::from_le_bytes(wide))
            }
            _ => Value::Opaque,
        };
        self.push(value)
    }

    fn text(&mut self, length_bytes: usize) -> Result<(), String> {
        let length = self.length(length_bytes)?;
        let bytes = self.take(length)?;
        self.push(Value::Text(String::from_utf8_lossy(bytes).into_owned()))
    }

    fn skipped(&mut self, length_bytes: usize) -> Result<(), String> {
        let length = self.length(length_bytes)?;
        self.take(length)?;
        self.push(Value::Opaque)
    }

    fn push(&mut self, value: Value) -> Result<(), String> {
        within_limit(self.values.len(), "values")?;
        self.stack(Id(self.values.len() as u32))?;
        self.values.push(value);
        Ok(())
    }

    fn stack(&mut self, value: Id) -> Result<(), String> {
        within_limit(self.stack.len(), "values on its stack")?;
        self.stack.push(value);
        Ok(())
    }

    fn object(&mut self, class: Id, arguments: Id) -> Result<(), String> {
        self.push(Value::Object(Object {
            class,
            arguments,
            state: None,
            entries: Vec::new(),
        }))
    }

    /// Where the topmost `count` values start, all of them above the last mark.
    fn below(&self, count: usize) -> Result<usize, String> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.len().checked_sub(count) {
            Some(start) if start >= floor => Ok(start),
            _ => Err("its stack is empty".into()),
        }
    }

    fn pop(&mut self) -> Result<Id, String> {
        self.below(1)?;
        self.stack.pop().ok_or_else(|| "its stack is empty".into())
    }

    fn top(&self) -> Result<Id, String> {
        let top = self.stack.last().copied();
        top.ok_or_else(|| "its stack is empty".into())
    }

    fn pop_mark(&mut self) -> Result<Vec<Id>, String> {
        let mark = self.marks.pop().ok_or("a mark is missing")?;
        // A value below the mark may have been taken by an instruction that looks at the top only.
        Ok(self.stack.split_off(mark.min(self.stack.len())))
    }

    fn recall(&mut self, key: u64) -> Result<(), String> {
        let value = self.memo.get(&key).ok_or("a memo key that was never set")?;
        self.stack(*value)
    }

    fn remember(&mut self, key: u64) -> Result<(), String> {
        let top = self.top()?;
        within_limit(self.memo.len(), "memo entries")?;
        self.memo.insert(key, top);
        Ok(())
    }

    /// Appends to the list on top; elements of a list-like object are of no use here.
    fn extend(&mut self, elements: &[Id]) -> Result<(), String> {
        let top = self.top()?;
        match &mut self.values[top.0 as usize] {
            Value::Sequence(list) => list.extend(elements),
            Value::Object(_) => {}
            _ => return Err("elements of what is no list".into()),
        }
        Ok(())
    }

    /// Adds keys and values in turn to the dictionary on top.
    fn insert(&mut self, elements: &[Id]) -> Result<(), String> {
        let (pairs, rest) = elements.as_chunks::<2>();
        if !rest.is_empty() {
            return Err("a key without a value".into());
        }
        let top = self.top()?;
        match &mut self.values[top.0 as usize] {
            Value::Dict(entries) | Value::Object(Object { entries, .. }) => {
                entries.extend(pairs.iter().map(|&[key, value]| (key, value)));
            }
            _ => return Err("entries of what is no dictionary".into()),
        }
        Ok(())
    }
}

fn within_limit(count: usize, what: &str) -> Result<(), String> {
    match count < MOST_VALUES {
        true => Ok(()),
        false => Err(format!("more than {MOST_VALUES} {what}")),
    }
}
