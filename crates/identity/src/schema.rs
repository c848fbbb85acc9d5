//! The tables of identity. What belongs to an account has the account first in its primary key. Times are microseconds.

use postroad_store::Migration;

/// The tables of this crate.
pub const MIGRATIONS: &[Migration] = &[
    Migration { owner: "identity", version: 1, sql: V1 },
    Migration { owner: "identity", version: 2, sql: V2 },
    Migration { owner: "identity", version: 3, sql: V3 },
];

/// `oauth_client.redirects`: one on a line; `secret`: a hash, NULL for a public client. `oauth_grant`: what somebody
/// allowed a client; `refresh` is the hash of the one refresh token that is good, `previous` of the one it replaced at
/// `rotated`, `family` of what all of them share. `oauth_code.given`: the grant that the code was redeemed for.
/// `oauth_device.account`: whoever typed the code. `web_session.steps`: what the person has shown (`pwd`), `complete`:
/// whether that is enough. `cut_off`: news of credentials, grants and sessions that are gone.
const V1: &str = "
CREATE TABLE oauth_client (
    id {text} PRIMARY KEY,
    name {text} NOT NULL,
    secret {text},
    redirects {text} NOT NULL,
    scopes {text} NOT NULL,
    registered BIGINT NOT NULL,
    created BIGINT NOT NULL,
    last_used BIGINT
);
CREATE TABLE oauth_grant (
    account BIGINT NOT NULL,
    id BIGINT NOT NULL,
    client {text} NOT NULL,
    scopes {text} NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    family {text},
    refresh {text},
    previous {text},
    rotated BIGINT,
    last_used BIGINT,
    last_service {text},
    network {text},
    PRIMARY KEY (account, id)
) {clustered};
CREATE INDEX oauth_grant_client ON oauth_grant (client);
CREATE INDEX oauth_grant_expires ON oauth_grant (expires);
CREATE TABLE oauth_access (
    account BIGINT NOT NULL,
    given BIGINT NOT NULL,
    hash {text} NOT NULL,
    scopes {text} NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    PRIMARY KEY (account, given, hash)
) {clustered};
CREATE INDEX oauth_access_expires ON oauth_access (expires);
CREATE TABLE oauth_code (
    account BIGINT NOT NULL,
    id BIGINT NOT NULL,
    hash {text} NOT NULL,
    client {text} NOT NULL,
    redirect {text} NOT NULL,
    challenge {text} NOT NULL,
    scopes {text} NOT NULL,
    nonce {text},
    authenticated BIGINT NOT NULL,
    steps {text} NOT NULL,
    network {text} NOT NULL,
    expires BIGINT NOT NULL,
    given BIGINT,
    PRIMARY KEY (account, id)
) {clustered};
CREATE INDEX oauth_code_expires ON oauth_code (expires);
CREATE TABLE oauth_device (
    hash {text} PRIMARY KEY,
    typed {text} NOT NULL,
    client {text} NOT NULL,
    scopes {text} NOT NULL,
    state {text} NOT NULL,
    account BIGINT,
    authenticated BIGINT,
    steps {text},
    network {text} NOT NULL,
    pause BIGINT NOT NULL,
    asked BIGINT,
    expires BIGINT NOT NULL
);
CREATE UNIQUE INDEX oauth_device_typed ON oauth_device (typed);
CREATE INDEX oauth_device_expires ON oauth_device (expires);
CREATE TABLE web_session (
    account BIGINT NOT NULL,
    id BIGINT NOT NULL,
    hash {text} NOT NULL,
    credential BIGINT NOT NULL,
    steps {text} NOT NULL,
    complete BIGINT NOT NULL,
    authenticated BIGINT NOT NULL,
    created BIGINT NOT NULL,
    last_used BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    network {text} NOT NULL,
    agent {text} NOT NULL,
    PRIMARY KEY (account, id)
) {clustered};
CREATE INDEX web_session_expires ON web_session (expires);
CREATE TABLE signing_identity (
    id BIGINT PRIMARY KEY,
    algorithm {text} NOT NULL,
    jwk {text} NOT NULL,
    sealed {bytes} NOT NULL,
    created BIGINT NOT NULL
);
CREATE TABLE cut_off (
    id BIGINT PRIMARY KEY,
    account BIGINT NOT NULL,
    what BIGINT NOT NULL,
    created BIGINT NOT NULL
);
";

/// `second_step.sealed`: what the authenticator knows; `last_step`: of the last code that was good; `failures`: wrong codes
/// in a row; `programs`: whether the account's password still opens mail protocols. `recovery_code`: those that are left.
const V2: &str = "
CREATE TABLE second_step (
    account BIGINT NOT NULL,
    id BIGINT NOT NULL,
    sealed {bytes} NOT NULL,
    last_step BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    closed_until BIGINT NOT NULL,
    programs BIGINT NOT NULL,
    created BIGINT NOT NULL,
    PRIMARY KEY (account)
) {clustered};
CREATE TABLE recovery_code (
    account BIGINT NOT NULL,
    id BIGINT NOT NULL,
    hash {text} NOT NULL,
    PRIMARY KEY (account, id)
) {clustered};
";

/// `passkey.credential`: its id in base64url; `handle`: what authenticators call the owner; `key`: a COSE_Key; `copied`:
/// whether it may be on several devices. `passkey_challenge`: those that were answered.
const V3: &str = "
CREATE TABLE passkey (
    account BIGINT NOT NULL,
    id BIGINT NOT NULL,
    credential {text} NOT NULL,
    handle {text} NOT NULL,
    key {bytes} NOT NULL,
    count BIGINT NOT NULL,
    copied BIGINT NOT NULL,
    name {text} NOT NULL,
    created BIGINT NOT NULL,
    last_used BIGINT,
    PRIMARY KEY (account, id)
) {clustered};
CREATE UNIQUE INDEX passkey_credential ON passkey (credential, account);
CREATE TABLE passkey_challenge (
    account BIGINT NOT NULL,
    hash {text} NOT NULL,
    expires BIGINT NOT NULL,
    PRIMARY KEY (account, hash)
) {clustered};
CREATE INDEX passkey_challenge_expires ON passkey_challenge (expires);
";
