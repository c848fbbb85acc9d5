//! Bearer tokens of the server's own provider.

use postroad_identity::{Scope, Scopes, tokens};
use postroad_mail::credentials;
use postroad_mail::{Authenticated, Refused, Service};
use postroad_sasl::{Answer, Secret, TokenRefusal};

use crate::{Denied, Logins, Who, unavailable};

impl Logins {
    /// Whether a token lets its bearer in; with why not comes what the client is told.
    pub(crate) async fn token(
        &self,
        who: Who,
        mechanism: &str,
        token: Secret,
        service: Service,
    ) -> Result<Answer<Authenticated, Refused>, (Denied, Option<Vec<u8>>)> {
        let now = (self.clock)();
        let look = self.look(move |tx| -> Result<_, postroad_mail::Error> {
            let bearer = match tokens::verify(tx, token.expose(), service, now)? {
                Ok(bearer) => bearer,
                Err(refused) => return Ok(Err(refusal(refused))),
            };
            let grant = (bearer.grant, bearer.client);
            credentials::by_token(tx, &bearer.address, &who.authcid, grant, service)
        });
        match look.await {
            Ok(Ok(who)) => Ok(Answer::granted(who)),
            Ok(Err(refused)) => {
                let configuration = self.configuration.as_deref().map(str::to_owned);
                let scope_missing = refused == Refused::Scope;
                let told = TokenRefusal { scope_missing, scope: scope(service), configuration };
                Err((Denied::Refused(refused), Some(told.json(mechanism))))
            }
            Err(error) => Err((unavailable(error), None)),
        }
    }
}

/// What a token for a service has among its scopes.
fn scope(service: Service) -> String {
    let opens = |scope: &Scope| std::iter::once(*scope).collect::<Scopes>().allow(service);
    let narrow = |scope: &Scope| *scope != Scope::Mail && opens(scope);
    Scope::ALL.into_iter().find(narrow).map_or("", Scope::name).to_owned()
}

fn refusal(refused: tokens::Refused) -> Refused {
    match refused {
        tokens::Refused::Unknown => Refused::Wrong,
        tokens::Refused::Expired => Refused::Expired,
        tokens::Refused::Scope => Refused::Scope,
        tokens::Refused::Suspended => Refused::Suspended,
    }
}
