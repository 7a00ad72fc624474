//! Small folders in the published layout: a valid one, and others with one error each.

use super::*;
use crate::dataset::scale;
use std::fs;

/// Returns value `i` of record `n`; records are numbered across batches.
fn value(n: usize, i: usize) -> u8 {
    (n * 31 + i * 7 + i / 1024) as u8
}

/// Returns `count` records from number `start` on.
fn records(start: usize, count: usize) -> Vec<u8> {
    let record = |n: usize| std::iter::once((n % 10) as u8).chain((0..Cifar10::PIXELS).map(move |i| value(n, i)));
    (start..start + count).flat_map(record).collect()
}

/// Writes batches of 1, 2, 3, 4 and 5 records and a test batch of 2.
fn fill(dir: &Path) {
    let mut start = 0;
    for (name, count) in Cifar10::files(Split::Train).unwrap().into_iter().zip(1..) {
        fs::write(dir.join(name), records(start, count)).unwrap();
        start += count;
    }
    fs::write(dir.join("test_batch.bin"), records(100, 2)).unwrap();
    fs::write(dir.join(Cifar10::META), Cifar10::CLASSES.join("\n") + "\n\n").unwrap();
}

fn train(dir: &Path) -> Result<ByteImages, Error> {
    load(Some(dir), Split::Train)
}

fn whole() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    dir
}

#[track_caller]
fn refused(dir: &Path, parts: &[&str]) {
    let message = train(dir).unwrap_err().to_string();
    for part in ["found", "expected"].iter().chain(parts) {
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
}

#[test]
fn records_have_the_order_of_the_batches() {
    let dir = whole();
    let data = train(dir.path()).unwrap();
    assert_eq!((data.len(), data.shape(), data.is_empty()), (15, vec![3, 32, 32], false));
    assert_eq!([0, 9, 10, 14].map(|i| data.label(i)), [Some(0), Some(9), Some(0), Some(4)]);
    assert_eq!(data.label(15), None);
    let mut image = vec![0.0; Cifar10::PIXELS];
    for n in 0..15 {
        data.write(n, &mut image).unwrap();
        assert!(image.iter().enumerate().all(|(i, x)| *x == scale(value(n, i))), "image {n}");
    }
    assert!(data.write(15, &mut image).is_err() && data.label(usize::MAX).is_none());
}

#[test]
fn pixels_are_stored_by_channel_then_by_row() {
    let dir = whole();
    let record: Vec<u8> =
        std::iter::once(3).chain([255; 1024]).chain((0..1024).map(|i| (i / 32) as u8)).chain([0; 1024]).collect();
    fs::write(dir.path().join("data_batch_1.bin"), record).unwrap();
    let data = train(dir.path()).unwrap();
    let mut image = vec![0.0; Cifar10::PIXELS];
    data.write(0, &mut image).unwrap();
    assert!(image[..1024].iter().all(|x| *x == 1.0) && image[2048..].iter().all(|x| *x == -1.0));
    assert_eq!((image[1024 + 31], image[1024 + 32], image[2047]), (scale(0), scale(1), scale(31)));
}

#[test]
fn the_test_split_is_read_from_the_archives_folder() {
    let outer = tempfile::tempdir().unwrap();
    let inner = outer.path().join(ARCHIVE);
    fs::create_dir(&inner).unwrap();
    fill(&inner);
    let data = load(Some(outer.path()), Split::Test).unwrap();
    assert_eq!((data.len(), data.label(1), data.classes()[7].as_str()), (2, Some(1), "horse"));
}

#[test]
fn class_names_are_read_from_their_file_or_default_to_the_published_ones() {
    let dir = whole();
    let meta = dir.path().join(Cifar10::META);
    fs::write(&meta, "a\nb\nc\nd\ne\nf\ng\nh\ni\nj").unwrap();
    assert_eq!(train(dir.path()).unwrap().classes()[9], "j");
    fs::write(&meta, "a\nb\n").unwrap();
    refused(dir.path(), &[Cifar10::META, "found 2 names", "expected 10"]);
    fs::remove_file(&meta).unwrap();
    assert_eq!(train(dir.path()).unwrap().classes()[9], "truck");
}

#[test]
fn damaged_batches_are_named() {
    let dir = whole();
    let path = dir.path().join("data_batch_4.bin");
    for (bytes, found) in [(vec![], "found 0 bytes"), (records(0, 2)[..6145].to_vec(), "found 6145 bytes")] {
        fs::write(&path, bytes).unwrap();
        refused(dir.path(), &["data_batch_4.bin", found, "3073"]);
    }
    let mut bytes = records(0, 3);
    bytes[2 * RECORD] = 10;
    fs::write(&path, bytes).unwrap();
    refused(dir.path(), &["data_batch_4.bin", "label 10 for image 2", "0 to 9"]);
}

#[test]
fn a_missing_batch_or_folder_is_named() {
    let dir = whole();
    fs::remove_file(dir.path().join("data_batch_3.bin")).unwrap();
    refused(dir.path(), &["no such file in this folder", "data_batch_3.bin", "`data.dir=DIR`"]);
    refused(&dir.path().join("absent"), &["no such folder", "data_batch_1.bin"]);
}

#[cfg(unix)]
#[test]
fn only_regular_files_of_a_limited_length_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("test_batch.bin");
    let message = || load(Some(dir.path()), Split::Test).unwrap_err().to_string();
    std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
    assert!(message().contains("it is a character device, not a regular file"), "{}", message());
    fs::remove_file(&path).unwrap();
    fs::File::create(&path).unwrap().set_len(3073 << 30).unwrap();
    assert!(message().contains("test_batch.bin: cannot be read (it has"), "{}", message());
}
