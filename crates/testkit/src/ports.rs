//! A free port offset for the program: all its standard ports plus N, and N claimed against other tests.

use std::net::{Ipv4Addr, TcpListener};

/// The standard ports that the program adds its offset to.
pub const STANDARD: [u16; 9] = [25, 587, 465, 143, 993, 110, 995, 24, 8080];

/// No program of ours listens on it; holding it claims the offset.
const CLAIM: u16 = 1;

/// Offsets are taken from here: above the privileged ports, and with 8080 added still below the range
/// that the kernel gives to outgoing connections.
const FIRST: u16 = 10_000;
const LAST: u16 = 24_000;
const STEP: u16 = 7;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_tests_get_two_offsets() {
        let one = PortOffset::find();
        let other = PortOffset::find();
        assert_ne!(one.offset(), other.offset());
        assert_eq!(one.address(25).port(), 25 + one.offset());
    }
}
