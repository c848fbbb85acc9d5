//! Certificates, chosen by the name that the client asks for: from files, reloaded when they change, and kept by whoever
//! gets them (see [`Certificates::keep`]), put in the others' place without a restart.
//!
//! 1. A handshake takes whichever table is current and never waits for a file.
//! 2. A file that turned bad never replaces a certificate that works.
//! 3. For a name that a file's certificate is for, no other certificate is shown: who names files means them.
//! 4. The stand-in of our own making is shown when there is nothing else.

use std::cell::RefCell;
use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use rustls::SignatureScheme;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::{CertificateFacts, Error, Stop};

/// Where a certificate is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// PEM: our certificate, then its issuers.
    pub chain: PathBuf,
    /// PEM: the private key (PKCS#8, PKCS#1 or SEC1, not encrypted).
    pub key: PathBuf,
}

/// The certificates in use. Handshakes look at them without waiting; [`Certificates::watch`] renews them.
#[derive(Debug)]
pub struct Certificates {
    table: ArcSwap<Table>,
    sources: Mutex<Sources>,
}

/// Where certificates come from.
#[derive(Debug, Default)]
struct Sources {
    files: Vec<Source>,
    kept: Vec<Arc<CertifiedKey>>,
    stand_in: Option<Source>,
}

/// A certificate that is not in a file: its chain and its key. `Debug` does not show the key.
#[derive(Clone)]
pub struct Kept {
    /// PEM: our certificate, then its issuers.
    pub chain: String,
    /// The private key: PKCS#8 in DER.
    pub key: Vec<u8>,
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept").field("chain", &self.chain).finish_non_exhaustive()
    }
}

impl Kept {
    /// Whether the key belongs to the certificate and both can be used. Errors: what is wrong, in words.
    pub fn check(&self) -> Result<CertificateFacts, Error> {
        let certificate = self.certified()?;
        let facts = certificate.cert.first().and_then(|leaf| CertificateFacts::of(leaf, SystemTime::UNIX_EPOCH));
        facts.ok_or_else(|| Error::Kept("the first certificate is not X.509 as expected".into()))
    }

    fn certified(&self) -> Result<CertifiedKey, Error> {
        let chain = CertificateDer::pem_slice_iter(self.chain.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| Error::Kept(format!("the chain is not PEM as expected: {error}")))?;
        if chain.is_empty() {
            return Err(Error::Kept("the chain holds no certificate in PEM form".into()));
        }
        let key = PrivateKeyDer::Pkcs8(self.key.clone().into());
        CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => Error::Kept("the key does not belong to the certificate".into()),
            error => Error::Kept(format!("the key cannot be used: {error}")),
        })
    }
}

/// A pair of files and what was last made of it.
#[derive(Debug)]
struct Source {
    files: CertificateFiles,
    /// Of the files as last looked at, whether they were good or not.
    seen: Option<Stamp>,
    certificate: Arc<CertifiedKey>,
}

/// Tells one state of the two files from another: inode, length, modification time.
type Stamp = [(u64, u64, i64, i64); 2];

#[derive(Debug, Default)]
struct Table {
    default: Option<Arc<CertifiedKey>>,
    /// By lower-case name, wildcards with their star. Several when there is an ECDSA and an RSA certificate.
    by_name: HashMap<String, Vec<Arc<CertifiedKey>>>,
    all: Vec<Arc<CertifiedKey>>,
}

impl Certificates {
    /// Loads all; the first is the default, for clients that ask for no name or for one we do not have.
    pub fn load(files: Vec<CertificateFiles>) -> Result<Arc<Certificates>, Error> {
        Certificates::load_with(files, None)
    }

    /// The same with a stand-in, which is shown where there is nothing better.
    pub fn load_with(
        files: Vec<CertificateFiles>,
        stand_in: Option<CertificateFiles>,
    ) -> Result<Arc<Certificates>, Error> {
        let files = files.into_iter().map(Source::load).collect::<Result<Vec<_>, Error>>()?;
        let stand_in = stand_in.map(Source::load).transpose()?;
        let sources = Sources { files, kept: Vec::new(), stand_in };
        let table = ArcSwap::from_pointee(Table::of(&sources));
        Ok(Arc::new(Certificates { table, sources: Mutex::new(sources) }))
    }

    /// Takes these in place of those that were kept before, from the next handshake on; the first is the default where no
    /// file is. One that cannot be used is left out: the error is its place in the list and why.
    pub fn keep(&self, kept: &[Kept]) -> Vec<(usize, Error)> {
        let mut wrong = Vec::new();
        let mut good = Vec::new();
        for (place, one) in kept.iter().enumerate() {
            match one.certified() {
                Ok(certified) => good.push(Arc::new(certified)),
                Err(error) => wrong.push((place, error)),
            }
        }
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.kept = good;
        self.table.store(Arc::new(Table::of(&sources)));
        wrong
    }

    /// Looks after the files until the stop and reloads those that change. A broken new file keeps the old
    /// certificate in use and is logged with what to do.
    pub async fn watch(self: Arc<Certificates>, every: Duration, stop: Stop) {
        let mut interval = tokio::time::interval(every.max(SHORTEST_WATCH));
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = interval.tick() => {}
                () = stop.stopped() => return,
            }
            let this = Arc::clone(&self);
            if let Err(error) = tokio::task::spawn_blocking(move || this.reload()).await {
                tracing::error!(%error, "looking for new certificates failed");
            }
        }
    }

    /// Looks at the files now; how many certificates were renewed. Reads files: not for async code.
    pub fn reload(&self) -> usize {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let Sources { files, stand_in, .. } = &mut *sources;
        let renewed = files.iter_mut().chain(stand_in).map(Source::renew).filter(|renewed| *renewed).count();
        if renewed > 0 {
            self.table.store(Arc::new(Table::of(&sources)));
        }
        renewed
    }

    /// What `check` shows: one entry for each certificate, the default first.
    pub fn facts(&self, now: SystemTime) -> Vec<CertificateFacts> {
        let table = self.table.load();
        table.all.iter().filter_map(|certificate| CertificateFacts::of(certificate.cert.first()?, now)).collect()
    }

    /// The chain that a client who asks for this name is shown, in DER, the certificate first; `None`: none is for it.
    pub fn chain_of(&self, name: &str) -> Option<Vec<Vec<u8>>> {
        let table = self.table.load();
        let found = table.by_name.get(&name.trim_end_matches('.').to_ascii_lowercase())?.first()?;
        Some(found.cert.iter().map(|der| der.to_vec()).collect())
    }

    /// The certificate for a name and its key, or those that are shown where there is none for it: for signatures other than
    /// those of handshakes.
    pub fn key_of(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        self.choose(Some(name), &[])
    }

    fn choose(&self, name: Option<&str>, schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let table = self.table.load();
        let found = name.and_then(|name| {
            // Outlook for the Mac asks for names with a trailing dot.
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            let exact = table.by_name.get(&name);
            // RFC 6125 §6.4.3: the star stands for one whole label, the leftmost.
            exact.or_else(|| table.by_name.get(&format!("*.{}", name.split_once('.')?.1)))
        });
        let Some(found) = found else { return table.default.clone() };
        let fits = found.iter().find(|certificate| certificate.key.choose_scheme(schemes).is_some());
        fits.or(found.first()).cloned()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let chosen = self.choose(hello.server_name(), hello.signature_schemes());
        // A handshake that nobody asks about has no note to write on.
        let _ = SHOWN.try_with(|note| note.replace(chosen.clone()));
        chosen
    }
}

tokio::task_local! {
    /// The certificate that the handshake of this task shows: rustls does not tell afterwards.
    static SHOWN: RefCell<Option<Arc<CertifiedKey>>>;
}

/// Does a handshake, and says which certificate was shown in it.
pub(crate) async fn shown_during<F: Future>(handshake: F) -> (F::Output, Option<Arc<CertifiedKey>>) {
    let noted = async {
        let done = handshake.await;
        (done, SHOWN.with(RefCell::take))
    };
    SHOWN.scope(RefCell::default(), noted).await
}

impl Table {
    fn of(sources: &Sources) -> Table {
        let mut table = Table::default();
        table.take(sources.files.iter().map(|source| &source.certificate));
        table.take(sources.kept.iter());
        table.take(sources.stand_in.iter().map(|source| &source.certificate));
        table
    }

    /// Certificates of one rank: they are shown for names that no higher rank has.
    fn take<'a>(&mut self, certificates: impl Iterator<Item = &'a Arc<CertifiedKey>>) {
        let mut of_rank: HashMap<String, Vec<Arc<CertifiedKey>>> = HashMap::new();
        for certificate in certificates {
            self.default.get_or_insert_with(|| Arc::clone(certificate));
            self.all.push(Arc::clone(certificate));
            let facts = certificate.cert.first().and_then(|leaf| CertificateFacts::of(leaf, SystemTime::UNIX_EPOCH));
            for name in facts.map(|facts| facts.names).unwrap_or_default() {
                of_rank.entry(name.to_ascii_lowercase()).or_default().push(Arc::clone(certificate));
            }
        }
        for (name, certificates) in of_rank {
            self.by_name.entry(name).or_insert(certificates);
        }
    }
}

impl Source {
    fn load(files: CertificateFiles) -> Result<Source, Error> {
        let seen = stamp(&files);
        let certificate = Arc::new(read(&files)?);
        warn_when_old(&files, &certificate);
        Ok(Source { files, seen, certificate })
    }

    /// True when the files have changed and hold a certificate that works.
    fn renew(&mut self) -> bool {
        let seen = stamp(&self.files);
        if seen == self.seen {
            return false;
        }
        // Each state of the files is looked at, and complained of, once.
        self.seen = seen;
        match read(&self.files) {
            Ok(certificate) => {
                tracing::info!(chain = %self.files.chain.display(), "certificate reloaded");
                warn_when_old(&self.files, &certificate);
                self.certificate = Arc::new(certificate);
                true
            }
            Err(error) => {
                tracing::warn!(
                    %error,
                    "the certificate on disk has changed but cannot be used; the one from before stays in use \
                     until the files are put right"
                );
                false
            }
        }
    }
}

fn stamp(files: &CertificateFiles) -> Option<Stamp> {
    let of = |path: &Path| {
        let meta = std::fs::metadata(path).ok()?;
        Some((meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec()))
    };
    Some([of(&files.chain)?, of(&files.key)?])
}

/// Reads both files; they belong together when this is Ok.
pub(crate) fn read(files: &CertificateFiles) -> Result<CertifiedKey, Error> {
    let file = |path: &Path| {
        let too_large = || std::io::Error::new(std::io::ErrorKind::FileTooLarge, "larger than any certificate");
        std::fs::metadata(path)
            .and_then(|meta| if meta.len() > FILE_MAX { Err(too_large()) } else { std::fs::read(path) })
            .map_err(|cause| Error::File { path: path.to_owned(), cause })
    };
    let wrong = |path: &Path, what: String| Error::Certificate { path: path.to_owned(), what };
    let unreadable = |path: &Path, expected: &str, error: pem::Error| match error {
        pem::Error::NoItemsFound => wrong(path, format!("holds no {expected} in PEM form")),
        error => wrong(path, format!("is not PEM as expected: {error}")),
    };
    let chain = CertificateDer::pem_slice_iter(&file(&files.chain)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| unreadable(&files.chain, "certificate", error))?;
    let leaf = chain.first().ok_or_else(|| unreadable(&files.chain, "certificate", pem::Error::NoItemsFound))?;
    if CertificateFacts::of(leaf, SystemTime::UNIX_EPOCH).is_none() {
        return Err(wrong(&files.chain, "the first certificate is not X.509 as expected".into()));
    }
    let key = PrivateKeyDer::from_pem_slice(&file(&files.key)?)
        .map_err(|error| unreadable(&files.key, "private key (without a password)", error))?;
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            wrong(&files.key, format!("the key does not belong to the certificate in {}", files.chain.display()))
        }
        error => wrong(&files.key, format!("the key cannot be used: {error}")),
    })
}

fn warn_when_old(files: &CertificateFiles, certificate: &CertifiedKey) {
    // Only the log needs the time of day here; handshakes leave judging the dates to the client.
    let facts = certificate.cert.first().and_then(|leaf| CertificateFacts::of(leaf, SystemTime::now()));
    if let Some(facts) = facts
        && facts.days_left < WARN_DAYS
    {
        let (chain, days_left) = (files.chain.display(), facts.days_left);
        tracing::warn!(%chain, days_left, "the certificate runs out; clients refuse it then: renew it");
    }
}

/// Certificates that run out within so many days are warned about.
const WARN_DAYS: i64 = 10;

/// The largest certificate or key file that is read.
const FILE_MAX: u64 = 1024 * 1024;

/// Files are not looked at more often than this.
const SHORTEST_WATCH: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::self_made;

    fn made(folder: &Path, names: &[&str]) -> CertificateFiles {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        self_made(folder, &names, SystemTime::now()).expect("a certificate")
    }

    fn name_shown(certificates: &Certificates, asked: Option<&str>) -> String {
        let chosen = certificates.choose(asked, &[SignatureScheme::ECDSA_NISTP256_SHA256]).expect("a default");
        CertificateFacts::of(&chosen.cert[0], SystemTime::now()).expect("X.509").names[0].clone()
    }

    #[test]
    fn the_name_decides() {
        let folder = tempfile::tempdir().expect("a folder");
        let one = made(&folder.path().join("1"), &["mail.example.test", "example.test"]);
        let two = made(&folder.path().join("2"), &["*.example.net", "Imap.Example.ORG"]);
        let certificates = Certificates::load(vec![one, two]).expect("both load");
        for (asked, shown) in [
            (None, "mail.example.test"),
            (Some("example.test"), "mail.example.test"),
            (Some("unknown.example"), "mail.example.test"),
            (Some("mx.example.net"), "*.example.net"),
            (Some("MX.Example.Net."), "*.example.net"),
            (Some("a.b.example.net"), "mail.example.test"),
            (Some("example.net"), "mail.example.test"),
            (Some("imap.example.org."), "*.example.net"),
            (Some("net"), "mail.example.test"),
        ] {
            assert_eq!(name_shown(&certificates, asked), shown, "{asked:?}");
        }
    }

    #[test]
    fn files_win_and_the_stand_in_is_the_last_resort() {
        let folder = tempfile::tempdir().expect("a folder");
        let made = |name: &str| made(&folder.path().join(name), &[name, "shared.example"]);
        let kept = |name: &str| {
            let files = made(name);
            let chain = fs::read_to_string(&files.chain).expect("readable");
            let key = PrivateKeyDer::from_pem_file(&files.key).expect("a key").secret_der().to_vec();
            Kept { chain, key }
        };
        let certificates = Certificates::load_with(Vec::new(), Some(made("stand-in"))).expect("it loads");
        assert_eq!(name_shown(&certificates, None), "stand-in");
        assert!(certificates.keep(&[kept("host"), kept("other")]).is_empty());
        for (asked, shown) in [(None, "host"), (Some("other"), "other"), (Some("stand-in"), "stand-in")] {
            assert_eq!(name_shown(&certificates, asked), shown, "{asked:?}");
        }
        // Those that are kept no more are shown no more; one that is broken harms no other.
        let broken = Kept { key: kept("host").key, ..kept("other") };
        let wrong = certificates.keep(&[broken.clone(), kept("third")]);
        assert_eq!(wrong.len(), 1);
        assert!(wrong[0].0 == 0 && wrong[0].1.to_string().contains("does not belong"), "{wrong:?}");
        assert_eq!(name_shown(&certificates, None), "third");
        assert_eq!(name_shown(&certificates, Some("other")), "third");
        assert_eq!(certificates.chain_of("THIRD.").map(|chain| chain.len()), Some(1));
        assert_eq!(certificates.chain_of("other"), None);
        assert!(!format!("{broken:?}").contains("key:"), "keys do not show");

        let certificates = Certificates::load_with(vec![made("file")], None).expect("it loads");
        certificates.keep(&[kept("host")]);
        for (asked, shown) in [(None, "file"), (Some("shared.example"), "file"), (Some("host"), "host")] {
            assert_eq!(name_shown(&certificates, asked), shown, "{asked:?}");
        }
    }

    #[test]
    fn changed_files_are_taken_and_broken_ones_are_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let (live, next) = (folder.path().join("live"), folder.path().join("next"));
        let files = made(&live, &["old.example"]);
        let new = made(&next, &["new.example"]);
        let certificates = Certificates::load(vec![files.clone()]).expect("it loads");
        assert_eq!(certificates.reload(), 0, "nothing has changed");

        fs::rename(&new.chain, &files.chain).expect("renamed");
        assert_eq!(certificates.reload(), 0, "the key is still the old one");
        assert_eq!(name_shown(&certificates, None), "old.example");

        fs::rename(&new.key, &files.key).expect("renamed");
        assert_eq!(certificates.reload(), 1);
        assert_eq!(name_shown(&certificates, None), "new.example");
        assert_eq!(name_shown(&certificates, Some("new.example")), "new.example");

        for broken in ["", "-----BEGIN CERTIFICATE-----\nAAAA\n", "not PEM"] {
            fs::write(&files.chain, broken).expect("written");
            assert_eq!(certificates.reload(), 0, "{broken:?}");
        }
        fs::remove_file(&files.chain).expect("removed");
        assert_eq!(certificates.reload(), 0);
        assert_eq!(name_shown(&certificates, None), "new.example", "it stays in use");
    }

    #[tokio::test(start_paused = true)]
    async fn the_watch_sees_new_files_and_stops() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = made(&folder.path().join("live"), &["old.example"]);
        let certificates = Certificates::load(vec![files.clone()]).expect("it loads");
        let stop = Stop::new();
        let task = tokio::spawn(Arc::clone(&certificates).watch(Duration::from_secs(60), stop.clone()));
        let new = made(&folder.path().join("next"), &["new.example"]);
        fs::rename(&new.key, &files.key).expect("renamed");
        fs::rename(&new.chain, &files.chain).expect("renamed");
        let start = tokio::time::Instant::now();
        while name_shown(&certificates, None) != "new.example" {
            // The clock is paused: this only lets the watch run.
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert!(start.elapsed() < Duration::from_secs(200), "the watch does not see it");
        }
        stop.stop();
        task.await.expect("no panic");
    }

    #[test]
    fn errors_name_the_file_and_what_is_expected() {
        let folder = tempfile::tempdir().expect("a folder");
        let (one, two) =
            (made(&folder.path().join("1"), &["a.example"]), made(&folder.path().join("2"), &["b.example"]));
        let empty = folder.path().join("empty.pem");
        fs::write(&empty, "").expect("written");
        let gone = folder.path().join("gone.pem");
        for (chain, key, words) in [
            (&one.chain, &two.key, "does not belong to the certificate"),
            (&one.key, &one.key, "holds no certificate"),
            (&one.chain, &one.chain, "holds no private key"),
            (&empty, &one.key, "holds no certificate"),
            (&gone, &one.key, "check that the file exists"),
        ] {
            let files = CertificateFiles { chain: chain.clone(), key: key.clone() };
            let error = Certificates::load(vec![files]).expect_err(words).to_string();
            assert!(error.contains(words), "{error}");
            assert!(error.contains(".pem"), "{error}");
        }
    }
}
