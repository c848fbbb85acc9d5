//! How PostgreSQL is reached: the address, TLS, what is demanded of the server, and the connection that
//! listens for other nodes' news.

use crate::pg::{Pg, fault};
use crate::receipt::{CHANNEL, parse_news};
use crate::wire::{Opening, Wire};
use crate::{Error, Hub, Result};
use postgres::fallible_iterator::FallibleIterator;
use postgres::{Client, NoTls};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Where PostgreSQL is and how to speak to it.
pub(crate) struct Target {
    config: Config,
    tls: Option<MakeRustlsConnect>,
    place: String,
}

impl Target {
    /// Reads a URL or a `key=value` line. `sslrootcert` and the `verify-` modes are understood here; with TLS the
    /// server's certificate and name are always verified.
    pub(crate) fn parse(url: &str, patience: Duration) -> Result<Target> {
        let (url, root_file) = take_root_file(url);
        let url = url.replace("sslmode=verify-full", "sslmode=require").replace("sslmode=verify-ca", "sslmode=require");
        // The error's text names the key that is wrong, never the password.
        let mut config: Config =
            url.parse().map_err(|error| Error::Settings(format!("the address of PostgreSQL: {error}")))?;
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_PATIENCE.min(patience.max(Duration::from_millis(500))));
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(SILENCE_MAX);
        }
        config.keepalives_idle(SILENCE_MAX);
        if config.get_application_name().is_none() {
            config.application_name("postroad");
        }
        let tls = match config.get_ssl_mode() {
            SslMode::Disable | SslMode::Prefer => None,
            _ => Some(MakeRustlsConnect::new(tls_config(root_file.as_deref())?)),
        };
        let place = place(&config);
        Ok(Target { config, tls, place })
    }

    /// Host and database, without the password.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// A connection, set up as every connection of ours.
    pub(crate) fn connect(&self) -> Result<Pg> {
        let opened = Wire::open(&self.config, self.tls.as_ref());
        let pg = Pg::new(opened.map_err(|error| match error {
            Opening::Refused(error) => fault(&error, &self.place),
            Opening::Runtime(error) => Error::Unavailable(format!("no runtime for a connection: {error}")),
        })?);
        pg.batch(SESSION)?;
        Ok(pg)
    }

    /// A connection on which a COMMIT does not wait for the disk: for what nobody needs after a crash.
    pub(crate) fn speaker(&self) -> Result<Client> {
        let mut client = self.client()?;
        client.batch_execute("SET synchronous_commit = off").map_err(|error| self.fault(&error))?;
        Ok(client)
    }

    /// What an error of a connection there means.
    pub(crate) fn fault(&self, error: &postgres::Error) -> Error {
        fault(error, &self.place)
    }

    fn client(&self) -> Result<Client> {
        let config = postgres::Config::from(self.config.clone());
        let connected = match &self.tls {
            Some(tls) => config.connect(tls.clone()),
            None => config.connect(NoTls),
        };
        let mut client = connected.map_err(|error| fault(&error, &self.place))?;
        client.batch_execute(SESSION).map_err(|error| fault(&error, &self.place))?;
        Ok(client)
    }
}

/// What every connection is set to. A commit that does not wait for the disk is no commit: where the server's
/// setting is `off`, ours is not.
///
/// Statements are planned once for all values. A plan for the values at hand goes by statistics that do not know an account whose mail
/// has just come in, takes it to have a row, and then one index for as good as another: a SORT of 10,000 messages took 39 seconds.
const SESSION: &str = "
    SET lock_timeout = '20s'; SET statement_timeout = '60s'; SET idle_in_transaction_session_timeout = '120s';
    SET timezone = 'UTC'; SET client_min_messages = 'warning'; SET default_transaction_isolation = 'read committed';
    SET plan_cache_mode = 'force_generic_plan';
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'";

/// Refuses a server that cannot keep the promises, and warns of one that was told not to.
pub(crate) fn check_server(target: &Arc<Target>) -> Result<()> {
    let target = Arc::clone(target);
    let check = move || -> Result<()> {
        let mut client = target.client()?;
        let mut setting = |name: &str| -> Result<String> {
            let row = client.query_one("SELECT current_setting($1)", &[&name]);
            row.and_then(|row| row.try_get(0)).map_err(|error| fault(&error, &target.place))
        };
        let version = setting("server_version_num")?;
        if version.parse::<u32>().unwrap_or(0) < OLDEST {
            return Err(Error::Settings(format!("PostgreSQL 15 or later is needed, this is {version}")));
        }
        let encoding = setting("server_encoding")?;
        if encoding != "UTF8" {
            return Err(Error::Settings(format!("the database must be made with ENCODING 'UTF8', this is {encoding}")));
        }
        if setting("synchronous_commit")? == "off" {
            return Err(Error::Settings("synchronous_commit is off and cannot be switched on".into()));
        }
        for name in ["fsync", "full_page_writes"] {
            if setting(name)? == "off" {
                tracing::warn!("PostgreSQL runs with {name}=off: a power failure can destroy all mail; switch it on");
            }
        }
        Ok(())
    };
    // The client lives and dies on a thread without a runtime of its own: the caller may be in one.
    std::thread::spawn(check).join().unwrap_or_else(|_| Err(Error::Bug("the check of the server panicked".into())))
}

/// Feeds the hub with what other nodes commit, until told to stop. Blocks.
pub(crate) fn listen(target: &Target, hub: &Hub, stop: &AtomicBool) {
    let mut pause = LISTEN_PAUSE_FIRST;
    while !stop.load(Ordering::Relaxed) {
        match listen_once(target, hub, stop, &mut pause) {
            Ok(()) => {}
            Err(error) => {
                tracing::warn!(%error, next_step = error.next_step(), "news of other nodes are not heard at the moment");
                let until = std::time::Instant::now() + pause;
                while !stop.load(Ordering::Relaxed) && std::time::Instant::now() < until {
                    std::thread::sleep(LISTEN_LOOK.min(pause));
                }
                pause = (pause * 2).min(LISTEN_PAUSE_MAX);
            }
        }
    }
}

fn listen_once(target: &Target, hub: &Hub, stop: &AtomicBool, pause: &mut Duration) -> Result<()> {
    let mut client = target.client()?;
    let failed = |error: postgres::Error| fault(&error, &target.place);
    client.batch_execute(&format!("LISTEN {CHANNEL}")).map_err(failed)?;
    *pause = LISTEN_PAUSE_FIRST;
    // Between the loss of the last connection and now, hints were lost.
    hub.wake_all();
    while !stop.load(Ordering::Relaxed) {
        if client.is_closed() {
            return Err(Error::Unavailable("the listening connection was closed".into()));
        }
        let mut notifications = client.notifications();
        let mut heard = notifications.timeout_iter(LISTEN_LOOK);
        while let Some(notification) = heard.next().map_err(failed)? {
            hub.publish(&parse_news(notification.payload()));
        }
    }
    Ok(())
}

/// Takes `sslrootcert` out, which the client does not know.
fn take_root_file(url: &str) -> (String, Option<String>) {
    const KEY: &str = "sslrootcert=";
    let Some(start) = url.find(KEY) else { return (url.to_owned(), None) };
    let value = &url[start + KEY.len()..];
    let end = value.find(['&', ' ']).unwrap_or(value.len());
    let file = percent_decoded(&value[..end]);
    // One separator goes with it: the one after, or else the one before.
    let before = &url[..start];
    let rest = match value.get(end + 1..) {
        Some(after) => format!("{before}{after}"),
        None => before.trim_end_matches(['&', '?', ' ']).to_owned(),
    };
    (rest, Some(file))
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = after.get(..2).and_then(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok());
        match (first, hex) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            (byte, _) => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn tls_config(root_file: Option<&str>) -> Result<rustls::ClientConfig> {
    let file = root_file.unwrap_or(SYSTEM_ROOTS);
    let bad = |error: &dyn std::fmt::Display| {
        Error::Settings(format!("no certificates in {file} ({error}); name the authority's file with sslrootcert="))
    };
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| bad(&error))? {
        let certificate = certificate.map_err(|error| bad(&error))?;
        // A system's bundle may hold one that is not understood; the others serve.
        let _ = roots.add(certificate);
    }
    if roots.is_empty() {
        return Err(bad(&"none is usable"));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Settings(error.to_string()))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

fn place(config: &Config) -> String {
    let host = config.get_hosts().first().map_or_else(
        || "localhost".to_owned(),
        |host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        },
    );
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let database = config.get_dbname().or(config.get_user()).unwrap_or("postgres");
    format!("{host}:{port}/{database}")
}

/// 15.0 as PostgreSQL counts.
const OLDEST: u32 = 150_000;
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
/// A connection on which nothing is acknowledged for this long is lost.
const SILENCE_MAX: Duration = Duration::from_secs(20);
const LISTEN_PAUSE_FIRST: Duration = Duration::from_millis(100);
const LISTEN_PAUSE_MAX: Duration = Duration::from_secs(2);
/// How often the listening thread looks whether it shall stop.
const LISTEN_LOOK: Duration = Duration::from_millis(250);
const SYSTEM_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_file_is_taken_out() {
        let table = [
            ("postgres://u@h/d", "postgres://u@h/d", None),
            ("postgres://u@h/d?sslrootcert=%2Fa%20b.pem", "postgres://u@h/d", Some("/a b.pem")),
            ("postgres://u@h/d?sslrootcert=/a.pem&sslmode=require", "postgres://u@h/d?sslmode=require", Some("/a.pem")),
            ("postgres://u@h/d?sslmode=require&sslrootcert=/a.pem", "postgres://u@h/d?sslmode=require", Some("/a.pem")),
            ("host=h sslrootcert=/a.pem user=u", "host=h user=u", Some("/a.pem")),
        ];
        for (url, rest, file) in table {
            assert_eq!(take_root_file(url), (rest.to_owned(), file.map(str::to_owned)), "{url}");
        }
    }

    #[test]
    fn the_place_has_no_password() {
        let target =
            Target::parse("postgres://me:secret@db.example:6000/mail", Duration::ZERO).expect("a good address");
        assert_eq!(target.place(), "db.example:6000/mail");
        let error = Target::parse("postgres://me:secret@db.example:port/mail", Duration::ZERO).err();
        assert!(matches!(&error, Some(Error::Settings(text)) if !text.contains("secret")), "{error:?}");
    }
}
