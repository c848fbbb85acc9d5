//! Reports of others, kept once and shown together, on each store.

use postroad_mailauth::report::Limits;
use postroad_mailauth::report::aggregate;
use postroad_mailauth::report::feedback::Feedback;
use postroad_mailauth::report::tls;
use postroad_store::{Error, Locks, Timestamp, TraceId};
use postroad_testkit::each_store;
use postroad_trust::reports::{self, Kind, Letter, Sender};

fn xml(id: &str, rows: &[(&str, u64, &str)]) -> aggregate::Report {
    let rows: String = rows
        .iter()
        .map(|(source, count, dkim)| {
            format!(
                "<record><row><source_ip>{source}</source_ip><count>{count}</count><policy_evaluated><disposition>none</disposition>\
                 <dkim>{dkim}</dkim><spf>fail</spf></policy_evaluated></row><identifiers><header_from>a.test</header_from>\
                 </identifiers><auth_results><spf><domain>b.test</domain><result>pass</result></spf></auth_results></record>"
            )
        })
        .collect();
    let text = format!(
        "<feedback><report_metadata><org_name>big.test</org_name><report_id>{id}</report_id></report_metadata>\
         <policy_published><domain>a.test</domain><p>reject</p></policy_published>{rows}</feedback>"
    );
    aggregate::Report::read(text.as_bytes(), &Limits::default()).expect("a report")
}

#[test]
fn letters_are_read_once_and_reports_are_kept_once() {
    each_store(&[postroad_store::MIGRATIONS, postroad_trust::MIGRATIONS], |test| {
        let mut upload = test.store.upload();
        upload.write(b"a letter").expect("written");
        let prepared = upload.finish(Vec::new()).expect("finished");
        let done = test.store.write_blocking(Locks::none(), move |tx| {
            let blob = tx.blob_put(&prepared)?;
            let sender = Sender { domain: "big.test".into(), verified: true };
            assert!(reports::wait(tx, blob, 8, TraceId(7), Timestamp(5), &sender)?);
            tx.blob_release(blob, 1)?;
            let letter = reports::next(tx)?.expect("it waits");
            let expected = Letter { id: letter.id, blob, size: 8, trace: TraceId(7), at: Timestamp(5), sender };
            assert_eq!(letter, expected);
            assert_eq!(tx.blob_read(blob, 0..8)?, b"a letter", "it is kept for who reads it");
            assert!(reports::done(tx, &letter)? && !reports::done(tx, &letter)?);
            assert_eq!(reports::next(tx)?, None);

            assert!(reports::keep_dmarc(tx, &letter, &xml("1", &[("192.0.2.1", 5, "pass"), ("192.0.2.2", 9, "fail")]))?);
            assert!(!reports::keep_dmarc(tx, &letter, &xml("1", &[("192.0.2.1", 5, "pass")]))?, "it is known");
            assert!(reports::keep_dmarc(tx, &letter, &xml("2", &[("192.0.2.1", 1, "fail")]))?);
            let found = reports::list(tx, Kind::Dmarc, Some("a.test"), Timestamp(5), 9)?;
            assert_eq!(found.len(), 2);
            assert!(found.iter().all(|report| report.verified && report.reporter == "big.test"));
            assert!(reports::list(tx, Kind::Dmarc, Some("b.test"), Timestamp(0), 9)?.is_empty());
            assert!(reports::list(tx, Kind::Dmarc, None, Timestamp(6), 9)?.is_empty());
            let ids: Vec<i64> = found.iter().map(|report| report.id).collect();
            let sources = reports::sources(tx, &ids, 9)?;
            let counts: Vec<_> = sources.iter().map(|one| (one.address.as_str(), one.messages, one.passed)).collect();
            assert_eq!(counts, [("192.0.2.2", 9, 0), ("192.0.2.1", 6, 5)]);
            assert_eq!(sources[0].why, "not signed; SPF passes for b.test, not aligned");

            let text = br#"{"organization-name":"x","report-id":"1","policies":[
                {"policy":{"policy-type":"sts","policy-domain":"a.test"},"summary":{"total-successful-session-count":3,"total-failure-session-count":2},
                 "failure-details":[{"result-type":"certificate-expired","failed-session-count":2}]},
                {"policy":{"policy-type":"tlsa","policy-domain":"b.test"},"summary":{"total-successful-session-count":1}}]}"#;
            let report = tls::Report::read(text, &Limits::default()).expect("a report");
            assert!(reports::keep_tls(tx, &letter, &report, "a.test")? && !reports::keep_tls(tx, &letter, &report, "a.test")?);
            let found = reports::list(tx, Kind::Tls, None, Timestamp(0), 9)?;
            let lines = reports::tls_lines(tx, &[found[0].id], 9)?;
            let shown: Vec<_> = lines.iter().map(|line| (line.kind.as_str(), line.successes, line.failures)).collect();
            assert_eq!(shown, [("", 3, 2), ("certificate-expired", 0, 2)]);

            let feedback = Feedback { kind: "abuse".into(), recipients: vec!["c@d.test".into()], ..Feedback::default() };
            assert!(reports::keep_feedback(tx, &letter, "a.test", &feedback, Some(TraceId(3)))?);
            let found = reports::list(tx, Kind::Feedback, None, Timestamp(0), 9)?;
            let about = reports::feedback(tx, &[found[0].id])?;
            assert_eq!((about[0].about, about[0].recipients.as_str()), (Some(TraceId(3)), "c@d.test"));

            reports::keep_unreadable(tx, &letter, "it is no report")?;
            assert_eq!(reports::list(tx, Kind::Unreadable, None, Timestamp(0), 9)?[0].words, "it is no report");
            assert_eq!(reports::sweep(tx, Timestamp(5))?, 0);
            assert_eq!(reports::sweep(tx, Timestamp(6))?, 5);
            assert!(reports::feedback(tx, &[found[0].id])?.is_empty());
            Ok::<_, Error>(())
        });
        done.expect("all of it is so");
    });
}
