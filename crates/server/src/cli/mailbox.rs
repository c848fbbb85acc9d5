//! The command line of mailboxes: what is in them, whom they are shared with, what was deleted.

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Mailbox {
    /// List an account's mailboxes with their counts.
    List {
        /// The account.
        address: String,
    },
    /// Make a mailbox.
    Create {
        /// The account.
        address: String,
        /// Its name, with `/` between levels: Work/Old.
        name: String,
    },
    /// Give a mailbox and all below it another name.
    Rename {
        /// The account.
        address: String,
        /// The name that it has.
        from: String,
        /// The new one.
        to: String,
    },
    /// Delete a mailbox; its mail can be brought back within the retention.
    Delete {
        /// The account.
        address: String,
        /// The mailbox.
        name: String,
    },
    /// Let somebody else use a mailbox; they find it below `Other Users/`, or `Shared/` for a shared account.
    Share {
        /// The account whose mailbox it is.
        address: String,
        /// The mailbox; `*` for all that there are.
        name: String,
        /// An account or group by its address, `anyone` for all accounts of the domain, `@domain` for those of another;
        /// with `-` before it, whom the rights are taken from however else they come to them.
        #[arg(allow_hyphen_values = true)]
        who: String,
        /// read, write or full; or letters: l see it, r read, s mark as read, w flags, i put mail in, p post, k mailboxes
        /// below it, x delete it, t mark as deleted, e expunge, a give rights. With + or - before them: add or take away.
        #[arg(allow_hyphen_values = true)]
        rights: String,
    },
    /// Take somebody's entry for a mailbox away.
    Unshare {
        /// The account whose mailbox it is.
        address: String,
        /// The mailbox; `*` for all.
        name: String,
        /// As given to `share`.
        #[arg(allow_hyphen_values = true)]
        who: String,
    },
    /// List who may use an account's mailboxes.
    Shares {
        /// The account.
        address: String,
    },
    /// What was deleted and can be brought back: mailboxes, or the messages of one of them.
    Deleted {
        /// The account.
        address: String,
        /// A mailbox by its name, or a deleted one by its id, as the list of mailboxes shows it.
        mailbox: Option<String>,
    },
    /// Bring deleted messages back.
    Restore {
        /// The account.
        address: String,
        /// A mailbox by its name, or a deleted one by its id, as `deleted` shows it.
        mailbox: String,
        /// Numbers as `deleted` shows them, for example 4,7:9; without them all.
        numbers: Option<String>,
        /// The mailbox they go to, made when it is not there; without it the one that they were in.
        #[arg(long, value_name = "MAILBOX")]
        into: Option<String>,
    },
}
