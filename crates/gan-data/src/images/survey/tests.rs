//! Surveys of folders that are written here.

use super::*;
use image::{DynamicImage, GrayImage, Luma, Rgb, RgbImage, Rgba, RgbaImage};
use std::fs;

/// An image of waves that differ by `kind`.
fn waves([height, width]: [u32; 2], kind: u32) -> DynamicImage {
    DynamicImage::ImageRgb8(RgbImage::from_fn(width, height, |x, y| {
        let wave = |by: u32| (127.0 + 120.0 * (f64::from(x * by + y * kind) / 5.0).sin()) as u8;
        Rgb([wave(kind + 1), wave(2), wave(3)])
    }))
}

fn save(dir: &Path, name: &str, image: &DynamicImage) {
    let path = dir.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    image.save(path).unwrap();
}

#[test]
fn sizes_copies_classes_and_broken_files_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    save(dir, "a/1.png", &waves([20, 30], 1));
    save(dir, "a/2.png", &waves([20, 30], 2));
    save(dir, "a/copy.png", &waves([20, 30], 2));
    save(dir, "b/3.png", &waves([40, 30], 3));
    let mut almost = waves([40, 30], 3).into_rgb8();
    almost.put_pixel(1, 1, Rgb([0, 0, 0]));
    save(dir, "b/4.png", &DynamicImage::ImageRgb8(almost));
    fs::write(dir.join("b/broken.png"), "no image").unwrap();
    fs::write(dir.join("b/notes.txt"), "text").unwrap();
    let survey = Survey::of(dir).unwrap();
    assert_eq!((survey.images, survey.different), (5, 4));
    assert_eq!(survey.height, Range { min: 20, median: 20, max: 40 });
    assert_eq!(survey.width, Range { min: 30, median: 30, max: 30 });
    assert_eq!(survey.shorter_side, Range { min: 20, median: 20, max: 30 });
    assert_eq!(survey.aspect, Range { min: 0.75, median: 1.5, max: 1.5 });
    assert_eq!((survey.most_common_size, survey.sizes), (([20, 30], 3), 2));
    assert_eq!(survey.classes, [("a".into(), 3), ("b".into(), 2)]);
    assert_eq!((survey.broken.len(), survey.others.count()), (1, 1));
    assert_eq!((survey.sample.images, survey.sample.near_duplicates), (4, 1));
    assert_eq!(survey.recommended_channels(), 3);
    assert_eq!(survey.bytes, survey_bytes(dir));
}

fn survey_bytes(dir: &Path) -> u64 {
    ["a/1.png", "a/2.png", "a/copy.png", "b/3.png", "b/4.png"]
        .map(|name| fs::metadata(dir.join(name)).unwrap().len())
        .iter()
        .sum()
}

/// An image whose left half is transparent by `alpha`.
fn half(alpha: u8) -> DynamicImage {
    DynamicImage::ImageRgba8(RgbaImage::from_fn(8, 8, |x, y| {
        Rgba([200, 30 * x as u8, 30 * y as u8, if x < 4 { alpha } else { 255 }])
    }))
}

#[test]
fn channels_are_what_the_files_hold() {
    let grey = DynamicImage::ImageLuma8(GrayImage::from_fn(8, 8, |x, y| Luma([(x * y) as u8])));
    let survey = |files: &[(&str, DynamicImage)]| {
        let dir = tempfile::tempdir().unwrap();
        files.iter().for_each(|(name, image)| save(dir.path(), name, image));
        Survey::of(dir.path()).unwrap()
    };
    assert_eq!(survey(&[("1.png", grey.clone())]).recommended_channels(), 1);
    assert_eq!(survey(&[("1.png", grey.clone()), ("2.png", waves([8, 8], 1))]).recommended_channels(), 3);
    let opaque = survey(&[("1.png", half(255)), ("2.png", grey.clone())]);
    assert_eq!((opaque.recommended_channels(), opaque.sample.with_alpha, opaque.sample.uses_alpha), (3, 1, 0));
    let transparent = survey(&[("1.png", half(9)), ("2.png", grey.clone())]);
    assert_eq!((transparent.recommended_channels(), transparent.sample.uses_alpha), (4, 1));
    let grey_alpha = DynamicImage::ImageLumaA8(half(0).to_luma_alpha8());
    let found = survey(&[("1.png", grey_alpha), ("2.png", DynamicImage::ImageRgb16(waves([8, 8], 1).to_rgb16()))]);
    assert_eq!((found.recommended_channels(), found.channels.grey_alpha, found.deep), (4, 1, 1));
    let stored = survey(&[("1.png", DynamicImage::ImageRgb8(grey.to_rgb8())), ("2.jpg", waves([8, 8], 2))]);
    assert_eq!((stored.recommended_channels(), stored.sample.grey_as_rgb), (3, 1));
    let nothing = survey(&[("1.png", DynamicImage::new_rgba8(4, 4))]);
    assert_eq!((nothing.sample.invisible, nothing.sample.uses_alpha), (1, 1));
}

#[test]
fn a_few_images_of_another_kind_do_not_decide() {
    let counts = |grey, rgb, rgba| ChannelCounts { grey, rgb, rgba, grey_alpha: 0 };
    assert_eq!(recommended_channels(&counts(3, 9_997, 0), 0, 0), 3);
    assert_eq!(recommended_channels(&counts(9_997, 3, 0), 0, 0), 1);
    assert_eq!(recommended_channels(&counts(9_900, 100, 0), 0, 0), 3);
    assert_eq!(recommended_channels(&counts(0, 9_997, 3), 3, 3), 3);
    assert_eq!(recommended_channels(&counts(0, 0, 10_000), 19, 200), 3);
    assert_eq!(recommended_channels(&counts(0, 0, 10_000), 20, 200), 4);
    assert_eq!(recommended_channels(&counts(0, 9, 1), 1, 1), 4);
    assert_eq!(recommended_channels(&counts(0, 0, 0), 0, 0), 1);
}

#[test]
fn animations_are_recognized_by_their_first_bytes() {
    use image::codecs::gif::{GifEncoder, Repeat};
    let frames = |count: usize, repeats: bool| {
        let mut bytes = Vec::new();
        let mut encoder = GifEncoder::new(&mut bytes);
        if repeats {
            encoder.set_repeat(Repeat::Infinite).unwrap();
        }
        (0..count).for_each(|_| encoder.encode_frame(image::Frame::new(half(255).into_rgba8())).unwrap());
        drop(encoder);
        bytes
    };
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in [("1.gif", frames(1, false)), ("2.gif", frames(2, false)), ("3.gif", frames(3, true))] {
        fs::write(dir.path().join(name), bytes).unwrap();
    }
    assert_eq!(Survey::of(dir.path()).unwrap().animated, 2);
}

#[test]
fn an_empty_folder_is_surveyed_too() {
    let dir = tempfile::tempdir().unwrap();
    let survey = Survey::of(dir.path()).unwrap();
    assert_eq!((survey.images, survey.recommended_channels(), survey.shorter_side.max), (0, 1, 0));
    let message = Survey::of(&dir.path().join("none")).unwrap_err().to_string();
    assert!(message.contains("no such folder"), "{message}");
}
