//! Aggregate reports of DMARC, for the mail that came in.

use postroad_mail::Error;
use postroad_mailauth::dmarc::Place;
use postroad_mailauth::report::aggregate::Report;
use postroad_store::Locks;
use postroad_trust::dmarc_results::{self, Day, Gathered, Kind};

use super::Reporter;
use super::places::Agreed;
use super::send::{DOMAINS_AT_ONCE, Line, Parcel, unique};

impl Reporter {
    /// Reports on a day to each domain whose mail came in and that wants it.
    pub(super) async fn send_dmarc(&self, day: Day, dry: bool, lines: &mut Vec<Line>) -> Result<(), Error> {
        self.fold().await?;
        let mut after = String::new();
        loop {
            let from = after.clone();
            let domains = self
                .store
                .read(move |tx| Ok::<_, Error>(dmarc_results::domains(tx, day, &from, DOMAINS_AT_ONCE)?))
                .await?;
            let Some(last) = domains.last().cloned() else { return Ok(()) };
            after = last;
            for domain in domains {
                if self.is_marked(Kind::Dmarc, day, &domain).await? {
                    continue;
                }
                let (wanted, name) = (domain.clone(), domain.clone());
                let gathered = self.store.read(move |tx| Ok::<_, Error>(dmarc_results::of(tx, day, &wanted)?)).await?;
                if let Some(gathered) = gathered {
                    let line = self.one_dmarc(day, &name, gathered, dry).await?;
                    lines.extend(line);
                }
            }
        }
    }

    /// Counts what was written down since.
    async fn fold(&self) -> Result<(), Error> {
        loop {
            let folded = self
                .store
                .write(Locks::named(dmarc_results::LOCK), |tx| Ok::<_, Error>(dmarc_results::fold(tx, FOLD_AT_ONCE)?));
            if folded.await?.value < u64::from(FOLD_AT_ONCE) {
                return Ok(());
            }
        }
    }

    async fn one_dmarc(&self, day: Day, domain: &str, gathered: Gathered, dry: bool) -> Result<Option<Line>, Error> {
        let wanted: Vec<Place> = gathered.rua.iter().filter_map(|uri| Place::parse(uri)).collect();
        let (mut to, mut left_out) = self.agreed(domain, &wanted).await;
        let line = |said: String, is_sent| Line { kind: "dmarc", domain: domain.to_owned(), said, is_sent };
        let messages: u64 = gathered.records.iter().map(|record| record.count).sum();
        if to.is_empty() {
            let said = format!("{messages} messages, reported to nobody: {}", left_out.join("; "));
            if !dry {
                self.mark(Kind::Dmarc, day, domain, &said).await?;
            }
            return Ok(Some(line(said, false)));
        }
        let id = unique();
        let mut report = self.report(day, &id, gathered);
        let mut letter = self.framed(&to, &id, |frame| report.letter(frame, &self.settings.hostname));
        // RFC 9990 leaves sizes to receivers; what all of them take is what is sent.
        while letter.len() > LETTER_MAX && !report.records.is_empty() {
            report.records.truncate(report.records.len() / 2);
            report.errors = vec!["the report was too large: the rarest rows were left out".to_owned()];
            letter = self.framed(&to, &id, |frame| report.letter(frame, &self.settings.hostname));
        }
        // RFC 7489 §7.1: who takes less gets nothing; the others do.
        let size = letter.len() as u64;
        let (fits, too_large): (Vec<Agreed>, Vec<Agreed>) =
            to.into_iter().partition(|to| to.largest.is_none_or(|largest| size <= largest));
        left_out.extend(too_large.iter().map(|to| {
            format!("{}: the report has {size} octets, it takes {}", to.address, to.largest.unwrap_or_default())
        }));
        if !too_large.is_empty() && !fits.is_empty() {
            letter = self.framed(&fits, &id, |frame| report.letter(frame, &self.settings.hostname));
        }
        to = fits;
        let addresses: Vec<&str> = to.iter().map(|to| to.address.as_str()).collect();
        let mut said = match addresses.is_empty() {
            true => format!("{messages} messages, reported to nobody"),
            false => format!("{messages} messages, to {}", addresses.join(", ")),
        };
        if !left_out.is_empty() {
            said.push_str(&format!("; not to {}", left_out.join("; ")));
        }
        if dry {
            return Ok(Some(line(said, !to.is_empty())));
        }
        if to.is_empty() {
            self.mark(Kind::Dmarc, day, domain, &said).await?;
            return Ok(Some(line(said, false)));
        }
        let parcel = Parcel { kind: Kind::Dmarc, day, domain, to: &to, letter, puts: &[], said: &said };
        Ok(match self.post(parcel).await? {
            true => {
                metrics::counter!("postroad_reports_sent_total", "kind" => "dmarc").increment(1);
                Some(line(said, true))
            }
            false => None,
        })
    }

    fn report(&self, day: Day, id: &str, gathered: Gathered) -> Report {
        let seconds = |at: postroad_store::Timestamp| at.0.div_euclid(1_000_000);
        let errors = match gathered.left_out {
            0 => Vec::new(),
            more => vec![format!("{more} messages are not told: there were too many different ones")],
        };
        Report {
            organization: self.settings.hostname.clone(),
            email: self.from(),
            contact: String::new(),
            id: format!("{id}@{}", self.settings.hostname),
            begin: seconds(day.begins()),
            end: seconds(day.ends()),
            errors,
            generator: "Postroad".to_owned(),
            published: gathered.published,
            records: gathered.records,
            skipped: 0,
        }
    }
}

/// Messages counted in one transaction.
const FOLD_AT_ONCE: u32 = 1_000;
/// Octets of a letter.
const LETTER_MAX: usize = 8 << 20;
