//! Opens and reads regular files only, up to a limit.
//!
//! A path may lead to a FIFO, whose opening waits for a writer, or to a device such as `/dev/zero`, which never ends. Every file
//! that a user names, or that is in such a folder, is opened by [`open`] or read whole by [`read`].

use std::fs::{File, FileType, OpenOptions};
use std::io::{self, Error, ErrorKind, Read};
use std::path::Path;

/// Opens the file at `path` for reading. Links are followed.
///
/// # Errors
/// [`ErrorKind::InvalidInput`], naming what is there, if it is not a regular file; otherwise the system's error.
pub fn open(path: &Path) -> io::Result<File> {
    // Opening some devices has effects, so the kind is checked first. It is checked again after opening, because the path may lead
    // elsewhere by then.
    check(std::fs::metadata(path)?.file_type())?;
    let mut options = OpenOptions::new();
    options.read(true);
    // Without this flag, opening a FIFO waits for a writer. It changes nothing for regular files.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
    let file = options.open(path)?;
    check(file.metadata()?.file_type())?;
    Ok(file)
}

/// Returns the bytes of the file at `path`, at most `most` of them.
///
/// # Errors
/// Those of [`open`] and of reading; [`ErrorKind::FileTooLarge`] if the file is longer, before or while it is read.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut file = open(path)?;
    let length = file.metadata()?.len();
    check_length(length, most)?;
    // Memory grows as bytes arrive, because the length may be wrong.
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length.min(TRUSTED) as usize)?;
    file.by_ref().take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    check_length(bytes.len() as u64, most)?;
    Ok(bytes)
}

/// Returns the text of the file at `path`, at most `most` bytes.
///
/// # Errors
/// Those of [`read`]; [`ErrorKind::InvalidData`] if it is not UTF-8.
pub fn read_to_string(path: &Path, most: u64) -> io::Result<String> {
    let not_text = |_| Error::new(ErrorKind::InvalidData, "it is not text in UTF-8");
    String::from_utf8(read(path, most)?).map_err(not_text)
}

/// Maximum memory that is reserved because of a file's length.
const TRUSTED: u64 = 64 << 20;

fn check_length(length: u64, most: u64) -> io::Result<()> {
    let problem = || format!("it has {length} bytes or more, the most that are read are {most}");
    if length <= most { Ok(()) } else { Err(Error::new(ErrorKind::FileTooLarge, problem())) }
}

/// Refuses what is not a regular file.
fn check(kind: FileType) -> io::Result<()> {
    if kind.is_file() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidInput, format!("it is {}, not a regular file", name(kind))))
}

/// Names what a path leads to.
fn name(kind: FileType) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        let known = [
            (kind.is_fifo(), "a FIFO"),
            (kind.is_socket(), "a socket"),
            (kind.is_char_device(), "a character device"),
            (kind.is_block_device(), "a block device"),
        ];
        if let Some((_, name)) = known.into_iter().find(|(is, _)| *is) {
            return name;
        }
    }
    if kind.is_dir() { "a folder" } else { "something else" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("gan-regular-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn files_are_read_whole_up_to_the_limit() {
        let folder = folder("limit");
        let path = folder.join("file");
        std::fs::write(&path, b"some bytes").unwrap();
        assert_eq!(read(&path, 10).unwrap(), b"some bytes");
        assert_eq!(read_to_string(&path, u64::MAX).unwrap(), "some bytes");
        assert_eq!(read(&path, 9).unwrap_err().kind(), ErrorKind::FileTooLarge);
        std::fs::write(&path, [0xff]).unwrap();
        assert_eq!(read_to_string(&path, 9).unwrap_err().kind(), ErrorKind::InvalidData);
        // 2^40 bytes that take no room on the disk.
        File::create(&path).unwrap().set_len(1 << 40).unwrap();
        assert_eq!(read(&path, 1 << 20).unwrap_err().kind(), ErrorKind::FileTooLarge);
        assert_eq!(open(&folder.join("absent")).unwrap_err().kind(), ErrorKind::NotFound);
        assert!(open(&folder).unwrap_err().to_string().contains("it is a folder, not a regular file"));
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn fifos_and_devices_are_refused_without_waiting() {
        let folder = folder("endless");
        let (fifo, zero, link) = (folder.join("fifo"), folder.join("zero"), folder.join("link"));
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        std::os::unix::fs::symlink("/dev/zero", &zero).unwrap();
        std::os::unix::fs::symlink(&fifo, &link).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(folder.join("socket")).unwrap();
        for (name, words) in
            [("fifo", "a FIFO"), ("link", "a FIFO"), ("zero", "a character device"), ("socket", "a socket")]
        {
            let error = read(&folder.join(name), u64::MAX).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert_eq!(error.to_string(), format!("it is {words}, not a regular file"));
        }
        std::fs::remove_dir_all(folder).unwrap();
    }
}
