//! A real Chromium at the pages, with an authenticator and with its scripts switched off.

use postroad_testkit::{Chromium, Scripts};
use serde_json::{Value, json};

use crate::world::{LOGIN, PASSWORD, PUBLIC, World, authorize, form, program, redeem_at};

/// What a laptop with a finger reader has, as WebDriver names it (WebAuthn level 2 §11.2).
fn laptop() -> Value {
    json!({
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": true,
        "hasUserVerification": true,
        "isUserVerified": true,
        "isUserConsenting": true,
    })
}

fn log_in(browser: &Chromium) {
    browser.fill("#login", LOGIN);
    browser.fill("#password", PASSWORD);
    browser.click("form[action='/login'] button");
}

fn make(browser: &Chromium, world: &World, name: &str) {
    browser.open(&world.at("/account/passkey"));
    browser.fill("#name", name);
    browser.click("form[action='/account/passkey'] button");
    browser.await_words(name);
    browser.await_words("You are logged in as");
}

fn log_out(browser: &Chromium) {
    browser.click("form[action='/logout'] button");
    browser.await_words("Log in again");
}

const PASSKEY: &str = "form[action='/login/passkey'] button";

#[tokio::test(flavor = "multi_thread")]
async fn passkeys_in_chromium() {
    let world = World::in_tls();
    let browser = Chromium::start(Scripts::On);
    let authenticator = browser.add_authenticator(&laptop());
    browser.open(&world.at("/account"));
    log_in(&browser);
    browser.await_words("You are logged in as");
    make(&browser, &world, "Laptop");
    let made = browser.credentials(&authenticator);
    assert_eq!(
        (made.len(), &made[0]["rpId"], &made[0]["isResidentCredential"]),
        (1, &json!("localhost"), &json!(true))
    );
    // The same authenticator makes no second one for the same account.
    browser.open(&world.at("/account/passkey"));
    browser.fill("#name", "again");
    browser.click("form[action='/account/passkey'] button");
    browser.await_words("The browser has shown no passkey");
    browser.open(&world.at("/account"));
    log_out(&browser);
    // By the passkey alone.
    browser.open(&world.at("/login"));
    browser.click(PASSKEY);
    browser.await_words("You are logged in as");
    assert!(browser.seen().contains("Laptop") && browser.seen().contains(LOGIN));
    log_out(&browser);
    // Who holds it is not verified: the browser itself says no. Without the passkey, too.
    browser.verifies(&authenticator, false);
    browser.open(&world.at("/login"));
    browser.click(PASSKEY);
    browser.await_words("The browser has shown no passkey");
    browser.verifies(&authenticator, true);
    // A copy of it that has signed less often: refused, and the password goes on.
    let kept = browser.credentials(&authenticator).remove(0);
    let mut copy = kept.clone();
    copy["signCount"] = json!(0);
    browser.remove_credential(&authenticator, kept["credentialId"].as_str().expect("an id"));
    browser.put_credential(&authenticator, &copy);
    browser.open(&world.at("/login"));
    browser.click(PASSKEY);
    browser.await_words("This passkey opens nothing here");
    let id = kept["credentialId"].as_str().expect("an id");
    browser.remove_credential(&authenticator, id);
    let mut onward = kept.clone();
    onward["signCount"] = json!(kept["signCount"].as_u64().expect("a count") + 10);
    browser.put_credential(&authenticator, &onward);
    log_in(&browser);
    browser.await_words("You are logged in as");
    // A security key that is only touched, and keeps nothing of its own: as the second step, with nothing else than passkeys.
    browser.remove_authenticator(&authenticator);
    let mut key = laptop();
    key["transport"] = json!("usb");
    for lacks in ["hasResidentKey", "hasUserVerification", "isUserVerified"] {
        key[lacks] = json!(false);
    }
    browser.add_authenticator(&key);
    make(&browser, &world, "Security key");
    browser.open(&world.at("/account/second-step"));
    browser.click("form[action='/account/second-step/passkeys'] button");
    browser.await_words("These are your recovery codes");
    browser.open(&world.at("/account"));
    log_out(&browser);
    browser.open(&world.at("/account"));
    log_in(&browser);
    browser.await_words("One of your recovery codes");
    browser.click("form[action='/login/second-step'][data-passkey] button");
    browser.await_words("You are logged in as");
    browser.open(&world.at("/account/second-step"));
    browser.click("form[action='/account/second-step/off'][data-passkey] button");
    browser.await_words("Turn the second step on");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_provider_without_scripts() {
    let world = World::in_tls();
    let browser = Chromium::start(Scripts::Off);
    // A program asks; its person logs in and allows it.
    let asked = authorize(PUBLIC, "openid mail:imap offline_access", &[]);
    browser.open(&world.at(&asked));
    assert!(browser.seen().contains("Program <desk>") && !browser.shows(PASSKEY), "{}", browser.source());
    log_in(&browser);
    browser.await_words("wants to use the account");
    // Where the program listens.
    let (place, heard) = program().await;
    let asked = authorize(PUBLIC, "openid mail:imap offline_access", &[("redirect_uri", &place)]);
    browser.open(&world.at(&asked));
    browser.click("button[value=allow]");
    let heard = heard.await.expect("the program hears");
    let code = heard.split("code=").nth(1).and_then(|rest| rest.split(['&', ' ']).next()).expect("a code").to_owned();
    let given = world.secure_post("/oauth/token", &form(&redeem_at(&code, &place)));
    let token = given["access_token"].as_str().unwrap_or_else(|| panic!("{given}")).to_owned();
    assert!(world.opens(&token, postroad_mail::Service::Imap));
    // On the account's page: the program, which is cut off; a password for another.
    browser.open(&world.at("/account"));
    assert!(browser.seen().contains("Program <desk>"), "{}", browser.seen());
    browser.open(&world.at("/account/app-password"));
    browser.fill("#name", "Old phone");
    browser.click("form button");
    browser.await_words("The password for Old phone");
    browser.open(&world.at("/account"));
    let card = "//li[contains(., 'Program <desk>')]//button";
    browser.click_on(card);
    browser.await_words("You have allowed no program anything");
    assert!(!world.opens(&token, postroad_mail::Service::Imap));
    assert!(browser.seen().contains("Old phone"));
    // The session that it is in, cut off, is over.
    browser.click_on("//li[contains(., '(this one)')]//button");
    browser.await_words("Log in");
    assert!(browser.address().contains("/login"), "{}", browser.address());
    // Passkeys are spoken of, and not needed.
    log_in(&browser);
    browser.await_words("You are logged in as");
    browser.open(&world.at("/account/passkey"));
    assert!(browser.seen().contains("Browsers show passkeys to scripts alone"), "{}", browser.seen());
    assert!(!browser.shows("form[action='/account/passkey']"));
}
