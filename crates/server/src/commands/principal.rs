//! `postroad principal`.

use std::process::ExitCode;

use anyhow::Result;

use super::administer::act;
use crate::admin::Operation;
use crate::cli::{Output, Place, Principal};

pub(super) fn command(action: Principal, at: &Place, output: Output) -> Result<ExitCode> {
    let operation = match action {
        Principal::Add { address, principal } => Operation::PrincipalAdd { address, principal },
        Principal::List { address } => Operation::PrincipalList { address },
        Principal::Remove { address, principal } => Operation::PrincipalRemove { address, principal },
    };
    act(operation, at, output)
}
