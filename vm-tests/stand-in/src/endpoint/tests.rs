//! Logins over HTTP, without a socket.

use std::fs;

use serde_json::Value;

use super::api::answer;
use super::http::{Answer, Request};
use crate::context::{Captured, Context};

const NOW: u64 = 1_795_326_000;

/// A node with `ops@pve`, whose password is `not a secret`.
fn node() -> (tempfile::TempDir, Context, Captured) {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("etc/pve/priv/lock")).unwrap();
    let (output, warnings) = (Captured::default(), Captured::default());
    let context = Context::replay(root.path(), "pve1", NOW, output.clone(), warnings);
    let words = ["user", "add", "ops@pve", "--password", "not a secret"].map(str::to_owned);
    assert_eq!(crate::run("pveum", &words, &context), 0);
    (root, context, output)
}

fn ask(context: &Context, method: &str, target: &str, headers: &[(&str, &str)], form: &str) -> Answer {
    let request = Request {
        method: method.to_owned(),
        target: format!("/api2/json/{target}"),
        headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        body: form.as_bytes().to_vec(),
    };
    answer(context, &request, "::ffff:192.0.2.7")
}

fn log_in(context: &Context, form: &str) -> (u16, Value) {
    let answer = ask(context, "POST", "access/ticket", &[], form);
    (answer.status, serde_json::from_str(&answer.body).unwrap())
}

#[test]
fn a_password_gives_a_ticket_that_opens_the_api() {
    let (_root, context, _) = node();
    let (status, body) = log_in(&context, "username=ops%40pve&password=not+a+secret");
    assert_eq!(status, 200, "{body}");
    let cookie = format!("PVEAuthCookie={}", body["data"]["ticket"].as_str().unwrap().replace('+', "%2B"));
    assert_eq!(ask(&context, "GET", "version", &[("cookie", &cookie)], "").status, 200);
    assert_eq!(ask(&context, "GET", "version", &[], "").status, 401);
    assert_eq!(ask(&context, "GET", "version", &[("cookie", "PVEAuthCookie=PVE:x")], "").status, 401);
}

#[test]
fn a_refusal_tells_the_client_nothing() {
    let (_root, context, _) = node();
    for form in ["username=ops@pve&password=wrong", "username=nobody@pve&password=wrong"] {
        let (status, body) = log_in(&context, form);
        assert_eq!(status, 401);
        assert_eq!(body["message"], "authentication failure\n");
        assert_eq!(body["data"], Value::Null);
    }
    assert_eq!(log_in(&context, "username=ops@pve").0, 400);
}

#[test]
fn c5_a_second_factor_is_asked_for_in_a_second_step() {
    let (_root, context, output) = node();
    let words =
        ["create", "/access/tfa/ops@pve", "--type", "recovery", "--output-format", "json"].map(str::to_owned);
    output.take();
    assert_eq!(crate::run("pvesh", &words, &context), 0);
    let made: Value = serde_json::from_slice(&output.take()).unwrap();
    let key = made["recovery"][0].as_str().unwrap();
    let (status, body) = log_in(&context, "username=ops@pve&password=not+a+secret");
    assert_eq!((status, body["data"]["NeedTFA"].clone()), (200, Value::from(1)));
    let ticket = body["data"]["ticket"].as_str().unwrap();
    assert!(ticket.starts_with("PVE:!tfa!"), "{ticket}");
    let escaped = ticket.replace('%', "%25").replace('+', "%2B").replace('&', "%26");
    let second = format!("username=ops@pve&password=recovery:{key}&tfa-challenge={escaped}");
    assert_eq!(
        ask(&context, "GET", "version", &[("cookie", &format!("PVEAuthCookie={escaped}"))], "").status,
        401
    );
    assert_eq!(log_in(&context, &second).0, 200);
    assert_eq!(log_in(&context, &second).0, 401, "a recovery key works once");
}

#[test]
fn an_api_token_opens_the_api_by_its_value_alone() {
    let (_root, context, output) = node();
    let words = ["user", "token", "add", "ops@pve", "web", "--output-format", "json"].map(str::to_owned);
    output.take();
    assert_eq!(crate::run("pveum", &words, &context), 0);
    let made: Value = serde_json::from_slice(&output.take()).unwrap();
    let status = |value: &str| {
        let header = format!("PVEAPIToken=ops@pve!web={value}");
        ask(&context, "GET", "version", &[("authorization", &header)], "").status
    };
    assert_eq!(status(made["value"].as_str().unwrap()), 200);
    assert_eq!(status("8161fcd1-0905-4f7d-aae6-3d71cb777ba1"), 401);
}
