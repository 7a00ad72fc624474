//! Zip archives, read in place: the central directory once, and each file of the archive when it is requested.
//!
//! Nothing is unpacked to the disk. Files may be stored or deflated; sizes above 4 GiB (Zip64) are read as well. Threads share one open
//! archive and read at offsets. The format is PKWARE's APPNOTE.TXT, version 6.3.

use crate::Error;
use crate::positioned::{read_at, read_exact_at};
use flate2::bufread::DeflateDecoder;
use gan_base::regular_file;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The record at the end of an archive: its signature, its length, and the most bytes of the comment after it.
const END: &[u8] = b"PK\x05\x06";
const END_LENGTH: usize = 22;
const MOST_COMMENT: usize = 0xffff;
/// Record and locator that stand before it in Zip64 archives.
const END64: &[u8] = b"PK\x06\x06";
const END64_LENGTH: usize = 56;
const LOCATOR64: &[u8] = b"PK\x06\x07";
const LOCATOR64_LENGTH: usize = 20;
/// An entry of the central directory, and the header before each file.
const ENTRY: &[u8] = b"PK\x01\x02";
const ENTRY_LENGTH: usize = 46;
const LOCAL: &[u8] = b"PK\x03\x04";
const LOCAL_LENGTH: usize = 30;
/// The most bytes of a central directory: ten million files with names of usual length.
const MOST_DIRECTORY: u64 = 1 << 30;
/// Bytes of a compressed file that are read at once.
const AT_ONCE: u64 = 1 << 16;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// An open archive.
#[derive(Debug)]
pub(crate) struct Archive {
    path: PathBuf,
    file: Arc<File>,
    entries: HashMap<PathBuf, Entry>,
}

/// A file in an archive, as the central directory describes it.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Offset of the header before its bytes.
    header: u64,
    method: u16,
    crc: u32,
    /// Bytes in the archive.
    packed: u64,
    /// Bytes after decompression.
    size: u64,
}

/// Whether the file at `path` begins like a zip archive.
pub(crate) fn is_zip(path: &Path) -> bool {
    let mut first = [0; 4];
    let is_read = regular_file::open(path).and_then(|file| read_exact_at(&file, &mut first, 0)).is_ok();
    is_read && (first == LOCAL || first == END)
}

impl Archive {
    /// Reads the central directory of the archive at `path`. Names are relative to the archive, or to the only folder in it if everything
    /// lies in one. Folders, hidden files and the `__MACOSX` folders of macOS are left out.
    ///
    /// # Errors
    /// [`Error::Read`] if it cannot be read; [`Error::File`] if it is no whole archive, is encrypted, or has a name that leads out of it.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let read = Error::read(path);
        let file = Arc::new(regular_file::open(path).map_err(read)?);
        let length = file.metadata().map_err(read)?.len();
        let directory = Directory::find(path, &file, length)?;
        let mut bytes = Vec::new();
        let mut window = Window { file: Arc::clone(&file), at: directory.start, end: directory.start + directory.size };
        window.read_to_end(&mut bytes).map_err(read)?;
        let mut entries = HashMap::new();
        let mut rest = &bytes[..];
        while rest.starts_with(ENTRY) {
            let Parsed { name, entry, after } = parse(path, rest, &directory)?.ok_or_else(|| damaged(path))?;
            rest = after;
            // The last of several files with one name is the newest.
            name.and_then(|name| entries.insert(name, entry));
        }
        if !rest.is_empty() {
            return Err(damaged(path));
        }
        Ok(Self { path: path.into(), file, entries: without_outer_folder(entries) })
    }

    /// The path of the archive.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names of all files, in no particular order.
    pub fn names(&self) -> impl Iterator<Item = &PathBuf> {
        self.entries.keys()
    }

    /// Bytes of a file after decompression, as the archive declares them; `None` if there is no such file.
    pub fn size(&self, name: &Path) -> Option<u64> {
        self.entries.get(name).map(|entry| entry.size)
    }

    /// Offset and number of the bytes of a file that is not compressed.
    pub fn stored(&self, name: &Path) -> io::Result<Option<(u64, u64)>> {
        let entry = self.entry(name)?;
        if entry.method != STORED {
            return Ok(None);
        }
        self.start(entry).map(|start| Some((start, entry.packed)))
    }

    /// The open archive itself.
    pub fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// Returns a reader of a file, which checks its size and its CRC-32 at the end.
    pub fn read(&self, name: &Path) -> io::Result<EntryReader> {
        let entry = self.entry(name)?;
        let start = self.start(entry)?;
        let window = Window { file: Arc::clone(&self.file), at: start, end: start + entry.packed };
        let window = BufReader::with_capacity(entry.packed.clamp(1, AT_ONCE) as usize, window);
        let inner = match entry.method {
            STORED => Bytes::Stored(window),
            DEFLATED => Bytes::Deflated(DeflateDecoder::new(window)),
            other => {
                let problem = format!("it is compressed by method {other}; only stored and deflated files are read");
                return Err(invalid(problem));
            }
        };
        Ok(EntryReader { inner, crc: crc32fast::Hasher::new(), count: 0, size: entry.size, expected: entry.crc })
    }

    fn entry(&self, name: &Path) -> io::Result<&Entry> {
        self.entries.get(name).ok_or_else(|| io::Error::new(ErrorKind::NotFound, "the archive has no such file"))
    }

    /// Offset of an entry's bytes. The header before them may be longer than the one in the central directory.
    fn start(&self, entry: &Entry) -> io::Result<u64> {
        let mut header = [0; LOCAL_LENGTH];
        read_exact_at(&self.file, &mut header, entry.header)?;
        if !header.starts_with(LOCAL) {
            return Err(invalid("the archive is damaged: no file begins where its directory says".into()));
        }
        let after = u64::from(u16_at(&header, 26)) + u64::from(u16_at(&header, 28));
        let start = entry.header + LOCAL_LENGTH as u64 + after;
        let length = self.file.metadata()?.len();
        match start.checked_add(entry.packed) {
            Some(end) if end <= length => Ok(start),
            _ => Err(invalid("the archive is cut off within this file".into())),
        }
    }
}

/// Where the central directory is.
struct Directory {
    start: u64,
    size: u64,
    /// Bytes before the archive, such as a program that unpacks it; offsets do not count them.
    before: u64,
}

impl Directory {
    fn find(path: &Path, file: &File, length: u64) -> Result<Self, Error> {
        let read = Error::read(path);
        let tail_length = length.min((END_LENGTH + MOST_COMMENT + LOCATOR64_LENGTH) as u64);
        let mut tail = vec![0; tail_length as usize];
        read_exact_at(file, &mut tail, length - tail_length).map_err(read)?;
        let is_end = |at: &usize| {
            let record = &tail[*at..];
            record.starts_with(END)
                && record.len() >= END_LENGTH
                && END_LENGTH + usize::from(u16_at(record, 20)) <= record.len()
        };
        let Some(at) = (0..tail.len()).rev().find(is_end) else {
            let found = format!("a file of {length} bytes without the directory at the end of an archive");
            let advice = "it is probably cut off: copy or download it again";
            return Err(Error::file(path, "not a whole zip archive", found, "a whole .zip file", advice));
        };
        let record = &tail[at..];
        let end = length - tail_length + at as u64;
        let short = [u32_at(record, 12), u32_at(record, 16)];
        let parts = [u16_at(record, 4), u16_at(record, 6)];
        if parts.iter().any(|part| *part != 0 && *part != u16::MAX) {
            let advice = "join the parts to one file, e.g. with zip -s 0";
            return Err(Error::file(path, "an archive in several files", "a part of one", "a whole .zip file", advice));
        }
        let mut size = u64::from(short[0]);
        let mut offset = u64::from(short[1]);
        let mut end_of_directory = end;
        if (short.contains(&u32::MAX) || u16_at(record, 10) == u16::MAX)
            && let Some(locator) = at.checked_sub(LOCATOR64_LENGTH).map(|from| &tail[from..at])
            && locator.starts_with(LOCATOR64)
        {
            let mut record = [0; END64_LENGTH];
            // Bytes before the archive move the record as well.
            let places = [u64_at(locator, 8), end.saturating_sub((LOCATOR64_LENGTH + END64_LENGTH) as u64)];
            let found = places.into_iter().find(|place| {
                *place < length && read_exact_at(file, &mut record, *place).is_ok() && record.starts_with(END64)
            });
            end_of_directory = found.ok_or_else(|| damaged(path))?;
            size = u64_at(&record, 40);
            offset = u64_at(&record, 48);
        }
        let start = end_of_directory.checked_sub(size).ok_or_else(|| damaged(path))?;
        let before = start.checked_sub(offset).ok_or_else(|| damaged(path))?;
        if size > MOST_DIRECTORY {
            let expected = format!("at most {MOST_DIRECTORY}");
            let advice = "divide the images over several archives, or unpack it";
            return Err(Error::file(path, "directory too long", format!("{size} bytes"), expected, advice));
        }
        Ok(Self { start, size, before })
    }
}

/// An entry of the central directory.
struct Parsed<'a> {
    /// `None` for files that are left out.
    name: Option<PathBuf>,
    entry: Entry,
    /// The bytes after it.
    after: &'a [u8],
}

/// Parses the entry at the start of `bytes`; `None` if it is damaged.
fn parse<'a>(path: &Path, bytes: &'a [u8], directory: &Directory) -> Result<Option<Parsed<'a>>, Error> {
    if bytes.len() < ENTRY_LENGTH {
        return Ok(None);
    }
    let [name, extra, comment] = [28, 30, 32].map(|at| usize::from(u16_at(bytes, at)));
    let Some(after) = bytes.get(ENTRY_LENGTH + name + extra + comment..) else { return Ok(None) };
    let extra = &bytes[ENTRY_LENGTH + name..][..extra];
    let text = String::from_utf8_lossy(&bytes[ENTRY_LENGTH..][..name]);
    let [mut size, mut packed, mut header] = [24, 20, 42].map(|at| u64::from(u32_at(bytes, at)));
    let mut long = long_numbers(extra);
    for value in [&mut size, &mut packed, &mut header] {
        if *value == u64::from(u32::MAX) {
            let Some(number) = long.next() else { return Ok(None) };
            *value = number;
        }
    }
    let name = relative(path, &text)?;
    let is_encrypted = u16_at(bytes, 8) & 1 != 0;
    if is_encrypted && name.is_some() {
        let found = format!("{} with a password", shown(&text));
        let advice = "unpack it with the password, and name the folder";
        return Err(Error::file(path, "encrypted archive", found, "an archive without a password", advice));
    }
    let Some(header) = header.checked_add(directory.before) else { return Ok(None) };
    let entry = Entry { header, method: u16_at(bytes, 10), crc: u32_at(bytes, 16), packed, size };
    Ok(Some(Parsed { name, entry, after }))
}

/// The numbers of an entry that need 64 bits, in their order.
fn long_numbers(mut extra: &[u8]) -> impl Iterator<Item = u64> {
    let mut field: &[u8] = &[];
    while let [a, b, c, d, rest @ ..] = extra {
        let length = usize::from(u16::from_le_bytes([*c, *d])).min(rest.len());
        if [*a, *b] == [1, 0] {
            field = &rest[..length];
            break;
        }
        extra = &rest[length..];
    }
    field.chunks_exact(8).map(|bytes| u64_at(bytes, 0))
}

/// The path of a file within the archive; `None` for folders and hidden files.
fn relative(archive: &Path, name: &str) -> Result<Option<PathBuf>, Error> {
    // Some programs on Windows write backslashes.
    let plain = name.replace('\\', "/");
    let parts: Vec<&str> = plain.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    let has_drive = plain.as_bytes().get(1) == Some(&b':');
    if plain.starts_with('/') || has_drive || parts.contains(&"..") || plain.contains('\0') {
        let advice = "do not use it if you do not know where it comes from; else pack the images again";
        return Err(Error::file(
            archive,
            "a path that leads out of the archive",
            shown(name),
            "relative paths without \"..\"",
            advice,
        ));
    }
    let is_hidden = parts.iter().any(|part| part.starts_with('.') || *part == "__MACOSX");
    Ok((!plain.ends_with('/') && !parts.is_empty() && !is_hidden).then(|| parts.iter().collect()))
}

/// The names without the folder that contains all of them.
fn without_outer_folder(entries: HashMap<PathBuf, Entry>) -> HashMap<PathBuf, Entry> {
    let outer = |name: &PathBuf| name.parent().and_then(|parent| parent.iter().next()).map(PathBuf::from);
    let Some(folder) = entries.keys().next().and_then(outer) else { return entries };
    if entries.keys().any(|name| !name.starts_with(&folder)) {
        return entries;
    }
    let inner = |name: PathBuf| name.strip_prefix(&folder).map(Path::to_path_buf).unwrap_or(name);
    entries.into_iter().map(|(name, entry)| (inner(name), entry)).collect()
}

/// A part of a file.
#[derive(Debug)]
struct Window {
    file: Arc<File>,
    at: u64,
    end: u64,
}

impl Read for Window {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = (self.end - self.at).min(buffer.len() as u64) as usize;
        let count = read_at(&self.file, &mut buffer[..most], self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

#[derive(Debug)]
enum Bytes {
    Stored(BufReader<Window>),
    Deflated(DeflateDecoder<BufReader<Window>>),
}

/// The bytes of a file in an archive, after decompression.
#[derive(Debug)]
pub(crate) struct EntryReader {
    inner: Bytes,
    crc: crc32fast::Hasher,
    count: u64,
    size: u64,
    expected: u32,
}

impl EntryReader {
    /// Bytes of the file, as the archive declares them. Reading more is an error.
    pub fn size(&self) -> u64 {
        self.size
    }
}

impl Read for EntryReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = match &mut self.inner {
            Bytes::Stored(bytes) => bytes.read(buffer)?,
            Bytes::Deflated(bytes) => bytes.read(buffer).map_err(|cause| invalid(format!("it is damaged: {cause}")))?,
        };
        self.crc.update(&buffer[..count]);
        self.count += count as u64;
        if self.count > self.size {
            return Err(invalid(format!("it expands to more than the {} bytes that the archive declares", self.size)));
        }
        if count == 0 && !buffer.is_empty() {
            if self.count < self.size {
                let problem =
                    format!("it ends after {} of the {} bytes that the archive declares", self.count, self.size);
                return Err(invalid(problem));
            }
            if self.crc.clone().finalize() != self.expected {
                return Err(invalid("it is damaged: its CRC-32 differs from the archive's".into()));
            }
        }
        Ok(count)
    }
}

fn invalid(problem: String) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, problem)
}

fn damaged(path: &Path) -> Error {
    let advice = "copy or download it again, or pack the images again";
    Error::file(path, "damaged zip archive", "a directory that cannot be parsed", "a whole .zip file", advice)
}

/// A name from the archive in quotes, without control characters.
fn shown(name: &str) -> String {
    let start: String = name.chars().take(80).collect();
    format!("\"{}\"", start.escape_debug())
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

#[cfg(test)]
pub(crate) mod tests;
