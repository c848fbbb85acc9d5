//! Nobody to ask: every look-up fails for now, and says why.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{Caa, Dns, Error, Mx, Reply, Soa, Srv, Tlsa};

/// Stands where a resolver would, on a server that has none: what needs names waits.
#[derive(Debug, Clone)]
pub struct Unset(String);

impl Unset {
    /// `why` is told to everybody who asks; it says what to do.
    pub fn new(why: impl Into<String>) -> Unset {
        Unset(why.into())
    }

    fn nothing<T: Send + 'static>(&self) -> Reply<'_, T> {
        Box::pin(std::future::ready(Err(Error::Temporary(self.0.clone()))))
    }
}

impl Dns for Unset {
    fn mx<'a>(&'a self, _name: &'a str) -> Reply<'a, Mx> {
        self.nothing()
    }

    fn ipv4<'a>(&'a self, _name: &'a str) -> Reply<'a, Ipv4Addr> {
        self.nothing()
    }

    fn ipv6<'a>(&'a self, _name: &'a str) -> Reply<'a, Ipv6Addr> {
        self.nothing()
    }

    fn ptr(&self, _address: IpAddr) -> Reply<'_, String> {
        self.nothing()
    }

    fn txt<'a>(&'a self, _name: &'a str) -> Reply<'a, Vec<u8>> {
        self.nothing()
    }

    fn tlsa<'a>(&'a self, _name: &'a str) -> Reply<'a, Tlsa> {
        self.nothing()
    }

    fn srv<'a>(&'a self, _name: &'a str) -> Reply<'a, Srv> {
        self.nothing()
    }

    fn caa<'a>(&'a self, _name: &'a str) -> Reply<'a, Caa> {
        self.nothing()
    }

    fn ns<'a>(&'a self, _name: &'a str) -> Reply<'a, String> {
        self.nothing()
    }

    fn cname<'a>(&'a self, _name: &'a str) -> Reply<'a, String> {
        self.nothing()
    }

    fn soa<'a>(&'a self, _name: &'a str) -> Reply<'a, Soa> {
        self.nothing()
    }
}
