//! The command line: names, options and their help. What the commands do stands in `commands/`.

mod account;
mod authcheck;
mod ban;
mod carry;
mod certificate;
mod check;
mod client_certificate;
mod collect;
mod dkim;
mod dns;
mod domain;
mod greylist;
mod index;
mod mailbox;
mod moving;
mod mta_sts;
mod oauth;
mod policy;
mod principal;
mod report;
mod sending;
mod shaping;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub(crate) use account::{Account, Alias, AppPassword, Delegate, Forward, KeyedSwitch, Passkeys, SecondStep, Switch};
pub(crate) use authcheck::{Authcheck, AuthcheckMessage, AuthcheckSpf};
pub(crate) use ban::Ban;
pub(crate) use carry::{
    BackupAction, BackupMake, Export, ExportFormat, ExportNewline, Import, ImportFormat, MboxQuoting, Restore,
};
pub(crate) use certificate::Certificate;
pub(crate) use check::DomainCheck;
pub(crate) use client_certificate::ClientCertificate;
pub(crate) use collect::{Collect, CollectAdd};
pub(crate) use dkim::Dkim;
pub(crate) use dns::DnsRecords;
pub(crate) use domain::Domain;
pub(crate) use greylist::Greylist;
pub(crate) use index::Index;
pub(crate) use mailbox::Mailbox;
pub(crate) use moving::{Consent, Migrate, Mirror, Moving, Remote};
pub(crate) use mta_sts::{Mode as MtaStsMode, MtaSts};
pub(crate) use oauth::{Oauth, OauthClient};
pub(crate) use policy::{Policy, Trusted, TrustedKind};
pub(crate) use principal::Principal;
pub(crate) use report::Report;
pub(crate) use sending::{Queue, QueueWhich, Route, RouteLogin};
pub(crate) use shaping::{Egress, EgressBy, Limit, Suppression};

/// Postroad: a complete mail server in one program.
#[derive(Debug, Parser)]
#[command(name = "postroad", version, propagate_version = true, arg_required_else_help = true, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Where the server is that a command is about.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Place {
    /// The server's data folder; its postroad.toml is read when it has one.
    #[arg(long, value_name = "DIR", global = true, env = "POSTROAD_DATA", display_order = 900)]
    pub(crate) data: Option<PathBuf>,
    /// The settings file.
    #[arg(long, value_name = "FILE", global = true, env = "POSTROAD_SETTINGS", display_order = 901)]
    pub(crate) settings: Option<PathBuf>,
}

/// How a command's answer is printed.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct Output {
    /// Print JSON for programs instead of text for people.
    #[arg(long, global = true, display_order = 902)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve mail, as the settings say.
    Serve {
        #[command(flatten)]
        place: Place,
        /// The name server that resolves for us, instead of those of the settings: 127.0.0.1:53.
        #[arg(long, value_name = "HOST:PORT")]
        resolver: Option<String>,
    },
    /// A whole mail server in one step: on loopback to try, or for a domain of yours.
    Quickstart(Quickstart),
    /// Look at this server, or at what the world sees of a domain; each line a fact and a next step.
    ///
    /// Without a domain: settings, database, certificates, listeners and name servers. With one: its records as they are
    /// published (MX, SPF, DKIM, DMARC, MTA-STS, TLS reports, TLSA, SRV, CAA), and this server's address, name, ports,
    /// certificates and reputation as others find them. Nothing is changed and no mail is sent. Exit code 0: nothing has to
    /// be put right, though there may be warnings; 1: something has to.
    Check {
        #[command(flatten)]
        options: DomainCheck,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        output: Output,
    },
    /// Domains whose mail is kept here.
    Domain {
        #[command(subcommand)]
        action: Domain,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        output: Output,
    },
    /// People and programs with mailboxes here.
    Account {
        #[command(subcommand)]
        action: Account,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        output: Output,
    },
    /// Addresses that lead to others: aliases and groups.
    Alias {
        #[command(subcommand)]
        action: Alias,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        output: Output,
    },
    /// Accounts whose mail goes on to other addresses.
    Forward {
        #[command(subcommand)]
        action: Forward,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        output: Output,
    },
    /// Mail that waits to be sent on: what waits and why, and orders about it.
    Queue {
        #[command(subcommand)]
        action: Queue,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        output: Output,
    },
    /// Fixed next hosts: where mail for a domain goes instead of where DNS says.
    Route {
        #[command(subcommand)]
        action: Route,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        output: Output,
    },
    /// Mail that is fetched from accounts elsewhere that have only POP3.
    Collect {
        #[command(subcommand)]
        action: Collect,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        output: Output,
    },
    /// Addresses that are not written to any more: they do not exist, or complained.
    Suppression {
        #[command(subcommand)]
        action: Suppression,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        output: Output,
    },
    /// How much is sent at once: to domains, and to hosts whatever domains lead to them.
    Limit {
        #[command(subcommand)]
        action: Limit,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        output: Output,
    },
    /// The addresses that mail leaves from, in pools with weights.
    Egress {
        #[command(subcommand)]
        action: Egress,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        output: Output,
    },
    /// Reports about mail: what others tell of ours, and what is owed to them.
    Report {
        #[command(subcommand)]
        action: Report,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        output: Output,
    },
    /// Certificates: what there is, until when, and orders to the authority.
    Certificate {
        #[command(subcommand)]
        action: Certificate,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        output: Output,
    },
    /// The DNS records that a domain needs: as a table, as a zone file, or sent to its name server.
    ///
    /// Exit code 0: done; 3: published, but for what differs and was left, or is not in a zone of that server.
    Dns {
        #[command(flatten)]
        options: DnsRecords,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        output: Output,
    },
    /// The keys that sign mail (DKIM): their records, their states, and new ones in time.
    Dkim {
        #[command(subcommand)]
        action: Dkim,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        output: Output,
    },
    /// Look at mail as a receiver does: SPF, DKIM, DMARC, ARC.
    Authcheck {
        #[command(subcommand)]
        what: Authcheck,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        output: Output,
    },
    /// What our domains ask of those who send to them (MTA-STS), and what others ask of us.
    MtaSts {
        #[command(subcommand)]
        action: MtaSts,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        output: Output,
    },
    /// Whose mail is believed although it fails SPF and DMARC: sealers, forwarders, lists.
    Trusted {
        #[command(subcommand)]
        action: Trusted,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        output: Output,
    },
    /// The full-text index that makes searching fast.
    Index {
        #[command(subcommand)]
        action: Index,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        output: Output,
    },
    /// Who is shut out of all services: by counting what fails, or by hand.
    Ban {
        #[command(subcommand)]
        action: Ban,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        output: Output,
    },
    /// Strangers who were asked to come again, and who is known by now.
    Greylist {
        #[command(subcommand)]
        action: Greylist,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        output: Output,
    },
    /// Programs that people let in with OAuth 2.0.
    Oauth {
        #[command(subcommand)]
        action: Oauth,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        output: Output,
    },
    /// Passwords for one program each, with a scope and an end.
    AppPassword {
        #[command(subcommand)]
        action: AppPassword,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        output: Output,
    },
    /// Certificates of clients that open an account without a password.
    ClientCertificate {
        #[command(subcommand)]
        action: ClientCertificate,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        output: Output,
    },
    /// Principals of Kerberos that open an account.
    Principal {
        #[command(subcommand)]
        action: Principal,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        output: Output,
    },
    /// An account's mailboxes, and bringing deleted mail back.
    Mailbox {
        #[command(subcommand)]
        action: Mailbox,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        output: Output,
    },
    /// Bring mail along from files: Maildir, mbox, folders of .eml; with flags, dates and folder names.
    ///
    /// Run it again after an interruption, or to catch up later: what was taken once is not taken twice. Exit code 0:
    /// everything was taken; 3: something could not be read and is named; 1: it ended early, run it again.
    Import(Import),
    /// Take an account over from another server by IMAP (Gmail, Exchange, Dovecot, Cyrus, Courier …), or from files.
    ///
    /// Folders, flags, dates and labels come along; nothing is changed there. Run it again after an interruption, and as often as you
    /// like until you use the account here: what is new, changed, moved or deleted there follows. At the end everything is
    /// compared by checksums. Exit code 0: every message is here as it was there; 3: something is not, and is named; 1: it
    /// ended early, run it again.
    Migrate(Migrate),
    /// Keep a copy of an account on another server by IMAP: nobody is locked in.
    ///
    /// Run it again to bring it up to date. At the end every message is fetched from there and compared. Exit code 0: every
    /// message is there as it is here; 3: something is not, and is named; 1: it ended early, run it again.
    Mirror(Mirror),
    /// Write an account's mail into files: Maildir or mbox.
    ///
    /// Into a Maildir that an earlier export wrote, only what is new is written. Exit code 0: everything was written;
    /// 3: something is damaged or not carried whole and is named; 1: it ended early, run it again.
    Export(Export),
    /// Back everything up into a folder, while the server runs; what an earlier backup stored is not stored again.
    ///
    /// The folder holds mail, password hashes and private keys: keep it as you keep those. Exit code 0: done; 3: done, but something is
    /// damaged and is named; 1: no backup was made.
    #[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
    Backup {
        #[command(subcommand)]
        action: Option<BackupAction>,
        #[command(flatten)]
        make: BackupMake,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        output: Output,
    },
    /// Bring a backup back: all of it into an empty place, or one account into a server that may be running.
    ///
    /// The queue comes back held, so that nothing is sent twice: `postroad queue release --all` lets it go. Every mailbox gets a
    /// new uidvalidity, so that no client takes new mail for what it saw after the backup. Exit code 0: everything is
    /// back; 3: something is damaged and is named; 1: it did not succeed.
    Restore(Restore),
    /// The story of a message, from its connection to its mailbox and after.
    Trace {
        /// An address, a Message-ID or a trace id.
        #[arg(value_name = "ADDRESS|MESSAGE-ID|TRACE-ID")]
        key: String,
        /// Only stories that began at most so long ago: 90m, 12h, 7d.
        #[arg(long, value_name = "AGE", default_value = "7d")]
        since: String,
        /// At most so many stories, the newest first.
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        output: Output,
    },
    /// Print a settings file with every key, its meaning and its default.
    Settings,
    /// Print the version and what is built in.
    Version,
    /// Print the completion script for a shell.
    Completion {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Write the manual pages into a folder.
    Man {
        /// The folder; made when it is not there.
        folder: PathBuf,
    },
}

/// Options of `postroad quickstart`.
#[derive(Debug, Args)]
pub(crate) struct Quickstart {
    /// Your mail domain; without it a server for example.test on loopback.
    pub(crate) domain: Option<String>,
    /// Where everything is kept; made when it is not there.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Listen on the standard ports plus this.
    #[arg(long, value_name = "N")]
    pub(crate) port_offset: Option<u16>,
    /// The password of the accounts made; without it one is chosen and printed.
    #[arg(long, value_name = "PW")]
    pub(crate) password: Option<String>,
    /// Keep the database in PostgreSQL: postgres://user:password@host/name.
    #[arg(long, value_name = "URL")]
    pub(crate) database: Option<String>,
    /// The name server that resolves for us, kept in the settings: 127.0.0.1:53. A trial without one sends nothing out.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) resolver: Option<String>,
    /// Where other servers take mail, kept in the settings; 25 when nothing is said.
    #[arg(long, value_name = "N")]
    pub(crate) outbound_port: Option<u16>,
    /// You agree to the terms of the certificate authority (Let's Encrypt, unless --acme-directory names another): it is
    /// asked for certificates, and for new ones in time.
    #[arg(long)]
    pub(crate) agree_terms: bool,
    /// The certificate authority's ACME directory, kept in the settings.
    #[arg(long, value_name = "URL", requires = "agree_terms")]
    pub(crate) acme_directory: Option<String>,
    /// Also make accounts u0001@, u0002@ … with the same password.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) accounts: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definitions_hold_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_and_argument_says_what_it_means() {
        fn look(command: &clap::Command, way: &str, silent: &mut Vec<String>) {
            for argument in command.get_arguments().filter(|one| one.get_help().is_none()) {
                silent.push(format!("{way} {}", argument.get_id()));
            }
            for inner in command.get_subcommands() {
                let way = format!("{way} {}", inner.get_name());
                if inner.get_about().is_none() {
                    silent.push(way.clone());
                }
                look(inner, &way, silent);
            }
        }
        let mut silent = Vec::new();
        look(&Cli::command(), "postroad", &mut silent);
        assert!(silent.is_empty(), "{silent:#?}");
    }

    #[test]
    fn the_contract_for_scripts_parses() {
        let line =
            "postroad quickstart --data d --port-offset 2000 --password pw --database postgres://h/n --accounts 5";
        let cli = Cli::try_parse_from(line.split(' ')).expect("the fixed form");
        let Command::Quickstart(quickstart) = cli.command else { panic!("quickstart") };
        assert_eq!((quickstart.port_offset, quickstart.accounts), (Some(2000), 5));
    }
}
