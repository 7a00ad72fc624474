//! Data that is missing, damaged or of another kind.

use super::{expect, problem, small};
use flate2::Compression;
use flate2::write::GzEncoder;
use gan_train::layering;
use std::fs;
use std::io::Write;
use std::path::Path;
use tempfile::TempDir;

const IMAGES: &str = "train-images-idx3-ubyte";
const LABELS: &str = "train-labels-idx1-ubyte";

/// Returns an IDX file: the magic number, the sizes, the bytes.
fn idx(magic: u32, dims: &[u32], bytes: &[u8]) -> Vec<u8> {
    let header: Vec<u8> = std::iter::once(&magic).chain(dims).flat_map(|n| n.to_be_bytes()).collect();
    [&header, bytes].concat()
}

/// Returns twenty images that compress badly.
fn images() -> Vec<u8> {
    let noise: Vec<u8> =
        (0..20 * 784u32).map(|i| (i.wrapping_mul(i).wrapping_mul(2_654_435_761) >> 21) as u8).collect();
    idx(0x803, &[20, 28, 28], &noise)
}

fn labels() -> Vec<u8> {
    idx(0x801, &[20], &[7; 20])
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("packed bytes")
}

/// Returns a folder with these files.
fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    files.iter().for_each(|(name, bytes)| fs::write(dir.path().join(name), bytes).unwrap());
    dir
}

/// Returns the preset with the data folder `dir`.
fn with_data(dir: &Path) -> layering::Table {
    let mut table = small();
    layering::set(&mut table, &format!("data.dir={}", dir.display())).unwrap();
    table
}

#[track_caller]
fn data_refused(files: &[(&str, &[u8])], words: &[&str]) {
    expect(&problem(Ok(with_data(folder(files).path()))), words);
}

#[test]
fn damaged_gzip_is_named_with_what_to_do() {
    let (name, whole) = (format!("{IMAGES}.gz"), packed(&images()));
    let words = ["/train-images-idx3-ubyte.gz: gzip stream", "fetch it again"];
    let cut = &whole[..whole.len() / 2];
    data_refused(&[(&name, cut), (LABELS, &labels())], &[&words[..], &["cut off"]].concat());
    let mut torn = whole.clone();
    torn[whole.len() / 2..][..200].iter_mut().for_each(|byte| *byte ^= 0x55);
    data_refused(&[(&name, &torn), (LABELS, &labels())], &words);
    let mut checksum = whole.clone();
    let last = whole.len() - 5;
    checksum[last] ^= 1;
    data_refused(&[(&name, &checksum), (LABELS, &labels())], &[&words[..], &["damaged"]].concat());
}

#[test]
fn files_of_another_kind_or_length_are_named() {
    let good = labels();
    for (images, words) in [
        (
            idx(0x802, &[20, 28, 28], &[0; 20 * 784]),
            ["wrong magic number: found 0x00000802", "expected 0x00000803 (images)"],
        ),
        (labels(), ["found 0x00000801 (labels)", "expected 0x00000803 (images)"]),
        (images()[..9000].to_vec(), ["too short: found 8984 bytes", "expected 15680 bytes"]),
        ([images(), vec![0]].concat(), ["too long: found 15681 bytes", "expected 15680 bytes"]),
        (idx(0x803, &[4_000_000_000; 3], &[]), ["impossibly large", "[4000000000, 4000000000, 4000000000]"]),
        (vec![], ["header cut off: found 0 bytes", "16 bytes of the header"]),
    ] {
        data_refused(&[(IMAGES, &images), (LABELS, &good)], &[&words[..], &["/train-images-idx3-ubyte: "]].concat());
    }
}

#[test]
fn labels_that_do_not_belong_to_the_images_are_named() {
    let fewer = idx(0x801, &[19], &[7; 19]);
    data_refused(&[(IMAGES, &images()), (LABELS, &fewer)], &[LABELS, "found 19 labels, expected 20"]);
    let eleventh = idx(0x801, &[20], &[11; 20]);
    data_refused(&[(IMAGES, &images()), (LABELS, &eleventh)], &[LABELS, "label 11 for image 0", "0 to 9"]);
}

#[test]
fn missing_data_is_refused_with_its_expected_location() {
    let nowhere = problem(Ok(with_data(Path::new("/nowhere"))));
    expect(&nowhere, &["/nowhere: ", "found no such folder", IMAGES, "`data.dir=DIR`"]);
    data_refused(&[], &["found no such file in this folder", IMAGES]);
    data_refused(&[(IMAGES, &images())], &["found no such file in this folder", LABELS]);
    let file = folder(&[("x", b"x")]);
    expect(&problem(Ok(with_data(&file.path().join("x")))), &["x: found a file in place of a folder"]);
}

#[test]
fn a_batch_must_not_be_larger_than_the_data() {
    let digits = folder(&[(IMAGES, &images()), (LABELS, &labels())]);
    let with_batch = |size: usize| {
        let mut table = with_data(digits.path());
        layering::set(&mut table, &format!("train.batch={size}")).unwrap();
        table
    };
    expect(&problem(Ok(with_batch(21))), &["train.batch: found 21, expected 1 to 20, the number of images"]);
    let plan = layering::read(with_batch(20)).unwrap().check().unwrap();
    assert!(gan_train::Trainer::new(plan, gan_kernels::testing::test_device()).is_ok());
}
