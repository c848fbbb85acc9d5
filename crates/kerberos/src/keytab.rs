//! The names in a keytab: MIT's format, version 2 (the file begins with 05 02, numbers are big-endian). Keys are passed over.

use std::io::Read;
use std::path::Path;

use crate::Error;

/// The first parts of principals that a mail server's clients ask for: SMTP, IMAP, POP3, and as Windows writes the first.
pub const SERVICES: [&str; 6] = ["smtp", "smtpsvc", "imap", "pop", "pop3", "sieve"];

/// Whose keys a keytab has, each principal once, as `imap/mail.example.test@EXAMPLE.TEST`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keytab {
    /// In the order of the file.
    pub principals: Vec<String>,
}

impl Keytab {
    /// Reads a file. Errors: `Unreadable`, `NoKeytab`, and `NoKeys` where nothing is of [`SERVICES`].
    pub fn read(path: &Path) -> Result<Keytab, Error> {
        let unreadable = |error| Error::Unreadable(path.to_path_buf(), error);
        let file = std::fs::File::open(path).map_err(unreadable)?;
        let mut octets = Vec::new();
        file.take(FILE_LIMIT).read_to_end(&mut octets).map_err(unreadable)?;
        let keytab = Keytab::parse(&octets);
        // Keys are not left lying about.
        octets.fill(0);
        let keytab = keytab.ok_or_else(|| Error::NoKeytab(path.to_path_buf()))?;
        match keytab.serves(&SERVICES) {
            true => Ok(keytab),
            false => Err(Error::NoKeys(path.to_path_buf())),
        }
    }

    /// The names in the octets of a file; `None`: it is no keytab, or ends within an entry.
    pub fn parse(octets: &[u8]) -> Option<Keytab> {
        let mut rest = octets.strip_prefix(&[5, 2])?;
        let mut principals: Vec<String> = Vec::new();
        while !rest.is_empty() {
            let (size, after) = rest.split_first_chunk()?;
            // What was deleted leaves a hole, of a negative size.
            let size = i32::from_be_bytes(*size);
            let (entry, after) = after.split_at_checked(usize::try_from(size.unsigned_abs()).ok()?)?;
            rest = after;
            if size > 0 {
                let principal = principal(entry)?;
                if !principals.contains(&principal) && principals.len() < PRINCIPALS_MAX {
                    principals.push(principal);
                }
            }
            // Some writers end the file with a size of nothing.
            if size == 0 {
                break;
            }
        }
        Some(Keytab { principals })
    }

    /// Whether it has a key of one of these services (the first parts of principals, without regard to case).
    pub fn serves(&self, services: &[&str]) -> bool {
        self.principals.iter().any(|principal| is_of(principal, services))
    }
}

/// Whether a principal is a host's, of one of these services.
pub fn is_of(principal: &str, services: &[&str]) -> bool {
    let service = principal.split_once('/').map(|(service, _)| service);
    service.is_some_and(|service| services.iter().any(|one| service.eq_ignore_ascii_case(one)))
}

/// `count:u16 realm:data component:data{count} ..`, where data is a length of 16 bits and octets.
fn principal(entry: &[u8]) -> Option<String> {
    let (count, mut rest) = entry.split_first_chunk()?;
    let mut data = || {
        let (length, after) = rest.split_first_chunk()?;
        let (octets, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        rest = after;
        Some(String::from_utf8_lossy(octets).into_owned())
    };
    let realm = data()?;
    let components: Vec<String> = (0..u16::from_be_bytes(*count)).map(|_| data()).collect::<Option<_>>()?;
    (!components.is_empty()).then(|| format!("{}@{realm}", components.join("/")))
}

/// Largest keytab that is read, in octets: some 10,000 keys.
const FILE_LIMIT: u64 = 1 << 20;
/// Most principals that are told apart.
const PRINCIPALS_MAX: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(realm: &str, components: &[&str]) -> Vec<u8> {
        let data = |text: &str| [&(text.len() as u16).to_be_bytes()[..], text.as_bytes()].concat();
        let mut entry = (components.len() as u16).to_be_bytes().to_vec();
        entry.extend(data(realm));
        components.iter().for_each(|component| entry.extend(data(component)));
        // The kind of name, a time, the version of the key, its kind and the key.
        entry.extend([0, 0, 0, 1, 0, 0, 0, 0, 2, 0, 18, 0, 2, 7, 7]);
        [&(entry.len() as i32).to_be_bytes()[..], &entry].concat()
    }

    #[test]
    fn names_are_read_and_holes_passed_over() {
        let imap = entry("EXAMPLE.TEST", &["imap", "mail.example.test"]);
        let hole = [&(-3_i32).to_be_bytes()[..], b"xyz"].concat();
        let file = [&[5, 2][..], &imap, &hole, &imap, &entry("EXAMPLE.TEST", &["alice"])].concat();
        let keytab = Keytab::parse(&file).expect("a keytab");
        assert_eq!(keytab.principals, ["imap/mail.example.test@EXAMPLE.TEST", "alice@EXAMPLE.TEST"]);
        assert!(keytab.serves(&["IMAP"]) && !keytab.serves(&["smtp"]) && !keytab.serves(&["alice"]));
        assert_eq!(Keytab::parse(&[5, 2]).expect("an empty one").principals, Vec::<String>::new());
        for cut in 3..2 + imap.len() {
            assert_eq!(Keytab::parse(&file[..cut]), None, "{cut}");
        }
        for other in [&b"\x05\x01"[..], b"", b"\x05", b"-----BEGIN"] {
            assert_eq!(Keytab::parse(other), None, "{other:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_the_next_step() {
        let folder = std::env::temp_dir().join(format!("postroad-keytab-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let file = |name: &str, octets: &[u8]| {
            let path = folder.join(name);
            std::fs::write(&path, octets).expect("a file");
            Keytab::read(&path).map_err(|error| error.to_string())
        };
        let alone = [&[5, 2][..], &entry("EXAMPLE.TEST", &["host", "mail.example.test"])].concat();
        assert!(file("a", b"no").expect_err("none").contains("is no keytab; write one: `kadmin"));
        assert!(
            file("b", &alone).expect_err("no key").contains("no key of a service of mail; add the keys of smtp/HOST")
        );
        let missing = Keytab::read(&folder.join("c")).expect_err("none").to_string();
        assert!(missing.contains("cannot be read") && missing.contains("make it readable"), "{missing}");
        std::fs::remove_dir_all(&folder).expect("it goes");
    }

    #[test]
    fn fuzz_keytabs() {
        postroad_fuzz::check!(2_000).with_type::<Vec<u8>>().for_each(|octets| {
            let file = [&[5, 2][..], octets].concat();
            if let Some(keytab) = Keytab::parse(&file) {
                assert!(keytab.principals.len() * 7 <= octets.len());
            }
        });
    }
}
