//! Lists of instances and of entities: their filters, pages and continuation tokens.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use dacapo_core::{InstanceId, InstanceRecord, Row, RuntimeStatus};
use dacapo_store::{Cursor, InstanceQuery, Page};

use crate::api::content::json::JSON;
use crate::api::content::links::escape;
use crate::api::content::parts::{self, Measure, Parts};
use crate::api::error::ApiError;
use crate::api::request::parameter::{
    About, CONTINUATION, CREATED_TIME_FROM, CREATED_TIME_TO, INSTANCE_ID_PREFIX, OF_FUNCTION, ON_VERSION, Parameter,
    RUNTIME_STATUS, TOP, Text,
};
use crate::api::request::{Call, Query};
use crate::engine::fair_threads::SLICE;
use crate::engine::memory::Reservation;
use crate::hub::{Hub, HubError, Selection};

/// The most records read from the store at a time.
const RECORDS_AT_ONCE: usize = 100;

/// How long the store is searched for matches that fill a page.
const SEARCH_TIME_MAX: Duration = Duration::from_secs(2);

/// The longest page, and the default: the Python library reads only the first page.
const PAGE_MAX: usize = 1_000;

/// The page of a list that a request asks for.
pub(in crate::api) struct PageRequest {
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
                .ok_or_else(|| CONTINUATION.about.refusal(&token.0, "should be the token of the previous page of the same list"))
        });
        Ok(Self { after: after.transpose()?, query, limit })
    }

    /// Reads the instances that match and are `wanted`. A page is not full only at the end of the list, or if searching on would
    /// take long.
    pub async fn read<W>(self, hub: &Hub, wanted: W) -> Result<Found, ApiError>
    where
        W: Fn(&InstanceRecord) -> bool + Send + Sync + 'static,
    {
        let (search, limit) = (Arc::new((self.query, wanted)), self.limit);
        let mut searched = Duration::ZERO;
        let mut page = Page { records: Vec::new(), next: self.after };
        let mut room = hub.memory().empty();
        loop {
            let (search, after, most) = (search.clone(), page.next.take(), limit - page.records.len());
            let (more, took) = hub.read(move |hub| slice(hub, &search.0, after, most, &search.1)).await?;
            let bytes = more.records.iter().map(size_of_record).sum();
            let grown = match tokio::time::timeout(parts::RESERVE_TIMEOUT, room.grow(bytes)).await {
                Ok(grown) => grown,
                Err(_elapsed) => room.try_grow(bytes),
            };
            grown.map_err(|why| ApiError::no_room(&why))?;
            page.records.extend(more.records);
            page.next = more.next;
            searched += took;
            if page.next.is_none() || page.records.len() >= limit || searched > SEARCH_TIME_MAX {
                return Ok(Found { page, room });
            }
        }
    }
}

/// A page of records, with its memory reservation.
pub(in crate::api) struct Found {
    page: Page,
    room: Reservation,
}

fn size_of_record(record: &InstanceRecord) -> usize {
    let texts = [record.custom_status.as_deref(), record.halted.as_deref()].into_iter().flatten().map(str::len);
    size_of::<InstanceRecord>() + record.id.as_str().len() + texts.sum::<usize>()
}

/// Searches until `most` records are found or the time slice is over. Returns how long that took.
fn slice(
    hub: &Hub,
    query: &InstanceQuery,
    after: Option<Cursor>,
    most: usize,
    wanted: impl Fn(&InstanceRecord) -> bool,
) -> Result<(Page, Duration), HubError> {
    let begun = Instant::now();
    let mut page = Page { records: Vec::new(), next: after };
    loop {
        let more = hub.instances(query, page.next.as_ref(), (most - page.records.len()).min(RECORDS_AT_ONCE))?;
        page.records.extend(more.records.into_iter().filter(&wanted));
        page.next = more.next;
        if page.next.is_none() || page.records.len() >= most || begun.elapsed() > SLICE {
            return Ok((page, begun.elapsed()));
        }
    }
}

/// Returns a 200 with a list, and the header with the token of the next page. The JavaScript library reads on as long as it is
/// there. `write` makes the JSON of a record; none if it is gone.
pub(in crate::api) async fn page_response<W>(hub: Hub, found: Found, write: W) -> Result<Response, ApiError>
where
    W: Fn(&Hub, &InstanceRecord) -> Result<Option<String>, ApiError> + Send + Sync + 'static,
{
    let Found { page: Page { records, next }, room } = found;
    let list = parts::body(hub, List { records, write, _room: room }).await?;
    let response = ([(CONTENT_TYPE, JSON)], list).into_response();
    Ok(match next {
        Some(cursor) => ([(CONTINUATION.about.name, token(&cursor))], response).into_response(),
        None => response,
    })
}

/// A JSON array of records.
struct List<W> {
    records: Vec<InstanceRecord>,
    write: W,
    _room: Reservation,
}

impl<W> Parts for List<W>
where
    W: Fn(&Hub, &InstanceRecord) -> Result<Option<String>, ApiError> + Send + Sync + 'static,
{
    /// How many records are written, or gone; and whether any is written.
    type Cursor = (usize, bool);

    fn part(&self, hub: &Hub, (first, any): Self::Cursor) -> Result<(String, Option<Self::Cursor>), ApiError> {
        let (measure, mut any) = (Measure::begin(), any);
        let mut text = String::from(if first == 0 { "[" } else { "" });
        for (number, record) in self.records.iter().enumerate().skip(first) {
            if let Some(item) = (self.write)(hub, record)? {
                text.push_str(if any { "," } else { "" });
                text.push_str(&item);
                any = true;
            }
            if measure.is_full(&text) {
                return Ok((text, Some((number + 1, any))));
            }
        }
        text.push(']');
        Ok((text, None))
    }
}

/// Reads the filters of a request.
pub(in crate::api) fn filters(call: &Call) -> Result<Selection, ApiError> {
    let query = InstanceQuery {
        id_prefix: text(call, &INSTANCE_ID_PREFIX)?,
        created_from: call.find(&CREATED_TIME_FROM)?,
        created_to: call.find(&CREATED_TIME_TO)?,
        statuses: statuses(call)?,
    };
    let version = call.find(&ON_VERSION)?;
    let versions = version.map(|text| Ok::<_, ApiError>(call.hub()?.versions_named(&text.0))).transpose()?;
    Ok(Selection { query, function: call.find(&OF_FUNCTION)?, versions })
}

/// Reads the filters of a bulk action, and returns them also as they were written, for the audit log. A list ignores a filter
/// without a value; here that would select everything where little was meant, so it is refused.
pub(in crate::api) fn filters_to_act_on(call: &Call) -> Result<(Selection, serde_json::Map<String, Value>), ApiError> {
    let mut asked = serde_json::Map::new();
    for about in FILTERS.iter().filter(|about| call.found.declares(about)) {
        if let Some(text) = acted_on(about, &call.query)? {
            asked.insert(about.name.to_owned(), text.into());
        }
    }
    Ok((filters(call)?, asked))
}

/// The value of a filter of a bulk action, if it is given.
fn acted_on(about: &About, query: &Query) -> Result<Option<String>, ApiError> {
    let values: Vec<&str> = query.all(about.name).collect();
    let text = values.join(",");
    match text.trim_matches(|c: char| c == ',' || c.is_whitespace()) {
        _ if values.is_empty() => Ok(None),
        "" => Err(about.refusal(&text, "where something is done to many instances, a filter needs a value; leave it out")),
        _ => Ok(Some(text)),
    }
}

/// The parameters that select instances.
static FILTERS: [&About; 6] = [
    &INSTANCE_ID_PREFIX.about,
    &CREATED_TIME_FROM.about,
    &CREATED_TIME_TO.about,
    &RUNTIME_STATUS.about,
    &OF_FUNCTION.about,
    &ON_VERSION.about,
];

pub(in crate::api) fn statuses(call: &Call) -> Result<Vec<RuntimeStatus>, ApiError> {
    Ok(call.find(&RUNTIME_STATUS)?.unwrap_or_default().0)
}

pub(in crate::api) fn text<const MAX: usize>(call: &Call, parameter: &Parameter<Text<MAX>>) -> Result<String, ApiError> {
    Ok(call.find(parameter)?.unwrap_or_default().0)
}

/// Opaque to clients, but readable in a log.
fn token(cursor: &Cursor) -> String {
    match cursor {
        Cursor::Id(id) => format!("id.{}", escape(id.as_str())),
        Cursor::Row(row) => format!("row.{}", row.0),
    }
}

fn read_token(token: &str) -> Option<Cursor> {
    match token.split_once('.')? {
        ("id", id) => InstanceId::stored(&percent_decode_str(id).decode_utf8().ok()?).ok().map(Cursor::Id),
        ("row", row) => row.parse().ok().map(|row| Cursor::Row(Row(row))),
        _ => None,
    }
}

/// A list is ordered by id if a prefix is asked for, otherwise by row.
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

    /// `POST instances/terminate?functionName=` ended everything.
    #[test]
    fn a_filter_without_a_value_is_refused_where_something_is_done() {
        for blank in ["functionName=", "functionname=%20", "functionName", "functionName=,"] {
            let refusal = acted_on(&OF_FUNCTION.about, &Query::parse(blank)).unwrap_err().to_string();
            assert!(refusal.contains("'functionName'") && refusal.contains("needs a value"), "{blank}: {refusal}");
        }
        let said = |query: &str| acted_on(&RUNTIME_STATUS.about, &Query::parse(query)).unwrap();
        assert_eq!(said("functionName=a"), None);
        assert_eq!(said("runtimeStatus=Failed&runtimeStatus=Pending").as_deref(), Some("Failed,Pending"));
    }

    #[test]
    fn a_token_of_somebody_else_is_none() {
        for token in ["", "17", "row.", "row.-1", "row.x", "id.", "id.a%2Fb", "id.%ff", "id", "cursor.1"] {
            assert_eq!(read_token(token), None, "{token}");
        }
    }
}
