//! The Debian packages that the tests need: real databases, clients and peers.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Installed by `cargo xtask test` when it may; each line says for what.
pub(crate) const NEEDED: &[&str] = &[
    "postgresql",                  // every domain test runs on it too
    "curl",                        // smtp, imap, pop3 with and without TLS
    "swaks",                       // hands mail in
    "libauthen-ntlm-perl",         // swaks by NTLM
    "gsasl",                       // signs in by SCRAM, bound to TLS, and by Kerberos
    "libkrb5-dev",                 // MIT's library: the tests are built with the feature gssapi
    "libclang-dev",                // reads its headers
    "krb5-kdc",                    // krb5kdc, kdb5_util: a real realm
    "krb5-admin-server",           // kadmin.local: its principals
    "krb5-user",                   // kinit: their tickets
    "python3-gssapi",              // a client that does everything wrong
    "faketime",                    // a realm whose tickets have expired
    "libsasl2-modules-gssapi-mit", // mbsync by GSSAPI and GSS-SPNEGO of Cyrus
    "mutt",                        // reads over IMAP
    "fetchmail",                   // fetches by POP3
    "mpop",                        // fetches by POP3
    "getmail6",                    // fetches by POP3
    "dovecot-imapd",               // a real server that accounts are moved from and to, and its Maildir
    "dovecot-pop3d",               // the same by POP3
    "isync",                       // mbsync: keeps a Maildir in step
    "offlineimap3",                // offlineimap: keeps a Maildir in step, by UIDs and flags
    "msmtp",                       // submits as a sendmail replacement
    "postfix",                     // a real server as the sender and as the next hop; smtp-sink
    "knot",                        // knotd: a name server that knows what a test says, with signed zones
    "unbound",                     // a resolver that validates
    "pebble",                      // a certificate authority that speaks ACME
    "opendkim",                    // signs and verifies as others do
    "opendkim-tools",              // opendkim-genkey: its keys and records
    "python3-dkim",                // dkimpy: signs and verifies as others do, Ed25519 and ARC too
    "python3-nacl",                // dkimpy: Ed25519
    "python3-spf",                 // pyspf: SPF of mail that was forwarded
    "python3-dnspython",           // both ask the test's name server by it
    "chromium",                    // a browser at the pages: passkeys, and all without scripts
    "chromium-driver",             // drives it
    "thunderbird",                 // sets itself up from an address, and reads
    "python3",                     // smtplib, imaplib, poplib
    "openssl",                     // certificates and s_client in the TLS tests
    "mount",                       // small, full and read-only file systems, where the tests may mount
];

/// Installs what the tests need and is missing, as root; otherwise says which line to run.
pub(crate) fn install() -> Result<()> {
    install_these(NEEDED, "the tests")
}

/// Installs what somebody needs and is missing.
pub(crate) fn install_these(needed: &[&str], who: &str) -> Result<()> {
    let missing: Vec<&str> = needed.iter().copied().filter(|package| !is_installed(package)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let line = format!("apt-get install --yes --no-install-recommends {}", missing.join(" "));
    if !is_root() {
        bail!(
            "{who} cannot run without Debian packages that are not installed; run as root:\n  apt-get update && {line}"
        );
    }
    crate::say(&format!("installing {}", missing.join(" ")));
    apt(&["update", "--quiet"])?;
    let mut arguments = vec!["install", "--yes", "--quiet", "--no-install-recommends"];
    arguments.extend(&missing);
    apt(&arguments)
}

fn apt(arguments: &[&str]) -> Result<()> {
    // Services of the installed packages must not start: the tests start their own.
    let status = Command::new("apt-get")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("RUNLEVEL", "1")
        .status()
        .context("apt-get did not start: on a system without it, install the packages by their names there")?;
    if !status.success() {
        bail!("apt-get {} ended with {status}", arguments.join(" "));
    }
    Ok(())
}

fn is_installed(package: &str) -> bool {
    Command::new("dpkg-query")
        .args(["--show", "--showformat=${Status}", package])
        .output()
        .is_ok_and(|output| output.stdout.starts_with(b"install ok installed"))
}

pub(crate) fn is_root() -> bool {
    // The owner of /proc/self is the effective user.
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(Path::new("/proc/self")).is_ok_and(|own| own.uid() == 0)
}
