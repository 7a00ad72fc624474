//! Temporary files for code that reads files, in memory if the system has `/dev/shm`.

use std::borrow::Cow;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

static ROOT: OnceLock<PathBuf> = OnceLock::new();

fn root() -> &'static Path {
    ROOT.get_or_init(|| {
        let memory = Path::new("/dev/shm");
        let base = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
        base.join(format!("gan-fuzz-{}", std::process::id()))
    })
}

/// Creates this process's folder called `name` if necessary and returns its path. Its files are kept between executions.
///
/// # Errors
/// If the folder cannot be created.
pub fn folder(name: &str) -> io::Result<PathBuf> {
    let folder = root().join(name);
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Writes `bytes` to the file `name` in `folder` and returns its path.
///
/// # Errors
/// If the file cannot be written.
pub fn file(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<PathBuf> {
    let path = folder.join(name);
    fs::write(&path, bytes)?;
    Ok(path)
}

/// Removes everything that this process wrote.
pub fn clear() {
    fs::remove_dir_all(root()).ok();
}

/// Separator between the parts of an input that represents several files.
pub const SEPARATOR: &[u8] = b"\n=====\n";

/// Splits an input into `N` parts at [`SEPARATOR`]; missing parts are `None`.
pub fn parts<const N: usize>(input: &[u8]) -> [Option<&[u8]>; N] {
    let mut parts = [None; N];
    let mut rest = Some(input);
    for (at, part) in parts.iter_mut().enumerate() {
        let Some(all) = rest else { break };
        let end = if at + 1 == N { None } else { all.windows(SEPARATOR.len()).position(|found| found == SEPARATOR) };
        *part = Some(&all[..end.unwrap_or(all.len())]);
        rest = end.map(|end| &all[end + SEPARATOR.len()..]);
    }
    parts
}

/// Joins `parts` into one input with [`SEPARATOR`].
pub fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.join(SEPARATOR)
}

/// Returns a safetensors file. If `input` begins with `{`, it is a header's JSON and, after a separator, the tensors' bytes, and the
/// header's length is prepended. Any other input is returned unchanged.
pub fn safetensors(input: &[u8]) -> Cow<'_, [u8]> {
    if !input.starts_with(b"{") {
        return Cow::Borrowed(input);
    }
    let [header, data] = parts(input);
    let header = header.unwrap_or_default();
    let length = (header.len() as u64).to_le_bytes();
    Cow::Owned([&length, header, data.unwrap_or_default()].concat())
}

/// Splits a safetensors file into the form that [`safetensors`] reads.
pub fn safetensors_parts(file: &[u8]) -> Vec<u8> {
    let (length, rest) = file.split_first_chunk().expect("a file with a length");
    let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
    joined(&[header, data])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_joined_are_inverse() {
        let all = joined(&[b"a", b"", b"c\n"]);
        assert_eq!(parts::<3>(&all), [Some(&b"a"[..]), Some(b""), Some(b"c\n")]);
        assert_eq!(parts::<4>(&all)[3], None);
        assert_eq!(parts::<1>(&all), [Some(&all[..])]);
        assert_eq!(parts::<2>(b""), [Some(&b""[..]), None]);
    }

    #[test]
    fn safetensors_and_safetensors_parts_are_inverse() {
        let file = [&5u64.to_le_bytes()[..], b"{\"a\"}", b"data"].concat();
        assert_eq!(safetensors_parts(&file), b"{\"a\"}\n=====\ndata");
        assert_eq!(*safetensors(&safetensors_parts(&file)), file);
        assert_eq!(*safetensors(&file), file);
    }
}
