//! COMPRESS=DEFLATE and UNAUTHENTICATE, by Python's imaplib and zlib, over TLS and in clear.

use super::program::{PASSWORD, run, servers};

#[test]
fn a_compressed_connection_reads_and_writes_large_messages() {
    for server in servers() {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/compress.py");
        let (one, two) = (server.account(), server.account());
        let (clear, secure) = (server.port(143).to_string(), server.port(993).to_string());
        let out = run("python3", &[script, &clear, &secure, &one, &two, PASSWORD], b"").good();
        assert!(out.ends_with("all good\n"), "{out}");
    }
}
