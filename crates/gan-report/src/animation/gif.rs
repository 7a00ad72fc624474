//! GIF: frames of 256 colors, the same in all frames, so that still parts do not flicker.

use super::Animation;
use super::palette::Palette;
use crate::{Colour, Error, Picture};
use ::gif::{Encoder, EncodingError, Frame, Repeat};
use gan_base::atomic;
use std::path::Path;

/// Maximum number of frames per second: players slow down frames that are shown for less than two hundredths of a second.
const MOST_FPS: u16 = 50;

/// Checks the number of frames per second.
pub(super) fn check(fps: u16) -> Result<(), Error> {
    if fps <= MOST_FPS {
        return Ok(());
    }
    let problem = format!("a GIF shows at most {MOST_FPS} frames per second, not {fps}");
    Err(Error::Shape(format!("{problem}; a .png, .webp or .mp4 shows more")))
}

pub(super) fn save(animation: &Animation, path: &Path) -> Result<(), Error> {
    check(animation.fps)?;
    write(animation, animation.durations(100).map(|units| units as u16), path)
}

/// Writes frames that are shown for these hundredths of a second each.
pub(super) fn write(animation: &Animation, delays: impl Iterator<Item = u16>, path: &Path) -> Result<(), Error> {
    let [width, height] = animation.size();
    let (Ok(wide), Ok(high)) = (u16::try_from(width), u16::try_from(height)) else {
        return Err(Error::Shape(format!("a GIF has at most 65535 pixels a side, not {width} × {height}")));
    };
    let mut bytes = Vec::new();
    let problem = |reason: EncodingError| Error::Shape(format!("cannot encode GIF: {reason}"));
    let grays = || (0..=255).map(|gray| [gray; 3]).collect();
    let colour = animation.colour();
    let frames: Vec<Picture> = animation.frames.iter().map(|frame| frame.in_colour(colour)).collect();
    let mut palette = if colour == Colour::Grey { Palette::new(grays()) } else { Palette::of(&frames) };
    let mut encoder = Encoder::new(&mut bytes, wide, high, &palette.colors().concat()).map_err(problem)?;
    encoder.set_repeat(Repeat::Infinite).map_err(problem)?;
    for (frame, delay) in frames.iter().zip(delays) {
        let indices = match colour {
            // An index into the palette of grays is a gray value.
            Colour::Grey => frame.data().to_vec(),
            Colour::Rgb | Colour::Rgba => palette.indices(frame.data()),
        };
        let indices = Picture::new(Colour::Grey, [frame.width(), frame.height()], indices)?;
        let indices = indices.enlarged(animation.scale)?;
        let buffer = indices.data().into();
        let frame = Frame { width: wide, height: high, buffer, delay, ..Frame::default() };
        encoder.write_frame(&frame).map_err(problem)?;
    }
    drop(encoder);
    Ok(atomic::write(path, &bytes)?)
}
