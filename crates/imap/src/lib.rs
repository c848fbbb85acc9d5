//! IMAP: commands, responses, literal framing.
