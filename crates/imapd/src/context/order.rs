//! Taking out of an order and putting into it, and how that is told (RFC 5267 §4.3.3, §4.3.4): by places
//! counted from 1, each as it is when its turn comes.

use postroad_imap::encode::{ContextChange, Results};
use postroad_mail::UidSet;

use crate::sort::order::{By, compare};

/// The order without these. What follows one another is told together, the last first, so that the places of
/// the others stay.
pub(super) fn remove(order: &[u32], gone: &UidSet, number: &impl Fn(u32) -> u32) -> (Vec<u32>, Vec<ContextChange>) {
    let mut rest = Vec::with_capacity(order.len());
    let mut runs: Vec<(usize, Vec<u32>)> = Vec::new();
    for (at, &uid) in order.iter().enumerate() {
        if !gone.contains(uid) {
            rest.push(uid);
            continue;
        }
        match runs.last_mut() {
            Some((from, run)) if *from + run.len() == at => run.push(number(uid)),
            Some(_) | None => runs.push((at, vec![number(uid)])),
        }
    }
    let changes = runs.into_iter().rev().map(|(at, run)| ContextChange::Remove(place(at), Results::Order(run)));
    (rest, changes.collect())
}

/// The order with these of them that it does not have.
pub(super) fn add(
    order: &[u32],
    come: &UidSet,
    criteria: &[By<'_>],
    number: &impl Fn(u32) -> u32,
) -> (Vec<u32>, Vec<ContextChange>) {
    // By halves: nothing that was there moves.
    let found = |uid: u32| order.binary_search_by(|other| compare(*other, uid, criteria));
    let mut new: Vec<(usize, u32)> = come.iter().filter_map(|uid| found(uid).err().map(|at| (at, uid))).collect();
    new.sort_unstable_by(|(a, uid_a), (b, uid_b)| a.cmp(b).then_with(|| compare(*uid_a, *uid_b, criteria)));
    let mut all = Vec::with_capacity(order.len() + new.len());
    let mut runs: Vec<(usize, Vec<u32>)> = Vec::new();
    let mut taken = 0;
    for (at, uid) in new {
        all.extend_from_slice(&order[taken..at]);
        taken = at;
        match runs.last_mut() {
            Some((from, run)) if *from + run.len() == all.len() => run.push(number(uid)),
            Some(_) | None => runs.push((all.len(), vec![number(uid)])),
        }
        all.push(uid);
    }
    all.extend_from_slice(&order[taken..]);
    let changes = runs.into_iter().map(|(at, run)| ContextChange::Add(place(at), Results::Order(run)));
    (all, changes.collect())
}

fn place(at: usize) -> u32 {
    u32::try_from(at + 1).unwrap_or(u32::MAX)
}
