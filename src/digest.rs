//! SHA-256 in hexadecimal, for people and file names.

use sha2::{Digest, Sha256};

/// Returns the SHA-256 of these bytes.
pub(crate) fn sha256(bytes: impl AsRef<[u8]>) -> String {
    hex(&Sha256::digest(bytes))
}

/// Formats bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text += &format!("{byte:02x}");
    }
    text
}
