//! The name server of a run: knotd, with what mail from one domain is verified by.
//!
//! A message that is signed for good lies beside its records in `verify/`; nobody has the key any more.

use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;

use super::folder::Folder;
use super::rival::{Keeper, free_ports, wait_until};
use super::usage::Processes;

/// The message: from sender@signed.test, 10 KB, one signature (RSA-2048, relaxed/relaxed).
const MESSAGE: &str = include_str!("verify/signed.eml");
const ZONE: &str = include_str!("verify/zone");
const KNOTD: &str = "/usr/sbin/knotd";
/// The host that may send for the message's domain (RFC 5737).
pub(super) const CLIENT: &str = "192.0.2.25";
/// The sender of the message.
pub(super) const SENDER: &str = "sender@signed.test";
/// SOA of the root.
const QUESTION: &[u8] = &[0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0, 1];

/// A running name server; the folder's guard ends it.
#[derive(Debug)]
pub(super) struct Names {
    /// 127.0.0.1 and its port.
    pub(super) address: String,
    /// The message as a file.
    pub(super) message: PathBuf,
    _keeper: Keeper,
}

pub(super) fn start(folder: &Folder) -> Result<Names> {
    let own = folder.sub("names")?;
    let [port] = free_ports()?;
    let message = own.join("signed.eml");
    std::fs::write(&message, MESSAGE)?;
    std::fs::write(own.join("zone"), format!("$TTL 86400\n{ZONE}"))?;
    let (settings, place) = (own.join("knot.conf"), own.display());
    let text = format!(
        "server:\n    listen: 127.0.0.1@{port}\n    rundir: \"{place}\"\n    udp-workers: 1\n    tcp-workers: 1\n    \
         background-workers: 1\ndatabase:\n    storage: \"{place}\"\ntemplate:\n  - id: default\n    \
         storage: \"{place}\"\n    zonefile-sync: -1\n    journal-content: none\n    semantic-checks: off\n\
         zone:\n  - domain: .\n    file: zone\n"
    );
    std::fs::write(&settings, text)?;
    // Not among the processes of any server that is measured.
    let mut processes = Processes::prepare(folder, "names")?;
    let keeper =
        Keeper::start(folder, &own, &mut processes, Path::new(KNOTD), &["-c", &settings.display().to_string()])?;
    wait_until("knotd does not answer", keeper.log(), || answers(port))?;
    Ok(Names { address: format!("127.0.0.1:{port}"), message, _keeper: keeper })
}

fn answers(port: u16) -> bool {
    let asked = || -> std::io::Result<usize> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(Duration::from_millis(200)))?;
        socket.send_to(QUESTION, ("127.0.0.1", port))?;
        socket.recv(&mut [0; 512])
    };
    asked().is_ok_and(|length| length > QUESTION.len())
}
