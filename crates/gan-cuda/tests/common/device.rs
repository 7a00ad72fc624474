//! A device for tests: doubles of NVIDIA's libraries, built by g++, in place of a GPU.

use gan_cuda::{Cuda, Products};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock};

/// The device, for one test at a time: what another test queued during a capture would be recorded too.
pub struct Device {
    cuda: Cuda,
    _turn: MutexGuard<'static, ()>,
}

impl Deref for Device {
    type Target = Cuda;

    fn deref(&self) -> &Cuda {
        &self.cuda
    }
}

/// Returns a device: the doubles, or with `GAN_TEST_DEVICE=cuda` the real one; `None`, with a printed reason, where there is no g++.
pub fn device(products: Products) -> Option<Device> {
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(|e| e.into_inner());
    static DEVICE: OnceLock<Option<Cuda>> = OnceLock::new();
    let cuda = DEVICE.get_or_init(|| {
        if std::env::var("GAN_TEST_DEVICE").as_deref() != Ok("cuda") {
            assert!(gan_cuda::look_in(vec![doubles()?]), "the libraries were looked for before");
        }
        Some(Cuda::open(0, Products::F32).unwrap())
    });
    Some(Device { cuda: cuda.as_ref()?.with_products(products), _turn: turn })
}

/// Builds the doubles, and returns their folder.
fn doubles() -> Option<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../gan-cuda/tests/doubles");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("doubles-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    for (text, library, short) in [
        ("driver.cpp", "libcuda.so.1", "libcuda.so"),
        ("cudnn.cpp", "libcudnn.so.9", "libcudnn.so"),
        ("cublas.cpp", "libcublas.so.13", "libcublas.so"),
    ] {
        let mut compiler = Command::new("g++");
        // The short name is the first that cudarc asks the loader for.
        compiler.args(["-std=c++17", "-O2", "-w", "-shared", "-fPIC"]).arg(format!("-Wl,-soname,{short}"));
        compiler.arg(source.join(text)).arg("-o").arg(folder.join(library));
        match compiler.status() {
            Ok(status) => assert!(status.success(), "g++ {text}: {status}"),
            Err(error) => {
                println!("skipped: the doubles of NVIDIA's libraries need g++: {error}");
                return None;
            }
        }
    }
    Some(folder)
}
