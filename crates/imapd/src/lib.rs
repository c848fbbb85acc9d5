//! The IMAP service: (session, tx, command) to output.
