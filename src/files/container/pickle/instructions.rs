//! The instructions of a pickle: those of Python's `pickletools`, protocols 0 to 5.

use super::machine::Machine;
use super::value::{Id, Value};

impl<'a> Machine<'a> {
    /// Runs to the STOP instruction.
    pub(super) fn run(&mut self) -> Result<Id, String> {
        loop {
            let instruction = self.byte()?;
            if let Some(value) = self.constant(instruction)? {
                self.push(value)?;
                continue;
            }
            match instruction {
                b'.' => return self.pop(),
                // PROTO and FRAME tell nothing that is needed.
                0x80 => _ = self.byte()?,
                0x95 => _ = self.take(8)?,
                b'(' => self.mark()?,
                b'0' => self.drop_top()?,
                b'1' => _ = self.pop_mark()?,
                b'2' => {
                    let top = self.top()?;
                    self.stack(top)?;
                }

                b't' | b'l' | 0x91 => {
                    let elements = self.pop_mark()?;
                    self.push(Value::Sequence(elements))?;
                }
                0x85..=0x87 => {
                    let elements = self.pop_last(usize::from(instruction - 0x84))?;
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
                b'd' => {
                    let elements = self.pop_mark()?;
                    self.push(Value::Dict(Vec::new()))?;
                    self.insert(&elements)?;
                }
                b's' => {
                    let elements = self.pop_last(2)?;
                    self.insert(&elements)?;
                }
                b'u' => {
                    let elements = self.pop_mark()?;
                    self.insert(&elements)?;
                }

                b'g' | b'h' | b'j' => {
                    let key = self.memo_key(instruction)?;
                    self.recall(key)?;
                }
                b'p' | b'q' | b'r' => {
                    let key = self.memo_key(instruction)?;
                    self.remember(key)?;
                }
                0x94 => self.memoize()?,

                other => self.make(other)?,
            }
        }
    }

    /// The value that an instruction reads from the bytes alone; `None` for other instructions.
    fn constant(&mut self, instruction: u8) -> Result<Option<Value>, String> {
        Ok(Some(match instruction {
            b'N' => Value::None,
            0x88 | 0x89 => Value::Bool,
            b'I' | b'L' => match self.line()? {
                "00" | "01" => Value::Bool,
                line => line
                    .trim_end_matches('L')
                    .parse()
                    .map_or(Value::Opaque, Value::Int),
            },
            b'J' => Value::Int(i32::from_le_bytes(self.array()?).into()),
            b'K' => Value::Int(self.byte()?.into()),
            b'M' => Value::Int(u16::from_le_bytes(self.array()?).into()),
            0x8a => self.long(1)?,
            0x8b => self.long(4)?,
            b'F' => self.line()?.parse().map_or(Value::Opaque, Value::Float),
            b'G' => Value::Float(f64::from_be_bytes(self.array()?)),

            b'S' => Value::Text(self.line()?.trim_matches(['\'', '"']).to_owned()),
            b'V' => Value::Text(unescaped(self.raw_line()?)),
            b'U' | 0x8c => self.text(1)?,
            b'T' | b'X' => self.text(4)?,
            0x8d => self.text(8)?,
            b'C' => self.skipped(1)?,
            b'B' => self.skipped(4)?,
            0x8e | 0x96 => self.skipped(8)?,

            b')' | b']' | 0x8f => Value::Sequence(Vec::new()),
            b'}' => Value::Dict(Vec::new()),
            b'c' => self.global()?,
            _ => return Ok(None),
        }))
    }

    /// Classes, objects made from them, and references to data outside of the pickle.
    fn make(&mut self, instruction: u8) -> Result<(), String> {
        match instruction {
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let text = |id: Id| match self.value(id) {
                    Value::Text(text) => Ok(text),
                    _ => Err("a class whose name is no text"),
                };
                let name = format!("{}.{}", text(module)?, text(name)?);
                self.push(Value::Global(name))
            }
            b'R' | 0x81 => {
                let (arguments, class) = (self.pop()?, self.pop()?);
                self.object(class, arguments)
            }
            0x92 => {
                let (_, arguments, class) = (self.pop()?, self.pop()?, self.pop()?);
                self.object(class, arguments)
            }
            b'o' | b'i' => {
                let mut elements = self.pop_mark()?;
                let class = match instruction {
                    b'i' => {
                        let class = self.global()?;
                        self.push(class)?;
                        self.pop()?
                    }
                    _ if elements.is_empty() => return Err("an object without a class".into()),
                    _ => elements.remove(0),
                };
                self.push(Value::Sequence(elements))?;
                let arguments = self.pop()?;
                self.object(class, arguments)
            }
            b'b' => {
                let state = self.pop()?;
                self.set_state(state)
            }
            b'P' => {
                let text = self.line()?.to_owned();
                self.push(Value::Text(text))?;
                let reference = self.pop()?;
                self.push(Value::Persistent(reference))
            }
            b'Q' => {
                let reference = self.pop()?;
                self.push(Value::Persistent(reference))
            }
            // Buffers and extension codes refer to what the file does not hold.
            other => Err(format!("instruction 0x{other:02x} is not known")),
        }
    }

    fn memo_key(&mut self, instruction: u8) -> Result<u64, String> {
        Ok(match instruction {
            b'g' | b'p' => self.line()?.parse().map_err(|_| "a bad memo key")?,
            b'h' | b'q' => self.byte()?.into(),
            _ => u32::from_le_bytes(self.array()?).into(),
        })
    }

    /// A class or function by two lines: its module and its name.
    fn global(&mut self) -> Result<Value, String> {
        let name = format!("{}.{}", self.line()?, self.line()?);
        Ok(Value::Global(name))
    }

    /// An integer, two's complement, little-endian, after its length of so many bytes.
    fn long(&mut self, length_bytes: usize) -> Result<Value, String> {
        let length = self.length(length_bytes)?;
        let bytes = self.take(length)?;
        Ok(match length {
            0 => Value::Int(0),
            1..=8 => {
                let sign = if bytes[length - 1] < 0x80 { 0 } else { 0xff };
                let mut wide = [sign; 8];
                wide[..length].copy_from_slice(bytes);
                Value::Int(i64::from_le_bytes(wide))
            }
            _ => Value::Opaque,
        })
    }

    fn text(&mut self, length_bytes: usize) -> Result<Value, String> {
        let length = self.length(length_bytes)?;
        let bytes = self.take(length)?;
        Ok(Value::Text(String::from_utf8_lossy(bytes).into_owned()))
    }

    fn skipped(&mut self, length_bytes: usize) -> Result<Value, String> {
        let length = self.length(length_bytes)?;
        self.take(length)?;
        Ok(Value::Opaque)
    }
}

/// Text in Python's `raw-unicode-escape`: Latin-1, and the rest as `\u` and four or `\U` and eight hexadecimal digits.
fn unescaped(line: &[u8]) -> String {
    let mut text = String::new();
    let mut rest = line;
    while let [first, later @ ..] = rest {
        let digits = match later {
            [b'u', ..] if *first == b'\\' => 4,
            [b'U', ..] if *first == b'\\' => 8,
            _ => 0,
        };
        let escape = later.get(1..=digits).filter(|_| digits > 0);
        let character = escape
            .and_then(|digits| u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok())
            .and_then(char::from_u32);
        text.push(character.unwrap_or(char::from(*first)));
        rest = match character {
            Some(_) => &later[1 + digits..],
            None => later,
        };
    }
    text
}
