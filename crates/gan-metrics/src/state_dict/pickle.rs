//! A reader of the parts of Python's pickle format that state dicts need. It returns values as data and runs no code, and no input takes more
//! memory than a small multiple of its size.
//!
//! Source: the opcodes of CPython's `Lib/pickletools.py`. Objects are stored in one list and refer to each other by their index, so
//! an object that is read from the memo many times exists once, and deeply nested objects need no recursion.

use std::collections::HashMap;

/// Index of an object.
pub(super) type Id = usize;

/// A value in a pickle.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Object<'a> {
    Int(i64),
    Text(&'a str),
    /// Module and name of a class or function.
    Global(&'a str, &'a str),
    /// A tuple or a list.
    List(Vec<Id>),
    /// Keys and values.
    Dict(Vec<(Id, Id)>),
    /// A function and the tuple of its arguments. It is not called.
    Call(Id, Id),
    /// A reference to something outside the pickle, by its name.
    Outside(Id),
    /// A value that state dicts do not need: a boolean, None, a floating point number, an integer of more than 64 bits.
    Other,
}

/// The objects of a pickle.
#[derive(Debug)]
pub(super) struct Pickle<'a> {
    objects: Vec<Object<'a>>,
    root: Id,
}

impl<'a> Pickle<'a> {
    /// Reads a pickle from the front of `bytes`, which then begin after it. Refuses one that is cut off, contradicts itself, or uses
    /// opcodes that state dicts do not need.
    pub(super) fn read(bytes: &mut &'a [u8]) -> Result<Self, String> {
        let mut machine = Machine { rest: bytes, ..Machine::default() };
        while machine.step()? {}
        let root = machine.pop()?;
        *bytes = machine.rest;
        Ok(Self { objects: machine.objects, root })
    }

    /// Returns the object that the pickle represents.
    pub(super) fn root(&self) -> &Object<'a> {
        self.at(self.root)
    }

    pub(super) fn at(&self, id: Id) -> &Object<'a> {
        &self.objects[id]
    }

    /// Returns the items of a tuple or list.
    pub(super) fn list(&self, id: Id) -> Option<&[Id]> {
        if let Object::List(items) = self.at(id) { Some(items) } else { None }
    }

    /// Returns an integer that is not negative.
    pub(super) fn size(&self, id: Id) -> Option<usize> {
        if let Object::Int(n) = self.at(id) { usize::try_from(*n).ok() } else { None }
    }

    pub(super) fn text(&self, id: Id) -> Option<&'a str> {
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
            other => return Err(format!("it has the opcode {other:#04x}, which state dicts do not need")),
        }
        Ok(true)
    }

    /// Returns the object that an opcode pushes; `None` for opcodes that do something else.
    fn value(&mut self, opcode: u8) -> Result<Option<Object<'a>>, String> {
        Ok(Some(match opcode {
            b'K' => Object::Int(self.number(1)? as i64),
            b'M' => Object::Int(self.number(2)? as i64),
            b'J' => Object::Int(i64::from((self.number(4)? as u32).cast_signed())),
            0x8a => self.long()?,
            b'X' => self.text(4)?,
            0x8c => self.text(1)?,
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

    /// Reads an integer of any length.
    fn long(&mut self) -> Result<Object<'a>, String> {
        let length = self.number(1)? as usize;
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
        let Object::List(list) = &mut self.objects[top] else { return Err("it appends to what is no list".into()) };
        list.extend_from_slice(items);
        Ok(())
    }

    fn set_items(&mut self, items: &[Id]) -> Result<(), String> {
        let top = self.top()?;
        let Object::Dict(dict) = &mut self.objects[top] else { return Err("it sets items of what is no dict".into()) };
        dict.extend(pairs(items)?);
        Ok(())
    }

    /// Returns a call as data. Only the calls that create an empty dict are evaluated.
    fn call(&mut self) -> Result<Object<'a>, String> {
        let arguments = self.pop()?;
        let function = self.pop()?;
        Ok(match self.objects[function] {
            Object::Global("collections", "OrderedDict" | "defaultdict") => Object::Dict(vec![]),
            _ => Object::Call(function, arguments),
        })
    }

    /// Sets the attributes of an object: those of a call (a module) replace it, those of a dict do not concern its entries.
    fn build(&mut self) -> Result<(), String> {
        let attributes = self.pop()?;
        let object = self.pop()?;
        let kept = if matches!(self.objects[object], Object::Call(..)) { attributes } else { object };
        self.stack.push(Some(kept));
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
mod tests {
    use super::*;

    fn read(mut bytes: &[u8]) -> Result<(Object<'_>, &[u8]), String> {
        let pickle = Pickle::read(&mut bytes)?;
        Ok((pickle.root().clone(), bytes))
    }

    #[test]
    fn numbers_have_their_signs() {
        fn number(bytes: &[u8]) -> Result<Object<'_>, String> {
            read(bytes).map(|found| found.0)
        }
        assert_eq!(number(b"K\xff."), Ok(Object::Int(255)));
        assert_eq!(number(b"J\xff\xff\xff\xff."), Ok(Object::Int(-1)));
        assert_eq!(number(b"\x8a\x02\x00\x80."), Ok(Object::Int(-32768)));
        assert_eq!(number(b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f."), Ok(Object::Int(i64::MAX)));
        assert_eq!(number(b"\x8a\x00."), Ok(Object::Int(0)));
        assert_eq!(number(b"\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01."), Ok(Object::Other));
    }

    #[test]
    fn protocol_4_is_read() {
        let pickle = b"\x80\x04\x95\x0f\0\0\0\0\0\0\0\x8c\x01a\x94\x8c\x01b\x93\x94h\x00\x86.";
        let mut bytes = &pickle[..];
        let pickle = Pickle::read(&mut bytes).unwrap();
        let Object::List(items) = pickle.root() else { panic!("{pickle:?}") };
        assert_eq!((pickle.at(items[0]), pickle.at(items[1])), (&Object::Global("a", "b"), &Object::Text("a")));
    }

    #[test]
    fn bytes_after_a_pickle_are_ignored() {
        assert_eq!(read(b"X\x02\x00\x00\x00ab.rest"), Ok((Object::Text("ab"), &b"rest"[..])));
    }

    #[test]
    fn invalid_pickles_are_errors() {
        let cases: [&[u8]; 10] =
            [b"", b".", b"(.", b"t.", b"X\xff\xff\xff\xffab.", b"K", b"h\x07.", b"]K\x01s.", b"}(K\x01u.", b"cno end"];
        for bytes in cases {
            assert!(read(bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn depth_and_repetition_take_no_more_memory_than_their_bytes() {
        let deep = [&b")"[..], &[0x85; 100_000], b"."].concat();
        assert!(read(&deep).is_ok());
        // Pairs of pairs: two to the power of 40 objects, were they copied.
        let pairs = [&b"K\x01"[..], &b"q\x00h\x00\x86".repeat(40), b"."].concat();
        assert!(matches!(read(&pairs), Ok((Object::List(items), _)) if items.len() == 2));
        // A list in itself.
        assert!(read(b"]q\x00h\x00a.").is_ok());
    }
}
