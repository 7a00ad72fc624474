//! Image files: header, pixels, and resizing.

use crate::place;
use crate::target::{Memory, Outcome, Seed, Target};
use gan_data::images::{Broken, Filter, Fit, Fitting, ImageOptions, Pixels, Small, decode, fit};
use gan_data::{Dataset, ImageFolder};
use image::{DynamicImage, ImageFormat};
use std::io::Cursor;

/// Decodes and resizes a file, then reads it as the only file of a folder.
pub const TARGET: Target = Target {
    name: "image",
    body,
    seeds,
    tokens: &[
        "\u{89}PNG\r\n\u{1a}\n",
        "IHDR",
        "IDAT",
        "IEND",
        "tRNS",
        "PLTE",
        "acTL",
        "GIF89a",
        "RIFF",
        "WEBP",
        "VP8L",
        "VP8X",
        "ANMF",
        "EXIF",
        "BM",
        "JFIF",
        "Exif\u{0}\u{0}",
        "II*\u{0}",
        "MM\u{0}*",
    ],
    // An image of 1,000,000 pixels may take 8 bytes per pixel to decode and 4 to convert to RGB.
    names: Vec::new,
    memory: Memory { mebibytes: 48, per_byte: 64 },
};

/// Of larger images, only the header is read.
const MOST_PIXELS: usize = 1 << 20;

fn body(input: &[u8]) -> Outcome {
    let input = &checked(input.to_vec())[..];
    // The options depend only on the input.
    let choice = crc32fast::hash(input) as usize;
    let of = |n: usize, by: usize| choice / by % n;
    let size = [[8, 8], [5, 13], [1, 1], [64, 3]][of(4, 1)];
    let fitting = Fitting {
        crop: [None, Some([4, 6]), Some([1000, 1])][of(3, 4)],
        filter: [Filter::Bilinear, Filter::Bicubic, Filter::Lanczos][of(3, 12)],
        small: Small::Upscale,
        ..Fitting::to(size)
    };
    let channels = [1, 3, 4][of(3, 36)];
    let dir = place::folder("image")?;
    place::file(&dir, "input.png", input)?;
    let options = ImageOptions { channels, fitting, broken: Broken::Refuse };
    let folder = ImageFolder::open(&dir, &options)?;
    if pixels(input)? > MOST_PIXELS {
        return Ok(());
    }
    let image: Pixels = decode(input, channels, [1, 2, 3])?;
    assert_eq!(image.size[0] * image.size[1] * channels, image.bytes.len());
    for way in [Fit::Crop, Fit::Pad, Fit::Stretch] {
        let fitted = fit(image.clone(), &Fitting { fit: way, ..fitting });
        assert_eq!((fitted.size, fitted.bytes.len()), (size, size[0] * size[1] * channels));
    }
    let mut sample = vec![0.0; folder.pixels()];
    folder.write(0, &mut sample)?;
    Ok(())
}

/// Corrects the checksums of a PNG file's chunks, so that changed chunks are decoded.
fn checked(mut file: Vec<u8>) -> Vec<u8> {
    let mut at = 8;
    while file.starts_with(b"\x89PNG\r\n\x1a\n")
        && let Some(length) = file.get(at..at + 4)
    {
        let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]) as usize;
        let end = at + 8 + length;
        if end + 4 > file.len() {
            break;
        }
        let sum = crc32fast::hash(&file[at + 4..end]);
        file[end..end + 4].copy_from_slice(&sum.to_be_bytes());
        at = end + 4;
    }
    file
}

/// Returns the number of pixels that the header declares.
fn pixels(input: &[u8]) -> Result<usize, image::ImageError> {
    let reader = image::ImageReader::new(Cursor::new(input)).with_guessed_format()?;
    let (width, height) = reader.into_dimensions()?;
    Ok(width as usize * height as usize)
}

/// Returns the image as a file of this format.
pub fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).expect("a picture can be encoded");
    bytes.into_inner()
}

fn seeds() -> Vec<Seed> {
    let picture = DynamicImage::ImageRgba8(image::RgbaImage::from_fn(9, 7, |x, y| {
        image::Rgba([(x * 28) as u8, (y * 36) as u8, (x * y * 4) as u8, if x < 5 { 255 } else { 100 }])
    }));
    let (rgb, grey) = (DynamicImage::ImageRgb8(picture.to_rgb8()), DynamicImage::ImageLuma8(picture.to_luma8()));
    let thin = |width, height| encoded(&DynamicImage::new_luma8(width, height), ImageFormat::Png);
    vec![
        ("wide.png", thin(200_000, 1)),
        ("high.png", thin(1, 200_000)),
        ("rgba.png", encoded(&picture, ImageFormat::Png)),
        ("grey.png", encoded(&grey, ImageFormat::Png)),
        ("16-bit.png", encoded(&DynamicImage::ImageRgb16(picture.to_rgb16()), ImageFormat::Png)),
        ("rgb.jpg", encoded(&rgb, ImageFormat::Jpeg)),
        ("grey.jpg", encoded(&grey, ImageFormat::Jpeg)),
        ("rgba.webp", encoded(&picture, ImageFormat::WebP)),
        ("rgba.gif", encoded(&picture, ImageFormat::Gif)),
        ("rgb.bmp", encoded(&rgb, ImageFormat::Bmp)),
        ("rgba.tif", encoded(&picture, ImageFormat::Tiff)),
    ]
}
