//! The header of a `.npy` file: a Python dictionary with number type, order and shape.

use crate::Error;
use half::f16;
use std::fmt;
use std::path::Path;

/// More sides than NumPy's arrays can have.
const MOST_SIDES: usize = 64;
/// The most characters of the header that a message repeats.
const SHOWN: usize = 40;

/// The type of an array's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Numbers {
    /// Floating point of 2, 4 or 8 bytes.
    Float(usize),
    /// Signed integers of 1, 2, 4 or 8 bytes.
    Signed(usize),
    /// Unsigned integers of 1, 2, 4 or 8 bytes.
    Unsigned(usize),
    /// Truth values of one byte.
    Bool,
}

impl Numbers {
    /// Bytes per number.
    pub fn size(self) -> usize {
        match self {
            Self::Float(size) | Self::Signed(size) | Self::Unsigned(size) => size,
            Self::Bool => 1,
        }
    }

    /// The number in `bytes`, [`size`](Self::size) of them, as the nearest float32.
    pub fn read(self, bytes: &[u8], is_big_endian: bool) -> f32 {
        let mut word = [0; 8];
        let little = &mut word[..bytes.len()];
        little.copy_from_slice(bytes);
        if is_big_endian {
            little.reverse();
        }
        let bits = u64::from_le_bytes(word);
        let unused = 64 - 8 * bytes.len() as u32;
        match self {
            Self::Float(2) => f16::from_bits(bits as u16).to_f32(),
            Self::Float(4) => f32::from_bits(bits as u32),
            Self::Float(_) => f64::from_bits(bits) as f32,
            Self::Signed(_) => (((bits << unused) as i64) >> unused) as f32,
            Self::Unsigned(_) => bits as f32,
            Self::Bool => f32::from(u8::from(bits != 0)),
        }
    }

    /// The type that NumPy writes as, for example, `f4`.
    fn of(kind: char, size: usize) -> Option<Self> {
        match (kind, size) {
            ('f', 2 | 4 | 8) => Some(Self::Float(size)),
            ('i', 1 | 2 | 4 | 8) => Some(Self::Signed(size)),
            ('u', 1 | 2 | 4 | 8) => Some(Self::Unsigned(size)),
            ('b', 1) => Some(Self::Bool),
            _ => None,
        }
    }
}

impl fmt::Display for Numbers {
    /// As NumPy calls it: `float32`, `uint8`, `bool`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Float(size) => write!(f, "float{}", 8 * size),
            Self::Signed(size) => write!(f, "int{}", 8 * size),
            Self::Unsigned(size) => write!(f, "uint{}", 8 * size),
            Self::Bool => write!(f, "bool"),
        }
    }
}

/// The content of a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub numbers: Numbers,
    pub is_big_endian: bool,
    /// Whether the first index is the fastest.
    pub is_fortran: bool,
    pub shape: Vec<usize>,
}

impl Header {
    /// Parses a text such as `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`: each key once, in any order, and no other.
    pub fn parse(path: &Path, text: &str) -> Result<Self, Error> {
        let again = "write the file again with numpy.save";
        let damaged = || {
            let expected = "a dictionary such as {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }";
            Error::file(path, "damaged .npy header", shown(text), expected, again)
        };
        let wrong_keys = |found: String| {
            let expected = "the keys 'descr', 'fortran_order' and 'shape', each once";
            Error::file(path, "damaged .npy header", found, expected, again)
        };
        let mut rest = Text(text.trim());
        let mut numbers = None;
        let mut is_fortran = None;
        let mut shape = None;
        rest.take("{").ok_or_else(damaged)?;
        while rest.take("}").is_none() {
            let key = rest.string().filter(|_| rest.take(":").is_some()).ok_or_else(damaged)?;
            let is_new = match key {
                "descr" => numbers.replace(rest.numbers(path).ok_or_else(damaged)??).is_none(),
                "fortran_order" => is_fortran.replace(rest.truth().ok_or_else(damaged)?).is_none(),
                "shape" => shape.replace(rest.shape().ok_or_else(damaged)?).is_none(),
                other => return Err(wrong_keys(format!("the key '{}'", shown(other)))),
            };
            if !is_new {
                return Err(wrong_keys(format!("the key '{key}' twice")));
            }
            if rest.take(",").is_none() && !rest.0.starts_with('}') {
                return Err(damaged());
            }
        }
        if !rest.0.is_empty() {
            return Err(damaged());
        }
        let missing = |key: &str| wrong_keys(format!("no key '{key}'"));
        let (numbers, is_big_endian) = numbers.ok_or_else(|| missing("descr"))?;
        let is_fortran = is_fortran.ok_or_else(|| missing("fortran_order"))?;
        let shape = shape.ok_or_else(|| missing("shape"))?;
        Ok(Self { numbers, is_big_endian, is_fortran, shape })
    }
}

/// The beginning of a text from the file, without control characters.
fn shown(text: &str) -> String {
    let start: String = text.trim().chars().take(SHOWN).collect();
    let dots = if start.len() < text.trim().len() { " …" } else { "" };
    let plain = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    start.chars().map(plain).chain([dots.to_string()]).collect()
}

/// The text that is not parsed yet. Every method also consumes the white space after what it parses.
struct Text<'a>(&'a str);

impl<'a> Text<'a> {
    fn take(&mut self, token: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(token)?.trim_start();
        Some(())
    }

    /// A string in single or double quotes, without escapes, which no header needs.
    fn string(&mut self) -> Option<&'a str> {
        let quote = self.0.chars().next().filter(|c| ['\'', '"'].contains(c))?;
        let (text, rest) = self.0[1..].split_once(quote)?;
        self.0 = rest.trim_start();
        (!text.contains('\\')).then_some(text)
    }

    fn truth(&mut self) -> Option<bool> {
        [("True", true), ("False", false)].into_iter().find_map(|(word, value)| self.take(word).map(|()| value))
    }

    /// The type of the numbers and whether they are big-endian; an error if this type cannot be read.
    fn numbers(&mut self, path: &Path) -> Option<Result<(Numbers, bool), Error>> {
        let not_numbers = |found: &str, advice| {
            let expected = "floating point or whole numbers, e.g. float32";
            Some(Err(Error::file(path, "not an array of numbers", found, expected, advice)))
        };
        if self.0.starts_with('[') {
            return not_numbers("a structured array, with named fields", "save one field, e.g. x['name']");
        }
        let text = self.string()?;
        let rest = text.strip_prefix(['<', '>', '|', '=']).unwrap_or(text);
        let kind = rest.chars().next()?;
        let size = rest[kind.len_utf8()..].parse::<usize>().ok();
        if let Some(numbers) = size.and_then(|size| Numbers::of(kind, size)) {
            return Some(Ok((numbers, text.starts_with('>'))));
        }
        let shown = shown(text);
        match kind {
            'O' => not_numbers(
                "an array of Python objects, which is a pickle inside",
                "make one array of numbers, e.g. by np.stack, and save it with np.save",
            ),
            'c' => not_numbers(&format!("complex numbers ({shown})"), "save x.real, or x.imag"),
            'U' | 'S' | 'a' => not_numbers(&format!("text ({shown})"), "save numbers"),
            'M' | 'm' => not_numbers(&format!("dates or times ({shown})"), "save numbers"),
            _ => not_numbers(&format!("the type {shown}"), "save x.astype('f4')"),
        }
    }

    /// A tuple: `()`, `(3,)`, `(3, 4)`. Python 2 wrote an L after long numbers.
    fn shape(&mut self) -> Option<Vec<usize>> {
        self.take("(")?;
        let mut sides = Vec::new();
        loop {
            if self.take(")").is_some() {
                return Some(sides);
            }
            let end = self.0.find(|c: char| !c.is_ascii_digit()).filter(|end| *end > 0)?;
            sides.push(self.0[..end].parse().ok()?);
            self.0 = self.0[end..].trim_start();
            self.take("L");
            let has_comma = self.take(",").is_some();
            // (3) is a number in brackets, not a shape.
            let ends_well = self.0.starts_with(')') && sides.len() > 1;
            if sides.len() > MOST_SIDES || !(has_comma || ends_well) {
                return None;
            }
        }
    }
}
