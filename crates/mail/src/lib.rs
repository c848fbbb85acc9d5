//! What mail means: accounts, domains, addresses, mailboxes, messages, flags, threads, journal, quota.
