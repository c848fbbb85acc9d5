//! From files to files, with a server and without.

use std::fs;

use crate::program::{ALICE, contents, count, on_each_database, put, run, tree};

#[test]
fn mail_goes_in_and_comes_out_byte_for_byte() {
    on_each_database(|mut server| {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let (before, after, beside) =
            (folder.path().join("before"), folder.path().join("after"), folder.path().join("mbox"));
        tree(&before, 120);
        let text = |path: &std::path::Path| path.to_str().expect("plain").to_owned();
        let (before_text, after_text, beside_text) = (text(&before), text(&after), text(&beside));
        let data = server.data().to_owned();

        // Through the running server.
        let dry = run(&data, &["import", ALICE, &before_text, "--dry-run"]).with_code(0);
        assert_eq!((dry["messages"].as_u64(), count(&data)), (Some(120), 0));
        let taken = run(&data, &["import", ALICE, &before_text]).with_code(0);
        assert_eq!((taken["messages"].as_u64(), taken["there-already"].as_u64()), (Some(120), Some(0)), "{taken}");
        let written = run(&data, &["export", ALICE, &after_text]).with_code(0);
        assert_eq!(written["messages"].as_u64(), Some(120), "{written}");
        assert!(contents(&before) == contents(&after));

        // Without it: what is there is known, and what is new comes along.
        server.stop();
        put(&before.join("cur/900.host:2,F"), "A: b\n\nlate\n", 1_500_000_000);
        let taken = run(&data, &["import", ALICE, &before_text]).with_code(0);
        assert_eq!((taken["messages"].as_u64(), taken["there-already"].as_u64()), (Some(1), Some(120)), "{taken}");
        let written = run(&data, &["export", ALICE, &after_text]).with_code(0);
        assert_eq!((written["messages"].as_u64(), written["there-already"].as_u64()), (Some(1), Some(120)));
        assert!(contents(&before) == contents(&after));
        let written =
            run(&data, &["export", ALICE, &beside_text, "--format", "mbox", "--mailbox", "Work"]).with_code(0);
        assert_eq!(written["messages"].as_u64(), Some(30), "{written}");
        server.start_again();
        let taken = run(&data, &["import", "bob@example.test", &beside_text, "--into", "Old"]).with_code(0);
        assert_eq!(taken["folders"][0]["mailbox"], "Old/Work");
    });
}

#[test]
fn what_goes_wrong_is_said_with_a_code() {
    on_each_database(|server| {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let root = folder.path().join("mail");
        tree(&root, 8);
        fs::create_dir(root.join("cur/1.folder:2,")).expect("a folder can be made");
        let data = server.data();
        let path = root.to_str().expect("plain");
        let partly = run(data, &["import", ALICE, path]).with_code(3);
        assert_eq!((partly["messages"].as_u64(), partly["problem-count"].as_u64()), (Some(8), Some(1)), "{partly}");
        assert!(partly["problems"][0]["what"].as_str().is_some_and(|what| what.contains("1.folder")));

        let nobody = run(data, &["import", "nobody@example.test", path]);
        assert_eq!(nobody.status.code(), Some(1));
        assert!(nobody.err.contains("account list"), "{}", nobody.err);
        let nothing = run(data, &["import", ALICE, "/nonexistent/mail"]);
        assert!(nothing.status.code() == Some(1) && nothing.err.contains("/nonexistent/mail"), "{}", nothing.err);
        let mailbox = run(data, &["export", ALICE, path, "--mailbox", "Nowhere"]).with_code(1);
        assert!(mailbox["error"].as_str().is_some_and(|error| error.contains("mailbox list")), "{mailbox}");
        run(data, &["account", "quota", "bob@example.test", "none", "--messages", "3"]).with_code(0);
        let full = run(data, &["import", "bob@example.test", path]).with_code(1);
        assert_eq!(full["messages"].as_u64(), Some(3), "{full}");
        assert!(full["error"].as_str().is_some_and(|error| error.contains("account quota")), "{full}");
    });
}
