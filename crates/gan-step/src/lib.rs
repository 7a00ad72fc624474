//! The training step of a GAN and the optimizers.
//!
//! A step takes samples and returns numbers. It reads no files, starts no threads and knows no loop, so that it also runs in a browser.
//!
//! In reading order: [`optimizers`] (one file each, with `averages`, their state by the names of the parameters), [`step`] (the mathematics, one
//! screen), [`keyed`] (settings whose keys depend on each other).

pub mod averages;
mod error;
pub mod keyed;
pub mod optimizers;
pub mod step;

pub use error::{Error, Result};
