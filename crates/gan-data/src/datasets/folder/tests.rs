//! Folders that are nested, contain links, or contain broken files.

use super::*;
use crate::images::{Broken, Fitting, Small};
use image::{Rgb, RgbImage};
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

pub(super) const OPTIONS: ImageOptions = ImageOptions { channels: 3, fitting: size(4), broken: Broken::Skip };

const fn size(side: usize) -> Fitting {
    Fitting {
        size: [side, side],
        crop: None,
        fit: crate::images::Fit::Crop,
        filter: crate::images::Filter::Bilinear,
        background: [255; 3],
        small: Small::Refuse,
    }
}

/// Returns a folder of PNG files of one color each: image number i has the red value i.
pub(super) fn folder(names: &[&str]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, red) in names.iter().zip(0..) {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        RgbImage::from_pixel(6, 5, Rgb([red, 100, 200])).save(path).unwrap();
    }
    dir
}

pub(super) fn red(data: &ImageFolder, index: usize) -> u8 {
    let mut out = vec![f32::NAN; data.pixels()];
    data.write(index, &mut out).unwrap();
    ((out[0] + 1.0) * 127.5).round() as u8
}

fn message(dir: &Path, options: &ImageOptions) -> String {
    ImageFolder::open(dir, options).unwrap_err().to_string()
}

#[test]
fn files_are_sorted_by_path_and_folders_are_classes() {
    let dir = folder(&["b/1.png", "a/z/9.PNG", "a-b/2.png", "a/10.png", "a/.hidden.png", ".git/x.png"]);
    fs::write(dir.path().join("notes.txt"), "x").unwrap();
    let data = ImageFolder::open(dir.path(), &OPTIONS).unwrap();
    assert_eq!(data.names(), ["a-b/2.png", "a/10.png", "a/z/9.PNG", "b/1.png"].map(PathBuf::from));
    assert_eq!((data.shape(), data.classes()), (vec![3, 4, 4], &["a-b", "a", "b"].map(String::from)[..]));
    assert_eq!((0..4).map(|i| data.label(i).unwrap()).collect::<Vec<_>>(), [0, 1, 1, 2]);
    assert_eq!((0..4).map(|i| red(&data, i)).collect::<Vec<_>>(), [2, 3, 1, 0]);
}

#[test]
fn a_single_folder_or_loose_files_give_no_classes() {
    for names in [&["a/1.png", "a/2.png"][..], &["a/1.png", "b/2.png", "3.png"], &["1.png"]] {
        let data = ImageFolder::open(folder(names).path(), &OPTIONS).unwrap();
        assert_eq!((data.classes().len(), data.label(0), data.len()), (0, None, names.len()));
    }
}

#[cfg(unix)]
#[test]
fn links_are_followed_but_no_folder_is_read_twice() {
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
        [("2.jpg", "the file is empty"), ("3.gif", "the file holds no JPEG, PNG, WebP, GIF, BMP or TIFF image")]
    );
    let strict = ImageOptions { broken: Broken::Refuse, ..OPTIONS };
    let message = message(dir.path(), &strict);
    for part in ["2.jpg", "the file is empty", "data.strict=false"] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn the_next_image_of_the_same_class_replaces_one_with_broken_pixels() {
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
fn no_readable_image_is_an_error() {
    let dir = folder(&["1.png"]);
    let data = ImageFolder::open(dir.path(), &OPTIONS).unwrap();
    fs::remove_file(dir.path().join("1.png")).unwrap();
    let message = data.write(0, &mut [0.0; 48]).unwrap_err().to_string();
    assert!(message.contains("1.png") && message.contains("no readable images near it"), "{message}");
}

#[test]
fn small_images_are_counted_and_the_first_is_named() {
    let dir = folder(&["1.png", "2.png"]);
    let large = ImageOptions { fitting: size(6), ..OPTIONS };
    let message = message(dir.path(), &large);
    for part in ["data.size: found 2 of 2 images", "1.png, is 5×6", "6×6", "data.upscale=true"] {
        assert!(message.contains(part), "{message}");
    }
    let fitting = Fitting { small: Small::Upscale, ..size(6) };
    let data = ImageFolder::open(dir.path(), &ImageOptions { fitting, ..OPTIONS }).unwrap();
    assert_eq!((data.shape(), red(&data, 1)), (vec![3, 6, 6], 1));
}

#[test]
fn small_images_can_be_skipped_and_are_always_listed() {
    let dir = folder(&["1.png", "2.png", "3.png"]);
    RgbImage::from_pixel(3, 9, Rgb([77, 0, 0])).save(dir.path().join("2.png")).unwrap();
    let open = |small| {
        let fitting = Fitting { small, ..size(5) };
        ImageFolder::open(dir.path(), &ImageOptions { fitting, ..OPTIONS })
    };
    for (small, names) in [(Small::Skip, &["1.png", "3.png"][..]), (Small::Upscale, &["1.png", "2.png", "3.png"])] {
        let data = open(small).unwrap();
        assert_eq!(data.names(), names.iter().map(PathBuf::from).collect::<Vec<_>>());
        let listed: Vec<String> = data.inventory().unwrap().small.iter().map(ToString::to_string).collect();
        assert_eq!((listed, data.skipped().len()), (vec!["2.png (9×3)".to_string()], 0));
    }
    let message = open(Small::Refuse).unwrap_err().to_string();
    for part in ["1 of 3 images", "2.png, is 9×3", "data.small=skip", "data.upscale=true"] {
        assert!(message.contains(part), "{message}");
    }
    // If all images are too small, skipping them leaves none, which is an error.
    let fitting = Fitting { small: Small::Skip, ..size(9) };
    let message = message_of(ImageFolder::open(dir.path(), &ImageOptions { fitting, ..OPTIONS }));
    for part in ["3 of 3 images", "1.png, is 5×6", "also 2.png (9×3), 3.png (5×6)"] {
        assert!(message.contains(part), "{message}");
    }
}

fn message_of(opened: Result<ImageFolder, Error>) -> String {
    opened.unwrap_err().to_string()
}

#[test]
fn files_with_other_endings_are_counted() {
    let dir = folder(&["a/1.png", "a/2.JPG"]);
    for name in ["3.HEIC", "a/4.heic", "a/5.Heic", "b/6.mov", "b/README", ".hidden"] {
        fs::create_dir_all(dir.path().join(name).parent().unwrap()).unwrap();
        fs::write(dir.path().join(name), "x").unwrap();
    }
    let data = ImageFolder::open(dir.path(), &OPTIONS).unwrap();
    let others = &data.inventory().unwrap().others;
    assert_eq!((data.len(), others.count()), (2, 5));
    assert_eq!(others.endings(), [(".heic", 3), ("", 1), (".mov", 1)]);
    assert_eq!(others.summary().unwrap(), "5 files with other endings, most .HEIC");
    let dir = folder(&[]);
    for name in ["1.HEIC", "2.HEIC", "photos.rar"] {
        fs::write(dir.path().join(name), "x").unwrap();
    }
    let message = message(dir.path(), &OPTIONS);
    for part in ["holds no image among 3 files, most of which end in .heic, .rar", "unpack the archives"] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn folders_named_like_splits_and_stray_files_are_reported() {
    let dir = folder(&["train/cats/1.png", "train/dogs/2.png", "val/cats/3.png"]);
    let data = ImageFolder::open(dir.path(), &OPTIONS).unwrap();
    let inventory = data.inventory().unwrap();
    assert_eq!((data.classes(), &inventory.no_classes), (&["train", "val"].map(String::from)[..], &None));
    assert!(inventory.warnings.len() == 1 && inventory.warnings[0].contains("train, val look like the splits"));
    let dir = folder(&["a/1.png", "b/2.png", "cover.png"]);
    let data = ImageFolder::open(dir.path(), &OPTIONS).unwrap();
    let why = data.inventory().unwrap().no_classes.clone().unwrap();
    assert!(data.classes().is_empty() && why.starts_with("cover.png lies in "), "{why}");
}

#[test]
fn try_write_reports_broken_pixels_instead_of_replacing_the_image() {
    let dir = folder(&["a/1.png", "a/2.png", "b/3.png"]);
    let path = dir.path().join("a/2.png");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 20]).unwrap();
    let data = ImageFolder::open(dir.path(), &OPTIONS).unwrap();
    let mut out = vec![0.0; data.pixels()];
    assert_eq!(data.try_write(0, &mut out).unwrap(), None);
    let skipped = data.try_write(1, &mut out).unwrap().unwrap();
    assert!(skipped.path == Path::new("a/2.png") && !skipped.reason.is_empty());
    // A part of the data set reports the same, and a pack skips the image.
    let data: std::sync::Arc<dyn Dataset> = std::sync::Arc::new(data);
    let subset = crate::Subset::range(data.clone(), 1..3);
    assert_eq!(subset.try_write(0, &mut out).unwrap(), Some(skipped.clone()));
    assert!(subset.inventory().is_some());
    let packed = dir.path().join("x.ganpack");
    let origin = crate::pack::Origin { name: "x", from: "y" };
    assert_eq!(crate::pack::write(&packed, &data, &origin, None, 2, &mut |_, _| ()).unwrap().1, [skipped]);
    let pack = crate::pack::Pack::open(&packed).unwrap();
    assert_eq!((pack.len(), pack.label(0), pack.label(1), pack.classes().len()), (2, Some(0), Some(1), 2));
    let mut ours = vec![0.0; pack.pixels()];
    for (index, source) in [(0, 0), (1, 2)] {
        pack.write(index, &mut ours).unwrap();
        data.write(source, &mut out).unwrap();
        assert_eq!(ours, out);
    }
    let strict = ImageFolder::open(dir.path(), &ImageOptions { broken: Broken::Refuse, ..OPTIONS }).unwrap();
    assert!(strict.try_write(1, &mut out).unwrap_err().to_string().contains("a/2.png"));
}

#[test]
fn other_archives_than_zip_must_be_unpacked_first() {
    let dir = tempfile::tempdir().unwrap();
    // Archives are recognized by their first bytes, under any name.
    for (name, bytes, words) in [
        ("data.png", &b"\x1f\x8b\x08"[..], "a gzip file"),
        ("data", b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        ("data.x", b"Rar!\x1a\x07\x01", "a RAR archive"),
    ] {
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        let message = message(&path, &OPTIONS);
        assert!(
            message.contains(&format!("{words} in place of a folder")) && message.contains("unpack it"),
            "{message}"
        );
        let opened = crate::Mnist::default().open(&OpenOptions::default().dir(&path));
        let message = opened.err().unwrap().to_string();
        assert!(message.contains(words) && message.contains("unpacked"), "{message}");
        let message = crate::pack::Pack::open(&path).unwrap_err().to_string();
        assert!(message.contains(&format!("no pack: found {words}")) && message.contains("unpack it"), "{message}");
    }
}

#[test]
fn a_folder_without_images_is_an_error_that_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let all =
        |parts: &[&str], message: String| parts.iter().for_each(|part| assert!(message.contains(part), "{message}"));
    all(&["data.dir", "which is empty", ".jpg", "`data.dir=DIR`"], message(dir.path(), &OPTIONS));
    fs::write(dir.path().join("x.txt"), "x").unwrap();
    all(&["holds no image among 1 files"], message(dir.path(), &OPTIONS));
    fs::write(dir.path().join("x.jpg"), "x").unwrap();
    all(&["no usable file among 1", "x.jpg", "holds no JPEG"], message(dir.path(), &OPTIONS));
    all(&["no such folder", "`data.dir=DIR`"], message(&dir.path().join("absent"), &OPTIONS));
    all(&["a file in place of a folder"], message(&dir.path().join("x.txt"), &OPTIONS));
}
