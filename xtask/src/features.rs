//! `cargo xtask check-features`, `check-metal`, `check-cuda`: compile what the README names, even where it cannot run.
//!
//! CUDA's compiler and libraries come from the Python package index into a virtual environment below the target folder, unless `nvcc` is
//! on the path. The driver's library exists only beside a GPU: a stub with the names of its functions is enough to link.

use crate::cargo::{Cargo, on_path, program, target};
use crate::{Fault, Outcome};
use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Combinations of features that the README names and this system can compile; CUDA and Metal have their own commands.
const COMBINATIONS: [&str; 4] = ["", "allocator", "hub", "allocator,hub,mpi"];

/// Parts of CUDA 13.0 that candle's build needs. NCCL has the version of the bindings, or a later one.
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

/// Names of the libraries that are linked, without `lib` and version.
const LIBRARIES: [&str; 6] = ["cublas", "cublasLt", "curand", "nvrtc", "cudart", "nccl"];

const METAL_TARGET: &str = "aarch64-apple-darwin";

/// Compiles each combination of features.
pub fn all() -> Outcome {
    for features in COMBINATIONS {
        if features.contains("mpi") && on_path("mpicc").is_none() {
            println!("xtask check-features: no mpicc here: `{features}` is NOT checked");
            continue;
        }
        let named: Vec<String> =
            features.split(',').filter(|f| !f.is_empty()).map(|f| format!("gan-cli/{f}")).collect();
        // With the whole workspace, so that one build of the dependencies serves all.
        let check = ["check", "--release", "--workspace", "--no-default-features", "--features", &named.join(",")];
        compile(&Cargo::new(check))?;
    }
    println!("xtask check-features: all compile");
    Ok(ExitCode::SUCCESS)
}

/// Compiles Metal, for a Mac's processor.
pub fn metal() -> Outcome {
    program(Command::new("rustup").args(["target", "add", METAL_TARGET]))?;
    compile(&Cargo::new(["check", "-p", "gan-cli", "--features", "metal", "--target", METAL_TARGET]))?;
    println!("xtask check-metal: compiles");
    Ok(ExitCode::SUCCESS)
}

/// Compiles and links CUDA with NCCL, and the tests that a machine with a GPU runs (`GAN_TEST_DEVICE=cuda`).
pub fn cuda() -> Outcome {
    let here = target().join("cuda");
    create(&here)?;
    let build = Cargo::new(["test", "--no-run", "--release", "--workspace", "--features", "gan-cli/nccl"]);
    let build = build.args(["--target-dir".as_ref(), here.join("target").as_os_str()]);
    compile(&if on_path("nvcc").is_some() { build } else { with_packages(build, &here)? })?;
    println!("xtask check-cuda: compiles and links, into {}", here.join("target/release").display());
    Ok(ExitCode::SUCCESS)
}

fn compile(cargo: &Cargo) -> Result<(), Fault> {
    cargo.succeed(&format!("does not compile: {cargo}"))
}

fn create(folder: &Path) -> Result<(), Fault> {
    fs::create_dir_all(folder).map_err(failed(folder))
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> Fault {
    move |error| Fault::failed(format!("{}: {error}", path.display()))
}

/// Adds CUDA from the package index.
fn with_packages(build: Cargo, here: &Path) -> Result<Cargo, Fault> {
    let venv = here.join("venv");
    let links = here.join("lib");
    if !venv.join("bin/pip").is_file() {
        program(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    }
    program(Command::new(venv.join("bin/pip")).args(["install", "--quiet", "--no-deps"]).args(PACKAGES))?;
    let packages = below(&venv.join("lib"), "python3")?.join("site-packages/nvidia");
    let cuda = packages.join("cu13");
    create(&links)?;
    for name in LIBRARIES {
        let folder = if name == "nccl" { packages.join("nccl/lib") } else { cuda.join("lib") };
        let from = below(&folder, &format!("lib{name}.so."))?;
        fs::copy(&from, links.join(format!("lib{name}.so"))).map_err(failed(&from))?;
    }
    stub(&links)?;
    let path = env::var("PATH").unwrap_or_default();
    let at = |path: &Path| path.to_string_lossy().into_owned();
    let homes = ["CUDA_HOME", "CUDA_PATH", "CUDA_ROOT", "CUDA_TOOLKIT_ROOT_DIR"];
    let build = homes.into_iter().fold(build, |build, name| build.with(name, at(&cuda)));
    let build = build.with("PATH", format!("{}:{path}", at(&cuda.join("bin"))));
    let build = build.with("NVCC", at(&cuda.join("bin/nvcc"))).with("CUDA_COMPUTE_CAP", "80");
    Ok(build.with("LIBRARY_PATH", at(&links)))
}

/// Returns the first entry of `folder` whose name begins with `start`.
fn below(folder: &Path, start: &str) -> Result<PathBuf, Fault> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let found = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(start));
    let missing = || Fault::failed(format!("{}: there is no {start}…", folder.display()));
    found.map(|entry| entry.path()).min().ok_or_else(missing)
}

/// Builds a library with the names of the driver's functions, which are read from the bindings that cargo has fetched.
fn stub(links: &Path) -> Result<(), Fault> {
    Cargo::new(["fetch", "--locked"]).succeed("cargo fetch: the dependencies cannot be fetched")?;
    let home = || Some(PathBuf::from(env::var_os("HOME")?).join(".cargo"));
    let cargo = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(home).unwrap_or_default();
    let registry = below(&cargo.join("registry/src"), "index")?;
    let bindings = below(&registry, "cudarc-")?.join("src/driver/sys/mod.rs");
    let text = fs::read_to_string(&bindings).map_err(failed(&bindings))?;
    let source: String = functions(&text).iter().map(|name| format!("void {name}(void) {{}}\n")).collect();
    let file = links.join("cuda.c");
    fs::write(&file, source).map_err(failed(&file))?;
    let options = ["-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", "-o"];
    program(Command::new("cc").args(options).arg(links.join("libcuda.so")).arg(&file))
}

/// Returns the functions called `cu…` that bindings declare.
fn functions(bindings: &str) -> BTreeSet<String> {
    let names = bindings.split("fn cu").skip(1).filter(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()));
    let name =
        |rest: &str| rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().map(|n| format!("cu{n}"));
    names.filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn driver_functions_are_listed_once() {
        let text = "pub fn cuInit(flags: u32); pub unsafe fn cuMemAlloc_v2(x: T); fn custom(); pub fn cuInit(f: u32);";
        assert_eq!(functions(text).into_iter().collect::<Vec<_>>(), ["cuInit", "cuMemAlloc_v2"]);
    }
}
