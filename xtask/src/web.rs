//! `cargo xtask web` and `check-web`: the WebAssembly modules that `gan-export` embeds in pages.
//!
//! A module is checked in, compressed, so that nobody else needs the target. It is built anew when its behavior changes and before a release, not
//! for every change of a crate in it; the tests compare what a page computes with what this workspace computes.

use crate::cargo::{Cargo, program, root, target};
use crate::{Fault, Outcome};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const TARGET: &str = "wasm32-unknown-unknown";

/// A module, by the name of its file, and the arguments that build it.
const MODULES: [(&str, &[&str]); 2] = [("generator", &[]), ("lab", &["--features", "lab"])];

/// Folder of the modules.
const EMBEDDED: &str = "crates/gan-export/src/embedded";

/// Builds and compresses each module.
pub fn build() -> Outcome {
    if !is_installed() {
        return Err(Fault::failed(format!("the target {TARGET} is not installed: run `rustup target add {TARGET}`")));
    }
    for (name, features) in MODULES {
        let build = Cargo::new(["rustc", "--locked", "--package", "gan-web", "--profile", "web", "--target", TARGET]);
        let build = build.args(["--crate-type", "staticlib"]).args(features);
        build.succeed("the module does not build: see cargo's messages above")?;
        let built = target().join(TARGET).join("web");
        let module = built.join(name).with_extension("wasm");
        link(&built.join("libgan_web.a"), &module, !features.is_empty())?;
        let packed = packed(&module)?;
        let size = fs::metadata(&module).map_or(0, |file| file.len());
        let path = root().join(EMBEDDED).join(format!("{name}.wasm.gz"));
        fs::write(&path, &packed)
            .map_err(|error| Fault::failed(format!("cannot write {}: {error}", path.display())))?;
        println!("{name}: {size} bytes, {} compressed", packed.len());
    }
    Ok(ExitCode::SUCCESS)
}

/// Compiles the sources of the modules, if the target is installed.
pub fn check() -> Outcome {
    Ok(if passes()? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Does what [`check`] does, and returns whether nothing is wrong.
pub fn passes() -> Result<bool, Fault> {
    if !is_installed() {
        println!(
            "xtask check-web: SKIPPED: compiling for {TARGET}, which is not installed (rustup target add {TARGET})"
        );
        return Ok(true);
    }
    for (_, features) in MODULES {
        let check = Cargo::new(["check", "--locked", "--package", "gan-web", "--profile", "web", "--target", TARGET]);
        if !check.args(features).run()? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Returns whether the standard library of the target is there.
fn is_installed() -> bool {
    let asked = Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]).output();
    asked.is_ok_and(|answer| Path::new(String::from_utf8_lossy(&answer.stdout).trim()).is_dir())
}

/// Links a module that exports the functions of `gan-web` and nothing else.
///
/// Rust's own linking of a module exports what any dependency marks, among them functions of wasm-bindgen, whose imports would then be needed.
fn link(library: &Path, module: &Path, has_lab: bool) -> Result<(), Fault> {
    let mut linker = Command::new(linker()?);
    linker.args([
        "-flavor",
        "wasm",
        "--no-entry",
        "--gc-sections",
        "--strip-all",
        "--stack-first",
        "-z",
        "stack-size=1048576",
    ]);
    let sources = ["exports.rs", "lab_exports.rs"].into_iter().take(1 + usize::from(has_lab));
    for source in sources {
        let text = read(&root().join("crates/gan-web/src").join(source))?;
        linker.args(exports(&text).map(|name| format!("--export={name}")));
    }
    program(linker.arg(library).arg("-o").arg(module))
}

/// Returns the names of the functions that a source exports.
fn exports(source: &str) -> impl Iterator<Item = &str> {
    source.split("extern \"C\" fn ").skip(1).filter_map(|rest| rest.split('(').next())
}

/// Returns the path of the linker that comes with Rust.
fn linker() -> Result<PathBuf, Fault> {
    let printed = |what: &[&str]| {
        let answer = Command::new("rustc").args(what).output();
        let answer = answer.map_err(|error| Fault::failed(format!("cannot start rustc: {error}")))?;
        Ok::<_, Fault>(String::from_utf8_lossy(&answer.stdout).trim().to_string())
    };
    let version = printed(&["-vV"])?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
    Ok(Path::new(&printed(&["--print", "sysroot"])?).join("lib/rustlib").join(host).join("bin/rust-lld"))
}

/// Compresses a file with gzip, without its name and time.
fn packed(path: &Path) -> Result<Vec<u8>, Fault> {
    let packed = Command::new("gzip").args(["-9", "-n", "-c"]).arg(path).output();
    match packed {
        Ok(packed) if packed.status.success() => Ok(packed.stdout),
        Ok(packed) => Err(Fault::failed(format!("gzip {}: {}", path.display(), packed.status))),
        Err(error) => Err(Fault::failed(format!("cannot start gzip: {error}"))),
    }
}

fn read(path: &Path) -> Result<String, Fault> {
    fs::read_to_string(path).map_err(|error| Fault::failed(format!("cannot read {}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exported_functions_are_found() {
        let source = "pub extern \"C\" fn a(x: u8) {}\nfn b() {}\npub unsafe extern \"C\" fn c() {}\n";
        assert_eq!(exports(source).collect::<Vec<_>>(), ["a", "c"]);
    }
}
