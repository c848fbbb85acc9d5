//! Fixed next hosts.

use std::net::IpAddr;

use postroad_queue as queue;
use postroad_queue::grants::{self, Grant};
use postroad_queue::{Route, RouteCredential, RouteLogin, RouteTls};
use postroad_store::Locks;
use postroad_store::seal::Sealer;
use serde_json::json;

use super::{Desk, Outcome, Refusal, domain_name};
use crate::admin::answer::aligned;
use crate::admin::{Answer, LoginWish, RouteWish};

pub(super) fn add(desk: &Desk<'_>, wish: RouteWish) -> Outcome {
    let route = route(wish)?;
    let (now, put) = (desk.now, route.clone());
    let known = desk.store.write_blocking(Locks::none(), move |tx| queue::put_route(tx, &put, now))?.value;
    let again = if known { ", in place of the route it had" } else { "" };
    let whose = words(&route.domain);
    let Route { host, port, .. } = &route;
    Ok(Answer::done(format!("{whose} goes to {host} port {port}, {}{again}", tls_words(route.tls))))
}

pub(super) fn list(desk: &Desk<'_>) -> Outcome {
    let routes = desk.store.read_blocking(queue::routes)?;
    let grants = desk.store.read_blocking(grants::list)?;
    Ok(Answer::Report { text: text(&routes, &grants), data: data(&routes, &grants) })
}

/// A route signs in with what a provider has granted.
pub(super) fn login(desk: &Desk<'_>, wish: LoginWish) -> Outcome {
    let domain = target(&wish.domain)?;
    let named = domain.clone();
    let routes = desk.store.read_blocking(queue::routes)?;
    let mut route = routes.into_iter().find(|route| route.domain == named).ok_or_else(|| {
        Refusal(format!(
            "there is no route for {domain}; make it first with `postroad route add '{domain}' HOST --tls …`"
        ))
    })?;
    protected(&route.host, route.tls, "a token")?;
    let user = wish.user.or_else(|| route.login.as_ref().map(|login| login.user.clone()));
    let user = user.ok_or_else(|| Refusal("say with --user as whom the route signs in".to_owned()))?;
    let sealer = Sealer::open(&wish.key).map_err(|error| Refusal(error.to_string()))?;
    let grant = wish.granting.sealed(&sealer, &domain, desk.now);
    route.login = Some(RouteLogin::grant(user.as_str(), domain.as_str()));
    let (now, host) = (desk.now, route.host.clone());
    desk.store.write_blocking(Locks::none(), move |tx| {
        grants::put(tx, &grant)?;
        queue::put_route(tx, &route, now)
    })?;
    Ok(Answer::done(format!("{} signs in at {host} as {user} with tokens, which are renewed in time", words(&domain))))
}

/// What is secret is not sent in clear, but to this machine itself.
fn protected(host: &str, tls: RouteTls, what: &str) -> Outcome<()> {
    let here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    match tls {
        RouteTls::None | RouteTls::Opportunistic if !here => {
            Err(Refusal(format!("{what} must not go over the net in clear: add --tls required, verified or implicit")))
        }
        RouteTls::None
        | RouteTls::Opportunistic
        | RouteTls::Required
        | RouteTls::Verified
        | RouteTls::Implicit
        | RouteTls::Dane => Ok(()),
    }
}

pub(super) fn remove(desk: &Desk<'_>, domain: &str) -> Outcome {
    let (domain, now) = (target(domain)?, desk.now);
    let gone = domain.clone();
    let removed = desk.store.write_blocking(Locks::none(), move |tx| {
        grants::remove(tx, &gone)?;
        queue::delete_route(tx, &gone, now)
    });
    let known = removed?.value;
    match known {
        true => Ok(Answer::done(format!("{} goes where DNS says again", words(&domain)))),
        false => Err(Refusal(format!("there is no route for {domain}; `postroad route list` shows all"))),
    }
}

/// What the administrator wrote, checked.
fn route(wish: RouteWish) -> Outcome<Route> {
    let domain = target(&wish.domain)?;
    let host = host(&wish.host)?;
    let tls = RouteTls::from_name(&wish.tls).ok_or_else(|| {
        Refusal(format!("{} is no protection: none, opportunistic, required, verified or implicit", wish.tls))
    })?;
    let verifies = matches!(tls, RouteTls::Verified | RouteTls::Implicit);
    if let Some(ca) = &wish.ca {
        if !verifies {
            return Err(Refusal("--ca is for --tls verified or implicit: the others verify nothing".to_owned()));
        }
        if !ca.contains("-----BEGIN CERTIFICATE-----") {
            return Err(Refusal("the file of --ca has no certificate in it (PEM)".to_owned()));
        }
    }
    if wish.login.is_some() {
        protected(&host, tls, "a password")?;
    }
    let port = wish.port.unwrap_or(if tls == RouteTls::Implicit { 465 } else { 25 });
    let login = wish.login.map(|(user, password)| RouteLogin::password(user, password));
    Ok(Route { domain, host, port, tls, ca: wish.ca, login })
}

fn target(text: &str) -> Outcome<String> {
    if text == "*" { Ok(text.to_owned()) } else { domain_name(text).map(|domain| domain.as_str().to_owned()) }
}

/// A name or an address, this with or without brackets.
fn host(text: &str) -> Outcome<String> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let bare = bare.strip_prefix("IPv6:").unwrap_or(bare);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(address.to_string());
    }
    let name = domain_name(text)?;
    if name.as_str().starts_with('[') {
        return Err(Refusal(format!("{text} is not an address")));
    }
    Ok(name.as_str().to_owned())
}

fn words(domain: &str) -> String {
    if domain == "*" { "all mail without a route of its own".to_owned() } else { format!("mail for {domain}") }
}

fn tls_words(tls: RouteTls) -> &'static str {
    match tls {
        RouteTls::None => "in clear",
        RouteTls::Opportunistic => "with TLS when it is offered",
        RouteTls::Required => "with TLS, whatever the certificate",
        RouteTls::Verified => "with TLS, the certificate verified",
        RouteTls::Implicit => "with TLS from the start, the certificate verified",
        RouteTls::Dane => "with TLS, the certificate as TLSA records say (DANE)",
    }
}

fn text(routes: &[Route], grants: &[Grant]) -> String {
    if routes.is_empty() {
        return "no route: mail goes where DNS says; make one with `postroad route add DOMAIN HOST`\n".to_owned();
    }
    let mut rows = vec![["DOMAIN", "HOST", "PORT", "TLS", "LOGIN"].map(str::to_owned).to_vec()];
    rows.extend(routes.iter().map(|route| {
        let own = if route.ca.is_some() { ", own certificates" } else { "" };
        let login = login_words(route, grants);
        let tls = format!("{}{own}", route.tls.name());
        vec![route.domain.clone(), route.host.clone(), route.port.to_string(), tls, login]
    }));
    aligned(&rows)
}

/// As whom, and how that stands.
fn login_words(route: &Route, grants: &[Grant]) -> String {
    let Some(RouteLogin { user, credential }) = &route.login else { return "-".to_owned() };
    let RouteCredential::Grant(name) = credential else { return user.clone() };
    match grants.iter().find(|grant| grant.name == *name) {
        None => format!("{user} (no token: postroad route login '{}')", route.domain),
        Some(grant) => match &grant.trouble {
            Some(why) if grant.ended => format!("{user} (sign in again: {why})"),
            Some(why) => format!("{user} (token not renewed: {why})"),
            None => format!("{user} (tokens of {})", grant.token_url),
        },
    }
}

fn data(routes: &[Route], grants: &[Grant]) -> serde_json::Value {
    let one = |route: &Route| {
        json!({
            "domain": route.domain, "host": route.host, "port": route.port, "tls": route.tls.name(), "ca": route.ca,
            "user": route.login.as_ref().map(|login| &login.user),
            "tokens": grants.iter().find(|grant| is_shown(route, grant)).map(|grant| json!({
                "provider": grant.token_url, "client": grant.client, "ended": grant.ended, "trouble": grant.trouble,
            })),
        })
    };
    routes.iter().map(one).collect()
}

fn is_shown(route: &Route, grant: &Grant) -> bool {
    matches!(route.login.as_ref().map(|login| &login.credential), Some(RouteCredential::Grant(name)) if *name == grant.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(domain: &str, host: &str, tls: &str) -> RouteWish {
        RouteWish { domain: domain.into(), host: host.into(), port: None, tls: tls.into(), ca: None, login: None }
    }

    #[test]
    fn routes_are_checked() {
        let good = [
            (("Example.TEST", "mx.far.test", "required"), "example.test to mx.far.test:25"),
            (("*", "[192.0.2.1]", "none"), "* to 192.0.2.1:25"),
            (("bücher.test", "2001:db8::1", "implicit"), "xn--bcher-kva.test to 2001:db8::1:465"),
            (("a.test", "[IPv6:2001:db8::1]", "verified"), "a.test to 2001:db8::1:25"),
        ];
        for ((domain, host, tls), expected) in good {
            let Ok(route) = route(wish(domain, host, tls)) else { panic!("{domain} {host} {tls}") };
            assert_eq!(format!("{} to {}:{}", route.domain, route.host, route.port), expected);
        }
        for (domain, host, tls) in
            [("a b", "h.test", "none"), ("a.test", "", "none"), ("a.test", "[x]", "none"), ("a.test", "h.test", "some")]
        {
            assert!(route(wish(domain, host, tls)).is_err(), "{domain} {host} {tls}");
        }
        let login = |host: &str, tls: &str| {
            route(RouteWish { login: Some(("us".into(), "pw".into())), ..wish("a.test", host, tls) }).is_ok()
        };
        assert!(login("h.test", "required") && login("127.0.0.1", "none") && login("h.test", "implicit"));
        assert!(!login("h.test", "none") && !login("h.test", "opportunistic"));
        let ca =
            |tls: &str, pem: &str| route(RouteWish { ca: Some(pem.into()), ..wish("a.test", "h.test", tls) }).is_ok();
        assert!(ca("verified", "-----BEGIN CERTIFICATE-----\n"));
        assert!(!ca("required", "-----BEGIN CERTIFICATE-----\n") && !ca("verified", "nothing"));
    }

    #[test]
    fn routes_are_shown_without_passwords() {
        let Ok(all) =
            route(RouteWish { login: Some(("us".into(), "hidden".into())), ..wish("*", "smart.test", "verified") })
        else {
            panic!("a route")
        };
        let Ok(one) = route(RouteWish { port: Some(2525), ..wish("a.test", "192.0.2.1", "none") }) else {
            panic!("a route")
        };
        let routes = [all, one];
        let expected = "\
DOMAIN  HOST        PORT  TLS       LOGIN
*       smart.test  25    verified  us
a.test  192.0.2.1   2525  none      -
";
        assert_eq!(text(&routes, &[]), expected);
        assert!(!data(&routes, &[]).to_string().contains("hidden"));
        assert_eq!(data(&routes, &[])[0]["user"], "us");
        assert!(text(&[], &[]).starts_with("no route"));
    }
}
