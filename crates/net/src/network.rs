//! An address range such as `10.0.0.0/8` or `2001:db8::/32`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A network in CIDR notation; a lone address is a network of one. An IPv4-mapped IPv6 address counts as IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// The network of `prefix` bits around `address`; the bits after the prefix are cleared. None when the prefix
    /// is longer than the address.
    pub fn new(address: IpAddr, prefix: u8) -> Option<Network> {
        let address = address.to_canonical();
        (prefix <= width(address)).then(|| Network { address: masked(address, prefix), prefix })
    }

    /// Whether the address lies in the network.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && masked(address, self.prefix) == self.address
    }

    /// Whether some address lies in both.
    pub fn overlaps(&self, other: &Network) -> bool {
        self.contains(other.address) || other.contains(self.address)
    }

    /// This machine: IPv4's and IPv6's loopback.
    pub fn of_this_machine() -> Vec<Network> {
        let four = Network { address: IpAddr::V4([127, 0, 0, 0].into()), prefix: 8 };
        vec![four, Network { address: IpAddr::V6(std::net::Ipv6Addr::LOCALHOST), prefix: 128 }]
    }

    /// Whether it is one of IPv4, and the length of its prefix.
    pub(crate) fn width(&self) -> (bool, u8) {
        (self.address.is_ipv4(), self.prefix)
    }

    /// The unit that limits and bans count by: an IPv4 address, or the /64 of an IPv6 address, because that is what
    /// one subscriber gets.
    pub fn of_one_client(address: IpAddr) -> Network {
        let address = address.to_canonical();
        let prefix = if address.is_ipv4() { 32 } else { 64 };
        Network { address: masked(address, prefix), prefix }
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V4((v4.to_bits() & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V6((v6.to_bits() & mask).into())
        }
    }
}

/// Why a text is not a network.
#[derive(Debug, PartialEq, Eq)]
pub enum NotANetwork {
    /// What stands before the prefix is no address.
    Address(String),
    /// The prefix is no number.
    Prefix,
    /// The prefix is longer than the address, which has so many bits.
    Long(u8),
}

impl fmt::Display for NotANetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a network: ")?;
        match self {
            NotANetwork::Address(text) => write!(f, "{text} is no address")?,
            NotANetwork::Prefix => f.write_str("its prefix is no number")?,
            NotANetwork::Long(bits) => write!(f, "its prefix is longer than {bits} bits")?,
        }
        f.write_str("; write one as 192.0.2.0/24, 2001:db8::/32 or a single address")
    }
}

impl std::error::Error for NotANetwork {}

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Network, NotANetwork> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let wrong = || NotANetwork::Address(address.chars().filter(|c| !c.is_control()).take(SHOWN).collect());
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let bits = width(address.to_canonical());
        match prefix {
            None => Network::new(address, bits).ok_or(NotANetwork::Long(bits)),
            // Digits only: `parse` would take a sign too.
            Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
                let network = digits.parse().ok().and_then(|prefix| Network::new(address, prefix));
                network.ok_or(NotANetwork::Long(bits))
            }
            Some(_) => Err(NotANetwork::Prefix),
        }
    }
}

/// Characters of what is no address that are repeated.
const SHOWN: usize = 60;

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.prefix == width(self.address) {
            write!(f, "{}", self.address)
        } else {
            write!(f, "{}/{}", self.address, self.prefix)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Network;

    #[test]
    fn networks_hold_what_they_say() {
        for (network, address, inside) in [
            ("10.0.0.0/8", "10.255.1.2", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.1.2.3/8", "10.9.9.9", true),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "::1", false),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("10.0.0.0/8", "::ffff:10.1.1.1", true),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::/0", "2001:db8::1", true),
            ("192.0.2.128/25", "192.0.2.127", false),
        ] {
            let parsed: Network = network.parse().expect(network);
            assert_eq!(parsed.contains(address.parse().expect(address)), inside, "{network} {address}");
            assert_eq!(parsed.to_string().parse(), Ok(parsed), "{network} does not survive printing");
        }
    }

    #[test]
    fn what_is_not_a_network() {
        for text in
            ["", "/", "10.0.0.0/33", "::/129", "10.0.0.0/+8", "10.0.0.0/", "10.0.0/8", "localhost", "10.0.0.0/8/8"]
        {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }

    #[test]
    fn one_client_is_an_address_or_a_subnet() {
        for (address, unit) in [
            ("192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ] {
            assert_eq!(Network::of_one_client(address.parse().expect(address)).to_string(), unit);
        }
    }
}
