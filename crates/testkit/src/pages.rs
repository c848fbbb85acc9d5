//! Somebody at the pages of a provider of ours, by curl: log-in, consent; and a provider whose tokens end at once.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::run::run_in;

/// A browser's turn: follows redirections, keeps cookies in this folder.
///
/// # Panics
/// When curl fails.
pub fn browse(jar: &Path, more: &[&str]) -> String {
    run_in(jar, "curl", &[&["-sSL", "-c", "jar", "-b", "jar"], more].concat(), b"").good()
}

/// The value of a hidden field of the page's form.
///
/// # Panics
/// When there is none.
pub fn hidden(page: &str, name: &str) -> String {
    let field = format!("name=\"{name}\" value=\"");
    let at = page.find(&field).unwrap_or_else(|| panic!("no {name} in {page}"));
    let rest = &page[at + field.len()..];
    rest[..rest.find('"').expect("the value ends")].to_owned()
}

/// Logs in and allows the device that shows this address (RFC 8628 §3.3.1).
///
/// # Panics
/// When a page says no.
pub fn allow(complete: &str, who: &str, password: &str) {
    let jar = tempfile::tempdir().expect("a folder can be made");
    let base = complete.split("/device").next().expect("an address");
    let posted = |path: &str, fields: &[(&str, &str)]| {
        let url = format!("{base}{path}");
        let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let words: Vec<&str> = fields.iter().flat_map(|field| ["--data-urlencode", field.as_str()]).collect();
        browse(jar.path(), &[&[url.as_str()], words.as_slice()].concat())
    };
    let page = browse(jar.path(), &[complete]);
    let (ticket, token) = (hidden(&page, "ticket"), hidden(&page, "token"));
    let page = posted("/login", &[("ticket", &ticket), ("token", &token), ("login", who), ("password", password)]);
    assert!(page.contains("Let this device in?"), "{page}");
    let (token, code) = (hidden(&page, "token"), hidden(&page, "user_code"));
    let page = posted("/device", &[("token", &token), ("user_code", &code), ("decision", "allow")]);
    assert!(page.contains("<h1>Allowed"), "{page}");
}

/// A provider with tokens that end after a second: everything else is passed on to a real one.
#[derive(Debug)]
pub struct Hasty {
    port: u16,
    listener: TcpListener,
    renewed: Arc<AtomicUsize>,
}

impl Hasty {
    /// Has a port; who asks waits for [`Hasty::serve`].
    ///
    /// # Panics
    /// When no port is free.
    pub fn bind() -> Hasty {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        Hasty { port, listener, renewed: Arc::default() }
    }

    /// Its address, which the provider may give as its own.
    pub fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Passes on to the provider at this port, until the process ends.
    ///
    /// # Panics
    /// When the system has no more descriptors.
    pub fn serve(&self, provider: u16) {
        let (listener, own) = (self.listener.try_clone().expect("a descriptor"), self.port);
        let renewed = Arc::clone(&self.renewed);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // Who asks and goes away is not our failure.
                let _ = pass(client, own, provider, &renewed);
            }
        });
    }

    /// How often a token was renewed.
    pub fn renewed(&self) -> usize {
        self.renewed.load(Ordering::SeqCst)
    }
}

/// Passes one question and its answer on.
fn pass(mut client: TcpStream, own: u16, provider: u16, renewed: &AtomicUsize) -> std::io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        if line == "\r\n" {
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        match name.to_ascii_lowercase().as_str() {
            "connection" | "accept-encoding" => continue,
            "content-length" => length = value.trim().parse().unwrap_or(0),
            _ => {}
        }
        head += &line;
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    if String::from_utf8_lossy(&body).contains("grant_type=refresh_token") {
        renewed.fetch_add(1, Ordering::SeqCst);
    }
    let mut server = TcpStream::connect(("127.0.0.1", provider))?;
    server.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes())?;
    server.write_all(&body)?;
    let mut answer = String::new();
    server.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let mut body = body.replace("\"expires_in\":3600", "\"expires_in\":1");
    if body.contains("token_endpoint") {
        body = body.replace(&format!("127.0.0.1:{provider}"), &format!("127.0.0.1:{own}"));
    }
    let head: Vec<&str> =
        head.lines().filter(|line| !line.to_ascii_lowercase().starts_with("content-length")).collect();
    let head = head.join("\r\n");
    client.write_all(format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes())
}
