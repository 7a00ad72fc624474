//! The target `import` for libFuzzer.

#![no_main]

gan_fuzz_targets::program!(gan_fuzz::targets::import::TARGET);
