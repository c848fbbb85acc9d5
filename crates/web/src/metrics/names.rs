//! Every metric of Postroad: what it counts, in which unit, by which labels. A test compares this table with the
//! sources.

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only ever rises.
    Counter,
    /// Rises and falls.
    Gauge,
    /// How many values there were of which size.
    Histogram,
}

impl Kind {
    pub(super) fn word(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Name {
    /// The name, its unit last.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// What it counts.
    pub help: &'static str,
}

const fn counter(name: &'static str, help: &'static str) -> Name {
    Name { name, kind: Kind::Counter, help }
}

const fn gauge(name: &'static str, help: &'static str) -> Name {
    Name { name, kind: Kind::Gauge, help }
}

const fn histogram(name: &'static str, help: &'static str) -> Name {
    Name { name, kind: Kind::Histogram, help }
}

/// All metrics, by area.
pub const NAMES: &[Name] = &[
    // Certificates (web).
    gauge(
        "postroad_certificate_expiry_seconds",
        "Until a certificate that clients are shown runs out, by its first name; negative once it has.",
    ),
    counter("postroad_certificates_issued_total", "Certificates that an authority gave."),
    counter("postroad_certificate_failures_total", "Orders for certificates that failed."),
    gauge("postroad_tlsa_mismatch", "1 when TLSA records in DNS do not name the certificate in use, by line of names."),
    // Connections (net).
    counter("postroad_connections_total", "Connections that got a place, by listener."),
    gauge("postroad_connections_open", "Connections open now, by listener."),
    counter(
        "postroad_connections_refused_total",
        "Connections refused, by listener and reason (total, listener, client, banned).",
    ),
    counter("postroad_bans_total", "Clients shut out by counting, by offence (passwords, recipients, protocol)."),
    counter("postroad_tls_handshake_failures_total", "TLS handshakes that failed, by listener."),
    counter("postroad_received_bytes_total", "Bytes received by sessions, without TLS, by listener."),
    counter("postroad_sent_bytes_total", "Bytes sent by sessions, without TLS, by listener."),
    histogram("postroad_job_seconds", "Time that jobs of sessions took, by listener and stage."),
    // Messages (mta, server).
    counter("postroad_messages_accepted_total", "Messages answered with 250, by role."),
    histogram("postroad_message_bytes", "Size of accepted messages, by role."),
    counter("postroad_smtp_verdicts_total", "Answers to stages of SMTP, by role, stage and outcome."),
    counter("postroad_logins_failed_total", "Logins that failed, by service."),
    counter("postroad_trace_dropped_total", "Trace events of refused mail that were not kept under load."),
    // The pages and programs' tokens (web).
    counter(
        "postroad_pages_logins_total",
        "Logins at the pages that were completed: by password, second-step, passkey.",
    ),
    counter("postroad_oauth_tokens_total", "Tokens that programs were given, by grant: code, refresh, device."),
    counter("postroad_oauth_refused_total", "Requests for tokens that were refused, by error; not devices that wait."),
    // Search (server).
    counter("postroad_index_messages_total", "Messages that the full-text index took in."),
    // The gate (mta).
    counter(
        "postroad_gate_abuse_total",
        "Clients that did what no mail program does, by kind (early, errors, foreign).",
    ),
    counter(
        "postroad_gate_refused_total",
        "Senders and recipients refused before the policy, by what (list, client, network, sender, recipient).",
    ),
    counter("postroad_dnsbl_listings_total", "Clients and domains that a list in the DNS has, by list."),
    gauge(
        "postroad_dnsbl_usable",
        "1 for a list in the DNS that answers as lists do, 0 for one that is not used, by list.",
    ),
    counter(
        "postroad_greylist_total",
        "Recipients asked about at the greylist, by outcome (new and early are put off; back, passed, known, answer and full are not).",
    ),
    counter("postroad_greylist_learned_total", "Domains and networks that are not put off any more."),
    counter(
        "postroad_sending_limits_total",
        "Accounts that came near what they may send, and messages and recipients refused for it, by level (near, over).",
    ),
    // Mail from others is looked at (mta).
    counter("postroad_checks_total", "Messages from others that were looked at, by method and result."),
    counter(
        "postroad_checks_actions_total",
        "What became of them, by action (delivered, junk, deferred, refused) and cause: the word of the policy.",
    ),
    histogram("postroad_checks_seconds", "Time that messages waited at their end for what was asked about them."),
    // What leaves is signed (mta, server).
    counter("postroad_signatures_total", "DKIM signatures made, by algorithm."),
    counter("postroad_seals_total", "Forwarded messages that were sealed (ARC)."),
    counter("postroad_rewritten_senders_total", "Senders of forwarded mail rewritten and read back (SRS), by way."),
    gauge("postroad_signing_keys_unverifiable", "Keys that sign and whose record in the DNS is missing or another."),
    // Reports (mta).
    counter("postroad_reports_received_total", "Reports of others, by kind (dmarc, tls, feedback, unreadable)."),
    counter("postroad_reports_sent_total", "Reports that were sent to others, by kind (dmarc, tls, failure)."),
    counter("postroad_complaints_total", "Complaints of recipients that were taken in."),
    // Queue (web, at the time of asking).
    gauge("postroad_queue_messages", "Messages in the queue with recipients that wait."),
    gauge("postroad_queue_recipients", "Recipients that wait."),
    gauge("postroad_queue_oldest_seconds", "Age of the oldest message in the queue; 0 when it is empty."),
    // Sending (mta).
    counter(
        "postroad_outbound_attempts_total",
        "Attempts to send, by reach (reached, unreachable, withheld for a policy, not tried).",
    ),
    counter(
        "postroad_outbound_recipients_total",
        "What attempts came to for recipients, by outcome (relayed, failed, deferred).",
    ),
    histogram("postroad_outbound_queue_seconds", "Time from a message's coming to a recipient's end, by outcome."),
    gauge("postroad_outbound_connections_open", "Connections to other servers that are open now."),
    counter("postroad_outbound_refusals_total", "Recipients refused by other servers, by category."),
    counter("postroad_suppressed_total", "Recipients refused since nothing is sent to them any more."),
    counter("postroad_outbound_slowed_total", "Times that hosts were spoken with more slowly, as they wanted."),
    counter("postroad_outbound_blamed_total", "Refusals for the name of the address that mail left from."),
    counter("postroad_outbound_egress_out_total", "Times that an address of ours was taken out at some hosts."),
    counter("postroad_smtp_claims_total", "Clients that a neighbour spoke for (XCLIENT), by role."),
    counter("postroad_smtp_etrn_total", "Times that a node asked for what waits for it (ETRN)."),
    counter("postroad_outbound_tls_failures_total", "TLS handshakes with other servers that failed."),
    counter(
        "postroad_outbound_sessions_total",
        "Sessions with other servers, by policy (dane, sts, sts-testing, none, route) and outcome (good, failed).",
    ),
    counter(
        "postroad_outbound_refused_by_policy_total",
        "Hosts that mail was kept from before a connection, by DANE or MTA-STS.",
    ),
    counter("postroad_sts_fetches_total", "MTA-STS policies of other domains that were fetched, by outcome."),
    counter("postroad_tls_results_dropped_total", "Sessions that TLS reports will not tell of, since too many waited."),
    // Store.
    histogram("postroad_store_batch_jobs", "Writes that shared one COMMIT."),
    histogram("postroad_store_commit_seconds", "Time that a COMMIT took."),
    histogram("postroad_store_job_seconds", "Time that a job took on the store's thread, by kind."),
    histogram("postroad_store_job_wait_seconds", "Time that a job waited for its thread, by kind."),
    counter("postroad_store_blobs_removed", "Blobs that the sweeper removed."),
    gauge("postroad_store_jobs_waiting", "Jobs that wait for a thread, by kind."),
    // Process.
    gauge("process_resident_memory_bytes", "Resident memory."),
    gauge("process_open_fds", "Open files and sockets."),
    gauge("process_threads", "Threads."),
    // Metrics about metrics (web).
    counter("postroad_metrics_dropped_total", "Values not kept because a name had too many series."),
    counter("postroad_metrics_failures_total", "Numbers that could not be looked up, by what."),
];
