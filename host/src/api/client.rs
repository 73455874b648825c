//! The queries of guests' clients: the handlers of the management API, without a request over HTTP.

use std::sync::Arc;

use axum::http::{HeaderName, HeaderValue, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use dacapo_core::Failure;
use dacapo_core::guest::{ClientFuture, ClientQuery};
use serde_json::{Map, Value, json};

use super::context::Api;
use super::request::parameter::{CONTINUATION, Location};
use super::request::route::{Found, Group, Route, placeholder};
use super::request::{Call, Query};
use super::table::GROUPS;
use crate::access::Caller;
use crate::hub::{Hub, QueryApi};

/// The option that stands for the header with the token of the previous page.
const CONTINUATION_OPTION: &str = "continuationToken";

/// Parameters that a client of the own hub has no use for.
const NOT_OPTIONS: [&str; 3] = ["taskHub", "connection", "returnInternalServerErrorOnFailure"];

impl QueryApi for Api {
    fn query(self: Arc<Self>, hub: Hub, query: ClientQuery) -> ClientFuture {
        Box::pin(async move {
            let most = hub.bytes_of_an_answer();
            let is_list = LISTS.iter().find(|(operation, _)| *operation == query.operation).map(|(_, member)| *member);
            let call = call_of(self, hub, query)?;
            let route = call.found.route;
            let response = (route.handler)(call).await.unwrap_or_else(IntoResponse::into_response);
            answer(response, is_list, most).await
        })
    }
}

/// Operations whose answer is a page, and the member that holds the list.
const LISTS: [(&str, &str); 2] = [("listInstances", "instances"), ("listEntities", "entities")];

fn call_of(api: Arc<Api>, hub: Hub, query: ClientQuery) -> Result<Call, Failure> {
    let ClientQuery { operation, parameters, options } = query;
    let options = read_options(&options)?;
    let given: Vec<(String, String)> =
        parameters.into_iter().map(|(name, value)| (name.to_owned(), value)).chain(options).collect();
    let (group, route) = route_of(operation, &given);
    let value = |name: &str| given.iter().find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone());
    let captures = route.placeholders().map(|name| value(name).unwrap_or_default()).collect();
    let found = Found { group, route, captures };
    let mut pairs = Vec::new();
    let mut head = Request::builder().method(route.method.clone()).uri("/").body(()).expect("it is a request").into_parts().0;
    for (name, value) in given {
        let known = group.parameters.iter().chain(route.parameters).find(|about| about.name.eq_ignore_ascii_case(&name));
        if route.placeholders().any(|placeholder| placeholder.eq_ignore_ascii_case(&name)) {
            continue;
        }
        if name == CONTINUATION_OPTION && found.declares(&CONTINUATION.about) {
            let value = HeaderValue::from_str(&value).map_err(|_| invalid(format!("'{value}' is not a continuation token")))?;
            head.headers.insert(HeaderName::from_static(CONTINUATION.about.name), value);
        } else if known.is_some_and(|about| about.location == Location::Query) && !NOT_OPTIONS.contains(&name.as_str()) {
            pairs.push((name, value));
        } else {
            return Err(invalid(format!("there is no option '{name}'; there are: {}", known_options(&found))));
        }
    }
    let caller = Caller::code(hub.name());
    Ok(Call { caller, hub: Some(hub), query: Query::of(pairs), ..Call::new(api, found, head) })
}

/// The options of an operation, for an error.
fn known_options(found: &Found) -> String {
    let query = found.group.parameters.iter().chain(found.route.parameters).filter(|about| about.location == Location::Query);
    let names = query.map(|about| about.name).filter(|name| !NOT_OPTIONS.contains(name));
    let token = Some(CONTINUATION_OPTION).filter(|_| found.declares(&CONTINUATION.about));
    names.chain(token).collect::<Vec<_>>().join(", ")
}

/// The route of an operation; or, if a parameter is a further segment of its path, the longer one.
fn route_of(operation: &str, given: &[(String, String)]) -> (&'static Group, &'static Route) {
    let all = || GROUPS.iter().flat_map(|group| group.routes.iter().map(|route| (*group, route)));
    let (group, route) = all().find(|(_, route)| route.operation == operation).expect("a client's queries are operations");
    let longer = group.routes.iter().find(|longer| {
        let last = longer.pattern.strip_prefix(route.pattern).and_then(|rest| placeholder(rest.strip_prefix('/')?));
        longer.method == route.method && last.is_some_and(|last| given.iter().any(|(name, _)| name.eq_ignore_ascii_case(last)))
    });
    (group, longer.unwrap_or(route))
}

/// Reads options as texts, as they would stand in a query.
fn read_options(options: &str) -> Result<Vec<(String, String)>, Failure> {
    if options.trim().is_empty() {
        return Ok(Vec::new());
    }
    let options: Map<String, Value> =
        serde_json::from_str(options).map_err(|why| invalid(format!("the options are not a JSON object: {why}")))?;
    let mut texts = Vec::new();
    for (name, value) in options {
        match value {
            Value::Null => {}
            Value::Array(items) => {
                let items: Option<Vec<String>> = items.iter().map(text_of).collect();
                let items =
                    items.ok_or_else(|| invalid(format!("the option '{name}' holds something other than texts and numbers")))?;
                if !items.is_empty() {
                    texts.push((name, items.join(",")));
                }
            }
            value => match text_of(&value) {
                Some(text) => texts.push((name, text)),
                None => {
                    return Err(invalid(format!("the option '{name}' must be a text, a number, a boolean, or a list of them")));
                }
            },
        }
    }
    Ok(texts)
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Converts a response. `list`: the member that holds the list of a page.
async fn answer(response: Response, list: Option<&str>, most: usize) -> Result<Option<String>, Failure> {
    let (head, body) = response.into_parts();
    let body = axum::body::to_bytes(body, most).await.map_err(|_| {
        let why = format!("the answer has more than {most} bytes: ask for less at once (top, showInput)");
        Failure::permanent(Failure::LIMIT_EXCEEDED, why)
    })?;
    let text = String::from_utf8_lossy(&body).into_owned();
    match head.status {
        StatusCode::NOT_FOUND => Ok(None),
        status if status.is_success() => Ok(Some(match list {
            None => text,
            Some(member) => {
                let token = head.headers.get(CONTINUATION.about.name).and_then(|token| token.to_str().ok());
                format!("{{\"{member}\":{text},\"{CONTINUATION_OPTION}\":{}}}", json!(token))
            }
        })),
        status => Err(failure(status, &text)),
    }
}

fn failure(status: StatusCode, body: &str) -> Failure {
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    let why =
        body.get("ExceptionMessage").or(Some(&body)).and_then(Value::as_str).unwrap_or("the host gave no reason").to_owned();
    match status {
        StatusCode::TOO_MANY_REQUESTS => Failure::retriable(Failure::LIMIT_EXCEEDED, why),
        status if status.is_client_error() => invalid(why),
        _ => Failure::retriable(Failure::UNAVAILABLE, why),
    }
}

fn invalid(why: String) -> Failure {
    Failure::permanent(Failure::INVALID_ARGUMENT, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_the_parameters_of_a_query() {
        let read = |text: &str| read_options(text).unwrap();
        assert_eq!(read(""), []);
        let all = read(
            r#"{"top":10,"showInput":false,"runtimeStatus":["Running","Pending"],"instanceIdPrefix":"a","createdTimeTo":null}"#,
        );
        let expected = [("instanceIdPrefix", "a"), ("runtimeStatus", "Running,Pending"), ("showInput", "false"), ("top", "10")];
        let mut all: Vec<(&str, &str)> = all.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        all.sort_unstable();
        assert_eq!(all, expected);
        for (wrong, says) in [("[]", "not a JSON object"), ("{", "not a JSON object"), (r#"{"top":{}}"#, "'top' must be")] {
            assert!(read_options(wrong).unwrap_err().message.contains(says), "{wrong}");
        }
        assert!(read_options(r#"{"runtimeStatus":[{}]}"#).unwrap_err().message.contains("'runtimeStatus' holds"));
    }

    #[test]
    fn a_parameter_of_the_path_chooses_the_longer_route() {
        let route = |given: &[(&str, &str)]| {
            let given: Vec<_> = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            route_of("listEntities", &given).1.pattern
        };
        assert_eq!(route(&[]), "entities");
        assert_eq!(route(&[("entityName", "counter")]), "entities/{entityName}");
    }

    #[test]
    fn every_query_of_a_client_is_an_operation() {
        for operation in ["getInstance", "listInstances", "listEntities", "purgeInstances"] {
            assert_eq!(route_of(operation, &[]).1.operation, operation);
        }
    }
}
