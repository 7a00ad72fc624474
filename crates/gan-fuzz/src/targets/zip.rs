//! Zip archives of images, with or without a list of labels.

use super::image::encoded;
use crate::place;
use crate::target::{Memory, Outcome, Seed, Target};
use gan_data::images::{Broken, Fitting, ImageOptions, Small};
use gan_data::{Dataset, ImageFolder};
use image::{DynamicImage, ImageFormat};

/// Opens an archive and reads every image in it.
pub const TARGET: Target = Target {
    name: "zip",
    body,
    seeds,
    tokens: &[
        "PK\u{1}\u{2}",
        "PK\u{3}\u{4}",
        "PK\u{5}\u{6}",
        "PK\u{6}\u{6}",
        "PK\u{6}\u{7}",
        "../",
        "dataset.json",
        "{\"labels\": [[\"",
        "1.png",
        "\u{1}\u{0}\u{10}\u{0}",
    ],
    names: Vec::new,
    // As for a single image.
    memory: Memory { mebibytes: 48, per_byte: 1100 },
};

/// The most images that are decoded.
const MOST: usize = 8;

fn body(input: &[u8]) -> Outcome {
    let path = place::file(&place::folder("zip")?, "input.zip", input)?;
    let fitting = Fitting { small: Small::Upscale, ..Fitting::to([4, 4]) };
    let archive = ImageFolder::open(&path, &ImageOptions { channels: 3, fitting, broken: Broken::Skip })?;
    let mut sample = vec![0.0; archive.pixels()];
    for index in 0..archive.len().min(MOST) {
        archive.try_write(index, &mut sample)?;
    }
    archive.checksum();
    Ok(())
}

/// Returns an archive of stored files.
fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut file = vec![];
    let mut directory = vec![];
    for (name, content) in files {
        let sums =
            [crc32fast::hash(content), content.len() as u32, content.len() as u32].map(u32::to_le_bytes).concat();
        let length = (name.len() as u16).to_le_bytes();
        let start = (file.len() as u32).to_le_bytes();
        file.extend([b"PK\x03\x04", &[0; 10][..], &sums, &length, &[0; 2], name.as_bytes(), content].concat());
        directory.extend([b"PK\x01\x02", &[0; 12][..], &sums, &length, &[0; 12], &start, name.as_bytes()].concat());
    }
    let start = (file.len() as u32).to_le_bytes();
    let size = (directory.len() as u32).to_le_bytes();
    let count = (files.len() as u16).to_le_bytes();
    [&file[..], &directory, b"PK\x05\x06", &[0; 4], &count, &count, &size, &start, &[0; 2]].concat()
}

fn seeds() -> Vec<Seed> {
    let image = |shade: u8| {
        encoded(&DynamicImage::ImageLuma8(image::GrayImage::from_pixel(5, 5, image::Luma([shade]))), ImageFormat::Png)
    };
    let [one, two] = [image(9), image(200)];
    let list = br#"{"labels": [["a/1.png", 1], ["b/2.png", 0]]}"#;
    vec![
        ("classes", archive(&[("a/1.png", &one), ("b/2.png", &two)])),
        ("labels", archive(&[("dataset.json", list), ("a/1.png", &one), ("b/2.png", &two)])),
    ]
}
