//! `postroad dns --publish`: sends the zone's name server what is missing, and tells what changes.
//!
//! Done again, it changes nothing. What is there and differs is left, unless it is of a kind that only this server can
//! know, or the administrator says `--replace`.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, anyhow, bail};
use postroad_dns::records::{Data, Record, Type};
use postroad_dns::update::{Key, Update};
use postroad_dns::{Answer as Found, Dns as _, Dnssec, Error, Resolver, zone_of};
use serde_json::{Value, json};

use super::facts;
use crate::cli::{DnsRecords, Output};
use crate::domain_records::Wanted;
use crate::print;
use crate::settings::Settings;

pub(super) fn command(options: &DnsRecords, settings: &Settings, list: &[Wanted], output: Output) -> Result<ExitCode> {
    let server = server(options, settings)?;
    let key = key(options, settings)?;
    let asking = postroad_dns::Settings { dnssec: Dnssec::Off, ..postroad_dns::Settings::default() };
    let dns = Resolver::with(&[server], asking)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut steps = runtime.block_on(plan(&dns, list, options.replace))?;
    let error = match options.dry_run {
        true => None,
        false => runtime.block_on(send(&mut steps, server, key.as_ref())).err(),
    };
    tell(&steps, options.dry_run, output);
    match error {
        Some(error) => Err(error),
        None if steps.iter().any(Step::is_left) => Ok(ExitCode::from(SOME_LEFT)),
        None => Ok(ExitCode::SUCCESS),
    }
}

fn server(options: &DnsRecords, settings: &Settings) -> Result<SocketAddr> {
    match options.server.as_ref().or(settings.dns_update.server.as_ref()) {
        Some(text) => facts::server(text),
        None => bail!(
            "which name server takes updates of the zone? --server HOST:PORT, or dns-update.server in the settings"
        ),
    }
}

fn key(options: &DnsRecords, settings: &Settings) -> Result<Option<Key>> {
    // The settings' key is for the settings' server.
    let of_settings = settings.dns_update.key_file.as_ref().filter(|_| options.server.is_none());
    let Some(file) = options.key.as_ref().or(of_settings) else { return Ok(None) };
    let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    Ok(Some(Key::parse(&text).map_err(|error| anyhow!("{}: {error}", file.display()))?))
}

/// All records of one name and type that are wanted, and what becomes of them.
struct Step {
    zone: String,
    wanted: Vec<Wanted>,
    add: Vec<Record>,
    delete: Vec<Record>,
    state: State,
}

impl Step {
    /// Whether it is the administrator's to look at.
    fn is_left(&self) -> bool {
        matches!(self.state, State::Kept | State::Elsewhere(_))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// As it should be.
    There,
    /// To be sent.
    Planned,
    /// Sent, and taken.
    Done,
    /// It differs and stays.
    Kept,
    /// Not this server's; why.
    Elsewhere(String),
}

async fn plan(dns: &Resolver, list: &[Wanted], replace: bool) -> Result<Vec<Step>> {
    let mut groups: Vec<Vec<Wanted>> = Vec::new();
    for wanted in list {
        let is_same = |group: &&mut Vec<Wanted>| {
            group.iter().any(|one| {
                one.purpose == wanted.purpose
                    && one.record.name == wanted.record.name
                    && one.record.data.kind() == wanted.record.data.kind()
            })
        };
        match groups.iter_mut().find(is_same) {
            Some(group) => group.push(wanted.clone()),
            None => groups.push(vec![wanted.clone()]),
        }
    }
    let mut steps = Vec::with_capacity(groups.len());
    for group in groups {
        steps.push(step(dns, group, replace).await?);
    }
    Ok(steps)
}

async fn step(dns: &Resolver, wanted: Vec<Wanted>, replace: bool) -> Result<Step> {
    let (name, kind, purpose) = match wanted.first() {
        Some(first) => (first.record.name.clone(), first.record.data.kind(), first.purpose),
        None => bail!("a group without records"),
    };
    let mut step = Step { zone: String::new(), wanted, add: Vec::new(), delete: Vec::new(), state: State::There };
    let there = match zone_of(dns, &name).await {
        Ok(zone) => {
            step.zone = zone;
            there(dns, &name, kind).await
        }
        Err(error) => Err(error),
    };
    let there = match there {
        Ok(there) => there,
        Err(error) => {
            step.state = State::Elsewhere(error.to_string());
            return Ok(step);
        }
    };
    if there.iter().any(|data| data.kind() != kind) {
        // An alias has no other records, and what has records can be no alias (RFC 1034 §3.6.2).
        step.state = State::Kept;
        return Ok(step);
    }
    let ttl = step.wanted.first().map_or(0, |first| first.record.ttl);
    let missing = step.wanted.iter().filter(|one| !there.contains(&one.record.data));
    step.add = missing.map(|one| one.record.clone()).collect();
    let differing = there.iter().filter(|data| {
        step.wanted.iter().any(|one| one.competes(data)) && !step.wanted.iter().any(|one| one.record.data == **data)
    });
    step.delete = differing.map(|data| Record { name: name.clone(), ttl, data: data.clone() }).collect();
    let may_change = step.delete.is_empty() || purpose.is_ours() || replace;
    step.state = match (step.add.is_empty() && step.delete.is_empty(), may_change) {
        (true, _) => State::There,
        (false, true) => State::Planned,
        (false, false) => State::Kept,
    };
    if step.state == State::Kept {
        step.add.clear();
    }
    Ok(step)
}

/// What stands at a name; also what stands in the way of an alias, or an alias that stands in the way.
async fn there(dns: &Resolver, name: &str, kind: Type) -> Result<Vec<Data>, Error> {
    if let Some(alias) = some(dns.cname(name).await)?.into_iter().next() {
        return Ok(vec![Data::Cname(alias)]);
    }
    Ok(match kind {
        Type::A => some(dns.ipv4(name).await)?.into_iter().map(Data::A).collect(),
        Type::Aaaa => some(dns.ipv6(name).await)?.into_iter().map(Data::Aaaa).collect(),
        Type::Caa => some(dns.caa(name).await)?.into_iter().map(Data::Caa).collect(),
        Type::Cname => {
            let four = some(dns.ipv4(name).await)?.into_iter().map(Data::A);
            four.chain(some(dns.ipv6(name).await)?.into_iter().map(Data::Aaaa)).collect()
        }
        Type::Mx => some(dns.mx(name).await)?.into_iter().map(Data::Mx).collect(),
        Type::Ns => some(dns.ns(name).await)?.into_iter().map(Data::Ns).collect(),
        Type::Srv => some(dns.srv(name).await)?.into_iter().map(Data::Srv).collect(),
        Type::Tlsa => some(dns.tlsa(name).await)?.into_iter().map(Data::Tlsa).collect(),
        Type::Txt => some(dns.txt(name).await)?.into_iter().map(Data::Txt).collect(),
    })
}

/// None is an answer too.
fn some<T>(answer: Result<Found<T>, Error>) -> Result<Vec<T>, Error> {
    match answer {
        Ok(answer) => Ok(answer.records),
        Err(error) if error.is_denial() => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// One update for each zone: all of its changes are made, or none.
async fn send(steps: &mut [Step], server: SocketAddr, key: Option<&Key>) -> Result<()> {
    let mut zones: Vec<String> =
        steps.iter().filter(|step| step.state == State::Planned).map(|step| step.zone.clone()).collect();
    zones.sort();
    zones.dedup();
    for zone in zones {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let mut update = Update::of(&zone);
        let is_of_zone = |step: &&mut Step| step.zone == zone && step.state == State::Planned;
        for step in steps.iter_mut().filter(is_of_zone) {
            update = step.delete.iter().cloned().fold(update, Update::delete_record);
            update = step.add.iter().cloned().fold(update, Update::add);
        }
        update.send(server, key, now, WITHIN).await.with_context(|| format!("{zone} was not changed"))?;
        for step in steps.iter_mut().filter(|step| step.zone == zone && step.state == State::Planned) {
            step.state = State::Done;
        }
    }
    Ok(())
}

fn tell(steps: &[Step], is_dry: bool, output: Output) {
    if output.json {
        print::json(&Value::Array(steps.iter().map(shown).collect()));
        return;
    }
    steps.iter().for_each(|step| print::text(&words(step)));
    print::line(&summary(steps, is_dry));
}

/// The last line: how much is changed, and whether something is left to the administrator.
fn summary(steps: &[Step], is_dry: bool) -> String {
    let is_told = |step: &&Step| step.state == if is_dry { State::Planned } else { State::Done };
    let changes: usize = steps.iter().filter(is_told).map(|step| step.add.len() + step.delete.len()).sum();
    let left: usize = steps.iter().filter(|step| step.is_left()).map(|step| step.wanted.len()).sum();
    let done = match (changes, is_dry) {
        (0, _) if steps.iter().all(|step| step.state == State::There) => "nothing has to be changed".to_owned(),
        (0, true) => "nothing would be sent".to_owned(),
        (0, false) => "nothing was changed".to_owned(),
        (1, true) => "1 change would be sent".to_owned(),
        (_, true) => format!("{changes} changes would be sent"),
        (1, false) => "1 change was made".to_owned(),
        (_, false) => format!("{changes} changes were made"),
    };
    match left {
        0 => done,
        1 => format!("{done}; look at the line with !"),
        _ => format!("{done}; look at the {left} lines with !"),
    }
}

/// `=` is there, `+` comes, `-` goes, `!` is the administrator's to decide.
fn words(step: &Step) -> String {
    let line = |sign: &str, record: &Record| format!("{sign} {record}\n");
    let wanted = |sign: &str| step.wanted.iter().map(|one| line(sign, &one.record)).collect::<String>();
    match &step.state {
        State::There => wanted("="),
        State::Planned | State::Done => {
            let gone: String = step.delete.iter().map(|record| line("-", record)).collect();
            gone + &step.add.iter().map(|record| line("+", record)).collect::<String>()
        }
        State::Kept => {
            let there: String = step.delete.iter().map(|record| format!("    there is {record}\n")).collect();
            wanted("!") + &there + "    it differs and was left; --replace puts ours in its place\n"
        }
        State::Elsewhere(why) => wanted("!") + &format!("    not published through this server: {why}\n"),
    }
}

fn shown(step: &Step) -> Value {
    let lines = |records: &[Record]| records.iter().map(Record::to_string).collect::<Vec<_>>();
    let (state, why) = match &step.state {
        State::There => ("there", None),
        State::Planned => ("planned", None),
        State::Done => ("done", None),
        State::Kept => ("kept", None),
        State::Elsewhere(why) => ("elsewhere", Some(why)),
    };
    let wanted: Vec<String> = step.wanted.iter().map(|one| one.record.to_string()).collect();
    json!({
        "zone": step.zone, "wanted": wanted, "added": lines(&step.add), "deleted": if state == "kept" { Vec::new() } else { lines(&step.delete) },
        "state": state, "why": why,
    })
}

/// For each zone.
const WITHIN: Duration = Duration::from_secs(20);
/// The exit code when something was left for the administrator.
const SOME_LEFT: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    fn step(state: State) -> Step {
        let record = Record { name: "a.test".into(), ttl: 0, data: Data::Cname("b.test".into()) };
        let purpose = crate::domain_records::Purpose::Autoconfig;
        let wanted = vec![Wanted { purpose, record: record.clone() }];
        Step { zone: "test".into(), wanted, add: vec![record], delete: Vec::new(), state }
    }

    #[test]
    fn the_last_line_says_what_was_done_and_what_is_left() {
        let away = || State::Elsewhere("the name server refuses connections".into());
        let cases = [
            (vec![State::There, State::There], true, "nothing has to be changed"),
            (vec![State::There, State::Planned], true, "1 change would be sent"),
            (vec![State::Done, State::Done], false, "2 changes were made"),
            (vec![State::Done, State::Kept], false, "1 change was made; look at the line with !"),
            (vec![away(), away()], true, "nothing would be sent; look at the 2 lines with !"),
            (vec![State::There, away()], false, "nothing was changed; look at the line with !"),
            // The name server refused the update.
            (vec![State::There, State::Planned], false, "nothing was changed"),
        ];
        for (states, is_dry, line) in cases {
            let steps: Vec<Step> = states.into_iter().map(step).collect();
            assert_eq!(summary(&steps, is_dry), line);
        }
    }
}
