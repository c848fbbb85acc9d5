//! A fake that says so: an SMTP server of our own that misbehaves as the test wants, and counts.
//!
//! Nothing of the programs under test is used here. It speaks on blocking sockets, a thread for each connection. What
//! it takes is kept in a [`Ledger`] with the moment of the answer, so that a test can tell "at least once" from "once".
//! It never sleeps: who stalls waits until the other side goes or the value is dropped.

mod ledger;
mod manner;
mod session;
mod wire;

use std::collections::VecDeque;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

pub use ledger::{Connection, Ledger, Received};
pub use manner::{Deed, Manner, Phase};

use crate::run::{eventually, in_time};

/// A running remote server. It ends, with its connections, when the value is dropped.
pub struct Remote {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

/// What all connections share.
#[derive(Default)]
struct Shared {
    manners: Mutex<Manners>,
    ledger: Mutex<Ledger>,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Manners {
    next: VecDeque<Manner>,
    usual: Manner,
}

/// Sockets that are open, to be shut at the end.
#[derive(Default)]
struct Open {
    ended: bool,
    streams: Vec<(usize, TcpStream)>,
}

impl Remote {
    /// Listens at `address` and behaves so.
    ///
    /// # Panics
    /// When the address is taken.
    pub fn start(address: SocketAddr, manner: Manner) -> Remote {
        // While a program is being started, it still has the sockets that were open at its fork: one that was closed
        // here may listen for a moment longer.
        let bind = || TcpListener::bind(address).ok();
        let listener = in_time(bind).expect("the address of the remote server is free");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared::default());
        lock(&shared.manners).usual = manner;
        let acceptor = {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || accept(&listener, &shared))
        };
        Remote { address, shared, acceptor: Some(acceptor) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How it behaves from the next command on, but in connections that behave in a way of their own
    /// ([`Remote::behave_next`]).
    pub fn behave(&self, manner: Manner) {
        lock(&self.shared.manners).usual = manner;
    }

    /// How it behaves in the next connections, one each, before it is as usual again.
    pub fn behave_next(&self, manners: impl IntoIterator<Item = Manner>) {
        lock(&self.shared.manners).next.extend(manners);
    }

    /// What it knows at this moment.
    pub fn ledger(&self) -> Ledger {
        lock(&self.shared.ledger).clone()
    }

    /// Looks into the ledger, without a copy.
    pub fn look<T>(&self, look: impl FnOnce(&Ledger) -> T) -> T {
        look(&lock(&self.shared.ledger))
    }

    /// Waits until so many messages were taken and answered; all that were taken.
    ///
    /// # Panics
    /// When they do not come, with the commands heard.
    pub fn wait_for(&self, messages: usize) -> Vec<Received> {
        let enough = |ledger: &Ledger| ledger.answered().count() >= messages;
        let found = in_time(|| self.look(|ledger| enough(ledger).then(|| ledger.received.clone())));
        found.unwrap_or_else(|| panic!("{messages} messages do not come: {:#?}", self.ledger().connections))
    }

    /// Waits until so many connections have come.
    pub fn wait_for_connections(&self, count: usize) {
        eventually("a connection", || self.look(|ledger| (ledger.connections.len() >= count).then_some(())));
    }
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Remote at {}", self.address)
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        {
            let mut open = lock(&self.shared.open);
            open.ended = true;
            for (_, stream) in open.streams.drain(..) {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
        // Wakes the acceptor, which then sees that it is over.
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        let Ok(stream) = stream else { continue };
        let Ok(second) = stream.try_clone() else { continue };
        let number = {
            let mut open = lock(&shared.open);
            if open.ended {
                return;
            }
            let number = lock(&shared.ledger).connect(&stream);
            open.streams.push((number, second));
            number
        };
        let own = lock(&shared.manners).next.pop_front();
        let shared = Arc::clone(shared);
        std::thread::spawn(move || {
            session::serve(stream, number, own, &shared);
            // The socket's second handle goes as well, or the other side would never hear of the end.
            lock(&shared.open).streams.retain(|(open, _)| *open != number);
            lock(&shared.ledger).disconnect(number);
        });
    }
}

/// A test that panicked must not hide why from the others.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
