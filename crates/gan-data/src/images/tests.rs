//! Every format and every way of resizing, beside what Pillow and torchvision make of the same files: the fixtures of
//! `tests/fixtures/make_images.py`.

use super::*;
use std::fs;
use std::path::PathBuf;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/images")
}

/// One result of the script.
struct Made {
    what: String,
    file: String,
    pixels: Pixels,
}

fn made(kind: &str) -> Vec<Made> {
    let (text, bytes) =
        (fs::read_to_string(folder().join("made.txt")).unwrap(), fs::read(folder().join("made.bin")).unwrap());
    let (mut start, mut all) = (0, vec![]);
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [height, width, channels] = [2, 3, 4].map(|i| words[i].parse::<usize>().unwrap());
        let length = height * width * channels;
        let pixels = Pixels { size: [height, width], channels, bytes: bytes[start..][..length].to_vec() };
        all.push(Made { what: words[0].into(), file: words[1].into(), pixels });
        start += length;
    }
    assert_eq!(start, bytes.len());
    all.retain(|made| made.what.starts_with(kind));
    assert!(!all.is_empty());
    all
}

fn open(name: &str, channels: usize) -> Pixels {
    decode(&fs::read(folder().join(name)).unwrap(), channels, [255; 3]).unwrap()
}

/// The largest difference of two bytes.
#[track_caller]
fn difference(a: &Pixels, b: &Pixels) -> u8 {
    assert_eq!((a.size, a.channels), (b.size, b.channels));
    a.bytes.iter().zip(&b.bytes).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
}

/// Filters, sizes up and down, odd ones: to the byte.
#[test]
fn resizing_is_pillows() {
    let made = made("resize-");
    assert_eq!(made.len(), 27);
    for Made { what, file, pixels } in made {
        let filter = match what.split('-').nth(1).unwrap() {
            "bilinear" => Filter::Bilinear,
            "bicubic" => Filter::Bicubic,
            _ => Filter::Lanczos,
        };
        let resized = resize(&open(&file, pixels.channels), pixels.size, filter);
        assert_eq!(difference(&resized, &pixels), 0, "{what} to {:?}", pixels.size);
    }
}

/// Both orientations, even and odd rests: torchvision's Resize and CenterCrop, Pillow's ImageOps.pad.
#[test]
fn fitting_is_torchvisions_and_pillows() {
    for (kind, fit_by, crop) in [
        ("crop", Fit::Crop, None),
        ("box", Fit::Crop, Some([22, 22])),
        ("pad", Fit::Pad, None),
        ("stretch", Fit::Stretch, None),
    ] {
        for Made { file, pixels, .. } in made(kind) {
            let fitting = Fitting { fit: fit_by, crop, background: [10, 200, 30], ..Fitting::to(pixels.size) };
            let off = difference(&fit(&open(&file, 3), &fitting), &pixels);
            assert_eq!(off, 0, "{kind} {file} {:?}", pixels.size);
        }
    }
}

/// Lossless formats agree exactly, transparency to its rounding. JPEG and lossy WebP leave the inverse transform and the
/// colour transform to the decoder: libjpeg-turbo and this one differ by a few steps.
#[test]
fn every_format_is_read_as_pillow_reads_it() {
    for Made { what, file, pixels } in made("rgb").into_iter().chain(made("grey")) {
        let allowed = match file.as_str() {
            name if name.ends_with(".jpg") || name == "lossy.webp" => 4,
            name if name.starts_with("alpha") => 1,
            _ => 0,
        };
        let off = difference(&open(&file, pixels.channels), &pixels);
        assert!(off <= allowed, "{what} {file}: {off}");
    }
}

#[test]
fn headers_give_the_size_as_shown() {
    let size = |name: &str| header::size(&folder().join(name)).unwrap();
    assert_eq!(
        ["source.png", "turned6.png", "turned6.jpg", "plain.gif"].map(size),
        [[29, 23], [23, 29], [23, 29], [29, 23]]
    );
    assert_eq!(["plain.bmp", "alpha.webp", "deep.png"].map(size), [[29, 23]; 3]);
}

#[test]
fn transparency_shows_the_background() {
    let bytes = fs::read(folder().join("alpha.png")).unwrap();
    let [white, black] = [[255; 3], [0; 3]].map(|background| decode(&bytes, 3, background).unwrap());
    assert_eq!((&white.bytes[..3], &black.bytes[..3]), (&[255; 3][..], &[0; 3][..])); // the left edge is transparent
    assert_eq!(white.bytes[66..69], black.bytes[66..69]); // the right one is not
}

#[test]
fn damage_is_told_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let jpeg = fs::read(folder().join("colour.jpg")).unwrap();
    let png = fs::read(folder().join("source.png")).unwrap();
    let mut huge = png.clone();
    huge[16..24].copy_from_slice(&[0, 0, 0x80, 0, 0, 0, 0x80, 0]); // 32,768×32,768
    let mut none = png.clone();
    none[16..20].copy_from_slice(&[0; 4]);
    let headers: [(&[u8], &str); 4] =
        [(b"", "empty"), (b"<html>not found</html>", "holds no JPEG"), (&huge, "CRC"), (&none, "")];
    for (bytes, words) in headers {
        let path = dir.path().join("x.png");
        fs::write(&path, bytes).unwrap();
        let reason = header::size(&path).unwrap_err();
        assert!(reason.contains(words), "{reason}");
    }
    let cut = |bytes: &[u8]| decode(&bytes[..bytes.len() * 3 / 4], 3, [0; 3]).unwrap_err();
    assert_eq!(cut(&jpeg), "the JPEG file is cut off");
    assert!(!cut(&png).is_empty());
    assert!(header::size(&dir.path().join("absent.png")).is_err());
}
