//! The target `idx_gz` for libFuzzer.

#![no_main]

gan_fuzz_targets::program!(gan_fuzz::targets::idx_gz::TARGET);
