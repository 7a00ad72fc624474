//! Compares every format and every way of resizing with Pillow's and torchvision's results for the same files, which
//! `tests/fixtures/make_images.py` wrote.

use super::resize::resize;
use super::*;
use image::DynamicImage;
use std::fs;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/images")
}

/// One result of the script: the operation, its arguments, and the pixels.
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

fn header_of(path: &Path) -> Result<header::Header, String> {
    header::Header::read(&source::Source::Folder(PathBuf::new()), path)
}

fn opened(name: &str, channels: usize) -> Pixels {
    decode(&fs::read(folder().join(name)).unwrap(), channels, [255; 3]).unwrap()
}

/// Returns the largest difference of two bytes.
#[track_caller]
fn difference(a: &Pixels, b: &Pixels) -> u8 {
    assert_eq!((a.size, a.channels), (b.size, b.channels));
    a.bytes.iter().zip(&b.bytes).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
}

/// All filters give Pillow's bytes, for larger, smaller and odd sizes.
#[test]
fn resizing_equals_pillow() {
    let made = made("resize-");
    assert_eq!(made.len(), 27);
    for Made { what, file, pixels } in made {
        let filter = match what.split('-').nth(1).unwrap() {
            "bilinear" => Filter::Bilinear,
            "bicubic" => Filter::Bicubic,
            _ => Filter::Lanczos,
        };
        let resized = resize(&opened(&file, pixels.channels), pixels.size, filter);
        assert_eq!(difference(&resized, &pixels), 0, "{what} to {:?}", pixels.size);
    }
}

/// Only the visible window of a scaled image is computed. The whole scaled image would need terabytes here. A white image stays white for
/// all proportions.
#[test]
fn extreme_proportions_need_memory_only_for_the_image_and_the_result() {
    for filter in [Filter::Bilinear, Filter::Bicubic, Filter::Lanczos] {
        for size in [[1, 700_000], [700_000, 1], [2, 200_000], [1, 1]] {
            let image = Pixels::filled(size, 3, [255, 100, 0]);
            for fit_by in [Fit::Crop, Fit::Pad, Fit::Stretch] {
                let fitting = Fitting { fit: fit_by, filter, small: Small::Upscale, ..Fitting::to([32, 48]) };
                let expected: &[&[u8]] =
                    if fit_by == Fit::Pad { &[&[255, 100, 0], &[255; 3]] } else { &[&[255, 100, 0]] };
                let fitted = fit(image.clone(), &fitting);
                assert_eq!(fitted.size, [32, 48]);
                let wrong = fitted.bytes.chunks_exact(3).find(|pixel| !expected.contains(pixel));
                assert_eq!(wrong, None, "{size:?} {fit_by:?} {filter:?}");
            }
        }
    }
}

/// A window equals that part of the whole image, also if the columns take several passes.
#[test]
fn a_window_has_the_bytes_of_the_whole_image() {
    let pixel = |at: usize| (at * at / 7 % 251) as u8;
    for (size, to, corner, part) in [
        ([30, 40], [17, 21], [3, 5], [9, 11]),
        ([9, 7], [40, 60], [30, 1], [10, 50]),
        ([2, 900_000], [2, 600], [0, 250], [2, 120]),
        ([40_000, 3], [50, 5], [20, 1], [4, 3]),
    ] {
        for channels in [1, 3, 4, 5] {
            let bytes = (0..size[0] * size[1] * channels).map(pixel).collect();
            let image = Pixels { size, channels, bytes };
            for filter in [Filter::Bilinear, Filter::Lanczos] {
                let whole = resize(&image, to, filter);
                let window = resize::resize_part(&image, to, filter, corner, part);
                assert_eq!(window, whole.window(corner, part), "{size:?} to {to:?}, {filter:?}");
            }
        }
    }
}

/// Fitting equals torchvision's Resize and CenterCrop and Pillow's ImageOps.pad, in both orientations and with even and odd margins.
#[test]
fn fitting_equals_torchvision_and_pillow() {
    for (kind, fit_by, crop) in [
        ("crop", Fit::Crop, None),
        ("box", Fit::Crop, Some([22, 22])),
        ("pad", Fit::Pad, None),
        ("stretch", Fit::Stretch, None),
    ] {
        for Made { file, pixels, .. } in made(kind) {
            let fitting = Fitting { fit: fit_by, crop, background: [10, 200, 30], ..Fitting::to(pixels.size) };
            let off = difference(&fit(opened(&file, 3), &fitting), &pixels);
            assert_eq!(off, 0, "{kind} {file} {:?}", pixels.size);
        }
    }
}

/// Lossless formats agree exactly, and transparency up to rounding. JPEG and lossy WebP do not specify the inverse transform and the
/// color conversion exactly, so libjpeg-turbo and this decoder differ by a few steps.
#[test]
fn every_format_is_read_as_pillow_reads_it() {
    for Made { what, file, pixels } in made("rgb").into_iter().chain(made("grey")) {
        let allowed = match file.as_str() {
            name if name.ends_with(".jpg") || name == "lossy.webp" => 4,
            name if name.starts_with("alpha") => 1,
            _ => 0,
        };
        let off = difference(&opened(&file, pixels.channels), &pixels);
        assert!(off <= allowed, "{what} {file}: {off}");
    }
}

#[test]
fn headers_give_the_size_after_rotation() {
    let size = |name: &str| header_of(&folder().join(name)).unwrap().size;
    assert_eq!(
        ["source.png", "turned6.png", "turned6.jpg", "plain.gif"].map(size),
        [[29, 23], [23, 29], [23, 29], [29, 23]]
    );
    assert_eq!(["plain.bmp", "alpha.webp", "deep.png"].map(size), [[29, 23]; 3]);
}

/// Returns the header of a gray BMP file of `size`, without pixels.
fn bmp(size: [u32; 2]) -> Vec<u8> {
    let mut bytes = vec![0; 54 + 4 * 256];
    bytes[..2].copy_from_slice(b"BM");
    for (at, number) in [(10, 54 + 1024), (14, 40), (18, size[1]), (22, size[0])] {
        bytes[at..at + 4].copy_from_slice(&u32::to_le_bytes(number));
    }
    (bytes[26], bytes[28]) = (1, 8);
    bytes
}

#[test]
fn photographs_of_268_megapixels_are_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.bmp");
    let size = |size: [u32; 2]| {
        fs::write(&path, bmp(size)).unwrap();
        header_of(&path).map(|header| header.size)
    };
    assert_eq!([size([9000, 12_000]), size([12_240, 16_320])], [Ok([9000, 12_000]), Ok([12_240, 16_320])]);
    assert!(size([30_000, 30_000]).unwrap_err().contains("the most are 268 megapixels"));
}

#[test]
fn large_images_are_decoded_one_at_a_time_and_small_ones_in_parallel() {
    let mut first = header::Turn::default();
    first.wait_for(1 << 30);
    first.wait_for(1 << 30); // it holds the permit already
    header::Turn::default().wait_for(1 << 20);
    let (done, waits) = std::sync::mpsc::channel();
    let second = std::thread::spawn(move || {
        header::Turn::default().wait_for(1 << 30);
        done.send(()).unwrap();
    });
    assert!(waits.recv_timeout(std::time::Duration::from_millis(50)).is_err());
    drop(first);
    second.join().unwrap();
    waits.recv().unwrap();
}

/// Only regular files of a limited length are read, and other formats are recognized by their first bytes.
#[cfg(unix)]
#[test]
fn files_that_are_not_images_are_reported_before_they_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    assert!(std::process::Command::new("mkfifo").arg(path("fifo.png")).status().unwrap().success());
    std::os::unix::fs::symlink("/dev/zero", path("zero.png")).unwrap();
    fs::create_dir(path("folder.png")).unwrap();
    let png = fs::read(folder().join("source.png")).unwrap();
    for (name, bytes) in [("zeros.png", &[][..]), ("long.png", &png[..8]), ("huge.jpg", &[0xff, 0xd8, 0xff][..])] {
        fs::write(path(name), bytes).unwrap();
        fs::File::options().write(true).open(path(name)).unwrap().set_len(3 << 40).unwrap();
    }
    for (name, bytes) in [("a.png", &b"PK\x03\x04"[..]), ("b.jpg", b"\0\0\0\x18ftypheic"), ("c.gif", b"%PDF-1.7")] {
        fs::write(path(name), bytes).unwrap();
    }
    for (name, words) in [
        ("fifo.png", "it is a FIFO, not a regular file"),
        ("zero.png", "it is a character device, not a regular file"),
        ("folder.png", "it is a folder, not a regular file"),
        ("zeros.png", "the file holds no JPEG, PNG, WebP, GIF, BMP or TIFF image"),
        ("long.png", "the file has 3298534883328 bytes, the most that are read of an image are 536870912"),
        ("huge.jpg", "the most that are read of an image"),
        ("a.png", "image but is a ZIP archive: unpack it"),
        ("b.jpg", "the file holds a HEIC image"),
        ("c.gif", "image but is a PDF file"),
    ] {
        for reason in [
            header_of(&path(name)).map(|header| header.size).unwrap_err(),
            open(&path(name), 3, &Fitting::to([8, 8])).unwrap_err(),
        ] {
            assert!(reason.contains(words), "{name}: {reason}");
        }
    }
}

#[test]
fn transparent_pixels_show_the_background() {
    let bytes = fs::read(folder().join("alpha.png")).unwrap();
    let [white, black] = [[255; 3], [0; 3]].map(|background| decode(&bytes, 3, background).unwrap());
    assert_eq!((&white.bytes[..3], &black.bytes[..3]), (&[255; 3][..], &[0; 3][..])); // the left edge is transparent
    assert_eq!(white.bytes[66..69], black.bytes[66..69]); // the right one is not
}

#[test]
fn damaged_images_have_clear_messages() {
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
        let reason = header_of(&path).map(|header| header.size).unwrap_err();
        assert!(reason.contains(words), "{reason}");
    }
    let cut = |bytes: &[u8]| decode(&bytes[..bytes.len() * 3 / 4], 3, [0; 3]).unwrap_err();
    assert_eq!(cut(&jpeg), "the JPEG file is cut off");
    assert!(!cut(&png).is_empty());
    assert!(header_of(&dir.path().join("absent.png")).is_err());
}

/// An image of red, green and blue of any depth, half of it transparent.
fn gradient(deep: bool) -> DynamicImage {
    let image = image::ImageBuffer::from_fn(12, 10, |x, y| {
        image::Rgba([x as u16 * 5461, y as u16 * 7000 + 77, 40_000, if x < 6 { 65_535 } else { y as u16 * 7281 }])
    });
    let image = DynamicImage::ImageRgba16(image);
    if deep { image } else { DynamicImage::ImageRgba8(image.into_rgba8()) }
}

fn encoded(image: &DynamicImage, format: image::ImageFormat) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(vec![]);
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

#[test]
fn tiff_files_are_read_like_png_files_at_both_depths() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.tif");
    for deep in [false, true] {
        let rgba = gradient(deep);
        let rgb = if deep { rgba.to_rgb16().into() } else { DynamicImage::ImageRgb8(rgba.to_rgb8()) };
        let gray = if deep { rgba.to_luma16().into() } else { DynamicImage::ImageLuma8(rgba.to_luma8()) };
        for image in [rgba, rgb, gray] {
            let [png, tiff] = [image::ImageFormat::Png, image::ImageFormat::Tiff].map(|format| encoded(&image, format));
            fs::write(&path, &tiff).unwrap();
            let header = header_of(&path).unwrap();
            assert_eq!((header.size, header.depth), ([10, 12], if deep { 16 } else { 8 }));
            for channels in [1, 3, 4] {
                let [a, b] = [&png, &tiff].map(|bytes| decode(bytes, channels, [9, 99, 200]).unwrap());
                assert_eq!(a, b, "{channels} {:?}", image.color());
            }
        }
    }
}

/// Composites in 16 bits are rounded once, so that they differ from those of 8 bits by at most one.
#[test]
fn sixteen_bits_are_composited_before_they_are_rounded() {
    let background = [250, 3, 128];
    let image = gradient(true);
    let DynamicImage::ImageRgba16(exact) = &image else { panic!("16 bits") };
    let over = |pixel: &image::Rgba<u16>, c: usize| {
        let alpha = f64::from(pixel.0[3]) / 65_535.0;
        alpha * f64::from(pixel.0[c]) / 257.0 + (1.0 - alpha) * f64::from(background[c])
    };
    let expected: Vec<f64> = exact.pixels().flat_map(|pixel| [0, 1, 2].map(|c| over(pixel, c))).collect();
    let decoded = decode(&encoded(&image, image::ImageFormat::Png), 3, background).unwrap();
    let off = decoded.bytes.iter().zip(expected).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
    assert!(off < 0.502, "{off}");
}

/// The hidden colors of transparent pixels do not change what is visible, at any size.
#[test]
fn hidden_colors_do_not_bleed_into_resized_images() {
    let image = |hidden: [u8; 3]| {
        let [r, g, b] = hidden;
        let pixel = |x: u32, _: u32| image::Rgba(if x < 10 { [10, 200, 30, 255] } else { [r, g, b, 0] });
        encoded(&DynamicImage::ImageRgba8(image::RgbaImage::from_fn(20, 20, pixel)), image::ImageFormat::Png)
    };
    let fitted = |bytes: &[u8], way| {
        let fitting = Fitting { fit: way, ..Fitting::to([7, 9]) };
        fit(decode(bytes, 4, [255; 3]).unwrap(), &fitting)
    };
    for way in [Fit::Crop, Fit::Pad, Fit::Stretch] {
        let black = fitted(&image([0; 3]), way);
        assert_eq!(black, fitted(&image([255, 0, 255]), way));
        // Every color is that of the opaque half times alpha, up to rounding; padding is transparent.
        for pixel in black.bytes.chunks_exact(4) {
            let wanted = [10, 200, 30].map(|c| (c * i32::from(pixel[3]) + 127) / 255);
            assert!((0..3).all(|c| (i32::from(pixel[c]) - wanted[c]).abs() <= 1), "{pixel:?}");
        }
    }
}

/// CMYK images of both formats are converted.
#[test]
fn cmyk_images_become_rgb() {
    let jpeg = opened("cmyk.jpg", 3);
    assert_eq!((jpeg.channels, opened("cmyk.jpg", 4).bytes[3]), (3, 255));
    // A TIFF file of 1×1 pixel: cyan only.
    let tags: [(u16, u16, u32, u32); 9] = [
        (256, 3, 1, 1),
        (257, 3, 1, 1),
        (258, 3, 4, 122),
        (259, 3, 1, 1),
        (262, 3, 1, 5),
        (273, 4, 1, 130),
        (277, 3, 1, 4),
        (278, 3, 1, 1),
        (279, 4, 1, 4),
    ];
    let mut tiff = b"II*\0\x08\0\0\0\x09\0".to_vec();
    for (tag, kind, count, value) in tags {
        tiff.extend([tag.to_le_bytes(), kind.to_le_bytes()].concat());
        tiff.extend([count.to_le_bytes(), value.to_le_bytes()].concat());
    }
    tiff.extend([0; 4]);
    tiff.extend([8, 0, 8, 0, 8, 0, 8, 0]);
    tiff.extend([255, 0, 0, 0]);
    assert_eq!(decode(&tiff, 3, [0; 3]).unwrap().bytes, [0, 255, 255]);
}
