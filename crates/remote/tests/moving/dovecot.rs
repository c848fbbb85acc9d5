//! A real Dovecot, with accounts whose Maildirs are written here.

use std::fmt::Write;
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use postroad_testkit::PortOffset;
use tempfile::TempDir;

use crate::world::PASSWORD;

pub(crate) struct Dovecot {
    folder: TempDir,
    child: Child,
    pub(crate) port: u16,
    _ports: PortOffset,
}

/// Owner of all mail: a number is enough.
const OWNER: u32 = 5000;

impl Dovecot {
    /// With the accounts `alice` and `bob`. Dovecot runs only when root starts it.
    pub(crate) fn start() -> Dovecot {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let ports = PortOffset::find();
        let port = ports.address(143).port();
        let own = folder.path().display().to_string();
        std::fs::create_dir(folder.path().join("mail")).unwrap();
        chown(folder.path().join("mail"), Some(OWNER), Some(OWNER)).unwrap();
        let mut passwords = String::new();
        for user in ["alice", "bob"] {
            let _ = writeln!(passwords, "{user}:{{PLAIN}}{PASSWORD}::::::");
        }
        std::fs::write(folder.path().join("passwords"), passwords).unwrap();
        let text = format!(
            "base_dir = {own}/run\nstate_dir = {own}/state\nlog_path = {own}/log\nprotocols = imap\n\
             listen = 127.0.0.1\nssl = no\ndisable_plaintext_auth = no\nauth_mechanisms = plain scram-sha-256\n\
             mail_location = maildir:{own}/mail/%u\n\
             mail_uid = {OWNER}\nmail_gid = {OWNER}\nmail_max_userip_connections = 100\n\
             passdb {{\n driver = passwd-file\n args = username_format=%u {own}/passwords\n}}\n\
             userdb {{\n driver = static\n args = uid={OWNER} gid={OWNER} home={own}/mail/%u\n}}\n\
             namespace inbox {{\n inbox = yes\n separator = .\n prefix = INBOX.\n mailbox Drafts {{\n special_use = \\Drafts\n }}\n\
             mailbox Sent {{\n special_use = \\Sent\n }}\n mailbox Trash {{\n special_use = \\Trash\n }}\n}}\n\
             service imap-login {{\n inet_listener imap {{\n port = {port}\n }}\n inet_listener imaps {{\n port = 0\n }}\n}}\n"
        );
        let file = folder.path().join("dovecot.conf");
        std::fs::write(&file, text).unwrap();
        let child = Command::new("/usr/sbin/dovecot")
            .args(["-F", "-c", &file.display().to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Dovecot is installed (`cargo xtask test` does that)");
        let dovecot = Dovecot { folder, child, port, _ports: ports };
        postroad_testkit::eventually("Dovecot listens", || TcpStream::connect(("127.0.0.1", port)).ok());
        dovecot
    }

    /// Puts messages into a folder of alice's: flags as Maildir has them (`FS`), seconds, octets.
    pub(crate) fn put(&self, folder: &str, mails: &[(&str, u64, Vec<u8>)]) {
        let top = self.folder.path().join("mail/alice");
        let path = if folder == "INBOX" { top.clone() } else { top.join(format!(".{folder}")) };
        for part in ["cur", "new", "tmp"] {
            std::fs::create_dir_all(path.join(part)).unwrap();
        }
        let before = std::fs::read_dir(path.join("cur")).unwrap().count();
        for (at, (flags, seconds, octets)) in mails.iter().enumerate() {
            let name = path.join("cur").join(format!("{seconds}.{}.test:2,{flags}", before + at));
            std::fs::write(&name, octets).unwrap();
            let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(*seconds);
            std::fs::File::open(&name).unwrap().set_modified(time).unwrap();
        }
        own(&top);
    }

    /// Removes the message whose octets contain a text.
    pub(crate) fn remove(&self, folder: &str, text: &str) {
        let path = self.file(folder, text);
        std::fs::remove_file(path).unwrap();
    }

    /// Sets the flags of the message whose octets contain a text.
    pub(crate) fn flag(&self, folder: &str, text: &str, flags: &str) {
        let path = self.file(folder, text);
        let name = path.file_name().unwrap().to_str().unwrap().split(":2,").next().unwrap().to_owned();
        std::fs::rename(&path, path.with_file_name(format!("{name}:2,{flags}"))).unwrap();
    }

    fn file(&self, folder: &str, text: &str) -> PathBuf {
        let top = self.folder.path().join("mail/alice");
        let path = if folder == "INBOX" { top } else { top.join(format!(".{folder}")) };
        let holds = |path: &PathBuf| {
            let octets = std::fs::read(path).unwrap();
            octets.windows(text.len()).any(|window| window == text.as_bytes())
        };
        let mut files = std::fs::read_dir(path.join("cur")).unwrap().map(|entry| entry.unwrap().path());
        files.find(holds).unwrap_or_else(|| panic!("no message has {text}"))
    }
}

fn own(path: &std::path::Path) {
    chown(path, Some(OWNER), Some(OWNER)).unwrap();
    if path.is_dir() {
        std::fs::read_dir(path).unwrap().for_each(|entry| own(&entry.unwrap().path()));
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        // The master ends its children; killed, it would leave them.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}
