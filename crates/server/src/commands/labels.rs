//! `account gmail`: labels are switched on part by part, and how far it is is said meanwhile.

use std::process::ExitCode;

use anyhow::Result;

use super::administer::{ask, show};
use super::progress::Shown;
use crate::admin::{Answer, LabelsOrder, Operation};
use crate::cli::{Output, Place, Switch};
use crate::place;

pub(super) fn gmail(action: Switch, at: &Place, output: Output) -> Result<ExitCode> {
    let settings = place::settings(at)?;
    let (address, order) = match action {
        Switch::On { address } => (address, LabelsOrder::On),
        Switch::Off { address } => (address, LabelsOrder::Off),
        Switch::Show { address } => (address, LabelsOrder::Show),
    };
    let shown = Shown::new();
    loop {
        let answer = ask(Operation::AccountLabels { address: address.clone(), order }, &settings)?;
        if let Answer::Report { data, .. } = &answer
            && order == LabelsOrder::On
            && data["labels"] == "filling"
        {
            let number = |name: &str| data[name].as_u64().unwrap_or(0);
            shown.show("messages in All Mail", number("done"), number("of"), 0);
            continue;
        }
        shown.clear();
        return Ok(show(&answer, output));
    }
}
