//! The command line of accounts, and of what leads to them: their passwords, forwards and aliases.

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Account {
    /// Make an account with its mailboxes.
    Add {
        /// The account's address.
        address: String,
        /// The name shown with the address.
        #[arg(long)]
        name: Option<String>,
        /// The password; without it one is chosen and printed. `-` reads a line from standard input.
        #[arg(long)]
        password: Option<String>,
        /// Room for mail, for example 500M or 2G; without it there is no limit.
        #[arg(long)]
        quota: Option<String>,
        /// An account of a team: nobody logs in to it; its members use its mailboxes by `postroad mailbox share`.
        #[arg(long, conflicts_with = "password")]
        shared: bool,
    },
    /// List accounts.
    List {
        /// Only those of one domain.
        domain: Option<String>,
    },
    /// Show one account.
    Show {
        /// The account.
        address: String,
    },
    /// Set the password; without --password one is chosen and printed.
    Password {
        /// The account.
        address: String,
        /// The new password. `-` reads a line from standard input.
        #[arg(long)]
        password: Option<String>,
    },
    /// Set the room for mail: 500M, 2G, or none.
    Quota {
        /// The account.
        address: String,
        /// Octets, with K, M, G or T; `none` for no limit.
        size: String,
        /// Messages; without it no limit.
        #[arg(long)]
        messages: Option<u64>,
    },
    /// Show how much the account sent and may send, or set how much.
    Limit {
        /// The account.
        address: String,
        /// Messages within an hour; 0: any number.
        #[arg(long, value_name = "N")]
        messages_per_hour: Option<u32>,
        /// Messages within a day; 0: any number.
        #[arg(long, value_name = "N")]
        messages_per_day: Option<u32>,
        /// Recipients within an hour; 0: any number.
        #[arg(long, value_name = "N")]
        recipients_per_hour: Option<u32>,
        /// Recipients within a day; 0: any number.
        #[arg(long, value_name = "N")]
        recipients_per_day: Option<u32>,
        /// As the settings say again.
        #[arg(long, conflicts_with_all = ["messages_per_hour", "messages_per_day", "recipients_per_hour", "recipients_per_day"])]
        usual: bool,
    },
    /// Keep the account's mail as Gmail does, for clients that know Gmail: mailboxes are labels, All Mail has everything.
    ///
    /// On: what is there comes into All Mail; after an interruption the same command goes on. Off: all mail stays where it is.
    Gmail {
        #[command(subcommand)]
        action: Switch,
    },
    /// Let the account sign in by NTLM (version 2), for old programs that have nothing else.
    ///
    /// On: it works with each password that has been used once more in another way, or is given now. Off: what was kept for it is
    /// gone.
    Ntlm {
        #[command(subcommand)]
        action: KeyedSwitch,
    },
    /// Let the account sign in by CRAM-MD5, for old programs that have nothing better.
    ///
    /// On: what its passwords are checked with (states of HMAC-MD5, which open nothing else) is kept, sealed, of each that has been
    /// used once more in another way, or is given now. Off: it is gone.
    CramMd5 {
        #[command(subcommand)]
        action: KeyedSwitch,
    },
    /// Let the account sign in by APOP over POP3, for old programs that have nothing better.
    ///
    /// On: its passwords themselves are kept, sealed, each that has been used once more in another way, or is given now: an app
    /// password for the program is best. Off: they are gone.
    Apop {
        #[command(subcommand)]
        action: KeyedSwitch,
    },
    /// Who signs in to the account with a password of their own, as `THEIRS/ADDRESS` or by an authorization identity.
    Delegate {
        #[command(subcommand)]
        action: Delegate,
    },
    /// Passkeys, with which the owner logs in to the pages.
    Passkeys {
        #[command(subcommand)]
        action: Passkeys,
    },
    /// The second step of logging in to the pages, for who lost everything.
    SecondStep {
        #[command(subcommand)]
        action: SecondStep,
    },
    /// No signing in and no new mail, until resumed.
    Suspend {
        /// The account.
        address: String,
    },
    /// End a suspension.
    Resume {
        /// The account.
        address: String,
    },
    /// Remove an account with all its mail. This cannot be undone.
    Remove {
        /// The account.
        address: String,
        /// Say that you mean it.
        #[arg(long)]
        yes: bool,
    },
    /// List what opens the account beside its password: browsers, programs, app passwords, each with its last use.
    Sessions {
        /// The account.
        address: String,
    },
    /// Take one of them away; its open connections end at once.
    CutOff {
        /// The account.
        address: String,
        /// Its id, as `sessions` lists it.
        id: i64,
    },
    /// Compare all counters with a recount.
    Audit {
        /// Only this account.
        address: Option<String>,
    },
}

/// Something that an account has or has not.
#[derive(Debug, Subcommand)]
pub(crate) enum Switch {
    /// Switch it on.
    On {
        /// The account.
        address: String,
    },
    /// Switch it off.
    Off {
        /// The account.
        address: String,
    },
    /// Say whether it is on.
    Show {
        /// The account.
        address: String,
    },
}

/// A mechanism that needs a secret kept.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyedSwitch {
    /// Switch it on.
    On {
        /// The account.
        address: String,
        /// Make the secret now: of a password of the account, or an app password, in the first line of this file.
        #[arg(long, value_name = "FILE")]
        password_file: Option<std::path::PathBuf>,
        /// Make the secret now, of a password that is asked for.
        #[arg(long, conflicts_with = "password_file")]
        ask: bool,
    },
    /// Switch it off.
    Off {
        /// The account.
        address: String,
    },
    /// Say whether it is on.
    Show {
        /// The account.
        address: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Passkeys {
    /// List them, with their last use.
    List {
        /// The account.
        address: String,
    },
    /// Take one away; sessions that it opened end at once.
    Remove {
        /// The account.
        address: String,
        /// Its id, as `list` says it.
        id: i64,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum SecondStep {
    /// Say whether there is a second step, and how it stands.
    Show {
        /// The account.
        address: String,
    },
    /// Take the second step and all passkeys away, of somebody who has lost them and their recovery codes. Be sure who asks.
    Reset {
        /// The account.
        address: String,
    },
    /// Say whether the account's own password still opens IMAP, POP3 and SMTP while there is a second step. Without this it
    /// does not: programs have app passwords or tokens.
    Programs {
        /// The account.
        address: String,
        /// `allow` or `refuse`.
        #[arg(value_parser = ["allow", "refuse"])]
        password: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Delegate {
    /// Let somebody sign in to the account, with all that its owner may.
    Add {
        /// The account.
        address: String,
        /// Who may.
        delegate: String,
    },
    /// Take that back; their open connections end at once.
    Remove {
        /// The account.
        address: String,
        /// Who may no more.
        delegate: String,
    },
    /// List who may.
    List {
        /// The account.
        address: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum AppPassword {
    /// Make a password for one program; it is shown once.
    Add {
        /// The account.
        address: String,
        /// What it is for, for example `printer`.
        name: String,
        /// Protocols that it opens: smtp, imap, pop3; without it all.
        #[arg(long, value_delimiter = ',')]
        scope: Vec<String>,
        /// It ends after so many days.
        #[arg(long, value_name = "DAYS")]
        expires: Option<u32>,
    },
    /// List an account's app passwords.
    List {
        /// The account.
        address: String,
    },
    /// Remove one by its name.
    Remove {
        /// The account.
        address: String,
        /// What it was made for.
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Forward {
    /// Send an account's mail on to one or more addresses, here or elsewhere, in place of what it had.
    Set {
        /// The account.
        address: String,
        /// Where its mail goes on to.
        #[arg(required = true)]
        targets: Vec<String>,
        /// Leave a copy in the account.
        #[arg(long)]
        keep: bool,
    },
    /// Show where an account's mail goes on to; without one, all forwards.
    Show {
        /// Only this account.
        address: Option<String>,
    },
    /// Let an account's mail stay here again.
    Remove {
        /// The account.
        address: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Alias {
    /// Make an address lead to one or more others, here or elsewhere.
    Add {
        /// The alias.
        address: String,
        /// Where it leads.
        #[arg(required = true)]
        targets: Vec<String>,
    },
    /// List aliases and groups.
    List {
        /// Only those of one domain.
        domain: Option<String>,
    },
    /// Remove an alias.
    Remove {
        /// The alias.
        address: String,
    },
}
