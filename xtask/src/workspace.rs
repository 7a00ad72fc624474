//! Where things lie: the workspace's root, the target folder, the programs.

use std::env;
use std::path::{Path, PathBuf};

/// The folder of the workspace's `Cargo.toml`: the one above this crate's. Cargo tells it when it starts us; a copy
/// started by hand takes the folder it was built in.
pub fn root() -> PathBuf {
    let here = env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    here.parent().map(Path::to_path_buf).unwrap_or(here)
}

/// The folder that cargo builds into: `CARGO_TARGET_DIR`, seen from the current folder as cargo does, or the workspace's `target`.
pub fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").filter(|dir| !dir.is_empty()).map_or_else(|| root().join("target"), PathBuf::from)
}

/// The release build of a program.
pub fn program(name: &str) -> PathBuf {
    target().join("release").join(format!("{name}{}", env::consts::EXE_SUFFIX))
}
