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

/// Memory of the doubles without a limit.
#[allow(dead_code, reason = "few tests need it")]
pub const NO_LIMIT: usize = 1 << 33;

#[allow(dead_code, reason = "few tests need them")]
impl Device {
    /// Limits the memory of the doubles, and the number of launches after which the device is lost, from now on. Returns whether these are the
    /// doubles.
    pub fn limit(&self, memory: usize, launches: Option<u64>) -> bool {
        let launches = launches.map_or("-1".into(), |n| n.to_string());
        self.control(&format!("{memory} {launches} 0"))
    }

    /// Makes the doubles run the last block and thread of each kernel first, or the first. Returns whether these are the doubles.
    pub fn reverse(&self, reversed: bool) -> bool {
        self.control(&format!("{NO_LIMIT} -1 {}", i32::from(reversed)))
    }

    fn control(&self, limits: &str) -> bool {
        let is_double = self.name() == "double";
        if is_double {
            std::fs::write(folder().join("limits"), limits).unwrap();
            // The driver reads them now.
            self.memory();
        }
        is_double
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

/// Returns the folder of this process's doubles.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("doubles-{}", std::process::id()))
}

/// Builds the doubles, with the options of `GAN_DOUBLE_FLAGS` too, and returns their folder.
fn doubles() -> Option<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../gan-cuda/tests/doubles/build.sh");
    if Command::new("g++").arg("--version").output().is_err() {
        println!("skipped: the doubles of NVIDIA's libraries need g++");
        return None;
    }
    let flags = std::env::var("GAN_DOUBLE_FLAGS").unwrap_or_default();
    let built = Command::new("sh").arg(script).arg(folder()).args(flags.split_whitespace()).status().unwrap();
    assert!(built.success(), "the doubles of NVIDIA's libraries: {built}");
    Some(folder())
}
