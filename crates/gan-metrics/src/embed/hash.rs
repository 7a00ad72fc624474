//! SHA-256 of weights, as text.

use sha2::{Digest, Sha256};

/// The SHA-256 of `bytes`: 64 hexadecimal digits.
pub fn of_bytes(bytes: &[u8]) -> String {
    finished(Sha256::new_with_prefix(bytes))
}

/// The hash of everything that `hasher` was given: 64 hexadecimal digits.
pub fn finished(hasher: Sha256) -> String {
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
