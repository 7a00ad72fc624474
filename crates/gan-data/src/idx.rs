//! The IDX format of MNIST: a magic number, one big-endian u32 per dimension, then the bytes.
//!
//! The magic number is 0x0000_08DD: 08 for unsigned bytes, DD for the number of dimensions. Source: "FILE FORMATS FOR
//! THE MNIST DATABASE" on the data set's page. Files may be gzipped; their first two bytes tell, not their name.

use crate::Error;
use flate2::bufread::MultiGzDecoder;
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::path::Path;

/// The most bytes that a file may hold once unpacked: 4 GiB. MNIST's largest has 47 MB.
pub const LIMIT: u64 = 1 << 32;

/// Memory asked for on a header's word alone; more only as bytes arrive.
const TRUSTED: u64 = 64 << 20;

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
/// [`Error::Read`] where the file cannot be opened or read. [`Error::File`] where its gzip stream is cut off or
/// damaged, the magic number is another, the header is cut off, a size is 0, the sizes multiply to more than
/// [`LIMIT`], or there are fewer or more bytes than the sizes say.
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
    if let Some(&found) = words.first()
        && found != magic
    {
        let advice = "check that this is the right file, unpacked whole".into();
        return Err(source.wrong("wrong magic number", describe(found), describe(magic), advice));
    }
    let dims = words.get(1..).and_then(|dims| <[u32; D]>::try_from(dims).ok());
    dims.ok_or_else(|| {
        let expected = format!("at least the {size} bytes of the header");
        source.wrong("header cut off", format!("{} bytes", bytes.len()), expected, AGAIN.into())
    })
}

/// A magic number in hexadecimal, with its meaning where it has one.
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
    let data = source.take(expected)?;
    let found = data.len() as u64 + source.skip_rest()?;
    if found == expected {
        return Ok(data);
    }
    let what = if found < expected { "too short" } else { "too long" };
    let wanted = format!("{expected} bytes for the header's sizes {dims:?}");
    let more = if source.at_limit() { "at least " } else { "" };
    Err(source.wrong(what, format!("{more}{found} bytes after the header"), wanted, AGAIN.into()))
}

/// The number of values that `dims` stand for, between 1 and [`LIMIT`].
fn check_dims<const D: usize>(source: &Source, dims: &[u32; D]) -> Result<u64, Error> {
    let advice = || "the header is damaged: fetch the file again".to_string();
    let found = format!("the sizes {dims:?} in the header");
    if dims.contains(&0) {
        return Err(source.wrong("empty", found, "sizes of at least 1".into(), advice()));
    }
    let total = dims.iter().try_fold(1u64, |product, &n| product.checked_mul(n.into()));
    total.filter(|&n| n <= LIMIT).ok_or_else(|| {
        source.wrong("impossibly large", found, format!("sizes that multiply to at most {LIMIT} bytes"), advice())
    })
}

/// A file being read, unpacked on the way where it is gzipped.
struct Source<'a> {
    path: &'a Path,
    reader: Box<dyn Read>,
    /// Whether the file is gzipped.
    packed: bool,
    /// Unpacked bytes so far.
    position: u64,
}

impl<'a> Source<'a> {
    fn open(path: &'a Path) -> Result<Self, Error> {
        let fail = |cause| Error::Read { path: path.into(), cause };
        let mut file = BufReader::with_capacity(1 << 16, File::open(path).map_err(fail)?);
        let packed = file.fill_buf().map_err(fail)?.starts_with(&[0x1f, 0x8b]);
        let reader: Box<dyn Read> = if packed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
        Ok(Self { path, reader, packed, position: 0 })
    }

    /// The next `count` bytes, or all that are left where there are fewer.
    fn take(&mut self, count: u64) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::with_capacity(count.min(TRUSTED) as usize);
        let done = self.reader.by_ref().take(count).read_to_end(&mut bytes);
        self.position += bytes.len() as u64;
        done.map_err(|cause| self.failed(cause))?;
        Ok(bytes)
    }

    /// Reads to the end, at most to [`LIMIT`], and counts. Reaching the end also checks gzip's checksum.
    fn skip_rest(&mut self) -> Result<u64, Error> {
        let left = LIMIT.saturating_sub(self.position) + 1;
        let count = io::copy(&mut self.reader.by_ref().take(left), &mut io::sink());
        let count = count.map_err(|cause| self.failed(cause))?;
        self.position += count;
        Ok(count)
    }

    /// Whether reading stopped before the end because there was too much.
    fn at_limit(&self) -> bool {
        self.position > LIMIT
    }

    fn failed(&self, cause: io::Error) -> Error {
        let what = match cause.kind() {
            ErrorKind::UnexpectedEof if self.packed => "gzip stream cut off",
            ErrorKind::InvalidInput | ErrorKind::InvalidData if self.packed => "gzip stream damaged",
            _ => return Error::Read { path: self.path.into(), cause },
        };
        let found = format!("\"{cause}\" after {} unpacked bytes", self.position);
        self.wrong(what, found, "a whole gzip stream".into(), AGAIN.into())
    }

    fn wrong(&self, what: &'static str, found: String, expected: String, advice: String) -> Error {
        Error::File { path: self.path.into(), what, found, expected, advice }
    }
}

#[cfg(test)]
mod tests;
