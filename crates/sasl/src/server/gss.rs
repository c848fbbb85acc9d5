//! GSSAPI and GSS-SPNEGO, server side (RFC 4752 §3.2): tokens until the context stands, then, for GSSAPI, the choice of a
//! security layer, of which there is one.
//!
//! Transitions: token -> ask -> token .. -> the context stands -> (GSSAPI) an empty response where we had a token to give, the
//! offer, the choice, ask; (GSS-SPNEGO) ask, our last token, an empty response. The verdict is always an [`crate::Answer`] to a
//! question with the context in it: a name that a client writes is never who it is.

use super::{Machine, Move, Moved};
use crate::exchange::Channel;
use crate::gss::{Context, Form, Question, ROUNDS_MAX, Step, TOKEN_LIMIT, first};
use crate::{Error, Evidence};

pub(crate) struct Gss {
    form: Form,
    end_point: Option<Vec<u8>>,
    rounds: usize,
    state: State,
}

enum State {
    /// A token of the client is due.
    Token(Option<Context>),
    /// The library has one.
    Asked,
    /// The context stands, and the client has our last token: an empty response is due, then the offer goes out.
    Taken { context: Context, peer: String, offer: Vec<u8> },
    /// The offer is out: the choice is due.
    Choice { context: Context, peer: String },
    /// The verdict is due; what is left to be told with it.
    Verdict { last: Vec<u8> },
    /// The client has our last token and was let in: an empty response is due.
    Last,
    /// Nothing more is due.
    Over,
}

impl Gss {
    pub(crate) fn new(form: Form, channel: Channel<'_>) -> Gss {
        let end_point = channel.tls.and_then(|tls| tls.bindings.end_point.clone());
        Gss { form, end_point, rounds: 0, state: State::Token(None) }
    }

    fn token(&mut self, context: Option<Context>, token: &[u8]) -> Moved {
        self.rounds += 1;
        if token.len() > TOKEN_LIMIT {
            return Err(Error::TooLong);
        }
        if token.is_empty() || self.rounds > ROUNDS_MAX {
            return Err(Error::BadMessage);
        }
        if context.is_none() {
            first(self.form, token)?;
        }
        self.state = State::Asked;
        let (form, token, end_point) = (self.form, token.to_vec(), self.end_point.clone());
        Ok(ask(String::new(), Question::Token { context, form, token, end_point }))
    }

    fn stands(&mut self, peer: String, step: Step) -> Moved {
        let Step { context, token, offer, .. } = step;
        let (state, moved) = match self.form {
            // There is no security layer in GSS-SPNEGO, and no authorization identity.
            Form::Spnego => {
                let question = Question::Peer { context };
                (State::Verdict { last: token }, ask(peer, question))
            }
            Form::Gssapi if token.is_empty() => (State::Choice { context, peer }, Move::Challenge(offer)),
            Form::Gssapi => (State::Taken { context, peer, offer }, Move::Challenge(token)),
        };
        self.state = state;
        Ok(moved)
    }
}

impl Machine for Gss {
    fn begin(&mut self, initial: Option<&[u8]>) -> Moved {
        match initial {
            Some(token) => self.respond(token),
            None => Ok(Move::Challenge(Vec::new())),
        }
    }

    fn respond(&mut self, response: &[u8]) -> Moved {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Token(context) => self.token(context, response),
            State::Taken { context, peer, offer } if response.is_empty() => {
                self.state = State::Choice { context, peer };
                Ok(Move::Challenge(offer))
            }
            State::Choice { context, peer } if response.len() <= TOKEN_LIMIT => {
                self.state = State::Verdict { last: Vec::new() };
                Ok(ask(peer, Question::Choice { context, wrapped: response.to_vec() }))
            }
            State::Last if response.is_empty() => Ok(Move::Over),
            State::Taken { .. }
            | State::Choice { .. }
            | State::Asked
            | State::Verdict { .. }
            | State::Last
            | State::Over => Err(Error::BadMessage),
        }
    }

    fn stepped(&mut self, step: Step) -> Moved {
        let State::Asked = std::mem::replace(&mut self.state, State::Over) else {
            return Err(Error::BadMessage);
        };
        match &step.peer {
            Some(peer) => self.stands(peer.clone(), step),
            // Neither done nor anything to say: it would wait for ever.
            None if step.token.is_empty() => Err(Error::BadMessage),
            None => {
                self.state = State::Token(Some(step.context));
                Ok(Move::Challenge(step.token))
            }
        }
    }

    fn granted(&mut self, _: Vec<u8>) -> Moved {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Verdict { last } if last.is_empty() => Ok(Move::Over),
            State::Verdict { last } => {
                self.state = State::Last;
                Ok(Move::Challenge(last))
            }
            State::Token(_) | State::Asked | State::Taken { .. } | State::Choice { .. } | State::Last | State::Over => {
                Err(Error::BadMessage)
            }
        }
    }
}

fn ask(authcid: String, question: Question) -> Move {
    Move::Ask { authzid: None, authcid, evidence: Evidence::Gss(Box::new(question)) }
}
