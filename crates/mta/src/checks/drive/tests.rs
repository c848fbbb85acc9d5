//! Checks that only ask: what they hear, in which order, and when.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use postroad_dns::{Caa, Fixed, Mx, Reply, Security, Soa, Srv, Tlsa};

use super::*;

/// Asks what it is told to, step by step, and keeps what it hears.
struct Asks {
    steps: Vec<Vec<Question>>,
    heard: Vec<Answered>,
}

impl Asks {
    fn new(steps: &[&[Question]]) -> Asks {
        Asks { steps: steps.iter().rev().map(|step| step.to_vec()).collect(), heard: Vec::new() }
    }
}

impl Machine for Asks {
    type Verdict = Vec<Answered>;

    fn step(&mut self) -> Step<Vec<Answered>> {
        match self.steps.pop() {
            Some(step) => Step::Ask(step),
            None => Step::Done(std::mem::take(&mut self.heard)),
        }
    }

    fn answer(&mut self, answer: Answered) {
        self.heard.push(answer);
    }
}

/// Never answers, except about texts, and only once four questions stand at the same time.
#[derive(Default)]
struct Silent {
    waiting: AtomicUsize,
}

impl Silent {
    fn never<T: Send + 'static>(&self) -> Reply<'_, T> {
        Box::pin(std::future::pending())
    }
}

impl Dns for Silent {
    fn mx<'a>(&'a self, _: &'a str) -> Reply<'a, Mx> {
        self.never()
    }
    fn ipv4<'a>(&'a self, _: &'a str) -> Reply<'a, Ipv4Addr> {
        self.never()
    }
    fn ipv6<'a>(&'a self, _: &'a str) -> Reply<'a, Ipv6Addr> {
        self.never()
    }
    fn ptr(&self, _: IpAddr) -> Reply<'_, String> {
        self.never()
    }
    fn txt<'a>(&'a self, name: &'a str) -> Reply<'a, Vec<u8>> {
        Box::pin(async move {
            self.waiting.fetch_add(1, Ordering::SeqCst);
            while self.waiting.load(Ordering::SeqCst) < 4 {
                tokio::task::yield_now().await;
            }
            let records = vec![name.as_bytes().to_vec()];
            Ok(Answer { records, ttl: Duration::ZERO, security: Security::Unchecked, name: name.to_owned() })
        })
    }
    fn tlsa<'a>(&'a self, _: &'a str) -> Reply<'a, Tlsa> {
        self.never()
    }
    fn srv<'a>(&'a self, _: &'a str) -> Reply<'a, Srv> {
        self.never()
    }
    fn caa<'a>(&'a self, _: &'a str) -> Reply<'a, Caa> {
        self.never()
    }
    fn ns<'a>(&'a self, _: &'a str) -> Reply<'a, String> {
        self.never()
    }
    fn cname<'a>(&'a self, _: &'a str) -> Reply<'a, String> {
        self.never()
    }
    fn soa<'a>(&'a self, _: &'a str) -> Reply<'a, Soa> {
        self.never()
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

#[tokio::test]
async fn every_kind_of_question_is_answered_in_order() {
    let four = Ipv4Addr::new(192, 0, 2, 1);
    let dns = Fixed::new()
        .with_txt("a.test", "text")
        .with_mx("a.test", 5, "mx.a.test")
        .with_address("a.test", four)
        .with_address("a.test", Ipv6Addr::LOCALHOST)
        .with_ptr(four, "a.test")
        .with_failure("broken.test", Error::Temporary("down".into()))
        .with_failure("forged.test", Error::Bogus("signature".into()));
    let first = [Question::Txt("a.test".into()), Question::Mx("a.test".into()), Question::Ipv4("a.test".into())];
    let second = [
        Question::Ipv6("a.test".into()),
        Question::Ptr(four.into()),
        Question::Txt("none.test".into()),
        Question::Txt("mx.a.test".into()),
        Question::Mx("test".into()),
        Question::Txt("a..test".into()),
        Question::Ipv4("broken.test".into()),
        Question::Ipv4("forged.test".into()),
    ];
    let heard = run(Asks::new(&[&first, &second]), &dns, soon()).await;
    let known = [
        Ok(Records::Txt(vec![b"text".to_vec()])),
        Ok(Records::Mx(vec![(5, "mx.a.test".into())])),
        Ok(Records::Ipv4(vec![four])),
        Ok(Records::Ipv6(vec![Ipv6Addr::LOCALHOST])),
        Ok(Records::Ptr(vec!["a.test".into()])),
        Err(Failure::NoSuchName),
        Err(Failure::NoSuchName),
        Err(Failure::NoData),
        Err(Failure::BadName),
    ];
    assert_eq!(heard[..9], known);
    assert!(matches!(&heard[9], Err(Failure::Temporary(why)) if why.contains("down")), "{:?}", heard[9]);
    assert!(matches!(&heard[10], Err(Failure::Temporary(why)) if why.contains("signature")), "{:?}", heard[10]);
    assert_eq!(heard.len(), 11);
}

#[tokio::test]
async fn questions_of_one_step_are_asked_at_once() {
    let names = ["d.test", "c.test", "b.test", "a.test"];
    let step: Vec<Question> = names.iter().map(|name| Question::Txt((*name).into())).collect();
    let heard = run(Asks::new(&[&step]), &Silent::default(), soon()).await;
    let expected: Vec<Answered> = names.iter().map(|name| Ok(Records::Txt(vec![name.as_bytes().to_vec()]))).collect();
    assert_eq!(heard, expected);
}

#[tokio::test(start_paused = true)]
async fn a_silent_dns_ends_at_the_deadline_and_is_not_asked_again() {
    let one = [Question::Mx("a.test".into()), Question::Ipv4("a.test".into())];
    let two = [Question::Ptr(Ipv4Addr::LOCALHOST.into())];
    let begun = Instant::now();
    let heard = run(Asks::new(&[&one, &two, &one]), &Silent::default(), begun + Duration::from_secs(7)).await;
    assert_eq!(begun.elapsed(), Duration::from_secs(7));
    assert_eq!(heard.len(), 5);
    for answer in heard {
        assert_eq!(answer, Err(Failure::Temporary(LATE.to_owned())));
    }
}

#[tokio::test]
async fn several_checks_share_what_they_may_ask() {
    let dns = Fixed::new().with_txt("a.test", "text");
    let question = || Question::Txt("a.test".into());
    let budget = Budget::of(3);
    let first = run_within(Asks::new(&[&[question(), question()]]), &dns, soon(), &budget).await;
    assert!(first.iter().all(Result::is_ok));
    let second = run_within(Asks::new(&[&[question(), question()], &[question()]]), &dns, soon(), &budget).await;
    assert_eq!(second.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, false]);
    assert_eq!(second[2], Err(Failure::Temporary(SPENT.to_owned())));
}
