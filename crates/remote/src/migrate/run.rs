//! One run, from the list of folders to the report.

use std::collections::HashMap;
use std::time::Duration;

use super::fetch::Fetching;
use super::folders::{self, Folder};
use super::scan::{self, Scan, examine, unexpected};
use super::{FolderReport, Progress, Report, Watch, Wish};
use crate::connection::Connection;
use crate::desk::{Answer, BATCH_MESSAGES, Desk, FolderState, Meta, Request};
use crate::{Access, Error, Result};

/// Takes an account over, or goes on with it. `opened` is the desk's first answer.
///
/// The report says what had happened also when the run ended early.
pub async fn migrate(access: &Access, desk: &Desk, opened: &Answer, wish: &Wish, watch: &mut impl Watch) -> Report {
    let cut = matches!(opened, Answer::Opened { cut: true, .. });
    let report = Report { dry: wish.dry, ..Report::default() };
    let mut run = Run { access, desk, wish, watch, report, progress: Progress::default(), line: None, failed: 0, cut };
    let outcome = run.all().await;
    if let Some(line) = run.line.take() {
        run.report.octets += line.octets;
        line.logout().await;
    }
    run.watch.progress(run.progress);
    run.report.complete = outcome.is_ok();
    run.report.error = outcome.err().map(|error| error.to_string());
    run.report
}

struct Run<'a, W> {
    access: &'a Access,
    desk: &'a Desk,
    wish: &'a Wish,
    watch: &'a mut W,
    report: Report,
    progress: Progress,
    line: Option<Connection>,
    /// Connections in a row that got nowhere.
    failed: u32,
    /// The account is used here: flags and deletions there are no longer followed.
    cut: bool,
}

/// A folder of this run.
struct Work {
    folder: Folder,
    state: FolderState,
    scan: Scan,
    report: FolderReport,
}

impl<W: Watch> Run<'_, W> {
    async fn all(&mut self) -> Result<()> {
        let mut work = Vec::new();
        let outcome = self.phases(&mut work).await;
        self.report.folders = work.into_iter().map(|work| work.report).collect();
        outcome
    }

    async fn phases(&mut self, work: &mut Vec<Work>) -> Result<()> {
        let folders = self.list().await?;
        let mut placed: HashMap<String, String> = HashMap::new();
        for folder in folders {
            let state = self.place(&folder, &mut placed).await?;
            let report = FolderReport {
                folder: folder.name(),
                mailbox: state.mailbox.clone(),
                new: state.new,
                ..FolderReport::default()
            };
            work.push(Work { folder, state, scan: Scan::default(), report });
        }
        for work in work.iter_mut() {
            self.scan(work).await?;
        }
        self.room(work).await?;
        if self.wish.dry {
            return Ok(());
        }
        self.progress.of = work.iter().map(|work| work.scan.new.len() as u64).sum();
        for work in work.iter_mut() {
            self.take(work).await?;
        }
        // All Mail first: what loses its last label has a place before it loses the other one.
        for work in work.iter_mut().filter(|work| work.folder.all) {
            self.rehouse(work).await?;
        }
        for work in work.iter_mut() {
            self.follow(work).await?;
        }
        if self.wish.cut_over {
            self.desk.ask(Request::CutOver).await?;
        }
        for work in work.iter_mut() {
            self.prove(work).await?;
        }
        Ok(())
    }

    /// The connection, made when there is none.
    async fn line(&mut self) -> Result<&mut Connection> {
        if self.line.is_none() {
            self.line = Some(self.access.open().await?);
        }
        self.line.as_mut().ok_or_else(unexpected)
    }

    /// Waits after an error that may pass; gives back one that does not, or too many.
    async fn again(&mut self, error: Error) -> Result<()> {
        if let Some(line) = self.line.take() {
            self.report.octets += line.octets;
        }
        if !error.is_passing() || self.failed >= self.wish.tries {
            return Err(error);
        }
        let doubled = self.wish.pause.saturating_mul(1 << self.failed.min(10)).min(PAUSE_MAX);
        let pause = match &error {
            Error::Busy(_) => doubled.saturating_mul(BUSY_FACTOR).min(BUSY_MAX),
            Error::Network(_) | Error::User(_) | Error::Refused(_) | Error::Peer(_) | Error::Here(_) => doubled,
        };
        self.failed += 1;
        self.report.reconnected += 1;
        self.watch.say(&format!("{error}; going on in {} s", pause.as_secs_f32().ceil()));
        tokio::time::sleep(pause).await;
        Ok(())
    }

    async fn list(&mut self) -> Result<Vec<Folder>> {
        let (mut all, left_out) = loop {
            let listed = match self.line().await {
                Ok(line) => folders::list(line).await,
                Err(error) => Err(error),
            };
            match listed {
                Ok(listed) => break listed,
                Err(error) => self.again(error).await?,
            }
        };
        self.report.left_out = left_out;
        for name in self.wish.only.iter().chain(self.wish.map.iter().map(|(old, _)| old)) {
            if !all.iter().any(|folder| folder.is_within(name)) {
                let names: Vec<String> = all.iter().take(NAMES_SHOWN).map(Folder::name).collect();
                return Err(Error::User(format!("there is no folder {name} there; there are {}", names.join(", "))));
            }
        }
        all.retain(|folder| {
            let within = |names: &[String]| names.iter().any(|name| folder.is_within(name));
            let wanted = (self.wish.only.is_empty() || within(&self.wish.only)) && !within(&self.wish.except);
            if !wanted {
                self.report.left_out.push((folder.name(), "not asked for".into()));
            }
            wanted
        });
        Ok(all)
    }

    /// Where a folder goes: as it was said, else below where the folder above it went, else by role or name.
    async fn place(&self, folder: &Folder, placed: &mut HashMap<String, String>) -> Result<FolderState> {
        let name = folder.name();
        let said = self.wish.map.iter().filter(|(old, _)| folder.is_within(old)).max_by_key(|(old, _)| old.len());
        let below = |old: &str, new: &str| format!("{new}{}", name.get(old.len()..).unwrap_or_default());
        let parent = || {
            let (above, _) = name.rsplit_once('/')?;
            let to = placed.get(above).filter(|to| *to != above)?;
            Some(below(above, to))
        };
        let to = match said {
            Some((old, new)) => Some(below(old, new)),
            None if folder.role.is_none() => parent(),
            None => None,
        };
        let request = Request::Place {
            name: folder.key(),
            levels: folder.levels.clone(),
            role: folder.role.map(|role| role.name().to_owned()),
            to,
            subscribe: folder.subscribed,
            dry: self.wish.dry,
        };
        let Answer::Placed(state) = self.desk.ask(request).await? else { return Err(unexpected()) };
        placed.insert(name, state.mailbox.clone());
        Ok(state)
    }

    async fn scan(&mut self, work: &mut Work) -> Result<()> {
        let desk = self.desk;
        work.scan = loop {
            let scanned = match self.line().await {
                Ok(line) => scan::scan(line, desk, &work.folder, &work.state).await,
                Err(error) => Err(error),
            };
            match scanned {
                Ok(scan) => break scan,
                // A mailbox that cannot be opened does not keep the others back.
                Err(Error::Refused(why)) => {
                    let why = format!("cannot be opened there: {why}");
                    work.report.differences.push(crate::desk::Difference { uid: 0, message_id: None, why });
                    break Scan { same: true, ..Scan::default() };
                }
                Err(error) => self.again(error).await?,
            }
        };
        self.failed = 0;
        work.report.there = u64::from(work.scan.opened.messages);
        if self.wish.dry {
            work.report.taken = work.scan.new.len() as u64;
            work.report.bytes = work.scan.new.iter().map(|meta| meta.size).sum();
            work.report.flags = work.scan.changed.len() as u64;
            work.report.gone = work.scan.gone.len() as u64;
        }
        Ok(())
    }

    /// What comes is compared with the quota before anything comes.
    async fn room(&self, work: &[Work]) -> Result<()> {
        let Answer::Room { bytes, messages } = self.desk.ask(Request::Room).await? else { return Err(unexpected()) };
        let mut counted = std::collections::HashSet::new();
        let (mut octets, mut count) = (0u64, 0u64);
        for meta in work.iter().flat_map(|work| &work.scan.new) {
            if meta.identity.is_empty() || counted.insert(meta.identity.as_str()) {
                (octets, count) = (octets.saturating_add(meta.size), count + 1);
            }
        }
        // A quota that is too small for a part of it is met anyhow when it is reached.
        if bytes.is_some_and(|left| octets > left) || messages.is_some_and(|left| count > left) {
            return Err(Error::Here(format!(
                "{count} messages ({} MB) are to come, and the account's quota has room for {}{}; raise it with \
                 `postroad account quota`, or add --ignore-quota",
                octets.div_ceil(1_000_000),
                messages.map_or_else(String::new, |left| format!("{left} messages")),
                bytes.map_or_else(String::new, |left| format!(" {} MB", left / 1_000_000)),
            )));
        }
        Ok(())
    }

    /// New messages come.
    async fn take(&mut self, work: &mut Work) -> Result<()> {
        if work.scan.same {
            return Ok(());
        }
        let folder = work.state.id;
        let uidvalidity = work.scan.opened.uidvalidity;
        self.desk.ask(Request::Validity { folder, uidvalidity }).await?;
        let mut wanted = std::mem::take(&mut work.scan.new);
        let (labelled, own): (Vec<Meta>, Vec<Meta>) =
            wanted.drain(..).partition(|meta| work.scan.labelled.contains(&meta.uid));
        // All Mail: what has a label came with it; what did not, comes now.
        wanted = own;
        for page in labelled.chunks(BATCH_MESSAGES) {
            let messages = page.to_vec();
            let missing = self.missing(Request::Note { folder, messages }).await?;
            self.progress.messages += (page.len() - missing.len()) as u64;
            wanted.extend(page.iter().filter(|meta| missing.contains(&meta.uid)).cloned());
        }
        let wanted = self.recognise(work, wanted).await?;
        let mut left = wanted;
        loop {
            let before = left.len();
            if left.is_empty() {
                return Ok(());
            }
            let outcome = self.fetch(work, &mut left).await;
            if left.len() < before {
                self.failed = 0;
            }
            match outcome {
                Ok(()) => return Ok(()),
                Err(error) => self.again(error).await?,
            }
        }
    }

    async fn fetch(&mut self, work: &mut Work, left: &mut Vec<Meta>) -> Result<()> {
        if self.line.is_none() {
            self.line = Some(self.access.open().await?);
        }
        let line = self.line.as_mut().ok_or_else(unexpected)?;
        let opened = examine(line, &work.folder).await?;
        if opened.uidvalidity != work.scan.opened.uidvalidity {
            return Err(Error::Refused(format!("{} was made anew meanwhile; run it again", work.folder.name())));
        }
        let wanted = std::mem::take(left);
        let mut fetching =
            Fetching::new(self.desk, work.state.id, &mut work.report, &mut self.progress, self.watch, wanted);
        let outcome = fetching.run(line).await;
        left.extend(fetching.wanted.into_values());
        outcome
    }

    /// Messages that another folder brought get one more entry; the others are given back.
    async fn recognise(&mut self, work: &mut Work, wanted: Vec<Meta>) -> Result<Vec<Meta>> {
        let (named, mut rest): (Vec<Meta>, Vec<Meta>) = wanted.into_iter().partition(|meta| !meta.identity.is_empty());
        for page in named.chunks(BATCH_MESSAGES) {
            let identities = page.iter().map(|meta| meta.identity.clone()).collect();
            let Answer::Like(known) = self.desk.ask(Request::Like { identities }).await? else {
                return Err(unexpected());
            };
            let known: std::collections::HashSet<String> = known.into_iter().collect();
            let (known, new): (Vec<Meta>, Vec<Meta>) =
                page.iter().cloned().partition(|meta| known.contains(&meta.identity));
            rest.extend(new);
            if known.is_empty() {
                continue;
            }
            let missing = self.missing(Request::Again { folder: work.state.id, messages: known.clone() }).await?;
            let entries = (known.len() - missing.len()) as u64;
            work.report.entries += entries;
            self.progress.messages += entries;
            self.watch.progress(self.progress);
            rest.extend(known.into_iter().filter(|meta| missing.contains(&meta.uid)));
        }
        Ok(rest)
    }

    async fn missing(&self, request: Request) -> Result<Vec<u32>> {
        match self.desk.ask(request).await? {
            Answer::Missing(missing) => Ok(missing),
            _ => Err(unexpected()),
        }
    }

    /// All Mail: messages without a label have an entry of their own, others have none.
    async fn rehouse(&mut self, work: &mut Work) -> Result<()> {
        let folder = work.state.id;
        if self.cut {
            return Ok(());
        }
        for page in work.scan.homeless.chunks(BATCH_MESSAGES) {
            self.missing(Request::Again { folder, messages: page.to_vec() }).await?;
            work.report.entries += page.len() as u64;
        }
        for page in work.scan.housed.chunks(BATCH_MESSAGES) {
            self.desk.ask(Request::Housed { folder, messages: page.to_vec() }).await?;
        }
        Ok(())
    }

    /// Flags and removals follow.
    async fn follow(&mut self, work: &mut Work) -> Result<()> {
        if work.scan.same {
            return Ok(());
        }
        let folder = work.state.id;
        if !self.cut {
            for page in work.scan.changed.chunks(BATCH_MESSAGES) {
                self.desk.ask(Request::Marks { folder, messages: page.to_vec() }).await?;
                work.report.flags += page.len() as u64;
            }
        }
        for page in work.scan.gone.chunks(BATCH_MESSAGES) {
            let uids = page.to_vec();
            let keep = self.cut || self.wish.keep_deleted;
            let request = if keep { Request::Forget { folder, uids } } else { Request::Gone { folder, uids } };
            self.desk.ask(request).await?;
            work.report.gone += page.len() as u64;
        }
        let complete = work.report.differences.is_empty();
        let Scan { opened, .. } = work.scan;
        // What could not be had is asked for again the next time.
        let modseq = if complete { opened.modseq } else { 0 };
        self.desk.ask(Request::Finish { folder, uidvalidity: opened.uidvalidity, modseq }).await?;
        Ok(())
    }

    /// What is stored is compared with what came; with `prove`, what is there too.
    async fn prove(&mut self, work: &mut Work) -> Result<()> {
        let mut from = 1;
        loop {
            let answer = self.desk.ask(Request::Prove { folder: work.state.id, from }).await?;
            let Answer::Proved { found, next } = answer else { return Err(unexpected()) };
            work.report.equal += found.equal;
            work.report.moved += found.moved;
            work.report.removed += found.removed;
            work.report.here += found.equal + found.differences.len() as u64;
            work.report.differences.extend(found.differences);
            match next {
                Some(next) => from = next,
                None => break,
            }
        }
        if self.wish.prove && work.scan.opened.messages > 0 {
            super::again::fetch_again(self.access, self.desk, work.state.id, &work.folder, &mut work.report).await?;
        }
        Ok(())
    }
}

/// The longest wait for a new connection.
const PAUSE_MAX: Duration = Duration::from_secs(300);
/// A server that asks to wait is given so many times more.
const BUSY_FACTOR: u32 = 30;
const BUSY_MAX: Duration = Duration::from_secs(1_800);
const NAMES_SHOWN: usize = 50;
