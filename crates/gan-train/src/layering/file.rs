//! Bytes of a settings file: permitted files and encodings.

use super::nesting::{self, Problem, TOO_DEEP};
use gan_base::regular_file;
use std::io::Read;
use std::path::Path;
use toml::Table;

/// Maximum size of a settings file in bytes.
const MOST_BYTES: u64 = 16 << 20;

/// Reads the bytes of a settings file: a regular file, or the shell's `/dev/stdin` or `/dev/fd/N`.
pub(super) fn bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    if path != Path::new("/dev/stdin") && !path.starts_with("/dev/fd") {
        return regular_file::read(path, MOST_BYTES);
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(MOST_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Decodes UTF-8, or UTF-16 as PowerShell's `>` writes it, with or without a byte order mark.
pub(super) fn text(bytes: Vec<u8>) -> Option<String> {
    let wide = |read: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes[2..].chunks_exact(2).map(|pair| read([pair[0], pair[1]])).collect();
        if bytes.len().is_multiple_of(2) { String::from_utf16(&units).ok() } else { None }
    };
    match bytes.as_slice() {
        [0xff, 0xfe, ..] => wide(u16::from_le_bytes),
        [0xfe, 0xff, ..] => wide(u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8(rest.to_vec()).ok(),
        _ => String::from_utf8(bytes).ok(),
    }
}

pub(super) fn parse(text: &str) -> std::result::Result<Table, String> {
    nesting::read(text).map_err(|problem| {
        let e = match problem {
            Problem::TooDeep => return TOO_DEEP.into(),
            Problem::Syntax(e) => e,
        };
        let said = e.to_string();
        let line = e.span().and_then(|span| text.get(..span.start)).map_or(0, |before| before.matches('\n').count());
        let line = text.lines().nth(line).unwrap_or_default();
        let path = if line.contains("= \"") && line.contains('\\') {
            ". A backslash begins an escape in \"…\": write a path with / or in single quotes, '…'"
        } else {
            ""
        };
        format!("is not TOML: {}{path}", said.trim_end().trim_start_matches("TOML parse error "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layering;

    #[test]
    fn files_of_every_encoding_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mine.toml");
        let text = "preset = \"dcgan-mnist\"\ndescription = \"für mich\"\n";
        let wide = |order: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(order).collect::<Vec<u8>>();
        for bytes in [
            text.as_bytes().to_vec(),
            [b"\xef\xbb\xbf", text.as_bytes()].concat(),
            [&b"\xff\xfe"[..], &wide(u16::to_le_bytes)].concat(),
            [&b"\xfe\xff"[..], &wide(u16::to_be_bytes)].concat(),
        ] {
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(layering::read(layering::from_file(&path).unwrap()).unwrap().description, "für mich");
        }
        std::fs::write(&path, b"\xff\xfea").unwrap();
        assert!(layering::from_file(&path).unwrap_err().to_string().contains("is not text"));
    }

    #[test]
    fn backslashes_in_paths_are_explained() {
        let message = parse("[data]\nname = \"folder\"\ndir = \"C:\\Users\\me\"\n").unwrap_err();
        assert!(message.contains("write a path with / or in single quotes"), "{message}");
        let message = parse("[data\nname = \"folder\"\n").unwrap_err();
        assert!(!message.contains("single quotes"), "{message}");
    }

    #[cfg(unix)]
    #[test]
    fn settings_files_that_never_end_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        let message = layering::from_file(&path).unwrap_err().to_string();
        assert!(message.contains("it is a character device, not a regular file"), "{message}");
        std::fs::remove_file(&path).unwrap();
        std::fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
        assert!(layering::from_file(&path).unwrap_err().to_string().contains("bytes or more"));
    }
}
