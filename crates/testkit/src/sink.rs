//! Postfix's `smtp-sink`: a real server that swallows everything, or refuses what it is told to refuse.

use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;

use crate::process::Process;
use crate::run::{eventually, is_root, run};

/// A running sink. It ends when the value is dropped or the process ends.
#[derive(Debug)]
pub struct Sink {
    address: SocketAddr,
    folder: tempfile::TempDir,
    _process: Process,
}

impl Sink {
    /// Listens at `address`. `options` are smtp-sink's own: `["-q", "DATA"]` disconnects there, `-f` answers with
    /// a hard error, `-r` with a soft one, `-F`, `-p`, `-8`, `-e` leave extensions out, `-w 3` waits three seconds
    /// before each answer to DATA.
    ///
    /// # Panics
    /// When it is not installed or does not start.
    pub fn start(address: SocketAddr, options: &[&str]) -> Sink {
        assert!(std::path::Path::new(SINK).exists(), "{HOW_TO_INSTALL}");
        let folder = tempfile::Builder::new().prefix("postroad-sink-").tempdir().expect("a folder");
        let dump = folder.path().join("dump").display().to_string();
        let place = address.to_string();
        let mut arguments = options.to_vec();
        arguments.extend(["-D", &dump]);
        if is_root() {
            run("chown", &["nobody", &folder.path().display().to_string()], b"").good();
            arguments.extend(["-u", "nobody"]);
        }
        arguments.extend([place.as_str(), "100"]);
        let mut process = Process::spawn(SINK, &arguments);
        eventually("smtp-sink", || {
            assert!(!process.has_ended(), "smtp-sink ended: {}", process.printed());
            TcpStream::connect(address).ok()
        });
        Sink { address, folder, _process: process }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every transaction that came to its end, in the order of their ends: `X-Mail-Args`, `X-Rcpt-Args` and other
    /// lines of smtp-sink's own before each, and each with LF.
    pub fn dump(&self) -> String {
        let bytes = std::fs::read(self.dump_file()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// How many recipients were accepted in transactions that came to their end.
    pub fn recipients(&self) -> usize {
        self.dump().lines().filter(|line| line.starts_with("X-Rcpt-Args: ")).count()
    }

    fn dump_file(&self) -> PathBuf {
        self.folder.path().join("dump")
    }
}

const SINK: &str = "/usr/sbin/smtp-sink";

/// What to run when it is missing.
pub const HOW_TO_INSTALL: &str =
    "smtp-sink is not installed, and the tests need it. Run: apt-get install --no-install-recommends postfix";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SharedPort;

    #[test]
    fn it_swallows_and_refuses() {
        let port = SharedPort::find();
        let source = |sink: &Sink| {
            let place = format!("inet:{}", sink.address());
            run("/usr/sbin/smtp-source", &["-f", "a@here.test", "-t", "b@there.test", "-S", "hi", &place], b"")
        };
        let sink = Sink::start(port.address(1), &[]);
        source(&sink).good();
        eventually("the dump", || (sink.recipients() == 1).then_some(()));
        assert!(sink.dump().contains("X-Mail-Args: <a@here.test>"), "{}", sink.dump());
        let refusing = Sink::start(port.address(2), &["-f", "RCPT"]);
        assert!(!source(&refusing).success);
        assert_eq!(refusing.recipients(), 0);
    }
}
