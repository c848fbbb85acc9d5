//! Postfix as the sending server: a whole instance of its own in a temporary folder, which must be run as root
//! (Postfix insists); as another user its test client `smtp-source` stands in.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::lines::Lines;
use super::program::{PASSWORD, Server, message, run, servers};

const MASTER: &str = "\
pickup    unix  n - n 60 1 pickup
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
tlsmgr    unix  - - n 1000? 1 tlsmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
smtp      unix  - - n - - smtp
error     unix  - - n - - error
retry     unix  - - n - - error
anvil     unix  - - n - 1 anvil
scache    unix  - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
";

struct Postfix {
    folder: tempfile::TempDir,
}

impl Postfix {
    fn start(server: &Server) -> Postfix {
        let folder = tempfile::Builder::new().prefix("postfix-").tempdir().expect("a folder");
        let path = folder.path();
        // Postfix's own user must be able to pass through.
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("set");
        for name in ["etc", "queue", "data"] {
            std::fs::create_dir(path.join(name)).expect("made");
        }
        let main = format!(
            "compatibility_level = 3.6\nqueue_directory = {p}/queue\ndata_directory = {p}/data\n\
             maillog_file = {p}/log\nmaillog_file_prefixes = {p}\nmyhostname = mx.elsewhere.test\n\
             mydestination =\nrelayhost = [127.0.0.1]:{port}\ninet_interfaces = loopback-only\n\
             inet_protocols = ipv4\nsmtp_tls_security_level = may\nsmtp_address_preference = ipv4\n\
             alias_maps =\nalias_database =\n",
            p = path.display(),
            port = server.port(25)
        );
        std::fs::write(path.join("etc/main.cf"), main).expect("written");
        std::fs::write(path.join("etc/master.cf"), MASTER).expect("written");
        run("chown", &["postfix", &path.join("data").display().to_string()], b"").good();
        let postfix = Postfix { folder };
        let started = run("/usr/sbin/postfix", &["-c", &postfix.settings(), "start"], b"");
        assert!(started.success, "{started:?}\n{}", postfix.log());
        postfix
    }

    fn settings(&self) -> String {
        self.folder.path().join("etc").display().to_string()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        run("/usr/sbin/postfix", &["-c", &self.settings(), "stop"], b"");
    }
}

#[test]
fn hands_mail_over() {
    let is_root = std::fs::metadata(Path::new("/proc/self")).is_ok_and(|own| own.uid() == 0);
    for server in servers() {
        let to = server.account();
        let mut imap = Lines::connect(server.port(143));
        imap.hear();
        imap.imap(&format!("LOGIN {to} \"{PASSWORD}\""));
        imap.imap("SELECT INBOX");
        imap.say("a IDLE");
        imap.until(|line| line.starts_with('+'));

        let postfix = if is_root {
            let postfix = Postfix::start(server);
            let text = message("carol@elsewhere.test", &to, "from Postfix").replace("\r\n", "\n");
            let arguments = ["-C", &postfix.settings(), "-f", "carol@elsewhere.test", "--", &to];
            run("/usr/sbin/sendmail", &arguments, text.as_bytes()).good();
            Some(postfix)
        } else {
            let place = format!("inet:127.0.0.1:{}", server.port(25));
            run("/usr/sbin/smtp-source", &["-f", "carol@elsewhere.test", "-t", &to, "-S", "from Postfix", &place], b"")
                .good();
            None
        };

        // The mail is heard of in IDLE: nothing polls.
        imap.until(|line| line == "* 1 EXISTS");
        imap.say("DONE");
        imap.until(|line| line.starts_with("a OK"));
        let fetched = imap.imap("FETCH 1 BODY.PEEK[]");
        assert!(fetched.iter().any(|line| line == "Subject: from Postfix"), "{fetched:?}");
        if let Some(postfix) = postfix {
            assert!(fetched.iter().any(|line| line.contains("TLSv1.3")), "Postfix used no TLS: {fetched:?}");
            assert!(fetched.iter().any(|line| line == ".A line with a dot."), "{fetched:?}\n{}", postfix.log());
        }
    }
}
