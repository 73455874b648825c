//! The routes of a task hub: those of the HTTP triggers of its apps.

use std::collections::HashMap;

use axum::http::Method;
use dacapo_core::{FunctionName, VersionId};

use super::bindings::HttpTrigger;
use super::route::{Template, Values, fold};

/// The first segments of paths that are the host's own, now or later: no trigger can serve them.
const RESERVED: [&str; 12] = [
    "runtime",
    "admin",
    "durabletask",
    "healthz",
    "metrics",
    "openapi.json",
    "dashboard",
    "ui",
    "assets",
    ".well-known",
    "favicon.ico",
    "_dacapo",
];

/// The prefix of an app that sets none, as in Azure Functions.
pub const DEFAULT_PREFIX: &str = "api";

/// The routes of the triggers that serve in a task hub.
#[derive(Debug, Default)]
pub struct Routes {
    /// In the order in which they are tried.
    all: Vec<Route>,
    /// The positions of those that begin with a literal, by that literal, and of all others.
    by_first: HashMap<String, Vec<usize>>,
    others: Vec<usize>,
}

#[derive(Debug)]
struct Route {
    template: Template,
    http: HttpTrigger,
    served: Served,
}

/// The trigger that serves a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    pub function: FunctionName,
    pub app: String,
    pub version: VersionId,
}

/// A request's trigger, with the values of the parameters in its route.
#[derive(Debug)]
pub struct Matched<'a> {
    pub served: &'a Served,
    pub http: &'a HttpTrigger,
    pub values: Values,
}

/// Two functions claim the same paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteConflict {
    pub route: String,
    pub function: FunctionName,
    pub other: Served,
}

/// Checks that a route can be served: it is valid, and none of the host's own.
pub fn full_template(prefix: Option<&str>, function: &FunctionName, http: &HttpTrigger) -> Result<Template, String> {
    let prefix = prefix.unwrap_or(DEFAULT_PREFIX).trim_matches('/');
    let route = if http.route.is_empty() {
        // A route that is written was checked when it was read.
        http.template(function.as_str())?;
        function.as_str()
    } else {
        http.route.trim_matches('/')
    };
    let full = if prefix.is_empty() { route.to_owned() } else { format!("{prefix}/{route}") };
    let template = Template::parse(&full)?;
    if let Some(first) = template.leading_literals().next().filter(|first| is_reserved(first)) {
        return Err(format!("'/{first}' is the host's own"));
    }
    Ok(template)
}

/// What is wrong with what an app's routes begin with, if anything.
pub fn prefix_trouble(prefix: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~');
    let mut segments = prefix.trim_matches('/').split('/');
    let is_path = prefix.trim_matches('/').is_empty()
        || segments.all(|segment| !segment.is_empty() && !matches!(segment, "." | "..") && segment.chars().all(plain));
    (!is_path).then(|| {
        format!(
            "the route prefix of its app is '{prefix:.80}', and must be a path of letters, digits, '-', '_', '.' and '~' (`routePrefix` \
             in host.json)"
        )
    })
}

/// Whether a path with this first segment belongs to the host.
pub fn is_reserved(first: &str) -> bool {
    RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(first))
}

impl Routes {
    /// Adds a route, unless another function serves the same paths with a common method.
    pub fn add(&mut self, template: Template, http: HttpTrigger, served: Served) -> Result<(), RouteConflict> {
        let shape = template.shape();
        let overlaps = |known: &HttpTrigger| {
            known.methods.is_empty()
                || http.methods.is_empty()
                || known.methods.iter().any(|method| http.methods.contains(method))
        };
        let same = self.all.iter().find(|known| known.template.shape() == shape && overlaps(&known.http));
        if let Some(known) = same {
            return Err(RouteConflict { route: shape, function: served.function, other: known.served.clone() });
        }
        self.all.push(Route { template, http, served });
        Ok(())
    }

    /// Sorts what was added. Before that, nothing is found.
    pub fn sorted(mut self) -> Self {
        self.all.sort_by(|one, other| one.template.precedence(&other.template));
        for (index, route) in self.all.iter().enumerate() {
            match route.template.leading_literals().next() {
                Some(first) => self.by_first.entry(first.to_owned()).or_default().push(index),
                None => self.others.push(index),
            }
        }
        self
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Finds the trigger that serves a request. A `HEAD` is also served by one that serves `GET`.
    pub fn find(&self, method: &Method, path: &[&str]) -> Option<Matched<'_>> {
        let serves = |route: &Route| route.http.serves(method);
        let found = self.first(path, serves);
        match found {
            None if method == Method::HEAD => self.first(path, |route| route.http.serves(&Method::GET)),
            found => found,
        }
    }

    /// The methods with which a path is served; none if it is not served at all.
    pub fn methods(&self, path: &[&str]) -> Option<Vec<Method>> {
        let mut methods: Vec<Method> = Vec::new();
        let mut any = false;
        for route in self.candidates(path).filter(|route| route.template.matches(path).is_some()) {
            any = true;
            let all = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
            let own = if route.http.methods.is_empty() { &all[..] } else { &route.http.methods };
            own.iter().for_each(|method| {
                if !methods.contains(method) {
                    methods.push(method.clone())
                }
            });
        }
        if methods.contains(&Method::GET) && !methods.contains(&Method::HEAD) {
            methods.push(Method::HEAD);
        }
        any.then_some(methods)
    }

    fn first(&self, path: &[&str], serves: impl Fn(&Route) -> bool) -> Option<Matched<'_>> {
        self.candidates(path).filter(|route| serves(route)).find_map(|route| {
            let values = route.template.matches(path)?;
            Some(Matched { served: &route.served, http: &route.http, values })
        })
    }

    /// The routes that may match, in their order.
    fn candidates(&self, path: &[&str]) -> impl Iterator<Item = &Route> {
        let own = path.first().and_then(|first| self.by_first.get(&fold(first))).map_or(&[][..], Vec::as_slice);
        // Literals come before parameters.
        own.iter().chain(&self.others).map(|&index| &self.all[index])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::triggers::bindings::AuthLevel;

    fn add(routes: &mut Routes, function: &str, route: &str, methods: &[Method]) -> Result<(), RouteConflict> {
        let http = HttpTrigger { methods: methods.to_vec(), route: route.to_owned(), auth: AuthLevel::Anonymous };
        let function = FunctionName::new(function).unwrap();
        let template = full_template(None, &function, &http).unwrap();
        routes.add(template, http, Served { function, app: "app".into(), version: VersionId([1; 32]) })
    }

    fn found(routes: &Routes, method: Method, path: &str) -> Option<String> {
        let path: Vec<&str> = path.trim_matches('/').split('/').collect();
        routes.find(&method, &path).map(|matched| matched.served.function.to_string())
    }

    fn some() -> Routes {
        let mut routes = Routes::default();
        add(&mut routes, "Any", "{*rest}", &[]).unwrap();
        add(&mut routes, "Item", "items/{id}", &[Method::GET]).unwrap();
        add(&mut routes, "Number", "items/{id:int}", &[Method::GET, Method::PUT]).unwrap();
        add(&mut routes, "Newest", "items/newest", &[Method::GET]).unwrap();
        add(&mut routes, "Plain", "", &[Method::POST]).unwrap();
        routes.sorted()
    }

    #[test]
    fn the_most_specific_route_that_serves_the_method_is_found() {
        let routes = some();
        for (method, path, expected) in [
            (Method::GET, "/api/Items/Newest", "Newest"),
            (Method::GET, "/api/items/7", "Number"),
            (Method::GET, "/api/items/x", "Item"),
            (Method::HEAD, "/api/items/x", "Any"),
            (Method::PUT, "/api/items/7", "Number"),
            (Method::PUT, "/api/items/x", "Any"),
            (Method::POST, "/api/PLAIN", "Plain"),
            (Method::GET, "/api/plain", "Any"),
            (Method::GET, "/api", "Any"),
        ] {
            assert_eq!(found(&routes, method.clone(), path).as_deref(), Some(expected), "{method} {path}");
        }
        assert_eq!(found(&routes, Method::GET, "/items/7"), None);
    }

    #[test]
    fn a_head_is_served_where_a_get_is() {
        let mut routes = Routes::default();
        add(&mut routes, "Page", "page", &[Method::GET]).unwrap();
        let routes = routes.sorted();
        assert_eq!(found(&routes, Method::HEAD, "/api/page").as_deref(), Some("Page"));
        assert_eq!(routes.methods(&["api", "page"]), Some(vec![Method::GET, Method::HEAD]));
        assert_eq!(routes.methods(&["api", "other"]), None);
    }

    #[test]
    fn two_functions_cannot_claim_the_same_paths() {
        let mut routes = Routes::default();
        add(&mut routes, "One", "items/{id}", &[Method::GET]).unwrap();
        add(&mut routes, "Two", "items/{number}", &[Method::POST]).expect("another method");
        let conflict = add(&mut routes, "Three", "Items/{x}/", &[Method::PUT, Method::POST]).unwrap_err();
        assert_eq!((conflict.function.as_str(), conflict.other.function.as_str()), ("Three", "Two"));
        add(&mut routes, "Four", "items/{id}", &[]).unwrap_err();
    }

    #[test]
    fn a_prefix_is_a_plain_path() {
        for (prefix, is_one) in [
            ("", true),
            ("/", true),
            ("api", true),
            ("/v1/my-api/", true),
            ("a b", false),
            ("{x}", false),
            ("a//b", false),
            ("../a", false),
            ("a?b", false),
            ("%61", false),
            ("ä", false),
        ] {
            assert_eq!(prefix_trouble(prefix).is_none(), is_one, "{prefix}");
        }
    }

    #[test]
    fn what_is_the_hosts_own_cannot_be_claimed() {
        let refused = |prefix: &str, route: &str| {
            let http = HttpTrigger { methods: vec![], route: route.to_owned(), auth: AuthLevel::Anonymous };
            full_template(Some(prefix), &FunctionName::new("F").unwrap(), &http).err()
        };
        for (prefix, route) in [
            ("", "runtime/webhooks/durabletask/instances"),
            ("", "Admin/{*x}"),
            ("admin", "x"),
            ("/Runtime/", "x"),
            ("", "healthz"),
        ] {
            assert!(refused(prefix, route).unwrap().contains("host's own"), "{prefix} {route}");
        }
        assert_eq!(refused("", "orders/runtime"), None);
        assert_eq!(refused("v1/api", "x"), None);
        assert_eq!(refused("", "{*all}"), None, "the host keeps its own paths nevertheless");
    }
}
