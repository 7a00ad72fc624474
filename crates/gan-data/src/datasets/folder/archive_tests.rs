//! Zip archives and lists of labels for StyleGAN, whole and damaged, beside folders with the same files.

use super::tests::{OPTIONS, folder, red};
use super::*;
use crate::images::{Broken, Survey};
use crate::zip::tests::{Member, archive, deflated};
use image::{DynamicImage, Rgb, RgbImage, Rgba, RgbaImage};
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

/// Returns the bytes of a PNG file of one color with this red value.
fn png(red: u8) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let image = RgbImage::from_pixel(6, 5, Rgb([red, 100, 200]));
    image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// Writes `bytes` as x.zip into a new folder.
fn zip(bytes: &[u8]) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.zip");
    fs::write(&path, bytes).unwrap();
    (dir, path)
}

fn message(path: &Path, options: &ImageOptions) -> String {
    ImageFolder::open(path, options).unwrap_err().to_string()
}

#[track_caller]
fn has(message: &str, parts: &[&str]) {
    parts.iter().for_each(|part| assert!(message.contains(part), "no {part:?} in {message}"));
}

#[test]
fn an_archive_is_read_as_the_folder_that_it_unpacks_to() {
    let names = ["b/1.png", "a/z/9.png", "a-b/2.png", "a/10.png"];
    let dir = folder(&names);
    let files: Vec<Vec<u8>> = names.iter().map(|name| fs::read(dir.path().join(name)).unwrap()).collect();
    let mut members: Vec<(&str, &[u8])> = names.iter().copied().zip(files.iter().map(|file| &file[..])).collect();
    members.push(("notes.txt", b"x"));
    let (_keep, path) = zip(&deflated(&members));
    let [unpacked, zipped] = [dir.path(), &path].map(|path| ImageFolder::open(path, &OPTIONS).unwrap());
    assert_eq!((unpacked.names(), unpacked.classes()), (zipped.names(), zipped.classes()));
    for index in 0..4 {
        assert_eq!((red(&unpacked, index), unpacked.label(index)), (red(&zipped, index), zipped.label(index)));
        assert_eq!(unpacked.stored_size(index), zipped.stored_size(index));
    }
    assert_eq!(unpacked.checksum(), zipped.checksum());
    assert_eq!(zipped.inventory().unwrap().others.count(), 1);
    let [a, b] = [dir.path(), &path].map(|path| Survey::of(path).unwrap());
    assert_eq!((a.images, a.different, a.classes), (b.images, b.different, b.classes));
}

#[test]
fn threads_share_an_archive() {
    let files: Vec<(String, Vec<u8>)> = (0..40).map(|n| (format!("{n:02}.png"), png(n))).collect();
    let members: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (&name[..], &bytes[..])).collect();
    let (_keep, path) = zip(&deflated(&members));
    let data = ImageFolder::open(&path, &OPTIONS).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..40).rev().for_each(|n| assert_eq!(red(&data, n), n as u8)));
        }
    });
}

#[test]
fn archives_that_cannot_be_read_have_one_message_each() {
    let whole = deflated(&[("a/1.png", &png(1)), ("a/2.png", &png(2))]);
    let (_keep, path) = zip(&whole[..whole.len() / 2]);
    has(&message(&path, &OPTIONS), &["x.zip", "not a whole zip archive", "copy or download it again"]);
    let (_keep, path) = zip(&deflated(&[("../../1.png", &png(1))]));
    has(&message(&path, &OPTIONS), &["x.zip", "a path that leads out of the archive", "\"../../1.png\""]);
    let locked = archive(&[Member { name: "1.png", bytes: &png(1), is_deflated: true }], |entry| entry[8] |= 1);
    let (_keep, path) = zip(&locked);
    has(&message(&path, &OPTIONS), &["x.zip", "encrypted archive", "\"1.png\" with a password"]);
    let (_keep, path) = zip(&deflated(&[("readme.txt", b"x")]));
    has(&message(&path, &OPTIONS), &["holds no image among 1 files", ".txt"]);
}

#[test]
fn a_bomb_in_an_archive_is_skipped_or_refused() {
    // A file that claims 3 GiB, and one that expands to more than it claims.
    let bomb = [&png(1)[..], &vec![0; 1 << 20]].concat();
    let declares = |size: u32| {
        let members = ["1.png", "2.png"].map(|name| Member { name, bytes: &bomb, is_deflated: true });
        archive(&members, |entry| {
            if entry.ends_with(b"2.png") {
                entry[24..28].copy_from_slice(&size.to_le_bytes());
            }
        })
    };
    for (size, words) in [
        (3 << 30, "the file has 3221225472 bytes, the most that are read of an image are 536870912"),
        (20_000, "it expands to more than the 20000 bytes that the archive declares"),
    ] {
        let (_keep, path) = zip(&declares(size));
        let data = ImageFolder::open(&path, &OPTIONS).unwrap();
        let strict = ImageFolder::open(&path, &ImageOptions { broken: Broken::Refuse, ..OPTIONS });
        let reason = match strict {
            // The header of the second one is whole; its pixels are not.
            Ok(strict) => strict.write(1, &mut vec![0.0; strict.pixels()]).unwrap_err().to_string(),
            Err(error) => error.to_string(),
        };
        has(&reason, &["2.png", words]);
        assert_eq!(red(&data, 0), 1);
    }
}

#[test]
fn the_list_of_a_stylegan_data_set_determines_the_classes() {
    let dir = folder(&["00000/img0.png", "00000/img1.png", "00001/img2.png"]);
    let list = dir.path().join("dataset.json");
    let open = |text: &str| {
        fs::write(&list, text).unwrap();
        ImageFolder::open(dir.path(), &OPTIONS)
    };
    let data = open(r#"{"labels": [["00000/img0.png", 2], ["00000/img1.png", 0], ["00001/img2.png", 2]]}"#).unwrap();
    assert_eq!(data.classes(), ["0", "1", "2"]);
    assert_eq!([0, 1, 2].map(|index| data.label(index).unwrap()), [2, 0, 2]);
    assert_eq!(data.inventory().unwrap().others.count(), 0);
    assert_eq!(Survey::of(dir.path()).unwrap().classes[2], ("2".into(), 2));
    let none = open(r#"{"labels": null}"#).unwrap();
    has(none.inventory().unwrap().no_classes.as_ref().unwrap(), &["dataset.json has no labels"]);
    assert!(none.classes().is_empty());
    // A file of another meaning leaves the folders as classes.
    assert_eq!(open(r#"{"title": "faces"}"#).unwrap().classes(), ["00000", "00001"]);
    let labelled = r#"["00000/img0.png", 0], ["00000/img1.png", 1]"#;
    for (text, words) in [
        (
            format!(r#"{{"labels": [{labelled}, ["00001/img2.png", 0], ["gone.png", 1], ["away.png", 1]]}}"#),
            &["files that are missing", "2 names, the first \"away.png\"", "remove their lines"][..],
        ),
        (format!(r#"{{"labels": [{labelled}]}}"#), &["not complete", "1 image, the first \"00001/img2.png\""]),
        (
            format!(r#"{{"labels": [{labelled}, ["00001/img2.png", [0.5, 1]]]}}"#),
            &["label that is no class", "[0.5,1]"],
        ),
        (r#"{"labels": [["00000/img0.png"#.into(), &["damaged list of labels", "write it again"]),
        (r#"{"labels": [1]}"#.into(), &["list of labels that cannot be used"]),
    ] {
        let message = open(&text).unwrap_err().to_string();
        has(&message, &["dataset.json"]);
        has(&message, words);
    }
}

#[test]
fn the_list_is_read_from_an_archive_too() {
    let list = br#"{"labels": [["00000/img0.png", 1], ["00000/img1.png", 0]]}"#;
    let [first, second] = [png(1), png(2)];
    let (_keep, path) =
        zip(&deflated(&[("dataset.json", list), ("00000/img0.png", &first), ("00000/img1.png", &second)]));
    let data = ImageFolder::open(&path, &OPTIONS).unwrap();
    assert_eq!((data.classes().len(), data.label(0), data.label(1)), (2, Some(1), Some(0)));
}

#[test]
fn files_hold_alpha_and_a_few_other_images_are_converted() {
    let dir = tempfile::tempdir().unwrap();
    let save = |name: &str, image: DynamicImage| image.save(dir.path().join(name)).unwrap();
    let transparent = |red| DynamicImage::ImageRgba8(RgbaImage::from_pixel(6, 5, Rgba([red, 100, 200, 51])));
    (0..9).for_each(|n| save(&format!("{n}.png"), transparent(n * 10)));
    save("gray.png", DynamicImage::new_luma8(6, 5));
    save("rgb.png", DynamicImage::new_rgb8(6, 5));
    let data = ImageFolder::open(dir.path(), &ImageOptions { channels: 4, ..OPTIONS }).unwrap();
    assert_eq!(data.shape(), [4, 4, 4]);
    let mut out = vec![0.0; data.pixels()];
    data.write(5, &mut out).unwrap();
    let bytes = [0, 16, 32, 48].map(|at| ((out[at] + 1.0) * 127.5).round() as u8);
    assert_eq!(bytes, [10, 20, 40, 51]);
    let converted = data.inventory().unwrap().channels.not_of(4);
    assert_eq!(converted.to_string(), "1 gray, 1 RGB");
    let refused = message(dir.path(), &ImageOptions { channels: 2, ..OPTIONS });
    has(&refused, &["data.channels: found 2", "4 (RGB and alpha)", "arrays (.npy)"]);
}
