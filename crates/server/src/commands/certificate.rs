//! `postroad certificate`: what there is, and orders to the running server.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;

use super::administer::act;
use crate::admin::{CertificateOrder, Operation};
use crate::cli::{Certificate, Output, Place};
use crate::place;

pub(super) fn command(action: Certificate, at: &Place, output: Output) -> Result<ExitCode> {
    let order = match action {
        Certificate::List => CertificateOrder::List,
        Certificate::Show { certificate } => CertificateOrder::Show { which: certificate },
        Certificate::Order { names } => {
            agreed(at)?;
            CertificateOrder::Order { names }
        }
        Certificate::Renew { certificate, new_key } => {
            agreed(at)?;
            CertificateOrder::Renew { which: certificate, new_key }
        }
        Certificate::Import { chain, key, replace } => {
            let text = read(&key)?;
            let key = PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|error| {
                anyhow::anyhow!("{} holds no private key (without a password): {error}", key.display())
            })?;
            CertificateOrder::Import { chain: read(&chain)?, key: key.secret_der().to_vec(), line: replace }
        }
        Certificate::Revoke { certificate, reason, yes } => {
            if !yes {
                bail!("a revoked certificate is never believed again; add --yes if you mean it");
            }
            agreed(at)?;
            CertificateOrder::Revoke { which: certificate, reason }
        }
    };
    act(Operation::Certificate { order }, at, output)
}

/// Nobody orders where nobody has agreed.
fn agreed(at: &Place) -> Result<()> {
    let settings = place::settings(at)?;
    if !settings.acme.terms_agreed {
        bail!(
            "no certificate authority is asked for anything: read the terms of the one at {}, then set \
             acme.terms-agreed = true in the settings and start the server again",
            settings.acme.directory
        );
    }
    Ok(())
}

fn read(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))
}
