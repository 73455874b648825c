//! The attribute macros of `dacapo-sdk`. Use them through that crate, which documents and re-exports them.

use proc_macro::TokenStream;
use quote::quote;
use syn::parse_macro_input;

mod entity;
mod function;

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

/// Keeps the function unchanged even if it is invalid, so that an editor can still analyse its body.
fn expand(kind: Kind, arguments: TokenStream, item: TokenStream) -> TokenStream {
    let name = parse_macro_input!(arguments as NameArgument);
    let item = parse_macro_input!(item as syn::ItemFn);
    let generated = function::expand(kind, name, &item).unwrap_or_else(|error| error.to_compile_error());
    quote!(#item #generated).into()
}
