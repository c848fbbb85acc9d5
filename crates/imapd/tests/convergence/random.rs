//! One random step of a client.

use std::fmt::Write as _;

use crate::asks;
use crate::client::{Answer, Checked, Client, Silent, Stage, numbers};
use crate::dice::Dice;
use crate::heard::Heard;

/// Alice's mailboxes, some of which are not there all the time.
const OWN: [&str; 5] = ["INBOX", "Work", "Work/Deep", "Trash", "Gr&APw-n"];
/// As Bob sees some of them.
const OTHERS: [&str; 3] = [
    "\"Other Users/alice@example.test/INBOX\"",
    "\"Other Users/alice@example.test/Work\"",
    "\"Other Users/alice@example.test/Work/Deep\"",
];
const FLAGS: [&str; 6] = ["\\Seen", "\\Deleted", "\\Flagged", "$Junk", "blue", "\\Answered"];
pub(crate) const KEYS: [&str; 7] =
    ["ALL", "UNSEEN", "DELETED", "FLAGGED", "KEYWORD blue", "NOT DELETED", "OR SEEN SUBJECT \"number 3\""];

/// Messages that a command is about.
struct Chosen {
    /// As message numbers; `None` in an empty mailbox.
    numbers: Option<String>,
    uids: String,
    slots: Vec<u64>,
    modseq: u64,
}

fn choose(client: &Client, dice: &mut Dice) -> Chosen {
    let open = client.open.as_ref();
    let slots = open.map_or(&[][..], |open| &open.slots);
    let low = dice.roll(slots.len());
    let high = (low + 1 + dice.roll(4)).min(slots.len());
    let chosen = slots.get(low..high).unwrap_or_default();
    let uids: Vec<String> =
        chosen.iter().filter_map(|slot| slot.known.as_ref().map(|known| known.uid.to_string())).collect();
    Chosen {
        numbers: (!chosen.is_empty() && !client.enabled.uid_only).then(|| format!("{}:{high}", low + 1)),
        uids: if uids.is_empty() { "4000000".to_owned() } else { uids.join(",") },
        slots: chosen.iter().map(|slot| slot.id).collect(),
        modseq: chosen.iter().filter_map(|slot| slot.known.as_ref()?.modseq).max().unwrap_or(1),
    }
}

pub(crate) fn mailbox(client: &Client, dice: &mut Dice) -> &'static str {
    // Mostly where the others are.
    let nth = [0, 0, 0, 0, 1, 1, 2, 3, 4][dice.roll(9)];
    match client.who {
        "alice" => OWN[nth],
        _ if nth == 4 => "INBOX",
        _ => OTHERS[nth % OTHERS.len()],
    }
}

/// The selected mailbox, or another one.
fn target(client: &Client, dice: &mut Dice) -> String {
    match &client.open {
        Some(open) if dice.once_in(2) => client.spelled(&open.name),
        Some(_) | None => client.spelled(mailbox(client, dice)),
    }
}

/// A step. What the client did not know before it asks for first.
pub(crate) fn step(stage: &mut Stage, client: &mut Client, dice: &mut Dice) -> Checked<()> {
    if client.session.is_none() {
        client.come_back(stage);
        enable(stage, client, dice)?;
    }
    if client.open.is_none() || dice.once_in(25) {
        return select(stage, client, dice);
    }
    if !dice.once_in(6) {
        client.fill(stage)?;
    }
    client.listen(stage)?;
    if client.session.is_none() || client.open.is_none() {
        return Ok(());
    }
    let chosen = choose(client, dice);
    match dice.roll(42) {
        36 | 37 => asks::found(stage, client, dice),
        38 => asks::threads(stage, client, dice),
        39 => asks::in_mailboxes(stage, client, dice),
        40 => asks::list_status(stage, client, dice),
        41 => asks::notify(stage, client, dice),
        0..=8 => store(stage, client, dice, &chosen),
        9..=13 => fetch(stage, client, dice, &chosen),
        14..=18 => bring(stage, client, dice, &chosen),
        19..=22 => carry(stage, client, dice, &chosen),
        23 | 24 => plain(stage, client, "EXPUNGE"),
        25 => plain(stage, client, &format!("UID EXPUNGE {}", chosen.uids)),
        26 | 27 => search(stage, client, dice),
        28 | 29 => mailboxes(stage, client, dice),
        30 => leave(stage, client, dice),
        31 => enable(stage, client, dice),
        32 => client.idle(stage, |stage| {
            if dice.once_in(2) {
                deliver(stage, "INBOX", dice);
            }
        }),
        33 => outside(stage, dice),
        34 => status(stage, client, dice),
        _ => plain(stage, client, dice.pick(&["NOOP", "CHECK"])),
    }
}

fn plain(stage: &mut Stage, client: &mut Client, command: &str) -> Checked<()> {
    client.command(stage, command, None).map(|_| ())
}

fn enable(stage: &mut Stage, client: &mut Client, dice: &mut Dice) -> Checked<()> {
    let what = dice.pick(&["CONDSTORE", "QRESYNC", "IMAP4rev2", "UTF8=ACCEPT", "QRESYNC", "UIDONLY"]);
    if what == "UIDONLY" {
        // What has no name it could say any more.
        client.fill(stage)?;
        if let Some(open) = &mut client.open {
            open.followed.retain(|_, followed| followed.by_uid);
        }
        client.enabled.uid_only = true;
    }
    // Names are UTF-8 afterwards: this model knows them in the other spelling only.
    if what == "IMAP4rev2" || what == "UTF8=ACCEPT" {
        client.utf8 = true;
    }
    client.enabled.condstore |= matches!(what, "CONDSTORE" | "QRESYNC");
    client.enabled.qresync |= what == "QRESYNC";
    client.enabled.rev2 |= what == "IMAP4rev2";
    plain(stage, client, &format!("ENABLE {what}"))
}

fn select(stage: &mut Stage, client: &mut Client, dice: &mut Dice) -> Checked<()> {
    let name = mailbox(client, dice);
    let command = if dice.once_in(12) { "EXAMINE" } else { "SELECT" };
    let parameter = if dice.once_in(4) { " (CONDSTORE)" } else { "" };
    client.enabled.condstore |= !parameter.is_empty();
    let shown = client.spelled(name);
    client.open(stage, &format!("{command} {shown}{parameter}"), name).map(|_| ())
}

fn store(stage: &mut Stage, client: &mut Client, dice: &mut Dice, chosen: &Chosen) -> Checked<()> {
    let (action, flag) = (dice.pick(&["+FLAGS", "-FLAGS", "FLAGS"]), dice.pick(&FLAGS));
    let since = match dice.roll(5) {
        0 => format!(" (UNCHANGEDSINCE {})", chosen.modseq),
        1 => format!(" (UNCHANGEDSINCE {})", chosen.modseq.saturating_sub(1 + dice.roll(9) as u64)),
        _ => String::new(),
    };
    client.enabled.condstore |= !since.is_empty();
    // Somebody else may not be allowed all of it.
    let silent = client.who == "alice" && dice.once_in(2);
    let apply = Silent { slots: chosen.slots.clone(), action, flag: flag.to_owned() };
    let suffix = if silent { ".SILENT" } else { "" };
    let command = match &chosen.numbers {
        Some(numbers) if dice.once_in(2) && since.is_empty() => format!("STORE {numbers} {action}{suffix} ({flag})"),
        Some(_) | None => format!("UID STORE {}{since} {action}{suffix} ({flag})", chosen.uids),
    };
    client.command(stage, &command, silent.then_some(&apply)).map(|_| ())
}

fn fetch(stage: &mut Stage, client: &mut Client, dice: &mut Dice, chosen: &Chosen) -> Checked<()> {
    let items = dice.pick(&[
        "FLAGS",
        "BODY[TEXT]",
        "BODY[]",
        "(UID FLAGS)",
        "(FLAGS BODY.PEEK[])",
        "(UID RFC822.SIZE FLAGS MODSEQ)",
    ]);
    client.enabled.condstore |= items.contains("MODSEQ");
    let since = chosen.modseq.saturating_sub(dice.roll(6) as u64).max(1);
    let command = match (dice.roll(6), &chosen.numbers) {
        (0, _) => {
            client.enabled.condstore = true;
            let vanished = if client.enabled.qresync { " VANISHED" } else { "" };
            format!("UID FETCH 1:* (FLAGS) (CHANGEDSINCE {since}{vanished})")
        }
        (1, _) => "UID FETCH 1:* (FLAGS)".to_owned(),
        (2 | 3, Some(numbers)) => format!("FETCH {numbers} {items}"),
        (_, _) => format!("UID FETCH {} {items}", chosen.uids),
    };
    plain(stage, client, &command)
}

fn message(dice: &mut Dice) -> String {
    format!("Subject: number {}\r\n\r\nwords\r\n", dice.roll(10))
}

fn literal(text: &str) -> String {
    format!("{{{}+}}\r\n{text}", text.len())
}

/// APPEND and its relatives.
fn bring(stage: &mut Stage, client: &mut Client, dice: &mut Dice, chosen: &Chosen) -> Checked<()> {
    let name = target(client, dice);
    let flags = dice.pick(&["", " (\\Flagged)", " (\\Seen blue)", " (\\Deleted)"]);
    let one = |dice: &mut Dice| literal(&message(dice));
    let first = one(dice);
    let command = match (dice.roll(6), &chosen.numbers, &client.open) {
        (0 | 1, _, _) => format!("APPEND {name}{flags} {first}"),
        (2, _, _) => (0..dice.roll(4)).fold(format!("APPEND {name}{flags} {first}"), |mut command, _| {
            let _ = write!(command, " (\\Seen) {}", one(dice));
            command
        }),
        (3, Some(_), _) => {
            format!("UID REPLACE {} {name}{flags} {first}", chosen.uids.split(',').next().unwrap_or("1"))
        }
        (4, Some(numbers), _) => {
            format!("REPLACE {} {name}{flags} {first}", numbers.split(':').next().unwrap_or("1"))
        }
        (_, _, Some(open)) if open.name == "INBOX" => {
            let uid = chosen.uids.split(',').next().unwrap_or("1");
            format!("APPEND {name}{flags} CATENATE (URL \"/INBOX/;UID={uid}\" TEXT {})", literal("more\r\n"))
        }
        (_, _, _) => format!("APPEND {name}{flags} {first}"),
    };
    plain(stage, client, &command)
}

fn carry(stage: &mut Stage, client: &mut Client, dice: &mut Dice, chosen: &Chosen) -> Checked<()> {
    let name = target(client, dice);
    let verb = dice.pick(&["COPY", "MOVE"]);
    let command = match &chosen.numbers {
        _ if !client.open.as_ref().is_none_or(|open| open.saved.is_empty()) && dice.once_in(3) => {
            format!("UID {verb} $ {name}")
        }
        Some(numbers) if dice.once_in(2) => format!("{verb} {numbers} {name}"),
        Some(_) | None => format!("UID {verb} {} {name}", chosen.uids),
    };
    plain(stage, client, &command)
}

fn search(stage: &mut Stage, client: &mut Client, dice: &mut Dice) -> Checked<()> {
    let key = dice.pick(&KEYS);
    let criteria = dice.pick(&["(REVERSE ARRIVAL)", "(SUBJECT)", "(REVERSE SUBJECT ARRIVAL)", "(SIZE SUBJECT)"]);
    let (by_uid, again) = match dice.roll(5) {
        0 => (true, format!("UID SEARCH RETURN (ALL) {key}")),
        1 if !client.enabled.uid_only => (false, format!("SEARCH RETURN (ALL) {key}")),
        2 => (true, format!("UID SORT RETURN (ALL) {criteria} UTF-8 {key}")),
        3 => return save(stage, client, key),
        _ => return cancel(stage, client),
    };
    // SORT numbers messages at its end, when some may be gone.
    let command = again.replace("(ALL)", "(UPDATE ALL)");
    let answer = client.command(stage, &command, None)?;
    let again = if again.starts_with("UID") { again } else { format!("UID {again}") };
    if let (Some(open), true) = (&mut client.open, answer.ok)
        && !moves_places(&answer.heard)
    {
        open.follow(&answer.tag, again, by_uid, &answer.heard)?;
    }
    Ok(())
}

fn moves_places(heard: &[Heard]) -> bool {
    heard.iter().any(|heard| matches!(heard, Heard::Expunge(_) | Heard::Vanished { earlier: false, .. }))
}

fn save(stage: &mut Stage, client: &mut Client, key: &str) -> Checked<()> {
    client.fill(stage)?;
    let by_uid = client.enabled.uid_only;
    let verb = if by_uid { "UID SEARCH" } else { "SEARCH" };
    let answer = client.command(stage, &format!("{verb} RETURN (SAVE ALL) {key}"), None)?;
    if by_uid && answer.ok {
        // Among them may be some that came a moment ago, of which it knows no more than that.
        client.fill(stage)?;
    }
    if let (Some(open), true, true) = (&mut client.open, answer.ok, by_uid) {
        let uids = numbers(&answer.tag, &answer.heard)?;
        open.saved = uids.iter().filter_map(|uid| open.slots.get(open.place_of(*uid)?)).map(|slot| slot.id).collect();
    } else if let (Some(open), true) = (&mut client.open, answer.ok) {
        let places = numbers(&answer.tag, &answer.heard)?;
        // Behind its end NOTIFY may have told that places changed.
        let places = if moves_places(&answer.heard) { Vec::new() } else { places };
        open.saved =
            places.iter().filter_map(|place| open.slots.get(*place as usize - 1)).map(|slot| slot.id).collect();
    }
    Ok(())
}

fn cancel(stage: &mut Stage, client: &mut Client) -> Checked<()> {
    let tag = client.open.as_ref().and_then(|open| open.followed.keys().next().cloned());
    let Some(tag) = tag else { return Ok(()) };
    plain(stage, client, &format!("CANCELUPDATE \"{tag}\""))?;
    if let Some(open) = &mut client.open {
        open.followed.remove(&tag);
    }
    Ok(())
}

fn mailboxes(stage: &mut Stage, client: &mut Client, dice: &mut Dice) -> Checked<()> {
    if client.who != "alice" {
        return status(stage, client, dice);
    }
    let command = match dice.roll(12) {
        0..=2 => "CREATE Work".to_owned(),
        3 | 4 => "CREATE Work/Deep".to_owned(),
        5 => format!("CREATE {}", client.spelled("Gr&APw-n")),
        6 => "DELETE Work".to_owned(),
        7 => "RENAME Work Play".to_owned(),
        8 => "RENAME Play Work".to_owned(),
        9 if dice.once_in(3) => "RENAME INBOX Old".to_owned(),
        9 => "DELETE Old".to_owned(),
        10 => format!(
            "SETACL {} bob {}",
            dice.pick(&["INBOX", "Work", "Work/Deep"]),
            dice.pick(&["lrswite", "lrs", "lr", "lrwi", "lrswitep"])
        ),
        _ => format!("DELETEACL {} bob", dice.pick(&["INBOX", "Work"])),
    };
    let doomed = command.strip_prefix("DELETE ").and_then(|name| crate::truth::place(&stage.world, "alice", name));
    let answer = client.command(stage, &command, None)?;
    // Who deletes the selected mailbox goes on without one.
    if answer.ok && client.open.as_ref().is_some_and(|open| doomed == Some((open.account, open.mailbox))) {
        client.open = None;
    }
    Ok(())
}

fn leave(stage: &mut Stage, client: &mut Client, dice: &mut Dice) -> Checked<()> {
    let command = dice.pick(&["CLOSE", "UNSELECT"]);
    client.open = None;
    plain(stage, client, command)?;
    if dice.once_in(3) {
        client.session = None;
    }
    Ok(())
}

/// STATUS tells what a recount does.
fn status(stage: &mut Stage, client: &mut Client, dice: &mut Dice) -> Checked<()> {
    let name = mailbox(client, dice);
    client.enabled.condstore = true;
    let answer = client.command(stage, &format!("STATUS {} ({STATUS_ITEMS})", client.spelled(name)), None)?;
    told_is_true(stage, client, &answer, Some(name))
}

/// What STATUS responses told is what a recount tells: of this mailbox, or of those that they name.
pub(crate) fn told_is_true(stage: &Stage, client: &Client, answer: &Answer, asked: Option<&str>) -> Checked<()> {
    for heard in answer.heard.iter().filter(|_| stage.alone) {
        let Heard::Status(told, pairs) = heard else { continue };
        let name = asked.unwrap_or(told);
        let place = crate::truth::place(&stage.world, client.who, name);
        let truth = place.and_then(|(account, mailbox)| crate::truth::of(&stage.world, account, mailbox));
        let truth = truth.as_ref().ok_or("STATUS of what is not there")?;
        let having = |flag: &str| truth.rows.values().filter(|(flags, _)| flags.contains(flag)).count() as u64;
        for (item, told) in pairs {
            let real = match item.as_str() {
                "MESSAGES" => truth.rows.len() as u64,
                "UNSEEN" => truth.rows.len() as u64 - having("\\Seen"),
                "DELETED" => having("\\Deleted"),
                "UIDNEXT" => truth.mailbox.uidnext.into(),
                "SIZE" => truth.mailbox.size,
                "HIGHESTMODSEQ" => truth.mailbox.highest_modseq.0.unsigned_abs(),
                other => return Err(format!("STATUS told of {other}")),
            };
            if real != *told {
                return Err(format!("STATUS of {name} told {item} {told}, but it is {real}"));
            }
        }
    }
    Ok(())
}

/// What is asked of each mailbox.
pub(crate) const STATUS_ITEMS: &str = "MESSAGES UNSEEN DELETED UIDNEXT SIZE HIGHESTMODSEQ";

pub(crate) fn deliver(stage: &mut Stage, name: &str, dice: &mut Dice) {
    let flags: &[&str] = if dice.once_in(3) { &["\\Seen", "blue"] } else { &[] };
    stage.trace.push(format!("outside: a delivery to {name}"));
    stage.world.deliver("alice", name, flags, &message(dice));
}

/// What happens without any session.
pub(crate) fn outside(stage: &mut Stage, dice: &mut Dice) -> Checked<()> {
    match dice.roll(5) {
        0 | 1 => deliver(stage, "INBOX", dice),
        2 => crate::outside::undelete(stage, dice),
        3 => crate::outside::forget(stage, dice),
        _ => crate::outside::new_index(stage),
    }
    Ok(())
}
