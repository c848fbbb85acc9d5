//! The tables of the queue.

use postroad_store::Migration;

/// The tables of this crate, in order.
pub const MIGRATIONS: &[Migration] = &[Migration { owner: "queue", version: 1, sql: V1 }];

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
