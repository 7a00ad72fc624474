//! What a file holds, recognised by its first bytes whatever its name is.

use gan_base::regular_file;
use std::io::Read;
use std::path::Path;

/// How many of a file's first bytes are enough to tell: those of a TAR archive stand at byte 257.
pub const ENOUGH: u64 = 512;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An image of a format that is read.
    Image(&'static str),
    /// An image of a format that is not read.
    OtherImage(&'static str),
    /// Files packed into one, or one compressed.
    Archive(&'static str),
    /// One of this library's packs.
    Pack,
    /// A NumPy array.
    Array,
    /// Something else that has a name.
    Other(&'static str),
}

impl Kind {
    /// What it is, with its article.
    pub fn name(self) -> &'static str {
        match self {
            Self::Image(name) | Self::OtherImage(name) | Self::Archive(name) | Self::Other(name) => name,
            Self::Pack => "a pack",
            Self::Array => "a NumPy array",
        }
    }
}

/// Bytes at a place in a file, and what they say.
const SIGNATURES: [(usize, &[u8], Kind); 35] = [
    (0, b"\xff\xd8\xff", Kind::Image("a JPEG image")),
    (0, b"\x89PNG\r\n\x1a\n", Kind::Image("a PNG image")),
    (0, b"GIF87a", Kind::Image("a GIF image")),
    (0, b"GIF89a", Kind::Image("a GIF image")),
    (8, b"WEBP", Kind::Image("a WebP image")),
    (0, b"BM", Kind::Image("a BMP image")),
    (0, b"II*\0", Kind::Image("a TIFF image")),
    (0, b"MM\0*", Kind::Image("a TIFF image")),
    (4, b"ftypavif", Kind::OtherImage("an AVIF image")),
    (4, b"ftypheic", Kind::OtherImage("a HEIC image")),
    (4, b"ftypheix", Kind::OtherImage("a HEIC image")),
    (4, b"ftypmif1", Kind::OtherImage("a HEIF image")),
    (4, b"ftypmsf1", Kind::OtherImage("a HEIF image")),
    (0, b"\xff\x0a", Kind::OtherImage("a JPEG XL image")),
    (0, b"\0\0\0\x0cJXL ", Kind::OtherImage("a JPEG XL image")),
    (0, b"\0\0\0\x0cjP  ", Kind::OtherImage("a JPEG 2000 image")),
    (0, b"8BPS", Kind::OtherImage("a Photoshop image")),
    (0, b"v/1\x01", Kind::OtherImage("an OpenEXR image")),
    (0, b"<svg", Kind::OtherImage("an SVG image")),
    (0, b"PK\x03\x04", Kind::Archive("a ZIP archive")),
    (0, b"PK\x05\x06", Kind::Archive("a ZIP archive")),
    (0, b"PK\x07\x08", Kind::Archive("a ZIP archive")),
    (0, b"\x1f\x8b", Kind::Archive("a gzip file")),
    (0, b"BZh", Kind::Archive("a bzip2 file")),
    (0, b"\xfd7zXZ\0", Kind::Archive("an xz file")),
    (0, b"\x28\xb5\x2f\xfd", Kind::Archive("a Zstandard file")),
    (0, b"7z\xbc\xaf\x27\x1c", Kind::Archive("a 7z archive")),
    (0, b"Rar!\x1a\x07", Kind::Archive("a RAR archive")),
    (257, b"ustar", Kind::Archive("a TAR archive")),
    (0, crate::pack::MAGIC, Kind::Pack),
    (0, b"PAR1", Kind::Other("a Parquet file")),
    (0, b"\x93NUMPY", Kind::Array),
    (0, b"\x89HDF\r\n\x1a\n", Kind::Other("an HDF5 file")),
    (0, b"%PDF-", Kind::Other("a PDF file")),
    (4, b"ftyp", Kind::Other("a video")),
];

/// What `first`, the first [`ENOUGH`] bytes of a file or all of a shorter one, say that the file holds.
pub fn of_bytes(first: &[u8]) -> Option<Kind> {
    let has = |at: usize, bytes: &[u8]| first.get(at..).is_some_and(|rest| rest.starts_with(bytes));
    let known = SIGNATURES.iter().find(|(at, bytes, _)| has(*at, bytes)).map(|(.., kind)| *kind);
    match known {
        Some(Kind::Image("a WebP image")) if !first.starts_with(b"RIFF") => None,
        known => known,
    }
}

/// What the file at `path` holds; `None` where it cannot be read or is not known.
pub fn of_file(path: &Path) -> Option<Kind> {
    let mut first = Vec::new();
    regular_file::open(path).ok()?.take(ENOUGH).read_to_end(&mut first).ok()?;
    of_bytes(&first)
}

/// Whether a file's name ends like an archive's.
pub fn is_called_archive(ending: &str) -> bool {
    ["zip", "tar", "gz", "tgz", "bz2", "xz", "zst", "7z", "rar"].iter().any(|known| ending.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_decide_the_kind_not_the_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.png");
        let mut tar = vec![b'a'; 257];
        tar.extend(b"ustar\x0000");
        let rows: [(&[u8], Option<Kind>); 9] = [
            (b"PK\x03\x04rest", Some(Kind::Archive("a ZIP archive"))),
            (&tar, Some(Kind::Archive("a TAR archive"))),
            (b"\x1f\x8b\x08", Some(Kind::Archive("a gzip file"))),
            (b"\0\0\0\x18ftypheic", Some(Kind::OtherImage("a HEIC image"))),
            (b"RIFF\0\0\0\0WEBPVP8 ", Some(Kind::Image("a WebP image"))),
            (b"RIFX\0\0\0\0WEBPVP8 ", None),
            (b"ganpack\n", Some(Kind::Pack)),
            (b"", None),
            (&[0; 600], None),
        ];
        for (bytes, kind) in rows {
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(of_file(&path), kind);
        }
        assert_eq!(of_file(dir.path()), None);
        assert!(is_called_archive("ZIP") && !is_called_archive("png"));
    }
}
