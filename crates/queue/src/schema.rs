//! The tables of the queue.
//!
//! Invariants:
//! 1. `queue_message.open` is the number of its recipients that have not ended; with the last one the message, its
//!    recipients and its reference to the blob go, in one transaction.
//! 2. The sum of `queue_tally` is the number of messages and of recipients that have not ended.
//! 3. A recipient has a node and a life exactly while it is `claimed`.
//! 4. While recipients are `parked`, their domain has a row in `queue_destination` with `parked = 1`. Whoever parks
//!    takes that row first, in the same transaction; whoever sets `parked` to 0 looks for parked recipients while it
//!    has the row.
//! 5. `again` is 1 while a recipient is `claimed` and `retry` has asked for it since; what it is otherwise means nothing.
//! 6. `due` of a recipient that is `parked` or `backlog` is an order and not a time: it was due when it got there.
//!
//! States of a recipient, and who changes them:
//!
//! | from | to | by |
//! |---|---|---|
//! | nothing | `waiting` | `enqueue` |
//! | `waiting`, `backlog` | `parked` | `claim`, for a destination that is blocked or at its limit |
//! | `waiting` | `backlog` | `claim`, for a sender who fills all that is looked at |
//! | `waiting`, `parked`, `backlog` | `claimed` | `claim`, `claim_for` |
//! | `claimed` | `waiting` | `record` (deferred, not tried), `recover`, `leave` |
//! | `claimed` | `delivered`, `relayed`, `failed` | `record` |
//! | `waiting`, `parked`, `backlog` | `held` | `hold` |
//! | `held` | `waiting` | `release` |
//! | `parked`, `backlog` | `waiting` | `retry` |
//! | all but `claimed` and ended | `cancelled` | `cancel` |
//!
//! Order of row locks on PostgreSQL: recipients, then messages, then destinations by name, then the tally. What may be
//! in somebody else's hand is skipped when work is claimed, never waited for.

use postroad_store::Migration;

/// The tables of this crate, in order.
pub const MIGRATIONS: &[Migration] = &[
    Migration { owner: "queue", version: 1, sql: V1 },
    Migration { owner: "queue", version: 2, sql: V2 },
    Migration { owner: "queue", version: 3, sql: V3 },
    Migration { owner: "queue", version: 4, sql: V4 },
    Migration { owner: "queue", version: 5, sql: V5 },
    Migration { owner: "queue", version: 6, sql: V6 },
    Migration { owner: "queue", version: 7, sql: V7 },
    Migration { owner: "queue.grants", version: 1, sql: crate::grants::TABLES },
    crate::suppression::V1,
    crate::shaping::V1,
];

/// A route signs in with tokens of a grant in place of a password.
const V7: &str = "
ALTER TABLE queue_route ADD COLUMN token_grant {text};
";

/// Why nothing more goes to a destination that works.
const V6: &str = "
ALTER TABLE queue_destination ADD COLUMN rests {text};
";

/// Whether the sender's domain vouches for who brought the message.
const V5: &str = "
ALTER TABLE queue_message ADD COLUMN vouched BIGINT NOT NULL DEFAULT 0;
";

/// By when, not before when, how urgently, and only to whom it was meant for. What is urgent has an index of its own, by
/// which it is seen however much else is due.
const V4: &str = "
ALTER TABLE queue_message ADD COLUMN deliver_by BIGINT;
ALTER TABLE queue_message ADD COLUMN by_mode {text};
ALTER TABLE queue_message ADD COLUMN hold_until BIGINT;
ALTER TABLE queue_message ADD COLUMN hold_asked {text};
ALTER TABLE queue_message ADD COLUMN priority BIGINT NOT NULL DEFAULT 0;
ALTER TABLE queue_message ADD COLUMN solicitation {text};
ALTER TABLE queue_recipient ADD COLUMN priority BIGINT NOT NULL DEFAULT 0;
ALTER TABLE queue_recipient ADD COLUMN valid_since {text};
CREATE INDEX queue_recipient_urgent ON queue_recipient (due, message, number)
    WHERE state = 'waiting' AND priority > 0;
";

/// What is claimed can be ordered to be tried again at once.
const V3: &str = "
ALTER TABLE queue_recipient ADD COLUMN again BIGINT NOT NULL DEFAULT 0;
";

/// A message in the queue and its recipients. Accountless: one queue for the server, claimed by due time.
const V1: &str = "
CREATE TABLE queue_message (
    id BIGINT PRIMARY KEY,
    blob BIGINT NOT NULL,
    size BIGINT NOT NULL,
    sender {text} NOT NULL,
    account BIGINT,
    envid {text},
    ret {text},
    body {text} NOT NULL,
    smtputf8 BIGINT NOT NULL,
    requiretls BIGINT NOT NULL,
    trace BIGINT,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL
);
CREATE INDEX queue_message_created ON queue_message (created);
CREATE TABLE queue_recipient (
    message BIGINT NOT NULL,
    number BIGINT NOT NULL,
    address {text} NOT NULL,
    domain {text} NOT NULL,
    notify BIGINT NOT NULL,
    orcpt {text},
    state {text} NOT NULL,
    due BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    last_reply {text},
    PRIMARY KEY (message, number)
) {clustered};
CREATE INDEX queue_recipient_due ON queue_recipient (state, due);
CREATE INDEX queue_recipient_domain ON queue_recipient (domain, state, due);
";

/// Claims, destinations, nodes, routes; what was counted is kept.
const V2: &str = "
DROP INDEX queue_recipient_due;
DROP INDEX queue_recipient_domain;
ALTER TABLE queue_message ADD COLUMN open BIGINT NOT NULL DEFAULT 0;
ALTER TABLE queue_message ADD COLUMN look_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE queue_recipient ADD COLUMN via {text};
ALTER TABLE queue_recipient ADD COLUMN node {text};
ALTER TABLE queue_recipient ADD COLUMN life BIGINT;
ALTER TABLE queue_recipient ADD COLUMN delay_told BIGINT NOT NULL DEFAULT 0;
UPDATE queue_message SET look_at = expires, open =
    (SELECT count(*) FROM queue_recipient r WHERE r.message = queue_message.id AND r.state = 'waiting');
CREATE INDEX queue_message_look ON queue_message (look_at);
CREATE INDEX queue_message_sender ON queue_message (sender, id);
CREATE INDEX queue_message_trace ON queue_message (trace) WHERE trace IS NOT NULL;
CREATE INDEX queue_recipient_waiting ON queue_recipient (due, message, number) WHERE state = 'waiting';
CREATE INDEX queue_recipient_backlog ON queue_recipient (due, message, number) WHERE state = 'backlog';
CREATE INDEX queue_recipient_held ON queue_recipient (message) WHERE state = 'held';
CREATE INDEX queue_recipient_node ON queue_recipient (node) WHERE node IS NOT NULL;
CREATE INDEX queue_recipient_place ON queue_recipient (domain, state, due);
CREATE TABLE queue_destination (
    domain {text} PRIMARY KEY,
    not_before BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    why {text},
    since BIGINT NOT NULL,
    parked BIGINT NOT NULL
);
CREATE INDEX queue_destination_due ON queue_destination (parked, not_before);
CREATE TABLE queue_node (
    node {text} PRIMARY KEY,
    life BIGINT NOT NULL,
    alive_until BIGINT NOT NULL
);
CREATE TABLE queue_tally (
    stripe BIGINT PRIMARY KEY,
    messages BIGINT NOT NULL,
    recipients BIGINT NOT NULL
);
INSERT INTO queue_tally (stripe, messages, recipients)
    SELECT 0, (SELECT count(*) FROM queue_message), (SELECT count(*) FROM queue_recipient WHERE state = 'waiting');
CREATE TABLE queue_route (
    domain {text} PRIMARY KEY,
    host {text} NOT NULL,
    port BIGINT NOT NULL,
    tls {text} NOT NULL,
    ca {text},
    login {text},
    password {text}
);
";
