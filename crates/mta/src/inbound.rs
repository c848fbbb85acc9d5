//! The world of SMTP and LMTP sessions: which stage is answered where.

mod recipient;

use std::sync::Arc;

use postroad_login::{Clock, Logins};
use postroad_mail::{Address, addresses};
use postroad_net::{Fatal, World};
use postroad_protocol::{Peer, TlsFacts};
use postroad_sasl::Answer;
use postroad_smtp::{Abandoned, MailFrom, RcptTo, Reply, Role, Stage, Verdict};
use postroad_store::{ReadTx, Store};
use tokio::sync::Semaphore;

use crate::checks::Checker;
use crate::extensions;
use crate::gate::Gate;
use crate::policy::{connect, mail, rcpt};
use crate::sign::Signing;
use crate::state::{Accepted, State, login};
use crate::story::{Stories, Story};
use crate::{Settings, replies};

/// A session of any of the three roles.
pub type Session = postroad_smtp::Session<State>;

/// The world of [`Session`]s: one for all listeners.
pub struct Inbound {
    pub(crate) store: Store,
    pub(crate) settings: Settings,
    pub(crate) logins: Logins,
    pub(crate) clock: Clock,
    pub(crate) bodies: Arc<Semaphore>,
    pub(crate) stories: Stories,
    pub(crate) checker: Checker,
    pub(crate) signing: Signing,
    pub(crate) gate: Gate,
}

impl Inbound {
    /// Takes mail into `store`. `stories` leads to the [`crate::Scribe`] that somebody has to run.
    pub fn new(store: Store, settings: Settings, logins: Logins, clock: Clock, stories: Stories) -> Inbound {
        let bodies = Arc::new(Semaphore::new(settings.bodies_memory / crate::body::UNIT));
        Inbound {
            store,
            settings,
            logins,
            clock,
            bodies,
            stories,
            checker: Checker::default(),
            signing: Signing::default(),
            gate: Gate::default(),
        }
    }

    /// The same, signing what users hand in, sealing what is forwarded, and taking back what was rewritten.
    #[must_use]
    pub fn signing(self, signing: Signing) -> Inbound {
        Inbound { signing, ..self }
    }

    /// The same, looking at what others bring.
    #[must_use]
    pub fn checking(self, checker: Checker) -> Inbound {
        Inbound { checker, ..self }
    }
}

/// A new session of a listener with these settings; `tls` when the connection began with TLS.
pub fn session(
    inbound: &Inbound,
    settings: Arc<postroad_smtp::Settings>,
    peer: Peer,
    tls: Option<TlsFacts>,
) -> Session {
    let mut session = Session::new(settings, peer, tls, State::new(inbound.stories.clone()));
    inbound.gate.quiet(&mut session);
    session
}

impl World<Session> for Inbound {
    async fn perform(&self, mut session: Session, stage: Stage) -> Result<Session, Fatal> {
        let name = label(&stage);
        let verdict = match stage {
            Stage::Connect => {
                self.renew_offer(&mut session);
                self.arrived(&mut session);
                self.connect(&session)
            }
            Stage::Helo => {
                self.renew_offer(&mut session);
                Verdict::Accept
            }
            Stage::Claim(claim) => self.claimed(&mut session, &claim).await,
            Stage::Etrn(etrn) => self.start_queue(&etrn).await,
            Stage::Auth(check) => self.authenticate(&mut session, check).await,
            Stage::Mail(from) => match self.mail(&mut session, from).await {
                Ok(words) => words.map_or(Verdict::Accept, Verdict::AcceptWith),
                Err(reply) => Verdict::Refuse(reply),
            },
            Stage::Rcpt(to) => self.rcpt(&mut session, to).await,
            Stage::Body(piece) => {
                let result = self.take_piece(&mut session, &piece).await;
                verdict(result)
            }
            Stage::Burl { url, offset } => self.burl(&mut session, url, offset).await,
            Stage::Message => {
                let verdict = self.finish(&mut session).await;
                session.world.end_transaction();
                verdict
            }
            Stage::Abandon(why) => {
                self.abandon(&mut session, &why);
                Verdict::Accept
            }
            Stage::Abuse(abuse) => {
                self.abused(&mut session, abuse);
                Verdict::Accept
            }
        };
        count(session.role(), name, &verdict);
        session.verdict(verdict);
        Ok(session)
    }

    fn news(&self, session: &Session, _greeting: &Stage) -> impl Future<Output = ()> + Send {
        self.silence(session)
    }

    fn label(&self, stage: &Stage) -> &'static str {
        label(stage)
    }
}

impl Inbound {
    fn connect(&self, session: &Session) -> Verdict {
        let client = session.peer().remote.ip();
        verdict(connect::decide(session.role(), client, &self.settings.lmtp_clients))
    }

    /// The words, where they are not the usual ones.
    async fn mail(&self, session: &mut Session, from: MailFrom) -> Result<Option<Reply>, Reply> {
        session.world.end_transaction();
        let now = (self.clock)();
        let mut story = Story::begin();
        let path = from.path.as_ref().map(ToString::to_string).unwrap_or_default();
        story.note(now, "connected", connection(session));
        story.note(now, "from", format_args!("<{path}>{}", parameters(&from)));
        story.key(&path);
        session.world.story = Some(story);
        let decision = match self.decide_sender(session, &from).await {
            Ok(()) => self.gate_sender(session, &from).and_then(|()| self.grant(session, &from)),
            Err(reply) => Err(reply),
        };
        if let Err(reply) = &decision {
            session.world.refused(now, "MAIL FROM", reply);
            session.world.end_transaction();
        }
        decision
    }

    /// One look into the store at most: none for strangers, and none for an account's own address.
    async fn decide_sender(&self, session: &mut Session, from: &MailFrom) -> Result<(), Reply> {
        let (role, login) = (session.role(), login(session).cloned());
        let path = from.path.as_ref();
        let address = path.and_then(|path| Address::new(path.local(), path.domain()?).ok());
        let owned = match (&login, address) {
            (Some(login), Some(address)) if login.address == address => true,
            (Some(login), Some(address)) => {
                let account = login.account;
                self.look(move |tx| addresses::may_send_as(tx, account, &address)).await?
            }
            (Some(_), None) | (None, _) => false,
        };
        let login = login.as_ref().map(|login| login.name.as_str());
        mail::decide(mail::Facts { role, login, sender: path, owned })
    }

    async fn rcpt(&self, session: &mut Session, to: RcptTo) -> Verdict {
        let now = (self.clock)();
        if let Some(story) = &mut session.world.story {
            story.key(&to.path);
        }
        match self.decide_and_gate(session, &to).await {
            Ok(accepted) => {
                session.world.recipients.push(accepted);
                self.check_early(session);
                Verdict::Accept
            }
            Err(refused) => {
                session.world.refused(now, &format!("RCPT TO:<{}>", to.path), &refused.reply);
                session.world.unknown += u32::from(refused.unknown);
                let guessing = session.world.unknown > self.settings.unknown_limit
                    && login(session).is_none()
                    && session.role() == Role::Relay
                    && !session.peer().is_loopback();
                if guessing {
                    self.guessed(session, &to.path);
                }
                match guessing {
                    true => Verdict::Close(Reply::new(421, (4, 7, 0), "Too many unknown recipients.")),
                    false => Verdict::Refuse(refused.reply),
                }
            }
        }
    }

    /// The gate stands behind the policy here, so that it is asked only about recipients that there are.
    async fn decide_and_gate(&self, session: &mut Session, to: &RcptTo) -> Result<Accepted, rcpt::Refused> {
        let accepted = self.decide_recipient(session, to).await?;
        let name = accepted.name.as_ref().map_or_else(|| to.path.to_string(), ToString::to_string);
        match self.gate_recipient(session, &to.path, &name, &accepted).await {
            Ok(()) => Ok(accepted),
            Err(reply) => Err(rcpt::Refused { reply, unknown: false }),
        }
    }

    fn abandon(&self, session: &mut Session, why: &Abandoned) {
        let now = (self.clock)();
        match why {
            Abandoned::Body(reply) => session.world.refused(now, "the message", reply),
            Abandoned::Reset | Abandoned::Quit => {
                if let Some(story) = &mut session.world.story {
                    story.note(now, "abandoned", "the client gave the transaction up");
                }
            }
        }
        session.world.end_transaction();
    }

    /// One look into the store; what fails becomes the reply.
    pub(crate) async fn look<R: Send + 'static>(
        &self,
        look: impl FnOnce(&ReadTx) -> postroad_mail::Result<R> + Send + 'static,
    ) -> Result<R, Reply> {
        self.store.read(look).await.map_err(|error| {
            replies::log(&error, "looking up an address");
            replies::mail_failed(&error, self.settings.full_mailbox)
        })
    }
}

/// The first event of a story: who it was, how, and as whom.
pub(crate) fn connection(session: &Session) -> String {
    let peer = session.peer();
    let role = role_name(session.role());
    let mut text = format!("{role} from {} to {}", peer.remote, peer.local);
    if let Some(helo) = session.helo() {
        text.push_str(&format!(", called itself {:?}", helo.name));
    }
    match session.tls() {
        Some(tls) => {
            let group = tls.group.as_deref().unwrap_or("no group");
            text.push_str(&format!(", {} {} {group}", tls.version, tls.cipher));
        }
        None => text.push_str(", in clear"),
    }
    if let Some(identity) = session.identity() {
        text.push_str(&format!(", logged in as {} by {}", identity.login, identity.mechanism));
    }
    text.push_str(&extensions::claims(session));
    text
}

fn parameters(from: &MailFrom) -> String {
    let mut text = String::new();
    if let Some(size) = from.size {
        text.push_str(&format!(" SIZE={size}"));
    }
    if let Some(envid) = &from.envid {
        text.push_str(&format!(" ENVID={envid}"));
    }
    if from.smtputf8 {
        text.push_str(" SMTPUTF8");
    }
    text.push_str(&extensions::story_of(from));
    text
}

fn verdict(result: Result<(), Reply>) -> Verdict {
    match result {
        Ok(()) => Verdict::Accept,
        Err(reply) => Verdict::Refuse(reply),
    }
}

fn label(stage: &Stage) -> &'static str {
    match stage {
        Stage::Connect => "connect",
        Stage::Helo => "helo",
        Stage::Claim(_) => "claim",
        Stage::Etrn(_) => "etrn",
        Stage::Auth(_) => "auth",
        Stage::Mail(_) => "mail",
        Stage::Rcpt(_) => "rcpt",
        Stage::Body(_) => "body",
        Stage::Burl { .. } => "burl",
        Stage::Message => "message",
        Stage::Abandon(_) => "abandon",
        Stage::Abuse(_) => "abuse",
    }
}

/// The role's name in metrics and stories.
pub(crate) fn role_name(role: Role) -> &'static str {
    match role {
        Role::Relay => "relay",
        Role::Submission => "submission",
        Role::Lmtp => "lmtp",
    }
}

/// How long stages take, the loop records under the same labels.
fn count(role: Role, stage: &'static str, verdict: &Verdict) {
    let outcome = match verdict {
        Verdict::Sasl(answer) => match &**answer {
            Answer::Granted { .. } => "accepted",
            // The client has to say more.
            Answer::Scram(_) | Answer::Challenge(_) | Answer::Gss(_) => return,
            Answer::Refused { why, .. } if why.reply.is_permanent() => "refused",
            Answer::Refused { .. } | Answer::Unavailable => "deferred",
        },
        Verdict::Accept | Verdict::AcceptWith(_) | Verdict::Authenticated(_) | Verdict::Octets { .. } => "accepted",
        Verdict::Refuse(reply) | Verdict::Close(reply) if reply.is_transient() => "deferred",
        Verdict::Refuse(_) | Verdict::Close(_) => "refused",
        Verdict::PerRecipient(replies) if replies.iter().any(Reply::is_positive) => "accepted",
        Verdict::PerRecipient(replies) if replies.iter().any(Reply::is_transient) => "deferred",
        Verdict::PerRecipient(_) => "refused",
    };
    let role = role_name(role);
    // Pieces of messages would only tell how large the messages were.
    if stage != "body" || outcome != "accepted" {
        metrics::counter!("postroad_smtp_verdicts_total", "role" => role, "stage" => stage, "outcome" => outcome)
            .increment(1);
    }
}
