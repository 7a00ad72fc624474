//! Helpers of this workspace's tests.

use candle_core::Device;
use std::sync::OnceLock;

/// Runs `f`, which must panic, for internal functions with assertions.
///
/// # Panics
/// If `f` does not.
#[track_caller]
pub fn refused(f: impl FnOnce()) {
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).is_err(), "it ran");
}

/// Returns the device in `GAN_TEST_DEVICE` (`cuda`, `metal`), else the CPU: one for the whole process, because candle's tensors of two
/// handles to one GPU cannot be mixed.
///
/// # Panics
/// If the name is unknown or the device cannot be opened: a test that silently ran elsewhere would prove nothing.
pub fn test_device() -> &'static Device {
    static DEVICE: OnceLock<Device> = OnceLock::new();
    DEVICE.get_or_init(|| match std::env::var("GAN_TEST_DEVICE").as_deref() {
        Err(_) | Ok("cpu") => Device::Cpu,
        Ok("cuda") => Device::new_cuda(0).expect("GAN_TEST_DEVICE=cuda"),
        Ok("metal") => Device::new_metal(0).expect("GAN_TEST_DEVICE=metal"),
        Ok(other) => panic!("GAN_TEST_DEVICE={other}: expected cpu, cuda or metal"),
    })
}
