//! The values of the included files, and small folders with one error each.

use super::*;
use crate::FashionMnist;
use std::fs;

fn options(dir: &Path) -> OpenOptions {
    OpenOptions::default().dir(dir)
}

/// Returns a folder with `images` images of 2×3 and the labels `labels`, whose file names have `dot` before "idx".
fn small(images: u32, labels: &[u8], dot: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let head = |words: &[u32]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
    let pixels = (0..images * 6).map(|pixel| pixel as u8);
    let image_bytes: Vec<u8> = head(&[0x803, images, 2, 3]).into_iter().chain(pixels).collect();
    let label_bytes = [head(&[0x801, labels.len() as u32]), labels.to_vec()].concat();
    fs::write(dir.path().join(format!("train-images{dot}idx3-ubyte")), image_bytes).unwrap();
    fs::write(dir.path().join(format!("train-labels{dot}idx1-ubyte")), label_bytes).unwrap();
    dir
}

#[track_caller]
fn refused(spec: &Mnist, options: &OpenOptions, parts: &[&str]) {
    let message = spec.open(options).err().unwrap().to_string();
    for part in ["found", "expected"].iter().chain(parts) {
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
}

/// Returns the bytes of image `index`, recovered from the scaled values.
fn bytes(data: &dyn Dataset, index: usize) -> Vec<u8> {
    let mut out = vec![0.0; data.pixels()];
    data.write(index, &mut out).unwrap();
    out.iter().map(|x| (x * 127.5 + 127.5).round() as u8).collect()
}

#[test]
fn the_training_split_has_the_published_values() {
    let data = Mnist::default().open(&OpenOptions::default()).unwrap();
    assert_eq!((data.len(), data.shape(), data.is_empty()), (60_000, vec![1, 28, 28], false));
    assert_eq!((0..5).filter_map(|i| data.label(i)).collect::<Vec<_>>(), [5, 0, 4, 1, 9]);
    assert_eq!(data.label(60_000), None);
    assert_eq!(data.classes().join(""), "0123456789");
    assert_eq!(bytes(data.as_ref(), 0).iter().map(|&x| u32::from(x)).sum::<u32>(), 27_525);
    let mut first = [0.0; 784];
    data.write(0, &mut first).unwrap();
    let (low, high) = first.iter().fold((f32::MAX, f32::MIN), |(l, h), &x| (l.min(x), h.max(x)));
    assert_eq!((low, high), (-1.0, 1.0));
}

#[test]
fn the_test_split_has_the_published_values() {
    let data = Mnist { split: Some(Split::Test) }.open(&OpenOptions::default()).unwrap();
    assert_eq!((data.len(), data.shape()), (10_000, vec![1, 28, 28]));
    assert_eq!((0..5).filter_map(|i| data.label(i)).collect::<Vec<_>>(), [7, 2, 1, 0, 4]);
    assert_eq!(bytes(data.as_ref(), 0).iter().map(|&x| u32::from(x)).sum::<u32>(), 18_454);
}

#[test]
fn both_spellings_of_the_file_names_are_read() {
    for dot in ["-", "."] {
        let dir = small(2, &[3, 9], dot);
        let data = Mnist::default().open(&options(dir.path())).unwrap();
        assert_eq!((data.len(), data.shape(), data.label(1)), (2, vec![1, 2, 3], Some(9)));
        assert_eq!(bytes(data.as_ref(), 1), [6, 7, 8, 9, 10, 11]);
    }
}

#[test]
fn indices_out_of_range_are_errors() {
    let dir = small(2, &[3, 9], "-");
    let data = Mnist::default().open(&options(dir.path())).unwrap();
    let message = |index, room| data.write(index, &mut vec![0.0; room]).unwrap_err().to_string();
    assert!(message(2, 6).contains("found 2, expected a number below 2"), "{}", message(2, 6));
    assert!(message(0, 5).contains("found 5, expected 6 values"), "{}", message(0, 5));
}

#[test]
fn counts_that_differ_are_refused() {
    let dir = small(2, &[1, 2, 3], "-");
    refused(&Mnist::default(), &options(dir.path()), &["train-labels-idx1-ubyte", "found 3 labels", "expected 2"]);
}

#[test]
fn labels_above_nine_are_refused() {
    let dir = small(2, &[1, 10], "-");
    refused(&Mnist::default(), &options(dir.path()), &["train-labels-idx1-ubyte", "label 10 for image 1", "0 to 9"]);
}

#[test]
fn swapped_images_and_labels_are_refused() {
    let dir = small(2, &[1, 2], "-");
    let path = |name: &str| dir.path().join(name);
    fs::copy(path("train-labels-idx1-ubyte"), path("train-images-idx3-ubyte")).unwrap();
    refused(
        &Mnist::default(),
        &options(dir.path()),
        &["train-images-idx3-ubyte", "0x00000801 (labels)", "0x00000803 (images)"],
    );
}

#[test]
fn a_missing_folder_or_file_names_folder_files_and_setting() {
    let dir = small(2, &[1, 2], "-");
    let absent = dir.path().join("absent");
    let names = ["train-images-idx3-ubyte or train-images-idx3-ubyte.gz or", "`data.dir=DIR`"];
    refused(
        &Mnist::default(),
        &options(&absent),
        &[&[absent.to_str().unwrap(), "no such folder"], &names[..]].concat(),
    );
    let file = dir.path().join("train-images-idx3-ubyte");
    refused(&Mnist::default(), &options(&file), &["a file in place of a folder", "`data.dir=DIR`"]);
    fs::remove_file(&file).unwrap();
    refused(
        &Mnist::default(),
        &options(dir.path()),
        &[&[dir.path().to_str().unwrap(), "no such file"], &names[..]].concat(),
    );
    let test = Mnist { split: Some(Split::Test) };
    refused(&test, &options(dir.path()), &["t10k-images-idx3-ubyte", "t10k-images.idx3-ubyte.gz"]);
}

#[test]
fn other_splits_are_refused() {
    for split in [Split::Valid, Split::All] {
        let spec = Mnist { split: Some(split) };
        refused(&spec, &OpenOptions::default(), &["data.split: found", "expected \"train\" or \"test\""]);
    }
}

#[test]
fn fashion_mnist_has_its_own_class_names() {
    let dir = small(2, &[0, 9], "-");
    let data = FashionMnist::default().open(&options(dir.path())).unwrap();
    let names = data.classes();
    assert_eq!((names.len(), names[0].as_str(), names[9].as_str()), (10, "T-shirt/top", "Ankle boot"));
    assert_eq!((data.label(1), data.shape()), (Some(9), vec![1, 2, 3]));
}
