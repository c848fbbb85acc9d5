//! What can go wrong before a connection exists, and what to do about it.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Variants say whose fault it is; the text says what to do.
#[derive(Debug)]
pub enum Error {
    /// The operating system refuses to listen on the address.
    Bind {
        /// The listener's name in the settings.
        name: String,
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        cause: io::Error,
    },
    /// A listener is to speak TLS, but there is no certificate.
    NoCertificate {
        /// The listener's name in the settings.
        name: String,
    },
    /// A certificate or key file cannot be read or written.
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A certificate or key file holds something else.
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong and what is expected.
        what: String,
    },
    /// A certificate that is not in a file, or its key, cannot be used: what is wrong.
    Kept(String),
    /// TLS cannot be set up, or a self-made certificate cannot be made.
    Tls(String),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Error::Bind { name, address, cause } => {
                write!(f, "cannot listen on {address} ({name}): {cause}; ")?;
                f.write_str(match cause.kind() {
                    io::ErrorKind::AddrInUse => "another program has the port: stop it or choose another address",
                    io::ErrorKind::PermissionDenied => {
                        "ports below 1024 need the capability CAP_NET_BIND_SERVICE or sockets \
                         handed over by systemd"
                    }
                    io::ErrorKind::AddrNotAvailable => "this machine does not have that address",
                    _ => "check the address in the settings",
                })
            }
            Error::NoCertificate { name } => {
                write!(f, "the listener {name} speaks TLS: name a certificate and key for it")
            }
            Error::File { path, cause } => {
                write!(f, "{}: {cause}; check that the file exists and that this user may use it", path.display())
            }
            Error::Certificate { path, what } => write!(f, "{}: {what}", path.display()),
            Error::Kept(what) => f.write_str(what),
            Error::Tls(what) => write!(f, "TLS cannot be set up: {what}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Bind { cause, .. } | Error::File { cause, .. } => Some(cause),
            Error::NoCertificate { .. } | Error::Certificate { .. } | Error::Kept(_) | Error::Tls(_) => None,
        }
    }
}
