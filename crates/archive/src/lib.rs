//! Mail kept in files: reading and writing Maildir, mbox and folders of .eml, and the format of backups.
