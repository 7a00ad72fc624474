//! Animations: a looping GIF, or a strip of frames side by side.

use crate::grid::{BACKGROUND, GAP};
use crate::{Colour, Error, Picture};
use gan_base::atomic;
use gif::{Encoder, Frame, Repeat};
use std::path::Path;

/// Returns the `n` for which NeuQuant learns a frame's palette from every n-th pixel, from 1 (the best colors) to 30 (the fastest). Small frames
/// need more of their pixels; in large ones, no difference to 3 is visible at 10, which takes a third of the time.
fn sampling(pixels: usize) -> i32 {
    (pixels / 20_000).clamp(3, 10) as i32
}

/// Writes `frames` as an endlessly looping GIF, atomically.
///
/// Gray frames keep their 256 grays exactly, as do color frames with up to 256 colors; others get their own best 256
/// colors. A GIF counts time in hundredths of a second, and players slow down delays under 2 of them: `delay_ms` is
/// rounded to 10 ms and is at least 20.
///
/// # Errors
/// [`Error::Shape`] for no frames, unequal sizes, or a side over 65,535; [`Error::File`] naming `path`.
pub fn animate(frames: &[Picture], delay_ms: u16, path: &Path) -> Result<(), Error> {
    let [width, height] = common_size(frames)?;
    let (Ok(wide), Ok(high)) = (u16::try_from(width), u16::try_from(height)) else {
        return Err(Error::Shape(format!("a GIF has at most 65535 pixels a side, not {width} × {height}")));
    };
    let mut bytes = Vec::new();
    encode(&mut bytes, frames, [wide, high], delay_ms)
        .map_err(|reason| Error::Shape(format!("cannot encode GIF: {reason}")))?;
    Ok(atomic::write(path, &bytes)?)
}

fn encode(
    out: &mut Vec<u8>,
    frames: &[Picture],
    [width, height]: [u16; 2],
    delay_ms: u16,
) -> Result<(), gif::EncodingError> {
    // The global palette has all grays, so gray frames need no palette and an index is a gray value.
    let greys: Vec<u8> = (0..=255).flat_map(|grey| [grey; 3]).collect();
    let mut encoder = Encoder::new(out, width, height, &greys)?;
    encoder.set_repeat(Repeat::Infinite)?;
    let delay = (delay_ms.saturating_add(5) / 10).max(2);
    for picture in frames {
        let frame = match picture.colour() {
            Colour::Grey => Frame { width, height, buffer: picture.data().into(), ..Frame::default() },
            Colour::Rgb => {
                let sampling = sampling(usize::from(width) * usize::from(height));
                Frame::from_rgb_speed(width, height, picture.data(), sampling)
            }
        };
        encoder.write_frame(&Frame { delay, ..frame })?;
    }
    Ok(())
}

/// Returns the frames side by side from left to right, with the gap and background of [`grid`](crate::grid()) between
/// and around them. If any frame is RGB, so is the strip.
///
/// # Errors
/// [`Error::Shape`] for no frames or unequal sizes.
pub fn strip(frames: &[Picture]) -> Result<Picture, Error> {
    let [width, height] = common_size(frames)?;
    let is_rgb = |frame: &Picture| frame.colour() == Colour::Rgb;
    let colour = if frames.iter().any(is_rgb) { Colour::Rgb } else { Colour::Grey };
    let size = [frames.len() * (width + GAP) + GAP, height + 2 * GAP];
    let mut sheet = Picture::filled(colour, size, BACKGROUND)?;
    for (index, frame) in frames.iter().enumerate() {
        let corner = [GAP + index * (width + GAP), GAP];
        if colour == Colour::Rgb { sheet.paste(&frame.to_rgb(), corner) } else { sheet.paste(frame, corner) }
    }
    Ok(sheet)
}

/// Returns the width and height that all frames share.
fn common_size(frames: &[Picture]) -> Result<[usize; 2], Error> {
    let first = frames.first().ok_or_else(|| Error::Shape("an animation needs at least one frame".into()))?;
    let size = [first.width(), first.height()];
    match frames.iter().position(|frame| [frame.width(), frame.height()] != size) {
        None => Ok(size),
        Some(at) => Err(Error::Shape(format!(
            "frames must have one size: frame 1 has {} × {}, frame {} has {} × {}",
            size[0],
            size[1],
            at + 1,
            frames[at].width(),
            frames[at].height()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    fn grey(width: usize, height: usize, data: Vec<u8>) -> Picture {
        Picture::new(Colour::Grey, [width, height], data).unwrap()
    }

    fn every_grey() -> Picture {
        grey(16, 16, (0..=255).collect())
    }

    /// Returns all frames of a GIF as RGBA, with their delays.
    fn decode(path: &Path) -> (Vec<(Vec<u8>, u16)>, Repeat) {
        let mut options = gif::DecodeOptions::new();
        options.set_color_output(gif::ColorOutput::RGBA);
        let mut decoder = options.read_info(File::open(path).unwrap()).unwrap();
        let mut frames = Vec::new();
        while let Some(frame) = decoder.read_next_frame().unwrap() {
            frames.push((frame.buffer.to_vec(), frame.delay));
        }
        (frames, decoder.repeat())
    }

    #[test]
    fn grey_frames_survive_exactly_and_loop() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.gif");
        let mirrored = grey(16, 16, (0..=255).rev().collect());
        animate(&[every_grey(), mirrored.clone()], 104, &path).unwrap();
        let (frames, repeat) = decode(&path);
        assert_eq!(repeat, Repeat::Infinite);
        assert_eq!(frames.len(), 2);
        for ((found, delay), expected) in frames.iter().zip([every_grey(), mirrored]) {
            let rgba: Vec<u8> = expected.data().iter().flat_map(|&g| [g, g, g, 255]).collect();
            assert_eq!((found, *delay), (&rgba, 10));
        }
    }

    #[test]
    fn colour_frames_stay_close() {
        // 64 × 64 different colors: a smooth plane through the color cube.
        let data = (0..64u8).flat_map(|y| (0..64u8).flat_map(move |x| [x * 4, y * 4, 255 - x * 2 - y * 2])).collect();
        let picture = Picture::new(Colour::Rgb, [64, 64], data).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.gif");
        animate(std::slice::from_ref(&picture), 1, &path).unwrap();
        let (frames, _) = decode(&path);
        assert_eq!(frames[0].1, 2, "players ignore a delay under 20 ms");
        let pairs = frames[0].0.chunks_exact(4).zip(picture.data().chunks_exact(3));
        let error: u32 = pairs.flat_map(|(a, b)| (0..3).map(move |c| u32::from(a[c].abs_diff(b[c])))).sum();
        assert!(error / (64 * 64 * 3) < 8, "mean error a channel: {}", f64::from(error) / (64.0 * 64.0 * 3.0));
    }

    #[test]
    fn unequal_or_missing_frames_are_errors() {
        let path = Path::new("never-written.gif");
        let message = animate(&[every_grey(), grey(1, 2, vec![0, 0])], 50, path).unwrap_err().to_string();
        assert!(message.contains("16 × 16") && message.contains("frame 2 has 1 × 2"), "{message}");
        assert!(animate(&[], 50, path).is_err());
        assert!(animate(&[grey(70_000, 1, vec![0; 70_000])], 50, path).is_err());
        assert!(!path.exists());
        assert!(strip(&[]).is_err());
    }

    #[test]
    fn a_strip_lays_frames_side_by_side() {
        let colour = Picture::new(Colour::Rgb, [2, 1], vec![1, 2, 3, 4, 5, 6]).unwrap();
        let sheet = strip(&[grey(2, 1, vec![7, 8]), colour]).unwrap();
        assert_eq!((sheet.width(), sheet.height(), sheet.colour()), (2 * 4 + 2, 1 + 4, Colour::Rgb));
        assert_eq!(sheet.pixel(3, 2).unwrap(), [8, 8, 8]);
        assert_eq!(sheet.pixel(4, 2).unwrap(), [BACKGROUND; 3]);
        assert_eq!(sheet.pixel(7, 2).unwrap(), [4, 5, 6]);
    }
}
