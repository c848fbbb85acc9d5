use super::*;
use postroad_dns::Fixed;

const CLIENT: &str = "192.0.2.7";

fn list(zone: &str, kind: ListKind, action: ListAction) -> ListSettings {
    ListSettings { zone: zone.into(), kind, codes: Vec::new(), action, weight: 1 }
}

/// Several addresses of one name.
trait Put {
    fn put(self, name: &str, codes: Vec<IpAddr>) -> Self;
}

impl Put for Fixed {
    fn put(self, name: &str, codes: Vec<IpAddr>) -> Fixed {
        codes.into_iter().fold(self, |dns, code| dns.with_address(name, code))
    }
}

fn codes(codes: &[&str]) -> Vec<IpAddr> {
    codes.iter().map(|code| code.parse().expect(code)).collect()
}

/// A sound list at `bl.test` that lists the client with these codes.
fn sound(answer: &[&str]) -> Fixed {
    Fixed::new()
        .put("2.0.0.127.bl.test", codes(&["127.0.0.2"]))
        .put("7.2.0.192.bl.test", codes(answer))
        .with_txt("7.2.0.192.bl.test", "https://bl.test/?192.0.2.7")
}

fn lists(dns: Fixed, settings: ListSettings) -> Lists {
    Lists::new(Arc::new(dns), vec![settings], Scores::default())
}

async fn about(lists: &Lists) -> Vec<String> {
    let found = lists.about(CLIENT.parse().expect("an address"), Some("sender.test".into())).await;
    found.iter().map(ToString::to_string).collect()
}

#[test]
fn names_are_those_of_the_standard() {
    for (address, expect) in [
        ("192.0.2.99", "99.2.0.192"),
        ("::ffff:192.0.2.99", "99.2.0.192"),
        ("2001:db8:1:2:3:4:567:89ab", "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2"),
    ] {
        assert_eq!(reversed(address.parse().expect(address)), expect);
    }
}

#[tokio::test]
async fn only_answers_of_lists_are_listings() {
    let block = || list("bl.test", ListKind::Block, ListAction::Reject);
    for (answer, counts, expect) in [
        (vec!["127.0.0.4"], vec![], Some("bl.test (127.0.0.4)")),
        (vec!["127.0.0.4", "127.0.0.9"], vec![], Some("bl.test (127.0.0.4, 127.0.0.9)")),
        (vec!["127.0.0.4", "127.0.0.10"], vec!["127.0.0.0/29"], Some("bl.test (127.0.0.4)")),
        (vec!["127.0.0.10"], vec!["127.0.0.2"], None),
        // Errors of Spamhaus, of URIBL, and a domain that has been sold.
        (vec!["127.255.255.254"], vec![], None),
        (vec!["127.0.0.4", "127.255.255.255"], vec![], None),
        (vec!["127.255.255.252"], vec!["127.255.255.252"], None),
        (vec!["127.0.0.1"], vec![], None),
        (vec!["203.0.113.80"], vec![], None),
    ] {
        let codes = counts.iter().map(|text| text.parse().expect("a network")).collect();
        let lists = lists(sound(&answer), ListSettings { codes, ..block() });
        assert_eq!(about(&lists).await, expect.into_iter().collect::<Vec<_>>(), "{answer:?}");
        let rests = lists.lists[0].health().rests_until.is_some();
        assert_eq!(
            rests,
            expect.is_none() && answer != ["127.0.0.10"],
            "{answer:?}: an error is an alarm, and no more is asked"
        );
    }
}

#[tokio::test]
async fn what_a_list_says_for_people_is_kept() {
    let lists = lists(sound(&["127.0.0.2"]), list("bl.test", ListKind::Block, ListAction::Reject));
    let found = lists.about(CLIENT.parse().expect("an address"), None).await;
    assert_eq!(found[0].text.as_deref(), Some("https://bl.test/?192.0.2.7"));
    assert_eq!(lists.rule(&found), Ruling::Reject(found[0].clone()));
}

#[tokio::test]
async fn a_list_of_everybody_or_nobody_is_not_believed() {
    let block = || list("bl.test", ListKind::Block, ListAction::Reject);
    let everybody = sound(&["127.0.0.2"]).put("1.0.0.127.bl.test", codes(&["127.0.0.2"]));
    let nobody = Fixed::new().put("7.2.0.192.bl.test", codes(&["127.0.0.2"]));
    for dns in [everybody, nobody] {
        let lists = lists(dns, block());
        assert_eq!(about(&lists).await, [""; 0]);
        assert!(lists.lists[0].health().rests_until.is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_rests_and_is_tried_again() {
    let lists = lists(sound(&["127.255.255.254"]), list("bl.test", ListKind::Block, ListAction::Reject));
    assert_eq!(about(&lists).await, [""; 0]);
    let until = lists.lists[0].health().rests_until.expect("it rests");
    assert_eq!(until.duration_since(Instant::now()), REST_MAX);
    tokio::time::advance(REST_MAX).await;
    assert_eq!(about(&lists).await, [""; 0]);
    assert!(lists.lists[0].health().rests_until > Some(until), "it was asked again");
}

#[tokio::test(start_paused = true)]
async fn a_silent_list_is_asked_less_and_less() {
    let silent = || {
        let names = ["7.2.0.192.bl.test", "1.0.0.127.bl.test", "2.0.0.127.bl.test"];
        names
            .into_iter()
            .fold(Fixed::new(), |dns, name| dns.with_failure(name, postroad_dns::Error::Temporary("no answer".into())))
    };
    let lists = lists(silent(), list("bl.test", ListKind::Block, ListAction::Reject));
    let rest = || {
        let until = lists.lists[0].health().rests_until;
        until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()))
    };
    let mut rests = Vec::new();
    for _ in 0..5 {
        assert_eq!(about(&lists).await, [""; 0]);
        rests.push(rest());
        tokio::time::advance(rest()).await;
    }
    assert!(rests.is_sorted() && rests[0] >= REST && rests[4] == REST_MAX, "{rests:?}");
}

#[tokio::test]
async fn domains_and_good_clients_have_lists_too() {
    let dns = || {
        sound(&["127.0.0.2"])
            .put("sender.test.dbl.test", codes(&["127.0.1.2"]))
            .put("7.2.0.192.wl.test", codes(&["127.0.10.2"]))
    };
    let all = vec![
        list("bl.test", ListKind::Block, ListAction::Reject),
        list("dbl.test", ListKind::Domain, ListAction::Junk),
        list("wl.test", ListKind::Allow, ListAction::Tag),
    ];
    let lists = Lists::new(Arc::new(dns()), all.clone(), Scores::default());
    assert_eq!(about(&lists).await, ["bl.test (127.0.0.2)", "dbl.test (127.0.1.2)", "wl.test (127.0.10.2)"]);
    let found = lists.about(CLIENT.parse().expect("an address"), Some("sender.test".into())).await;
    assert_eq!(lists.rule(&found), Ruling::Deliver, "a good client");
    let lists = Lists::new(Arc::new(dns()), all[1..2].to_vec(), Scores::default());
    let found = lists.about(CLIENT.parse().expect("an address"), None).await;
    assert_eq!(found, [], "the null sender has no domain");
}

#[test]
fn listings_add_up() {
    let listing = |action, weight| Listing {
        zone: "bl.test".into(),
        kind: ListKind::Block,
        action,
        weight,
        codes: Vec::new(),
        text: None,
    };
    let lists = Lists::new(Arc::new(Fixed::new()), Vec::new(), Scores { reject: 5, junk: 3 });
    for (listings, expect) in [
        (vec![], "deliver"),
        (vec![listing(ListAction::Score, 2)], "deliver"),
        (vec![listing(ListAction::Score, 2), listing(ListAction::Tag, 0)], "tag"),
        (vec![listing(ListAction::Score, 2), listing(ListAction::Score, 1)], "junk"),
        (vec![listing(ListAction::Junk, 0)], "junk"),
        (vec![listing(ListAction::Score, 3), listing(ListAction::Tag, 2)], "reject"),
        (vec![listing(ListAction::Score, i32::MAX), listing(ListAction::Score, 1)], "reject"),
        (vec![listing(ListAction::Junk, 0), listing(ListAction::Reject, 0)], "reject"),
    ] {
        let ruling = match lists.rule(&listings) {
            Ruling::Deliver => "deliver",
            Ruling::Tag => "tag",
            Ruling::Junk => "junk",
            Ruling::Reject(_) => "reject",
        };
        assert_eq!(ruling, expect, "{listings:?}");
    }
}
