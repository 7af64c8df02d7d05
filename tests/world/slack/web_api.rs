//! The Web API at its edge: who calls, in what form, and what becomes of the call. The methods
//! are in files of their own.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get, post};
use serde_json::{Value, json};

use super::arguments::{Arguments, Refusal};
use super::line::Line;
use super::trouble::Fate;
use super::workspace::{Call, Workspace};
use super::{APP_TOKEN, BOT_TOKEN, Slack, answers, chat, conversations, links, socket, views};

const SCOPES: &str = "chat:write,im:write,channels:history,im:history,commands";

type Method = fn(&mut Workspace, &mut Arguments) -> Result<Value, Refusal>;

pub(super) fn router(slack: Slack) -> Router {
    Router::new()
        .route("/api/{method}", any(call))
        .route("/response/{id}", post(answers::later))
        .route("/link/", get(socket::open))
        .with_state(slack)
}

/// A method and the token that it wants.
fn find(name: &str) -> Option<(Method, &'static str)> {
    Some(match name {
        "auth.test" => (conversations::who, BOT_TOKEN),
        "conversations.open" => (conversations::open, BOT_TOKEN),
        "conversations.history" => (conversations::history, BOT_TOKEN),
        "chat.postMessage" => (chat::post, BOT_TOKEN),
        "chat.update" => (chat::update, BOT_TOKEN),
        "chat.postEphemeral" => (chat::post_ephemeral, BOT_TOKEN),
        "views.open" => (views::open, BOT_TOKEN),
        "apps.connections.open" => (links::open, APP_TOKEN),
        _ => return None,
    })
}

async fn call(
    State(slack): State<Slack>,
    ConnectInfo(line): ConnectInfo<Line>,
    Path(name): Path<String>,
    method: axum::http::Method,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if method != axum::http::Method::POST {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let body = String::from_utf8_lossy(&body).into_owned();
    slack.change(|workspace| answer(workspace, &line, &name, &headers, &body))
}

fn answer(workspace: &mut Workspace, line: &Line, name: &str, headers: &HeaderMap, body: &str) -> Response {
    let fate = workspace.trouble.fate(name);
    let (given, done) = match &fate {
        Fate::Answered | Fate::DoneAndDropped => carry_out(workspace, name, headers, body),
        Fate::Refused(error) => (given(headers, body), Err(Refusal::of(error))),
        Fate::Limited(_) => (given(headers, body), Err(Refusal::of("ratelimited"))),
        Fate::Down | Fate::Dropped => (given(headers, body), Err(Refusal::of("internal_error"))),
    };
    if matches!(fate, Fate::Dropped | Fate::DoneAndDropped) {
        line.cut();
    }
    let status = match fate {
        Fate::Limited(_) => StatusCode::TOO_MANY_REQUESTS,
        Fate::Down => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::OK,
    };
    let answer = done.unwrap_or_else(|refusal| refusal.body());
    let call =
        Call { method: name.to_owned(), arguments: given, status: status.as_u16(), answer: answer.clone() };
    workspace.calls.push(call);
    let kind = [(header::CONTENT_TYPE, "application/json; charset=utf-8")];
    let mut response = (status, kind, answer.to_string()).into_response();
    if let Fate::Limited(seconds) = fate {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response.headers_mut().insert("x-oauth-scopes", SCOPES.parse().unwrap());
    response
}

/// What was asked for, where that can be read.
fn given(headers: &HeaderMap, body: &str) -> Value {
    let read = Arguments::read(content_type(headers), body);
    read.map_or(Value::Null, |(arguments, _)| arguments.all())
}

fn content_type(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::CONTENT_TYPE)?.to_str().ok()
}

fn carry_out(
    workspace: &mut Workspace,
    name: &str,
    headers: &HeaderMap,
    body: &str,
) -> (Value, Result<Value, Refusal>) {
    let (mut arguments, warning) = match Arguments::read(content_type(headers), body) {
        Ok(read) => read,
        Err(refusal) => return (Value::Null, Err(refusal)),
    };
    let given = arguments.all();
    (given, run(workspace, name, headers, &mut arguments).map(|answer| warned(answer, warning)))
}

fn run(
    workspace: &mut Workspace,
    name: &str,
    headers: &HeaderMap,
    arguments: &mut Arguments,
) -> Result<Value, Refusal> {
    let (method, wanted) = find(name).ok_or_else(|| Refusal::of("unknown_method"))?;
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = authorization.and_then(|value| value.strip_prefix("Bearer "));
    let token = token.ok_or_else(|| Refusal::of("not_authed"))?;
    if token != wanted {
        let known = [BOT_TOKEN, APP_TOKEN].contains(&token);
        return Err(Refusal::of(if known { "not_allowed_token_type" } else { "invalid_auth" }));
    }
    // It may be said once more among the arguments; it must be the same then.
    if arguments.text("token").is_some_and(|said| said != token) {
        return Err(Refusal::of("invalid_auth"));
    }
    let mut answer = method(workspace, arguments)?;
    answer["ok"] = json!(true);
    Ok(answer)
}

fn warned(mut answer: Value, warning: Option<&str>) -> Value {
    if let Some(warning) = warning {
        answer["warning"] = json!(warning);
        answer["response_metadata"]["warnings"] = json!([warning]);
    }
    answer
}
