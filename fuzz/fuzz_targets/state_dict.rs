//! The target `state_dict` for libFuzzer.

#![no_main]

gan_fuzz_targets::program!(gan_fuzz::targets::state_dict::TARGET);
