//! `postroad collect`: what is asked is looked at here, and kept by the running server, or straight in the store.

use std::process::ExitCode;

use anyhow::{Context, Result};
use postroad_remote::{Place as Elsewhere, Security};

use super::administer::act;
use super::consent::{self, Scopes};
use super::moving::secret;
use crate::admin::{CollectOrder, CollectSecret, CollectWish, Operation};
use crate::cli::{Collect, CollectAdd, Output, Place};
use crate::{place, print};

pub(super) fn command(action: Collect, at: &Place, output: Output) -> Result<ExitCode> {
    let order = match action {
        Collect::Add(add) => CollectOrder::Add(Box::new(wish(&add, at)?)),
        Collect::List { address } => CollectOrder::List { address },
        Collect::Remove { address, id } => CollectOrder::Remove { address, id },
        Collect::Now { address } => CollectOrder::Now { address },
    };
    act(Operation::Collect { order }, at, output)
}

fn wish(add: &CollectAdd, at: &Place) -> Result<CollectWish> {
    let settings = place::settings(at)?;
    let from = Elsewhere::parse_pop(&add.from)?;
    if from.security == Security::None {
        print::complaint(&format!(
            "WARNING: no TLS with {}. Whoever is in between reads the password and the mail.",
            from.host
        ));
    }
    let ca = match &add.ca {
        Some(file) => {
            Some(std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?)
        }
        None => None,
    };
    Ok(CollectWish {
        address: add.address.clone(),
        from: add.from.clone(),
        secret: match consent::of(&add.consent, &SCOPES, &settings)? {
            Some(granting) => CollectSecret::Granted(granting),
            None => CollectSecret::Password(secret::password(add.password_file.as_deref(), &from)?),
        },
        ca,
        mailbox: add.into.clone(),
        every: add.every,
        delete_after: add.delete_after.filter(|_| !add.leave),
        key: place::secret_key(&settings),
    })
}

/// What reading mail by POP3 is called.
const SCOPES: Scopes = Scopes {
    own: "mail:pop offline_access",
    microsoft: "https://outlook.office365.com/POP.AccessAsUser.All offline_access",
};
