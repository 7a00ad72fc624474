//! Animations: a looping GIF, APNG, WebP or MP4, or a strip of frames side by side. Transparent pixels show a checkerboard.
//!
//! In reading order: this file ([`animate`], [`strip`]), then a file for each format, and `palette` (the colors of a GIF).

use crate::grid::{BACKGROUND, GAP};
use crate::{Colour, Error, Picture};
use std::path::Path;

mod apng;
mod gif;
mod mp4;
mod palette;
mod webp;

/// File format of an animation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnimationFormat {
    /// At most 50 frames per second and 256 colors, which all frames share. Every program shows it.
    Gif,
    /// Animated PNG: lossless. Browsers show it; other programs show the first frame.
    Apng,
    /// Animated WebP: lossless. Browsers show it, and most programs.
    WebP,
    /// H.264 video, from the program `ffmpeg`.
    Mp4,
}

impl AnimationFormat {
    /// Checks that an animation with `fps` frames per second can be written in this format, before its frames are computed.
    ///
    /// # Errors
    /// [`Error::Shape`] if it shows fewer, [`Error::Program`] if it needs a program that is missing.
    pub fn check(self, fps: u16) -> Result<(), Error> {
        match self {
            Self::Gif => gif::check(fps),
            Self::Mp4 => mp4::check(),
            Self::Apng | Self::WebP => Ok(()),
        }
    }
}

/// An animation that repeats without end, except in a video, whose player decides.
#[derive(Clone, Copy, Debug)]
pub struct Animation<'a> {
    /// Frames of equal size.
    pub frames: &'a [Picture],
    /// Number of frames per second.
    pub fps: u16,
    /// Number of pixels per side that each pixel becomes.
    pub scale: usize,
}

impl Animation<'_> {
    /// Writes the file at `path`, atomically.
    ///
    /// # Errors
    /// [`Error::Shape`] for no frames, unequal sizes, or what the format cannot hold; [`Error::File`] naming `path`; [`Error::Program`] if a
    /// program is needed that is missing or fails.
    pub fn save(&self, format: AnimationFormat, path: &Path) -> Result<(), Error> {
        common_size(self.frames)?;
        if self.fps == 0 || self.scale == 0 {
            return Err(Error::Shape(
                "an animation needs at least 1 frame per second and a scale of at least 1".into(),
            ));
        }
        match format {
            AnimationFormat::Gif => gif::save(self, path),
            AnimationFormat::Apng => apng::save(self, path),
            AnimationFormat::WebP => webp::save(self, path),
            AnimationFormat::Mp4 => mp4::save(self, path),
        }
    }

    /// Returns width and height of the enlarged frames.
    fn size(&self) -> [usize; 2] {
        let side = |pixels: Option<usize>| pixels.unwrap_or(0).saturating_mul(self.scale);
        [side(self.frames.first().map(Picture::width)), side(self.frames.first().map(Picture::height))]
    }

    /// Returns gray if all frames are, or else RGB.
    fn colour(&self) -> Colour {
        Colour::common(self.frames.iter())
    }

    /// Returns the frames, enlarged and of one color type, one at a time.
    fn enlarged(&self) -> impl Iterator<Item = Result<Picture, Error>> {
        let colour = self.colour();
        self.frames.iter().map(move |frame| frame.in_colour(colour).enlarged(self.scale))
    }

    /// Returns how long each frame is shown, in units of which a second has `units`, so that rounding does not add up.
    fn durations(&self, units: u32) -> impl Iterator<Item = u32> {
        let start = move |frame: usize| {
            let frames = u64::from(self.fps);
            ((frame as u64 * u64::from(units) + frames / 2) / frames) as u32
        };
        (0..self.frames.len()).map(move |frame| start(frame + 1) - start(frame))
    }
}

/// Writes `frames` as an endlessly looping GIF, atomically. A GIF counts time in hundredths of a second, and players slow down delays under
/// 2 of them: `delay_ms` is rounded to 10 ms and is at least 20.
///
/// # Errors
/// As [`Animation::save`].
pub fn animate(frames: &[Picture], delay_ms: u16, path: &Path) -> Result<(), Error> {
    common_size(frames)?;
    let delay = (delay_ms.saturating_add(5) / 10).max(2);
    gif::write(&Animation { frames, fps: 1, scale: 1 }, std::iter::repeat(delay), path)
}

/// Returns the frames side by side from left to right, with the gap and background of [`grid`](crate::grid()) between
/// and around them. If any frame is RGB, so is the strip.
///
/// # Errors
/// [`Error::Shape`] for no frames or unequal sizes.
pub fn strip(frames: &[Picture]) -> Result<Picture, Error> {
    let [width, height] = common_size(frames)?;
    let colour = Colour::common(frames.iter());
    let size = [frames.len() * (width + GAP) + GAP, height + 2 * GAP];
    let mut sheet = Picture::filled(colour, size, BACKGROUND)?;
    for (index, frame) in frames.iter().enumerate() {
        let corner = [GAP + index * (width + GAP), GAP];
        sheet.paste(&frame.in_colour(colour), corner);
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
    use super::*;
    use ::gif::Repeat;
    use std::fs::File;

    fn grey(width: usize, height: usize, data: Vec<u8>) -> Picture {
        Picture::new(Colour::Grey, [width, height], data).unwrap()
    }

    fn every_grey() -> Picture {
        grey(16, 16, (0..=255).collect())
    }

    /// Returns all frames of a GIF as RGBA, with their delays.
    fn decode(path: &Path) -> (Vec<(Vec<u8>, u16)>, Repeat) {
        let mut options = ::gif::DecodeOptions::new();
        options.set_color_output(::gif::ColorOutput::RGBA);
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

    /// Three frames of smooth colors that move, of odd sides.
    fn colors() -> Vec<Picture> {
        let value = |frame: usize, at: usize| ((at * 7 + frame * 40) % 251) as u8;
        let frame = |frame| Picture::new(Colour::Rgb, [9, 5], (0..135).map(|at| value(frame, at)).collect()).unwrap();
        (0..3).map(frame).collect()
    }

    fn saved(frames: &[Picture], fps: u16, format: AnimationFormat) -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        Animation { frames, fps, scale: 2 }.save(format, &path).unwrap();
        std::fs::read(path).unwrap()
    }

    #[test]
    fn an_apng_holds_every_frame_exactly_and_loops() {
        for frames in [colors(), vec![every_grey(), every_grey()]] {
            let bytes = saved(&frames, 24, AnimationFormat::Apng);
            let mut reader = png::Decoder::new(std::io::Cursor::new(&bytes)).read_info().unwrap();
            let control = reader.info().animation_control.unwrap();
            assert_eq!((control.num_frames as usize, control.num_plays), (frames.len(), 0));
            for frame in &frames {
                let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
                reader.next_frame(&mut pixels).unwrap();
                assert_eq!(pixels, frame.enlarged(2).unwrap().data());
                let shown = reader.info().frame_control.unwrap();
                assert_eq!((shown.delay_num, shown.delay_den), (1, 24));
            }
        }
    }

    #[test]
    fn an_animated_webp_holds_every_frame_exactly_and_loops() {
        for frames in [colors(), vec![every_grey(), every_grey()]] {
            let bytes = saved(&frames, 24, AnimationFormat::WebP);
            assert_eq!(bytes.len() as u32, 8 + u32::from_le_bytes(bytes[4..8].try_into().unwrap()));
            let mut decoder = image_webp::WebPDecoder::new(std::io::Cursor::new(&bytes)).unwrap();
            assert!(decoder.is_animated() && decoder.loop_count() == image_webp::LoopCount::Forever);
            assert_eq!(decoder.num_frames() as usize, frames.len());
            let mut pixels = vec![0; decoder.output_buffer_size().unwrap()];
            let durations: Vec<u32> = frames
                .iter()
                .map(|frame| {
                    let duration = decoder.read_frame(&mut pixels).unwrap();
                    assert_eq!(pixels, frame.to_rgb().enlarged(2).unwrap().data());
                    duration
                })
                .collect();
            assert_eq!(durations, [42, 41, 42][..frames.len()]);
        }
    }

    #[test]
    fn transparent_frames_show_the_checkerboard() {
        let frame = |alpha| Picture::new(Colour::Rgba, [2, 1], vec![200, 0, 0, alpha, 0, 0, 200, 255]).unwrap();
        let frames = [frame(0), frame(255)];
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.gif");
        Animation { frames: &frames, fps: 10, scale: 1 }.save(AnimationFormat::Gif, &path).unwrap();
        let pixels: Vec<Vec<u8>> = decode(&path).0.into_iter().map(|(pixels, _)| pixels).collect();
        assert_eq!(pixels, [[96, 96, 96, 255, 0, 0, 200, 255], [200, 0, 0, 255, 0, 0, 200, 255]]);
        let strip = strip(&frames).unwrap();
        assert_eq!((strip.colour(), strip.pixel(2, 2).unwrap()), (Colour::Rgb, &[96; 3][..]));
        for format in [AnimationFormat::Apng, AnimationFormat::WebP] {
            assert!(!saved(&frames, 10, format).is_empty());
        }
    }

    #[test]
    fn a_gif_is_enlarged_and_keeps_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.gif");
        let frames = colors();
        Animation { frames: &frames, fps: 30, scale: 2 }.save(AnimationFormat::Gif, &path).unwrap();
        let (found, repeat) = decode(&path);
        assert_eq!((repeat, found.iter().map(|frame| frame.1).sum::<u16>()), (Repeat::Infinite, 10));
        for ((rgba, _), frame) in found.iter().zip(&frames) {
            let rgb: Vec<u8> = rgba.chunks_exact(4).flat_map(|pixel| &pixel[..3]).copied().collect();
            assert_eq!(rgb, frame.enlarged(2).unwrap().data(), "135 colors fit into the palette");
        }
        let fast = Animation { frames: &frames, fps: 60, scale: 1 }.save(AnimationFormat::Gif, &path).unwrap_err();
        assert!(fast.to_string().contains("at most 50") && fast.to_string().contains(".webp"), "{fast}");
    }

    #[test]
    fn empty_animations_are_errors() {
        let path = Path::new("never-written");
        for (fps, scale, frames) in [(0, 1, colors()), (1, 0, colors()), (1, 1, vec![]), (1, usize::MAX, colors())] {
            for format in [AnimationFormat::Gif, AnimationFormat::Apng, AnimationFormat::WebP] {
                assert!(Animation { frames: &frames, fps, scale }.save(format, path).is_err(), "{fps} {scale}");
            }
        }
        assert!(!path.exists());
    }
}
