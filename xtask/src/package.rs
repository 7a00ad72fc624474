//! `cargo xtask package`: packs every crate that is published, and compiles what was packed without the repository around it.
//!
//! The unpacked crates become a workspace of their own in `target/packed`, in which they depend on each other as on crates.io. It shares the
//! compiled dependencies with this workspace: `cargo package` alone would compile all of them again for each crate.

use crate::cargo::{Cargo, program, root, target};
use crate::{Fault, Outcome};
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

/// Crates that are for this repository only.
const PRIVATE: [&str; 4] = ["xtask", "experiments", "gan-fuzz", "gan-web"];

/// Largest packed crate in bytes, above which something was packed by mistake; crates.io takes at most 10 MiB.
const LARGEST: u64 = 3 << 20;

/// Packs and compiles; with `--test`, also runs the crates' own tests and the snippets of their READMEs.
pub fn run(args: &[OsString]) -> Outcome {
    let is_tested = match args {
        [] => false,
        [arg] if arg == "--test" => true,
        _ => return Err(Fault::usage("package: expected nothing or --test")),
    };
    let folder = target().join("packed");
    remove(&folder)?;
    let packing = Cargo::new(["package", "--workspace", "--no-verify", "--allow-dirty", "--locked", "--quiet"]);
    let packing = PRIVATE.iter().fold(packing, |packing, name| packing.args(["--exclude", name]));
    packing.succeed("the crates cannot be packed")?;
    let packed = unpack(&folder)?;
    let commands: &[&[&str]] = match is_tested {
        true => {
            &[&["test", "--release", "--workspace", "--lib", "--bins"], &["test", "--release", "--workspace", "--doc"]]
        }
        false => &[&["check", "--release", "--workspace", "--lib", "--bins", "--examples"]],
    };
    for command in commands {
        let cargo = Cargo::new(command.iter().copied()).of(folder.join("Cargo.toml"));
        // Without the repository, data are found by this variable.
        let cargo = cargo.with("GAN_DATA_DIR", root().join("data").to_string_lossy());
        let cargo = cargo.with("CARGO_TARGET_DIR", target().to_string_lossy());
        cargo.succeed(&format!("what was packed does not pass: {cargo}"))?;
    }
    println!("xtask package: {} crates, each packed and compiled", packed.len());
    Ok(ExitCode::SUCCESS)
}

/// Unpacks the crates that were packed into a workspace in `folder`, and returns their folders' names.
fn unpack(folder: &Path) -> Result<Vec<String>, Fault> {
    create(folder)?;
    let mut names = vec![];
    let packages = target().join("package");
    for entry in fs::read_dir(&packages).map_err(failed(&packages))?.flatten() {
        let path = entry.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".crate")) else { continue };
        if !is_current(name) {
            continue;
        }
        let size = fs::metadata(&path).map_err(failed(&path))?.len();
        if size > LARGEST {
            let problem = format!("{size} bytes are more than {LARGEST}: exclude what users of the crate do not need");
            return Err(Fault::failed(format!("{}: {problem}", path.display())));
        }
        program(Command::new("tar").arg("xzf").arg(&path).arg("-C").arg(folder))?;
        names.push(name.to_string());
    }
    names.sort();
    let manifest = folder.join("Cargo.toml");
    fs::write(&manifest, workspace(&names)?).map_err(failed(&manifest))?;
    let lock = folder.join("Cargo.lock");
    fs::copy(root().join("Cargo.lock"), &lock).map_err(failed(&lock))?;
    Ok(names)
}

/// Returns whether `gan-core-0.1.0` is a crate of this repository in its present version; others are left from earlier packing.
fn is_current(name: &str) -> bool {
    let version = env!("CARGO_PKG_VERSION");
    let crate_name = name.strip_suffix(version).and_then(|name| name.strip_suffix('-'));
    crate_name.is_some_and(|name| !PRIVATE.contains(&name) && root().join("crates").join(name).is_dir())
}

/// Returns the manifest of the workspace: its members take the places of the published crates, and its profiles are this one's.
fn workspace(names: &[String]) -> Result<String, Fault> {
    let path = root().join("Cargo.toml");
    let own = fs::read_to_string(&path).map_err(failed(&path))?;
    let profiles = own.find("[profile").map_or("", |start| &own[start..]);
    let mut text = String::from("[workspace]\nresolver = \"3\"\nmembers = [");
    text.extend(names.iter().map(|name| format!("\"{name}\", ")));
    text.push_str("]\n\n[patch.crates-io]\n");
    for name in names {
        let crate_name = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.').trim_end_matches('-');
        text.push_str(&format!("{crate_name} = {{ path = \"{name}\" }}\n"));
    }
    Ok(text + "\n" + profiles)
}

fn create(folder: &Path) -> Result<(), Fault> {
    fs::create_dir_all(folder).map_err(failed(folder))
}

fn remove(folder: &Path) -> Result<(), Fault> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed(folder)(error)),
        _ => Ok(()),
    }
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> Fault {
    move |error| Fault::failed(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_replaces_published_crates() {
        let text = workspace(&["gan-core-0.1.0".into(), "gan-0.1.0".into()]).unwrap();
        assert!(text.contains("members = [\"gan-core-0.1.0\", \"gan-0.1.0\", ]"), "{text}");
        assert!(
            text.contains("\ngan-core = { path = \"gan-core-0.1.0\" }\ngan = { path = \"gan-0.1.0\" }\n"),
            "{text}"
        );
        assert!(text.contains("[profile.release]"), "{text}");
    }

    #[test]
    fn crates_of_other_versions_and_private_ones_are_left_out() {
        let version = env!("CARGO_PKG_VERSION");
        assert!(is_current(&format!("gan-core-{version}")));
        assert!(!is_current("gan-core-0.0.1") && !is_current(&format!("gan-fuzz-{version}")));
    }
}
