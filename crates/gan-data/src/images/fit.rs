//! Bringing images of any size to the one that is trained at.

use super::pixels::Pixels;
use super::resize::{Filter, resize, resize_part};
use serde::{Deserialize, Serialize};

/// What to do if an image has other proportions than the training size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fit {
    /// Fill the size and cut off the rest, half on each side.
    #[default]
    Crop,
    /// Show the whole image, with the background's colour beside it.
    Pad,
    /// Change the proportions.
    Stretch,
}

/// What to do about images that are smaller than the training size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Small {
    /// An error.
    #[default]
    Refuse,
    /// Leave them out.
    Skip,
    /// Enlarge them.
    Upscale,
}

/// How images are brought to the training size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fitting {
    /// `[H, W]` to train at.
    pub size: [usize; 2],
    /// `[H, W]` of a box around the image's centre that is cut out before everything else.
    pub crop: Option<[usize; 2]>,
    /// What to do about other proportions.
    pub fit: Fit,
    /// How to resize.
    pub filter: Filter,
    /// The colour beside a padded image and behind a transparent one.
    pub background: [u8; 3],
    /// What to do about images that would have to be enlarged.
    pub small: Small,
}

impl Fitting {
    /// The defaults for `size` = `[H, W]`: shorter side to the size, centre cut out, bilinear, white background.
    pub fn to(size: [usize; 2]) -> Self {
        Self { size, crop: None, fit: Fit::Crop, filter: Filter::Bilinear, background: [255; 3], small: Small::Refuse }
    }

    /// Whether an image of `from` = `[H, W]` lacks pixels: it would have to be enlarged, or is smaller than the box that is
    /// cut out.
    pub fn lacks_pixels(&self, from: [usize; 2]) -> bool {
        let cut = self.cut(from);
        let scaled = match self.fit {
            Fit::Crop => cover(cut, self.size),
            Fit::Pad => contain(cut, self.size),
            Fit::Stretch => self.size,
        };
        self.crop.is_some_and(|[h, w]| h > from[0] || w > from[1]) || scaled[0] > cut[0] || scaled[1] > cut[1]
    }

    /// The size of what is left of an image of `from` after the box is cut out.
    pub(crate) fn cut(&self, from: [usize; 2]) -> [usize; 2] {
        self.crop.map_or(from, |[h, w]| [h.min(from[0]), w.min(from[1])])
    }
}

/// The box around the centre of `image` that is cut out before everything else; the whole image if no box is set.
pub(crate) fn cut_out(image: Pixels, fitting: &Fitting) -> Pixels {
    let cut = fitting.cut(image.size);
    if cut == image.size { image } else { image.window(centre(image.size, cut), cut) }
}

/// `image` brought to `fitting.size`.
#[must_use]
pub fn fit(image: Pixels, fitting: &Fitting) -> Pixels {
    let image = &cut_out(image, fitting);
    let Fitting { size, filter, .. } = *fitting;
    match fitting.fit {
        Fit::Stretch => resize(image, size, filter),
        Fit::Crop => {
            let scaled = cover(image.size, size);
            resize_part(image, scaled, filter, centre(scaled, size), size)
        }
        Fit::Pad => {
            let scaled = resize(image, contain(image.size, size), filter);
            let mut padded = Pixels::filled(size, image.channels, fitting.background);
            padded.paste(&scaled, centre(size, scaled.size));
            padded
        }
    }
}

/// The size to which an image of `from` is scaled so that it covers `to`: one side is `to`'s, the other rounded down, as
/// in torchvision's `Resize(int)`.
fn cover([h, w]: [usize; 2], [to_h, to_w]: [usize; 2]) -> [usize; 2] {
    if to_w * h >= to_h * w { [to_w * h / w, to_w] } else { [to_h, to_h * w / h] }
}

/// The size to which an image of `from` is scaled so that it fits into `to`: one side is `to`'s, the other rounded to the
/// nearest, as in Pillow's `ImageOps.contain`.
fn contain([h, w]: [usize; 2], [to_h, to_w]: [usize; 2]) -> [usize; 2] {
    let other =
        |side: usize, by: usize, to: usize| ((side as f64 / by as f64 * to as f64).round_ties_even() as usize).max(1);
    if to_w * h > to_h * w { [to_h, other(w, h, to_h)] } else { [other(h, w, to_w), to_w] }
}

/// The upper left corner of a box of size `inner` in the middle of one of size `outer`. An odd pixel goes where Python's
/// `round` puts it: halves go to the even number, as in torchvision's `CenterCrop`.
fn centre(outer: [usize; 2], inner: [usize; 2]) -> [usize; 2] {
    [0, 1].map(|i| ((outer[i] - inner[i]) as f64 / 2.0).round_ties_even() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_corners_are_torchvisions() {
        assert_eq!(cover([218, 178], [64, 64]), [78, 64]);
        assert_eq!(cover([178, 218], [64, 64]), [64, 78]);
        assert_eq!(cover([100, 100], [64, 32]), [64, 64]);
        assert_eq!(cover([3, 1000], [64, 64]), [64, 21333]);
        assert_eq!(
            [centre([78, 64], [64, 64]), centre([77, 64], [64, 64]), centre([79, 64], [64, 64])],
            [[7, 0], [6, 0], [8, 0]]
        );
        assert_eq!([contain([218, 178], [64, 64]), contain([1, 1000], [64, 64])], [[64, 52], [1, 64]]);
    }

    #[test]
    fn whether_an_image_is_too_small_depends_on_the_fit() {
        let ways = |from| {
            [Fit::Crop, Fit::Pad, Fit::Stretch].map(|fit| Fitting { fit, ..Fitting::to([64, 64]) }.lacks_pixels(from))
        };
        assert_eq!(ways([64, 64]), [false; 3]);
        assert_eq!(ways([63, 200]), [true, false, true]);
        assert_eq!(ways([63, 63]), [true; 3]);
        let boxed = Fitting { crop: Some([178, 178]), ..Fitting::to([64, 64]) };
        assert_eq!([[218, 178], [218, 177]].map(|from| boxed.lacks_pixels(from)), [false, true]);
    }

    #[test]
    fn the_box_is_cut_out_first() {
        let bytes = (0..10u8).flat_map(|y| (0..6u8).map(move |x| 10 * y + x)).collect();
        let image = Pixels { size: [10, 6], channels: 1, bytes };
        let fitted = fit(image, &Fitting { crop: Some([2, 2]), ..Fitting::to([2, 2]) });
        assert_eq!(fitted.bytes, [42, 43, 52, 53]);
    }

    #[test]
    fn padding_shows_the_whole_image_on_the_background() {
        let image = Pixels::filled([2, 4], 3, [9, 8, 7]);
        let fitting = Fitting { fit: Fit::Pad, background: [1, 2, 3], ..Fitting::to([4, 4]) };
        let fitted = fit(image, &fitting);
        let (edge, middle) = ([1, 2, 3].repeat(4), [9, 8, 7].repeat(8));
        assert_eq!(fitted.bytes, [&edge[..], &middle, &edge].concat());
    }
}
