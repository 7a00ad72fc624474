//! A reader of Python's pickle format, protocols 2 to 5. It returns values as data and runs no code, and no input takes more memory than a small
//! multiple of its size.
//!
//! Source: the opcodes of CPython's `Lib/pickletools.py`. Objects are stored in one list and refer to each other by their index, so
//! an object that is read from the memo many times exists once, and deeply nested objects need no recursion.
//!
//! `candle_core::pickle` does not serve here: it copies an object each time that the memo is read, so that a file of a hundred bytes can fill the memory;
//! it allocates what a length announces before the bytes are there; and it knows neither classes with attributes nor the containers before PyTorch 1.6.

use std::collections::HashMap;

/// Index of an object.
pub(crate) type Id = usize;

/// A value in a pickle.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Object<'a> {
    Int(i64),
    Text(&'a str),
    Bytes(&'a [u8]),
    /// Module and name of a class or function.
    Global(&'a str, &'a str),
    /// A tuple or a list.
    List(Vec<Id>),
    /// Keys and values.
    Dict(Vec<(Id, Id)>),
    /// A function or class, the tuple of its arguments, and the attributes that were set afterwards. It is not called.
    Call(Id, Id, Option<Id>),
    /// A reference to something outside the pickle, by its name.
    Outside(Id),
    /// A value that weights do not need: a boolean, None, a floating point number, a set, an integer of more than 64 bits.
    Other,
}

/// The objects of a pickle.
#[derive(Debug)]
pub(crate) struct Pickle<'a> {
    objects: Vec<Object<'a>>,
    root: Id,
}

impl<'a> Pickle<'a> {
    /// Reads a pickle from the front of `bytes`, which then begin after it. Refuses one that is cut off, contradicts itself, or uses
    /// opcodes of protocols 0 and 1.
    pub(crate) fn read(bytes: &mut &'a [u8]) -> Result<Self, String> {
        let mut machine = Machine { rest: bytes, ..Machine::default() };
        while machine.step()? {}
        let root = machine.pop()?;
        *bytes = machine.rest;
        Ok(Self { objects: machine.objects, root })
    }

    /// Returns the index of the object that the pickle represents.
    pub(crate) fn root(&self) -> Id {
        self.root
    }

    /// Returns all objects, by their index.
    pub(crate) fn objects(&self) -> &[Object<'a>] {
        &self.objects
    }

    pub(crate) fn at(&self, id: Id) -> &Object<'a> {
        &self.objects[id]
    }

    /// Returns the items of a tuple or list.
    pub(crate) fn list(&self, id: Id) -> Option<&[Id]> {
        if let Object::List(items) = self.at(id) { Some(items) } else { None }
    }

    /// Returns an integer that is not negative.
    pub(crate) fn size(&self, id: Id) -> Option<usize> {
        if let Object::Int(n) = self.at(id) { usize::try_from(*n).ok() } else { None }
    }

    /// Returns the keys and values of a dict.
    pub(crate) fn dict(&self, id: Id) -> Option<&[(Id, Id)]> {
        if let Object::Dict(entries) = self.at(id) { Some(entries) } else { None }
    }

    /// Returns the value of a dict for a text.
    pub(crate) fn get(&self, dict: Id, key: &str) -> Option<Id> {
        self.dict(dict)?.iter().find(|(found, _)| self.text(*found) == Some(key)).map(|(_, value)| *value)
    }

    /// Returns the module and name of a class or function; in files before PyTorch 1.6, a class may be outside, with its source.
    pub(crate) fn global(&self, id: Id) -> Option<(&'a str, &'a str)> {
        match self.at(id) {
            Object::Global(module, name) => Some((module, name)),
            Object::Outside(id) => match self.list(*id)? {
                [kind, class, ..] if self.text(*kind) == Some("module") => match self.at(*class) {
                    Object::Global(module, name) => Some((module, name)),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        }
    }

    pub(crate) fn text(&self, id: Id) -> Option<&'a str> {
        if let Object::Text(text) = self.at(id) { Some(text) } else { None }
    }
}

/// The stack machine that a pickle is a program for.
#[derive(Default)]
struct Machine<'a> {
    rest: &'a [u8],
    objects: Vec<Object<'a>>,
    /// Objects; `None` is the mark that opcodes for several objects look for.
    stack: Vec<Option<Id>>,
    memo: HashMap<u64, Id>,
}

impl<'a> Machine<'a> {
    /// Executes one opcode. Returns whether there are more.
    fn step(&mut self) -> Result<bool, String> {
        let opcode = self.number(1)? as u8;
        if let Some(object) = self.value(opcode)? {
            self.stack.push(Some(self.objects.len()));
            self.objects.push(object);
            return Ok(true);
        }
        match opcode {
            b'.' => return Ok(false),
            // Protocol and frame.
            0x80 => drop(self.take(1)?),
            0x95 => drop(self.take(8)?),
            b'(' => self.stack.push(None),
            b'a' | b'e' => {
                let items = if opcode == b'a' { vec![self.pop()?] } else { self.above_mark()? };
                self.append(&items)?;
            }
            b's' | b'u' => {
                let items = if opcode == b's' { self.pop_many(2)? } else { self.above_mark()? };
                self.set_items(&items)?;
            }
            b'b' => self.build()?,
            b'q' | b'r' => {
                let key = self.number(if opcode == b'q' { 1 } else { 4 })?;
                self.memo.insert(key, self.top()?);
            }
            0x94 => drop(self.memo.insert(self.memo.len() as u64, self.top()?)),
            b'h' | b'j' => {
                let key = self.number(if opcode == b'h' { 1 } else { 4 })?;
                self.recall(key)?;
            }
            b'0' => {
                self.stack.pop().ok_or("its stack is empty")?;
            }
            b'1' => drop(self.above_mark()?),
            b'2' => self.stack.push(Some(self.top()?)),
            // Items of a set.
            0x90 => drop(self.above_mark()?),
            other => return Err(format!("it has the opcode {other:#04x}, which no file of PyTorch has")),
        }
        Ok(true)
    }

    /// Returns the object that an opcode pushes; `None` for opcodes that do something else.
    fn value(&mut self, opcode: u8) -> Result<Option<Object<'a>>, String> {
        Ok(Some(match opcode {
            b'K' => Object::Int(self.number(1)? as i64),
            b'M' => Object::Int(self.number(2)? as i64),
            b'J' => Object::Int(i64::from((self.number(4)? as u32).cast_signed())),
            0x8a => self.long(1)?,
            0x8b => self.long(4)?,
            b'X' => self.text(4)?,
            0x8c => self.text(1)?,
            0x8d => self.text(8)?,
            // Text of Python 2 is bytes.
            b'U' => self.old_text(1)?,
            b'T' => self.old_text(4)?,
            b'C' => self.bytes(1)?,
            b'B' => self.bytes(4)?,
            0x8e | 0x96 => self.bytes(8)?,
            0x8f => Object::Other,
            0x91 => {
                self.above_mark()?;
                Object::Other
            }
            b'G' => {
                self.take(8)?;
                Object::Other
            }
            b'N' | 0x88 | 0x89 => Object::Other,
            b'c' => Object::Global(self.line()?, self.line()?),
            0x93 => {
                let name = self.pop()?;
                let module = self.pop()?;
                match (&self.objects[module], &self.objects[name]) {
                    (Object::Text(module), Object::Text(name)) => Object::Global(module, name),
                    _ => return Err("it names a class by what is no text".into()),
                }
            }
            b')' | b']' => Object::List(vec![]),
            b't' => Object::List(self.above_mark()?),
            0x85..=0x87 => Object::List(self.pop_many(usize::from(opcode - 0x84))?),
            b'}' => Object::Dict(vec![]),
            b'd' => Object::Dict(pairs(&self.above_mark()?)?),
            b'R' | 0x81 => self.call()?,
            0x92 => {
                // Keyword arguments.
                self.pop()?;
                self.call()?
            }
            b'Q' => Object::Outside(self.pop()?),
            _ => return Ok(None),
        }))
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (found, rest) = self.rest.split_at_checked(count).ok_or("it is cut off")?;
        self.rest = rest;
        Ok(found)
    }

    /// Reads a little-endian number of `count` bytes, at most 8.
    fn number(&mut self, count: usize) -> Result<u64, String> {
        Ok(self.take(count)?.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// Reads an integer of any length, after that length, a number of `size` bytes.
    fn long(&mut self, size: usize) -> Result<Object<'a>, String> {
        let length = self.number(size)? as usize;
        if length > 8 {
            self.take(length)?;
            return Ok(Object::Other);
        }
        // The highest bit is the sign.
        let unused = 64 - 8 * length as u32;
        let number = self.number(length)?.checked_shl(unused).unwrap_or(0);
        Ok(Object::Int(number.cast_signed().checked_shr(unused).unwrap_or(0)))
    }

    /// Reads a text after its length, a number of `size` bytes.
    fn text(&mut self, size: usize) -> Result<Object<'a>, String> {
        let length = self.number(size)? as usize;
        Ok(Object::Text(utf8(self.take(length)?)?))
    }

    /// Like [`Machine::text`]; bytes if it is not UTF-8.
    fn old_text(&mut self, size: usize) -> Result<Object<'a>, String> {
        let length = self.number(size)? as usize;
        let bytes = self.take(length)?;
        Ok(std::str::from_utf8(bytes).map_or(Object::Bytes(bytes), Object::Text))
    }

    fn bytes(&mut self, size: usize) -> Result<Object<'a>, String> {
        let length = usize::try_from(self.number(size)?).map_err(|_| "it is cut off")?;
        Ok(Object::Bytes(self.take(length)?))
    }

    fn line(&mut self) -> Result<&'a str, String> {
        let end = self.rest.iter().position(|byte| *byte == b'\n').ok_or("it is cut off")?;
        let line = self.take(end + 1)?;
        utf8(&line[..end])
    }

    fn top(&self) -> Result<Id, String> {
        self.stack.last().copied().flatten().ok_or_else(|| "its stack is empty".into())
    }

    fn pop(&mut self) -> Result<Id, String> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<Id>, String> {
        let mut items = (0..count).map(|_| self.pop()).collect::<Result<Vec<_>, _>>()?;
        items.reverse();
        Ok(items)
    }

    /// Pops the objects above the last mark, and the mark.
    fn above_mark(&mut self) -> Result<Vec<Id>, String> {
        let mark = self.stack.iter().rposition(Option::is_none).ok_or("it lacks a mark")?;
        Ok(self.stack.drain(mark..).flatten().collect())
    }

    fn append(&mut self, items: &[Id]) -> Result<(), String> {
        let top = self.top()?;
        match &mut self.objects[top] {
            Object::List(list) => list.extend_from_slice(items),
            // Items of a class that extends a list.
            Object::Call(..) => {}
            _ => return Err("it appends to what is no list".into()),
        }
        Ok(())
    }

    fn set_items(&mut self, items: &[Id]) -> Result<(), String> {
        let top = self.top()?;
        let items = pairs(items)?;
        match &mut self.objects[top] {
            Object::Dict(dict) => dict.extend(items),
            // Items of a class that extends a dict.
            Object::Call(..) => {}
            _ => return Err("it sets items of what is no dict".into()),
        }
        Ok(())
    }

    /// Returns a call as data. Only the calls that create an empty dict are evaluated.
    fn call(&mut self) -> Result<Object<'a>, String> {
        let arguments = self.pop()?;
        let function = self.pop()?;
        Ok(match self.objects[function] {
            Object::Global("collections", "OrderedDict" | "defaultdict") => Object::Dict(vec![]),
            _ => Object::Call(function, arguments, None),
        })
    }

    /// Sets the attributes of an object: a module has them, those of a dict do not concern its entries.
    fn build(&mut self) -> Result<(), String> {
        let attributes = self.pop()?;
        let object = self.top()?;
        if let Object::Call(_, _, found) = &mut self.objects[object] {
            *found = Some(attributes);
        }
        Ok(())
    }

    fn recall(&mut self, key: u64) -> Result<(), String> {
        let id = self.memo.get(&key).ok_or_else(|| format!("its memo lacks {key}"))?;
        self.stack.push(Some(*id));
        Ok(())
    }
}

fn pairs(items: &[Id]) -> Result<Vec<(Id, Id)>, String> {
    match items.as_chunks() {
        (pairs, []) => Ok(pairs.iter().map(|[key, value]| (*key, *value)).collect()),
        _ => Err("it has a key without a value".into()),
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|_| "it has a text that is not UTF-8".into())
}

#[cfg(test)]
mod tests;
