//! A real mail program with windows: Thunderbird of Debian's package, without a screen, driven over Marionette.
//!
//! Each has a profile of its own in a folder that goes with it. All names lead to this machine, and ports to where a test has
//! them, so that it finds what it looks for at the standard ones.
//!
//! What it never does: reach anything but this machine.

use std::io::{BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::janitor::Janitor;
use crate::process::Process;
use crate::run::eventually;

/// A running Thunderbird. It ends when the value is dropped or the process ends.
#[derive(Debug)]
pub struct Thunderbird {
    _program: Process,
    socket: BufReader<TcpStream>,
    orders: u64,
    _janitor: Janitor,
}

impl Thunderbird {
    /// Starts one for which each first port is the second.
    ///
    /// # Panics
    /// When Thunderbird is not installed or does not start.
    pub fn start(ports: &[(u16, u16)]) -> Thunderbird {
        assert!(Path::new(PROGRAM).exists(), "{PROGRAM} is missing: apt-get install thunderbird");
        let folder = tempfile::Builder::new().prefix("postroad-thunderbird-").tempdir().expect("a folder").keep();
        let janitor = Janitor::of_daemon(&folder, &["sh", "-c", END, "end", &folder.display().to_string()]);
        std::fs::write(folder.join("user.js"), preferences(ports)).expect("a file");
        let line = format!(
            "echo ready; HOME={0} MOZ_HEADLESS=1 exec {PROGRAM} --headless --no-remote --profile {0} --marionette \
             -remote-allow-system-access",
            folder.display()
        );
        let program = Process::start("/bin/sh", &["-c", &line]);
        // It says so when it listens, in a file that is made before it is written.
        let port: u16 = eventually("Thunderbird listens to Marionette", || {
            std::fs::read_to_string(folder.join("MarionetteActivePort")).ok()?.trim().parse().ok()
        });
        let socket = eventually("Marionette answers", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok());
        socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
        let mut thunderbird =
            Thunderbird { _program: program, socket: BufReader::new(socket), orders: 0, _janitor: janitor };
        thunderbird.heard().expect("a greeting");
        thunderbird.order("WebDriver:NewSession", &json!({ "capabilities": { "alwaysMatch": {} } }));
        thunderbird.order("Marionette:SetContext", &json!({ "value": "chrome" }));
        let milliseconds = u64::try_from(PATIENCE.as_millis()).expect("a minute");
        thunderbird.order("WebDriver:SetTimeouts", &json!({ "script": milliseconds }));
        thunderbird
    }

    /// Runs a script with the rights of the program: what it calls its last argument, a function, with.
    ///
    /// # Panics
    /// When it fails, with its words.
    pub fn run(&mut self, script: &str, arguments: &[&str]) -> Value {
        let order = json!({ "script": script, "args": arguments, "newSandbox": true, "sandbox": "system" });
        self.order("WebDriver:ExecuteAsyncScript", &order)["value"].take()
    }

    fn order(&mut self, name: &str, what: &Value) -> Value {
        self.answer(name, what).unwrap_or_else(|why| panic!("{name}: {why}"))
    }

    /// Sends an order (`[0, number, name, arguments]`); its answer is `[1, number, error, value]`.
    fn answer(&mut self, name: &str, what: &Value) -> Result<Value, String> {
        self.orders += 1;
        let order = json!([0, self.orders, name, what]).to_string();
        let frame = format!("{}:{order}", order.len());
        self.socket.get_mut().write_all(frame.as_bytes()).map_err(|error| error.to_string())?;
        let mut answer = self.heard().map_err(|error| error.to_string())?;
        match &answer[2] {
            Value::Null => Ok(answer[3].take()),
            error => Err(error.to_string()),
        }
    }

    /// A frame: its length, a colon, JSON.
    fn heard(&mut self) -> std::io::Result<Value> {
        let mut length = 0;
        loop {
            let mut octet = [0];
            self.socket.read_exact(&mut octet)?;
            match octet[0] {
                b':' => break,
                digit @ b'0'..=b'9' => length = length * 10 + usize::from(digit - b'0'),
                _ => return Err(std::io::Error::other("no frame of Marionette")),
            }
        }
        let mut frame = vec![0; length];
        self.socket.read_exact(&mut frame)?;
        serde_json::from_slice(&frame).map_err(std::io::Error::other)
    }
}

impl Drop for Thunderbird {
    fn drop(&mut self) {
        // Where it does not go by itself, the janitor sees to it.
        let _ = self.answer("Marionette:Quit", &json!({ "flags": ["eForceQuit"] }));
    }
}

fn preferences(ports: &[(u16, u16)]) -> String {
    let ports: Vec<String> = ports.iter().map(|(from, to)| format!("{from}={to}")).collect();
    let set = |(name, value): (&str, Value)| format!("user_pref(\"{name}\", {value});\n");
    [
        ("network.dns.forceResolve", json!("127.0.0.1")),
        ("network.socket.forcePort", json!(ports.join(";"))),
        ("marionette.port", json!(0)),
        // No questions, and nothing that it looks for elsewhere.
        ("app.update.enabled", json!(false)),
        ("datareporting.policy.dataSubmissionEnabled", json!(false)),
        ("mail.provider.suppress_dialog_on_startup", json!(true)),
        ("mail.inappnotifications.enabled", json!(false)),
        ("mail.rights.version", json!(1)),
        ("mail.shell.checkDefaultClient", json!(false)),
        ("mail.spotlight.firstRunDone", json!(true)),
        ("mailnews.auto_config_url", json!("")),
        ("mailnews.start_page.enabled", json!(false)),
    ]
    .into_iter()
    .map(set)
    .collect()
}

const PROGRAM: &str = "/usr/lib/thunderbird/thunderbird";
/// It names its process in its profile's lock.
const END: &str = r#"kill -9 "$(readlink "$1/lock" | sed 's/.*+//')""#;
/// For one order.
const PATIENCE: Duration = Duration::from_secs(60);
