//! Secrets that must be read again (passwords of other servers, keys that sign), sealed with a key that is not in the
//! database: whoever has the database, or a backup of it, does not have them.
//!
//! The key is a file of 32 random octets, readable by the server's user alone. Nodes that share a PostgreSQL share the
//! file, too. Secrets that only must be compared are never here: they are hashed. A key is never changed or replaced by
//! this module; a missing file is made, and what was sealed with a lost one stays closed.
//!
//! Sealed octets: version (1), name of the key (4), nonce (12), AES-256-GCM ciphertext, tag (16); NIST SP 800-38D. The
//! purpose, the version and the key's name are authenticated with it.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};

use crate::{Error, Result};

/// Seals and unseals with the key of one file. Clones share it.
#[derive(Clone)]
pub struct Sealer {
    key: Arc<RandomizedNonceKey>,
    name: [u8; NAME_LEN],
    path: PathBuf,
}

impl Sealer {
    /// Reads the key file, or makes it: 32 random octets, mode 0600, on disk before this returns. Of several processes
    /// that begin together all get the same key.
    ///
    /// Errors: `ReadOnly` or `Unavailable` when the file can be neither read nor made, `Settings` when it has another
    /// length or others may read it.
    pub fn open(path: &Path) -> Result<Sealer> {
        match read(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => make(path)?,
            Ok(_) | Err(_) => {}
        }
        let (octets, mode) = read(path).map_err(|error| unavailable(path, &error))?;
        if mode & 0o077 != 0 {
            return Err(Error::Settings(format!(
                "the key file {} can be read by others: take that away with `chmod 600`",
                path.display()
            )));
        }
        let octets: [u8; KEY_LEN] = octets.try_into().map_err(|_| {
            Error::Settings(format!("the key file {} does not hold {KEY_LEN} octets: restore it", path.display()))
        })?;
        Sealer::of_key(&octets, path)
    }

    fn of_key(octets: &[u8; KEY_LEN], path: &Path) -> Result<Sealer> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, octets)
            .map_err(|_| Error::Bug("a key of AES-256 has 32 octets".into()))?;
        let hash = blake3::derive_key("postroad 2026 name of a sealing key", octets);
        let mut name = [0; NAME_LEN];
        name.copy_from_slice(&hash[..NAME_LEN]);
        Ok(Sealer { key: Arc::new(key), name, path: path.to_owned() })
    }

    /// Seals a secret for one purpose, such as `ntlm:account:17`: it opens for no other.
    #[allow(clippy::missing_panics_doc)]
    pub fn seal(&self, purpose: &str, plain: &[u8]) -> Vec<u8> {
        let mut text = plain.to_vec();
        let nonce = self
            .key
            .seal_in_place_append_tag(Aad::from(self.bound(purpose)), &mut text)
            .expect("AES-GCM seals what fits in memory, with randomness that the system gives");
        let mut sealed = Vec::with_capacity(HEAD_LEN + text.len());
        sealed.push(VERSION);
        sealed.extend_from_slice(&self.name);
        sealed.extend_from_slice(nonce.as_ref());
        sealed.extend_from_slice(&text);
        sealed
    }

    /// What was sealed for this purpose.
    ///
    /// Errors: `Settings` when it was sealed with the key of another file (the message says which file is in use),
    /// `Corrupt` when it was sealed for another purpose or was changed.
    pub fn unseal(&self, purpose: &str, sealed: &[u8]) -> Result<Vec<u8>> {
        let damaged = || Error::Corrupt(format!("what was sealed for {purpose} cannot be opened"));
        let (head, text) = sealed.split_at_checked(HEAD_LEN).ok_or_else(damaged)?;
        if head[0] != VERSION {
            return Err(damaged());
        }
        if head[1..=NAME_LEN] != self.name {
            return Err(Error::Settings(format!(
                "what was sealed for {purpose} was sealed with another key than that in {}: all nodes need the same key \
                 file, and a restored server the one of its backup's time",
                self.path.display()
            )));
        }
        let nonce = Nonce::try_assume_unique_for_key(&head[1 + NAME_LEN..]).map_err(|_| damaged())?;
        let mut text = text.to_vec();
        let length =
            self.key.open_in_place(nonce, Aad::from(self.bound(purpose)), &mut text).map_err(|_| damaged())?.len();
        text.truncate(length);
        Ok(text)
    }

    /// What is authenticated beside the secret.
    fn bound(&self, purpose: &str) -> Vec<u8> {
        [&[VERSION][..], &self.name, purpose.as_bytes()].concat()
    }
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealer({})", self.path.display())
    }
}

/// The octets of a key file, no more than tell that there are too many, and its mode.
fn read(path: &Path) -> std::io::Result<(Vec<u8>, u32)> {
    let file = File::open(path)?;
    let mode = file.metadata()?.permissions().mode();
    let mut octets = Vec::with_capacity(KEY_LEN + 1);
    file.take(KEY_LEN as u64 + 1).read_to_end(&mut octets)?;
    Ok((octets, mode))
}

/// Makes a key file. A half-written one is never under the name, and one that another process made meanwhile stays.
fn make(path: &Path) -> Result<()> {
    let mut octets = [0; KEY_LEN + 8];
    getrandom::fill(&mut octets).map_err(|error| Error::Unavailable(format!("no randomness: {error}")))?;
    let (key, suffix) = octets.split_at(KEY_LEN);
    let suffix = suffix.iter().fold(0u64, |number, octet| number << 8 | u64::from(*octet));
    let fresh = path.with_file_name(format!(".secret-key-{suffix:016x}"));
    let made = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
        file.write_all(key)?;
        file.sync_all()?;
        match std::fs::hard_link(&fresh, path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()
    })();
    // Whatever became of it, the name it was written under goes.
    let _ = std::fs::remove_file(&fresh);
    made.map_err(|error| unavailable(path, &error))
}

fn unavailable(path: &Path, error: &std::io::Error) -> Error {
    let text = format!("the key file {}: {error}", path.display());
    match error.kind() {
        ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => Error::ReadOnly(text),
        ErrorKind::StorageFull => Error::Full(text),
        _ => Error::Unavailable(text),
    }
}

const VERSION: u8 = 1;
/// Octets of a key file.
const KEY_LEN: usize = 32;
/// Octets that tell keys apart.
const NAME_LEN: usize = 4;
/// What stands before the ciphertext.
const HEAD_LEN: usize = 1 + NAME_LEN + NONCE_LEN;

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a folder")
    }

    #[test]
    fn what_was_sealed_opens_for_its_purpose_with_its_key() {
        let folder = folder();
        let path = folder.path().join("secret.key");
        let sealer = Sealer::open(&path).expect("made");
        let again = Sealer::open(&path).expect("read");
        for plain in [&b""[..], b"hunter2", &[0; 5000]] {
            let sealed = sealer.seal("ntlm:account:17", plain);
            assert_eq!(again.unseal("ntlm:account:17", &sealed).expect("opens"), plain);
            assert!(matches!(sealer.unseal("ntlm:account:18", &sealed), Err(Error::Corrupt(_))));
            assert_ne!(sealed, sealer.seal("ntlm:account:17", plain), "never the same octets twice");
        }
        let other = Sealer::open(&folder.path().join("other.key")).expect("made");
        let sealed = other.seal("a", b"secret");
        assert!(matches!(sealer.unseal("a", &sealed), Err(Error::Settings(text)) if text.contains("secret.key")));
    }

    #[test]
    fn each_octet_counts() {
        let folder = folder();
        let sealer = Sealer::open(&folder.path().join("secret.key")).expect("made");
        let sealed = sealer.seal("a", b"secret");
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            assert!(sealer.unseal("a", &changed).is_err(), "octet {place}");
            assert!(sealer.unseal("a", &sealed[..place]).is_err(), "cut at {place}");
        }
    }

    #[test]
    fn a_key_file_is_its_owners_alone_and_whole() {
        let folder = folder();
        let path = folder.path().join("secret.key");
        Sealer::open(&path).expect("made");
        let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).expect("readable").count(), 1, "nothing else is left");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).expect("allowed");
        assert!(matches!(Sealer::open(&path), Err(Error::Settings(_))));
        for wrong in [0, 31, 33, 5000] {
            std::fs::write(&path, vec![7; wrong]).expect("written");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("allowed");
            assert!(matches!(Sealer::open(&path), Err(Error::Settings(_))), "{wrong}");
        }
        assert!(Sealer::open(&folder.path().join("no/secret.key")).is_err());
    }

    #[test]
    fn processes_that_begin_together_have_one_key() {
        let folder = folder();
        let path = folder.path().join("secret.key");
        let sealers: Vec<Sealer> = std::thread::scope(|scope| {
            let begun: Vec<_> = (0..8).map(|_| scope.spawn(|| Sealer::open(&path).expect("a key"))).collect();
            begun.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        let sealed = sealers[0].seal("a", b"secret");
        assert!(sealers.iter().all(|sealer| sealer.unseal("a", &sealed).is_ok()));
    }
}
