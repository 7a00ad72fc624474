//! Folders as people have them: nested, linked, with broken files in them.

use super::*;
use crate::images::{Broken, Fitting, Upscale};
use image::{Rgb, RgbImage};
use std::fs;
use tempfile::TempDir;

const OPTIONS: ImageOptions = ImageOptions { channels: 3, fitting: size(4), broken: Broken::Skip };

const fn size(side: usize) -> Fitting {
    Fitting {
        size: [side, side],
        crop: None,
        fit: crate::images::Fit::Crop,
        filter: crate::images::Filter::Bilinear,
        background: [255; 3],
        upscale: Upscale::Refuse,
    }
}

/// PNG files of one colour each: image number i has the red value i.
fn folder(names: &[&str]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, red) in names.iter().zip(0..) {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        RgbImage::from_pixel(6, 5, Rgb([red, 100, 200])).save(path).unwrap();
    }
    dir
}

fn red(data: &ImageFolder, index: usize) -> u8 {
    let mut out = vec![f32::NAN; data.pixels()];
    data.write(index, &mut out).unwrap();
    ((out[0] + 1.0) * 127.5).round() as u8
}

fn message(dir: &Path, options: &ImageOptions) -> String {
    ImageFolder::open(dir, options).unwrap_err().to_string()
}

#[test]
fn files_come_in_the_order_of_their_bytes_with_their_classes() {
    let dir = folder(&["b/1.png", "a/z/9.PNG", "a-b/2.png", "a/10.png", "a/.hidden.png", ".git/x.png"]);
    fs::write(dir.path().join("notes.txt"), "x").unwrap();
    let data = ImageFolder::open(dir.path(), &OPTIONS).unwrap();
    assert_eq!(data.names(), ["a-b/2.png", "a/10.png", "a/z/9.PNG", "b/1.png"].map(PathBuf::from));
    assert_eq!((data.shape(), data.classes()), (vec![3, 4, 4], &["a-b", "a", "b"].map(String::from)[..]));
    assert_eq!((0..4).map(|i| data.label(i).unwrap()).collect::<Vec<_>>(), [0, 1, 1, 2]);
    assert_eq!((0..4).map(|i| red(&data, i)).collect::<Vec<_>>(), [2, 3, 1, 0]);
}

#[test]
fn one_folder_or_loose_files_are_no_classes() {
    for names in [&["a/1.png", "a/2.png"][..], &["a/1.png", "b/2.png", "3.png"], &["1.png"]] {
        let data = ImageFolder::open(folder(names).path(), &OPTIONS).unwrap();
        assert_eq!((data.classes().len(), data.label(0), data.len()), (0, None, names.len()));
    }
}

#[cfg(unix)]
#[test]
fn links_are_followed_but_not_in_circles() {
    let dir = folder(&["a/1.png"]);
    let other = folder(&["2.png"]);
    std::os::unix::fs::symlink(dir.path(), dir.path().join("a/up")).unwrap();
    std::os::unix::fs::symlink(other.path(), dir.path().join("b")).unwrap();
    std::os::unix::fs::symlink("/nowhere/at/all", dir.path().join("b/dangling")).unwrap();
    let data = ImageFolder::open(dir.path(), &OPTIONS).unwrap();
    assert_eq!(data.names(), ["a/1.png", "b/2.png"].map(PathBuf::from));
}

#[test]
fn unusable_files_are_listed_or_refused() {
    let dir = folder(&["1.png", "4.png"]);
    fs::write(dir.path().join("2.jpg"), "").unwrap();
    fs::write(dir.path().join("3.gif"), "<html>").unwrap();
    let data = ImageFolder::open(dir.path(), &OPTIONS).unwrap();
    assert_eq!(data.names(), ["1.png", "4.png"].map(PathBuf::from));
    let skipped: Vec<_> = data.skipped().iter().map(|s| (s.path.to_str().unwrap(), s.reason.as_str())).collect();
    assert_eq!(
        skipped,
        [("2.jpg", "the file is empty"), ("3.gif", "the file holds no JPEG, PNG, WebP, GIF or BMP image")]
    );
    let strict = ImageOptions { broken: Broken::Refuse, ..OPTIONS };
    let message = message(dir.path(), &strict);
    for part in ["2.jpg", "the file is empty", "data.strict=false"] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn a_file_with_broken_pixels_gives_way_to_the_next_of_its_class() {
    let dir = folder(&["a/1.png", "a/2.png", "b/3.png", "b/4.png"]);
    let path = dir.path().join("a/2.png");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 20]).unwrap();
    let data = ImageFolder::open(dir.path(), &OPTIONS).unwrap();
    assert_eq!((data.len(), red(&data, 1), red(&data, 1), red(&data, 2)), (4, 0, 0, 2));
    let strict = ImageFolder::open(dir.path(), &ImageOptions { broken: Broken::Refuse, ..OPTIONS }).unwrap();
    let message = strict.write(1, &mut [0.0; 48]).unwrap_err().to_string();
    assert!(message.contains("a/2.png") && message.contains("cannot be used as an image"), "{message}");
}

#[test]
fn where_nothing_can_be_read_it_is_an_error() {
    let dir = folder(&["1.png"]);
    let data = ImageFolder::open(dir.path(), &OPTIONS).unwrap();
    fs::remove_file(dir.path().join("1.png")).unwrap();
    let message = data.write(0, &mut [0.0; 48]).unwrap_err().to_string();
    assert!(message.contains("1.png") && message.contains("no readable images near it"), "{message}");
}

#[test]
fn small_images_are_counted_and_one_is_named() {
    let dir = folder(&["1.png", "2.png"]);
    let large = ImageOptions { fitting: size(6), ..OPTIONS };
    let message = message(dir.path(), &large);
    for part in ["data.size: found 2 of 2 images", "1.png, is 5×6", "6×6", "data.upscale=true"] {
        assert!(message.contains(part), "{message}");
    }
    let fitting = Fitting { upscale: Upscale::Allow, ..size(6) };
    let data = ImageFolder::open(dir.path(), &ImageOptions { fitting, ..OPTIONS }).unwrap();
    assert_eq!((data.shape(), red(&data, 1)), (vec![3, 6, 6], 1));
}

#[test]
fn folders_without_images_say_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let all =
        |parts: &[&str], message: String| parts.iter().for_each(|part| assert!(message.contains(part), "{message}"));
    all(&["data.dir", "which is empty", ".jpg", "--set data.dir=DIR"], message(dir.path(), &OPTIONS));
    fs::write(dir.path().join("x.txt"), "x").unwrap();
    all(&["holds no image among 1 files"], message(dir.path(), &OPTIONS));
    fs::write(dir.path().join("x.jpg"), "x").unwrap();
    all(&["no usable file among 1", "x.jpg", "holds no JPEG"], message(dir.path(), &OPTIONS));
    all(&["no such folder", "--set data.dir=DIR"], message(&dir.path().join("absent"), &OPTIONS));
    all(&["a file in place of a folder"], message(&dir.path().join("x.txt"), &OPTIONS));
}
