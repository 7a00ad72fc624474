//! Resizing, anti-aliased as Pillow does it.

use super::pixels::Pixels;
use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use serde::{Deserialize, Serialize};

/// The kernel that weighs the neighbours of a pixel; making an image smaller, it is widened by the scale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Filter {
    /// A triangle: torchvision's default.
    #[default]
    Bilinear,
    /// Keys' cubic with a = −1/2: sharper.
    Bicubic,
    /// Lanczos' with three lobes: the sharpest.
    Lanczos,
}

impl From<Filter> for FilterType {
    fn from(filter: Filter) -> Self {
        match filter {
            Filter::Bilinear => Self::Bilinear,
            Filter::Bicubic => Self::CatmullRom,
            Filter::Lanczos => Self::Lanczos3,
        }
    }
}

/// `image` at `size` = `[H, W]`, which must not have a side of 0. Within 1 of Pillow's `Image.resize`.
///
/// # Errors
/// What the resizer says; it accepts every image that can be decoded.
pub fn resize(image: &Pixels, size: [usize; 2], filter: Filter) -> Result<Pixels, String> {
    if size == image.size {
        return Ok(image.clone());
    }
    let kind = if image.channels == 1 { PixelType::U8 } else { PixelType::U8x3 };
    let [from_height, from_width] = image.size.map(|side| side as u32);
    let from = ImageRef::new(from_width, from_height, &image.bytes, kind).map_err(|error| error.to_string())?;
    let mut to = Image::new(size[1] as u32, size[0] as u32, kind);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter.into())).use_alpha(false);
    Resizer::new().resize(&from, &mut to, &options).map_err(|error| error.to_string())?;
    Ok(Pixels { size, channels: image.channels, bytes: to.into_vec() })
}
