//! The acceptor of a program that was built without the library: there is none.

use std::path::Path;

use postroad_sasl::gss::{self, Context, Fault, Form, Step};

use crate::Error;

/// Accepts tickets; nobody has one.
#[derive(Debug)]
pub enum Acceptor {}

impl Acceptor {
    /// [`Error::NotBuilt`].
    pub fn open(_: &Path) -> Result<Acceptor, Error> {
        Err(Error::NotBuilt)
    }
}

impl gss::Acceptor for Acceptor {
    fn step(&self, _: Option<&Context>, _: Form, _: &[u8], _: &[&str], _: Option<&[u8]>) -> Result<Step, Fault> {
        match *self {}
    }

    fn unwrap(&self, _: &Context, _: &[u8]) -> Result<Vec<u8>, Fault> {
        match *self {}
    }

    fn peer(&self, _: &Context) -> Result<String, Fault> {
        match *self {}
    }
}
