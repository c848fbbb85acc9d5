//! Where we listen, and how.

use std::net::{SocketAddr, TcpListener as StdListener};

use socket2::{Domain, Protocol, Socket, Type};

use crate::{Error, Inherited, Network};

/// One line of the settings.
#[derive(Debug, Clone)]
pub struct Listener {
    /// The name in settings, logs and metrics, such as `submission`; also matched against systemd's socket names.
    pub name: String,
    /// Where. `[::]:25` takes IPv4 too when `dual_stack` is set.
    pub address: SocketAddr,
    /// An IPv6 wildcard address takes IPv4 connections too.
    pub dual_stack: bool,
    /// Whether and when TLS begins.
    pub tls: TlsMode,
    /// Connections from these networks begin with a PROXY protocol header, all others never do.
    pub proxy: Vec<Network>,
    /// Protocols offered in the TLS handshake (ALPN, RFC 7301), such as `http/1.1`; empty for mail.
    pub alpn: Vec<Vec<u8>>,
    /// Sent in clear before closing when there is no place for the client, such as a whole `421` line; may be empty.
    pub busy: &'static [u8],
    /// The same for a client that is shut out ([`crate::Bans`]).
    pub banned: &'static [u8],
}

impl Listener {
    /// A plain listener without PROXY protocol.
    pub fn new(name: impl Into<String>, address: SocketAddr) -> Listener {
        Listener {
            name: name.into(),
            address,
            dual_stack: false,
            tls: TlsMode::None,
            proxy: Vec::new(),
            alpn: Vec::new(),
            busy: b"",
            banned: b"",
        }
    }
}

/// Whether and when TLS begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsMode {
    /// Never.
    None,
    /// When the session asks for it.
    StartTls,
    /// With the first byte.
    Implicit,
}

/// A listener with its socket. Clients that connect wait in the backlog until it is served.
#[derive(Debug)]
pub struct Bound {
    /// The settings.
    pub listener: Listener,
    /// The address in fact, with the port that the system chose for port 0.
    pub address: SocketAddr,
    pub(crate) socket: StdListener,
}

/// Takes the socket that systemd handed over for this name or address, or else opens one.
pub fn bind(listener: Listener, inherited: &mut Inherited) -> Result<Bound, Error> {
    let failed = |cause| Error::Bind { name: listener.name.clone(), address: listener.address, cause };
    let socket = match inherited.take(&listener.name, listener.address) {
        Some(socket) => socket,
        None => open(&listener).map_err(failed)?,
    };
    socket.set_nonblocking(true).map_err(failed)?;
    let address = socket.local_addr().map_err(failed)?;
    Ok(Bound { listener, address, socket })
}

fn open(listener: &Listener) -> std::io::Result<StdListener> {
    let address = listener.address;
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // So that a restart need not wait for old connections to be forgotten.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(!listener.dual_stack)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Clients that wait to be accepted; the system may hold it lower.
const BACKLOG: i32 = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn any(text: &str) -> Listener {
        Listener::new("test", text.parse().expect("an address"))
    }

    #[test]
    fn a_free_port_is_chosen_and_told() {
        let bound = bind(any("127.0.0.1:0"), &mut Inherited::none()).expect("a socket");
        assert_ne!(bound.address.port(), 0);
        std::net::TcpStream::connect(bound.address).expect("it listens");
    }

    #[test]
    fn a_taken_port_says_so() {
        let first = bind(any("127.0.0.1:0"), &mut Inherited::none()).expect("a socket");
        let again = bind(any(&first.address.to_string()), &mut Inherited::none());
        let words = again.expect_err("taken").to_string();
        assert!(words.contains("another program has the port"), "{words}");
    }

    #[test]
    fn both_families_on_one_socket_when_asked() {
        // A machine without IPv6 has nothing to show here.
        let Ok(both) = bind(Listener { dual_stack: true, ..any("[::]:0") }, &mut Inherited::none()) else {
            return;
        };
        let v4 = SocketAddr::from(([127, 0, 0, 1], both.address.port()));
        std::net::TcpStream::connect(v4).expect("IPv4 reaches it");
        let six = bind(any("[::]:0"), &mut Inherited::none()).expect("a socket");
        let v4 = SocketAddr::from(([127, 0, 0, 1], six.address.port()));
        assert!(std::net::TcpStream::connect(v4).is_err(), "IPv6 alone was asked for");
    }
}
