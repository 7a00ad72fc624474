//! Packs preserve every byte, and damage anywhere is reported.

use super::*;
use crate::dataset::scale;
use crate::pack::format::VERSION;
use crate::{Skipped, SyntheticSamples};
use std::fs;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

/// Images whose pixels are bytes; every byte occurs.
#[derive(Clone)]
struct Bytes {
    count: usize,
    shape: Vec<usize>,
    classes: Vec<String>,
}

impl Bytes {
    fn new(count: usize, shape: &[usize], classes: &[&str]) -> Self {
        Self { count, shape: shape.to_vec(), classes: classes.iter().map(ToString::to_string).collect() }
    }

    fn byte(index: usize, at: usize) -> u8 {
        (index * 7 + at) as u8
    }
}

impl Dataset for Bytes {
    fn len(&self) -> usize {
        self.count
    }
    fn shape(&self) -> Vec<usize> {
        self.shape.clone()
    }
    fn write(&self, index: usize, out: &mut [f32]) -> Result<(), Error> {
        self.check(index, out.len())?;
        out.iter_mut().enumerate().for_each(|(at, value)| *value = scale(Self::byte(index, at)));
        Ok(())
    }
    fn label(&self, index: usize) -> Option<u32> {
        (index < self.count && !self.classes.is_empty()).then(|| (index * index % self.classes.len()) as u32)
    }
    fn classes(&self) -> &[String] {
        &self.classes
    }
}

const MADE: Origin<'_> = Origin { name: "toy", from: "a test" };

/// Packs `data` into one file, and returns the images that were left out.
fn write(
    path: &Path,
    data: impl Dataset + 'static,
    threads: usize,
    watch: &mut dyn FnMut(usize, usize),
) -> Result<Vec<Skipped>, Error> {
    super::write(path, &(Arc::new(data) as Arc<dyn Dataset>), &MADE, None, threads, watch).map(|written| written.1)
}

/// Returns a folder with the pack `toy.ganpack` of ten images of 3×5×20 in three classes, and its path.
fn packed() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("toy.ganpack");
    write(&path, Bytes::new(10, &[3, 5, 20], &["a", "b", "c"]), 2, &mut |_, _| ()).unwrap();
    (dir, path)
}

fn image(data: &dyn Dataset, index: usize) -> Result<Vec<f32>, Error> {
    let mut out = vec![f32::NAN; data.pixels()];
    data.write(index, &mut out).map(|()| out)
}

/// Applies `change` to the pack's bytes and opens it.
fn changed(change: impl Fn(&mut Vec<u8>)) -> Result<Pack, Error> {
    let (_dir, path) = packed();
    let mut bytes = fs::read(&path).unwrap();
    change(&mut bytes);
    fs::write(&path, bytes).unwrap();
    Pack::open(&path)
}

#[track_caller]
fn says<T>(result: Result<T, Error>, words: &[&str]) {
    let message = result.err().expect("an error").to_string();
    words.iter().for_each(|word| assert!(message.contains(word), "no {word:?} in {message:?}"));
}

#[test]
fn bytes_labels_and_names_survive_packing() {
    let (_dir, path) = packed();
    let (source, pack) = (Bytes::new(10, &[3, 5, 20], &["a", "b", "c"]), Pack::open(&path).unwrap());
    assert_eq!((pack.len(), pack.shape(), pack.classes()), (10, vec![3, 5, 20], source.classes()));
    assert_eq!((pack.header().name.as_str(), pack.header().made_from.as_str()), ("toy", "a test"));
    for index in 0..10 {
        assert_eq!(image(&pack, index).unwrap(), image(&source, index).unwrap());
        assert_eq!(pack.label(index), source.label(index));
    }
    assert_eq!(pack.label(10), None);
    assert!(pack.write(10, &mut [0.0; 300]).is_err() && pack.write(0, &mut [0.0; 299]).is_err());
}

#[test]
fn the_file_is_laid_out_as_documented() {
    let (_dir, path) = packed();
    let bytes = fs::read(&path).unwrap();
    assert_eq!(&bytes[..12], b"ganpack\n\x01\0\0\0");
    let end = 20 + u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
    let crc = crc32fast::hash(&[&bytes[8..16], &bytes[20..end]].concat());
    assert_eq!((end % 64, &bytes[16..20]), (0, &crc.to_le_bytes()[..]));
    let header: serde_json::Value = serde_json::from_slice(&bytes[20..end]).unwrap();
    let keys = r#"{"name":"toy","made_from":"a test","count":10,"shape":[3,5,20],"classes":["a","b","c"]}"#;
    assert_eq!(header, serde_json::from_str::<serde_json::Value>(keys).unwrap());
    assert_eq!(bytes[end + 8..end + 12], [1, 0, 0, 0], "the label of image 2: 2 · 2 mod 3");
    let pixels = &bytes[end + 80..];
    assert_eq!((pixels.len(), pixels[2 * 300 + 5]), (3000, Bytes::byte(2, 5)));
    let crc = crc32fast::hash(&[&[1, 0, 0, 0], &pixels[600..900]].concat());
    assert_eq!(bytes[end + 40 + 8..][..4], crc.to_le_bytes());
}

#[test]
fn bytes_survive_the_conversion_to_floats() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("all");
    write(&path, Bytes::new(1, &[1, 16, 16], &[]), 1, &mut |_, _| ()).unwrap();
    let bytes = fs::read(&path).unwrap();
    assert!(bytes[bytes.len() - 256..].iter().copied().eq(0..=255));
}

#[test]
fn the_pack_does_not_depend_on_the_number_of_threads() {
    let dir = tempfile::tempdir().unwrap();
    let data = Bytes::new(40, &[3, 200, 200], &[]); // a block has nine images
    let packs = [0, 1, 3].map(|threads| {
        let path = dir.path().join(threads.to_string());
        let mut seen = Vec::new();
        write(&path, data.clone(), threads, &mut |done, total| seen.push((done, total))).unwrap();
        assert!(seen.is_sorted() && seen.len() > 3 && seen.last() == Some(&(40, 40)), "{seen:?}");
        fs::read(path).unwrap()
    });
    assert!(packs[0] == packs[1] && packs[1] == packs[2]);
}

#[test]
fn packing_a_pack_gives_the_same_pack() {
    let (dir, path) = packed();
    let before = fs::read(&path).unwrap();
    write(&path, Pack::open(&path).unwrap(), 2, &mut |_, _| ()).unwrap();
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_damaged_image_is_named_and_the_others_are_read() {
    let flipped =
        |back: usize| move |bytes: &mut Vec<u8>| bytes.iter_mut().rev().nth(back).into_iter().for_each(|b| *b ^= 4);
    // Image 9 has the last 300 bytes. The order before it is labels, checksums, pixels.
    for (back, index) in [(0, 9), (299, 9), (300, 8), (2999, 0), (3000, 9), (3039, 0), (3043, 9), (3079, 0)] {
        let pack = changed(flipped(back)).unwrap();
        says(
            image(&pack, index),
            &["toy.ganpack: damaged image", &format!("of image {index},"), "pack the data again"],
        );
        assert!((0..10).filter(|&i| i != index).all(|i| image(&pack, i).is_ok()));
    }
}

#[test]
fn a_changed_byte_before_the_images_is_detected_on_opening() {
    let (_dir, path) = packed();
    let start = fs::read(&path).unwrap().len() - 3080;
    for at in 0..start {
        says(changed(|bytes| bytes[at] ^= 1), &["toy.ganpack: "]);
    }
    says(changed(|bytes| bytes[0] = b'G'), &["no pack", "gan data pack"]);
    says(changed(|bytes| bytes[8] = 2), &["version of the format: found 2, expected 1", "pack the data again"]);
    says(changed(|bytes| bytes[30] ^= 1), &["damaged header: found CRC-32", "pack the data again"]);
}

#[test]
fn a_pack_of_the_wrong_length_is_refused() {
    says(changed(|bytes| bytes.truncate(bytes.len() - 1)), &["cut off", "bytes for 10 images of 3×5×20"]);
    says(changed(|bytes| bytes.push(0)), &["too long"]);
    says(changed(|bytes| bytes.truncate(25)), &["cut off: found 25 bytes"]);
    says(changed(|bytes| bytes.truncate(10)), &["cut off: found 10 bytes, expected 20 or more"]);
    says(changed(|bytes| bytes.truncate(5)), &["no pack"]);
    says(changed(Vec::clear), &["is empty"]);
    says(Pack::open(Path::new("/no/such.ganpack")), &["/no/such.ganpack: cannot be read"]);
}

#[test]
fn nonsense_with_valid_checksums_is_refused() {
    let with = |header: Header| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("made");
        let text = serde_json::to_vec(&header).unwrap();
        let numbers = [VERSION.to_le_bytes(), (text.len() as u32).to_le_bytes()].concat();
        let crc = crc32fast::hash(&[&numbers[..], &text].concat()).to_le_bytes();
        fs::write(&path, [&MAGIC[..], &numbers, &crc, &text].concat()).unwrap();
        Pack::open(&path)
    };
    let header = |count, shape| Header { name: String::new(), made_from: String::new(), count, shape, classes: vec![] };
    says(with(header(usize::MAX, [1, 1, 1])), &["impossible header"]);
    says(with(header(1, [usize::MAX, 2, 2])), &["impossible header"]);
    says(with(header(0, [0, 2, 2])), &["impossible header"]);
    says(with(header(1, [1, 1, 1])), &["cut off"]);
    // A shape that is too large is refused without allocating it, even if there are no images.
    says(with(header(0, [3, 1 << 30, 1 << 30])), &["impossible header", "images of 1 to 268435456 values"]);
    says(with(header(0, [1, 2, 2])), &["holds no image"]);
}

#[test]
fn lengths_are_checked_before_anything_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.ganpack");
    let sparse = |start: &[u8]| {
        fs::write(&path, start).unwrap();
        File::options().write(true).open(&path).unwrap().set_len(1 << 42).unwrap();
        Pack::open(&path)
    };
    says(sparse(b"ganpack\n\x01\0\0\0\xff\xff\xff\xff"), &["impossible header: found 4294967295 bytes"]);
    says(sparse(b"ganpack\n\x01\0\0\0\x10\0\0\0"), &["damaged header"]);
    says(sparse(b"PK\x03\x04"), &["no pack: found a ZIP archive", "unpack it"]);
}

#[cfg(unix)]
#[test]
fn only_regular_files_are_packs() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.ganpack");
    std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
    says(Pack::open(&path), &["it is a character device, not a regular file"]);
    assert!(!is_pack(&path));
    fs::remove_file(&path).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    says(Pack::open(&path), &["it is a FIFO, not a regular file"]);
    assert!(!is_pack(&path));
    // A link at the temporary name is not followed either.
    let (to, other) = (dir.path().join("y.ganpack"), dir.path().join("mine"));
    fs::write(&other, "mine").unwrap();
    std::os::unix::fs::symlink(&other, dir.path().join(".y.ganpack.packing")).unwrap();
    let images = SyntheticSamples::new(1, 5, [1, 2, 2]).unwrap();
    says(write(&to, images, 1, &mut |_, _| ()), &[".y.ganpack.packing: cannot be written", "not a regular file"]);
    assert_eq!(fs::read(&other).unwrap(), b"mine");
}

/// Images of `Bytes`, of which those with a false `readable` cannot be read.
#[derive(Clone)]
struct Holes {
    whole: Bytes,
    readable: fn(usize) -> bool,
}

impl Dataset for Holes {
    fn len(&self) -> usize {
        self.whole.len()
    }
    fn shape(&self) -> Vec<usize> {
        self.whole.shape()
    }
    fn write(&self, index: usize, out: &mut [f32]) -> Result<(), Error> {
        self.whole.write(index, out)
    }
    fn try_write(&self, index: usize, out: &mut [f32]) -> Result<Option<Skipped>, Error> {
        self.write(index, out)?;
        let hole = || Skipped { path: index.to_string().into(), reason: "a hole".into() };
        Ok((!(self.readable)(index)).then(hole))
    }
    fn label(&self, index: usize) -> Option<u32> {
        self.whole.label(index)
    }
    fn classes(&self) -> &[String] {
        self.whole.classes()
    }
}

#[test]
fn unreadable_images_leave_no_gap_in_a_pack() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.ganpack");
    // Several blocks with different gaps, so that labels, checksums and pixels all have to move.
    for (classes, readable) in [
        (&["a", "b", "c"][..], (|index| index % 7 != 3) as fn(usize) -> bool),
        (&[], |index| index % 2 == 1),
        (&["a"], |index| index == 999),
    ] {
        let whole = Bytes::new(1000, &[3, 40, 40], classes);
        let kept: Vec<usize> = (0..1000).filter(|index| readable(*index)).collect();
        let holes = Holes { whole, readable };
        let mut last = 0;
        let skipped = write(&path, holes.clone(), 3, &mut |done, _| last = done).unwrap();
        assert_eq!((skipped.len(), last), (1000 - kept.len(), 1000));
        let named: Vec<usize> = skipped.iter().map(|file| file.path.to_str().unwrap().parse().unwrap()).collect();
        assert!(named.is_sorted() && named.iter().all(|index| !readable(*index)));
        let pack = Pack::open(&path).unwrap();
        assert_eq!((pack.len(), pack.classes()), (kept.len(), holes.classes()));
        for (index, &source) in kept.iter().enumerate() {
            assert_eq!(image(&pack, index).unwrap(), image(&holes.whole, source).unwrap());
            assert_eq!(pack.label(index), holes.label(source));
        }
    }
    let none = Holes { whole: Bytes::new(5, &[1, 2, 2], &[]), readable: |_| false };
    let before = fs::read(&path).unwrap();
    says(write(&path, none, 1, &mut |_, _| ()), &["found no image that can be read; the first, 0: a hole"]);
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_part_without_readable_images_is_empty() {
    let dir = tempfile::tempdir().unwrap();
    let holes =
        |readable| -> Arc<dyn Dataset> { Arc::new(Holes { whole: Bytes::new(6, &[1, 2, 2], &["a"]), readable }) };
    let (paths, skipped) =
        super::write(dir.path(), &holes(|index| index > 2), &MADE, Some(2), 1, &mut |_, _| ()).unwrap();
    assert_eq!((paths.len(), skipped.len()), (3, 3));
    let pack = Pack::open(dir.path()).unwrap();
    assert_eq!(pack.len(), 3);
    assert_eq!(image(&pack, 0).unwrap(), image(&Bytes::new(6, &[1, 2, 2], &["a"]), 3).unwrap());
    super::write(dir.path(), &holes(|_| false), &MADE, Some(2), 1, &mut |_, _| ()).unwrap();
    says(Pack::open(dir.path()), &["holds no image"]);
}

#[test]
fn points_empty_sets_and_unusable_paths_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.ganpack");
    let pack = |path: &Path, data: Bytes| write(path, data, 1, &mut |_, _| ());
    let images = || Bytes::new(5, &[1, 2, 2], &[]);
    says(pack(&path, Bytes::new(5, &[2], &[])), &["found points of 2 coordinates", "points need no pack"]);
    says(pack(&path, Bytes::new(0, &[1, 2, 2], &[])), &["found no images"]);
    says(pack(dir.path(), images()), &["it is a folder"]);
    says(pack(&dir.path().join("none/x"), images()), &["none/x: cannot be written"]);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

/// Images of which number 20 causes an error.
struct Broken(SyntheticSamples);

impl Dataset for Broken {
    fn len(&self) -> usize {
        self.0.len()
    }
    fn shape(&self) -> Vec<usize> {
        self.0.shape()
    }
    fn write(&self, index: usize, out: &mut [f32]) -> Result<(), Error> {
        let index = if index == 20 { usize::MAX } else { index };
        self.0.write(index, out)
    }
    fn label(&self, _: usize) -> Option<u32> {
        None
    }
    fn classes(&self) -> &[String] {
        &[]
    }
}

#[test]
fn a_failed_packing_keeps_the_old_pack() {
    let (dir, path) = packed();
    let before = fs::read(&path).unwrap();
    let broken = Broken(SyntheticSamples::new(1, 500, [3, 200, 200]).unwrap());
    says(write(&path, broken, 3, &mut |_, _| ()), &["no such image"]);
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn concurrent_writers_are_refused_and_leftovers_are_overwritten() {
    let (dir, path) = packed();
    let leftover = dir.path().join(".toy.ganpack.packing");
    let file = File::create(&leftover).unwrap();
    file.set_len(1 << 20).unwrap();
    file.lock().unwrap();
    let images = SyntheticSamples::new(1, 5, [1, 2, 2]).unwrap();
    says(write(&path, images.clone(), 1, &mut |_, _| ()), &["another process is packing into it"]);
    assert!(leftover.exists());
    drop(file);
    write(&path, images.clone(), 1, &mut |_, _| ()).unwrap();
    assert_eq!((Pack::open(&path).unwrap().len(), leftover.exists()), (5, false));
}

#[test]
fn packs_are_distinguished_from_other_files() {
    let (dir, path) = packed();
    let other = dir.path().join("renamed");
    fs::rename(&path, &other).unwrap();
    assert!(is_pack(&other) && !is_pack(&path) && !is_pack(dir.path()));
    fs::write(&path, b"").unwrap();
    assert!(is_pack(&path));
}
