//! The IDX format of MNIST: a magic number, one big-endian u32 per dimension, then the bytes.
//!
//! The magic number is 0x0000_08DD: 08 for unsigned bytes, DD for the number of dimensions. Source: "FILE FORMATS FOR
//! THE MNIST DATABASE" on the data set's page. Gzipped files are recognised by their first two bytes, not by their name.

use crate::Error;
use flate2::bufread::MultiGzDecoder;
use gan_base::regular_file;
use std::fmt::Display;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::path::Path;

/// The most bytes that a file may hold once unpacked. MNIST's largest has 47 MB.
const LIMIT: u64 = 1 << 32;

/// Memory that is reserved because the header says so; more is reserved only as bytes arrive.
const TRUSTED: u64 = 64 << 20;

/// The most bytes that a byte of a gzipped file can become: deflate packs 258 equal bytes into two bits at best.
const MOST_EXPANSION: u64 = 1032;

/// The same for gzipped files that hold more than [`LARGE`] bytes: MNIST's images expand 5 times, and only files made to fill the memory
/// expand more than this.
const PLAUSIBLE_EXPANSION: u64 = 100;
const LARGE: u64 = 256 << 20;

/// The most bytes after the expected ones that are counted for the message.
const MOST_COUNTED: u64 = 1 << 16;

const AGAIN: &str = "the file is damaged or its download was cut off: fetch it again";

/// The content of an IDX file of bytes with `D` dimensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idx<const D: usize> {
    /// The sizes, outermost first: `[N, H, W]` for images, `[N]` for labels. None is 0.
    pub dims: [usize; D],
    /// The values, the last dimension varying fastest; as many as the product of `dims`.
    pub data: Vec<u8>,
}

/// Reads the IDX file at `path`, gzipped or not: `read::<3>` for images `[N, H, W]`, `read::<1>` for labels `[N]`.
///
/// # Errors
/// [`Error::Read`] if the file cannot be opened or read. [`Error::File`] if its gzip stream is cut off or damaged, the magic number is
/// another, the header is cut off, a size is 0, the sizes multiply to more than 4 GiB or to more than a file of this length can hold, or
/// there are fewer or more bytes than the sizes say.
pub fn read<const D: usize>(path: &Path) -> Result<Idx<D>, Error> {
    let mut source = Source::open(path)?;
    let dims = header(&mut source)?;
    let data = body(&mut source, &dims)?;
    Ok(Idx { dims: dims.map(|n| n as usize), data })
}

fn header<const D: usize>(source: &mut Source) -> Result<[u32; D], Error> {
    let size = 4 * (D as u64 + 1);
    let bytes = source.take(size)?;
    let words: Vec<u32> = bytes.as_chunks().0.iter().map(|word| u32::from_be_bytes(*word)).collect();
    let magic = 0x0800 | D as u32;
    if let Some(found) = words.first().filter(|found| **found != magic) {
        let advice = "check that this is the right file, unpacked whole";
        return Err(source.wrong("wrong magic number", describe(*found), describe(magic), advice));
    }
    let dims = words.get(1..).and_then(|dims| <[u32; D]>::try_from(dims).ok());
    dims.ok_or_else(|| {
        let expected = format!("at least the {size} bytes of the header");
        source.wrong("header cut off", format!("{} bytes", bytes.len()), expected, AGAIN)
    })
}

/// A magic number in hexadecimal, with its meaning if it has one.
fn describe(magic: u32) -> String {
    let meaning = match magic {
        0x0801 => " (labels)",
        0x0803 => " (images)",
        _ => "",
    };
    format!("0x{magic:08x}{meaning}")
}

fn body<const D: usize>(source: &mut Source, dims: &[u32; D]) -> Result<Vec<u8>, Error> {
    let expected = check_dims(source, dims)?;
    let lengths = |source: &Source, found: u64, more: &str| {
        let what = if found < expected { "too short" } else { "too long" };
        let wanted = format!("{expected} bytes for the header's sizes {dims:?}");
        source.wrong(what, format!("{more}{found} bytes after the header"), wanted, AGAIN)
    };
    // Nothing is read if the lengths differ.
    let rest_of_file = source.length.saturating_sub(source.position);
    if !source.packed && rest_of_file != expected {
        return Err(lengths(source, rest_of_file, ""));
    }
    let data = source.take(expected)?;
    let rest = source.count_rest()?;
    let found = data.len() as u64 + rest;
    if found == expected {
        return Ok(data);
    }
    Err(lengths(source, found, if rest > MOST_COUNTED { "at least " } else { "" }))
}

/// The number of values that `dims` stand for, between 1 and [`LIMIT`].
fn check_dims<const D: usize>(source: &Source, dims: &[u32; D]) -> Result<u64, Error> {
    let advice = "the header is damaged: fetch the file again";
    let found = format!("the sizes {dims:?} in the header");
    if dims.contains(&0) {
        return Err(source.wrong("empty", found, "sizes of at least 1", advice));
    }
    let total = dims.iter().try_fold(1u64, |product, &n| product.checked_mul(n.into()));
    let Some(total) = total.filter(|&n| n <= LIMIT) else {
        let expected = format!("sizes that multiply to at most {LIMIT} bytes");
        return Err(source.wrong("impossibly large", found, expected, advice));
    };
    let expansion = if total > LARGE { PLAUSIBLE_EXPANSION } else { MOST_EXPANSION };
    let most = source.length.saturating_mul(expansion);
    if source.packed && total > most {
        let found = format!("{found}, {total} bytes, in a gzipped file of {} bytes", source.length);
        let expected = format!("at most {expansion} bytes for each of the file's");
        let advice = "fetch the file again; if the sizes are right, unpack it with gunzip";
        return Err(source.wrong("impossibly large", found, expected, advice));
    }
    Ok(total)
}

/// A file being read, unpacked on the way where it is gzipped.
struct Source<'a> {
    path: &'a Path,
    reader: Box<dyn Read>,
    /// Whether the file is gzipped.
    packed: bool,
    /// Bytes of the file.
    length: u64,
    /// Unpacked bytes so far.
    position: u64,
}

impl<'a> Source<'a> {
    fn open(path: &'a Path) -> Result<Self, Error> {
        let fail = Error::read(path);
        let file = regular_file::open(path).map_err(fail)?;
        let length = file.metadata().map_err(fail)?.len();
        let mut file = BufReader::with_capacity(1 << 16, file);
        let packed = file.fill_buf().map_err(fail)?.starts_with(&[0x1f, 0x8b]);
        let reader: Box<dyn Read> = if packed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
        Ok(Self { path, reader, packed, length, position: 0 })
    }

    /// The next `count` bytes, or all that are left if there are fewer.
    fn take(&mut self, count: u64) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        let mut room = TRUSTED;
        // Memory for all is reserved once a part of it has arrived: growing step by step would need half as much again.
        while (bytes.len() as u64) < count {
            let wanted = count.min(room);
            let reserved = bytes.try_reserve_exact(wanted as usize - bytes.len());
            reserved.map_err(|error| self.failed(error.into()))?;
            let before = bytes.len();
            let read = self.reader.by_ref().take(wanted - before as u64).read_to_end(&mut bytes);
            self.position += (bytes.len() - before) as u64;
            read.map_err(|cause| self.failed(cause))?;
            if (bytes.len() as u64) < wanted {
                break;
            }
            room = count;
        }
        Ok(bytes)
    }

    /// Counts the bytes up to the end, or somewhat more than [`MOST_COUNTED`]. Reaching the end also checks gzip's checksum.
    fn count_rest(&mut self) -> Result<u64, Error> {
        let count = io::copy(&mut self.reader.by_ref().take(MOST_COUNTED + 1), &mut io::sink());
        let count = count.map_err(|cause| self.failed(cause))?;
        self.position += count;
        Ok(count)
    }

    fn failed(&self, cause: io::Error) -> Error {
        let what = match cause.kind() {
            ErrorKind::UnexpectedEof if self.packed => "gzip stream cut off",
            ErrorKind::InvalidInput | ErrorKind::InvalidData if self.packed => "gzip stream damaged",
            _ => return Error::read(self.path)(cause),
        };
        let found = format!("\"{cause}\" after {} unpacked bytes", self.position);
        self.wrong(what, found, "a whole gzip stream", AGAIN)
    }

    fn wrong(&self, what: &'static str, found: String, expected: impl Display, advice: &str) -> Error {
        Error::file(self.path, what, found, expected, advice)
    }
}

#[cfg(test)]
mod tests;
