//! A real Postfix for tests: a whole instance of its own in a temporary folder.
//!
//! As the other side it listens on an address of the test, files into a Maildir for each recipient and answers
//! RCPT TO as the test says at that moment (Postfix asks back, [`neighbours`]); as a sender it relays to a server
//! under test. Postfix insists on root: [`can_run`].

mod neighbours;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::certificates::Pair;
use crate::janitor::Janitor;
use crate::run::{eventually, in_time, is_root, run};

use neighbours::{Answers, logins, policy};

/// What an instance is to be.
#[derive(Debug, Default)]
pub struct Setup<'a> {
    /// Its name; `mx.elsewhere.test` when empty.
    pub hostname: &'a str,
    /// Where it takes mail in; nowhere without.
    pub listen: Option<SocketAddr>,
    /// Where it takes mail in with TLS from the first byte.
    pub listen_tls: Option<SocketAddr>,
    /// The certificate that it offers STARTTLS with; without it there is none.
    pub certificate: Option<&'a Pair>,
    /// Addresses that have mailboxes here. Others of their domains are unknown: `550 5.1.1`.
    pub mailboxes: &'a [&'a str],
    /// EHLO keywords that it leaves out: `["8bitmime", "pipelining"]`.
    pub without: &'a [&'a str],
    /// User and password without which it takes nothing.
    pub login: Option<(&'a str, &'a str)>,
    /// Where everything goes that is handed to its `sendmail`.
    pub relay_to: Option<SocketAddr>,
    /// The resolver that it asks, at port 53, and whose word about DNSSEC it believes; none: the system's ([`can_have_a_resolver`]).
    pub resolver: Option<IpAddr>,
    /// More lines of `main.cf`.
    pub more: &'a str,
}

/// A running instance. It ends when the value is dropped or the process ends.
#[derive(Debug)]
pub struct Postfix {
    folder: PathBuf,
    answers: Answers,
    _janitor: Janitor,
}

/// Whether it can be run: Postfix wants to be started as root.
pub fn can_run() -> bool {
    is_root()
}

/// Whether an instance can be given a resolver of its own: for that it sees another `/etc/resolv.conf` than the rest.
pub fn can_have_a_resolver() -> bool {
    can_run() && run("unshare", &["-m", "true"], b"").success
}

impl Postfix {
    /// Starts an instance.
    ///
    /// # Panics
    /// When it is not installed or does not start.
    pub fn start(setup: &Setup<'_>) -> Postfix {
        assert!(Path::new(POSTFIX).exists(), "{HOW_TO_INSTALL}");
        assert!(can_run(), "Postfix wants to be started as root");
        let folder = tempfile::Builder::new().prefix("postroad-postfix-").tempdir().expect("a folder").keep();
        // Postfix's own user must be able to pass through.
        std::fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("set");
        for name in ["etc", "queue", "data", "mail"] {
            std::fs::create_dir(folder.join(name)).expect("made");
        }
        let owned = |name: &str| folder.join(name).display().to_string();
        run("chown", &["postfix", &owned("data")], b"").good();
        run("chown", &[MAIL_OWNER, &owned("mail")], b"").good();
        if let Some(pair) = setup.certificate {
            pair.write(&folder.join("etc/tls.pem"));
        }
        let answers = Answers::default();
        let mut main = common(setup, &folder);
        let asked = policy(&answers);
        main +=
            &format!("smtpd_recipient_restrictions = check_policy_service inet:{asked}, reject_unauth_destination\n");
        if let Some((user, password)) = setup.login {
            main += &format!(
                "smtpd_sasl_auth_enable = yes\nsmtpd_sasl_type = dovecot\nsmtpd_sasl_path = inet:{}\n\
                 smtpd_client_restrictions = permit_sasl_authenticated, reject\n",
                logins(user, password)
            );
        }
        main += setup.more;
        main.push('\n');
        std::fs::write(folder.join("etc/main.cf"), each_once(&main)).expect("written");
        std::fs::write(folder.join("etc/master.cf"), services(setup)).expect("written");
        std::fs::write(folder.join("etc/mailboxes"), mailboxes(setup.mailboxes)).expect("written");
        let settings = owned("etc");
        let janitor = Janitor::of_daemon(&folder, &[POSTFIX, "-c", &settings, "stop"]);
        let postfix = Postfix { folder, answers, _janitor: janitor };
        let started = match setup.resolver {
            None => run(POSTFIX, &["-c", &settings, "start"], b""),
            Some(resolver) => {
                let file = format!("{settings}/resolv.conf");
                std::fs::write(&file, format!("nameserver {resolver}\noptions trust-ad\n")).expect("written");
                let start = format!("mount --bind {file} /etc/resolv.conf && exec {POSTFIX} -c {settings} start");
                run("unshare", &["-m", "sh", "-c", &start], b"")
            }
        };
        assert!(started.success, "{started:?}\n{}", postfix.log());
        for address in setup.listen.iter().chain(&setup.listen_tls) {
            eventually("Postfix", || std::net::TcpStream::connect(address).ok());
        }
        postfix
    }

    /// From now on RCPT TO with this address is answered so, for example `450 4.2.1 later`; `None`: as usual.
    pub fn answer(&self, recipient: &str, reply: Option<&str>) {
        self.answers.set(recipient, reply);
    }

    /// How often RCPT TO with this address was asked for.
    pub fn asked(&self, recipient: &str) -> usize {
        self.answers.asked(recipient)
    }

    /// What lies in the mailbox of this address, in no order. Lines end with LF, and Postfix's own `Return-Path`,
    /// `X-Original-To`, `Delivered-To` and `Received` stand before what was sent.
    pub fn mail(&self, address: &str) -> Vec<Vec<u8>> {
        let new = self.folder.join("mail").join(place(address)).join("new");
        let files = std::fs::read_dir(new).into_iter().flatten().flatten();
        files.map(|file| std::fs::read(file.path()).expect("a message can be read")).collect()
    }

    /// Waits for so many messages in the mailbox of this address.
    ///
    /// # Panics
    /// When there are more, or they do not come; with the log.
    pub fn wait_for_mail(&self, address: &str, count: usize) -> Vec<String> {
        let found = in_time(|| Some(self.mail(address)).filter(|mail| mail.len() >= count));
        let Some(found) = found else { panic!("{count} messages for {address} do not come:\n{}", self.log()) };
        assert_eq!(found.len(), count, "{}", self.log());
        found.into_iter().map(|mail| String::from_utf8(mail).expect("tests send UTF-8")).collect()
    }

    /// Hands a message to its `sendmail`.
    pub fn sendmail(&self, from: &str, to: &str, text: &str) {
        let settings = self.folder.join("etc").display().to_string();
        let text = text.replace("\r\n", "\n");
        run("/usr/sbin/sendmail", &["-C", &settings, "-f", from, "--", to], text.as_bytes()).good();
    }

    /// Its log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

/// `main.cf` without who may do what.
fn common(setup: &Setup<'_>, folder: &Path) -> String {
    let mut domains: Vec<&str> =
        setup.mailboxes.iter().filter_map(|address| Some(address.rsplit_once('@')?.1)).collect();
    domains.sort_unstable();
    domains.dedup();
    let relay = setup.relay_to.map(|to| format!("[{}]:{}", to.ip(), to.port())).unwrap_or_default();
    let tls = match setup.certificate {
        Some(_) => {
            format!("may\nsmtpd_tls_chain_files = {}/etc/tls.pem\nsmtpd_tls_received_header = yes", folder.display())
        }
        None => "none".to_owned(),
    };
    format!(
        "compatibility_level = 3.6\nqueue_directory = {p}/queue\ndata_directory = {p}/data\n\
         maillog_file = {p}/log\nmaillog_file_prefixes = {p}\nmyhostname = {hostname}\n\
         mydestination =\nlocal_recipient_maps =\nrelayhost = {relay}\ninet_interfaces = 127.0.0.1\n\
         inet_protocols = ipv4\nsmtp_tls_security_level = may\nsmtp_address_preference = ipv4\n\
         alias_maps =\nalias_database =\nmynetworks = 127.255.255.255/32\nsmtpd_peername_lookup = no\n\
         smtp_dns_support_level = disabled\n\
         smtpd_error_sleep_time = 0\nsmtpd_client_connection_count_limit = 0\nsmtputf8_enable = yes\n\
         smtpd_relay_restrictions =\nvirtual_mailbox_base = {p}/mail\nvirtual_mailbox_domains = {domains}\n\
         virtual_mailbox_maps = texthash:{p}/etc/mailboxes\nvirtual_minimum_uid = 100\n\
         virtual_uid_maps = static:65534\nvirtual_gid_maps = static:65534\n\
         smtpd_tls_security_level = {tls}\nsmtpd_discard_ehlo_keywords = {without}\n",
        p = folder.display(),
        hostname = if setup.hostname.is_empty() { "mx.elsewhere.test" } else { setup.hostname },
        domains = domains.join(", "),
        without = setup.without.join(", "),
    )
}

/// Of several settings of one name the last. Postfix would take that, too, and warn of it in each of its processes:
/// also in the one that writes the log, which then waits for itself when ten lines wait to be written.
fn each_once(settings: &str) -> String {
    let name = |line: &str| line.split_once('=').map(|(name, _)| name.trim().to_owned());
    let lines: Vec<&str> = settings.lines().collect();
    let last = |at: usize| !lines[at + 1..].iter().any(|later| name(later).is_some() && name(later) == name(lines[at]));
    (0..lines.len()).filter(|at| last(*at)).map(|at| format!("{}\n", lines[at])).collect()
}

/// `master.cf`.
fn services(setup: &Setup<'_>) -> String {
    let mut services = MASTER.to_owned();
    if let Some(at) = setup.listen {
        services += &format!("{at} inet n - n - - smtpd\n");
    }
    if let Some(at) = setup.listen_tls {
        services += &format!("{at} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes\n");
    }
    services
}

fn mailboxes(addresses: &[&str]) -> String {
    addresses.iter().map(|address| format!("{address} {}/\n", place(address))).collect()
}

/// The Maildir of an address.
fn place(address: &str) -> String {
    let (local, domain) = address.rsplit_once('@').expect("an address");
    format!("{domain}/{local}")
}

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
virtual   unix  - n n - - virtual
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
anvil     unix  - - n - 1 anvil
scache    unix  - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
";

const POSTFIX: &str = "/usr/sbin/postfix";
/// Nobody: who owns the mailboxes.
const MAIL_OWNER: &str = "65534:65534";

/// What to run when it is missing.
pub const HOW_TO_INSTALL: &str =
    "Postfix is not installed, and the tests need it. Run: apt-get install --no-install-recommends postfix";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificates::Authority;
    use crate::{Ran, SharedPort};

    fn swaks(at: SocketAddr, to: &str, more: &[&str]) -> Ran {
        let at = at.to_string();
        let base = ["--server", &at, "--from", "a@here.test", "--helo", "mx.here.test", "--to", to];
        run("swaks", &[&base[..], more].concat(), b"")
    }

    #[test]
    fn the_last_setting_of_a_name_stands_alone() {
        assert_eq!(each_once("a = 1\nb = 2\n\na=3\n"), "b = 2\n\na=3\n");
    }

    #[test]
    fn it_accepts_refuses_defers_and_wants_a_login() {
        if !can_run() {
            eprintln!("Postfix wants to be started as root; not tested");
            return;
        }
        let port = SharedPort::find();
        let certificate = Authority::new().issue(&["mx.there.test"]);
        let at = port.address(1);
        let postfix = Postfix::start(&Setup {
            hostname: "mx.there.test",
            listen: Some(at),
            certificate: Some(&certificate),
            mailboxes: &["dave@there.test", "erin@there.test"],
            without: &["8bitmime", "chunking"],
            ..Setup::default()
        });
        let heard = swaks(at, "dave@there.test", &["--tls", "--body", "hello"]).good();
        assert!(!heard.contains("8BITMIME") && !heard.contains("CHUNKING") && heard.contains("PIPELINING"), "{heard}");
        let mail = postfix.wait_for_mail("dave@there.test", 1);
        assert!(mail[0].contains("\nhello\n") && mail[0].contains("TLSv1.3"), "{mail:?}");
        assert!(swaks(at, "nobody@there.test", &[]).out.contains("550 5.1.1"));
        postfix.answer("erin@there.test", Some("450 4.2.1 come back later"));
        assert!(swaks(at, "erin@there.test", &[]).out.contains("450 4.2.1 <erin@there.test>"));
        postfix.answer("erin@there.test", None);
        swaks(at, "erin@there.test", &[]).good();
        assert_eq!(postfix.asked("erin@there.test"), 2);
        postfix.wait_for_mail("erin@there.test", 1);

        let locked = Postfix::start(&Setup {
            listen: Some(port.address(2)),
            login: Some(("relay", "s3cret")),
            mailboxes: &["dave@there.test"],
            ..Setup::default()
        });
        assert!(!swaks(port.address(2), "dave@there.test", &[]).success, "{}", locked.log());
        let login = ["--auth", "PLAIN", "--auth-user", "relay", "--auth-password"];
        assert!(!swaks(port.address(2), "dave@there.test", &[&login[..], &["wrong"]].concat()).success);
        swaks(port.address(2), "dave@there.test", &[&login[..], &["s3cret"]].concat()).good();
        let folder = locked.folder.clone();
        drop(locked);
        assert!(!folder.exists(), "it goes with its folder");
    }
}
