//! SMTP and LMTP: commands, replies, the server session.
