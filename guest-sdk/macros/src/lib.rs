//! The attribute macros of `dacapo-sdk`. Use them through that crate, which documents and re-exports them.

use proc_macro::TokenStream;
use quote::quote;
use syn::parse_macro_input;

mod entity;
mod function;
mod trigger;

use function::{Kind, NameArgument};

/// Makes an `async fn` an orchestrator. See `dacapo_sdk::orchestrator`.
#[proc_macro_attribute]
pub fn orchestrator(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand(Kind::Orchestrator, arguments, item)
}

/// Makes a `fn` or an `async fn` an activity. See `dacapo_sdk::activity`.
#[proc_macro_attribute]
pub fn activity(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand(Kind::Activity, arguments, item)
}

/// Makes the methods of a type, or a function, the operations of an entity. See `dacapo_sdk::entity`.
#[proc_macro_attribute]
pub fn entity(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let name = parse_macro_input!(arguments as NameArgument);
    let item = parse_macro_input!(item as entity::Item);
    let generated = entity::expand(name, &item).unwrap_or_else(|error| error.to_compile_error());
    quote!(#item #generated).into()
}

/// Makes a function an HTTP trigger. See `dacapo_sdk::http_trigger`.
#[proc_macro_attribute]
pub fn http_trigger(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand_trigger(trigger::Kind::Http, arguments, item)
}

/// Makes a function a timer trigger. See `dacapo_sdk::timer_trigger`.
#[proc_macro_attribute]
pub fn timer_trigger(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand_trigger(trigger::Kind::Timer, arguments, item)
}

/// Makes a function a queue trigger. See `dacapo_sdk::queue_trigger`.
#[proc_macro_attribute]
pub fn queue_trigger(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand_trigger(trigger::Kind::Queue, arguments, item)
}

/// Makes a function an event hub trigger. See `dacapo_sdk::event_hub_trigger`.
#[proc_macro_attribute]
pub fn event_hub_trigger(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand_trigger(trigger::Kind::EventHub, arguments, item)
}

/// Makes a function an event grid trigger. See `dacapo_sdk::event_grid_trigger`.
#[proc_macro_attribute]
pub fn event_grid_trigger(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand_trigger(trigger::Kind::EventGrid, arguments, item)
}

/// Makes a function a manual trigger. See `dacapo_sdk::manual_trigger`.
#[proc_macro_attribute]
pub fn manual_trigger(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand_trigger(trigger::Kind::Manual, arguments, item)
}

fn expand_trigger(kind: trigger::Kind, arguments: TokenStream, item: TokenStream) -> TokenStream {
    let arguments = parse_macro_input!(arguments as trigger::Arguments);
    let item = parse_macro_input!(item as syn::ItemFn);
    let generated = trigger::expand(kind, arguments, &item).unwrap_or_else(|error| error.to_compile_error());
    let item = trigger::without_output_attributes(item);
    quote!(#item #generated).into()
}

/// Keeps the function unchanged even if it is invalid, so that an editor can still analyse its body.
fn expand(kind: Kind, arguments: TokenStream, item: TokenStream) -> TokenStream {
    let name = parse_macro_input!(arguments as NameArgument);
    let item = parse_macro_input!(item as syn::ItemFn);
    let generated = function::expand(kind, name, &item).unwrap_or_else(|error| error.to_compile_error());
    quote!(#item #generated).into()
}
