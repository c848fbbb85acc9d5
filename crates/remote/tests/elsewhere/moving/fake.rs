//! A server of IMAP that speaks in dialects: what Gmail, Exchange Online and odd old servers really say.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use postroad_imap::NumberSet;

/// A message there.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kept {
    pub(crate) uid: u32,
    pub(crate) flags: &'static str,
    /// X-GM-MSGID; 0 for servers without.
    pub(crate) id: u64,
    /// X-GM-LABELS as they are written.
    pub(crate) labels: &'static str,
    pub(crate) octets: Vec<u8>,
}

/// A mailbox there.
#[derive(Debug, Clone, Default)]
pub(crate) struct Folder {
    /// As LIST has it.
    pub(crate) name: &'static str,
    pub(crate) attributes: &'static str,
    pub(crate) uidvalidity: u32,
    pub(crate) mails: Vec<Kept>,
}

/// How it speaks.
#[derive(Debug, Clone)]
pub(crate) struct Dialect {
    pub(crate) greeting: &'static str,
    pub(crate) capabilities: &'static str,
    /// RFC822.SIZE is what it is not.
    pub(crate) wrong_sizes: bool,
    /// UID comes behind BODY[], and flags that nobody asked for in between.
    pub(crate) uid_last: bool,
    /// Each n-th FETCH of octets is answered with this instead, once.
    pub(crate) refuse_once: Option<&'static str>,
    /// A message with this uid cannot be fetched.
    pub(crate) broken: Option<u32>,
    /// Mail may be put there, unless it has this in it.
    pub(crate) takes: Option<&'static str>,
}

/// [`Dialect::takes`]: nothing 8-bit, but as `UTF8 (..)`.
pub(crate) const EIGHT_BIT: &str = "8-bit";

/// What it was asked.
pub(crate) type Heard = Arc<Mutex<Vec<String>>>;

pub(crate) struct Fake {
    pub(crate) port: u16,
    pub(crate) heard: Heard,
    pub(crate) folders: Arc<Mutex<Vec<Folder>>>,
}

impl Fake {
    pub(crate) fn start(dialect: Dialect, folders: Vec<Folder>) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (heard, folders) = (Heard::default(), Arc::new(Mutex::new(folders)));
        let refused = Arc::new(Mutex::new(dialect.refuse_once));
        let fake = Fake { port, heard: Arc::clone(&heard), folders: Arc::clone(&folders) };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { break };
                let talk = Talk {
                    dialect: dialect.clone(),
                    folders: Arc::clone(&folders),
                    heard: Arc::clone(&heard),
                    refused: Arc::clone(&refused),
                    open: None,
                };
                std::thread::spawn(move || talk.run(stream));
            }
        });
        fake
    }

    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

struct Talk {
    dialect: Dialect,
    folders: Arc<Mutex<Vec<Folder>>>,
    heard: Heard,
    refused: Arc<Mutex<Option<&'static str>>>,
    open: Option<usize>,
}

impl Talk {
    fn run(mut self, stream: TcpStream) -> Option<()> {
        let mut from = BufReader::new(stream.try_clone().ok()?);
        let mut to = stream;
        to.write_all(format!("{}\r\n", self.dialect.greeting).as_bytes()).ok()?;
        let mut line = String::new();
        loop {
            line.clear();
            if from.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let text = line.trim_end().to_owned();
            self.heard.lock().unwrap().push(text.clone());
            let (tag, rest) = text.split_once(' ')?;
            let answer = match rest.starts_with("APPEND") && self.dialect.takes.is_some() {
                true => self.append(tag, rest, &mut from)?,
                false => self.answer(tag, rest),
            };
            to.write_all(&answer).ok()?;
            if rest.starts_with("LOGOUT") {
                return None;
            }
        }
    }

    /// RFC 3502: all messages of a command, or none.
    fn append(&self, tag: &str, rest: &str, from: &mut impl BufRead) -> Option<Vec<u8>> {
        let name = rest.split('"').nth(1)?.to_owned();
        let (mut line, mut mails) = (rest.to_owned(), Vec::new());
        while let Some(size) = line.trim_end().strip_suffix("+}").and_then(|text| text.rsplit('{').next()) {
            let mut octets = vec![0; size.parse().ok()?];
            from.read_exact(&mut octets).ok()?;
            mails.push(octets);
            line.clear();
            from.read_line(&mut line).ok()?;
        }
        let unwanted = self.dialect.takes?;
        let refuses = |octets: &Vec<u8>| unwanted == EIGHT_BIT && !octets.is_ascii();
        if mails.iter().any(refuses) && !rest.contains("UTF8 (~") {
            return Some(format!("{tag} NO [CANNOT] no 8-bit octets\r\n").into_bytes());
        }
        if mails.iter().any(|octets| String::from_utf8_lossy(octets).contains(unwanted)) {
            return Some(format!("{tag} NO [CANNOT] one of them is not to our taste\r\n").into_bytes());
        }
        let mut folders = self.folders.lock().unwrap();
        let folder = folders.iter_mut().find(|folder| folder.name == name)?;
        let first = folder.mails.last().map_or(1, |mail| mail.uid + 1);
        let uids = (first..).take(mails.len());
        folder.mails.extend(uids.zip(mails).map(|(uid, octets)| Kept { uid, octets, ..Kept::default() }));
        let last = folder.mails.last()?.uid;
        Some(format!("{tag} OK [APPENDUID {} {first}:{last}] done\r\n", folder.uidvalidity).into_bytes())
    }

    fn utf8(&self) -> bool {
        self.dialect.capabilities.contains("UTF8=ACCEPT")
    }

    fn answer(&mut self, tag: &str, rest: &str) -> Vec<u8> {
        let ok = |before: String| format!("{before}{tag} OK done\r\n").into_bytes();
        let folders = self.folders.lock().unwrap();
        let verb = rest.split(' ').next().unwrap_or_default();
        match verb {
            "CAPABILITY" => ok(format!("* CAPABILITY {}\r\n", self.dialect.capabilities)),
            "LIST" | "XLIST" | "LSUB" => ok(folders.iter().fold(String::new(), |text, folder| {
                text + &format!("* {verb} ({}) \"/\" \"{}\"\r\n", folder.attributes, folder.name)
            })),
            "ENABLE" if self.utf8() => ok("* ENABLED UTF8=ACCEPT\r\n".into()),
            "NAMESPACE" => ok("* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n".into()),
            "EXAMINE" | "SELECT" if verb == "EXAMINE" || self.dialect.takes.is_some() => {
                let name = rest.split('"').nth(1).unwrap_or_default();
                let Some(at) = folders.iter().position(|folder| folder.name == name) else {
                    return format!("{tag} NO [NONEXISTENT] Unknown Mailbox\r\n").into_bytes();
                };
                self.open = Some(at);
                ok(format!(
                    "* FLAGS (\\Seen)\r\n* {} EXISTS\r\n* OK [UIDVALIDITY {}] .\r\n* OK [UIDNEXT 1000] Predicted.\r\n",
                    folders[at].mails.len(),
                    folders[at].uidvalidity
                ))
            }
            "UID" => {
                let folder = self.open.map(|at| folders[at].clone()).unwrap_or_default();
                drop(folders);
                self.fetch(tag, rest, &folder)
            }
            "CREATE" if self.dialect.takes.is_some() => format!("{tag} NO no more folders\r\n").into_bytes(),
            "SELECT" | "STORE" | "APPEND" | "EXPUNGE" => format!("{tag} BAD not here\r\n").into_bytes(),
            "LOGOUT" => ok("* BYE\r\n".into()),
            _ => ok(String::new()),
        }
    }

    fn fetch(&self, tag: &str, rest: &str, folder: &Folder) -> Vec<u8> {
        let words: Vec<&str> = rest.splitn(4, ' ').collect();
        let [_, "FETCH", set, items] = words.as_slice() else {
            return format!("{tag} BAD [CLIENTBUG] that is not known\r\n").into_bytes();
        };
        let body = items.contains("BODY.PEEK[]");
        if body && let Some(words) = self.refused.lock().unwrap().take() {
            return format!("{tag} {words}\r\n").into_bytes();
        }
        let set: NumberSet = set.replace('*', "4294967295").parse().unwrap();
        let wanted: Vec<(usize, &Kept)> =
            folder.mails.iter().enumerate().filter(|(_, mail)| set.contains(mail.uid)).collect();
        if body && wanted.iter().any(|(_, mail)| Some(mail.uid) == self.dialect.broken) {
            return format!("{tag} NO Some of the requested messages cannot be converted\r\n").into_bytes();
        }
        let mut out = Vec::new();
        for (at, mail) in wanted {
            let (number, uid) = (at + 1, mail.uid);
            if !body {
                let size = if self.dialect.wrong_sizes { mail.octets.len() / 2 + 7 } else { mail.octets.len() };
                let gmail = match items.contains("X-GM-LABELS") {
                    true => format!(" X-GM-MSGID {} X-GM-LABELS ({})", mail.id, mail.labels),
                    false => String::new(),
                };
                let flags = mail.flags;
                out.extend_from_slice(
                    format!(
                        "* {number} FETCH (UID {uid} FLAGS ({flags}) INTERNALDATE \"17-Jul-2019 02:44:25 +0200\" \
                         RFC822.SIZE {size}{gmail})\r\n"
                    )
                    .as_bytes(),
                );
                continue;
            }
            let size = mail.octets.len();
            if self.dialect.uid_last {
                out.extend_from_slice(format!("* {number} FETCH (BODY[] {{{size}}}\r\n").as_bytes());
                out.extend_from_slice(&mail.octets);
                out.extend_from_slice(format!(" FLAGS (\\Recent) UID {uid})\r\n* OK Still here\r\n").as_bytes());
            } else {
                out.extend_from_slice(format!("* {number} FETCH (UID {uid} BODY[] {{{size}}}\r\n").as_bytes());
                out.extend_from_slice(&mail.octets);
                out.extend_from_slice(b")\r\n");
            }
        }
        out.extend_from_slice(format!("{tag} OK Success\r\n").as_bytes());
        out
    }
}
