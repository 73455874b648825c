//! Templates of routes, with the syntax of ASP.NET, on which Azure Functions is built: `orders/{id:int}/{part?}`, `files/{*path}`.

use std::cmp::Ordering;

use regex::{Regex, RegexBuilder};

/// Bytes of a template.
const TEMPLATE_BYTES_MAX: usize = 2_048;

/// Bytes of a compiled regular expression: patterns come from guests.
const REGEX_BYTES_MAX: usize = 256 << 10;

/// A parsed template.
#[derive(Debug, Clone)]
pub struct Template {
    segments: Vec<Segment>,
}

#[derive(Debug, Clone)]
enum Segment {
    /// Folded.
    Literal(String),
    Parameter(Parameter),
}

#[derive(Debug, Clone)]
struct Parameter {
    name: String,
    constraints: Vec<(String, Constraint)>,
    presence: Presence,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Presence {
    Required,
    Optional,
    Default(String),
    /// Takes the rest of the path, which may be empty.
    CatchAll,
}

#[derive(Debug, Clone)]
enum Constraint {
    Int,
    Long,
    Bool,
    Guid,
    Alpha,
    DateTime,
    Decimal,
    Length { min: usize, max: usize },
    Range { min: i64, max: i64 },
    Regex(Regex),
}

/// The values of a path's parameters, by name, in the order of the template.
pub type Values = Vec<(String, String)>;

impl Template {
    /// Parses a template. The error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > TEMPLATE_BYTES_MAX {
            return Err(format!("it has {} bytes, {TEMPLATE_BYTES_MAX} are allowed", text.len()));
        }
        let text = text.trim_matches('/');
        let mut segments: Vec<Segment> = Vec::new();
        for segment in if text.is_empty() { Vec::new() } else { split(text)? } {
            let segment = Segment::parse(&segment)?;
            match (segments.last(), &segment) {
                (Some(Segment::Parameter(Parameter { presence: Presence::CatchAll, name, .. })), _) => {
                    return Err(format!("'{{*{name}}}' takes the rest of the path, so it must come last"));
                }
                (Some(Segment::Parameter(Parameter { presence: Presence::Optional, name, .. })), _) => {
                    return Err(format!("'{{{name}?}}' can be left out, so it must come last"));
                }
                _ => {}
            }
            if let Segment::Parameter(parameter) = &segment
                && segments.iter().any(|known| known.is_named(&parameter.name))
            {
                return Err(format!("it has two parameters named '{}'", parameter.name));
            }
            segments.push(segment);
        }
        Ok(Self { segments })
    }

    /// The segments that every path which it matches begins with, folded.
    pub fn leading_literals(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().map_while(|segment| match segment {
            Segment::Literal(literal) => Some(literal.as_str()),
            Segment::Parameter(_) => None,
        })
    }

    /// Matches the decoded segments of a path.
    pub fn matches(&self, path: &[&str]) -> Option<Values> {
        let mut values = Values::new();
        let mut rest = path;
        for segment in &self.segments {
            match segment {
                Segment::Literal(literal) => {
                    let (first, others) = rest.split_first()?;
                    if fold(first) != *literal {
                        return None;
                    }
                    rest = others;
                }
                Segment::Parameter(parameter) => {
                    let (value, others) = match (&parameter.presence, rest.split_first()) {
                        (Presence::CatchAll, _) => (Some(rest.join("/")).filter(|rest| !rest.is_empty()), [].as_slice()),
                        (_, Some((first, others))) => (Some((*first).to_owned()), others),
                        (Presence::Required, None) => return None,
                        (Presence::Optional, None) => (None, rest),
                        (Presence::Default(value), None) => (Some(value.clone()), rest),
                    };
                    if let Some(value) = value {
                        if !parameter.constraints.iter().all(|(_, constraint)| constraint.holds(&value)) {
                            return None;
                        }
                        values.push((parameter.name.clone(), value));
                    }
                    rest = others;
                }
            }
        }
        rest.is_empty().then_some(values)
    }

    /// Orders templates by which is tried first: at each place a literal, then a parameter with a constraint, then one without,
    /// then the rest of the path.
    pub fn precedence(&self, other: &Self) -> Ordering {
        let ranks = |template: &Self| template.segments.iter().map(Segment::rank).collect::<Vec<_>>();
        ranks(self).cmp(&ranks(other)).then_with(|| self.shape().cmp(&other.shape()))
    }

    /// What it matches, without the names of its parameters: two templates of the same shape claim the same paths.
    pub fn shape(&self) -> String {
        let segments: Vec<String> = self.segments.iter().map(Segment::shape).collect();
        segments.join("/")
    }
}

impl Segment {
    fn parse(text: &str) -> Result<Self, String> {
        let Some(inner) = text.strip_prefix('{') else {
            if text.contains(['{', '}']) {
                return Err(format!("'{text}' has a parameter beside other text: a parameter must be a segment of its own"));
            }
            if text.is_empty() {
                return Err("it has an empty segment: two slashes follow each other".into());
            }
            if text.contains(['?', '#']) || text.chars().any(char::is_control) {
                return Err(format!("'{text}' contains a character that no path has"));
            }
            return Ok(Segment::Literal(fold(text)));
        };
        let close = closing(inner).ok_or_else(|| format!("'{text}' has no closing brace"))?;
        if close + 1 != inner.len() {
            return Err(format!("'{text}' has a parameter beside other text: a parameter must be a segment of its own"));
        }
        Parameter::parse(&inner[..close]).map(Segment::Parameter).map_err(|why| format!("'{text}': {why}"))
    }

    fn is_named(&self, name: &str) -> bool {
        matches!(self, Segment::Parameter(parameter) if fold(&parameter.name) == fold(name))
    }

    fn rank(&self) -> u8 {
        match self {
            Segment::Literal(_) => 1,
            Segment::Parameter(Parameter { presence: Presence::CatchAll, constraints, .. }) => {
                5 - u8::from(!constraints.is_empty())
            }
            Segment::Parameter(Parameter { constraints, .. }) => 3 - u8::from(!constraints.is_empty()),
        }
    }

    fn shape(&self) -> String {
        match self {
            Segment::Literal(literal) => literal.clone(),
            Segment::Parameter(Parameter { constraints, presence, .. }) => {
                let mut constraints: Vec<&str> = constraints.iter().map(|(text, _)| text.as_str()).collect();
                constraints.sort_unstable();
                let rest = if *presence == Presence::CatchAll { "*" } else { "" };
                let optional = if matches!(presence, Presence::Required | Presence::CatchAll) { "" } else { "?" };
                format!("{{{rest}{optional}{}}}", constraints.join(":"))
            }
        }
    }
}

impl Parameter {
    fn parse(text: &str) -> Result<Self, String> {
        let (catch_all, text) = match text.strip_prefix("**").or_else(|| text.strip_prefix('*')) {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let name_length = text.find([':', '=', '?']).unwrap_or(text.len());
        let (name, mut rest) = text.split_at(name_length);
        if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.')) {
            return Err("the name of a parameter has letters, digits, '_', '-' and '.'".into());
        }
        let mut constraints = Vec::new();
        while let Some(after) = rest.strip_prefix(':') {
            let end = end_of_constraint(after);
            let constraint = &after[..end];
            if let Some(parsed) = Constraint::parse(constraint)? {
                constraints.push((constraint.to_owned(), parsed));
            }
            rest = &after[end..];
        }
        let presence = match (catch_all, rest) {
            (true, "") => Presence::CatchAll,
            (true, _) => return Err("the rest of the path can be empty already".into()),
            (false, "") => Presence::Required,
            (false, "?") => Presence::Optional,
            (false, default) => match default.strip_prefix('=') {
                Some(default) => Presence::Default(default.to_owned()),
                None => return Err(format!("'{rest}' is not expected there")),
            },
        };
        Ok(Self { name: name.to_owned(), constraints, presence })
    }
}

impl Constraint {
    /// None: it is always met.
    fn parse(text: &str) -> Result<Option<Self>, String> {
        let (name, arguments) = match text.split_once('(') {
            Some((name, arguments)) => {
                let arguments =
                    arguments.strip_suffix(')').ok_or_else(|| format!("the constraint '{text}' has no closing ')'"))?;
                (name, Some(arguments))
            }
            None => (text, None),
        };
        let numbers = || -> Result<Vec<i64>, String> {
            let arguments = arguments.unwrap_or_default().split(',').map(|number| number.trim().parse::<i64>());
            arguments.collect::<Result<_, _>>().map_err(|_| format!("the constraint '{text}' needs whole numbers in parentheses"))
        };
        let size = |number: i64| usize::try_from(number).map_err(|_| format!("the constraint '{text}' needs a length"));
        let constraint = match (name.to_ascii_lowercase().as_str(), arguments) {
            ("required", None) => return Ok(None),
            ("int", None) => Constraint::Int,
            ("long", None) => Constraint::Long,
            ("bool", None) => Constraint::Bool,
            ("guid", None) => Constraint::Guid,
            ("alpha", None) => Constraint::Alpha,
            ("datetime", None) => Constraint::DateTime,
            ("decimal" | "double" | "float", None) => Constraint::Decimal,
            ("length", Some(_)) => match numbers()?[..] {
                [exact] => Constraint::Length { min: size(exact)?, max: size(exact)? },
                [min, max] => Constraint::Length { min: size(min)?, max: size(max)? },
                _ => return Err(format!("the constraint '{text}' needs one or two numbers")),
            },
            ("minlength", Some(_)) => Constraint::Length { min: size(one(&numbers()?, text)?)?, max: usize::MAX },
            ("maxlength", Some(_)) => Constraint::Length { min: 0, max: size(one(&numbers()?, text)?)? },
            ("min", Some(_)) => Constraint::Range { min: one(&numbers()?, text)?, max: i64::MAX },
            ("max", Some(_)) => Constraint::Range { min: i64::MIN, max: one(&numbers()?, text)? },
            ("range", Some(_)) => match numbers()?[..] {
                [min, max] => Constraint::Range { min, max },
                _ => return Err(format!("the constraint '{text}' needs two numbers")),
            },
            ("regex", Some(pattern)) => {
                // In a template, braces of a pattern are doubled.
                let pattern = pattern.replace("{{", "{").replace("}}", "}");
                let regex = RegexBuilder::new(&pattern).case_insensitive(true).size_limit(REGEX_BYTES_MAX).build();
                Constraint::Regex(regex.map_err(|why| format!("the regular expression '{pattern}' cannot be used: {why}"))?)
            }
            _ => {
                return Err(format!(
                    "there is no constraint '{text}'; there are int, long, bool, guid, alpha, datetime, decimal, double, float, \
                     length(n), length(min,max), minlength(n), maxlength(n), min(n), max(n), range(min,max), regex(pattern), required"
                ));
            }
        };
        Ok(Some(constraint))
    }

    fn holds(&self, value: &str) -> bool {
        match self {
            Constraint::Int => value.trim().parse::<i32>().is_ok(),
            Constraint::Long => value.trim().parse::<i64>().is_ok(),
            Constraint::Bool => ["true", "false"].iter().any(|known| value.trim().eq_ignore_ascii_case(known)),
            Constraint::Guid => uuid::Uuid::try_parse(value.trim_matches(['(', ')'])).is_ok(),
            Constraint::Alpha => value.bytes().all(|byte| byte.is_ascii_alphabetic()),
            Constraint::DateTime => is_date_time(value.trim()),
            Constraint::Decimal => value.trim().parse::<f64>().is_ok_and(f64::is_finite),
            Constraint::Length { min, max } => (*min..=*max).contains(&value.chars().count()),
            Constraint::Range { min, max } => value.trim().parse::<i64>().is_ok_and(|number| (*min..=*max).contains(&number)),
            Constraint::Regex(regex) => regex.is_match(value),
        }
    }
}

fn one(numbers: &[i64], text: &str) -> Result<i64, String> {
    match numbers {
        [number] => Ok(*number),
        _ => Err(format!("the constraint '{text}' needs one number")),
    }
}

/// The forms that the original's tests and documents use: dates, and dates with times, in ISO order or as month/day/year.
fn is_date_time(text: &str) -> bool {
    const DATES: [&str; 3] = ["%Y-%m-%d", "%Y/%m/%d", "%m/%d/%Y"];
    const TIMES: [&str; 6] = ["T%H:%M:%S%.f", "T%H:%M", " %H:%M:%S%.f", " %H:%M", " %I:%M:%S %p", " %I:%M %p"];
    chrono::DateTime::parse_from_rfc3339(text).is_ok()
        || DATES.iter().any(|date| {
            chrono::NaiveDate::parse_from_str(text, date).is_ok()
                || TIMES.iter().any(|time| chrono::NaiveDateTime::parse_from_str(text, &format!("{date}{time}")).is_ok())
        })
}

/// Names and literals compare ignoring case.
pub fn fold(text: &str) -> String {
    text.to_lowercase()
}

/// Splits a template at the slashes that are not within braces.
fn split(text: &str) -> Result<Vec<String>, String> {
    let mut segments = vec![String::new()];
    let mut depth = 0_usize;
    for c in text.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.checked_sub(1).ok_or("it has a closing brace without an opening one")?,
            '/' if depth == 0 => {
                segments.push(String::new());
                continue;
            }
            _ => {}
        }
        segments.last_mut().expect("there is one").push(c);
    }
    if depth == 0 { Ok(segments) } else { Err("it has an opening brace without a closing one".into()) }
}

/// Where the brace is that closes a parameter.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 1_usize;
    text.char_indices().find_map(|(index, c)| {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        (depth == 0).then_some(index)
    })
}

/// Where a constraint ends: at the next colon, question mark or equals sign that is not within its parentheses.
fn end_of_constraint(text: &str) -> usize {
    let mut depth = 0_usize;
    let end = text.char_indices().find(|(_, c)| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && matches!(c, ':' | '?' | '=')
    });
    end.map_or(text.len(), |(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(template: &str, path: &str) -> Option<Vec<String>> {
        let template = Template::parse(template).unwrap_or_else(|why| panic!("{template}: {why}"));
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        template.matches(&segments).map(|values| values.into_iter().map(|(name, value)| format!("{name}={value}")).collect())
    }

    #[track_caller]
    fn check(template: &str, path: &str, expected: &[&str]) {
        let expected: Vec<String> = expected.iter().map(|text| (*text).to_owned()).collect();
        assert_eq!(values(template, path), Some(expected), "{template} {path}");
    }

    #[track_caller]
    fn misses(template: &str, path: &str) {
        assert_eq!(values(template, path), None, "{template} {path}");
    }

    #[test]
    fn literals_ignore_case_and_parameters_take_one_segment() {
        check("Orders/{id}/items", "orders/A1/ITEMS", &["id=A1"]);
        misses("orders/{id}/items", "orders/A1");
        misses("orders/{id}", "orders/A1/items");
        misses("orders/{id}", "orders");
        check("", "", &[]);
        misses("", "a");
    }

    #[test]
    fn the_last_parameters_may_be_left_out() {
        check("a/{b?}", "a", &[]);
        check("a/{b?}", "a/1", &["b=1"]);
        check("a/{b=two}", "a", &["b=two"]);
        check("a/{b:int=3}/{c?}", "a", &["b=3"]);
        check("{orchestratorName}/wait", "E1/wait", &["orchestratorName=E1"]);
    }

    #[test]
    fn the_rest_of_a_path_may_be_empty() {
        check("files/{*path}", "files/a/b/c.txt", &["path=a/b/c.txt"]);
        check("files/{*path}", "files", &[]);
        check("{**all}", "x/y", &["all=x/y"]);
        check("files/{*path:regex(txt$)}", "files/a/b.TXT", &["path=a/b.TXT"]);
        misses("files/{*path:regex(txt$)}", "files/a/b");
    }

    #[test]
    fn constraints_hold() {
        for (constraint, yes, no) in [
            ("int", "-5", "5000000000"),
            ("long", "5000000000", "x"),
            ("bool", "TRUE", "yes"),
            ("guid", "cd2c1638-1638-72d5-1638-deadbeef1638", "cd2c"),
            ("alpha", "Ab", "a1"),
            ("datetime", "2018-03-10T23:59:00Z", "soon"),
            ("datetime", "2016-12-31 7:32 pm", "2016-13-31"),
            ("decimal", "49.99", "49,99x"),
            ("double", "1.234", "one"),
            ("length(3)", "abc", "ab"),
            ("length(2,4)", "abcd", "abcde"),
            ("minlength(4)", "Rick", "Ric"),
            ("maxlength(3)", "Ric", "Rick"),
            ("min(18)", "19", "17"),
            ("max(120)", "91", "121"),
            ("range(18,120)", "91", "17"),
            (r"regex(^\d{{3}}-\d{{2}}$)", "123-45", "1234-5"),
            ("regex(^a/?b$)", "ab", "b"),
            ("required", "x", ""),
            ("int:min(1)", "2", "0"),
        ] {
            let template = format!("a/{{v:{constraint}}}");
            check(&template, &format!("a/{yes}"), &[&format!("v={yes}")]);
            if !no.is_empty() {
                misses(&template, &format!("a/{no}"));
            }
        }
    }

    #[test]
    fn what_is_not_a_template_is_refused_with_the_place() {
        for (template, says) in [
            ("a/{b", "brace"),
            ("a/b}", "brace"),
            ("a/{}", "name of a parameter"),
            ("a/{b c}", "name of a parameter"),
            ("a/x{b}", "segment of its own"),
            ("a/{b}x", "segment of its own"),
            ("a//b", "empty segment"),
            ("a/{b}/{B}", "two parameters named 'B'"),
            ("a/{*b}/c", "must come last"),
            ("a/{b?}/c", "must come last"),
            ("a/{b:integer}", "no constraint 'integer'"),
            ("a/{b:length(x)}", "whole numbers"),
            ("a/{b:length(1,2,3)}", "one or two"),
            ("a/{b:min(1,2)}", "one number"),
            ("a/{b:regex([)}", "regular expression"),
            ("a/{b:regex((a{{1,1000}}){{1,1000}})}", "regular expression"),
            ("a?b", "no path has"),
        ] {
            let why = Template::parse(template).unwrap_err();
            assert!(why.contains(says), "{template}: {why}");
        }
        assert!(Template::parse(&"a".repeat(3_000)).unwrap_err().contains("2048 are allowed"));
    }

    #[test]
    fn literals_come_before_parameters() {
        let mut sorted =
            ["{*all}", "a/{b}", "{a}/b", "a/{b:int}", "a/b", "a", "a/{b?}/"].map(|text| (Template::parse(text).unwrap(), text));
        sorted.sort_by(|(a, _), (b, _)| a.precedence(b));
        assert_eq!(sorted.map(|(_, text)| text), ["a", "a/b", "a/{b:int}", "a/{b?}/", "a/{b}", "{a}/b", "{*all}"]);
    }

    #[test]
    fn names_of_parameters_do_not_distinguish_templates() {
        let shape = |text: &str| Template::parse(text).unwrap().shape();
        assert_eq!(shape("Orders/{id}"), shape("orders/{number}/"));
        assert_ne!(shape("orders/{id}"), shape("orders/{id:int}"));
        assert_ne!(shape("orders/{id}"), shape("orders/{*id}"));
    }
}
