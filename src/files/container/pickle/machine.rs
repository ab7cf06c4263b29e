//! The machine of a pickle: the bytes it reads, its values, stack, marks and memo.

use std::collections::HashMap;

use super::limits::within_limit;
use super::value::{Id, Object, Value};

pub(super) struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    values: Vec<Value>,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
}

impl<'a> Machine<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            values: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
        }
    }

    /// The next byte to read.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn value(&self, id: Id) -> &Value {
        &self.values[id.0 as usize]
    }

    pub(super) fn into_values(self) -> Vec<Value> {
        self.values
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let end = self.at.checked_add(count);
        let taken = end.and_then(|end| self.bytes.get(self.at..end));
        let taken = taken.ok_or("it ends too early")?;
        self.at += count;
        Ok(taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, String> {
        Ok(self.take(1)?[0])
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        Ok(self
            .take(N)?
            .try_into()
            .expect("as many bytes as asked for"))
    }

    /// A length of so many bytes, little-endian.
    pub(super) fn length(&mut self, bytes: usize) -> Result<usize, String> {
        let mut wide = [0; 8];
        wide[..bytes].copy_from_slice(self.take(bytes)?);
        usize::try_from(u64::from_le_bytes(wide)).map_err(|_| "a length beyond memory".into())
    }

    /// The bytes up to the end of the line.
    pub(super) fn raw_line(&mut self) -> Result<&'a [u8], String> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|&byte| byte == b'\n');
        let line = self.take(length.ok_or("a line does not end")?)?;
        self.at += 1;
        Ok(line)
    }

    pub(super) fn line(&mut self) -> Result<&'a str, String> {
        std::str::from_utf8(self.raw_line()?).map_err(|_| "a line is no UTF-8".into())
    }

    pub(super) fn mark(&mut self) -> Result<(), String> {
        within_limit(self.marks.len(), "marks")?;
        self.marks.push(self.stack.len());
        Ok(())
    }

    /// Takes off what is on top, a mark or a value.
    pub(super) fn drop_top(&mut self) -> Result<(), String> {
        match self.marks.last() {
            Some(&mark) if mark == self.stack.len() => _ = self.marks.pop(),
            _ => _ = self.pop()?,
        }
        Ok(())
    }

    pub(super) fn push(&mut self, value: Value) -> Result<(), String> {
        within_limit(self.values.len(), "values")?;
        self.stack(Id(self.values.len() as u32))?;
        self.values.push(value);
        Ok(())
    }

    pub(super) fn stack(&mut self, value: Id) -> Result<(), String> {
        within_limit(self.stack.len(), "values on its stack")?;
        self.stack.push(value);
        Ok(())
    }

    pub(super) fn object(&mut self, class: Id, arguments: Id) -> Result<(), String> {
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

    pub(super) fn pop(&mut self) -> Result<Id, String> {
        self.below(1)?;
        self.stack.pop().ok_or_else(|| "its stack is empty".into())
    }

    pub(super) fn top(&self) -> Result<Id, String> {
        let top = self.stack.last().copied();
        top.ok_or_else(|| "its stack is empty".into())
    }

    /// The topmost `count` values, taken off.
    pub(super) fn pop_last(&mut self, count: usize) -> Result<Vec<Id>, String> {
        let from = self.below(count)?;
        Ok(self.stack.split_off(from))
    }

    /// The values above the last mark, taken off with it.
    pub(super) fn pop_mark(&mut self) -> Result<Vec<Id>, String> {
        let mark = self.marks.pop().ok_or("a mark is missing")?;
        // A value below the mark may have been taken by an instruction that looks at the top only.
        Ok(self.stack.split_off(mark.min(self.stack.len())))
    }

    pub(super) fn recall(&mut self, key: u64) -> Result<(), String> {
        let value = self.memo.get(&key).ok_or("a memo key that was never set")?;
        self.stack(*value)
    }

    pub(super) fn remember(&mut self, key: u64) -> Result<(), String> {
        let top = self.top()?;
        within_limit(self.memo.len(), "memo entries")?;
        self.memo.insert(key, top);
        Ok(())
    }

    /// Remembers the top under the lowest key that is free where keys count up.
    pub(super) fn memoize(&mut self) -> Result<(), String> {
        self.remember(self.memo.len() as u64)
    }

    /// Gives the object on top its state; other values take none.
    pub(super) fn set_state(&mut self, state: Id) -> Result<(), String> {
        let top = self.top()?;
        if let Value::Object(object) = &mut self.values[top.0 as usize] {
            object.state = Some(state);
        }
        Ok(())
    }

    /// Appends to the list on top; elements of a list-like object are of no use here.
    pub(super) fn extend(&mut self, elements: &[Id]) -> Result<(), String> {
        let top = self.top()?;
        match &mut self.values[top.0 as usize] {
            Value::Sequence(list) => list.extend(elements),
            Value::Object(_) => {}
            _ => return Err("elements of what is no list".into()),
        }
        Ok(())
    }

    /// Adds keys and values in turn to the dictionary on top.
    pub(super) fn insert(&mut self, elements: &[Id]) -> Result<(), String> {
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
