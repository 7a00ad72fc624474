//! Valid files of images and of labels, and one damaged file for each message.

use super::*;
use flate2::{Compression, write::GzEncoder};
use std::io::Write;
use std::path::PathBuf;

/// Returns the bytes of an IDX file: the header with the sizes, then `body`.
fn idx(dims: &[u32], body: &[u8]) -> Vec<u8> {
    let magic = 0x0800 | dims.len() as u32;
    let words = std::iter::once(magic).chain(dims.iter().copied());
    words.flat_map(u32::to_be_bytes).chain(body.iter().copied()).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn images() -> Vec<u8> {
    idx(&[2, 2, 3], &[0, 1, 2, 3, 4, 5, 255, 254, 253, 252, 251, 250])
}

/// Reads `bytes` as images from a file called `name`.
fn read_bytes(name: &str, bytes: &[u8]) -> Result<Idx<3>, Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    read(&path)
}

/// Asserts that reading `bytes` fails with a message that names the file and contains all of `parts`.
#[track_caller]
fn refused(bytes: &[u8], parts: &[&str]) {
    let message = read_bytes("pictures.idx", bytes).unwrap_err().to_string();
    for part in ["pictures.idx", "found", "expected"].iter().chain(parts) {
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
}

#[test]
fn gzip_is_recognized_by_content_not_by_name() {
    let wanted = Idx { dims: [2, 2, 3], data: vec![0, 1, 2, 3, 4, 5, 255, 254, 253, 252, 251, 250] };
    for name in ["a", "a.gz"] {
        assert_eq!(read_bytes(name, &images()).unwrap(), wanted);
        assert_eq!(read_bytes(name, &gzip(&images())).unwrap(), wanted);
    }
}

#[test]
fn gzip_may_have_several_members() {
    let both = [gzip(&images()[..20]), gzip(&images()[20..])].concat();
    assert_eq!(read_bytes("a", &both).unwrap().data.len(), 12);
}

#[test]
fn an_unknown_magic_number_is_named() {
    refused(&idx(&[3], &[1, 2, 3]), &["magic", "found 0x00000801 (labels)", "expected 0x00000803 (images)"]);
    refused(b"<!DOCTYPE html>", &["found 0x3c21444f", "expected 0x00000803"]);
}

#[test]
fn a_header_that_is_cut_off_is_refused() {
    refused(&[], &["found 0 bytes", "expected at least the 16 bytes"]);
    refused(&[0, 0], &["found 2 bytes", "16 bytes"]);
    refused(&images()[..15], &["found 15 bytes", "16 bytes"]);
}

#[test]
fn a_length_that_differs_from_the_header_is_refused() {
    let whole = images();
    let long = [&whole[..], &[7, 7]].concat();
    for pack in [<[u8]>::to_vec, gzip] {
        refused(&pack(&whole[..27]), &["too short", "found 11 bytes", "expected 12 bytes", "[2, 2, 3]"]);
        refused(&pack(&long), &["too long", "found 14 bytes", "expected 12 bytes", "[2, 2, 3]"]);
    }
}

#[test]
fn absurd_sizes_are_refused_before_memory_is_allocated() {
    let most = u32::MAX;
    refused(&idx(&[most, most, most], &[0]), &["impossibly large", "4294967295", "at most 4294967296 bytes"]);
    refused(&idx(&[1 << 31, 2, 2], &[0]), &["impossibly large", "[2147483648, 2, 2]"]);
    refused(&idx(&[1 << 30, 2, 2], &[0]), &["too short", "found 1 bytes", "expected 4294967296 bytes"]);
}

#[test]
fn the_declared_size_of_a_gzipped_file_is_compared_with_its_length() {
    let most = u32::MAX;
    // More bytes than deflate can compress into this length.
    for dims in [[60_000, 100, 40], [1 << 30, 2, 1], [most, 1, 1]] {
        let packed = gzip(&idx(&dims, &[0; 100]));
        refused(&packed, &["impossibly large", "in a gzipped file of", "gunzip"]);
    }
    // A size that deflate could reach is decompressed as far as the data go.
    refused(&gzip(&idx(&[1000, 4, 4], &[0; 100])), &["too short: found 100 bytes", "expected 16000 bytes"]);
    let labels = gzip(&idx(&[300_000], &vec![7; 300_000]));
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("labels"), labels).unwrap();
    assert_eq!(read::<1>(&folder.path().join("labels")).unwrap().data, vec![7; 300_000]);
}

#[test]
fn input_beyond_the_declared_size_is_not_read() {
    let long = [images(), vec![0; 1 << 20]].concat();
    refused(&gzip(&long), &["too long: found at least 65549 bytes", "expected 12 bytes"]);
    refused(&long, &["too long: found 1048588 bytes", "expected 12 bytes"]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sparse");
    std::fs::write(&path, images()).unwrap();
    std::fs::File::options().write(true).open(&path).unwrap().set_len(1 << 42).unwrap();
    let message = read::<3>(&path).unwrap_err().to_string();
    assert!(message.contains("too long: found 4398046511088 bytes"), "{message}");
}

#[cfg(unix)]
#[test]
fn only_regular_files_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("train-labels-idx1-ubyte");
    std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
    let message = read::<1>(&path).unwrap_err().to_string();
    assert!(message.contains("it is a character device, not a regular file"), "{message}");
    std::fs::remove_file(&path).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    let message = read::<1>(&path).unwrap_err().to_string();
    assert!(message.contains("it is a FIFO, not a regular file"), "{message}");
}

#[test]
fn empty_sets_are_refused() {
    refused(&idx(&[0, 28, 28], &[]), &["empty", "[0, 28, 28]", "at least 1"]);
    refused(&idx(&[5, 0, 28], &[]), &["empty", "[5, 0, 28]"]);
}

#[test]
fn truncated_gzip_is_refused() {
    let packed = gzip(&images());
    for end in 2..packed.len() {
        refused(&packed[..end], &["gzip stream cut off", "unpacked bytes", "whole gzip stream", "fetch it again"]);
    }
}

#[test]
fn damaged_gzip_is_refused() {
    let packed = gzip(&images());
    let mut checksum = packed.clone();
    checksum[packed.len() - 8] ^= 1;
    refused(&checksum, &["gzip stream damaged", "whole gzip stream"]);
    let mut block = packed.clone();
    block[10] |= 0b110; // block type 3 does not exist
    refused(&block, &["gzip stream damaged"]);
    let mut method = packed;
    method[2] = 99;
    refused(&method, &["gzip stream damaged"]);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("absent.idx");
    let message = |path: &PathBuf| read::<1>(path).unwrap_err().to_string();
    assert!(message(&absent).contains("absent.idx: cannot be read"), "{}", message(&absent));
    let itself = folder.path().to_path_buf();
    assert!(message(&itself).contains("cannot be read"), "{}", message(&itself));
}
