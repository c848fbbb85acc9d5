//! Python's smtplib, imaplib and poplib, by the script beside this file.

use super::program::{PASSWORD, run, servers};

#[test]
fn the_standard_library_works() {
    for server in servers() {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/standard_library.py");
        let (one, two) = (server.account(), server.account());
        let ports: Vec<String> =
            [25, 587, 465, 143, 993, 110, 995].iter().map(|port| server.port(*port).to_string()).collect();
        let mut arguments = vec![script, &one, &two, PASSWORD];
        arguments.extend(ports.iter().map(String::as_str));
        let out = run("python3", &arguments, b"").good();
        assert!(out.ends_with("all good\n"), "{out}");
    }
}
