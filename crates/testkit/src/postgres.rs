//! A real PostgreSQL for tests, from Debian's packages.
//!
//! [`server`] is started once per test process, in a temporary folder, on a free loopback port and a unix
//! socket, as an unprivileged user when the tests run as root. It ends with the process, however that ends:
//! a shell that reads from a pipe held by the process stops it. `cargo xtask test` starts one for all test
//! processes and names it in `POSTROAD_TEST_POSTGRES`.
//!
//! When PostgreSQL is not installed, tests fail with the line to run; they are never skipped.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};

/// Names a running server that all test processes share: a `postgres://` address whose user may create
/// databases.
pub const SHARED: &str = "POSTROAD_TEST_POSTGRES";

/// What to run when PostgreSQL is missing.
pub const HOW_TO_INSTALL: &str = "PostgreSQL is not installed, and the tests need it. Run: \
     apt-get install --no-install-recommends postgresql";

/// Whether the server syncs to disk. Killing clients loses nothing either way; only pulling the plug does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// `fsync=off`: fast, and right for all tests but those of durability and speed.
    Fast,
    /// As in production.
    Synced,
}

/// A PostgreSQL of a test's own.
#[derive(Debug)]
pub struct Server {
    keeper: Mutex<Keeper>,
    port: u16,
    folder: PathBuf,
}

/// The shell that starts and stops the server and outlives this process just long enough to clean up.
#[derive(Debug)]
struct Keeper {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Server {
    /// Starts a server. It stops when the value is dropped or the process ends.
    ///
    /// # Panics
    /// When PostgreSQL is not installed or does not start.
    pub fn start(durability: Durability) -> Server {
        let programs = programs();
        let folder = tempfile::Builder::new()
            .prefix("postroad-postgres-")
            .tempdir()
            .expect("a temporary folder can be made")
            .keep();
        let user = unprivileged_user(&folder);
        // Another process can take the port between our look and the server's bind: then try the next.
        for _ in 0..PORT_ATTEMPTS {
            let port = free_port();
            let mut keeper = Keeper::start(&programs, &folder, port, durability, user.as_deref());
            match keeper.order("start") {
                Ok(()) => {
                    return Server { keeper: Mutex::new(keeper), port, folder };
                }
                Err(why) if why.contains("Address already in use") => {}
                Err(why) => panic!("PostgreSQL did not start: {why}"),
            }
        }
        panic!("PostgreSQL found no free port in {PORT_ATTEMPTS} attempts");
    }

    /// The address of its `postgres` database, over TCP.
    pub fn url(&self) -> String {
        format!("postgres://postroad@127.0.0.1:{}/postgres", self.port)
    }

    /// The address of its `postgres` database, over the unix socket.
    pub fn socket_url(&self) -> String {
        let folder = self.folder.display().to_string().replace('/', "%2F");
        format!("postgres://postroad@{folder}:{}/postgres", self.port)
    }

    /// Stops the server at once, as a crash does; connections break.
    pub fn stop(&self) {
        self.order("stop");
    }

    /// Starts the server again after [`Server::stop`], on the same port and data.
    pub fn start_again(&self) {
        self.order("start");
    }

    fn order(&self, order: &str) {
        let mut keeper = self.keeper.lock().expect("no test panics while it holds this lock");
        if let Err(why) = keeper.order(order) {
            panic!("PostgreSQL could not {order}: {why}");
        }
    }

    /// Makes an empty database with a unique name and gives its address.
    pub fn fresh_database(&self) -> String {
        fresh_database_on(&self.url())
    }
}

impl Keeper {
    fn start(programs: &Path, folder: &Path, port: u16, durability: Durability, user: Option<&str>) -> Keeper {
        let fsync = match durability {
            Durability::Fast => "-c fsync=off -c synchronous_commit=off -c full_page_writes=off",
            Durability::Synced => "-c fsync=on",
        };
        let mut command = match user {
            Some(user) => {
                let mut command = Command::new("runuser");
                command.args(["-u", user, "--", "sh"]);
                command
            }
            None => Command::new("sh"),
        };
        let mut child = command
            .args(["-c", KEEPER, "keeper"])
            .arg(programs)
            .arg(folder)
            .arg(port.to_string())
            .arg(fsync)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh, and runuser when the tests run as root, are installed");
        Keeper {
            orders: child.stdin.take(),
            answers: BufReader::new(child.stdout.take().expect("stdout is piped")),
            child,
        }
    }

    /// Gives an order and reads the answer: `done`, or the words of what went wrong.
    fn order(&mut self, order: &str) -> Result<(), String> {
        let orders = self.orders.as_mut().expect("the pipe is open until drop");
        writeln!(orders, "{order}").map_err(|error| error.to_string())?;
        let mut said = String::new();
        loop {
            let mut line = String::new();
            match self.answers.read_line(&mut line) {
                Ok(0) => return Err(format!("its keeper ended: {said}")),
                Ok(_) if line.trim_end() == "done" => return Ok(()),
                Ok(_) if line.trim_end() == "failed" => return Err(said),
                Ok(_) => said.push_str(&line),
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // End of input is the order to stop the server and to remove the folder.
        drop(self.orders.take());
        let _ = self.child.wait();
    }
}

/// The server of this test process: the shared one, or one started on first use.
pub fn server_url() -> String {
    if let Ok(url) = std::env::var(SHARED) {
        return url;
    }
    // A static is never dropped; the keeper sees the pipe close when the process ends.
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| Server::start(Durability::Fast)).url()
}

/// Makes an empty database with a unique name on this process's server and gives its address.
pub fn fresh_database() -> String {
    fresh_database_on(&server_url())
}

/// The address of another database on the same server.
pub fn with_database(url: &str, name: &str) -> String {
    let (rest, query) = url.split_once('?').unwrap_or((url, ""));
    let (server, _) = rest.rsplit_once('/').expect("a postgres:// address names a database");
    if query.is_empty() { format!("{server}/{name}") } else { format!("{server}/{name}?{query}") }
}

fn fresh_database_on(server: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("t{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    // A shared server may still hold what a killed process with this number left behind.
    run(server, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
    run(server, &format!("CREATE DATABASE {name}"));
    with_database(server, &name)
}

/// Drops a database made by [`fresh_database`], whoever is connected to it.
pub fn drop_database(url: &str) {
    let name =
        url.split('?').next().and_then(|rest| rest.rsplit('/').next()).expect("a postgres:// address names a database");
    run(&with_database(url, "postgres"), &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
}

/// Runs statements on a connection of their own.
///
/// # Panics
/// When the server refuses them.
pub fn run(url: &str, statements: &str) {
    let (url, statements) = (url.to_owned(), statements.to_owned());
    // The blocking client runs a runtime inside and must not meet the one of an async test.
    std::thread::spawn(move || {
        let mut client = ::postgres::Client::connect(&url, ::postgres::NoTls)
            .unwrap_or_else(|error| panic!("PostgreSQL at {url} does not answer: {error}"));
        client.batch_execute(&statements).unwrap_or_else(|error| panic!("{statements}: {error:?}"));
    })
    .join()
    .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

/// The folder of the newest installed PostgreSQL's programs.
fn programs() -> PathBuf {
    let mut found: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|entries| {
            entries
                .filter_map(|entry| {
                    let entry = entry.ok()?;
                    let version = entry.file_name().to_str()?.parse().ok()?;
                    let programs = entry.path().join("bin");
                    programs.join("initdb").exists().then_some((version, programs))
                })
                .collect()
        })
        .unwrap_or_default();
    found.sort();
    match found.pop() {
        Some((_, programs)) => programs,
        None => panic!("{HOW_TO_INSTALL}"),
    }
}

/// PostgreSQL refuses to run as root: then it runs as `postgres`, whom Debian's package made, and the
/// folder becomes theirs.
fn unprivileged_user(folder: &Path) -> Option<String> {
    let me = std::fs::metadata("/proc/self").expect("/proc is mounted").uid();
    if me != 0 {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").expect("/etc/passwd can be read");
    for wanted in ["postgres", "nobody"] {
        for line in users.lines() {
            let mut fields = line.split(':');
            if fields.next() != Some(wanted) {
                continue;
            }
            let mut ids = fields.skip(1).map(str::parse::<u32>);
            if let (Some(Ok(uid)), Some(Ok(gid))) = (ids.next(), ids.next()) {
                chown(folder, Some(uid), Some(gid)).expect("root may give folders away");
                return Some(wanted.to_owned());
            }
        }
    }
    panic!("running as root, and neither user postgres nor nobody exists to run PostgreSQL as");
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .expect("loopback has a free port")
        .port()
}

const PORT_ATTEMPTS: u32 = 5;

/// `$1` programs, `$2` folder, `$3` port, `$4` settings. Orders come as lines; at their end the server goes.
const KEEPER: &str = r#"
trap '' INT HUP TERM
data="$2/data"
start() {
    if [ ! -d "$data" ]; then
        "$1/initdb" -D "$data" -U postroad --auth=trust --encoding=UTF8 --locale=C --no-sync --no-instructions >"$2/initdb.log" 2>&1 \
            || { cat "$2/initdb.log"; return 1; }
    fi
    "$1/pg_ctl" -D "$data" -w -t 60 -l "$2/server.log" \
        -o "-p $3 -k $2 -c listen_addresses=127.0.0.1 -c max_connections=400 -c shared_buffers=64MB -c max_wal_size=256MB $4" \
        start >"$2/start.log" 2>&1 </dev/null || { cat "$2/start.log" "$2/server.log"; return 1; }
}
stop() { "$1/pg_ctl" -D "$data" -w -m immediate stop >"$2/stop.log" 2>&1 </dev/null || { cat "$2/stop.log"; return 1; }; }
while read -r order; do
    case "$order" in
        start) start "$@" && echo done || echo failed ;;
        stop) stop "$@" && echo done || echo failed ;;
    esac
done
stop "$@" >/dev/null
cd / && rm -rf "$2"
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_fresh_and_its_server_comes_back() {
        let server = Server::start(Durability::Fast);
        let url = server.fresh_database();
        run(&url, "CREATE TABLE kept (id BIGINT)");
        run(&server.fresh_database(), "CREATE TABLE kept (id BIGINT)");
        server.stop();
        server.start_again();
        run(&url, "INSERT INTO kept VALUES (1)");
        run(&with_database(&server.socket_url(), "postgres"), "SELECT 1");
        drop_database(&url);
        let folder = server.folder.clone();
        drop(server);
        assert!(!folder.exists(), "the keeper removes the folder");
    }

    #[test]
    fn the_name_of_a_database_is_replaced() {
        assert_eq!(with_database("postgres://u@h:1/a", "b"), "postgres://u@h:1/b");
        assert_eq!(with_database("postgres://u@h/a?x=y", "b"), "postgres://u@h/b?x=y");
    }
}
