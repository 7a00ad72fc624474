//! CelebA's layouts and lists, with a few synthetic images.

use super::*;
use crate::images::Broken;
use image::{Rgb, RgbImage};
use std::fs;
use tempfile::TempDir;

/// Returns a folder with six images `000001.jpg` … in `below`, and both lists in `lists`.
fn faces(below: &str, lists: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join(below)).unwrap();
    fs::create_dir_all(dir.path().join(lists)).unwrap();
    let (mut attributes, mut parts) = (String::from("6\nBald Smiling Young\n"), String::new());
    for n in 1..=6u8 {
        let name = format!("{n:06}.jpg");
        RgbImage::from_pixel(9, 11, Rgb([40 * n, 100, 0])).save(dir.path().join(below).join(&name)).unwrap();
        attributes += &format!("{name} -1  1 {}\n", if n % 2 == 0 { " 1" } else { "-1" });
        parts += &format!("{name} {}\n", (n - 1) / 2);
    }
    fs::write(dir.path().join(lists).join(CelebA::ATTRIBUTES), attributes).unwrap();
    fs::write(dir.path().join(lists).join(CelebA::PARTITION), parts).unwrap();
    dir
}

fn open(dir: &Path, split: Option<Split>) -> Result<ImageFolder, Error> {
    Ok(with_attributes(dir, split)?.0)
}

fn with_attributes(dir: &Path, split: Option<Split>) -> Result<(ImageFolder, CelebAAttributes), Error> {
    let options = OpenOptions { broken: Broken::Refuse, ..OpenOptions::default() };
    CelebA { split }.open_with_attributes(&options.dir(dir).size(8))
}

#[track_caller]
fn refused(dir: &Path, split: Option<Split>, parts: &[&str]) {
    let message = open(dir, split).unwrap_err().to_string();
    parts.iter().for_each(|part| assert!(message.contains(part), "no {part:?} in {message:?}"));
}

#[test]
fn every_layout_is_recognized_with_its_lists() {
    for (below, lists) in [
        ("celeba/img_align_celeba", "celeba"),
        ("img_align_celeba", ""),
        ("", ""),
        ("img_align_celeba/img_align_celeba", ""),
    ] {
        let dir = faces(below, lists);
        let (data, attributes) = with_attributes(dir.path(), Some(Split::All)).unwrap();
        assert_eq!((data.len(), data.shape(), data.classes().len()), (6, vec![3, 8, 8], 0), "{below}");
        assert_eq!(attributes.names, ["Bald", "Smiling", "Young"]);
        assert_eq!(attributes.of(&data.names()[3]), Some(&[false, true, true][..]));
        assert_eq!(attributes.of(Path::new("000007.jpg")), None);
    }
}

#[test]
fn splits_follow_the_partition_list() {
    let dir = faces("img_align_celeba", "");
    for (split, first) in [(None, 1), (Some(Split::Train), 1), (Some(Split::Valid), 3), (Some(Split::Test), 5)] {
        let data = open(dir.path(), split).unwrap();
        let names: Vec<_> = data.names().iter().map(|name| name.to_str().unwrap()).collect();
        assert_eq!(names, [format!("{first:06}.jpg"), format!("{:06}.jpg", first + 1)]);
    }
    fs::remove_file(dir.path().join(CelebA::PARTITION)).unwrap();
    assert_eq!(open(dir.path(), None).unwrap().len(), 6);
    refused(dir.path(), Some(Split::Test), &["no list of the splits", CelebA::PARTITION]);
}

#[test]
fn errors_in_lists_name_the_line() {
    let dir = faces("img_align_celeba", "");
    let (attributes, parts) = (dir.path().join(CelebA::ATTRIBUTES), dir.path().join(CelebA::PARTITION));
    let whole = fs::read_to_string(&attributes).unwrap();
    for (text, words) in [
        (whole.replace("000004.jpg -1", "000004.jpg 7"), ["`000004.jpg 7  1  1` in line 6", "3 times 1 or -1"]),
        (whole.replace("6\nBald", "x\nBald"), ["`x` in line 1", "the number of images"]),
        (whole.replace("6\nBald", "7\nBald"), ["`7` in line 1", "expected 6"]),
        ("6\n".into(), ["`` in line 2", "the attributes' names"]),
    ] {
        fs::write(&attributes, text).unwrap();
        refused(dir.path(), None, &[&words[..], &[CelebA::ATTRIBUTES, "the list is damaged"]].concat());
    }
    fs::write(&attributes, [&whole.as_bytes()[..60], &[0xff, 0xfe]].concat()).unwrap();
    refused(dir.path(), None, &["bytes that are no text", "in line"]);
    fs::write(&attributes, &whole).unwrap();
    fs::write(&parts, "000001.jpg 0\n\n000002.jpg 3\n").unwrap();
    refused(dir.path(), None, &[CelebA::PARTITION, "`000002.jpg 3` in line 3", "0 (train)"]);
    fs::write(&parts, "other.jpg 0\n").unwrap();
    refused(dir.path(), None, &["no image belongs to this split"]);
}

#[test]
fn a_folder_without_faces_explains_how_to_get_them() {
    let dir = tempfile::tempdir().unwrap();
    refused(dir.path(), None, &["holds no .jpg file", "gan data fetch celeba", "img_align_celeba.zip"]);
    refused(&dir.path().join("absent"), None, &["no such folder", "img_align_celeba"]);
}

#[cfg(unix)]
#[test]
fn a_device_as_a_list_is_refused_and_other_formats_are_counted() {
    let dir = faces("img_align_celeba", "");
    RgbImage::from_pixel(9, 11, Rgb([1, 2, 3])).save(dir.path().join("img_align_celeba/7.png")).unwrap();
    fs::write(dir.path().join("img_align_celeba/list_bbox_celeba.txt"), "x").unwrap();
    let data = open(dir.path(), None).unwrap();
    assert_eq!(data.inventory().unwrap().others.endings(), [(".png", 1)]);
    fs::remove_file(dir.path().join(CelebA::PARTITION)).unwrap();
    std::os::unix::fs::symlink("/dev/zero", dir.path().join(CelebA::PARTITION)).unwrap();
    refused(dir.path(), None, &[CelebA::PARTITION, "it is a character device, not a regular file"]);
}
