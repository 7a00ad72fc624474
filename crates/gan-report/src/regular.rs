//! Files of a run's folder, read only where they are files: opening a pipe would wait for whoever writes into it, and a device never ends.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

/// The most bytes of a file: beyond any picture, and any run's numbers.
const MOST: u64 = 8 << 30;

/// The bytes of the regular file at `path`.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let found = fs::metadata(path)?;
    if !found.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is not a regular file"));
    }
    if found.len() > MOST {
        return Err(io::Error::new(
            ErrorKind::FileTooLarge,
            format!("it has {} bytes, more than a run writes", found.len()),
        ));
    }
    fs::read(path)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn pipes_and_devices_are_not_opened() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("step-0000001.png");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert_eq!(read(&pipe).unwrap_err().kind(), ErrorKind::InvalidInput);
        let device = dir.path().join("metrics.jsonl");
        std::os::unix::fs::symlink("/dev/zero", &device).unwrap();
        assert_eq!(read(&device).unwrap_err().kind(), ErrorKind::InvalidInput);
        fs::write(dir.path().join("plain"), "text").unwrap();
        assert_eq!(read(&dir.path().join("plain")).unwrap(), b"text");
    }
}
