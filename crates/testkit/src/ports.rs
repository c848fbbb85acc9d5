//! A free port offset for the program: all its standard ports plus N, and N claimed against other tests.

use std::net::{Ipv4Addr, TcpListener};

/// The standard ports that the program adds its offset to.
pub const STANDARD: [u16; 11] = [25, 587, 465, 143, 993, 110, 995, 24, 8080, 443, 80];

/// No program of ours listens on it; holding it claims the offset.
const CLAIM: u16 = 1;

/// Offsets are taken from here: above the privileged ports, and with 8080 added still below the range
/// that the kernel gives to outgoing connections.
const FIRST: u16 = 10_000;
const LAST: u16 = 24_000;
/// No two ports of [`STANDARD`] and [`CLAIM`] are a multiple of this apart, so that no port of one offset is one of another: who
/// has an offset does not listen at once.
const STEP: u16 = 27;

/// A port offset that no other test on this machine has while this value lives.
#[derive(Debug)]
pub struct PortOffset {
    offset: u16,
    _claim: TcpListener,
}

impl PortOffset {
    /// Finds an offset for which all standard ports on 127.0.0.1 are free.
    ///
    /// # Panics
    /// When there is none left.
    pub fn find() -> PortOffset {
        let places = (LAST - FIRST) / STEP;
        // Processes that start together begin their search in different places.
        let start = (std::process::id().wrapping_mul(2_654_435_761) >> 8) % u32::from(places);
        for nth in 0..u32::from(places) {
            let place = (start + nth) % u32::from(places);
            let offset = FIRST + STEP * u16::try_from(place).expect("below the number of places");
            let Ok(claim) = TcpListener::bind((Ipv4Addr::LOCALHOST, CLAIM + offset)) else {
                continue;
            };
            if STANDARD.iter().all(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port + offset)).is_ok()) {
                return PortOffset { offset, _claim: claim };
            }
        }
        panic!("no port offset between {FIRST} and {LAST} is free on 127.0.0.1");
    }

    /// The offset N.
    pub fn offset(&self) -> u16 {
        self.offset
    }

    /// Where the service with this standard port listens.
    pub fn address(&self, standard: u16) -> std::net::SocketAddr {
        (Ipv4Addr::LOCALHOST, standard + self.offset).into()
    }
}

/// The port that all remote servers of a test listen on, as in the real world they all listen on 25: MX records
/// name no port. Each is on an address of its own in 127.0.0.0/8.
#[derive(Debug)]
pub struct SharedPort {
    port: u16,
    _claim: TcpListener,
}

impl SharedPort {
    /// Finds a port that is free on all addresses of [`SharedPort::address`], and that no other test has while
    /// this value lives.
    ///
    /// # Panics
    /// When there is none left.
    pub fn find() -> SharedPort {
        let places = SHARED_LAST - SHARED_FIRST;
        let start = (std::process::id().wrapping_mul(2_654_435_761) >> 8) % u32::from(places);
        for nth in 0..u32::from(places) {
            let place = (start + nth) % u32::from(places);
            let port = SHARED_FIRST + u16::try_from(place).expect("below the number of places");
            let Ok(claim) = TcpListener::bind((remote_host(0), port)) else { continue };
            let is_free = |number| TcpListener::bind((remote_host(number), port)).is_ok();
            if (1..=SHARED_HOSTS).all(is_free) {
                return SharedPort { port, _claim: claim };
            }
        }
        panic!("no port between {SHARED_FIRST} and {SHARED_LAST} is free on 127.0.0.0/8");
    }

    /// The port.
    pub fn number(&self) -> u16 {
        self.port
    }

    /// Where the remote server with this number listens: 1 to [`SHARED_HOSTS`].
    pub fn address(&self, number: u8) -> std::net::SocketAddr {
        assert!((1..=SHARED_HOSTS).contains(&number), "remote servers have the numbers 1 to {SHARED_HOSTS}");
        (remote_host(number), self.port).into()
    }
}

/// Remote servers with a common port.
pub const SHARED_HOSTS: u8 = 100;

/// Not 127.0.0.1, where the program under test listens.
fn remote_host(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 25, number + 1)
}

/// Above the ports of [`PortOffset`]'s services that matter, below those the kernel gives to outgoing connections.
const SHARED_FIRST: u16 = 26_000;
const SHARED_LAST: u16 = 32_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_belongs_to_two_offsets() {
        let all: Vec<u16> = STANDARD.into_iter().chain([CLAIM]).collect();
        for one in &all {
            for other in all.iter().filter(|other| other > &one) {
                assert_ne!((other - one) % STEP, 0, "{one} and {other}");
            }
        }
    }

    #[test]
    fn two_tests_get_two_offsets() {
        let one = PortOffset::find();
        let other = PortOffset::find();
        assert_ne!(one.offset(), other.offset());
        assert_eq!(one.address(25).port(), 25 + one.offset());
    }

    #[test]
    fn remote_servers_share_a_port_and_tests_do_not() {
        let one = SharedPort::find();
        let other = SharedPort::find();
        assert_ne!(one.number(), other.number());
        assert_eq!(one.address(1).port(), one.address(2).port());
        assert_ne!(one.address(1).ip(), one.address(2).ip());
    }
}
