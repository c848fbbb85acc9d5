//! Postfix and Dovecot from Debian, set up as the two are usually put together.
//!
//! Debian's defaults where there are any. What differs is said in [`SETTINGS`], which is printed with the
//! results, and each difference is in their favour or needed to run here at all.

use std::fmt::Write as _;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::folder::Folder;
use super::machine::first_line;
use super::rival::{DOMAIN, Keeper, PASSWORD, Rival, free_ports, listens, start as start_program, wait_until};
use super::usage::Processes;
use crate::packages;

pub(super) const NAME: &str = "Postfix + Dovecot";

const DOVECOT_PACKAGES: &[&str] = &["dovecot-imapd", "dovecot-lmtpd", "dovecot-pop3d"];
const PACKAGES: &[&str] = &["postfix", "dovecot-imapd", "dovecot-lmtpd", "dovecot-pop3d"];
/// Owner of all mail: a number is enough, nobody of that name is needed.
const MAIL_USER: u32 = 5000;

const SETTINGS: &[&str] = &[
    "Postfix receives by SMTP and hands over by LMTP through a UNIX socket to Dovecot, which keeps mdbox",
    "durability as it comes: Postfix syncs its queue files, Dovecot has mail_fsync = optimized",
    "Postfix: default_process_limit = 200 (100), so that 100 connections do not put it under stress rules",
    "Postfix: in_flow_delay = 0 (1s), so that nobody who sends is slowed down on purpose",
    "Postfix: recipients from a hash table; no chroot, no TLS, no filter; logs into a file through postlogd",
    "Dovecot: passwords in a passwd-file, plain; static userdb; no TLS; no filter, no quota, no Sieve",
    "Dovecot: room for 1000 and more connections: imap process_limit, mail_max_userip_connections, client_limit",
    "Dovecot: an imap process per connection, as it comes (imap_hibernate_timeout = 0)",
];

const MASTER: &str = "\
pickup     unix  n - n 60    1 pickup
cleanup    unix  n - n -     0 cleanup
qmgr       unix  n - n 300   1 qmgr
tlsmgr     unix  - - n 1000? 1 tlsmgr
rewrite    unix  - - n -     - trivial-rewrite
bounce     unix  - - n -     0 bounce
defer      unix  - - n -     0 bounce
trace      unix  - - n -     0 bounce
verify     unix  - - n -     1 verify
flush      unix  n - n 1000? 0 flush
proxymap   unix  - - n -     - proxymap
proxywrite unix  - - n -     1 proxymap
smtp       unix  - - n -     - smtp
relay      unix  - - n -     - smtp
showq      unix  n - n -     - showq
error      unix  - - n -     - error
retry      unix  - - n -     - error
discard    unix  - - n -     - discard
local      unix  - n n -     - local
virtual    unix  - n n -     - virtual
lmtp       unix  - - n -     - lmtp
anvil      unix  - - n -     1 anvil
scache     unix  - - n -     1 scache
postlog    unix-dgram n - n - 1 postlogd
";

/// Installs what is missing.
pub(super) fn install() -> Result<()> {
    packages::install_these(PACKAGES, "the bench")?;
    if !packages::is_root() {
        bail!("Postfix and Dovecot run only when root starts them; run `cargo xtask bench` as root");
    }
    Ok(())
}

/// Installs Dovecot alone.
pub(super) fn install_dovecot() -> Result<()> {
    packages::install_these(DOVECOT_PACKAGES, "the bench")?;
    if !packages::is_root() {
        bail!("Dovecot runs only when root starts it; run `cargo xtask bench` as root");
    }
    Ok(())
}

/// Dovecot alone, which keeps its mail so: `mdbox` or `maildir`.
pub(super) fn dovecot(name: &'static str, folder: &Folder, format: &str, accounts: u32) -> Result<Rival> {
    let own = folder.sub(format)?;
    let [imap, pop3] = free_ports()?;
    let mut processes = Processes::prepare(folder, format)?;
    let users: Vec<String> = (1..=accounts).map(|number| format!("u{number:04}@{DOMAIN}")).collect();
    let configuration = set_up_dovecot(&own, &users, imap, pop3, format)?;
    let arguments = ["-F", "-c", &configuration.display().to_string()];
    let keeper = Keeper::start(folder, &own, &mut processes, Path::new("/usr/sbin/dovecot"), &arguments)?;
    wait_until("Dovecot does not listen", keeper.log(), || listens(imap) && listens(pop3))?;
    Ok(Rival {
        name,
        versions: vec![format!("dovecot {}", version_of("dovecot-imapd")?)],
        settings: SETTINGS.iter().filter(|line| line.starts_with("Dovecot")).map(|line| (*line).to_string()).collect(),
        smtp: 0,
        imap,
        pop3,
        imaps: None,
        verifies: None,
        processes,
        beside: None,
        folder: own,
        keeper,
    })
}

pub(super) fn start(folder: &Folder, accounts: u32) -> Result<Rival> {
    let own = folder.sub("theirs")?;
    let [smtp, imap, pop3] = free_ports()?;
    let mut processes = Processes::prepare(folder, "theirs")?;
    let users: Vec<String> = (1..=accounts).map(|number| format!("u{number:04}@{DOMAIN}")).collect();

    let configuration = set_up_dovecot(&own, &users, imap, pop3, "mdbox")?;
    let dovecot = Path::new("/usr/sbin/dovecot");
    let arguments = ["-F", "-c", &configuration.display().to_string()];
    let keeper = Keeper::start(folder, &own, &mut processes, dovecot, &arguments)?;

    let postfix_log = own.join("postfix.log");
    let settings = set_up_postfix(&own, &users, smtp)?;
    let settings = settings.display().to_string();
    folder.stop_with(&format!("/usr/sbin/postfix -c {settings} stop"))?;
    let starter = ["-c", &settings, "start"];
    let mut started = start_program(&processes, Path::new("/usr/sbin/postfix"), &starter, &postfix_log)?;
    let status = started.wait()?;
    if !status.success() {
        let log = std::fs::read_to_string(&postfix_log).unwrap_or_default();
        bail!("Postfix does not start ({status}); it says:\n{log}");
    }
    wait_until("Postfix and Dovecot do not listen", keeper.log(), || listens(smtp) && listens(imap) && listens(pop3))?;
    let master = std::fs::read_to_string(own.join("queue/pid/master.pid"))?;
    processes.add_root(master.trim().parse().context("the process id of Postfix's master")?);
    Ok(Rival {
        verifies: None,
        name: NAME,
        versions: vec![
            format!("postfix {}", version_of("postfix")?),
            format!("dovecot {}", version_of("dovecot-imapd")?),
        ],
        settings: SETTINGS.iter().map(|line| (*line).to_string()).collect(),
        smtp,
        imap,
        pop3,
        imaps: None,
        processes,
        beside: None,
        folder: own,
        keeper,
    })
}

fn version_of(package: &str) -> Result<String> {
    first_line("dpkg-query", &["--show", "--showformat=${Version}\n", package])
        .with_context(|| format!("{package} has no version"))
}

fn set_up_dovecot(own: &Path, users: &[String], imap: u16, pop3: u16, format: &str) -> Result<PathBuf> {
    let mail = own.join("mail");
    std::fs::create_dir(&mail)?;
    chown(&mail, Some(MAIL_USER), Some(MAIL_USER))?;
    let passwords = users.iter().fold(String::new(), |mut text, user| {
        let _ = writeln!(text, "{user}:{{PLAIN}}{PASSWORD}::::::");
        text
    });
    std::fs::write(own.join("passwords"), passwords)?;
    let text = format!(
        "\
base_dir = {own}/run
state_dir = {own}/state
log_path = {own}/keeper.log
protocols = imap lmtp pop3
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
mail_location = {format}:{own}/mail/%u
mail_uid = {MAIL_USER}
mail_gid = {MAIL_USER}
mail_max_userip_connections = 10000
passdb {{
  driver = passwd-file
  args = username_format=%u {own}/passwords
}}
userdb {{
  driver = static
  args = uid={MAIL_USER} gid={MAIL_USER} home={own}/mail/%u
}}
namespace inbox {{
  inbox = yes
  mailbox Drafts {{
    special_use = \\Drafts
  }}
  mailbox Junk {{
    special_use = \\Junk
  }}
  mailbox Sent {{
    special_use = \\Sent
  }}
  mailbox Trash {{
    special_use = \\Trash
  }}
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service imap {{
  process_limit = 8192
}}
service anvil {{
  client_limit = 20000
}}
service auth {{
  client_limit = 20000
}}
service lmtp {{
  unix_listener lmtp {{
    mode = 0666
  }}
}}
",
        own = own.display()
    );
    let file = own.join("dovecot.conf");
    std::fs::write(&file, text)?;
    Ok(file)
}

fn set_up_postfix(own: &Path, users: &[String], smtp: u16) -> Result<PathBuf> {
    let settings = own.join("postfix");
    for folder in [&settings, &own.join("queue"), &own.join("postfix-data")] {
        std::fs::create_dir(folder)?;
    }
    command("chown", &["postfix", &own.join("postfix-data").display().to_string()])?;
    let table = users.iter().fold(String::new(), |mut text, user| {
        let _ = writeln!(text, "{user} yes");
        text
    });
    let recipients = settings.join("recipients");
    std::fs::write(&recipients, table)?;
    let main = format!(
        "\
compatibility_level = 3.6
queue_directory = {own}/queue
data_directory = {own}/postfix-data
maillog_file = {own}/postfix.log
maillog_file_prefixes = {own}
myhostname = mx.{DOMAIN}
mydestination =
inet_interfaces = loopback-only
inet_protocols = ipv4
biff = no
append_dot_mydomain = no
readme_directory = no
mailbox_size_limit = 0
recipient_delimiter = +
alias_maps =
alias_database =
smtpd_relay_restrictions = permit_mynetworks permit_sasl_authenticated defer_unauth_destination
virtual_mailbox_domains = {DOMAIN}
virtual_mailbox_maps = hash:{recipients}
virtual_transport = lmtp:unix:{own}/run/lmtp
default_process_limit = 200
in_flow_delay = 0
",
        own = own.display(),
        recipients = recipients.display(),
    );
    std::fs::write(settings.join("main.cf"), main)?;
    std::fs::write(settings.join("master.cf"), format!("127.0.0.1:{smtp} inet n - n - - smtpd\n{MASTER}"))?;
    let here = settings.display().to_string();
    command("/usr/sbin/postmap", &["-c", &here, &format!("hash:{}", recipients.display())])?;
    Ok(settings)
}

fn command(program: &str, arguments: &[&str]) -> Result<()> {
    let output = std::process::Command::new(program)
        .args(arguments)
        .output()
        .with_context(|| format!("{program} does not start"))?;
    if !output.status.success() {
        bail!("{program} {} failed:\n{}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
