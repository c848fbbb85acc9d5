//! The records of our signing keys, and of the key that mail is signed with.

use std::sync::Arc;

use postroad_trust::keys::{Found, State};
use serde_json::Value;

use super::World;
use super::line::Line;
use crate::signing;

const WHAT: &str = "DKIM";

/// A key whose record is wanted.
pub(super) struct Key {
    name: String,
    record: String,
    state: State,
}

/// As the operation told them.
pub(super) fn keys(data: &Value) -> Vec<Key> {
    let text = |key: &Value, name: &str| key[name].as_str().map(str::to_owned);
    let of = |key: &Value| {
        let state = State::from_name(key["state"].as_str()?)?;
        Some(Key { name: text(key, "name")?, record: text(key, "record")?, state })
    };
    data["keys"].as_array().into_iter().flatten().filter_map(of).collect()
}

pub(super) async fn look(world: Arc<World>) -> Vec<Line> {
    let domain = &world.facts.domain;
    if world.keys.is_empty() {
        return vec![Line::fail(
            WHAT,
            format!("{domain} has no signing key"),
            "its mail is not signed, and Gmail and Microsoft want it to be",
            format!("postroad dkim rotate {domain}"),
        )];
    }
    let is_signed = world.keys.iter().any(|key| key.state == State::Active);
    let mut lines = Vec::new();
    for key in &world.keys {
        lines.push(one(&world, key, is_signed).await);
    }
    lines
}

async fn one(world: &World, key: &Key, is_signed: bool) -> Line {
    let Key { name, record, state } = key;
    let found = signing::found(&*world.dns, name, record).await;
    let fact = match &found {
        Found::Good | Found::Unasked => return Line::ok(WHAT, format!("{name} is our key ({})", state.name())),
        Found::Failed(why) => {
            let (meaning, remedy) = ("it is not known whether the record is there", "try again");
            return Line::warn(WHAT, format!("{name} cannot be asked for: {why}"), meaning, remedy);
        }
        Found::Missing => format!("{name} has no record"),
        Found::Differs(why) => format!("{name} does not have our key: {why}"),
    };
    let records = world.wanted.iter().map(|wanted| &wanted.record).filter(|record| record.name == *name);
    let records: Vec<String> = records.map(ToString::to_string).collect();
    let remedy = match found {
        Found::Differs(_) => "publish this record in its place",
        Found::Good | Found::Unasked | Found::Missing | Found::Failed(_) => "publish this record",
    };
    let line = match state {
        State::Active => Line::fail(WHAT, fact, "mail is signed with a key that nobody can verify: it fails", remedy),
        State::Made | State::Published if !is_signed => {
            Line::fail(WHAT, fact, "mail leaves without a signature until the record is there", remedy)
        }
        State::Made | State::Published => {
            Line::warn(WHAT, fact, "this key is not used until its record is there; another one signs", remedy)
        }
        State::Retired | State::Gone => {
            Line::warn(WHAT, fact, "mail that is still under way with this signature is not verified", remedy)
        }
    };
    line.publish(records)
}
