//! `postroad dkim`: signing keys.

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use postroad_trust::keys::Found;

use super::administer::{act, ask};
use crate::admin::{Answer, DkimOrder, Operation, Seen};
use crate::cli::{Dkim, Output, Place};
use crate::serve::outbound::Names;
use crate::{place, signing};

pub(super) fn command(action: Dkim, at: &Place, output: Output) -> Result<ExitCode> {
    let order = match action {
        Dkim::List { domain } => DkimOrder::List { domain },
        Dkim::Show { domain, selector } => DkimOrder::Show { domain, selector },
        Dkim::Check { domain, dns } => return check(domain, dns, at, output),
        Dkim::Rotate { domain } => DkimOrder::Rotate { domain },
        Dkim::Activate { domain, selector } => DkimOrder::Activate { domain, selector },
        Dkim::Retire { domain, selector, leaked } => DkimOrder::Retire { domain, selector, leaked },
        Dkim::Import { domain, selector, file } => DkimOrder::Import { domain, selector, pem: read(&file)? },
        Dkim::Export { domain, selector } => DkimOrder::Export { domain, selector },
    };
    act(Operation::Dkim { order }, at, output)
}

fn read(file: &Path) -> Result<String> {
    if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().take(KEY_MAX).read_to_string(&mut text).context("no key on standard input")?;
        return Ok(text);
    }
    std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))
}

/// Asks from here, so that it works without a running server too.
fn check(domain: Option<String>, dns: Option<String>, at: &Place, output: Output) -> Result<ExitCode> {
    let mut settings = place::settings(at)?;
    if let Some(server) = dns {
        settings.dns.servers = vec![server];
    }
    let names = Names::of(&settings)?;
    if let Names::Nobody(why) = &names {
        bail!("{why}");
    }
    let wanted = ask(Operation::Dkim { order: DkimOrder::Wanted { domain: domain.clone() } }, &settings)?;
    let Answer::Report { data, .. } = &wanted else { return Ok(super::administer::show(&wanted, output)) };
    let keys: Vec<Wanted> = data.as_array().into_iter().flatten().filter_map(Wanted::of).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let dns = names.dns();
    let mut bad = false;
    let mut seen = Vec::with_capacity(keys.len());
    for key in keys {
        let found = runtime.block_on(signing::found(&*dns, &key.name, &key.record));
        bad |= found != Found::Good;
        seen.push(Seen::new(key.domain, key.selector, found));
    }
    let order = DkimOrder::Seen { seen, signing: settings.signing() };
    ask(Operation::Dkim { order }, &settings)?;
    let code = act(Operation::Dkim { order: DkimOrder::List { domain } }, at, output)?;
    Ok(if bad { ExitCode::FAILURE } else { code })
}

/// A key whose record is to be looked for.
struct Wanted {
    domain: String,
    selector: String,
    name: String,
    record: String,
}

impl Wanted {
    fn of(data: &serde_json::Value) -> Option<Wanted> {
        let text = |name: &str| data[name].as_str().map(str::to_owned);
        let gone = data["state"] == "gone";
        (!gone).then_some(())?;
        Some(Wanted {
            domain: text("domain")?,
            selector: text("selector")?,
            name: text("name")?,
            record: text("record")?,
        })
    }
}

/// Longest key that is read, in octets.
const KEY_MAX: u64 = 64 * 1024;
