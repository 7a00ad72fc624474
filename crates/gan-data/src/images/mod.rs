//! Image files as samples: decoded, fitted to the training size, scaled.
//!
//! In reading order: `pixels` is an image in memory; `header` looks at a file without decoding it; `decode` reads the
//! whole; `resize` and `fit` bring it to the training size; `walk` finds the files of a folder; `files` is a numbered list
//! of files, read as samples.

mod decode;
pub(crate) mod files;
mod fit;
mod header;
mod pixels;
mod resize;
pub(crate) mod walk;

pub use files::{Broken, ImageOptions};
pub use fit::{Fit, Fitting, Upscale};
pub use pixels::Pixels;
pub use resize::Filter;
pub use walk::is_image;

pub use decode::decode;
pub(crate) use fit::cut_out;
pub use fit::fit;
pub use resize::resize;

#[cfg(test)]
mod tests;
