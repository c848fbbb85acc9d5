//! `postroad dns`: the records that a domain needs, printed or published.

mod facts;
mod publish;

use std::process::ExitCode;

use anyhow::{Result, bail};
use postroad_dns::records::{Data, strings};
use serde_json::{Value, json};

use super::administer::ask;
use crate::admin::{Answer, Operation};
use crate::cli::{DnsRecords, Output, Place};
use crate::domain_records::{Facts, Purpose, Wanted, wanted};
use crate::settings::Settings;
use crate::{place, print};

pub(super) fn command(options: &DnsRecords, at: &Place, output: Output) -> Result<ExitCode> {
    let settings = place::settings(at)?;
    let known = ask(Operation::DnsFacts { domain: options.domain.clone(), hostname: host(&settings) }, &settings)?;
    let Answer::Report { data, .. } = &known else { return Ok(super::administer::show(&known, output)) };
    let facts = facts::of(&settings, data)?;
    let list = wanted(&facts);
    if options.publish {
        return publish::command(options, &settings, &list, output);
    }
    match (output.json, options.zone) {
        (true, _) => print::json(&Value::Array(list.iter().map(shown).collect())),
        (false, true) => print::text(&zone(&facts, &list)),
        (false, false) => print::text(&table(&facts, &list)),
    }
    Ok(ExitCode::SUCCESS)
}

/// What the records of a domain follow from, and what the operation told besides. Errors: no domain of this server.
pub(super) fn known(settings: &Settings, domain: &str) -> Result<(Facts, Value)> {
    match ask(Operation::DnsFacts { domain: domain.to_owned(), hostname: host(settings) }, settings)? {
        Answer::Report { data, .. } => Ok((facts::of(settings, &data)?, data)),
        refused => bail!("{}", refused.text().trim_end()),
    }
}

/// The table that `quickstart` prints, from what the operation answered.
pub(super) fn told(settings: &Settings, answer: &Answer) -> Result<String> {
    let Answer::Report { data, .. } = answer else { return Ok(answer.text()) };
    let facts = facts::of(settings, data)?;
    Ok(table(&facts, &wanted(&facts)))
}

/// This server's name as it stands in the DNS.
pub(super) fn host(settings: &Settings) -> String {
    settings.hostname.trim_end_matches('.').to_ascii_lowercase()
}

fn shown(wanted: &Wanted) -> Value {
    let Wanted { purpose, record } = wanted;
    let mut object = json!({
        "name": record.name, "type": record.data.kind().to_string(), "ttl": record.ttl, "value": record.data.to_string(),
        "purpose": purpose.name(), "need": purpose.need().name(), "about": purpose.about(),
    });
    if let Data::Txt(text) = &record.data {
        object["text"] = String::from_utf8_lossy(text).into();
        object["strings"] = strings(text).map(|part| String::from_utf8_lossy(part).into_owned()).collect();
    }
    object
}

fn zone(facts: &Facts, list: &[Wanted]) -> String {
    let mut text = notes(facts).into_iter().map(|note| format!("; {note}\n")).collect::<String>();
    let mut last = None;
    for Wanted { purpose, record } in list {
        if last != Some(*purpose) {
            text += &format!("; {} ({})\n", purpose.about(), purpose.need().name());
            last = Some(*purpose);
        }
        text += &format!("{record}\n");
    }
    text
}

fn table(facts: &Facts, list: &[Wanted]) -> String {
    let mut rows = Vec::new();
    if facts.addresses.is_empty() {
        let purpose = Purpose::Address;
        rows.push(row(purpose, &facts.host, "A", "this server's public address"));
    }
    rows.extend(list.iter().map(|Wanted { purpose, record }| {
        row(*purpose, &record.name, &record.data.kind().to_string(), &value(&record.data))
    }));
    let mut notes = notes(facts);
    notes.push("In a form for records, enter a text without its quotes, in one piece.".into());
    let notes: String = notes.into_iter().map(|note| format!("{note}\n")).collect();
    // The longest comes last, so that the others line up.
    let heads = ["NEED", "WHAT IT DOES", "NAME", "TYPE", "VALUE"];
    format!("{}\n{notes}", Answer::table(&heads, rows, "").text())
}

fn row(purpose: Purpose, name: &str, kind: &str, value: &str) -> Vec<String> {
    [purpose.need().name(), purpose.about(), name, kind, value].map(str::to_owned).to_vec()
}

/// A text in one piece, as forms want it.
fn value(data: &Data) -> String {
    match data {
        Data::Txt(text) => format!("\"{}\"", String::from_utf8_lossy(text)),
        other => other.to_string(),
    }
}

/// What no record can say.
fn notes(facts: &Facts) -> Vec<String> {
    let host = &facts.host;
    let mut notes = vec![format!(
        "Let whoever gave this server its address name it {host} (reverse DNS, PTR): other servers look before they take mail."
    )];
    if !host.contains('.') {
        notes.push(format!("{host} is no public name: set hostname in the settings to one that leads here."));
    }
    if facts.policy_id.is_none() {
        notes.push("MTA-STS is left out: it needs a listener with service http and implicit TLS on port 443.".into());
    }
    if facts.tlsa.is_empty() {
        notes.push("TLSA is left out: there is no certificate yet, or it cannot be read.".into());
    }
    notes
}
