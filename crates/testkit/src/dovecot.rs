//! A real Dovecot, IMAP and POP3, with accounts whose Maildirs are written here. It runs only when root starts it.
//!
//! Names of folders have `INBOX.` before them and `.` between their levels, as Courier's and Cyrus's.

use std::fmt::Write;
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, UNIX_EPOCH};

use tempfile::TempDir;

use crate::certificates::Pair;
use crate::ports::PortOffset;
use crate::run::{eventually, in_time};

/// A running Dovecot.
#[derive(Debug)]
pub struct Dovecot {
    folder: TempDir,
    child: Option<Child>,
    ports: PortOffset,
    secured: bool,
}

/// A message of a Maildir: flags as its file's name has them (`FS`), when it came in seconds, its octets.
pub type Mail<'a> = (&'a str, u64, Vec<u8>);

impl Dovecot {
    /// The password of all accounts.
    pub const PASSWORD: &'static str = "correct horse";
    /// Who has an account.
    pub const USERS: [&'static str; 2] = ["alice", "bob"];

    /// Without TLS.
    pub fn start() -> Dovecot {
        Dovecot::with(None)
    }

    /// The same, with TLS: by STARTTLS and STLS, and from the first octet.
    pub fn secured(pair: &Pair) -> Dovecot {
        Dovecot::with(Some(pair))
    }

    fn with(pair: Option<&Pair>) -> Dovecot {
        let folder = tempfile::tempdir().expect("a folder can be made");
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).expect("it is ours");
        let mut dovecot = Dovecot { folder, child: None, ports: PortOffset::find(), secured: pair.is_some() };
        let mut passwords = String::new();
        for user in Dovecot::USERS {
            let _ = writeln!(passwords, "{user}:{{PLAIN}}{}::::::", Dovecot::PASSWORD);
            dovecot.put(user, "INBOX", &[]);
        }
        dovecot.write("passwords", &passwords);
        if let Some(pair) = pair {
            dovecot.write("chain.pem", &pair.chain);
            dovecot.write("key.pem", &pair.key);
        }
        dovecot.write("dovecot.conf", &dovecot.configuration());
        dovecot.start_again();
        dovecot
    }

    /// Starts it again after [`Dovecot::kill`].
    ///
    /// # Panics
    /// When it does not listen in time.
    pub fn start_again(&mut self) {
        assert!(self.child.is_none(), "it is still running");
        let file = self.folder.path().join("dovecot.conf");
        let child = Command::new("/usr/sbin/dovecot")
            .args(["-F", "-c", &file.display().to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Dovecot is installed (`cargo xtask test` does that)");
        self.child = Some(child);
        for standard in [143, 110] {
            let port = self.port(standard);
            eventually("Dovecot listens", || TcpStream::connect(("127.0.0.1", port)).ok());
        }
    }

    /// The port of a service (143, 993, 110, 995) on 127.0.0.1.
    pub fn port(&self, standard: u16) -> u16 {
        self.ports.address(standard).port()
    }

    /// SIGKILL to every process that speaks with somebody: connections break where they are. The master makes new ones.
    pub fn break_connections(&self) {
        let Some(master) = &self.child else { return };
        for (id, name) in children(master.id()) {
            if ["imap", "pop3", "imap-login", "pop3-login"].contains(&name.as_str()) {
                signal("-KILL", id);
            }
        }
    }

    /// SIGKILL to all of it.
    pub fn kill(&mut self) {
        let Some(mut master) = self.child.take() else { return };
        let children = children(master.id());
        let _ = master.kill();
        children.iter().for_each(|(id, _)| signal("-KILL", *id));
        let _ = master.wait();
        let _ = std::fs::remove_file(self.folder.path().join("run/master.pid"));
    }

    /// Puts messages into a folder, which is made when it is not there.
    pub fn put(&self, user: &str, folder: &str, mails: &[Mail<'_>]) {
        let path = self.folder(user, folder);
        for part in ["cur", "new", "tmp"] {
            std::fs::create_dir_all(path.join(part)).expect("a folder can be made");
        }
        let before = std::fs::read_dir(path.join("cur")).expect("it is there").count();
        for (at, (flags, seconds, octets)) in mails.iter().enumerate() {
            let name = path.join("cur").join(format!("{seconds}.{}.test:2,{flags}", before + at));
            std::fs::write(&name, octets).expect("a file can be written");
            let time = UNIX_EPOCH + Duration::from_secs(*seconds);
            std::fs::File::open(&name).and_then(|file| file.set_modified(time)).expect("times can be set");
        }
        own(&self.folder.path().join("mail"));
    }

    /// What the letters `a`, `b` .. in the flags of a folder's messages mean.
    pub fn keywords(&self, user: &str, folder: &str, keywords: &[&str]) {
        let text: String = keywords.iter().enumerate().map(|(at, word)| format!("{at} {word}\n")).collect();
        let file = self.folder(user, folder).join("dovecot-keywords");
        std::fs::write(&file, text).expect("a file can be written");
        own(&file);
    }

    /// Removes the message whose octets contain a text.
    pub fn remove(&self, user: &str, folder: &str, text: &str) {
        std::fs::remove_file(self.file(user, folder, text)).expect("it is there");
    }

    /// Sets the flags of the message whose octets contain a text.
    pub fn flag(&self, user: &str, folder: &str, text: &str, flags: &str) {
        let path = self.file(user, folder, text);
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        let bare = name.split(":2,").next().unwrap_or(&name);
        std::fs::rename(&path, path.with_file_name(format!("{bare}:2,{flags}"))).expect("it is there");
    }

    /// How many messages a folder has.
    pub fn count(&self, user: &str, folder: &str) -> usize {
        let path = self.folder(user, folder);
        let count = |part: &str| std::fs::read_dir(path.join(part)).map_or(0, Iterator::count);
        count("cur") + count("new")
    }

    /// What it wrote into its log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The folder of a folder.
    pub fn folder(&self, user: &str, folder: &str) -> PathBuf {
        let top = self.folder.path().join("mail").join(user);
        if folder == "INBOX" { top } else { top.join(format!(".{folder}")) }
    }

    fn file(&self, user: &str, folder: &str, text: &str) -> PathBuf {
        let holds = |path: &PathBuf| {
            let octets = std::fs::read(path).expect("it can be read");
            octets.windows(text.len()).any(|window| window == text.as_bytes())
        };
        let path = self.folder(user, folder);
        let files =
            ["cur", "new"].into_iter().flat_map(|part| std::fs::read_dir(path.join(part)).expect("it is there"));
        let mut files = files.map(|entry| entry.expect("it can be read").path());
        files.find(holds).unwrap_or_else(|| panic!("no message has {text}"))
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).expect("a file can be written");
    }

    fn configuration(&self) -> String {
        let own = self.folder.path().display();
        let ssl = match self.secured {
            true => format!("ssl = yes\nssl_cert = <{own}/chain.pem\nssl_key = <{own}/key.pem"),
            false => "ssl = no".to_owned(),
        };
        let services: String = [("imap", 143, 993), ("pop3", 110, 995)]
            .into_iter()
            .map(|(name, plain, secure)| {
                let (plain, secure) = (self.port(plain), if self.secured { self.port(secure) } else { 0 });
                format!(
                    "service {name}-login {{\n inet_listener {name} {{\n port = {plain}\n }}\n \
                     inet_listener {name}s {{\n port = {secure}\n ssl = yes\n }}\n}}\n"
                )
            })
            .collect();
        format!(
            "base_dir = {own}/run\nstate_dir = {own}/state\nlog_path = {own}/log\nprotocols = imap pop3\n\
             listen = 127.0.0.1\n{ssl}\ndisable_plaintext_auth = no\nauth_mechanisms = plain scram-sha-256\n\
             mail_location = maildir:{own}/mail/%u\nauth_failure_delay = 0\n\
             mail_uid = {OWNER}\nmail_gid = {OWNER}\nmail_max_userip_connections = 100\n\
             passdb {{\n driver = passwd-file\n args = username_format=%u {own}/passwords\n}}\n\
             userdb {{\n driver = static\n args = uid={OWNER} gid={OWNER} home={own}/mail/%u\n}}\n\
             namespace inbox {{\n inbox = yes\n separator = .\n prefix = INBOX.\n \
             mailbox Drafts {{\n special_use = \\Drafts\n }}\n mailbox Sent {{\n special_use = \\Sent\n }}\n \
             mailbox Trash {{\n special_use = \\Trash\n }}\n}}\n{services}"
        )
    }
}

/// Processes that a process made, with their names.
fn children(parent: u32) -> Vec<(u32, String)> {
    let Ok(list) = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")) else { return Vec::new() };
    let named = |id: u32| Some((id, std::fs::read_to_string(format!("/proc/{id}/comm")).ok()?.trim().to_owned()));
    list.split_whitespace().filter_map(|id| named(id.parse().ok()?)).collect()
}

fn signal(signal: &str, id: u32) {
    // One that ended meanwhile needs none.
    let _ = Command::new("kill").args([signal, &id.to_string()]).stderr(Stdio::null()).status();
}

fn own(path: &Path) {
    // What Dovecot takes away meanwhile is not ours to give.
    let _ = chown(path, Some(OWNER), Some(OWNER));
    if let Ok(inside) = std::fs::read_dir(path) {
        inside.flatten().for_each(|entry| own(&entry.path()));
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        // The master ends its children; killed, it would leave them.
        let Some(child) = &mut self.child else { return };
        signal("-TERM", child.id());
        if in_time(|| child.try_wait().ok().flatten()).is_none() {
            self.kill();
        }
    }
}

/// Owner of all mail: a number is enough.
const OWNER: u32 = 5000;
