//! Any bytes where a stranger's report should be.

use postroad_mailauth::report::feedback::Feedback;
use postroad_mailauth::report::letter::{self, Taken};
use postroad_mailauth::report::unpack::{gzip, unpack};
use postroad_mailauth::report::{Limits, aggregate, tls};

/// Small, so that bounds are met.
fn limits() -> Limits {
    Limits { packed: 4_096, inflated: 16_384, records: 20, text: 40, ..Limits::default() }
}

#[test]
fn fuzz_archives_stay_within_their_limits() {
    postroad_fuzz::check!(2000).with_type::<(u8, Vec<u8>)>().for_each(|(kind, bytes)| {
        let heads: [&[u8]; 4] =
            [b"", b"\x1f\x8b\x08\0\0\0\0\0\0\x03", b"PK\x03\x04", b"PK\x05\x06\0\0\0\0\x01\0\x01\0"];
        let whole = [heads[usize::from(*kind) % heads.len()], bytes].concat();
        if let Ok(files) = unpack(&whole, &limits()) {
            assert!(files.len() <= limits().files);
            assert!(files.iter().map(Vec::len).sum::<usize>() <= limits().inflated);
        }
    });
}

#[test]
fn fuzz_what_is_packed_comes_out() {
    postroad_fuzz::check!(500).with_type::<Vec<u8>>().for_each(|bytes| {
        assert_eq!(unpack(&gzip(bytes), &Limits::default()), Ok(vec![bytes.clone()]));
    });
}

const PIECES: [&str; 22] = [
    "<feedback>",
    "</feedback>",
    "<record>",
    "</record>",
    "<row>",
    "</row>",
    "<source_ip>192.0.2.1</source_ip>",
    "<policy_published><domain>a.test</domain>",
    "</policy_published>",
    "<report_metadata><org_name>x</org_name>",
    "</report_metadata>",
    "<auth_results>",
    "</auth_results>",
    "<dkim>",
    "</dkim>",
    "<spf/>",
    "<reason>",
    "</reason>",
    "&lt;",
    "&#0;",
    "<!DOCTYPE x>",
    "<![CDATA[ ]]>",
];

#[test]
fn fuzz_aggregate_reports_are_read_as_they_are_written() {
    postroad_fuzz::check!(2000).with_type::<Vec<(u8, String)>>().for_each(|pieces| {
        let mut xml = String::new();
        for (piece, text) in pieces {
            xml.push_str(PIECES[usize::from(*piece) % PIECES.len()]);
            xml.push_str(text);
        }
        let whole = format!(
            "<feedback><report_metadata><org_name>x</org_name></report_metadata><policy_published><domain>a.test</domain>\
             </policy_published>{xml}</feedback>"
        );
        for text in [xml, whole] {
            if let Ok(mut report) = aggregate::Report::read(text.as_bytes(), &limits()) {
                assert!(report.records.len() <= limits().records);
                report.skipped = 0;
                let again = aggregate::Report::read(report.write().as_bytes(), &Limits::default()).expect("ours is good");
                assert_eq!(again, report);
            }
        }
    });
}

#[test]
fn fuzz_reports_about_tls() {
    postroad_fuzz::check!(2000).with_type::<(Vec<u8>, String, u64)>().for_each(|(bytes, text, count)| {
        let _ = tls::Report::read(bytes, &limits());
        let failure = tls::Failure { kind: text.clone(), sessions: *count, ..tls::Failure::default() };
        let policy = tls::Policy {
            kind: "sts".into(),
            lines: vec![text.clone()],
            domain: text.clone(),
            hosts: Vec::new(),
            successes: *count,
            failures: 0,
            details: vec![failure],
        };
        let (begin, end, contact) = (text.clone(), String::new(), String::new());
        let report =
            tls::Report { organization: "x".into(), contact, id: text.clone(), begin, end, policies: vec![policy] };
        let read = tls::Report::read(report.write().as_bytes(), &limits()).expect("ours is good");
        // What was cleaned once stays as it is.
        assert_eq!(tls::Report::read(read.write().as_bytes(), &limits()), Ok(read.clone()));
        assert_eq!(read.policies[0].successes, *count);
    });
}

#[test]
fn fuzz_letters() {
    postroad_fuzz::check!(2000).with_type::<(u8, Vec<u8>, Vec<u8>)>().for_each(|(kind, head, body)| {
        let kinds =
            ["application/zip", "application/gzip", "message/feedback-report", "text/xml", "application/tlsrpt+json"];
        let kind = kinds[usize::from(*kind) % kinds.len()];
        let message = [
            b"Content-Type: multipart/report; boundary=b\r\n",
            head.as_slice(),
            b"\r\n\r\n--b\r\nContent-Type: ",
            kind.as_bytes(),
            b"\r\n\r\n",
            body,
            b"\r\n--b\r\nContent-Type: text/rfc822-headers\r\n\r\n",
            head,
            b"\r\n--b--\r\n",
        ]
        .concat();
        let _ = letter::may_be(&message);
        let taken = letter::read(&message, &limits());
        assert!(taken.len() <= limits().reports * limits().files + 1);
        for one in taken {
            if let Taken::Feedback(feedback) = one {
                let again = Feedback::read(feedback.write().as_bytes(), b"", &Limits::default()).expect("ours is good");
                assert_eq!(again.kind, feedback.kind);
            }
        }
    });
}
