//! What the lists of instances and of entities have in common: filters, pages, and how one goes on after another.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use percent_encoding::percent_decode_str;
use serde::Serialize;

use dacapo_core::{InstanceId, InstanceRecord, Row, RuntimeStatus};
use dacapo_store::{Cursor, InstanceQuery, Page};

use super::error::ApiError;
use super::json::json;
use super::links::escape;
use super::parameter::{
    CONTINUATION, CREATED_TIME_FROM, CREATED_TIME_TO, INSTANCE_ID_PREFIX, Parameter, RUNTIME_STATUS, TOP, Text,
};
use super::request::Call;
use crate::hub::Hub;

/// How long the store is searched for matches that fill a page.
const SEARCH_TIME_MAX: Duration = Duration::from_secs(2);

/// The longest page. Also the page of a client that names no `top`: the Python library reads only the first.
const PAGE_MAX: usize = 1_000;

/// Which page of a list is asked for.
pub(super) struct PageRequest {
    pub query: InstanceQuery,
    after: Option<Cursor>,
    limit: usize,
}

impl PageRequest {
    pub fn new(call: &Call, query: InstanceQuery) -> Result<Self, ApiError> {
        let limit = call.get(&TOP)?.0.min(PAGE_MAX);
        let after = call.find(&CONTINUATION)?.map(|token| {
            let cursor = read_token(&token.0).filter(|cursor| is_of(cursor, &query));
            cursor
                .ok_or_else(|| CONTINUATION.about.refusal(&token.0, "should be what came with the page before, of the same list"))
        });
        Ok(Self { after: after.transpose()?, query, limit })
    }

    /// Of the instances that match, those that are `wanted`. A page that ends before it is full only where the list ends, or
    /// where looking on would take long.
    pub fn read(self, hub: &Hub, wanted: impl Fn(&InstanceRecord) -> bool) -> Result<Page, ApiError> {
        let begun = Instant::now();
        let mut page = Page { records: Vec::new(), next: self.after };
        loop {
            let more = hub.instances(&self.query, page.next.as_ref(), self.limit - page.records.len())?;
            page.records.extend(more.records.into_iter().filter(&wanted));
            page.next = more.next;
            if page.next.is_none() || page.records.len() >= self.limit || begun.elapsed() > SEARCH_TIME_MAX {
                return Ok(page);
            }
        }
    }
}

/// 200, with the header that leads to the next page. The JavaScript library goes on for as long as it is there.
pub(super) fn page_response(items: &[impl Serialize], next: Option<Cursor>) -> Response {
    let response = json(StatusCode::OK, &items);
    match next {
        Some(cursor) => ([(CONTINUATION.about.name, token(&cursor))], response).into_response(),
        None => response,
    }
}

/// The instances that a request is about.
pub(super) fn filters(call: &Call) -> Result<InstanceQuery, ApiError> {
    Ok(InstanceQuery {
        id_prefix: text(call, &INSTANCE_ID_PREFIX)?,
        created_from: call.find(&CREATED_TIME_FROM)?,
        created_to: call.find(&CREATED_TIME_TO)?,
        statuses: statuses(call)?,
    })
}

pub(super) fn statuses(call: &Call) -> Result<Vec<RuntimeStatus>, ApiError> {
    Ok(call.find(&RUNTIME_STATUS)?.unwrap_or_default().0)
}

pub(super) fn text<const MAX: usize>(call: &Call, parameter: &Parameter<Text<MAX>>) -> Result<String, ApiError> {
    Ok(call.find(parameter)?.unwrap_or_default().0)
}

/// Clients must not read it; whoever reads a log may.
fn token(cursor: &Cursor) -> String {
    match cursor {
        Cursor::Id(id) => format!("id.{}", escape(id.as_str())),
        Cursor::Row(row) => format!("row.{}", row.0),
    }
}

fn read_token(token: &str) -> Option<Cursor> {
    match token.split_once('.')? {
        ("id", id) => InstanceId::any(&percent_decode_str(id).decode_utf8().ok()?).ok().map(Cursor::Id),
        ("row", row) => row.parse().ok().map(|row| Cursor::Row(Row(row))),
        _ => None,
    }
}

/// A list goes by id if a prefix is asked for, otherwise by row.
fn is_of(cursor: &Cursor, query: &InstanceQuery) -> bool {
    match cursor {
        Cursor::Id(_) => !query.id_prefix.is_empty(),
        Cursor::Row(_) => query.id_prefix.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leads_back_to_where_the_page_ended() {
        for cursor in [Cursor::Id(InstanceId::any("@counter@ä b").unwrap()), Cursor::Row(Row(u64::MAX))] {
            let token = token(&cursor);
            assert!(token.is_ascii() && !token.contains(' '), "{token}");
            assert_eq!(read_token(&token), Some(cursor));
        }
    }

    #[test]
    fn a_token_of_the_longest_id_is_taken_back() {
        let id = InstanceId::any(&"\u{1f600}".repeat(InstanceId::MAX_CHARS)).unwrap();
        let token = token(&Cursor::Id(id));
        assert!(CONTINUATION.read(Some(&token)).is_ok(), "{}", token.len());
    }

    #[test]
    fn a_token_of_somebody_else_is_none() {
        for token in ["", "17", "row.", "row.-1", "row.x", "id.", "id.a%2Fb", "id.%ff", "id", "cursor.1"] {
            assert_eq!(read_token(token), None, "{token}");
        }
    }
}
