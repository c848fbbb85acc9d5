//! Any bytes where a stranger's policy should be.

use postroad_trust::sts::{self, Policy};

#[test]
fn fuzz_policies_are_bounded_and_are_read_as_they_are_written() {
    postroad_fuzz::check!(2000).with_type::<Vec<u8>>().for_each(|file| {
        if let Ok(policy) = Policy::parse(file) {
            assert_eq!(Policy::parse(policy.text().as_bytes()), Ok(policy.clone()));
            assert!(policy.max_age <= sts::MAX_AGE && policy.text().len() <= 2 * sts::FILE_MAX);
        }
    });
}

/// Bytes that are nearly a policy.
#[test]
fn fuzz_lines_of_policies() {
    postroad_fuzz::check!(2000).with_type::<(Vec<(u8, Vec<u8>)>, String)>().for_each(|(lines, host)| {
        let names =
            ["version: STSv1", "mode: enforce", "mode: none", "max_age: 1", "mx: *.a.test", "mx: ", "max_age: ", ": "];
        let mut file = Vec::new();
        for (kind, rest) in lines {
            file.extend_from_slice(names[usize::from(*kind) % names.len()].as_bytes());
            file.extend_from_slice(rest);
            file.push(b'\n');
        }
        if let Ok(policy) = Policy::parse(&file) {
            assert_eq!(Policy::parse(policy.text().as_bytes()), Ok(policy.clone()));
            // A host that is covered has the same end as the pattern, and one label more at most.
            assert!(!policy.covers(host) || policy.mx.iter().any(|mx| host.ends_with(mx.trim_start_matches('*'))));
        }
    });
}

#[test]
fn fuzz_records() {
    postroad_fuzz::check!(2000).with_type::<Vec<Vec<u8>>>().for_each(|records| {
        let tagged: Vec<Vec<u8>> = records.iter().map(|record| [b"v=STSv1; id=", record.as_slice()].concat()).collect();
        for records in [records, &tagged] {
            if let Some(id) = sts::record_id(records) {
                assert!((1..=32).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric()));
            }
        }
    });
}
