//! Conversations with relay, submission and LMTP, on each store; after each, nothing contradicts anything.

mod town;

use postroad_testkit::{each_store, transcript};
use town::{MIGRATIONS, Town};

fn check(name: &str) {
    let path = format!("{}/tests/transcripts/{name}.smtp", env!("CARGO_MANIFEST_DIR"));
    each_store(MIGRATIONS, |test| {
        transcript::check_file(&path, Town::new(&test.store));
        Town::again(&test.store).audit();
    });
}

macro_rules! transcripts {
    ($($name:ident)*) => {
        $(#[test] fn $name() { check(stringify!($name)); })*

        #[test]
        fn every_file_has_its_test() {
            let folder = format!("{}/tests/transcripts", env!("CARGO_MANIFEST_DIR"));
            let mut tested = vec![$(stringify!($name).to_owned()),*];
            tested.sort();
            let found: Vec<String> = transcript::files(folder, "smtp")
                .iter()
                .map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned())
                .collect();
            assert_eq!(found, tested);
        }
    };
}

transcripts! { burl relay submission lmtp quota chunking recipients filing senders international passwords rfc5321 forwards extensions neighbours }
