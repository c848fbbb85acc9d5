use postroad_queue::shaping::{By, Choice, Egress};

use super::*;

const NOW: Timestamp = Timestamp(1_790_000_000_000_000);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn limit(pattern: &str, connections: Option<u32>, per_minute: Option<u32>) -> Limit {
    Limit { pattern: pattern.into(), connections, per_connection: None, per_minute, recipients: None }
}

fn egress(address: &str, pool: &str, weight: u32) -> Egress {
    Egress {
        address: address.parse().expect("an address"),
        pool: pool.into(),
        weight,
        helo: None,
        warm_since: None,
        added: NOW,
    }
}

fn mail(random: u64) -> Mail<'static> {
    Mail { sender: "Anna@ours.test", domain: "far.test", now: NOW, random }
}

fn shaping(rules: Rules) -> Arc<Shaping> {
    let shaping = Arc::new(Shaping::default());
    shaping.renew(rules);
    shaping
}

#[test]
fn the_limit_of_a_host() {
    let set = [limit("far.test", Some(1), None), limit(".mx.test", Some(2), None), limit(".b.mx.test", Some(3), None)];
    for (host, domain, expect) in [
        ("a.mx.test", "far.test", Some("far.test")),
        ("a.mx.test", "x.test", Some(".mx.test")),
        ("A.B.MX.test.", "x.test", Some(".b.mx.test")),
        ("mx.test", "x.test", Some(".mx.test")),
        ("amx.test", "x.test", None),
        ("gmail-smtp-in.l.google.com", "gmail.com", Some(".google.com")),
        ("x.mail.protection.outlook.com", "x.test", Some(".outlook.com")),
    ] {
        let found = rules::find(&set, host, domain).map(|limit| limit.pattern);
        assert_eq!(found.as_deref(), expect, "{host} {domain}");
    }
}

#[tokio::test(start_paused = true)]
async fn messages_in_a_minute_and_connections_are_limited_for_all_hosts_of_a_group() {
    let rules = Rules { limits: vec![limit(".mx.test", Some(2), Some(60))], ..Rules::default() };
    let shaping = shaping(rules);
    let (one, two) = (shaping.shape(&mail(0), "a.mx.test", &[]), shaping.shape(&mail(0), "b.mx.test", &[]));
    assert_eq!((one.group.as_str(), &one), (".mx.test", &two));
    let sent = (0..40).filter(|_| shaping.admit(&one).is_ok()).count();
    assert_eq!(sent, 15, "a quarter of a minute's at once");
    let (wait, why) = shaping.admit(&two).expect_err("the other host is the same group");
    assert_eq!(why, "waits for the limit of 60 messages in a minute to .mx.test");
    tokio::time::advance(wait).await;
    assert!(shaping.admit(&two).is_ok());
    let first = shaping.connect(&one).expect("a connection");
    let _second = shaping.connect(&two).expect("another");
    let (_, why) = shaping.connect(&one).expect_err("all are taken");
    assert_eq!(why, "waits for the limit of 2 connections to .mx.test");
    drop(first);
    assert!(shaping.connect(&two).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_host_that_has_too_much_is_spoken_with_more_slowly_by_all() {
    let shaping = shaping(Rules::default());
    let shape = shaping.shape(&mail(0), "mx.far.test", &[]);
    assert!(shaping.admit(&shape).is_ok() && shaping.admit(&shape).is_ok());
    let told = shaping.heard(&shape, None, Category::Rate, "421 4.7.0 too fast", NOW).expect("it is told");
    assert!(told.contains("one message in 10 s"), "{told}");
    assert_eq!(shaping.heard(&shape, None, Category::Rate, "421 4.7.0 too fast", NOW), None, "said at the same time");
    let (wait, why) = shaping.admit(&shape).expect_err("it is too early");
    assert_eq!(wait, PAUSE_FIRST);
    assert!(why.starts_with("backed off at mx.far.test: ") && why.contains("421 4.7.0 too fast"), "{why}");
    let news = shaping.news(NOW);
    assert!(matches!(news.as_slice(), [one] if one.hosts == "mx.far.test" && one.rest_until > NOW), "{news:?}");
    assert_eq!(shaping.news(NOW), [], "it is said once");
    tokio::time::advance(PAUSE_FIRST).await;
    assert!(shaping.admit(&shape).is_ok() && shaping.admit(&shape).is_err());
    assert!(shaping.admit(&shaping.shape(&mail(0), "mx.other.test", &[])).is_ok(), "others go on");
    for _ in 0..3 {
        shaping.taken(&shape, None, NOW);
    }
    tokio::time::advance(PAUSE_LEAST).await;
    assert!(shaping.admit(&shape).is_ok() && shaping.admit(&shape).is_ok(), "it is well again");
}

#[test]
fn pools_are_chosen_and_shared_by_weight() {
    let choice = |by, name: &str, pool: &str| Choice { by, name: name.into(), pool: pool.into() };
    let rules = Rules {
        limits: Vec::new(),
        egress: vec![
            egress("192.0.2.1", "default", 1),
            egress("192.0.2.2", "bulk", 3),
            egress("192.0.2.3", "bulk", 1),
            egress("2001:db8::3", "bulk", 1),
            egress("192.0.2.9", "far", 1),
        ],
        choices: vec![choice(By::Domain, "ours.test", "bulk"), choice(By::Destination, "special.test", "far")],
    };
    let shaping = shaping(rules);
    let settings: Vec<IpAddr> = vec!["192.0.2.77".parse().expect("an address")];
    let mut counts: HashMap<String, u32> = HashMap::new();
    for random in 0..400u64 {
        let shape = shaping.shape(&mail(random << 32), "mx.far.test", &settings);
        assert!(shape.strict && shape.sources.len() == 2, "{shape:?}");
        *counts.entry(shape.sources[0].to_string()).or_default() += 1;
    }
    assert_eq!((counts["192.0.2.2"], counts["192.0.2.3"]), (300, 100));
    let special = Mail { domain: "special.test", ..mail(0) };
    let shape = shaping.shape(&special, "mx.far.test", &settings);
    assert_eq!(shape.sources, ["192.0.2.9".parse::<IpAddr>().expect("an address")]);
    assert!(!shape.allows("2001:db8::25".parse().expect("an address")), "no other address for the other family");
    let notice = Mail { sender: "", ..mail(0) };
    assert_eq!(shaping.shape(&notice, "mx", &settings).sources[0].to_string(), "192.0.2.1");
    shaping.renew(Rules::default());
    assert_eq!(shaping.shape(&mail(0), "mx", &settings).sources, settings);
}

#[test]
fn an_address_that_is_new_begins_slowly() {
    let warm = Egress { warm_since: Some(NOW), ..egress("192.0.2.1", "default", 1) };
    let shaping = shaping(Rules { egress: vec![warm.clone()], ..Rules::default() });
    let shape = shaping.shape(&mail(0), "mx.far.test", &[]);
    for _ in 0..50 {
        assert_eq!(shaping.shape(&mail(0), "mx.far.test", &[]).held, None);
        shaping.taken(&shape, Some(warm.address), NOW);
    }
    let held = shaping.shape(&mail(0), "mx.far.test", &[]).held.expect("enough for today");
    assert!(held.1.contains("today"), "{}", held.1);
    assert_eq!(shaping.shape(&mail(0), "mx.other.test", &[]).held, None, "each provider by itself");
    let tomorrow = Mail { now: NOW.plus(DAY), ..mail(0) };
    assert_eq!(shaping.shape(&tomorrow, "mx.far.test", &[]).held, None);
    // After a new start it is known from the store.
    let again = self::shaping(Rules { egress: vec![warm], ..Rules::default() });
    again.recall(&shaping.news(NOW), NOW);
    assert!(again.shape(&mail(0), "mx.far.test", &[]).held.is_some());
    for (days, cap) in [(0, Some(50)), (1, Some(100)), (13, Some(409_600)), (14, None)] {
        assert_eq!(warm_up_cap(Some(NOW), NOW.plus(days * DAY)), cap);
    }
    assert_eq!(warm_up_cap(None, NOW), None);
}

#[test]
fn an_address_that_is_not_liked_rests_while_there_is_another() {
    let rules = Rules {
        egress: vec![egress("192.0.2.1", "default", 9), egress("192.0.2.2", "default", 1)],
        ..Rules::default()
    };
    let shaping = shaping(rules);
    let (one, two): (IpAddr, IpAddr) = ("192.0.2.1".parse().expect("one"), "192.0.2.2".parse().expect("one"));
    let shape = shaping.shape(&mail(0), "mx.far.test", &[]);
    let blame = |from| shaping.heard(&shape, Some(from), Category::Reputation, "554 5.7.1 listed", NOW);
    assert_eq!((blame(one), blame(one)), (None, None), "once is no proof");
    assert!(blame(one).expect("it is told").contains("rests"));
    for random in 0..20u64 {
        assert_eq!(shaping.shape(&mail(random << 32), "mx.far.test", &[]).sources, [two]);
    }
    assert!((0..20u64).any(|random| shaping.shape(&mail(random << 32), "mx.other.test", &[]).sources == [one]));
    assert!((0..3).filter_map(|_| blame(two)).count() == 1);
    assert_eq!(shaping.shape(&mail(0), "mx.far.test", &[]).sources.len(), 1, "the last is better than none");
    let later = Mail { now: NOW.plus(OUT_FOR), ..mail(0) };
    assert_eq!(shaping.shape(&later, "mx.far.test", &[]).sources, [one]);
}
