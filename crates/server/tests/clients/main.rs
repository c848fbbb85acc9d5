//! Real clients against the real program, on SQLite and on PostgreSQL: whoever breaks one of these has broken
//! somebody's mail.

mod certificates;
mod compress;
mod curl;
mod day;
mod digests;
mod gmail;
mod gsasl;
mod lines;
mod mbsync;
mod mechanisms;
mod msmtp;
mod mutt;
mod ntlm;
mod offlineimap;
mod passkeys;
mod pop3;
mod postfix;
mod program;
mod provider;
mod python;
mod smarthost;
mod swaks;
mod thunderbird;
mod tokens;
mod trace;
