//! Arrays in NumPy's `.npy` format (NumPy Enhancement Proposal 1), read without trusting the file.
//!
//! The header is parsed once (`header`) and compared with the file's length before anything is allocated. Rows are read on request, so
//! memory is bounded by the request, not by the file. [`ImageArray`] and [`VectorArray`] (`arrays`) check layout, number type and range.

mod arrays;
mod header;
mod npz;

pub use arrays::{ImageArray, VectorArray};
pub(crate) use header::Numbers;

use crate::Error;
use crate::positioned::read_exact_at;
use gan_base::regular_file;
use header::Header;
use std::fs::File;
use std::io::{Error as IoError, ErrorKind, Result as IoResult};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The first bytes of every `.npy` file.
const MAGIC: &[u8] = b"\x93NUMPY";
/// The first bytes of zip archives, such as `.npz` files; an empty one begins with the second.
const ZIPS: [&[u8]; 2] = [b"PK\x03\x04", b"PK\x05\x06"];
/// The first byte of a Python pickle of protocol 2 and above.
const PICKLE: u8 = 0x80;
/// The longest header that is read. NumPy itself reads 10,000 bytes.
const LONGEST_HEADER: u32 = 1 << 20;
/// Numbers read at once, to bound the memory for their bytes.
const AT_ONCE: usize = 1 << 20;

/// An opened array whose header fits the length of its bytes. Threads may share it.
#[derive(Debug)]
pub struct NpyFile {
    path: PathBuf,
    bytes: Bytes,
    header: Header,
    /// Offset of the numbers.
    start: u64,
}

/// The bytes of a `.npy` file.
#[derive(Debug)]
enum Bytes {
    /// A part of a file: all of it, or an array in an archive.
    File { file: Arc<File>, start: u64, length: u64 },
    /// An array that was compressed.
    Memory(Vec<u8>),
}

impl Bytes {
    fn whole(path: &Path) -> IoResult<Self> {
        let file = regular_file::open(path)?;
        let length = file.metadata()?.len();
        Ok(Self::File { file: Arc::new(file), start: 0, length })
    }

    fn length(&self) -> u64 {
        match self {
            Self::File { length, .. } => *length,
            Self::Memory(bytes) => bytes.len() as u64,
        }
    }

    /// Fills `buffer` with the bytes from `offset` on, which must exist.
    fn read_exact(&self, buffer: &mut [u8], offset: u64) -> IoResult<()> {
        match self {
            Self::File { file, start, .. } => read_exact_at(file, buffer, start + offset),
            Self::Memory(bytes) => {
                let part = usize::try_from(offset).ok().and_then(|from| bytes.get(from..)?.get(..buffer.len()));
                buffer.copy_from_slice(part.ok_or(ErrorKind::UnexpectedEof)?);
                Ok(())
            }
        }
    }
}

/// Whether a file is meant as an array: by its ending, `.npy` or `.npz` in any case, or by its first bytes.
pub fn is_array(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    if ["npy", "npz"].iter().any(|known| ending.eq_ignore_ascii_case(known)) {
        return true;
    }
    let first = Bytes::whole(path).and_then(|bytes| first_bytes(&bytes)).unwrap_or_default();
    first.starts_with(MAGIC) || ZIPS.iter().any(|zip| first.starts_with(zip))
}

/// Whether the file at `path` is an array of images, or an archive with exactly one, by the shapes of its arrays.
pub fn holds_images(path: &Path) -> bool {
    NpyFile::open_images(path).is_ok_and(|array| array.shape().len() == 4)
}

impl NpyFile {
    /// Reads the header of the file at `path` and compares it with the file's length.
    ///
    /// # Errors
    /// [`Error::Read`] if the file cannot be read or is not a regular file; [`Error::File`], with what it is instead, if it is not a
    /// complete `.npy` file of numbers.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::of(path, Bytes::whole(path).map_err(Error::read(path))?)
    }

    fn of(path: &Path, bytes: Bytes) -> Result<Self, Error> {
        let read = Error::read(path);
        let length = bytes.length();
        let first = first_bytes(&bytes).map_err(read)?;
        if !first.starts_with(MAGIC) {
            return Err(other_format(path, &first));
        }
        let again = "write it again with numpy.save";
        let cut_off = || {
            let found = format!("a file of {length} bytes that ends within its header");
            Error::file(path, "not a whole .npy file", found, "a whole .npy file", "copy or write it again")
        };
        let (size, before) = match (first.get(6), first.get(8..12)) {
            (Some(1), Some(bytes)) => (u32::from(u16::from_le_bytes([bytes[0], bytes[1]])), 10),
            (Some(2 | 3), Some(bytes)) => (u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]), 12),
            (Some(version @ 4..) | Some(version @ 0), _) => {
                let found = format!("version {version}");
                let what = "unknown version of the .npy format";
                return Err(Error::file(path, what, found, "version 1, 2 or 3", again));
            }
            _ => return Err(cut_off()),
        };
        if size > LONGEST_HEADER {
            let expected = format!("at most {LONGEST_HEADER}");
            return Err(Error::file(path, "header too long", format!("{size} bytes"), expected, again));
        }
        let start = before + u64::from(size);
        if start > length {
            return Err(cut_off());
        }
        let mut text = vec![0; size as usize];
        bytes.read_exact(&mut text, before).map_err(read)?;
        let header = Header::parse(path, &String::from_utf8_lossy(&text))?;
        check_length(path, &header, length - start)?;
        Ok(Self { path: path.into(), bytes, header, start })
    }

    /// The array's shape.
    pub fn shape(&self) -> &[usize] {
        &self.header.shape
    }

    /// The type of the numbers.
    pub(crate) fn numbers(&self) -> Numbers {
        self.header.numbers
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Number of rows: the first side of the shape; a single number is one row.
    pub fn rows(&self) -> usize {
        self.header.shape.first().copied().unwrap_or(1)
    }

    /// Numbers in a row.
    pub fn row_len(&self) -> usize {
        self.header.shape.iter().skip(1).product()
    }

    /// The rows `indices`, one after the other, each in the order of NumPy's `x[i].ravel()`. Every index must be below
    /// [`rows`](Self::rows).
    ///
    /// # Errors
    /// [`Error::Read`] if the file cannot be read, or there is no memory for the rows.
    pub fn read_rows(&self, indices: &[usize]) -> Result<Vec<f32>, Error> {
        let size = indices.len().saturating_mul(self.row_len());
        let mut values = Vec::new();
        values.try_reserve_exact(size).map_err(|_| {
            let problem = format!("there is no memory for its {size} numbers");
            Error::read(&self.path)(IoError::new(ErrorKind::OutOfMemory, problem))
        })?;
        for run in indices.chunk_by(|a, b| a + 1 == *b) {
            self.read_run(run[0]..run[0] + run.len(), &mut values)?;
        }
        Ok(values)
    }

    fn read_run(&self, rows: Range<usize>, values: &mut Vec<f32>) -> Result<(), Error> {
        let row_len = self.row_len();
        if !self.header.is_fortran {
            return self.read_numbers(rows.start * row_len, rows.len() * row_len, values);
        }
        // In Fortran order the first index is the fastest: each place in a row is a contiguous range of the file over all rows.
        let first = values.len();
        values.resize(first + rows.len() * row_len, 0.0);
        let sides: Vec<usize> = self.header.shape.iter().skip(1).copied().collect();
        let mut column = Vec::with_capacity(rows.len());
        for place in 0..row_len {
            column.clear();
            self.read_numbers(place * self.rows() + rows.start, rows.len(), &mut column)?;
            let to = first + c_index(place, &sides);
            column.iter().enumerate().for_each(|(row, value)| values[to + row * row_len] = *value);
        }
        Ok(())
    }

    /// Appends `count` numbers, beginning with number `from` of the file.
    fn read_numbers(&self, from: usize, count: usize, values: &mut Vec<f32>) -> Result<(), Error> {
        let Header { numbers, is_big_endian, .. } = self.header;
        let mut bytes = vec![0; count.min(AT_ONCE) * numbers.size()];
        let read = Error::read(&self.path);
        for done in (0..count).step_by(AT_ONCE) {
            let part = &mut bytes[..(count - done).min(AT_ONCE) * numbers.size()];
            let offset = self.start + ((from + done) * numbers.size()) as u64;
            self.bytes.read_exact(part, offset).map_err(read)?;
            values.extend(part.chunks_exact(numbers.size()).map(|bytes| numbers.read(bytes, is_big_endian)));
        }
        Ok(())
    }

    /// Like [`read_rows`](Self::read_rows), but refuses numbers that are not finite. A row is a `row`, such as an image.
    pub(crate) fn read_finite(&self, indices: &[usize], row: &str) -> Result<Vec<f32>, Error> {
        let values = self.read_rows(indices)?;
        let Some(at) = values.iter().position(|value| !value.is_finite()) else { return Ok(values) };
        let found = format!("{} in {row} {}", values[at], indices[at / self.row_len()]);
        let advice = "nothing can be measured, made or searched for with that: look at how the array was made";
        Err(self.refused("numbers of the array", found, "finite numbers", advice))
    }

    /// The error of a complete array that a caller cannot use.
    pub(crate) fn refused(&self, what: &'static str, found: String, expected: &str, advice: &str) -> Error {
        Error::file(&self.path, what, found, expected, advice)
    }
}

/// Checks that the file has `there` bytes after its header, as its shape says.
fn check_length(path: &Path, header: &Header, there: u64) -> Result<(), Error> {
    let Header { shape, numbers, .. } = header;
    // Without the zeros, so that no product of some sides overflows later.
    let sides = shape.iter().filter(|side| **side > 0);
    let product = sides.copied().chain([numbers.size()]).try_fold(1u64, |n, side| n.checked_mul(side as u64));
    let needed = product.map(|bytes| if shape.contains(&0) { 0 } else { bytes });
    if needed == Some(there) {
        return Ok(());
    }
    let needed = needed.map_or_else(|| "more than any file can hold".into(), |n| format!("{n} bytes"));
    let found = format!("{there} bytes after the header");
    let expected = format!("{needed}, for an array of shape {shape:?} of {numbers}");
    Err(Error::file(path, "not a whole .npy file", found, expected, "copy or write it again, one array a file"))
}

/// Magic number, version and length of the header, as far as the file goes.
fn first_bytes(bytes: &Bytes) -> IoResult<Vec<u8>> {
    let mut first = vec![0; bytes.length().min(12) as usize];
    bytes.read_exact(&mut first, 0)?;
    Ok(first)
}

fn other_format(path: &Path, first: &[u8]) -> Error {
    let is_zip = ZIPS.iter().any(|zip| first.starts_with(zip));
    let (found, advice) = match first.first() {
        _ if is_zip => ("a .npz archive", "a .npz holds several arrays; save one with np.save"),
        None => ("an empty file", "write it again"),
        Some(&PICKLE) => ("a Python pickle", "save one array of numbers with np.save"),
        Some(_) => ("a file of another format", "save one array with np.save"),
    };
    Error::file(path, "not a .npy file", found, "a .npy file, as numpy.save writes it", advice)
}

/// `count` of `all` numbers from 0 on at even distances.
fn spread(all: usize, count: usize) -> Vec<usize> {
    // In u128, since the product of two lengths may not fit.
    (0..count).map(|i| (i as u128 * all as u128 / count as u128) as usize).collect()
}

/// The index in C order (last side fastest) of place `place` in Fortran order (first side fastest).
fn c_index(mut place: usize, sides: &[usize]) -> usize {
    let mut index = 0;
    let mut stride: usize = sides.iter().product();
    for side in sides {
        stride /= side;
        index += place % side * stride;
        place /= side;
    }
    index
}

#[cfg(test)]
mod tests;
