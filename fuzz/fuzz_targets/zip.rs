//! The target `zip` for libFuzzer.

#![no_main]

gan_fuzz_targets::program!(gan_fuzz::targets::zip::TARGET);
