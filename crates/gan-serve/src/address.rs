//! Addresses of pages and pictures.

use std::path::Path;

/// Returns the address of a picture of the run `id`.
pub(crate) fn link(id: &str, picture: &Path) -> String {
    let name = |path: Option<&Path>| encoded(&path.and_then(Path::file_name).unwrap_or_default().to_string_lossy());
    format!("/runs/{}/pictures/{}/{}", encoded(id), name(picture.parent()), name(Some(picture)))
}

/// Escapes a part of an address.
pub(crate) fn encoded(part: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    part.bytes().map(byte).collect()
}
