//! Image files: decoding them, fitting them to the training size, finding them in folders.
//!
//! In reading order: `pixels` is an image in memory; `decode` reads files, and `color` brings them to a number of channels; `resize` and `fit`
//! bring images to the training size; `source` is a folder or a zip archive, and `walk` finds the files of a folder; `class_folders` derives
//! classes from folders, `dataset_json` from a list; `files` is the data set of image files, `array` that of images in a NumPy array.

pub(crate) mod array;
pub(crate) mod class_folders;
mod color;
mod dataset_json;
mod decode;
pub(crate) mod files;
mod fit;
mod header;
mod looks;
mod pixels;
mod resize;
pub(crate) mod source;
mod survey;
pub(crate) mod walk;

pub use array::{ArrayImages, MOST_CHANNELS};
pub use decode::{decode, open};
pub use files::{Broken, ImageOptions};
pub(crate) use fit::cut_out;
pub use fit::{Fit, Fitting, Small, fit};
pub use header::Channels;
pub use pixels::Pixels;
pub use resize::Filter;
pub use source::is_collection;
pub use survey::{ChannelCounts, Range, Sample, Survey};
pub use walk::{Inventory, OtherFiles, SmallImage, is_image};

#[cfg(test)]
mod tests;
