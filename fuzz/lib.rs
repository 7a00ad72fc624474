//! Shared parts of the programs: a counting allocator and libFuzzer's entry point.

pub use gan_kernels::process::Counting;
pub use libfuzzer_sys;

/// The allocator refuses more than this, so that a fuzzer cannot exhaust the machine.
pub const LIMIT: usize = 6 << 30;

/// Defines the program that fuzzes one target.
#[macro_export]
macro_rules! program {
    ($target:expr) => {
        #[global_allocator]
        static MEMORY: $crate::Counting = $crate::Counting::within($crate::LIMIT);

        $crate::libfuzzer_sys::fuzz_target!(|input: &[u8]| gan_fuzz::bound::check(&$target, input, &MEMORY));
    };
}
