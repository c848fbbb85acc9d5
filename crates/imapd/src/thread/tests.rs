//! Threads as RFC 5256 describes them, step by step and without regard to cost, beside ours.

use std::collections::BTreeMap;

use postroad_imap::Writer;

use super::*;

/// A message as a test tells it.
#[derive(Debug, Clone, Default)]
struct Told {
    sent: i64,
    received: i64,
    subject: String,
    is_reply: bool,
    id: u64,
    parents: Vec<u64>,
}

fn written(pieces: Pieces) -> String {
    let one_based = pieces.into_iter().map(|piece| match piece {
        ThreadPiece::Number(at) => ThreadPiece::Number(at + 1),
        ThreadPiece::Open | ThreadPiece::Close => piece,
    });
    let mut out = Vec::new();
    Writer::new(&mut out, false).thread(one_based);
    String::from_utf8(out).expect("ASCII").trim_end().to_owned()
}

fn messages(told: &[Told]) -> Vec<Message<'_>> {
    told.iter()
        .map(|one| Message {
            sent: one.sent,
            received: one.received,
            subject: one.subject.as_bytes(),
            link: Link { id: one.id, is_reply: one.is_reply },
            parents: &one.parents,
        })
        .collect()
}

/// `id < parents..  Subject @ sent`, in this notation: `1 <2,3 Re:S @5`.
fn told(lines: &[&str]) -> Vec<Told> {
    let one = |(at, line): (usize, &&str)| {
        let mut one = Told { sent: at as i64, received: at as i64, ..Told::default() };
        for word in line.split_whitespace() {
            match word.as_bytes()[0] {
                b'<' => one.parents = word[1..].split(',').map(|id| id.parse().expect("an id")).collect(),
                b'@' => one.sent = word[1..].parse().expect("a time"),
                b'^' => one.received = word[1..].parse().expect("a time"),
                b'0'..=b'9' => one.id = word.parse().expect("an id"),
                _ => {
                    one.is_reply = word.starts_with("Re:");
                    one.subject = word.trim_start_matches("Re:").to_owned();
                }
            }
        }
        one
    };
    lines.iter().enumerate().map(one).collect()
}

#[test]
fn references_make_trees() {
    for (lines, tree) in [
        (&[][..], "* THREAD"),
        (&["1", "2"], "* THREAD (1)(2)"),
        (&["1", "2 <1", "3 <1,2"], "* THREAD (1 2 3)"),
        (&["1", "2 <1", "3 <1"], "* THREAD (1 (2)(3))"),
        (&["1", "2 <1", "3 <1", "4 <1,3", "5 <1,3,4", "6 <1,3"], "* THREAD (1 (2)(3 (4 5)(6)))"),
        // Out of order, and later than what answers it.
        (&["3 <1,2", "2 <1", "1 @9"], "* THREAD (3 2 1)"),
        // Not found: one child takes its place at the top, several stand under nothing.
        (&["2 <1"], "* THREAD (1)"),
        (&["2 <1", "3 <1"], "* THREAD ((1)(2))"),
        (&["2 <1", "3 <1,9"], "* THREAD ((1)(2))"),
        (&["4 <1,2,3", "5 <1,2,3"], "* THREAD ((1)(2))"),
        (&["1", "4 <1,2,3", "5 <1,2,3"], "* THREAD (1 (2)(3))"),
        // Two with one id: the first has it.
        (&["1", "1", "2 <1"], "* THREAD (1 3)(2)"),
        // Loops are not closed.
        (&["1 <1"], "* THREAD (1)"),
        (&["1 <2", "2 <1"], "* THREAD (2 1)"),
        (&["1 <3", "2 <1", "3 <2"], "* THREAD (3 1 2)"),
        // A truncated list of references does not stay in the way of the message's own.
        (&["5 <4", "4 <2,3", "3 <2", "2 <1", "1"], "* THREAD (5 4 3 2 1)"),
        // By sent date, not by place; equals as in the mailbox.
        (&["1 @9", "2 <1 @8", "3 <1 @7", "4 @1", "5 @9"], "* THREAD (4)(1 (3)(2))(5)"),
    ] {
        let told = told(lines);
        assert_eq!(written(references::thread(&messages(&told))), tree, "{lines:?}");
    }
}

#[test]
fn subjects_join_threads() {
    for (lines, tree) in [
        (&["1 A", "2 A"][..], "* THREAD ((1)(2))"),
        (&["1 A", "2 Re:A"], "* THREAD (1 2)"),
        (&["1 Re:A", "2 A"], "* THREAD (2 1)"),
        (&["1 Re:A", "2 Re:A"], "* THREAD ((1)(2))"),
        (&["1 A", "2 B"], "* THREAD (1)(2)"),
        (&["1", "2"], "* THREAD (1)(2)"),
        (&["1 A", "2 A", "3 A"], "* THREAD ((1)(2)(3))"),
        (&["1 A", "2 A", "3 Re:A"], "* THREAD ((1)(2)(3))"),
        (&["1 A", "2 Re:A", "3 A"], "* THREAD ((1 2)(3))"),
        (&["2 <1 A", "3 <1 A", "4 Re:A"], "* THREAD ((1)(2)(3))"),
        (&["4 A", "2 <1 A", "3 <1 A"], "* THREAD ((1)(2)(3))"),
        (&["2 <1 A", "3 <1 A", "12 <11 A", "13 <11 A"], "* THREAD ((1)(2)(3)(4))"),
        // What stands under nothing goes by its first child.
        (&["2 <1 B", "3 <1 A @-1", "4 A"], "* THREAD ((2)(1)(3))"),
    ] {
        let told = told(lines);
        assert_eq!(written(references::thread(&messages(&told))), tree, "{lines:?}");
    }
}

#[test]
fn refs_disregard_subjects_and_go_by_the_last_arrival() {
    for (lines, tree) in [
        (&["1 A", "2 A"][..], "* THREAD (1)(2)"),
        (&["1 A", "2 A", "3 <1"], "* THREAD (2)(1 3)"),
        (&["1 ^5", "2 ^1", "3 ^3"], "* THREAD (2)(3)(1)"),
        (&["2 <1 @5", "3 <1 @4"], "* THREAD ((2)(1))"),
    ] {
        let told = told(lines);
        assert_eq!(written(references::thread_refs(&messages(&told))), tree, "{lines:?}");
    }
}

#[test]
fn one_subject_is_one_thread() {
    for (lines, tree) in [
        (&[][..], "* THREAD"),
        (&["1 A", "2 B", "3 A"], "* THREAD (1 3)(2)"),
        (&["1 A @3", "2 B @2", "3 A @1", "4 Re:A @4"], "* THREAD (3 (1)(4))(2)"),
        (&["1", "2"], "* THREAD (1 2)"),
    ] {
        let told = told(lines);
        assert_eq!(written(subject::thread(&messages(&told))), tree, "{lines:?}");
    }
}

#[test]
fn a_thread_may_be_as_deep_as_it_likes() {
    let chain: Vec<Told> = (1..=100_000u64)
        .map(|id| Told { id, sent: id as i64, parents: vec![id - 1; usize::from(id > 1)], ..Told::default() })
        .collect();
    for chain in [chain.clone(), chain.iter().rev().cloned().collect()] {
        let tree = written(references::thread(&messages(&chain)));
        assert_eq!(tree.matches('(').count(), 1, "one thread without branches");
        assert_eq!(tree.split(' ').count(), 100_002);
        written(references::thread_refs(&messages(&chain)));
    }
}

#[test]
fn hostile_references_end() {
    // Each message has something below it and refers to the end of a long chain: every link looks for a loop.
    let chain = (1..=20_000u64).map(|id| Told { id, parents: vec![id - 1; usize::from(id > 1)], ..Told::default() });
    let children = (0..20_000u64).map(|n| Told { id: 200_000 + n, parents: vec![100_000 + n], ..Told::default() });
    let parents = (0..20_000u64).map(|n| Told { id: 100_000 + n, parents: vec![20_000], ..Told::default() });
    let all: Vec<Told> = chain.chain(children).chain(parents).collect();
    let tree = written(references::thread(&messages(&all)));
    assert_eq!(tree.split(|c: char| !c.is_ascii_digit()).filter(|n| !n.is_empty()).count(), all.len());
    // Everybody refers to everybody.
    let knot: Vec<Told> = (0..1_000u64)
        .map(|n| Told {
            id: n + 1,
            parents: (0..1_000).map(|m| (n * 7 + m * 13) % 1_000 + 1).collect(),
            ..Told::default()
        })
        .collect();
    let tree = written(references::thread(&messages(&knot)));
    assert_eq!(tree.split(|c: char| !c.is_ascii_digit()).filter(|n| !n.is_empty()).count(), knot.len());
}

/// A node of the plain way: a message or a dummy, and its children.
#[derive(Debug, Clone)]
struct Tree {
    message: Option<usize>,
    children: Vec<Tree>,
}

/// The plain way, in the words of the RFC.
struct Plain<'a> {
    told: &'a [Told],
}

impl Plain<'_> {
    fn sent(&self, tree: &Tree) -> (i64, usize) {
        match tree.message {
            Some(at) => (self.told[at].sent, at),
            None => tree.children.iter().map(|child| self.sent(child)).min().unwrap_or((0, 0)),
        }
    }

    fn received(&self, tree: &Tree) -> i64 {
        let own = tree.message.map_or(i64::MIN, |at| self.told[at].received);
        tree.children.iter().map(|child| self.received(child)).fold(own, i64::max)
    }

    /// Step (1): a parent for each id; what has none of its own gets one that nobody knows.
    fn forest(&self) -> Vec<Tree> {
        let mut owner: BTreeMap<u64, usize> = BTreeMap::new();
        let mut own = Vec::new();
        for (at, message) in self.told.iter().enumerate() {
            let taken = message.id == 0 || owner.contains_key(&message.id);
            let id = if taken { u64::MAX - at as u64 } else { message.id };
            owner.insert(id, at);
            own.push(id);
        }
        let mut parent: BTreeMap<u64, u64> = BTreeMap::new();
        fn is_above(parent: &BTreeMap<u64, u64>, above: u64, mut below: u64) -> bool {
            loop {
                if above == below {
                    return true;
                }
                match parent.get(&below) {
                    Some(next) => below = *next,
                    None => return false,
                }
            }
        }
        let mut all: Vec<u64> = own.clone();
        for (at, message) in self.told.iter().enumerate() {
            all.extend(&message.parents);
            for pair in message.parents.windows(2) {
                if !parent.contains_key(&pair[1]) && !is_above(&parent, pair[1], pair[0]) {
                    parent.insert(pair[1], pair[0]);
                }
            }
            parent.remove(&own[at]);
            if let Some(last) = message.parents.last().filter(|last| !is_above(&parent, own[at], **last)) {
                parent.insert(own[at], *last);
            }
        }
        all.sort_unstable();
        all.dedup();
        fn tree(id: u64, all: &[u64], parent: &BTreeMap<u64, u64>, owner: &BTreeMap<u64, usize>) -> Tree {
            let children = all.iter().filter(|child| parent.get(child) == Some(&id));
            Tree {
                message: owner.get(&id).copied(),
                children: children.map(|child| tree(*child, all, parent, owner)).collect(),
            }
        }
        let roots = all.iter().filter(|id| !parent.contains_key(id));
        roots.map(|id| tree(*id, &all, &parent, &owner)).collect()
    }

    /// Step (3).
    fn prune(forest: Vec<Tree>, top: bool) -> Vec<Tree> {
        let mut kept = Vec::new();
        for mut tree in forest {
            tree.children = Plain::prune(tree.children, false);
            match (tree.message, tree.children.len()) {
                (Some(_), _) => kept.push(tree),
                (None, 0) => {}
                (None, 1) => kept.append(&mut tree.children),
                (None, _) if top => kept.push(tree),
                (None, _) => kept.append(&mut tree.children),
            }
        }
        kept
    }

    fn subject(&self, tree: &Tree) -> String {
        self.told[self.sent(tree).1].subject.clone()
    }

    fn is_reply(&self, tree: &Tree) -> bool {
        tree.message.is_some_and(|at| self.told[at].is_reply)
    }

    /// Step (5).
    fn merge(&self, forest: Vec<Tree>) -> Vec<Tree> {
        let mut roots: Vec<Option<Tree>> = forest.into_iter().map(Some).collect();
        let mut table: BTreeMap<String, usize> = BTreeMap::new();
        for at in 0..roots.len() {
            let tree = roots[at].as_ref().expect("all there");
            let subject = self.subject(tree);
            if subject.is_empty() {
                continue;
            }
            let replace = match table.get(&subject).map(|held| roots[*held].as_ref().expect("all there")) {
                None => true,
                Some(held) => {
                    held.message.is_some() && (tree.message.is_none() || (self.is_reply(held) && !self.is_reply(tree)))
                }
            };
            if replace {
                table.insert(subject, at);
            }
        }
        for at in 0..roots.len() {
            let Some(tree) = roots[at].clone() else { continue };
            let subject = self.subject(&tree);
            let Some(&held_at) = table.get(&subject).filter(|held| **held != at) else { continue };
            let mut held = roots[held_at].take().expect("in the table");
            roots[at] = None;
            match (tree.message, held.message) {
                (None, None) => held.children.extend(tree.children),
                (Some(_), None) => held.children.push(tree),
                (Some(_), Some(_)) if self.is_reply(&tree) && !self.is_reply(&held) => held.children.push(tree),
                (_, _) => {
                    held = Tree { message: None, children: vec![held, tree] };
                    roots.push(Some(held));
                    table.insert(subject, roots.len() - 1);
                    continue;
                }
            }
            roots[held_at] = Some(held);
        }
        roots.into_iter().flatten().collect()
    }

    fn write(&self, mut tree: Tree, out: &mut String) {
        tree.children.sort_by_key(|child| self.sent(child));
        if let Some(at) = tree.message {
            out.push_str(&(at + 1).to_string());
            if !tree.children.is_empty() {
                out.push(' ');
            }
        }
        if tree.children.len() == 1 {
            return self.write(tree.children.remove(0), out);
        }
        for child in tree.children {
            out.push('(');
            self.write(child, out);
            out.push(')');
        }
    }

    fn answer(&self, forest: Vec<Tree>) -> String {
        let mut out = String::from(if forest.is_empty() { "* THREAD" } else { "* THREAD " });
        for tree in forest {
            out.push('(');
            self.write(tree, &mut out);
            out.push(')');
        }
        out
    }

    fn references(&self) -> String {
        let mut forest = Plain::prune(self.forest(), true);
        forest.sort_by_key(|tree| self.sent(tree));
        let mut forest = self.merge(forest);
        forest.sort_by_key(|tree| self.sent(tree));
        self.answer(forest)
    }

    fn refs(&self) -> String {
        let mut forest = Plain::prune(self.forest(), true);
        forest.sort_by_key(|tree| (self.received(tree), self.sent(tree).1));
        self.answer(forest)
    }
}

#[test]
fn random_mailboxes_thread_as_the_rfc_says() {
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move |below: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    for round in 0..20_000 {
        let count = next(12) + 1;
        let ids = next(10) + 1;
        let told: Vec<Told> = (0..count)
            .map(|_| Told {
                sent: next(6) as i64,
                received: next(6) as i64,
                subject: ["", "A", "B"][next(3) as usize].to_owned(),
                is_reply: next(2) == 0,
                id: next(ids + 1),
                parents: (0..next(4)).map(|_| next(ids) + 1).collect(),
            })
            .collect();
        let plain = Plain { told: &told };
        let messages = messages(&told);
        assert_eq!(written(references::thread(&messages)), plain.references(), "round {round}: {told:#?}");
        assert_eq!(written(references::thread_refs(&messages)), plain.refs(), "round {round}: {told:#?}");
    }
}
