//! Data that is missing, damaged or of another kind.

use super::{TRAIN, refused};
use crate::common::Place;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs;
use std::io::Write;

const IMAGES: &str = "train-images-idx3-ubyte";
const LABELS: &str = "train-labels-idx1-ubyte";

/// An IDX file: the magic number, the sizes, the bytes.
fn idx(magic: u32, dims: &[u32], bytes: &[u8]) -> Vec<u8> {
    let header: Vec<u8> = std::iter::once(&magic).chain(dims).flat_map(|n| n.to_be_bytes()).collect();
    [&header, bytes].concat()
}

/// Twenty images that hardly pack.
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

/// A folder `data` with these files.
fn place(files: &[(&str, &[u8])]) -> Place {
    let place = Place::new();
    fs::create_dir(place.path("data")).expect("a folder");
    files.iter().for_each(|(name, bytes)| fs::write(place.path("data").join(name), bytes).expect("a file"));
    place
}

#[track_caller]
fn data_refused(files: &[(&str, &[u8])], code: i32, words: &[&str]) {
    refused(&place(files), &format!("{TRAIN} --set data.dir=data"), code, words);
}

#[test]
fn damaged_gzip_is_named_with_what_to_do() {
    let (name, whole) = (format!("{IMAGES}.gz"), packed(&images()));
    let words = ["data/train-images-idx3-ubyte.gz: gzip stream", "fetch it again"];
    let cut = &whole[..whole.len() / 2];
    data_refused(&[(&name, cut), (LABELS, &labels())], 1, &[&words[..], &["cut off"]].concat());
    let mut torn = whole.clone();
    torn[whole.len() / 2..][..200].iter_mut().for_each(|byte| *byte ^= 0x55);
    data_refused(&[(&name, &torn), (LABELS, &labels())], 1, &words);
    let mut checksum = whole.clone();
    let last = whole.len() - 5;
    checksum[last] ^= 1;
    data_refused(&[(&name, &checksum), (LABELS, &labels())], 1, &[&words[..], &["damaged"]].concat());
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
        data_refused(
            &[(IMAGES, &images), (LABELS, &good)],
            1,
            &[&words[..], &["data/train-images-idx3-ubyte: "]].concat(),
        );
    }
}

#[test]
fn labels_that_do_not_belong_to_the_images_are_named() {
    let fewer = idx(0x801, &[19], &[7; 19]);
    data_refused(&[(IMAGES, &images()), (LABELS, &fewer)], 1, &[LABELS, "found 19 labels, expected 20"]);
    let eleventh = idx(0x801, &[20], &[11; 20]);
    data_refused(&[(IMAGES, &images()), (LABELS, &eleventh)], 1, &[LABELS, "label 11 for image 0", "0 to 9"]);
}

#[test]
fn data_that_is_not_there_is_answered_with_where_it_should_be() {
    let words = ["found no such folder", IMAGES, "--set data.dir=DIR"];
    refused(&Place::new(), &format!("{TRAIN} --set data.dir=/nowhere"), 2, &[&words[..], &["/nowhere: "]].concat());
    data_refused(&[], 2, &["data: found no such file in this folder", IMAGES]);
    data_refused(&[(IMAGES, &images())], 2, &["data: found no such file in this folder", LABELS]);
    let place = place(&[("x", b"x")]);
    refused(&place, &format!("{TRAIN} --set data.dir=data/x"), 2, &["data/x: found a file in place of a folder"]);
}

#[test]
fn settings_of_another_data_set_are_not_passed_over() {
    let words = |key: &str, names: &str| format!("data.{key}: is for data.name = {names}, found \"mnist\": remove it");
    for (setting, key, names) in [
        ("data.ring.modes=3", "ring", "\"ring\""),
        ("data.grid.side=3", "grid", "\"grid\""),
        ("data.curve={curves=[{polynomial=[1,2]}]}", "curve", "\"curve\""),
        ("data.count=100", "count", "\"stacked-mnist\" or \"synthetic\""),
    ] {
        refused(&Place::new(), &format!("{TRAIN} --set {setting}"), 2, &[&words(key, names)]);
    }
    let many = "--set data.name=stacked-mnist --set data.count=1000000000";
    refused(&Place::new(), &format!("{TRAIN} {many}"), 2, &["data.count: found 1000000000, expected 1 to 100000000"]);
}

#[test]
fn a_batch_must_not_be_larger_than_the_data() {
    let place = place(&[(IMAGES, &images()), (LABELS, &labels())]);
    let words = ["train.batch: found 21, expected 1 to 20, the number of images"];
    refused(&place, &format!("{TRAIN} --set data.dir=data --set train.batch=21"), 2, &words);
    place.good(&format!("{TRAIN} --set data.dir=data --set train.batch=20"));
}
