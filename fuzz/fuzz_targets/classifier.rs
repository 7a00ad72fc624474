//! The target `classifier` for libFuzzer.

#![no_main]

gan_fuzz_targets::program!(gan_fuzz::targets::classifier::TARGET);
