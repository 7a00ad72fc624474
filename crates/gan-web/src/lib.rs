//! A trained generator in a browser, or a GAN that is trained there: WebAssembly modules that import nothing.
//!
//! The page calls plain exported functions and copies numbers through the module's memory, so that neither wasm-bindgen nor generated JavaScript is
//! needed. `cargo xtask web` builds the modules, and `gan-export` embeds them in the pages that `gan export` and `gan lab` write.
//!
//! In reading order: [`Session`] (a generator at work), [`exports`] (the functions that the page calls); with the feature `lab`, `Lab` (points in the
//! plane, one update at a time) and `lab_exports`.

#[allow(unsafe_code, reason = "the page passes addresses in the module's memory: see the file")]
pub mod exports;
#[cfg(feature = "lab")]
mod lab;
#[cfg(feature = "lab")]
#[allow(unsafe_code, reason = "as in exports")]
pub mod lab_exports;
mod session;

#[cfg(feature = "lab")]
pub use lab::{Lab, Round};
pub use session::Session;
