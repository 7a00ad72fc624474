//! `cargo xtask check-features`, `check-metal`, `check-cuda`: that what the README names compiles, also where it cannot run.
//!
//! CUDA's compiler and libraries come from the Python package index into a virtual environment below the target folder, unless `nvcc` is
//! on the path. The driver's library is there only beside a GPU: a stub with its functions' names is enough to link.

use crate::cargo::Cargo;
use crate::fault::{Fault, Outcome};
use crate::mpi::{on_path, program};
use crate::workspace;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Every combination that the README names and this system can compile; CUDA's and Metal's have commands of their own.
const COMBINATIONS: [&str; 4] = ["", "hub", "mpi", "hub,mpi"];

/// What candle's build takes of CUDA 13.0. NCCL is of the version that the bindings are for, or later.
const PACKAGES: [&str; 9] = [
    "nvidia-cuda-nvcc==13.0.88",
    "nvidia-cuda-crt==13.0.88",
    "nvidia-nvvm==13.0.88",
    "nvidia-cuda-cccl==13.0.85",
    "nvidia-cuda-runtime==13.0.96",
    "nvidia-curand==10.4.0.35",
    "nvidia-cuda-nvrtc==13.0.88",
    "nvidia-cublas==13.1.0.3",
    "nvidia-nccl-cu13==2.32.3",
];

/// Libraries that are linked, by their names without `lib` and version.
const LIBRARIES: [&str; 6] = ["cublas", "cublasLt", "curand", "nvrtc", "cudart", "nccl"];

const METAL_TARGET: &str = "aarch64-apple-darwin";

/// Each combination of features.
pub fn all() -> Outcome {
    for features in COMBINATIONS {
        if features.contains("mpi") && on_path("mpicc").is_none() {
            println!("xtask check-features: no mpicc here: `{features}` is NOT checked");
            continue;
        }
        // Beside everything, so that one build of the dependencies serves all.
        let check = Cargo::new(["check", "--release", "--workspace"]);
        let named: Vec<String> =
            features.split(',').filter(|f| !f.is_empty()).map(|f| format!("gan-cli/{f}")).collect();
        let check = if named.is_empty() { check } else { check.args(["--features", &named.join(",")]) };
        passed(&check)?;
    }
    println!("xtask check-features: all compile");
    Ok(ExitCode::SUCCESS)
}

/// Metal, for a Mac's processor.
pub fn metal() -> Outcome {
    program(Command::new("rustup").args(["target", "add", METAL_TARGET]))?;
    passed(&Cargo::new(["check", "-p", "gan-cli", "--features", "metal", "--target", METAL_TARGET]))?;
    println!("xtask check-metal: compiles");
    Ok(ExitCode::SUCCESS)
}

/// CUDA with NCCL: compiled and linked, with the tests that a machine with a GPU would run (`GAN_TEST_DEVICE=cuda`).
pub fn cuda() -> Outcome {
    let here = workspace::target().join("cuda");
    fs::create_dir_all(&here).map_err(|error| Fault::failed(format!("{}: {error}", here.display())))?;
    let build = Cargo::new(["test", "--no-run", "--release", "--workspace", "--features", "gan-cli/nccl"]);
    let build = build.args(["--target-dir".as_ref(), here.join("target").as_os_str()]);
    if on_path("nvcc").is_some() {
        passed(&build)?;
    } else {
        passed(&with_packages(build, &here)?)?;
    }
    println!("xtask check-cuda: compiles and links, into {}", here.join("target/release").display());
    Ok(ExitCode::SUCCESS)
}

fn passed(cargo: &Cargo) -> Result<(), Fault> {
    if cargo.run()? { Ok(()) } else { Err(Fault::failed(format!("does not compile: {cargo}"))) }
}

/// With CUDA from the package index.
fn with_packages(build: Cargo, here: &Path) -> Result<Cargo, Fault> {
    let (venv, links) = (here.join("venv"), here.join("lib"));
    if !venv.join("bin/pip").is_file() {
        program(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    }
    program(Command::new(venv.join("bin/pip")).args(["install", "--quiet", "--no-deps"]).args(PACKAGES))?;
    let packages = below(&venv.join("lib"), "python3")?.join("site-packages/nvidia");
    let cuda = packages.join("cu13");
    fs::create_dir_all(&links).map_err(|error| Fault::failed(format!("{}: {error}", links.display())))?;
    for name in LIBRARIES {
        let folder = if name == "nccl" { packages.join("nccl/lib") } else { cuda.join("lib") };
        let (from, to) = (below(&folder, &format!("lib{name}.so."))?, links.join(format!("lib{name}.so")));
        fs::copy(&from, &to).map_err(|error| Fault::failed(format!("{}: {error}", from.display())))?;
    }
    stub(&links)?;
    let path = std::env::var("PATH").unwrap_or_default();
    let at = |path: &Path| path.to_string_lossy().into_owned();
    let homes = ["CUDA_HOME", "CUDA_PATH", "CUDA_ROOT", "CUDA_TOOLKIT_ROOT_DIR"];
    let build = homes.into_iter().fold(build, |build, name| build.with(name, at(&cuda)));
    let build =
        build.with("PATH", format!("{}:{path}", at(&cuda.join("bin")))).with("NVCC", at(&cuda.join("bin/nvcc")));
    Ok(build.with("CUDA_COMPUTE_CAP", "80").with("LIBRARY_PATH", at(&links)))
}

/// The entry of `folder` whose name begins so.
fn below(folder: &Path, start: &str) -> Result<PathBuf, Fault> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| named(path, start)).collect();
    found.sort();
    found.into_iter().next().ok_or_else(|| Fault::failed(format!("{}: there is no {start}…", folder.display())))
}

fn named(path: &Path, start: &str) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(start))
}

/// A library with the names of the driver's functions, which come from the bindings that cargo has fetched.
fn stub(links: &Path) -> Result<(), Fault> {
    let cargo = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo = cargo.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo"))).unwrap_or_default();
    if !Cargo::new(["fetch", "--locked"]).run()? {
        return Err(Fault::failed("cargo fetch: the dependencies cannot be had"));
    }
    let registry = below(&cargo.join("registry/src"), "index")?;
    let bindings = below(&registry, "cudarc-")?.join("src/driver/sys/mod.rs");
    let text =
        fs::read_to_string(&bindings).map_err(|error| Fault::failed(format!("{}: {error}", bindings.display())))?;
    let mut source = String::new();
    for name in functions(&text) {
        writeln!(source, "void {name}(void) {{}}").expect("a string takes all");
    }
    let file = links.join("cuda.c");
    fs::write(&file, source).map_err(|error| Fault::failed(format!("{}: {error}", file.display())))?;
    let options = ["-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", "-o"];
    program(Command::new("cc").args(options).arg(links.join("libcuda.so")).arg(&file))
}

/// The functions called `cu…` that bindings declare, each once.
fn functions(bindings: &str) -> Vec<&str> {
    let mut names: Vec<&str> = bindings
        .split("fn cu")
        .skip(1)
        .filter(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()))
        .map(|rest| {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            // With the two letters that it was split at.
            let start = rest.as_ptr() as usize - bindings.as_ptr() as usize - 2;
            &bindings[start..start + 2 + end]
        })
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_drivers_functions_are_found_once() {
        let text = "pub fn cuInit(flags: u32); pub unsafe fn cuMemAlloc_v2(x: T); fn custom(); pub fn cuInit(f: u32);";
        assert_eq!(functions(text), ["cuInit", "cuMemAlloc_v2"]);
    }
}
