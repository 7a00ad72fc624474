//! What the programs have in common: an allocator that counts, and libFuzzer's entry.

pub use gan_kernels::process::Counting;
pub use libfuzzer_sys;

/// Beyond this the allocator refuses, so that a fuzzer cannot exhaust the machine.
pub const LIMIT: usize = 6 << 30;

/// The program that fuzzes one target.
#[macro_export]
macro_rules! program {
    ($target:expr) => {
        #[global_allocator]
        static MEMORY: $crate::Counting = $crate::Counting::within($crate::LIMIT);

        $crate::libfuzzer_sys::fuzz_target!(|input: &[u8]| gan_fuzz::bound::check(&$target, input, &MEMORY));
    };
}
