//! SHA-256 as the rest of this crate uses it.

use std::fmt;

use aws_lc_rs::digest;

/// A hash under way.
#[derive(Clone)]
pub(crate) struct Sha256(digest::Context);

impl Sha256 {
    pub(crate) fn new() -> Sha256 {
        Sha256(digest::Context::new(&digest::SHA256))
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.0.update(bytes);
        }
    }

    /// In the form in which signatures take it.
    pub(crate) fn digest(self) -> digest::Digest {
        self.0.finish()
    }

    pub(crate) fn finish(self) -> [u8; 32] {
        array(&self.0.finish())
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sha256")
    }
}

/// The hash of a few octets.
#[cfg(test)]
pub(crate) fn of(bytes: &[u8]) -> [u8; 32] {
    array(&digest::digest(&digest::SHA256, bytes))
}

fn array(digest: &digest::Digest) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest.as_ref());
    out
}
