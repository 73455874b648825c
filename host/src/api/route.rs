//! Which request means what: one table, on one screen.
//!
//! The contract matches literal segments ignoring case and lets ids hold encoded characters, so a path is split first
//! and each segment decoded on its own. In a path `+` is a plus; only in a query is it a space.

use std::future::Future;
use std::pin::Pin;

use axum::http::Method;
use axum::response::Response;
use percent_encoding::percent_decode_str;

use super::body::Takes::{self, Module, Nothing, Payload};
use super::error::ApiError;
use super::request::Call;
use super::{admin, instances, orchestrators};

pub(super) type Handler = fn(Call) -> Pin<Box<dyn Future<Output = Result<Response, ApiError>> + Send>>;

pub(super) struct Route {
    method: Method,
    /// `{name}` stands for any one segment that is not empty.
    pattern: &'static str,
    pub takes: Takes,
    pub handler: Handler,
}

/// The base paths of the management routes: the public one, that of the first version, that of the client libraries.
const BASES: [&str; 3] = ["runtime/webhooks/durabletask", "admin/extensions/DurableTaskExtension", "durabletask"];

/// Durable Functions' management API, below each of [`BASES`].
#[rustfmt::skip]
static MANAGEMENT: &[Route] = &[
    Route { method: Method::POST, pattern: "orchestrators/{functionName}",                  takes: Payload, handler: |call| Box::pin(orchestrators::start(call)) },
    Route { method: Method::POST, pattern: "orchestrators/{functionName}/{instanceId}",     takes: Payload, handler: |call| Box::pin(orchestrators::start(call)) },
    Route { method: Method::GET,  pattern: "instances",                                     takes: Nothing, handler: |call| Box::pin(instances::list(call)) },
    Route { method: Method::GET,  pattern: "instances/{instanceId}",                        takes: Nothing, handler: |call| Box::pin(instances::status(call)) },
    Route { method: Method::POST, pattern: "instances/{instanceId}/raiseEvent/{eventName}", takes: Payload, handler: |call| Box::pin(instances::raise_event(call)) },
    Route { method: Method::POST, pattern: "instances/{instanceId}/terminate",              takes: Nothing, handler: |call| Box::pin(instances::terminate(call)) },
    Route { method: Method::POST, pattern: "instances/{instanceId}/suspend",                takes: Nothing, handler: |call| Box::pin(instances::suspend(call)) },
    Route { method: Method::POST, pattern: "instances/{instanceId}/resume",                 takes: Nothing, handler: |call| Box::pin(instances::resume(call)) },
];

/// The host's own routes.
#[rustfmt::skip]
static HOST: &[Route] = &[
    Route { method: Method::POST, pattern: "admin/apps/{appName}", takes: Module,  handler: |call| Box::pin(admin::deploy(call)) },
    Route { method: Method::GET,  pattern: "admin/apps",           takes: Nothing, handler: |call| Box::pin(admin::apps(call)) },
    Route { method: Method::GET,  pattern: "healthz",              takes: Nothing, handler: |call| Box::pin(admin::health(call)) },
];

/// Splits a path and decodes its segments. Slashes at either end do not count.
pub(super) fn split(path: &str) -> Result<Vec<String>, ApiError> {
    let path = path.trim_matches('/');
    if path.is_empty() {
        return Ok(Vec::new());
    }
    let decoded = path.split('/').map(|segment| percent_decode_str(segment).decode_utf8().map(|text| text.into_owned()));
    decoded.collect::<Result<_, _>>().map_err(|_| ApiError::argument("the path is not UTF-8 once it is percent-decoded"))
}

/// The route of a request, and what the placeholders of its pattern stand for, in their order.
pub(super) fn find(method: &Method, segments: &[String]) -> Option<(&'static Route, Vec<String>)> {
    let below_base = BASES.iter().find_map(|base| below(base, segments));
    let (routes, segments) = below_base.map_or((HOST, segments), |rest| (MANAGEMENT, rest));
    routes.iter().filter(|route| route.method == *method).find_map(|route| Some((route, captures(route.pattern, segments)?)))
}

/// The segments that follow a base path.
fn below<'a>(base: &str, segments: &'a [String]) -> Option<&'a [String]> {
    let length = base.split('/').count();
    let (head, rest) = segments.split_at_checked(length)?;
    captures(base, head).map(|_| rest)
}

fn captures(pattern: &str, segments: &[String]) -> Option<Vec<String>> {
    let mut captured = Vec::new();
    let mut segments = segments.iter();
    for expected in pattern.split('/') {
        let segment = segments.next()?;
        if expected.starts_with('{') {
            captured.push(Some(segment).filter(|segment| !segment.is_empty())?.clone());
        } else if !expected.eq_ignore_ascii_case(segment) {
            return None;
        }
    }
    segments.next().is_none().then_some(captured)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pattern and captures that a request finds.
    fn found(method: Method, path: &str) -> Option<(&'static str, Vec<String>)> {
        let segments = split(path).unwrap();
        find(&method, &segments).map(|(route, captured)| (route.pattern, captured))
    }

    #[track_caller]
    fn check(method: Method, path: &str, pattern: &str, captured: &[&str]) {
        let captured = captured.iter().map(|text| text.to_string()).collect();
        assert_eq!(found(method, path), Some((pattern, captured)), "{path}");
    }

    #[test]
    fn literal_segments_ignore_case_and_outer_slashes() {
        for path in [
            "/runtime/webhooks/durabletask/instances",
            "/runtime/webhooks/durabletask/instances/",
            "//Runtime/WebHooks/DurableTask/INSTANCES//",
            "/admin/extensions/DurableTaskExtension/instances",
            "/ADMIN/extensions/durabletaskextension/instances/",
            "/durabletask/instances",
        ] {
            check(Method::GET, path, "instances", &[]);
        }
    }

    #[test]
    fn captured_segments_are_decoded_one_by_one() {
        let base = "/runtime/webhooks/durabletask";
        let id = "instances/{instanceId}";
        check(Method::GET, &format!("{base}/instances/AbC"), id, &["AbC"]);
        check(Method::GET, &format!("{base}/instances/a+b%20c:&;=%C3%A4"), id, &["a+b c:&;=ä"]);
        check(Method::GET, &format!("{base}/instances/a%2Fb"), id, &["a/b"]);
        check(Method::GET, &format!("{base}/instances/100%"), id, &["100%"]);
        check(
            Method::POST,
            &format!("{base}/instances/i/RAISEEVENT/Go%20On"),
            "instances/{instanceId}/raiseEvent/{eventName}",
            &["i", "Go On"],
        );
        check(Method::POST, &format!("{base}/orchestrators/F"), "orchestrators/{functionName}", &["F"]);
        check(Method::POST, &format!("{base}/orchestrators/F/i/"), "orchestrators/{functionName}/{instanceId}", &["F", "i"]);
    }

    #[test]
    fn the_host_has_routes_of_its_own() {
        check(Method::GET, "/healthz", "healthz", &[]);
        check(Method::GET, "/admin/apps", "admin/apps", &[]);
        check(Method::POST, "/admin/apps/hello", "admin/apps/{appName}", &["hello"]);
    }

    #[test]
    fn nothing_else_is_found() {
        let base = "/runtime/webhooks/durabletask";
        for (method, path) in [
            (Method::GET, "/".to_owned()),
            (Method::GET, "/instances".into()),
            (Method::GET, base.into()),
            (Method::GET, format!("{base}/healthz")),
            (Method::PUT, format!("{base}/instances/i")),
            (Method::GET, format!("{base}/orchestrators/F")),
            (Method::POST, format!("{base}/instances//terminate")),
            (Method::POST, format!("{base}/instances/i/terminate/now")),
            (Method::POST, format!("{base}/instances/i/raiseEvent")),
        ] {
            assert_eq!(found(method, &path), None, "{path}");
        }
    }

    #[test]
    fn a_path_that_is_not_text_is_refused() {
        assert!(split("/durabletask/instances/%ff").is_err());
    }
}
