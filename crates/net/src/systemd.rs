//! Sockets handed over by systemd (`LISTEN_FDS`), so that a restart refuses no connection.

use std::net::{SocketAddr, TcpListener};

use listenfd::ListenFd;

/// The sockets that the process was started with and that no listener has taken yet.
#[derive(Debug)]
pub struct Inherited {
    sockets: Vec<(String, TcpListener)>,
}

impl Inherited {
    /// Takes over what systemd passed to this process. To be called once, early.
    pub fn from_environment() -> Inherited {
        // `FileDescriptorName=` of the socket units, in the order of the sockets.
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let mut passed = ListenFd::from_env();
        let mut sockets = Vec::new();
        for index in 0..passed.len() {
            let name = names.next().unwrap_or_default().to_owned();
            match passed.take_tcp_listener(index) {
                Ok(Some(socket)) => sockets.push((name, socket)),
                Ok(None) => {}
                Err(error) => tracing::warn!(
                    name,
                    %error,
                    "systemd handed over a socket that is not a listening TCP socket; check the socket unit"
                ),
            }
        }
        Inherited { sockets }
    }

    /// Nothing was handed over.
    pub fn none() -> Inherited {
        Inherited { sockets: Vec::new() }
    }

    /// The socket of that name, else the one bound to that address. One unit's sockets for several addresses share
    /// its name: then the address tells them apart.
    pub fn take(&mut self, name: &str, address: SocketAddr) -> Option<TcpListener> {
        let is_named = |known: &str| known == name;
        let is_at = |socket: &TcpListener| socket.local_addr().is_ok_and(|bound| bound == address);
        let mut sockets = self.sockets.iter();
        let place = sockets
            .position(|(known, socket)| is_named(known) && is_at(socket))
            .or_else(|| self.sockets.iter().position(|(known, _)| is_named(known)))
            .or_else(|| self.sockets.iter().position(|(_, socket)| is_at(socket)))?;
        Some(self.sockets.swap_remove(place).1)
    }

    /// What no listener took, to be warned about: the name and address of each socket.
    pub fn left(&self) -> Vec<String> {
        self.sockets
            .iter()
            .map(|(name, socket)| match socket.local_addr() {
                Ok(address) => format!("{name} ({address})"),
                Err(_) => name.clone(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_of_one_name_are_told_apart_by_address() {
        let open = || TcpListener::bind("127.0.0.1:0").expect("a socket");
        let sockets: Vec<_> = (0..3).map(|_| ("smtp".to_owned(), open())).collect();
        let second = sockets[1].1.local_addr().expect("an address");
        let mut inherited = Inherited { sockets };
        let taken = inherited.take("smtp", second).expect("by both");
        assert_eq!(taken.local_addr().expect("an address"), second);
        assert_eq!(inherited.left().len(), 2);
    }

    #[test]
    fn by_name_first_then_by_address() {
        let open = || TcpListener::bind("127.0.0.1:0").expect("a socket");
        let (imap, smtp) = (open(), open());
        let address = |socket: &TcpListener| socket.local_addr().expect("an address");
        let (imap_at, smtp_at) = (address(&imap), address(&smtp));
        let mut inherited = Inherited { sockets: vec![("imap".into(), imap), ("postroad.socket".into(), smtp)] };
        let elsewhere = "192.0.2.1:25".parse().expect("an address");
        assert!(inherited.take("pop3", elsewhere).is_none());
        let taken = inherited.take("imap", elsewhere).expect("by name");
        assert_eq!(address(&taken), imap_at);
        assert_eq!(inherited.left(), [format!("postroad.socket ({smtp_at})")]);
        let taken = inherited.take("smtp", smtp_at).expect("by address");
        assert_eq!(address(&taken), smtp_at);
        assert!(inherited.left().is_empty());
    }
}
