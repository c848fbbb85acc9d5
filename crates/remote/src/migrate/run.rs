//! One run, from the list of folders to the report.

use std::collections::HashMap;

use super::again::fetch_again;
use super::fetch::Fetching;
use super::folders::{self, Folder};
use super::scan::{self, Scan, examine};
use super::{FolderReport, Report, Watch, Wish};
use crate::desk::{Answer, BATCH_MESSAGES, Desk, FolderState, Meta, Request};
use crate::frame::{Frame, unexpected};
use crate::{Access, Error, Result};

/// Takes an account over, or goes on with it. `opened` is the desk's first answer.
///
/// The report says what had happened also when the run ended early.
pub async fn migrate(access: &Access, desk: &Desk, opened: &Answer, wish: &Wish, watch: &mut impl Watch) -> Report {
    let cut = matches!(opened, Answer::Opened { cut: true, .. });
    let mut frame = Frame::new(access, desk, watch, (wish.tries, wish.pause));
    frame.report.dry = wish.dry;
    let mut run = Run { frame, wish, cut };
    let outcome = run.all().await;
    run.frame.finish(outcome).await
}

struct Run<'a, W> {
    frame: Frame<'a, W>,
    wish: &'a Wish,
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
        self.frame.report.folders = work.into_iter().map(|work| work.report).collect();
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
        self.frame.progress.of = work.iter().map(|work| work.scan.new.len() as u64).sum();
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
            self.frame.desk.ask(Request::CutOver).await?;
        }
        for work in work.iter_mut() {
            self.prove(work).await?;
        }
        Ok(())
    }

    async fn list(&mut self) -> Result<Vec<Folder>> {
        let (mut all, left_out) = loop {
            let listed = match self.frame.open().await {
                Ok(line) => folders::list(line).await,
                Err(error) => Err(error),
            };
            match listed {
                Ok(listed) => break listed,
                Err(error) => self.frame.again(error).await?,
            }
        };
        self.frame.report.left_out = left_out;
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
                self.frame.report.left_out.push((folder.name(), "not asked for".into()));
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
        let Answer::Placed(state) = self.frame.desk.ask(request).await? else { return Err(unexpected()) };
        placed.insert(name, state.mailbox.clone());
        Ok(state)
    }

    async fn scan(&mut self, work: &mut Work) -> Result<()> {
        let desk = self.frame.desk;
        work.scan = loop {
            let scanned = match self.frame.open().await {
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
                Err(error) => self.frame.again(error).await?,
            }
        };
        self.frame.went_on();
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
        let Answer::Room { bytes, messages } = self.frame.desk.ask(Request::Room).await? else {
            return Err(unexpected());
        };
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
        self.frame.desk.ask(Request::Validity { folder, uidvalidity }).await?;
        let mut wanted = std::mem::take(&mut work.scan.new);
        let (labelled, own): (Vec<Meta>, Vec<Meta>) =
            wanted.drain(..).partition(|meta| work.scan.labelled.contains(&meta.uid));
        // All Mail: what has a label came with it; what did not, comes now.
        wanted = own;
        for page in labelled.chunks(BATCH_MESSAGES) {
            let messages = page.to_vec();
            let missing = self.missing(Request::Note { folder, messages }).await?;
            self.frame.progress.messages += (page.len() - missing.len()) as u64;
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
                self.frame.went_on();
            }
            match outcome {
                Ok(()) => return Ok(()),
                Err(error) => self.frame.again(error).await?,
            }
        }
    }

    async fn fetch(&mut self, work: &mut Work, left: &mut Vec<Meta>) -> Result<()> {
        self.frame.open().await?;
        let Frame { desk, watch, progress, line, .. } = &mut self.frame;
        let line = line.as_mut().ok_or_else(unexpected)?;
        let opened = examine(line, &work.folder).await?;
        if opened.uidvalidity != work.scan.opened.uidvalidity {
            return Err(Error::Refused(format!("{} was made anew meanwhile; run it again", work.folder.name())));
        }
        let wanted = std::mem::take(left);
        let mut fetching = Fetching::new(desk, work.state.id, &mut work.report, progress, *watch, wanted);
        let outcome = fetching.run(line).await;
        left.extend(fetching.wanted.into_values());
        outcome
    }

    /// Messages that another folder brought get one more entry; the others are given back.
    async fn recognise(&mut self, work: &mut Work, wanted: Vec<Meta>) -> Result<Vec<Meta>> {
        let (named, mut rest): (Vec<Meta>, Vec<Meta>) = wanted.into_iter().partition(|meta| !meta.identity.is_empty());
        for page in named.chunks(BATCH_MESSAGES) {
            let identities = page.iter().map(|meta| meta.identity.clone()).collect();
            let Answer::Like(known) = self.frame.desk.ask(Request::Like { identities }).await? else {
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
            self.frame.progress.messages += entries;
            self.frame.watch.progress(self.frame.progress);
            rest.extend(known.into_iter().filter(|meta| missing.contains(&meta.uid)));
        }
        Ok(rest)
    }

    async fn missing(&self, request: Request) -> Result<Vec<u32>> {
        match self.frame.desk.ask(request).await? {
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
            self.frame.desk.ask(Request::Housed { folder, messages: page.to_vec() }).await?;
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
                self.frame.desk.ask(Request::Marks { folder, messages: page.to_vec() }).await?;
                work.report.flags += page.len() as u64;
            }
        }
        for page in work.scan.gone.chunks(BATCH_MESSAGES) {
            let uids = page.to_vec();
            let keep = self.cut || self.wish.keep_deleted;
            let request = if keep { Request::Forget { folder, uids } } else { Request::Gone { folder, uids } };
            self.frame.desk.ask(request).await?;
            work.report.gone += page.len() as u64;
        }
        let complete = work.report.differences.is_empty();
        let Scan { opened, .. } = work.scan;
        // What could not be had is asked for again the next time.
        let modseq = if complete { opened.modseq } else { 0 };
        self.frame.desk.ask(Request::Finish { folder, uidvalidity: opened.uidvalidity, modseq }).await?;
        Ok(())
    }

    /// What is stored is compared with what came; with `prove`, what is there too.
    async fn prove(&mut self, work: &mut Work) -> Result<()> {
        let mut from = 1;
        loop {
            let answer = self.frame.desk.ask(Request::Prove { folder: work.state.id, from }).await?;
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
            let (access, desk) = (self.frame.access, self.frame.desk);
            while let Err(error) = fetch_again(access, desk, work.state.id, &work.folder, &mut work.report).await {
                self.frame.again(error).await?;
            }
            self.frame.went_on();
        }
        Ok(())
    }
}

const NAMES_SHOWN: usize = 50;
