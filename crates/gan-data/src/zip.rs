//! Zip archives, read in place: the central directory once, and each file of the archive when it is requested.
//!
//! Nothing is unpacked to the disk. The crate `zip` reads the directory. Files may be stored or deflated. Threads share one open
//! archive and read at offsets, which the crate's own readers of files cannot.

use crate::Error;
use crate::positioned::{read_at, read_exact_at};
use flate2::bufread::DeflateDecoder;
use gan_base::regular_file;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

/// The header before each file.
const LOCAL: &[u8] = b"PK\x03\x04";
const LOCAL_LENGTH: usize = 30;
/// How an archive without files begins.
const END: &[u8] = b"PK\x05\x06";
/// Bytes of a compressed file that are read at once.
const AT_ONCE: u64 = 1 << 16;

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
    method: CompressionMethod,
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
        let file = Arc::new(regular_file::open(path).map_err(Error::read(path))?);
        let archive = ZipArchive::new(BufReader::new(&*file)).map_err(|cause| unreadable(path, &cause))?;
        let mut entries = HashMap::new();
        for index in 0..archive.len() {
            let found = archive.by_index_data(index).map_err(|cause| unreadable(path, &cause))?;
            let text = found.name().map_err(|cause| unreadable(path, &cause))?;
            let Some(name) = relative(path, &text)? else { continue };
            if found.encrypted() {
                let found = format!("{} with a password", shown(&text));
                let advice = "unpack it with the password, and name the folder";
                return Err(Error::file(path, "encrypted archive", found, "an archive without a password", advice));
            }
            let entry = Entry {
                header: found.header_start(),
                method: found.compression(),
                crc: found.crc32(),
                packed: found.compressed_size(),
                size: found.size(),
            };
            // The last of several files with one name is the newest.
            entries.insert(name, entry);
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
        if entry.method != CompressionMethod::Stored {
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
            CompressionMethod::Stored => Bytes::Stored(window),
            CompressionMethod::Deflated => Bytes::Deflated(DeflateDecoder::new(window)),
            other => {
                return Err(invalid(format!("its compression is {other}; only stored and deflated files are read")));
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

fn unreadable(path: &Path, cause: &ZipError) -> Error {
    let advice = "it is probably cut off: copy or download it again, or pack the images again";
    Error::file(path, "not a whole zip archive", cause.to_string(), "a whole .zip file", advice)
}

/// A name from the archive in quotes, without control characters.
fn shown(name: &str) -> String {
    let start: String = name.chars().take(80).collect();
    format!("\"{}\"", start.escape_debug())
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

#[cfg(test)]
pub(crate) mod tests;
