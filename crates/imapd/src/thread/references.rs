//! THREAD=REFERENCES (RFC 5256 §3) and THREAD=REFS (draft-ietf-morg-inthread §4).
//!
//! Invariants:
//! 1. Nodes below the number of messages are messages, in the order of the mailbox; those from there on are
//!    dummies: messages that others refer to and that were not found, and what joins threads of one subject.
//! 2. Following `parent` from any node ends at a root.
//!
//! What it never does: take more than about linear time. The one step that could, looking for loops, has a
//! budget ([`STEPS_MAX`]).

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use postroad_imap::encode::ThreadPiece;

use crate::thread::{Message, Pieces};

/// RFC 5256 §3, REFERENCES.
pub(super) fn thread(messages: &[Message<'_>]) -> Pieces {
    let mut forest = Forest::linked(messages);
    forest.prune();
    let children = Children::of(&forest.parent);
    let roots = forest.roots();
    let ranked = sorted_by(roots, |root| forest.date(&children, root));
    forest.merge_subjects(&ranked, &children);
    let children = Children::of(&forest.parent);
    let roots = sorted_by(forest.roots(), |root| forest.date(&children, root));
    forest.pieces(&roots, &children)
}

/// REFS: by references alone; the thread that got a message last is the last.
pub(super) fn thread_refs(messages: &[Message<'_>]) -> Pieces {
    let mut forest = Forest::linked(messages);
    forest.prune();
    let children = Children::of(&forest.parent);
    let latest = forest.latest(&children);
    let roots = sorted_by(forest.roots(), |root| (latest[root as usize], forest.date(&children, root).1));
    forest.pieces(&roots, &children)
}

/// Nodes with their parents.
#[derive(Debug)]
struct Forest<'a> {
    messages: &'a [Message<'a>],
    /// [`ROOT`]: it has none. [`GONE`]: it is no more.
    parent: Vec<u32>,
}

/// The children of each node.
#[derive(Debug)]
struct Children {
    /// Where in `all` those of a node begin; they end where those of the next do.
    starts: Vec<u32>,
    all: Vec<u32>,
}

impl Children {
    fn of(parents: &[u32]) -> Children {
        let mut starts = vec![0u32; parents.len() + 1];
        for &parent in parents.iter().filter(|parent| **parent < GONE) {
            starts[parent as usize + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        let mut next = starts.clone();
        let mut all = vec![0; starts.last().map_or(0, |count| *count as usize)];
        for (child, &parent) in (0u32..).zip(parents).filter(|(_, parent)| **parent < GONE) {
            all[next[parent as usize] as usize] = child;
            next[parent as usize] += 1;
        }
        Children { starts, all }
    }

    fn of_node(&self, node: u32) -> &[u32] {
        let at = node as usize;
        &self.all[self.starts[at] as usize..self.starts[at + 1] as usize]
    }
}

impl<'a> Forest<'a> {
    /// Step (1): parents by references.
    fn linked(messages: &'a [Message<'a>]) -> Forest<'a> {
        let mut ids: HashMap<u64, u32> = HashMap::with_capacity(messages.len() * 2);
        for (node, message) in (0u32..).zip(messages) {
            // The first message with an id has it; later ones have one of their own, which nobody names.
            if message.link.id != 0 {
                ids.entry(message.link.id).or_insert(node);
            }
        }
        let mut linking =
            Linking { parent: vec![ROOT; messages.len()], has_child: vec![false; messages.len()], steps: 0 };
        for (node, message) in (0u32..).zip(messages) {
            let mut before = None;
            for &id in message.parents {
                let referred = *ids.entry(id).or_insert_with(|| linking.dummy());
                // (1)(A) A parent that is known already stays.
                if let Some(before) = before
                    && linking.parent[referred as usize] == ROOT
                    && !linking.would_loop(referred, before)
                {
                    linking.link(referred, before);
                }
                before = Some(referred);
            }
            // (1)(B) The last reference is the message's own parent, whatever others said.
            linking.parent[node as usize] = ROOT;
            if let Some(last) = before
                && !linking.would_loop(node, last)
            {
                linking.link(node, last);
            }
        }
        Forest { messages, parent: linking.parent }
    }

    fn is_dummy(&self, node: u32) -> bool {
        node as usize >= self.messages.len()
    }

    /// Step (3): without dummies, but for roots with several children.
    fn prune(&mut self) {
        let children = Children::of(&self.parent);
        // From the top down: each message below its nearest message, or below the highest dummy.
        let mut queue: Vec<u32> = self.roots();
        let mut at = 0;
        while let Some(&node) = queue.get(at) {
            at += 1;
            queue.extend_from_slice(children.of_node(node));
            let parent = self.parent[node as usize];
            if parent != ROOT && self.is_dummy(parent) && self.parent[parent as usize] != ROOT {
                self.parent[node as usize] = self.parent[parent as usize];
            }
        }
        for node in 0..self.parent.len() {
            if self.parent[node] != ROOT && self.is_dummy(node as u32) {
                self.parent[node] = GONE;
            }
        }
        let children = Children::of(&self.parent);
        let dummies: Vec<u32> = self.roots().into_iter().filter(|root| self.is_dummy(*root)).collect();
        for root in dummies {
            match children.of_node(root) {
                [] => self.parent[root as usize] = GONE,
                [only] => {
                    self.parent[*only as usize] = ROOT;
                    self.parent[root as usize] = GONE;
                }
                [_, ..] => {}
            }
        }
    }

    fn roots(&self) -> Vec<u32> {
        (0u32..).zip(&self.parent).filter(|(_, parent)| **parent == ROOT).map(|(node, _)| node).collect()
    }

    /// The message that a root stands for: itself, or a dummy's first child.
    fn message(&self, children: &Children, root: u32) -> Option<u32> {
        match self.is_dummy(root) {
            false => Some(root),
            true => children.of_node(root).iter().copied().min_by_key(|child| self.sent(*child)),
        }
    }

    /// Siblings are in this order: by sent date, then as in the mailbox.
    fn sent(&self, node: u32) -> (i64, u32) {
        (self.messages.get(node as usize).map_or(0, |message| message.sent), node)
    }

    /// The order of roots: step (4).
    fn date(&self, children: &Children, root: u32) -> (i64, u32) {
        self.message(children, root).map_or((0, root), |message| self.sent(message))
    }

    /// Step (5): joins threads with one subject. `roots` are sorted.
    fn merge_subjects(&mut self, roots: &[u32], children: &Children) {
        let subject = |forest: &Forest<'a>, root: u32| {
            let message = forest.messages[forest.message(children, root)? as usize];
            Some(message).filter(|message| !message.subject.is_empty())
        };
        // (5)(B)
        let mut table: HashMap<&[u8], u32> = HashMap::with_capacity(roots.len());
        for &root in roots {
            let Some(message) = subject(self, root) else { continue };
            match table.entry(message.subject) {
                Entry::Vacant(free) => {
                    free.insert(root);
                }
                Entry::Occupied(mut held) => {
                    let other = *held.get();
                    let better = self.is_dummy(root) || (self.is_reply(other) && !message.link.is_reply);
                    if !self.is_dummy(other) && better {
                        held.insert(root);
                    }
                }
            }
        }
        // (5)(C)
        for &root in roots {
            if self.parent[root as usize] != ROOT {
                continue;
            }
            let Some(message) = subject(self, root) else { continue };
            let Some(held) = table.get_mut(message.subject).filter(|held| **held != root) else { continue };
            match (self.is_dummy(root), self.is_dummy(*held)) {
                (true, _) => {
                    children.of_node(root).iter().for_each(|child| self.parent[*child as usize] = *held);
                    self.parent[root as usize] = GONE;
                }
                (false, true) => self.parent[root as usize] = *held,
                (false, false) if message.link.is_reply && !self.is_reply(*held) => {
                    self.parent[root as usize] = *held;
                }
                (false, false) => {
                    let dummy = u32::try_from(self.parent.len()).unwrap_or(GONE - 1);
                    self.parent.push(ROOT);
                    self.parent[root as usize] = dummy;
                    self.parent[*held as usize] = dummy;
                    *held = dummy;
                }
            }
        }
    }

    fn is_reply(&self, node: u32) -> bool {
        self.messages.get(node as usize).is_some_and(|message| message.link.is_reply)
    }

    /// When each root's thread got its last message.
    fn latest(&self, children: &Children) -> Vec<i64> {
        let mut latest = vec![i64::MIN; self.parent.len()];
        let mut stack = Vec::new();
        for root in self.roots() {
            stack.push(root);
            while let Some(node) = stack.pop() {
                let received = self.messages.get(node as usize).map_or(i64::MIN, |message| message.received);
                latest[root as usize] = latest[root as usize].max(received);
                stack.extend_from_slice(children.of_node(node));
            }
        }
        latest
    }

    /// Step (6), and the trees as they are written.
    fn pieces(&self, roots: &[u32], children: &Children) -> Pieces {
        enum Todo {
            Open,
            Node(u32),
            Close,
        }
        let mut pieces = Pieces::with_capacity(self.messages.len() * 3);
        let mut todo: Vec<Todo> = Vec::new();
        for &root in roots {
            todo.extend([Todo::Close, Todo::Node(root), Todo::Open]);
            while let Some(next) = todo.pop() {
                let node = match next {
                    Todo::Open => {
                        pieces.push(ThreadPiece::Open);
                        continue;
                    }
                    Todo::Close => {
                        pieces.push(ThreadPiece::Close);
                        continue;
                    }
                    Todo::Node(node) => node,
                };
                if !self.is_dummy(node) {
                    pieces.push(ThreadPiece::Number(node));
                }
                match children.of_node(node) {
                    [only] => todo.push(Todo::Node(*only)),
                    several => {
                        let sorted = sorted_by(several.to_vec(), |child| self.sent(child));
                        todo.extend(sorted.iter().rev().flat_map(|c| [Todo::Close, Todo::Node(*c), Todo::Open]));
                    }
                }
            }
        }
        pieces
    }
}

/// Step (1) under way.
struct Linking {
    parent: Vec<u32>,
    has_child: Vec<bool>,
    /// Steps taken to look for loops.
    steps: usize,
}

impl Linking {
    fn dummy(&mut self) -> u32 {
        self.parent.push(ROOT);
        self.has_child.push(false);
        u32::try_from(self.parent.len() - 1).unwrap_or(GONE - 1)
    }

    fn link(&mut self, child: u32, parent: u32) {
        self.parent[child as usize] = parent;
        self.has_child[parent as usize] = true;
    }

    /// Whether `child` is `parent` or above it. When the budget is used up, the answer is yes.
    fn would_loop(&mut self, child: u32, parent: u32) -> bool {
        if child == parent {
            return true;
        }
        // What has nothing below it is above nothing.
        if !self.has_child[child as usize] {
            return false;
        }
        let mut node = parent;
        while node != ROOT {
            if node == child || self.steps == STEPS_MAX {
                return true;
            }
            self.steps += 1;
            node = self.parent[node as usize];
        }
        false
    }
}

fn sorted_by<K: Ord>(mut nodes: Vec<u32>, key: impl Fn(u32) -> K) -> Vec<u32> {
    nodes.sort_by_cached_key(|node| key(*node));
    nodes
}

/// The parent of what has none.
const ROOT: u32 = u32::MAX;
/// The parent of what is no more. Numbers below are nodes.
const GONE: u32 = u32::MAX - 1;
/// Steps in all that one THREAD takes to look for loops of references. Mailboxes of people take almost none,
/// because messages come after what they answer; those behind the budget are not linked any more.
const STEPS_MAX: usize = 20_000_000;
