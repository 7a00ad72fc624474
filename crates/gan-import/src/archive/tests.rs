//! Archives that are whole, cut off, changed or compressed.

use super::*;
use std::io::Write;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// Returns an archive of several files, with sizes of 64 bits if `long`.
fn archive_of(contents: &[(&str, &[u8])], long: bool) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(vec![]));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored).large_file(long);
    for (name, content) in contents {
        writer.start_file(*name, options).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn files_are_found_with_32_and_64_bit_sizes() {
    for long in [false, true] {
        let bytes = archive_of(&[("a/data.pkl", b"content"), ("b", b"")], long);
        let found = files(&bytes).unwrap();
        assert_eq!(found["a/data.pkl"], b"content");
        assert_eq!(found["b"], b"");
    }
}

#[test]
fn an_archive_that_is_cut_off_or_changed_is_an_error_or_another_archive() {
    for long in [false, true] {
        let bytes = archive_of(&[("a", b"content")], long);
        assert!((0..bytes.len()).all(|end| files(&bytes[..end]).is_err()));
        for at in 0..bytes.len() {
            for byte in [0, 1, 0x7f, 0xff] {
                let mut changed = bytes.clone();
                changed[at] = byte;
                files(&changed).ok();
            }
        }
        // The method, in the directory.
        let method = bytes.windows(4).position(|window| window == b"PK\x01\x02").unwrap() + 10;
        let mut compressed = bytes.clone();
        compressed[method] = 8;
        assert!(files(&compressed).unwrap_err().contains("is compressed"));
    }
}
