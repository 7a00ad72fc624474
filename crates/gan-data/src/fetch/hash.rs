//! SHA-256 of bytes and files, as text.

use crate::Error;
use gan_base::regular_file;
use sha2::{Digest, Sha256};
use std::io::{self, Read};
use std::path::Path;

/// The SHA-256 of `bytes`: 64 hexadecimal digits.
pub fn of_bytes(bytes: &[u8]) -> String {
    text(&Sha256::digest(bytes))
}

/// The SHA-256 of the file at `path`.
///
/// # Errors
/// [`Error::Read`].
pub fn of_file(path: &Path) -> Result<String, Error> {
    let hash = || -> io::Result<String> {
        let mut file = regular_file::open(path)?;
        let (mut sha, mut room) = (Sha256::new(), vec![0; 1 << 18]);
        loop {
            match file.read(&mut room)? {
                0 => return Ok(text(&sha.finalize())),
                count => sha.update(&room[..count]),
            }
        }
    };
    hash().map_err(|cause| Error::Read { path: path.into(), cause })
}

fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_example_comes_out() {
        // FIPS 180-2, appendix B.1.
        let wanted = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(of_bytes(b"abc"), wanted);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"abc").unwrap();
        assert_eq!(of_file(file.path()).unwrap(), wanted);
    }
}
