//! The PROXY protocol's parser and the network parser against anything.

use postroad_net::Network;
use postroad_net::proxy::{Header, Parsed, parse};

#[test]
fn fuzz_proxy() {
    postroad_fuzz::check!(2000).with_type::<(u8, Vec<u8>)>().for_each(|(kind, tail)| {
        let start: &[u8] = match kind % 4 {
            0 => b"",
            1 => b"PROXY TCP4 1.2.3.4 5.6.7.8 9 ",
            2 => b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0",
            _ => b"\r\n\r\n\0\r\nQUIT\n",
        };
        let bytes = [start, tail].concat();
        match parse(&bytes) {
            // What is asked for is always more than nothing, and never without end.
            Parsed::More(count) => assert!((1..=4112).contains(&count)),
            Parsed::Header(header, length) => {
                assert!(length <= bytes.len());
                // The header depends on its own bytes alone, and no shorter part of it is a header.
                assert_eq!(parse(&bytes[..length]), Parsed::Header(header, length));
                assert!(matches!(parse(&bytes[..length - 1]), Parsed::More(_)));
            }
            Parsed::Malformed(_) => {
                // More bytes do not make it better.
                let longer = [bytes.as_slice(), b"\r\n"].concat();
                assert!(matches!(parse(&longer), Parsed::Malformed(_)));
            }
        }
    });
}

#[test]
fn fuzz_proxy_version_1_inverse() {
    postroad_fuzz::check!(2000).with_type::<([u8; 4], [u8; 16], u16, u16, bool)>().for_each(
        |(four, six, from, to, is_six)| {
            let address = |port: u16| {
                let ip = if *is_six { std::net::IpAddr::from(*six) } else { std::net::IpAddr::from(*four) };
                std::net::SocketAddr::new(ip, port)
            };
            let (source, destination) = (address(*from), address(*to));
            let family = if *is_six { "TCP6" } else { "TCP4" };
            let line = format!("PROXY {family} {} {} {from} {to}\r\n", source.ip(), destination.ip());
            assert_eq!(parse(line.as_bytes()), Parsed::Header(Header::Forwarded { source, destination }, line.len()));
        },
    );
}

#[test]
fn fuzz_network() {
    postroad_fuzz::check!(2000).with_type::<(Vec<u8>, [u8; 16], u8, bool)>().for_each(
        |(text, bytes, prefix, is_four)| {
            if let Ok(network) = String::from_utf8_lossy(text).parse::<Network>() {
                assert_eq!(network.to_string().parse(), Ok(network));
            }
            let address = std::net::Ipv6Addr::from(*bytes);
            let address = if *is_four {
                std::net::Ipv4Addr::from(bytes[0..4].first_chunk().copied().unwrap_or_default()).into()
            } else {
                std::net::IpAddr::from(address)
            };
            if let Some(network) = Network::new(address, *prefix) {
                assert!(network.contains(address), "{network} {address}");
                assert_eq!(network.to_string().parse(), Ok(network));
            }
        },
    );
}
