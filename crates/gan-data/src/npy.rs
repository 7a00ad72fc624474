//! Arrays in NumPy's `.npy` format (NumPy Enhancement Proposal 1), read with care: a file that somebody else wrote promises whatever
//! it likes.
//!
//! The header is parsed once (`header`) and compared with the file's real length before anything is allocated. Rows are read when they
//! are asked for, so memory is bounded by what is asked for, not by the file. [`ImageArray`] (`images`) and [`VectorArray`] (`vectors`) check
//! what a caller's arrays must have: layout, number type and range.

mod header;
mod images;
mod vectors;

pub use header::Numbers;
pub use images::ImageArray;
pub use vectors::VectorArray;

use crate::Error;
use gan_base::regular_file;
use header::Header;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// How every `.npy` file begins.
const MAGIC: &[u8] = b"\x93NUMPY";
/// How zip archives begin, `.npz` files among them; an empty one begins with the second.
const ZIPS: [&[u8]; 2] = [b"PK\x03\x04", b"PK\x05\x06"];
/// How a Python pickle of protocol 2 and above begins.
const PICKLE: u8 = 0x80;
/// The longest header that is read. NumPy itself reads 10,000 bytes.
const LONGEST_HEADER: u32 = 1 << 20;
/// Numbers read at once, to bound the memory for their bytes.
const AT_ONCE: usize = 1 << 20;

/// An opened `.npy` file whose header fits its length.
#[derive(Debug)]
pub struct NpyFile {
    path: PathBuf,
    file: File,
    header: Header,
    /// Where the numbers begin.
    start: u64,
}

/// Whether a file is meant as an array: by its ending, `.npy` or `.npz` in any case, or by its first bytes.
pub fn is_array(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    if ["npy", "npz"].iter().any(|known| ending.eq_ignore_ascii_case(known)) {
        return true;
    }
    let first = regular_file::open(path).ok().and_then(|mut file| first_bytes(&mut file).ok()).unwrap_or_default();
    first.starts_with(MAGIC) || ZIPS.iter().any(|zip| first.starts_with(zip))
}

impl NpyFile {
    /// Reads the header of the file at `path` and compares it with the file's length.
    ///
    /// # Errors
    /// [`Error::Read`] where the file cannot be read; [`Error::File`] where it is not a regular file or not a whole `.npy` file of
    /// numbers, with what it is instead.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let read = |cause| Error::Read { path: path.into(), cause };
        let mut file = regular_file::open(path).map_err(read)?;
        let metadata = file.metadata().map_err(read)?;
        if !metadata.is_file() {
            return Err(wrong(path, "not a regular file", "a folder, pipe or device", "a .npy file", "name the file"));
        }
        let first = first_bytes(&mut file).map_err(read)?;
        if !first.starts_with(MAGIC) {
            return Err(other_format(path, &first));
        }
        let (header, start) = Self::header(&mut file, path, &first, metadata.len())?;
        let array = Self { path: path.into(), file, header, start };
        array.check_length(metadata.len())?;
        Ok(array)
    }

    /// The array's shape.
    pub fn shape(&self) -> &[usize] {
        &self.header.shape
    }

    /// The type of its numbers.
    pub fn numbers(&self) -> Numbers {
        self.header.numbers
    }

    /// Where it was read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many rows there are: the first side of the shape; a number alone is one row.
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
    /// [`Error::Read`] where the file cannot be read, or there is no memory for the rows.
    pub fn read_rows(&mut self, indices: &[usize]) -> Result<Vec<f32>, Error> {
        let mut values = self.room_for(indices.len())?;
        runs(indices).into_iter().try_for_each(|run| self.read_run(run, &mut values))?;
        Ok(values)
    }

    /// The whole array, in the order of NumPy's `x.ravel()`.
    ///
    /// # Errors
    /// As [`NpyFile::read_rows`].
    pub fn read_all(&mut self) -> Result<Vec<f32>, Error> {
        let mut values = self.room_for(self.rows())?;
        self.read_run(0..self.rows(), &mut values)?;
        Ok(values)
    }

    /// An empty list with room for `rows` rows.
    fn room_for(&self, rows: usize) -> Result<Vec<f32>, Error> {
        let size = rows.saturating_mul(self.row_len());
        let mut values = Vec::new();
        match values.try_reserve_exact(size) {
            Ok(()) => Ok(values),
            Err(_) => {
                let problem = format!("there is no memory for its {size} numbers");
                let cause = std::io::Error::new(std::io::ErrorKind::OutOfMemory, problem);
                Err(Error::Read { path: self.path.clone(), cause })
            }
        }
    }

    fn read_run(&mut self, rows: Range<usize>, values: &mut Vec<f32>) -> Result<(), Error> {
        let row_len = self.row_len();
        if self.header.is_fortran {
            return self.read_fortran(rows, values);
        }
        self.read_numbers(rows.start * row_len, rows.len() * row_len, values)
    }

    /// A Fortran-ordered array keeps the first index fastest: each place in a row is one stretch of the file over all rows.
    fn read_fortran(&mut self, rows: Range<usize>, values: &mut Vec<f32>) -> Result<(), Error> {
        let (first, count, row_len) = (values.len(), rows.len(), self.row_len());
        values.resize(first + count * row_len, 0.0);
        let sides: Vec<usize> = self.header.shape.iter().skip(1).copied().collect();
        let mut stretch = Vec::with_capacity(count);
        for place in 0..row_len {
            stretch.clear();
            self.read_numbers(place * self.rows() + rows.start, count, &mut stretch)?;
            let to = first + c_index(place, &sides);
            stretch.iter().enumerate().for_each(|(row, value)| values[to + row * row_len] = *value);
        }
        Ok(())
    }

    /// Appends `count` numbers from number `from` of the file on.
    fn read_numbers(&mut self, from: usize, count: usize, values: &mut Vec<f32>) -> Result<(), Error> {
        let numbers = self.header.numbers;
        let mut bytes = vec![0; count.min(AT_ONCE) * numbers.size()];
        let path = &self.path;
        let read = |cause| Error::Read { path: path.clone(), cause };
        self.file.seek(SeekFrom::Start(self.start + (from * numbers.size()) as u64)).map_err(read)?;
        for done in (0..count).step_by(AT_ONCE) {
            let part = &mut bytes[..(count - done).min(AT_ONCE) * numbers.size()];
            self.file.read_exact(part).map_err(read)?;
            values
                .extend(part.chunks_exact(numbers.size()).map(|bytes| numbers.read(bytes, self.header.is_big_endian)));
        }
        Ok(())
    }

    /// The parsed header, and where the numbers begin. `first` are the first bytes of a file of `length` bytes.
    fn header(file: &mut File, path: &Path, first: &[u8], length: u64) -> Result<(Header, u64), Error> {
        let cut_off = || {
            let found = format!("a file of {length} bytes that ends within its header");
            wrong(path, "not a whole .npy file", &found, "a whole .npy file", "copy or write it again")
        };
        let (size, before) = match (first.get(6), first.get(8..12)) {
            (Some(1), Some(bytes)) => (u32::from(u16::from_le_bytes([bytes[0], bytes[1]])), 10),
            (Some(2 | 3), Some(bytes)) => (u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]), 12),
            (Some(version @ 4..) | Some(version @ 0), _) => {
                let found = format!("version {version}");
                let advice = "write it again with numpy.save";
                return Err(wrong(path, "unknown version of the .npy format", &found, "version 1, 2 or 3", advice));
            }
            _ => return Err(cut_off()),
        };
        if size > LONGEST_HEADER {
            let found = format!("{size} bytes");
            let expected = format!("at most {LONGEST_HEADER}");
            return Err(wrong(path, "header too long", &found, &expected, "write it again with numpy.save"));
        }
        if before + u64::from(size) > length {
            return Err(cut_off());
        }
        let read = |cause| Error::Read { path: path.into(), cause };
        let mut text = vec![0; size as usize];
        file.seek(SeekFrom::Start(before)).map_err(read)?;
        file.read_exact(&mut text).map_err(read)?;
        let header = Header::parse(&String::from_utf8_lossy(&text));
        let header = header.map_err(|problem| {
            let header::Problem { what, found, expected, advice } = problem;
            Error::File { path: path.into(), what, found, expected, advice }
        })?;
        Ok((header, before + u64::from(size)))
    }

    /// The file holds as many bytes as its shape says, no fewer and no more.
    fn check_length(&self, length: u64) -> Result<(), Error> {
        let Header { shape, numbers, .. } = &self.header;
        // Without the zeros, so that no product of some sides overflows later.
        let sides = shape.iter().filter(|side| **side > 0);
        let product = sides.copied().chain([numbers.size()]).try_fold(1u64, |n, side| n.checked_mul(side as u64));
        let needed = product.map(|bytes| if shape.contains(&0) { 0 } else { bytes });
        let there = length - self.start;
        if needed == Some(there) {
            return Ok(());
        }
        let needed = needed.map_or_else(|| "more than any file can hold".into(), |n| format!("{n} bytes"));
        let found = format!("{there} bytes after the header");
        let expected = format!("{needed}, for an array of shape {shape:?} of {numbers}");
        let advice = "copy or write it again, one array a file";
        Err(wrong(&self.path, "not a whole .npy file", &found, &expected, advice))
    }
}

/// Magic, version and length of the header, as far as the file goes.
fn first_bytes(file: &mut File) -> std::io::Result<Vec<u8>> {
    let mut first = Vec::with_capacity(12);
    file.by_ref().take(12).read_to_end(&mut first)?;
    Ok(first)
}

fn other_format(path: &Path, first: &[u8]) -> Error {
    let what = "not a .npy file";
    let expected = "a .npy file, as numpy.save writes it";
    if ZIPS.iter().any(|zip| first.starts_with(zip)) {
        let advice = "a .npz holds several arrays; save one with np.save";
        return wrong(path, what, "a .npz archive", expected, advice);
    }
    match first.first() {
        None => wrong(path, what, "an empty file", expected, "write it again"),
        Some(&PICKLE) => wrong(path, what, "a Python pickle", expected, "save one array of numbers with np.save"),
        _ => wrong(path, what, "a file of another format", expected, "save one array with np.save"),
    }
}

fn wrong(path: &Path, what: &'static str, found: &str, expected: &str, advice: &str) -> Error {
    Error::File { path: path.into(), what, found: found.into(), expected: expected.into(), advice: advice.into() }
}

/// An array that is whole but not what a caller can use.
fn refused(file: &NpyFile, what: &'static str, found: String, expected: &str, advice: &str) -> Error {
    wrong(&file.path, what, &found, expected, advice)
}

/// Stretches of numbers that follow each other.
fn runs(indices: &[usize]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for &index in indices {
        match runs.last_mut() {
            Some(run) if run.end == index => run.end += 1,
            _ => runs.push(index..index + 1),
        }
    }
    runs
}

/// `count` of `all` numbers from 0 on at even distances.
fn spread(all: usize, count: usize) -> Vec<usize> {
    // In u128, since the product of two lengths may not fit.
    (0..count).map(|i| (i as u128 * all as u128 / count as u128) as usize).collect()
}

/// Where place `place` in Fortran order, first side fastest, stands in C order, last side fastest.
fn c_index(place: usize, sides: &[usize]) -> usize {
    let mut rest = place;
    let places = sides.iter().map(|side| {
        let at = rest % side;
        rest /= side;
        at
    });
    let places: Vec<usize> = places.collect();
    places.iter().zip(sides).fold(0, |index, (at, side)| index * side + at)
}

#[cfg(test)]
mod tests;
