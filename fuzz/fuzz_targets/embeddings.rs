//! The target `embeddings` for libFuzzer.

#![no_main]

gan_fuzz_targets::program!(gan_fuzz::targets::embeddings::TARGET);
