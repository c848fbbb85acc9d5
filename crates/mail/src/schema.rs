//! The tables of mail.
//!
//! Every table of an account has the account first in its primary key. Texts that are compared (addresses,
//! names, keywords) are stored in the form they are compared by. Times are microseconds, sizes bytes.

use postroad_store::Migration;

/// The tables of this crate, in order.
pub const MIGRATIONS: &[Migration] = &[
    Migration { owner: "mail", version: 1, sql: V1 },
    Migration { owner: "mail", version: 2, sql: V2 },
    Migration { owner: "mail", version: 3, sql: V3 },
    Migration { owner: "mail", version: 4, sql: V4 },
    Migration { owner: "mail", version: 5, sql: V5 },
    Migration { owner: "mail", version: 6, sql: V6 },
    Migration { owner: "mail", version: 7, sql: V7 },
    Migration { owner: "mail.search", version: 1, sql: crate::index::TABLES },
    Migration { owner: "mail.acl", version: 1, sql: ACL_V1 },
    Migration { owner: "mail.pop3", version: 1, sql: crate::maildrop::TABLES },
    Migration { owner: "mail.urlauth", version: 1, sql: crate::urlauth::TABLES },
    Migration { owner: "mail.urlauth", version: 2, sql: crate::urlauth::TABLES_V2 },
    Migration { owner: "mail.metadata", version: 1, sql: crate::metadata::TABLES },
    Migration { owner: "mail.quota", version: 1, sql: crate::quota::TABLES },
    Migration { owner: "mail.scram", version: 1, sql: crate::credentials::SCRAM_TABLES },
    Migration { owner: "mail.certificates", version: 1, sql: crate::credentials::CERTIFICATE_TABLES },
    Migration { owner: "mail.ntlm", version: 1, sql: crate::credentials::NTLM_TABLES },
    Migration { owner: "mail.digest", version: 1, sql: crate::credentials::DIGEST_TABLES },
    Migration { owner: "mail.principals", version: 1, sql: crate::credentials::PRINCIPAL_TABLES },
    Migration { owner: "mail.delegates", version: 1, sql: crate::credentials::DELEGATE_TABLES },
    Migration { owner: "mail.remote", version: 1, sql: crate::remote::TABLES },
    Migration { owner: "mail.remote", version: 2, sql: crate::remote::collect::TABLES },
    Migration { owner: "mail.labels", version: 1, sql: crate::labels::TABLES },
];

/// Who may do what with whose mailbox (`acl`), and accounts that nobody logs in to. The index on members finds the
/// groups that somebody is in.
const ACL_V1: &str = "
CREATE TABLE acl (
    account BIGINT NOT NULL,
    mailbox BIGINT NOT NULL,
    grantee {text} NOT NULL,
    negative BIGINT NOT NULL,
    rights BIGINT NOT NULL,
    PRIMARY KEY (account, mailbox, grantee, negative)
) {clustered};
CREATE INDEX acl_grantee ON acl (grantee, account, mailbox);
CREATE TABLE shared_account (
    account BIGINT NOT NULL,
    PRIMARY KEY (account)
);
CREATE INDEX address_target_member ON address_target (lower(target));
";

/// `entry` is clustered by uid, so that a range of uids is one stretch of pages. `expunged` holds what was
/// removed: `restorable` rows can be restored; the others were, or
/// were moved away (with labels, and before the journal was asked what moved).
/// `mailbox.forgotten` is not used any more.
const V1: &str = "
CREATE TABLE domain (
    name {text} PRIMARY KEY,
    catch_all {text},
    postmaster BIGINT,
    created BIGINT NOT NULL
);
CREATE TABLE domain_alias (
    alias {text} PRIMARY KEY,
    domain {text} NOT NULL
);
CREATE TABLE directory_log (
    id {id},
    at BIGINT NOT NULL,
    actor {text} NOT NULL,
    what {text} NOT NULL
);
CREATE TABLE account (
    id {id},
    address {text} NOT NULL,
    display_name {text} NOT NULL,
    state {text} NOT NULL,
    quota_bytes BIGINT NOT NULL,
    quota_messages BIGINT NOT NULL,
    used_bytes BIGINT NOT NULL,
    used_messages BIGINT NOT NULL,
    modseq BIGINT NOT NULL,
    next_mailbox BIGINT NOT NULL,
    last_uidvalidity BIGINT NOT NULL,
    created BIGINT NOT NULL
);
CREATE TABLE address (
    domain {text} NOT NULL,
    local {text} NOT NULL,
    shown {text} NOT NULL,
    kind {text} NOT NULL,
    account BIGINT,
    PRIMARY KEY (domain, local)
) {clustered};
CREATE INDEX address_account ON address (account);
CREATE TABLE address_target (
    domain {text} NOT NULL,
    local {text} NOT NULL,
    target {text} NOT NULL,
    PRIMARY KEY (domain, local, target)
) {clustered};
CREATE TABLE credential (
    account BIGINT NOT NULL,
    id BIGINT NOT NULL,
    name {text},
    hash {text} NOT NULL,
    scopes {text} NOT NULL,
    expires BIGINT,
    created BIGINT NOT NULL,
    last_used BIGINT,
    PRIMARY KEY (account, id)
) {clustered};
CREATE TABLE mailbox (
    account BIGINT NOT NULL,
    id BIGINT NOT NULL,
    name {text} NOT NULL,
    role {text},
    selectable BIGINT NOT NULL,
    uidvalidity BIGINT NOT NULL,
    uidnext BIGINT NOT NULL,
    first_recent BIGINT NOT NULL,
    highest_modseq BIGINT NOT NULL,
    forgotten BIGINT NOT NULL,
    messages BIGINT NOT NULL,
    unseen BIGINT NOT NULL,
    deleted BIGINT NOT NULL,
    size BIGINT NOT NULL,
    created BIGINT NOT NULL,
    PRIMARY KEY (account, id)
) {clustered};
CREATE UNIQUE INDEX mailbox_name ON mailbox (account, name);
CREATE UNIQUE INDEX mailbox_role ON mailbox (account, role);
CREATE TABLE subscription (
    account BIGINT NOT NULL,
    name {text} NOT NULL,
    PRIMARY KEY (account, name)
) {clustered};
CREATE TABLE keyword (
    account BIGINT NOT NULL,
    mailbox BIGINT NOT NULL,
    folded {text} NOT NULL,
    name {text} NOT NULL,
    since BIGINT NOT NULL,
    PRIMARY KEY (account, mailbox, folded)
) {clustered};
CREATE INDEX keyword_folded ON keyword (account, folded);
CREATE TABLE message (
    account BIGINT NOT NULL,
    id BIGINT NOT NULL,
    blob BIGINT NOT NULL,
    size BIGINT NOT NULL,
    received BIGINT NOT NULL,
    thread BIGINT NOT NULL,
    trace BIGINT,
    summary {bytes} NOT NULL,
    PRIMARY KEY (account, id)
);
CREATE INDEX message_thread ON message (account, thread);
CREATE INDEX message_trace ON message (trace) WHERE trace IS NOT NULL;
CREATE TABLE entry (
    account BIGINT NOT NULL,
    mailbox BIGINT NOT NULL,
    uid BIGINT NOT NULL,
    message BIGINT NOT NULL,
    flags BIGINT NOT NULL,
    keywords {text} NOT NULL,
    modseq BIGINT NOT NULL,
    saved BIGINT NOT NULL,
    size BIGINT NOT NULL,
    PRIMARY KEY (account, mailbox, uid)
) {clustered};
CREATE INDEX entry_message ON entry (account, message);
CREATE INDEX entry_modseq ON entry (account, mailbox, modseq, uid);
CREATE INDEX entry_unseen ON entry (account, mailbox, uid) WHERE (flags & 1) = 0;
CREATE INDEX entry_deleted ON entry (account, mailbox, uid) WHERE (flags & 8) = 8;
CREATE TABLE expunged (
    account BIGINT NOT NULL,
    mailbox BIGINT NOT NULL,
    uid BIGINT NOT NULL,
    message BIGINT NOT NULL,
    flags BIGINT NOT NULL,
    keywords {text} NOT NULL,
    saved BIGINT NOT NULL,
    size BIGINT NOT NULL,
    modseq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    restorable BIGINT NOT NULL,
    PRIMARY KEY (account, mailbox, uid)
) {clustered};
CREATE INDEX expunged_modseq ON expunged (account, mailbox, modseq, uid);
CREATE INDEX expunged_message ON expunged (account, message);
CREATE INDEX expunged_at ON expunged (account, at);
CREATE TABLE thread_key (
    account BIGINT NOT NULL,
    key BIGINT NOT NULL,
    thread BIGINT NOT NULL,
    PRIMARY KEY (account, key)
) {clustered};
CREATE INDEX thread_key_thread ON thread_key (account, thread);
CREATE TABLE journal (
    account BIGINT NOT NULL,
    modseq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    actor {text} NOT NULL,
    what {text} NOT NULL,
    mailbox BIGINT,
    other BIGINT,
    uids {text} NOT NULL,
    other_uids {text} NOT NULL,
    before {bytes} NOT NULL,
    PRIMARY KEY (account, modseq)
) {clustered};
";

/// What imports brought: `source` and `rest` are a hash of the bytes as they were in the file (and of how often they
/// came before), so that a second import finds what the first one did; `crlf` says that the lines ended so in the file.
const V2: &str = "
CREATE TABLE imported (
    account BIGINT NOT NULL,
    mailbox BIGINT NOT NULL,
    source BIGINT NOT NULL,
    rest BIGINT NOT NULL,
    message BIGINT NOT NULL,
    crlf BIGINT NOT NULL,
    PRIMARY KEY (account, mailbox, source, rest)
) {clustered};
CREATE INDEX imported_message ON imported (account, message);
";

/// Where an account's mail goes on to: a row in `forward` for an account that does.
const V3: &str = "
CREATE TABLE forward (
    account BIGINT NOT NULL,
    keep BIGINT NOT NULL,
    since BIGINT NOT NULL,
    PRIMARY KEY (account)
);
CREATE TABLE forward_target (
    account BIGINT NOT NULL,
    target {text} NOT NULL,
    PRIMARY KEY (account, target)
) {clustered};
";

/// A conversation has the number of its first message: that one is found by its own number, the others by this.
const V4: &str = "
DROP INDEX message_thread;
CREATE INDEX message_reply ON message (account, thread) WHERE thread <> id;
";

/// What changed in a mailbox is found by the operations on it, a row of the journal each, instead of by an index that every
/// entry pays for with each change; unseen and deleted entries are found by looking until as many are found as the
/// mailbox's row counts.
const V5: &str = "
CREATE INDEX journal_mailbox ON journal (account, mailbox, modseq) WHERE mailbox IS NOT NULL;
CREATE INDEX journal_other ON journal (account, other, modseq) WHERE other IS NOT NULL;
DROP INDEX entry_modseq;
DROP INDEX entry_unseen;
DROP INDEX entry_deleted;
";

/// Deleted entries are few among many, and found as such: one that lies
/// there for years would have every EXPUNGE read the mailbox up to it.
const V6: &str = "
CREATE INDEX entry_deleted ON entry (account, mailbox, uid) WHERE (flags & 8) = 8;
";

/// What changes of entries lies in pages of 128 uids (`pages`), so that a change of many writes few rows; the entries keep what
/// never changes.
const V7: &str = "
CREATE TABLE entry_page (
    account BIGINT NOT NULL,
    mailbox BIGINT NOT NULL,
    page BIGINT NOT NULL,
    runs {text} NOT NULL,
    sizes {text} NOT NULL,
    entries BIGINT NOT NULL,
    unseen BIGINT NOT NULL,
    deleted BIGINT NOT NULL,
    PRIMARY KEY (account, mailbox, page)
);
INSERT INTO entry_page (account, mailbox, page, runs, sizes, entries, unseen, deleted)
SELECT account, mailbox, uid / 128,
       string_agg(CAST(uid % 128 AS TEXT) || ' ' || CAST(flags AS TEXT) || ' ' || CAST(modseq AS TEXT) || keywords || '
', '' ORDER BY uid),
       string_agg(CAST(size AS TEXT) || ' ', '' ORDER BY uid), count(*),
       CAST(sum(CASE WHEN (flags & 1) = 0 THEN 1 ELSE 0 END) AS BIGINT),
       CAST(sum(CASE WHEN (flags & 8) = 8 THEN 1 ELSE 0 END) AS BIGINT)
FROM entry GROUP BY account, mailbox, uid / 128;
CREATE INDEX entry_page_deleted ON entry_page (account, mailbox, page) WHERE deleted > 0;
DROP INDEX entry_deleted;
ALTER TABLE entry DROP COLUMN flags;
ALTER TABLE entry DROP COLUMN keywords;
ALTER TABLE entry DROP COLUMN modseq;
";
