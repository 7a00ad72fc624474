//! Just enough of Python's pickles to read a state dict that someone else wrote: no code runs, and no input takes more memory than
//! a small multiple of its size.
//!
//! Source: the opcodes of CPython's `Lib/pickletools.py`. Objects stand in one list and refer to each other by their place in it, so
//! that an object which is fetched from the memo many times is there once, and objects nested deeply need no recursion.

use std::collections::HashMap;

/// The place of an object.
pub type Id = usize;

/// What a pickle makes.
#[derive(Clone, Debug, PartialEq)]
pub enum Object<'a> {
    /// A whole number.
    Int(i64),
    /// A text.
    Text(&'a str),
    /// A class or function: its module and its name.
    Global(&'a str, &'a str),
    /// A tuple or a list.
    List(Vec<Id>),
    /// Keys and values.
    Dict(Vec<(Id, Id)>),
    /// A call of the first with the second, a tuple of arguments.
    Call(Id, Id),
    /// What a reference to something outside the pickle names.
    Outside(Id),
    /// Anything else: truth values, None, floating point numbers.
    Other,
}

/// The objects of a pickle.
#[derive(Debug)]
pub struct Pickle<'a> {
    objects: Vec<Object<'a>>,
    root: Id,
}

impl<'a> Pickle<'a> {
    /// Reads a pickle from the front of `bytes`, which then begin behind it.
    ///
    /// # Errors
    /// If it is cut off, contradicts itself, or uses what state dicts do not.
    pub fn read(bytes: &mut &'a [u8]) -> Result<Self, String> {
        let mut machine = Machine { rest: bytes, ..Machine::default() };
        while machine.step()? {}
        let root = machine.pop()?;
        *bytes = machine.rest;
        Ok(Self { objects: machine.objects, root })
    }

    /// Returns the object that the pickle stands for.
    pub fn root(&self) -> &Object<'a> {
        self.at(self.root)
    }

    /// Returns the object at a place.
    pub fn at(&self, id: Id) -> &Object<'a> {
        &self.objects[id]
    }

    /// Returns the items of a tuple or list.
    pub fn list(&self, id: Id) -> Option<&[Id]> {
        match self.at(id) {
            Object::List(items) => Some(items),
            _ => None,
        }
    }

    /// Returns a whole number that is not negative.
    pub fn size(&self, id: Id) -> Option<usize> {
        match self.at(id) {
            Object::Int(n) => usize::try_from(*n).ok(),
            _ => None,
        }
    }

    /// Returns a text.
    pub fn text(&self, id: Id) -> Option<&'a str> {
        match self.at(id) {
            Object::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// An entry of the stack: an object, or the mark that opcodes for several objects look for.
#[derive(Clone, Copy)]
enum Entry {
    Object(Id),
    Mark,
}

#[derive(Default)]
struct Machine<'a> {
    rest: &'a [u8],
    objects: Vec<Object<'a>>,
    stack: Vec<Entry>,
    memo: HashMap<u32, Id>,
}

impl<'a> Machine<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (found, rest) = self.rest.split_at_checked(count).ok_or("it is cut off")?;
        self.rest = rest;
        Ok(found)
    }

    /// A little-endian number of `count` bytes, at most 8.
    fn number(&mut self, count: usize) -> Result<u64, String> {
        Ok(self.take(count)?.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn line(&mut self) -> Result<&'a str, String> {
        let end = self.rest.iter().position(|byte| *byte == b'\n').ok_or("it is cut off")?;
        let line = self.take(end + 1)?;
        text(&line[..end])
    }

    fn push(&mut self, object: Object<'a>) {
        self.stack.push(Entry::Object(self.objects.len()));
        self.objects.push(object);
    }

    fn pop(&mut self) -> Result<Id, String> {
        match self.stack.pop() {
            Some(Entry::Object(id)) => Ok(id),
            _ => Err("its stack is empty".into()),
        }
    }

    fn top(&self) -> Result<Id, String> {
        match self.stack.last() {
            Some(Entry::Object(id)) => Ok(*id),
            _ => Err("its stack is empty".into()),
        }
    }

    /// The objects above the last mark, which goes with them.
    fn above_mark(&mut self) -> Result<Vec<Id>, String> {
        let mark = self.stack.iter().rposition(|entry| matches!(entry, Entry::Mark)).ok_or("it lacks a mark")?;
        let above = self.stack.drain(mark..).skip(1);
        Ok(above.filter_map(|entry| if let Entry::Object(id) = entry { Some(id) } else { None }).collect())
    }

    fn tuple(&mut self, count: usize) -> Result<(), String> {
        let mut items = (0..count).map(|_| self.pop()).collect::<Result<Vec<_>, _>>()?;
        items.reverse();
        self.push(Object::List(items));
        Ok(())
    }

    fn append(&mut self, items: &[Id]) -> Result<(), String> {
        let top = self.top()?;
        match &mut self.objects[top] {
            Object::List(list) => list.extend_from_slice(items),
            _ => return Err("it appends to what is no list".into()),
        }
        Ok(())
    }

    fn set(&mut self, items: &[Id]) -> Result<(), String> {
        let top = self.top()?;
        match (&mut self.objects[top], items.as_chunks()) {
            (Object::Dict(entries), (pairs, [])) => entries.extend(pairs.iter().map(|[key, value]| (*key, *value))),
            _ => return Err("it sets items of what is no dict".into()),
        }
        Ok(())
    }

    /// Calls nothing: what is called is remembered. Only the dicts that state dicts are come to be at once.
    fn call(&mut self) -> Result<(), String> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let made = match self.objects[function] {
            Object::Global("collections", "OrderedDict" | "defaultdict") => Object::Dict(vec![]),
            _ => Object::Call(function, arguments),
        };
        self.push(made);
        Ok(())
    }

    /// The attributes of an object: those of a call (a module) take its place, those of a dict say nothing about its entries.
    fn build(&mut self) -> Result<(), String> {
        let (attributes, object) = (self.pop()?, self.pop()?);
        let kept = if matches!(self.objects[object], Object::Call(..)) { attributes } else { object };
        self.stack.push(Entry::Object(kept));
        Ok(())
    }

    fn memorize(&mut self, key: u32) -> Result<(), String> {
        let top = self.top()?;
        self.memo.insert(key, top);
        Ok(())
    }

    fn recall(&mut self, key: u32) -> Result<(), String> {
        let id = self.memo.get(&key).ok_or_else(|| format!("its memo lacks {key}"))?;
        self.stack.push(Entry::Object(*id));
        Ok(())
    }

    /// Follows one opcode. Returns whether there are more.
    fn step(&mut self) -> Result<bool, String> {
        match self.number(1)? as u8 {
            b'.' => return Ok(false),
            0x80 => drop(self.take(1)?),
            b'(' => self.stack.push(Entry::Mark),
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push(Object::Global(module, name));
            }
            b'X' => {
                let length = self.number(4)? as usize;
                let found = text(self.take(length)?)?;
                self.push(Object::Text(found));
            }
            b'K' => {
                let number = self.number(1)?;
                self.push(Object::Int(number as i64));
            }
            b'M' => {
                let number = self.number(2)?;
                self.push(Object::Int(number as i64));
            }
            b'J' => {
                let number = self.number(4)? as u32;
                self.push(Object::Int(i64::from(number.cast_signed())));
            }
            0x8a => self.long()?,
            b'G' => {
                self.take(8)?;
                self.push(Object::Other);
            }
            b'N' | 0x88 | 0x89 => self.push(Object::Other),
            b')' | b']' => self.push(Object::List(vec![])),
            b'}' => self.push(Object::Dict(vec![])),
            b't' => {
                let items = self.above_mark()?;
                self.push(Object::List(items));
            }
            b'd' => {
                let items = self.above_mark()?;
                self.push(Object::Dict(vec![]));
                self.set(&items)?;
            }
            count @ 0x85..=0x87 => self.tuple(usize::from(count - 0x84))?,
            b'a' => {
                let item = self.pop()?;
                self.append(&[item])?;
            }
            b'e' => {
                let items = self.above_mark()?;
                self.append(&items)?;
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set(&[key, value])?;
            }
            b'u' => {
                let items = self.above_mark()?;
                self.set(&items)?;
            }
            b'R' | 0x81 => self.call()?,
            b'b' => self.build()?,
            b'Q' => {
                let name = self.pop()?;
                self.push(Object::Outside(name));
            }
            b'q' => {
                let key = self.number(1)?;
                self.memorize(key as u32)?;
            }
            b'r' => {
                let key = self.number(4)?;
                self.memorize(key as u32)?;
            }
            b'h' => {
                let key = self.number(1)?;
                self.recall(key as u32)?;
            }
            b'j' => {
                let key = self.number(4)?;
                self.recall(key as u32)?;
            }
            other => return Err(format!("it has the opcode {other:#04x}, which state dicts do not need")),
        }
        Ok(true)
    }

    /// A number of any length; longer ones than 64 bits are kept as something that is no number.
    fn long(&mut self) -> Result<(), String> {
        let length = self.number(1)? as usize;
        let bytes = self.take(length)?;
        let number = bytes.iter().rev().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
        let unused = 64usize.saturating_sub(8 * length) as u32;
        self.push(match length {
            0 => Object::Int(0),
            // The highest bit is the sign.
            1..=8 => Object::Int((number << unused).cast_signed() >> unused),
            _ => Object::Other,
        });
        Ok(())
    }
}

fn text(bytes: &[u8]) -> Result<&str, String> {
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
    fn what_follows_a_pickle_is_left() {
        assert_eq!(read(b"X\x02\x00\x00\x00ab.rest"), Ok((Object::Text("ab"), &b"rest"[..])));
    }

    #[test]
    fn whatever_cannot_be_is_an_error() {
        let cases: [&[u8]; 10] =
            [b"", b".", b"(.", b"t.", b"X\xff\xff\xff\xffab.", b"K", b"h\x07.", b"]K\x01s.", b"}(K\x01u.", b"cno end"];
        for bytes in cases {
            assert!(read(bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn depth_and_repetition_take_no_more_than_their_bytes() {
        let deep = [&b")"[..], &[0x85; 100_000], b"."].concat();
        assert!(read(&deep).is_ok());
        // Pairs of pairs: two to the power of 40 objects, were they copied.
        let pairs = [&b"K\x01"[..], &b"q\x00h\x00\x86".repeat(40), b"."].concat();
        assert!(matches!(read(&pairs), Ok((Object::List(items), _)) if items.len() == 2));
        // A list in itself.
        assert!(read(b"]q\x00h\x00a.").is_ok());
    }
}
