//! Looking through the text of one message, piece by piece (`postroad_search::Walk`: what is text, and where it is cut).

use postroad_mail::Entry;
use postroad_message::{SummaryView, decode, header};
use postroad_search::fuzzy::Score;
use postroad_search::{Place, Walk};
use postroad_store::{BlobId, ReadTx};

use crate::collation::Collation;
use crate::error::Error;
use crate::fetch::octets::{Budget, Octets};
use crate::search::key::Known;
use crate::search::plan::Plan;
use crate::search::text::Needle;

/// Something asked of a message's text.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) scope: Scope,
    pub(super) needle: Needle,
}

/// Where to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Scope {
    /// A field of the header.
    Field(String),
    /// The body.
    Body,
    /// Header and body.
    All,
}

/// A message that is looked through.
#[derive(Debug)]
pub(super) struct Scan {
    entry: Entry,
    octets: Octets,
    walk: Option<Walk>,
    found: Findings,
}

/// What was found of each [`Wanted`].
#[derive(Debug)]
struct Findings {
    each: Vec<Option<bool>>,
    scores: Vec<Score>,
}

impl Scan {
    pub(super) fn new(plan: &Plan, entry: Entry) -> Scan {
        let (blob, structure) = match &entry.facts {
            Some(facts) => (facts.blob, SummaryView::new(&facts.summary).and_then(|view| view.structure()).ok()),
            None => (BlobId(0), None),
        };
        let header = plan.wanted.iter().any(|wanted| wanted.scope != Scope::Body);
        let body = plan.wanted.iter().any(|wanted| matches!(wanted.scope, Scope::Body | Scope::All));
        let keep = plan.wanted.iter().map(|wanted| wanted.needle.longest()).max().unwrap_or(0);
        let walk = structure.map(|root| Walk::new(&root, header, body, keep));
        let octets = Octets::passing(blob, entry.size);
        let count = plan.wanted.len();
        Scan { entry, octets, walk, found: Findings { each: vec![None; count], scores: vec![Score::default(); count] } }
    }

    /// What the text says, once it is decided.
    pub(super) fn known(&self) -> Known<'_> {
        Known::of_texts(&self.entry, &self.found.each, &self.found.scores)
    }

    /// Looks on, until it is decided whether the message matches; `None`: the budget is used up before.
    pub(super) fn go_on(&mut self, tx: &ReadTx, plan: &Plan, budget: &mut Budget) -> Result<Option<bool>, Error> {
        loop {
            let Some(range) = self.walk.as_mut().and_then(Walk::wants) else {
                // What was found nowhere is not there.
                self.found.each.iter_mut().for_each(|found| *found = Some(found.unwrap_or(false)));
                return Ok(Some(plan.decide(&self.known()).unwrap_or(false)));
            };
            budget.spend((range.end - range.start).max(STEP_MIN));
            let octets = self.octets.read(tx, range)?;
            let before = self.found.each.clone();
            let found = &mut self.found;
            if let Some(walk) = &mut self.walk {
                let unpacked = walk.unpacked();
                walk.take(octets, &mut |place, text| found.look(plan, place, text));
                budget.spend(walk.unpacked() - unpacked);
            }
            // How well it matches is known only at its end.
            if !plan.scored
                && self.found.each != before
                && let Some(matches) = plan.decide(&self.known())
            {
                return Ok(Some(matches));
            }
            if budget.is_spent() {
                return Ok(None);
            }
        }
    }
}

impl Findings {
    fn look(&mut self, plan: &Plan, place: Place<'_>, text: &str) {
        // Compared forms of this text, made when first needed.
        let mut forms: Vec<(Collation, std::borrow::Cow<'_, str>)> = Vec::new();
        for (at, wanted) in plan.wanted.iter().enumerate() {
            let (found, score) = (&mut self.each[at], &mut self.scores[at]);
            let concerned = match (&wanted.scope, place) {
                (Scope::Field(name), Place::Header(block)) => {
                    let mut values = header::fields(block).filter(|field| field.is(name));
                    *found = Some(values.any(|field| wanted.needle.is_in(&decode::header(field.value))));
                    continue;
                }
                (Scope::Field(_), Place::Body) | (Scope::Body, Place::Header(_)) => false,
                (Scope::Body, Place::Body) | (Scope::All, _) => true,
            };
            match &wanted.needle {
                Needle::Exact(collation, key, _) if concerned && found.is_none() => {
                    let known = forms.iter().position(|(form, _)| form == collation);
                    let known = known.unwrap_or_else(|| {
                        forms.push((*collation, collation.key(text)));
                        forms.len() - 1
                    });
                    if forms[known].1.contains(&**key) {
                        *found = Some(true);
                    }
                }
                Needle::Fuzzy(query) if concerned && (plan.scored || found.is_none()) => {
                    query.look(text, score);
                    if score.is_match() {
                        *found = Some(true);
                    }
                }
                Needle::Near(_) if concerned && found.is_none() => {
                    if wanted.needle.is_in(text) {
                        *found = Some(true);
                    }
                }
                Needle::Exact(..) | Needle::Fuzzy(_) | Needle::Near(_) => {}
            }
        }
    }
}

/// A step costs as much as so many octets: a message may consist of a hundred thousand empty parts.
const STEP_MIN: u64 = 256;
