//! CelebA's lists: the attributes and, after a separator, the splits.

use super::image::encoded;
use crate::place::{self, joined, parts};
use crate::target::{Memory, Outcome, Seed, Target};
use gan_data::images::Broken;
use gan_data::{CelebA, Dataset, OpenOptions};
use image::{DynamicImage, ImageFormat};
use std::fs;

/// Opens two images with the lists beside them.
pub const TARGET: Target = Target {
    name: "celeba",
    body,
    seeds,
    tokens: &[
        "\n=====\n",
        "000001.jpg",
        "000002.jpg",
        " 0\n",
        " 1\n",
        " 2\n",
        " -1",
        "  1",
        "Smiling",
        "\n",
        "\r\n",
        "\u{85}",
    ],
    names: Vec::new,
    memory: Memory { mebibytes: 16, per_byte: 128 },
};

fn body(input: &[u8]) -> Outcome {
    let dir = place::folder("celeba")?;
    let images = place::folder("celeba/img_align_celeba")?;
    for name in ["000001.jpg", "000002.jpg"].into_iter().filter(|name| !images.join(name).exists()) {
        place::file(&images, name, &encoded(&DynamicImage::new_rgb8(8, 8), ImageFormat::Jpeg))?;
    }
    let lists: [Option<&[u8]>; 2] = parts(input);
    for (name, list) in [CelebA::ATTRIBUTES, CelebA::PARTITION].into_iter().zip(lists) {
        match list {
            Some(list) => drop(place::file(&dir, name, list)?),
            None => drop(fs::remove_file(dir.join(name))),
        }
    }
    let options = OpenOptions { broken: Broken::Refuse, ..OpenOptions::default() }.dir(&dir).size(8);
    let (data, attributes) = CelebA::default().open_with_attributes(&options)?;
    for name in data.names() {
        assert!(attributes.of(name).is_none_or(|found| found.len() == attributes.names.len()));
    }
    let mut image = vec![0.0; data.pixels()];
    data.write(0, &mut image)?;
    Ok(())
}

fn seeds() -> Vec<Seed> {
    let attributes = "2\nSmiling Young\n000001.jpg -1  1\n000002.jpg  1 -1\n";
    let splits = "000001.jpg 0\n000002.jpg 2\n";
    vec![("attributes", attributes.as_bytes().to_vec()), ("both", joined(&[attributes.as_bytes(), splits.as_bytes()]))]
}
