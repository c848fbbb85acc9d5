//! The POP3 service: (session, tx, command) to output.
