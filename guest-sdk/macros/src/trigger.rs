//! Expands the attributes of triggers, such as `#[http_trigger]`: the bindings that describe a trigger, and how it is run.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Error, Expr, ExprLit, FnArg, Ident, ItemFn, Lit, LitStr, Pat, PatType, Result, Token, Type};

use crate::function::{check_name, last_segment_is, plain};

#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    Http,
    Timer,
    Queue,
    EventHub,
    EventGrid,
    Manual,
}

impl Kind {
    /// What the first argument of the attribute is, if it has no name.
    fn subject(self) -> Option<&'static str> {
        match self {
            Kind::Timer => Some("a schedule, such as \"0 */5 * * * *\""),
            Kind::Queue => Some("the name of a queue"),
            Kind::EventHub => Some("the name of an event hub"),
            Kind::Http | Kind::EventGrid | Kind::Manual => None,
        }
    }

    /// The name of the type in `dacapo_sdk` that stands for the kind.
    fn marker(self) -> TokenStream {
        match self {
            Kind::Http => quote!(Http),
            Kind::Timer => quote!(Timer),
            Kind::Queue => quote!(Queue),
            Kind::EventHub => quote!(EventHub),
            Kind::EventGrid => quote!(EventGrid),
            Kind::Manual => quote!(Manual),
        }
    }
}

/// The arguments of an attribute: `"subject", key = value, ...`.
pub struct Arguments {
    subject: Option<LitStr>,
    named: Vec<(Ident, Expr)>,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut arguments = Self { subject: None, named: Vec::new() };
        if input.peek(LitStr) {
            arguments.subject = Some(input.parse()?);
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        while !input.is_empty() {
            let key: Ident = input.parse()?;
            input.parse::<Token![=]>()?;
            arguments.named.push((key, input.parse()?));
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(arguments)
    }
}

/// What the attribute says about the trigger.
struct Description {
    name: Option<LitStr>,
    /// The members of its binding, without `type`, `direction` and `name`, as JSON.
    members: Vec<(&'static str, String)>,
}

impl Description {
    fn new(kind: Kind, arguments: Arguments) -> Result<Self> {
        let mut description = Self { name: None, members: Vec::new() };
        description.set_subject(kind, arguments.subject)?;
        let mut known: Vec<String> = Vec::new();
        for (key, value) in arguments.named {
            let key_text = key.to_string();
            if known.contains(&key_text) {
                return Err(Error::new(key.span(), format!("`{key_text}` is given twice")));
            }
            match (kind, &*key_text) {
                (_, "name") => {
                    let name = text(&value)?;
                    check_name(&name)?;
                    description.name = Some(name);
                }
                (Kind::Http, "route") => description.set("route", json(&checked_route(&text(&value)?)?)),
                (Kind::Http, "methods") => description.set("methods", methods(&value)?),
                (Kind::Http, "auth_level") => description.set("authLevel", json(&auth_level(&text(&value)?)?)),
                (Kind::Timer, "run_on_startup") => description.set("runOnStartup", flag(&value)?),
                (Kind::Timer, "use_monitor") => description.set("useMonitor", flag(&value)?),
                _ => return Err(Error::new(key.span(), unknown_argument(kind))),
            }
            known.push(key_text);
        }
        Ok(description)
    }

    fn set_subject(&mut self, kind: Kind, subject: Option<LitStr>) -> Result<()> {
        let member = match kind {
            Kind::Timer => "schedule",
            Kind::Queue => "queueName",
            Kind::EventHub => "eventHubName",
            Kind::Http | Kind::EventGrid | Kind::Manual => "",
        };
        match (kind.subject(), subject) {
            (None, None) => {}
            (None, Some(subject)) => return Err(Error::new(subject.span(), unknown_argument(kind))),
            (Some(what), None) => return Err(Error::new(Span::call_site(), format!("the first argument is {what}"))),
            (Some(what), Some(subject)) if subject.value().trim().is_empty() => {
                return Err(Error::new(subject.span(), format!("this is empty, and should be {what}")));
            }
            (Some(_), Some(subject)) if kind == Kind::Timer => self.set(member, json(&subject.value())),
            (Some(_), Some(subject)) => self.set(member, json(&queue_name(&subject)?)),
        }
        Ok(())
    }

    fn set(&mut self, member: &'static str, json: String) {
        self.members.push((member, json));
    }
}

fn unknown_argument(kind: Kind) -> &'static str {
    match kind {
        Kind::Http => {
            "the arguments are `name = \"...\"`, `route = \"...\"`, `methods = [\"GET\", ...]` and \
             `auth_level = \"anonymous\"`, `\"function\"` or `\"admin\"`"
        }
        Kind::Timer => "the arguments are a schedule, `name = \"...\"`, `run_on_startup = true` and `use_monitor = false`",
        Kind::Queue => "the arguments are the name of a queue, and `name = \"...\"`",
        Kind::EventHub => "the arguments are the name of an event hub, and `name = \"...\"`",
        Kind::EventGrid | Kind::Manual => "the only argument is `name = \"...\"`",
    }
}

fn text(value: &Expr) -> Result<LitStr> {
    match value {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Ok(text.clone()),
        other => Err(Error::new_spanned(other, "this should be a text in quotes")),
    }
}

fn flag(value: &Expr) -> Result<String> {
    match value {
        Expr::Lit(ExprLit { lit: Lit::Bool(flag), .. }) => Ok(flag.value.to_string()),
        other => Err(Error::new_spanned(other, "this should be `true` or `false`")),
    }
}

fn methods(value: &Expr) -> Result<String> {
    let Expr::Array(array) = value else {
        return Err(Error::new_spanned(value, "the methods are a list, such as `[\"GET\", \"POST\"]`"));
    };
    let method = |method: &Expr| {
        let name = text(method)?;
        let is_token = !name.value().is_empty() && name.value().bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if is_token {
            Ok(json(&name.value().to_ascii_lowercase()))
        } else {
            Err(Error::new(name.span(), "this is no HTTP method"))
        }
    };
    let methods = array.elems.iter().map(method).collect::<Result<Vec<_>>>()?;
    if methods.is_empty() {
        return Err(Error::new_spanned(array, "no method is listed; for all methods leave `methods` out"));
    }
    Ok(format!("[{}]", methods.join(",")))
}

/// Checks what is cheap to check. The host checks the rest when the app is deployed.
fn checked_route(route: &LitStr) -> Result<String> {
    let value = route.value();
    if value.starts_with('/') {
        return Err(Error::new(route.span(), "a route does not begin with `/`: the host puts its prefix before it"));
    }
    if value.contains('?') && !value.contains('{') {
        return Err(Error::new(route.span(), "a route has no query: every request on the path runs the trigger"));
    }
    Ok(value)
}

/// The host's rule for the names of queues and event hubs.
fn queue_name(name: &LitStr) -> Result<String> {
    let value = name.value();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let begins = value.starts_with(|c: char| c.is_ascii_alphanumeric());
    match begins && value.len() <= 63 && value.chars().all(is_plain) {
        true => Ok(value),
        false => Err(Error::new(
            name.span(),
            "the name of a queue or an event hub is 1 to 63 letters, digits, `-` or `_`, and begins with a letter or digit",
        )),
    }
}

fn auth_level(level: &LitStr) -> Result<String> {
    match level.value().to_ascii_lowercase() {
        known if ["anonymous", "function", "admin"].contains(&&*known) => Ok(known),
        _ => Err(Error::new(level.span(), "the level is `anonymous`, `function` or `admin`")),
    }
}

/// The parameters of the annotated function and their roles, in this order.
struct Parameters<'a> {
    context: Option<&'a Type>,
    input: Option<&'a PatType>,
    outputs: Vec<OutputParameter<'a>>,
}

/// A parameter with the attribute of an output.
struct OutputParameter<'a> {
    /// The name of its binding, and of the variable in the expansion.
    name: &'a Ident,
    /// `Output<T>`
    ty: &'a Type,
    /// The binding as JSON.
    binding: String,
}

impl<'a> Parameters<'a> {
    fn of(item: &'a ItemFn) -> Result<Self> {
        let mut parameters = Self { context: None, input: None, outputs: Vec::new() };
        for (index, argument) in item.sig.inputs.iter().enumerate() {
            let typed = match argument {
                FnArg::Typed(typed) => typed,
                FnArg::Receiver(this) => return Err(Error::new_spanned(this, "a trigger is not a method")),
            };
            if let Some(output) = OutputParameter::of(typed)? {
                parameters.outputs.push(output);
            } else if index == 0 && is_context(&typed.ty) {
                parameters.context = Some(&typed.ty);
            } else if parameters.input.is_none() && parameters.outputs.is_empty() {
                parameters.input = Some(typed);
            } else {
                let wrong = "a trigger takes a `TriggerContext`, its input and its outputs, each if it wants it and in this order; \
                             an output has an attribute, such as `#[queue_output(\"orders\")]`";
                return Err(Error::new_spanned(typed, wrong));
            }
        }
        Ok(parameters)
    }
}

impl<'a> OutputParameter<'a> {
    fn of(parameter: &'a PatType) -> Result<Option<Self>> {
        let mut found = None;
        for attribute in parameter.attrs.iter().filter(|attribute| is_output(attribute)) {
            if found.is_some() {
                return Err(Error::new_spanned(attribute, "a parameter is one output"));
            }
            let (kind, member) =
                if attribute.path().is_ident("queue_output") { ("queue", "queueName") } else { ("eventHub", "eventHubName") };
            found = Some((kind, member, queue_name(&attribute.parse_args()?)?));
        }
        let Some((kind, member, target)) = found else { return Ok(None) };
        let name = match &*parameter.pat {
            Pat::Ident(pattern) if pattern.subpat.is_none() => &pattern.ident,
            other => return Err(Error::new_spanned(other, "an output has a name, which is that of its binding")),
        };
        let ty = match &*parameter.ty {
            Type::Reference(reference) if reference.mutability.is_some() && last_segment_is(&reference.elem, "Output") => {
                &*reference.elem
            }
            other => return Err(Error::new_spanned(other, "an output is a `&mut Output<T>`")),
        };
        let binding = object(kind, "out", &plain(name), &[(member, json(&target))]);
        Ok(Some(Self { name, ty, binding }))
    }
}

fn is_output(attribute: &Attribute) -> bool {
    attribute.path().is_ident("queue_output") || attribute.path().is_ident("event_hub_output")
}

fn is_context(parameter: &Type) -> bool {
    match parameter {
        Type::Reference(reference) => is_context(&reference.elem),
        other => last_segment_is(other, "TriggerContext"),
    }
}

/// Returns the function without the attributes of its parameters that only this macro knows.
pub fn without_output_attributes(mut item: ItemFn) -> ItemFn {
    for argument in &mut item.sig.inputs {
        if let FnArg::Typed(typed) = argument {
            typed.attrs.retain(|attribute| !is_output(attribute));
        }
    }
    item
}

pub fn expand(kind: Kind, arguments: Arguments, item: &ItemFn) -> Result<TokenStream> {
    check_signature(item)?;
    let description = Description::new(kind, arguments)?;
    let parameters = Parameters::of(item)?;
    let ident = &item.sig.ident;
    let name = description.name.clone().unwrap_or_else(|| LitStr::new(&plain(ident), ident.span()));
    let bindings = bindings(kind, &description, &parameters);
    let body = body(kind, item, &name, &parameters);
    let visibility = &item.vis;
    let doc = format!("Represents the trigger `{ident}` in `app!`.");
    let cfgs = item.attrs.iter().filter(|attribute| attribute.path().is_ident("cfg"));
    let cfgs = quote!(#(#cfgs)*);
    Ok(quote! {
        #[doc = #doc]
        #[allow(non_camel_case_types, dead_code)]
        #cfgs
        #visibility struct #ident {}

        #cfgs
        impl ::dacapo_sdk::__private::Registered for #ident {
            fn entry() -> ::dacapo_sdk::__private::Entry {
                ::dacapo_sdk::__private::Entry::trigger(#name, || #bindings, |context, json| {
                    ::std::boxed::Box::pin(async move {
                        let _ = (&context, &json);
                        #body
                    })
                })
            }
        }
    })
}

fn check_signature(item: &ItemFn) -> Result<()> {
    let signature = &item.sig;
    if !signature.generics.params.is_empty() {
        return Err(Error::new_spanned(&signature.generics, "a trigger has no generic parameters"));
    }
    if let Some(unsafety) = signature.unsafety {
        return Err(Error::new_spanned(unsafety, "a trigger cannot be unsafe"));
    }
    if let Some(variadic) = &signature.variadic {
        return Err(Error::new_spanned(variadic, "a trigger has one input at most"));
    }
    Ok(())
}

/// Generates an expression for the bindings of the trigger as a `String` of JSON.
fn bindings(kind: Kind, description: &Description, parameters: &Parameters<'_>) -> TokenStream {
    let input_name = parameters.input.and_then(|input| match &*input.pat {
        Pat::Ident(pattern) => Some(plain(&pattern.ident)),
        _ => None,
    });
    let (trigger, default_name) = match kind {
        Kind::Http => ("httpTrigger", "req"),
        Kind::Timer => ("timerTrigger", "timer"),
        Kind::Queue => ("queueTrigger", "item"),
        Kind::EventHub => ("eventHubTrigger", "events"),
        Kind::EventGrid => ("eventGridTrigger", "event"),
        Kind::Manual => ("manualTrigger", "input"),
    };
    let trigger = object(trigger, "in", input_name.as_deref().unwrap_or(default_name), &description.members);
    let http = (kind == Kind::Http).then(|| object("http", "out", "$return", &[]));
    let outputs = http.into_iter().chain(parameters.outputs.iter().map(|output| output.binding.clone()));
    let outputs: String = outputs.map(|output| format!(",{output}")).collect();
    match parameters.input {
        Some(PatType { ty, .. }) if kind == Kind::EventHub => {
            // Only the type of the input knows the cardinality.
            let before = format!("[{},\"cardinality\":\"", trigger.trim_end_matches('}'));
            let after = format!("\"}}{outputs}]");
            quote! {
                [
                    #before,
                    <#ty as ::dacapo_sdk::__private::TriggerInput<::dacapo_sdk::__private::kind::EventHub>>::CARDINALITY,
                    #after,
                ].concat()
            }
        }
        _ => {
            let text = format!("[{trigger}{outputs}]");
            quote!(::std::string::String::from(#text))
        }
    }
}

/// Generates the call of the function, and the conversion of what it takes and returns.
fn body(kind: Kind, item: &ItemFn, name: &LitStr, parameters: &Parameters<'_>) -> TokenStream {
    let (ident, marker) = (&item.sig.ident, kind.marker());
    let private = quote!(::dacapo_sdk::__private);
    let context = parameters.context.map(|context| match context {
        Type::Reference(_) => quote!(&context,),
        _ => quote!(context,),
    });
    let read = parameters.input.map(
        |PatType { ty, .. }| quote!(let input = <#ty as #private::TriggerInput<#private::kind::#marker>>::read(#name, &json)?;),
    );
    let input = parameters.input.map(|_| quote!(input,));
    let outputs: Vec<Ident> = parameters
        .outputs
        .iter()
        .map(|output| Ident::new(&format!("output_{}", plain(output.name)), output.name.span()))
        .collect();
    let types = parameters.outputs.iter().map(|output| output.ty);
    let wire_names = parameters.outputs.iter().map(|output| plain(output.name));
    let wait = item.sig.asyncness.map(|_| quote!(.await));
    let call = quote!(#ident(#context #input #(&mut #outputs),*) #wait);
    let finish = if kind == Kind::Http { quote!(respond) } else { quote!(conclude) };
    quote! {
        #read
        #(let mut #outputs = <#types>::new();)*
        let returned = #call;
        #private::#finish(returned, || {
            #[allow(unused_mut)]
            let mut outputs = #private::Outputs::default();
            #(outputs.add(#name, #wire_names, &#outputs)?;)*
            ::dacapo_sdk::Result::Ok(outputs)
        })
    }
}

/// A binding as JSON.
fn object(kind: &str, direction: &str, name: &str, members: &[(&str, String)]) -> String {
    let first = [("type", json(kind)), ("direction", json(direction)), ("name", json(name))];
    let all = first.iter().chain(members).map(|(member, value)| format!("{}:{value}", json(member)));
    format!("{{{}}}", all.collect::<Vec<_>>().join(","))
}

/// A text as JSON.
fn json(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
