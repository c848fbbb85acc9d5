//! A client that comes back with what it knew: QRESYNC and CONDSTORE bring it up to date from any state.

use std::collections::{BTreeMap, BTreeSet};

use crate::client::{Checked, Client, Stage};
use crate::dice::Dice;
use crate::heard::Heard;
use crate::truth;

/// What a client knew at some time.
#[derive(Debug, Clone)]
pub(crate) struct State {
    who: &'static str,
    name: String,
    validity: u32,
    modseq: u64,
    uidnext: u32,
    flags: BTreeMap<u32, BTreeSet<String>>,
}

/// Keeps what a client knows, right after it was compared.
pub(crate) fn keep(stage: &Stage, client: &Client, dice: &mut Dice, states: &mut Vec<State>) {
    let Some(open) = client.open.as_ref().filter(|_| client.enabled.condstore) else { return };
    let Some(truth) = truth::of(&stage.world, open.account, open.mailbox) else { return };
    let known = open.slots.iter().filter_map(|slot| slot.known.as_ref());
    let flags: BTreeMap<u32, BTreeSet<String>> = known.map(|known| (known.uid, known.flags.clone())).collect();
    // As STATUS would tell, or as far as FETCH told.
    let modseq = match dice.once_in(2) {
        true => truth.mailbox.highest_modseq.0.unsigned_abs(),
        false => open.highest,
    };
    let uidnext = open.uidnext.max(flags.keys().next_back().map_or(1, |uid| uid + 1));
    let (who, name, validity) = (client.who, open.name.clone(), open.validity);
    if modseq > 0 && states.len() < STATES_MAX {
        states.push(State { who, name, validity, modseq, uidnext, flags });
    }
}

/// One of these states is brought up to date.
pub(crate) fn check(stage: &mut Stage, dice: &mut Dice, states: &[State]) -> Checked<()> {
    let Some(state) = states.get(dice.roll(states.len())) else { return Ok(()) };
    let mut client = Client::new(stage, 8, state.who);
    let what = match dice.roll(3) {
        0 => condstore(stage, &mut client, dice, state)?,
        _ => qresync(stage, &mut client, dice, state)?,
    };
    let Some(open) = client.open.as_ref().filter(|open| open.validity == state.validity) else { return Ok(()) };
    let Some(flags) = what else { return Ok(()) };
    let truth = truth::of(&stage.world, open.account, open.mailbox).ok_or("the mailbox is gone")?;
    let real: BTreeMap<u32, BTreeSet<String>> = truth.rows.into_iter().map(|(uid, (flags, _))| (uid, flags)).collect();
    match flags == real {
        true => Ok(()),
        false => Err(format!("from {state:?} the client came to {flags:?}, but there is {real:?}")),
    }
}

type Flags = BTreeMap<u32, BTreeSet<String>>;

fn open(
    stage: &mut Stage,
    client: &mut Client,
    dice: &mut Dice,
    state: &State,
    more: &str,
) -> Checked<Option<Vec<Heard>>> {
    let verb = if dice.once_in(2) { "SELECT" } else { "EXAMINE" };
    let name = client.spelled(&state.name);
    let answer = client.open(stage, &format!("{verb} {name} ({more})"), &state.name)?;
    let same = client.open.as_ref().is_some_and(|open| open.validity == state.validity);
    Ok((answer.ok && same).then_some(answer.heard))
}

fn condstore(stage: &mut Stage, client: &mut Client, dice: &mut Dice, state: &State) -> Checked<Option<Flags>> {
    client.enabled.condstore = true;
    if open(stage, client, dice, state, "CONDSTORE")?.is_none() {
        return Ok(None);
    }
    let answer = client.command(stage, &format!("UID FETCH 1:* (FLAGS) (CHANGEDSINCE {})", state.modseq), None)?;
    let mut flags = state.flags.clone();
    take(&mut flags, &answer.heard);
    let answer = client.command(stage, "UID SEARCH RETURN (ALL) ALL", None)?;
    let living: BTreeSet<u32> = crate::client::numbers(&answer.tag, &answer.heard)?.into_iter().collect();
    flags.retain(|uid, _| living.contains(uid));
    Ok(Some(flags))
}

fn qresync(stage: &mut Stage, client: &mut Client, dice: &mut Dice, state: &State) -> Checked<Option<Flags>> {
    (client.enabled.condstore, client.enabled.qresync) = (true, true);
    client.command(stage, "ENABLE QRESYNC", None)?;
    let (validity, modseq) = (state.validity, state.modseq);
    let mut flags = state.flags.clone();
    if dice.once_in(3) {
        // The same by FETCH.
        if open(stage, client, dice, state, "CONDSTORE")?.is_none() {
            return Ok(None);
        }
        let command = format!("UID FETCH 1:* (FLAGS) (CHANGEDSINCE {modseq} VANISHED)");
        let answer = client.command(stage, &command, None)?;
        take(&mut flags, &answer.heard);
        // Of those above the last one that it knows and the mailbox has, `1:*` says nothing.
        let Some(open) = &client.open else { return Ok(None) };
        let last = open.slots.len();
        if last == 0 {
            flags.clear();
        }
        return Ok(Some(flags));
    }
    let known: Vec<String> = flags.keys().map(u32::to_string).collect();
    let named = !known.is_empty() && dice.once_in(2);
    let mut parameter = format!("QRESYNC ({validity} {modseq}");
    if named {
        parameter.push_str(&format!(" {}", known.join(",")));
        if dice.once_in(2) {
            parameter.push_str(&sequences(state, dice));
        }
    }
    parameter.push(')');
    let Some(heard) = open(stage, client, dice, state, &parameter)? else { return Ok(None) };
    take(&mut flags, &heard);
    if named {
        // It was told of what it named; the rest is new.
        let answer = client.command(stage, &format!("UID FETCH {}:* (FLAGS)", state.uidnext), None)?;
        take(&mut flags, &answer.heard);
    }
    Ok(Some(flags))
}

/// Known sequence numbers and their UIDs (RFC 7162 §3.2.5.2).
fn sequences(state: &State, dice: &mut Dice) -> String {
    let pairs: Vec<(usize, u32)> = (1..).zip(state.flags.keys().copied()).filter(|_| dice.once_in(2)).collect();
    if pairs.is_empty() {
        return String::new();
    }
    let numbers: Vec<String> = pairs.iter().map(|(number, _)| number.to_string()).collect();
    let uids: Vec<String> = pairs.iter().map(|(_, uid)| uid.to_string()).collect();
    format!(" ({} {})", numbers.join(","), uids.join(","))
}

fn take(flags: &mut Flags, heard: &[Heard]) {
    for one in heard {
        match one {
            Heard::Vanished { uids, .. } => uids.iter().for_each(|uid| drop(flags.remove(uid))),
            Heard::Fetch(fetched) => {
                if let (Some(uid), Some(mut told)) = (fetched.uid, fetched.flags.clone()) {
                    told.remove("\\Recent");
                    flags.insert(uid, told);
                }
            }
            _ => {}
        }
    }
}

/// States kept of one run.
const STATES_MAX: usize = 200;
