//! The printed forms of the queue.

use postroad_queue::{Body, Notify, QueueId};
use postroad_store::{BlobId, TraceId};

use super::*;

const NOW: Timestamp = Timestamp(1_795_338_907_250_999);

fn at(seconds: i64) -> Timestamp {
    Timestamp(NOW.0 + seconds * 1_000_000)
}

fn recipient(number: i64, address: &str, state: State, due: Timestamp, reply: Option<&str>) -> ListedRecipient {
    ListedRecipient {
        number,
        address: address.to_owned(),
        domain: address.rsplit_once('@').expect("an address").1.to_owned(),
        via: None,
        notify: Notify::default(),
        state,
        due,
        attempts: u64::from(reply.is_some()) * 3,
        delay_told: false,
        last_reply: reply.map(str::to_owned),
        node: None,
    }
}

fn listed(id: i64, sender: &str, recipients: Vec<ListedRecipient>) -> Listed {
    let message = Message {
        id: QueueId(id),
        blob: BlobId(1),
        size: 20 << 10,
        sender: sender.to_owned(),
        account: None,
        standing: postroad_queue::Standing::Unknown,
        envid: None,
        ret: None,
        body: Body::SevenBit,
        smtputf8: false,
        requiretls: false,
        trace: Some(TraceId(9)),
        created: at(-7_300),
        expires: at(424_700),
        deliver_by: None,
        hold_until: None,
        hold_asked: None,
        priority: 0,
        solicitation: None,
    };
    Listed { message, open: recipients.len() as u64, recipients }
}

fn look(messages: Vec<Listed>, destinations: Vec<Destination>) -> Look {
    let known = destinations.iter().map(|one| (one.domain.clone(), one.clone())).collect();
    let depth = Depth { messages: 3, recipients: 7, oldest: Some(at(-300_000)) };
    Look { messages, more: false, known, destinations, routes: Vec::new(), depth, now: NOW }
}

fn dead() -> Destination {
    Destination {
        domain: "dead.test".to_owned(),
        not_before: at(1_799),
        failures: 4,
        why: Some("connection refused (mx.dead.test [192.0.2.1])".to_owned()),
        rests: None,
        since: at(-10_800),
        parked: true,
    }
}

#[test]
fn a_list_lines_up() {
    let one = listed(
        0x1f2,
        "alice@example.test",
        vec![
            recipient(0, "bob@far.test", State::Waiting, at(720), Some("451 4.7.1 Greylisted (mx.far.test)")),
            recipient(1, "carol@far.test", State::Waiting, at(720), Some("451 4.7.1 Greylisted (mx.far.test)")),
            recipient(2, "x@dead.test", State::Parked, at(-3), None),
            recipient(3, "y@away.test", State::Claimed, at(-3), None),
        ],
    );
    let two = listed(0x1f3a, "", vec![recipient(0, "eve\u{1b}[2J@b.test", State::Held, at(0), None)]);
    let mut look = look(vec![one, two], vec![dead()]);
    look.more = true;
    let expected = "\
ID     AGE  SIZE  FROM                TO               STATE    NEXT TRY  LAST REPLY
Q1f2   2h   20K   alice@example.test  bob@far.test +1  waiting  in 12m    451 4.7.1 Greylisted (mx.far.test)
Q1f2   2h   20K   alice@example.test  x@dead.test      parked   in 29m    connection refused (mx.dead.test [192.0.2.1])
Q1f2   2h   20K   alice@example.test  y@away.test      sending  -
Q1f3a  2h   20K   <>                  eve\u{fffd}[2J@b.test   held     -

in the queue: 7 recipients of 3 messages; the oldest came in 3d ago
there are more: ask the same with --after Q1f3a
one of them: postroad queue show ID

UNREACHABLE  SINCE  TRIES  NEXT TRY  WHY
dead.test    3h     4      in 29m    connection refused (mx.dead.test [192.0.2.1])
try one now: postroad queue retry --domain dead.test
";
    assert_eq!(look.list(), expected);
    let data = look.data();
    assert_eq!(data["messages"][0]["id"], "Q1f2");
    assert_eq!(data["messages"][0]["recipients"][0]["next-try"], "2026-11-22 09:27:07.250");
    assert_eq!(data["messages"][0]["recipients"][3]["state"], "sending");
    assert_eq!((&data["next"], &data["unreachable"][0]["tries"]), (&json!("Q1f3a"), &json!(4)));
}

#[test]
fn what_waits_says_why() {
    let reply = Some("250 2.1.5 ok (mx.busy.test)");
    let one = listed(
        1,
        "a@b.test",
        vec![
            recipient(0, "x@busy.test", State::Parked, at(0), reply),
            recipient(1, "x@crowded.test", State::Parked, at(0), None),
            recipient(2, "x@dead.test", State::Parked, at(0), None),
            recipient(3, "x@far.test", State::Backlog, at(0), None),
            recipient(4, "x@away.test", State::Waiting, at(60), None),
        ],
    );
    let rests = |domain: &str, rests: Option<&str>| Destination {
        domain: domain.to_owned(),
        failures: 0,
        why: None,
        rests: rests.map(str::to_owned),
        ..dead()
    };
    let limit = "waits for the limit of 2 connections to mx.busy.test";
    let look = look(vec![one], vec![rests("busy.test", Some(limit)), rests("crowded.test", None), dead()]);
    let data = look.data();
    let waits: Vec<_> = (0..5).map(|at| data["messages"][0]["recipients"][at]["waits-for"].as_str()).collect();
    let backed_off = "backed off until 2026-11-22 09:45:06.250 since connection refused (mx.dead.test [192.0.2.1])";
    let others = Some("its sender has so much to send that others go first");
    let crowded = Some("as much as may be at once is being sent there");
    assert_eq!(waits, [Some(limit), crowded, Some(backed_off), others, None]);
    assert_eq!(data["messages"][0]["recipients"][0]["last-reply"], "250 2.1.5 ok (mx.busy.test)");
    assert!(look.list().contains(limit) && look.show().contains(limit));
}

#[test]
fn nothing_is_said_to_be_nothing() {
    let mut look = look(Vec::new(), Vec::new());
    assert_eq!(look.list(), "nothing in the queue is like that; in all there are 7 recipients of 3 messages\n");
    look.depth = Depth::default();
    assert_eq!(look.list(), "the queue is empty\n");
}

#[test]
fn one_is_shown_with_what_to_do_next() {
    let mut forwarded = recipient(1, "x@dead.test", State::Parked, at(-3), None);
    forwarded.via = Some("list@example.test".to_owned());
    let reply = Some("451 4.7.1 Greylisted (mx.far.test)");
    let one = listed(
        0x1f2,
        "alice@example.test",
        vec![recipient(0, "bob@far.test", State::Waiting, at(-1), reply), forwarded],
    );
    let held = listed(0x1f3, "", vec![recipient(0, "eve@b.test", State::Held, at(0), None)]);
    let expected = "\
id           Q1f2
from         alice@example.test
size         20K
came in      2026-11-22 07:13:27.250 (2h ago)
tried until  2026-11-27 07:13:27.250 (in 4d)
story        postroad trace 0000000000009

TO                                            STATE    TRIES  NEXT TRY  LAST REPLY
bob@far.test                                  waiting  3      now       451 4.7.1 Greylisted (mx.far.test)
x@dead.test (forwarded by list@example.test)  parked   0      in 29m    connection refused (mx.dead.test [192.0.2.1])

greylist: Their server asks everybody to come back a little later. [Postfix: smtpd's replies]

try now: postroad queue retry Q1f2
keep it here: postroad queue hold Q1f2
never send it: postroad queue cancel Q1f2

id           Q1f3
from         <>
size         20K
came in      2026-11-22 07:13:27.250 (2h ago)
tried until  2026-11-27 07:13:27.250 (in 4d)
story        postroad trace 0000000000009

TO          STATE  TRIES  NEXT TRY  LAST REPLY
eve@b.test  held   0      -         -

send it: postroad queue release Q1f3
never send it: postroad queue cancel Q1f3
";
    assert_eq!(look(vec![one, held], vec![dead()]).show(), expected);
}

#[test]
fn what_its_sender_wished_for_is_shown() {
    let mut one = listed(1, "a@b.test", vec![recipient(0, "bob@far.test", State::Waiting, at(3_600), None)]);
    one.message.hold_until = Some(at(3_600));
    one.message.deliver_by = Some(postroad_queue::DeliverBy { at: at(7_200), returns: true, trace: false });
    one.message.priority = -3;
    let look = look(vec![one], Vec::new());
    let shown = look.show();
    for line in [
        "held until   2026-11-22 10:15:07.250 (in 1h, its sender wishes)",
        "deliver by   2026-11-22 11:15:07.250 (in 2h, else it goes back)",
        "priority     -3",
    ] {
        assert!(shown.contains(line), "{line} in {shown}");
    }
    let data = look.data();
    assert_eq!(data["messages"][0]["priority"], -3);
    assert_eq!(data["messages"][0]["held-until"], "2026-11-22 10:15:07.250");
}

#[test]
fn a_route_is_shown_with_whom_it_leads() {
    let route = |domain: &str, host: &str| Route {
        domain: domain.to_owned(),
        host: host.to_owned(),
        port: 25,
        tls: postroad_queue::RouteTls::Verified,
        ca: None,
        login: None,
    };
    let table: [(&[&str], &[&str]); 3] = [
        (&["a@far.test"], &["far.test"]),
        (&["a@far.test", "b@near.test"], &["*", "far.test"]),
        (&["b@near.test"], &["*"]),
    ];
    for (recipients, expected) in table {
        let waiting = |to: &&str| recipient(0, to, State::Waiting, at(9), None);
        let listed = listed(1, "alice@example.test", recipients.iter().map(waiting).collect());
        let mut look = look(Vec::new(), Vec::new());
        look.routes = vec![route("*", "smart.test"), route("far.test", "mx.far.test"), route("else.test", "h.test")];
        let taken: Vec<&str> = look.routes_of(&listed).iter().map(|route| route.domain.as_str()).collect();
        assert_eq!(taken, expected, "{recipients:?}");
        let shown = look.one(&listed);
        assert!(
            shown.contains(&format!("\nsend it another way: postroad route add '{}' HOST\n", expected[0])),
            "{shown}"
        );
    }
}

#[test]
fn long_addresses_leave_room_and_hosts_are_named_once() {
    let long = format!("{}@{}.test", "a".repeat(60), "b".repeat(60));
    assert_eq!(short(&long), format!("{}…{}.test", "a".repeat(22), "b".repeat(16)));
    assert_eq!(short("ü@b.test"), "ü@b.test");
    let table = [
        ("No connection to mx.far.test: refused (mx.far.test)", "No connection to mx.far.test: refused"),
        ("450 4.2.1 Later (mx.far.test)", "450 4.2.1 Later (mx.far.test)"),
        ("450 4.2.1 Later (try again)", "450 4.2.1 Later (try again)"),
    ];
    for (reply, expected) in table {
        assert_eq!(said_once(reply), expected);
    }
}

#[test]
fn ages_are_short() {
    let table = [
        (0, "0s"),
        (59, "59s"),
        (60, "1m"),
        (3_599, "59m"),
        (3_600, "1h"),
        (86_399, "23h"),
        (86_400, "1d"),
        (9_999_999, "115d"),
    ];
    for (seconds, expected) in table {
        assert_eq!(age(NOW, at(seconds)), expected);
    }
    assert_eq!(
        (age(at(5), NOW).as_str(), until(at(-5), NOW).as_str(), until(at(61), NOW).as_str()),
        ("0s", "now", "in 1m")
    );
    assert_eq!(cut(&"x".repeat(81)), format!("{}…", "x".repeat(80)));
}
