//! Finds the route of a request.
//!
//! The contract matches literal segments ignoring case and lets ids hold encoded characters, so a path is split first
//! and each segment decoded on its own. In a path `+` is a plus; only in a query is it a space.

use axum::http::Method;
use percent_encoding::percent_decode_str;

use super::GROUPS;
use crate::api::error::ApiError;
use crate::api::request::route::{Found, placeholder};

/// Splits a path and decodes its segments. Slashes at either end do not count.
pub(in crate::api) fn split(path: &str) -> Result<Vec<String>, ApiError> {
    let path = path.trim_matches('/');
    if path.is_empty() {
        return Ok(Vec::new());
    }
    let decoded = path.split('/').map(|segment| percent_decode_str(segment).decode_utf8().map(|text| text.into_owned()));
    decoded.collect::<Result<_, _>>().map_err(|_| ApiError::argument("the path is not UTF-8 once it is percent-decoded"))
}

/// Returns the route of a request: the first one in the table that matches.
pub(in crate::api) fn find(method: &Method, segments: &[String]) -> Option<Found> {
    GROUPS.iter().find_map(|group| {
        let mut rests = group.bases.iter().filter_map(|base| below(base, segments));
        rests.find_map(|rest| {
            let mut routes = group.routes.iter().filter(|route| route.method == *method);
            routes.find_map(|route| Some(Found { group, route, captures: captures(route.pattern, rest)? }))
        })
    })
}

/// The segments that follow a base path.
fn below<'a>(base: &'static str, segments: &'a [String]) -> Option<&'a [String]> {
    if base.is_empty() {
        return Some(segments);
    }
    let length = base.split('/').count();
    let (head, rest) = segments.split_at_checked(length)?;
    captures(base, head).map(|_| rest)
}

fn captures(pattern: &'static str, segments: &[String]) -> Option<Vec<String>> {
    let mut captured = Vec::new();
    let mut segments = segments.iter();
    for expected in pattern.split('/') {
        let segment = segments.next()?;
        if placeholder(expected).is_some() {
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

    fn found(method: Method, path: &str) -> Option<(&'static str, Vec<String>)> {
        find(&method, &split(path).unwrap()).map(|found| (found.route.pattern, found.captures))
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
        check(Method::GET, &format!("{base}/instances/@counter@a%40b"), id, &["@counter@a@b"]);
        check(
            Method::POST,
            &format!("{base}/instances/i/RAISEEVENT/Go%20On"),
            "instances/{instanceId}/raiseEvent/{eventName}",
            &["i", "Go On"],
        );
        check(Method::POST, &format!("{base}/orchestrators/F"), "orchestrators/{functionName}", &["F"]);
        check(Method::POST, &format!("{base}/orchestrators/F/i/"), "orchestrators/{functionName}/{instanceId}", &["F", "i"]);
        check(Method::POST, &format!("{base}/orchestrators/F/wait"), "orchestrators/{functionName}/{instanceId}", &["F", "wait"]);
        check(Method::DELETE, &format!("{base}/entities/Counter/$"), "entities/{entityName}/{entityKey}", &["Counter", "$"]);
    }

    #[test]
    fn the_host_has_routes_of_its_own() {
        check(Method::GET, "/healthz", "healthz", &[]);
        check(Method::GET, "/openapi.json", "openapi.json", &[]);
        check(Method::GET, "/admin/apps", "admin/apps", &[]);
        check(Method::POST, "/admin/apps/hello", "admin/apps/{appName}", &["hello"]);
    }

    #[test]
    fn the_starter_routes_have_two_bases_and_reserve_an_id() {
        for base in ["/api", ""] {
            check(Method::POST, &format!("{base}/orchestrators/F"), "orchestrators/{functionName}", &["F"]);
            check(Method::POST, &format!("{base}/orchestrators/F/i"), "orchestrators/{functionName}/{instanceId}", &["F", "i"]);
            check(Method::POST, &format!("{base}/Orchestrators/F/Wait"), "orchestrators/{functionName}/wait", &["F"]);
        }
    }

    #[test]
    fn nothing_else_is_found() {
        let base = "/runtime/webhooks/durabletask";
        for (method, path) in [
            (Method::GET, "/".to_owned()),
            (Method::GET, "/instances".into()),
            (Method::GET, "/api/instances".into()),
            (Method::GET, base.into()),
            (Method::GET, format!("{base}/healthz")),
            (Method::PUT, format!("{base}/instances/i")),
            (Method::GET, format!("{base}/orchestrators/F")),
            (Method::POST, format!("{base}/instances//terminate")),
            (Method::POST, format!("{base}/instances/i/terminate/now")),
            (Method::POST, format!("{base}/instances/i/raiseEvent")),
            (Method::POST, format!("{base}/makeprimary")),
        ] {
            assert_eq!(found(method, &path), None, "{path}");
        }
    }

    #[test]
    fn a_path_that_is_not_text_is_refused() {
        assert!(split("/durabletask/instances/%ff").is_err());
    }
}
