//! A certificate of our own making, so that a trial has TLS before anybody issues one.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose};

use crate::certificates::read;
use crate::{CertificateFacts, CertificateFiles, Error};

/// The certificate in `folder` for these names (host names in ASCII, addresses); made when there is none that works,
/// when it is for other names or when it runs out soon. The key is readable by this user alone.
pub fn self_made(folder: &Path, names: &[String], now: SystemTime) -> Result<CertificateFiles, Error> {
    let files = CertificateFiles { chain: folder.join(SELF_MADE_CHAIN), key: folder.join(SELF_MADE_KEY) };
    if still_good(&files, names, now) {
        return Ok(files);
    }
    let failed = |error: rcgen::Error| Error::Tls(format!("a self-made certificate cannot be made: {error}"));
    // The key stays, so that a TLSA record that names it (3 1 1, RFC 7672 §3.1) stays good.
    let kept = fs::read_to_string(&files.key).ok().and_then(|text| KeyPair::from_pem(&text).ok());
    let key = kept.map_or_else(KeyPair::generate, Ok).map_err(failed)?;
    let certificate = params(names, now).and_then(|params| params.self_signed(&key)).map_err(failed)?;
    fs::create_dir_all(folder).map_err(|cause| Error::File { path: folder.to_owned(), cause })?;
    // The key first: a certificate without its key would be of no use after a crash in between, and is made anew.
    for (path, text, mode) in [(&files.key, key.serialize_pem(), 0o600), (&files.chain, certificate.pem(), 0o644)] {
        write_whole(path, &text, mode).map_err(|cause| Error::File { path: path.clone(), cause })?;
    }
    Ok(files)
}

fn still_good(files: &CertificateFiles, names: &[String], now: SystemTime) -> bool {
    let Ok(certificate) = read(files) else { return false };
    let facts = certificate.cert.first().and_then(|leaf| CertificateFacts::of(leaf, now));
    facts.is_some_and(|facts| facts.names == names && facts.days_left >= RENEW_DAYS && facts.not_before <= now)
}

fn params(names: &[String], now: SystemTime) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Postroad, self-made for a trial");
    let since_1970 = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let midnight_1970 = rcgen::date_time_ymd(1970, 1, 1);
    // A day back, for clients whose clock is behind ours.
    params.not_before = midnight_1970 + since_1970.saturating_sub(DAY);
    params.not_after = midnight_1970 + since_1970 + DAY * VALID_DAYS;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params)
}

/// Whole or not at all, and never readable by others in between.
fn write_whole(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let beside = path.with_extension("new");
    match fs::remove_file(&beside) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

/// The file with the certificate, in its folder.
pub const SELF_MADE_CHAIN: &str = "self-made.pem";
/// The file with its key, beside it.
pub const SELF_MADE_KEY: &str = "self-made.key.pem";
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Apple's clients refuse more than 825 days, also for certificates of one's own.
const VALID_DAYS: u32 = 365;
const RENEW_DAYS: i64 = 30;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn made_once_and_again_when_needed() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path().join("tls");
        let now = SystemTime::now();
        let make = |names: &[&str], now| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let files = self_made(&folder, &names, now).expect("a certificate");
            fs::read(&files.chain).expect("readable")
        };
        let first = make(&["mail.example.test", "127.0.0.1", "::1"], now);
        let key = fs::read(folder.join(SELF_MADE_KEY)).expect("readable");
        assert_eq!(make(&["mail.example.test", "127.0.0.1", "::1"], now), first);
        assert_eq!(make(&["mail.example.test", "127.0.0.1", "::1"], now + DAY * 300), first);
        let renewed = make(&["mail.example.test", "127.0.0.1", "::1"], now + DAY * 340);
        assert_ne!(renewed, first);
        assert_eq!(fs::read(folder.join(SELF_MADE_KEY)).expect("readable"), key, "TLSA records name it");
        let other = make(&["mx.example.test"], now);
        assert_ne!(other, renewed);
        fs::write(folder.join(SELF_MADE_KEY), "").expect("written");
        assert_ne!(make(&["mx.example.test"], now), other, "a broken key is replaced");
    }

    #[test]
    fn it_says_what_was_asked_and_hides_its_key() {
        let folder = tempfile::tempdir().expect("a folder");
        let names: Vec<String> = ["mail.example.test", "127.0.0.1", "::1"].map(String::from).into();
        let now = SystemTime::now();
        let files = self_made(folder.path(), &names, now).expect("a certificate");
        let certificate = read(&files).expect("it can be used");
        let facts = CertificateFacts::of(&certificate.cert[0], now).expect("X.509");
        assert_eq!(facts.names, names);
        assert!(facts.self_signed && facts.issuer.contains("self-made"), "{facts:?}");
        assert!((363..=365).contains(&facts.days_left), "{facts:?}");
        let over = CertificateFacts::of(&certificate.cert[0], now + DAY * 400).expect("X.509");
        assert!(over.days_left < -30, "{over:?}");
        let mode = fs::metadata(&files.key).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
