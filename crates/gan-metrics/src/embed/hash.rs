//! SHA-256 of weights, as text.

use sha2::{Digest, Sha256};

/// The SHA-256 of `bytes`: 64 hexadecimal digits.
pub fn of_bytes(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
