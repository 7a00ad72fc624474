//! Finding NVIDIA's libraries at run time.
//!
//! The program starts on machines without any of them. They are looked for in the loader's path, then in the folders of `GAN_CUDA_LIBS`
//! (separated like `PATH`), then in the `nvidia/*/lib` folders of a Python environment: that of `VIRTUAL_ENV`, and the one that `python3`
//! in `PATH` belongs to. A library that is found by its absolute path is opened and kept, so that cudarc, which asks the loader for a short
//! name, gets the same one.

use cudarc::{cublas, cudnn, driver};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Libraries that a Python environment splits from those that are needed, and which these open by name.
const BEFORE: [&str; 4] = ["libnvrtc.so.13", "libnvrtc.so.12", "libcublasLt.so.13", "libcublasLt.so.12"];

/// What was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// Version of CUDA that the driver supports, for example 13000.
    pub driver: i32,
    /// Version of cuDNN, for example 91200.
    pub cudnn: usize,
    /// Files that were opened by their absolute paths.
    pub opened: Vec<PathBuf>,
}

/// What is missing.
#[derive(Clone, Debug)]
pub struct Missing {
    /// Names of the missing libraries.
    pub libraries: Vec<&'static str>,
    /// Folders that were searched besides the loader's path.
    pub searched: Vec<PathBuf>,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no usable CUDA: {} not found", self.libraries.join(", "))?;
        if self.libraries.contains(&"libcuda") {
            return write!(f, "; install NVIDIA's driver");
        }
        write!(
            f,
            " in the loader's path or in {} other folders; `pip install nvidia-cudnn-cu13 nvidia-cublas` in a virtual environment and \
             activate it, or name their folders in GAN_CUDA_LIBS",
            self.searched.len()
        )
    }
}

impl std::error::Error for Missing {}

/// Folders in place of those of `GAN_CUDA_LIBS`.
static NAMED: OnceLock<Vec<PathBuf>> = OnceLock::new();

/// Looks for the libraries in these folders instead of those of `GAN_CUDA_LIBS`, from the first search on. Returns whether that is still to
/// come and no other folders were named.
pub fn look_in(folders: Vec<PathBuf>) -> bool {
    NAMED.set(folders).is_ok() && RESULT.get().is_none()
}

static RESULT: OnceLock<Result<Found, Missing>> = OnceLock::new();

/// Looks for the libraries once in a process.
///
/// # Errors
/// If a library is missing.
pub fn probe() -> Result<Found, Missing> {
    RESULT.get_or_init(search).clone()
}

fn search() -> Result<Found, Missing> {
    let folders = folders();
    let mut opened = vec![];
    // SAFETY: only asks the loader.
    let present = |name: &str| unsafe {
        match name {
            "libcuda" => driver::sys::is_culib_present(),
            "libcublas" => cublas::sys::is_culib_present(),
            _ => cudnn::sys::is_culib_present(),
        }
    };
    let needed = [
        ("libcuda", &["libcuda.so.1"][..]),
        ("libcublas", &["libcublas.so.13", "libcublas.so.12"]),
        ("libcudnn", &["libcudnn.so.9"]),
    ];
    let mut missing = vec![];
    for (name, files) in needed {
        // A folder that was named wins over the loader's path.
        let named = !named().is_empty();
        if !named && present(name) {
            continue;
        }
        if name == "libcublas" {
            // Those of another version than the loader's cuBLAS would not fit it, so they are only opened with their own.
            for file in BEFORE {
                opened.extend(open(&folders, file));
            }
        }
        let found = files.iter().find_map(|file| open(&folders, file));
        if found.is_none() && !present(name) {
            missing.push(name);
        }
        opened.extend(found);
    }
    if !missing.is_empty() {
        return Err(Missing { libraries: missing, searched: folders });
    }
    let mut version = 0;
    // SAFETY: the libraries are present, and the version has a place.
    let cudnn = unsafe {
        let _ = driver::sys::cuDriverGetVersion(&raw mut version);
        cudnn::sys::cudnnGetVersion()
    };
    Ok(Found { driver: version, cudnn, opened })
}

/// Opens the first `folders/file` that exists, for the rest of the process.
fn open(folders: &[PathBuf], file: &str) -> Option<PathBuf> {
    let path = folders.iter().map(|folder| folder.join(file)).find(|path| path.exists())?;
    #[cfg(unix)]
    use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
    // SAFETY: NVIDIA's libraries may be opened at any time.
    #[cfg(unix)]
    let library = unsafe { Library::open(Some(&path), RTLD_NOW | RTLD_GLOBAL) }.ok()?;
    // SAFETY: as above.
    #[cfg(not(unix))]
    let library = unsafe { libloading::Library::new(&path) }.ok()?;
    std::mem::forget(library);
    Some(path)
}

/// Returns the folders that were named.
fn named() -> Vec<PathBuf> {
    let by_environment = || std::env::var_os("GAN_CUDA_LIBS").map(|all| std::env::split_paths(&all).collect());
    NAMED.get().cloned().or_else(by_environment).unwrap_or_default()
}

/// Returns the folders to search besides the loader's path.
fn folders() -> Vec<PathBuf> {
    let mut found = named();
    let mut prefixes = vec![];
    prefixes.extend(std::env::var_os("VIRTUAL_ENV").map(PathBuf::from));
    let path = std::env::var_os("PATH").unwrap_or_default();
    for folder in std::env::split_paths(&path) {
        let python = folder.join("python3");
        if !python.exists() {
            continue;
        }
        // An environment's own folder comes before that of the interpreter that it links to.
        prefixes.extend(folder.parent().map(Path::to_path_buf));
        if let Ok(target) = python.canonicalize() {
            prefixes.extend(target.parent().and_then(Path::parent).map(Path::to_path_buf));
        }
    }
    for prefix in prefixes {
        for base in ["lib", "lib64", "local/lib"] {
            for python in children(&prefix.join(base), "python3") {
                for packages in ["site-packages", "dist-packages"] {
                    found
                        .extend(children(&python.join(packages).join("nvidia"), "").into_iter().map(|p| p.join("lib")));
                }
            }
        }
    }
    let mut unique: Vec<PathBuf> = vec![];
    found.into_iter().filter(|p| p.is_dir()).for_each(|p| {
        if !unique.contains(&p) {
            unique.push(p);
        }
    });
    unique
}

/// Returns the folder's entries whose names begin with `start`, in order.
fn children(folder: &Path, start: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return vec![] };
    let named = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(start));
    let mut all: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(named).collect();
    all.sort();
    all
}
