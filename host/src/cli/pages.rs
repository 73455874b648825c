//! Lists that the host sends page by page.

use clap::Args;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::client::{Client, Target};
use super::error::CliError;
use super::output::{note, print};

/// The longest page that the host gives.
const PAGE_MAX: u32 = 1_000;

/// How much of a list to fetch.
#[derive(Debug, Args)]
pub(super) struct PageArguments {
    /// List at most this many.
    #[arg(long, value_name = "COUNT", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    top: u32,
    /// Continue after the previous listing, which printed this token.
    #[arg(long, value_name = "TOKEN")]
    continuation_token: Option<String>,
    /// List all, to the last page.
    #[arg(long, conflicts_with = "top")]
    all: bool,
}

/// A list in the host's own JSON.
pub(super) struct Listing {
    items: Vec<Box<RawValue>>,
    next: Option<String>,
}

impl PageArguments {
    /// Fetches as many pages as needed. `missing` is the error for a 404 without a body.
    pub fn fetch(&self, client: &Client, target: Target, missing: impl Fn() -> String) -> Result<Listing, CliError> {
        let mut listing = Listing { items: Vec::new(), next: self.continuation_token.clone() };
        loop {
            let left = self.top.saturating_sub(u32::try_from(listing.items.len()).unwrap_or(u32::MAX));
            let page_size = if self.all { PAGE_MAX } else { left.min(PAGE_MAX) };
            let target = target.clone().with("top", page_size);
            let answer = client.get_page(&target, listing.next.as_deref())?.success(&missing)?;
            listing.items.extend(answer.parse::<Vec<Box<RawValue>>>()?);
            listing.next = answer.continuation;
            let enough = !self.all && listing.items.len() >= self.top as usize;
            if listing.next.is_none() || enough {
                return Ok(listing);
            }
        }
    }
}

impl Listing {
    pub fn parse<T: DeserializeOwned>(&self) -> Result<Vec<T>, CliError> {
        let items = self.items.iter().map(|item| serde_json::from_str(item.get()));
        items.collect::<Result<_, _>>().map_err(|why| CliError::Failed(format!("the list cannot be read: {why}")))
    }

    /// The token with which the next listing continues.
    pub fn continuation(&self) -> Option<&str> {
        self.next.as_deref()
    }

    /// Prints the list as one JSON array.
    pub fn print_json(&self) -> Result<(), CliError> {
        let items: Vec<_> = self.items.iter().map(|item| item.get()).collect();
        print(format_args!("[{}]", items.join(",")))
    }

    /// Prints the continuation token to standard error.
    pub fn note_continuation(&self) {
        if let Some(token) = &self.next {
            note(format_args!("Continuation token for next set of results: '{token}'"));
        }
    }
}
