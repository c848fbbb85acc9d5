//! An account is mirrored outwards to another IMAP server, so that nobody is locked in.
//!
//! One run: each mailbox has a folder there (made when it is missing; one with the same role is taken), what is new is
//! appended, or copied from where it is already, flags follow, what went here goes there (only what a mirror put there), and in the end every message is fetched
//! from there and compared with what was sent.
//!
//! A message whose answer was lost (APPEND went out, the connection broke) is not sent twice: before the first APPEND of a folder
//! its next uid is written down, and what is there from that uid on is recognised by its checksum.

mod append;
mod copy;
mod folder;
mod header;

use std::time::Duration;

use postroad_imap::client::Names;

use crate::connection::Connection;
use crate::desk::{Answer, Desk, MailboxState, Request};
use crate::frame::{Frame, unexpected};
use crate::migrate::{Folder, FolderReport, Progress, Report, Watch, list};
use crate::{Access, Error, Result};

/// What to mirror.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wish {
    /// Only these mailboxes (and what is below them); none for all.
    pub only: Vec<String>,
    /// Not these, nor what is below them.
    pub except: Vec<String>,
    /// Everything goes below this folder there.
    pub into: Option<String>,
    /// What is deleted here stays there.
    pub keep_deleted: bool,
    /// New connections in a row that may fail.
    pub tries: u32,
    /// The wait after the first failure; it doubles.
    pub pause: Duration,
}

/// Brings the other server's copy up to date. In the report `there` is what is here: the source.
pub async fn mirror(access: &Access, desk: &Desk, wish: &Wish, watch: &mut impl Watch) -> Report {
    let mut run = Run { frame: Frame::new(access, desk, watch, (wish.tries, wish.pause)), wish };
    let outcome = run.all().await;
    run.frame.finish(outcome).await
}

struct Run<'a, W> {
    frame: Frame<'a, W>,
    wish: &'a Wish,
}

/// What is there: folders, and how names are written.
struct Layout {
    folders: Vec<Folder>,
    prefix: Vec<u8>,
    separator: char,
    names: Names,
}

impl<W: Watch> Run<'_, W> {
    async fn all(&mut self) -> Result<()> {
        let Answer::Mailboxes(mut boxes) = self.frame.desk.ask(Request::Mailboxes).await? else {
            return Err(unexpected());
        };
        self.choose(&mut boxes)?;
        // All Mail first: what loses its last label is copied from there before it goes there.
        boxes.sort_by_key(|own| own.role.as_deref() != Some("all"));
        self.frame.progress.of = boxes.iter().map(|own| u64::from(own.messages)).sum();
        for mut own in boxes {
            // What attempts did that a broken connection ended.
            let mut before = FolderReport::default();
            let report = loop {
                let progress = self.frame.progress;
                let mut report = FolderReport::default();
                let outcome = self.one(&own, &mut report).await;
                report.taken += before.taken;
                report.bytes += before.bytes;
                report.flags += before.flags;
                report.gone += before.gone;
                report.entries += before.entries;
                let Err(error) = outcome else { break report };
                self.frame.progress = Progress { octets: self.frame.progress.octets, ..progress };
                if report.taken > before.taken {
                    self.frame.went_on();
                }
                before = report;
                before.folder.clone_from(&own.name);
                if let Err(error) = self.frame.again(error).await {
                    self.frame.report.folders.push(before);
                    return Err(error);
                }
                // What was written down meanwhile, the marker above all, counts now.
                let Answer::Mailboxes(now) = self.frame.desk.ask(Request::Mailboxes).await? else {
                    return Err(unexpected());
                };
                own = now.into_iter().find(|now| now.folder.id == own.folder.id).unwrap_or(own);
            };
            self.frame.went_on();
            self.frame.report.folders.push(report);
        }
        Ok(())
    }

    fn choose(&mut self, boxes: &mut Vec<MailboxState>) -> Result<()> {
        let within =
            |own: &str, name: &str| own == name || own.strip_prefix(name).is_some_and(|rest| rest.starts_with('/'));
        for name in &self.wish.only {
            if !boxes.iter().any(|own| within(&own.name, name)) {
                return Err(Error::User(format!("there is no mailbox {name}; `postroad mailbox list` shows all")));
            }
        }
        let (only, except) = (&self.wish.only, &self.wish.except);
        boxes.retain(|own| {
            let wanted = (only.is_empty() || only.iter().any(|name| within(&own.name, name)))
                && !except.iter().any(|name| within(&own.name, name));
            if matches!(own.role.as_deref(), Some("flagged" | "important")) {
                let why = "it shows messages of other mailboxes: the flag says it of each";
                self.frame.report.left_out.push((own.name.clone(), why.into()));
                return false;
            }
            if !wanted {
                self.frame.report.left_out.push((own.name.clone(), "not asked for".into()));
            }
            wanted
        });
        Ok(())
    }

    async fn one(&mut self, own: &MailboxState, report: &mut FolderReport) -> Result<()> {
        self.frame.open().await?;
        let Frame { desk, watch, progress, line, .. } = &mut self.frame;
        let line = line.as_mut().ok_or_else(unexpected)?;
        let (folders, _) = list(line).await?;
        let layout = Layout::of(line, folders).await?;
        let wire = layout.wire(own, self.wish.into.as_deref());
        let mut folder = folder::Mirrored::open(line, desk, own, &layout, wire, self.wish).await?;
        let outcome = folder.run(line, progress, *watch).await;
        *report = folder.report;
        outcome
    }
}

impl Layout {
    async fn of(line: &mut Connection, folders: Vec<Folder>) -> Result<Layout> {
        use postroad_imap::client::{Line, Response};
        let (mut prefix, mut separator) = (Vec::new(), None);
        line.must(Line::new("LIST").string(b"").string(b""), |response| {
            if let Response::List(root) = response {
                separator = root.separator;
            }
        })
        .await?;
        if line.session.has("NAMESPACE") {
            line.run(Line::new("NAMESPACE"), |response| {
                if let Response::Namespace(Some(found)) = response {
                    prefix = found.0;
                    separator = found.1.or(separator);
                }
            })
            .await?;
        }
        Ok(Layout { folders, prefix, separator: separator.unwrap_or('/'), names: line.session.names() })
    }

    /// The name of a mailbox's folder there: that of the same role where there is one, else its own.
    fn wire(&self, own: &MailboxState, into: Option<&str>) -> Vec<u8> {
        let inbox = own.name.eq_ignore_ascii_case("INBOX");
        // All Mail (labels are on): what is in no other mailbox is archived, where the other server has no labels.
        let all = own.role.as_deref() == Some("all");
        if into.is_none() {
            if let Some(there) = self.folders.iter().find(|there| all && there.all) {
                return there.wire.clone();
            }
            let role = if all { Some("archive") } else { own.role.as_deref() };
            let same = self.folders.iter().find(|there| role.is_some() && there.role.map(|role| role.name()) == role);
            match same {
                _ if inbox => return b"INBOX".to_vec(),
                Some(same) if !same.all => return same.wire.clone(),
                Some(_) | None => {}
            }
        }
        let level = |level: &str| level.replace(self.separator, "_");
        let name = if all { "Archive" } else { own.name.as_str() };
        let levels = into.into_iter().flat_map(|into| into.split('/')).chain(name.split('/'));
        let name: Vec<String> = levels.map(level).collect();
        let name = self.names.wire(&name.join(&self.separator.to_string()));
        // Below INBOX the prefix is there already (`INBOX.`).
        if name.starts_with(&self.prefix) { name } else { [self.prefix.as_slice(), &name].concat() }
    }
}
