//! From a listener of the settings to sessions that are served: the one place where services, worlds and
//! listeners meet.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use postroad_login::{Clock, Logins};
use postroad_mta::{Checker, Extensions, ForeignFrom, FullMailbox, Gate, Inbound, Signing, Stories};
use postroad_net::{Bound, ClientAuthorities, Door, Listener, Network, TlsMode, serve};
use postroad_sasl::digest::CHALLENGE_RANDOM;
use postroad_smtp::{ClearAuth, Priority, Role, Solicitation};
use postroad_store::{Store, Timestamp};
use tokio::task::JoinSet;

use crate::settings::{
    self, CleartextAuth, DatabaseSettings, ImapIdentity, ListenerSettings, LoginSettings, Service, Settings,
};
use crate::worlds::{ImapWorld, Pop3World};

/// What sessions of all services are made from.
pub(super) struct Parts {
    settings: Settings,
    inbound: Arc<Inbound>,
    imap_world: Arc<ImapWorld>,
    imap_shared: ImapShared,
    pop3_world: Arc<Pop3World>,
    site: Arc<postroad_web::Site>,
}

/// What the IMAP sessions of all listeners share.
struct ImapShared {
    sort_keys: Arc<postroad_imapd::SortKeys>,
    remembered: Arc<postroad_imapd::Remembered>,
    recent: Arc<postroad_imapd::RecentClaims>,
}

impl ImapShared {
    /// Who shows a message as recent is decided where all sessions meet: PostgreSQL may serve other nodes too.
    fn on(database: &DatabaseSettings) -> ImapShared {
        let recent = match database.url.is_some() {
            true => postroad_imapd::RecentClaims::of_the_database(),
            false => postroad_imapd::RecentClaims::of_this_process(),
        };
        ImapShared { sort_keys: Arc::default(), remembered: Arc::default(), recent: Arc::new(recent) }
    }
}

/// Whether others are believed, and why they believe us.
pub(super) struct Trust {
    pub(super) checker: Checker,
    pub(super) signing: Signing,
    pub(super) gate: Gate,
}

impl Parts {
    pub(super) fn new(
        settings: &Settings,
        store: &Store,
        logins: Logins,
        clock: Clock,
        stories: Stories,
        trust: Trust,
        site: postroad_web::Site,
    ) -> Result<Parts> {
        let lmtp_clients = networks("smtp.lmtp-clients", &settings.smtp.lmtp_clients)?;
        let policy = mta(settings, lmtp_clients, extensions(settings)?);
        let inbound = Inbound::new(store.clone(), policy, logins.clone(), clock, stories);
        Ok(Parts {
            settings: settings.clone(),
            inbound: Arc::new(inbound.checking(trust.checker).signing(trust.signing).behind(trust.gate)),
            imap_world: Arc::new(ImapWorld::new(store.clone(), logins.clone())),
            imap_shared: ImapShared::on(&settings.database),
            pop3_world: Arc::new(Pop3World::new(store.clone(), logins)),
            site: Arc::new(site),
        })
    }

    /// Serves a bound listener until the door's stop.
    pub(super) fn serve(&self, running: &mut JoinSet<()>, service: Service, bound: Bound, door: Door) -> Result<()> {
        let starttls = bound.listener.tls == TlsMode::StartTls;
        let own = self.settings.listener.iter().find(|one| one.name == bound.listener.name);
        let mechanisms = own.map_or(&[][..], |own| &own.mechanisms);
        let apop = self.settings.login.apop(mechanisms).then(|| Arc::from(self.settings.hostname.as_str()));
        let mechanisms = self.settings.login.policy(mechanisms, self.settings.issuer().is_some());
        let door = match own.is_some_and(|own| own.client_certificates) {
            true => asking(door, &self.settings.login)?,
            false => door,
        };
        match service {
            Service::Smtp => self.smtp(running, bound, door, Role::Relay, Vec::new()),
            Service::Submission => self.smtp(running, bound, door, Role::Submission, mechanisms),
            Service::Lmtp => self.smtp(running, bound, door, Role::Lmtp, Vec::new()),
            Service::Imap => {
                let settings = imap(&self.settings, &self.imap_shared, starttls);
                let settings = Arc::new(postroad_imapd::Settings { mechanisms, ..settings });
                running.spawn(serve(bound, door, Arc::clone(&self.imap_world), move |arrival| {
                    postroad_imapd::Session::new(Arc::clone(&settings), arrival.peer, arrival.tls.clone())
                }));
            }
            Service::Pop3 => {
                let settings = Arc::new(postroad_pop3d::Settings { mechanisms, ..pop3(&self.settings, starttls) });
                running.spawn(serve(bound, door, Arc::clone(&self.pop3_world), move |arrival| {
                    postroad_pop3d::Session::new(Arc::clone(&settings), arrival.peer, arrival.tls.clone())
                        .with_apop(apop.as_deref().and_then(timestamp))
                }));
            }
            Service::Http => {
                running.spawn(postroad_web::serve(bound, door, Arc::clone(&self.site)));
            }
        }
        Ok(())
    }

    fn smtp(
        &self,
        running: &mut JoinSet<()>,
        bound: Bound,
        door: Door,
        role: Role,
        mechanisms: Vec<&'static postroad_sasl::Mechanism>,
    ) {
        let settings = smtp(&self.settings, role, bound.listener.tls == TlsMode::StartTls);
        let settings = Arc::new(postroad_smtp::Settings { mechanisms, ..settings });
        let (inbound, world) = (Arc::clone(&self.inbound), Arc::clone(&self.inbound));
        running.spawn(serve(bound, door, world, move |arrival| {
            postroad_mta::session(&inbound, Arc::clone(&settings), arrival.peer, arrival.tls.clone())
        }));
    }
}

/// What the greeting of POP3 has for APOP, of a server of this name.
fn timestamp(host: &str) -> Option<String> {
    let mut random = [0; CHALLENGE_RANDOM];
    match getrandom::fill(&mut random) {
        Ok(()) => Some(postroad_sasl::digest::challenge(&random, Timestamp::now().0, host)),
        Err(error) => {
            tracing::error!(%error, "the system gives no random numbers; APOP is not offered");
            None
        }
    }
}

/// A door that asks clients for certificates.
fn asking(mut door: Door, login: &LoginSettings) -> Result<Door> {
    let authorities = login.client_authorities.as_deref().map(ClientAuthorities::read).transpose();
    let authorities = authorities.context("the setting login.client-authorities names no file of authorities")?;
    door.tls = door.tls.as_ref().map(|tls| tls.asking_clients(authorities)).transpose()?;
    Ok(door)
}

/// Networks of a setting; the error names it.
pub(super) fn networks(key: &str, texts: &[String]) -> Result<Vec<Network>> {
    texts.iter().map(|text| text.parse().map_err(|error| anyhow!("{key}: {text} is {error}"))).collect()
}

/// The listener as the loop wants it.
pub(super) fn listener(from: &ListenerSettings) -> Listener {
    let whole = |address: &IpAddr| Network::new(*address, if address.is_ipv4() { 32 } else { 128 });
    Listener {
        dual_stack: from.address.is_ipv6() && from.address.ip().is_unspecified(),
        tls: match from.tls {
            settings::TlsMode::None => TlsMode::None,
            settings::TlsMode::Starttls => TlsMode::StartTls,
            settings::TlsMode::Implicit => TlsMode::Implicit,
        },
        proxy: from.proxy_from.iter().filter_map(whole).collect(),
        alpn: if from.service == Service::Http { vec![b"http/1.1".to_vec()] } else { Vec::new() },
        busy: match from.service {
            Service::Smtp | Service::Submission | Service::Lmtp => {
                b"421 4.7.0 Too many connections, try again later\r\n"
            }
            Service::Imap => b"* BYE [UNAVAILABLE] Too many connections, try again later\r\n",
            Service::Pop3 => b"-ERR [SYS/TEMP] Too many connections, try again later\r\n",
            Service::Http => b"",
        },
        // For now: a host with an honest queue behind it tries again when it is over.
        banned: match from.service {
            Service::Smtp | Service::Submission | Service::Lmtp => {
                b"421 4.7.0 Your address is shut out for a while, for what came from it before; ask our postmaster\r\n"
            }
            Service::Imap => b"* BYE Your address is shut out for a while, for what came from it before\r\n",
            Service::Pop3 => b"-ERR [SYS/PERM] Your address is shut out for a while, for what came from it before\r\n",
            Service::Http => b"",
        },
        ..Listener::new(from.name.clone(), from.address)
    }
}

fn smtp(settings: &Settings, role: Role, starttls: bool) -> postroad_smtp::Settings {
    postroad_smtp::Settings {
        starttls,
        size_limit: settings.limits.message_size,
        recipients_limit: settings.limits.recipients,
        clear_auth: match settings.cleartext_auth {
            CleartextAuth::Never => ClearAuth::Never,
            CleartextAuth::Loopback => ClearAuth::Loopback,
        },
        auth_equals_line: settings.smtp.auth_equals_line,
        ..postroad_smtp::Settings::new(role, settings.hostname.clone())
    }
}

fn extensions(settings: &Settings) -> Result<Extensions> {
    let smtp = &settings.smtp;
    let refused = match smtp.solicitations_refused.as_slice() {
        [] => None,
        classes => Some(Solicitation::parse(&classes.join(",")).context(
            "the setting smtp.solicitations-refused has what is no class of solicitation, such as \"net.example:ADV\"",
        )?),
    };
    Ok(Extensions {
        xclient: networks("smtp.xclient", &smtp.xclient)?,
        xforward: networks("smtp.xforward", &smtp.xforward)?,
        etrn: networks("smtp.etrn-clients", &smtp.etrn_clients)?,
        priority: networks("smtp.priority-clients", &smtp.priority_clients)?,
        priority_of_logins: Priority::new(smtp.priority_of_logins),
        hold_max: Duration::from_secs(smtp.hold_days.saturating_mul(24 * 60 * 60)),
        solicitations_refused: refused,
        ..Extensions::default()
    })
}

fn mta(settings: &Settings, lmtp_clients: Vec<Network>, extensions: Extensions) -> postroad_mta::Settings {
    postroad_mta::Settings {
        lmtp_clients,
        extensions,
        sending: settings.limits.sending(),
        full_mailbox: match settings.smtp.full_mailbox {
            settings::FullMailbox::TryLater => FullMailbox::TryLater,
            settings::FullMailbox::Refuse => FullMailbox::Refuse,
        },
        foreign_from: match settings.smtp.foreign_from {
            settings::ForeignFrom::AddSender => ForeignFrom::AddSender,
            settings::ForeignFrom::Refuse => ForeignFrom::Refuse,
        },
        header_firewall: settings.smtp.header_firewall,
        hide_login: settings.smtp.hide_sender,
        hide_client: settings.smtp.hide_sender,
        terms: super::outbound::terms(&settings.outbound),
        ..postroad_mta::Settings::new(settings.hostname.clone())
    }
}

fn imap(settings: &Settings, shared: &ImapShared, starttls: bool) -> postroad_imapd::Settings {
    postroad_imapd::Settings {
        starttls,
        host: settings.hostname.clone(),
        rev2: settings.imap.rev2,
        identity: match settings.imap.identity {
            ImapIdentity::Nothing => postroad_imapd::Identity::Nothing,
            ImapIdentity::Name => postroad_imapd::Identity::Name,
            ImapIdentity::Version => postroad_imapd::Identity::NameAndVersion,
        },
        administrators: settings.imap.administrators.clone(),
        annotations: settings
            .imap
            .annotations
            .iter()
            .filter_map(|(name, value)| Some((postroad_imapd::shared_entry(name)?, value.clone())))
            .collect(),
        compress: settings.imap.compress,
        message_limit: match (settings.imap.message_limit, settings.imap.save_limit) {
            (0, 0) => postroad_imapd::MessageLimit::None,
            (0, most) => postroad_imapd::MessageLimit::Saving(most),
            (most, _) => postroad_imapd::MessageLimit::All(most),
        },
        cleartext_on_loopback: settings.cleartext_auth == CleartextAuth::Loopback,
        message_size_max: settings.limits.message_size,
        sort_keys: Arc::clone(&shared.sort_keys),
        remembered: Arc::clone(&shared.remembered),
        recent: Arc::clone(&shared.recent),
        ..postroad_imapd::Settings::default()
    }
}

fn pop3(settings: &Settings, starttls: bool) -> postroad_pop3d::Settings {
    postroad_pop3d::Settings {
        starttls,
        exclusive: settings.pop3.exclusive,
        login_interval: std::time::Duration::from_secs(settings.pop3.login_interval_seconds.into()),
        expire_days: settings.pop3.expire_days,
        cleartext_on_loopback: settings.cleartext_auth == CleartextAuth::Loopback,
        ..postroad_pop3d::Settings::default()
    }
}
