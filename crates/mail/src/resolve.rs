//! Where mail for an address goes.

use std::collections::{HashMap, HashSet};

use postroad_store::{AccountId, ReadTx, params};

use crate::accounts::State;
use crate::address::local_key;
use crate::{Address, Error, Result, addresses, forwards};

/// Most levels of aliases and groups that lead to each other.
pub const MAX_ALIAS_DEPTH: usize = 10;
/// Most targets in the end.
pub const MAX_EXPANSION: usize = 10_000;

/// Where mail for an address goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution {
    /// Here and perhaps elsewhere too; at least one of the two is not empty.
    Found {
        /// Accounts of ours, each once.
        accounts: Vec<Target>,
        /// Addresses elsewhere that an alias, group or forward of ours names, each once.
        remote: Vec<Address>,
        /// The recipient as this server knows it (the domain's real name, without the detail that was cut off): what
        /// a copy that goes elsewhere is marked with, so that it is known again when it comes back.
        name: Address,
    },
    /// The domain is ours, the recipient is not known: `550 5.1.1`.
    Unknown,
    /// The only account it leads to is suspended: `550 5.2.1`.
    Suspended,
    /// The domain is not ours: relay, for who may.
    NotOurs,
    /// Aliases lead in circles, too deep or to too many: `451 4.3.5`, the administrator must act.
    Endless,
}

/// An account that an address leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The account.
    pub account: AccountId,
    /// Its primary address.
    pub address: Address,
    /// The detail of `local+detail@`, when the recipient as given had one that was cut off.
    pub detail: Option<String>,
}

/// Resolves a recipient: domain aliases, exact address, then without sub-address, then postmaster
/// and abuse duties, then the catch-all; aliases, groups and forwards expanded level by level.
/// Two statements for an account's own address, three to four for each level of aliases and forwards.
pub fn resolve(tx: &ReadTx, recipient: &Address) -> Result<Resolution> {
    walk(tx, recipient, Follow::All)
}

/// The bare `<postmaster>` of RFC 5321 §4.5.1: postmaster of the first domain.
pub fn postmaster(tx: &ReadTx) -> Result<Resolution> {
    let first = tx.row("SELECT name FROM domain ORDER BY created, name LIMIT 1", params![], |row| row.text(0))?;
    let Some(domain) = first else {
        return Ok(Resolution::Unknown);
    };
    let address = Address::new("postmaster", &domain).map_err(Error::AddressInvalid)?;
    resolve(tx, &address)
}

/// See [`addresses::may_send_as`].
pub(crate) fn leads_to(tx: &ReadTx, address: &Address, account: AccountId) -> Result<bool> {
    Ok(walk(tx, address, Follow::Aliases)?.reaches(account))
}

/// Whether `address` is the account's own, in any name of the domain and with any detail.
pub(crate) fn directly(tx: &ReadTx, address: &Address, account: AccountId) -> Result<bool> {
    Ok(walk(tx, address, Follow::Nothing)?.reaches(account))
}

impl Resolution {
    fn reaches(&self, account: AccountId) -> bool {
        match self {
            Resolution::Found { accounts, .. } => accounts.iter().any(|target| target.account == account),
            Resolution::Unknown | Resolution::Suspended | Resolution::NotOurs | Resolution::Endless => false,
        }
    }
}

/// What is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Follow {
    /// Aliases, groups and forwards.
    All,
    /// Neither groups nor forwards.
    Aliases,
    /// Not even these.
    Nothing,
}

/// What the levels have found so far.
#[derive(Default)]
struct Found {
    accounts: Vec<Target>,
    remote: Vec<Address>,
    /// The same and those that forward all, to be asked quickly.
    known: HashSet<AccountId>,
    known_remote: HashSet<Address>,
    /// Accounts of this level whose mail goes on.
    forwarding: Vec<AccountId>,
    suspended: bool,
    circle: bool,
    /// The recipient itself, as it was found.
    name: Option<Address>,
}

fn walk(tx: &ReadTx, recipient: &Address, follow: Follow) -> Result<Resolution> {
    let mut found = Found::default();
    let mut seen: HashSet<(String, String)> = HashSet::new();
    let mut level = vec![recipient.clone()];
    let mut depth = 0;
    while !level.is_empty() {
        if depth > MAX_ALIAS_DEPTH || seen.len() + level.len() > MAX_EXPANSION {
            return Ok(Resolution::Endless);
        }
        let domains = our_domains(tx, &level)?;
        if depth == 0 && !domains.contains_key(recipient.domain().as_str()) {
            return Ok(Resolution::NotOurs);
        }
        level = next_level(tx, level, &domains, follow, &mut seen, &mut found)?;
        depth += 1;
    }
    Ok(if !found.accounts.is_empty() || !found.remote.is_empty() {
        let name = found.name.unwrap_or_else(|| recipient.clone());
        Resolution::Found { accounts: found.accounts, remote: found.remote, name }
    } else if found.suspended {
        Resolution::Suspended
    } else if found.circle {
        Resolution::Endless
    } else {
        Resolution::Unknown
    })
}

/// A domain of ours, by any of its names.
struct Ours {
    name: String,
    catch_all: Option<Address>,
    postmaster: Option<AccountId>,
}

fn our_domains(tx: &ReadTx, level: &[Address]) -> Result<HashMap<String, Ours>> {
    let names: HashSet<&str> = level.iter().map(|address| address.domain().as_str()).collect();
    let names: Vec<&str> = names.into_iter().collect();
    let rows = tx.rows(
        "SELECT n.value, d.name, d.catch_all, d.postmaster FROM {texts:$1} AS n
         LEFT JOIN domain_alias AS a ON a.alias = n.value JOIN domain AS d ON d.name = COALESCE(a.domain, n.value)",
        params![&names],
        |row| {
            let ours = Ours {
                name: row.text(1)?,
                catch_all: row.text_or_null(2)?.map(|text| Address::stored(&text)),
                postmaster: row.int_or_null(3)?.map(AccountId),
            };
            Ok((row.text(0)?, ours))
        },
    )?;
    Ok(rows.into_iter().collect())
}

/// A row of `address` with the account it belongs to.
struct Row {
    kind: String,
    account: Option<Holder>,
}

/// An account that an address belongs to.
#[derive(Clone)]
struct Holder {
    id: AccountId,
    address: Address,
    state: State,
    /// Its mail goes on; `Some(true)`: and a copy stays.
    forward: Option<bool>,
}

/// Takes one level apart: accounts and remote addresses into `found`; answers with what the lists of this
/// level lead to.
fn next_level(
    tx: &ReadTx,
    level: Vec<Address>,
    domains: &HashMap<String, Ours>,
    follow: Follow,
    seen: &mut HashSet<(String, String)>,
    found: &mut Found,
) -> Result<Vec<Address>> {
    let rows = rows_of(tx, &level, domains)?;
    let mut next = Vec::new();
    let mut lists = Vec::new();
    for address in level {
        let Some(ours) = domains.get(address.domain().as_str()) else {
            if found.known_remote.insert(address.clone()) {
                found.remote.push(address);
            }
            continue;
        };
        let key = address.key();
        if !seen.insert((ours.name.clone(), key.clone())) {
            found.circle = true;
            continue;
        }
        let exact = rows.get(&(ours.name.clone(), key.clone())).map(|row| (row, key.clone(), None));
        let hit = exact.or_else(|| {
            let (base, detail) = sub_address(address.local())?;
            let row = rows.get(&(ours.name.clone(), base.clone()))?;
            Some((row, base, Some(detail.to_owned())))
        });
        if found.name.is_none() {
            let known_as = hit.as_ref().map_or(&key, |(_, key, _)| key);
            found.name = Address::new(known_as, &ours.name).ok();
        }
        match hit {
            Some((Row { account: Some(holder), .. }, _, detail)) => found.add(holder, detail, follow),
            Some((row, key, _)) => {
                let followed = match follow {
                    Follow::All => true,
                    Follow::Aliases => row.kind != "group",
                    Follow::Nothing => false,
                };
                if followed {
                    lists.push((ours.name.clone(), key));
                }
            }
            None if DUTIES.contains(&key.as_str()) => {
                if let Some(holder) = duty(tx, ours)? {
                    found.add(&holder, None, follow);
                }
            }
            None => next.extend(ours.catch_all.clone()),
        }
    }
    let (list_domains, list_locals): (Vec<&str>, Vec<&str>) =
        lists.iter().map(|(domain, local)| (domain.as_str(), local.as_str())).unzip();
    let mut targets = addresses::targets(tx, &list_domains, &list_locals)?;
    next.extend(lists.iter().filter_map(|list| targets.remove(list)).flatten());
    let forwarding = std::mem::take(&mut found.forwarding);
    next.extend(forwards::targets(tx, &forwarding)?.into_iter().map(|(_, target)| target));
    Ok(next)
}

impl Found {
    fn add(&mut self, holder: &Holder, detail: Option<String>, follow: Follow) {
        match holder.state {
            State::Active if !self.known.insert(holder.id) => self.circle |= holder.forward == Some(false),
            State::Active => {
                let forward = holder.forward.filter(|_| follow == Follow::All);
                if forward.is_some() {
                    self.forwarding.push(holder.id);
                }
                if forward.unwrap_or(true) {
                    self.accounts.push(Target { account: holder.id, address: holder.address.clone(), detail });
                }
            }
            State::Suspended => self.suspended = true,
            State::Deleted => {}
        }
    }
}

/// The rows of a level's addresses, with and without their details.
fn rows_of(tx: &ReadTx, level: &[Address], domains: &HashMap<String, Ours>) -> Result<HashMap<(String, String), Row>> {
    let mut locals = HashSet::new();
    for address in level.iter().filter(|address| domains.contains_key(address.domain().as_str())) {
        locals.insert(address.key());
        locals.extend(sub_address(address.local()).map(|(base, _)| base));
    }
    if locals.is_empty() {
        return Ok(HashMap::new());
    }
    let locals: Vec<String> = locals.into_iter().collect();
    let names: HashSet<&str> = domains.values().map(|ours| ours.name.as_str()).collect();
    let names: Vec<&str> = names.into_iter().collect();
    let rows = tx.rows(
        "SELECT a.domain, a.local, a.kind, x.id, x.address, x.state, f.keep FROM address AS a
         LEFT JOIN account AS x ON x.id = a.account LEFT JOIN forward AS f ON f.account = a.account
         WHERE a.domain {in:$1} AND a.local {in:$2}",
        params![&names, &locals],
        |row| {
            let account = match row.int_or_null(3)? {
                Some(_) => Some(holder(row, 3)?),
                None => None,
            };
            Ok(((row.text(0)?, row.text(1)?), Row { kind: row.text(2)?, account }))
        },
    )?;
    Ok(rows.into_iter().collect())
}

/// From the columns id, address, state, keep, beginning with `first`.
fn holder(row: &postroad_store::Row<'_>, first: usize) -> postroad_store::Result<Holder> {
    Ok(Holder {
        id: row.id(first)?,
        address: Address::stored(&row.text(first + 1)?),
        state: State::from_name(&row.text(first + 2)?),
        forward: row.int_or_null(first + 3)?.map(|keep| keep != 0),
    })
}

/// The key without the detail, and the detail: `alice+x` -> (`alice`, `x`).
fn sub_address(local: &str) -> Option<(String, &str)> {
    let (base, detail) = local.split_once(SUB_ADDRESS)?;
    (!base.is_empty()).then(|| (local_key(base), detail))
}

/// Who gets `postmaster@` and `abuse@` of a domain that has no such address: who was named, else the first account
/// of the domain, else of the server. Up to three statements, each of which stops at the first row: strangers ask this.
fn duty(tx: &ReadTx, ours: &Ours) -> Result<Option<Holder>> {
    let looks = [
        ("x.id = $1", params![ours.postmaster.unwrap_or_default()]),
        // A domain without accounts is known at once; in one that has some, these are hardly the last of the server.
        (
            "EXISTS (SELECT 1 FROM address AS d WHERE d.domain = $1 AND d.kind = 'account')
             AND EXISTS (SELECT 1 FROM address AS a WHERE a.account = x.id AND a.domain = $1)",
            params![ours.name.as_str()],
        ),
        ("x.id > $1", params![0i64]),
    ];
    for (condition, params) in looks {
        let text = format!(
            "SELECT x.id, x.address, x.state, f.keep FROM account AS x LEFT JOIN forward AS f ON f.account = x.id
             WHERE x.state = 'active' AND {condition} ORDER BY x.id LIMIT 1"
        );
        let found = tx.row(&text, params, |row| holder(row, 0))?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// Between local part and detail (RFC 5233).
const SUB_ADDRESS: char = '+';
/// Local parts that every domain answers to (RFC 5321 §4.5.1, RFC 2142 §2 and §5).
const DUTIES: [&str; 2] = ["postmaster", "abuse"];
