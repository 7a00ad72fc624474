//! `cargo xtask gpu`: a folder to carry to a machine that has a GPU, but no Rust and no network.

use crate::cargo::{Cargo, root, target};
use crate::{Fault, Outcome};
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

/// Packages and their examples.
const EXAMPLES: [(&str, &str); 2] = [("gan-cuda", "gpu_check"), ("gan-train", "step_work")];

/// Builds `gan` and the programs that check the CUDA backend and profile its steps, and puts them with their scripts into `target/gpu`.
pub fn run() -> Outcome {
    let build = Cargo::new(["build", "--release", "--package", "gan-cli", "--bin", "gan"]);
    build.succeed("`gan` does not build: see cargo's messages above")?;
    for (package, example) in EXAMPLES {
        let build = Cargo::new(["build", "--release", "--package", package, "--example", example]);
        build.succeed(&format!("`{example}` does not build: see cargo's messages above"))?;
    }
    let folder = target().join("gpu");
    fs::create_dir_all(&folder).map_err(|error| unwritten(&folder, &error))?;
    let release = target().join("release");
    stripped(&release.join("gan"), &folder.join("gan"))?;
    for (_, example) in EXAMPLES {
        stripped(&release.join("examples").join(example), &folder.join(example))?;
    }
    let benches = root().join("benches");
    for script in ["gpu/run.py", "peers/torch_step.py", "peers/networks.py"] {
        let from = benches.join(script);
        let to = folder.join(from.file_name().unwrap_or_default());
        fs::copy(&from, &to).map_err(|error| unwritten(&to, &error))?;
    }
    // PyTorch's side reads every setting and layer of a preset.
    for preset in
        fs::read_dir(root().join("crates/gan-train/presets")).map_err(|error| unwritten(&folder, &error))?.flatten()
    {
        let Some(name) = preset.path().file_stem().map(|name| name.to_string_lossy().into_owned()) else { continue };
        let shown = Command::new(folder.join("gan")).args(["preset", "show", &name, "--full"]).output();
        let shown = shown.map_err(|error| Fault::failed(format!("`gan preset show {name}`: {error}")))?;
        let to = folder.join(format!("{name}.toml"));
        fs::write(&to, shown.stdout).map_err(|error| unwritten(&to, &error))?;
    }
    let size: u64 = fs::read_dir(&folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|file| Some(file.metadata().ok()?.len()))
        .sum();
    println!(
        "{}: {:.0} MB to carry to the machine with the GPU. There, `python3 run.py` takes at most 8 minutes; it writes gpu.json and gpu.md \
         into the folder that OUT names, or beside itself.",
        folder.display(),
        size as f64 / 1e6
    );
    Ok(ExitCode::SUCCESS)
}

/// Copies a program without its debug information.
fn stripped(from: &Path, to: &Path) -> Result<(), Fault> {
    let done = Command::new("strip").arg(from).arg("-o").arg(to).status();
    match done {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Fault::failed(format!("strip {}: {status}", from.display()))),
        Err(error) => Err(Fault::failed(format!("cannot start strip, which is part of binutils: {error}"))),
    }
}

fn unwritten(path: &Path, error: &std::io::Error) -> Fault {
    Fault::failed(format!("cannot write {}: {error}", path.display()))
}
