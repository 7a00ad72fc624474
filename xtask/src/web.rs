//! `cargo xtask web` and `check-web`: the WebAssembly modules that `gan-export` embeds in pages.
//!
//! A module is checked in, compressed, so that nobody else needs the target. Beside it lies a list of the sources that it was built from, with a hash
//! of each: `check-web` names those that have changed since. Comments, blank lines and unit tests do not count, because they change no module.

use crate::cargo::{Cargo, program, root, target};
use crate::tidy::without_tests;
use crate::{Fault, Outcome};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const TARGET: &str = "wasm32-unknown-unknown";

/// A module, by the name of its file, and the arguments that build it.
const MODULES: [(&str, &[&str]); 2] = [("generator", &[]), ("lab", &["--features", "lab"])];

/// Folder of the modules.
const EMBEDDED: &str = "crates/gan-export/src/embedded";

/// Builds, compresses and lists each module.
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
        let list: String = sources(&built.join("libgan_web.d"))?
            .iter()
            .map(|path| Ok(format!("{:016x} {path}\n", hash(&read(&root().join(path))?))))
            .collect::<Result<_, Fault>>()?;
        let size = fs::metadata(&module).map_or(0, |file| file.len());
        write(&embedded(name, "wasm.gz"), &packed)?;
        write(&embedded(name, "sources"), list.as_bytes())?;
        println!("{name}: {size} bytes, {} compressed", packed.len());
    }
    Ok(ExitCode::SUCCESS)
}

/// Checks that each module belongs to its sources and, if the target is installed, that they compile for it.
pub fn check() -> Outcome {
    Ok(if passes()? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Does what [`check`] does, and returns whether nothing is wrong.
pub fn passes() -> Result<bool, Fault> {
    let mut is_current = true;
    for (name, _) in MODULES {
        let changed = changed(&read(&embedded(name, "sources"))?, |path| fs::read_to_string(root().join(path)).ok());
        if !changed.is_empty() {
            is_current = false;
            println!(
                "xtask check-web: {name}.wasm.gz was built from other sources: run `cargo xtask web`. Changed are"
            );
            changed.iter().for_each(|path| println!("  {path}"));
        }
    }
    if !is_installed() {
        println!(
            "xtask check-web: SKIPPED: compiling for {TARGET}, which is not installed (rustup target add {TARGET})"
        );
        return Ok(is_current);
    }
    for (_, features) in MODULES {
        let check = Cargo::new(["check", "--locked", "--package", "gan-web", "--profile", "web", "--target", TARGET]);
        if !check.args(features).run()? {
            return Ok(false);
        }
    }
    Ok(is_current)
}

fn embedded(name: &str, ending: &str) -> PathBuf {
    root().join(EMBEDDED).join(format!("{name}.{ending}"))
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

/// Returns the files of this workspace that cargo's list of dependencies names, relative to the root.
fn sources(list: &Path) -> Result<Vec<String>, Fault> {
    let text = read(list)?;
    let names = text.split_once(": ").map_or("", |(_, names)| names).replace("\\ ", "\0");
    let root = root();
    let own = names.split_whitespace().map(|name| PathBuf::from(name.replace('\0', " ")));
    let mut own: Vec<String> = own
        .filter_map(|path| Some(path.strip_prefix(&root).ok()?.to_string_lossy().replace('\\', "/")))
        .filter(|path| path.ends_with(".rs"))
        .collect();
    own.sort();
    Ok(own)
}

/// Returns the files of a list whose hash is another now, or that are gone.
fn changed(list: &str, text: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let known: BTreeMap<&str, &str> =
        list.lines().filter_map(|line| line.split_once(' ')).map(|(h, p)| (p, h)).collect();
    let is_same = |path: &str, known: &str| text(path).is_some_and(|text| format!("{:016x}", hash(&text)) == known);
    known.iter().filter(|(path, known)| !is_same(path, known)).map(|(path, _)| (*path).to_string()).collect()
}

/// Returns the hash (FNV-1a) of what the compiler sees of a source.
fn hash(text: &str) -> u64 {
    let lines = without_tests(text).lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//"));
    let bytes = lines.flat_map(|line| line.bytes().chain([b'\n']));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn read(path: &Path) -> Result<String, Fault> {
    fs::read_to_string(path).map_err(|error| Fault::failed(format!("cannot read {}: {error}", path.display())))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Fault> {
    fs::write(path, bytes).map_err(|error| Fault::failed(format!("cannot write {}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_tests_do_not_count() {
        let source = "//! A.\nfn a() {\n    b(); // why\n}\n";
        let same =
            "//! Another.\n\n/// Text.\nfn a() {\n  // More.\n    b(); // why\n}\n\n#[cfg(test)]\nmod tests {}\n";
        assert_eq!(hash(source), hash(same));
        assert_ne!(hash(source), hash(&source.replace("b()", "c()")));
    }

    #[test]
    fn exported_functions_are_found() {
        let source = "pub extern \"C\" fn a(x: u8) {}\nfn b() {}\npub unsafe extern \"C\" fn c() {}\n";
        assert_eq!(exports(source).collect::<Vec<_>>(), ["a", "c"]);
    }

    #[test]
    fn changed_and_missing_sources_are_named() {
        let list: String = [("a.rs", "fn a() {}"), ("b.rs", "fn b() {}"), ("c.rs", "")]
            .map(|(p, t)| format!("{:016x} {p}\n", hash(t)))
            .concat();
        let now = |path: &str| match path {
            "a.rs" => Some("// more\nfn a() {}".to_string()),
            "b.rs" => Some("fn b() { a() }".to_string()),
            _ => None,
        };
        assert_eq!(changed(&list, now), ["b.rs", "c.rs"]);
    }
}
