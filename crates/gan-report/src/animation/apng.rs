//! Animated PNG, as in the third edition of the PNG specification. A program that knows no animations shows the first frame.

use super::Animation;
use crate::{Colour, Error};
use gan_base::atomic;
use std::path::Path;

pub(super) fn save(animation: &Animation, path: &Path) -> Result<(), Error> {
    let mut bytes = Vec::new();
    encode(animation, &mut bytes)?;
    Ok(atomic::write(path, &bytes)?)
}

fn encode(animation: &Animation, bytes: &mut Vec<u8>) -> Result<(), Error> {
    let problem = |reason: png::EncodingError| Error::Shape(format!("cannot encode APNG: {reason}"));
    let [width, height] = animation.size();
    let mut encoder = png::Encoder::new(bytes, width as u32, height as u32);
    encoder.set_color(match animation.colour() {
        Colour::Grey => png::ColorType::Grayscale,
        Colour::Rgb => png::ColorType::Rgb,
        Colour::Rgba => png::ColorType::Rgba,
    });
    // Zero plays are played without end.
    encoder.set_animated(animation.frames.len() as u32, 0).map_err(problem)?;
    encoder.set_frame_delay(1, animation.fps).map_err(problem)?;
    let mut writer = encoder.write_header().map_err(problem)?;
    for frame in animation.enlarged() {
        writer.write_image_data(frame?.data()).map_err(problem)?;
    }
    writer.finish().map_err(problem)
}
