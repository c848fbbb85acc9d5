//! A real Dovecot with POP3, and an account whose Maildir is written here.

use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use postroad_testkit::PortOffset;
use postroad_testkit::certificates::Pair;
use tempfile::TempDir;

use crate::world::PASSWORD;

pub(crate) struct Dovecot {
    folder: TempDir,
    child: Child,
    pub(crate) port: u16,
    pub(crate) secure_port: u16,
    _ports: PortOffset,
}

/// Owner of all mail: a number is enough.
const OWNER: u32 = 5000;

impl Dovecot {
    /// With the account `alice`. Dovecot runs only when root starts it.
    pub(crate) fn start() -> Dovecot {
        Dovecot::with(None)
    }

    /// The same, with TLS.
    pub(crate) fn secured(pair: &Pair) -> Dovecot {
        Dovecot::with(Some(pair))
    }

    fn with(pair: Option<&Pair>) -> Dovecot {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let ports = PortOffset::find();
        let (port, secure_port) = (ports.address(110).port(), ports.address(995).port());
        let own = folder.path().display().to_string();
        for part in ["mail", "mail/alice", "mail/alice/cur", "mail/alice/new", "mail/alice/tmp"] {
            std::fs::create_dir(folder.path().join(part)).unwrap();
            chown(folder.path().join(part), Some(OWNER), Some(OWNER)).unwrap();
        }
        std::fs::write(folder.path().join("passwords"), format!("alice:{{PLAIN}}{PASSWORD}::::::\n")).unwrap();
        let (ssl, secure) = match pair {
            None => ("ssl = no".to_owned(), 0),
            Some(pair) => {
                std::fs::write(folder.path().join("chain.pem"), &pair.chain).unwrap();
                std::fs::write(folder.path().join("key.pem"), &pair.key).unwrap();
                (format!("ssl = yes\nssl_cert = <{own}/chain.pem\nssl_key = <{own}/key.pem"), secure_port)
            }
        };
        let text = format!(
            "base_dir = {own}/run\nstate_dir = {own}/state\nlog_path = {own}/log\nprotocols = pop3\n\
             listen = 127.0.0.1\n{ssl}\ndisable_plaintext_auth = no\nauth_mechanisms = plain scram-sha-256\n\
             mail_location = maildir:{own}/mail/%u\nmail_uid = {OWNER}\nmail_gid = {OWNER}\n\
             auth_failure_delay = 0\n\
             passdb {{\n driver = passwd-file\n args = username_format=%u {own}/passwords\n}}\n\
             userdb {{\n driver = static\n args = uid={OWNER} gid={OWNER} home={own}/mail/%u\n}}\n\
             service pop3-login {{\n inet_listener pop3 {{\n port = {port}\n }}\n inet_listener pop3s {{\n port = {secure}\n ssl = yes\n }}\n}}\n"
        );
        let file = folder.path().join("dovecot.conf");
        std::fs::write(&file, text).unwrap();
        let child = Command::new("/usr/sbin/dovecot")
            .args(["-F", "-c", &file.display().to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Dovecot is installed (`cargo xtask test` does that)");
        let dovecot = Dovecot { folder, child, port, secure_port, _ports: ports };
        postroad_testkit::eventually("Dovecot listens", || TcpStream::connect(("127.0.0.1", port)).ok());
        dovecot
    }

    pub(crate) fn put(&self, number: u32, octets: &[u8]) {
        let name = self.mails().join(format!("{}.{number}.test:2,", 1_700_000_000 + number));
        std::fs::write(&name, octets).unwrap();
        chown(&name, Some(OWNER), Some(OWNER)).unwrap();
    }

    pub(crate) fn count(&self) -> usize {
        let count = |part: &str| std::fs::read_dir(self.mails().with_file_name(part)).unwrap().count();
        count("cur") + count("new")
    }

    fn mails(&self) -> PathBuf {
        self.folder.path().join("mail/alice/cur")
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        // The master ends its children; killed, it would leave them.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}
