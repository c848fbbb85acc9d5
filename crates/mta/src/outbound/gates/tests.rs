use super::*;

fn at(number: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, number], 25))
}

fn enter(gates: &Arc<Gates>, number: u8) -> Slot {
    match gates.enter(&[at(number)], None) {
        Entry::Open(mut slots) => slots.pop().expect("a slot"),
        other => panic!("{other:?}"),
    }
}

/// A slot at a host that has greeted.
fn known(gates: &Arc<Gates>, number: u8) -> Slot {
    let mut slot = enter(gates, number);
    slot.worked();
    slot
}

fn is_full(gates: &Arc<Gates>, number: u8) -> bool {
    matches!(gates.enter(&[at(number)], None), Entry::Full)
}

fn down(gates: &Arc<Gates>, number: u8) -> Option<String> {
    match gates.enter(&[at(number)], None) {
        Entry::Down(why) => Some(why),
        Entry::Open(_) | Entry::Full => None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_has_so_many_connections_and_one_that_nobody_knows_a_few() {
    let gates = Gates::new(20);
    let mut held: Vec<Slot> = (0..UNKNOWN_MAX).map(|_| enter(&gates, 1)).collect();
    assert!(is_full(&gates, 1) && !is_full(&gates, 2), "each host by itself");
    held[0].greeted();
    held.extend((UNKNOWN_MAX..20).map(|_| enter(&gates, 1)));
    assert!(is_full(&gates, 1));
    assert_eq!(gates.outlook(&[at(1), at(2)]), Outlook::Open);
    assert_eq!(gates.outlook(&[at(1)]), Outlook::Full);
    held.pop();
    assert!(!is_full(&gates, 1));
    // What has room is given of several.
    held.push(enter(&gates, 1));
    let Entry::Open(slots) = gates.enter(&[at(1), at(3)], None) else { panic!("one has room") };
    assert_eq!(slots.iter().map(Slot::at).collect::<Vec<_>>(), [at(3)]);
}

#[tokio::test(start_paused = true)]
async fn first_come_first_served_and_nobody_passes_the_line() {
    let gates = Gates::new(1);
    let mut slot = Some(known(&gates, 1));
    let (said, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let mut tasks = Vec::new();
    for number in 0..5 {
        let (gates, said) = (Arc::clone(&gates), said.clone());
        tasks.push(tokio::spawn(async move {
            let turn = gates.stand(at(1)).expect("a place");
            loop {
                if let Entry::Open(slots) = gates.enter(&[at(1)], Some(&turn)) {
                    drop(turn);
                    said.send(number).expect("it is heard");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    return drop(slots);
                }
                turn.come().await.expect("in time");
            }
        }));
        tokio::task::yield_now().await;
    }
    assert_eq!(gates.in_line(), 5);
    slot.take();
    assert!(is_full(&gates, 1), "who comes now is not the first");
    for number in 0..5 {
        assert_eq!(heard.recv().await, Some(number));
    }
    for task in tasks {
        task.await.expect("no panic");
    }
    assert_eq!(gates.in_line(), 0);
    assert!(!is_full(&gates, 1));
}

/// All that stand in line are served when the host greets for the first time, not one for each that leaves.
#[tokio::test(start_paused = true)]
async fn a_greeting_lets_the_line_in() {
    let gates = Gates::new(20);
    let held: Vec<Slot> = (0..UNKNOWN_MAX).map(|_| enter(&gates, 1)).collect();
    let waiting = (0..10).map(|_| {
        let gates = Arc::clone(&gates);
        tokio::spawn(async move {
            let turn = gates.stand(at(1)).expect("a place");
            turn.come().await.expect("in time");
            gates.enter(&[at(1)], Some(&turn))
        })
    });
    let waiting: Vec<_> = waiting.collect();
    while gates.in_line() < 10 {
        tokio::task::yield_now().await;
    }
    held[0].greeted();
    let mut slots = Vec::new();
    for one in waiting {
        slots.push(one.await.expect("no panic"));
    }
    assert!(slots.iter().all(|entry| matches!(entry, Entry::Open(_))));
}

#[tokio::test(start_paused = true)]
async fn who_waits_too_long_comes_again_later_and_each_at_another_time() {
    let gates = Gates::new(2);
    let held = [known(&gates, 1), known(&gates, 1)];
    let turns = [gates.stand(at(1)).expect("a place"), gates.stand(at(1)).expect("a place")];
    let began = Instant::now();
    let PutOff(first) = turns[0].come().await.expect_err("nobody leaves");
    assert_eq!(began.elapsed(), MOMENT);
    let PutOff(second) = turns[1].come().await.expect_err("nobody leaves");
    assert!(first >= MOMENT && second > first, "{first:?} {second:?}");
    // Now it is known to be slow: whoever is too many does not even wait.
    let turn = gates.stand(at(1));
    let PutOff(third) = turn.expect_err("two wait");
    assert!(third > second);
    let many: Vec<Duration> = (0..10_000).map(|_| gates.stand(at(1)).expect_err("two wait").0).collect();
    assert!(many.iter().all(|wait| *wait <= PUT_OFF_MAX));
    drop((turns, held));
    let held = [enter(&gates, 1), enter(&gates, 1)];
    assert!(gates.stand(at(1)).is_ok(), "the line was empty");
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn a_few_find_out_that_a_host_is_down_and_one_that_it_is_back() {
    let gates = Gates::new(20);
    let mut held: Vec<Slot> = (0..UNKNOWN_MAX).map(|_| enter(&gates, 1)).collect();
    for (number, slot) in (1..).zip(&mut held) {
        assert_eq!(down(&gates, 1).is_some(), number > TRIES);
        slot.failed("away");
    }
    drop(held);
    assert_eq!(down(&gates, 1).as_deref(), Some("away"));
    assert_eq!(gates.outlook(&[at(1), at(2)]), Outlook::Open);
    let Entry::Open(slots) = gates.enter(&[at(1), at(2)], None) else { panic!("the other works") };
    assert_eq!(slots.len(), 1);
    // Each probe that fails makes it longer; however many failed at the same time.
    for seconds in [30, 60, 120, 300, 600, 600] {
        tokio::time::advance(Duration::from_secs(seconds - 1)).await;
        assert!(down(&gates, 1).is_some(), "{seconds}");
        tokio::time::advance(Duration::from_secs(1)).await;
        let mut probe = enter(&gates, 1);
        assert!(down(&gates, 1).is_some(), "one at a time");
        probe.failed("still away");
    }
    assert_eq!(down(&gates, 1).as_deref(), Some("still away"));
    tokio::time::advance(Duration::from_secs(600)).await;
    // A probe that nothing came of leaves it to the next.
    drop(enter(&gates, 1));
    let mut probe = enter(&gates, 1);
    probe.worked();
    let _second = enter(&gates, 1);
}

#[tokio::test(start_paused = true)]
async fn a_failure_beside_what_goes_well_is_none_of_the_host() {
    let gates = Gates::new(20);
    let (mut good, mut bad) = (enter(&gates, 1), [enter(&gates, 1), enter(&gates, 1), enter(&gates, 1)]);
    tokio::time::advance(Duration::from_secs(1)).await;
    good.worked();
    bad.iter_mut().for_each(|slot| slot.failed("421 too many"));
    assert_eq!(down(&gates, 1), None);
    // What was begun after it counts.
    tokio::time::advance(Duration::from_secs(1)).await;
    let mut bad = [enter(&gates, 1), enter(&gates, 1), enter(&gates, 1)];
    bad.iter_mut().for_each(|slot| slot.failed("421 too many"));
    assert!(down(&gates, 1).is_some());
    good.worked();
    assert_eq!(down(&gates, 1), None, "and what goes well ends it");
}

#[tokio::test(start_paused = true)]
async fn hosts_are_forgotten_when_there_are_too_many() {
    let gates = Gates::new(20);
    let mut held = enter(&gates, 1);
    held.worked();
    for number in 0..3 * KNOWN_MAX {
        let [high, low] = u16::try_from(number).expect("few").to_be_bytes();
        drop(gates.enter(&[SocketAddr::from(([198, 18, high, low], 25))], None));
    }
    assert!(gates.hosts().len() <= KNOWN_MAX);
    assert!(gates.hosts().contains_key(&at(1)), "one with a connection is not");
    held.worked();
    drop(held);
}
