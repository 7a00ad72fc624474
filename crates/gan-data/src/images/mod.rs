//! Image files as samples: decoded, fitted to the training size, scaled.
//!
//! In reading order: `pixels` is an image in memory; `large` holds the limits; `header` reads a file's size without decoding it;
//! `decode` reads the whole; `resize` and `fit` bring it to the training size; `walk` finds the files of a folder; `inventory` is
//! what was found there; `class_folders` are its classes; `files` is a numbered list of files, read as samples.

pub(crate) mod class_folders;
mod decode;
pub(crate) mod files;
mod fit;
mod header;
mod inventory;
mod large;
mod pixels;
mod resize;
pub(crate) mod walk;

pub use files::{Broken, ImageOptions};
pub use fit::{Fit, Fitting, Small};
pub use inventory::{Inventory, OtherFiles, SmallImage};
pub use pixels::Pixels;
pub use resize::Filter;
pub use walk::is_image;

pub(crate) use decode::stored;
pub use decode::{decode, open};
pub(crate) use fit::cut_out;
pub use fit::fit;
pub use resize::resize;

#[cfg(test)]
mod tests;
