//! What a client pieces together from untagged responses, and from nothing else.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use postroad_imapd::Session;
use postroad_mail::MailboxId;
use postroad_store::AccountId;

use crate::common::World;
use crate::heard::{self, Fetched, Heard};

/// Nothing is wrong, or what is.
pub(crate) type Checked<T> = Result<T, String>;

/// The world, and what was said in it.
pub(crate) struct Stage {
    pub(crate) world: World,
    pub(crate) trace: Vec<String>,
    /// Nothing happens but what is done here.
    pub(crate) alone: bool,
    /// Which opening of a mailbox showed a message as recent, for all clients.
    pub(crate) recent: Arc<Mutex<Recent>>,
}

/// Mailboxes are named by account and UIDVALIDITY.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    shown: HashMap<(AccountId, u32, u32), u64>,
    openings: u64,
}

impl Stage {
    pub(crate) fn new(world: World) -> Stage {
        Stage { world, trace: Vec::new(), alone: true, recent: Arc::default() }
    }
}

/// What ENABLE and commands that imply it switched on.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Enabled {
    pub(crate) condstore: bool,
    pub(crate) qresync: bool,
    pub(crate) rev2: bool,
    pub(crate) uid_only: bool,
}

pub(crate) struct Client {
    pub(crate) session: Option<Session>,
    pub(crate) number: usize,
    pub(crate) who: &'static str,
    tags: u32,
    pub(crate) enabled: Enabled,
    /// Names are UTF-8.
    pub(crate) utf8: bool,
    pub(crate) open: Option<Opened>,
    /// It said NOTIFY, and hears of its other mailboxes what STATUS tells.
    pub(crate) notified: bool,
    /// What it heard so, by name: MESSAGES and UIDNEXT.
    pub(crate) elsewhere: BTreeMap<String, (u64, u64)>,
}

/// The selected mailbox, as far as the client was told.
pub(crate) struct Opened {
    pub(crate) name: String,
    pub(crate) account: AccountId,
    pub(crate) mailbox: MailboxId,
    pub(crate) validity: u32,
    pub(crate) slots: Vec<Slot>,
    /// `None` when it cannot know.
    pub(crate) recent: Option<u32>,
    pub(crate) highest: u64,
    pub(crate) uidnext: u32,
    pub(crate) followed: BTreeMap<String, Followed>,
    /// `$`: by the slots' ids.
    pub(crate) saved: BTreeSet<u64>,
    flags: BTreeSet<String>,
    /// Slots that there ever were.
    ids: u64,
    /// Its number, when nobody else may see as recent what it does.
    opening: Option<u64>,
}

/// A message, by its place.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    /// Stays while places change.
    pub(crate) id: u64,
    pub(crate) known: Option<Known>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) uid: u32,
    pub(crate) flags: BTreeSet<String>,
    pub(crate) recent: bool,
    /// As told last.
    pub(crate) modseq: Option<u64>,
}

/// A result that the server keeps up to date.
#[derive(Debug, Clone)]
pub(crate) struct Followed {
    /// The command that asks for it anew.
    pub(crate) again: String,
    pub(crate) by_uid: bool,
    pub(crate) sorted: bool,
    pub(crate) members: Vec<Member>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Member {
    Uid(u32),
    Slot(u64),
}

/// A change of flags that the client asked for with .SILENT, and applies itself.
pub(crate) struct Silent {
    pub(crate) slots: Vec<u64>,
    pub(crate) action: &'static str,
    pub(crate) flag: String,
}

/// What came of a command.
pub(crate) struct Answer {
    pub(crate) ok: bool,
    pub(crate) tag: String,
    pub(crate) heard: Vec<Heard>,
}

impl Client {
    pub(crate) fn new(stage: &mut Stage, number: usize, who: &'static str) -> Client {
        let session = Some(stage.world.logged_in(who));
        stage.trace.push(format!("{number}: logs in as {who}"));
        Client {
            session,
            number,
            who,
            tags: 0,
            enabled: Enabled::default(),
            utf8: false,
            open: None,
            notified: false,
            elsewhere: BTreeMap::new(),
        }
    }

    /// A name as this client writes it.
    pub(crate) fn spelled(&self, name: &str) -> String {
        if self.utf8 { name.replace("Gr&APw-n", "\"Gr\u{fc}n\"") } else { name.to_owned() }
    }

    /// Another connection of the same client.
    pub(crate) fn come_back(&mut self, stage: &mut Stage) {
        let session = stage.world.logged_in(self.who);
        stage.trace.push(format!("{}: logs in again", self.number));
        (self.session, self.enabled, self.utf8, self.open) = (Some(session), Enabled::default(), false, None);
        (self.notified, self.elsewhere) = (false, BTreeMap::new());
    }

    /// Sends a command, takes in what is said, and gives it back.
    pub(crate) fn command(&mut self, stage: &mut Stage, command: &str, silent: Option<&Silent>) -> Checked<Answer> {
        self.tags += 1;
        let tag = format!("t{}x{}", self.number, self.tags);
        // It was told BYE while it asked for something else.
        let Some(session) = self.session.take() else { return Ok(Answer { ok: false, tag, heard: Vec::new() }) };
        // RFC 5465 §5: what it does itself it is not told of, and of the selected mailbox it hears otherwise.
        if CHANGING.iter().any(|name| command.contains(name)) {
            self.elsewhere.clear();
        }
        stage.trace.push(format!("{}: {}", self.number, command.replace("\r\n", "\\r\\n")));
        let (session, said) = stage.world.say(session, format!("{tag} {command}\r\n").as_bytes());
        let heard = heard::all(&said).map_err(|error| format!("{command}: {error}"))?;
        if heard.contains(&Heard::Bye) {
            (self.session, self.open) = (None, None);
            return Ok(Answer { ok: false, tag, heard });
        }
        self.session = Some(session);
        let lines = heard::without_literals(&said);
        let line = lines.split("\r\n").find_map(|line| line.strip_prefix(&format!("{tag} ")));
        let line = line.ok_or_else(|| format!("{command} was not answered: {said}"))?.to_owned();
        if line.starts_with("BAD") {
            return Err(format!("{command}: {line}"));
        }
        let by_number = ["FETCH", "STORE", "SEARCH"].iter().any(|name| command.starts_with(name));
        // After its end NOTIFY may tell.
        let answer = lines.split_once(&format!("{tag} ")).map_or("", |(answer, _)| answer);
        if by_number
            && heard::all(answer)?
                .iter()
                .any(|one| matches!(one, Heard::Expunge(_) | Heard::Vanished { earlier: false, .. }))
        {
            return Err(format!("{command} told of an expunge: {said}"));
        }
        let ok = line.starts_with("OK");
        if let Some(last) = stage.trace.last_mut() {
            last.push_str(&format!(" -> {}", line.split(" [APPENDUID").next().unwrap_or(&line)));
        }
        self.take_in(&heard).map_err(|error| format!("{command}: {error} in\n{said}"))?;
        if let (Some(open), Some(silent), true) = (&mut self.open, silent, ok) {
            open.apply(silent, &line);
        }
        Ok(Answer { ok, tag, heard })
    }

    /// IDLE, and what `meanwhile` does to the world.
    pub(crate) fn idle(&mut self, stage: &mut Stage, meanwhile: impl FnOnce(&mut Stage)) -> Checked<()> {
        let Some(session) = self.session.take() else { return Ok(()) };
        stage.trace.push(format!("{}: IDLE", self.number));
        let (session, mut said) = stage.world.say(session, b"i IDLE\r\n");
        if said.contains("* BYE") {
            self.open = None;
            return Ok(());
        }
        meanwhile(stage);
        let (session, more) = stage.world.news(session);
        said.push_str(&more);
        if said.contains("* BYE") {
            self.open = None;
            return Ok(());
        }
        let (session, more) = stage.world.say(session, b"DONE\r\n");
        said.push_str(&more);
        self.session = Some(session);
        self.take_in(&heard::all(&said)?).map_err(|error| format!("IDLE: {error} in\n{said}"))
    }

    /// What a client that said NOTIFY is told between commands.
    pub(crate) fn listen(&mut self, stage: &mut Stage) -> Checked<()> {
        let Some(session) = self.session.take_if(|_| self.notified) else { return Ok(()) };
        let (session, said) = stage.world.news(session);
        if said.contains("* BYE") {
            self.open = None;
            return Ok(());
        }
        self.session = Some(session);
        if !said.is_empty() {
            stage.trace.push(format!("{}: hears {}", self.number, said.replace("\r\n", "|")));
        }
        self.take_in(&heard::all(&said)?).map_err(|error| format!("between commands: {error} in\n{said}"))
    }

    fn take_in(&mut self, heard: &[Heard]) -> Checked<()> {
        for one in heard {
            // The others may be made anew, of which this client does not want to hear.
            let Some((name, pairs)) = one.status_of("INBOX").filter(|_| self.notified) else { continue };
            let told = |item: &str| pairs.iter().find(|(name, _)| name == item).map(|(_, number)| *number);
            let (messages, next) = self.elsewhere.get(name).copied().unwrap_or_default();
            let now = (told("MESSAGES").unwrap_or(messages), told("UIDNEXT").unwrap_or(next));
            self.elsewhere.insert(name.to_owned(), now);
        }
        let enabled = self.enabled;
        let Some(open) = &mut self.open else { return Ok(()) };
        heard.iter().try_for_each(|one| open.take_in(enabled, one))
    }

    /// Asks for what it does not know yet.
    pub(crate) fn fill(&mut self, stage: &mut Stage) -> Checked<()> {
        let Some(first) = self.open.as_ref().and_then(|open| open.slots.iter().position(|slot| slot.known.is_none()))
        else {
            return Ok(());
        };
        let items = if self.enabled.condstore { "UID FLAGS MODSEQ" } else { "UID FLAGS" };
        if self.enabled.uid_only {
            let items = items.trim_start_matches("UID ");
            // A change of flags may have named one that came in the middle.
            return self.command(stage, &format!("UID FETCH 1:* ({items})"), None).map(|_| ());
        }
        self.command(stage, &format!("FETCH {}:* ({items})", first + 1), None).map(|_| ())
    }

    /// SELECT or EXAMINE with what its answer says.
    pub(crate) fn open(&mut self, stage: &mut Stage, command: &str, name: &str) -> Checked<Answer> {
        self.open = None;
        let answer = self.command(stage, command, None)?;
        if !answer.ok {
            return Ok(answer);
        }
        let validity = answer.heard.iter().find_map(|one| match one {
            Heard::UidValidity(validity) => Some(*validity),
            _ => None,
        });
        let place = crate::truth::with_validity(&stage.world, self.who, name, validity.unwrap_or(0));
        let (account, mailbox) = match place {
            Some(place) => place,
            // Somebody else deleted it a moment later: the next command hears BYE.
            None if !stage.alone => return Ok(answer),
            None => return Err(format!("{command} went well, but there is no {name}")),
        };
        let mut open = Opened {
            name: name.to_owned(),
            account,
            mailbox,
            validity: 0,
            slots: Vec::new(),
            recent: None,
            highest: 0,
            uidnext: 0,
            followed: BTreeMap::new(),
            saved: BTreeSet::new(),
            flags: BTreeSet::new(),
            ids: 0,
            opening: None,
        };
        if self.who == "alice" && command.starts_with("SELECT") {
            let mut recent = stage.recent.lock().expect("nobody panicked");
            recent.openings += 1;
            open.opening = Some(recent.openings);
        }
        let enabled = self.enabled;
        answer.heard.iter().try_for_each(|one| open.take_in(enabled, one))?;
        self.open = Some(open);
        Ok(answer)
    }
}

impl Opened {
    fn take_in(&mut self, enabled: Enabled, heard: &Heard) -> Checked<()> {
        match heard {
            Heard::Exists(count) => {
                if *count < self.slots.len() {
                    return Err("EXISTS went down".to_owned());
                }
                while self.slots.len() < *count {
                    self.ids += 1;
                    self.slots.push(Slot { id: self.ids, known: None });
                }
                // A client of rev1 is told of both.
                self.recent = None;
            }
            Heard::Recent(count) => self.recent = Some(*count),
            Heard::Expunge(place) => self.remove(*place)?,
            Heard::Vanished { earlier: false, uids } => uids.iter().try_for_each(|uid| self.vanished(*uid, enabled))?,
            Heard::Vanished { earlier: true, uids } => {
                let known =
                    |uid: &u32| self.slots.iter().any(|slot| slot.known.as_ref().is_some_and(|k| k.uid == *uid));
                if let Some(uid) = uids.iter().find(|uid| known(uid)) {
                    return Err(format!("VANISHED (EARLIER) of {uid}, which the client sees"));
                }
            }
            Heard::Fetch(fetched) => self.fetched(fetched, enabled)?,
            Heard::Flags(flags) => self.flags.clone_from(flags),
            Heard::HighestModSeq(modseq) => self.highest = self.highest.max(*modseq),
            Heard::UidNext(uid) => self.uidnext = *uid,
            Heard::UidValidity(validity) => self.validity = *validity,
            Heard::Esearch { tag, by_uid, parts } => self.esearch(tag, *by_uid, parts)?,
            Heard::UidFetch(fetched) => self.uid_fetched(fetched)?,
            Heard::Search(_)
            | Heard::Status(..)
            | Heard::InMailbox { .. }
            | Heard::Thread(_)
            | Heard::Bye
            | Heard::Other => {}
        }
        Ok(())
    }

    fn remove(&mut self, place: usize) -> Checked<()> {
        if !(1..=self.slots.len()).contains(&place) {
            return Err(format!("there is no message {place} to expunge"));
        }
        let slot = self.slots.remove(place - 1);
        self.saved.remove(&slot.id);
        self.recent = match slot.known {
            Some(known) => self.recent.map(|recent| recent.saturating_sub(known.recent.into())),
            None => None,
        };
        let member = |member: &Member| match member {
            Member::Slot(id) => *id == slot.id,
            Member::Uid(_) => false,
        };
        match self.followed.values().any(|followed| followed.members.iter().any(member)) {
            true => Err(format!("message {place} was expunged while it was in a result that is followed")),
            false => Ok(()),
        }
    }

    /// A client of QRESYNC finds a message by its UID, and one that it was told of by EXISTS only by where it
    /// must be: before the first known one with a higher UID.
    fn vanished(&mut self, uid: u32, enabled: Enabled) -> Checked<()> {
        let known = self.place_of(uid);
        let behind = self.slots.iter().position(|slot| slot.known.as_ref().is_some_and(|known| known.uid > uid));
        let before = &self.slots[..behind.unwrap_or(self.slots.len())];
        let all = if enabled.uid_only { &self.slots[..] } else { before };
        let unknown = || all.iter().rposition(|slot| slot.known.is_none());
        let place = known.or_else(unknown).ok_or_else(|| format!("{uid} vanished, but was not in the view"))?;
        // Which of the unknown ones it was cannot be told: results by number mean nothing to such a client any more.
        if known.is_none() {
            self.followed.retain(|_, followed| followed.by_uid);
        }
        self.remove(place + 1)
    }

    pub(crate) fn place_of(&self, uid: u32) -> Option<usize> {
        self.slots.iter().position(|slot| slot.known.as_ref().is_some_and(|known| known.uid == uid))
    }

    /// RFC 3501 §2.3.2: at most one session shows a message as recent.
    pub(crate) fn shows_alone(&self, stage: &Stage) -> Checked<()> {
        let Some(opening) = self.opening else { return Ok(()) };
        let mut recent = stage.recent.lock().expect("nobody panicked");
        for known in self.slots.iter().filter_map(|slot| slot.known.as_ref()).filter(|known| known.recent) {
            let first = *recent.shown.entry((self.account, self.validity, known.uid)).or_insert(opening);
            if first != opening {
                return Err(format!("{} is recent to two sessions", known.uid));
            }
        }
        Ok(())
    }

    /// UIDFETCH (RFC 9586 §3.3): what is not known by its UID is one of those that came last; places mean nothing to this client.
    fn uid_fetched(&mut self, fetched: &Fetched) -> Checked<()> {
        let uid = fetched.uid.ok_or("UIDFETCH without a UID")?;
        let place = self.place_of(uid).or_else(|| self.slots.iter().position(|slot| slot.known.is_none()));
        let place = place.ok_or_else(|| format!("UIDFETCH of {uid}, which is not in the view"))?;
        let fetched = Fetched { place: place + 1, ..fetched.clone() };
        self.fetched(&fetched, Enabled::default())?;
        self.slots.sort_by_key(|slot| slot.known.as_ref().map_or(u32::MAX, |known| known.uid));
        Ok(())
    }

    fn fetched(&mut self, fetched: &Fetched, enabled: Enabled) -> Checked<()> {
        let Some(slot) = fetched.place.checked_sub(1).and_then(|place| self.slots.get_mut(place)) else {
            return Err(format!("there is no message {} to fetch", fetched.place));
        };
        if enabled.qresync && fetched.uid.is_none() {
            return Err("with QRESYNC every FETCH has the UID".to_owned());
        }
        let recent = fetched.flags.as_ref().is_some_and(|flags| flags.contains("\\Recent"));
        let flags = fetched.flags.clone().map(|mut flags| {
            flags.remove("\\Recent");
            flags
        });
        if let Some(unheard) =
            flags.iter().flatten().find(|flag| !flag.starts_with('\\') && !self.flags.contains(*flag))
        {
            return Err(format!("{unheard} was not among FLAGS"));
        }
        self.highest = self.highest.max(fetched.modseq.unwrap_or(0));
        match (&mut slot.known, fetched.uid, flags) {
            (Some(known), uid, flags) => {
                if let Some(uid) = uid.filter(|uid| *uid != known.uid) {
                    return Err(format!("message {} had the UID {} and now {uid}", fetched.place, known.uid));
                }
                if let Some(flags) = flags {
                    (known.flags, known.recent) = (flags, recent);
                }
                known.modseq = fetched.modseq.or(known.modseq);
            }
            (unknown @ None, Some(uid), Some(flags)) => {
                *unknown = Some(Known { uid, flags, recent, modseq: fetched.modseq });
            }
            (None, _, _) => {}
        }
        Ok(())
    }

    fn apply(&mut self, silent: &Silent, line: &str) {
        let modified = line.split_once("[MODIFIED ").and_then(|(_, rest)| rest.split_once(']'));
        let modified = modified.and_then(|(set, _)| heard::set_of(set)).unwrap_or_default();
        for slot in &mut self.slots {
            let Some(known) = slot.known.as_mut().filter(|_| silent.slots.contains(&slot.id)) else { continue };
            // Who says UNCHANGEDSINCE says UIDs.
            if modified.contains(&known.uid) {
                continue;
            }
            match silent.action {
                "+FLAGS" => drop(known.flags.insert(silent.flag.clone())),
                "-FLAGS" => drop(known.flags.remove(&silent.flag)),
                _ => known.flags = BTreeSet::from([silent.flag.clone()]),
            }
        }
    }

    fn member(&self, by_uid: bool, number: u32) -> Checked<Member> {
        if by_uid {
            return Ok(Member::Uid(number));
        }
        let slot = self.slots.get((number as usize).wrapping_sub(1));
        slot.map(|slot| Member::Slot(slot.id)).ok_or_else(|| format!("a result with number {number}"))
    }

    /// Takes the first answer of a search that is followed.
    pub(crate) fn follow(&mut self, tag: &str, again: String, by_uid: bool, heard: &[Heard]) -> Checked<()> {
        let numbers = numbers(tag, heard)?;
        let members = numbers.into_iter().map(|number| self.member(by_uid, number)).collect::<Checked<_>>()?;
        let sorted = again.contains("SORT");
        self.followed.insert(tag.to_owned(), Followed { again, by_uid, sorted, members });
        // What came while it was answered is told behind it.
        for one in heard {
            if let Heard::Esearch { tag: own, by_uid, parts } = one
                && own == tag
            {
                self.esearch(tag, *by_uid, parts)?;
            }
        }
        Ok(())
    }

    /// RFC 5267 §4.3.3, §4.3.4.
    fn esearch(&mut self, tag: &str, by_uid: bool, parts: &[(String, String)]) -> Checked<()> {
        let Some(mut followed) = self.followed.remove(tag) else { return Ok(()) };
        for (name, value) in parts {
            let Some((at, set)) = value.split_once(' ') else { continue };
            let at: usize = at.parse().map_err(|_| format!("{name} at {at}"))?;
            if by_uid != followed.by_uid {
                return Err(format!("{name} by UID is {by_uid}"));
            }
            for (nth, number) in heard::set_of(set).ok_or_else(|| set.to_owned())?.into_iter().enumerate() {
                let member = self.member(by_uid, number)?;
                let there = followed.members.iter().position(|own| *own == member);
                match (name.as_str(), there) {
                    ("ADDTO", None) if at == 0 => followed.members.push(member),
                    ("ADDTO", None) if at - 1 + nth <= followed.members.len() => {
                        followed.members.insert(at - 1 + nth, member);
                    }
                    ("REMOVEFROM", Some(place)) if at == 0 || place == at - 1 => drop(followed.members.remove(place)),
                    _ => return Err(format!("{name} {at} {number}, but there are {:?}", followed.members)),
                }
            }
        }
        self.followed.insert(tag.to_owned(), followed);
        Ok(())
    }
}

/// After these a client does not know by NOTIFY what its other mailboxes have.
const CHANGING: [&str; 10] =
    ["SELECT", "EXAMINE", "COPY", "MOVE", "APPEND", "REPLACE", "RENAME", "DELETE", "EXPUNGE", "CLOSE"];

/// The numbers of an `ESEARCH .. ALL` for this tag, in their order.
pub(crate) fn numbers(tag: &str, heard: &[Heard]) -> Checked<Vec<u32>> {
    for one in heard {
        if let Heard::Esearch { tag: own, parts, .. } = one
            && own == tag
            && parts.iter().all(|(name, _)| name != "ADDTO" && name != "REMOVEFROM")
        {
            let all = parts.iter().find(|(name, _)| name == "ALL");
            return all.map_or(Ok(Vec::new()), |(_, set)| heard::set_of(set).ok_or_else(|| set.clone()));
        }
    }
    Err(format!("no result for {tag}"))
}
