//! What the pages embed: the WebAssembly modules of `gan-web`, and the script that runs them.

use base64::{Engine, engine::general_purpose::STANDARD};
use flate2::{Compression, write::GzEncoder};
use std::io::Write;

/// The module that runs a generator, compressed with gzip. `cargo xtask web` writes it.
pub const GENERATOR: &[u8] = include_bytes!("embedded/generator.wasm.gz");

/// The module that trains points in the plane, compressed with gzip. `cargo xtask web` writes it.
pub const LAB: &[u8] = include_bytes!("embedded/lab.wasm.gz");

/// The script that unpacks and calls a module.
pub const SCRIPT: &str = include_str!("embedded/module.js");

/// Returns bytes as base64.
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Returns bytes compressed with gzip, the same for the same bytes.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(vec![], Compression::best());
    // Writing to memory cannot fail.
    let written = packed.write_all(bytes);
    debug_assert!(written.is_ok());
    packed.finish().unwrap_or_default()
}
