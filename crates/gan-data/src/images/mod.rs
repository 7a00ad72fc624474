//! Image files: decoding them, fitting them to the training size, finding them in folders.
//!
//! In reading order: `pixels` is an image in memory; `decode` reads files; `resize` and `fit` bring images to the training size; `walk`
//! finds the files of a folder; `class_folders` derives classes from folders; `files` is the data set of image files.

pub(crate) mod class_folders;
mod decode;
pub(crate) mod files;
mod fit;
mod header;
mod looks;
mod pixels;
mod resize;
mod survey;
pub(crate) mod walk;

pub use decode::{decode, open};
pub use files::{Broken, ImageOptions};
pub(crate) use fit::cut_out;
pub use fit::{Fit, Fitting, Small, fit};
pub use header::Channels;
pub use pixels::Pixels;
pub use resize::Filter;
pub use survey::{ChannelCounts, Range, Sample, Survey};
pub use walk::{Inventory, OtherFiles, SmallImage, is_image};

#[cfg(test)]
mod tests;
