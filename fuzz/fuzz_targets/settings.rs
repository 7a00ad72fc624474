//! The target `settings` for libFuzzer.

#![no_main]

gan_fuzz_targets::program!(gan_fuzz::targets::settings::TARGET);
