//! `pvedaemon`: the API on 127.0.0.1:85.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::access::login::Refused;
use crate::access::user_config::UserConfig;
use crate::access::{ticket, tokens};
use crate::api::{self, Verb};
use crate::command_line::parameter::Parameters;
use crate::context::Context;
use crate::endpoint::http::{Answer, Request, decode, send};
use crate::endpoint::{proxy, server};
use crate::failure::Failure;
use crate::journal::{self, Priority};

/// Name in the journal: what fail2ban's filter looks for.
const NAME: &str = "pvedaemon";
/// A refused request is answered this long after it came (contract 5.1).
const DELAY: Duration = Duration::from_secs(3);

/// `pvedaemon start`
pub fn daemon(_: &Context, arguments: &[String]) -> Result<(), Failure> {
    if server::is_start(arguments) { server::serve(proxy::DAEMON, serve) } else { Ok(()) }
}

fn serve(connection: TcpStream, peer: SocketAddr) -> io::Result<()> {
    let begun = Instant::now();
    let Some(request) = Request::read(&connection)? else { return Ok(()) };
    let client = request.header(&proxy::CLIENT.to_lowercase()).map_or(peer.ip().to_string(), str::to_owned);
    let answer = answer(&Context::of_the_process(), &request, &client);
    if answer.status == 401 || answer.body.contains("\"success\":0") {
        std::thread::sleep(DELAY.saturating_sub(begun.elapsed()));
    }
    send(&connection, &answer.bytes());
    Ok(())
}

/// The answer to a request that came from this address.
pub fn answer(context: &Context, request: &Request, client: &str) -> Answer {
    context.wait_if_slow();
    let path = request.path().strip_prefix("/api2/").and_then(|rest| rest.split_once('/'));
    let Some((format, path)) = path.filter(|(format, _)| ["json", "extjs"].contains(format)) else {
        return bare(501, "no such uri");
    };
    let outcome = match (request.method.as_str(), path) {
        ("POST", "access/ticket") => log_in(context, request, client),
        ("GET", "access/ticket") => Ok(Value::Null),
        ("GET", "access/domains") => call(context, request, path),
        _ => match authenticate(context, request) {
            Ok(()) => call(context, request, path),
            Err(reason) => return bare(401, reason),
        },
    };
    formatted(format, outcome)
}

/// Why a request failed: its status and message, and refused parameters.
struct Refusal {
    status: u16,
    message: String,
    parameters: Vec<(String, String)>,
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        let (status, message) = match failure.message().split_once(' ') {
            Some((code, rest)) => match code.parse() {
                Ok(status) => (status, rest.to_owned()),
                Err(_) => (500, failure.message().to_owned()),
            },
            None => (500, failure.message().to_owned()),
        };
        Self { status, message, parameters: failure.refused().to_vec() }
    }
}

/// One step of a login. The client learns no more than that it failed; the journal has the reason.
fn log_in(context: &Context, request: &Request, client: &str) -> Result<Value, Refusal> {
    let parameters = request.parameters();
    let get = |wanted: &str| {
        parameters
            .iter()
            .find(|(name, _)| name == wanted)
            .map(|(_, value)| value.as_str())
            .filter(|v| !v.is_empty())
    };
    let missing: Vec<(String, String)> = ["username", "password"]
        .iter()
        .filter(|name| get(name).is_none())
        .map(|name| ((*name).to_owned(), "property is missing and it is not optional".to_owned()))
        .collect();
    let (Some(user), Some(password)) = (get("username"), get("password")) else {
        let message = "Parameter verification failed.".to_owned();
        return Err(Refusal { status: 400, message, parameters: missing });
    };
    let user = get("realm").map_or_else(|| user.to_owned(), |realm| format!("{user}@{realm}"));
    match ticket::log_in(context, &user, password, get("tfa-challenge")) {
        Ok(answer) => {
            let text = format!("<root@pam> successful auth for user '{user}'");
            journal::write(context, NAME, Priority::Information, &text);
            Ok(answer)
        }
        Err(refused) => {
            report(context, &user, client, &refused);
            let message = "authentication failure\n".to_owned();
            Err(Refusal { status: 401, message, parameters: Vec::new() })
        }
    }
}

/// Both records of a refused login (contract 5.1).
fn report(context: &Context, user: &str, client: &str, refused: &Refused) {
    for line in &refused.log {
        journal::write(context, NAME, Priority::Error, line);
    }
    let text = format!("authentication failure; rhost={client} user={user} msg={}", refused.reason);
    journal::write(context, NAME, Priority::Error, &text);
}

/// Whether the request comes with a ticket or an API token; with a ticket, a change needs its token as well. What is
/// wrong with either is pveproxy's to log, without an address (contract 5.1).
fn authenticate(context: &Context, request: &Request) -> Result<(), &'static str> {
    let failed = |reason: &str| {
        journal::write(context, "pveproxy", Priority::Warning, &format!("authentication failure: {reason}"));
        "Authentication failed!"
    };
    let header = request.header("authorization").and_then(|value| value.strip_prefix("PVEAPIToken"));
    if let Some(token) = header {
        let token = decode(token.trim_start_matches(['=', ' ']));
        return check_token(context, &token).map_err(|failure| failed(failure.message()));
    }
    let cookie = request.header("cookie").unwrap_or_default();
    let ticket = cookie.split(';').find_map(|part| part.trim().strip_prefix("PVEAuthCookie=")).map(decode);
    let Some(ticket) = ticket.filter(|ticket| !ticket.is_empty()) else { return Err("No ticket") };
    let Some(user) = ticket::user(context, &ticket) else {
        return Err(failed("permission denied - invalid PVE ticket"));
    };
    let token = request.header("csrfpreventiontoken").unwrap_or_default();
    if request.method != "GET" && !ticket::is_csrf_token(context, &user, token) {
        return Err("Permission denied - invalid csrf token");
    }
    Ok(())
}

/// `USER!NAME=VALUE`: the user enabled, the token known and not expired, the value its own.
fn check_token(context: &Context, token: &str) -> Result<(), Failure> {
    let (id, value) = token.rsplit_once('=').ok_or_else(|| Failure::die("no tokenid specified"))?;
    let (user, name) = id.split_once('!').ok_or_else(|| Failure::die(format!("invalid tokenid '{id}'")))?;
    let config = UserConfig::read(context)?;
    let known = config.user(user)?;
    if !known.enable {
        return Err(Failure::die(format!("user '{user}' is disabled")));
    }
    let Some(found) = known.tokens.get(name) else {
        return Err(Failure::die(format!("no such token '{name}' for user '{user}'")));
    };
    if found.expire > 0 && found.expire < context.now() {
        return Err(Failure::die(format!("token '{name}' access expired")));
    }
    let values = tokens::values(context)?;
    if values.get(id).is_none_or(|own| own != value) {
        return Err(Failure::die("invalid token value!"));
    }
    Ok(())
}

/// Calls a method. Permissions are not looked at: whoever has a ticket may.
fn call(context: &Context, request: &Request, path: &str) -> Result<Value, Refusal> {
    let verb = match request.method.as_str() {
        "GET" => Verb::Get,
        "PUT" => Verb::Set,
        "POST" => Verb::Create,
        "DELETE" => Verb::Delete,
        other => return Err(missing(other, path)),
    };
    let route = api::find(verb, &decode(path)).ok_or_else(|| missing(&request.method, path))?;
    let mut parameters = Parameters::default();
    for (name, value) in request.parameters() {
        parameters.set(&name, value);
    }
    for (name, value) in route.path_parameters {
        parameters.set(name, value);
    }
    Ok(route.method.call(context, &parameters)?)
}

fn missing(method: &str, path: &str) -> Refusal {
    let message = format!("Method '{method} /{path}' not implemented");
    Refusal { status: 501, message, parameters: Vec::new() }
}

fn bare(status: u16, reason: &str) -> Answer {
    Answer { status, reason: reason.to_owned(), kind: "text/html; charset=UTF-8", body: String::new() }
}

/// `json` has the error in the status line, `extjs` is always 200 and has it in the body.
fn formatted(format: &str, outcome: Result<Value, Refusal>) -> Answer {
    let extjs = format == "extjs";
    match outcome {
        Ok(data) if extjs => Answer::json(200, "OK", &json!({ "data": data, "success": 1 })),
        Ok(data) => Answer::json(200, "OK", &json!({ "data": data })),
        Err(refusal) => {
            let mut body = json!({ "data": null, "message": refusal.message });
            if let Some(body) = body.as_object_mut() {
                if !refusal.parameters.is_empty() {
                    let errors = refusal.parameters.into_iter().map(|(name, text)| (name, Value::from(text)));
                    body.insert("errors".to_owned(), errors.collect());
                }
                if extjs {
                    body.insert("status".to_owned(), refusal.status.into());
                    body.insert("success".to_owned(), 0.into());
                }
            }
            if extjs {
                Answer::json(200, "OK", &body)
            } else {
                Answer::json(refusal.status, refusal.message.lines().next().unwrap_or_default(), &body)
            }
        }
    }
}
