//! Keys shared with a name server, and the files that they come in.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hickory_resolver::proto::rr::TSigner;
use hickory_resolver::proto::rr::rdata::tsig::TsigAlgorithm;

use super::Error;
use crate::resolver::parse as name;

/// A key shared with the server.
#[derive(Clone)]
pub struct Key {
    name: String,
    algorithm: Algorithm,
    secret: Vec<u8>,
}

/// How messages are signed. RFC 8945 §6; those with SHA-1 and MD5 are not offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Algorithm {
    HmacSha256,
    HmacSha384,
    HmacSha512,
}

impl Key {
    /// A key from its parts; `secret` are the octets, not their Base64.
    pub fn new(name: &str, algorithm: Algorithm, secret: Vec<u8>) -> Key {
        Key { name: name.trim_end_matches('.').to_ascii_lowercase(), algorithm, secret }
    }

    /// Reads a key as `tsig-keygen` (BIND) or `keymgr -t` (Knot) write it, or as `ALGORITHM:NAME:BASE64` (`nsupdate -y`).
    pub fn parse(text: &str) -> Result<Key, Error> {
        if text.len() > FILE_MAX {
            return Err(Error::Bad("the key's file is too large to be one".to_owned()));
        }
        let is_comment = |line: &&str| line.starts_with('#') || line.starts_with("//");
        let lines: Vec<&str> =
            text.lines().map(str::trim).filter(|line| !line.is_empty() && !is_comment(line)).collect();
        if let [line] = lines[..]
            && !line.contains(char::is_whitespace)
        {
            let parts: Vec<&str> = line.split(':').collect();
            return match parts[..] {
                [algorithm, name, secret] => Key::of(name, algorithm, secret),
                [name, secret] => Key::of(name, "hmac-sha256", secret),
                _ => Err(Error::Bad("a key on one line is ALGORITHM:NAME:BASE64".to_owned())),
            };
        }
        let between = |symbol: char| symbol.is_whitespace() || "{};\":".contains(symbol);
        let words: Vec<&str> =
            lines.iter().flat_map(|line| line.split(between)).filter(|word| !word.is_empty()).collect();
        let after = |word: &str| words.windows(2).find(|pair| pair[0] == word).map(|pair| pair[1]);
        let missing = |what: &str| Error::Bad(format!("the key's file has no {what}"));
        // Knot writes `key:`, `- id: NAME`, BIND writes `key "NAME"`.
        let name = after("id").or_else(|| after("key")).ok_or_else(|| missing("name"))?;
        let algorithm = after("algorithm").ok_or_else(|| missing("algorithm"))?;
        Key::of(name, algorithm, after("secret").ok_or_else(|| missing("secret"))?)
    }

    fn of(name: &str, algorithm: &str, secret: &str) -> Result<Key, Error> {
        let algorithm = match algorithm.trim_end_matches('.').to_ascii_lowercase().as_str() {
            "hmac-sha256" => Algorithm::HmacSha256,
            "hmac-sha384" => Algorithm::HmacSha384,
            "hmac-sha512" => Algorithm::HmacSha512,
            other => {
                return Err(Error::Bad(format!(
                    "keys for {other} are not used: make one for hmac-sha256 (tsig-keygen, keymgr -t)"
                )));
            }
        };
        let secret =
            STANDARD.decode(secret).map_err(|_| Error::Bad(format!("the secret of the key {name} is not Base64")))?;
        self::name(name).map_err(|_| Error::Bad(format!("{name:?} is no name of a key")))?;
        if secret.is_empty() {
            return Err(Error::Bad(format!("the secret of the key {name} is empty")));
        }
        Ok(Key::new(name, algorithm, secret))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn signer(&self) -> Result<TSigner, Error> {
        let bad = |error: &dyn fmt::Display| Error::Bad(format!("the key {}: {error}", self.name));
        let algorithm = match self.algorithm {
            Algorithm::HmacSha256 => TsigAlgorithm::HmacSha256,
            Algorithm::HmacSha384 => TsigAlgorithm::HmacSha384,
            Algorithm::HmacSha512 => TsigAlgorithm::HmacSha512,
        };
        let name = name(&self.name).map_err(|error| bad(&error))?;
        TSigner::new(self.secret.clone(), algorithm, name, FUDGE).map_err(|error| bad(&error))
    }
}

/// Without the secret.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Key { name, algorithm, secret } = self;
        let bits = secret.len() * 8;
        f.debug_struct("Key").field("name", name).field("algorithm", algorithm).field("bits", &bits).finish()
    }
}

/// Seconds that the clocks may differ. RFC 8945 §10.
pub(super) const FUDGE: u16 = 300;
/// Octets of a file with a key.
const FILE_MAX: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_in_three_forms() {
        let bind = "// made by tsig-keygen\nkey \"Updater.\" {\n\talgorithm hmac-sha256;\n\tsecret \"AAECAw==\";\n};\n";
        let knot =
            "# hmac-sha512:updater:AAECAw==\nkey:\n  - id: updater\n    algorithm: hmac-sha256\n    secret: AAECAw==\n";
        for text in [bind, knot, "hmac-sha256:updater:AAECAw==\n", "updater:AAECAw==", "HMAC-SHA256.:updater.:AAECAw=="]
        {
            let key = Key::parse(text).expect("a key");
            assert_eq!(
                (key.name.as_str(), key.algorithm, &key.secret[..]),
                ("updater", Algorithm::HmacSha256, &[0, 1, 2, 3][..])
            );
            assert!(!format!("{key:?}").contains("secret"), "{key:?}");
        }
        assert_eq!(Key::parse("hmac-sha512:a:AA==").expect("a key").algorithm, Algorithm::HmacSha512);
        for (text, why) in [
            ("", "no name"),
            ("hmac-md5:a:AA==", "hmac-sha256"),
            ("hmac-sha256:a:!!", "Base64"),
            ("hmac-sha256:a:", "empty"),
            ("hmac-sha256::AA==", "no name of a key"),
            ("a", "ALGORITHM:NAME:BASE64"),
            ("key \"a\" { secret \"AA==\"; };", "no algorithm"),
            ("key \"a\" { algorithm hmac-sha256; };", "no secret"),
        ] {
            let error = Key::parse(text).expect_err(text).to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
