//! Accepting Kerberos tickets, by MIT's library behind the feature `gssapi`; without the feature, saying so.
//!
//! What it is: [`Acceptor`], which [`postroad_sasl::gss`] asks about tokens, and [`keytab::Keytab`], a reader of the names in a
//! keytab, so that what is wrong with it is said at the start and not to the first client. What it never does: accounts, async,
//! cryptography of its own. Its calls block: keytab and replay cache are files.
//!
//! The keytab is the process's: MIT's library takes its name from the environment ([`KEYTAB`]), which only whoever starts the
//! process can set. The replay cache is the library's, as `krb5.conf` and the environment say; it is on unless they switch it off.
//!
//! Standards: RFC 4120, RFC 4121, RFC 2743 (by the library); MIT's keytab format, version 2.

#[cfg(feature = "gssapi")]
mod accept;
pub mod keytab;
#[cfg(not(feature = "gssapi"))]
mod without;

use std::fmt;
use std::path::PathBuf;

#[cfg(feature = "gssapi")]
pub use accept::Acceptor;
#[cfg(not(feature = "gssapi"))]
pub use without::Acceptor;

/// The variable that names the keytab to MIT's library.
pub const KEYTAB: &str = "KRB5_KTNAME";

/// Whether this program was built with the library.
pub const BUILT: bool = cfg!(feature = "gssapi");

/// Why there is no acceptor.
#[derive(Debug)]
pub enum Error {
    /// The program was built without the feature.
    NotBuilt,
    /// The keytab cannot be read.
    Unreadable(PathBuf, std::io::Error),
    /// The file is no keytab.
    NoKeytab(PathBuf),
    /// It has no key for any service of mail.
    NoKeys(PathBuf),
    /// [`KEYTAB`] names another one, or none.
    Environment(PathBuf),
    /// The program has rights that its user has not, and libraries do not look at its environment.
    Distrusted,
    /// The library does not want it, in its words.
    Library(String),
}

impl Error {
    /// What the administrator does about it.
    pub fn next_step(&self) -> &'static str {
        match self {
            Error::NotBuilt => {
                "build it with `--features gssapi` (it needs libkrb5-dev and libclang-dev), or take login.keytab out of the settings"
            }
            Error::Unreadable(..) => "make it readable for the user that the server runs as, and for nobody else",
            Error::NoKeytab(_) => {
                "write one: `kadmin -q \"ktadd -k FILE imap/HOST smtp/HOST pop/HOST\"`, or ktpass on Windows"
            }
            Error::NoKeys(_) => {
                "add the keys of smtp/HOST, imap/HOST and pop/HOST, with HOST as clients name this server"
            }
            Error::Environment(_) => "start it by `postroad serve` or `postroad quickstart`, which set it",
            Error::Distrusted => {
                "take its file capabilities away (setcap -r) and let systemd give it low ports (AmbientCapabilities=CAP_NET_BIND_SERVICE)"
            }
            Error::Library(_) => "see that krb5.conf (or KRB5_CONFIG) is readable and names the realm",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NotBuilt => f.write_str("this program was built without Kerberos (the feature gssapi)")?,
            Error::Unreadable(path, error) => write!(f, "the keytab {} cannot be read: {error}", path.display())?,
            Error::NoKeytab(path) => write!(f, "{} is no keytab", path.display())?,
            Error::NoKeys(path) => write!(f, "the keytab {} has no key of a service of mail", path.display())?,
            Error::Environment(path) => write!(f, "{KEYTAB} does not name the keytab {}", path.display())?,
            Error::Distrusted => {
                write!(f, "Kerberos does not see {KEYTAB}, because this program has file capabilities")?
            }
            Error::Library(words) => write!(f, "Kerberos does not begin: {words}")?,
        }
        write!(f, "; {}", self.next_step())
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_no_kerberos_hears_how_to_get_it() {
        let words = Error::NotBuilt.to_string();
        assert!(words.starts_with("this program was built without Kerberos"), "{words}");
        assert!(words.contains("--features gssapi") && words.contains("libkrb5-dev"), "{words}");
        let opened = Acceptor::open(std::path::Path::new("/nowhere/keytab")).expect_err("nothing is there");
        assert_eq!(matches!(opened, Error::NotBuilt), !BUILT, "{opened}");
    }
}
