//! A password in memory. Never printed, compared in constant time, overwritten when dropped as far
//! as safe code can do it (a `String` it was copied from is the caller's matter).

use std::fmt;

use subtle::ConstantTimeEq;

/// A password or token. `Debug` shows nothing of it, and there is no `Display` and no `Clone`.
pub struct Secret(Vec<u8>);

impl Secret {
    /// Takes the text over without a copy, so that dropping the secret clears the only one.
    pub fn new(text: String) -> Self {
        Secret(text.into_bytes())
    }

    /// The same of octets that are no text.
    pub(crate) fn of_bytes(bytes: Vec<u8>) -> Self {
        Secret(bytes)
    }

    /// The octets themselves.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text itself. Every use of this method is a place where a password could leak.
    pub fn expose(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

/// Overwrites the bytes and empties the vector; `black_box` keeps the compiler from seeing that nobody reads the zeros.
pub fn wipe(bytes: &mut Vec<u8>) {
    bytes.fill(0);
    std::hint::black_box(&mut *bytes);
    bytes.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_printed() {
        let secret = Secret::new("hunter2".into());
        assert_eq!(format!("{secret:?}"), "Secret(***)");
        assert_eq!(secret.expose(), "hunter2");
        assert_eq!(secret, Secret::new("hunter2".into()));
        assert_ne!(secret, Secret::new("hunter3".into()));
    }

    #[test]
    fn clearing_overwrites_and_empties() {
        let mut bytes = b"hunter2".to_vec();
        wipe(&mut bytes);
        assert!(bytes.is_empty());
    }
}
